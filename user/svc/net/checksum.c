// SPDX-License-Identifier: MIT
// See checksum.h. There is an instruction that adds words of 16 bits to sums of 32, which takes
// them for signed: so they are made less by HALF, each.
#include "checksum.h"

#include <stdint.h>
#include <string.h>
#include <wasm_simd128.h>

unsigned short net_checksum(const void *bytes, int size)
{
    enum { HALF = 0x8000, WORDS = 8 };
    const uint8_t *p = bytes;
    const v128_t half_each = wasm_i16x8_const_splat(-HALF), ones = wasm_i16x8_const_splat(1);
    v128_t a = wasm_i32x4_const(0, 0, 0, 0), b = a;
    uint64_t sum = (uint64_t)(size / 16) * WORDS * HALF;
#define SUM(to, at)                                                                                \
    to = wasm_i32x4_add(to,                                                                        \
                        wasm_i32x4_dot_i16x8(wasm_v128_xor(wasm_v128_load(at), half_each), ones))
#pragma clang loop unroll(disable)
    for (; size >= 64; p += 64, size -= 64) {
        SUM(a, p);
        SUM(b, p + 16);
        SUM(a, p + 32);
        SUM(b, p + 48);
    }
#pragma clang loop unroll(disable)
    for (; size >= 16; p += 16, size -= 16)
        SUM(a, p);
#undef SUM
    a = wasm_i32x4_add(a, b);
    a = wasm_i64x2_add(wasm_i64x2_extend_low_i32x4(a), wasm_i64x2_extend_high_i32x4(a));
    sum += (uint64_t)(wasm_i64x2_extract_lane(a, 0) + wasm_i64x2_extract_lane(a, 1));
#pragma clang loop unroll(disable)
    for (uint32_t word; size >= 4; p += 4, size -= 4) {
        memcpy(&word, p, 4);
        sum += word;
    }
    uint16_t half = 0;
    if (size & 2) {
        memcpy(&half, p, 2);
        p += 2;
    }
    sum += half;
    if (size & 1)
        sum += *p;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (unsigned short)sum;
}
