// SPDX-License-Identifier: MIT
// Conversions. Float to integer goes by the machine's instruction, which answers "indefinite" for
// what does not fit; what that means is found out out of line.
#include "fast/emit.h"

static void convert_int(struct fast *f, u32 insn, bool wide, enum ty to)
{
    u32 a = pop_reg(f);
    u32 dst = result_begin(f, to, unless_free(f, to, a));
    x64_reg(&f->a, insn, wide, dst, a);
    result_end(f, to, dst);
}

// i64.extend_i32_u: an i32 is zero-extended already, but not in the frame.
static void retype(struct fast *f)
{
    struct slot *s = &f->slots[f->sp - 1];
    if (s->kind == SLOT_MEM)
        push_reg(f, T64, pop_reg(f));
    else
        s->type = T64;
    if (!s->bits)
        s->bits = 32;
}

// i32.wrap_i64 of what is in a register, in a cell of the frame, or in a local.
static void wrap(struct fast *f)
{
    struct slot s = pop(f);
    struct x64_operand m;
    bool cell = in_frame(f, &s, &m);
    u32 a = cell ? NO_REG : value_reg(f, &s);
    u32 dst = result_begin(f, T32, unless_free(f, T32, a));
    if (cell)
        x64_mem(&f->a, I_MOV_LOAD, false, dst, m);
    else
        x64_reg(&f->a, I_MOV_LOAD, false, dst, a);
    result_end(f, T32, dst);
}

static void float_to_float(struct fast *f, enum ty to, u32 insn)
{
    u32 a = pop_reg(f);
    u32 dst = result_begin(f, to, a);
    float_unary(f, insn, dst, a);
    result_end(f, to, dst);
}

static void int_to_float(struct fast *f, enum ty to, bool wide)
{
    u32 a = pop_reg(f);
    u32 dst = result_begin(f, to, NO_REG);
    x64_reg(&f->a, I_XORPS, false, dst, dst);
    x64_reg(&f->a, to == TF32 ? I_CVTSI2SS : I_CVTSI2SD, wide, dst, a);
    result_end(f, to, dst);
}

// Above 2^63: halve, keeping the lowest bit for rounding (round to odd), convert, double.
static void u64_to_float(struct fast *f, enum ty to)
{
    struct assembler *s = &f->a;
    u32 insn = to == TF32 ? I_CVTSI2SS : I_CVTSI2SD;
    u32 a = pop_reg(f);
    u32 low = reg_alloc(f, GPR_MASK);
    u32 dst = result_begin(f, to, NO_REG);
    x64_reg(s, I_XORPS, false, dst, dst);
    x64_reg(s, I_TEST, true, a, a);
    u8 *big = x64_jcc8(s, CC_S);
    x64_reg(s, insn, true, dst, a);
    u8 *done = x64_jmp8(s);
    x64_bind8(s, big);
    move_reg(f, T64, SCRATCH, a);
    move_reg(f, T64, low, a);
    x64_shift_imm(s, SH_SHR, true, SCRATCH, 1);
    x64_imm(s, G1_AND, false, low, 1);
    x64_reg(s, I_OR, true, SCRATCH, low);
    x64_reg(s, insn, true, dst, SCRATCH);
    x64_reg(s, to == TF32 ? I_ADDSS : I_ADDSD, false, dst, dst);
    x64_bind8(s, done);
    result_end(f, to, dst);
}

// --- Float to integer
struct trunc {
    enum ty from, to;
    bool is_signed, sat;
};

static void trunc_convert(struct fast *f, const struct trunc *t, bool wide, u32 dst, u32 a)
{
    x64_reg(&f->a, t->from == TF32 ? I_CVTTSS2SI : I_CVTTSD2SI, wide, dst, a);
}

static void trunc_compare(struct fast *f, const struct trunc *t, u32 a, u64 f32_bits, u64 f64_bits)
{
    const_to_reg(f, t->from, SCRATCH_XMM, t->from == TF32 ? f32_bits : f64_bits);
    x64_reg(&f->a, t->from == TF32 ? I_UCOMISS : I_UCOMISD, false, a, SCRATCH_XMM);
}

