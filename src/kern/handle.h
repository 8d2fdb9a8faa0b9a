// SPDX-License-Identifier: MIT
// A process's handles: numbers with an object and rights behind them.
//
// The table belongs to the process, which runs on one CPU at a time, so looking a handle up takes
// no lock; the references that it holds are the kernel's and need one. A number is a place in the
// table and a generation, 12 bits above 20; places that are free wait in line, so a number comes
// back only after all others and 4,096 rounds: a stale one is noticed.
#pragma once
#include "kern/object.h"

enum { HANDLE_INDEX_BITS = 20, HANDLE_LIMIT = 1 << HANDLE_INDEX_BITS, HANDLES_FIRST = 4 };
#define HANDLE_ALL_RIGHTS (NEBULET_DUPLICATE | NEBULET_TRANSFER | NEBULET_READ | NEBULET_WRITE)

struct handle {
    union {
        struct object *object;
        u64 next; // free place, when this one is free
    };
    u32 number; // of the handle; when free, one of another place: of the next one here, with a bit
                // turned, so that it is nobody's
    u16 rights, type;
};

struct handles {
    struct handle *at;
    u32 mask; // its size, a power of two, less one
    u32 capacity, used, limit;
    u32 first, last;                  // of the free places; first == UINT32_MAX: none
    struct account *limited;          // by how many there may be in all; NULL: nobody is
    struct handle few[HANDLES_FIRST]; // the table, until it has to be larger
};

static inline u32 handle_index(nebulet_handle h)
{
    return h & (HANDLE_LIMIT - 1);
}

// Where a handle would be; it is there if the number is its own.
static inline struct handle *handle_place(const struct handles *t, nebulet_handle h)
{
    return &t->at[h & t->mask];
}

// The entry, or NULL. What lies there has the number if it is the one, so only its place need be
// within the table.
static inline struct handle *handle_find(const struct handles *t, nebulet_handle h)
{
    struct handle *e = handle_place(t, h);
    return likely(e->number == h) ? e : NULL;
}

// A table for HANDLES_FIRST; its limits are set already.
void handles_init(struct handles *t);

// That of a place; NULL: it is free.
static inline struct handle *handle_at(const struct handles *t, u32 i)
{
    return handle_index(t->at[i].number) == i ? &t->at[i] : NULL;
}

// Room for n more, so that handle_add cannot fail. NO_RESOURCES: past the limit. Without the lock.
status handles_make_room(struct handles *t, u32 n); // where there is none, or the number is limited
static inline bool handles_room(const struct handles *t, u32 n)
{
    return n <= t->limit - t->used && t->used + n <= t->capacity;
}
static inline status handles_reserve(struct handles *t, u32 n)
{
    return likely(!t->limited && handles_room(t, n)) ? OK : handles_make_room(t, n);
}
// Takes over a reference. There is room.
nebulet_handle handle_add(struct handles *t, struct object *o, u32 rights);
// Forgets a handle that was found; the reference is the caller's.
struct object *handle_remove(struct handles *t, struct handle *e);
void handles_free(struct handles *t); // takes the lock for each, and looks up
// Bytes of the table beside the record.
static inline size_t handles_size(const struct handles *t)
{
    return t->at == t->few ? 0 : t->capacity * sizeof *t->at;
}
