// SPDX-License-Identifier: MIT
// What SIMD instructions compute, lane by lane: the interpreter's, and what compiled code is tested
// against. A case is a list of equations, one for each lane.
#include "wasm/simd.h"
#include "wasm/leb.h"
#include "wasm/num.h"

const u8 *simd_skip(const u8 *p, u32 op)
{
    u32 imm = simd_rows[SIMD_INDEX(op)].imm;
    switch (imm & SIMD_CLASS) {
    case SIMD_MEM_0:
    case SIMD_MEMLANE_0: leb_memarg(&p); return p + ((imm & SIMD_CLASS) == SIMD_MEMLANE_0);
    case SIMD_LANE_2 &SIMD_CLASS: return p + 1;
    default: return p + (imm == SIMD_NONE ? 0 : 16);
    }
}

u32 simd_strict(u32 n)
{
    static const u8 strict[SIMD_ROWS - SIMD_RELAXED] = {0x0e, 0xf8, 0xf9, 0xfc, 0xfd, 0x00, 0x00,
                                                        0x00, 0x00, 0x52, 0x52, 0x52, 0x52, 0xe8,
                                                        0xe9, 0xf4, 0xf5, 0x82, 0x00, 0x00};
    return n >= SIMD_RELAXED && strict[n - SIMD_RELAXED] ? strict[n - SIMD_RELAXED] : n;
}

static u8 to_s8(s32 x)
{
    return (u8)(x < INT8_MIN ? INT8_MIN : x > INT8_MAX ? INT8_MAX : x);
}

static u8 to_u8(s32 x)
{
    return (u8)(x < 0 ? 0 : x > UINT8_MAX ? UINT8_MAX : x);
}

static u16 to_s16(s32 x)
{
    return (u16)(x < INT16_MIN ? INT16_MIN : x > INT16_MAX ? INT16_MAX : x);
}

static u16 to_u16(s32 x)
{
    return (u16)(x < 0 ? 0 : x > UINT16_MAX ? UINT16_MAX : x);
}

// Of 16 bytes a and 16 more, b.
static u8 byte_of_two(const union v128 *a, const union v128 *b, u32 lane)
{
    return lane < 16 ? a->b[lane] : b->b[lane & 15];
}

#define LANES(id, field, n, expr)                                                                  \
    case OP_##id:                                                                                  \
        for (u32 i = 0; i < (n); i++)                                                              \
            r.field[i] = (expr);                                                                   \
        break;
#define SCALAR(id, expr)                                                                           \
    case OP_##id: r.d[0] = (expr); break;
#define ALL(n, condition)                                                                          \
    ({                                                                                             \
        bool all_ = true;                                                                          \
        for (u32 i = 0; i < (n); i++)                                                              \
            all_ &= (condition);                                                                   \
        all_;                                                                                      \
    })
#define BITS(n, condition)                                                                         \
    ({                                                                                             \
        u32 bits_ = 0;                                                                             \
        for (u32 i = 0; i < (n); i++)                                                              \
            bits_ |= (u32)(condition) << i;                                                        \
        bits_;                                                                                     \
    })

