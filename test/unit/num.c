// SPDX-License-Identifier: MIT
// Unit test of wasm/num.h: the edges of every function, bit for bit, NaN payloads included. Meant
// to be built with UBSan as well: no operand may be undefined behaviour.
#include "wasm/num.h"

#include <stdio.h>

static int passed, failed;

// Floats are compared as bits.
#define CHECK(expr, want)                                                                          \
    do {                                                                                           \
        u64 got_ = (u64)(expr), want_ = (u64)(want);                                               \
        if (got_ == want_) {                                                                       \
            passed++;                                                                              \
        } else {                                                                                   \
            failed++;                                                                              \
            printf("%s:%d: %s: got %#llx, want %#llx\n", __FILE__, __LINE__, #expr,                \
                   (unsigned long long)got_, (unsigned long long)want_);                           \
        }                                                                                          \
    } while (0)
#define CHECK32(expr, want) CHECK(f32_bits(expr), f32_bits(want))
#define CHECK64(expr, want) CHECK(f64_bits(expr), f64_bits(want))

// Operands go through here, so that nothing is folded.
static f32 f(u32 bits)
{
    volatile u32 v = bits;
    return bits_f32(v);
}

static f64 d(u64 bits)
{
    volatile u64 v = bits;
    return bits_f64(v);
}

enum { INF32 = 0x7f800000, NAN32 = 0x7fc00000, SNAN32 = 0x7f800001 };
#define INF64 0x7ff0000000000000ull
#define NAN64 0x7ff8000000000000ull
#define SNAN64 0x7ff0000000000001ull
#define DEFAULT64 0xfff8000000000000ull
#define NEG64 0x8000000000000000ull

static void bits(void)
{
    CHECK(clz32(0), 32);
    CHECK(clz32(1), 31);
    CHECK(clz32(0x80000000), 0);
    CHECK(ctz32(0), 32);
    CHECK(ctz32(0x80000000), 31);
    CHECK(popcnt32(0), 0);
    CHECK(popcnt32(UINT32_MAX), 32);
    CHECK(clz64(0), 64);
    CHECK(clz64(1), 63);
    CHECK(ctz64(0), 64);
    CHECK(ctz64(NEG64), 63);
    CHECK(popcnt64(0), 0);
    CHECK(popcnt64(UINT64_MAX), 64);
    CHECK(rotl32(0x80000001, 0), 0x80000001);
    CHECK(rotl32(0x80000001, 1), 3);
    CHECK(rotl32(0x80000001, 32), 0x80000001);
    CHECK(rotl32(0xabcd9876, 0xffffffe1), 0x579b30ed);
    CHECK(rotr32(0x80000001, 0), 0x80000001);
    CHECK(rotr32(1, 1), 0x80000000);
    CHECK(rotr32(1, 33), 0x80000000);
    CHECK(rotl64(NEG64 | 1, 0), NEG64 | 1);
    CHECK(rotl64(NEG64 | 1, 65), 3);
    CHECK(rotr64(1, 1), NEG64);
    CHECK(rotr64(1, 64), 1);
}

