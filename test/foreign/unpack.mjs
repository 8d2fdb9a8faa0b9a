// SPDX-License-Identifier: MIT
// node unpack.mjs RESOURCES.js TARGET: the YoWASP packages carry their files as a JavaScript object,
// { folder: { file: text or URL } }; writes them to a folder.
import fs from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [resources, target] = process.argv.slice(2);

function write(path, node) {
    if (typeof node === 'string' || node instanceof Uint8Array) {
        fs.writeFileSync(path, node);
    } else if (node instanceof URL) {
        fs.copyFileSync(node, path);
    } else {
        fs.mkdirSync(path, { recursive: true });
        for (const [name, child] of Object.entries(node))
            write(`${path}/${name}`, child);
    }
}

write(target, (await import(pathToFileURL(resolve(resources)))).filesystem);
