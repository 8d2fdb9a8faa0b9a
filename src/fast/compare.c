// SPDX-License-Identifier: MIT
// Comparisons and select. A comparison that the next instruction branches on, selects on or negates
// stays in the flags (SLOT_FLAGS); between it and its use only moves are emitted.
#include "fast/emit.h"

void push_condition(struct fast *f, u32 cc)
{
    if (flags_wanted(f->pc)) {
        push(f, SLOT_FLAGS, T32)->reg = (u8)cc;
        return;
    }
    struct assembler *s = &f->a;
    u32 dst = result_begin(f, T32, NO_REG);
    if (cc >= CC_FEQ) {
        x64_setcc(s, cc == CC_FEQ ? CC_NP : CC_P, SCRATCH);
        x64_setcc(s, cc == CC_FEQ ? CC_E : CC_NE, dst);
        x64_reg(s, cc == CC_FEQ ? I_AND : I_OR, false, dst, SCRATCH);
        x64_reg(s, I_MOVZX8, false, dst, dst);
    } else {
        x64_mov_imm(s, dst, 0);
        x64_setcc(s, (enum x64_cc)cc, dst);
        flags_of(f, dst, false);
        f->zf_cc = (u8)cc;
    }
    result_end(f, T32, dst);
}

// The condition for the operands exchanged.
static u32 cc_swap(u32 cc)
{
    switch (cc) {
    case CC_B: return CC_A;
    case CC_A: return CC_B;
    case CC_AE: return CC_BE;
    case CC_BE: return CC_AE;
    case CC_L: return CC_G;
    case CC_G: return CC_L;
    case CC_GE: return CC_LE;
    case CC_LE: return CC_GE;
    default: return cc;
    }
}

u32 condition_of(u32 op)
{
    static const u8 cc[] = {CC_E, CC_NE, CC_L, CC_B, CC_G, CC_A, CC_LE, CC_BE, CC_GE, CC_AE};
    return cc[op - (op < OP_i64_eq ? OP_i32_eq : OP_i64_eq)];
}

u32 nonzero(struct fast *f, u32 r, bool wide)
{
    if (f->zf_at == f->a.p && f->zf_reg == r && f->zf_wide == wide)
        return f->zf_cc;
    x64_reg(&f->a, I_TEST, wide, r, r);
    flags_of(f, r, wide);
    return CC_NE;
}

void compare(struct fast *f, enum ty t, u32 op)
{
    u32 cc = condition_of(op);
    bool wide = ty_wide(t);
    struct slot *sb = pop_slot(f);
    struct x64_operand m;
    if (sb->kind == SLOT_CONST && fits_s32(t, sb->imm)) {
        u32 a = pop_reg(f);
        if ((s32)sb->imm == 0 && (cc == CC_E || cc == CC_NE)) {
            cc = nonzero(f, a, wide) ^ (cc == CC_E);
        } else {
            x64_imm(&f->a, G1_CMP, wide, a, (s32)sb->imm);
        }
        push_condition(f, cc);
        return;
    }
    if (in_frame(f, sb, &m)) {
        u32 a = pop_reg(f);
        x64_mem(&f->a, I_CMP, wide, a, m);
        push_condition(f, cc);
        return;
    }
    u32 b = value_reg(f, sb);
    struct slot *sa = pop_slot(f);
    if (sa->kind == SLOT_CONST && fits_s32(t, sa->imm)) {
        x64_imm(&f->a, G1_CMP, wide, b, (s32)sa->imm);
        push_condition(f, cc_swap(cc));
        return;
    }
    u32 a = value_reg(f, sa);
    x64_reg(&f->a, I_CMP, wide, a, b);
    push_condition(f, cc);
}

void eqz(struct fast *f, bool wide)
{
    struct slot *s = pop_slot(f);
    if (s->kind == SLOT_FLAGS) {
        push_condition(f, s->reg ^ 1);
        return;
    }
    u32 a = value_reg(f, s);
    push_condition(f, nonzero(f, a, wide) ^ 1);
}

// Orders are tested as "above", which is false for NaN; less-than exchanges the operands.
void compare_float(struct fast *f, enum ty t, u32 op)
{
    static const u8 cc[] = {[OP_f32_eq - OP_f32_eq] = CC_FEQ, CC_FNE, CC_A, CC_A, CC_AE, CC_AE};
    u32 which = op - (t == TF32 ? OP_f32_eq : OP_f64_eq);
    bool swap = which == OP_f32_lt - OP_f32_eq || which == OP_f32_le - OP_f32_eq;
    u32 insn = t == TF32 ? I_UCOMISS : I_UCOMISD;
    struct slot *sb = pop_slot(f);
    if (sb->kind == SLOT_CONST && !swap) {
        constant_operand(f, insn, pop_reg(f), sb->imm);
    } else {
        u32 b = value_reg(f, sb), a = pop_reg(f);
        x64_reg(&f->a, insn, false, swap ? b : a, swap ? a : b);
    }
    push_condition(f, cc[which]);
}

// Returns the register of the result.
static u32 select_flags(struct fast *f, enum ty t, u32 cc, u32 a, u32 b)
{
    struct assembler *s = &f->a;
    u32 dst;
    if (!ty_fp(t)) {
        bool wide = ty_wide(t);
        // With b in place, move a over it if the condition holds; or the other way round. Two
        // flags: start from the one that both moves replace.
        bool from_b = cc == CC_FNE || (cc != CC_FEQ && (may_take(f, t, b) || !may_take(f, t, a)));
        dst = result_begin(f, t, from_b ? b : a);
        if (cc < CC_FEQ && (dst == a || dst == b))
            from_b = dst == b;
        u32 keep = from_b ? b : a, other = from_b ? a : b;
        if (dst == other && dst != keep) {
            move_reg(f, t, SCRATCH, other);
            other = SCRATCH;
        }
        move_reg(f, t, dst, keep);
        if (cc >= CC_FEQ) {
            x64_cmov(s, CC_NE, wide, dst, other);
            x64_cmov(s, CC_P, wide, dst, other);
        } else {
            x64_cmov(s, (enum x64_cc)(from_b ? cc : cc ^ 1), wide, dst, other);
        }
    } else {
        dst = result_begin(f, t, a);
        if (dst == b && a != b) {
            move_reg(f, t, SCRATCH_XMM, b);
            b = SCRATCH_XMM;
        }
        move_reg(f, t, dst, a);
        u8 *keep = NULL, *take = NULL;
        if (cc == CC_FNE) {
            keep = x64_jcc8(s, CC_P);
            cc = CC_NE;
        } else if (cc == CC_FEQ) {
            take = x64_jcc8(s, CC_P);
            cc = CC_E;
        }
        u8 *over = x64_jcc8(s, (enum x64_cc)cc);
        if (take)
            x64_bind8(s, take);
        move_reg(f, t, dst, b);
        x64_bind8(s, over);
        if (keep)
            x64_bind8(s, keep);
    }
    result_end(f, t, dst);
    return dst;
}

void select_op(struct fast *f)
{
    u32 cc = pop_condition(f);
    enum ty t = f->slots[f->sp - 1].type;
    bool known = f->zf_at == f->a.p;
    u32 before = f->busy;
    u32 b = pop_reg(f), a = pop_reg(f);
    u32 dst = select_flags(f, t, cc, a, b);
    bool loaded = (f->busy & ~before) & BIT(f->zf_reg); // an operand, perhaps
    if (known && f->zf_at && !loaded && dst != f->zf_reg)
        f->zf_at = f->a.p; // the same condition may decide again
}
