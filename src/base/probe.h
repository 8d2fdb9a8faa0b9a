// SPDX-License-Identifier: MIT
// What a build that measures puts in: nothing here. test/probe/base/probe.h takes this file's place
// in build/test/kernel/probe.elf, which finds out for how long each lock is held.
#pragma once
#include "base/types.h"

// A lock, at that address, is this CPU's from now on; it is about to be given back.
static inline void probe_taken(const void *lock)
{
    (void)lock;
}
static inline void probe_given(const void *lock)
{
    (void)lock;
}
// The lock just taken is one that page faults take; and a page fault has come.
static inline void probe_deep(const void *lock)
{
    (void)lock;
}
static inline void probe_fault(void)
{
}
