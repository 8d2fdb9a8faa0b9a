// SPDX-License-Identifier: MIT
// Handing over. Who sends a message often waits for the answer next: the receiver takes the place
// `handover` in front of the queue, and the sender's wait switches to it. If the sender does not
// wait, the next tick finds it there.
//
// Whose share has had its turn may still be handed the CPU, for what is left of the sender's: the
// tick that follows is early then.
#include "kern/channel.h"
#include "kern/cpu.h"

OFTEN void sched_hand_over(const struct kthread *me, struct kthread *t)
{
    struct process *p = t->process;
    struct cpu *c = me->process->home;
    if (unlikely(p->ring != NULL) || unlikely(c->handover != NULL) || unlikely(p->slice <= 0) ||
        (p->home != c && p->limits.cpu)) {
        sched_wake(t, OK);
        return;
    }
    t->woken = OK;
    t->status = THREAD_READY;
    p->ring = t;
    p->queued = true;
    c->handover = p;
    pace_contend(c, me);
}

// Whether the thread may leave by its stub (vm_hand_fn); `then` is set for when it comes back.
static inline OFTEN bool may_leave(struct kthread *me)
{
    const struct process *p = me->process;
    thread_vm(me->rt)->then = NULL;
    if (likely(load_u16(&p->state) == NEBULET_LIVES)) // and does not poll
        return !PLAT_TRACKS_STACKS;
    turn_keep_own(me);
    thread_vm(me->rt)->then = channel_called;
    return !PLAT_TRACKS_STACKS && p->state == NEBULET_LIVES;
}

OFTEN bool sched_can_hand(struct kthread *me, const struct kthread *t)
{
    const struct process *p = t->process, *was = me->process;
    return likely(!has_company(me)) && likely(!p->ring) && likely(p->home == was->home) &&
           likely(p->slice > 0) && may_leave(me);
}

struct kthread *sched_handed_over(struct kthread *me)
{
    struct cpu *c = me->process->home;
    struct process *p = c->handover;
    if (unlikely(!p) || unlikely(has_company(me)) || unlikely(p->ring->status != THREAD_READY) ||
        unlikely(!p->hand_mask) || unlikely(!may_leave(me)))
        return NULL;
    c->handover = NULL;
    p->queued = false;
    p->home = c;
    p->lane = share_lane(p->share, c->id);
    return p->ring;
}

OFTEN struct vm_thread *sched_hand(struct kthread *me, struct kthread *t)
{
    struct process *p = t->process, *was = me->process;
    struct cpu *c = was->home;
    pace_charge(c, was);
    me->status = THREAD_WAITS;
    was->ring = NULL;
    t->status = THREAD_READY;
    p->ring = t;
    c->process = p;
    p->stats.switches++;
    if (unlikely(c->first || c->handover) && pace_tick_is_late(c, p))
        c->tick_until = 0, pace_contend(c, t);
    pace_catch_up(c, t);
    return thread_hand(c->rt, t->rt);
}

void sched_arrived(struct kthread *me)
{
    turn_show_own(me);
}
