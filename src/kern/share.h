// SPDX-License-Identifier: MIT
// Shares of the processor. What is started from outside has a share, and so has a process that is
// made with a weight; all others live in their maker's. Shares that want a CPU have it in turn, for
// a time that goes with their weights, and within a share its processes have it in turn. So a
// program that makes a thousand processes gets no more of a CPU than one that makes none.
//
// A share is cut out of its maker's: `total` is what the maker keeps for itself (OWN) and what all
// that were cut out of it have, and each gets its part of that. A part too small to be worth a turn
// is not cut out (share_new).
//
// On each CPU a share has a lane: its processes that wait there, what is left of its turn, and the
// alarms that its processes have set there. Ringing costs the share: when its turn is used up and
// others want the CPU, its alarms wait. With the kernel lock held, but where it says otherwise.
#pragma once
#include "kern/clock.h"

struct process;
struct cpu;

struct lane {
    struct share *share;
    struct cpu *cpu;
    struct process *first, **last; // that wait for their turn here
    struct lane *next, **self;     // in the CPU's line, while some wait
    s64 slice;                     // ticks left
    struct alarm *alarms;
    struct alarm due; // the CPU's, for the first of these
    u64 left;         // when its turn was used up, in ticks
    bool late;        // its alarms have to wait until it would have its turn again
};

struct share {
    u32 refs, weight, total;
    u32 nlanes;
    struct share *parent; // a reference; NULL: started from outside
    struct lane lanes[];  // by CPU
};

// Without the lock; a reference. `parent` may be NULL, or have too little to be cut: then it is
// itself what comes back, with a reference more. NULL: no memory.
struct share *share_new(struct share *parent, u32 weight);
static inline struct share *share_ref(struct share *s)
{
    s->refs++;
    return s;
}
void share_unref(struct share *s); // NULL is fine

static inline struct lane *share_lane(struct share *s, u32 cpu)
{
    return &s->lanes[cpu];
}

void lane_refill(struct lane *l);            // its next turn
bool lane_runs(const struct lane *l);        // one of its processes has the CPU
bool lane_others_want(const struct lane *l); // a process of another share has the CPU, or waits
// Whether it has waited so long since its turn was used up that all who wait had theirs.
bool lane_has_waited(const struct lane *l);
void lane_expect(struct lane *l); // its alarms have changed: the CPU's rings for the first
