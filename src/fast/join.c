// SPDX-License-Identifier: MIT
// Control flow: labels, branches, joins.
//
// What holds at a label
//   Pins: every local that the label's region pins is in its register. Other locals: at a loop
//   header all are in their homes; at a forward label those may be in registers besides (clean)
//   that every edge so far had in the same one. Operands: one result is in rax or xmm0; several are
//   in the frame cells of their slots; everything below was flushed to constants and frame cells
//   when the block was entered. So an edge is made by conform(): store dirty locals that the label
//   does not pin, move results, load the pins that are missing. For branches within a region that
//   is usually nothing.
//
// A conditional branch does the part that is harmless for the other path in line, before the jump;
// if more is needed (it leaves a region, or carries several values), the jump leads to code out of
// line, which is collected in a buffer of its own and placed behind the function's body.
#include "fast/join.h"

// --- Register states
void regs_save(const struct fast *f, struct regs *s, u32 which)
{
    s->cache = f->cache;
    s->dirty = f->dirty;
    for (u32 m = f->cache & which; m; m &= m - 1) {
        u32 r = (u32)__builtin_ctz(m);
        s->local[r] = f->reg_local[r];
    }
}

// A place for a state; 0 when memory is out.
u32 state_new(struct fast *f)
{
    u32 n = f->free_state;
    if (n) {
        f->free_state = f->states.at[n - 1].next_free;
        return n;
    }
    if (!vec_reserve(&f->states, 1)) {
        f->oom = true;
        return 0;
    }
    return ++f->states.count;
}

void state_free(struct fast *f, u32 n)
{
    if (n) {
        f->states.at[n - 1].next_free = f->free_state;
        f->free_state = n;
    }
}

// Back to a saved state, in which the registers outside of `which` hold what they hold now.
void regs_restore(struct fast *f, const struct regs *s, u32 which)
{
    for (u32 m = f->cache & which; m; m &= m - 1)
        f->local_reg[f->reg_local[__builtin_ctz(m)]] = NO_REG;
    f->cache = s->cache;
    f->dirty = s->dirty;
    for (u32 m = s->cache & which; m; m &= m - 1) {
        u32 r = (u32)__builtin_ctz(m);
        f->reg_local[r] = s->local[r];
        f->local_reg[s->local[r]] = (u8)r;
    }
}

// Registers whose cached local is where the region wants it.
u32 in_place(const struct fast *f, const struct region *r)
{
    u32 yes = 0;
    for (u32 m = r->pins & f->cache; m; m &= m - 1) {
        u32 reg = (u32)__builtin_ctz(m);
        yes |= r->local[reg] == f->reg_local[reg] ? BIT(reg) : 0;
    }
    return yes;
}

static void load_pins(struct fast *f, const struct region *r)
{
    for (u32 m = r->pins & ~in_place(f, r); m; m &= m - 1) {
        u32 reg = (u32)__builtin_ctz(m), local = r->local[reg], now = f->local_reg[local];
        enum ty t = f->local_type[local];
        if (f->cache & BIT(reg))
            cache_remove(f, reg); // clean: what was dirty has been stored
        if (now != NO_REG) {
            move_reg(f, t, reg, now);
            cache_remove(f, now);
        } else {
            load_frame(f, t, reg, local);
        }
        cache_put(f, reg, local, false);
    }
}

// The same without code, where nothing comes from: the pins are as if they had been loaded.
void region_assume(struct fast *f, const struct region *r)
{
    for (u32 m = f->cache; m; m &= m - 1)
        cache_remove(f, (u32)__builtin_ctz(m));
    for (u32 m = r->pins; m; m &= m - 1)
        cache_put(f, (u32)__builtin_ctz(m), r->local[__builtin_ctz(m)], false);
}

void pins_assume(struct fast *f)
{
    const struct region *r = region_of(f, f->region);
    if (in_place(f, r) != r->pins)
        region_assume(f, r);
}

