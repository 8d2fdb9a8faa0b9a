// SPDX-License-Identifier: MIT
// The runtime: stores, modules, instances, calls, traps. What main/, abi/ and kern/ see of it.
//
// A store is a set of instances that may link to each other; it fixes the engine. A store and
// everything in it belong to one CPU at a time. Stores may share a realm, which has the modules,
// the host modules and pools of memories and stacks; what is shared takes a lock of its own, so
// several CPUs may each use a store of the realm. Everything hangs from the store or its realm;
// store_free gives it all back.
#pragma once
#include "base/account.h"
#include "base/lock.h"
#include "wasm/engine.h"

struct store;
struct instance;

// With a realm of its own, which goes with it: free it last. NULL: no memory.
struct store *store_create(const struct engine *engine);
// A further store of the same realm, whose memories and tables are charged to `account`, as is what
// the heap gives while one of its threads runs; the caller holds it. There is room in it for an
// instance of `first`, or NULL. NULL: no memory.
struct rt_module;
struct store *store_share(struct store *of, struct account *account, const struct rt_module *first);
void store_free(struct store *s);
// Nothing of it is called any more: what is large is given back, and looks up meanwhile. The rest
// goes with store_free.
void store_empty(struct store *s);
// Bytes of its memories and tables.
u64 store_memory_used(const struct store *s, u64 *peak);

// Its objects: 0 if there have been none.
struct object_stats {
    u64 collections;
    u64 live, peak_live; // bytes that were reached by the latest collection, and by any
    u64 bytes;           // of memory that they have now, with what the collector needs for itself
};
void store_object_stats(const struct store *s, struct object_stats *out);

// --- Modules. Decodes and validates; the bytes must outlive the module. Code is shared by all
// instances: a function is compiled when it is first called.
struct rt_module {
    struct module *m;
    struct compiled compiled;
    u64 decode_ns, load_ns; // how long it took; the second is mostly validation of bodies
};
status rt_module_load(struct store *s, const u8 *bytes, size_t size, struct rt_module **out,
                      struct error *e);
void rt_module_free(struct rt_module *m); // only when it has no instance any more
// From now on all functions of a module are compiled when it is loaded.
void store_compile_at_once(struct store *s);

// From now on new threads of the realm have so much of a stack, rounded up to 64 KB; the
// interpreter's cells are as much fewer.
enum { STORE_STACK_LEAST = 256 << 10, STORE_STACK_MOST = 8 << 20 };
void store_stack(struct store *s, u64 bytes);

// --- Host modules: named functions given by tables. `type` is "params:results" of i I f F r e (i32
// i64 f32 f64 funcref externref), for instance "iiI:i". A "!" behind: threads pass their turn on by
// it (arch_stub_pass); a ">": its direct form is a vm_hand_fn. The tables must outlive the store.
struct host_func {
    const char *name;
    const char *type;
    vm_host_fn *fn;
    vm_direct_fn *direct; // the same without cells, for compiled code; NULL: there is none
};
status store_host_module(struct store *s, const char *name, const struct host_func *funcs,
                         size_t count);
// Whether somebody has what the import names, of whatever type.
struct import;
bool store_has(struct store *s, const struct import *i);
// From now on compiled code of the realm calls host functions with cells, also those that have a
// direct form: for whoever wants to see all arguments in one place.
void store_use_cells(struct store *s);

// The code by which compiled code calls host functions of a type with cells, by the type's number
// (module_func_type); NULL: it has not been wanted so far.
const u8 *store_thunk(const struct store *s, u32 type);

