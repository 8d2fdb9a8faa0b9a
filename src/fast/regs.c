// SPDX-License-Identifier: MIT
// Registers and slots: the halves that are not on every instruction's path. Everything here moves
// values with instructions that leave the flags alone, because it may run between a comparison and
// the branch that uses it.
#include "fast/state.h"

// Of registers that cache locals, one whose local is not read or written soon, by the code's order:
// the last one, as far as this looks, or of those that are further away the one after the latest
// victim, so that it is not the same each time.
static u32 used_last(struct fast *f, u32 from)
{
    enum { AHEAD = 32 };
    u32 waiting = 0; // on the operand stack
    for (u32 m = from; m; m &= m - 1) {
        u32 r = (u32)__builtin_ctz(m);
        waiting |= f->ref_head[f->reg_local[r]] ? BIT(r) : 0;
    }
    from = from & ~waiting ? from & ~waiting : from;
    const local_use *u = f->use, *end = f->body->uses + f->body->nuses;
    for (end = end - u > AHEAD ? u + AHEAD : end; u < end && (from & (from - 1)); u++) {
        u32 r = f->local_reg[*u & 0xffff];
        from &= r != NO_REG && from != BIT(r) ? ~BIT(r) : ~0u;
    }
    f->rotor = (f->rotor + 1) & 31;
    u32 above = from & ~(BIT(f->rotor) - 1);
    return f->rotor = (u32)__builtin_ctz(above ? above : from);
}

// Which register to give up. In order: a clean cached local (free of charge), a dirty one (one
// store), the oldest temporary (it will be used last).
u32 reg_evict(struct fast *f, u32 allowed)
{
    allowed &= f->alloc & ~f->busy;
    u32 locals = f->cache & ~f->regions.at[f->region].pins & allowed;
    u32 clean = locals & ~f->dirty;
    u32 from = clean ? clean : locals;
    if (from) {
        u32 r = used_last(f, from);
        local_drop(f, r);
        f->busy |= BIT(r);
        return r;
    }
    u32 best = NO_REG;
    for (u32 temps = f->temp & allowed; temps; temps &= temps - 1) {
        u32 r = (u32)__builtin_ctz(temps);
        if (best == NO_REG || f->reg_slot[r] < f->reg_slot[best])
            best = r;
    }
    if (best == NO_REG)
        __builtin_trap(); // an instruction asked for more registers than there are: our own bug
    slot_spill(f, f->reg_slot[best]);
    f->busy |= BIT(best);
    return best;
}

u32 value_load(struct fast *f, const struct slot *s)
{
    enum ty t = s->type;
    u32 r = reg_alloc(f, class_of(t));
    switch ((enum slot_kind)s->kind) {
    case SLOT_CONST: const_to_reg(f, t, r, s->imm); break;
    case SLOT_LOCAL:
        if (unlikely(t == TV128) && slot_lanes(f, s) != NO_LANES) {
            lanes_load(f, r, slot_lanes(f, s));
            break;
        }
        load_frame(f, f->local_type[s->local], r, s->local);
        if (!s->last && !crowded(f, class_of(t)))
            cache_put(f, r, s->local, false);
        break;
    case SLOT_MEM:
    case SLOT_REG:
    case SLOT_FLAGS: load_frame(f, t, r, stack_cell(f, f->sp)); break;
    }
    return r;
}

u32 pop_reg(struct fast *f)
{
    u32 top = --f->sp;
    struct slot *s = &f->slots[top];
    if (top < f->flushed)
        f->flushed = top;
    if (s->kind == SLOT_REG) {
        u32 r = s->reg;
        f->temp &= ~BIT(r);
        f->busy |= BIT(r);
        return r;
    }
    if (s->kind == SLOT_LOCAL) {
        f->ref_head[s->local] = s->next;
        if (s->last)
            slot_inherit(f, s);
    }
    return value_reg(f, s);
}

void slot_inherit(struct fast *f, struct slot *s)
{
    u32 r = f->local_reg[s->local];
    if (r == NO_REG || f->ref_head[s->local])
        return;
    f->busy |= BIT(r);
    if (pinned(f, r)) {
        f->spent |= BIT(r);
        return;
    }
    cache_remove(f, r);
    if (unlikely(f->far))
        slot_sum(f, s);
    s->kind = SLOT_REG;
    s->reg = (u8)r;
}

