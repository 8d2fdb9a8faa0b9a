// SPDX-License-Identifier: MIT
// Handle tables: see handle.h.
#include "kern/handle.h"
#include "base/heap.h"

enum { FIRST = 8, NONE = UINT32_MAX };

// The new places go behind those that wait already.
static void append_free(struct handles *t, u32 from, u32 to)
{
    for (u32 i = from; i < to; i++)
        t->at[i] = (struct handle){.number = i, .rights = i + 1 < to ? i + 1 : NONE};
    if (t->first == NONE)
        t->first = from;
    else
        t->at[t->last].rights = from;
    t->last = to - 1;
}

static bool grow(struct handles *t, u32 need)
{
    u32 capacity = t->capacity ? t->capacity : FIRST;
    while (capacity < need)
        capacity *= 2;
    struct handle *at = heap_resize(t->at, capacity * sizeof *at);
    if (!at)
        return false;
    t->at = at;
    if (!t->capacity)
        t->first = NONE;
    append_free(t, t->capacity, capacity);
    t->capacity = capacity;
    return true;
}

status handles_reserve(struct handles *t, u32 n)
{
    if (n > t->limit - t->used)
        return ERR_NO_RESOURCES;
    if (t->used + n <= t->capacity)
        return OK;
    return grow(t, t->used + n) ? OK : ERR_NO_MEMORY;
}

nebulet_handle handle_add(struct handles *t, struct object *o, u32 rights)
{
    struct handle *e = &t->at[t->first];
    t->first = e->rights;
    e->object = o;
    e->rights = rights;
    t->used++;
    return e->number;
}

struct object *handle_remove(struct handles *t, struct handle *e)
{
    struct object *o = e->object;
    u32 index = handle_index(e->number);
    e->object = NULL;
    e->number += HANDLE_LIMIT;
    if (e->number == NEBULET_NO_HANDLE)
        e->number = index;
    e->rights = NONE;
    if (t->first == NONE)
        t->first = index;
    else
        t->at[t->last].rights = index;
    t->last = index;
    t->used--;
    return o;
}

void handles_free(struct handles *t)
{
    for (u32 i = 0; i < t->capacity; i++)
        if (t->at[i].object)
            object_release(handle_remove(t, &t->at[i]));
    heap_free(t->at);
    *t = (struct handles){0};
}
