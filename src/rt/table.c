// SPDX-License-Identifier: MIT
// Tables: arrays of copies of vm_funcs. A small one is a heap block; one that outgrows it moves
// into a reservation for as many elements as it may ever have, and stays there. Its pages are
// charged as the heap's blocks are: they are the kernel's.
#include "rt/memory.h"
#include "base/lookup.h"
#include "plat/plat.h"

enum { HEAP_ELEMENTS = 1024 };

static u64 element_bytes(u64 n)
{
    return n * sizeof(struct vm_func);
}

static bool grow_on_heap(struct rt_table *t, u64 length)
{
    u64 capacity = t->capacity * 2 > length ? t->capacity * 2 : length;
    if (capacity > HEAP_ELEMENTS)
        capacity = HEAP_ELEMENTS;
    // The first time the heap's own zeros will do, which cost nothing until they are touched.
    struct vm_func *at = t->vm.at ? heap_resize(t->vm.at, element_bytes(capacity))
                                  : heap_zalloc(element_bytes(capacity));
    if (!at)
        return false;
    if (t->vm.at)
        memset(at + t->capacity, 0, element_bytes(capacity - t->capacity));
    t->vm.at = at;
    t->capacity = capacity;
    return true;
}

// Of one in a reservation.
static u64 takes(u64 bytes)
{
    return bytes + plat_tables(0, bytes);
}

static bool commit(const struct rt_table *t, u8 *at, u64 old, u64 bytes)
{
    struct account *a = t->store->account;
    u64 more = takes(bytes) - takes(old);
    if (!account_charge(a, ACCOUNT_KEPT, more))
        return false;
    if (!plat_commit(at + old, bytes - old))
        return true;
    account_discharge(a, ACCOUNT_KEPT, more);
    return false;
}

static bool move_to_reservation(struct rt_table *t)
{
    u64 size = ALIGN_UP(element_bytes(t->vm.max), PLAT_PAGE);
    u64 old = ALIGN_UP(element_bytes(t->vm.length), PLAT_PAGE);
    struct vm_func *at = plat_reserve(size);
    if (!at)
        return false;
    if (!commit(t, (u8 *)at, 0, old)) {
        plat_release(at, size);
        return false;
    }
    if (t->vm.length)
        memcpy(at, t->vm.at, element_bytes(t->vm.length));
    heap_free(t->vm.at);
    t->vm.at = at;
    t->capacity = old / sizeof *at;
    t->reserved = size;
    return true;
}

static bool grow_reserved(struct rt_table *t, u64 length)
{
    if (!t->reserved && !move_to_reservation(t))
        return false;
    u64 have = element_bytes(t->capacity), need = ALIGN_UP(element_bytes(length), PLAT_PAGE);
    if (need > have && !commit(t, (u8 *)t->vm.at, have, need))
        return false;
    if (need > have)
        t->capacity = need / sizeof *t->vm.at;
    return true;
}

static bool make_room(struct rt_table *t, u64 length)
{
    if (length <= t->capacity)
        return true;
    return length > HEAP_ELEMENTS ? grow_reserved(t, length) : grow_on_heap(t, length);
}

bool table_resize(struct rt_table *t, u64 length)
{
    if (length > t->vm.max || !make_room(t, length))
        return false;
    store_count(t->store, element_bytes(length - t->vm.length));
    t->vm.length = length;
    return true;
}

status table_create(struct store *s, const struct table_type *type, struct rt_table *out)
{
    u64 max = type->limits.max < MAX_TABLE_SIZE ? type->limits.max : MAX_TABLE_SIZE;
    *out = (struct rt_table){.vm = {.max = max, .elem = type->elem}, .store = s};
    return table_resize(out, type->limits.min) ? OK : ERR_NO_MEMORY;
}

// To give pages back takes time for each that was touched: they go in pieces.
static void release(struct rt_table *t)
{
    enum { PIECE = 4 << 20 };
    u64 bytes = element_bytes(t->capacity);
    for (; bytes > PIECE; bytes -= PIECE) {
        plat_decommit((u8 *)t->vm.at + bytes - PIECE, PIECE);
        look_up();
    }
    plat_release(t->vm.at, t->reserved);
}

void table_free(struct rt_table *t)
{
    if (t->vm.length)
        t->store->memory -= element_bytes(t->vm.length);
    if (t->reserved) {
        release(t);
        account_discharge(t->store->account, ACCOUNT_KEPT, takes(element_bytes(t->capacity)));
    } else {
        heap_free(t->vm.at);
    }
    *t = (struct rt_table){0};
}

struct vm_table *store_table(struct store *s, const struct table_type *type)
{
    struct owned_table *t = heap_zalloc(sizeof *t);
    if (!t || table_create(s, type, &t->table)) {
        heap_free(t);
        return NULL;
    }
    t->next = s->owned_tables;
    s->owned_tables = t;
    return &t->table.vm;
}

void tables_free(struct store *s)
{
    for (struct owned_table *t; (t = s->owned_tables);) {
        s->owned_tables = t->next;
        table_free(&t->table);
        heap_free(t);
    }
}
