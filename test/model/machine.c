// SPDX-License-Identifier: MIT
// The machine contract (plat/plat.h) of the model: CPUs that are coroutines of one host thread, of
// which one goes on at a time; a clock that moves only when it is told to; locks, kicks and timers;
// and a heap that never gives a block's place to another.
//
// Every choice is made in `settle`: which CPU goes on at a point, or whether time jumps to the next
// deadline there. A CPU that goes on where another could have is free of charge; to be taken from a
// CPU that could have gone on, and a jump while somebody could, is a deviation.
#include "state.h"

#include "arch/arch.h"
#include "base/heap.h"
#include "base/assert.h"
#include "model.h"
#include "plat/plat.h"

enum cpu_state { OFF, RUNS, YIELDS, WAITS, LOCKED };
enum { STACK = 64 << 10, POINTS_MAX = 20000 };
#define PAUSE_NS 10000ull
#define BEGIN_NS 1000000000ull

static struct machine {
    u32 now_on; // the CPU that goes on
    u64 now;
    u32 points;
    struct {
        enum cpu_state state;
        void *sp;
        u64 timer, until;
        const spinlock *lock;
        u16 seen[MODEL_CPUS]; // what whoever has kicked or started it had
        bool kicked;          // and not interrupted yet
        bool awake;           // its next sleep ends at once
        void (*entry)(void *);
        void *argument;
    } cpu[MODEL_CPUS];
} m;

u32 model_cpu(void)
{
    return m.now_on;
}

// --- Which CPU goes on

static bool rings(u32 i)
{
    return m.cpu[i].timer <= m.now || m.cpu[i].kicked;
}

static bool can_go_on(u32 i)
{
    switch (m.cpu[i].state) {
    case RUNS:
    case YIELDS: return true;
    case WAITS: return rings(i) || m.cpu[i].awake || m.cpu[i].until <= m.now;
    case LOCKED: return !m.cpu[i].lock->held;
    case OFF: break;
    }
    return false;
}

// UINT64_MAX: nobody waits for any time.
static u64 next_deadline(void)
{
    u64 at = UINT64_MAX;
    for (u32 i = 0; i < MODEL_CPUS; i++) {
        if (m.cpu[i].timer > m.now && m.cpu[i].timer < at)
            at = m.cpu[i].timer;
        if (m.cpu[i].state == WAITS && m.cpu[i].until > m.now && m.cpu[i].until < at)
            at = m.cpu[i].until;
    }
    return at;
}

static void jump(u64 at)
{
    m.now = at;
    model_note(NULL, "time jumps to %llu us", (unsigned long long)(at - BEGIN_NS) / 1000);
}

// In the order of turns from the present CPU on, so that nobody is forgotten.
static u32 others(bool yielding, u32 *out)
{
    u32 n = 0;
    for (u32 k = 1; k < MODEL_CPUS; k++) {
        u32 i = (m.now_on + k) % MODEL_CPUS;
        if (can_go_on(i) && (m.cpu[i].state == YIELDS) == yielding)
            out[n++] = i;
    }
    return n;
}

// Who can go on does so for nothing; who cannot, or spins, leaves it to the others.
static u32 ways(u32 *list, u32 *free)
{
    u32 n = 0, self = m.now_on;
    bool stays = can_go_on(self) && m.cpu[self].state != YIELDS;
    if (stays)
        list[n++] = self;
    n += others(false, list + n);
    if (stays || !n)
        n += others(true, list + n);
    if (!n && can_go_on(self))
        list[n++] = self;
    *free = stays ? 1 : n;
    return n;
}

static u32 settle(void)
{
    for (;;) {
        u32 list[2 * MODEL_CPUS], free, n = ways(list, &free);
        u64 deadline = next_deadline();
        bool timed = deadline != UINT64_MAX;
        if (!n && !timed)
            model_fail("deadlock: no CPU can go on");
        u32 way = n ? model_choose(n + timed, free) : 0;
        if (way < n)
            return list[way];
        jump(deadline);
    }
}

static void go_on_elsewhere(u32 to)
{
    u32 from = m.now_on;
    m.now_on = to;
    arch_switch(&m.cpu[from].sp, &m.cpu[to].sp);
}

static void point(const char *what, const void *pc)
{
    if (m.points++ > POINTS_MAX)
        model_fail("livelock: %u points and no end", POINTS_MAX);
    if (model_noting) {
        char who[64];
        model_where(who, sizeof who);
        model_note(pc, "%-26s %s", who, what);
    }
    u32 self = m.now_on, to = settle();
    if (to != self)
        go_on_elsewhere(to);
    m.cpu[self].state = RUNS;
}

