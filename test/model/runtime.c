// SPDX-License-Identifier: MIT
// The runtime as the kernel sees it (rt/rt.h): stores, modules and instances with hardly anything
// in them, and threads that are coroutines and run functions of C in place of compiled code.
//
// What rt/thread.c, rt/trap.c and the stubs of arch/x86_64/enter.S do about switches, interrupts
// and requests to end is done here in the same order, since that is what the kernel meets; each
// function names the one that it stands for.
#include "state.h"

#include "abi/nebulet_call.h"
#include "abi/trace.h"
#include "abi/wasi.h"
#include "arch/arch.h"
#include "base/heap.h"
#include "model.h"
#include "plat/plat.h"
#include "runtime.h"
#include "wasm/runtime.h"
#include <string.h>

enum { STACKS = 24, STACK = 64 << 10, CPUS = 64 };
#define RETRY_NS 1000000ull

struct store {
    u64 memory;
    struct account *account;
    struct instance *instances;
};

const struct engine model_engine = {.name = "model", .code = true};

// --- Stores, modules, instances

struct store *store_create(const struct engine *engine)
{
    (void)engine;
    return heap_zalloc(sizeof(struct store));
}

struct store *store_share(struct store *of, struct account *account, const struct rt_module *first)
{
    struct store *s = heap_zalloc(sizeof *s);
    (void)of, (void)first;
    if (s)
        s->account = account;
    return s;
}

void store_empty(struct store *s)
{
    (void)s;
}

void store_free(struct store *s)
{
    while (s && s->instances)
        instance_free(s->instances);
    heap_free(s);
}

u64 store_memory_used(const struct store *s, u64 *peak)
{
    *peak = s->memory;
    return s->memory;
}

static const valtype takes_and_gives_i32[] = {TYPE_I32, TYPE_I32};

struct instance {
    struct vmctx vm; // first
    struct store *store;
    struct instance *next, **self; // of the store
    struct vm_memory memory;
    struct vm_table *tables[1];
    struct vm_table table;
    struct vm_func refs[1 + FURTHER], elements[FURTHER];
    u64 own[2];
    u8 bytes[GUEST_MEMORY];
};

status rt_module_load(struct store *s, const u8 *bytes, size_t size, struct rt_module **out,
                      struct error *e)
{
    struct model_module *m = heap_zalloc(sizeof *m);
    (void)s;
    if (!m || size != sizeof(struct program))
        return error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "out of memory");
    m->program = (const struct program *)bytes;
    m->types[1] = (struct functype){.nparams = 1, .nresults = 1, .types = takes_and_gives_i32};
    for (u32 i = 0; i < countof(m->funcs); i++)
        m->funcs[i] = (struct func){.type = i > 0, .ref = i + 1};
    m->start = (struct export){.name = {"_start", 6}, .kind = EXTERN_FUNC};
    m->m = (struct module){
        .types = m->types,
        .ntypes = countof(m->types),
        .funcs = m->funcs,
        .nfuncs = countof(m->funcs),
        .ntables = 1,
        .exports = &m->start,
        .nexports = m->program->start != NULL,
        .start = UINT32_MAX,
        .threads = true,
        .layout = {.tables = offsetof(struct instance, tables),
                   .refs = offsetof(struct instance, refs)},
    };
    m->rt.m = &m->m;
    *out = &m->rt;
    return OK;
}

void rt_module_free(struct rt_module *m)
{
    heap_free(container_of(m, struct model_module, rt));
}

const struct export *module_export(const struct module *m, const char *name, size_t length)
{
    for (u32 i = 0; i < m->nexports; i++)
        if (m->exports[i].name.length == length && !memcmp(m->exports[i].name.p, name, length))
            return &m->exports[i];
    return NULL;
}

static void make_table(struct instance *in, const struct program *p)
{
    for (u32 i = 0; i < countof(in->refs); i++)
        in->refs[i] =
            (struct vm_func){.vm = &in->vm, .ref = &in->refs[i], .type = 1 + (i > 0), .index = i};
    for (u32 i = 0; i < FURTHER; i++)
        if (p->further[i])
            in->elements[i] = in->refs[1 + i];
    in->table = (struct vm_table){in->elements, FURTHER, FURTHER, TYPE_FUNCREF};
    in->tables[0] = &in->table;
}

