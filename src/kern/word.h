// SPDX-License-Identifier: MIT
// Waiting at an address: memory.atomic.wait and notify, and the pfex locks. Only threads of one
// process meet here.
#pragma once
#include "kern/process.h"

// Those of struct rt_waiting (rt/rt.h).
s64 word_wait_ns(struct vmctx *vm, u64 address, s64 timeout_ns);
u32 word_notify(struct vmctx *vm, u64 address, u32 count);

// Makes places for so many threads to wait, so that none of them can fail to. NO_MEMORY.
status words_reserve(struct word_table *w, u32 threads);
static inline u64 words_size(const struct word_table *w)
{
    return w->buckets ? sizeof *w->buckets << w->bits : 0;
}

// A lock in guest memory: 0 free, 1 held, 2 held and waited for. `word` is in bounds and aligned.
status pfex_acquire(struct vmctx *vm, u32 address);
status pfex_release(struct vmctx *vm, u32 address);