static void deliver(void)
{
    u32 self = m.now_on;
    while (rings(self)) {
        m.cpu[self].kicked = false;
        m.cpu[self].awake = true;
        if (m.cpu[self].timer <= m.now)
            m.cpu[self].timer = UINT64_MAX;
        model_note(NULL, "CPU %u is interrupted", self);
        model_interrupt();
        self = m.now_on; // the thread may have come back elsewhere
    }
}

void model_point(const char *what, const void *pc)
{
    point(what, pc);
    deliver();
}

// --- Locks

bool model_holds(const spinlock *l)
{
    return l->held == (1 | m.now_on << 1);
}

void model_acquire(spinlock *l)
{
    if (model_holds(l))
        model_fail("a lock is taken by who holds it");
    while (l->held) {
        m.cpu[m.now_on].state = LOCKED;
        m.cpu[m.now_on].lock = l;
        model_point("waits for a lock", __builtin_return_address(0));
    }
    l->held = 1 | m.now_on << 1;
    order_take(l->seen);
}

void model_release(spinlock *l)
{
    if (!model_holds(l))
        model_fail("a lock is given back by who does not hold it");
    if (l == &rt_switch_lock)
        model_invariants();
    l->held = 0;
    order_give(l->seen);
    model_point("gives the lock back", __builtin_return_address(0));
}

void spinlock_wait(const spinlock *l)
{
    (void)l;
    model_fail("spinlock_wait is not the model's");
}

void assert_failed(const char *where)
{
    model_fail("%s", where);
}

// --- CPUs

u32 plat_cpu_count(void)
{
    return MODEL_CPUS;
}

u32 plat_cpu_id(void)
{
    return m.now_on;
}

static u8 *cpu_stack_top(u32 cpu)
{
    static u8 stacks[MODEL_CPUS][STACK] __attribute__((aligned(64), section(".bss.stacks")));
    return stacks[cpu] + STACK;
}

static void run_cpu(void *cpu)
{
    u32 i = (u32)(uintptr_t)cpu;
    order_take(m.cpu[i].seen);
    m.cpu[i].entry(m.cpu[i].argument);
    model_fail("CPU %u comes back", i);
}

status plat_cpu_start(u32 cpu, void (*entry)(void *), void *argument)
{
    if (cpu >= MODEL_CPUS || m.cpu[cpu].state != OFF)
        return ERR_INVALID_ARG;
    m.cpu[cpu].state = RUNS;
    m.cpu[cpu].timer = m.cpu[cpu].until = UINT64_MAX;
    m.cpu[cpu].entry = entry;
    m.cpu[cpu].argument = argument;
    order_give(m.cpu[cpu].seen);
    m.cpu[cpu].sp = arch_prepare(cpu_stack_top(cpu), run_cpu, (void *)(uintptr_t)cpu);
    return OK;
}

void model_boot(void **from)
{
    m.now = BEGIN_NS;
    m.cpu[0].state = RUNS;
    m.cpu[0].timer = m.cpu[0].until = UINT64_MAX;
    m.cpu[0].sp = arch_prepare(cpu_stack_top(0), model_run_scenario, NULL);
    arch_switch(from, &m.cpu[0].sp);
}

void plat_cpu_kick(u32 cpu)
{
    if (cpu >= MODEL_CPUS || m.cpu[cpu].state == OFF)
        return;
    m.cpu[cpu].kicked = m.cpu[cpu].awake = true;
    model_point("kicks a CPU", __builtin_return_address(0));
}

void plat_wait(u64 until)
{
    u32 self = m.now_on;
    m.cpu[self].state = WAITS;
    m.cpu[self].until = until;
    point("sleeps", __builtin_return_address(0));
    m.cpu[self].kicked = m.cpu[self].awake = false;
    if (m.cpu[self].timer <= m.now)
        m.cpu[self].timer = UINT64_MAX;
}

bool model_sleeps(u32 cpu)
{
    return m.cpu[cpu].state == WAITS && !m.cpu[cpu].awake;
}

void plat_poll(void)
{
}

// --- Time

u64 plat_now(void)
{
    return m.now;
}

u64 plat_wall_clock(void)
{
    return m.now;
}

void plat_timer(u64 at)
{
    m.cpu[m.now_on].timer = at;
}

void model_spend(u64 ns)
{
    m.now += ns;
}

unsigned long model_ticks(void)
{
    return m.now * 5 / 2;
}

// Who spins lets the others go on, and time passes.
void model_pause(void)
{
    m.now += PAUSE_NS;
    m.cpu[m.now_on].state = YIELDS;
    model_point("spins", __builtin_return_address(0));
}

// --- The rest

struct plat_shared *plat_shared_create(size_t size)
{
    return heap_zalloc(size);
}

bool plat_shared_free(struct plat_shared *shared)
{
    heap_free(shared);
    return true;
}

const struct plat_devices *const plat_devices;
u64 plat_interrupts;

status plat_entropy(void *p, size_t n)
{
    memset(p, 7, n);
    return OK;
}

