// SPDX-License-Identifier: MIT
// The heap for unit tests: malloc, so that the sanitizers watch every block, and a way to make allocations fail.
//
// Tests set test_heap_left to n: n allocations succeed, all further ones fail. Negative: none fails.
#include "base/heap.h"
#include "heap.h"
#include <stdlib.h>

long test_heap_left = -1;

static bool test_heap_fails(void)
{
    if (test_heap_left < 0)
        return false;
    if (test_heap_left == 0)
        return true;
    test_heap_left--;
    return false;
}

void *heap_alloc(size_t size)
{
    return test_heap_fails() ? NULL : malloc(size ? size : 1);
}

void *heap_zalloc(size_t size)
{
    return test_heap_fails() ? NULL : calloc(1, size ? size : 1);
}

void *heap_resize(void *block, size_t size)
{
    return test_heap_fails() ? NULL : realloc(block, size ? size : 1);
}

void heap_free(void *block)
{
    free(block);
}