status instance_create(struct store *s, struct rt_module *m, void *process, struct instance **out,
                       struct error *e)
{
    struct instance *in = heap_zalloc(sizeof *in);
    if (!in)
        return error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "out of memory");
    in->store = s;
    in->self = &s->instances;
    in->next = s->instances;
    if (in->next)
        in->next->self = &in->next;
    s->instances = in;
    in->memory = (struct vm_memory){in->bytes, sizeof in->bytes, sizeof in->bytes};
    in->vm = (struct vmctx){.mem = &in->memory,
                            .module = m->m,
                            .instance = in,
                            .process = process,
                            .mem_base = in->bytes,
                            .own = {&in->own[0], &in->own[1]}};
    make_table(in, container_of(m, struct model_module, rt)->program);
    *out = in;
    return OK;
}

void instance_free(struct instance *in)
{
    if (!in)
        return;
    *in->self = in->next;
    if (in->next)
        in->next->self = in->self;
    heap_free(in);
}

void instance_leave(struct instance *in)
{
    instance_free(in);
}

struct vmctx *instance_vm(struct instance *in)
{
    return &in->vm;
}

size_t instance_size(const struct instance *in)
{
    return sizeof *in;
}

bool instance_start(struct instance *in, struct vm_func *out)
{
    (void)in, (void)out;
    return false;
}

// --- The calls, which abi/nebulet.c tells the runtime

static const struct host_func *calls;
static size_t ncalls;

status store_host_module(struct store *s, const char *name, const struct host_func *funcs,
                         size_t count)
{
    (void)s;
    if (!strcmp(name, "nebulet")) {
        calls = funcs;
        ncalls = count;
    }
    return OK;
}

const struct host_func *guest_call_named(const char *name)
{
    for (size_t i = 0; i < ncalls; i++)
        if (!strcmp(calls[i].name, name))
            return &calls[i];
    model_fail("there is no call %s", name);
}

// --- Threads

struct thread {
    struct vm_thread vm; // first
    u32 stack;
    struct account *payer;
    bool in_guest;             // between calls, where a tick can take the CPU away
    struct vmctx *at, host_vm; // in which a host function runs
    bool (*ended)(struct thread *t);
    const struct vm_func *func;
    u64 *slots;
    status result;
    void *entry[5]; // where a trap goes back to
};

struct rt_cpu {
    void *sp;
    struct vmctx *vm;
};
static struct rt_cpu cpus[CPUS];
static u32 nstacks;
spinlock rt_switch_lock;

static struct thread *owners[STACKS]; // of stacks; NULL: nobody any more
static u8 stacks[STACKS][STACK] __attribute__((aligned(64), section(".bss.stacks")));

struct rt_cpu *thread_cpu(u32 cpu)
{
    return &cpus[cpu];
}

static struct rt_cpu *this_cpu(void)
{
    return &cpus[plat_cpu_id()];
}

struct thread *thread_running_on(const struct rt_cpu *c)
{
    return c->vm ? (struct thread *)c->vm->thread : NULL;
}

struct thread *thread_running(void)
{
    return thread_running_on(this_cpu());
}

struct account *model_payer(void)
{
    const struct thread *t = thread_running();
    return t ? t->payer : NULL;
}

struct vm_thread *thread_vm(struct thread *t)
{
    return &t->vm;
}

size_t thread_size(void)
{
    return sizeof(struct thread);
}

void thread_note_few(struct thread *t)
{
    (void)t;
}

status thread_result(const struct thread *t)
{
    return t->result;
}

static void allow_host(struct vm_thread *t)
{
    t->host_limit = t->direct_limit = NULL;
}

// As prepare of rt/thread.c.
static void prepare(struct rt_cpu *c, struct thread *t)
{
    t->at->thread = &t->vm;
    c->vm = t->at;
}

void thread_arrive(struct thread *t)
{
    prepare(this_cpu(), t);
}

void thread_enter(struct thread *t)
{
    struct rt_cpu *c = this_cpu();
    arch_switch(&c->sp, &t->vm.sp);
    c->vm = NULL;
}

static void to_cpu(struct thread *from)
{
    arch_switch(&from->vm.sp, &this_cpu()->sp);
}

void thread_leave(struct thread *from, struct vmctx *vm)
{
    from->at = vm;
    to_cpu(from);
}

struct vm_thread *thread_hand(struct rt_cpu *c, struct thread *to)
{
    prepare(c, to);
    return &to->vm;
}

void thread_switch(struct rt_cpu *c, struct thread *from, struct vmctx *vm, struct thread *to)
{
    from->at = vm;
    prepare(c, to);
    arch_switch(&from->vm.sp, &to->vm.sp);
}

