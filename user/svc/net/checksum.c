// SPDX-License-Identifier: MIT
// See checksum.h. There is an instruction that adds words of 16 bits to sums of 32, which takes
// them for signed: so they are made less by HALF, each.
#include "checksum.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <wasm_simd128.h>

__attribute__((noinline)) unsigned short net_checksum_copy(void *destination, const void *bytes,
                                                           int size)
{
    uint8_t *to = destination;
    const uint8_t *p = bytes;
    enum { HALF = 0x8000, WORDS = 8 };
    const v128_t half_each = wasm_i16x8_const_splat(-HALF), ones = wasm_i16x8_const_splat(1);
    v128_t a = wasm_i32x4_const(0, 0, 0, 0), b = a;
    uint32_t left = (uint32_t)size;
    uint64_t sum = (uint64_t)(left / 16) * WORDS * HALF;
#define SUM(sum, at)                                                                               \
    do {                                                                                           \
        v128_t words = wasm_v128_load(p + (at));                                                   \
        wasm_v128_store(to + (at), words);                                                         \
        sum = wasm_i32x4_add(sum, wasm_i32x4_dot_i16x8(wasm_v128_xor(words, half_each), ones));    \
    } while (0)
#define MOVE(n) (p += (n), to += (n), left -= (n))
#pragma clang loop unroll(disable)
    for (; left >= 64; MOVE(64)) {
        SUM(a, 0);
        SUM(b, 16);
        SUM(a, 32);
        SUM(b, 48);
    }
#pragma clang loop unroll(disable)
    for (; left >= 16; MOVE(16))
        SUM(a, 0);
#undef SUM
    a = wasm_i32x4_add(a, b);
    a = wasm_i64x2_add(wasm_i64x2_extend_low_i32x4(a), wasm_i64x2_extend_high_i32x4(a));
    sum += (uint64_t)(wasm_i64x2_extract_lane(a, 0) + wasm_i64x2_extract_lane(a, 1));
#define REST(type)                                                                                 \
    if (left & sizeof(type)) {                                                                     \
        type rest;                                                                                 \
        memcpy(&rest, p, sizeof rest);                                                             \
        memcpy(to, &rest, sizeof rest);                                                            \
        sum += sizeof rest == 8 ? (uint32_t)rest + ((uint64_t)rest >> 32) : rest;                  \
        MOVE(sizeof(type));                                                                        \
    }
    REST(uint64_t)
    REST(uint32_t)
    REST(uint16_t)
    REST(uint8_t)
#undef REST
#undef MOVE
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (unsigned short)sum;
}

// Mostly a head of IP. What is more is copied to where it is.
__attribute__((noinline)) unsigned short net_checksum(const void *bytes, int size)
{
    enum { FEW = 64 };
    const uint8_t *p = bytes;
    uint64_t sum = 0;
    if (size >= FEW)
        return net_checksum_copy((void *)(uintptr_t)bytes, bytes, size);
    uint32_t left = (uint32_t)size, word;
#pragma clang loop unroll(disable) vectorize(disable)
    for (; left >= 4; p += 4, left -= 4) {
        memcpy(&word, p, 4);
        sum += word;
    }
    word = 0;
    if (left & 2) {
        memcpy(&word, p, 2);
        p += 2;
    }
    sum += word + (left & 1 ? *p : 0);
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (unsigned short)sum;
}
