// SPDX-License-Identifier: MIT
// A lock for a few instructions: whoever wants it spins. Its holder does not wait for anything,
// does not call out, and is not interrupted by what takes the same lock.
#pragma once
#include "base/types.h"

typedef struct {
    u32 held;
} spinlock;

// Spins on a read, which leaves the line shared until the lock is free.
static inline void spin_acquire(spinlock *l)
{
    while (__atomic_exchange_n(&l->held, 1, __ATOMIC_ACQUIRE))
        while (__atomic_load_n(&l->held, __ATOMIC_RELAXED))
            __builtin_ia32_pause();
}

static inline void spin_release(spinlock *l)
{
    __atomic_store_n(&l->held, 0, __ATOMIC_RELEASE);
}
