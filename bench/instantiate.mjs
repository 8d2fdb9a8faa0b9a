// SPDX-License-Identifier: MIT
// instantiate.mjs FILE: instantiates a compiled module without imports many times, and prints
// `instantiate_ns N`, the least of many means.
import { readFileSync } from "node:fs";
import { argv, hrtime } from "node:process";

const module = new WebAssembly.Module(readFileSync(argv[2]));
const BATCH = 100;
let best = Infinity;
for (let round = 0; round < 30; round++) {
    const start = hrtime.bigint();
    for (let i = 0; i < BATCH; i++)
        new WebAssembly.Instance(module, {});
    best = Math.min(best, Number(hrtime.bigint() - start) / BATCH);
}
console.log(`instantiate_ns ${Math.round(best)}`);
