// SPDX-License-Identifier: MIT
// A model checker for kern/: see README.md. What its parts see of each other.
//
//   explore.c     which execution comes next, and what is said about one that fails
//   machine.c     the machine contract: CPUs, time, locks, heap; every choice is made here
//   access.c      each access of the kernel to memory
//   order.c       which of two accesses comes first, and whether anything says so
//   runtime.c     the runtime as the kernel sees it: stores, instances, threads, stubs
//   guest.c       what programs of scenarios are written with
//   scenarios.c   the scenarios
//   invariants.c  what must hold whenever the kernel lock is given back
#pragma once
#include "base/status.h"
#include "kern/channel.h"
#include "kern/event.h"
#include "kern/sched.h"
#include "kern/stream.h"

enum { MODEL_CPUS = 4, MODEL_HEAP = 1 << 20, MODEL_GLOBALS = 16 << 10 };

// --- explore.c

// A point at which there are `n` ways to go on; the way taken, below n. Ways from `free` on cost
// one of the execution's deviations.
u32 model_choose(u32 n, u32 free);
// The execution has failed, or is over: neither comes back.
__attribute__((noreturn, format(printf, 1, 2))) void model_fail(const char *format, ...);
__attribute__((noreturn)) void model_over(void);
// A line about where the execution is, for who reads its schedule. `pc` may be NULL.
__attribute__((format(printf, 2, 3))) void model_note(const void *pc, const char *format, ...);
extern bool model_noting;

struct scenario {
    const char *name, *what;
    u32 cpus;
    void (*begin)(void); // before kern_run: makes the first processes
    void (*check)(void); // after it
    bool heap_fails;     // also try what happens when an allocation fails
};
const struct scenario *model_scenario(void);
extern const struct scenario model_scenarios[];
extern const u32 model_nscenarios;

// --- scenario.c

void model_run_scenario(void *nothing); // on the first CPU's stack
bool model_heap_fails(void);            // allocations may fail

// --- machine.c

void model_boot(void **from); // to model_run_scenario; comes back by `from`
// Others may go on here. `what` says why, for the schedule.
void model_point(const char *what, const void *pc);
void model_spend(u64 ns); // time passes
u32 model_cpu(void);
bool model_sleeps(u32 cpu);          // and nobody has kicked it
bool model_holds(const spinlock *l); // this CPU does
// Calls `each` for all heap blocks there are.
void model_each_block(void (*each)(void *block, size_t size));
void model_no_blocks(void);             // fails if there are any
void model_where(char *text, size_t n); // "CPU 1, process 2, thread 1"
// The kernel accesses these bytes.
void model_access(const void *p, size_t n, bool write, const void *pc);
// Fails unless all of it lives; true: it is in the heap.
bool model_alive(const void *p, size_t n, bool write, const void *pc);
extern bool model_in_tick;   // whose accesses are in no order with others
const u8 *model_sp(u32 cpu); // of a CPU that another goes on in front of

// --- order.c

void order_take(const u16 *of); // this CPU has seen what `of` has
void order_give(u16 *of);       // and the other way round
// The kernel accesses bytes of the heap, or of variables, on this CPU.
void order_access_heap(size_t at, size_t n, bool write, const void *pc);
void order_access_other(const u8 *p, size_t n, bool write, const void *pc);
void order_forget_heap(size_t at, size_t n); // a block begins; multiples of 8

// --- runtime.c

extern const struct engine model_engine;
struct account *model_payer(void); // of whoever runs on this CPU
u32 model_look_up(void);
void model_interrupt(void); // a tick or a kick has come to this CPU
// Fails if this is a place in a thread's stack that nobody uses any more.
void model_access_stack(const u8 *p, const void *pc);
// Fails if this is memory of a process that runs on another CPU: it may change what is mapped
// there.
void model_access_memory(const u8 *p, const void *pc);

// --- invariants.c

void model_invariants(void); // whenever the kernel lock is given back