// What an import is bound to: by name, to a host function or to an export of a registered instance.
struct extern_ {
    u8 kind; // enum extern_kind
    union {
        const struct vm_func *func;
        struct vm_table *table;
        struct vm_memory *memory;
        union vm_global *global;
        const struct vm_tag *tag;
    };
    struct table_type table_type; // limits.min = present length
    struct limits memory_type;    // pages, min = present size
    struct global_type global_type;
    const struct functype *func_type;
};
// Makes the exports of an instance importable under a name; the latest of a name wins.
status store_register(struct store *s, const char *name, size_t length, struct instance *instance);
// A memory or table of the store's own, for host modules: it lives as long as the store. NULL: no
// memory.
struct vm_memory *store_memory(struct store *s, const struct limits *pages);
struct vm_table *store_table(struct store *s, const struct table_type *type);
// Makes a single item importable in this store alone (globals, memories, tables of `spectest`, for
// instance). Takes nothing over: names and what the item points to must outlive the store. Memories
// and tables are those of store_memory and store_table, or of an instance. An instance registered
// under the same name is looked at first.
status store_host_extern(struct store *s, const char *module, const char *name,
                         const struct extern_ *item);
// The same under the names that an import has.
status store_import_item(struct store *s, const struct import *i, const struct extern_ *item);

// --- Instances. Links, allocates, applies segments; does not run the start function.
// ERR_UNLINKABLE when an import is missing or of another type (the text begins as the
// specification's: "unknown import" or "incompatible import type"), ERR_TRAP when a segment is out
// of bounds: the text is the trap's, and as the specification wants it, what was written before
// stays written. `process` goes into vmctx->process.
status instance_create(struct store *s, struct rt_module *m, void *process, struct instance **out,
                       struct error *e);
void instance_free(
    struct instance *i); // only if nothing links to it any more; store_free frees the rest
// The same of one in which nobody runs any more, and only if others cannot have references to what
// is in it; else it stays as long as the store does. May be NULL.
void instance_leave(struct instance *i);
struct vmctx *instance_vm(struct instance *i);
size_t instance_size(const struct instance *i); // bytes of its record; not memories and tables
// The start function of its module, which has to be called before anything else. False: none.
bool instance_start(struct instance *i, struct vm_func *out);
// Looks up an export of any kind. ERR_NOT_FOUND.
status instance_export(struct instance *i, const char *name, size_t length, struct extern_ *out);

// --- Memory that several stores have at once (plat/plat.h): takes the place of what a memory has
// there. All numbers are multiples of PLAT_PAGE and lie within both. Pages that a memory has so are
// unmapped before its store is emptied. In bounded time only for a few hundred pages.
struct plat_shared;
status memory_share(struct vm_memory *m, u64 address, struct plat_shared *s, u64 offset, u64 size);
void memory_unshare(struct vm_memory *m, u64 address, u64 size); // zeros are there then

// --- Threads: a coroutine with its stack, on which guest code runs.
struct thread;
struct thread *thread_create(struct store *s); // NULL: no memory
// One that is another's to pay for, with what it will need.
struct thread *thread_create_for(struct store *s, struct account *payer);
// One that must be gone before the instance is: its stacks lie in front of the instance's memory,
// if that has none yet, and then the two share page tables. deep: it will probably call functions
// with cells, for which it needs more of a stack.
struct thread *thread_create_beside(struct instance *i, bool deep);
void thread_free(struct thread *t);
struct vm_thread *thread_vm(struct thread *t);

// Calls a function on the thread: switches to its stack, runs, and comes back when the call has
// ended (or parks, see thread_park). slots hold arguments, then results, as in vmctx.h; there must
// be room for the larger number. OK, ERR_TRAP (thread_vm(t)->trap says which), ERR_EXIT
// (->exit_code).
status thread_call(struct thread *t, const struct vm_func *f, u64 *slots);
// From a host function: leaves the coroutine; thread_call (or thread_resume) returns
// ERR_SHOULD_WAIT to its caller, and thread_resume continues here.
void thread_park(struct thread *t, struct vmctx *vm);
status thread_resume(struct thread *t);

// --- For a scheduler: threads that run when and where it says.
//
// Sets a call up, with which the thread begins when it is first switched to. When the call is over,
// `ended` is called on the thread's own stack; thread_result says then what thread_call would have.
// True: it has prepared the next call. False: the thread goes to the CPU's stack, for good.
void thread_prepare(struct thread *t, const struct vm_func *f, u64 *slots,
                    bool (*ended)(struct thread *t));
