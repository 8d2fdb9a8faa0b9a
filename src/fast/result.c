// SPDX-License-Identifier: MIT
// Results and operands. A result that the next instruction puts into a pinned local is computed
// right there: result_begin looks one instruction ahead, and result_end then steps over that
// instruction.
#include "fast/emit.h"

// Where the result of the present instruction should go: the register of the pinned local that the
// next instruction sets, or NO_REG. Slots that refer to the local's old value get copies now;
// operands have been popped.
static u32 result_hint(struct fast *f)
{
    u32 op = *f->pc;
    const u8 *next = f->pc + 1;
    u32 local = leb_u32(&next);
    u32 r = f->local_reg[local];
    if (r == NO_REG || !pinned(f, r))
        return NO_REG;
    if (f->ref_head[local])
        refs_materialize(f, local);
    f->busy |= BIT(r);
    f->hint.reg = r;
    f->hint.local = local;
    f->hint.tee = op == OP_local_tee;
    f->hint.next = next;
    return r;
}

// The result is in r: the hint's register, or one that is the instruction's own.
void result_end(struct fast *f, enum ty t, u32 r)
{
    if (f->hint.reg != r) {
        if (owned(f, r)) {
            push_reg(f, t, r);
        } else { // of a local that nobody wants any more
            f->dirty |= BIT(r);
            if (unlikely(f->far))
                sum_unname(f, f->reg_local[r]);
            push_local(f, f->reg_local[r], true);
        }
        return;
    }
    f->use++;
    f->hint.reg = NO_REG;
    f->dirty |= BIT(r);
    f->pc = f->hint.next;
    if (f->hint.tee)
        push_local(f, f->hint.local, false);
}

static inline u32 own_or_new(struct fast *f, enum ty t, u32 a)
{
    f->hint.reg = NO_REG;
    if (a != NO_REG && ty_fp(t) && (f->features & X64_AVX) && !owned(f, a))
        a = unless_free(f, t, a);
    return a != NO_REG && may_take(f, t, a) ? a : reg_alloc(f, class_of(t));
}

__attribute__((noinline)) static u32 before_set(struct fast *f, enum ty t, u32 a)
{
    u32 r = result_hint(f);
    return r != NO_REG ? r : own_or_new(f, t, a);
}

// A register for the result: the hint's, else a's if that is free to be overwritten, else a new
// one.
u32 result_begin(struct fast *f, enum ty t, u32 a)
{
    if (*f->pc == OP_local_set || *f->pc == OP_local_tee)
        return before_set(f, t, a);
    return own_or_new(f, t, a);
}

// An operand that instructions can read where it is, in the frame: a spilled slot, or a local that
// is not cached when registers are short, or others are used more.
bool in_frame(struct fast *f, const struct slot *s, struct x64_operand *m)
{
    if (s->kind == SLOT_MEM) {
        *m = frame_at(f, stack_cell(f, f->sp));
        return true;
    }
    if (s->kind != SLOT_LOCAL || f->local_reg[s->local] != NO_REG)
        return false;
    if (s->type != f->local_type[s->local] || slot_lanes(f, s) != NO_LANES)
        return false; // the upper half is not there, or it is in four places
    u32 class = class_of(s->type);
    if (!s->last && regs_free(f, class) && !crowded(f, class))
        return false;
    *m = frame_at(f, s->local);
    return true;
}

// dst = a op b for a two-operand instruction whose operands cannot be exchanged, dst = b allowed.
void two_operand(struct fast *f, u32 insn, enum ty t, u32 dst, u32 a, u32 b)
{
    bool wide = ty_wide(t);
    if (ty_fp(t) && (f->features & X64_AVX)) {
        x64_reg(&f->a, x64_three(insn, a), false, dst, b);
        return;
    }
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

u32 with_first(struct fast *f, u32 insn, u32 dst, u32 a)
{
    if (f->features & X64_AVX)
        return x64_three(insn, a);
    move_reg(f, TF64, dst, a);
    return insn;
}

void float_unary(struct fast *f, u32 insn, u32 dst, u32 a)
{
    if (f->features & X64_AVX)
        insn = x64_three(insn, a);
    else if (dst != a)
        x64_reg(&f->a, I_XORPS, false, dst, dst);
    x64_reg(&f->a, insn, false, dst, a);
}
