// SPDX-License-Identifier: MIT
// The allocator of the code window: a list of ranges in address order, used and free ones, which
// together are the window. Allocation splits, freeing merges; so a free needs no memory and cannot
// fail. Free ranges are also in lists by size, two for each power of two, so that however many
// there are, no more than a few are looked at: those of about the size wanted, and one that is
// larger.
//
// A range is charged whole, from before it is there until it is gone, whatever is in it.
#include "rt/code.h"
#include "base/account.h"
#include "base/assert.h"
#include "base/heap.h"
#include "base/lock.h"
#include "base/lookup.h"
#include "plat/plat.h"

enum { WINDOW = 1 << 30, PIECE = 256 << 10, CLASSES = 38 };

struct code_range {
    struct code_range *before, *after; // by address
    struct code_range *next, **self;   // of those that are free and about as large
    size_t offset, size;
    bool used;
};

static struct {
    struct plat_code code;
    struct code_range *free[CLASSES];
    u64 some;      // of which classes there are any, a bit each
    spinlock lock; // protects the lists
} window;

// Two for each power of two of pages.
static u32 class_of(size_t size)
{
    u32 pages = (u32)(size / PLAT_PAGE), log = 31 - (u32)__builtin_clz(pages);
    return 2 * log + (log ? pages >> (log - 1) & 1 : 0);
}

static void list(struct code_range *r)
{
    u32 class = class_of(r->size);
    assert(class < CLASSES);
    r->used = false;
    r->self = &window.free[class];
    if ((r->next = *r->self))
        r->next->self = &r->next;
    *r->self = r;
    window.some |= 1ull << class;
}

static void delist(struct code_range *r)
{
    u32 class = class_of(r->size);
    *r->self = r->next;
    if (r->next)
        r->next->self = r->self;
    if (!window.free[class])
        window.some &= ~(1ull << class);
    r->used = true;
}

status code_init(void)
{
    if (window.code.size)
        return OK;
    struct code_range *all = heap_zalloc(sizeof *all);
    if (!all)
        return ERR_NO_MEMORY;
    status s = plat_code_window(WINDOW, &window.code);
    if (s) {
        heap_free(all);
        return s;
    }
    all->size = window.code.size;
    list(all);
    return OK;
}

const struct plat_code *code_window(void)
{
    return &window.code;
}

u32 code_offset(const struct code_space *space)
{
    return (u32)(space->run - window.code.run);
}

bool code_contains(const void *pc)
{
    return (uintptr_t)pc - (uintptr_t)window.code.run < window.code.size;
}

static struct code_range *find(size_t size)
{
    enum { LOOKS = 16 };
    u32 class = class_of(size);
    struct code_range *r = window.free[class];
    for (u32 i = 0; r && i < LOOKS; i++, r = r->next)
        if (r->size >= size)
            return r;
    u64 larger = window.some >> class >> 1;
    return larger ? window.free[class + 1 + (u32)__builtin_ctzll(larger)] : NULL;
}

// Cuts r behind `size` bytes with the given node.
static void split(struct code_range *r, size_t size, struct code_range *rest)
{
    *rest = (struct code_range){.before = r, .after = r->after};
    rest->offset = r->offset + size;
    rest->size = r->size - size;
    if (rest->after)
        rest->after->before = rest;
    r->after = rest;
    r->size = size;
    list(rest);
}

// Two neighbours, in none of the lists of free ones.
static void merge(struct code_range *r, struct code_range *after)
{
    assert(r->offset + r->size == after->offset);
    r->size += after->size;
    if ((r->after = after->after))
        r->after->before = r;
    heap_free(after);
}

static void give_range_back(struct code_range *r)
{
    spin_acquire(&window.lock);
    assert(r->used);
    struct code_range *before = r->before, *after = r->after;
    if (after && !after->used) {
        delist(after);
        merge(r, after);
    }
    if (before && !before->used) {
        delist(before);
        merge(before, r);
        r = before;
    }
    list(r);
    spin_release(&window.lock);
}

// One of exactly so many bytes; NULL: there is none. `rest` is taken or freed.
static struct code_range *take_range(size_t size, struct code_range *rest)
{
    spin_acquire(&window.lock);
    struct code_range *r = find(size);
    if (r)
        delist(r);
    if (r && r->size > size)
        split(r, size, rest), rest = NULL;
    spin_release(&window.lock);
    heap_free(rest);
    return r;
}

status code_alloc(size_t size, struct account *payer, struct code_space *out)
{
    *out = (struct code_space){0};
    assert(size);
    if (size > WINDOW)
        return ERR_NO_RESOURCES;
    size = ALIGN_UP(size, PLAT_PAGE);
    struct code_range *rest = heap_zalloc_for(NULL, sizeof *rest), *r;
    if (!rest || !account_charge(payer, ACCOUNT_KEPT, size)) {
        heap_free(rest);
        return ERR_NO_MEMORY;
    }
    status s = ERR_NO_RESOURCES;
    if ((r = take_range(size, rest)) && (s = plat_code_commit(&window.code, r->offset, size)))
        give_range_back(r);
    if (s) {
        account_discharge(payer, ACCOUNT_KEPT, size);
        return s;
    }
    *out = (struct code_space){
        .write = window.code.write + r->offset,
        .run = window.code.run + r->offset,
        .capacity = (u32)size,
        .payer = payer,
        .range = r,
    };
    return OK;
}

// As far as it was written to, each page takes its time.
static void decommit(size_t offset, size_t size)
{
    for (size_t n; size; offset += n, size -= n) {
        n = size < PIECE ? size : PIECE;
        plat_code_decommit(&window.code, offset, n);
        look_up();
    }
}

void code_free(struct code_space *space)
{
    if (!space->run)
        return;
    decommit(code_offset(space), space->capacity);
    give_range_back(space->range);
    account_discharge(space->payer, ACCOUNT_KEPT, space->capacity);
    *space = (struct code_space){0};
}

status code_open(const struct code_space *space, u32 from, u32 size)
{
    return plat_code_open(&window.code, code_offset(space) + from, size);
}

void code_publish(const struct code_space *space, u32 from, u32 size)
{
    size_t at = code_offset(space) + (from & ~(u32)(PLAT_PAGE - 1));
    size_t end = code_offset(space) + ALIGN_UP((size_t)from + size, PLAT_PAGE);
    for (size_t n; at < end; at += n) {
        n = end - at < PIECE ? end - at : PIECE;
        plat_code_publish(&window.code, at, n);
        if (n == PIECE)
            look_up();
    }
}
