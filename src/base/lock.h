// SPDX-License-Identifier: MIT
// A spin lock: for the few structures that CPUs share, held for a short while and never over
// anything that waits. doc/locks.md lists them all, and their order.
#pragma once
#include "base/probe.h"
#include "base/types.h"

typedef struct {
    u32 held;
} spinlock;

// Until the lock looks free; from the platform, which may know of a better use of the time: where
// it has fewer CPUs than it makes us believe, whoever holds the lock may be waiting for this one.
void spinlock_wait(const spinlock *l);

static inline void spin_acquire(spinlock *l)
{
    while (unlikely(__atomic_fetch_or(&l->held, 1, __ATOMIC_ACQUIRE) & 1))
        spinlock_wait(l);
    probe_taken(l);
}

static inline void spin_release(spinlock *l)
{
    probe_given(l);
    __atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
}
