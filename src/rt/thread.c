// SPDX-License-Identifier: MIT
// Threads: coroutines on which guest code runs. A thread is, from low to high addresses:
//
//   guard | stack, growing down | struct thread | link stack | spare | interpreter's cells
//
// The guard is never accessible; a fault there ends the call with "call stack exhausted". The other
// two have checks. All of it is charged to the account of the store before it can be touched: what
// an idle thread has when it begins, deeper stack in steps that become accessible when a fault asks
// for them (thread_deepen), the rest of the link stack when the first page of it is full, cells by
// the pages. Pages come at first touch, and an idle thread has one, with the top of its stack
// and its record. A touch may find no memory, and must be one that can end the call, which C's are
// not: so what C touches is there before it begins. The top of the stack is promised, and what is
// deeper the stubs touch before they call C, as far as it may need (vm_thread.ready). Where
// compiled code leaves less than that, it calls no C; what interrupts it there runs on the spare
// stack, which is paid with the last step of the other. All that is a reservation of its own, or
// lies in front of a memory (memory.c). Threads that are given back are kept where they are for the
// next one.
//
// The coroutine's own code is one loop, thread_main: run a call, switch away, and be called again.
//
// Who runs: each CPU has a stack of its own, on which thread_call and the scheduler's loop run;
// from there to a coroutine, from one coroutine to another, and back to the CPU's stack, each is
// one arch_switch. A coroutine may go on on another CPU than it left, so nothing that belongs to a
// CPU is remembered over a switch.
#include "rt/thread.h"
#include "arch/arch.h"
#include "base/lookup.h"
#include "plat/plat.h"
#include "rt/code.h"
#include "rt/instance.h"
#include "wasm/runtime.h"

enum {
    GUARD = 64 << 10,
    STACK = STORE_STACK_MOST,
    LINKS = 3072,
    SPARE = 16 << 10,
    POOL_MAX = 64,
    LEAVE_AT_ONCE = 16, // of those for which there is no room in the pool
    STEP = 64 << 10,
    READY = 16 << 10, // of it that is there from the beginning: for what C does before the call and
                      // after it, and for host functions that are called by few frames
    READY_INTERPRETED = VM_READY_CELLS + (8 << 10), // all of it that C will ever need
    LINKS_FIRST = PLAT_PAGE / sizeof(struct vm_link),
    DEEP_MAX = 2, // so many threads that nobody uses keep their cells, if they are few, where to
                  // give them back takes longer than all the rest of a short life
    CELLS_KEPT = 256 << 10,
    CPUS = 64,
};

_Static_assert((GUARD + STACK) % (2 << 20) >= READY,
               "what is kept of a stack shares a page table with the memory behind it");
_Static_assert(GUARD % STEP == 0 && STACK % STEP == 0, "the last step ends at the guard");

_Static_assert(ARCH_PAGE == PLAT_PAGE, "what arch_touch touches");

#define LINK_BYTES (LINKS * sizeof(struct vm_link) + SPARE)
#define CELL_BYTES (2 * VM_CELLS * sizeof(u64)) // the upper halves among them
_Static_assert(GUARD + STACK + LINK_BYTES + CELL_BYTES == THREAD_ROOM_MAX &&
                   CELL_BYTES % (2 << 20) == 0,
               "a memory's page tables are as many on all engines");

struct rt_cpu {
    void *sp;         // of its own stack, while a thread runs
    struct vmctx *vm; // that the thread which runs has come from, and in it the thread: threads of
                      // one instance may have changed places since (arch_stub_pass). NULL: none
    struct plat_stack stack;
    bool left;                  // its own stack, just now
} __attribute__((aligned(64))); // each its own cache line
static struct rt_cpu cpus[CPUS];
spinlock rt_switch_lock;

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
    const struct vmctx *vm = __atomic_load_n(&c->vm, __ATOMIC_RELAXED);
    return vm ? (struct thread *)vm->thread : NULL;
}

struct vmctx *thread_running_in(void)
{
    return this_cpu()->vm;
}

