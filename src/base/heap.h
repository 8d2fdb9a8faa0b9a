// SPDX-License-Identifier: MIT
// The heap of the core, given by the platform: malloc on Linux, the kernel's own allocator in ring
// 0. Every call may fail and return NULL; sizes are checked for overflow by heap_array. Blocks are
// aligned to 16 bytes.
#pragma once
#include "base/types.h"

void *heap_alloc(size_t size);               // contents undefined
void *heap_zalloc(size_t size);              // zeroed
void *heap_resize(void *block, size_t size); // as realloc; the old block stays valid when it fails
void heap_free(void *block);                 // NULL is fine

// count * size bytes, zeroed; NULL on overflow too.
static inline void *heap_array(size_t count, size_t size)
{
    size_t bytes;
    return __builtin_mul_overflow(count, size, &bytes) ? NULL : heap_zalloc(bytes);
}
