// SPDX-License-Identifier: MIT
// The kernel's heap, in three sizes.
//
// Small blocks share pages (base/slab.h). Blocks of 2 KiB to 64 KiB are runs of whole pages, with
// their number in the note of the first. Larger ones are reservations (vm.c), whose pages come when
// they are touched, and which grow in place. Which of the three a block is shows in its address:
// reservations lie high, runs begin at a page, small blocks never do.
//
// Pages without a block in use go back at once, so that what is free after a program is what was
// free before. One lock, for small blocks, runs and the count.
#include "base/heap.h"
#include "base/slab.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

enum { RUN_PAGES = 16 };
#define RUN_MAX (RUN_PAGES * PLAT_PAGE)

const size_t raw_paid = SLAB_MAX;

static u64 used; // bytes, but of small blocks
static u32 lock;

u64 heap_used(void)
{
    return used + slab_used();
}

static bool is_reservation(const void *p)
{
    return (u64)p >= WINDOW_SMALL;
}

static bool is_run(const void *p)
{
    return !((u64)p & (PLAT_PAGE - 1));
}

// A few that are free stay here: who lives shortly gets them and gives them back. The list is in
// the pages.
static struct spare {
    struct spare *next;
} *spare;
static u32 spares;
static u32 spare_lock;

void *raw_page(void)
{
    spin_lock(&spare_lock);
    struct spare *page = spare;
    if (page) {
        spare = page->next;
        spares--;
        vm_keep(-1);
    }
    spin_unlock(&spare_lock);
    return page ? page : (void *)page_alloc(0);
}

void raw_page_free(void *page)
{
    enum { SPARES = 4 };
    spin_lock(&spare_lock);
    bool stays = spares < SPARES;
    if (stays) {
        *(struct spare *)page = (struct spare){spare};
        spare = page;
        spares++;
        vm_keep(1);
    }
    spin_unlock(&spare_lock);
    if (!stays)
        page_free((u64)page, 0);
}

// --- Runs of pages

static void *run_alloc(size_t size)
{
    u32 count = (u32)((size + PLAT_PAGE - 1) / PLAT_PAGE), order = 0;
    while (1u << order < count)
        order++;
    u64 page = page_alloc(order);
    if (!page)
        return NULL;
    page_free_run(page + count * PLAT_PAGE, (1u << order) - count);
    *page_note(page) = (u8)count;
    used += count * PLAT_PAGE;
    return (void *)page;
}

static void run_free(void *p)
{
    u32 count = *page_note((u64)p);
    used -= count * PLAT_PAGE;
    page_free_run((u64)p, count);
}

// --- Any

static void count(u64 bytes)
{
    spin_lock(&lock);
    used += bytes;
    spin_unlock(&lock);
}

static void *large_alloc(size_t size)
{
    void *p = size < WINDOW_HUGE ? vm_alloc(size) : NULL;
    if (p)
        count(vm_size(p));
    return p;
}

static void large_free(void *p)
{
    count(-vm_size(p));
    plat_release(p, 0);
}

void *raw_alloc(size_t size, struct account *payer)
{
    if (unlikely(memory_refused()))
        return NULL;
    if (size > RUN_MAX)
        return large_alloc(size);
    spin_lock(&lock);
    void *p = size <= SLAB_MAX ? slab_alloc(payer, size) : run_alloc(size);
    spin_unlock(&lock);
    return p;
}

void *raw_zalloc(size_t size, struct account *payer)
{
    void *p = raw_alloc(size, payer);
    if (p && size <= RUN_MAX)
        memset(p, 0, size);
    return p;
}

void raw_free(void *p)
{
    if (!p)
        return;
    if (is_reservation(p)) {
        large_free(p);
        return;
    }
    struct slab *empty = NULL;
    spin_lock(&lock);
    if (is_run(p))
        run_free(p);
    else
        empty = slab_free(p);
    spin_unlock(&lock);
    if (unlikely(empty != NULL))
        slab_drop(empty);
}

size_t raw_room(const void *p)
{
    if (is_reservation(p))
        return vm_size(p);
    return is_run(p) ? *page_note((u64)p) * PLAT_PAGE : slab_size(p);
}

static size_t large_takes(size_t size)
{
    return size + plat_tables(0, size);
}

size_t raw_size(const void *p)
{
    if (is_reservation(p))
        return large_takes(vm_size(p));
    return is_run(p) ? raw_room(p) : 0;
}

size_t raw_takes(const void *p, size_t size)
{
    if (is_reservation(p))
        return size > RUN_MAX && vm_fits(p, size) ? large_takes(ALIGN_UP(size, PLAT_PAGE))
                                                  : RAW_MOVES;
    size_t room = raw_room(p);
    return size <= room && size >= room / 2 ? raw_size(p) : RAW_MOVES;
}

void *raw_resize(void *p, size_t size)
{
    if (!is_reservation(p))
        return p;
    size_t had = vm_size(p);
    if (!vm_resize(p, size))
        return NULL;
    count(vm_size(p) - had);
    return p;
}
