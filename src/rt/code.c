// SPDX-License-Identifier: MIT
// The allocator of the code window: one list of ranges in address order, used and free ones, which
// together are the window. Allocation is first fit and splits, freeing merges; so a free needs no
// memory and cannot fail. Modules are few and compilation is slow against a walk of the list.
//
// A compiler does not know how much code it will make, so it gets far more than it can need and the
// rest is trimmed; pages that were never written cost nothing. What it is about to write is charged
// a piece at a time (rt_pay_code), and what stays is charged until it is freed.
#include "rt/code.h"
#include "base/account.h"
#include "base/heap.h"
#include "base/lock.h"
#include "base/lookup.h"
#include "plat/plat.h"
#include "wasm/runtime.h"

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

bool code_contains(const void *pc)
{
    return (uintptr_t)pc - (uintptr_t)window.code.run < window.code.size;
}

// The first free range of `size` bytes, or the largest.
static struct range *find(size_t size)
{
    struct range *best = NULL;
    for (struct range *r = window.first; r; r = r->next) {
        if (r->used)
            continue;
        if (r->size >= size)
            return r;
        if (!best || r->size > best->size)
            best = r;
    }
    return best;
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

static struct range *range_of(const struct code_space *space)
{
    size_t offset = (size_t)(space->run - window.code.run);
    struct range *r = window.first;
    while (r->offset != offset)
        r = r->next;
    return r;
}

static void give_range_back(const struct code_space *space)
{
    spin_acquire(&window.lock);
    struct range *r = range_of(space);
    r->used = false;
    merge_next(r);
    for (struct range *p = window.first; p != r; p = p->next) {
        if (p->next == r) {
            merge_next(p);
            break;
        }
    }
    spin_release(&window.lock);
}

status code_alloc(size_t size, size_t least, struct account *payer, struct code_space *out)
{
    *out = (struct code_space){0};
    if (size > WINDOW)
        size = WINDOW;
    size = ALIGN_UP(size, PLAT_PAGE);
    struct range *rest = heap_alloc(sizeof *rest);
    if (!rest)
        return ERR_NO_MEMORY;
    spin_acquire(&window.lock);
    struct range *r = find(size);
    if (!r || r->size < least) {
        spin_release(&window.lock);
        heap_free(rest);
        return ERR_NO_RESOURCES;
    }
    if (r->size > size)
        split(r, size, rest), rest = NULL;
    r->used = true;
    struct code_space space = {
        .write = window.code.write + r->offset,
        .run = window.code.run + r->offset,
        .capacity = (u32)r->size,
        .payer = payer,
    };
    spin_release(&window.lock);
    heap_free(rest);
    status s =
        plat_code_commit(&window.code, (size_t)(space.run - window.code.run), space.capacity);
    if (s)
        give_range_back(&space);
    else
        *out = space;
    return s;
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

bool rt_pay_code(struct code_space *space, u64 bytes)
{
    bytes = bytes < space->capacity ? ALIGN_UP(bytes, PLAT_PAGE) : space->capacity;
    if (bytes <= space->paid)
        return true;
    if (!account_charge(space->payer, ACCOUNT_KEPT, bytes - space->paid))
        return false;
    space->paid = (u32)bytes;
    return true;
}

// After the pages are gone.
static void pay_less(struct code_space *space, u32 bytes)
{
    if (bytes >= space->paid)
        return;
    account_discharge(space->payer, ACCOUNT_KEPT, space->paid - bytes);
    space->paid = bytes;
}

void code_trim(struct code_space *space)
{
    size_t keep = ALIGN_UP((size_t)space->used, PLAT_PAGE);
    keep = keep ? keep : PLAT_PAGE;
    struct range *rest = keep < space->capacity ? heap_alloc(sizeof *rest) : NULL;
    if (!rest)
        return; // it stays larger than it need be
    size_t start = (size_t)(space->run - window.code.run);
    decommit(start + keep, space->capacity - keep);
    spin_acquire(&window.lock);
    struct range *r = range_of(space);
    split(r, keep, rest);
    merge_next(rest);
    spin_release(&window.lock);
    space->capacity = (u32)keep;
    pay_less(space, space->capacity);
}

void code_free(struct code_space *space)
{
    if (!space->run)
        return;
    decommit((size_t)(space->run - window.code.run), space->capacity);
    give_range_back(space);
    pay_less(space, 0);
    *space = (struct code_space){0};
}

status code_open(const struct code_space *space)
{
    size_t start = (size_t)(space->run - window.code.run);
    return plat_code_open(&window.code, start, space->capacity);
}

void code_publish(const struct code_space *space)
{
    size_t at = (size_t)(space->run - window.code.run), size = space->capacity;
    for (size_t n; size; at += n, size -= n) {
        n = size < PIECE ? size : PIECE;
        plat_code_publish(&window.code, at, n);
        if (n < size)
            look_up();
    }
}