// --- What is underneath the heap. A block's place is its own until the execution ends, so that who
// looks at one that is gone is found out.

enum { GONE = 0xdb, RAW = 0xa5 };

struct block {
    size_t size;
    const void *pc;
    struct block *next, **self;
} __attribute__((aligned(16)));

static u8 arena[MODEL_HEAP] __attribute__((aligned(64), section(".bss.arena")));
static struct {
    size_t used;
    struct block *first;
} heap;
// Of each 16 bytes of the arena, what they are; beyond what is used: of an execution before.
static u8 kinds[MODEL_HEAP / 16] __attribute__((section(".bss.kinds")));
enum kind { BETWEEN, LIVES, WENT };

static void *take(size_t size, const void *pc)
{
    size_t whole = ALIGN_UP(sizeof(struct block) + size, (size_t)16) + 16;
    if (whole > MODEL_HEAP - heap.used)
        model_fail("the model's heap is too small");
    if (model_heap_fails() && model_choose(2, 1)) {
        model_note(pc, "an allocation fails");
        return NULL;
    }
    struct block *b = (struct block *)(arena + heap.used);
    heap.used += whole;
    *b = (struct block){size, pc, heap.first, &heap.first};
    if (b->next)
        b->next->self = &b->next;
    heap.first = b;
    memset(b + 1, RAW, whole - sizeof *b);
    order_forget_heap((size_t)((u8 *)b - arena), whole);
    memset(kinds + ((u8 *)b - arena) / 16, BETWEEN, whole / 16);
    memset(kinds + ((u8 *)(b + 1) - arena) / 16, LIVES, (size + 15) / 16);
    return b + 1;
}

const size_t raw_paid;

void *raw_alloc(size_t size, struct account *payer)
{
    (void)payer;
    return take(size, __builtin_return_address(0));
}

void *raw_zalloc(size_t size, struct account *payer)
{
    (void)payer;
    void *p = take(size, __builtin_return_address(0));
    return p ? memset(p, 0, size) : NULL;
}

static void give_back(void *p)
{
    struct block *b = (struct block *)p - 1;
    if ((u8 *)p < arena || (u8 *)p >= arena + heap.used || !b->self)
        model_fail("a block is freed that is none");
    model_access(p, b->size, true, __builtin_return_address(0));
    *b->self = b->next;
    if (b->next)
        b->next->self = b->self;
    b->self = NULL;
    memset(p, GONE, b->size);
    memset(kinds + ((u8 *)p - arena) / 16, WENT, (b->size + 15) / 16);
}

void raw_free(void *p)
{
    if (p)
        give_back(p);
}

// What is under base/slab.c, which nobody uses here.
void *raw_page(void)
{
    return NULL;
}

void raw_page_free(void *page)
{
    (void)page;
}

size_t raw_size(const void *p)
{
    return ((const struct block *)p - 1)->size;
}

size_t raw_room(const void *p)
{
    return raw_size(p);
}

size_t raw_takes(const void *p, size_t size)
{
    (void)p, (void)size;
    return RAW_MOVES;
}

void *raw_resize(void *p, size_t size)
{
    (void)size;
    return p;
}

bool model_alive(const void *p, size_t n, bool write, const void *pc)
{
    size_t at = (size_t)((const u8 *)p - arena);
    if (!n)
        return false;
    if (at >= MODEL_HEAP) {
        model_access_stack(p, pc);
        return false;
    }
    for (size_t i = at / 16; i <= (at + n - 1) / 16; i++) {
        if (likely(kinds[i] == LIVES) && likely(at < heap.used))
            continue;
        model_note(pc, "%s here", write ? "writes" : "reads");
        model_fail("a heap block that is %s is %s", kinds[i] == WENT ? "gone" : "none",
                   write ? "written" : "read");
    }
    return true;
}

void model_access(const void *p, size_t n, bool write, const void *pc)
{
    bool in_heap = model_alive(p, n, write, pc);
    if (in_heap)
        model_access_memory(p, pc);
    if (model_in_tick)
        return;
    if (in_heap)
        order_access_heap((size_t)((const u8 *)p - arena), n, write, pc);
    else
        order_access_other(p, n, write, pc);
}

const u8 *model_sp(u32 cpu)
{
    return m.cpu[cpu].sp;
}

// Without what base/heap.c has in front of them.
void model_each_block(void (*each)(void *block, size_t size))
{
    enum { HEAD = 16 };
    for (struct block *b = heap.first; b; b = b->next)
        if (b->size > HEAD)
            each((u8 *)(b + 1) + HEAD, b->size - HEAD);
}

void model_no_blocks(void)
{
    if (heap.first) {
        model_note(heap.first->pc, "made here");
        model_fail("a block of %zu bytes is left", heap.first->size);
    }
}
