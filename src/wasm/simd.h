// SPDX-License-Identifier: MIT
// SIMD: what a row of ops.def says, and what the instructions compute.
#pragma once
#include "wasm/types.h"

// Immediates: a class, and in the low bits log2 of the alignment or of the number of lanes.
enum simd_imm {
    SIMD_ILLEGAL,
    SIMD_NONE,
    SIMD_V128,
    SIMD_SHUFFLE,
    SIMD_MEM_0 = 0x10,
    SIMD_MEM_1,
    SIMD_MEM_2,
    SIMD_MEM_3,
    SIMD_MEM_4,
    SIMD_MEMLANE_0 = 0x20,
    SIMD_MEMLANE_1,
    SIMD_MEMLANE_2,
    SIMD_MEMLANE_3,
    SIMD_LANE_2 = 0x31,
    SIMD_LANE_4,
    SIMD_LANE_8,
    SIMD_LANE_16,
};
#define SIMD_CLASS 0x30

// By the number behind the prefix; validate_ops.c. An instruction that accesses memory accesses as
// many bytes as its natural alignment.
struct simd_row {
    u8 imm;
    char params[4], results[2]; // "i" is an i32, "l" an i64, "f" an f32, "d" an f64, "v" a v128
};
enum { SIMD_RELAXED = 0x100, SIMD_ROWS = SIMD_RELAXED + 20 };
#define SIMD_INDEX(op) ((op) > UINT16_MAX ? (op) & 0xfff : (op) & 0xff)
extern const struct simd_row simd_rows[SIMD_ROWS];

// The number of the instruction that does what number n does. Relaxed ones have one answer here,
// that of another instruction where there is one. Of the others: madd is a product and a sum, each
// rounded, a * b + c and c - a * b; NaNs are those of these operations (num.h). Sums of the dot
// products saturate to 16 bits.
u32 simd_strict(u32 n);

union v128 {
    u64 d[2];
    s64 sd[2];
    u32 w[4];
    s32 sw[4];
    u16 h[8];
    s16 sh[8];
    u8 b[16];
    s8 sb[16];
    f32 f[4];
    f64 e[2];
};

// Over the immediates of instruction `op` (with prefix), at p.
const u8 *simd_skip(const u8 *p, u32 op);

// *out = what `op` (with prefix) makes of v[0], v[1] and v[2]; out is none of them. A scalar is in
// the lowest lane; as a result it is extended with zeros to 64 bits. Instructions that load take
// what memory holds instead of an address, with zeros behind it, and those that store give what it
// is to hold. Of lane instructions the last operand is the lane, as an i32; of shuffle it is the
// 16 lanes; of v128.const the value. For NaNs each lane does as the scalar instruction (num.h).
void simd_compute(u32 op, union v128 *out, const union v128 v[3]);
