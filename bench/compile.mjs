// SPDX-License-Identifier: MIT
// compile.mjs [FILE]: compiles one module and prints `compile_ns N`, in CPU time of the whole
// process (so that helper threads count). Without FILE it only starts: what node needs by itself.
import { readFileSync } from "node:fs";
import { argv, cpuUsage } from "node:process";

if (argv.length > 2) {
    const bytes = readFileSync(argv[2]);
    const before = cpuUsage();
    const module = new WebAssembly.Module(bytes);
    const used = cpuUsage(before);
    console.log(`compile_ns ${(used.user + used.system) * 1000}`);
    globalThis.keep = module;
}
