// SPDX-License-Identifier: MIT
// Which locals stay in registers, and where.
//
// The validator has left a log of all uses of locals, in order, with their loop depth. For the
// function, and again for each loop down to PIN_DEPTH, the uses within are added up, a use in an
// inner loop counting eight times one outside it; the heaviest locals get registers for the extent
// of that region. A loop starts from what the surrounding region has pinned and replaces what it
// uses less; so a loop that is hot has all registers for itself, and one that is not leaves
// everything in place. Where calls happen only callee-saved registers are used.
//
// Time: every use is looked at once per enclosing region, PIN_DEPTH + 1 times at most.
#include "fast/state.h"

enum {
    PIN_MAX = 24, // candidates kept, both classes together
};

// Left for temporaries: rax rcx rdx rsi and xmm0-xmm3, at least.
#define PIN_CALLEE CALLEE_SAVED
#define PIN_CALLER (BIT(RDI) | BIT(R8) | BIT(R9) | BIT(R10) | 0x7ff00000u)

struct candidate {
    u32 local, weight;
};

struct candidates {
    struct candidate at[PIN_MAX];
    u32 count;
};

// Adds up the weights of uses [start, end) into f->weight and returns how many locals were touched.
static u32 weigh(struct fast *f, u32 start, u32 end, u32 depth)
{
    static const u16 weights[] = {1, 8, 64, 512, 4096};
    // With more uses than that, which nobody writes, the sum might overflow.
    u32 deepest = end - start < 1u << 20 ? 4 : 0;
    u32 n = 0, *touched = f->touched, *weight = f->weight;
    enum { AT_ONCE = 1 << 16 };
    for (const local_use *u = f->body->uses + start, *last = f->body->uses + end; u < last; u++) {
        if (unlikely((u - f->body->uses) % AT_ONCE == 0))
            fast_pause(f);
        u32 local = *u & 0xffff, deeper = (*u >> 16 & 0xff) - depth;
        touched[n] = local; // there is room for one more than can be
        n += !weight[local];
        weight[local] += weights[deeper < deepest ? deeper : deepest];
    }
    return n;
}

static void unweigh(struct fast *f, u32 touched)
{
    for (u32 i = 0; i < touched; i++)
        f->weight[f->touched[i]] = 0;
}

static void insert(struct candidates *c, u32 local, u32 weight)
{
    u32 i = c->count < PIN_MAX ? c->count++ : PIN_MAX - 1;
    for (; i && c->at[i - 1].weight < weight; i--)
        c->at[i] = c->at[i - 1];
    c->at[i] = (struct candidate){local, weight};
}

static void collect(struct fast *f, u32 touched, u32 minimum, struct candidates *c)
{
    c->count = 0;
    for (u32 i = 0; i < touched; i++) {
        u32 local = f->touched[i], w = f->weight[local];
        if (w >= minimum && (c->count < PIN_MAX || w > c->at[PIN_MAX - 1].weight))
            insert(c, local, w);
    }
}

static bool is_pinned(const struct region *r, u32 local)
{
    for (u32 m = r->pins; m; m &= m - 1)
        if (r->local[__builtin_ctz(m)] == local)
            return true;
    return false;
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

static u32 lightest(const struct fast *f, const struct region *r, u32 legal)
{
    u32 best = NO_REG;
    for (u32 m = r->pins & legal; m; m &= m - 1) {
        u32 reg = (u32)__builtin_ctz(m);
        if (best == NO_REG || f->weight[r->local[reg]] < f->weight[r->local[best]])
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
        if (is_pinned(r, local))
            continue;
        u32 class = class_of(f->local_type[local]) & legal;
        u32 now = f->local_reg[local];
        u32 reg = choose(f, r, class, now);
        if (reg == NO_REG) {
            reg = lightest(f, r, class);
            if (reg == NO_REG || f->weight[r->local[reg]] + 2 >= weight)
                continue;
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
    struct region *r = &f->regions.at[0];
    struct candidates c;
    r->pins = 0;
    if (f->no_pins)
        return;
    u32 touched = weigh(f, 0, f->body->nuses, 0);
    for (u32 i = 0; i < f->body->type->nparams; i++)
        if (f->local_reg[i] != NO_REG && !f->weight[i])
            cache_remove(f, f->local_reg[i]); // never used: no need to keep it
    collect(f, touched, 2, &c);
    assign(f, &c, f->body->calls ? PIN_CALLEE : PIN_CALLEE | PIN_CALLER, r);
    unweigh(f, touched);
}

void pins_loop(struct fast *f, const struct loop_note *note, const struct region *outer,
               struct region *out, u32 *written)
{
    *out = *outer;
    struct candidates c;
    u32 touched = weigh(f, note->uses_start, note->uses_end, f->loop_depth);
    collect(f, touched, 2, &c);
    assign(f, &c, note->calls ? PIN_CALLEE : PIN_CALLEE | PIN_CALLER, out);
    unweigh(f, touched);

    for (u32 i = note->uses_start; i < note->uses_end; i++) // as many as there
        if (f->body->uses[i] & LOCAL_USE_WRITE)
            f->weight[f->body->uses[i] & 0xffff] = 1;
    *written = 0;
    for (u32 m = out->pins; m; m &= m - 1) {
        u32 r = (u32)__builtin_ctz(m);
        *written |= f->weight[out->local[r]] ? BIT(r) : 0;
    }
    if (unlikely(f->far))
        sums_loop(f, f->weight);
    unweigh(f, touched);
}
