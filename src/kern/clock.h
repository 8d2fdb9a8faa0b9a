// SPDX-License-Identifier: MIT
// Alarms: something to be done at a time. Each CPU keeps those that were set on it in a pairing
// heap (Fredman and others, 1986), which needs no memory of its own, so setting one cannot fail.
// With the kernel lock held.
#pragma once
#include "base/types.h"

struct cpu;

struct alarm {
    struct alarm *child, *next, *previous; // previous: the parent for its first child
    struct cpu *cpu;                       // NULL: not set
    u64 at;
    void (*ring)(struct alarm *a); // with the lock held; not set any more
};

void alarm_set(struct alarm *a, u64 at); // anew, if it is set already; UINT64_MAX: never
void alarm_cancel(struct alarm *a);      // one that is not set is fine
// Rings those of a CPU whose time has come; the time of the next one, or UINT64_MAX.
u64 alarms_ring(struct alarm **heap, u64 now);
