// SPDX-License-Identifier: MIT
// Shares of the processor: see share.h.
#include "kern/share.h"
#include "base/heap.h"
#include "kern/cpu.h"

enum {
    OWN = 100,     // weight of what a share's maker keeps
    SMALLEST = 64, // no share is cut out that would have less than one part in so many of a slice
    RING_MAX = 4,  // alarms, before others get the lock: each is two steps of a heap, of 1,000
                   // instructions at most
    INTERRUPT_NS = 20000, // what it costs to come here, about
};

// --- Made and given back

// Ticks of a turn of `s` and all that were cut out of it.
static s64 whole(const struct share *s)
{
    s64 n = kern.slice;
    for (; s->parent; s = s->parent)
        n = n * s->weight / s->parent->total;
    return n * s->weight / OWN;
}

static struct share *cut(struct share *parent, struct share *s)
{
    s->parent = parent;
    if (!parent)
        return s;
    parent->total += s->weight;
    share_ref(parent);
    if (whole(s) >= kern.slice / SMALLEST)
        return s;
    parent->total -= s->weight;
    return parent;
}

SELDOM struct share *share_new(struct share *parent, u32 weight)
{
    u32 n = kern.started > kern.ncpus ? kern.started : kern.ncpus;
    struct share *s = heap_zalloc(sizeof *s + n * sizeof *s->lanes);
    if (!s)
        return NULL;
    *s = (struct share){.refs = 1, .weight = weight, .total = OWN, .nlanes = n};
    for (u32 i = 0; i < n; i++) {
        struct lane *l = &s->lanes[i];
        *l = (struct lane){.share = s, .cpu = &sched_cpus[i], .last = &l->first};
    }
    kern_acquire();
    struct share *got = cut(parent, s);
    for (u32 i = 0; i < n && got == s; i++)
        lane_refill(&s->lanes[i]);
    kern_release();
    if (got != s)
        heap_free(s);
    return got;
}

// What was cut out of what was cut out, and so on, is a few steps.
void share_unref(struct share *s)
{
    while (s && !--s->refs) {
        struct share *parent = s->parent;
        for (u32 i = 0; i < s->nlanes; i++)
            assert(!s->lanes[i].first && !s->lanes[i].alarms && !s->lanes[i].due.heap);
        if (parent)
            parent->total -= s->weight;
        heap_free(s);
        s = parent;
    }
}

// --- Turns

void lane_refill(struct lane *l)
{
    l->slice = pace_refilled(l->slice, whole(l->share) * OWN / l->share->total);
}

bool lane_runs(const struct lane *l)
{
    return l->cpu->process && l->cpu->process->lane == l;
}

bool lane_has_waited(const struct lane *l)
{
    return !lane_runs(l) && (s64)(cpu_ticks() - l->left) > kern.slice * (s64)(l->cpu->lanes + 1);
}

bool lane_others_want(const struct lane *l)
{
    const struct cpu *c = l->cpu;
    return (c->process && !lane_runs(l)) || (c->first && (c->first != l || l->next));
}

// --- Alarms

static void on_due(struct alarm *a);

static void expect(struct lane *l, u64 least)
{
    u64 at = l->alarms ? l->alarms->at : UINT64_MAX;
    at = at < least ? least : at;
    if (l->due.heap && (l->late || l->due.at <= at))
        return;
    l->due.ring = on_due;
    alarm_set(&l->due, NULL, at);
}

static void ring(struct lane *l, u64 now)
{
    struct alarm *a;
    for (u32 i = 0; i < RING_MAX && (a = alarm_take(&l->alarms, now)); i++)
        a->ring(a);
}

// The CPU's alarm for a lane: rings the lane's, and charges the share for it.
SELDOM static void on_due(struct alarm *a)
{
    struct lane *l = container_of(a, struct lane, due);
    struct cpu *c = l->cpu;
    u64 now = plat_now(), start = cpu_ticks();
    l->late = l->slice <= 0 && lane_others_want(l) && !lane_has_waited(l);
    if (l->late) {
        alarm_set(a, NULL, now + PACE_SLICE_NS);
        return;
    }
    if (l->slice <= 0)
        lane_refill(l);
    ring(l, now);
    u64 took = cpu_ticks() - start;
    l->slice -= (s64)(took + pace_ticks(INTERRUPT_NS));
    c->since += took; // it is not the time of whoever was interrupted
    if (l->slice <= 0)
        l->left = cpu_ticks();
    alarm_cancel(a);    // which those that were set again have set
    expect(l, now + 1); // others first
}

void lane_expect(struct lane *l)
{
    expect(l, 0);
}