static status run(struct thread *t)
{
    struct instance *in = t->at->instance;
    if (t->func->index == VM_FUNC_HOST) {
        t->func->host(t->at, t->slots);
        return OK;
    }
    const struct program *p = container_of(in->vm.module, struct model_module, m)->program;
    if (__builtin_setjmp(t->entry))
        return ERR_TRAP;
    u32 i = t->func->index;
    t->in_guest = true;
    u32 result = (i ? p->further[i - 1] : p->start)(t->at, (u32)t->slots[0]);
    guest_point();
    t->in_guest = false;
    t->slots[0] = result;
    return OK;
}

static void finish(struct thread *t, status s)
{
    t->result = s == ERR_TRAP && t->vm.trap == TRAP_EXIT ? ERR_EXIT : s;
    t->vm.interrupt = 0;
    allow_host(&t->vm);
}

static void thread_main(void *argument)
{
    struct thread *t = argument;
    for (;;) {
        do {
            prepare(this_cpu(), t);
            finish(t, run(t));
        } while (t->ended && t->ended(t));
        to_cpu(t);
    }
}

struct thread *thread_create_for(struct store *s, struct account *payer)
{
    (void)s;
    struct thread *t = heap_zalloc(sizeof *t);
    if (!t)
        return NULL;
    t->payer = payer;
    if (nstacks == STACKS)
        model_fail("the model has no more stacks");
    t->stack = nstacks++;
    owners[t->stack] = t;
    t->vm.sp = arch_prepare(stacks[t->stack] + STACK, thread_main, t);
    return t;
}

struct thread *thread_create_beside(struct instance *in, bool deep)
{
    (void)deep;
    return thread_create_for(in->store, in->store->account);
}

void thread_free(struct thread *t)
{
    if (t)
        owners[t->stack] = NULL;
    heap_free(t);
}

void model_access_memory(const u8 *p, const void *pc)
{
    for (u32 c = 0; c < MODEL_CPUS; c++) {
        const struct vmctx *vm = c == model_cpu() ? NULL : cpus[c].vm;
        if (!vm || !vm->mem || (size_t)(p - vm->mem->base) >= vm->mem->bytes)
            continue;
        model_note(pc, "accesses it here");
        model_fail("memory of a process is accessed that runs on CPU %u", c);
    }
}

// What lies below a stack's pointer has been left; who runs on it is below that anyway.
void model_access_stack(const u8 *p, const void *pc)
{
    size_t at = (size_t)(p - stacks[0]), i = at / STACK;
    if (at >= sizeof stacks || (size_t)((u8 *)__builtin_frame_address(0) - stacks[0]) / STACK == i)
        return;
    const struct thread *t = owners[i];
    const u8 *sp = t ? t->vm.sp : NULL;
    for (u32 c = 0; t && c < MODEL_CPUS; c++)
        if (thread_running_on(&cpus[c]) == t)
            sp = c == model_cpu() ? p : model_sp(c);
    if (t && (p >= sp || (size_t)(sp - stacks[0]) / STACK != i))
        return;
    model_note(pc, "accesses it here");
    model_fail("a place in a stack that %s is accessed", t ? "has been left" : "is gone");
}

void thread_prepare(struct thread *t, const struct vm_func *f, u64 *slots,
                    bool (*ended)(struct thread *t))
{
    t->vm.trap = TRAP_NONE;
    t->func = f->ref;
    t->at = t->func->index == VM_FUNC_HOST ? &t->host_vm : t->func->vm;
    t->slots = slots;
    t->ended = ended;
}

void thread_request(struct thread *t, enum trap trap)
{
    model_point("asks a thread to end", __builtin_return_address(0));
    t->vm.interrupt = trap;
}

// --- Interrupts and traps, as rt/trap.c has them

static const struct rt_scheduler *scheduler;

void rt_set_scheduler(const struct rt_scheduler *s)
{
    scheduler = s;
}

void rt_trap(struct vmctx *vm, enum trap trap)
{
    struct thread *t = (struct thread *)vm->thread;
    if (t != thread_running())
        model_fail("a trap of a thread that does not run");
    if (model_holds(&rt_switch_lock))
        model_fail("a trap with the kernel lock held");
    t->in_guest = false;
    t->vm.trap = trap;
    __builtin_longjmp(t->entry, 1);
}

void rt_exit(struct vmctx *vm, u32 code)
{
    vm->thread->exit_code = code;
    rt_trap(vm, TRAP_EXIT);
}

