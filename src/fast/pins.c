// SPDX-License-Identifier: MIT
// Which locals stay in registers, and where.
//
// The validator has left a log of all uses of locals, in order, with their loop depth. For the
// function, and again for each loop down to PIN_DEPTH, the uses within are added up, a use in an
// inner loop counting four times one outside it; the heaviest locals get registers for the extent
// of that region. A loop starts from what the surrounding region has pinned and replaces what it
// uses less; so a loop that is hot has all registers for itself, and one that is not leaves
// everything in place. Where calls happen only callee-saved registers are used.
//
// Time: every use is looked at once per enclosing loop, PIN_DEPTH times at most; the function's
// sums are the validator's.
#include "fast/state.h"

enum {
    PIN_MAX = 24, // candidates kept, both classes together
};

struct candidate {
    u32 local, weight;
};

struct candidates {
    struct candidate at[PIN_MAX];
    u32 count;
};

// Adds up the weights of uses [start, end) into f->weight, where LOCAL_USE_WRITE says that there is
// a write among them, and returns how many locals were touched.
static u32 weigh(struct fast *f, u32 start, u32 end, u32 depth)
{
    u32 n = 0, *touched = f->touched, *weight = f->weight;
    enum { AT_ONCE = 1 << 14 };
    for (const local_use *u = f->body->uses + start, *last = f->body->uses + end, *stop;
         u < last;) {
        stop = last - u > AT_ONCE ? u + AT_ONCE : last;
        for (; u < stop; u++) {
            u32 use = *u, local = use & 0xffff, at = use >> 16 & 0xff, w = weight[local];
            touched[n] = local; // there is room for one more than can be
            n += !w;
            w += use_weight(at - depth);
            weight[local] = w | (use & LOCAL_USE_WRITE);
        }
        if (unlikely(stop != last))
            fast_pause(f);
    }
    return n;
}

static void insert(struct candidates *c, u32 local, u32 weight)
{
    u32 i = c->count < PIN_MAX ? c->count++ : PIN_MAX - 1;
    for (; i && c->at[i - 1].weight < weight; i--)
        c->at[i] = c->at[i - 1];
    c->at[i] = (struct candidate){local, weight};
}

static inline void consider(struct candidates *c, u32 local, u32 weight)
{
    if (weight >= 2 && (c->count < PIN_MAX || weight > c->at[PIN_MAX - 1].weight))
        insert(c, local, weight);
}

// Those of a vector that is held as four locals are looked for in its place.
static void consider_local(struct fast *f, struct candidates *c, u32 local, u32 weight)
{
    u32 g = has_lanes(f) ? lanes_of(f, local) : NO_LANES;
    if (g == NO_LANES)
        consider(c, local, weight);
    for (u32 i = 0; g != NO_LANES && f->lanes[g].built && i < 4; i++)
        consider(c, f->lanes[g].first + i, weight);
}

// Its weight goes to these.
static u32 weigh_lanes(struct fast *f, u32 touched)
{
    for (u32 g = 0; g < f->nlanes - BUILDING; g++) {
        const struct lanes *l = &f->lanes[g];
        u32 weight = f->weight[l->local];
        f->weight[l->local] = 0;
        for (u32 i = 0; weight && l->built && i < 4; i++) {
            f->weight[l->first + i] = weight;
            f->touched[touched++] = l->first + i;
        }
    }
    return touched;
}

// What the region in force pins is in its register, and `r` began as that region.
static bool is_pinned(const struct fast *f, const struct region *r, u32 local)
{
    u32 reg = f->local_reg[local];
    return reg != NO_REG && (r->pins & BIT(reg)) && r->local[reg] == local;
}

