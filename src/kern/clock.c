// SPDX-License-Identifier: MIT
// A leftist heap of alarms: see clock.h. Every alarm is no later than those below it, and of its
// two subtrees the right one has the shorter way down to where something is missing, which makes
// the ways right all along short: two trees become one along these.
#include "kern/clock.h"
#include "kern/cpu.h"
#include "kern/share.h"

static u32 rank_of(const struct alarm *a)
{
    return a ? a->rank : 0;
}

// After a change below it. False: those above need not know.
static bool mend(struct alarm *a)
{
    if (rank_of(a->left) < rank_of(a->right)) {
        struct alarm *swap = a->left;
        a->left = a->right;
        a->right = swap;
    }
    u8 rank = (u8)(rank_of(a->right) + 1);
    bool changed = a->rank != rank;
    a->rank = rank;
    return changed;
}

static struct alarm *meld(struct alarm *a, struct alarm *b)
{
    struct alarm *root = NULL, *last = NULL;
    while (a && b) {
        bool first = a->at <= b->at;
        struct alarm *next = first ? a : b, *below = next->right;
        next->up = last;
        if (last)
            last->right = next;
        else
            root = next;
        last = next;
        if (first)
            a = below;
        else
            b = below;
    }
    struct alarm *rest = a ? a : b;
    if (rest)
        rest->up = last;
    if (!last)
        return rest;
    last->right = rest;
    for (; last; last = last->up)
        mend(last);
    return root;
}

static void insert(struct alarm **heap, struct alarm *a)
{
    assert_locked();
    assert(!a->heap);
    a->left = a->right = a->up = NULL;
    a->rank = 1;
    a->heap = heap;
    *heap = meld(*heap, a);
}

static void take_out(struct alarm *a)
{
    assert_locked();
    assert(a->up ? a->up->left == a || a->up->right == a : *a->heap == a);
    struct alarm *up = a->up, *rest = meld(a->left, a->right);
    if (rest)
        rest->up = up;
    if (!up)
        *a->heap = rest;
    else if (up->left == a)
        up->left = rest;
    else
        up->right = rest;
    while (up && mend(up))
        up = up->up;
    a->heap = NULL;
}

void alarm_cancel(struct alarm *a)
{
    if (!a->heap)
        return;
    take_out(a);
    if (a->lane && !a->lane->alarms)
        alarm_cancel(&a->lane->due); // which is a CPU's
}

void alarm_set(struct alarm *a, struct share *share, u64 at)
{
    alarm_cancel(a);
    if (at == UINT64_MAX)
        return;
    struct cpu *c = sched_cpu();
    a->at = at;
    a->lane = share ? share_lane(share, c->id) : NULL;
    insert(a->lane ? &a->lane->alarms : &c->alarms, a);
    if (a->lane)
        lane_expect(a->lane);
    else if (c->alarms == a)
        pace_alarm_earlier(c, at);
}

struct alarm *alarm_take(struct alarm **heap, u64 now)
{
    struct alarm *a = *heap;
    if (!a || a->at > now)
        return NULL;
    take_out(a);
    return a;
}
