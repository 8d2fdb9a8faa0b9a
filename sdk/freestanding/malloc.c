// SPDX-License-Identifier: MIT
// malloc for programs without a libc: a list of free blocks in the order of their addresses, the
// first that is large enough is taken, neighbours become one again when they are freed. It is
// small; a program that lives on its heap wants wasi-libc's.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../src/heap.h"

enum { ALIGNMENT = 16, PAGE = 65536, SMALLEST = 32 };

// Before every block, and on the list while it is free.
struct block {
    size_t size; // this included
    struct block *next;
};
_Static_assert(sizeof(struct block) <= ALIGNMENT, "a head keeps what follows aligned");

extern char __heap_base[];
static struct block *list;
static uintptr_t end; // of the heap; 0: nothing has been asked for yet

static uintptr_t round_up(uintptr_t n, uintptr_t unit)
{
    return (n + unit - 1) & -unit;
}

static uintptr_t memory_end(void)
{
    return (uintptr_t)__builtin_wasm_memory_size(0) * PAGE;
}

static void join_next(struct block *b)
{
    if ((char *)b + b->size != (char *)b->next)
        return;
    b->size += b->next->size;
    b->next = b->next->next;
}

static void give(struct block *b)
{
    struct block *before = NULL, *after = list;
    for (; after && after < b; after = after->next)
        before = after;
    b->next = after;
    *(before ? &before->next : &list) = b;
    join_next(b);
    if (before)
        join_next(before);
}

static void add(uintptr_t from, uintptr_t to)
{
    if (to - from < SMALLEST)
        return;
    ((struct block *)from)->size = to - from;
    give((struct block *)from);
}

// What lies between the program's data and the end of memory comes first, then new pages.
static int extend(size_t size)
{
    if (!end) {
        uintptr_t first = round_up((uintptr_t)__heap_base, ALIGNMENT);
        end = memory_end();
        add(first, end);
        return 1;
    }
    size_t pages = (size + PAGE - 1) / PAGE;
    if (__builtin_wasm_memory_grow(0, pages) == (size_t)-1)
        return 0;
    add(memory_end() - pages * PAGE, memory_end());
    end = memory_end();
    return 1;
}

static void *take(size_t size)
{
    struct block **link = &list;
    while (*link && (*link)->size < size)
        link = &(*link)->next;
    struct block *b = *link;
    if (!b)
        return NULL;
    *link = b->next;
    if (b->size - size >= SMALLEST) {
        struct block *rest = (struct block *)((char *)b + size);
        rest->size = b->size - size;
        rest->next = *link;
        *link = rest;
        b->size = size;
    }
    return (char *)b + ALIGNMENT;
}

void *malloc(size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = round_up(size + ALIGNMENT, SMALLEST);
    sip_heap_lock();
    void *found = take(size);
    while (!found && extend(size))
        found = take(size);
    sip_heap_unlock();
    return found;
}

void free(void *memory)
{
    if (!memory)
        return;
    sip_heap_lock();
    give((struct block *)((char *)memory - ALIGNMENT));
    sip_heap_unlock();
}

void *calloc(size_t count, size_t size)
{
    size_t all;
    if (__builtin_mul_overflow(count, size, &all))
        return NULL;
    void *memory = malloc(all);
    return memory ? memset(memory, 0, all) : NULL;
}

void *realloc(void *memory, size_t size)
{
    void *found = malloc(size);
    if (!memory || !found)
        return found;
    size_t old = ((struct block *)((char *)memory - ALIGNMENT))->size - ALIGNMENT;
    memcpy(found, memory, old < size ? old : size);
    free(memory);
    return found;
}
