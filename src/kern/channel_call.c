// SPDX-License-Identifier: MIT
// To send and to wait for what comes next, in one: the way between two processes that is kept
// shortest. When the other end waits already, the message goes from memory to memory, and the CPU
// straight from one thread to the other.
#include "kern/channel.h"
#include "kern/sched.h"

// The message has been delivered to t; we are next in line.
static s64 switch_and_wait(struct channel *c, struct kthread *t, u8 *answer, u32 room, u64 deadline)
{
    struct receiver r = {.thread = sched_self(), .bytes = answer, .size = room, .got = UINT32_MAX};
    channel_line_up(c, &r);
    object_ref(&c->object); // our handle may be closed meanwhile
    status s = sched_hand_over_and_wait(t, deadline);
    object_unref(&c->object);
    if (likely(r.got != UINT32_MAX))
        return r.got;
    return channel_leave_line(c, &r, s);
}

s64 channel_call(struct process *p, struct channel *c, const u8 *bytes, u32 size, u8 *answer,
                 u32 room, u64 deadline)
{
    struct nebulet_message needed;
    s64 result = OK;
    kern_acquire();
    struct channel *peer = c->peer;
    struct kthread *t = NULL;
    if (likely(peer && !c->first && !c->receivers))
        t = channel_deliver(peer, bytes, size);
    if (likely(t)) {
        p->stats.sent++;
        result = switch_and_wait(c, t, answer, room, deadline);
    }
    kern_release();
    if (likely(t) && likely(result != OK_IN_QUEUE))
        return result;
    if (!t)
        result = channel_send(p, c, bytes, size, NULL, 0, deadline);
    if (result < 0)
        return result;
    return channel_recv(p, c, answer, room, NULL, 0, &needed, deadline);
}
