// SPDX-License-Identifier: MIT
// References, signals, and waiting for them.
#include "kern/object.h"
#include "kern/channel.h"
#include "kern/process.h"
#include "kern/sched.h"

struct object *kern_dead;

static void destroy(struct object *o)
{
    switch ((enum object_type)o->type) {
#define OBJECT_TYPE(name)                                                                          \
    case OBJECT_##name: name##_destroy(o); break;
#include "kern/objects.def"
#undef OBJECT_TYPE
    }
}

// Others get the lock in between.
void object_bury_dead(void)
{
    for (struct object *o; (o = kern_dead);) {
        kern_dead = o->next;
        destroy(o);
        spin_release(&rt_switch_lock);
        spin_acquire(&rt_switch_lock);
    }
}

void object_release(struct object *o)
{
    kern_acquire();
    object_unref(o);
    kern_release();
}

void object_set(struct object *o, u32 signals)
{
    o->signals |= signals;
    for (struct waiter *w = o->waiters; w; w = w->next)
        if (w->signals & o->signals)
            sched_wake(w->thread, OK);
}

// --- Reachability

enum { VISITS_MAX = 4096, LOOKS_MAX = 65536 };

static struct {
    u32 mark, visits, looks;
    struct object *list;
} search;

// What no process that runs keeps: such a process lives by itself.
static void visit(struct object *o)
{
    bool keeps = o->type == OBJECT_channel || o->type == OBJECT_process;
    search.looks++;
    if (!keeps || o->mark == search.mark)
        return;
    o->mark = search.mark;
    o->visit = search.list;
    search.list = o;
    search.visits++;
}

static void visit_kept(struct object *o)
{
    if (o->type == OBJECT_channel) {
        channel_each_kept(container_of(o, struct channel, object), visit);
        return;
    }
    struct process *p = container_of(o, struct process, object);
    for (u32 i = 0; !p->begun && i < p->handles.capacity; i++)
        if (handle_at(&p->handles, i))
            visit(p->handles.at[i].object);
}

void search_begin(void)
{
    search.mark++;
    search.visits = search.looks = 0;
    search.list = NULL;
}

// What an earlier question of the same search has visited does not lead to `to`.
bool search_reaches(struct object *from, const struct object *to)
{
    visit(from);
    for (struct object *o; (o = search.list);) {
        if (o == to || search.visits > VISITS_MAX || search.looks > LOOKS_MAX)
            return true;
        search.list = o->visit;
        visit_kept(o);
    }
    return false;
}

// --- Signals

void waiter_add(struct waiter *w, struct object *o, u32 signals, struct kthread *t)
{
    *w = (struct waiter){o->waiters, &o->waiters, o, signals, t};
    if (w->next)
        w->next->self = &w->next;
    o->waiters = w;
}

void waiter_remove(struct waiter *w)
{
    *w->self = w->next;
    if (w->next)
        w->next->self = w->self;
}

s64 object_wait(struct object *o, u32 signals, u64 deadline)
{
    struct waiter w;
    status s = OK;
    object_ref(o); // our handle may be closed meanwhile
    while (!(o->signals & signals) && !s) {
        waiter_add(&w, o, signals, sched_self());
        s = sched_wait(deadline);
        waiter_remove(&w);
    }
    object_unref(o);
    return o->signals & signals ? (s64)o->signals : s;
}
