// SPDX-License-Identifier: MIT
// The walk over a body: one case per instruction, each popping slots, writing machine code and
// pushing a slot.
//
// Two looks ahead make most of the difference to plain stack code. A result that the next
// instruction puts into a pinned local is computed right there (result_begin). A comparison that
// the next instruction branches, selects or negates on stays in the flags (SLOT_FLAGS); between the
// comparison and its use only moves are emitted.
#include "fast/state.h"
#include "wasm/runtime.h"

// --- Results
// Where the result of the present instruction should go: the register of the pinned local that the
// next instruction sets, or NO_REG. Slots that refer to the local's old value get copies now;
// operands have been popped.
static u32 result_hint(struct fast *f)
{
    u32 op = *f->pc;
    if (op != OP_local_set && op != OP_local_tee)
        return NO_REG;
    const u8 *next = f->pc + 1;
    u32 local = leb_u32(&next);
    u32 r = f->local_reg[local];
    if (r == NO_REG || !pinned(f, r))
        return NO_REG;
    if (f->ref_head[local])
        refs_materialize(f, local);
    f->hint.reg = r;
    f->hint.local = local;
    f->hint.tee = op == OP_local_tee;
    f->hint.next = next;
    return r;
}

// The result is in r: the hint's register, or one that is the instruction's own.
static void result_end(struct fast *f, enum ty t, u32 r)
{
    if (f->hint.reg != r) {
        push_reg(f, t, r);
        return;
    }
    f->hint.reg = NO_REG;
    f->dirty |= BIT(r);
    f->pc = f->hint.next;
    if (f->hint.tee)
        push_local(f, f->hint.local);
}

// A register for the result: the hint's, else a's if that is free to be overwritten, else a new
// one.
static u32 result_begin(struct fast *f, enum ty t, u32 a)
{
    u32 r = result_hint(f);
    if (r != NO_REG)
        return r;
    f->hint.reg = NO_REG;
    return a != NO_REG && owned(f, a) ? a : reg_alloc(f, class_of(t));
}

static void flags_of(struct fast *f, u32 r, bool wide)
{
    f->zf_at = f->a.p;
    f->zf_reg = r;
    f->zf_wide = wide;
}

// --- Integers
static bool fits_s32(enum ty t, u64 imm)
{
    return t == T32 || (s64)imm == (s32)imm;
}

// An operand that instructions can read where it is, in the frame: a spilled slot, or a local that
// is not cached when registers are short.
static bool in_frame(struct fast *f, const struct slot *s, struct x64_operand *m)
{
    if (s->kind == SLOT_MEM) {
        *m = frame_at(f, stack_cell(f, f->sp));
        return true;
    }
    if (s->kind != SLOT_LOCAL || f->local_reg[s->local] != NO_REG)
        return false;
    if (f->alloc & class_of(s->type) & ~(f->cache | f->temp | f->busy))
        return false;
    *m = frame_at(f, s->local);
    return true;
}

// dst = a op b for a two-operand instruction whose operands cannot be exchanged, dst = b allowed.
static void two_operand(struct fast *f, u32 insn, enum ty t, u32 dst, u32 a, u32 b)
{
    bool wide = ty_wide(t);
    if (dst == b && a != b) {
        u32 scratch = ty_fp(t) ? SCRATCH_XMM : SCRATCH;
        move_reg(f, t, scratch, a);
        x64_reg(&f->a, insn, wide, scratch, b);
        move_reg(f, t, dst, scratch);
        return;
    }
    move_reg(f, t, dst, a);
    x64_reg(&f->a, insn, wide, dst, b);
}

struct alu {
    u32 insn;
    enum x64_group1 group;
    bool commutes;
};

static void alu_imm(struct fast *f, enum ty t, const struct alu *op, u32 a, s32 imm)
{
    bool wide = ty_wide(t);
    u32 dst = result_begin(f, t, a);
    if (dst != a && (op->insn == I_ADD || op->insn == I_SUB) && imm != INT32_MIN) {
        x64_mem(&f->a, I_LEA, wide, dst, x64_at(a, op->insn == I_ADD ? imm : -imm));
    } else {
        move_reg(f, t, dst, a);
        x64_imm(&f->a, op->group, wide, dst, imm);
        flags_of(f, dst, wide);
    }
    result_end(f, t, dst);
}

static void alu(struct fast *f, enum ty t, const struct alu *op)
{
    bool wide = ty_wide(t);
    struct slot sb = pop(f);
    if (sb.kind == SLOT_CONST && fits_s32(t, sb.imm)) {
        alu_imm(f, t, op, pop_reg(f), (s32)sb.imm);
        return;
    }
    struct x64_operand m;
    u32 b = NO_REG;
    if (!in_frame(f, &sb, &m))
        b = value_reg(f, &sb);
    struct slot sa = pop(f);
    if (op->commutes && sa.kind == SLOT_CONST && b != NO_REG && fits_s32(t, sa.imm)) {
        alu_imm(f, t, op, b, (s32)sa.imm);
        return;
    }
    u32 a = value_reg(f, &sa);
    if (b == NO_REG) {
        u32 dst = result_begin(f, t, a);
        move_reg(f, t, dst, a);
        x64_mem(&f->a, op->insn, wide, dst, m);
        flags_of(f, dst, wide);
        result_end(f, t, dst);
        return;
    }
    if (op->commutes && !owned(f, a) && owned(f, b)) {
        u32 swap = a;
        a = b;
        b = swap;
    }
    u32 dst = result_begin(f, t, a);
    if (op->insn == I_ADD && dst != a && dst != b) {
        x64_mem(&f->a, I_LEA, wide, dst, (struct x64_operand){(u8)a, (u8)b, 0, false, false, 0});
    } else {
        if (dst == b && op->commutes) {
            b = a;
            a = dst;
        }
        two_operand(f, op->insn, t, dst, a, b);
        flags_of(f, dst, wide);
    }
    result_end(f, t, dst);
}

