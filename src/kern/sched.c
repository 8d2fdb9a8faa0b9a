// SPDX-License-Identifier: MIT
// The scheduler: see sched.h.
//
//   CPU loop ──thread_enter──> thread ──thread_switch──> thread ──thread_leave──> CPU loop
//
// A thread that parks picks the next one itself and switches straight to it; the loop on the CPU's
// own stack runs only when there is none, when the next one is fresh, and to bury threads. The lock
// is held over a switch and released by whoever arrives. A fresh thread cannot do that, so it is
// entered from the loop, with the lock released before.
//
// Time. A process has a slice, in ticks of the CPU's counter, that shrinks while it runs. A timer
// is armed only while something else wants the CPU (or an alarm is set), so a program that is alone
// is interrupted once at most. When the slice is used up the process goes to the end of its queue
// with a new one, as large as its weight; one that wakes before that goes to the front. So whoever
// waits much is served at once, and nobody gets more than its share of a busy CPU.
//
// Handing over. Who sends a message often waits for the answer next: the receiver takes the place
// `handover` in front of the queue, and the sender's wait switches to it. If the sender does not
// wait, the next tick finds it there.
//
// Turns. The threads of a process that can run form a ring, in the order of their turns. As long as
// they only pass the turn on, they do so without the scheduler (arch_stub_pass, vm_thread.turn);
// `ring` is set right when one of them comes here.
#include "kern/sched.h"
#include "kern/channel.h"
#include "kern/word.h"
#include "plat/plat.h"

enum { CPUS = 64 };
#define SLICE_NS 10000000ull
#define POLL_NS 2000000ull     // between looks at I/O while every CPU is busy
#define TURN_NS 250000ull      // of a thread while its siblings wait: they often need little
#define TICK_NS 20000ull       // at least, or timers could keep a CPU from all work
#define LOOK_NS 1000000000ull  // at the time that a process may take at all
#define HANDOVER_NS 1000000ull // until a process that nobody switched to may run elsewhere
#define SPIN_TICKS 40000       // before an idle CPU sleeps, for work that is about to come

struct cpu {
    u32 id;
    bool started, sleeping;
    bool rests;  // in idle(), with nothing left to do
    bool rings;  // alarms; the timer is set after that
    bool ticked; // by an interrupt, and nobody has acted upon it yet: seen late, it comes again
                 // (trap.c)
    struct rt_cpu *rt;
    struct process *process; // that is here; NULL: none
    struct kthread *next, *over;
    struct process *first, **last;
    struct process *handover;
    struct alarm *alarms;
    u64 armed;      // when the timer is to run out; UINT64_MAX: it is not armed
    u64 tick_until; // in ticks: until then a tick comes for those who queue
    u64 since;      // in ticks: charged up to here
} __attribute__((aligned(128)));

static struct {
    const struct kern_hooks *hooks;
    struct store *store;
    u32 ncpus, started, sleepers, io_waiters;
    u64 now0, ticks0, ns_per_tick; // << 20
    s64 slice;                     // SLICE_NS in ticks
    struct process *all;
    u32 live, next_id;
    bool looping;
} kern;
static struct cpu cpus[CPUS];

static u64 ticks(void)
{
    return __builtin_readcyclecounter();
}

struct cpu *sched_cpu(void)
{
    return &cpus[plat_cpu_id()];
}

static struct kthread *self_on(const struct cpu *c)
{
    struct thread *t = thread_running_on(c->rt);
    return t ? thread_vm(t)->user : NULL;
}

struct kthread *sched_self(void)
{
    return self_on(sched_cpu());
}

// Where a process runs; NULL: nowhere.
static struct cpu *cpu_of(const struct process *p)
{
    return p->home->process == p ? p->home : NULL;
}

struct alarm **sched_alarms(struct cpu *c)
{
    return &c->alarms;
}

struct store *kern_store(void)
{
    return kern.store;
}

const struct kern_hooks *kern_hooks(void)
{
    return kern.hooks;
}

