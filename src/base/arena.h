// SPDX-License-Identifier: MIT
// A bump arena over the heap: many small allocations, one release. What belongs together (a module,
// a compilation) hangs from one arena and goes with it; nothing is released singly.
//
// The arena lives in its own first block, so a small one is a single heap allocation. Later blocks
// double up to ARENA_BLOCK_MAX, and whatever is larger gets a block of its own size, so that what
// is lost at the ends of blocks stays in proportion to what was asked for. One owner, no lock.
// Every allocation may fail.
#pragma once
#include "base/types.h"

enum { ARENA_ALIGN = 16, ARENA_BLOCK_MAX = 256 << 10 };

struct arena {
    u8 *at, *end; // free bytes of the current block
    struct arena_block *blocks;
    size_t block_size; // of the next block
};

// `first` bytes can be allocated before the second block is needed. NULL: no memory.
struct arena *arena_create(size_t first);
void arena_destroy(struct arena *a); // NULL is fine

void *arena_grow(struct arena *a, size_t size); // the slow path of arena_alloc

// Undefined contents, aligned to ARENA_ALIGN; NULL: no memory. A size of 0 gives a pointer that is
// not NULL.
static inline void *arena_alloc(struct arena *a, size_t size)
{
    size_t n = ALIGN_UP(size, (size_t)ARENA_ALIGN);
    if (unlikely(n < size || n > (size_t)(a->end - a->at)))
        return arena_grow(a, size);
    void *p = a->at;
    a->at += n;
    return p;
}

// count * size bytes, undefined; NULL on overflow too.
static inline void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? NULL : arena_alloc(a, bytes);
}
