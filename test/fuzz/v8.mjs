// SPDX-License-Identifier: MIT
// The third opinion: runs a batch of modules, as differ --batch writes it, on node's V8.
//
//   node v8.mjs [--keep DIR] BATCH...
//
// A batch is a sequence of records, each with its kind first; numbers are little-endian, names and
// modules have their length in 4 bytes before them, values are a type byte and 8 bytes of bits.
//   0 module bytes
//   1 call    name, count of arguments, arguments, trap; without a trap: count of results, results
//   2 global  name, value
//   3 memory  name, pages, hash
//   4 what the imports have seen: hash of all calls, global gi, global gd
//   5 module that those that follow import as "peer"
//   6 module that they import as "fuzzing-support"
// NaNs are compared as one. Modules that differ are written to DIR.
import { readFileSync, writeFileSync } from "node:fs";

const I32 = 0x7f, I64 = 0x7e, F32 = 0x7d, F64 = 0x7c;
const FUEL = 150;

// What V8 says for each trap of traps.def, by its number.
const TRAPS = [
  [],
  ["unreachable"],
  ["memory access out of bounds", "data segment out of bounds", "memory.init"],
  ["table index is out of bounds", "table access out of bounds", "table.", "element segment",
   "invalid address in table", "index out of bounds"],
  ["divide by zero", "remainder by zero"],
  ["divide result unrepresentable", "float unrepresentable in integer range"],
  ["float unrepresentable in integer range"],
  ["table index is out of bounds"],
  ["null function or function signature mismatch", "function signature mismatch",
   "RuntimeError: dereferencing a null pointer"],
  ["null function or function signature mismatch", "function signature mismatch"],
  [],
  // V8's baseline compiler looks at the bounds first, its optimizing one at the alignment.
  ["operation does not support unaligned accesses", "memory access out of bounds"],
  ["Atomics.wait cannot be called"],
  [], [], [], [], [], [],
  ["exception"],
  ["dereferencing a null pointer", "rethrowing null value"],
  [],
  ["dereferencing a null pointer"], ["dereferencing a null pointer"], // of a function, of anything
  ["dereferencing a null pointer"], ["dereferencing a null pointer"], ["dereferencing a null pointer"],
  ["illegal cast"],
  ["array element access out of bounds", "array index out of bounds", "array.fill", "array.copy", "index out of bounds"],
  ["requested new array is too large"],
];

// --- Bits

const view = new DataView(new ArrayBuffer(8));
const mask = (1n << 64n) - 1n;

function floatBits(type, value) {
  if (type === F32) {
    view.setFloat32(0, value);
    return Number.isNaN(value) ? 0x7fc00000n : BigInt(view.getUint32(0));
  }
  view.setFloat64(0, value);
  return Number.isNaN(value) ? 0x7ff8000000000000n : view.getBigUint64(0);
}

function toBits(type, value) {
  if (type === I32) return BigInt(value >>> 0);
  if (type === I64) return BigInt.asUintN(64, value);
  return floatBits(type, value);
}

function fromBits(type, bits) {
  if (type === I32) return Number(BigInt.asIntN(32, bits));
  if (type === I64) return BigInt.asIntN(64, bits);
  view.setBigUint64(0, bits);
  return type === F32 ? view.getFloat32(4) : view.getFloat64(0);
}

function mix(hash, value) {
  hash = ((hash ^ value) * 0x9e3779b97f4a7c15n) & mask;
  return hash ^ (hash >> 29n);
}

function hashMemory(memory) {
  const words = new Int32Array(memory.buffer);
  let h = 0x811c9dc5 | 0;
  for (let i = 0; i < words.length; i++) h = Math.imul(h ^ words[i], 0x01000193);
  return h >>> 0;
}

// --- Reading

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
  }
  get done() { return this.at >= this.bytes.length; }
  u8() { return this.bytes[this.at++]; }
  u32() { this.at += 4; return this.view.getUint32(this.at - 4, true); }
  u64() { this.at += 8; return this.view.getBigUint64(this.at - 8, true); }
  blob() { const n = this.u32(); this.at += n; return this.bytes.subarray(this.at - n, this.at); }
  name() { return new TextDecoder().decode(this.blob()); }
  value() { const type = this.u8(); return { type, bits: this.u64() }; }
  values() { return Array.from({ length: this.u32() }, () => this.value()); }
}

// --- The imports: those of differ.c

const WIDE = [I32, F64, I64, F32, I32, F64, I64, F32, I32, I64, F32, F64, I32, I64, I32, F32];

function makeWorld() {
  const world = { notes: 0n };
  world.gi = new WebAssembly.Global({ value: "i32", mutable: true }, 7);
  world.gd = new WebAssembly.Global({ value: "f64", mutable: true }, -0.5);
  world.imports = {
    env: {
      note(a, b) {
        world.notes = mix(mix(world.notes, toBits(I32, a)), toBits(I64, b));
        return BigInt.asIntN(64, world.notes);
      },
      wide(...args) {
        args.forEach((x, i) => { world.notes = mix(world.notes, toBits(WIDE[i], x)); });
        return Number(BigInt.asIntN(32, world.notes));
      },
      many(n, d) {
        world.notes = mix(mix(world.notes, toBits(I32, n)), toBits(F64, d));
        return [n, BigInt.asIntN(64, world.notes), n, Number(BigInt.asIntN(32, world.notes))];
      },
      thread_spawn(a) {
        world.notes = mix(world.notes, toBits(I32, a));
        return a;
      },
      gi: world.gi,
      gd: world.gd,
      gl: new WebAssembly.Global({ value: "i64" }, 0x123456789abcdef0n),
      gf: new WebAssembly.Global({ value: "f32" }, 1.5),
    },
    "fuzzing-host": Object.fromEntries([["i32", I32], ["i64", I64], ["f32", F32], ["f64", F64]].map(
      ([name, type]) => ["log-" + name, (x) => { world.notes = mix(world.notes, toBits(type, x)); }])),
  };
  return world;
}

