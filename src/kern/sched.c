// SPDX-License-Identifier: MIT
// The scheduler: see sched.h.
//
//   CPU loop ──thread_enter──> thread ──thread_switch──> thread ──thread_leave──> CPU loop
//
// A thread that parks picks the next one itself and switches straight to it; the loop on the CPU's
// own stack runs only when there is none, when the next one is fresh, and to bury threads. The lock
// is held over a switch and released by whoever arrives. A fresh thread cannot do that, so it is
// entered from the loop, with the lock released before.
#include "kern/cpu.h"
#include "kern/device.h"
#include "kern/service.h"
#include "kern/word.h"

#define SPIN_TICKS 40000 // before an idle CPU sleeps, for work that is about to come

struct kern kern;
struct cpu sched_cpus[CPUS];

struct cpu *sched_cpu(void)
{
    return &sched_cpus[plat_cpu_id()];
}

struct kthread *sched_self(void)
{
    return self_on(sched_cpu());
}

struct store *kern_store(void)
{
    return kern.store;
}

const struct kern_hooks *kern_hooks(void)
{
    return kern.hooks;
}

// --- Switching

static bool may_go_on(const struct cpu *c, const struct process *p)
{
    return p->ring && !c->handover && (pace_left(p) > 0 || !c->first);
}

// The thread that runs next: of the process that was here, while it may go on, or of another; NULL:
// none.
static struct kthread *choose(struct cpu *c, struct process *was)
{
    if (unlikely(c->ticked))
        pace_charge(c, was); // who stops before it has seen a tick may have used its slice up
    if (may_go_on(c, was))
        return was->ring;
    pace_charge(c, was);
    if (was->ring)
        queue_put_back(c, was);
    queue_leave(c, was);
    struct process *p = queue_pick(c);
    if (!p)
        return NULL;
    queue_arrive(c, p->ring);
    return p->ring;
}

// Whom an alarm or I/O has woken, and who has something left of its turn, is first in the queue.
static bool is_urgent(const struct cpu *c)
{
    return c->urgent && c->first && c->first->first->slice > 0;
}

// The first comes instead of a process that could go on, which takes its place.
static struct kthread *swap_with_first(struct cpu *c, struct process *p)
{
    pace_charge(c, p);
    c->urgent = false;
    struct kthread *next = queue_swap(c, p)->ring;
    queue_arrive(c, next);
    return next;
}

// Leaves a thread for the one that is next; NULL: for the CPU's loop. Returns when it is to go on,
// on whichever CPU.
static void leave_for(struct cpu *c, struct kthread *t, struct kthread *next)
{
    if (next && next->status != THREAD_FRESH) {
        if (unlikely(!c->tick_until) && (contended(c, next) || next->process->timed || kern_work))
            pace_contend(c, next);
        pace_catch_up(c, next);
        if (next != t)
            thread_switch(c->rt, t->rt, t->vm, next->rt);
    } else {
        if (next)
            pace_charge(c, next->process); // a fresh one: enter counts from then on
        c->next = next;
        thread_leave(t->rt, t->vm);
    }
    turn_show_own(t);
}

// One that has stopped.
static void switch_from(struct cpu *c, struct kthread *t)
{
    turn_keep_own(t);
    leave_for(c, t, choose(c, t->process));
}

// As switch_from, for what comes of most waits: the only thread of its process that could run
// leaves for one that it has woken here, and nobody else wants the CPU, which need not be told of a
// tick then. False: something stands against it.
static inline bool switch_by_hand(struct cpu *c, struct kthread *t)
{
    struct process *was = t->process, *p = c->handover;
    if (unlikely(!p) || unlikely(p->home != c) || unlikely(has_company(t)) ||
        unlikely(c->ticked || c->first || kern_work))
        return false;
    struct kthread *next = p->ring;
    if (unlikely(next->status == THREAD_FRESH) || unlikely(has_company(next)) ||
        unlikely(p->timed != NULL))
        return false;
    pace_charge(c, was);
    if (unlikely(was->lane->slice <= 0)) // its share has had its turn, which queue_leave() notes
        return false;
    turn_keep_own(t);
    was->ring = NULL;
    c->handover = NULL;
    p->queued = false;
    c->process = p;
    p->stats.switches++;
    thread_switch(c->rt, t->rt, t->vm, next->rt);
    turn_show_own(t);
    return true;
}

