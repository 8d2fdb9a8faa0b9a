// SPDX-License-Identifier: MIT
// Labels and the edges that lead to them: what join.c offers to flow.c.
#pragma once
#include "fast/state.h"

static inline struct region *region_of(struct fast *f, u32 region)
{
    return &f->regions.at[region];
}

// The one register of a label's result.
static inline u32 result_register(const struct ctl *c)
{
    return ty_fp(c->result_type) ? XMM0 : RAX;
}

// The registers that the present region does not pin. Its pins are always in place, in code that
// nothing reaches, too.
static inline u32 unpinned(const struct fast *f)
{
    return ~f->regions.at[f->region].pins;
}

// Saves what the registers in `which` hold; back to that state, with the other registers as they
// are.
void regs_save(const struct fast *f, struct regs *s, u32 which);
void regs_restore(struct fast *f, const struct regs *s, u32 which);
u32 state_new(struct fast *f); // a place for a state in the pool; 0 when memory is out
void state_free(struct fast *f, u32 n);

u32 in_place(const struct fast *f, const struct region *r); // pins of r that hold now
void region_enter(struct fast *f, u32 region); // makes the pins of a region hold, from any state
void region_assume(struct fast *f,
                   const struct region *r); // without code, where nothing comes from

u32 label_id(struct fast *f, struct ctl *c);
void chain_add(struct fast *f, struct ctl *c, u8 *rel32);
void chain_bind(struct fast *f, struct ctl *c);
void label_merge(struct fast *f, struct ctl *c); // the present state is one more way to reach it
void conform(struct fast *f, struct ctl *c);     // an edge to c from here: code, and label_merge