status thread_result(const struct thread *t);
// Of one that has trapped: whoever asks is told of a few frames, if there is memory to note them,
// which takes little time.
void thread_note_few(struct thread *t);
// This CPU's interrupts are the thread's from now on: it is about to be entered.
void thread_arrive(struct thread *t);
// After that: from the CPU's own stack to the thread; returns when one comes back, here, on this
// CPU.
void thread_enter(struct thread *t);
// From the running thread, in a call of `vm`, to the CPU's own stack, or, on the CPU c, straight to
// another thread. They return when the thread is switched to again, maybe on another CPU.
struct rt_cpu;
void thread_leave(struct thread *from, struct vmctx *vm);
void thread_switch(struct rt_cpu *c, struct thread *from, struct vmctx *vm, struct thread *to);
// All of a switch but for the stacks, between threads of compiled code that are in the
// instance that they were called in: what a vm_hand_fn gives back.
struct vm_thread *thread_hand(struct rt_cpu *c, struct thread *to);
struct rt_cpu *thread_cpu(u32 cpu);  // of that number
struct thread *thread_running(void); // on this CPU, or NULL
struct thread *thread_running_on(const struct rt_cpu *c);
size_t thread_size(void); // bytes of a thread's record
// Where threads take turns (vm_thread.turn, arch_stub_pass), the scheduler is not asked: it says
// beforehand who is next, with this lock held. The lock is held over every such switch, and whoever
// goes on releases it.
extern spinlock rt_switch_lock;

struct rt_scheduler {
    // A timer or a kick has hit this CPU while t ran: is another one to run? In interrupt context,
    // so it may take no lock. If so, preempt follows as soon as t is at a place where it can. NULL:
    // nobody ran.
    bool (*tick)(struct thread *t);
    void (*preempt)(struct vmctx *vm); // switches, and comes back
};
void rt_set_scheduler(const struct rt_scheduler *s); // it must outlive all threads
const struct rt_scheduler *rt_get_scheduler(void);   // to put another one around it

// Asks a running call to end with that trap as soon as it is in guest code or at its next call;
// from signal or interrupt context. A scheduler makes the request, and kicks the CPU itself.
void thread_interrupt(struct thread *t, enum trap trap);
void thread_request(struct thread *t, enum trap trap);
// Calls on this thread end with TRAP_TIME when plat_now() reaches `at`; UINT64_MAX: never. Uses the
// timer of the CPU.
void thread_deadline(struct thread *t, u64 at);

// --- What waiting is: set once, by whoever runs several threads of a process. Without it a wait
// with a time limit is over at once, one without traps, and nobody is there to be notified. All
// three are called on the coroutine of the running thread, may switch to others, and come back to
// it.
struct rt_waiting {
    // Waits until it is notified or the time is up (negative: never). `address` is one in memory 0
    // of the instance, which others may share (vm->mem). 0: notified, 2: timed out.
    s64 (*wait)(struct vmctx *vm, u64 address, s64 timeout_ns);
    // Wakes up to `count` threads that wait there; how many.
    u32 (*notify)(struct vmctx *vm, u64 address, u32 count);
    // vm->poll was set, and has been cleared.
    void (*poll)(struct vmctx *vm);
};
void rt_set_waiting(const struct rt_waiting *waiting); // it must stay; NULL: none

// The frames at the latest trap, innermost first; how many were written.
u32 thread_trace(struct thread *t, struct trace_frame *out, u32 max);
// The same of the one that runs, from its scheduler's preempt (vm), on whatever stack: some 16 KB
// of it. Frames are missing where to find them would take long, most offsets, too.
u32 thread_sample(struct vmctx *vm, struct trace_frame *out, u32 max);
// "wasm trap: out of bounds memory access\n  at name (file.wasm:0x1234)\n ..." as text; returns its
// length as fmt. Modules that do not say their name are `file`.
size_t thread_describe_trap(struct thread *t, const char *file, char *buffer, size_t n);

// Once per program, before anything else: code window, fault hook.
status rt_init(void);
