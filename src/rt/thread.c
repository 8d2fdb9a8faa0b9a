// SPDX-License-Identifier: MIT
// Threads: coroutines on which guest code runs. A thread's reservation is, from low to high:
//
//   guard | stack, growing down | link stack | interpreter's cells, growing up | guard
//
// Guards are never accessible; a fault in one ends the call with "call stack exhausted". Pages of
// the rest come at first touch. Threads that are given back are kept with their reservation for the
// next thread_create.
//
// The coroutine's own code is one loop, thread_main: run a call, switch back, and be called again.
// A host function may switch back in the middle of a call (thread_park).
#include "rt/thread.h"
#include "arch/arch.h"
#include "plat/plat.h"
#include "rt/code.h"
#include "rt/instance.h"
#include "wasm/runtime.h"

enum {
    GUARD = 64 << 10,
    STACK = 8 << 20,
    LINKS = 4096,
    CELLS = 1 << 20,
    POOL_MAX = 64,
    KEEP = 64 << 10, // of the stack of a thread in the pool; what lies deeper is given back
    CPUS = 64,
};

#define LINK_BYTES (LINKS * sizeof(struct vm_link))
#define CELL_BYTES (CELLS * sizeof(u64))

static struct thread *running[CPUS]; // per CPU

struct thread *thread_running(void)
{
    return running[plat_cpu_id()];
}

static size_t reservation_size(const struct store *s)
{
    return GUARD + STACK + LINK_BYTES + (s->engine->code ? 0 : CELL_BYTES) + GUARD;
}

bool thread_guards(const struct thread *t, u64 address)
{
    return address - (u64)(uintptr_t)t->reservation < reservation_size(t->store);
}

// --- The coroutine

static status run(struct thread *t)
{
    const struct vm_func *f = t->func;
    struct vmctx *vm = f->vm;
    vm->thread = &t->vm;
    const struct compiled *c = &vm->instance->module->pub.compiled;
    return c->engine->call(c, f, t->slots);
}

static void call_host(void *argument)
{
    struct thread *t = argument;
    t->func->host(&t->store->host_vm, t->slots);
}

// A host function that is called without an instance around: an exported import.
static status run_host(struct thread *t)
{
    struct vmctx *vm = &t->store->host_vm;
    if (memory_none(t->store))
        return ERR_NO_MEMORY;
    vm->mem_base = t->store->no_memory.base;
    vm->thread = &t->vm;
    return arch_protect(&t->vm, call_host, t) ? ERR_TRAP : OK;
}

// From the coroutine to whoever called it, and, once called again, back.
static void switch_back(struct thread *t)
{
    plat_stack_leave(&t->own_stack, &t->caller_stack);
    arch_switch(&t->own_sp, t->caller_sp);
    plat_stack_enter(&t->own_stack, &t->caller_stack);
}

static void thread_main(void *argument)
{
    struct thread *t = argument;
    plat_stack_enter(&t->own_stack, &t->caller_stack);
    for (;;) {
        bool host = t->func->index == VM_FUNC_HOST;
        status s = host ? run_host(t) : run(t);
        t->result = s == ERR_TRAP && t->vm.trap == TRAP_EXIT ? ERR_EXIT : s;
        t->state = THREAD_IDLE;
        switch_back(t);
    }
}

// Lets it run until it ends or parks.
static status switch_to(struct thread *t)
{
    u32 cpu = plat_cpu_id();
    running[cpu] = t;
    t->cpu = cpu;
    t->state = THREAD_RUNNING;
    if (t->deadline != UINT64_MAX)
        plat_timer(t->deadline);
    plat_stack_leave(&t->caller_stack, &t->own_stack);
    arch_switch(&t->caller_sp, t->own_sp);
    plat_stack_enter(&t->caller_stack, NULL);
    if (t->deadline != UINT64_MAX)
        plat_timer(UINT64_MAX);
    running[cpu] = NULL;
    if (t->state == THREAD_PARKED)
        return ERR_SHOULD_WAIT;
    __atomic_store_n(&t->vm.interrupt, 0, __ATOMIC_RELAXED);
    t->vm.host_limit = t->vm.stack_limit + VM_HOST_STACK;
    return t->result;
}

// An interrupt that came, or a deadline that passed, before the call.
static status interrupted(struct thread *t)
{
    t->vm.trap = __atomic_exchange_n(&t->vm.interrupt, 0, __ATOMIC_RELAXED);
    return ERR_TRAP;
}

