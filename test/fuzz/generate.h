// SPDX-License-Identifier: MIT
// A generator of valid WebAssembly modules with atomics, SIMD, exceptions in one of both forms,
// tail calls, several memories, addresses of 64 bits and objects, made to find what compilers get
// wrong.
//
// Everything it decides comes from a struct choices: bytes as long as there are any, so that a
// fuzzer can steer it, then numbers from a seed. The same choices make the same module on every
// machine.
//
// What a module has, so that whoever runs it knows:
//   imports  env.note (i32 i64) -> i64, env.wide (i32 f64 i64 f32 i32 f64 i64 f32 i32 i64 f32 f64
//   i32
//            i64 i32 f32) -> f64, env.many (i32 f64) -> (f64 i64 f32 i32); env.gi, env.gd: mutable
//            globals i32 and f64, env.gl, env.gf: constant globals i64 and f32; peer.p0 and
//            peer.p1: functions of an instance of another module, which generate() makes with
//            GENERATE_PEER, and peer.t0 and peer.t1, its tags; of some modules env.thread_spawn
//            (i32) -> i32, which makes loops poll
//   exports  f0, f1, ...: functions of numbers only; memory; g0, g1, ...: globals; fuel: a mutable
//   i32
//
// Programs end: whatever can go on for long takes from the fuel, and goes home when there is none.
// It is to be filled up (FUEL) before each call.
#pragma once
#include "base/vec.h"

struct choices {
    const u8 *bytes;
    size_t left;
    u64 state;
};

enum {
    FUEL = 150,
    GENERATE_NANS_CANONICAL = 1, // no result depends on which NaN an operation returns; for V8, so
                                 // without wide arithmetic
    GENERATE_PEER = 2,           // a module that imports no peer, and exports p0 and p1
    GENERATE_OLD = 4, // exceptions in the older form only, one memory, addresses of 32 bits, no
                      // tail calls, no objects
};

struct bytes {
    u8 *at;
    u32 count, capacity;
};

// Appends a module to *out, which is to be freed with vec_free. Aborts when memory is out.
void generate(struct choices *c, u32 flags, struct bytes *out);
