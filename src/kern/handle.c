// SPDX-License-Identifier: MIT
// Handle tables: see handle.h.
#include "kern/handle.h"
#include "base/heap.h"
#include "base/lookup.h"

enum { NONE = UINT32_MAX, FREE = 1 }; // FREE: the bit that is turned

// A free place goes behind those that wait already.
static void append_free(struct handles *t, u32 i, u32 number)
{
    t->at[i] = (struct handle){.next = NONE, .number = number ^ FREE};
    if (t->first == NONE)
        t->first = i;
    else
        t->at[t->last].next = i;
    t->last = i;
}

// Room for `capacity` handles, with those that are there.
static struct handle *enlarge(struct handles *t, u32 capacity)
{
    if (t->at != t->few)
        return heap_resize(t->at, capacity * sizeof *t->at);
    struct handle *at = heap_alloc(capacity * sizeof *at);
    if (at)
        memcpy(at, t->few, sizeof t->few);
    return at;
}

void handles_init(struct handles *t)
{
    static const struct handle few[HANDLES_FIRST] = {
        {.next = 1, .number = 0 ^ FREE},
        {.next = 2, .number = 1 ^ FREE},
        {.next = 3, .number = 2 ^ FREE},
        {.next = NONE, .number = 3 ^ FREE},
    };
    memcpy(t->few, few, sizeof few);
    t->at = t->few;
    t->capacity = HANDLES_FIRST;
    t->mask = t->last = HANDLES_FIRST - 1;
}

SELDOM static bool grow(struct handles *t, u32 need)
{
    u32 capacity = t->capacity;
    while (capacity < need)
        capacity *= 2;
    struct handle *at = enlarge(t, capacity);
    if (!at)
        return false;
    t->at = at;
    for (u32 i = t->capacity; i < capacity; i++)
        append_free(t, i, i);
    t->capacity = capacity;
    t->mask = capacity - 1;
    return true;
}

status handles_make_room(struct handles *t, u32 n)
{
    if (n > t->limit - t->used || !account_has_room(t->limited, ACCOUNT_HANDLES, n))
        return ERR_NO_RESOURCES;
    if (t->used + n <= t->capacity)
        return OK;
    return grow(t, t->used + n) ? OK : ERR_NO_MEMORY;
}

nebulet_handle handle_add(struct handles *t, struct object *o, u32 rights)
{
    struct handle *e = &t->at[t->first];
    t->first = (u32)e->next;
    *e = (struct handle){
        .object = o, .number = e->number ^ FREE, .rights = (u16)rights, .type = o->type};
    t->used++;
    if (unlikely(t->limited != NULL))
        account_take(t->limited, ACCOUNT_HANDLES, 1);
    return e->number;
}

struct object *handle_remove(struct handles *t, struct handle *e)
{
    struct object *o = e->object;
    u32 next = e->number + HANDLE_LIMIT;
    append_free(t, handle_index(e->number), next == NEBULET_NO_HANDLE ? next + HANDLE_LIMIT : next);
    t->used--;
    if (unlikely(t->limited != NULL))
        account_discharge(t->limited, ACCOUNT_HANDLES, 1);
    return o;
}

void handles_free(struct handles *t)
{
    enum { AT_ONCE = 256 };
    for (u32 i = 0; t->used; i++) {
        if (handle_at(t, i)) {
            kern_acquire();
            object_unref(handle_remove(t, &t->at[i]));
            kern_release_slowly(); // what was in it may be much
        }
        if (i % AT_ONCE == AT_ONCE - 1)
            look_up();
    }
    if (t->at != t->few)
        heap_free(t->at);
    t->at = NULL;
    t->capacity = 0;
}
