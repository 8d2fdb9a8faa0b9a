// SPDX-License-Identifier: MIT
// SIMD. Most instructions are one of the machine's, or one and something fixed before or behind it:
// a row of the table says which. The others are written out below, after the sequences that are
// known for them (V8, Cranelift).
//
// Where the CPU has AVX, an instruction's result need not take the place of an operand, and an
// operand in memory need not be aligned. Otherwise two_operand moves, and operands of 16 bytes are
// loaded first. The upper halves of ymm registers are always zero: there is no transition to pay.
//
// The result's register may be that of any operand, so a sequence writes to it last.
#include "fast/emit.h"

enum kind {
    BINARY,    // a insn b
    SWAPPED,   // b insn a
    NEITHER,   // ~(a insn b)
    NEITHER_B, // ~(b insn a)
    SAME_AS,   // a == (a insn b), by the comparison in `extra`: a <= b as a == min(a, b)
    NOT_SAME,  // a != (a insn b)
    UNARY,
    ROUND, // unary, with `extra` as the immediate
    WIDEN, // the lower half's lanes, of 1 << (extra & 3) bytes, to twice that; signed: extra & 4
    WIDEN_HIGH,
    COMPARE,   // of floats, `extra` as the predicate
    COMPARE_B, // the same, operands exchanged
    SHIFT,     // by a scalar; extra: log2 of the lanes' bytes
    PRODUCT,   // insn of both operands' halves, each widened by `extra`
    PRODUCT_HIGH,
};

// What stands in `extra` for an instruction: an index into extras[].
enum { NO_EXTRA, EQ_B, EQ_W, EQ_D, SX_BW, ZX_BW };
static const u32 extras[] = {0, I_PCMPEQB, I_PCMPEQW, I_PCMPEQD, I_PMOVSXBW, I_PMOVZXBW};

