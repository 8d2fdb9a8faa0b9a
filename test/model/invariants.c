// SPDX-License-Identifier: MIT
// What must hold whenever the kernel lock is given back, of all objects there are. They are found
// in the heap, by their size and type, so that one which every list has forgotten is looked at,
// too.
#include "kern/cpu.h"
#include "kern/waitset.h"
#include "model.h"
#include <stdio.h>

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (unlikely(!(condition)))                                                                \
            model_fail("line %d of %s: must hold: %s", __LINE__, __FILE_NAME__, #condition);       \
    } while (0)

enum { MANY = 1000 };

// --- Processes and their threads

static bool in_ring(const struct process *p, const struct kthread *t)
{
    const struct kthread *k = p->ring;
    for (u32 i = 0; k && i < MANY; i++, k = k->next_turn)
        if (k == t)
            return true;
        else if (k->next_turn == p->ring)
            return false;
    return false;
}

static void look_at_ring(const struct process *p)
{
    const struct kthread *t = p->ring;
    for (u32 i = 0; t; i++) {
        MUST(i < MANY);
        MUST(t->process == p && t->status != THREAD_WAITS);
        MUST(t->next_turn->last_turn == t && t->last_turn->next_turn == t);
        t = t->next_turn == p->ring ? NULL : t->next_turn;
    }
}

static void look_at_process(const struct process *p)
{
    u32 n = 0;
    if (!p->self_all) // not in the list yet
        return;
    for (const struct kthread *t = p->threads; t; t = t->next_thread, n++) {
        MUST(n < MANY && *t->self_thread == t && t->process == p);
        MUST(in_ring(p, t) == (t->status != THREAD_WAITS));
    }
    MUST(n == p->nthreads);
    look_at_ring(p);
    MUST(p->state >= NEBULET_ENDS || p->how == 0);
    MUST((p->state == NEBULET_OVER) == ((p->object.signals & NEBULET_ENDED) != 0));
    MUST(!p->ring || cpu_of(p) || p->queued); // who can run is where a CPU finds it
    MUST(!p->queued || p->ring);
}

// --- Channels

static void look_at_channel(const struct channel *c)
{
    u32 n = 0;
    struct message *const *last = &c->first;
    for (const struct message *m = c->first; m; last = &m->next, m = m->next)
        MUST(n++ < MANY);
    MUST(n == c->count && c->last == last && n <= NEBULET_QUEUE_MAX);
    MUST(!c->peer || c->peer->peer == c);
    u32 signals = c->object.signals;
    MUST(((signals & NEBULET_READABLE) != 0) == (c->first != NULL));
    MUST(((signals & NEBULET_PEER_CLOSED) != 0) == !c->peer);
    MUST(((signals & NEBULET_WRITABLE) != 0) == (c->peer && c->peer->count < NEBULET_QUEUE_MAX));
    const struct kthread *t = c->last_receiver;
    for (u32 i = 0; t; i++) {
        MUST(i < MANY && t->inbox.next && t->inbox.at == c);
        t = t->inbox.next == c->last_receiver ? NULL : t->inbox.next;
    }
}

// How often it is kept, as it says itself: in messages, and in tables of processes that do not live
// yet, which may be about to say so.
static struct {
    const struct object *of;
    u32 sent, tables;
} kept;

static void count_kept(void *block, size_t size)
{
    const struct object *o = block;
    if (size == sizeof(struct channel) && o->type == OBJECT_channel)
        for (const struct message *m = ((struct channel *)block)->first; m; m = m->next)
            for (u32 i = 0; i < m->nhandles; i++)
                kept.sent += m->handles[i].object == kept.of;
    const struct process *p = block;
    if (size == sizeof *p && o->type == OBJECT_process && p->state == NEBULET_CREATED)
        for (u32 i = 0; i < p->handles.capacity; i++)
            kept.tables += handle_at(&p->handles, i) && p->handles.at[i].object == kept.of;
}

static void look_at_keepers(const struct channel *c)
{
    kept.of = &c->object;
    kept.sent = kept.tables = 0;
    model_each_block(count_kept);
    MUST(kept.sent <= c->kept && c->kept <= kept.sent + kept.tables);
}

static void look_at_stream(const struct stream *s)
{
    MUST(s->count <= NEBULET_STREAM_SIZE && (!s->count || s->ring));
    MUST(((s->object.signals & NEBULET_READABLE) != 0) == (s->count != 0));
    MUST(((s->object.signals & NEBULET_PEER_CLOSED) != 0) == !s->peer);
    MUST(!s->peer || s->peer->peer == s);
}

static bool is_ready(const struct waiter *w)
{
    return container_of(w, struct member, wait)->ready.next;
}

