// SPDX-License-Identifier: MIT
// Accounts with time: what a process is made in, beside what base/account.h counts.
//
// The processes that share an account share its limits of time, and so do those in accounts below
// it. When a limit is reached all of them end (NEBULET_LIMIT), whatever has become of the one that
// made them; a few at a time, for there may be many. Functions are called with the kernel lock
// held, but where they say otherwise.
#pragma once
#include "base/account.h"
#include "kern/clock.h"

struct process;

struct budget {
    struct account account; // first: an account of kern/ is a budget
    u64 cpu_ns, wall_ns;    // 0: no limit
    u64 ticks;              // of its processes and those below, if there is a limit
    u64 ends_at;            // wall time; 0: it has not begun
    bool over, told;        // told: somebody has been told
    struct alarm alarm;
    struct process *alive, **last_alive; // have begun, and do not end yet
    u32 nalive;                          // with those below
    // Those below in which somebody is alive, and its own place among such.
    struct budget *below, *next, **self;
};

// Without the lock. NULL: no memory, or too deep.
struct budget *budget_new(struct account *maker, const u64 most[ACCOUNT_KINDS], u64 cpu_ns,
                          u64 wall_ns);
// The nearest that has a limit of CPU time; NULL: none has.
struct budget *budget_timed(struct account *a);

void budget_begins(struct process *p); // its wall time begins with the first
void budget_leaves(struct process *p); // the process ends; fine if it has not begun
bool budget_is_over(const struct process *p);

// `b` and those above it that have a limit have used so many ticks of a CPU.
void budget_charge(struct budget *b, u64 ticks);
// How long a CPU may go on with a process that `b` limits before somebody must look: with what has
// not been charged yet, and the other CPUs that it runs on.
u64 budget_left_ns(struct budget *b);
void budget_look(struct budget *b); // ends it if it is over
