// SPDX-License-Identifier: MIT
// Integer arithmetic. Two-operand instructions, with lea, rorx and the shifts of BMI2 where they
// save a move; constants as immediates, multiplications and unsigned divisions by constants without
// either (divide.c).
#include "fast/emit.h"

// Where integer_op() jumps to, and what need not save the registers of others.
#define OUT_OF_LINE __attribute__((noinline))

struct alu {
    u32 insn;
    enum x64_group1 group;
    bool commutes;
};

// The instruction of this type that has the same name: i64.add for OP_i32_add.
static u32 op_of(enum ty t, u32 op)
{
    return t == T32 ? op : op - OP_i32_clz + OP_i64_clz;
}

// index << scale, or base + index, both popped: takes in what the next instructions add to it, so
// that one lea is enough. At most one more register and constants.
static bool sum_extend(struct fast *f, enum ty t, struct x64_operand *m)
{
    const u8 *start = f->pc;
    u32 add = op_of(t, OP_i32_add);
    if (m->base == NO_REG && *start == add && f->slots[f->sp - 1].kind != SLOT_CONST) {
        f->pc++;
        m->base = (u8)pop_reg(f);
    } else if (m->base == NO_REG && *start == OP_local_get) {
        const u8 *p = start + 1;
        struct slot s = {.kind = SLOT_LOCAL, .local = leb_u32(&p)};
        if (*p != add)
            return false;
        s.type = f->local_type[s.local];
        if (last_use(f, s.local))
            slot_inherit(f, &s);
        m->base = (u8)value_reg(f, &s);
        f->pc = p + 1;
    }
    while (m->base != NO_REG && *f->pc == (t == T32 ? OP_i32_const : OP_i64_const)) {
        const u8 *p = f->pc + 1;
        s64 sum = (s64)((u64)m->disp + (u64)leb_s64(&p));
        if (*p != add || (t == T64 && sum != (s32)sum))
            break;
        m->disp = (s32)sum;
        f->pc = p + 1;
    }
    return f->pc != start;
}

static void sum_end(struct fast *f, enum ty t, struct x64_operand m)
{
    u32 dst = result_begin(f, t, unless_free(f, t, may_take(f, t, m.index) ? m.index : m.base));
    x64_mem(&f->a, I_LEA, ty_wide(t), dst, m);
    result_end(f, t, dst);
}

// An operand that has been popped, and a constant. False: the result has more added to it.
static bool alu_imm(struct fast *f, enum ty t, const struct alu *op, u32 a, s32 imm)
{
    bool wide = ty_wide(t);
    struct x64_operand sum = {NO_REG, (u8)a, 0, imm};
    if (op->insn == I_ADD && sum_extend(f, t, &sum)) {
        sum_end(f, t, sum);
        return false;
    }
    bool lea = (op->insn == I_ADD || op->insn == I_SUB) && imm != INT32_MIN;
    u32 dst = result_begin(f, t, lea && !owned(f, a) ? unless_free(f, t, a) : a);
    if (dst != a && lea) {
        x64_mem(&f->a, I_LEA, wide, dst, x64_at(a, op->insn == I_ADD ? imm : -imm));
    } else {
        move_reg(f, t, dst, a);
        x64_imm(&f->a, op->group, wide, dst, imm);
        flags_of(f, dst, wide);
    }
    result_end(f, t, dst);
    return true;
}

// The same of an operand on the stack, and what is known of the sum.
static void add_known(struct fast *f, const struct alu *op, s32 imm)
{
    u32 bits = f->slots[f->sp - 1].bits;
    struct sum is = sum_of(f, &f->slots[f->sp - 1]);
    is.add += op->insn == I_ADD ? (u64)imm : 0 - (u64)imm;
    u32 a = pop_reg(f), sp = f->sp;
    const local_use *use = f->use;
    if (!alu_imm(f, T64, op, a, imm))
        return;
    if (bits && bits < 32 && imm >= 0 && op->insn == I_ADD) {
        result_bits(f, sp, 32); // of 31 each
    } else if (!is.value) {
        return;
    } else if (f->use != use) { // by the hint
        sum_name(f, f->hint.local, is);
    } else if (f->slots[sp].kind == SLOT_REG) {
        f->slots[sp].bits = BITS_SUM;
        f->slots[sp].next = is.value;
        f->slots[sp].imm = is.add;
    }
}