// --- Comparing

class Difference extends Error {}

function expect(same, text) {
  if (!same) throw new Difference(text);
}

function show(values) {
  return values.map((v) => "0x" + v.toString(16)).join(" ");
}

function refuel(exports, peer) {
  peer.fuel.value = FUEL;
  if (exports.fuel instanceof WebAssembly.Global) exports.fuel.value = FUEL;
  if (exports.hangLimitInitializer) exports.hangLimitInitializer();
}

function call(run, r) {
  const name = r.name();
  const args = r.values().map((v) => fromBits(v.type, v.bits));
  const trap = r.u8();
  const expected = trap ? [] : r.values();
  if (!run.exports) return;
  let results, message = "";
  refuel(run.exports, run.world.imports.peer);
  try {
    results = run.exports[name](...args);
  } catch (e) {
    if (e instanceof RangeError && e.message.startsWith("Maximum call stack")) {
      run.exports = null; // the rest is not compared
      return;
    }
    message = e instanceof WebAssembly.Exception ? "exception" : String(e.message);
  }
  expect(!trap || TRAPS[trap].some((t) => message.startsWith(t)),
    `${name}: interp traps (${trap}), V8: ${message || "returns"}`);
  expect(trap || !message, `${name}: interp returns, V8: ${message}`);
  if (trap) return;
  if (expected.length < 2) results = expected.length ? [results] : [];
  const got = Array.from(results, (x, i) => toBits(expected[i].type, x));
  expect(got.every((x, i) => x === expected[i].bits),
    `${name}: interp: ${show(expected.map((v) => v.bits))}, V8: ${show(got)}`);
}

function global(run, r) {
  const name = r.name(), { type, bits } = r.value();
  if (!run.exports) return;
  const got = toBits(type, run.exports[name].value);
  expect(got === bits, `global ${name}: interp: ${show([bits])}, V8: ${show([got])}`);
}

function memory(run, r) {
  const name = r.name(), pages = r.u32(), hash = r.u32();
  if (!run.exports) return;
  const got = run.exports[name];
  expect(got.buffer.byteLength === pages * 65536,
    `memory: interp: ${pages} pages, V8: ${got.buffer.byteLength / 65536}`);
  expect(hashMemory(got) === hash, "memory differs");
}

function imports(run, r) {
  const notes = r.u64(), gi = r.value(), gd = r.value();
  if (!run.exports) return;
  expect(run.world.notes === notes, "calls of imports differ");
  expect(toBits(I32, run.world.gi.value) === gi.bits, "imported global gi differs");
  expect(toBits(F64, run.world.gd.value) === gd.bits, "imported global gd differs");
}

// --- Batches

const counts = { modules: 0, calls: 0, failed: 0 };

let peer = null, support = null;

function begin(bytes) {
  const world = makeWorld();
  world.imports["fuzzing-support"] = new WebAssembly.Instance(support, world.imports).exports;
  world.imports.peer = new WebAssembly.Instance(peer, world.imports).exports;
  const run = { world, bytes, exports: null };
  counts.modules++;
  run.exports = new WebAssembly.Instance(new WebAssembly.Module(bytes), world.imports).exports;
  return run;
}

function fail(run, bytes, error, keep) {
  const file = `${keep}/v8-${counts.modules}.wasm`;
  writeFileSync(file, bytes);
  console.log(`FAIL ${error.message}\n     ${file}`);
  counts.failed++;
  if (run) run.exports = null;
}

function runBatch(file, keep) {
  const r = new Reader(readFileSync(file));
  const records = [null, call, global, memory, imports];
  let run = null, bytes = null;
  while (!r.done && counts.failed < 20) {
    const kind = r.u8();
    if (kind === 0) bytes = r.blob();
    if (kind === 5) peer = new WebAssembly.Module(r.blob());
    if (kind === 6) support = new WebAssembly.Module(r.blob());
    if (kind > 4) continue;
    counts.calls += kind === 1;
    const before = r.at;
    try {
      if (kind === 0) run = begin(bytes);
      else records[kind](run, r);
    } catch (error) {
      if (!(error instanceof Difference || error instanceof WebAssembly.CompileError ||
            error instanceof WebAssembly.LinkError || error instanceof WebAssembly.RuntimeError ||
            error instanceof WebAssembly.Exception)) throw error;
      if (kind === 0) run = { exports: null };
      fail(run, bytes, error, keep);
      if (kind) { // read the record to its end
        r.at = before;
        records[kind](run, r);
      }
    }
  }
}

const args = process.argv.slice(2);
let keep = ".";
if (args[0] === "--keep") keep = args.splice(0, 2)[1];
const start = performance.now();
for (const file of args) runBatch(file, keep);
const seconds = (performance.now() - start) / 1000;
console.log(`interp = V8 ${process.versions.v8}: ${counts.modules} modules, ${counts.calls} calls, ` +
  `${seconds.toFixed(1)} s, ${Math.round(counts.modules / seconds)} modules/s, ${counts.failed} failed`);
process.exit(counts.failed ? 1 : 0);
