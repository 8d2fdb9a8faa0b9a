// Bundled by esbuild: modules, JSX-free, with a constant to fold and code to shake off.
import { area, unused } from './shapes.js';
import data from './data.json';

const DEBUG = false;
class Counter {
    #n = 0;
    static made = 0;
    constructor() { Counter.made++; }
    next() { return this.#n++; }
}
const counter = new Counter();
for (const { w, h } of data.shapes) {
    if (DEBUG) console.log('debug', w, h);
    console.log(counter.next(), area(w, h) ?? 'none');
}