// What a conversion that failed means, out of line: for NaN and out of range, a trap, or the
// nearest value. a is the operand, dst has the machine's "indefinite" value, which may be the true
// result when a is at the low end.
static void trunc_slow(struct fast *f, const struct trunc *t, u32 dst, u32 a)
{
    struct assembler *s = &f->a;
    bool wide = ty_wide(t->to);
    x64_reg(s, t->from == TF32 ? I_UCOMISS : I_UCOMISD, false, a, a);
    u8 *number = x64_jcc8(s, CC_NP);
    if (t->sat)
        x64_mov_imm(s, dst, 0);
    else
        x64_trap(s, TRAP_INT_CONVERSION);
    u8 *done = t->sat ? x64_jmp8(s) : NULL;
    x64_bind8(s, number);
    if (t->sat) {
        trunc_compare(f, t, a, 0, 0);
        x64_mov_imm(s, dst, t->is_signed ? (wide ? 1ull << 63 : 1u << 31) : 0);
        u8 *low = x64_jcc8(s, CC_B);
        x64_mov_imm(s, dst,
                    t->is_signed ? (wide ? INT64_MAX : INT32_MAX)
                                 : (wide ? UINT64_MAX : UINT32_MAX));
        x64_bind8(s, low);
        x64_bind8(s, done);
        return;
    }
    if (t->is_signed) {
        // At or just above the least integer the result is right: -2^63, -2^31, and for f64 down to
        // -2^31 - 1, exclusive.
        if (!wide && t->from == TF64)
            trunc_compare(f, t, a, 0, 0xc1e0000000200000);
        else
            trunc_compare(f, t, a, wide ? 0xdf000000 : 0xcf000000, 0xc3e0000000000000);
        u8 *low = x64_jcc8(s, !wide && t->from == TF64 ? CC_BE : CC_B);
        trunc_compare(f, t, a, 0, 0);
        u8 *fine = x64_jcc8(s, CC_B);
        x64_bind8(s, low);
        x64_trap(s, TRAP_INT_OVERFLOW);
        x64_bind8(s, fine);
        return;
    }
    x64_trap(s, TRAP_INT_OVERFLOW);
}

static void trunc_out_of_line(struct fast *f, const struct trunc *t, u8 *site, u32 dst, u32 a)
{
    struct cold *c = cold_begin(f, site, 256);
    if (!c)
        return;
    trunc_slow(f, t, dst, a);
    cold_end(f, c);
    c->is_offset = true;
    c->target = here(f);
}

static void trunc_signed(struct fast *f, const struct trunc *t, u32 dst, u32 a)
{
    bool wide = ty_wide(t->to);
    trunc_convert(f, t, wide, dst, a);
    x64_imm(&f->a, G1_CMP, wide, dst, 1); // overflows for the indefinite value only
    trunc_out_of_line(f, t, x64_jcc(&f->a, CC_O), dst, a);
}

static void trunc_u32(struct fast *f, const struct trunc *t, u32 dst, u32 a)
{
    trunc_convert(f, t, true, dst, a);
    move_reg(f, T64, SCRATCH, dst);
    x64_shift_imm(&f->a, SH_SHR, true, SCRATCH, 32);
    trunc_out_of_line(f, t, x64_jcc(&f->a, CC_NE), dst, a);
}

// From 2^63 on: subtract that, convert, put the top bit back.
static void trunc_u64(struct fast *f, const struct trunc *t, u32 dst, u32 a)
{
    struct assembler *s = &f->a;
    bool f32 = t->from == TF32;
    u32 rest = reg_alloc(f, XMM_MASK);
    trunc_compare(f, t, a, 0x5f000000, 0x43e0000000000000);
    u8 *big = x64_jcc8(s, CC_AE); // not for NaN, which sets carry
    trunc_convert(f, t, true, dst, a);
    x64_reg(s, I_TEST, true, dst, dst);
    u8 *small_done = x64_jcc8(s, CC_NS);
    u8 *bad = x64_jmp(s);
    x64_bind8(s, big);
    move_reg(f, t->from, rest, a);
    x64_reg(s, f32 ? I_SUBSS : I_SUBSD, false, rest, SCRATCH_XMM);
    trunc_convert(f, t, true, dst, rest);
    x64_mov_imm(s, SCRATCH, 1ull << 63);
    x64_reg(s, I_XOR, true, dst, SCRATCH);
    u8 *bad2 = x64_jcc(s, CC_NS);
    x64_bind8(s, small_done);
    struct cold *c = cold_begin(f, bad, 256);
    if (!c)
        return;
    trunc_slow(f, t, dst, a);
    cold_end(f, c);
    c->is_offset = true;
    c->target = here(f);
    c = cold_begin(f, bad2, 256);
    if (!c)
        return;
    trunc_slow(f, t, dst, a);
    cold_end(f, c);
    c->is_offset = true;
    c->target = here(f);
}

