// SPDX-License-Identifier: MIT
// Waiting at an address: memory.atomic.wait and notify, and the pfex locks. Only threads of one
// process meet here, so a walk over its threads finds those who wait.
#pragma once
#include "kern/process.h"

// Those of struct rt_waiting (rt/rt.h).
s64 word_wait_ns(struct vmctx *vm, u64 address, s64 timeout_ns);
u32 word_notify(struct vmctx *vm, u64 address, u32 count);

// A lock in guest memory: 0 free, 1 held, 2 held and waited for. `word` is in bounds and aligned.
status pfex_acquire(struct vmctx *vm, u32 address);
status pfex_release(struct vmctx *vm, u32 address);
