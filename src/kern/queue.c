// SPDX-License-Identifier: MIT
// Which process comes next, and where. Each CPU has a queue of those that wait for their turn
// there. A process is placed where nobody runs, and idle CPUs take the first of another's queue.
#include "kern/cpu.h"

static void link_lane(struct cpu *c, struct lane *l, struct lane **at)
{
    assert(l->first && l->cpu == c);
    l->next = *at;
    l->self = at;
    if (l->next)
        l->next->self = &l->next;
    else
        c->last = &l->next;
    *at = l;
    c->lanes++;
}

static void unlink_lane(struct cpu *c, struct lane *l)
{
    assert(c->lanes && *l->self == l);
    *l->self = l->next;
    if (l->next)
        l->next->self = l->self;
    else
        c->last = l->self;
    c->lanes--;
}

// A share whose turn is used up waits for the next one behind all others. One of whose processes
// none waits may have it when it has waited as long.
void queue_leave(struct cpu *c, const struct process *p)
{
    struct lane *l = p->lane;
    c->process = NULL;
    if (l->slice > 0)
        return;
    l->left = c->since;
    if (!l->first)
        return;
    lane_refill(l);
    if (l->next) {
        unlink_lane(c, l);
        link_lane(c, l, c->last);
    }
}

static void push(struct cpu *c, struct process *p, bool front)
{
    struct lane *l = share_lane(p->share, c->id);
    bool listed = l->first, runs = lane_runs(l);
    bool late = l->slice <= 0 && lane_others_want(l) && !lane_has_waited(l);
    if (l->slice <= 0 && !(runs && late))
        lane_refill(l);
    p->next_queued = front ? l->first : NULL;
    *(front ? &l->first : l->last) = p;
    if (!p->next_queued)
        l->last = &p->next_queued;
    p->queued = true;
    c->urgent |= front && !late;
    if (listed && (!front || l == c->first || late))
        return;
    if (listed)
        unlink_lane(c, l);
    link_lane(c, l, (front || runs) && !late ? &c->first : c->last);
}

// Takes the first one out of a lane.
static struct process *take(struct cpu *c, struct lane *l)
{
    struct process *p = l->first;
    assert(p->queued && p->ring && p->share == l->share);
    l->first = p->next_queued;
    if (!l->first) {
        l->last = &l->first;
        unlink_lane(c, l);
    }
    return p;
}

static bool is_idle(const struct cpu *c)
{
    return c->started && !c->process && !c->first;
}

// What of it is not zero: nothing of those that never start is touched.
static struct cpu *set_up(u32 id)
{
    struct cpu *c = &sched_cpus[id];
    c->id = id;
    c->rt = thread_cpu(id);
    c->last = &c->first;
    c->armed = UINT64_MAX;
    c->turn = PACE_TURN_NS;
    return c;
}

struct cpu *queue_add_cpu(void)
{
    struct cpu *c = set_up(kern.started++);
    c->started = true;
    return c;
}

void sched_visit(void)
{
    assert(plat_cpu_id() >= kern.ncpus);
    set_up(plat_cpu_id());
}

SELDOM struct cpu *queue_start_cpu(void)
{
    if (kern.started >= kern.ncpus || !kern.looping)
        return NULL;
    struct cpu *c = queue_add_cpu();
    if (plat_cpu_start(c->id, sched_cpu_entry, c)) {
        c->started = false;
        kern.ncpus = --kern.started; // there are no more
        return NULL;
    }
    return c;
}

// Where a process is to wait for its turn: where it ran last, if nobody is there; somewhere where
// nobody is; or else where it ran last.
static struct cpu *place(const struct process *p)
{
    if (p->limits.cpu && p->limits.cpu <= kern.ncpus) {
        while (kern.started < p->limits.cpu && queue_start_cpu())
            ;
        if (p->limits.cpu <= kern.started)
            return &sched_cpus[p->limits.cpu - 1];
    }
    if (is_idle(p->home))
        return p->home;
    for (u32 i = 0; i < kern.started; i++)
        if (is_idle(&sched_cpus[i]))
            return &sched_cpus[i];
    struct cpu *c = kern.started < kern.ncpus ? queue_start_cpu() : NULL;
    return c ? c : p->home;
}

// One that spins sees it by itself, and one that was told, and has not looked yet, will look.
void queue_notify(struct cpu *c)
{
    if (c == sched_cpu()) {
        const struct kthread *self = self_on(c);
        if (self)
            pace_contend(c, self);
        return;
    }
    if (c->sleeping || (c->process && !c->ticked && cpu_ticks() >= c->tick_until)) {
        if (c->sleeping)
            kern.sleepers--;
        c->sleeping = false;
        plat_cpu_kick(c->id);
    }
}

void queue_add(struct process *p, bool front)
{
    struct cpu *c = place(p);
    push(c, p, front);
    queue_notify(c);
}

void queue_put_back(struct cpu *c, struct process *p)
{
    struct cpu *to = place(p);
    bool front = p->slice > 0;
    if (!front)
        pace_refill(p);
    push(to, p, front);
    if (to != c)
        queue_notify(to);
}

struct process *queue_swap(struct cpu *c, struct process *p)
{
    struct process *first = c->handover ? c->handover : take(c, c->first);
    c->handover = NULL;
    push(c, p, true);
    return first;
}

// Of the first few that wait; those that are to stay where they are cannot be had.
SELDOM bool queue_steal(struct cpu *to)
{
    enum { LOOKS = 8 };
    for (u32 i = 0; i < kern.started; i++) {
        struct cpu *c = &sched_cpus[i];
        struct lane *l = c == to ? NULL : c->first;
        for (u32 k = 0; l && l->first->limits.cpu && k < LOOKS; k++)
            l = l->next;
        if (l && !l->first->limits.cpu) {
            push(to, take(c, l), false);
            return true;
        }
    }
    return false;
}

// Who owes more than a turn lets others have theirs; but somebody must run.
static struct lane *first_that_may(struct cpu *c)
{
    enum { LOOKS = 8 };
    for (u32 i = 0; i < LOOKS && c->first->slice <= 0 && c->lanes > 1; i++) {
        struct lane *l = c->first;
        lane_refill(l);
        unlink_lane(c, l);
        link_lane(c, l, c->last);
    }
    return c->first;
}

struct process *queue_pick(struct cpu *c)
{
    struct process *p = c->handover;
    if (p)
        c->handover = NULL;
    else if (c->first || queue_steal(c))
        p = take(c, first_that_may(c));
    return p;
}

void queue_arrive(struct cpu *c, struct kthread *t)
{
    struct process *p = t->process;
    assert(p->ring == t && t->status != THREAD_WAITS);
    p->queued = false;
    p->home = c;
    p->lane = share_lane(p->share, c->id);
    c->process = p;
    p->stats.switches++;
    if (unlikely(p->timed != NULL) || pace_tick_is_late(c, p))
        c->tick_until = 0; // look at the clock
}
