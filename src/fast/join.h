// SPDX-License-Identifier: MIT
// Labels and the edges that lead to them: what join.c offers to flow.c and catch.c, and what these
// share.
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

// --- flow.c
static inline struct ctl *ctl_at(struct fast *f, u32 depth)
{
    return &f->ctls.at[f->ctls.count - 1 - depth];
}

struct ctl *ctl_push(struct fast *f, enum ctl_kind kind); // NULL: no memory
void discard(struct fast *f, u32 height);                 // forgets the slots from height on
void jump_to(struct fast *f, struct ctl *c);
void params_to_frame(struct fast *f, const struct ctl *c);
void params_restore(struct fast *f, const struct ctl *c);
// What an edge takes besides its values: all registers stored and loaded, and the jump; and a
// value: a vector constant out of line (vector_to_reg), stored.
enum { EDGE_BYTES = 1024, EDGE_VALUE_BYTES = 64 };
