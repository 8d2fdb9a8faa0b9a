// SPDX-License-Identifier: MIT
// The heap on Linux, in three sizes as in the kernel's (plat/pc/heap.c): what is freed is not
// resident any longer, whatever is in use beside it. (malloc keeps it, and nobody would pay for
// it.)
//
// Small blocks share pages (base/slab.h). Blocks of up to 64 KiB are runs of whole pages out of an
// arena, which is a reservation that is committed as it is used. Runs of 1, 2, 4, 8 and 16 pages
// are neither cut nor joined, since address space costs nothing; a few of the free ones keep their
// memory. Larger blocks are mappings, with their size in front. Which of the three a block is shows
// in its address.
//
// Under sanitizers it is malloc, of which they know more.
#define _GNU_SOURCE
#include "base/heap.h"
#include "base/lock.h"
#include "base/slab.h"
#include "plat/linux/linux.h"
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    PLAIN = PLAT_TRACKS_STACKS,
    ORDERS = 5,
    RUN_MAX = PLAT_PAGE << (ORDERS - 1),
    STEP = 512,     // pages that are committed at once
    WARM_MAX = 256, // free pages that keep their memory
};
#define ARENA (64ull << 30)

const size_t raw_paid = PLAIN ? 0 : SLAB_MAX;

static struct {
    u8 *base;
    struct note {
        u32 next;                          // of a free run: its list's next one
        u32 pages;                         // of one in use
    } *notes;                              // of the first page of each run
    u32 used, committed;                   // pages; the first one is never used: 0 ends a list
    u32 warm[ORDERS], cold[ORDERS], nwarm; // free ones with their memory, how many pages; without
    spinlock lock;
} arena;

_Static_assert(STEP * sizeof(struct note) == PLAT_PAGE, "notes are committed with their pages");

struct large {
    size_t size; // of the mapping
    u64 aligns;
};

static bool is_large(const void *p)
{
    return (uintptr_t)p - (uintptr_t)arena.base >= ARENA;
}

static bool is_run(const void *p)
{
    return !((uintptr_t)p & (PLAT_PAGE - 1));
}

// --- Runs

static bool begin(void)
{
    if (!arena.notes)
        arena.notes = plat_reserve(ARENA / PLAT_PAGE * sizeof *arena.notes);
    arena.base = arena.notes ? plat_reserve(ARENA) : NULL;
    arena.used = 1;
    return arena.base;
}

static bool extend(void)
{
    u64 at = arena.committed;
    if ((!arena.base && !begin()) || at + STEP > ARENA / PLAT_PAGE ||
        plat_commit(arena.base + at * PLAT_PAGE, STEP * PLAT_PAGE) ||
        plat_commit(arena.notes + at, PLAT_PAGE))
        return false;
    arena.committed += STEP;
    return true;
}

static u32 take_first(u32 *list)
{
    u32 page = *list;
    *list = arena.notes[page].next;
    return page;
}

static u32 order_of(size_t pages)
{
    u32 order = 0;
    while (1ull << order < pages)
        order++;
    return order;
}

// The lock is held. Who takes less of a run that is warm has not paid for the rest of it.
static void *run_alloc(size_t pages)
{
    u32 order = order_of(pages), count = 1u << order, page;
    if (arena.warm[order]) {
        page = take_first(&arena.warm[order]);
        arena.nwarm -= count;
        if (arena.notes[page].pages > pages)
            plat_zero(arena.base + (page + pages) * PLAT_PAGE,
                      (arena.notes[page].pages - pages) * PLAT_PAGE);
    } else if (arena.cold[order]) {
        page = take_first(&arena.cold[order]);
    } else {
        if (arena.used + count > arena.committed && !extend())
            return NULL;
        page = arena.used;
        arena.used += count;
    }
    arena.notes[page].pages = (u32)pages;
    return arena.base + page * PLAT_PAGE;
}

static u32 page_of(const void *p)
{
    return (u32)((u64)((const u8 *)p - arena.base) / PLAT_PAGE);
}