struct thread *thread_running(void)
{
    return thread_running_on(this_cpu());
}

// The thread that runs now has come from where c->vm says, maybe on its way through others.
static struct account *who_runs(void)
{
    const struct thread *t = thread_running();
    return t ? t->payer : NULL;
}

size_t thread_room(const struct realm *r)
{
    return GUARD + STACK + LINK_BYTES + (r->engine->code ? 0 : CELL_BYTES);
}

bool thread_guards(const struct thread *t, u64 address)
{
    return address - (u64)(uintptr_t)t->reservation < thread_room(t->store->realm);
}

// --- The coroutine

static status run(struct thread *t)
{
    const struct compiled *c = &t->at->instance->module->pub.compiled;
    return c->engine->call(c, t->func, t->slots);
}

static void call_host(void *argument)
{
    struct thread *t = argument;
    arch_ready(&t->vm, VM_READY_CELLS);
    t->func->host(t->at, t->slots);
}

// A host function that is called without an instance around: an exported import.
static status run_host(struct thread *t)
{
    if (memory_none(t->store))
        return ERR_NO_MEMORY;
    t->at->mem_base = t->store->no_memory.base;
    return arch_protect(&t->vm, call_host, t) ? ERR_TRAP : OK;
}

// --- Switches

// What tools must know when a coroutine has begun or goes on.
static void arrived(struct thread *t)
{
    if (!PLAT_TRACKS_STACKS)
        return;
    struct rt_cpu *c = this_cpu();
    plat_stack_enter(&t->own_stack, c->left ? &c->stack : NULL);
    c->left = false;
}

// The instance that a thread goes on in finds it.
static void prepare(struct rt_cpu *c, struct thread *t)
{
    struct vmctx *vm = t->at;
    vm->thread = &t->vm;
    __atomic_store_n(&c->vm, vm, __ATOMIC_RELAXED);
}

void thread_arrive(struct thread *t)
{
    prepare(this_cpu(), t);
}

void thread_enter(struct thread *t)
{
    struct rt_cpu *c = this_cpu();
    c->left = true;
    if (PLAT_TRACKS_STACKS)
        plat_stack_leave(&c->stack, &t->own_stack);
    arch_switch(&c->sp, &t->vm.sp);
    if (PLAT_TRACKS_STACKS)
        plat_stack_enter(&c->stack, NULL);
    c->vm = NULL;
}

static void to_cpu(struct thread *from)
{
    struct rt_cpu *c = this_cpu();
    if (PLAT_TRACKS_STACKS)
        plat_stack_leave(&from->own_stack, &c->stack);
    arch_switch(&from->vm.sp, &c->sp);
}

void thread_leave(struct thread *from, struct vmctx *vm)
{
    from->at = vm;
    to_cpu(from);
    arrived(from);
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
    if (PLAT_TRACKS_STACKS)
        plat_stack_leave(&from->own_stack, &to->own_stack);
    arch_switch(&from->vm.sp, &to->vm.sp);
    arrived(from);
}

static void finish(struct thread *t, status s)
{
    t->result = s == ERR_TRAP && t->vm.trap == TRAP_EXIT ? ERR_EXIT : s;
    t->state = THREAD_IDLE;
    __atomic_store_n(&t->vm.interrupt, 0, __ATOMIC_RELAXED);
    allow_host(&t->vm);
}

static void thread_main(void *argument)
{
    struct thread *t = argument;
    for (;;) {
        arrived(t);
        do {
            prepare(this_cpu(), t);
            bool host = t->func->index == VM_FUNC_HOST;
            finish(t, host ? run_host(t) : run(t));
        } while (t->ended && t->ended(t));
        to_cpu(t);
    }
}

// Lets it run until it ends or parks. A timer that runs out at once must find whose it is.
static status run_to_end(struct thread *t)
{
    t->state = THREAD_RUNNING;
    t->cpu = plat_cpu_id();
    thread_arrive(t);
    if (t->deadline != UINT64_MAX)
        plat_timer(t->deadline);
    thread_enter(t);
    if (t->deadline != UINT64_MAX)
        plat_timer(UINT64_MAX);
    return t->state == THREAD_PARKED ? ERR_SHOULD_WAIT : t->result;
}