static const struct row {
    u32 insn;
    u8 kind, extra;
} rows[256] = {
#define ROW(id, kind, insn, extra) [(u8)OP_##id] = {I_##insn, kind, extra},
#define INTEGER(shape, B)                                                                          \
    ROW(shape##_add, BINARY, PADD##B, 0)                                                           \
    ROW(shape##_sub, BINARY, PSUB##B, 0)                                                           \
    ROW(shape##_eq, BINARY, PCMPEQ##B, 0)                                                          \
    ROW(shape##_ne, NEITHER, PCMPEQ##B, 0)                                                         \
    ROW(shape##_gt_s, BINARY, PCMPGT##B, 0)                                                        \
    ROW(shape##_lt_s, SWAPPED, PCMPGT##B, 0)
#define NARROWER(shape, B)                                                                         \
    ROW(shape##_le_s, SAME_AS, PMINS##B, EQ_##B)                                                   \
    ROW(shape##_ge_s, SAME_AS, PMAXS##B, EQ_##B)                                                   \
    ROW(shape##_le_u, SAME_AS, PMINU##B, EQ_##B)                                                   \
    ROW(shape##_ge_u, SAME_AS, PMAXU##B, EQ_##B)                                                   \
    ROW(shape##_lt_u, NOT_SAME, PMAXU##B, EQ_##B)                                                  \
    ROW(shape##_gt_u, NOT_SAME, PMINU##B, EQ_##B)                                                  \
    ROW(shape##_min_s, BINARY, PMINS##B, 0)                                                        \
    ROW(shape##_min_u, BINARY, PMINU##B, 0)                                                        \
    ROW(shape##_max_s, BINARY, PMAXS##B, 0)                                                        \
    ROW(shape##_max_u, BINARY, PMAXU##B, 0)                                                        \
    ROW(shape##_abs, UNARY, PABS##B, 0)
#define SATURATED(shape, B)                                                                        \
    ROW(shape##_add_sat_s, BINARY, PADDS##B, 0)                                                    \
    ROW(shape##_add_sat_u, BINARY, PADDUS##B, 0)                                                   \
    ROW(shape##_sub_sat_s, BINARY, PSUBS##B, 0)                                                    \
    ROW(shape##_sub_sat_u, BINARY, PSUBUS##B, 0)                                                   \
    ROW(shape##_avgr_u, BINARY, PAVG##B, 0)
#define WIDER(shape, half, FROM, log2)                                                             \
    ROW(shape##_extend_low_##half##_s, WIDEN, PMOVSX##FROM, 4 | log2)                              \
    ROW(shape##_extend_low_##half##_u, WIDEN, PMOVZX##FROM, log2)                                  \
    ROW(shape##_extend_high_##half##_s, WIDEN_HIGH, PMOVSX##FROM, 4 | log2)                        \
    ROW(shape##_extend_high_##half##_u, WIDEN_HIGH, PMOVZX##FROM, log2)
#define FLOATING(shape, P)                                                                         \
    ROW(shape##_add, BINARY, ADD##P, 0)                                                            \
    ROW(shape##_sub, BINARY, SUB##P, 0)                                                            \
    ROW(shape##_mul, BINARY, MUL##P, 0)                                                            \
    ROW(shape##_div, BINARY, DIV##P, 0)                                                            \
    ROW(shape##_pmin, SWAPPED, MIN##P, 0)                                                          \
    ROW(shape##_pmax, SWAPPED, MAX##P, 0)                                                          \
    ROW(shape##_sqrt, UNARY, SQRT##P, 0)                                                           \
    ROW(shape##_nearest, ROUND, ROUND##P, 8)                                                       \
    ROW(shape##_floor, ROUND, ROUND##P, 9)                                                         \
    ROW(shape##_ceil, ROUND, ROUND##P, 10)                                                         \
    ROW(shape##_trunc, ROUND, ROUND##P, 11)                                                        \
    ROW(shape##_eq, COMPARE, CMP##P, 0)                                                            \
    ROW(shape##_lt, COMPARE, CMP##P, 1)                                                            \
    ROW(shape##_le, COMPARE, CMP##P, 2)                                                            \
    ROW(shape##_ne, COMPARE, CMP##P, 4)                                                            \
    ROW(shape##_gt, COMPARE_B, CMP##P, 1)                                                          \
    ROW(shape##_ge, COMPARE_B, CMP##P, 2)
    INTEGER(i8x16, B) INTEGER(i16x8, W) INTEGER(i32x4, D) INTEGER(i64x2, Q) NARROWER(
        i8x16, B) NARROWER(i16x8, W) NARROWER(i32x4, D) SATURATED(i8x16, B) SATURATED(i16x8, W)
        WIDER(i16x8, i8x16, BW, 0) WIDER(i32x4, i16x8, WD, 1) WIDER(i64x2, i32x4, DQ, 2) FLOATING(
            f32x4, PS) FLOATING(f64x2, PD) ROW(i64x2_le_s, NEITHER, PCMPGTQ, 0)
            ROW(i64x2_ge_s, NEITHER_B, PCMPGTQ, 0) ROW(v128_and, BINARY, PAND, 0) ROW(
                v128_andnot, SWAPPED, PANDN, 0) ROW(v128_or, BINARY, POR, 0)
                ROW(v128_xor, BINARY, PXOR, 0) ROW(i8x16_narrow_i16x8_s, BINARY, PACKSSWB, 0) ROW(
                    i8x16_narrow_i16x8_u, BINARY, PACKUSWB,
                    0) ROW(i16x8_narrow_i32x4_s, BINARY, PACKSSDW,
                           0) ROW(i16x8_narrow_i32x4_u, BINARY, PACKUSDW, 0)
                    ROW(i16x8_mul, BINARY, PMULLW, 0) ROW(i32x4_mul, BINARY, PMULLD, 0)
                        ROW(i32x4_dot_i16x8_s, BINARY, PMADDWD, 0) ROW(i16x8_shl, SHIFT, PSLLW, 1)
                            ROW(i16x8_shr_s, SHIFT, PSRAW, 1) ROW(i16x8_shr_u, SHIFT, PSRLW, 1) ROW(
                                i32x4_shl, SHIFT, PSLLD, 2) ROW(i32x4_shr_s, SHIFT, PSRAD, 2)
                                ROW(i32x4_shr_u, SHIFT, PSRLD, 2) ROW(i64x2_shl, SHIFT, PSLLQ, 3)
                                    ROW(i64x2_shr_u, SHIFT, PSRLQ,
                                        3) ROW(i16x8_extmul_low_i8x16_s, PRODUCT, PMULLW,
                                               SX_BW) ROW(i16x8_extmul_low_i8x16_u, PRODUCT, PMULLW,
                                                          ZX_BW) ROW(i16x8_extmul_high_i8x16_s,
                                                                     PRODUCT_HIGH, PMULLW, SX_BW)
                                        ROW(i16x8_extmul_high_i8x16_u, PRODUCT_HIGH, PMULLW,
                                            ZX_BW) ROW(f32x4_convert_i32x4_s, UNARY, CVTDQ2PS, 0)
                                            ROW(f64x2_convert_low_i32x4_s, UNARY, CVTDQ2PD,
                                                0) ROW(f32x4_demote_f64x2_zero, UNARY, CVTPD2PS, 0)
                                                ROW(f64x2_promote_low_f32x4, UNARY, CVTPS2PD, 0)};

// --- Instructions between registers
static bool has_avx(const struct fast *f)
{
    return f->features & X64_AVX;
}

// dst = a insn b
static void v3(struct fast *f, u32 insn, u32 dst, u32 a, u32 b)
{
    two_operand(f, insn, TV128, dst, a, b);
}

// dst = a insn b, imm
static void v3_imm(struct fast *f, u32 insn, u32 dst, u32 a, u32 b, u32 imm)
{
    u32 to = dst == b && a != b && !has_avx(f) ? SCRATCH_XMM : dst;
    x64_reg(&f->a, with_first(f, insn, to, a), false, to, b);
    x64_byte(&f->a, imm);
    move_reg(f, TV128, dst, to);
}

// dst = insn a
static void v2(struct fast *f, u32 insn, u32 dst, u32 a)
{
    x64_reg(&f->a, insn, false, dst, a);
}

static void v2_imm(struct fast *f, u32 insn, u32 dst, u32 a, u32 imm)
{
    v2(f, insn, dst, a);
    x64_byte(&f->a, imm);
}

void simd_shift(struct fast *f, u32 insn, u32 dst, u32 a, u32 count)
{
    u32 opcode = insn >> 16 & 0xff; // 71, 72 and 73 for words, double and quadwords
    u32 what = (opcode & 0xf0) == 0xd0 ? 2 : (opcode & 0xf0) == 0xe0 ? 4 : 6;
    u32 group = (insn & 0xff00ffff) | (0x70 | (opcode & 3)) << 16;
    if (has_avx(f)) {
        x64_reg(&f->a, x64_three(group, dst), false, what, a);
    } else {
        move_reg(f, TV128, dst, a);
        x64_reg(&f->a, group, false, what, dst);
    }
    x64_byte(&f->a, count);
}

static union v128 splat64(u64 bits)
{
    return (union v128){{bits, bits}};
}

// dst = a insn constant
static void v3_vector(struct fast *f, u32 insn, u32 dst, u32 a, const union v128 *v)
{
    if (has_avx(f)) {
        vector_operand(f, x64_three(insn, a), dst, v);
    } else {
        vector_to_reg(f, SCRATCH_XMM, v);
        v3(f, insn, dst, a, SCRATCH_XMM);
    }
}

static void v3_const(struct fast *f, u32 insn, u32 dst, u32 a, u64 bits)
{
    union v128 v = splat64(bits);
    v3_vector(f, insn, dst, a, &v);
}

static void load_const(struct fast *f, u32 dst, u64 bits)
{
    union v128 v = splat64(bits);
    vector_to_reg(f, dst, &v);
}

static void zero(struct fast *f, u32 r)
{
    v2(f, I_PXOR, r, r);
}

static void ones(struct fast *f, u32 r)
{
    v2(f, I_PCMPEQD, r, r);
}

static u32 temporary(struct fast *f)
{
    return reg_alloc(f, XMM_MASK);
}

static u32 begin(struct fast *f, u32 a)
{
    return result_begin(f, TV128, a);
}

static void end(struct fast *f, u32 dst)
{
    result_end(f, TV128, dst);
}

static void push_vector(struct fast *f, union v128 v)
{
    u64 imm = 0;
    if (v.d[0] | v.d[1]) {
        if (!vec_push(&f->vectors, v))
            f->oom = true;
        imm = f->vectors.count;
    }
    push_const(f, TV128, imm);
}

// A popped slot is a constant vector.
static bool constant(const struct fast *f, const struct slot *s, union v128 *v)
{
    if (s->kind != SLOT_CONST)
        return false;
    *v = s->imm ? f->vectors.at[s->imm - 1] : (union v128){{0, 0}};
    return true;
}

// --- The rows

// The second operand may lie in memory.
static void binary(struct fast *f, u32 insn)
{
    struct slot s = pop(f);
    if (has_lanes(f) && insn == I_PAND && lanes_and(f, &s))
        return;
    struct x64_operand m;
    union v128 v;
    bool memory = has_avx(f) && in_frame(f, &s, &m);
    bool pool = !memory && has_avx(f) && constant(f, &s, &v) && (v.d[0] | v.d[1]);
    u32 b = memory || pool ? NO_REG : value_reg(f, &s);
    u32 a = pop_reg(f), dst = begin(f, a);
    if (memory)
        x64_mem(&f->a, x64_three(insn, a), false, dst, m);
    else if (pool)
        vector_operand(f, x64_three(insn, a), dst, &v);
    else
        v3(f, insn, dst, a, b);
    end(f, dst);
}

static void invert(struct fast *f, u32 dst, u32 a, u32 scratch)
{
    ones(f, scratch);
    v3(f, I_PXOR, dst, a, scratch);
}

static void with_two(struct fast *f, const struct row *row)
{
    u32 b = pop_reg(f), a = pop_reg(f);
    if (row->kind == SWAPPED || row->kind == NEITHER_B || row->kind == COMPARE_B) {
        u32 first = b;
        b = a;
        a = first;
    }
    if (row->kind == SWAPPED || row->kind == COMPARE || row->kind == COMPARE_B) {
        u32 dst = begin(f, a);
        if (row->kind == SWAPPED)
            v3(f, row->insn, dst, a, b);
        else
            v3_imm(f, row->insn, dst, a, b, row->extra);
        end(f, dst);
        return;
    }
    u32 t = temporary(f);
    v3(f, row->insn, t, a, b);
    if (row->kind == NOT_SAME)
        v2(f, extras[row->extra], t, a);
    u32 dst = begin(f, t);
    if (row->kind == SAME_AS)
        v3(f, extras[row->extra], dst, t, a);
    else
        invert(f, dst, t, SCRATCH_XMM);
    end(f, dst);
}

static void unary(struct fast *f, const struct row *row)
{
    u32 a = pop_reg(f), dst = begin(f, unless_free(f, TV128, a));
    v2(f, row->insn, dst, a);
    if (row->kind == ROUND)
        x64_byte(&f->a, row->extra);
    end(f, dst);
}

// The row of the instruction at *p, which is stepped over; NULL: it has none.
static const struct row *row_at(const u8 **p)
{
    if (*(*p)++ != 0xfd)
        return NULL;
    u32 n = simd_strict(leb_u32(p));
    return n < SIMD_RELAXED && rows[n].insn ? &rows[n] : NULL;
}

// What makes lanes wider, and all that comes next and makes them wider still: together one
// instruction, of so many bytes of the operand.
struct widening {
    u32 insn, at, bytes;
};

static struct widening widening(const struct row *row, const u8 **pc)
{
    static const u32 insns[2][3][3] = {
        {{I_PMOVZXBW, I_PMOVZXBD, I_PMOVZXBQ}, {I_PMOVZXWD, I_PMOVZXWQ}, {I_PMOVZXDQ}},
        {{I_PMOVSXBW, I_PMOVSXBD, I_PMOVSXBQ}, {I_PMOVSXWD, I_PMOVSXWQ}, {I_PMOVSXDQ}}};
    struct widening w = {.bytes = 16};
    u32 first = row->extra;
    for (u32 n = 0;; n++) {
        w.bytes /= 2;
        w.at += row->kind == WIDEN_HIGH ? w.bytes : 0;
        w.insn = insns[first >> 2][first & 3][n];
        const u8 *p = *pc;
        row = row_at(&p);
        if (!row || row->extra != first + n + 1 ||
            !(row->kind == WIDEN || (row->kind == WIDEN_HIGH && w.bytes > 4)))
            return w;
        *pc = p;
    }
}

static void widen(struct fast *f, const struct row *row)
{
    struct widening w = widening(row, &f->pc);
    u32 a = pop_reg(f), dst = begin(f, unless_free(f, TV128, a));
    if (w.at)
        v2_imm(f, I_PSHUFD, dst, a, w.at == 8 ? 0xee : w.at / 4 * 0x55);
    v2(f, w.insn, dst, w.at ? dst : a);
    end(f, dst);
}

// The count of a shift, less whole lanes, in SCRATCH_XMM, with so much added.
static void count_to_xmm(struct fast *f, u32 count, u32 bits, u32 more)
{
    move_reg(f, T32, SCRATCH, count);
    x64_imm(&f->a, G1_AND, false, SCRATCH, (s32)bits - 1);
    if (more)
        x64_imm(&f->a, G1_ADD, false, SCRATCH, (s32)more);
    x64_reg(&f->a, I_MOVD_TO_XMM, false, SCRATCH_XMM, SCRATCH);
}

static void shift(struct fast *f, u32 insn, u32 bits)
{
    struct slot s = pop(f);
    if (s.kind == SLOT_CONST) {
        if (has_lanes(f) && insn == I_PSRLD && lanes_shift(f, s.imm & 31))
            return;
        u32 a = pop_reg(f), dst = begin(f, a);
        simd_shift(f, insn, dst, a, s.imm & (bits - 1));
        end(f, dst);
        return;
    }
    u32 count = value_reg(f, &s), a = pop_reg(f);
    count_to_xmm(f, count, bits, 0);
    u32 dst = begin(f, a);
    v3(f, insn, dst, a, SCRATCH_XMM);
    end(f, dst);
}

static void product(struct fast *f, const struct row *row)
{
    u32 b = pop_reg(f), a = pop_reg(f), t = temporary(f), widen = extras[row->extra];
    u32 from_a = a, from_b = b;
    if (row->kind == PRODUCT_HIGH) {
        v2_imm(f, I_PSHUFD, t, a, 0xee);
        v2_imm(f, I_PSHUFD, SCRATCH_XMM, b, 0xee);
        from_a = t;
        from_b = SCRATCH_XMM;
    }
    v2(f, widen, t, from_a);
    v2(f, widen, SCRATCH_XMM, from_b);
    u32 dst = begin(f, t);
    v3(f, row->insn, dst, t, SCRATCH_XMM);
    end(f, dst);
}

// --- Memory
static struct x64_operand memarg(struct fast *f)
{
    struct memarg at = leb_memarg(&f->pc);
    struct slot s = pop(f);
    return address(f, &s, at);
}

static void load_with(struct fast *f, u32 insn)
{
    struct x64_operand m = memarg(f);
    u32 dst = begin(f, NO_REG);
    x64_mem(&f->a, insn, false, dst, m);
    end(f, dst);
}

// With what comes next, if that takes the vector as its second operand: it need not be aligned.
static void load_vector(struct fast *f)
{
    struct x64_operand m = memarg(f);
    const u8 *p = f->pc;
    const struct row *row = has_avx(f) && m.index != SCRATCH ? row_at(&p) : NULL;
    bool compares = row && row->kind == COMPARE;
    u32 a = NO_REG, insn = I_MOVUPS_LOAD;
    if (compares || (row && row->kind == BINARY)) {
        f->pc = p;
        if (has_lanes(f) && !compares && lanes_with_memory(f, row->insn, m))
            return;
        a = pop_reg(f);
        insn = x64_three(row->insn, a);
    }
    u32 dst = begin(f, a);
    x64_mem(&f->a, insn, false, dst, m);
    if (compares)
        x64_byte(&f->a, row->extra);
    end(f, dst);
}

// The lowest 1 << log2 bytes; with what makes their lanes wider, if that takes all of them.
static void load_low(struct fast *f, u32 log2)
{
    struct x64_operand m = memarg(f);
    u32 insn = log2 == 2 ? I_MOVSS_LOAD : I_MOVSD_LOAD;
    const u8 *p = f->pc;
    const struct row *row = row_at(&p);
    if (row && row->kind == WIDEN) {
        struct widening w = widening(row, &p);
        if (!w.at && w.bytes == 1u << log2) {
            insn = w.insn;
            f->pc = p;
        }
    }
    u32 dst = begin(f, NO_REG);
    x64_mem(&f->a, insn, false, dst, m);
    end(f, dst);
}

// One lane of a general register or of memory to all lanes of dst, whose lowest it is in.
static void spread(struct fast *f, u32 dst, u32 log2)
{
    switch (log2) {
    case 0:
        if (f->features & X64_AVX2) {
            x64_reg(&f->a, x64_three(I_BROADCASTB, 0), false, dst, dst);
            break;
        }
        zero(f, SCRATCH_XMM);
        v2(f, I_PSHUFB, dst, SCRATCH_XMM);
        break;
    case 1:
        if (f->features & X64_AVX2) {
            x64_reg(&f->a, x64_three(I_BROADCASTW, 0), false, dst, dst);
            break;
        }
        v2_imm(f, I_PSHUFLW, dst, dst, 0);
        v2_imm(f, I_PSHUFD, dst, dst, 0);
        break;
    case 2: v2_imm(f, I_PSHUFD, dst, dst, 0); break;
    default: v2_imm(f, I_PSHUFD, dst, dst, 0x44); break;
    }
}

static void load_splat(struct fast *f, u32 log2)
{
    static const u32 avx[] = {I_BROADCASTB, I_BROADCASTW, I_BROADCASTSS};
    struct x64_operand m = memarg(f);
    u32 dst = begin(f, NO_REG);
    if (log2 == 3) {
        x64_mem(&f->a, I_MOVDDUP, false, dst, m);
    } else if (f->features & (log2 == 2 ? X64_AVX : X64_AVX2)) {
        x64_mem(&f->a, x64_three(avx[log2], 0), false, dst, m);
    } else if (log2 == 2) {
        x64_mem(&f->a, I_MOVSS_LOAD, false, dst, m);
        spread(f, dst, 2);
    } else {
        x64_mem(&f->a, log2 ? I_MOVZX16 : I_MOVZX8, false, SCRATCH, m);
        x64_reg(&f->a, I_MOVD_TO_XMM, false, dst, SCRATCH);
        spread(f, dst, log2);
    }
    end(f, dst);
}

static const u32 inserts[] = {I_PINSRB, I_PINSRW, I_PINSRD, I_PINSRD};

static void load_lane(struct fast *f, u32 log2)
{
    struct memarg at = leb_memarg(&f->pc);
    u32 lane = *f->pc++;
    u32 v = pop_reg(f);
    struct slot s = pop(f);
    struct x64_operand m = address(f, &s, at);
    u32 dst = begin(f, v);
    move_reg(f, TV128, dst, v);
    x64_mem(&f->a, inserts[log2], log2 == 3, dst, m);
    x64_byte(&f->a, lane);
    end(f, dst);
}

static void store_lane(struct fast *f, u32 log2)
{
    static const u32 insns[] = {I_PEXTRB, I_PEXTRW, I_PEXTRD, I_PEXTRD};
    struct memarg at = leb_memarg(&f->pc);
    u32 lane = *f->pc++;
    u32 v = pop_reg(f);
    struct slot s = pop(f);
    struct x64_operand m = address(f, &s, at);
    x64_mem(&f->a, insns[log2], log2 == 3, v, m);
    x64_byte(&f->a, lane);
}

static void store_vector(struct fast *f)
{
    u32 v = pop_reg(f);
    x64_mem(&f->a, I_MOVUPS_STORE, false, v, memarg(f));
}

// --- Lanes
static void splat(struct fast *f, u32 op, u32 log2, bool fp)
{
    struct slot s = pop(f);
    if (s.kind == SLOT_CONST) {
        union v128 v[3] = {{{s.imm, 0}}}, out;
        simd_compute(op, &out, v);
        push_vector(f, out);
        return;
    }
    if (has_lanes(f) && op == OP_i32x4_splat && lanes_splat(f, &s))
        return;
    u32 a = value_reg(f, &s), dst = begin(f, NO_REG);
    if (fp) {
        v2_imm(f, I_PSHUFD, dst, a, log2 == 2 ? 0 : 0x44);
    } else {
        x64_reg(&f->a, I_MOVD_TO_XMM, log2 == 3, dst, a);
        spread(f, dst, log2);
    }
    end(f, dst);
}

static void extract(struct fast *f, u32 log2, bool is_signed)
{
    if (has_lanes(f) && log2 == 2 && lanes_extract(f))
        return;
    u32 lane = *f->pc++;
    u32 a = pop_reg(f);
    enum ty t = log2 == 3 ? T64 : T32;
    u32 sp = f->sp, dst = result_begin(f, t, NO_REG);
    if (log2 >= 2 && !lane) {
        x64_reg(&f->a, I_MOVD_FROM_XMM, log2 == 3, a, dst);
    } else {
        static const u32 insns[] = {I_PEXTRB, I_PEXTRW, I_PEXTRD, I_PEXTRD};
        x64_reg(&f->a, insns[log2], log2 == 3, a, dst);
        x64_byte(&f->a, lane);
    }
    if (is_signed)
        x64_reg(&f->a, log2 ? I_MOVSX16 : I_MOVSX8, false, dst, dst);
    result_end(f, t, dst);
    if (log2 < 2 && !is_signed)
        result_bits(f, sp, log2 ? 16 : 8);
}

static void extract_float(struct fast *f, enum ty t)
{
    u32 lane = *f->pc++;
    u32 a = pop_reg(f), dst = result_begin(f, t, lane ? NO_REG : a);
    if (lane)
        v2_imm(f, I_PSHUFD, dst, a, t == TF64 ? 0xee : lane);
    else
        move_reg(f, t, dst, a);
    result_end(f, t, dst);
}

// Lanes of constants, of as many instructions as there are in a row, but no more than a vector can
// have lanes: at once.
static void replace_constants(struct fast *f, u32 op, u32 log2, u64 imm)
{
    union v128 keep = splat64(UINT64_MAX), values = splat64(0);
    for (u32 n = 1;; n++) {
        u32 at = (u32)*f->pc++ << log2;
        memset(keep.b + at, 0, 1u << log2);
        memcpy(values.b + at, &imm, 1u << log2);
        const u8 *p = f->pc;
        if (n == 16 || *p++ != (log2 == 3 ? OP_i64_const : OP_i32_const))
            break;
        imm = (u64)leb_s64(&p);
        if (*p++ != 0xfd || leb_u32(&p) != (u8)op)
            break;
        f->pc = p;
    }
    u32 a = pop_reg(f), dst = begin(f, a), words = 0;
    bool whole = true;
    for (u32 i = 0; i < 8; i++) {
        whole &= keep.b[2 * i] == keep.b[2 * i + 1];
        words |= (u32)!keep.b[2 * i] << i;
    }
    if (whole) {
        vector_to_reg(f, SCRATCH_XMM, &values);
        v3_imm(f, I_PBLENDW, dst, a, SCRATCH_XMM, words);
    } else {
        v3_vector(f, I_PAND, dst, a, &keep);
        v3_vector(f, I_POR, dst, dst, &values);
    }
    end(f, dst);
}

static void replace(struct fast *f, u32 op, u32 log2)
{
    struct slot s = pop(f);
    if (has_lanes(f) && log2 == 2 && lanes_replace(f, &s))
        return;
    if (s.kind == SLOT_CONST) {
        replace_constants(f, op, log2, s.imm);
        return;
    }
    u32 lane = *f->pc++;
    u32 b = value_reg(f, &s), a = pop_reg(f), dst = begin(f, a);
    move_reg(f, TV128, dst, a);
    x64_reg(&f->a, inserts[log2], log2 == 3, dst, b);
    x64_byte(&f->a, lane);
    end(f, dst);
}

static void replace_float(struct fast *f, enum ty t)
{
    u32 lane = *f->pc++;
    u32 b = pop_reg(f), a = pop_reg(f), dst = begin(f, a);
    move_reg(f, TV128, dst, a);
    if (t == TF32)
        v2_imm(f, I_INSERTPS, dst, b, lane << 4);
    else if (lane)
        v2(f, I_PUNPCKLQDQ, dst, b);
    else
        v2(f, I_MOVSD_LOAD, dst, b);
    end(f, dst);
}

// --- Shuffles

// Lanes of 1 << log2 bytes: the index of each, if that is what the bytes are.
static bool as_lanes(const u8 *bytes, u32 log2, u8 *lanes)
{
    u32 size = 1u << log2;
    for (u32 i = 0; i < 16; i++) {
        u8 first = bytes[i & -size];
        if (first % size || bytes[i] != first + i % size)
            return false;
        lanes[i >> log2] = first >> log2;
    }
    return true;
}

// Lanes of both operands in turn, from the lower halves or the upper ones: the instruction, or 0.
static u32 interleaved(const u8 *bytes)
{
    static const u32 insns[][2] = {{I_PUNPCKLBW, I_PUNPCKHBW},
                                   {I_PUNPCKLWD, I_PUNPCKHWD},
                                   {I_PUNPCKLDQ, I_PUNPCKHDQ},
                                   {I_PUNPCKLQDQ, I_PUNPCKHQDQ}};
    for (u32 log2 = 0; log2 < 4; log2++) {
        u8 lanes[16];
        u32 n = 16u >> log2;
        if (!as_lanes(bytes, log2, lanes))
            continue;
        for (u32 high = 0; high < 2; high++) {
            bool yes = true;
            for (u32 i = 0; i < n; i++)
                yes &= lanes[i] == i / 2 + high * (n / 2) + (i & 1) * n;
            if (yes)
                return insns[log2][high];
        }
    }
    return 0;
}

// dst = bytes of a and b, by a mask each: both are zero where the other is not.
static void shuffle_any(struct fast *f, u32 a, u32 b, const u8 *bytes)
{
    union v128 of_a, of_b;
    for (u32 i = 0; i < 16; i++) {
        of_a.b[i] = bytes[i] < 16 ? bytes[i] : 0x80;
        of_b.b[i] = bytes[i] < 16 ? 0x80 : bytes[i] & 15;
    }
    if (has_avx(f)) {
        u32 dst = begin(f, a);
        vector_operand(f, x64_three(I_PSHUFB, b), SCRATCH_XMM, &of_b);
        vector_operand(f, x64_three(I_PSHUFB, a), dst, &of_a);
        v3(f, I_POR, dst, dst, SCRATCH_XMM);
        end(f, dst);
        return;
    }
    u32 t = temporary(f), u = temporary(f);
    vector_to_reg(f, SCRATCH_XMM, &of_a);
    v3(f, I_PSHUFB, t, a, SCRATCH_XMM);
    vector_to_reg(f, SCRATCH_XMM, &of_b);
    v3(f, I_PSHUFB, u, b, SCRATCH_XMM);
    u32 dst = begin(f, t);
    v3(f, I_POR, dst, t, u);
    end(f, dst);
}

static void shuffle_one(struct fast *f, u32 a, const u8 *bytes)
{
    u8 lanes[16];
    if (as_lanes(bytes, 2, lanes)) {
        u32 dst = begin(f, unless_free(f, TV128, a));
        v2_imm(f, I_PSHUFD, dst, a,
               (u32)(lanes[0] | lanes[1] << 2 | lanes[2] << 4 | lanes[3] << 6));
        end(f, dst);
        return;
    }
    union v128 mask;
    memcpy(mask.b, bytes, 16);
    u32 dst = begin(f, a);
    if (has_avx(f)) {
        vector_operand(f, x64_three(I_PSHUFB, a), dst, &mask);
    } else {
        vector_operand(f, I_MOVUPS_LOAD, SCRATCH_XMM, &mask);
        v3(f, I_PSHUFB, dst, a, SCRATCH_XMM);
    }
    end(f, dst);
}

// Words that stay where they are, of a or of b: a mask of those of b, or more than 8 bits.
static u32 blended(const u8 *bytes)
{
    u32 mask = 0;
    for (u32 i = 0; i < 16; i += 2) {
        bool of_b = bytes[i] >= 16;
        u32 from = of_b ? i + 16 : i;
        if (bytes[i] != from || bytes[i + 1] != from + 1)
            return UINT32_MAX;
        mask |= (u32)of_b << (i / 2);
    }
    return mask;
}

// Bytes of a and b by one instruction; false if there is none for this order of operands.
static bool shuffle_two(struct fast *f, u32 a, u32 b, const u8 *bytes)
{
    u8 lanes[16];
    u32 insn = interleaved(bytes), mask = blended(bytes), imm = UINT32_MAX; // there is none
    bool in_a_row = true;
    for (u32 i = 0; i < 16; i++)
        in_a_row &= bytes[i] == bytes[0] + i;
    if (insn) {
    } else if (mask <= 0xff) {
        insn = I_PBLENDW;
        imm = mask;
    } else if (in_a_row) { // of b and a
        insn = I_PALIGNR;
        imm = bytes[0];
        u32 first = b;
        b = a;
        a = first;
    } else if (as_lanes(bytes, 2, lanes) && (lanes[0] | lanes[1]) < 4 &&
               (lanes[2] & lanes[3] & 4)) {
        insn = I_SHUFPS;
        imm = (u32)(lanes[0] | lanes[1] << 2 | (lanes[2] & 3) << 4 | (lanes[3] & 3) << 6);
    } else {
        return false;
    }
    u32 dst = begin(f, a);
    if (imm == UINT32_MAX)
        v3(f, insn, dst, a, b);
    else
        v3_imm(f, insn, dst, a, b, imm);
    end(f, dst);
    return true;
}

static void shuffle(struct fast *f)
{
    u8 bytes[16], swapped[16], any = 0, all = 16;
    u32 b = pop_reg(f), a = pop_reg(f);
    for (u32 i = 0; i < 16; i++) {
        u8 byte = *f->pc++;
        any |= byte & 16;
        all &= byte;
        swapped[i] = byte ^ 16;
        bytes[i] = byte;
    }
    if (a == b || !any || all) {
        for (u32 i = 0; i < 16; i++)
            bytes[i] &= 15;
        shuffle_one(f, all ? b : a, bytes);
    } else if (!shuffle_two(f, a, b, bytes) && !shuffle_two(f, b, a, swapped)) {
        shuffle_any(f, a, b, bytes);
    }
}

static void swizzle(struct fast *f)
{
    union v128 mask;
    if (has_avx(f) && constant(f, &f->slots[f->sp - 1], &mask)) {
        for (u32 i = 0; i < 16; i++)
            mask.b[i] = mask.b[i] < 16 ? mask.b[i] : 0x80;
        f->sp--;
        u32 a = pop_reg(f), dst = begin(f, a);
        vector_operand(f, x64_three(I_PSHUFB, a), dst, &mask);
        end(f, dst);
        return;
    }
    u32 b = pop_reg(f), a = pop_reg(f), t = temporary(f);
    v3_const(f, I_PADDUSB, t, b, 0x7070707070707070); // from 16 on the top bit gets set
    u32 dst = begin(f, a);
    v3(f, I_PSHUFB, dst, a, t);
    end(f, dst);
}

// --- Bits and tests
static void bitselect(struct fast *f)
{
    u32 c = pop_reg(f), b = pop_reg(f), a = pop_reg(f), t = temporary(f);
    v3(f, I_PAND, t, a, c);
    v3(f, I_PANDN, SCRATCH_XMM, c, b);
    u32 dst = begin(f, t);
    v3(f, I_POR, dst, t, SCRATCH_XMM);
    end(f, dst);
}

static void not(struct fast *f)
{
    u32 a = pop_reg(f), dst = begin(f, a);
    invert(f, dst, a, SCRATCH_XMM);
    end(f, dst);
}

static void any_true(struct fast *f)
{
    u32 a = pop_reg(f);
    x64_reg(&f->a, I_PTEST, false, a, a);
    push_condition(f, CC_NE);
}

static void all_true(struct fast *f, u32 insn)
{
    u32 a = pop_reg(f);
    zero(f, SCRATCH_XMM);
    v2(f, insn, SCRATCH_XMM, a);
    x64_reg(&f->a, I_PTEST, false, SCRATCH_XMM, SCRATCH_XMM);
    push_condition(f, CC_E);
}

static void bitmask(struct fast *f, u32 insn)
{
    u32 a = pop_reg(f), dst = result_begin(f, T32, NO_REG);
    if (insn == I_PACKSSWB) { // words: as bytes, each twice
        move_reg(f, TV128, SCRATCH_XMM, a);
        v2(f, I_PACKSSWB, SCRATCH_XMM, SCRATCH_XMM);
        x64_reg(&f->a, I_PMOVMSKB, false, dst, SCRATCH_XMM);
        x64_reg(&f->a, I_MOVZX8, false, dst, dst);
    } else {
        x64_reg(&f->a, insn, false, dst, a);
    }
    result_end(f, T32, dst);
}

static void negate(struct fast *f, u32 insn)
{
    u32 a = pop_reg(f);
    zero(f, SCRATCH_XMM);
    u32 dst = begin(f, NO_REG);
    v3(f, insn, dst, SCRATCH_XMM, a);
    end(f, dst);
}

static void with_constant(struct fast *f, u32 insn, u64 bits)
{
    u32 a = pop_reg(f), dst = begin(f, a);
    v3_const(f, insn, dst, a, bits);
    end(f, dst);
}

static void abs64(struct fast *f)
{
    u32 a = pop_reg(f), t = temporary(f);
    zero(f, SCRATCH_XMM);
    v2(f, I_PCMPGTQ, SCRATCH_XMM, a); // all ones where it is negative
    v3(f, I_PXOR, t, a, SCRATCH_XMM);
    u32 dst = begin(f, t);
    v3(f, I_PSUBQ, dst, t, SCRATCH_XMM);
    end(f, dst);
}

// Each half of a byte is looked up.
static void popcnt8(struct fast *f)
{
    static const u8 counts[16] = {0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4};
    union v128 table;
    memcpy(table.b, counts, sizeof counts);
    u32 a = pop_reg(f), low = temporary(f), high = temporary(f);
    simd_shift(f, I_PSRLW, high, a, 4);
    load_const(f, SCRATCH_XMM, 0x0f0f0f0f0f0f0f0f);
    v3(f, I_PAND, low, a, SCRATCH_XMM);
    v2(f, I_PAND, high, SCRATCH_XMM);
    u32 t = temporary(f);
    vector_to_reg(f, SCRATCH_XMM, &table);
    move_reg(f, TV128, t, SCRATCH_XMM);
    v2(f, I_PSHUFB, t, low);
    v2(f, I_PSHUFB, SCRATCH_XMM, high);
    u32 dst = begin(f, t);
    v3(f, I_PADDB, dst, t, SCRATCH_XMM);
    end(f, dst);
}

// --- Shifts of bytes: as words.
static void shift_bytes(struct fast *f, u32 op)
{
    struct slot s = pop(f);
    bool known = s.kind == SLOT_CONST, left = op == OP_i8x16_shl;
    u32 count = s.imm & 7;
    if (known && op != OP_i8x16_shr_s) {
        u32 a = pop_reg(f), t = temporary(f);
        simd_shift(f, left ? I_PSLLW : I_PSRLW, t, a, count);
        u64 byte = left ? (0xff << count) & 0xff : 0xff >> count;
        u32 dst = begin(f, t);
        v3_const(f, I_PAND, dst, t, byte * 0x0101010101010101);
        end(f, dst);
        return;
    }
    u32 c = known ? NO_REG : value_reg(f, &s), a = pop_reg(f), t = temporary(f);
    if (left) { // what would get into the next byte goes first
        u32 u = temporary(f);
        count_to_xmm(f, c, 8, 8);
        ones(f, t);
        v2(f, I_PSRLW, t, SCRATCH_XMM);
        v2(f, I_PACKUSWB, t, t);
        v3(f, I_PAND, u, a, t);
        x64_imm(&f->a, G1_SUB, false, SCRATCH, 8);
        x64_reg(&f->a, I_MOVD_TO_XMM, false, SCRATCH_XMM, SCRATCH);
        u32 dst = begin(f, u);
        v3(f, I_PSLLW, dst, u, SCRATCH_XMM);
        end(f, dst);
        return;
    }
    u32 insn = op == OP_i8x16_shr_s ? I_PSRAW : I_PSRLW, u = temporary(f);
    if (!known)
        count_to_xmm(f, c, 8, 8);
    v3(f, I_PUNPCKLBW, t, a, a); // each byte in the upper half of a word
    v3(f, I_PUNPCKHBW, u, a, a);
    if (known) {
        simd_shift(f, insn, t, t, count + 8);
        simd_shift(f, insn, u, u, count + 8);
    } else {
        v2(f, insn, t, SCRATCH_XMM);
        v2(f, insn, u, SCRATCH_XMM);
    }
    u32 dst = begin(f, t);
    v3(f, op == OP_i8x16_shr_s ? I_PACKSSWB : I_PACKUSWB, dst, t, u);
    end(f, dst);
}

// As if unsigned, and then what the sign bit has become is subtracted.
static void shift_right64(struct fast *f)
{
    struct slot s = pop(f);
    bool known = s.kind == SLOT_CONST;
    u32 count = s.imm & 63, c = known ? NO_REG : value_reg(f, &s);
    u32 a = pop_reg(f), t = temporary(f), u = temporary(f);
    if (known) {
        load_const(f, t, 1ull << 63 >> count);
        simd_shift(f, I_PSRLQ, u, a, count);
    } else {
        load_const(f, t, 1ull << 63);
        count_to_xmm(f, c, 64, 0);
        v2(f, I_PSRLQ, t, SCRATCH_XMM);
        v3(f, I_PSRLQ, u, a, SCRATCH_XMM);
    }
    v2(f, I_PXOR, u, t);
    u32 dst = begin(f, u);
    v3(f, I_PSUBQ, dst, u, t);
    end(f, dst);
}

// --- Products and sums
static void multiply64(struct fast *f)
{
    u32 b = pop_reg(f), a = pop_reg(f), t = temporary(f), u = temporary(f);
    simd_shift(f, I_PSRLQ, t, a, 32);
    v2(f, I_PMULUDQ, t, b);
    simd_shift(f, I_PSRLQ, u, b, 32);
    v2(f, I_PMULUDQ, u, a);
    v2(f, I_PADDQ, t, u);
    simd_shift(f, I_PSLLQ, t, t, 32);
    v3(f, I_PMULUDQ, u, a, b);
    u32 dst = begin(f, t);
    v3(f, I_PADDQ, dst, t, u);
    end(f, dst);
}

static void multiply_words(struct fast *f, bool is_signed, bool high)
{
    u32 b = pop_reg(f), a = pop_reg(f), t = temporary(f), u = temporary(f);
    v3(f, I_PMULLW, t, a, b);
    v3(f, is_signed ? I_PMULHW : I_PMULHUW, u, a, b);
    u32 dst = begin(f, t);
    v3(f, high ? I_PUNPCKHWD : I_PUNPCKLWD, dst, t, u);
    end(f, dst);
}

static void multiply_doubles(struct fast *f, bool is_signed, bool high)
{
    u32 b = pop_reg(f), a = pop_reg(f), t = temporary(f), lanes = high ? 0xfa : 0x50;
    v2_imm(f, I_PSHUFD, t, a, lanes);
    v2_imm(f, I_PSHUFD, SCRATCH_XMM, b, lanes);
    u32 dst = begin(f, t);
    v3(f, is_signed ? I_PMULDQ : I_PMULUDQ, dst, t, SCRATCH_XMM);
    end(f, dst);
}

enum { ONE_BYTES = 0x01010101, ONE_WORDS = 0x00010001 };
#define TWICE(x) ((u64)(x) << 32 | (x))

static void add_pairs(struct fast *f, u32 op)
{
    u32 a = pop_reg(f), t = temporary(f), dst;
    switch (op) {
    case OP_i16x8_extadd_pairwise_i8x16_s: // the first operand's bytes are unsigned
        load_const(f, t, TWICE(ONE_BYTES));
        dst = begin(f, t);
        v3(f, I_PMADDUBSW, dst, t, a);
        break;
    case OP_i16x8_extadd_pairwise_i8x16_u:
        dst = begin(f, a);
        v3_const(f, I_PMADDUBSW, dst, a, TWICE(ONE_BYTES));
        break;
    case OP_i32x4_extadd_pairwise_i16x8_s:
        dst = begin(f, a);
        v3_const(f, I_PMADDWD, dst, a, TWICE(ONE_WORDS));
        break;
    default: // less 2^15, and twice as much again
        v3_const(f, I_PXOR, t, a, TWICE(0x80008000u));
        v3_const(f, I_PMADDWD, t, t, TWICE(ONE_WORDS));
        dst = begin(f, t);
        v3_const(f, I_PADDD, dst, t, TWICE(0x00010000u));
        break;
    }
    end(f, dst);
}

// Of the two least numbers the product does not fit.
static void q15_multiply(struct fast *f)
{
    u32 b = pop_reg(f), a = pop_reg(f), t = temporary(f), u = temporary(f);
    v3(f, I_PMULHRSW, t, a, b);
    load_const(f, u, TWICE(0x80008000u));
    v2(f, I_PCMPEQW, u, t);
    u32 dst = begin(f, t);
    v3(f, I_PXOR, dst, t, u);
    end(f, dst);
}

// --- Floats

// The machine's returns the second operand where one is a NaN or both are zeros. So both ways, and
// their bits together (-0 is below 0); where there is a NaN, what the sum has for it.
static void min_max(struct fast *f, bool wide, bool max)
{
    static const u32 insns[2][2] = {{I_MINPS, I_MAXPS}, {I_MINPD, I_MAXPD}};
    u32 insn = insns[wide][max], add = wide ? I_ADDPD : I_ADDPS;
    u32 b = pop_reg(f), a = pop_reg(f), t = temporary(f), nan = temporary(f);
    v3(f, insn, t, a, b);
    v3(f, insn, SCRATCH_XMM, b, a);
    v2(f, max ? I_PAND : I_POR, t, SCRATCH_XMM);
    v3_imm(f, wide ? I_CMPPD : I_CMPPS, nan, a, b, 3); // unordered
    v3(f, add, SCRATCH_XMM, a, b);
    if (has_avx(f)) {
        u32 dst = begin(f, t);
        x64_reg(&f->a, x64_three(wide ? I_BLENDVPD : I_BLENDVPS, t), false, dst, SCRATCH_XMM);
        x64_byte(&f->a, (nan & 15) << 4);
        end(f, dst);
        return;
    }
    v2(f, I_PAND, SCRATCH_XMM, nan);
    v2(f, I_PANDN, nan, t);
    u32 dst = begin(f, nan);
    v3(f, I_POR, dst, nan, SCRATCH_XMM);
    end(f, dst);
}

// NaNs become 0; what the machine answers with 2^31 is inverted where the operand is above.
static void truncate_s(struct fast *f)
{
    u32 a = pop_reg(f), t = temporary(f), u = temporary(f);
    v3_imm(f, I_CMPPS, t, a, a, 0);
    v3(f, I_PAND, u, a, t);
    v2(f, I_PXOR, t, u);
    v2(f, I_CVTTPS2DQ, u, u);
    v2(f, I_PAND, t, u);
    simd_shift(f, I_PSRAD, t, t, 31);
    u32 dst = begin(f, t);
    v3(f, I_PXOR, dst, t, u);
    end(f, dst);
}

// From 2^31 on what is above it is converted by itself, and added.
static void truncate_u(struct fast *f)
{
    u32 a = pop_reg(f), x = temporary(f), t = temporary(f), limit = temporary(f);
    zero(f, SCRATCH_XMM);
    v3(f, I_MAXPS, x, a, SCRATCH_XMM); // NaNs, too, become 0
    load_const(f, limit, TWICE(0x4f000000u));
    v3(f, I_SUBPS, t, x, limit);
    v2_imm(f, I_CMPPS, limit, t, 2); // limit <= t: above 2^32
    v2(f, I_CVTTPS2DQ, t, t);
    v2(f, I_PXOR, t, limit);
    v2(f, I_PMAXSD, t, SCRATCH_XMM);
    v2(f, I_CVTTPS2DQ, x, x);
    u32 dst = begin(f, x);
    v3(f, I_PADDD, dst, x, t);
    end(f, dst);
}

static void truncate_wide_s(struct fast *f)
{
    u32 a = pop_reg(f), t = temporary(f);
    v3_imm(f, I_CMPPD, t, a, a, 0);
    v3_const(f, I_PAND, t, t, 0x41dfffffffc00000); // 2^31 - 1, and 0 where it is no number
    v3(f, I_MINPD, t, a, t);
    u32 dst = begin(f, t);
    v2(f, I_CVTTPD2DQ, dst, t);
    end(f, dst);
}

static void truncate_wide_u(struct fast *f)
{
    u32 a = pop_reg(f), t = temporary(f), zeros = temporary(f);
    zero(f, zeros);
    v3(f, I_MAXPD, t, a, zeros);
    v3_const(f, I_MINPD, t, t, 0x41efffffffe00000); // 2^32 - 1
    v2_imm(f, I_ROUNDPD, t, t, 11);
    v3_const(f, I_ADDPD, t, t, 0x4330000000000000); // 2^52: the integer is in the lower half
    v3_imm(f, I_SHUFPS, t, t, zeros, 0x88);
    u32 dst = begin(f, t);
    move_reg(f, TV128, dst, t);
    end(f, dst);
}

// The upper and the lower 16 bits by themselves: both are exact, and the sum is rounded once.
static void convert_u(struct fast *f)
{
    u32 a = pop_reg(f), low = temporary(f), high = temporary(f);
    zero(f, low);
    v2_imm(f, I_PBLENDW, low, a, 0x55);
    v3(f, I_PSUBD, high, a, low);
    v2(f, I_CVTDQ2PS, low, low);
    simd_shift(f, I_PSRLD, high, high, 1); // of which the sign bit is no part
    v2(f, I_CVTDQ2PS, high, high);
    v2(f, I_ADDPS, high, high);
    u32 dst = begin(f, high);
    v3(f, I_ADDPS, dst, high, low);
    end(f, dst);
}

// Behind the exponent of 2^52.
static void convert_wide_u(struct fast *f)
{
    u32 a = pop_reg(f), t = temporary(f);
    load_const(f, SCRATCH_XMM, TWICE(0x43300000u));
    v3(f, I_UNPCKLPS, t, a, SCRATCH_XMM);
    u32 dst = begin(f, t);
    v3_const(f, I_SUBPD, dst, t, 0x4330000000000000);
    end(f, dst);
}

// --- Relaxed ones that are no others' (simd_strict)
static void multiply_add(struct fast *f, u32 mul, u32 add, bool swapped)
{
    u32 c = pop_reg(f), b = pop_reg(f), a = pop_reg(f);
    v3(f, mul, SCRATCH_XMM, a, b);
    u32 dst = begin(f, c);
    if (swapped)
        v3(f, add, dst, c, SCRATCH_XMM);
    else
        v3(f, add, dst, SCRATCH_XMM, c);
    end(f, dst);
}

// Bytes with odd numbers and those with even ones by themselves, as words: each product is one, and
// the sum of two saturates. Beside what is pinned there are four registers, so that of the first
// operand is given back when it has been read.
static void dot(struct fast *f, bool sum)
{
    u32 c = sum ? pop_reg(f) : NO_REG, b = pop_reg(f), a = pop_reg(f), odd = temporary(f);
    simd_shift(f, I_PSRAW, odd, a, 8);
    simd_shift(f, I_PSRAW, SCRATCH_XMM, b, 8);
    v3(f, I_PMULLW, odd, odd, SCRATCH_XMM);
    simd_shift(f, I_PSLLW, SCRATCH_XMM, a, 8);
    if (a != b && a != c)
        f->busy &= ~BIT(a);
    u32 even = temporary(f);
    simd_shift(f, I_PSLLW, even, b, 8);
    v3(f, I_PMULHW, even, even, SCRATCH_XMM); // both are 256 times what they stand for
    if (sum) {
        v3(f, I_PADDSW, odd, odd, even);
        v3_const(f, I_PMADDWD, odd, odd, TWICE(ONE_WORDS));
    }
    u32 dst = begin(f, odd);
    v3(f, sum ? I_PADDD : I_PADDSW, dst, odd, sum ? c : even);
    end(f, dst);
}

// --- All of them
static void other(struct fast *f, u32 op)
{
    switch (op) {
    case OP_v128_load: load_vector(f); break;
    case OP_v128_load8x8_s: load_with(f, I_PMOVSXBW); break;
    case OP_v128_load8x8_u: load_with(f, I_PMOVZXBW); break;
    case OP_v128_load16x4_s: load_with(f, I_PMOVSXWD); break;
    case OP_v128_load16x4_u: load_with(f, I_PMOVZXWD); break;
    case OP_v128_load32x2_s: load_with(f, I_PMOVSXDQ); break;
    case OP_v128_load32x2_u: load_with(f, I_PMOVZXDQ); break;
    case OP_v128_load32_zero: load_low(f, 2); break;
    case OP_v128_load64_zero: load_low(f, 3); break;
    case OP_v128_load8_splat ... OP_v128_load64_splat:
        load_splat(f, op - OP_v128_load8_splat);
        break;
    case OP_v128_store: store_vector(f); break;
    case OP_v128_load8_lane ... OP_v128_load64_lane: load_lane(f, op - OP_v128_load8_lane); break;
    case OP_v128_store8_lane ... OP_v128_store64_lane:
        store_lane(f, op - OP_v128_store8_lane);
        break;
    case OP_v128_const: {
        union v128 v;
        memcpy(&v, f->pc, sizeof v);
        f->pc += sizeof v;
        push_vector(f, v);
        break;
    }
    case OP_i8x16_shuffle: shuffle(f); break;
    case OP_i8x16_swizzle: swizzle(f); break;
    case OP_i8x16_splat ... OP_i64x2_splat: splat(f, op, op - OP_i8x16_splat, false); break;
    case OP_f32x4_splat: splat(f, op, 2, true); break;
    case OP_f64x2_splat: splat(f, op, 3, true); break;
    case OP_i8x16_extract_lane_s: extract(f, 0, true); break;
    case OP_i8x16_extract_lane_u: extract(f, 0, false); break;
    case OP_i16x8_extract_lane_s: extract(f, 1, true); break;
    case OP_i16x8_extract_lane_u: extract(f, 1, false); break;
    case OP_i32x4_extract_lane: extract(f, 2, false); break;
    case OP_i64x2_extract_lane: extract(f, 3, false); break;
    case OP_f32x4_extract_lane: extract_float(f, TF32); break;
    case OP_f64x2_extract_lane: extract_float(f, TF64); break;
    case OP_i8x16_replace_lane: replace(f, op, 0); break;
    case OP_i16x8_replace_lane: replace(f, op, 1); break;
    case OP_i32x4_replace_lane: replace(f, op, 2); break;
    case OP_i64x2_replace_lane: replace(f, op, 3); break;
    case OP_f32x4_replace_lane: replace_float(f, TF32); break;
    case OP_f64x2_replace_lane: replace_float(f, TF64); break;
    case OP_v128_not: not(f); break;
    case OP_v128_bitselect: bitselect(f); break;
    case OP_v128_any_true: any_true(f); break;
    case OP_i8x16_all_true: all_true(f, I_PCMPEQB); break;
    case OP_i16x8_all_true: all_true(f, I_PCMPEQW); break;
    case OP_i32x4_all_true: all_true(f, I_PCMPEQD); break;
    case OP_i64x2_all_true: all_true(f, I_PCMPEQQ); break;
    case OP_i8x16_bitmask: bitmask(f, I_PMOVMSKB); break;
    case OP_i16x8_bitmask: bitmask(f, I_PACKSSWB); break;
    case OP_i32x4_bitmask: bitmask(f, I_MOVMSKPS); break;
    case OP_i64x2_bitmask: bitmask(f, I_MOVMSKPD); break;
    case OP_i8x16_neg: negate(f, I_PSUBB); break;
    case OP_i16x8_neg: negate(f, I_PSUBW); break;
    case OP_i32x4_neg: negate(f, I_PSUBD); break;
    case OP_i64x2_neg: negate(f, I_PSUBQ); break;
    case OP_i64x2_abs: abs64(f); break;
    case OP_i8x16_popcnt: popcnt8(f); break;
    case OP_i8x16_shl:
    case OP_i8x16_shr_s:
    case OP_i8x16_shr_u: shift_bytes(f, op); break;
    case OP_i64x2_shr_s: shift_right64(f); break;
    case OP_i64x2_mul: multiply64(f); break;
    case OP_i32x4_extmul_low_i16x8_s: multiply_words(f, true, false); break;
    case OP_i32x4_extmul_high_i16x8_s: multiply_words(f, true, true); break;
    case OP_i32x4_extmul_low_i16x8_u: multiply_words(f, false, false); break;
    case OP_i32x4_extmul_high_i16x8_u: multiply_words(f, false, true); break;
    case OP_i64x2_extmul_low_i32x4_s: multiply_doubles(f, true, false); break;
    case OP_i64x2_extmul_high_i32x4_s: multiply_doubles(f, true, true); break;
    case OP_i64x2_extmul_low_i32x4_u: multiply_doubles(f, false, false); break;
    case OP_i64x2_extmul_high_i32x4_u: multiply_doubles(f, false, true); break;
    case OP_i16x8_extadd_pairwise_i8x16_s:
    case OP_i16x8_extadd_pairwise_i8x16_u:
    case OP_i32x4_extadd_pairwise_i16x8_s:
    case OP_i32x4_extadd_pairwise_i16x8_u: add_pairs(f, op); break;
    case OP_i16x8_q15mulr_sat_s: q15_multiply(f); break;
    case OP_f32x4_abs: with_constant(f, I_PAND, TWICE(0x7fffffffu)); break;
    case OP_f32x4_neg: with_constant(f, I_PXOR, TWICE(0x80000000u)); break;
    case OP_f64x2_abs: with_constant(f, I_PAND, INT64_MAX); break;
    case OP_f64x2_neg: with_constant(f, I_PXOR, 1ull << 63); break;
    case OP_f32x4_min: min_max(f, false, false); break;
    case OP_f32x4_max: min_max(f, false, true); break;
    case OP_f64x2_min: min_max(f, true, false); break;
    case OP_f64x2_max: min_max(f, true, true); break;
    case OP_i32x4_trunc_sat_f32x4_s: truncate_s(f); break;
    case OP_i32x4_trunc_sat_f32x4_u: truncate_u(f); break;
    case OP_i32x4_trunc_sat_f64x2_s_zero: truncate_wide_s(f); break;
    case OP_i32x4_trunc_sat_f64x2_u_zero: truncate_wide_u(f); break;
    case OP_f32x4_convert_i32x4_u: convert_u(f); break;
    case OP_f64x2_convert_low_i32x4_u: convert_wide_u(f); break;
    case OP_f32x4_relaxed_madd: multiply_add(f, I_MULPS, I_ADDPS, false); break;
    case OP_f32x4_relaxed_nmadd: multiply_add(f, I_MULPS, I_SUBPS, true); break;
    case OP_f64x2_relaxed_madd: multiply_add(f, I_MULPD, I_ADDPD, false); break;
    case OP_f64x2_relaxed_nmadd: multiply_add(f, I_MULPD, I_SUBPD, true); break;
    case OP_i16x8_relaxed_dot_i8x16_i7x16_s: dot(f, false); break;
    case OP_i32x4_relaxed_dot_i8x16_i7x16_add_s: dot(f, true); break;
    default: break;
    }
}

void simd(struct fast *f)
{
    u32 n = simd_strict(leb_u32(&f->pc));
    const struct row *row = &rows[n & 0xff];
    if (n >= SIMD_RELAXED || !row->insn) {
        other(f, op_prefixed(0xfd, n));
        return;
    }
    switch ((enum kind)row->kind) {
    case BINARY: binary(f, row->insn); break;
    case UNARY:
    case ROUND: unary(f, row); break;
    case WIDEN:
    case WIDEN_HIGH: widen(f, row); break;
    case SHIFT: shift(f, row->insn, 8u << row->extra); break;
    case PRODUCT:
    case PRODUCT_HIGH: product(f, row); break;
    case SWAPPED:
    case NEITHER:
    case NEITHER_B:
    case SAME_AS:
    case NOT_SAME:
    case COMPARE:
    case COMPARE_B: with_two(f, row); break;
    }
}