static void enlist(u32 *list, u32 page)
{
    arena.notes[page].next = *list;
    *list = page;
}

static void run_free(void *p)
{
    u32 page = page_of(p), order = order_of(arena.notes[page].pages);
    spin_acquire(&arena.lock);
    bool keeps = arena.nwarm + (1u << order) <= WARM_MAX;
    if (keeps) {
        enlist(&arena.warm[order], page);
        arena.nwarm += 1u << order;
    }
    spin_release(&arena.lock);
    if (keeps)
        return;
    plat_zero(p, arena.notes[page].pages * PLAT_PAGE);
    spin_acquire(&arena.lock);
    enlist(&arena.cold[order], page);
    spin_release(&arena.lock);
}

void *raw_page(void)
{
    return run_alloc(1);
}

void raw_page_free(void *page)
{
    run_free(page);
}

// --- Large blocks

static struct large *large_of(const void *p)
{
    return (struct large *)(uintptr_t)p - 1;
}

static bool large_size(size_t size, size_t *out)
{
    *out = ALIGN_UP(size + sizeof(struct large), (size_t)PLAT_PAGE);
    return *out > size;
}

static void *made(void *mapping, size_t size)
{
    struct large *l = mapping;
    if (mapping == MAP_FAILED)
        return NULL;
    l->size = size;
    return l + 1;
}

static void *large_alloc(size_t size)
{
    if (!large_size(size, &size))
        return NULL;
    return made(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), size);
}

static void large_free(void *p)
{
    struct large *l = large_of(p);
    if (munmap(l, l->size))
        linux_die("cannot unmap %zu bytes at %p", l->size, p);
}

// --- Any

void *raw_alloc(size_t size, struct account *payer)
{
    if (PLAIN)
        return malloc(size ? size : 1);
    if (size > RUN_MAX)
        return large_alloc(size);
    spin_acquire(&arena.lock);
    void *p =
        size <= SLAB_MAX ? slab_alloc(payer, size) : run_alloc((size + PLAT_PAGE - 1) / PLAT_PAGE);
    spin_release(&arena.lock);
    return p;
}

void *raw_zalloc(size_t size, struct account *payer)
{
    void *p = raw_alloc(size, payer);
    if (p && (PLAIN || size <= RUN_MAX))
        memset(p, 0, size);
    return p;
}

void raw_free(void *p)
{
    if (PLAIN || !p) {
        free(p);
    } else if (is_large(p)) {
        large_free(p);
    } else if (is_run(p)) {
        run_free(p);
    } else {
        spin_acquire(&arena.lock);
        struct slab *empty = slab_free(p);
        spin_release(&arena.lock);
        slab_drop(empty);
    }
}

size_t raw_room(const void *p)
{
    if (PLAIN)
        return malloc_usable_size((void *)(uintptr_t)p);
    if (is_large(p))
        return large_of(p)->size - sizeof(struct large);
    return is_run(p) ? arena.notes[page_of(p)].pages * PLAT_PAGE : slab_size(p);
}

static size_t large_takes(size_t mapping)
{
    return mapping + plat_tables(0, mapping);
}

size_t raw_size(const void *p)
{
    if (PLAIN)
        return raw_room(p) + sizeof(size_t);
    if (is_large(p))
        return large_takes(large_of(p)->size);
    return is_run(p) ? raw_room(p) : 0;
}

size_t raw_takes(const void *p, size_t size)
{
    if (!PLAIN && is_large(p))
        return size > RUN_MAX && large_size(size, &size) ? large_takes(size) : RAW_MOVES;
    size_t room = raw_room(p);
    return size <= room && size >= room / 2 ? raw_size(p) : RAW_MOVES;
}

void *raw_resize(void *p, size_t size)
{
    if (PLAIN || !is_large(p))
        return p;
    struct large *l = large_of(p);
    return large_size(size, &size) ? made(mremap(l, l->size, size, MREMAP_MAYMOVE), size) : NULL;
}
