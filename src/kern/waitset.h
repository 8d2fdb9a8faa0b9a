// SPDX-License-Identifier: MIT
// Sets of waits: what somebody waits for all the time is put in once, and a wait costs as much as
// has happened since the one before, not as much as there is.
//
//   object.waiters ──> member ──> member ...         of each object, among those who wait for it
//                        │ a signal comes
//                        v
//   waitset.ready ──> member ──> member ...          looked at by who waits for the set
//
// A member stays ready until a wait finds that it has none of its signals any more. It keeps its
// object no more than an object keeps those who wait for it: when that dies, its place is free. So
// a set keeps nothing alive, and may lie in any queue.
#pragma once
#include "kern/object.h"

struct member {
    struct waiter wait; // thread: NULL; object: NULL, its place is free; observed: its place
    struct link ready;  // next: NULL, it is in no list
    struct waitset *set;
};

enum { WAITSET_PIECE = 32 };

struct waitset {
    struct object object; // READABLE: something is in `ready`
    struct link ready;
    struct member *pieces[NEBULET_WAIT_MAX / WAITSET_PIECE]; // charged to who puts the first in
};

struct waitset *waitset_new(void); // NULL: no memory
// In the place of what was there; NULL: nothing. Without the lock; `o` stays meanwhile.
// INVALID_ARG: there is no such place, or that is a set. NO_MEMORY. NO_RESOURCES: the object is in
// NEBULET_PLACES_MAX places, all of which a signal calls (object.c).
status waitset_put(struct waitset *s, u32 place, struct object *o, u32 signals);
// Writes to `out` who has one of its signals, at most n of them, as struct nebulet_ready. How many,
// or an error of waiting. Without the lock.
s64 waitset_wait(struct kthread *me, struct waitset *s, u8 *out, u32 n, u64 deadline);

// --- For object.c, with the lock
void member_signaled(struct waiter *w);
void member_orphaned(struct waiter *w); // its object is dead; it is in no circle any more
