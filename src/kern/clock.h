// SPDX-License-Identifier: MIT
// Alarms: something to be done at a time. They lie in leftist heaps (Crane, 1972), which need no
// memory of their own, so setting one cannot fail; setting, cancelling and ringing take a number of
// steps that goes with the logarithm of how many there are, whatever the order.
//
// What a process sets lies in a heap of its share, on the CPU where it was set (share.h); the CPU
// itself has one alarm for each of these, and those that end processes. With the kernel lock held.
#pragma once
#include "base/types.h"

struct share;
struct lane;

struct alarm {
    struct alarm *left, *right, *up;
    struct alarm **heap; // NULL: not set
    struct lane *lane;   // whose heap that is; NULL: a CPU's
    u64 at;
    void (*ring)(struct alarm *a); // with the lock held; not set any more
    u8 rank;                       // length of the way down that is right all along
};

// Anew, if it is set already; UINT64_MAX: never. What it costs to ring is the share's, which may
// have to wait for that; NULL: it rings at its time.
void alarm_set(struct alarm *a, struct share *share, u64 at);
void alarm_cancel(struct alarm *a); // one that is not set is fine
// Takes out the first one, if its time has come; NULL: it has not.
struct alarm *alarm_take(struct alarm **heap, u64 now);
