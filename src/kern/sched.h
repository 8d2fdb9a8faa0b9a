// SPDX-License-Identifier: MIT
// The scheduler: which thread runs on which CPU.
//
// Each CPU has a queue of processes, each process a ring of its threads that can run. A CPU takes
// the first process and runs the thread whose turn it is, until that parks, its process's slice is
// used up while others wait, or it ends. Functions are called with the kernel lock held, but where
// they say otherwise. DESIGN.md has a picture.
#pragma once
#include "kern/process.h"

struct cpu;

// One store that all others share code with; from main. Without the lock.
status kern_init(const struct engine *engine, u32 cpus, const struct kern_hooks *hooks);
struct store *kern_store(void);
const struct kern_hooks *kern_hooks(void);
// Runs processes until there is none left, on this CPU and, when there is work for them, on others.
// Without the lock; returns without.
void kern_run(void);
// Gives everything back; no process is left.
void kern_free(void);

struct cpu *sched_cpu(void);
struct kthread *sched_self(void); // the running thread; with or without the lock

// Parks the running thread, which is `me`, until it is woken, or the deadline: why it was woken,
// TIMED_OUT, or SHOULD_WAIT if the deadline was NEBULET_AT_ONCE. CANCELLED when its process ends,
// at once then.
status sched_wait(struct kthread *me, u64 deadline);
// A thread that waits can run again; others are left alone.
void sched_wake(struct kthread *t, status why);
// The same for one that waits, by the running thread, which will wait soon: it is to run next,
// here.
void sched_hand_over(const struct kthread *me, struct kthread *t);
// From the running thread, the only one of its process that could run, to one that waits in line
// (inbox.at_once), when nothing stands against it. The caller leaves `me`, by what sched_hand
// returns (vm_hand_fn).
bool sched_can_hand(struct kthread *me, const struct kthread *t);
struct vm_thread *sched_hand(struct kthread *me, struct kthread *t);
// Or to the one that sched_hand_over has woken: NULL when there is none, or something stands
// against it. It is out of the queue then, so sched_hand must follow.
struct kthread *sched_handed_over(struct kthread *me);
// Who has handed over finds what belongs to it, should it have been resumed by others (`then`).
void sched_arrived(struct kthread *me);
void sched_begin(struct kthread *t);      // a fresh one
void sched_kick(struct process *p);       // its threads look up, if one of them runs
bool sched_runs(const struct process *p); // on some CPU
// Whether `me` may write to memory of a thread that waits. While its process runs elsewhere a
// sibling may be changing what is mapped there, and pages that one CPU takes away must not be
// written to by another (plat_shared_map).
static inline bool sched_lies_still(const struct kthread *me, const struct kthread *t)
{
    const struct process *p = t->process;
    return likely(!p->ring) || p == me->process || !sched_runs(p);
}
void sched_work_waits(void); // kern_work is to go on soon
// On a CPU that the platform has started for somebody else, who sends and wakes there: it runs no
// process. Before anything else.
void sched_visit(void);
// Others run first: threads of the process, then processes.
void sched_pass(void);
void sched_add(struct process *p); // to the list of all
void sched_remove(struct process *p);
// It is there for others, as are those that it starts, and killed when there are none but such.
// Before it begins.
void sched_daemon(struct process *p);
u64 sched_used_ns(const struct process *p); // of processor time, up to now
// A thread more or less waits for I/O: somebody must look for it, even while all CPUs are busy.
void sched_io_waits(s32 change);