void region_enter(struct fast *f, u32 region)
{
    const struct region *r = region_of(f, region);
    dirty_store(f, in_place(f, r));
    load_pins(f, r);
}

// --- Labels
u32 label_id(struct fast *f, struct ctl *c)
{
    if (!c->label) {
        if (!vec_push(&f->labels, c->kind == CTL_LOOP ? c->header : 0)) {
            f->oom = true;
            return 0;
        }
        c->label = f->labels.count;
    }
    return c->label - 1;
}

void chain_add(struct fast *f, struct ctl *c, u8 *rel32)
{
    store_u32(rel32, c->chain);
    c->chain = (u32)(rel32 - f->start) + 1;
}

void chain_bind(struct fast *f, struct ctl *c)
{
    for (u32 at = c->chain; at;) {
        u8 *rel32 = f->start + at - 1;
        at = load_u32(rel32);
        x64_patch(rel32, f->a.p);
    }
    c->chain = 0;
    if (c->label)
        f->labels.at[c->label - 1] = here(f);
}

// The present state is one more way to reach a forward label: keep what all have in common.
// Everything that is dirty now is pinned there.
void label_merge(struct fast *f, struct ctl *c)
{
    if (c->kind == CTL_LOOP || c->kind == CTL_FUNC)
        return;
    u32 cache = f->cache;
    if (c->result_reg)
        cache &= ~BIT(result_register(c));
    if (!c->state) {
        c->state = state_new(f);
        if (!c->state)
            return;
        regs_save(f, &f->states.at[c->state - 1], ~region_of(f, c->region)->pins);
        f->states.at[c->state - 1].cache = cache;
        return;
    }
    struct regs *s = &f->states.at[c->state - 1];
    u32 same = region_of(f, c->region)->pins;
    for (u32 m = cache & s->cache & ~same; m; m &= m - 1) {
        u32 r = (u32)__builtin_ctz(m);
        same |= s->local[r] == f->reg_local[r] ? BIT(r) : 0;
    }
    s->cache = same;
    s->dirty = (s->dirty | f->dirty) & same;
}

// --- Edges
// Several values into the frame cells that the label expects them in. Ascending, since cells only
// move down.
static void results_to_frame(struct fast *f, const struct ctl *c)
{
    for (u32 i = 0; i < c->arity && fast_room(f, 64); i++)
        slot_to_home(f, f->sp - c->arity + i, c->height + i);
}

// The values of a return: the first in a register, the others in the caller's result area.
static void results_return(struct fast *f, const struct ctl *c)
{
    u32 cell = 0;
    for (u32 i = 1; i < c->arity && fast_room(f, 64); i++) {
        u32 index = f->sp - c->arity + i;
        enum ty t = f->slots[index].type;
        u32 r = ty_fp(t) ? SCRATCH_XMM : SCRATCH;
        slot_to_reg(f, index, r);
        call_store_result(f, t, r, cell);
        cell += t == TV128 ? 2 : 1;
    }
    if (c->arity)
        slot_to_reg(f, f->sp - c->arity, ty_fp(f->slots[f->sp - c->arity].type) ? XMM0 : RAX);
}

// The values to where the label wants them; for branches that are always taken from here.
static void results_move(struct fast *f, const struct ctl *c)
{
    if (c->kind == CTL_FUNC) {
        results_return(f, c);
    } else if (c->result_reg && c->arity) {
        u32 r = result_register(c);
        u32 index = f->sp - 1;
        slot_to_reg(f, index, r);
        if (f->cache & BIT(r))
            cache_remove(f, r); // clean
    } else {
        results_to_frame(f, c);
    }
}

void conform(struct fast *f, struct ctl *c)
{
    if (c->kind == CTL_FUNC) {
        results_move(f, c);
        return;
    }
    const struct region *r = region_of(f, c->region);
    bool same = c->region == f->region;
    dirty_store(f, same ? r->pins : in_place(f, r));
    if (c->arity)
        results_move(f, c);
    if (!same)
        load_pins(f, r);
    label_merge(f, c);
}