// What becomes of NaNs: the first one, quiet; else the default one.
static void nans(void)
{
    CHECK(f32_bits(f32_add(f(SNAN32), f(NAN32 | 2))), SNAN32 | 0x400000);
    CHECK(f32_bits(f32_add(f(0xffc00005), f(SNAN32))), 0xffc00005);
    CHECK(f32_bits(f32_sub(f(0), f(0xff800003))), 0xffc00003);
    CHECK(f32_bits(f32_sub(f(INF32), f(INF32))), 0xffc00000);
    CHECK(f32_bits(f32_mul(f(0), f(INF32))), 0xffc00000);
    CHECK(f32_bits(f32_div(f(0), f(0))), 0xffc00000);
    CHECK(f32_bits(f32_min(f(0x3f800000), f(SNAN32))), SNAN32 | 0x400000);
    CHECK(f32_bits(f32_max(f(0xffc00005), f(NAN32))), 0xffc00005);
    CHECK(f32_bits(f32_sqrt(f(0xbf800000))), 0xffc00000);
    CHECK(f32_bits(f32_sqrt(f(SNAN32))), SNAN32 | 0x400000);
    CHECK(f32_bits(f32_ceil(f(SNAN32))), SNAN32 | 0x400000);
    CHECK(f32_bits(f32_floor(f(0xff800001))), 0xffc00001);
    CHECK(f32_bits(f32_trunc(f(SNAN32))), SNAN32 | 0x400000);
    CHECK(f32_bits(f32_nearest(f(SNAN32))), SNAN32 | 0x400000);
    CHECK(f32_bits(f32_neg(f(SNAN32))), SNAN32 | 0x80000000);
    CHECK(f32_bits(f32_abs(f(0xff800001))), SNAN32);
    CHECK(f32_bits(f32_copysign(f(SNAN32), f(0x80000000))), SNAN32 | 0x80000000);

    CHECK(f64_bits(f64_add(d(SNAN64), d(NAN64 | 2))), SNAN64 | (1ull << 51));
    CHECK(f64_bits(f64_add(d(1), d(SNAN64 | NEG64))), DEFAULT64 | 1);
    CHECK(f64_bits(f64_sub(d(INF64), d(INF64))), DEFAULT64);
    CHECK(f64_bits(f64_mul(d(INF64), d(NEG64))), DEFAULT64);
    CHECK(f64_bits(f64_div(d(INF64), d(INF64))), DEFAULT64);
    CHECK(f64_bits(f64_min(d(SNAN64), d(NAN64))), NAN64 | 1);
    CHECK(f64_bits(f64_max(d(0), d(SNAN64))), NAN64 | 1);
    CHECK(f64_bits(f64_sqrt(d(0xbff0000000000000))), DEFAULT64);
    CHECK(f64_bits(f64_ceil(d(SNAN64))), NAN64 | 1);
    CHECK(f64_bits(f64_floor(d(SNAN64))), NAN64 | 1);
    CHECK(f64_bits(f64_trunc(d(SNAN64))), NAN64 | 1);
    CHECK(f64_bits(f64_nearest(d(SNAN64 | NEG64))), DEFAULT64 | 1);
    CHECK(f64_bits(f64_neg(d(SNAN64))), SNAN64 | NEG64);
    CHECK(f64_bits(f64_abs(d(SNAN64 | NEG64))), SNAN64);
    CHECK(f64_bits(f64_copysign(d(SNAN64), d(NEG64))), SNAN64 | NEG64);
    // Conversions between the widths are C's, and must behave the same.
    CHECK(f64_bits((f64)f(0xff800001)), 0xfff8000020000000);
    CHECK(f32_bits((f32)d(SNAN64 | 1ull << 50)), 0x7fe00000);
}

static void floats(void)
{
    CHECK32(f32_min(0.0f, -0.0f), -0.0f);
    CHECK32(f32_min(-0.0f, 0.0f), -0.0f);
    CHECK32(f32_max(0.0f, -0.0f), 0.0f);
    CHECK32(f32_max(-0.0f, 0.0f), 0.0f);
    CHECK32(f32_min(-1.0f, f(INF32)), -1.0f);
    CHECK32(f32_max(-1.0f, f(INF32 | 0x80000000)), -1.0f);
    CHECK64(f64_min(0.0, -0.0), -0.0);
    CHECK64(f64_max(-0.0, 0.0), 0.0);
    CHECK64(f64_min(2.0, 1.0), 1.0);
    CHECK64(f64_max(2.0, 1.0), 2.0);
    CHECK32(f32_nearest(0.5f), 0.0f);
    CHECK32(f32_nearest(-0.5f), -0.0f);
    CHECK32(f32_nearest(1.5f), 2.0f);
    CHECK32(f32_nearest(2.5f), 2.0f);
    CHECK32(f32_nearest(8388609.0f), 8388609.0f);
    CHECK64(f64_nearest(-2.5), -2.0);
    CHECK64(f64_nearest(4503599627370497.5), 4503599627370498.0);
    CHECK32(f32_ceil(-0.5f), -0.0f);
    CHECK64(f64_ceil(0.1), 1.0);
    CHECK64(f64_ceil(-0.9), -0.0);
    CHECK32(f32_floor(-0.1f), -1.0f);
    CHECK64(f64_floor(-0.0), -0.0);
    CHECK32(f32_trunc(-0.9f), -0.0f);
    CHECK64(f64_trunc(-1.9), -1.0);
    CHECK64(f64_sqrt(-0.0), -0.0);
    CHECK64(f64_sqrt(4.0), 2.0);
    CHECK32(f32_copysign(1.0f, -2.0f), -1.0f);
    CHECK32(f32_div(1.0f, -0.0f), f(INF32 | 0x80000000));
    CHECK64(f64_add(0.1, 0.2), 0.30000000000000004);
}

