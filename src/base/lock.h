// SPDX-License-Identifier: MIT
// A spin lock: for the few structures that CPUs share, held for a short while and never over
// anything that waits. doc/locks.md lists them all, and their order.
#pragma once
#include "base/types.h"

typedef struct {
    u32 held;
} spinlock;

static inline void spin_acquire(spinlock *l)
{
    while (unlikely(__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE)))
        while (__atomic_load_n(&l->held, __ATOMIC_RELAXED))
            __builtin_ia32_pause();
}

static inline void spin_release(spinlock *l)
{
    __atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
}
