// SPDX-License-Identifier: MIT
// Inside the scheduler: what a CPU has, and what the files that are the scheduler say to each
// other.
//
//   sched.c     the loop of a CPU, switching, waiting and waking, ticks
//   queue.c     which process comes next, and where
//   turn.c      the threads of a process, in the order of their turns
//   handover.c  from one process straight to another, behind a message
//   pace.c      time: slices, charges, and when the timer is to run out
//
// All of it with the kernel lock held, but where it says otherwise.
#pragma once
#include "base/assert.h"
#include "kern/sched.h"
#include "kern/share.h"
#include "plat/plat.h"

enum { CPUS = 64 };

struct cpu {
    u32 id;
    bool started, sleeping;
    bool rests;  // in idle(), with nothing left to do
    bool urgent; // somebody has come to the front of the queue
    bool rings;  // alarms; the timer is set after that
    bool ticked; // by an interrupt, and nobody has acted upon it yet: seen late, it comes again
                 // (trap.c)
    struct rt_cpu *rt;
    struct process *process; // that is here; NULL: none
    struct kthread *next, *over;
    struct lane *first, **last; // of shares whose processes wait here, in the order of their turns
    u32 lanes;                  // how many these are
    struct process *handover;   // whom a message woke
    struct alarm *alarms;
    const struct kthread *seen; // by the last tick, or to whom it has passed the turn
    u64 turn;                   // ns of a thread while its siblings wait
    u64 rang;                   // when alarms were rung last
    u64 armed;                  // when the timer is to run out; UINT64_MAX: it is not armed
    u64 tick_until;             // in ticks: until then a tick comes for those who queue
    u64 since;                  // in ticks: charged up to here
} __attribute__((aligned(128)));
extern struct cpu sched_cpus[CPUS];

struct kern {
    const struct kern_hooks *hooks;
    struct store *store;
    struct account *traces; // what may be taken to tell of traps by those who have nothing left
    u32 ncpus, started, sleepers, io_waiters;
    u64 now0, ticks0, ns_per_tick; // << 20
    s64 slice;                     // PACE_SLICE_NS in ticks
    struct process *all;
    u32 live, daemons, next_id; // daemons: of those that live
    bool looping;
};
extern struct kern kern;

static inline u64 cpu_ticks(void)
{
    return __builtin_readcyclecounter();
}

static inline struct kthread *self_on(const struct cpu *c)
{
    struct thread *t = thread_running_on(c->rt);
    return t ? thread_vm(t)->user : NULL;
}

// Where a process runs; NULL: nowhere.
static inline struct cpu *cpu_of(const struct process *p)
{
    return p->home->process == p ? p->home : NULL;
}

// Has it siblings that can run?
static inline bool has_company(const struct kthread *t)
{
    return t->next_turn != t;
}

static inline bool contended(const struct cpu *c, const struct kthread *self)
{
    return c->first || c->handover || has_company(self);
}

// What all that follows counts on.
static inline void assert_locked(void)
{
    assert(rt_switch_lock.held & 1);
}

// --- sched.c
void sched_cpu_entry(void *cpu); // the loop of a further CPU

// --- pace.c
#define PACE_SLICE_NS 8000000ull // two of them, and a piece of work, are less than 20 ms
#define PACE_TURN_NS 250000ull   // of a thread while its siblings wait: they often need little
void pace_init(void);
void pace_measure(u64 now); // the counter's rate, anew
static inline void pace_charge(struct cpu *c, struct process *p)
{
    u64 now = cpu_ticks(), used = now - c->since;
    p->stats.ticks += used;
    p->slice -= (s64)used;
    p->lane->slice -= (s64)used;
    c->since = now;
    if (unlikely(p->timed != NULL))
        budget_charge(p->timed, used);
}
// A new slice, of `whole` ticks, for who has `slice` left.
s64 pace_refilled(s64 slice, s64 whole);
void pace_refill(struct process *p);
u64 pace_ticks(u64 ns);
// What is left for a process before others have their turn.
static inline s64 pace_left(const struct process *p)
{
    return p->slice < p->lane->slice ? p->slice : p->lane->slice;
}
// The tick that is to come is for one with a slice that is larger by more than counts.
static inline bool pace_tick_is_late(const struct cpu *c, const struct process *p)
{
    return (s64)(c->tick_until - c->since) > pace_left(p) + (kern.slice >> 6);
}
// The timer, for whatever comes first to interrupt the running thread.
void pace_arm(struct cpu *c, const struct kthread *self, u64 now);
// A thread comes from the CPU's loop: alarms ring, and the timer is what it must be.
void pace_enter(struct cpu *c, const struct kthread *self);
// Somebody wants this CPU, which runs a thread: a tick must come.
void pace_contend_slow(struct cpu *c, const struct kthread *self);
static inline void pace_contend(struct cpu *c, const struct kthread *self)
{
    if (unlikely(cpu_ticks() >= c->tick_until) && !c->rings)
        pace_contend_slow(c, self);
}
// A tick has come that nobody has acted upon: what it was for may be waiting still.
static inline void pace_catch_up(struct cpu *c, const struct kthread *self)
{
    if (likely(!c->ticked))
        return;
    c->ticked = false;
    if (contended(c, self) || c->alarms || plat_interrupts)
        pace_contend(c, self);
}
// A tick: does the thread keep its turn while its siblings wait?
void pace_look_at_turns(struct cpu *c, struct kthread *t);
void pace_ring(struct cpu *c, u64 now); // alarms
void pace_alarm_earlier(struct cpu *c, u64 at);

// --- queue.c
void queue_add(struct process *p, bool front); // where it is to wait for its turn
// Who was on this CPU and could go on: to the front, while there is something left of its slice.
void queue_put_back(struct cpu *c, struct process *p);
// Takes the first one out, or whom a message woke, and puts another one into its place.
struct process *queue_swap(struct cpu *c, struct process *p);
bool queue_steal(struct cpu *to); // takes over one that waits for another CPU
void queue_leave(struct cpu *c, const struct process *p); // charged up to now, it gives up the CPU
struct process *queue_pick(struct cpu *c); // who is next here, from wherever; NULL: nobody
struct cpu *queue_add_cpu(void);           // one more, that nobody has told of it yet
struct cpu *queue_start_cpu(void);         // one more; NULL: there is none
void queue_notify(struct cpu *c);          // it has got something to do
// The process whose thread `t` is comes to this CPU.
void queue_arrive(struct cpu *c, struct kthread *t);

// --- turn.c
void turn_add(struct process *p, struct kthread *t); // the last to have its turn
void turn_remove(struct kthread *t);                 // the next one has its turn
void turn_tell(struct kthread *t); // says whether it may pass its turn on without asking
// A thread's own values of globals: kept while another one runs.
void turn_keep_globals(struct kthread *t);
void turn_show_globals(const struct kthread *t);
static inline void turn_keep_own(struct kthread *t)
{
    if (unlikely(t->process->polls))
        turn_keep_globals(t);
}
static inline void turn_show_own(const struct kthread *t)
{
    if (unlikely(t->process->polls))
        turn_show_globals(t);
}
