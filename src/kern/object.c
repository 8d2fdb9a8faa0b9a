// SPDX-License-Identifier: MIT
// References, signals, and waiting for them.
#include "kern/object.h"
#include "base/lookup.h"
#include "kern/channel.h"
#include "kern/process.h"
#include "kern/sched.h"
#include "kern/waitset.h"
#include "wasm/runtime.h"

bool kern_work;
struct object *kern_dead;
static struct link called = {&called, &called}; // waiters of objects whose signals have changed

// --- What is done a little at a time

static bool destroy(struct object *o)
{
    switch ((enum object_type)o->type) {
#define OBJECT_TYPE(name)                                                                          \
    case OBJECT_##name: return name##_destroy(o);
#include "kern/objects.def"
#undef OBJECT_TYPE
    }
    return true;
}

static void bury_one(void)
{
    struct object *o = kern_dead;
    kern_dead = o->next;
    if (!destroy(o)) {
        o->next = kern_dead;
        kern_dead = o;
    }
}

// He is to have the signal, for which he is in line no more. False: who does not wait stays there:
// he may be getting in line for others still, and would not be told of the next signal.
static bool wake(struct waiter *w)
{
    if (!w->thread) {
        member_signaled(w);
        return false;
    }
    if (w->thread->status != THREAD_WAITS)
        return false;
    sched_wake(w->thread, OK);
    return true;
}

// Whom it is not for goes on waiting.
static void wake_called(void)
{
    enum { AT_ONCE = 16 };
    for (u32 i = 0; i < AT_ONCE && !link_alone(&called); i++) {
        struct waiter *w = container_of(called.next, struct waiter, link);
        struct object *o = w->object;
        link_remove(&w->link);
        if (unlikely(!o->refs)) // before it is buried
            member_orphaned(w);
        else if (!(w->signals & o->signals) || !wake(w))
            link_add(&o->waiters, &w->link);
    }
}

// A few of them. False: there are none left.
static bool work(void)
{
    if (process_to_stop)
        process_stop_some();
    else if (!link_alone(&called))
        wake_called();
    else if (kern_dead)
        bury_one();
    return kern_work = kern_dead || process_to_stop || !link_alone(&called);
}

static u32 slow; // threads that will come back to it: others only help

// Others get the lock in between. Nobody else gets this CPU, so it is not for long: the next to
// come here goes on, and a tick sees to it that there is one.
void kern_work_off(void)
{
    enum { AT_ONCE = 64 };
    for (u32 i = 0; kern_work && work() && !slow; i++) {
        if (i == AT_ONCE) {
            sched_work_waits();
            return;
        }
        spin_release(&rt_switch_lock);
        spin_acquire(&rt_switch_lock);
    }
}

// Who signals again and again what thousands wait for may have more woken than can be worked off
// meanwhile: nobody stays here for ever for that.
void kern_release_slowly(void)
{
    enum { WAKES = 4096 };
    u32 woken = 0;
    slow++;
    while (kern_work && woken < WAKES && work()) {
        woken += !link_alone(&called);
        spin_release(&rt_switch_lock);
        look_up();
        spin_acquire(&rt_switch_lock);
    }
    slow--;
    spin_release(&rt_switch_lock);
}

void object_release(struct object *o)
{
    kern_acquire();
    object_unref(o);
    kern_release();
}

// --- Reachability

enum { LOOKS_MAX = 300 };

static struct {
    u64 mark;
    u32 looks, n;
    struct object *list[LOOKS_MAX]; // to be visited
} search;

// What no process that runs keeps: such a process lives by itself.
static bool visit(struct object *o)
{
    bool keeps = o && (o->type == OBJECT_channel || o->type == OBJECT_process);
    if (++search.looks >= LOOKS_MAX)
        return false;
    if (!keeps || o->mark == search.mark)
        return true;
    o->mark = search.mark;
    search.list[search.n++] = o;
    return true;
}

static void visit_kept(struct object *o)
{
    if (o->type == OBJECT_channel)
        channel_each_kept(container_of(o, struct channel, object), visit);
    else
        process_each_kept(container_of(o, struct process, object), visit);
}

void search_begin(void)
{
    search.mark++;
    search.looks = search.n = 0;
}

// What an earlier question of the same search has visited does not lead to `to`.
SELDOM status search_reaches(struct object *from, const struct object *to)
{
    visit(from);
    while (search.n) {
        struct object *o = search.list[--search.n];
        if (o == to)
            return ERR_INVALID_ARG;
        visit_kept(o);
    }
    return search.looks < LOOKS_MAX ? OK : ERR_NO_RESOURCES;
}

// --- Signals

// Those who wait for it are seen to when the lock is given back.
static void call_all(struct object *o)
{
    struct link *all = &o->waiters, *first = all->next;
    first->last = called.last;
    called.last->next = first;
    called.last = all->last;
    called.last->next = &called;
    link_init(all);
    kern_work = true;
}

void object_set(struct object *o, u32 signals)
{
    struct link *all = &o->waiters, *first = all->next;
    o->signals |= signals;
    if (!o->refs || likely(first == all)) // nobody waits for what is dead
        return;
    if (first->next == all) {
        struct waiter *w = container_of(first, struct waiter, link);
        if (w->signals & o->signals)
            wake(w);
        return;
    }
    call_all(o);
}

void object_dies(struct object *o)
{
    if (unlikely(!link_alone(&o->waiters)))
        call_all(o);
    o->next = kern_dead;
    kern_dead = o;
    kern_work = true;
}

void waiter_add(struct waiter *w, struct object *o, u32 signals, struct kthread *t)
{
    *w = (struct waiter){.object = o, .signals = signals, .thread = t};
    link_add(&o->waiters, &w->link);
}

void waiter_remove(struct waiter *w)
{
    link_remove(&w->link);
}

s64 object_wait(struct object *o, u32 signals, u64 deadline)
{
    struct waiter w;
    struct kthread *me = sched_self();
    status s = OK;
    object_ref(o); // our handle may be closed meanwhile
    while (!(o->signals & signals) && !s) {
        waiter_add(&w, o, signals, me);
        s = sched_wait(me, deadline);
        waiter_remove(&w);
    }
    object_unref(o);
    return o->signals & signals ? (s64)o->signals : s;
}
