// SPDX-License-Identifier: MIT
// The numeric functions that the expressions of ops.def name: WebAssembly's meaning of each, made
// deterministic where the specification leaves a choice, so that every engine, every build and
// every run agrees to the bit.
//
// NaNs. The specification lets an operation return any arithmetic NaN; here it is what one x86 SSE
// instruction with the operands in their order returns: the first operand that is a NaN, made
// quiet, payload kept; if none is (0/0, inf - inf, sqrt(-1)), the default NaN, whose sign bit is
// set. A C compiler may commute an addition or fold it, and then picks another NaN, so results that
// are NaNs are made here by hand, off the fast path.
//
// Everything is an inline expression over u32, u64, f32, f64: no libm, no errno, no undefined
// behaviour for any operand. Rounding uses the compiler's elementwise builtins, which are single
// instructions on every target we have (SSE4.1).
#pragma once
#include "wasm/types.h"

// --- Bits

static inline u32 clz32(u32 a)
{
    return a ? (u32)__builtin_clz(a) : 32;
}

static inline u32 ctz32(u32 a)
{
    return a ? (u32)__builtin_ctz(a) : 32;
}

static inline u32 popcnt32(u32 a)
{
    return (u32)__builtin_popcount(a);
}

static inline u64 clz64(u64 a)
{
    return a ? (u64)__builtin_clzll(a) : 64;
}

static inline u64 ctz64(u64 a)
{
    return a ? (u64)__builtin_ctzll(a) : 64;
}

static inline u64 popcnt64(u64 a)
{
    return (u64)__builtin_popcountll(a);
}

static inline u32 rotl32(u32 a, u32 n)
{
    return a << (n & 31) | a >> (-n & 31);
}

static inline u32 rotr32(u32 a, u32 n)
{
    return a >> (n & 31) | a << (-n & 31);
}

static inline u64 rotl64(u64 a, u64 n)
{
    return a << (n & 63) | a >> (-n & 63);
}

static inline u64 rotr64(u64 a, u64 n)
{
    return a >> (n & 63) | a << (-n & 63);
}

static inline u32 f32_bits(f32 a)
{
    return __builtin_bit_cast(u32, a);
}

static inline u64 f64_bits(f64 a)
{
    return __builtin_bit_cast(u64, a);
}

static inline f32 bits_f32(u32 a)
{
    return __builtin_bit_cast(f32, a);
}

static inline f64 bits_f64(u64 a)
{
    return __builtin_bit_cast(f64, a);
}

// --- Floating point, the same for both widths.
// F: type; U: bits as an integer; B: name of the bits functions; QUIET: the bit that makes a NaN
// quiet; DEFAULT: the NaN that comes of no NaN; SIGN: the sign bit.
#define FLOAT(F, U, QUIET, DEFAULT, SIGN)                                                          \
    static inline bool F##_is_nan(F a)                                                             \
    {                                                                                              \
        return a != a;                                                                             \
    }                                                                                              \
    /* The NaN that an operation on a and b returns. */                                            \
    __attribute__((cold)) static inline F F##_nan2(F a, F b)                                       \
    {                                                                                              \
        U bits = F##_is_nan(a)   ? F##_bits(a) | QUIET                                             \
                 : F##_is_nan(b) ? F##_bits(b) | QUIET                                             \
                                 : DEFAULT;                                                        \
        return bits_##F(bits);                                                                     \
    }                                                                                              \
    static inline F F##_abs(F a)                                                                   \
    {                                                                                              \
        return bits_##F(F##_bits(a) & ~SIGN);                                                      \
    }                                                                                              \
    static inline F F##_neg(F a)                                                                   \
    {                                                                                              \
        return bits_##F(F##_bits(a) ^ SIGN);                                                       \
    }                                                                                              \
    static inline F F##_copysign(F a, F b)                                                         \
    {                                                                                              \
        return bits_##F((F##_bits(a) & ~SIGN) | (F##_bits(b) & SIGN));                             \
    }                                                                                              \
    static inline F F##_min(F a, F b)                                                              \
    {                                                                                              \
        if (a < b)                                                                                 \
            return a;                                                                              \
        if (a > b)                                                                                 \
            return b;                                                                              \
        if (likely(a == b))                                                                        \
            return bits_##F(F##_bits(a) | F##_bits(b)); /* -0 is below 0 */                        \
        return F##_nan2(a, b);                                                                     \
    }                                                                                              \
    static inline F F##_max(F a, F b)                                                              \
    {                                                                                              \
        if (a > b)                                                                                 \
            return a;                                                                              \
        if (a < b)                                                                                 \
            return b;                                                                              \
        if (likely(a == b))                                                                        \
            return bits_##F(F##_bits(a) & F##_bits(b));                                            \
        return F##_nan2(a, b);                                                                     \
    }                                                                                              \
    FLOAT_BINARY(F, add, +)                                                                        \
    FLOAT_BINARY(F, sub, -)                                                                        \
    FLOAT_BINARY(F, mul, *)                                                                        \
    FLOAT_BINARY(F, div, /)                                                                        \
    FLOAT_UNARY(F, ceil, __builtin_elementwise_ceil)                                               \
    FLOAT_UNARY(F, floor, __builtin_elementwise_floor)                                             \
    FLOAT_UNARY(F, trunc, __builtin_elementwise_trunc)                                             \
    FLOAT_UNARY(F, nearest, __builtin_elementwise_roundeven)                                       \
    FLOAT_UNARY(F, sqrt, __builtin_elementwise_sqrt)