bool model_in_tick;

static bool take_request(struct vm_thread *t)
{
    if (t->interrupt != VM_INTERRUPT_SWITCH)
        return false;
    t->interrupt = 0;
    allow_host(t);
    return true;
}

enum trap rt_interrupted(struct vmctx *vm)
{
    struct vm_thread *t = vm->thread;
    if (take_request(t))
        scheduler->preempt(vm);
    return rt_pending(t);
}

u32 model_look_up(void)
{
    const struct thread *t = thread_running();
    return t && t->vm.interrupt ? rt_interrupted(this_cpu()->vm) : TRAP_NONE;
}

void rt_check_interrupt(struct vmctx *vm)
{
    enum trap trap = vm->thread->interrupt ? rt_interrupted(vm) : TRAP_NONE;
    if (trap)
        rt_trap(vm, trap);
}

u64 rt_passed(struct vmctx *vm)
{
    rt_check_interrupt(vm);
    return 0;
}

static void preempted(struct vmctx *vm)
{
    struct thread *t = (struct thread *)vm->thread;
    bool was = t->in_guest;
    t->in_guest = false;
    take_request(vm->thread);
    scheduler->preempt(vm);
    if (rt_pending(vm->thread))
        plat_timer(plat_now());
    t->in_guest = was;
}

// As on_timer: in the guest at once, else a request that is seen later.
void model_interrupt(void)
{
    struct thread *t = thread_running();
    if (!t)
        return;
    model_in_tick = true;
    bool wanted = t->ended && scheduler && scheduler->tick(t);
    model_in_tick = false;
    if (rt_pending(&t->vm) && t->in_guest)
        rt_trap(t->at, rt_pending(&t->vm));
    if (rt_pending(&t->vm)) {
        t->vm.host_limit = t->vm.direct_limit = (u8 *)UINTPTR_MAX;
    } else if (!wanted) {
        return;
    } else if (t->in_guest) {
        preempted(t->at);
        return;
    } else {
        if (!t->vm.interrupt)
            t->vm.interrupt = VM_INTERRUPT_SWITCH;
        t->vm.direct_limit = (u8 *)UINTPTR_MAX;
    }
    plat_timer(plat_now() + RETRY_NS);
}

// --- Calls, as the stubs of enter.S make them

// The beginning of arch_stub_direct, and what is behind it (8:).
static void enter_call(struct vmctx *vm)
{
    while (vm->thread->direct_limit) {
        if (vm->thread->interrupt != VM_INTERRUPT_SWITCH) {
            if (!rt_pending(vm->thread))
                model_fail("a stack that is full for no reason");
            rt_trap(vm, rt_pending(vm->thread));
        }
        preempted(vm);
    }
}

// arch_stub_hand, from 5: on. The stub's own thread is who it left as, not who vm->thread is now.
static u64 hand_over(struct vmctx *vm, struct vm_thread *self, struct vm_thread *to)
{
    arch_switch(&self->sp, &to->sp);
    u64 result = self->result;
    if (self->then)
        return self->then(vm);
    spin_release(&rt_switch_lock);
    return result;
}

static u64 call_hand(const struct host_func *f, struct vmctx *vm, const u64 *a)
{
    vm_hand_fn *hand = (vm_hand_fn *)(void *)f->direct;
    struct vm_thread *self = vm->thread;
    struct vm_outcome o = hand(a + 6, 0, vm, 0, a[0], a[1], a[2], a[3], a[4], a[5]);
    return o.to ? hand_over(vm, self, o.to) : o.result;
}

// arch_stub_pass. False: it is left to the function.
static bool pass(struct vmctx *vm)
{
    struct vm_thread *self = vm->thread, *to;
    if (rt_switch_lock.held)
        return false;
    spin_acquire(&rt_switch_lock);
    if (!(to = self->turn)) {
        spin_release(&rt_switch_lock);
        return false;
    }
    u64 own[] = {*vm->own[0], *vm->own[1]};
    vm->thread = to;
    arch_switch(&self->sp, &to->sp);
    *vm->own[1] = own[1];
    *vm->own[0] = own[0];
    spin_release(&rt_switch_lock);
    if (self->interrupt)
        rt_passed(vm);
    return true;
}

