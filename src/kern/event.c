// SPDX-License-Identifier: MIT
// Events and timers: see event.h.
#include "kern/event.h"
#include "base/heap.h"
#include "kern/channel.h"
#include "kern/sched.h"
#include "kern/share.h"
#include "kern/stream.h"
#include "plat/plat.h"

struct event *event_new(void)
{
    struct event *e = heap_zalloc(sizeof *e);
    if (e)
        object_init(&e->object, OBJECT_event);
    return e;
}

bool event_destroy(struct object *o)
{
    heap_free(container_of(o, struct event, object));
    return true;
}

static u64 later(u64 at, u64 ns)
{
    return at + ns < at ? UINT64_MAX : at + ns;
}

// A period that was missed is not made up for.
static void on_alarm(struct alarm *a)
{
    struct timer *t = container_of(a, struct timer, alarm);
    u64 now = plat_now(), next = later(a->at, t->period);
    if (t->period)
        alarm_set(a, t->share, next > now ? next : later(now, t->period));
    object_set(&t->object, NEBULET_EVENT_SIGNALED);
}

struct timer *timer_new(void)
{
    struct timer *t = heap_zalloc(sizeof *t);
    if (!t)
        return NULL;
    object_init(&t->object, OBJECT_timer);
    t->alarm.ring = on_alarm;
    return t;
}

void timer_set(struct timer *t, u64 at, u64 period)
{
    kern_acquire();
    object_clear(&t->object, NEBULET_EVENT_SIGNALED);
    t->period = period && period < TIMER_PERIOD_MIN ? TIMER_PERIOD_MIN : period;
    alarm_cancel(&t->alarm);
    share_unref(t->share);
    t->share = share_ref(sched_self()->process->share);
    alarm_set(&t->alarm, t->share, at);
    kern_release();
}

bool timer_destroy(struct object *o)
{
    struct timer *t = container_of(o, struct timer, object);
    alarm_cancel(&t->alarm);
    share_unref(t->share);
    heap_free(t);
    return true;
}

u32 object_settable(const struct object *o)
{
    bool event = o->type == OBJECT_event || o->type == OBJECT_timer;
    return (u32)NEBULET_USER | (event ? NEBULET_EVENT_SIGNALED : 0);
}

struct object *object_signaled(struct object *o)
{
    if (o->type == OBJECT_channel) {
        struct channel *peer = container_of(o, struct channel, object)->peer;
        return peer ? &peer->object : NULL;
    }
    if (o->type == OBJECT_stream) {
        struct stream *peer = container_of(o, struct stream, object)->peer;
        return peer ? &peer->object : NULL;
    }
    return o;
}