// The cheapest register for one more pin among `legal`, or NO_REG: the preferred one, a
// caller-saved one, a callee-saved one that has been saved already, any.
static u32 choose(const struct fast *f, const struct region *r, u32 legal, u32 preferred)
{
    u32 free = legal & ~r->pins;
    if (preferred != NO_REG && (free & BIT(preferred)))
        return preferred;
    u32 cheap = free & (PIN_CALLER | f->saved);
    if (cheap || free)
        return 31 - (u32)__builtin_clz(cheap ? cheap : free);
    return NO_REG;
}

static u32 weight_of(const struct fast *f, u32 local)
{
    return f->weight[local] & ~LOCAL_USE_WRITE;
}

static u32 lightest(const struct fast *f, const struct region *r, u32 legal)
{
    u32 best = NO_REG;
    for (u32 m = r->pins & legal; m; m &= m - 1) {
        u32 reg = (u32)__builtin_ctz(m);
        if (best == NO_REG || weight_of(f, r->local[reg]) < weight_of(f, r->local[best]))
            best = reg;
    }
    return best;
}

static void pin(struct region *r, u32 reg, u32 local)
{
    r->pins |= BIT(reg);
    r->local[reg] = local;
}

static void assign(struct fast *f, const struct candidates *c, u32 legal, struct region *r)
{
    for (u32 i = 0; i < c->count; i++) {
        u32 local = c->at[i].local, weight = c->at[i].weight;
        if (is_pinned(f, r, local))
            continue;
        u32 class = class_of(f->local_type[local]) & legal;
        u32 now = f->local_reg[local];
        u32 reg = choose(f, r, class, now);
        if (reg == NO_REG) {
            reg = lightest(f, r, class);
            if (reg == NO_REG || weight_of(f, r->local[reg]) + 2 >= weight) {
                legal &= ~class; // nor for those that follow, which weigh less
                continue;
            }
        }
        if (BIT(reg) & CALLEE_SAVED & ~f->saved && weight < 3)
            continue; // saving and restoring it would cost more
        pin(r, reg, local);
        f->saved |= BIT(reg) & CALLEE_SAVED;
        f->alloc |= BIT(reg) & CALLEE_SAVED;
    }
}

void pins_function(struct fast *f)
{
    const struct web *webs = f->body->webs;
    struct region *r = &f->regions.at[0];
    struct candidates c = {.count = 0};
    r->pins = 0;
    if (f->no_pins)
        return;
    for (u32 i = 0; i < f->body->type->nparams; i++)
        if (f->local_reg[i] != NO_REG && !webs[i].weight)
            cache_remove(f, f->local_reg[i]); // never used: no need to keep it
    for (u32 i = 0; i < f->body->nlocals; i++)
        consider_local(f, &c, i, webs[i].weight);
    for (u32 i = 0; i < c.count; i++)
        f->weight[c.at[i].local] = c.at[i].weight;
    assign(f, &c, f->body->keeps ? PIN_CALLEE : PIN_CALLEE | PIN_CALLER, r);
    for (u32 i = 0; i < c.count; i++)
        f->weight[c.at[i].local] = 0;
}

void pins_loop(struct fast *f, const struct loop_note *note, const struct region *outer,
               struct region *out, u32 *written)
{
    *out = *outer;
    struct candidates c = {.count = 0};
    u32 touched = weigh(f, note->uses_start, note->uses_end, f->loop_depth);
    if (has_lanes(f))
        touched = weigh_lanes(f, touched);
    for (u32 i = 0; i < touched; i++)
        consider(&c, f->touched[i], weight_of(f, f->touched[i]));
    assign(f, &c, note->calls ? PIN_CALLEE : PIN_CALLEE | PIN_CALLER, out);
    *written = 0;
    for (u32 m = out->pins; m; m &= m - 1) {
        u32 r = (u32)__builtin_ctz(m);
        *written |= f->weight[out->local[r]] & LOCAL_USE_WRITE ? BIT(r) : 0;
    }
    if (unlikely(f->far))
        sums_loop(f, f->weight);
    for (u32 i = 0; i < touched; i++)
        f->weight[f->touched[i]] = 0;
}