s64 guest_invoke(struct vmctx *vm, const struct host_func *f, const u64 *a)
{
    struct thread *t = (struct thread *)vm->thread;
    u64 slots[8], result = 0;
    guest_point();
    t->in_guest = false;
    enter_call(vm);
    if (strchr(f->type, '>')) {
        result = call_hand(f, vm, a);
    } else if (f->direct) {
        vm->scratch = a[5];
        if (!strchr(f->type, '!') || !pass(vm))
            result = f->direct(a[0], a[1], a[2], a[3], a[4], vm);
    } else {
        memcpy(slots, a, sizeof slots);
        f->fn(vm, slots);
        result = slots[0];
    }
    if (vm->thread != &t->vm || thread_running() != t)
        model_fail("a call comes back on another thread");
    if ((s64)result == ERR_CANCELLED)
        model_fail("a call comes back to a program that is to end");
    t->in_guest = true;
    return (s64)result;
}

void guest_point(void)
{
    model_point("in its program", __builtin_return_address(0));
}

void guest_compute(u64 ns)
{
    model_spend(ns);
    guest_point();
}

void guest_burn(void)
{
    for (;;) {
        model_spend(RETRY_NS);
        model_pause();
    }
}

// A loop's poll (arch_stub_poll, rt_poll).
status memory_share(struct vm_memory *m, u64 address, struct plat_shared *s, u64 offset, u64 size)
{
    (void)m, (void)address, (void)s, (void)offset, (void)size;
    return OK;
}

void memory_unshare(struct vm_memory *m, u64 address, u64 size)
{
    (void)m, (void)address, (void)size;
}

static const struct rt_waiting *waiting;

void rt_set_waiting(const struct rt_waiting *w)
{
    waiting = w;
}

// The model has no file system.
s64 call_process_folder(struct vmctx *vm, struct process *p, const struct call_process_folder *a)
{
    (void)vm;
    (void)p;
    (void)a;
    return ERR_NOT_SUPPORTED;
}

s64 call_process_stream(struct vmctx *vm, struct process *p, const struct call_process_stream *a)
{
    (void)vm;
    (void)p;
    (void)a;
    return ERR_NOT_SUPPORTED;
}

s64 call_process_environment(struct vmctx *vm, struct process *p,
                             const struct call_process_environment *a)
{
    (void)vm;
    (void)p;
    (void)a;
    return ERR_NOT_SUPPORTED;
}

s64 guest_wait(struct vmctx *vm, u32 address, s64 timeout_ns)
{
    struct thread *t = (struct thread *)vm->thread;
    guest_point();
    t->in_guest = false;
    s64 result = waiting->wait(vm, address, timeout_ns);
    rt_check_interrupt(vm);
    t->in_guest = true;
    return result;
}

u32 guest_notify(struct vmctx *vm, u32 address, u32 count)
{
    struct thread *t = (struct thread *)vm->thread;
    guest_point();
    t->in_guest = false;
    u32 result = waiting->notify(vm, address, count);
    t->in_guest = true;
    return result;
}

void guest_poll(struct vmctx *vm)
{
    struct thread *t = (struct thread *)vm->thread;
    guest_point();
    if (!vm->poll)
        return;
    vm->poll = 0;
    t->in_guest = false;
    waiting->poll(vm);
    rt_check_interrupt(vm);
    t->in_guest = true;
}

// --- What the calls need besides, and scenarios do not use

bool arch_random(void *p, size_t n)
{
    memset(p, 7, n);
    return true;
}

void trace_print(struct trace_line *l, const char *format, ...)
{
    (void)l, (void)format;
}

bool trace_call(struct trace_line *l, const struct vmctx *vm, const char *name,
                const struct arg_info *info, const u64 *cells)
{
    (void)l, (void)vm, (void)name, (void)info, (void)cells;
    return false;
}

void trace_end(const struct trace_line *l)
{
    (void)l;
}

void store_use_cells(struct store *s)
{
    (void)s;
}

struct wasi *wasi_child(const struct wasi *parent, const u8 *args, u32 size, bool streams,
                        bool files)
{
    (void)parent, (void)args, (void)size, (void)streams, (void)files;
    return NULL;
}

void wasi_free(struct wasi *w)
{
    (void)w;
}

struct vm_memory *store_memory(struct store *s, const struct limits *pages)
{
    (void)s, (void)pages;
    return NULL;
}

status store_import_item(struct store *s, const struct import *i, const struct extern_ *item)
{
    (void)s, (void)i, (void)item;
    return ERR_UNLINKABLE;
}

status instance_export(struct instance *in, const char *name, size_t length, struct extern_ *out)
{
    (void)in, (void)name, (void)length, (void)out;
    return ERR_NOT_FOUND;
}