// --- Time

// The counter's rate, from all the time there was; good to a few percent after a millisecond.
static void measure(u64 now)
{
    u64 ns = now - kern.now0, n = ticks() - kern.ticks0;
    if (ns < 1000000)
        return;
    while (ns >> 43)
        ns >>= 1, n >>= 1;
    kern.ns_per_tick = (ns << 20) / (n ? n : 1);
    if (!kern.ns_per_tick)
        kern.ns_per_tick = 1;
    kern.slice = (s64)((SLICE_NS << 20) / kern.ns_per_tick);
}

static u64 ns_of(u64 n)
{
    measure(plat_now());
    return (u64)((unsigned __int128)n * kern.ns_per_tick >> 20);
}

// With what it has used since it was charged last, which is long ago where nobody else wants the
// CPU.
u64 sched_used_ns(const struct process *p)
{
    const struct cpu *c = cpu_of(p);
    u64 n = p->stats.ticks, now = ticks();
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

static void charge(struct cpu *c, struct process *p)
{
    u64 now = ticks(), used = now - c->since;
    p->stats.ticks += used;
    p->slice -= (s64)used;
    c->since = now;
}

// Less what it took too much of the last one, since a tick may come late; but not what it took
// while nobody else wanted the CPU, which may be anything.
static void refill(struct process *p)
{
    s64 whole = kern.slice * p->limits.weight / 100;
    s64 owed = p->slice < -whole / 2 ? whole / 2 : p->slice < 0 ? -p->slice : 0;
    p->slice = whole - owed;
}

// What is left of a process's slice, or of the time that it may take at all.
static u64 left_ns(const struct process *p)
{
    u64 slice = p->slice > 0 ? (u64)((unsigned __int128)p->slice * kern.ns_per_tick >> 20) : 0;
    return slice < 1000 ? 1000 : slice;
}

// Has it siblings that can run?
static bool has_company(const struct kthread *t)
{
    return t->next_turn != t;
}

static bool contended(const struct cpu *c, const struct kthread *self)
{
    return c->first || c->handover || has_company(self);
}

// The timer, for whatever comes first to interrupt the running thread. `alarm` is the time of the
// next alarm.
static void rearm(struct cpu *c, const struct kthread *self, u64 now, u64 alarm)
{
    const struct process *p = self->process;
    u64 at = alarm, ns = UINT64_MAX;
    if (contended(c, self))
        ns = left_ns(p);
    if (ns > POLL_NS && kern.io_waiters && !kern.sleepers)
        ns = POLL_NS;
    if (ns > TURN_NS && has_company(self))
        ns = TURN_NS;
    if (c->handover && ns > HANDOVER_NS && kern.ncpus > 1)
        ns = HANDOVER_NS;
    if (unlikely(p->limits.cpu_ns)) {
        u64 used = (u64)((unsigned __int128)p->stats.ticks * kern.ns_per_tick >> 20);
        u64 left = used < p->limits.cpu_ns ? p->limits.cpu_ns - used : 0;
        left = left < LOOK_NS ? left : LOOK_NS;
        ns = left < ns ? left : ns;
    }
    if (unlikely(thread_vm(self->rt)->interrupt) && ns > HANDOVER_NS)
        ns = HANDOVER_NS; // a request that the thread has not seen yet; it may be in C now
    if (ns != UINT64_MAX && now + ns < at)
        at = now + ns;
    if (at < now + 2 * TICK_NS && at < (now = plat_now()) + TICK_NS)
        at = now + TICK_NS;
    c->tick_until = ns == UINT64_MAX ? 0 : ticks() + (ns << 20) / kern.ns_per_tick;
    c->ticked = false;
    arm(c, at);
}

// Somebody wants this CPU, which runs a thread: a tick must come.
static void contend(struct cpu *c, const struct kthread *self)
{
    if (likely(ticks() < c->tick_until) || c->rings)
        return;
    charge(c, self->process);
    rearm(c, self, plat_now(), c->alarms ? c->alarms->at : UINT64_MAX);
}

// A tick has come that nobody has acted upon: what it was for may be waiting still.
static void catch_up(struct cpu *c, const struct kthread *self)
{
    if (likely(!c->ticked))
        return;
    c->ticked = false;
    if (contended(c, self) || c->alarms)
        contend(c, self);
}

void sched_alarm_earlier(struct cpu *c, u64 at)
{
    const struct kthread *self = self_on(c);
    if (!self || at >= c->armed || c->rings)
        return;
    if (!c->tick_until)
        contend(c, self); // nobody knows what the timer was to tell
    else
        arm(c, at);
}

// --- Queues

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

// Says whether `t` may pass its turn on without asking.
static void tell_turn(struct kthread *t)
{
    const struct kthread *next = t->next_turn;
    if (t->status == THREAD_OVER)
        return;
    bool plain = next != t && next->status == THREAD_READY && next->vm == t->vm;
    thread_vm(t->rt)->turn = plain && !PLAT_TRACKS_STACKS ? thread_vm(next->rt) : NULL;
}

// The last to have its turn.
static void ring_add(struct process *p, struct kthread *t)
{
    struct kthread *first = p->ring;
    if (!first) {
        p->ring = t;
        return;
    }
    t->next_turn = first;
    t->last_turn = first->last_turn;
    t->last_turn->next_turn = t;
    first->last_turn = t;
    tell_turn(t->last_turn);
    tell_turn(t);
}

// The next one has its turn.
static void ring_remove(struct kthread *t)
{
    struct kthread *next = t->next_turn, *last = t->last_turn;
    if (next == t) {
        t->process->ring = NULL;
        return;
    }
    t->process->ring = next;
    t->next_turn = t->last_turn = t;
    next->last_turn = last;
    last->next_turn = next;
    tell_turn(last);
    tell_turn(t);
}

static bool is_idle(const struct cpu *c)
{
    return c->started && !c->process && !c->first;
}

static void cpu_entry(void *argument);

static struct cpu *start_another(void)
{
    if (kern.started >= kern.ncpus || !kern.looping)
        return NULL;
    struct cpu *c = &cpus[kern.started];
    if (plat_cpu_start(c->id, cpu_entry, c)) {
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
        while (kern.started < p->limits.cpu && start_another())
            ;
        if (p->limits.cpu <= kern.started)
            return &cpus[p->limits.cpu - 1];
    }
    if (is_idle(p->home))
        return p->home;
    for (u32 i = 0; i < kern.started; i++)
        if (is_idle(&cpus[i]))
            return &cpus[i];
    struct cpu *c = start_another();
    return c ? c : p->home;
}

// A CPU has got something to do. One that spins sees it by itself.
static void notify(struct cpu *c)
{
    if (c == sched_cpu()) {
        const struct kthread *self = self_on(c);
        if (self)
            contend(c, self);
        return;
    }
    if (c->sleeping || (c->process && ticks() >= c->tick_until)) {
        if (c->sleeping)
            kern.sleepers--;
        c->sleeping = false;
        plat_cpu_kick(c->id);
    }
}

static void enqueue(struct process *p, bool front)
{
    struct cpu *c = place(p);
    if (front)
        push_front(c, p);
    else
        push_back(c, p);
    p->queued = true;
    notify(c);
}

static struct process *steal(struct cpu *to)
{
    for (u32 i = 0; i < kern.started; i++) {
        struct cpu *c = &cpus[i];
        if (c == to)
            continue;
        if (c->first && !c->first->limits.cpu)
            return pop_front(c);
    }
    return NULL;
}

static struct process *pick_process(struct cpu *c)
{
    struct process *p = c->handover;
    if (p)
        c->handover = NULL;
    else if (!(p = pop_front(c)))
        p = steal(c);
    return p;
}

// --- Switching

// A thread's own values of globals: kept while another one runs.
static void keep_own(struct kthread *t)
{
    for (u32 i = 0; i < countof(t->own) && unlikely(t->process->polls); i++)
        t->own[i] = *t->vm->own[i];
}

static void show_own(const struct kthread *t)
{
    for (u32 i = 0; i < countof(t->own) && unlikely(t->process->polls); i++)
        *t->vm->own[i] = t->own[i];
}

// The tick that is to come is for one with a larger slice.
static bool tick_is_late(const struct cpu *c, const struct process *p)
{
    return (s64)(c->tick_until - c->since) > p->slice;
}

// The process whose thread `t` is comes to this CPU.
static void arrive(struct cpu *c, struct kthread *t)
{
    struct process *p = t->process;
    p->queued = false;
    p->home = c;
    c->process = p;
    p->stats.switches++;
    if (unlikely(p->limits.cpu_ns) || tick_is_late(c, p))
        c->tick_until = 0; // look at the clock
}

// The thread that runs next: of the process that was here, while it may go on, or of another; NULL:
// none.
static struct kthread *choose(struct cpu *c, struct process *was)
{
    if (was->ring && !c->handover && (was->slice > 0 || !c->first))
        return was->ring;
    charge(c, was);
    if (was->ring) {
        struct cpu *to = place(was);
        if (was->slice > 0) {
            push_front(to, was); // but for the handover
        } else {
            refill(was);
            push_back(to, was);
        }
        was->queued = true;
        if (to != c)
            notify(to);
    }
    struct process *p = pick_process(c);
    c->process = NULL;
    if (!p)
        return NULL;
    arrive(c, p->ring);
    return p->ring;
}

// Leaves a thread that has stopped. Returns when it is to go on, on whichever CPU.
static void switch_from(struct cpu *c, struct kthread *t)
{
    keep_own(t);
    struct kthread *next = choose(c, t->process);
    if (next && next->status != THREAD_FRESH) {
        if (unlikely(!c->tick_until) && (contended(c, next) || next->process->limits.cpu_ns))
            contend(c, next);
        catch_up(c, next);
        if (next != t)
            thread_switch(c->rt, t->rt, t->vm, next->rt);
    } else {
        if (next)
            charge(c, next->process); // a fresh one: enter counts from then on
        c->next = next;
        thread_leave(t->rt, t->vm);
    }
    show_own(t);
}

static void on_alarm(struct alarm *a)
{
    sched_wake(container_of(a, struct kthread, alarm), ERR_TIMED_OUT);
}

status sched_wait(u64 deadline)
{
    struct cpu *c = sched_cpu();
    struct kthread *t = self_on(c);
    if (unlikely(t->process->state != NEBULET_LIVES))
        return ERR_CANCELLED;
    if (deadline == NEBULET_AT_ONCE)
        return ERR_SHOULD_WAIT;
    t->status = THREAD_WAITS;
    ring_remove(t);
    if (deadline != NEBULET_FOREVER) {
        t->alarm.ring = on_alarm;
        alarm_set(&t->alarm, deadline);
    }
    switch_from(c, t);
    return t->woken;
}

static bool make_ready(struct kthread *t, status why)
{
    if (t->status != THREAD_WAITS)
        return false;
    if (t->alarm.cpu)
        alarm_cancel(&t->alarm);
    t->woken = why;
    t->status = THREAD_READY;
    struct process *p = t->process;
    const struct cpu *c = cpu_of(p);
    struct kthread *runs = c ? self_on(c) : NULL;
    if (runs)
        p->ring = runs;
    ring_add(p, t);
    return true;
}

void sched_wake(struct kthread *t, status why)
{
    struct process *p = t->process;
    if (!make_ready(t, why))
        return;
    if (cpu_of(p))
        notify(p->home);
    else if (!p->queued)
        enqueue(p, p->slice > 0 || (refill(p), false));
}

OFTEN void sched_hand_over(const struct kthread *me, struct kthread *t)
{
    struct process *p = t->process;
    struct cpu *c = me->process->home;
    if (unlikely(p->ring != NULL) || unlikely(c->handover != NULL) || unlikely(p->slice <= 0) ||
        unlikely(t->alarm.cpu != NULL) || (p->home != c && p->limits.cpu)) {
        sched_wake(t, OK);
        return;
    }
    t->woken = OK;
    t->status = THREAD_READY;
    p->ring = t;
    p->queued = true;
    c->handover = p;
    contend(c, me);
}

// Whether the thread may leave by its stub (vm_hand_fn); `then` is set for when it comes back.
static inline OFTEN bool may_leave(struct kthread *me)
{
    const struct process *p = me->process;
    thread_vm(me->rt)->then = NULL;
    if (likely(load_u16(&p->state) == NEBULET_LIVES)) // and does not poll
        return !PLAT_TRACKS_STACKS;
    keep_own(me);
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
    return p->ring;
}

OFTEN struct vm_thread *sched_hand(struct kthread *me, struct kthread *t)
{
    struct process *p = t->process, *was = me->process;
    struct cpu *c = was->home;
    charge(c, was);
    me->status = THREAD_WAITS;
    was->ring = NULL;
    t->status = THREAD_READY;
    p->ring = t;
    c->process = p;
    p->stats.switches++;
    if (unlikely(c->first || c->handover) && tick_is_late(c, p))
        c->tick_until = 0, contend(c, t);
    catch_up(c, t);
    return thread_hand(c->rt, me->vm, t->rt);
}

void sched_arrived(struct kthread *me)
{
    show_own(me);
}

void sched_begin(struct kthread *t)
{
    struct process *p = t->process;
    struct cpu *c = sched_cpu();
    t->status = THREAD_FRESH;
    if (cpu_of(p)) {
        p->ring = self_on(c); // its sibling
        ring_add(p, t);
        notify(c);
        return;
    }
    ring_add(p, t);
    if (!self_on(c) || c->handover || p->limits.cpu) {
        enqueue(p, false);
    } else {
        p->queued = true; // who starts a process often waits for it
        c->handover = p;
        contend(c, self_on(c));
    }
}

void sched_kick(struct process *p)
{
    if (cpu_of(p))
        plat_cpu_kick(p->home->id);
}

void sched_pass(void)
{
    struct cpu *c = sched_cpu();
    struct kthread *t = self_on(c), *next = t->next_turn;
    struct process *p = t->process;
    if (next == t && !c->first && !c->handover)
        return;
    p->ring = next;
    if (next == t)
        p->slice = 0; // nobody here: the others
    switch_from(c, t);
}

// --- Ticks

// If the thread parks before it looks, who runs next must have a tick of its own (catch_up).
static bool on_tick(struct thread *rt)
{
    struct cpu *c = sched_cpu();
    (void)rt;
    c->armed = UINT64_MAX;
    c->tick_until = 0;
    c->ticked = true;
    return true;
}

// A process over its limit of time ends; its threads notice when they are back in its code.
static void check_limit(struct process *p)
{
    u64 used = (u64)((unsigned __int128)p->stats.ticks * kern.ns_per_tick >> 20);
    if (used >= p->limits.cpu_ns)
        process_stop_locked(p, NEBULET_LIMIT, 0);
}

// Leaves for the first of the queue and takes the second place.
static void swap_with_first(struct cpu *c, struct kthread *t)
{
    struct process *p = t->process, *first = pop_front(c);
    charge(c, p);
    p->queued = true;
    push_front(c, p);
    keep_own(t);
    c->next = first->ring;
    arrive(c, c->next);
    thread_leave(t->rt, t->vm);
    show_own(t);
}

// Whoever was woken by an alarm or by I/O has gone to the front of the queue: it runs now, and the
// thread that was interrupted after it, if it may. False: that goes on.
static bool give_way(struct cpu *c, struct kthread *t, const struct process *front)
{
    struct process *p = t->process;
    bool urgent = c->first && c->first != front && c->first->slice > 0;
    if (!urgent && p->slice <= 0 && !c->first)
        refill(p);
    if (!urgent && p->slice > 0)
        return false;
    p->stats.preemptions++;
    if (urgent && p->slice > 0)
        swap_with_first(c, t);
    else
        switch_from(c, t);
    return true;
}

// Nobody has come for it yet; another CPU may be free.
static void requeue_handover(struct cpu *c)
{
    struct process *p = c->handover;
    if (!p)
        return;
    c->handover = NULL;
    enqueue(p, true);
}

static u64 ring(struct cpu *c, u64 now)
{
    c->rings = true;
    u64 next = alarms_ring(&c->alarms, now);
    c->rings = false;
    return next;
}

// Between two instructions of the guest, or where an interpreter or a call looks.
static void preempt(struct vmctx *vm)
{
    (void)vm;
    if (kern.io_waiters)
        plat_poll();
    kern_acquire();
    struct cpu *c = sched_cpu();
    struct kthread *t = self_on(c);
    struct process *p = t->process, *front = c->first;
    p->ring = t;
    u64 now = plat_now();
    measure(now);
    charge(c, p);
    c->tick_until = 0;
    u64 next = ring(c, now);
    if (unlikely(p->limits.cpu_ns) && p->state == NEBULET_LIVES)
        check_limit(p);
    if (has_company(t))
        t->vm->poll = 1;
    requeue_handover(c);
    if (!give_way(c, t, front))
        rearm(c, t, now, next);
    kern_release();
}

// A thread of a module with several, at a loop: its siblings have their turn.
static void poll(struct vmctx *vm)
{
    (void)vm;
    kern_acquire();
    if (has_company(sched_self()))
        sched_pass();
    kern_release();
}

// --- The CPU's loop

// Its call is over: next stage, or the end. On the thread's own stack. Whoever has stopped its
// process may have interrupted a call that was over already.
static bool on_ended(struct thread *rt)
{
    struct kthread *t = thread_vm(rt)->user;
    kern_acquire();
    if (t->process->state == NEBULET_LIVES && thread_next_call(t)) {
        kern_release();
        return true;
    }
    struct cpu *c = sched_cpu();
    charge(c, t->process);
    t->status = THREAD_OVER;
    c->over = t;
    return false;
}

bool (*const sched_on_ended)(struct thread *rt) = on_ended;

static void bury(struct cpu *c)
{
    struct kthread *t = c->over;
    struct process *p = t->process;
    object_ref(&p->object);
    object_ref(&t->object);
    kern_release();
    thread_over(t);
    kern_acquire();
    c->over = NULL;
    charge(c, p);
    ring_remove(t);
    c->process = NULL;
    if (p->ring)
        enqueue(p, true);
    object_unref(&t->object);
    object_unref(&p->object);
}

// One whose process has ended before it could begin never does.
static void enter(struct cpu *c, struct kthread *t)
{
    bool fresh = t->status == THREAD_FRESH;
    c->since = ticks();
    if (c->first && kern.started < kern.ncpus)
        start_another();
    if (fresh && t->process->state != NEBULET_LIVES) {
        t->status = THREAD_OVER;
        c->over = t;
        return;
    }
    t->status = THREAD_READY;
    t->begun = true;
    thread_arrive(t->rt); // a timer that runs out at once, or a kick, must find whose it is
    u64 now = plat_now();
    c->armed = UINT64_MAX; // it may have run out, a little early even, and nobody took notice
    rearm(c, t, now, ring(c, now));
    if (fresh) {
        tell_turn(t->last_turn);
        show_own(t);
        kern_release();
    }
    thread_enter(t->rt);
}

static bool work_is_coming(const struct cpu *c)
{
    u64 start = ticks();
    while (ticks() - start < SPIN_TICKS) {
        if (__atomic_load_n(&c->first, __ATOMIC_RELAXED) ||
            __atomic_load_n(&c->handover, __ATOMIC_RELAXED))
            return true;
        __builtin_ia32_pause();
    }
    return false;
}

static void rest(struct cpu *c)
{
    if (kern.started > 1) {
        kern_release();
        bool work = work_is_coming(c);
        kern_acquire();
        if (work || c->first)
            return;
        struct process *p = steal(c);
        if (p) {
            push_back(c, p);
            return;
        }
    }
    u64 until = c->alarms ? c->alarms->at : UINT64_MAX;
    c->sleeping = true;
    kern.sleepers++;
    kern_release();
    plat_wait(until);
    kern_acquire();
    if (c->sleeping)
        kern.sleepers--;
    c->sleeping = false;
    if (c->alarms)
        alarms_ring(&c->alarms, plat_now());
}

static void idle(struct cpu *c)
{
    object_bury_dead();
    c->rests = true;
    rest(c);
    c->rests = false;
}

// The last process is over, but somebody may still be giving back what it had.
static void wait_for_others(void)
{
    for (u32 i = 1; i < kern.started;) {
        kern_acquire();
        i += cpus[i].rests && !kern_dead;
        kern_release();
        __builtin_ia32_pause();
    }
}

// The first CPU comes back when no process is left; the others wait for the next.
static void loop(struct cpu *c)
{
    kern_acquire();
    while (kern.live || c->id) {
        struct kthread *t = c->next;
        c->next = NULL;
        if (!t) {
            struct process *p = pick_process(c);
            if (p) {
                t = p->ring;
                arrive(c, t);
            }
        }
        if (t)
            enter(c, t);
        else
            idle(c);
        if (c->over)
            bury(c);
    }
    kern_release();
}

static void cpu_entry(void *argument)
{
    loop(argument);
}

// --- All of it

static const struct rt_scheduler scheduler = {on_tick, preempt};
static const struct rt_waiting waiting = {word_wait_ns, word_notify, poll};

status kern_init(const struct engine *engine, u32 ncpus, const struct kern_hooks *hooks)
{
    if (!(kern.store = store_create(engine)))
        return ERR_NO_MEMORY;
    kern.hooks = hooks;
    kern.ncpus = ncpus < CPUS ? ncpus : CPUS;
    if (!kern.started) {
        for (u32 i = 0; i < CPUS; i++)
            cpus[i] = (struct cpu){
                .id = i, .rt = thread_cpu(i), .last = &cpus[i].first, .armed = UINT64_MAX};
        kern.started = 1;
        cpus[0].started = true;
        kern.now0 = plat_now();
        kern.ticks0 = ticks();
        kern.ns_per_tick = (1 << 20) * 2 / 5;
        kern.slice = (s64)((SLICE_NS << 20) / kern.ns_per_tick);
    }
    rt_set_scheduler(&scheduler);
    rt_set_waiting(&waiting);
    return OK;
}

void kern_run(void)
{
    kern.looping = true;
    loop(&cpus[0]);
    plat_timer(UINT64_MAX); // it may have been set for somebody who is gone
    kern.looping = false;
    wait_for_others();
}

void kern_free(void)
{
    store_free(kern.store);
    kern.store = NULL;
}

void sched_add(struct process *p)
{
    p->id = ++kern.next_id;
    p->home = sched_cpu();
    refill(p);
    p->next_all = kern.all;
    p->self_all = &kern.all;
    if (p->next_all)
        p->next_all->self_all = &p->next_all;
    kern.all = p;
    kern.live++;
}

void sched_remove(struct process *p)
{
    *p->self_all = p->next_all;
    if (p->next_all)
        p->next_all->self_all = p->self_all;
    if (!--kern.live && sched_cpu() != &cpus[0])
        plat_cpu_kick(0);
}

void sched_io_waits(s32 change)
{
    kern.io_waiters += (u32)change;
}

void kern_each_process(void (*each)(struct process *p, void *context), void *context)
{
    kern_acquire();
    for (struct process *p = kern.all; p; p = p->next_all)
        each(p, context);
    kern_release();
}
