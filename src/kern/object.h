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
#include "base/status.h"
#include "rt/rt.h"

enum object_type {
#define OBJECT_TYPE(name) OBJECT_##name,
#include "kern/objects.def"
#undef OBJECT_TYPE
};

struct object;
#define OBJECT_TYPE(name) void name##_destroy(struct object *o);
#include "kern/objects.def"
#undef OBJECT_TYPE

struct waiter;
struct kthread;

struct object {
    u8 type;
    u32 refs;
    u32 signals;
    u32 mark; // search_reaches
    union {
        struct object *visit; // search_reaches
        struct object *next;  // that is dead, too: nothing refers to it, so nobody visits it
    };
    struct waiter *waiters; // each of them holds a reference
};

// A thread that waits for signals of an object; lies on its stack.
struct waiter {
    struct waiter *next, **self;
    struct object *object;
    u32 signals;
    struct kthread *thread;
};

extern struct object *kern_dead;
void object_bury_dead(void);

// The kernel lock is the one that is held over switches.
static inline void kern_acquire(void)
{
    spin_acquire(&rt_switch_lock);
}
static inline void kern_release(void)
{
    if (unlikely(kern_dead))
        object_bury_dead();
    spin_release(&rt_switch_lock);
}

static inline void object_init(struct object *o, enum object_type type)
{
    *o = (struct object){.type = (u8)type, .refs = 1};
}
static inline void object_ref(struct object *o)
{
    o->refs++;
}
// With the last reference the object goes, but not before the lock is given back: what it refers to
// may be a long chain, and nothing here recurses.
static inline void object_unref(struct object *o)
{
    if (--o->refs)
        return;
    o->next = kern_dead;
    kern_dead = o;
}
void object_release(struct object *o); // takes the lock itself

// Can `to` be come to by what lies in queues, and in tables of processes that do not run? Who puts
// objects into another's keeping asks first, so that no two keep each other alive when nobody else
// does: a search begins, and asks for each of them. It gives up, with "yes", after some thousand
// queues, or when they hold a great many objects.
void search_begin(void);
bool search_reaches(struct object *from, const struct object *to);

// Changes signals, and wakes those who wait for one that is now there.
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