// Most who wait are woken long before their deadline, and wait again with a later one. So an alarm
// stays set, and when it rings it is seen what it is for by then.
static void on_alarm(struct alarm *a)
{
    struct kthread *t = container_of(a, struct kthread, alarm);
    if (t->deadline > plat_now())
        alarm_set(a, t->process->share, t->deadline);
    else
        sched_wake(t, ERR_TIMED_OUT);
}

static void set_deadline(struct kthread *t, u64 deadline)
{
    t->deadline = deadline;
    if (t->alarm.heap && t->alarm.at <= deadline)
        return;
    t->alarm.ring = on_alarm;
    alarm_set(&t->alarm, t->process->share, deadline);
}

status sched_wait(struct kthread *t, u64 deadline)
{
    struct cpu *c = t->process->home;
    assert_locked();
    assert(t->status == THREAD_READY && c->process == t->process);
    if (unlikely(t->process->state != NEBULET_LIVES) && !thread_may_wait(t))
        return ERR_CANCELLED;
    if (deadline == NEBULET_AT_ONCE)
        return ERR_SHOULD_WAIT;
    t->status = THREAD_WAITS;
    if (deadline != NEBULET_FOREVER)
        set_deadline(t, deadline);
    if (unlikely(!switch_by_hand(c, t))) {
        turn_remove(t);
        switch_from(c, t);
    }
    t->deadline = NEBULET_FOREVER;
    // It comes with the lock, as from whoever was here before. Were that so in a crowd that is
    // woken for nothing, and waits again, one after the other, nobody would give it back for all of
    // them.
    kern_breathe();
    return t->woken;
}

// Who is woken need not stand in line, and then be taken out of it: by an interrupt, where the CPU
// that looks for work here has none; by somebody on the only CPU, who often waits next (should it
// not, the next tick finds it: requeue_handover). Whose slices are used up gets new ones in the
// queue.
static inline bool take_at_once(struct process *p)
{
    struct cpu *c = p->home;
    if (unlikely(c->handover != NULL) || unlikely(p->slice <= 0) || unlikely(p->lane->slice <= 0) ||
        c != sched_cpu()) // nor is it one that visits
        return false;
    const struct kthread *me = self_on(c);
    if (!me && (c->process || c->rests || c->first))
        return false;
    if (me && (kern.ncpus > 1 || unlikely(me->process->state != NEBULET_LIVES)))
        return false; // its threads end, one after the other, and wait for nobody
    p->queued = true;
    c->handover = p;
    if (me)
        pace_contend(c, me);
    return true;
}

// Others of its process can run, too.
static void join_ring(struct process *p, struct kthread *t)
{
    const struct cpu *c = cpu_of(p);
    struct kthread *runs = c ? self_on(c) : NULL;
    if (runs)
        p->ring = runs;
    turn_add(p, t);
    if (c)
        queue_notify(p->home);
}

void sched_wake(struct kthread *t, status why)
{
    struct process *p = t->process;
    assert_locked();
    if (t->status != THREAD_WAITS)
        return;
    t->woken = why;
    t->status = THREAD_READY;
    if (unlikely(p->ring != NULL)) {
        join_ring(p, t);
        return;
    }
    p->ring = t;
    if (unlikely(!take_at_once(p)))
        queue_add(p, p->slice > 0 || (pace_refill(p), false));
}

void sched_begin(struct kthread *t)
{
    struct process *p = t->process;
    struct cpu *c = sched_cpu();
    t->status = THREAD_FRESH;
    if (cpu_of(p)) {
        if (self_on(c)) // its sibling; who mourns is begun by nobody
            p->ring = self_on(c);
        turn_add(p, t);
        queue_notify(c);
        return;
    }
    turn_add(p, t);
    if (!self_on(c) || c->handover || p->limits.cpu) {
        queue_add(p, false);
    } else {
        p->queued = true; // who starts a process often waits for it
        c->handover = p;
        pace_contend(c, self_on(c));
    }
}

