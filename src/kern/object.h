// SPDX-License-Identifier: MIT
// Objects: what handles refer to. Each begins with a struct object, has a count of references and a
// set of signals, and whoever wants to can wait for signals.
//
// The kernel lock guards all objects, signals, waiters and the scheduler's queues: one lock, since
// everything done under it is a few dozen instructions (doc/locks.md). Functions named here are
// called with it held, but where they say otherwise. It is held by a CPU, not by a thread: a thread
// that parks hands it on to whatever the CPU runs next.
#pragma once
#include "abi/nebulet_types.h"
#include "base/assert.h"
#include "base/status.h"
#include "rt/rt.h"

enum object_type {
#define OBJECT_TYPE(name) OBJECT_##name,
#include "kern/objects.def"
#undef OBJECT_TYPE
};

struct object;
// Takes a dead object apart, a bounded part of it at a time: true when nothing is left.
#define OBJECT_TYPE(name) bool name##_destroy(struct object *o);
#include "kern/objects.def"
#undef OBJECT_TYPE

struct kthread;

// Of a circle; one that is in none is its own.
struct link {
    struct link *next, *last;
};

static inline void link_init(struct link *l)
{
    l->next = l->last = l;
}
static inline bool link_alone(const struct link *l)
{
    return l->next == l;
}
// At the end of the circle that begins behind `head`.
static inline void link_add(struct link *head, struct link *l)
{
    l->next = head;
    l->last = head->last;
    l->last->next = head->last = l;
}
static inline void link_drop(struct link *l) // it is not looked at any more
{
    l->last->next = l->next;
    l->next->last = l->last;
}
static inline void link_remove(struct link *l)
{
    link_drop(l);
    link_init(l);
}

struct object {
    u64 type : 8;
    u64 mark : 56; // of the last search that came here; there are not as many searches
    u32 refs;
    u32 signals;
    u32 members; // of the waiters: places of sets, at most NEBULET_PLACES_MAX
    union {
        struct link waiters; // each of them holds a reference, or is a member of a set (waitset.h)
        struct object *next; // that is dead, too
    };
};

// A thread that waits for signals of an object, on whose stack this lies; or a set does.
struct waiter {
    struct link link;
    struct object *object;
    u32 signals, observed;
    struct kthread *thread; // NULL: a set (struct member)
};

// What may be much is done later, a little at a time: whoever gives the kernel lock back does it,
// and lets others have the lock in between. Dead objects are taken apart, those who wait for
// signals of an object woken, the threads of a process stopped.
extern bool kern_work; // there is something
extern struct object *kern_dead;
void kern_work_off(void);
// Gives the lock back at the end of a guest's call: while it works, other processes have their
// turn, but no thread of this one.
void kern_release_slowly(void);

// The kernel lock is the one that is held over switches.
static inline void kern_acquire(void)
{
    spin_acquire(&rt_switch_lock);
}
static inline void kern_release(void)
{
    if (unlikely(kern_work))
        kern_work_off();
    spin_release(&rt_switch_lock);
}

// Lets others have the lock.
static inline void kern_breathe(void)
{
    kern_release();
    kern_acquire();
}

static inline void object_init(struct object *o, enum object_type type)
{
    *o = (struct object){.type = (u8)type, .refs = 1};
    link_init(&o->waiters);
}
static inline void object_ref(struct object *o)
{
    o->refs++;
}
// With the last reference the object goes, but not before the lock is given back: what it refers to
// may be a long chain, and nothing here recurses.
void object_dies(struct object *o);
static inline void object_unref(struct object *o)
{
    if (!--o->refs)
        object_dies(o);
}
void object_release(struct object *o); // takes the lock itself

// Can `to` be come to by what lies in queues, and in tables of processes that do not live yet? Who
// puts objects into another's keeping asks first, so that no two keep each other alive when nobody
// else does: a search begins, and asks for each of them. INVALID_ARG: yes. NO_RESOURCES: there is
// more to look at than the lock may be held for.
void search_begin(void);
status search_reaches(struct object *from, const struct object *to);

// Changes signals, and wakes those who wait for one that is now there: when there are several, not
// before the lock is given back, and those whom it is still there for.
void object_set(struct object *o, u32 signals);
static inline void object_clear(struct object *o, u32 signals)
{
    o->signals &= ~signals;
}
void waiter_add(struct waiter *w, struct object *o, u32 signals, struct kthread *t);
void waiter_remove(struct waiter *w);

// Waits until the object has one of the signals: its signals, or TIMED_OUT, SHOULD_WAIT, CANCELLED.
// It stays until the lock is given back.
s64 object_wait(struct object *o, u32 signals, u64 deadline);
