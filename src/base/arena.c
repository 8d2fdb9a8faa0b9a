// SPDX-License-Identifier: MIT
// The slow path of the bump arena (see arena.h): a list of blocks, newest first; the oldest holds
// the arena itself.
#include "base/arena.h"
#include "base/heap.h"

struct arena_block {
    struct arena_block *next;
    u64 reserved; // keeps what follows aligned
};

enum { ARENA_HEADER = sizeof(struct arena_block) + sizeof(struct arena) };

_Static_assert(sizeof(struct arena_block) % ARENA_ALIGN == 0, "block header keeps alignment");
_Static_assert(sizeof(struct arena) % ARENA_ALIGN == 0, "arena keeps alignment");

struct arena *arena_create(size_t first)
{
    first = ALIGN_UP(first, (size_t)ARENA_ALIGN);
    struct arena_block *block = heap_alloc(ARENA_HEADER + first);
    if (!block)
        return NULL;
    block->next = NULL;
    struct arena *a = (struct arena *)(block + 1);
    a->at = (u8 *)(a + 1);
    a->end = a->at + first;
    a->blocks = block;
    a->block_size = first < 1024 ? 1024 : first;
    return a;
}

void arena_destroy(struct arena *a)
{
    for (struct arena_block *next, *b = a ? a->blocks : NULL; b; b = next) {
        next = b->next;
        heap_free(b);
    }
}

// A request that fills most of a block gets a block of its own, and the current one stays in use.
void *arena_grow(struct arena *a, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = ALIGN_UP(size, (size_t)ARENA_ALIGN);
    bool own = size > a->block_size / 2;
    size_t capacity = own ? size : a->block_size;
    struct arena_block *block = heap_alloc(sizeof *block + capacity);
    if (!block)
        return NULL;
    block->next = a->blocks;
    a->blocks = block;
    u8 *p = (u8 *)(block + 1);
    if (!own) {
        a->at = p + size;
        a->end = p + capacity;
        if (a->block_size < ARENA_BLOCK_MAX)
            a->block_size *= 2;
    }
    return p;
}