void local_drop(struct fast *f, u32 r)
{
    u32 local = f->reg_local[r];
    if (f->dirty & BIT(r))
        store_frame(f, f->local_type[local], local, r);
    cache_remove(f, r);
}

void slot_spill(struct fast *f, u32 index)
{
    struct slot *s = &f->slots[index];
    slot_to_home(f, index, index);
    if (s->kind == SLOT_REG)
        f->temp &= ~BIT(s->reg);
    s->kind = SLOT_MEM;
}

void reg_take(struct fast *f, u32 r)
{
    f->busy |= BIT(r);
    if (f->cache & BIT(r)) {
        local_drop(f, r);
    } else if (f->temp & BIT(r)) {
        struct slot *s = &f->slots[f->reg_slot[r]];
        u32 free = regs_free(f, class_of(s->type));
        if (!free) {
            slot_spill(f, f->reg_slot[r]);
            return;
        }
        u32 to = (u32)__builtin_ctz(free);
        move_reg(f, s->type, to, r);
        f->reg_slot[to] = f->reg_slot[r];
        f->temp = (f->temp & ~BIT(r)) | BIT(to);
        s->reg = (u8)to;
    }
}

void slot_to_reg(struct fast *f, u32 index, u32 reg)
{
    const struct slot *s = &f->slots[index];
    enum ty t = s->type;
    switch ((enum slot_kind)s->kind) {
    case SLOT_REG: move_reg(f, t, reg, s->reg); break;
    case SLOT_CONST:
        if (ty_fp(t) && s->imm == 0) // xorps does not touch the flags either
            x64_reg(&f->a, I_XORPS, false, reg, reg);
        else
            const_to_reg(f, t, reg, s->imm);
        break;
    case SLOT_LOCAL:
        if (f->local_reg[s->local] != NO_REG)
            move_reg(f, t, reg, f->local_reg[s->local]);
        else if (unlikely(t == TV128) && slot_lanes(f, s) != NO_LANES)
            lanes_load(f, reg, slot_lanes(f, s));
        else
            load_frame(f, f->local_type[s->local], reg, s->local);
        break;
    case SLOT_MEM:
    case SLOT_FLAGS: load_frame(f, t, reg, stack_cell(f, index)); break;
    }
}

void slot_to_home(struct fast *f, u32 index, u32 target)
{
    const struct slot *s = &f->slots[index];
    enum ty t = s->type;
    if (s->kind == SLOT_MEM && index == target)
        return;
    u32 r = ty_fp(t) ? SCRATCH_XMM : SCRATCH;
    if (s->kind == SLOT_REG)
        r = s->reg;
    else if (s->kind == SLOT_LOCAL && f->local_reg[s->local] != NO_REG)
        r = f->local_reg[s->local];
    else
        slot_to_reg(f, index, r);
    store_frame(f, t, stack_cell(f, target), r);
}

void refs_materialize(struct fast *f, u32 local)
{
    u32 head = f->ref_head[local];
    f->ref_head[local] = 0;
    while (head) {
        struct slot *s = &f->slots[head - 1];
        u32 index = head - 1;
        head = s->next;
        u32 free = regs_free(f, class_of(s->type));
        if (!free || !fast_room(f, 64)) {
            slot_spill(f, index);
            continue;
        }
        u32 r = (u32)__builtin_ctz(free);
        if (r == f->zf_reg)
            f->zf_at = NULL; // that was of what it held before
        slot_to_reg(f, index, r);
        s->kind = SLOT_REG;
        s->reg = (u8)r;
        f->temp |= BIT(r);
        f->reg_slot[r] = index;
    }
}

void slots_flush(struct fast *f)
{
    for (u32 i = f->flushed; i < f->sp && fast_room(f, 32); i++) {
        struct slot *s = &f->slots[i];
        if (s->kind == SLOT_LOCAL)
            f->ref_head[s->local] = 0; // all that refer to it are flushed now
        if (s->kind == SLOT_LOCAL || s->kind == SLOT_REG)
            slot_spill(f, i);
    }
    f->flushed = f->sp;
}

void dirty_write(struct fast *f, u32 which)
{
    f->dirty &= ~which;
    for (u32 d = which; d; d &= d - 1) {
        u32 r = (u32)__builtin_ctz(d);
        store_frame(f, f->local_type[f->reg_local[r]], f->reg_local[r], r);
    }
}