static void multiply_const(struct fast *f, enum ty t, u32 a, u64 imm)
{
    bool wide = ty_wide(t);
    u32 dst = result_begin(f, t, a);
    u64 value = wide ? imm : (u32)imm;
    if (value && !(value & (value - 1))) {
        move_reg(f, t, dst, a);
        x64_shift_imm(&f->a, SH_SHL, wide, dst, (u32)__builtin_ctzll(value));
    } else if (value == 3 || value == 5 || value == 9) {
        x64_mem(&f->a, I_LEA, wide, dst,
                (struct x64_operand){(u8)a, (u8)a,
                                     value == 3   ? 1
                                     : value == 5 ? 2
                                                  : 3,
                                     false, false, 0});
    } else {
        x64_imul_imm(&f->a, wide, dst, a, (s32)imm);
    }
    result_end(f, t, dst);
}

static void multiply(struct fast *f, enum ty t)
{
    struct slot sb = pop(f);
    if (sb.kind == SLOT_CONST && fits_s32(t, sb.imm)) {
        multiply_const(f, t, pop_reg(f), sb.imm);
        return;
    }
    u32 b = value_reg(f, &sb), a = pop_reg(f);
    if (!owned(f, a) && owned(f, b)) {
        u32 swap = a;
        a = b;
        b = swap;
    }
    u32 dst = result_begin(f, t, a);
    if (dst == b) {
        b = a;
        a = dst;
    }
    two_operand(f, I_IMUL, t, dst, a, b);
    result_end(f, t, dst);
}

static void shift_by_cl(struct fast *f, enum ty t, enum x64_shift op)
{
    struct slot sb = pop(f);
    u32 b = value_reg(f, &sb), a = pop_reg(f);
    bool wide = ty_wide(t);
    // The value goes through the scratch register, so that it may come from rcx, too.
    move_reg(f, t, SCRATCH, a);
    if (b != RCX) {
        if (!(f->busy & BIT(RCX)) || a == RCX)
            reg_take(f, RCX);
        move_reg(f, T32, RCX, b);
    }
    x64_shift_cl(&f->a, op, wide, SCRATCH);
    u32 dst = result_begin(f, t, a == RCX ? NO_REG : a);
    move_reg(f, t, dst, SCRATCH);
    result_end(f, t, dst);
}

static void shift(struct fast *f, enum ty t, enum x64_shift op)
{
    bool wide = ty_wide(t);
    bool rotate = op == SH_ROL || op == SH_ROR;
    struct slot *sb = &f->slots[f->sp - 1];
    if (sb->kind == SLOT_CONST) {
        u32 mask = wide ? 63 : 31, count = (u32)sb->imm & mask;
        pop(f);
        u32 a = pop_reg(f);
        u32 dst = result_begin(f, t, a);
        if (rotate && dst != a && (f->features & X64_BMI2)) {
            x64_rorx(&f->a, wide, dst, a, op == SH_ROR ? count : (0 - count) & mask);
        } else {
            move_reg(f, t, dst, a);
            if (count) {
                x64_shift_imm(&f->a, op, wide, dst, count);
                if (!rotate)
                    flags_of(f, dst, wide);
            }
        }
        result_end(f, t, dst);
        return;
    }
    if (rotate || !(f->features & X64_BMI2)) {
        shift_by_cl(f, t, op);
        return;
    }
    u32 b = pop_reg(f), a = pop_reg(f);
    u32 dst = result_begin(f, t, a);
    x64_shiftx(&f->a, op, wide, dst, a, b);
    result_end(f, t, dst);
}

// Division by a power of two, unsigned. False: not that.
static bool divide_shift(struct fast *f, enum ty t, u64 d, bool rem)
{
    bool wide = ty_wide(t);
    if (!wide)
        d = (u32)d;
    if (!d || (d & (d - 1)) || (rem && d > 1u << 31))
        return false;
    pop(f);
    u32 a = pop_reg(f);
    u32 dst = result_begin(f, t, a);
    move_reg(f, t, dst, a);
    if (rem)
        x64_imm(&f->a, G1_AND, wide, dst, (s32)(d - 1));
    else if (d > 1)
        x64_shift_imm(&f->a, SH_SHR, wide, dst, (u32)__builtin_ctzll(d));
    result_end(f, t, dst);
    return true;
}

// Unsigned 32-bit division by a constant: multiply by the rounded-up reciprocal (Granlund and
// Montgomery, "Division by invariant integers using multiplication", PLDI 1994; Hacker's Delight
// 10-9). The 33-bit multiplier is split into 2^32 + m, and the sum taken in 64 bits.
static bool divide_const_u32(struct fast *f, u32 d, bool rem)
{
    if (d < 3)
        return false;
    u32 l = 32 - (u32)__builtin_clz(d - 1);      // ceil(log2 d)
    u64 m = ((((1ull << l) - d) << 32) / d) + 1; // multiplier less 2^32
    pop(f);
    u32 a = pop_reg(f);
    u32 q = reg_alloc(f, GPR_MASK);
    struct assembler *s = &f->a;
    // q = ((a * m >> 32) + a) >> l, the sum having 33 bits
    x64_mov_imm(s, SCRATCH, m);
    x64_reg(s, I_IMUL, true, SCRATCH, a);
    x64_shift_imm(s, SH_SHR, true, SCRATCH, 32);
    x64_mem(s, I_LEA, true, q, (struct x64_operand){(u8)a, SCRATCH, 0, false, false, 0});
    x64_shift_imm(s, SH_SHR, true, q, l);
    if (!rem) {
        u32 dst = result_begin(f, T32, q);
        move_reg(f, T32, dst, q);
        result_end(f, T32, dst);
        return true;
    }
    x64_imul_imm(s, false, q, q, (s32)d);
    move_reg(f, T32, SCRATCH, a);
    x64_reg(s, I_SUB, false, SCRATCH, q);
    u32 dst = result_begin(f, T32, q);
    move_reg(f, T32, dst, SCRATCH);
    result_end(f, T32, dst);
    return true;
}