OUT_OF_LINE static void alu_any(struct fast *f, enum ty t, const struct alu *op)
{
    bool wide = ty_wide(t);
    struct slot *sb = pop_slot(f);
    struct x64_operand m;
    u32 b = NO_REG;
    if (regs_free(f, GPR_MASK) || !in_frame(f, sb, &m))
        b = value_reg(f, sb);
    struct slot *sa = pop_slot(f);
    if (op->commutes && sa->kind == SLOT_CONST && b != NO_REG && fits_s32(t, sa->imm)) {
        alu_imm(f, t, op, b, (s32)sa->imm);
        return;
    }
    u32 a = value_reg(f, sa);
    if (b == NO_REG) {
        u32 dst = result_begin(f, t, a);
        move_reg(f, t, dst, a);
        x64_mem(&f->a, op->insn, wide, dst, m);
        flags_of(f, dst, wide);
        result_end(f, t, dst);
        return;
    }
    if (op->commutes && !may_take(f, t, a) && may_take(f, t, b)) {
        u32 swap = a;
        a = b;
        b = swap;
    }
    struct x64_operand sum = {(u8)a, (u8)b, 0, 0};
    if (op->insn == I_ADD && sum_extend(f, t, &sum)) {
        sum_end(f, t, sum);
        return;
    }
    u32 dst = result_begin(f, t, op->insn == I_ADD && !owned(f, a) ? unless_free(f, t, a) : a);
    if (op->insn == I_ADD && dst != a && dst != b) {
        x64_mem(&f->a, I_LEA, wide, dst, (struct x64_operand){(u8)a, (u8)b, 0, 0});
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

OUT_OF_LINE static void alu(struct fast *f, enum ty t, const struct alu *op)
{
    const struct slot *b = &f->slots[f->sp - 1];
    if (b->kind != SLOT_CONST || !fits_s32(t, b->imm)) {
        alu_any(f, t, op);
        return;
    }
    f->sp--;
    s32 imm = (s32)b->imm;
    if (unlikely(f->far) && t == T64 && (op->insn == I_ADD || op->insn == I_SUB))
        add_known(f, op, imm);
    else
        alu_imm(f, t, op, pop_reg(f), imm);
}

// With a constant, which has been popped. Of a number of bits that an instruction moves, that one,
// from the frame, too; if only whether it is zero matters, a test.
static void and_imm(struct fast *f, enum ty t, u32 imm)
{
    bool wide = ty_wide(t);
    if (wide ? *f->pc == OP_i64_eqz : flags_wanted(f->pc)) {
        u32 a = pop_reg(f);
        if (imm <= 0xff)
            x64_test_imm8(&f->a, a, imm);
        else
            x64_test_imm(&f->a, false, a, (s32)imm);
        push(f, SLOT_FLAGS, t)->reg = CC_NE;
        return;
    }
    u32 insn = imm == 0xff ? I_MOVZX8 : imm == 0xffff ? I_MOVZX16 : I_MOV_LOAD;
    bool moves = imm == UINT32_MAX || insn != I_MOV_LOAD;
    struct slot *s = pop_slot(f);
    struct x64_operand m;
    bool cell = moves && in_frame(f, s, &m);
    u32 a = cell ? NO_REG : value_reg(f, s);
    u32 sp = f->sp, dst = result_begin(f, t, moves ? unless_free(f, t, a) : a);
    if (cell) {
        x64_mem(&f->a, insn, false, dst, m);
    } else if (imm == UINT32_MAX || (dst != a && moves)) {
        x64_reg(&f->a, insn, false, dst, a);
    } else {
        move_reg(f, T32, dst, a);
        x64_imm(&f->a, G1_AND, false, dst, (s32)imm);
        flags_of(f, dst, wide);
    }
    result_end(f, t, dst);
    result_bits(f, sp, imm ? 32 - (u32)__builtin_clz(imm) : 1);
}

OUT_OF_LINE static void and(struct fast *f, enum ty t, const struct alu *op)
{
    const struct slot *b = &f->slots[f->sp - 1];
    u64 imm = t == T32 ? (u32)b->imm : b->imm;
    if (b->kind != SLOT_CONST || imm > UINT32_MAX) {
        alu(f, t, op);
        return;
    }
    f->sp--;
    and_imm(f, t, (u32)imm);
}

static void multiply_const(struct fast *f, enum ty t, u32 a, u64 imm)
{
    bool wide = ty_wide(t);
    u32 dst = result_begin(f, t, a);
    u64 value = wide ? imm : (u32)imm;
    if (value > 1 && !(value & (value - 1))) { // by 1 it may have to wrap
        move_reg(f, t, dst, a);
        x64_shift_imm(&f->a, SH_SHL, wide, dst, (u32)__builtin_ctzll(value));
    } else if (value == 3 || value == 5 || value == 9) {
        x64_mem(&f->a, I_LEA, wide, dst,
                (struct x64_operand){(u8)a, (u8)a,
                                     value == 3   ? 1
                                     : value == 5 ? 2
                                                  : 3,
                                     0});
    } else {
        x64_imul_imm(&f->a, wide, dst, a, (s32)imm);
    }
    result_end(f, t, dst);
}

OUT_OF_LINE static void multiply(struct fast *f, enum ty t)
{
    struct slot *sb = pop_slot(f);
    if (sb->kind == SLOT_CONST && fits_s32(t, sb->imm)) {
        multiply_const(f, t, pop_reg(f), sb->imm);
        return;
    }
    u32 b = value_reg(f, sb), a = pop_reg(f);
    if (!may_take(f, t, a) && may_take(f, t, b)) {
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
    struct slot *sb = pop_slot(f);
    u32 b = value_reg(f, sb), a = pop_reg(f);
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

// Does a mask come next, of `bits` bits at most? What lies above does not matter then.
static bool masked(const struct fast *f, enum ty t, u32 bits)
{
    const u8 *p = f->pc;
    if (*p++ != (t == T32 ? OP_i32_const : OP_i64_const))
        return false;
    u64 mask = (u64)leb_s64(&p);
    return *p == op_of(t, OP_i32_and) && bits < 64 && mask >> bits == 0;
}

OUT_OF_LINE static void shift(struct fast *f, enum ty t, enum x64_shift op)
{
    bool wide = ty_wide(t);
    bool rotate = op == SH_ROL || op == SH_ROR;
    struct slot *sb = &f->slots[f->sp - 1];
    if (sb->kind == SLOT_CONST) {
        u32 mask = wide ? 63 : 31, count = (u32)sb->imm & mask;
        pop(f);
        u32 bits = f->slots[f->sp - 1].bits;
        u32 a = pop_reg(f);
        struct x64_operand sum = {NO_REG, (u8)a, (u8)count, 0};
        if (op == SH_SHL && count <= 3) {
            if (bits && bits <= 32 && (wide || bits + count <= 32) &&
                load_scaled(f, a, count, bits))
                return;
            if (sum_extend(f, t, &sum)) {
                sum_end(f, t, sum);
                return;
            }
        }
        bool rorx = (rotate || (op == SH_SHR && masked(f, t, mask + 1 - count))) &&
                    (f->features & X64_BMI2);
        bool moves = rorx || (op == SH_SHL && count - 1 < 3);
        u32 sp = f->sp, dst = result_begin(f, t, moves ? unless_free(f, t, a) : a);
        if (rorx && dst != a) {
            x64_rorx(&f->a, wide, dst, a, op == SH_ROL ? (0 - count) & mask : count);
        } else if (moves && dst != a) {
            x64_lea_scaled(&f->a, wide, dst, a, count);
        } else {
            move_reg(f, t, dst, a);
            if (count) {
                x64_shift_imm(&f->a, op, wide, dst, count);
                if (!rotate)
                    flags_of(f, dst, wide);
            }
        }
        result_end(f, t, dst);
        if (op == SH_SHR)
            result_bits(f, sp, mask + 1 - count);
        else if (unlikely(f->far) && op == SH_SHL && bits && bits + count <= mask)
            result_bits(f, sp, bits + count);
        return;
    }
    if (rotate || !(f->features & X64_BMI2)) {
        shift_by_cl(f, t, op);
        return;
    }
    u32 b = pop_reg(f), a = pop_reg(f);
    u32 dst = result_begin(f, t, unless_free(f, t, a));
    x64_shiftx(&f->a, op, wide, dst, a, b);
    result_end(f, t, dst);
}

OUT_OF_LINE static void count_bits(struct fast *f, enum ty t, u32 op) // 0 clz, 1 ctz, 2 popcnt
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

static const struct alu alus[] = {
    [OP_i32_add - OP_i32_add] = {I_ADD, G1_ADD, true},
    [OP_i32_sub - OP_i32_add] = {I_SUB, G1_SUB, false},
    [OP_i32_and - OP_i32_add] = {I_AND, G1_AND, true},
    [OP_i32_or - OP_i32_add] = {I_OR, G1_OR, true},
    [OP_i32_xor - OP_i32_add] = {I_XOR, G1_XOR, true},
};

// Only the lower halves matter where the result is wrapped next.
static bool narrows(const struct fast *f, u32 op)
{
    if (*f->pc != OP_i32_wrap_i64)
        return false;
    if (op == OP_i32_shl) { // by 0 there is no code that could wrap
        const struct slot *count = &f->slots[f->sp - 1];
        return count->kind == SLOT_CONST && (count->imm & 63) - 1 < 31;
    }
    return op >= OP_i32_add && op <= OP_i32_xor && (op <= OP_i32_mul || op >= OP_i32_and);
}

void integer_op(struct fast *f, u32 op, enum ty t, u32 base)
{
    op = op - base + OP_i32_clz;
    if (t == T64 && narrows(f, op)) {
        f->pc++;
        t = T32;
    }
    u32 k = op - OP_i32_add;
    if (k <= OP_i32_xor - OP_i32_add && alus[k].insn) {
        if (op == OP_i32_and)
            and(f, t, &alus[k]);
        else
            alu(f, t, &alus[k]);
        return;
    }
    switch (op) {
    case OP_i32_clz: count_bits(f, t, 0); break;
    case OP_i32_ctz: count_bits(f, t, 1); break;
    case OP_i32_popcnt: count_bits(f, t, 2); break;
    case OP_i32_mul: multiply(f, t); break;
    case OP_i32_div_s: divide(f, t, true, false); break;
    case OP_i32_div_u: divide(f, t, false, false); break;
    case OP_i32_rem_s: divide(f, t, true, true); break;
    case OP_i32_rem_u: divide(f, t, false, true); break;
    case OP_i32_shl: shift(f, t, SH_SHL); break;
    case OP_i32_shr_s: shift(f, t, SH_SAR); break;
    case OP_i32_shr_u: shift(f, t, SH_SHR); break;
    case OP_i32_rotl: shift(f, t, SH_ROL); break;
    case OP_i32_rotr: shift(f, t, SH_ROR); break;
    default: break;
    }
}