void truncate(struct fast *f, enum ty from, enum ty to, bool is_signed, bool sat)
{
    struct trunc t = {from, to, is_signed, sat};
    u32 a = pop_reg(f);
    u32 dst = result_begin(f, to, NO_REG);
    if (is_signed)
        trunc_signed(f, &t, dst, a);
    else if (to == T32)
        trunc_u32(f, &t, dst, a);
    else
        trunc_u64(f, &t, dst, a);
    result_end(f, to, dst);
}

static void reinterpret(struct fast *f, enum ty from, enum ty to)
{
    u32 a = pop_reg(f);
    u32 dst = result_begin(f, to, NO_REG);
    if (ty_fp(to))
        x64_reg(&f->a, I_MOVD_TO_XMM, ty_wide(to), dst, a);
    else
        x64_reg(&f->a, I_MOVD_FROM_XMM, ty_wide(from), a, dst);
    result_end(f, to, dst);
}

void conversion(struct fast *f, u32 op)
{
    switch (op) {
    case OP_i32_wrap_i64: wrap(f); break;
    case OP_i32_trunc_f32_s: truncate(f, TF32, T32, true, false); break;
    case OP_i32_trunc_f32_u: truncate(f, TF32, T32, false, false); break;
    case OP_i32_trunc_f64_s: truncate(f, TF64, T32, true, false); break;
    case OP_i32_trunc_f64_u: truncate(f, TF64, T32, false, false); break;
    case OP_i64_extend_i32_s: convert_int(f, I_MOVSXD, true, T64); break;
    case OP_i64_extend_i32_u: retype(f); break;
    case OP_i64_trunc_f32_s: truncate(f, TF32, T64, true, false); break;
    case OP_i64_trunc_f32_u: truncate(f, TF32, T64, false, false); break;
    case OP_i64_trunc_f64_s: truncate(f, TF64, T64, true, false); break;
    case OP_i64_trunc_f64_u: truncate(f, TF64, T64, false, false); break;
    case OP_f32_convert_i32_s: int_to_float(f, TF32, false); break;
    case OP_f32_convert_i32_u: int_to_float(f, TF32, true); break;
    case OP_f32_convert_i64_s: int_to_float(f, TF32, true); break;
    case OP_f32_convert_i64_u: u64_to_float(f, TF32); break;
    case OP_f32_demote_f64: float_to_float(f, TF32, I_CVTSD2SS); break;
    case OP_f64_convert_i32_s: int_to_float(f, TF64, false); break;
    case OP_f64_convert_i32_u: int_to_float(f, TF64, true); break;
    case OP_f64_convert_i64_s: int_to_float(f, TF64, true); break;
    case OP_f64_convert_i64_u: u64_to_float(f, TF64); break;
    case OP_f64_promote_f32: float_to_float(f, TF64, I_CVTSS2SD); break;
    case OP_i32_reinterpret_f32: reinterpret(f, TF32, T32); break;
    case OP_i64_reinterpret_f64: reinterpret(f, TF64, T64); break;
    case OP_f32_reinterpret_i32: reinterpret(f, T32, TF32); break;
    case OP_f64_reinterpret_i64: reinterpret(f, T64, TF64); break;
    case OP_i32_extend8_s: convert_int(f, I_MOVSX8, false, T32); break;
    case OP_i32_extend16_s: convert_int(f, I_MOVSX16, false, T32); break;
    case OP_i64_extend8_s: convert_int(f, I_MOVSX8, true, T64); break;
    case OP_i64_extend16_s: convert_int(f, I_MOVSX16, true, T64); break;
    case OP_i64_extend32_s: convert_int(f, I_MOVSXD, true, T64); break;
    default: break;
    }
}
