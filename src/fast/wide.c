// SPDX-License-Identifier: MIT
// Wide arithmetic: numbers of 128 bits as two operands, the lower half below the upper one.
#include "fast/emit.h"

// A register with r's value, which the instruction may overwrite; `needed` are those whose values
// it still wants. Of what is not to be overwritten there may be as many as there are registers:
// then that of a local is taken away from it.
static u32 overwritable(struct fast *f, u32 r, u32 needed)
{
    bool spare = !(needed & BIT(r));
    if (spare && owned(f, r))
        return r;
    if (spare && !pinned(f, r) && !regs_free(f, GPR_MASK)) {
        local_drop(f, r);
        return r;
    }
    u32 own = reg_alloc(f, GPR_MASK);
    move_reg(f, T64, own, r);
    if (spare)
        f->busy &= ~BIT(r);
    return own;
}

void add_wide(struct fast *f, u32 low, u32 high)
{
    u32 b_high = pop_reg(f), b_low = pop_reg(f), a_high = pop_reg(f), a_low = pop_reg(f);
    u32 b = BIT(b_low) | BIT(b_high);
    a_low = overwritable(f, a_low, b | BIT(a_high));
    a_high = overwritable(f, a_high, b | BIT(a_low)); // before the sum that makes the carry
    x64_reg(&f->a, low, true, a_low, b_low);
    x64_reg(&f->a, high, true, a_high, b_high);
    push_reg(f, T64, a_low);
    push_reg(f, T64, a_high);
}

void multiply_wide(struct fast *f, enum x64_group3 insn)
{
    move_reg(f, T64, SCRATCH, pop_reg(f));
    pop_to_rax(f, T64);
    x64_group3_reg(&f->a, insn, true, SCRATCH);
    push_reg(f, T64, RAX);
    push_reg(f, T64, RDX);
}