// Shapes of integers: n lanes of type U in field u, signed in s; `bits` of a lane less 1.
#define INTEGER(shape, n, U, u, s, bits)                                                           \
    LANES(shape##_abs, u, n, a.s[i] < 0 ? (U)(0 - a.u[i]) : a.u[i])                                \
    LANES(shape##_neg, u, n, (U)(0 - a.u[i]))                                                      \
    LANES(shape##_add, u, n, (U)(a.u[i] + b.u[i]))                                                 \
    LANES(shape##_sub, u, n, (U)(a.u[i] - b.u[i]))                                                 \
    LANES(shape##_eq, u, n, (U)(0 - (U)(a.u[i] == b.u[i])))                                        \
    LANES(shape##_ne, u, n, (U)(0 - (U)(a.u[i] != b.u[i])))                                        \
    LANES(shape##_lt_s, u, n, (U)(0 - (U)(a.s[i] < b.s[i])))                                       \
    LANES(shape##_gt_s, u, n, (U)(0 - (U)(a.s[i] > b.s[i])))                                       \
    LANES(shape##_le_s, u, n, (U)(0 - (U)(a.s[i] <= b.s[i])))                                      \
    LANES(shape##_ge_s, u, n, (U)(0 - (U)(a.s[i] >= b.s[i])))                                      \
    LANES(shape##_shl, u, n, (U)(a.u[i] << (b.w[0] & (bits))))                                     \
    LANES(shape##_shr_s, u, n, (U)(a.s[i] >> (b.w[0] & (bits))))                                   \
    LANES(shape##_shr_u, u, n, (U)(a.u[i] >> (b.w[0] & (bits))))                                   \
    SCALAR(shape##_all_true, ALL(n, a.u[i] != 0))                                                  \
    SCALAR(shape##_bitmask, BITS(n, a.s[i] < 0))

// Those of all but 64 bits.
#define NARROWER(shape, n, U, u, s)                                                                \
    LANES(shape##_lt_u, u, n, (U)(0 - (U)(a.u[i] < b.u[i])))                                       \
    LANES(shape##_gt_u, u, n, (U)(0 - (U)(a.u[i] > b.u[i])))                                       \
    LANES(shape##_le_u, u, n, (U)(0 - (U)(a.u[i] <= b.u[i])))                                      \
    LANES(shape##_ge_u, u, n, (U)(0 - (U)(a.u[i] >= b.u[i])))                                      \
    LANES(shape##_min_s, s, n, a.s[i] < b.s[i] ? a.s[i] : b.s[i])                                  \
    LANES(shape##_min_u, u, n, a.u[i] < b.u[i] ? a.u[i] : b.u[i])                                  \
    LANES(shape##_max_s, s, n, a.s[i] > b.s[i] ? a.s[i] : b.s[i])                                  \
    LANES(shape##_max_u, u, n, a.u[i] > b.u[i] ? a.u[i] : b.u[i])

// Those of 8 and 16 bits.
#define SATURATED(shape, n, u, s, suffix)                                                          \
    LANES(shape##_add_sat_s, u, n, to_s##suffix(a.s[i] + b.s[i]))                                  \
    LANES(shape##_add_sat_u, u, n, to_u##suffix(a.u[i] + b.u[i]))                                  \
    LANES(shape##_sub_sat_s, u, n, to_s##suffix(a.s[i] - b.s[i]))                                  \
    LANES(shape##_sub_sat_u, u, n, to_u##suffix(a.u[i] - b.u[i]))                                  \
    LANES(shape##_avgr_u, u, n, (typeof(r.u[0]))((a.u[i] + b.u[i] + 1) >> 1))

// Lanes twice as wide as the other shape's: n of them, in field u and s, from fields hu and hs; U
// and S are their types.
#define WIDER(shape, half, n, U, S, u, s, hu, hs)                                                  \
    LANES(shape##_extend_low_##half##_s, s, n, a.hs[i])                                            \
    LANES(shape##_extend_high_##half##_s, s, n, a.hs[i + (n)])                                     \
    LANES(shape##_extend_low_##half##_u, u, n, a.hu[i])                                            \
    LANES(shape##_extend_high_##half##_u, u, n, a.hu[i + (n)])                                     \
    LANES(shape##_extmul_low_##half##_s, s, n, (S)((S)a.hs[i] * b.hs[i]))                          \
    LANES(shape##_extmul_high_##half##_s, s, n, (S)((S)a.hs[i + (n)] * b.hs[i + (n)]))             \
    LANES(shape##_extmul_low_##half##_u, u, n, (U)((U)a.hu[i] * (u32)b.hu[i]))                     \
    LANES(shape##_extmul_high_##half##_u, u, n, (U)((U)a.hu[i + (n)] * (u32)b.hu[i + (n)]))

#define PAIRWISE(shape, half, n, S, U, s, u, hs, hu)                                               \
    LANES(shape##_extadd_pairwise_##half##_s, s, n, (S)(a.hs[2 * i] + a.hs[2 * i + 1]))            \
    LANES(shape##_extadd_pairwise_##half##_u, u, n, (U)(a.hu[2 * i] + a.hu[2 * i + 1]))

// F: type; v: its field, u: the field of its bits.
#define FLOATING(shape, n, F, v, U, u)                                                             \
    LANES(shape##_eq, u, n, 0 - (U)(a.v[i] == b.v[i]))                                             \
    LANES(shape##_ne, u, n, 0 - (U)(a.v[i] != b.v[i]))                                             \
    LANES(shape##_lt, u, n, 0 - (U)(a.v[i] < b.v[i]))                                              \
    LANES(shape##_gt, u, n, 0 - (U)(a.v[i] > b.v[i]))                                              \
    LANES(shape##_le, u, n, 0 - (U)(a.v[i] <= b.v[i]))                                             \
    LANES(shape##_ge, u, n, 0 - (U)(a.v[i] >= b.v[i]))                                             \
    LANES(shape##_abs, v, n, F##_abs(a.v[i]))                                                      \
    LANES(shape##_neg, v, n, F##_neg(a.v[i]))                                                      \
    LANES(shape##_sqrt, v, n, F##_sqrt(a.v[i]))                                                    \
    LANES(shape##_ceil, v, n, F##_ceil(a.v[i]))                                                    \
    LANES(shape##_floor, v, n, F##_floor(a.v[i]))                                                  \
    LANES(shape##_trunc, v, n, F##_trunc(a.v[i]))                                                  \
    LANES(shape##_nearest, v, n, F##_nearest(a.v[i]))                                              \
    LANES(shape##_add, v, n, F##_add(a.v[i], b.v[i]))                                              \
    LANES(shape##_sub, v, n, F##_sub(a.v[i], b.v[i]))                                              \
    LANES(shape##_mul, v, n, F##_mul(a.v[i], b.v[i]))                                              \
    LANES(shape##_div, v, n, F##_div(a.v[i], b.v[i]))                                              \
    LANES(shape##_min, v, n, F##_min(a.v[i], b.v[i]))                                              \
    LANES(shape##_max, v, n, F##_max(a.v[i], b.v[i]))                                              \
    LANES(shape##_pmin, u, n, b.v[i] < a.v[i] ? b.u[i] : a.u[i])                                   \
    LANES(shape##_pmax, u, n, a.v[i] < b.v[i] ? b.u[i] : a.u[i])

// Loads and stores of one lane, and what is the same between operands. `bits`: the name of the
// size.
#define LANE(bits, field)                                                                          \
    case OP_v128_load##bits##_lane:                                                                \
        r = b;                                                                                     \
        r.field[c.w[0]] = a.field[0];                                                              \
        break;                                                                                     \
    case OP_v128_store##bits##_lane: r.d[0] = b.field[c.w[0]]; break;
#define REPLACE(shape, field, from)                                                                \
    case OP_##shape##_replace_lane:                                                                \
        r = a;                                                                                     \
        r.field[c.w[0]] = (typeof(r.field[0]))b.from[0];                                           \
        break;
// Loads that extend or repeat: as the instruction that does so.
#define SAME(id, other)                                                                            \
    case OP_##id: simd_compute(OP_##other, out, v); return;

// Of two neighbours.
static s32 pair(const union v128 *a, const union v128 *b, u32 i)
{
    return (s16)to_s16(a->sb[2 * i] * b->sb[2 * i] + a->sb[2 * i + 1] * b->sb[2 * i + 1]);
}

void simd_compute(u32 op, union v128 *out, const union v128 v[3])
{
    const union v128 a = v[0], b = v[1], c = v[2];
    union v128 r = {{0, 0}};
    switch (op) {
    case OP_v128_load:
    case OP_v128_load32_zero:
    case OP_v128_load64_zero: r = a; break;
    case OP_v128_store: r = b; break;
    case OP_v128_const:
        r = a;
        break;
        SAME(v128_load8x8_s, i16x8_extend_low_i8x16_s)
        SAME(v128_load8x8_u, i16x8_extend_low_i8x16_u)
        SAME(v128_load16x4_s, i32x4_extend_low_i16x8_s)
        SAME(v128_load16x4_u, i32x4_extend_low_i16x8_u)
        SAME(v128_load32x2_s, i64x2_extend_low_i32x4_s)
        SAME(v128_load32x2_u, i64x2_extend_low_i32x4_u)
        SAME(v128_load8_splat, i8x16_splat)
        SAME(v128_load16_splat, i16x8_splat)
        SAME(v128_load32_splat, i32x4_splat)
        SAME(v128_load64_splat, i64x2_splat)
        SAME(f32x4_splat, i32x4_splat)
        SAME(f64x2_splat, i64x2_splat)
        LANES(i8x16_splat, b, 16, a.b[0])
        LANES(i16x8_splat, h, 8, a.h[0])
        LANES(i32x4_splat, w, 4, a.w[0])
        LANES(i64x2_splat, d, 2, a.d[0])
        LANE(8, b)
        LANE(16, h)
        LANE(32, w)
        LANE(64, d)
        SCALAR(i8x16_extract_lane_s, (u32)a.sb[c.w[0]])
        SCALAR(i8x16_extract_lane_u, a.b[c.w[0]])
        SCALAR(i16x8_extract_lane_s, (u32)a.sh[c.w[0]])
        SCALAR(i16x8_extract_lane_u, a.h[c.w[0]])
        SCALAR(i32x4_extract_lane, a.w[c.w[0]])
        SCALAR(i64x2_extract_lane, a.d[c.w[0]])
        SCALAR(f32x4_extract_lane, a.w[c.w[0]])
        SCALAR(f64x2_extract_lane, a.d[c.w[0]])
        REPLACE(i8x16, b, w)
        REPLACE(i16x8, h, w)
        REPLACE(i32x4, w, w)
        REPLACE(i64x2, d, d)
        REPLACE(f32x4, w, w)
        REPLACE(f64x2, d, d)
        LANES(i8x16_shuffle, b, 16, byte_of_two(&a, &b, c.b[i]))
        LANES(i8x16_swizzle, b, 16, b.b[i] < 16 ? a.b[b.b[i]] : 0)
        LANES(v128_not, d, 2, ~a.d[i])
        LANES(v128_and, d, 2, a.d[i] & b.d[i])
        LANES(v128_andnot, d, 2, a.d[i] & ~b.d[i])
        LANES(v128_or, d, 2, a.d[i] | b.d[i])
        LANES(v128_xor, d, 2, a.d[i] ^ b.d[i])
        LANES(v128_bitselect, d, 2, (a.d[i] & c.d[i]) | (b.d[i] & ~c.d[i]))
        SCALAR(v128_any_true, (a.d[0] | a.d[1]) != 0)
        INTEGER(i8x16, 16, u8, b, sb, 7)
        INTEGER(i16x8, 8, u16, h, sh, 15)
        INTEGER(i32x4, 4, u32, w, sw, 31)
        INTEGER(i64x2, 2, u64, d, sd, 63)
        NARROWER(i8x16, 16, u8, b, sb)
        NARROWER(i16x8, 8, u16, h, sh)
        NARROWER(i32x4, 4, u32, w, sw)
        SATURATED(i8x16, 16, b, sb, 8)
        SATURATED(i16x8, 8, h, sh, 16)
        WIDER(i16x8, i8x16, 8, u16, s16, h, sh, b, sb)
        WIDER(i32x4, i16x8, 4, u32, s32, w, sw, h, sh)
        WIDER(i64x2, i32x4, 2, u64, s64, d, sd, w, sw)
        PAIRWISE(i16x8, i8x16, 8, s16, u16, sh, h, sb, b)
        PAIRWISE(i32x4, i16x8, 4, s32, u32, sw, w, sh, h)
        LANES(i8x16_popcnt, b, 16, (u8)popcnt32(a.b[i]))
        LANES(i8x16_narrow_i16x8_s, b, 16, to_s8(i < 8 ? a.sh[i] : b.sh[i & 7]))
        LANES(i8x16_narrow_i16x8_u, b, 16, to_u8(i < 8 ? a.sh[i] : b.sh[i & 7]))
        LANES(i16x8_narrow_i32x4_s, h, 8, to_s16(i < 4 ? a.sw[i] : b.sw[i & 3]))
        LANES(i16x8_narrow_i32x4_u, h, 8, to_u16(i < 4 ? a.sw[i] : b.sw[i & 3]))
        LANES(i16x8_q15mulr_sat_s, h, 8, to_s16((a.sh[i] * b.sh[i] + 0x4000) >> 15))
        LANES(i16x8_mul, h, 8, (u16)((u32)a.h[i] * b.h[i]))
        LANES(i32x4_mul, w, 4, a.w[i] * b.w[i])
        LANES(i64x2_mul, d, 2, a.d[i] * b.d[i])
        LANES(i32x4_dot_i16x8_s, w, 4,
              (u32)(a.sh[2 * i] * b.sh[2 * i]) + (u32)(a.sh[2 * i + 1] * b.sh[2 * i + 1]))
        LANES(i16x8_relaxed_dot_i8x16_i7x16_s, h, 8, (u16)pair(&a, &b, i))
        LANES(i32x4_relaxed_dot_i8x16_i7x16_add_s, w, 4,
              (u32)(pair(&a, &b, 2 * i) + pair(&a, &b, 2 * i + 1)) + c.w[i])
        LANES(f32x4_relaxed_madd, f, 4, f32_add(f32_mul(a.f[i], b.f[i]), c.f[i]))
        LANES(f32x4_relaxed_nmadd, f, 4, f32_sub(c.f[i], f32_mul(a.f[i], b.f[i])))
        LANES(f64x2_relaxed_madd, e, 2, f64_add(f64_mul(a.e[i], b.e[i]), c.e[i]))
        LANES(f64x2_relaxed_nmadd, e, 2, f64_sub(c.e[i], f64_mul(a.e[i], b.e[i])))
        FLOATING(f32x4, 4, f32, f, u32, w)
        FLOATING(f64x2, 2, f64, e, u64, d)
        LANES(i32x4_trunc_sat_f32x4_s, w, 4, (u32)f32_to_s32_sat(a.f[i]))
        LANES(i32x4_trunc_sat_f32x4_u, w, 4, f32_to_u32_sat(a.f[i]))
        LANES(i32x4_trunc_sat_f64x2_s_zero, w, 2, (u32)f64_to_s32_sat(a.e[i]))
        LANES(i32x4_trunc_sat_f64x2_u_zero, w, 2, f64_to_u32_sat(a.e[i]))
        LANES(f32x4_convert_i32x4_s, f, 4, (f32)a.sw[i])
        LANES(f32x4_convert_i32x4_u, f, 4, (f32)a.w[i])
        LANES(f64x2_convert_low_i32x4_s, e, 2, a.sw[i])
        LANES(f64x2_convert_low_i32x4_u, e, 2, a.w[i])
        LANES(f32x4_demote_f64x2_zero, f, 2, (f32)a.e[i])
        LANES(f64x2_promote_low_f32x4, e, 2, a.f[i])
    default: break;
    }
    *out = r;
}