// Who is ready is in its list, and only then, and that is said; each once.
static void look_at_set(const struct waitset *s)
{
    u32 n = 0;
    for (const struct link *l = s->ready.next; l != &s->ready; l = l->next, n++) {
        const struct member *m = container_of(l, struct member, ready);
        MUST(n < MANY && m->set == s && m->wait.object && l->next->last == l && l->last->next == l);
    }
    for (u32 i = 0; i < countof(s->pieces); i++)
        for (u32 k = 0; s->pieces[i] && k < WAITSET_PIECE; k++)
            n -= is_ready(&s->pieces[i][k].wait);
    MUST(!n);
    MUST(link_alone(&s->ready) || s->object.signals & NEBULET_READABLE);
}

static void look_at_object(const struct object *o)
{
    const struct link *l = o->waiters.next;
    for (u32 i = 0; l != &o->waiters; l = l->next, i++) {
        const struct waiter *w = container_of(l, struct waiter, link);
        MUST(i < MANY && w->object == o && l->next->last == l && l->last->next == l);
        // Who waits for what is there has been told.
        MUST(!(w->signals & o->signals) ||
             (w->thread ? w->thread->status != THREAD_WAITS : is_ready(w)));
    }
}

static void look_at_block(void *block, size_t size)
{
    const struct object *o = block;
    if (size < sizeof *o || o->refs == 0 || o->refs >= MANY)
        return; // none, not yet, or not any more
    if (o->type == OBJECT_process && size == sizeof(struct process))
        look_at_process(block);
    else if (o->type == OBJECT_channel && size == sizeof(struct channel))
        look_at_channel(block), look_at_keepers(block);
    else if (o->type == OBJECT_stream && size == sizeof(struct stream))
        look_at_stream(block);
    else if (o->type == OBJECT_waitset && size == sizeof(struct waitset))
        look_at_set(block);
    else if (o->type != OBJECT_event || size != sizeof(struct event))
        return;
    look_at_object(o);
}

// --- CPUs

// Nobody is later than who is below, and the way right is the shorter one.
static u32 look_at_alarms(struct alarm **heap, const struct alarm *a, u64 at, u32 depth)
{
    if (!a)
        return 0;
    MUST(depth < MANY && a->heap == heap && a->at >= at);
    MUST(depth ? a->up && (a->up->left == a || a->up->right == a) : !a->up && *heap == a);
    u32 left = look_at_alarms(heap, a->left, a->at, depth + 1);
    u32 right = look_at_alarms(heap, a->right, a->at, depth + 1);
    MUST(left >= right && a->rank == right + 1);
    return right + 1;
}

static u32 look_at_lane(const struct lane *l)
{
    u32 n = 0;
    struct process *const *last = &l->first;
    for (const struct process *p = l->first; p; last = &p->next_queued, p = p->next_queued, n++)
        MUST(n < MANY && p->queued && p->share == l->share);
    MUST(l->last == last);
    return n;
}

static u32 look_at_cpu(struct cpu *c)
{
    u32 n = 0, lanes = 0;
    struct lane *const *last = &c->first;
    for (const struct lane *l = c->first; l; last = &l->next, l = l->next, lanes++) {
        MUST(lanes < MANY && *l->self == l && l->cpu == c && l->first);
        n += look_at_lane(l);
    }
    MUST(c->last == last && c->lanes == lanes);
    MUST(!c->handover || c->handover->queued);
    MUST(!c->process || c->process->home == c);
    MUST(!model_sleeps(c->id) || !(c->first || c->handover)); // or it would do so for ever
    look_at_alarms(&c->alarms, c->alarms, 0, 0);
    return n + (c->handover != NULL);
}

// What its processes have set on a CPU, of which that has one alarm.
static void look_at_share(struct share *s)
{
    for (u32 i = 0; i < s->nlanes; i++) {
        struct lane *l = share_lane(s, i);
        look_at_alarms(&l->alarms, l->alarms, 0, 0);
        MUST(!l->alarms || l->due.heap || l->cpu->rings);
    }
}

void model_invariants(void)
{
    u32 queued = 0, live = 0, waiting = 0, sleeping = 0;
    if (!kern.store)
        return;
    for (u32 i = 0; i < kern.started; i++) {
        queued += look_at_cpu(&sched_cpus[i]);
        sleeping += sched_cpus[i].sleeping;
    }
    for (const struct process *p = kern.all; p; p = p->next_all, live++) {
        MUST(live < MANY && *p->self_all == p);
        look_at_share(p->share);
        waiting += p->queued;
    }
    MUST(live == kern.live);
    MUST(queued == waiting);
    MUST(sleeping == kern.sleepers);
    model_each_block(look_at_block);
}

void model_where(char *text, size_t n)
{
    const struct kthread *t = sched_self();
    if (t)
        snprintf(text, n, "CPU %u, process %u, thread %u", model_cpu(), t->process->id, t->id);
    else
        snprintf(text, n, "CPU %u", model_cpu());
}
