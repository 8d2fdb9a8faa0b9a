// SPDX-License-Identifier: MIT
// Which process comes next, and where. Each CPU has a queue of those that wait for their turn
// there. A process is placed where nobody runs, and idle CPUs take the first of another's queue.
#include "kern/cpu.h"

static void push_back(struct cpu *c, struct process *p)
{
    p->next_queued = NULL;
    *c->last = p;
    c->last = &p->next_queued;
}

static void push_front(struct cpu *c, struct process *p)
{
    p->next_queued = c->first;
    c->first = p;
    if (!p->next_queued)
        c->last = &p->next_queued;
}

static struct process *pop_front(struct cpu *c)
{
    struct process *p = c->first;
    if (!p)
        return NULL;
    c->first = p->next_queued;
    if (!c->first)
        c->last = &c->first;
    return p;
}

static bool is_idle(const struct cpu *c)
{
    return c->started && !c->process && !c->first;
}

struct cpu *queue_start_cpu(void)
{
    if (kern.started >= kern.ncpus || !kern.looping)
        return NULL;
    struct cpu *c = &sched_cpus[kern.started];
    if (plat_cpu_start(c->id, sched_cpu_entry, c)) {
        kern.ncpus = kern.started; // there are no more
        return NULL;
    }
    kern.started++;
    c->started = true;
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
    struct cpu *c = queue_start_cpu();
    return c ? c : p->home;
}

// One that spins sees it by itself.
void queue_notify(struct cpu *c)
{
    if (c == sched_cpu()) {
        const struct kthread *self = self_on(c);
        if (self)
            pace_contend(c, self);
        return;
    }
    if (c->sleeping || (c->process && cpu_ticks() >= c->tick_until)) {
        if (c->sleeping)
            kern.sleepers--;
        c->sleeping = false;
        plat_cpu_kick(c->id);
    }
}

void queue_add(struct process *p, bool front)
{
    struct cpu *c = place(p);
    if (front)
        push_front(c, p);
    else
        push_back(c, p);
    p->queued = true;
    queue_notify(c);
}

void queue_put_back(struct cpu *c, struct process *p)
{
    struct cpu *to = place(p);
    if (p->slice > 0) {
        push_front(to, p);
    } else {
        pace_refill(p);
        push_back(to, p);
    }
    p->queued = true;
    if (to != c)
        queue_notify(to);
}

struct process *queue_swap(struct cpu *c, struct process *p)
{
    struct process *first = pop_front(c);
    push_front(c, p);
    p->queued = true;
    return first;
}

bool queue_steal(struct cpu *to)
{
    for (u32 i = 0; i < kern.started; i++) {
        struct cpu *c = &sched_cpus[i];
        if (c == to)
            continue;
        if (c->first && !c->first->limits.cpu) {
            push_back(to, pop_front(c));
            return true;
        }
    }
    return false;
}

struct process *queue_pick(struct cpu *c)
{
    struct process *p = c->handover;
    if (p)
        c->handover = NULL;
    else if (c->first || queue_steal(c))
        p = pop_front(c);
    return p;
}

void queue_arrive(struct cpu *c, struct kthread *t)
{
    struct process *p = t->process;
    p->queued = false;
    p->home = c;
    c->process = p;
    p->stats.switches++;
    if (unlikely(p->timed != NULL) || pace_tick_is_late(c, p))
        c->tick_until = 0; // look at the clock
}