static void divide(struct fast *f, enum ty t, bool is_signed, bool rem)
{
    struct assembler *s = &f->a;
    bool wide = ty_wide(t);
    const struct slot *sb = &f->slots[f->sp - 1];
    bool constant = sb->kind == SLOT_CONST;
    u64 d = constant ? sb->imm : 0;
    if (constant && !is_signed &&
        (divide_shift(f, t, d, rem) || (t == T32 && divide_const_u32(f, (u32)d, rem))))
        return;
    struct slot b = pop(f);
    if (constant)
        x64_mov_imm(s, SCRATCH, wide ? d : (u32)d);
    else
        move_reg(f, t, SCRATCH, value_reg(f, &b));
    u32 a = pop_reg(f);
    if (a != RAX) {
        reg_take(f, RAX);
        move_reg(f, t, RAX, a);
    } else if (!owned(f, RAX)) {
        local_drop(f, RAX);
    }
    if (a != RDX || !owned(f, RDX))
        reg_take(f, RDX);
    if (is_signed && !constant) {
        x64_reg(s, I_TEST, wide, SCRATCH, SCRATCH);
        trap_if(f, CC_E, TRAP_DIV_ZERO);
    } else if (is_signed && (wide ? d : (u32)d) == 0) {
        x64_reg(s, I_TEST, wide, SCRATCH, SCRATCH);
        trap_if(f, CC_E, TRAP_DIV_ZERO);
    }
    u8 *minus_one = NULL;
    if (is_signed && rem) { // the quotient of INT_MIN / -1 overflows, the remainder is 0
        x64_imm(s, G1_CMP, wide, SCRATCH, -1);
        u8 *no = x64_jcc8(s, CC_NE);
        x64_reg(s, I_XOR, false, RDX, RDX);
        minus_one = x64_jmp8(s);
        x64_bind8(s, no);
    }
    if (is_signed)
        x64_cdq(s, wide);
    else
        x64_reg(s, I_XOR, false, RDX, RDX);
    x64_group3_reg(s, is_signed ? G3_IDIV : G3_DIV, wide, SCRATCH);
    if (minus_one)
        x64_bind8(s, minus_one);
    u32 from = rem ? RDX : RAX;
    u32 dst = result_begin(f, t, from);
    move_reg(f, t, dst, from);
    result_end(f, t, dst);
}

static void count_bits(struct fast *f, enum ty t, u32 op) // 0 clz, 1 ctz, 2 popcnt
{
    bool wide = ty_wide(t);
    u32 a = pop_reg(f);
    u32 dst = result_begin(f, t, a);
    if (op == 2) {
        x64_reg(&f->a, I_POPCNT, wide, dst, a);
    } else if (f->features & X64_LZCNT) {
        x64_reg(&f->a, op ? I_TZCNT : I_LZCNT, wide, dst, a);
    } else {
        u32 bits = wide ? 64 : 32;
        x64_reg(&f->a, op ? I_BSF : I_BSR, wide, dst, a);
        x64_mov_imm(&f->a, SCRATCH, op ? bits : 2 * bits - 1);
        x64_cmov(&f->a, CC_E, wide, dst, SCRATCH);
        if (!op)
            x64_imm(&f->a, G1_XOR, wide, dst, (s32)bits - 1);
    }
    result_end(f, t, dst);
}

static void convert_int(struct fast *f, u32 insn, bool wide, enum ty to)
{
    u32 a = pop_reg(f);
    u32 dst = result_begin(f, to, a);
    x64_reg(&f->a, insn, wide, dst, a);
    result_end(f, to, dst);
}

// i64.extend_i32_u: an i32 is zero-extended already.
static void retype(struct fast *f, enum ty to)
{
    struct slot *s = &f->slots[f->sp - 1];
    if (s->kind == SLOT_REG || s->kind == SLOT_CONST) {
        s->type = (u8)to;
        return;
    }
    enum ty from = s->type;
    u32 a = pop_reg(f);
    u32 dst = result_begin(f, to, a);
    move_reg(f, from, dst, a);
    result_end(f, to, dst);
}

// --- Comparisons
static bool flags_wanted(const struct fast *f)
{
    u32 op = *f->pc;
    return op == OP_br_if || op == OP_if || op == OP_i32_eqz || op == OP_select;
}