void sched_kick(struct process *p)
{
    if (cpu_of(p))
        plat_cpu_kick(p->home->id);
}

bool sched_runs(const struct process *p)
{
    return cpu_of(p) != NULL;
}

void sched_work_waits(void)
{
    struct cpu *c = sched_cpu();
    const struct kthread *t = self_on(c);
    if (t && !c->over && !c->rings)
        pace_contend_slow(c, t);
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

// Whoever was woken by an alarm or by I/O has gone to the front of the queue: it runs now, and the
// thread that was interrupted after it, if it may. False: that goes on.
static bool give_way(struct cpu *c, struct kthread *t)
{
    struct process *p = t->process;
    bool urgent = c->handover || is_urgent(c);
    if (!c->first && !c->handover && p->slice <= 0)
        pace_refill(p);
    if (p->lane->slice <= 0 && !c->handover && !lane_others_want(p->lane))
        lane_refill(p->lane);
    if (!urgent && pace_left(p) > 0)
        return false;
    p->stats.preemptions++;
    if (!urgent || pace_left(p) <= 0) {
        switch_from(c, t);
        return true;
    }
    turn_keep_own(t);
    leave_for(c, t, swap_with_first(c, p));
    return true;
}

// Nobody has come for it yet; another CPU may be free. On the only one it comes next (give_way).
static void requeue_handover(struct cpu *c)
{
    struct process *p = c->handover;
    if (!p || (kern.ncpus == 1 && p->slice > 0 && p->lane->slice > 0))
        return;
    c->handover = NULL;
    queue_add(p, true);
}

// Between two instructions of the guest, or where an interpreter or a call looks.
static void preempt(struct vmctx *vm)
{
    (void)vm;
    if (kern.io_waiters)
        plat_poll();
    devices_look();
    kern_acquire();
    struct cpu *c = sched_cpu();
    struct kthread *t = self_on(c);
    struct process *p = t->process;
    p->ring = t;
    if (p->state == NEBULET_LIVES)
        c->urgent = false; // who ends may have been entered with it
    u64 now = plat_now();
    pace_measure(now);
    pace_charge(c, p);
    c->tick_until = 0;
    c->rings = true; // the timer is set when all is known
    interrupts_look();
    pace_ring(c, now);
    if (unlikely(p->timed != NULL))
        budget_look(p->timed);
    kern_work_off(); // what alarms have begun, too: who runs next may not do it
    pace_look_at_turns(c, t);
    requeue_handover(c);
    if (!give_way(c, t))
        pace_arm(c, t, now);
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
    t->returned = true;
    pace_catch_up(sched_cpu(), t); // the tick that has ended it may have been for others, too
    kern_release();
    thread_ending(t);
    kern_acquire();
    struct cpu *c = sched_cpu();
    pace_charge(c, t->process);
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
    bool over = thread_over(t);
    kern_acquire();
    c->over = NULL;
    pace_charge(c, p);
    if (over)
        turn_remove(t);
    else
        t->status = THREAD_FRESH;
    if (may_go_on(c, p)) { // a thread that ends looks at no tick, and there may be many
        c->next = is_urgent(c) ? swap_with_first(c, p) : p->ring;
    } else {
        if (p->ring)
            queue_put_back(c, p);
        queue_leave(c, p);
    }
    object_unref(&t->object);
    object_unref(&p->object);
}

// One whose process has ended before it could begin never does.
static void enter(struct cpu *c, struct kthread *t)
{
    bool fresh = t->status == THREAD_FRESH;
    c->since = cpu_ticks();
    if (c->first && kern.started < kern.ncpus)
        queue_start_cpu();
    if (fresh && !thread_may_begin(t)) {
        t->status = THREAD_OVER;
        c->over = t;
        return;
    }
    t->status = THREAD_READY;
    t->begun |= !t->undertakes;
    thread_arrive(t->rt); // a timer that runs out at once, or a kick, must find whose it is
    pace_enter(c, t);
    if (fresh) {
        turn_tell(t->last_turn);
        turn_show_own(t);
        kern_release();
    }
    thread_enter(t->rt);
}

static bool work_is_coming(const struct cpu *c)
{
    u64 start = cpu_ticks();
    while (cpu_ticks() - start < SPIN_TICKS) {
        if (__atomic_load_n(&c->first, __ATOMIC_RELAXED) ||
            __atomic_load_n(&c->handover, __ATOMIC_RELAXED) ||
            __atomic_load_n(&plat_interrupts, __ATOMIC_RELAXED))
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
        if (work || c->first || c->handover || queue_steal(c))
            return;
    }
    if (kern_work || c->first || c->handover)
        return; // to work it off may bring something for here, of which nobody tells
    u64 until = c->alarms ? c->alarms->at : UINT64_MAX;
    c->sleeping = true;
    kern.sleepers++;
    kern_release();
    devices_look();
    plat_wait(until);
    kern_acquire();
    if (c->sleeping)
        kern.sleepers--;
    c->sleeping = false;
    if (c->alarms)
        pace_ring(c, plat_now());
}

static void idle(struct cpu *c)
{
    kern_work_off();
    c->rests = true;
    rest(c);
    c->rests = false;
}

// The last process is over, but somebody may still be giving back what it had.
SELDOM static void wait_for_others(void)
{
    for (u32 i = 1; i < kern.started;) {
        kern_acquire();
        i += sched_cpus[i].rests && !kern_work;
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
        interrupts_look();
        c->next = NULL;
        if (!t) {
            struct process *p = queue_pick(c);
            if (p) {
                t = p->ring;
                queue_arrive(c, t);
            }
        }
        if (t)
            enter(c, t);
        else
            idle(c);
        if (kern_work)
            kern_work_off();
        if (c->over)
            bury(c);
    }
    kern_release();
}

void sched_cpu_entry(void *argument)
{
    loop(argument);
}

// --- All of it

static const struct rt_scheduler scheduler = {on_tick, preempt};
static const struct rt_waiting waiting = {word_wait_ns, word_notify, poll};

SELDOM status kern_init(const struct engine *engine, u32 ncpus, const struct kern_hooks *hooks)
{
    static const u64 for_traces[ACCOUNT_KINDS] = {[ACCOUNT_MEMORY] = 2 << 20};
    if (!(kern.store = store_create(engine)))
        return ERR_NO_MEMORY;
    if (!(kern.traces = account_new(NULL, for_traces, sizeof *kern.traces))) {
        kern_free();
        return ERR_NO_MEMORY;
    }
    kern.hooks = hooks;
    kern.ncpus = ncpus < CPUS ? ncpus : CPUS;
    if (!kern.started) {
        queue_add_cpu();
        pace_init();
        services_init();
    }
    rt_set_scheduler(&scheduler);
    rt_set_waiting(&waiting);
    return OK;
}

void kern_run(void)
{
    kern.looping = true;
    loop(&sched_cpus[0]);
    plat_timer(UINT64_MAX); // it may have been set for somebody who is gone
    sched_cpus[0].armed = UINT64_MAX;
    kern.looping = false;
    wait_for_others();
}

SELDOM void kern_free(void)
{
    store_free(kern.store);
    kern.store = NULL;
    account_unref(kern.traces);
    kern.traces = NULL;
}

void sched_add(struct process *p)
{
    p->id = ++kern.next_id;
    p->home = sched_cpu();
    p->lane = share_lane(p->share, p->home->id);
    pace_refill(p);
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
    kern.daemons -= p->daemon;
    if (!--kern.live && sched_cpu() != &sched_cpus[0])
        plat_cpu_kick(0);
    if (kern.live && kern.live == kern.daemons)
        for (struct process *d = kern.all; d; d = d->next_all)
            process_stop_locked(d, NEBULET_KILLED, 0);
}

SELDOM void sched_daemon(struct process *p)
{
    p->daemon = true;
    kern.daemons++;
}

void sched_io_waits(s32 change)
{
    kern.io_waiters += (u32)change;
}
