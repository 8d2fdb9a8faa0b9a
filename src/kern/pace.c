// SPDX-License-Identifier: MIT
// Time. A process has a slice, in ticks of the CPU's counter, that shrinks while it runs. A timer
// is armed only while something else wants the CPU (or an alarm is set), so a program that is alone
// is interrupted once at most. When the slice is used up the process goes to the end of its queue
// with a new one, as large as its weight; one that wakes before that goes to the front. So whoever
// waits much is served at once, and nobody gets more than its share of a busy CPU.
#include "kern/cpu.h"

enum { RING_MAX = 2 };          // alarms of a CPU, before others get the lock
#define POLL_NS 2000000ull      // between looks at I/O while every CPU is busy
#define TICK_NS 20000ull        // between ticks, at least
#define ALARM_NS 500000ull      // between those for alarms: a tick may cost more than it brings
#define TURN_MOST_NS 1000000ull // where they pass their turns on without being told to
#define HANDOVER_NS 1000000ull  // until a process that nobody switched to may run elsewhere

// From all the time there was; good to a few percent after a millisecond.
SELDOM void pace_measure(u64 now)
{
    u64 ns = now - kern.now0, n = cpu_ticks() - kern.ticks0;
    if (ns < 1000000)
        return;
    while (ns >> 43)
        ns >>= 1, n >>= 1;
    kern.ns_per_tick = (ns << 20) / (n ? n : 1);
    if (!kern.ns_per_tick)
        kern.ns_per_tick = 1;
    kern.slice = (s64)((PACE_SLICE_NS << 20) / kern.ns_per_tick);
}

void pace_init(void)
{
    kern.now0 = plat_now();
    kern.ticks0 = cpu_ticks();
    kern.ns_per_tick = (1 << 20) * 2 / 5;
    kern.slice = (s64)((PACE_SLICE_NS << 20) / kern.ns_per_tick);
}

static u64 ns_of(u64 n)
{
    pace_measure(plat_now());
    return (u64)((unsigned __int128)n * kern.ns_per_tick >> 20);
}

// With what it has used since it was charged last, which is long ago where nobody else wants the
// CPU.
u64 sched_used_ns(const struct process *p)
{
    const struct cpu *c = cpu_of(p);
    u64 n = p->stats.ticks, now = cpu_ticks();
    if (c && now > c->since)
        n += now - c->since;
    return ns_of(n);
}

// To set the timer may be a system call, so one that is set stays: if it runs out too early, that
// costs a tick once, after which it is set as it must be.
static void arm(struct cpu *c, u64 at)
{
    if (c->armed <= at)
        return;
    c->armed = at;
    plat_timer(at);
}

// Less what it took too much of the last one, since a tick may come late; but not what it took
// while nobody else wanted the CPU, which may be anything.
s64 pace_refilled(s64 slice, s64 whole)
{
    s64 most = whole > kern.slice / 2 ? whole / 2 : kern.slice / 4;
    return whole + (slice < -most ? -most : slice < 0 ? slice : 0);
}

void pace_refill(struct process *p)
{
    p->slice = pace_refilled(p->slice, kern.slice * p->limits.weight / 100);
}

u64 pace_ticks(u64 ns)
{
    return (ns << 20) / kern.ns_per_tick;
}

static u64 left_ns(const struct process *p)
{
    s64 left = pace_left(p);
    u64 slice = left > 0 ? (u64)((unsigned __int128)left * kern.ns_per_tick >> 20) : 0;
    return slice < 1000 ? 1000 : slice;
}

// Not as soon as it may be, behind others: or alarms could keep a CPU from all work. Those of the
// running thread's own share hurt nobody else.
static u64 no_sooner(const struct cpu *c, const struct kthread *self, u64 at)
{
    bool own = c->alarms == &self->process->lane->due;
    u64 least = c->rang + (own ? TICK_NS : ALARM_NS);
    return at < least ? least : at;
}

void pace_arm(struct cpu *c, const struct kthread *self, u64 now)
{
    const struct process *p = self->process;
    u64 at = c->alarms ? no_sooner(c, self, c->alarms->at) : UINT64_MAX, ns = UINT64_MAX;
    if (contended(c, self))
        ns = left_ns(p);
    if (ns > POLL_NS && kern.io_waiters && !kern.sleepers)
        ns = POLL_NS;
    if (ns > c->turn && has_company(self))
        ns = c->turn;
    if (c->handover && ns > HANDOVER_NS && kern.ncpus > 1)
        ns = HANDOVER_NS;
    if (unlikely(p->timed != NULL)) {
        u64 left = budget_left_ns(p->timed);
        ns = left < ns ? left : ns;
    }
    // A request that the thread has not seen yet, for it may be in C now; or nobody else works it
    // off.
    if (unlikely(thread_vm(self->rt)->interrupt || kern_work) && ns > HANDOVER_NS)
        ns = HANDOVER_NS;
    if (unlikely(plat_interrupts != 0))
        ns = 0; // likewise
    if (ns != UINT64_MAX && now + ns < at)
        at = now + ns;
    if (at < now + 2 * TICK_NS && at < (now = plat_now()) + TICK_NS)
        at = now + TICK_NS;
    c->tick_until = ns == UINT64_MAX ? 0 : cpu_ticks() + pace_ticks(ns);
    c->ticked = false;
    arm(c, at);
}

// Where threads wait for something all the time, ticks are in vain, and they may cost as much as
// what the threads do. So they become rarer, until one finds the same thread as the one before.
void pace_look_at_turns(struct cpu *c, struct kthread *t)
{
    bool keeps = t == c->seen;
    c->seen = t;
    if (!has_company(t))
        return;
    if (keeps) {
        t->vm->poll = 1;
        c->seen = t->next_turn;
        c->turn = PACE_TURN_NS;
    } else if (c->turn < TURN_MOST_NS) {
        c->turn *= 2;
    }
}

void pace_contend_slow(struct cpu *c, const struct kthread *self)
{
    pace_charge(c, self->process);
    pace_arm(c, self, plat_now());
}

SELDOM void pace_alarm_earlier(struct cpu *c, u64 at)
{
    const struct kthread *self = self_on(c);
    if (!self || c->rings || (at = no_sooner(c, self, at)) >= c->armed)
        return;
    if (!c->tick_until)
        pace_contend(c, self); // nobody knows what the timer was to tell
    else
        arm(c, at);
}

SELDOM void pace_ring(struct cpu *c, u64 now)
{
    c->rings = true;
    struct alarm *a;
    for (u32 i = 0; i < RING_MAX && (a = alarm_take(&c->alarms, now)); i++)
        a->ring(a), c->rang = now;
    c->rings = false;
}

// A timer that was set for others stays, if it will do: who makes processes and waits for them
// would else set it for each. What has run out while nobody ran is known by on_tick, or is past.
void pace_enter(struct cpu *c, const struct kthread *self)
{
    u64 now = plat_now();
    if (c->armed < now + TICK_NS) {
        c->armed = UINT64_MAX;
        c->tick_until = 0;
    }
    if (c->alarms)
        pace_ring(c, now);
    bool tick = !contended(c, self) || cpu_ticks() < c->tick_until;
    bool asked = thread_vm(self->rt)->interrupt && c->armed > now + HANDOVER_NS;
    bool more = c->ticked || c->alarms || kern.io_waiters || self->process->timed || asked;
    if (!tick || more)
        pace_arm(c, self, now);
}
