// SPDX-License-Identifier: MIT
// wasi.mjs FILE [ARGS...]: runs a WASI command under node. `nebulet.null` is offered too, for the
// program that measures calls.
import { readFileSync } from "node:fs";
import { WASI } from "node:wasi";
import { argv, env, exit } from "node:process";

const args = argv.slice(2);
const wasi = new WASI({ version: "preview1", args, env, returnOnExit: true });
const module = new WebAssembly.Module(readFileSync(args[0]));
const instance = new WebAssembly.Instance(module, {
    ...wasi.getImportObject(),
    nebulet: { null: () => 0 },
});
exit(wasi.start(instance));