status thread_call(struct thread *t, const struct vm_func *f, u64 *slots)
{
    if (t->state != THREAD_IDLE || thread_running())
        return ERR_BAD_STATE;
    t->vm.trap = TRAP_NONE;
    t->vm.trap_pc = t->vm.trap_sp = t->vm.last_sp = NULL;
    t->vm.trap_address = 0;
    t->ntrace = 0;
    t->trapped.fresh = false;
    t->depth = 0;
    t->cut = false;
    if (t->deadline != UINT64_MAX && t->deadline <= plat_now())
        t->vm.interrupt = TRAP_TIME;
    if (t->vm.interrupt)
        return interrupted(t);
    t->func = f->ref;
    t->slots = slots;
    return switch_to(t);
}

void thread_park(struct thread *t)
{
    bool code = t->store->engine->code;
    if (code)
        t->gs = arch_get_gs();
    t->state = THREAD_PARKED;
    switch_back(t);
    if (code)
        arch_set_gs(t->gs);
}

status thread_resume(struct thread *t)
{
    if (t->state != THREAD_PARKED || thread_running())
        return ERR_BAD_STATE;
    return switch_to(t);
}

void thread_interrupt(struct thread *t, enum trap trap)
{
    __atomic_store_n(&t->vm.interrupt, trap, __ATOMIC_RELAXED);
    plat_cpu_kick(t->cpu);
}

void thread_deadline(struct thread *t, u64 at)
{
    t->deadline = at;
    if (t->state == THREAD_RUNNING)
        plat_timer(at);
}

struct vm_thread *thread_vm(struct thread *t)
{
    return &t->vm;
}

// --- Made and given back

static void lay_out(struct thread *t)
{
    u8 *stack = t->reservation + GUARD, *links = stack + STACK;
    t->stack_top = links;
    t->vm = (struct vm_thread){
        .stack_limit = stack,
        .host_limit = stack + VM_HOST_STACK,
        .link = (struct vm_link *)links,
        .link_end = (struct vm_link *)links + LINKS,
    };
    if (!t->store->engine->code) {
        t->vm.cells = (u64 *)(links + LINK_BYTES);
        t->vm.cells_end = t->vm.cells + CELLS;
    }
    t->own_sp = arch_prepare(t->stack_top, thread_main, t);
    t->own_stack = (struct plat_stack){.low = stack, .size = STACK};
    t->state = THREAD_IDLE;
    t->deadline = UINT64_MAX;
}

static struct thread *new_thread(struct store *s)
{
    struct thread *t = heap_zalloc(sizeof *t);
    size_t size = reservation_size(s);
    if (!t || !(t->reservation = plat_reserve(size))) {
        heap_free(t);
        return NULL;
    }
    if (plat_commit_stack(t->reservation + GUARD, size - 2 * GUARD)) {
        plat_release(t->reservation, size);
        heap_free(t);
        return NULL;
    }
    return t;
}

struct thread *thread_create(struct store *s)
{
    struct thread *t = s->free_threads;
    if (t) {
        LIST_REMOVE(t);
        s->nfree_threads--;
    } else if (!(t = new_thread(s))) {
        return NULL;
    }
    t->store = s;
    LIST_ADD(&s->threads, t);
    lay_out(t);
    return t;
}

static void destroy(struct thread *t)
{
    plat_stack_dropped(t->reservation + GUARD, STACK);
    plat_release(t->reservation, reservation_size(t->store));
    heap_free(t);
}

void thread_free(struct thread *t)
{
    if (!t)
        return;
    struct store *s = t->store;
    LIST_REMOVE(t);
    if (s->closing || s->nfree_threads == POOL_MAX) {
        destroy(t);
        return;
    }
    plat_stack_dropped(t->reservation + GUARD, STACK);
    plat_zero(t->reservation + GUARD, STACK - KEEP);
    if (!s->engine->code)
        plat_zero(t->stack_top + LINK_BYTES, CELL_BYTES);
    s->nfree_threads++;
    LIST_ADD(&s->free_threads, t);
}

void threads_free(struct store *s)
{
    while (s->threads)
        thread_free(s->threads);
    for (struct thread *t; (t = s->free_threads);) {
        LIST_REMOVE(t);
        destroy(t);
    }
    s->nfree_threads = 0;
}

status rt_init(void)
{
    status s = code_init();
    if (!s)
        plat_on_fault(trap_on_fault);
    return s;
}
