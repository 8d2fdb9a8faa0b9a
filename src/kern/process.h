// SPDX-License-Identifier: MIT
// Processes and their threads.
//
// A process is a store with one module's instance in it, a table of handles, and threads. It runs
// on one CPU at a time (p->home), so what only its own threads touch needs no lock: the instance,
// the handle table, its interface to WASI. What others reach is under the kernel lock, and says so.
//
//   created -> lives -> ends -> over
//
// A process ends when its main thread returns, one of its threads exits or traps, the last one is
// over, or somebody stops it: process_stop, from anywhere. Its threads then come to their ends:
// those that wait are woken with CANCELLED, those that run are interrupted, and none returns into
// the guest. The CPU on which the last one went takes the process apart, on its own stack, and only
// then are those told who wait for it.
#pragma once
#include "kern/account.h"
#include "kern/handle.h"
#include "rt/rt.h"
#include "wasm/vmctx.h"

struct wasi;
struct kthread;
struct process;

struct module_object {
    struct object object;
    struct rt_module *module;
    u8 *bytes; // owned, or NULL
    // What every process looks for, of the types that it must have; NULL: it is not there.
    const struct export *stack_pointer, *tls_base, *start, *initialize;
    bool without_wasi; // neither it nor what it could start can ask for it
};

// How a process was asked to be, and what it may take: a budget out of its maker's, for itself and
// all that it makes (base/account.h). 0: as the parent, or no limit.
struct limits_of_process {
    u64 memory, cpu_ns, wall_ns;
    u32 handles, threads, messages, processes, weight, privileges, cpu;
};

struct statistics {
    u64 ticks; // of the CPU's counter
    u64 switches, preemptions, sent, received;
    u64 memory_peak;
};

// Who waits at which address of a process: see word.c.
struct word_table {
    struct kthread **buckets; // NULL: `only`
    struct kthread *only;
    u64 key;
    u32 bits;
};

enum thread_status { THREAD_FRESH, THREAD_READY, THREAD_WAITS, THREAD_OVER }; // READY: or runs

struct kthread {
    struct object object; // signals: NEBULET_ENDED
    struct process *process;
    struct thread *rt; // NULL: over
    struct vmctx *vm;
    struct kthread *next_thread, **self_thread; // of its process
    struct kthread *next_turn, *last_turn;      // in the process's ring; itself: nobody else
    u8 status;                                  // enum thread_status
    bool begun;
    bool exits_alone; // thread_exit, which is not the process's end
    bool returned;    // its last call is over, so nobody need ask it to end
    bool judged;      // what its end means for its process has been seen to
    bool told;        // of whom it mourns
    bool undertakes;  // it is over, and begins once more to give back what its process has
    u32 id;
    status woken;                                  // why
    u32 value;                                     // the last call's result
    u64 deadline;                                  // of what it waits for; else NEBULET_FOREVER
    struct alarm alarm;                            // for that, or for what it waited for before
    u64 own[countof(((struct vmctx *)NULL)->own)]; // its values of vm->own, before it begins and
                                                   // while it waits
    struct inbox {
        struct kthread *next, *last; // in line, which is a circle; NULL: it is not
        struct channel *at;          // a reference
        u8 *bytes;
        u32 room, at_once;       // a message smaller than that may come with the CPU: 0, none
        nebulet_handle *handles; // for the numbers of what comes with it
        u32 handle_room, came;   // at most so many; these have come
        status why; // it no longer is, although nothing has come; OK: the queue has something
    } inbox;        // where it wants a message (kern/channel.c)
    struct waits {
        u64 word; // 0: none
        struct kthread *next, *last, *other;
    } waits;                        // at an address (kern/word.c)
    struct vm_func start;           // of the instance
    const struct vm_func *calls[3]; // what it calls, one after the other
    u32 ncalls, call;
    u64 slots[2];                  // of the last one, or p->slots
    struct instance *own_instance; // of a WASI thread
    struct kthread *mourns;        // a thread that has trapped, and lies as it was; NULL: none
};

struct process {
    struct object object;    // signals: NEBULET_ENDED
    struct wasi *wasi;       // abi/wasi.h; NULL: none
    struct account *account; // who pays for it: its own, or its maker's; a reference

    // Its own CPU's
    struct handles handles;
    struct store *store;
    struct instance *instance;
    struct module_object *module;
    struct {
        u32 threads, weight, privileges, cpu;
    } limits; // beside those of its account and its handles
    struct word_table words;
    struct mapping *mappings;    // kern/memory.h; newest first
    u64 *slots;                  // of the last call's arguments and results; NULL: it has none
    const struct vm_func *first; // what its main thread calls before all else, set by `prepare`
    u32 nfirst;
    u64 watchdog_interval;
    bool trace;
    void *owner; // of whoever started it from outside; see kern_hooks

