// SPDX-License-Identifier: MIT
// A heap for tests that watch memory: malloc underneath, so that the sanitizers see every block. It
// counts what is live and the highest of that, and can be told to fail. A test that includes this
// file is linked with it in place of the platform's heap.
#pragma once
#include "base/heap.h"
#include <malloc.h>
#include <stdlib.h>

static struct {
    long left; // so many allocations succeed, all further ones fail; negative: none fails
    size_t live, peak;
} test_heap = {.left = -1};

static bool test_heap_fails(void)
{
    if (test_heap.left > 0)
        test_heap.left--;
    else if (test_heap.left == 0)
        return true;
    return false;
}

// Behind each block, against who writes there.
enum { TEST_HEAP_GUARD = 16 };

static u8 *test_heap_guard(void *block)
{
    return (u8 *)block + malloc_usable_size(block) - TEST_HEAP_GUARD;
}

static void *test_heap_count(void *block)
{
    memset(test_heap_guard(block), 0xa5, TEST_HEAP_GUARD);
    test_heap.live += malloc_usable_size(block);
    if (test_heap.live > test_heap.peak)
        test_heap.peak = test_heap.live;
    return block;
}

void *raw_alloc(size_t size, struct account *payer)
{
    (void)payer;
    return test_heap_fails() ? NULL : test_heap_count(malloc(size + TEST_HEAP_GUARD));
}

void *raw_zalloc(size_t size, struct account *payer)
{
    (void)payer;
    return test_heap_fails() ? NULL : test_heap_count(calloc(1, size + TEST_HEAP_GUARD));
}

void raw_free(void *block)
{
    for (u32 i = 0; block && i < TEST_HEAP_GUARD; i++)
        if (test_heap_guard(block)[i] != 0xa5)
            abort();
    test_heap.live -= malloc_usable_size(block);
    free(block);
}

size_t raw_size(const void *block)
{
    return malloc_usable_size((void *)block) + sizeof(size_t);
}

size_t raw_room(const void *block)
{
    return malloc_usable_size((void *)block) - TEST_HEAP_GUARD;
}

// Always moves, so that stale pointers show.
size_t raw_takes(const void *block, size_t size)
{
    (void)block, (void)size;
    return RAW_MOVES;
}

void *raw_resize(void *block, size_t size)
{
    (void)size;
    return block;
}