// An interrupt that came, or a deadline that passed, before the call.
static status interrupted(struct thread *t)
{
    t->vm.trap = rt_pending(&t->vm);
    __atomic_store_n(&t->vm.interrupt, 0, __ATOMIC_RELAXED);
    return ERR_TRAP;
}

static void set_up(struct thread *t, const struct vm_func *f, u64 *slots)
{
    t->vm.trap = TRAP_NONE;
    t->vm.trap_pc = t->vm.trap_sp = t->vm.last_sp = NULL;
    t->vm.trap_address = 0;
    t->ntrace = 0;
    t->trapped.fresh = false;
    t->depth = 0;
    t->cut = false;
    t->func = f->ref;
    t->at = t->func->vm;
    if (t->func->index == VM_FUNC_HOST) {
        static const struct module no_module = {.start = UINT32_MAX};
        t->host_vm = (struct vmctx){.mem = &t->store->no_memory, .module = &no_module};
        t->at = &t->host_vm;
    }
    t->slots = slots;
}

status thread_call(struct thread *t, const struct vm_func *f, u64 *slots)
{
    if (t->state != THREAD_IDLE || thread_running())
        return ERR_BAD_STATE;
    set_up(t, f, slots);
    t->ended = NULL;
    if (t->deadline != UINT64_MAX && t->deadline <= plat_now())
        t->vm.interrupt = TRAP_TIME;
    if (rt_pending(&t->vm))
        return interrupted(t);
    return run_to_end(t);
}

void thread_park(struct thread *t, struct vmctx *vm)
{
    t->state = THREAD_PARKED;
    thread_leave(t, vm);
}

status thread_resume(struct thread *t)
{
    if (t->state != THREAD_PARKED || thread_running())
        return ERR_BAD_STATE;
    return run_to_end(t);
}

void thread_prepare(struct thread *t, const struct vm_func *f, u64 *slots,
                    bool (*ended)(struct thread *t))
{
    set_up(t, f, slots);
    t->ended = ended;
}

size_t thread_size(void)
{
    return sizeof(struct thread);
}

status thread_result(const struct thread *t)
{
    return t->result;
}

