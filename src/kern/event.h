// SPDX-License-Identifier: MIT
// Events, and timers, which are events that a clock signals.
#pragma once
#include "kern/process.h"

struct event {
    struct object object;
};

struct timer {
    struct object object;
    struct alarm alarm;
    struct share *share; // of who set it, which pays; a reference. NULL: it has never been set
    u64 period;          // 0: once
};

enum { TIMER_PERIOD_MIN = 1000 }; // ns

struct event *event_new(void); // NULL: no memory
struct timer *timer_new(void);
// Without the lock. Takes the signal back.
void timer_set(struct timer *t, u64 at, u64 period);

// What object_signal may change of an object, and whose signals they are: of a channel or stream,
// the other end's. With the lock.
u32 object_settable(const struct object *o);
struct object *object_signaled(struct object *o); // NULL: the other end is closed
