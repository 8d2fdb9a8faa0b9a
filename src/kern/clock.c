// SPDX-License-Identifier: MIT
// A pairing heap of alarms: see clock.h. Every tree's root is earlier than its children.
#include "kern/clock.h"
#include "kern/sched.h"

// Of two roots, the later becomes the first child of the other.
static struct alarm *meld(struct alarm *a, struct alarm *b)
{
    if (!a || !b)
        return a ? a : b;
    if (b->at < a->at) {
        struct alarm *swap = a;
        a = b;
        b = swap;
    }
    b->next = a->child;
    if (b->next)
        b->next->previous = b;
    b->previous = a;
    a->child = b;
    return a;
}

// A list of siblings becomes one tree: in pairs from left to right, then from right to left.
static struct alarm *meld_all(struct alarm *list)
{
    struct alarm *pairs = NULL, *root = NULL;
    while (list) {
        struct alarm *a = list, *b = a->next;
        list = b ? b->next : NULL;
        a->next = NULL;
        if (b)
            b->next = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct alarm *next = pairs->next;
        pairs->next = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    if (root)
        root->previous = root->next = NULL;
    return root;
}

void alarm_cancel(struct alarm *a)
{
    if (!a->cpu)
        return;
    struct alarm **heap = sched_alarms(a->cpu);
    a->cpu = NULL;
    struct alarm *rest = meld_all(a->child);
    if (*heap == a) {
        *heap = rest;
        return;
    }
    if (a->previous->child == a)
        a->previous->child = a->next;
    else
        a->previous->next = a->next;
    if (a->next)
        a->next->previous = a->previous;
    *heap = meld(*heap, rest);
    (*heap)->previous = (*heap)->next = NULL;
}

void alarm_set(struct alarm *a, u64 at)
{
    alarm_cancel(a);
    if (at == UINT64_MAX)
        return;
    a->cpu = sched_cpu();
    a->at = at;
    a->child = a->next = a->previous = NULL;
    struct alarm **heap = sched_alarms(a->cpu);
    *heap = meld(*heap, a);
    if (*heap == a)
        sched_alarm_earlier(a->cpu, at);
}

u64 alarms_ring(struct alarm **heap, u64 now)
{
    while (*heap && (*heap)->at <= now) {
        struct alarm *a = *heap;
        alarm_cancel(a);
        a->ring(a);
    }
    return *heap ? (*heap)->at : UINT64_MAX;
}