#define FLOAT_BINARY(F, name, op)                                                                  \
    static inline F F##_##name(F a, F b)                                                           \
    {                                                                                              \
        F r = a op b;                                                                              \
        return likely(r == r) ? r : F##_nan2(a, b);                                                \
    }

#define FLOAT_UNARY(F, name, builtin)                                                              \
    static inline F F##_##name(F a)                                                                \
    {                                                                                              \
        F r = builtin(a);                                                                          \
        return likely(r == r) ? r : F##_nan2(a, a);                                                \
    }

FLOAT(f32, u32, 0x00400000u, 0xffc00000u, 0x80000000u)
FLOAT(f64, u64, 0x0008000000000000ull, 0xfff8000000000000ull, 0x8000000000000000ull)

// --- Truncation to integers.
// `over` and `under` compare a with the bounds: a is in range when it is neither. They are written
// so that each bound is exact in its type: 2147483648 - 1 is no f32, and -2147483648 - 1 is an f64,
// but no f32.
#define TRUNCATE(F, I, under, over, min, max)                                                      \
    static inline enum trap F##_to_##I##_trap(F a)                                                 \
    {                                                                                              \
        if (likely(!(under) && !(over) && a == a))                                                 \
            return TRAP_NONE;                                                                      \
        return a == a ? TRAP_INT_OVERFLOW : TRAP_INT_CONVERSION;                                   \
    }                                                                                              \
    static inline I F##_to_##I##_sat(F a)                                                          \
    {                                                                                              \
        if (unlikely(a != a))                                                                      \
            return 0;                                                                              \
        return (under) ? min : (over) ? max : (I)a;                                                \
    }

TRUNCATE(f32, s32, a < -0x1p31f, a >= 0x1p31f, INT32_MIN, INT32_MAX)
TRUNCATE(f32, u32, a <= -1.0f, a >= 0x1p32f, 0, UINT32_MAX)
TRUNCATE(f64, s32, a <= -0x1.00000002p31, a >= 0x1p31, INT32_MIN, INT32_MAX)
TRUNCATE(f64, u32, a <= -1.0, a >= 0x1p32, 0, UINT32_MAX)
TRUNCATE(f32, s64, a < -0x1p63f, a >= 0x1p63f, INT64_MIN, INT64_MAX)
TRUNCATE(f32, u64, a <= -1.0f, a >= 0x1p64f, 0, UINT64_MAX)
TRUNCATE(f64, s64, a < -0x1p63, a >= 0x1p63, INT64_MIN, INT64_MAX)
TRUNCATE(f64, u64, a <= -1.0, a >= 0x1p64, 0, UINT64_MAX)

#undef FLOAT
#undef FLOAT_BINARY
#undef FLOAT_UNARY
#undef TRUNCATE
