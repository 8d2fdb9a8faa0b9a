// SPDX-License-Identifier: MIT
// The heap of the core. Every call may fail and return NULL; sizes are checked for overflow by
// heap_array. Blocks are aligned to 16 bytes.
//
// A block is charged to whoever runs when it is made, for as long as it is there and with all that
// it takes: so nothing that a guest makes us keep can be forgotten (base/account.h). What is
// allocated while no guest runs is nobody's.
#pragma once
#include "base/types.h"

struct account;

void *heap_alloc(size_t size);  // contents undefined
void *heap_zalloc(size_t size); // zeroed
// As realloc; the old block stays valid when it fails. While both are there, both are charged.
// Looks up where there is much to copy: nobody who does that holds a lock.
void *heap_resize(void *block, size_t size);
// NULL is fine. Looks up if it has more than 16 MiB: nobody who holds a lock frees that much.
void heap_free(void *block);

// For what is another's, or everybody's (NULL: nobody pays), though one happens to need it first.
void *heap_zalloc_for(struct account *payer, size_t size);
struct account *heap_payer(const void *block); // NULL: nobody

// Says who runs, NULL: nobody. From rt, which knows.
extern struct account *(*heap_who_runs)(void);

// count * size bytes, zeroed; NULL on overflow too.
static inline void *heap_array(size_t count, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? NULL : heap_zalloc(bytes);
}

// --- What is underneath, given by the platform: malloc on Linux, the kernel's own allocator in
// ring 0. Nobody else calls it but account.c, whose records are what is charged to.
// `payer` (NULL: nobody) is who the block will be charged to, with raw_size bytes: those that it
// takes, page tables included and whatever was asked for, but none if it lies in a page that has
// been charged (slab.h).
void *raw_alloc(size_t size, struct account *payer);
extern const size_t raw_paid; // up to this size they do lie in such pages, whatever else does
void *raw_zalloc(size_t size, struct account *payer);
void raw_free(void *block);
size_t raw_size(const void *block);
size_t raw_room(const void *block); // bytes that may be used of it
// What the block would take with another size; RAW_MOVES: it would have to be copied for that. If
// not, raw_resize gives it that size; NULL: no memory, which cannot be when it becomes smaller.
#define RAW_MOVES SIZE_MAX
size_t raw_takes(const void *block, size_t size);
void *raw_resize(void *block, size_t size);
// Single pages, for small blocks; contents undefined. With the heap's lock, to free without it.
void *raw_page(void);
void raw_page_free(void *page);
