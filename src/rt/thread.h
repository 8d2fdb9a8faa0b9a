// SPDX-License-Identifier: MIT
// Inside the runtime: threads, and what the fault hook notes about a trap.
#pragma once
#include "plat/plat.h"
#include "rt/store.h"

enum { TRACE_MAX = 32 };

// The machine state at the latest trap.
struct trapped {
    const u8 *pc; // NULL: in a host function, see last_sp
    const u8 *sp;
    const u8 *entry_sp;
    struct vm_link *link;
    bool fresh; // nobody has looked for the frames yet
};

struct noted_frame {
    struct module_record *module;
    u32 func, offset;
};

enum thread_state { THREAD_IDLE, THREAD_RUNNING, THREAD_PARKED };

struct thread {
    struct vm_thread vm; // first: thread_vm
    struct store *store;
    struct account *payer; // for what the heap gives while it runs
    struct thread *next, **self;
    enum thread_state state; // of thread_call's call; that of a scheduler's thread is its business
    u32 cpu;                 // that thread_call or thread_resume has come from
    u64 deadline;            // UINT64_MAX: none
    u8 *reservation;
    u8 *low;        // of the stack, what is accessible begins here
    size_t charged; // to the payer
    bool at_front;  // of a memory, whose reservation it is
    struct plat_stack own_stack;
    struct vmctx *at;                // the instance that it is called in, or was switched away in
    struct vmctx host_vm;            // of a call to the host without an instance around
    bool (*ended)(struct thread *t); // NULL: the call is thread_call's
    const struct vm_func *func;
    u64 *slots;
    status result;
    struct trapped trapped;
    struct noted_frame *trace; // the innermost frames, once somebody has asked for them
    u32 ntrace;
    u64 depth; // frames there were, noted ones included
    bool cut;  // there were more
} __attribute__((aligned(16)));

// Bytes of a thread's stacks with their guard, and so of what each memory's reservation begins
// with: at most, and less by whole page tables (2 MiB).
#define THREAD_ROOM_MAX ((24ull << 20) + (128 << 10))
size_t thread_room(const struct realm *r);
void threads_free(struct store *s);
void threads_release(struct realm *r); // the pool
// What lies behind it; the stack ends at its address.
static inline struct vm_link *thread_links(const struct thread *t)
{
    return (struct vm_link *)(t + 1);
}
// The end of a stack for what interrupts it where it has next to none left. NULL: nobody pays for
// it.
u8 *thread_spare(struct thread *t);
// Where a thread's stacks may fault: in their guards, and anywhere when memory is out.
bool thread_guards(const struct thread *t, u64 address);

// Calls `each` with all of its stacks where something of guests may lie. From sp on, if it is the
// one that runs; else NULL.
void thread_words(const struct thread *t, const u64 *sp,
                  void (*each)(void *context, const u64 *from, const u64 *to), void *context);

// In signal context, for a fault in the guest there, or because its links are full: makes more of
// the stack accessible, or more links valid. False: that is not its stack, there is no more, or
// nobody pays.
bool thread_deepen(struct thread *t, u64 address);
bool thread_more_links(struct thread *t);

// Notes where a trap happened, for thread_trace. pc NULL: in the latest call to the host. In signal
// context.
static inline void trace_note(struct thread *t, const u8 *pc, const u8 *sp)
{
    t->trapped.pc = pc;
    t->trapped.sp = sp;
    t->trapped.entry_sp = t->vm.entry_sp;
    t->trapped.link = t->vm.link;
    t->trapped.fresh = true;
}

static inline void allow_host(struct vm_thread *t)
{
    t->host_limit = t->ready + VM_READY_CELLS;
    t->direct_limit = t->ready + VM_READY;
}

// The stubs lie in one piece from arch_stub_import to arch_stubs_end.
bool trap_in_stubs(const u8 *pc);
bool trap_on_fault(struct plat_fault *f);
u32 rt_look_up(void);                  // base/lookup.h: the trap to end with, or TRAP_NONE
struct vmctx *thread_running_in(void); // the instance that this CPU's thread has come from, or NULL