// Pushes the flags as an i32.
static void push_condition(struct fast *f, u32 cc)
{
    if (flags_wanted(f)) {
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
        x64_setcc(s, (enum x64_cc)cc, dst);
        x64_reg(s, I_MOVZX8, false, dst, dst);
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

static void compare(struct fast *f, enum ty t, u32 cc)
{
    bool wide = ty_wide(t);
    struct slot sb = pop(f);
    struct x64_operand m;
    if (sb.kind == SLOT_CONST && fits_s32(t, sb.imm)) {
        u32 a = pop_reg(f);
        if ((s32)sb.imm == 0 && (cc == CC_E || cc == CC_NE)) {
            if (!(f->zf_at == f->a.p && f->zf_reg == a && f->zf_wide == wide))
                x64_reg(&f->a, I_TEST, wide, a, a);
        } else {
            x64_imm(&f->a, G1_CMP, wide, a, (s32)sb.imm);
        }
        push_condition(f, cc);
        return;
    }
    if (in_frame(f, &sb, &m)) {
        u32 a = pop_reg(f);
        x64_mem(&f->a, I_CMP, wide, a, m);
        push_condition(f, cc);
        return;
    }
    u32 b = value_reg(f, &sb);
    struct slot sa = pop(f);
    if (sa.kind == SLOT_CONST && fits_s32(t, sa.imm)) {
        x64_imm(&f->a, G1_CMP, wide, b, (s32)sa.imm);
        push_condition(f, cc_swap(cc));
        return;
    }
    u32 a = value_reg(f, &sa);
    x64_reg(&f->a, I_CMP, wide, a, b);
    push_condition(f, cc);
}

static void eqz(struct fast *f, bool wide)
{
    struct slot s = pop(f);
    if (s.kind == SLOT_FLAGS) {
        push_condition(f, s.reg ^ 1);
        return;
    }
    u32 a = value_reg(f, &s);
    if (!(f->zf_at == f->a.p && f->zf_reg == a && f->zf_wide == wide))
        x64_reg(&f->a, I_TEST, wide, a, a);
    push_condition(f, CC_E);
}

// Orders are tested as "above", which is false for NaN; less-than exchanges the operands.
static void compare_float(struct fast *f, enum ty t, u32 op)
{
    u32 b = pop_reg(f), a = pop_reg(f);
    static const u8 cc[] = {[OP_f32_eq - OP_f32_eq] = CC_FEQ, CC_FNE, CC_A, CC_A, CC_AE, CC_AE};
    u32 which = op - (t == TF32 ? OP_f32_eq : OP_f64_eq);
    bool swap = which == OP_f32_lt - OP_f32_eq || which == OP_f32_le - OP_f32_eq;
    x64_reg(&f->a, t == TF32 ? I_UCOMISS : I_UCOMISD, false, swap ? b : a, swap ? a : b);
    push_condition(f, cc[which]);
}

static void select_flags(struct fast *f, enum ty t, u32 cc, u32 a, u32 b)
{
    struct assembler *s = &f->a;
    u32 dst;
    if (!ty_fp(t)) {
        bool wide = ty_wide(t);
        // With b in place, move a over it if the condition holds; or the other way round. Two
        // flags: start from the one that both moves replace.
        bool from_b = cc == CC_FNE || (cc != CC_FEQ && (owned(f, b) || !owned(f, a)));
        u32 keep = from_b ? b : a, other = from_b ? a : b;
        dst = owned(f, keep) ? keep : reg_alloc(f, GPR_MASK);
        move_reg(f, t, dst, keep);
        if (cc >= CC_FEQ) {
            x64_cmov(s, CC_NE, wide, dst, other);
            x64_cmov(s, CC_P, wide, dst, other);
        } else {
            x64_cmov(s, (enum x64_cc)(from_b ? cc : cc ^ 1), wide, dst, other);
        }
    } else {
        dst = owned(f, a) ? a : reg_alloc(f, XMM_MASK);
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
    push_reg(f, t, dst);
}

static void select(struct fast *f)
{
    u32 cc = pop_condition(f);
    enum ty t = f->slots[f->sp - 1].type;
    u32 b = pop_reg(f), a = pop_reg(f);
    select_flags(f, t, cc, a, b);
}

// --- Floats
static void float_binary(struct fast *f, enum ty t, u32 insn)
{
    struct slot sb = pop(f);
    struct x64_operand m;
    if (in_frame(f, &sb, &m)) {
        u32 a = pop_reg(f);
        u32 dst = result_begin(f, t, a);
        move_reg(f, t, dst, a);
        x64_mem(&f->a, insn, false, dst, m);
        result_end(f, t, dst);
        return;
    }
    u32 b = value_reg(f, &sb), a = pop_reg(f);
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
    move_reg(f, t, dst, a);
    x64_reg(&f->a, insn, false, dst, SCRATCH_XMM);
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
    x64_reg(&f->a, t == TF32 ? I_ROUNDSS : I_ROUNDSD, false, dst, a);
    x64_byte(&f->a, mode);
    result_end(f, t, dst);
}

// dst = op a, for instructions that merge into dst: break the dependency first.
static void float_unary(struct fast *f, enum ty to, u32 insn)
{
    u32 a = pop_reg(f);
    u32 dst = result_begin(f, to, a);
    if (dst != a)
        x64_reg(&f->a, I_XORPS, false, dst, dst);
    x64_reg(&f->a, insn, false, dst, a);
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

#define NO_BOUND 1ull
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

static void truncate(struct fast *f, enum ty from, enum ty to, bool is_signed, bool sat)
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

// --- Memory
struct memarg {
    u32 offset;
};

static u64 memarg_offset(struct fast *f)
{
    leb_u32(&f->pc); // alignment: a hint
    return leb_u32(&f->pc);
}

// The operand for the popped address slot plus a static offset.
static struct x64_operand address(struct fast *f, const struct slot *s, u64 offset)
{
    struct x64_operand m = {NO_REG, NO_REG, 0, true, false, 0};
    if (s->kind == SLOT_CONST && (u32)s->imm + offset < INT32_MAX) {
        m.disp = (s32)((u32)s->imm + offset);
        return m;
    }
    u32 r = value_reg(f, s);
    m.base = (u8)r;
    if (offset < VM_MEMORY_GUARD - WASM_PAGE) { // the reservation covers index + offset: it faults
        m.disp = (s32)offset;
        return m;
    }
    // Beyond what the guard covers: add in 64 bits; from 4 GiB on it is out of bounds.
    x64_mov_imm(&f->a, SCRATCH, offset);
    x64_reg(&f->a, I_ADD, true, SCRATCH, r);
    u32 high = reg_alloc(f, GPR_MASK);
    move_reg(f, T64, high, SCRATCH);
    x64_shift_imm(&f->a, SH_SHR, true, high, 32);
    trap_if(f, CC_NE, TRAP_MEMORY);
    m.base = SCRATCH;
    return m;
}

struct load {
    u32 insn;
    enum ty type;
    bool wide;
};

static const struct load loads[] = {
    [OP_i32_load - OP_i32_load] = {I_MOV_LOAD, T32, false},
    [OP_i64_load - OP_i32_load] = {I_MOV_LOAD, T64, true},
    [OP_f32_load - OP_i32_load] = {I_MOVSS_LOAD, TF32, false},
    [OP_f64_load - OP_i32_load] = {I_MOVSD_LOAD, TF64, false},
    [OP_i32_load8_s - OP_i32_load] = {I_MOVSX8, T32, false},
    [OP_i32_load8_u - OP_i32_load] = {I_MOVZX8, T32, false},
    [OP_i32_load16_s - OP_i32_load] = {I_MOVSX16, T32, false},
    [OP_i32_load16_u - OP_i32_load] = {I_MOVZX16, T32, false},
    [OP_i64_load8_s - OP_i32_load] = {I_MOVSX8, T64, true},
    [OP_i64_load8_u - OP_i32_load] = {I_MOVZX8, T64, false},
    [OP_i64_load16_s - OP_i32_load] = {I_MOVSX16, T64, true},
    [OP_i64_load16_u - OP_i32_load] = {I_MOVZX16, T64, false},
    [OP_i64_load32_s - OP_i32_load] = {I_MOVSXD, T64, true},
    [OP_i64_load32_u - OP_i32_load] = {I_MOV_LOAD, T64, false},
};

static void load_from(struct fast *f, const struct load *l, struct x64_operand m)
{
    u32 reuse = !ty_fp(l->type) && m.base != NO_REG && m.base != SCRATCH ? m.base : NO_REG;
    u32 dst = result_begin(f, l->type, reuse);
    x64_mem(&f->a, l->insn, l->wide, dst, m);
    result_end(f, l->type, dst);
}

static void load(struct fast *f, u32 op)
{
    u64 offset = memarg_offset(f);
    struct slot s = pop(f);
    load_from(f, &loads[op - OP_i32_load], address(f, &s, offset));
}

// i32.add whose sum is the address of the next instruction, a load at offset 0: gs:[e_a + e_b]
// wraps at 32 bits as the addition does. False: not that.
static bool add_load(struct fast *f)
{
    const u8 *p = f->pc;
    if (p[0] < OP_i32_load || p[0] > OP_i64_load32_u || p[1] >= 0x80 || p[2] != 0)
        return false;
    const struct slot *b = &f->slots[f->sp - 1], *a = &f->slots[f->sp - 2];
    if (a->kind == SLOT_CONST || b->kind == SLOT_CONST)
        return false;
    const struct load *l = &loads[p[0] - OP_i32_load];
    u32 rb = pop_reg(f), ra = pop_reg(f);
    f->op = f->pc; // what may trap is the load
    locate_note(f);
    f->pc += 3;
    load_from(f, l, (struct x64_operand){(u8)ra, (u8)rb, 0, true, true, 0});
    return true;
}

static void store_value(struct fast *f, u32 op, u32 r, struct x64_operand m)
{
    switch (op) {
    case OP_i32_store: x64_mem(&f->a, I_MOV_STORE, false, r, m); break;
    case OP_i64_store: x64_mem(&f->a, I_MOV_STORE, true, r, m); break;
    case OP_f32_store: x64_mem(&f->a, I_MOVSS_STORE, false, r, m); break;
    case OP_f64_store: x64_mem(&f->a, I_MOVSD_STORE, false, r, m); break;
    case OP_i32_store8:
    case OP_i64_store8: x64_mem(&f->a, I_MOV_STORE8, false, r, m); break;
    case OP_i32_store16:
    case OP_i64_store16: x64_mem(&f->a, I_MOV_STORE16, false, r, m); break;
    default: x64_mem(&f->a, I_MOV_STORE, false, r, m); break; // i64.store32
    }
}

static u32 store_log2(u32 op)
{
    switch (op) {
    case OP_i32_store8:
    case OP_i64_store8: return 0;
    case OP_i32_store16:
    case OP_i64_store16: return 1;
    case OP_i64_store:
    case OP_f64_store: return 3;
    default: return 2;
    }
}

static void store(struct fast *f, u32 op)
{
    u64 offset = memarg_offset(f);
    struct slot value = pop(f);
    u32 log2 = store_log2(op);
    bool constant = value.kind == SLOT_CONST && (log2 < 3 || (s64)value.imm == (s32)value.imm);
    u32 r = constant ? NO_REG : value_reg(f, &value);
    struct slot a = pop(f);
    struct x64_operand m = address(f, &a, offset);
    if (constant)
        x64_mov_mem_imm(&f->a, log2, m, (s32)value.imm);
    else
        store_value(f, op, r, m);
}

static void memory_size(struct fast *f)
{
    u32 dst = result_begin(f, T32, NO_REG);
    x64_mem(&f->a, I_MOV_LOAD, true, dst, x64_at(INSTANCE, offsetof(struct vmctx, mem)));
    x64_mem(&f->a, I_MOV_LOAD, true, dst, x64_at(dst, offsetof(struct vm_memory, bytes)));
    x64_shift_imm(&f->a, SH_SHR, true, dst, 16);
    result_end(f, T32, dst);
}

// --- Variables
static void local_set(struct fast *f, u32 local, bool tee)
{
    enum ty t = f->local_type[local];
    struct slot s = pop(f);
    if (s.kind == SLOT_LOCAL && s.local == local) { // x = x
        if (tee)
            push_local(f, local);
        return;
    }
    u32 now = f->local_reg[local];
    if (s.kind == SLOT_CONST && !(now != NO_REG && pinned(f, now))) {
        if (f->ref_head[local])
            refs_materialize(f, local);
        u32 r = now != NO_REG ? now : reg_alloc(f, class_of(t));
        const_to_reg(f, t, r, s.imm);
        cache_put(f, r, local, true);
        if (tee)
            push_const(f, t, s.imm);
        return;
    }
    u32 v = value_reg(f, &s);
    if (f->ref_head[local])
        refs_materialize(f, local);
    now = f->local_reg[local];
    if (now != NO_REG && pinned(f, now)) {
        move_reg(f, t, now, v);
        f->dirty |= BIT(now);
    } else {
        if (now != NO_REG)
            cache_remove(f, now);
        if (!owned(f, v)) { // another local's: copy
            u32 copy = now != NO_REG ? now : reg_alloc(f, class_of(t));
            move_reg(f, t, copy, v);
            v = copy;
        }
        cache_put(f, v, local, true);
    }
    if (tee)
        push_local(f, local);
}

static struct x64_operand global_at(struct fast *f, u32 global)
{
    const struct module *m = f->m;
    if (global >= m->nimported_globals)
        return x64_at(INSTANCE, (s32)(m->layout.globals + (global - m->nimported_globals) * 16));
    x64_mem(&f->a, I_MOV_LOAD, true, SCRATCH,
            x64_at(INSTANCE, (s32)(m->layout.imported_globals + global * 8)));
    return x64_at(SCRATCH, 0);
}

static void global_get(struct fast *f, u32 global)
{
    enum ty t = ty_of(f->m->globals[global].type);
    struct x64_operand m = global_at(f, global);
    u32 dst = result_begin(f, t, NO_REG);
    if (ty_fp(t))
        x64_mem(&f->a, ty_wide(t) ? I_MOVSD_LOAD : I_MOVSS_LOAD, false, dst, m);
    else
        x64_mem(&f->a, I_MOV_LOAD, ty_wide(t), dst, m);
    result_end(f, t, dst);
}

static void global_set(struct fast *f, u32 global)
{
    struct slot s = pop(f);
    enum ty t = s.type;
    u32 v = value_reg(f, &s); // may use the scratch register, so before global_at does
    struct x64_operand m = global_at(f, global);
    if (ty_fp(t))
        x64_mem(&f->a, ty_wide(t) ? I_MOVSD_STORE : I_MOVSS_STORE, false, v, m);
    else
        x64_mem(&f->a, I_MOV_STORE, ty_wide(t), v, m);
}

// --- Instructions that are calls into the runtime
#define RUNTIME(f, function, nslots, out, checked, ...)                                            \
    call_runtime(f, (const void *)(function), (const u64[]){__VA_ARGS__},                          \
                 sizeof((const u64[]){__VA_ARGS__}) / sizeof(u64), nslots, out, checked)

// A C function leaves the upper half of rax undefined; here it must be zero.
static void push_c_int(struct fast *f)
{
    x64_reg(&f->a, I_MOV_LOAD, false, RAX, RAX);
    push_reg(f, T32, RAX);
}

static void runtime_op(struct fast *f, u32 op)
{
    u32 x, y;
    switch (op) {
    case OP_memory_grow:
        f->pc++;
        call_runtime(f, (const void *)rt_memory_grow, NULL, 0, 1, false, false);
        push_c_int(f);
        break;
    case OP_memory_copy:
        f->pc += 2;
        call_runtime(f, (const void *)rt_memory_copy, NULL, 0, 3, false, true);
        break;
    case OP_memory_fill:
        f->pc++;
        call_runtime(f, (const void *)rt_memory_fill, NULL, 0, 3, false, true);
        break;
    case OP_memory_init:
        x = leb_u32(&f->pc);
        f->pc++;
        RUNTIME(f, rt_memory_init, 3, false, true, x);
        break;
    case OP_data_drop: RUNTIME(f, rt_data_drop, 0, false, false, leb_u32(&f->pc)); break;
    case OP_elem_drop: RUNTIME(f, rt_elem_drop, 0, false, false, leb_u32(&f->pc)); break;
    case OP_table_init:
        x = leb_u32(&f->pc); // segment
        y = leb_u32(&f->pc);
        RUNTIME(f, rt_table_init, 3, false, true, y, x);
        break;
    case OP_table_copy:
        x = leb_u32(&f->pc);
        y = leb_u32(&f->pc);
        RUNTIME(f, rt_table_copy, 3, false, true, x, y);
        break;
    case OP_table_grow:
        RUNTIME(f, rt_table_grow, 2, false, false, leb_u32(&f->pc));
        push_c_int(f);
        break;
    case OP_table_fill: RUNTIME(f, rt_table_fill, 3, false, true, leb_u32(&f->pc)); break;
    case OP_table_set: RUNTIME(f, rt_table_set, 2, false, true, leb_u32(&f->pc)); break;
    case OP_table_get:
        RUNTIME(f, rt_table_get, 1, true, true, leb_u32(&f->pc));
        x64_mem(&f->a, I_MOV_LOAD, true, RAX, x64_at(INSTANCE, offsetof(struct vmctx, scratch)));
        push_reg(f, T64, RAX);
        break;
    default: break;
    }
}

static void table_size(struct fast *f)
{
    u32 table = leb_u32(&f->pc);
    u32 dst = result_begin(f, T32, NO_REG);
    x64_mem(&f->a, I_MOV_LOAD, true, dst, x64_at(INSTANCE, (s32)(f->m->layout.tables + table * 8)));
    x64_mem(&f->a, I_MOV_LOAD, false, dst, x64_at(dst, offsetof(struct vm_table, length)));
    result_end(f, T32, dst);
}

// The canonical vm_func: in an import cell by its ref field, else in this vmctx.
static void ref_func(struct fast *f)
{
    const struct module *m = f->m;
    u32 func = leb_u32(&f->pc);
    u32 dst = result_begin(f, T64, NO_REG);
    if (func < m->nimported_funcs)
        x64_mem(&f->a, I_MOV_LOAD, true, dst,
                x64_at(INSTANCE, (s32)(m->layout.imports + func * sizeof(struct vm_func) +
                                       offsetof(struct vm_func, ref))));
    else
        x64_mem(&f->a, I_LEA, true, dst,
                x64_at(INSTANCE,
                       (s32)(m->layout.refs + (m->funcs[func].ref - 1) * sizeof(struct vm_func))));
    result_end(f, T64, dst);
}

static void unreachable(struct fast *f)
{
    x64_trap(&f->a, TRAP_UNREACHABLE);
    f->reachable = false;
}

// --- Skipping dead code
enum imm_kind {
    IMM_NONE,
    IMM_BLOCK,
    IMM_LABEL,
    IMM_TABLE_OF_LABELS,
    IMM_FUNC,
    IMM_TYPE_TABLE,
    IMM_LOCAL,
    IMM_GLOBAL,
    IMM_TABLE,
    IMM_I32,
    IMM_I64,
    IMM_F32,
    IMM_F64,
    IMM_MEMORY,
    IMM_MEMORY2,
    IMM_DATA_MEMORY,
    IMM_DATA,
    IMM_ELEM_TABLE,
    IMM_ELEM,
    IMM_TABLE2,
    IMM_REFTYPE,
    IMM_SELECT,
    IMM_MEMARG,
};

static const u8 imm_of[256] = {
#define X(code, id, text, imm) [(code) < 256 ? (code) : 255] = IMM_##imm,
#define LOAD(code, ...) [code] = IMM_MEMARG,
#define STORE(code, ...) [code] = IMM_MEMARG,
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winitializer-overrides"
#include "wasm/ops.def"
#pragma clang diagnostic pop
};

static const u8 imm_of_fc[32] = {
#define X(code, id, text, imm) [(code) >> 8 == 0xfc ? (code) & 31 : 31] = IMM_##imm,
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winitializer-overrides"
#include "wasm/ops.def"
#pragma clang diagnostic pop
};

static void skip_lebs(const u8 **pc, u32 n)
{
    while (n--)
        while (*(*pc)++ & 0x80)
            ;
}

void ops_skip(const u8 **pc, u32 op)
{
    enum imm_kind kind = op < 256 ? imm_of[op] : imm_of_fc[op & 31];
    switch (kind) {
    case IMM_NONE: break;
    case IMM_TABLE_OF_LABELS:
    case IMM_SELECT: {
        u32 n = leb_u32(pc);
        skip_lebs(pc, n + (kind == IMM_TABLE_OF_LABELS));
        break;
    }
    case IMM_MEMARG:
    case IMM_TYPE_TABLE:
    case IMM_MEMORY2:
    case IMM_DATA_MEMORY:
    case IMM_ELEM_TABLE:
    case IMM_TABLE2: skip_lebs(pc, 2); break;
    case IMM_F32: *pc += 4; break;
    case IMM_F64: *pc += 8; break;
    case IMM_BLOCK:
    case IMM_LABEL:
    case IMM_FUNC:
    case IMM_LOCAL:
    case IMM_GLOBAL:
    case IMM_TABLE:
    case IMM_I32:
    case IMM_I64:
    case IMM_MEMORY:
    case IMM_DATA:
    case IMM_ELEM:
    case IMM_REFTYPE: skip_lebs(pc, 1); break;
    }
}

// --- The walk
static const struct alu ADD = {I_ADD, G1_ADD, true}, SUB = {I_SUB, G1_SUB, false},
                        AND = {I_AND, G1_AND, true}, OR = {I_OR, G1_OR, true},
                        XOR = {I_XOR, G1_XOR, true};

static void prefixed(struct fast *f)
{
    u32 op = 0xfc00 | leb_u32(&f->pc);
    switch (op) {
#define SAT(id, from, to, is_signed)                                                               \
    case OP_##id: truncate(f, from, to, is_signed, true); break
        SAT(i32_trunc_sat_f32_s, TF32, T32, true);
        SAT(i32_trunc_sat_f32_u, TF32, T32, false);
        SAT(i32_trunc_sat_f64_s, TF64, T32, true);
        SAT(i32_trunc_sat_f64_u, TF64, T32, false);
        SAT(i64_trunc_sat_f32_s, TF32, T64, true);
        SAT(i64_trunc_sat_f32_u, TF32, T64, false);
        SAT(i64_trunc_sat_f64_s, TF64, T64, true);
        SAT(i64_trunc_sat_f64_u, TF64, T64, false);
#undef SAT
    case OP_table_size: table_size(f); break;
    default: runtime_op(f, op); break;
    }
}

static void float_op(struct fast *f, u32 op)
{
    switch (op) {
#define FLOAT(s, T, BITS, SS)                                                                      \
    case OP_f##BITS##_abs: sign_op(f, T, I_ANDPS, sign_bit(T) - 1); break;                         \
    case OP_f##BITS##_neg: sign_op(f, T, I_XORPS, sign_bit(T)); break;                             \
    case OP_f##BITS##_ceil: float_round(f, T, 10); break;                                          \
    case OP_f##BITS##_floor: float_round(f, T, 9); break;                                          \
    case OP_f##BITS##_trunc: float_round(f, T, 11); break;                                         \
    case OP_f##BITS##_nearest: float_round(f, T, 8); break;                                        \
    case OP_f##BITS##_sqrt: float_unary(f, T, I_SQRT##SS); break;                                  \
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

static void conversion(struct fast *f, u32 op)
{
    switch (op) {
    case OP_i32_wrap_i64: {
        u32 a = pop_reg(f);
        u32 dst = result_begin(f, T32, a);
        x64_reg(&f->a, I_MOV_LOAD, false, dst, a);
        result_end(f, T32, dst);
        break;
    }
    case OP_i32_trunc_f32_s: truncate(f, TF32, T32, true, false); break;
    case OP_i32_trunc_f32_u: truncate(f, TF32, T32, false, false); break;
    case OP_i32_trunc_f64_s: truncate(f, TF64, T32, true, false); break;
    case OP_i32_trunc_f64_u: truncate(f, TF64, T32, false, false); break;
    case OP_i64_extend_i32_s: convert_int(f, I_MOVSXD, true, T64); break;
    case OP_i64_extend_i32_u: retype(f, T64); break;
    case OP_i64_trunc_f32_s: truncate(f, TF32, T64, true, false); break;
    case OP_i64_trunc_f32_u: truncate(f, TF32, T64, false, false); break;
    case OP_i64_trunc_f64_s: truncate(f, TF64, T64, true, false); break;
    case OP_i64_trunc_f64_u: truncate(f, TF64, T64, false, false); break;
    case OP_f32_convert_i32_s: int_to_float(f, TF32, false); break;
    case OP_f32_convert_i32_u: int_to_float(f, TF32, true); break;
    case OP_f32_convert_i64_s: int_to_float(f, TF32, true); break;
    case OP_f32_convert_i64_u: u64_to_float(f, TF32); break;
    case OP_f32_demote_f64: float_unary(f, TF32, I_CVTSD2SS); break;
    case OP_f64_convert_i32_s: int_to_float(f, TF64, false); break;
    case OP_f64_convert_i32_u: int_to_float(f, TF64, true); break;
    case OP_f64_convert_i64_s: int_to_float(f, TF64, true); break;
    case OP_f64_convert_i64_u: u64_to_float(f, TF64); break;
    case OP_f64_promote_f32: float_unary(f, TF64, I_CVTSS2SD); break;
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

static void integer_op(struct fast *f, u32 op, enum ty t, u32 base)
{
    switch (op - base + OP_i32_clz) {
    case OP_i32_clz: count_bits(f, t, 0); break;
    case OP_i32_ctz: count_bits(f, t, 1); break;
    case OP_i32_popcnt: count_bits(f, t, 2); break;
    case OP_i32_add: alu(f, t, &ADD); break;
    case OP_i32_sub: alu(f, t, &SUB); break;
    case OP_i32_mul: multiply(f, t); break;
    case OP_i32_div_s: divide(f, t, true, false); break;
    case OP_i32_div_u: divide(f, t, false, false); break;
    case OP_i32_rem_s: divide(f, t, true, true); break;
    case OP_i32_rem_u: divide(f, t, false, true); break;
    case OP_i32_and: alu(f, t, &AND); break;
    case OP_i32_or: alu(f, t, &OR); break;
    case OP_i32_xor: alu(f, t, &XOR); break;
    case OP_i32_shl: shift(f, t, SH_SHL); break;
    case OP_i32_shr_s: shift(f, t, SH_SAR); break;
    case OP_i32_shr_u: shift(f, t, SH_SHR); break;
    case OP_i32_rotl: shift(f, t, SH_ROL); break;
    case OP_i32_rotr: shift(f, t, SH_ROR); break;
    default: break;
    }
}

static const u8 compare_cc[] = {CC_E, CC_NE, CC_L, CC_B, CC_G, CC_A, CC_LE, CC_BE, CC_GE, CC_AE};

// Everything behind a jump that is always taken, up to where code can be reached again. False: the
// function ended.
static bool dead_code(struct fast *f)
{
    for (;;) {
        flow_skip(f);
        if (*f->pc++ == OP_else) {
            flow_else(f);
            return true;
        }
        if (!flow_end(f))
            return false;
        if (f->reachable)
            return true;
    }
}

// One instruction. False: it was the function's last.
static inline bool step(struct fast *f, u32 op)
{
    switch (op) {
    case OP_unreachable: unreachable(f); return dead_code(f);
    case OP_nop: break;
    case OP_block: flow_block(f, CTL_BLOCK); break;
    case OP_loop: flow_block(f, CTL_LOOP); break;
    case OP_if: flow_if(f); break;
    case OP_else: flow_else(f); break;
    case OP_end: return flow_end(f);
    case OP_br: flow_br(f, leb_u32(&f->pc)); return dead_code(f);
    case OP_br_if: flow_br_if(f, leb_u32(&f->pc)); break;
    case OP_br_table: flow_br_table(f); return dead_code(f);
    case OP_return: flow_br(f, f->ctls.count - 1); return dead_code(f);
    case OP_call: call_function(f, leb_u32(&f->pc)); break;
    case OP_call_indirect: {
        u32 type = leb_u32(&f->pc);
        call_indirect(f, type, leb_u32(&f->pc));
        break;
    }
    case OP_drop: pop(f); break;
    case OP_select_t:
        ops_skip(&f->pc, OP_select_t);
        select(f);
        break;
    case OP_select: select(f); break;
    case OP_local_get: push_local(f, leb_u32(&f->pc)); break;
    case OP_local_set: local_set(f, leb_u32(&f->pc), false); break;
    case OP_local_tee: local_set(f, leb_u32(&f->pc), true); break;
    case OP_global_get: global_get(f, leb_u32(&f->pc)); break;
    case OP_global_set: global_set(f, leb_u32(&f->pc)); break;
    case OP_table_get:
    case OP_table_set:
    case OP_memory_grow: runtime_op(f, op); break;
    case OP_memory_size:
        f->pc++;
        memory_size(f);
        break;
    case OP_i32_const: push_const(f, T32, (u32)leb_s32(&f->pc)); break;
    case OP_i64_const: push_const(f, T64, leb_s64(&f->pc)); break;
    case OP_f32_const:
        push_const(f, TF32, load_u32(f->pc));
        f->pc += 4;
        break;
    case OP_f64_const:
        push_const(f, TF64, load_u64(f->pc));
        f->pc += 8;
        break;
    case OP_i32_eqz: eqz(f, false); break;
    case OP_i64_eqz: eqz(f, true); break;
    case OP_i32_add:
        if (!add_load(f))
            alu(f, T32, &ADD);
        break;
    case OP_ref_null:
        f->pc++;
        push_const(f, T64, 0);
        break;
    case OP_ref_is_null: eqz(f, true); break;
    case OP_ref_func: ref_func(f); break;
    case 0xfc: prefixed(f); break;
    default:
        if (op >= OP_i32_load && op <= OP_i64_load32_u)
            load(f, op);
        else if (op >= OP_i32_store && op <= OP_i64_store32)
            store(f, op);
        else if (op >= OP_i32_eq && op <= OP_i32_ge_u)
            compare(f, T32, compare_cc[op - OP_i32_eq]);
        else if (op >= OP_i64_eq && op <= OP_i64_ge_u)
            compare(f, T64, compare_cc[op - OP_i64_eq]);
        else if (op >= OP_f32_eq && op <= OP_f32_ge)
            compare_float(f, TF32, op);
        else if (op >= OP_f64_eq && op <= OP_f64_ge)
            compare_float(f, TF64, op);
        else if (op >= OP_i32_clz && op <= OP_i32_rotr)
            integer_op(f, op, T32, OP_i32_clz);
        else if (op >= OP_i64_clz && op <= OP_i64_rotr)
            integer_op(f, op, T64, OP_i64_clz);
        else if (op >= OP_f32_abs && op <= OP_f64_copysign)
            float_op(f, op);
        else
            conversion(f, op);
    }
    return true;
}

void ops_walk(struct fast *f)
{
    f->hint.reg = NO_REG;
    for (;;) {
        if (unlikely(f->a.p > f->limit || f->oom || f->full)) {
            f->full = !f->oom;
            return;
        }
        f->busy = 0;
        f->op = f->pc;
        locate_note(f);
        if (!step(f, *f->pc++))
            return;
    }
}
