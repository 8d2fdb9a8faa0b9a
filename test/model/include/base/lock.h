// SPDX-License-Identifier: MIT
// The model checker's spin lock, which files of the kernel find in place of src/base/lock.h: who
// waits for one lets another CPU go on, and giving one back is a choice (explore.c).
#pragma once
#include "base/types.h"

typedef struct {
    u32 held;    // 0: free; else 1, and above it the CPU's number
    u16 seen[4]; // what whoever takes it has seen (order.c)
} spinlock;

void spinlock_wait(const spinlock *l);
void model_acquire(spinlock *l);
void model_release(spinlock *l);

static inline void spin_acquire(spinlock *l)
{
    model_acquire(l);
}

static inline void spin_release(spinlock *l)
{
    model_release(l);
}