void thread_request(struct thread *t, enum trap trap)
{
    u32 what = __atomic_load_n(&t->vm.interrupt, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&t->vm.interrupt, &what,
                                        (what & VM_INTERRUPT_SWITCH) | trap, true, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
        ;
}

void thread_interrupt(struct thread *t, enum trap trap)
{
    thread_request(t, trap);
    if (t->state == THREAD_RUNNING)
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

static size_t ready_bytes(const struct realm *r)
{
    return r->engine->code ? READY : READY_INTERPRETED;
}

static void lay_out(struct thread *t)
{
    u32 shorter = t->store->realm->shorter;
    u8 *stack = t->reservation + GUARD + shorter;
    t->vm = (struct vm_thread){
        .stack_limit = stack,
        .link = thread_links(t),
        .link_end = thread_links(t) + LINKS_FIRST,
        .ready = (u8 *)(t + 1) - ready_bytes(t->store->realm),
    };
    allow_host(&t->vm);
    if (!t->store->engine->code) {
        t->vm.cells = (u64 *)(thread_links(t) + LINKS);
        t->vm.cells_end = t->vm.cells + VM_CELLS - (u64)VM_CELLS * shorter / STACK;
        t->vm.cells_ready = t->vm.upper_ready = t->vm.cells;
        t->vm.frames_ready = t->vm.cells_end;
    }
    t->vm.sp = arch_prepare((u8 *)t, thread_main, t);
    t->own_stack = (struct plat_stack){.low = stack, .size = (size_t)((u8 *)t - stack)};
    t->state = THREAD_IDLE;
    t->at = NULL;
    t->ended = NULL;
    t->deadline = UINT64_MAX;
}

// One that lies there from now on; NULL: no memory.
static struct thread *settle(const struct realm *r, u8 *reservation)
{
    u8 *end = reservation + GUARD + STACK;
    size_t ready = ready_bytes(r);
    struct thread *t = (struct thread *)end - 1;
    if (plat_commit_stack(end - ready, thread_room(r) - GUARD - STACK + ready, end - ready, ready))
        return NULL;
    t->reservation = reservation;
    t->low = end - ready;
    return t;
}

static struct thread *new_thread(const struct realm *r)
{
    u8 *p = plat_reserve(thread_room(r));
    struct thread *t = p ? settle(r, p) : NULL;
    if (p && !t)
        plat_release(p, thread_room(r));
    return t;
}

static struct thread *take_thread(struct realm *r)
{
    spin_acquire(&r->lock);
    struct thread *t = r->free_threads;
    if (t) {
        LIST_REMOVE(t);
        r->nfree_threads--;
    } else if ((t = r->leaving_threads)) {
        LIST_REMOVE(t);
        r->nleaving_threads--;
    }
    spin_release(&r->lock);
    return t;
}

// Page tables of one whose stack is accessible from `offset` in its reservation on. Those of the
// upper halves of cells are paid with the first of these (interp_upper).
static size_t tables_from(const struct realm *r, size_t offset)
{
    return plat_tables(offset, thread_room(r) - (r->engine->code ? 0 : CELL_BYTES / 2));
}

// What one has that has just begun, its first page of links among it. In front of a memory it
// shares a page table with that, which has paid.
static size_t first_charge(const struct realm *r, bool at_front)
{
    size_t ready = ready_bytes(r), tables = tables_from(r, GUARD + STACK - ready);
    return ready + PLAT_PAGE + tables - (at_front ? plat_tables(0, PLAT_PAGE) : 0);
}

// One that is paid for already; t may be NULL.
static struct thread *begin(struct thread *t, struct store *s, struct account *payer, size_t paid)
{
    if (!t) {
        account_discharge(payer, ACCOUNT_KEPT, paid);
        return NULL;
    }
    t->store = s;
    t->payer = payer;
    t->charged = paid;
    LIST_ADD(&s->threads, t);
    lay_out(t);
    return t;
}

static bool pay(struct thread *t, size_t bytes)
{
    if (!account_charge(t->payer, ACCOUNT_KEPT, bytes))
        return false;
    t->charged += bytes;
    return true;
}

// What it takes to have a stack from `low` on instead of from `from` on.
static size_t depth_takes(const struct thread *t, const u8 *low, const u8 *from)
{
    const struct realm *r = t->store->realm;
    return (size_t)(from - low) + (low == t->vm.stack_limit ? SPARE : 0) +
           tables_from(r, (size_t)(low - t->reservation)) -
           tables_from(r, (size_t)(from - t->reservation));
}

bool thread_deepen(struct thread *t, u64 address)
{
    u8 *limit = t->vm.stack_limit;
    u64 depth = address - (u64)(uintptr_t)limit; // from the guard up
    if (depth >= (u64)(t->low - limit))
        return false;
    u8 *low = limit + (depth & -(u64)STEP);
    size_t more = (size_t)(t->low - low), takes = depth_takes(t, low, t->low);
    if (!pay(t, takes))
        return false;
    if (plat_commit(low, more)) {
        account_discharge(t->payer, ACCOUNT_KEPT, takes);
        t->charged -= takes;
        return false;
    }
    t->low = low;
    return true;
}

u8 *thread_spare(struct thread *t)
{
    bool paid = t->low == t->vm.stack_limit || thread_deepen(t, (u64)(uintptr_t)t->vm.stack_limit);
    return paid ? (u8 *)thread_links(t) + LINK_BYTES : NULL;
}

bool thread_more_links(struct thread *t)
{
    struct vm_link *end = thread_links(t) + LINKS;
    if (t->vm.link_end == end || !pay(t, LINK_BYTES - SPARE - PLAT_PAGE))
        return false;
    t->vm.link_end = end;
    return true;
}

void rt_pay_stack(struct vmctx *vm, size_t bytes)
{
    if (!pay((struct thread *)vm->thread, bytes))
        rt_trap(vm, TRAP_STACK);
}

// What has been touched: a large frame leaves pages out.
static void stack_words(const struct thread *t, const u64 *from,
                        void (*each)(void *context, const u64 *from, const u64 *to), void *context)
{
    const u64 *end = (const u64 *)(const void *)t;
    for (const u64 *next; from < end; from = next) {
        next = (const u64 *)(((uintptr_t)from | (PLAT_PAGE - 1)) + 1);
        if (plat_touched(from))
            each(context, from, next < end ? next : end);
    }
}

void thread_words(const struct thread *t, const u64 *sp,
                  void (*each)(void *context, const u64 *from, const u64 *to), void *context)
{
    const struct vm_thread *v = &t->vm;
    if (!sp)
        sp = v->sp;
    if (sp > (const u64 *)(const void *)t) { // on the spare stack
        each(context, sp, (const u64 *)(const void *)((u8 *)thread_links(t) + LINK_BYTES));
        sp = (const u64 *)(const void *)v->resume_sp;
    }
    stack_words(t, sp, each, context);
    if (!t->store->engine->code)
        each(context, (u64 *)(thread_links(t) + LINKS), v->cells_ready);
}

void store_stack(struct store *s, u64 bytes)
{
    u64 stack = ALIGN_UP(bytes, (u64)STEP);
    s->realm->shorter = (u32)(STACK - stack);
}

struct thread *thread_create_for(struct store *s, struct account *payer)
{
    size_t pays = first_charge(s->realm, false);
    if (!account_charge(payer, ACCOUNT_KEPT, pays))
        return NULL;
    struct thread *t = take_thread(s->realm);
    return begin(t ? t : new_thread(s->realm), s, payer, pays);
}

struct thread *thread_create(struct store *s)
{
    return thread_create_for(s, s->account);
}

static u8 *usual_low(const struct thread *t)
{
    return (u8 *)(t + 1) - ready_bytes(t->store->realm);
}

// One whose stack goes one step down lies so in the pool, where giving that back costs more than a
// short life: whoever begins next pays for it first, or gives it back.
static struct thread *suit(struct thread *t, bool deep)
{
    u8 *low = t ? usual_low(t) : NULL;
    if (!t || t->low >= low || (deep && pay(t, depth_takes(t, t->low, low))))
        return t;
    plat_decommit(t->low, (size_t)(low - t->low));
    t->low = low;
    return t;
}

struct thread *thread_create_beside(struct instance *i, bool deep)
{
    struct store *s = i->store;
    struct memory_slot *m = i->vm.mem == &s->no_memory ? NULL : (struct memory_slot *)i->vm.mem;
    if (!m || (m->thread && m->thread->store))
        return thread_create(s);
    size_t pays = first_charge(s->realm, true);
    if (!account_charge(s->account, ACCOUNT_KEPT, pays))
        return NULL;
    u8 *reservation = m->vm.base - memory_front(m) - thread_room(s->realm);
    if (!m->thread && (m->thread = settle(s->realm, reservation)))
        m->thread->at_front = true;
    return suit(begin(m->thread, s, s->account, pays), deep);
}

static size_t cells_used(const struct thread *t)
{
    const struct vm_thread *v = &t->vm;
    return (size_t)((v->cells_ready - v->cells) + (v->upper_ready - v->cells) +
                    (v->cells_end - v->frames_ready)) *
           sizeof(u64);
}

static bool stays_whole(u32 others)
{
    return plat_costs.zero && others < DEEP_MAX;
}

// Gives back what it has got since it began, among so many that nobody uses; if these are few, but
// a few cells, and if they are many, all but its record.
static void trim(struct thread *t, u32 others)
{
    u8 *low = usual_low(t), *links = (u8 *)thread_links(t);
    u8 *record = (u8 *)((uintptr_t)t & ~(uintptr_t)(PLAT_PAGE - 1));
    bool whole = stays_whole(others), warm = others < POOL_WARM;
    bool more = t->vm.link_end != thread_links(t) + LINKS_FIRST || t->low == t->vm.stack_limit;
    bool step = t->at_front && warm && (plat_costs.zero || others < DEEP_MAX) && t->low < low &&
                low - t->low < STEP;
    if (t->low < low && !step) {
        plat_decommit(t->low, (size_t)(low - t->low));
        t->low = low;
    }
    if (!warm)
        plat_zero(low, (size_t)(record - low));
    if (!warm || more)
        plat_zero(links + warm * PLAT_PAGE, LINK_BYTES - warm * PLAT_PAGE);
    if (!t->store->engine->code && (!whole || cells_used(t) > CELLS_KEPT))
        plat_zero(links + LINK_BYTES, CELL_BYTES);
    account_discharge(t->payer, ACCOUNT_KEPT, t->charged);
}

// With the lock. How many there were.
static u32 take_leaving(struct realm *r, void *at[LEAVE_AT_ONCE])
{
    u32 n = 0;
    for (struct thread *t; (t = r->leaving_threads);) {
        LIST_REMOVE(t);
        at[n++] = t->reservation;
    }
    r->nleaving_threads = 0;
    return n;
}

// For several it costs half as much as for each. What they wait with for the others is little, and
// nobody's, as what lies in the pool.
static void leave(struct realm *r, struct thread *t)
{
    struct account *payer = t->payer;
    size_t charged = t->charged;
    void *at[LEAVE_AT_ONCE] = {t->reservation};
    u32 n = 1;
    bool little = t->low == usual_low(t) && t->vm.link_end == thread_links(t) + LINKS_FIRST &&
                  (t->store->engine->code || cells_used(t) <= 2 * PLAT_PAGE);
    spin_acquire(&r->lock);
    if (little && !r->closing) {
        LIST_ADD(&r->leaving_threads, t);
        n = ++r->nleaving_threads == LEAVE_AT_ONCE ? take_leaving(r, at) : 0;
    }
    spin_release(&r->lock);
    plat_release_all(at, n, thread_room(r));
    account_discharge(payer, ACCOUNT_KEPT, charged);
}

// Its place in the pool is claimed before it lies there: nobody may take it half trimmed.
static void put_thread(struct realm *r, struct thread *t)
{
    spin_acquire(&r->lock);
    u32 others = r->nfree_threads;
    bool room = !r->closing && others < POOL_MAX;
    r->nfree_threads += room;
    spin_release(&r->lock);
    if (!room) {
        leave(r, t);
        return;
    }
    trim(t, others);
    spin_acquire(&r->lock);
    LIST_ADD(&r->free_threads, t);
    spin_release(&r->lock);
}

void thread_free(struct thread *t)
{
    if (!t)
        return;
    struct realm *r = t->store->realm;
    LIST_REMOVE(t);
    heap_free(t->trace);
    t->trace = NULL;
    plat_stack_dropped(t->reservation + GUARD, STACK);
    if (!t->at_front) {
        put_thread(r, t);
        return;
    }
    trim(t, __atomic_load_n(&r->nfree_slots, __ATOMIC_RELAXED));
    t->store = NULL;
}

void threads_free(struct store *s)
{
    while (s->threads)
        thread_free(s->threads);
}

void threads_release(struct realm *r)
{
    for (struct thread *t; (t = r->free_threads);) {
        LIST_REMOVE(t);
        plat_release(t->reservation, thread_room(r));
    }
    r->nfree_threads = 0;
    void *at[LEAVE_AT_ONCE];
    plat_release_all(at, take_leaving(r, at), thread_room(r));
}

status rt_init(void)
{
    status s = code_init();
    look_up_hook = rt_look_up;
    if (!s)
        plat_on_fault(trap_on_fault);
    heap_who_runs = who_runs;
    return s;
}