    // Under the kernel lock
    struct process *next_all, **self_all;
    u32 id;
    u8 state;      // enum nebulet_state
    bool polls;    // it has had a second thread; next to state (sched_can_hand)
    u8 how;        // enum nebulet_end, from ENDS on
    u32 hand_mask; // 0: it gets the CPU from the scheduler alone, for it has a limit of time
    u32 code;
    struct kthread *threads;
    u32 nthreads, next_thread;
    struct kthread *to_stop; // since it ends: the first that has not been asked yet, of the list
    struct process *next_to_stop;
    struct kthread *mourner; // that tells of its trap; NULL: there is none, or it is done
    struct kthread *ring; // threads that can run, in a circle: whose turn it is, but that runs now
                          // who runs; NULL: none. A thread that is over is there until it is gone
    struct cpu *home;     // where it runs, or ran last
    struct share *share;  // a reference
    struct lane *lane;    // of its share, at home
    struct process *next_queued;
    bool queued;
    bool begun;    // it has had a thread, or somebody is about to give it one
    bool reported; // why it ended
    bool limited;  // its account is its own
    bool emptied;  // what may be much is given back
    bool daemon;   // sched_daemon
    s64 slice;     // ticks left
    struct process *next_alive, **self_alive; // of its account
    struct budget *timed; // the nearest account with a limit of CPU time; NULL: there is none
    struct alarm watchdog;
    struct statistics stats;
    char name[NEBULET_NAME_MAX + 1];
    struct kthread main; // its first thread; a reference is the process's, so it stays with it
};

_Static_assert(offsetof(struct process, state) % 2 == 0 &&
                   offsetof(struct process, polls) == offsetof(struct process, state) + 1,
               "read as one");

// --- Made and ended. Without the lock.
struct process_config {
    const char *name; // NULL: its parent's
    struct limits_of_process limits;
    struct process *parent; // whose limits bound it; NULL: no limits but those
    void *owner;
    // With its store and its owner, but without an instance: may give the store what that imports.
    // NULL: it need not.
    status (*prepare)(struct process *p, struct error *e);
};
// Takes no reference to the module for itself but the process's own. The error of a link goes to
// *e. The process has one reference, the caller's.
status process_new(struct module_object *m, const struct process_config *config,
                   struct process **out, struct error *e);
// Makes the main thread: the start function, then _start, or _initialize and `invoke`, which may be
// NULL, with p->slots. BAD_STATE: it has begun already. NOT_FOUND: there is nothing to call.
status process_begin(struct process *p, const struct vm_func *invoke);
// Ends it from anywhere; `in_call`: by a call of a guest, whose process lets others run meanwhile.
// False: it is over, or ends already.
bool process_stop(struct process *p, enum nebulet_end how, u32 code, bool in_call);
bool process_stop_locked(struct process *p, enum nebulet_end how, u32 code);
// Asks some threads of a process that was stopped. With the lock.
void process_stop_some(void);
extern struct process *process_to_stop; // the first of these; NULL: none
// What is in its table before it lives counts as kept from those who run (channel.kept); +1 or -1
// for all of it. With the lock.
void process_keeps(struct process *p, s32 change);
// Calls `each` for it, until that says false; with the lock.
void process_each_kept(struct process *p, bool (*each)(struct object *o));

status module_new(const u8 *bytes, size_t size, bool copy, struct module_object **out,
                  struct error *e);

// A further thread of the running process, which calls element `function` of its table 0. The
// reference is the caller's.
status thread_new(struct process *p, u32 function, u32 arg, u32 stack, struct kthread **out);
// The same as WASI has it: wasi_thread_start(id, arg) in an instance of its own. Its id, or an
// error.
s64 thread_new_wasi(struct process *p, u32 arg);

// --- For the scheduler. The first on the thread's own stack: sets its next call up, if there is
// one; the second on the CPU's, without the lock: buries it, and its process with the last one.
// False: it is to begin once more first, as a fresh one.
bool thread_next_call(struct kthread *t);
bool thread_over(struct kthread *t);
// Between the two, on the thread's own stack, without the lock: the last of a process gives back
// what takes long, while others may run.
void thread_ending(struct kthread *t);
// Of a process that ends: it mourns, and nobody has told it to stop.
bool thread_may_wait(const struct kthread *t);
bool thread_may_begin(const struct kthread *t); // a fresh one
void process_over(struct process *p);           // by the former
extern bool (*const sched_on_ended)(struct thread *rt);

void process_info(const struct process *p, struct nebulet_info *out); // with the lock

// What whoever joins everything wants to know (main/).
struct kern_hooks {
    // A thread's call has trapped, and the process ends for it. On a thread of the process, which
    // may wait; or, when there is no memory for one, on the CPU's stack, without the frames: then
    // sched_self() is NULL.
    void (*trapped)(struct process *p, struct thread *t);
    // Its last thread has come to its end, on that thread: memory, handles and files are there. Not
    // where none of its threads could be told of a trap, or none has begun. NULL: nobody asks.
    void (*leaving)(struct process *p);
    // All threads are over.
    void (*ending)(struct process *p);
    void (*print)(const u8 *text, size_t n); // for the console
    // What belongs to it but not to the kernel: p->wasi. Also of one that never ran.
    void (*release)(struct process *p);
};
