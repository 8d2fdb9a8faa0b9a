// SPDX-License-Identifier: MIT
// Looking up: what keeps C code from being deaf. Work whose length a guest or a file chooses calls
// look_up() every so often, a quarter of a million instructions at most, and without a lock. It
// costs a few instructions while nobody asks.
//
// Others may have the CPU meanwhile, and it may go on on another one: other processes, never other
// threads of the same. So what belongs to the process is as it was, and what is shared may have
// changed.
//
// Not 0: the process is to end. Whoever works for it lets go of what it holds and answers
// ERR_CANCELLED (E_INTR in fs/), which goes up to where the thread ends (rt_check_interrupt in
// wasm/runtime.h, which whoever holds nothing calls instead). What gives things back goes on.
#pragma once
#include "base/types.h"

enum { LOOK_UP = 256 << 10 }; // bytes that may be copied between two looks

// Set once by who knows of threads; NULL: there is nobody who could ask.
extern u32 (*look_up_hook)(void);

static inline u32 look_up(void)
{
    return look_up_hook ? look_up_hook() : 0;
}

// memcpy, of any length. Not 0: a part was copied, and the process is to end.
u32 look_up_copy(void *to, const void *from, size_t size);