// Both forms at the last value in range and the first one beyond, at both ends.
static void truncations(void)
{
#define EDGES(F, I, lowest, low_result, below, highest, high_result, above, min, max)              \
    CHECK(F##_to_##I##_trap(lowest), TRAP_NONE);                                                   \
    CHECK((I)F##_to_##I##_sat(lowest), (I)(low_result));                                           \
    CHECK(F##_to_##I##_trap(below), TRAP_INT_OVERFLOW);                                            \
    CHECK((I)F##_to_##I##_sat(below), (I)(min));                                                   \
    CHECK(F##_to_##I##_trap(highest), TRAP_NONE);                                                  \
    CHECK((I)F##_to_##I##_sat(highest), (I)(high_result));                                         \
    CHECK(F##_to_##I##_trap(above), TRAP_INT_OVERFLOW);                                            \
    CHECK((I)F##_to_##I##_sat(above), (I)(max));                                                   \
    CHECK(F##_to_##I##_trap((F)d(NAN64)), TRAP_INT_CONVERSION);                                    \
    CHECK((I)F##_to_##I##_sat((F)d(NAN64)), 0);                                                    \
    CHECK(F##_to_##I##_trap((F)d(INF64)), TRAP_INT_OVERFLOW);                                      \
    CHECK((I)F##_to_##I##_sat((F)d(INF64)), (I)(max));                                             \
    CHECK((I)F##_to_##I##_sat((F)d(INF64 | NEG64)), (I)(min))

    EDGES(f32, s32, -0x1p31f, INT32_MIN, -0x1.000002p31f, 0x1.fffffep30f, 2147483520, 0x1p31f,
          INT32_MIN, INT32_MAX);
    EDGES(f32, u32, -0x1.fffffep-1f, 0, -1.0f, 0x1.fffffep31f, 4294967040u, 0x1p32f, 0, UINT32_MAX);
    EDGES(f64, s32, -2147483648.9, INT32_MIN, -2147483649.0, 2147483647.9, INT32_MAX, 2147483648.0,
          INT32_MIN, INT32_MAX);
    EDGES(f64, u32, -0.9999999999999999, 0, -1.0, 4294967295.9, UINT32_MAX, 4294967296.0, 0,
          UINT32_MAX);
    EDGES(f32, s64, -0x1p63f, INT64_MIN, -0x1.000002p63f, 0x1.fffffep62f, 9223371487098961920,
          0x1p63f, INT64_MIN, INT64_MAX);
    EDGES(f32, u64, -0x1.fffffep-1f, 0, -1.0f, 0x1.fffffep63f, 18446742974197923840ull, 0x1p64f, 0,
          UINT64_MAX);
    EDGES(f64, s64, -0x1p63, INT64_MIN, -0x1.0000000000001p63, 0x1.fffffffffffffp62,
          9223372036854774784, 0x1p63, INT64_MIN, INT64_MAX);
    EDGES(f64, u64, -0.9999999999999999, 0, -1.0, 0x1.fffffffffffffp63, 18446744073709549568ull,
          0x1p64, 0, UINT64_MAX);
    CHECK(f32_to_s32_sat(-1.9f), (u64)-1);
    CHECK(f64_to_u64_sat(1.9), 1);
}

int main(void)
{
    bits();
    nans();
    floats();
    truncations();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
