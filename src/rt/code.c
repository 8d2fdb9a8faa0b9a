// SPDX-License-Identifier: MIT
// The allocator of the code window: one list of ranges in address order, used and free ones, which
// together are the window. Allocation is first fit and splits, freeing merges; so a free needs no
// memory and cannot fail. Modules are few and compilation is slow against a walk of the list.
//
// A range is charged whole, from before it is there until it is gone, whatever is in it.
#include "rt/code.h"
#include "base/account.h"
#include "base/heap.h"
#include "base/lock.h"
#include "base/lookup.h"
#include "plat/plat.h"

enum { WINDOW = 1 << 30, PIECE = 256 << 10 };

struct range {
    struct range *next;
    size_t offset, size;
    bool used;
};

static struct {
    struct plat_code code;
    struct range *first;
    spinlock lock; // protects the list
} window;

status code_init(void)
{
    if (window.first)
        return OK;
    struct range *all = heap_zalloc(sizeof *all);
    if (!all)
        return ERR_NO_MEMORY;
    status s = plat_code_window(WINDOW, &window.code);
    if (s) {
        heap_free(all);
        return s;
    }
    all->size = window.code.size;
    window.first = all;
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

// The first free range of `size` bytes.
static struct range *find(size_t size)
{
    struct range *r = window.first;
    while (r && (r->used || r->size < size))
        r = r->next;
    return r;
}

// Cuts r behind `size` bytes with the given node, and merges the rest with a free successor.
static void split(struct range *r, size_t size, struct range *rest)
{
    *rest = (struct range){r->next, r->offset + size, r->size - size, false};
    r->size = size;
    r->next = rest;
}

static void merge_next(struct range *r)
{
    struct range *next = r->next;
    if (!next || next->used || r->used)
        return;
    r->size += next->size;
    r->next = next->next;
    heap_free(next);
}

static void give_range_back(u32 offset)
{
    spin_acquire(&window.lock);
    struct range *r = window.first, *before = NULL;
    while (r->offset != offset)
        before = r, r = r->next;
    r->used = false;
    merge_next(r);
    if (before)
        merge_next(before);
    spin_release(&window.lock);
}

// One of exactly so many bytes; NULL: there is none. `rest` is taken or freed.
static struct range *take_range(size_t size, struct range *rest)
{
    spin_acquire(&window.lock);
    struct range *r = find(size);
    if (r && r->size > size)
        split(r, size, rest), rest = NULL;
    if (r)
        r->used = true;
    spin_release(&window.lock);
    heap_free(rest);
    return r;
}

status code_alloc(size_t size, struct account *payer, struct code_space *out)
{
    *out = (struct code_space){0};
    if (size > WINDOW)
        return ERR_NO_RESOURCES;
    size = ALIGN_UP(size, PLAT_PAGE);
    struct range *rest = heap_zalloc_for(NULL, sizeof *rest), *r;
    if (!rest || !account_charge(payer, ACCOUNT_KEPT, size)) {
        heap_free(rest);
        return ERR_NO_MEMORY;
    }
    status s = ERR_NO_RESOURCES;
    if ((r = take_range(size, rest)) && (s = plat_code_commit(&window.code, r->offset, size)))
        give_range_back((u32)r->offset);
    if (s) {
        account_discharge(payer, ACCOUNT_KEPT, size);
        return s;
    }
    *out = (struct code_space){
        .write = window.code.write + r->offset,
        .run = window.code.run + r->offset,
        .capacity = (u32)size,
        .payer = payer,
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
    give_range_back(code_offset(space));
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
