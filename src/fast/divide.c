// SPDX-License-Identifier: MIT
// Division. By constants it is a multiplication by the reciprocal, rounded up, with as many bits as
// it takes to be exact for all dividends (Granlund and Montgomery, "Division by invariant integers
// using multiplication", PLDI 1994; Hacker's Delight, chapter 10); by others the machine's.
//
// Let d have k + 1 bits and not be a power of two, N the width. m = floor(2^(N+k) / d) + 1 has N
// bits. Unsigned, m * n >> (N+k) is the quotient if m * d - 2^(N+k) <= 2^k; else one more bit of
// the reciprocal is needed, which comes to N + 1. Signed, it is always enough, since a dividend has
// one bit less; the shift rounds down, so one is added for negative dividends.
#include "fast/emit.h"

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

struct reciprocal {
    u64 m;
    u32 k;
    bool more; // m is of 2^(N+k+1), less 2^N
};

// d is not a power of two, and below 2^(N-1).
static struct reciprocal reciprocal(enum ty t, u64 d, bool is_signed)
{
    u32 n = ty_wide(t) ? 64 : 32;
    struct reciprocal r = {.k = 63 - (u32)__builtin_clzll(d)};
    u64 rest = 1ull << r.k;
    for (u32 i = 0; i < n; i++) { // 2^(N+k) / d, bit by bit; rest < d < 2^63
        bool bit = rest * 2 >= d;
        rest = rest * 2 - (bit ? d : 0);
        r.m = r.m * 2 + bit;
    }
    if (!is_signed && d - rest > 1ull << r.k) {
        r.more = true;
        r.m = r.m * 2 + (rest * 2 >= d);
    }
    r.m++;
    if (n == 32)
        r.m = (u32)r.m;
    return r;
}

// The quotient, in 64 bits, which hold the product. q and the scratch register are not a.
static void quotient_32(struct fast *f, struct reciprocal r, bool is_signed, u32 q, u32 a)
{
    struct assembler *s = &f->a;
    x64_mov_imm(s, q, r.m);
    if (is_signed)
        x64_reg(s, I_MOVSXD, true, SCRATCH, a);
    x64_reg(s, I_IMUL, true, q, is_signed ? SCRATCH : a);
    if (is_signed) {
        x64_shift_imm(s, SH_SAR, true, q, 32 + r.k);
        x64_shift_imm(s, SH_SHR, false, SCRATCH, 31);
        x64_reg(s, I_ADD, false, q, SCRATCH);
    } else if (r.more) { // the sum has 33 bits
        x64_shift_imm(s, SH_SHR, true, q, 32);
        x64_reg(s, I_ADD, true, q, a);
        x64_shift_imm(s, SH_SHR, true, q, r.k + 1);
    } else {
        x64_shift_imm(s, SH_SHR, true, q, 32 + r.k);
    }
}

// The quotient in rdx; rax is used. a is neither.
static void quotient_64(struct fast *f, struct reciprocal r, bool is_signed, u32 a)
{
    struct assembler *s = &f->a;
    x64_mov_imm(s, RAX, r.m);
    x64_group3_reg(s, is_signed ? G3_IMUL : G3_MUL, true, a);
    if (is_signed) { // m has been taken for m - 2^64
        x64_reg(s, I_ADD, true, RDX, a);
        x64_shift_imm(s, SH_SAR, true, RDX, r.k);
        move_reg(f, T64, RAX, a);
        x64_shift_imm(s, SH_SHR, true, RAX, 63);
        x64_reg(s, I_ADD, true, RDX, RAX);
        return;
    }
    x64_shift_imm(s, SH_SHR, true, RDX, r.k);
}

// By a constant. False: none that this is for.
static bool divide_const(struct fast *f, enum ty t, u64 d, bool is_signed, bool rem)
{
    bool wide = ty_wide(t);
    s64 divisor = wide ? (s64)d : (s32)d;
    bool negative = is_signed && divisor < 0;
    u64 size = is_signed ? (u64)(negative ? -(u64)divisor : (u64)divisor) : wide ? d : (u32)d;
    if (size >> (wide ? 63 : 31) || !(size & (size - 1)))
        return false;
    struct reciprocal r = reciprocal(t, size, is_signed);
    if (wide && r.more)
        return false; // not quicker than the machine's division
    pop(f);
    u32 a = pop_reg(f), q = RDX, rest = RAX;
    if (wide) {
        if (a == RAX || a == RDX) {
            move_reg(f, t, SCRATCH, a);
            a = SCRATCH;
        }
        reg_take(f, RAX);
        reg_take(f, RDX);
        quotient_64(f, r, is_signed, a);
    } else {
        q = reg_alloc(f, GPR_MASK);
        rest = SCRATCH;
        quotient_32(f, r, is_signed, q, a);
    }
    if (rem) { // of the same sign whatever the divisor's is
        if (size <= INT32_MAX) {
            x64_imul_imm(&f->a, wide, q, q, (s32)size);
        } else {
            x64_mov_imm(&f->a, rest, size);
            x64_reg(&f->a, I_IMUL, wide, q, rest);
        }
        move_reg(f, t, rest, a);
        x64_reg(&f->a, I_SUB, wide, rest, q);
        move_reg(f, t, q, rest);
    } else if (negative) {
        x64_group3_reg(&f->a, G3_NEG, wide, q);
    }
    u32 dst = result_begin(f, t, q);
    move_reg(f, t, dst, q);
    result_end(f, t, dst);
    return true;
}

void pop_to_rax(struct fast *f, enum ty t)
{
    u32 a = pop_reg(f);
    if (a != RAX) {
        reg_take(f, RAX);
        move_reg(f, t, RAX, a);
    } else if (!owned(f, RAX)) {
        local_drop(f, RAX);
    }
    if (a != RDX || !owned(f, RDX))
        reg_take(f, RDX);
}

void divide(struct fast *f, enum ty t, bool is_signed, bool rem)
{
    struct assembler *s = &f->a;
    bool wide = ty_wide(t);
    const struct slot *sb = &f->slots[f->sp - 1];
    bool constant = sb->kind == SLOT_CONST;
    u64 d = constant ? sb->imm : 0;
    if (constant &&
        ((!is_signed && divide_shift(f, t, d, rem)) || divide_const(f, t, d, is_signed, rem)))
        return;
    struct slot b = pop(f);
    if (constant)
        x64_mov_imm(s, SCRATCH, wide ? d : (u32)d);
    else
        move_reg(f, t, SCRATCH, value_reg(f, &b));
    pop_to_rax(f, t);
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
