// SPDX-License-Identifier: MIT
// Floating-point arithmetic. Operands are never exchanged, so that of two NaNs the first comes out,
// as wasm/num.h has it.
#include "fast/emit.h"

static void float_binary(struct fast *f, enum ty t, u32 insn)
{
    struct slot *sb = pop_slot(f);
    struct x64_operand m;
    if (in_frame(f, sb, &m)) {
        u32 a = pop_reg(f);
        u32 dst = result_begin(f, t, a);
        x64_mem(&f->a, with_first(f, insn, dst, a), false, dst, m);
        result_end(f, t, dst);
        return;
    }
    if (sb->kind == SLOT_CONST) {
        u32 a = pop_reg(f);
        u32 dst = result_begin(f, t, a);
        constant_operand(f, with_first(f, insn, dst, a), dst, sb->imm);
        result_end(f, t, dst);
        return;
    }
    u32 b = value_reg(f, sb), a = pop_reg(f);
    u32 dst = result_begin(f, t, a);
    two_operand(f, insn, t, dst, a, b);
    result_end(f, t, dst);
}

// min and max as the specification has them: equal operands may be zeros of different sign, and
// NaNs go through an addition, so that the first one comes out, quieted.
static void float_min_max(struct fast *f, enum ty t, bool max)
{
    struct assembler *s = &f->a;
    bool wide = ty_wide(t);
    u32 b = pop_reg(f), a = pop_reg(f);
    move_reg(f, t, SCRATCH_XMM, a);
    x64_reg(s, wide ? I_UCOMISD : I_UCOMISS, false, SCRATCH_XMM, b);
    u8 *differ = x64_jcc8(s, CC_NE);
    u8 *nan = x64_jcc8(s, CC_P);
    x64_reg(s, max ? I_ANDPS : I_ORPS, false, SCRATCH_XMM, b);
    u8 *done = x64_jmp8(s);
    x64_bind8(s, nan);
    x64_reg(s, wide ? I_ADDSD : I_ADDSS, false, SCRATCH_XMM, b);
    u8 *done2 = x64_jmp8(s);
    x64_bind8(s, differ);
    x64_reg(s, wide ? (max ? I_MAXSD : I_MINSD) : (max ? I_MAXSS : I_MINSS), false, SCRATCH_XMM, b);
    x64_bind8(s, done);
    x64_bind8(s, done2);
    u32 dst = result_begin(f, t, a);
    move_reg(f, t, dst, SCRATCH_XMM);
    result_end(f, t, dst);
}

static void square_root(struct fast *f, enum ty t, u32 insn)
{
    u32 a = pop_reg(f);
    u32 dst = result_begin(f, t, a);
    float_unary(f, insn, dst, a);
    result_end(f, t, dst);
}

static u64 sign_bit(enum ty t)
{
    return t == TF32 ? 0x80000000u : 1ull << 63;
}

// dst = a op mask, with the sign bit (or all others) as the mask.
static void sign_op(struct fast *f, enum ty t, u32 insn, u64 mask)
{
    u32 a = pop_reg(f);
    u32 dst = result_begin(f, t, a);
    const_to_reg(f, t, SCRATCH_XMM, mask);
    x64_reg(&f->a, with_first(f, insn, dst, a), false, dst, SCRATCH_XMM);
    result_end(f, t, dst);
}

static void copysign(struct fast *f, enum ty t)
{
    struct assembler *s = &f->a;
    u32 b = pop_reg(f), a = pop_reg(f);
    u32 sign = owned(f, b) ? b : reg_alloc(f, XMM_MASK);
    move_reg(f, t, sign, b);
    const_to_reg(f, t, SCRATCH_XMM, sign_bit(t));
    x64_reg(s, I_ANDPS, false, sign, SCRATCH_XMM);
    x64_reg(s, I_ANDNPS, false, SCRATCH_XMM, a); // ~sign bit & a
    x64_reg(s, I_ORPS, false, SCRATCH_XMM, sign);
    u32 dst = result_begin(f, t, a);
    move_reg(f, t, dst, SCRATCH_XMM);
    result_end(f, t, dst);
}

static void float_round(struct fast *f, enum ty t, u32 mode)
{
    u32 a = pop_reg(f);
    u32 dst = result_begin(f, t, a);
    float_unary(f, t == TF32 ? I_ROUNDSS : I_ROUNDSD, dst, a);
    x64_byte(&f->a, mode);
    result_end(f, t, dst);
}

void float_op(struct fast *f, u32 op)
{
    switch (op) {
#define FLOAT(s, T, BITS, SS)                                                                      \
    case OP_f##BITS##_abs: sign_op(f, T, I_ANDPS, sign_bit(T) - 1); break;                         \
    case OP_f##BITS##_neg: sign_op(f, T, I_XORPS, sign_bit(T)); break;                             \
    case OP_f##BITS##_ceil: float_round(f, T, 10); break;                                          \
    case OP_f##BITS##_floor: float_round(f, T, 9); break;                                          \
    case OP_f##BITS##_trunc: float_round(f, T, 11); break;                                         \
    case OP_f##BITS##_nearest: float_round(f, T, 8); break;                                        \
    case OP_f##BITS##_sqrt: square_root(f, T, I_SQRT##SS); break;                                  \
    case OP_f##BITS##_add: float_binary(f, T, I_ADD##SS); break;                                   \
    case OP_f##BITS##_sub: float_binary(f, T, I_SUB##SS); break;                                   \
    case OP_f##BITS##_mul: float_binary(f, T, I_MUL##SS); break;                                   \
    case OP_f##BITS##_div: float_binary(f, T, I_DIV##SS); break;                                   \
    case OP_f##BITS##_min: float_min_max(f, T, false); break;                                      \
    case OP_f##BITS##_max: float_min_max(f, T, true); break;                                       \
    case OP_f##BITS##_copysign: copysign(f, T); break;
        FLOAT(s, TF32, 32, SS)
        FLOAT(d, TF64, 64, SD)
#undef FLOAT
    default: break;
    }
}
