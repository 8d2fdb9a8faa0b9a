// SPDX-License-Identifier: MIT
// For how long locks are held, and for how long C keeps a CPU that others may want. This is linked
// to a kernel that calls it whenever a lock is taken and before it is given back, and whenever a
// guest calls C, comes back from there, or is made to (calls.S). When the machine ends it prints,
// for each place where a lock is taken, and then for each place that C has the CPU from,
//
//   probe: held TICKS of the counter at most, COUNT times, from ADDRESS to ADDRESS
//   probe: kept TICKS of the counter at most, COUNT times, from ADDRESS to ADDRESS
//
// the longest first. C has a CPU from when a guest calls it, or when it has looked up, or has been
// switched to, up to when it returns to the guest, looks up, or switches. On the CPU's own stack
// there is nobody who could be left for others, so looks count only on threads. The interpreter
// counts as the guest; it has looks of its own.
//
// Under QEMU's -icount the counter tells instructions, of all CPUs together: so what is kept is
// only told on a machine with one. It runs where page faults and stubs do, so it keeps to general
// registers, a little stack, and memory that is always there. What it does itself counts, too.
//
// It sees that no lock is held when a thread is unwound, and that nobody causes a page fault who
// holds a lock that page faults take. And it does wrong itself when it is told to by the machine's
// command line, so that a test can see that this is noticed:
//
//   probe=deaf    nobody looks up any more
//   probe=holds   a lock is held when a thread is unwound
#include "base/fmt.h"
#include "base/heap.h"
#include "base/lock.h"
#include "base/lookup.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"
#include "rt/rt.h"
#include "wasm/runtime.h"

enum { LOCKS = 4096, PLACES = 512, HOSTS = 1 << PROBE_HOST_BITS, HOST_SIZE = 16 };

static struct taken {
    const void *lock, *by;
    u64 since;
    bool deep; // page faults take it, too
} locks[LOCKS];

struct place {
    const void *from, *to;
    u64 longest, count;
};
static struct place held[PLACES], kept[PLACES];

static u32 holds[CPUS_MAX]; // locks, of each CPU
static u32 deep[CPUS_MAX];  // those among them that page faults take, too
static struct {
    bool c; // C has the CPU
    const void *from;
    u64 since;
} now;
static bool deaf, wrong;

static u32 slot_of(const void *p, u32 slots)
{
    return (u32)((u64)p * 0x9e3779b97f4a7c15ull >> 40) % slots;
}

// Both find the entry of an address, or claim one.
static struct taken *of_lock(const void *lock)
{
    for (u32 i = slot_of(lock, LOCKS), n = 0; n < LOCKS; i = (i + 1) % LOCKS, n++) {
        const void *none = NULL;
        if (locks[i].lock == lock ||
            __atomic_compare_exchange_n(&locks[i].lock, &none, lock, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED) ||
            none == lock)
            return &locks[i];
    }
    pc_panic(NULL, "too many locks");
}

static struct place *of_place(struct place *places, const void *from)
{
    for (u32 i = slot_of(from, PLACES), n = 0; n < PLACES; i = (i + 1) % PLACES, n++) {
        const void *none = NULL;
        if (places[i].from == from ||
            __atomic_compare_exchange_n(&places[i].from, &none, from, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED) ||
            none == from)
            return &places[i];
    }
    pc_panic(NULL, "too many places");
}

static void note(struct place *places, const void *from, const void *to, u64 ticks)
{
    struct place *p = of_place(places, from);
    p->count++;
    if (ticks <= p->longest)
        return;
    p->longest = ticks;
    p->to = to;
}

__attribute__((noinline)) void probe_taken(const void *lock)
{
    struct taken *t = of_lock(lock);
    holds[this_cpu()->id]++;
    t->by = __builtin_return_address(0);
    t->since = rdtsc();
}

__attribute__((noinline)) void probe_given(const void *lock)
{
    u64 at = rdtsc();
    struct taken *t = of_lock(lock);
    holds[this_cpu()->id]--;
    deep[this_cpu()->id] -= t->deep;
    t->deep = false;
    note(held, t->by, __builtin_return_address(0), at - t->since);
}

__attribute__((noinline)) void probe_deep(const void *lock)
{
    of_lock(lock)->deep = true;
    deep[this_cpu()->id]++;
}

void probe_fault(void)
{
    if (deep[this_cpu()->id])
        pc_panic(NULL, "a page fault of who holds a lock that page faults take");
}

// --- Who has the CPU

static void turn(bool c, const void *where)
{
    if (now.c)
        note(kept, now.from, where, rdtsc() - now.since);
    now.c = c;
    now.from = where;
    now.since = rdtsc();
}

bool probe_enters(const u8 *function);
void probe_leaves(bool nested);
void probe_begins(void);
void probe_ends(void);
void probe_unwinds(void);
void probe_switches(const void *where);

// The runtime calls some of its functions for itself, too.
bool probe_enters(const u8 *function)
{
    bool nested = now.c;
    if (!nested)
        turn(true, function + 1);
    return nested;
}

void probe_leaves(bool nested)
{
    if (!nested)
        turn(false, __builtin_return_address(0));
}

void probe_begins(void)
{
    turn(false, __builtin_return_address(0));
}

void probe_ends(void)
{
    if (!now.c)
        turn(true, __builtin_return_address(0));
}

void probe_unwinds(void)
{
    static spinlock lock;
    if (wrong)
        spin_acquire(&lock);
    if (holds[this_cpu()->id])
        pc_panic(NULL, "a thread is unwound with a lock held");
    turn(true, __builtin_return_address(0));
}

void probe_switches(const void *where)
{
    turn(true, where);
}

// Somebody who looks up; the guest does, too, where it is interpreted.
static u32 look(u32 (*real)(void *argument), void *argument, const void *where)
{
    bool c = now.c;
    turn(c, where);
    u32 answer = real(argument);
    turn(c, where);
    return answer;
}

static u32 (*real_look_up)(void);

static u32 call_look_up(void *argument)
{
    (void)argument;
    return real_look_up();
}

// On the CPU's own stack that lets nobody in.
static u32 looks_up(void)
{
    if (deaf)
        return 0;
    return thread_running() ? look(call_look_up, NULL, __builtin_return_address(0))
                            : real_look_up();
}

enum trap __real_rt_interrupted(struct vmctx *vm);
enum trap __wrap_rt_interrupted(struct vmctx *vm);
static u32 call_interrupted(void *vm)
{
    return __real_rt_interrupted(vm);
}
enum trap __wrap_rt_interrupted(struct vmctx *vm)
{
    return (enum trap)look(call_interrupted, vm, __builtin_return_address(0));
}

void __real_rt_check_interrupt(struct vmctx *vm);
void __wrap_rt_check_interrupt(struct vmctx *vm);
static u32 call_check_interrupt(void *vm)
{
    __real_rt_check_interrupt(vm);
    return 0;
}
void __wrap_rt_check_interrupt(struct vmctx *vm)
{
    look(call_check_interrupt, vm, __builtin_return_address(0));
}

void __real_plat_wait(u64 until);
void __wrap_plat_wait(u64 until);
void __wrap_plat_wait(u64 until)
{
    bool c = now.c;
    turn(false, __builtin_return_address(0));
    __real_plat_wait(until);
    turn(c, __builtin_return_address(0));
}

// --- Host functions, by calls.S

const void *probe_hosts[HOSTS];
extern const u8 probe_host[];

static const void *host(const void *function)
{
    u32 i = 0;
    while (i < HOSTS && probe_hosts[i] && probe_hosts[i] != function)
        i++;
    if (i == HOSTS)
        pc_panic(NULL, "too many host functions");
    probe_hosts[i] = function;
    return function ? probe_host + (size_t)HOST_SIZE * i : NULL;
}

status __real_store_host_module(struct store *s, const char *name, const struct host_func *funcs,
                                size_t count);
status __wrap_store_host_module(struct store *s, const char *name, const struct host_func *funcs,
                                size_t count);
status __wrap_store_host_module(struct store *s, const char *name, const struct host_func *funcs,
                                size_t count)
{
    static struct host_func ours[2 * HOSTS];
    static size_t used;
    struct host_func *to = ours + used;
    if (count > countof(ours) - used)
        pc_panic(NULL, "too many host functions");
    for (size_t i = 0; i < count; i++) {
        to[i] = funcs[i];
        to[i].fn = (vm_host_fn *)(u64)host((const void *)(u64)funcs[i].fn);
        to[i].direct = (vm_direct_fn *)(u64)host((const void *)(u64)funcs[i].direct);
    }
    used += count;
    return __real_store_host_module(s, name, to, count);
}

// --- The beginning and the end

static void print(const char *what, const struct place *p)
{
    char text[160];
    plat_console_write(text, fmt(text, sizeof text, "probe: %s %lu %lu 0x%lx 0x%lx\n", what,
                                 (unsigned long)p->longest, (unsigned long)p->count,
                                 (unsigned long)p->from, (unsigned long)p->to));
}

static void print_all(const char *what, const struct place *places)
{
    static struct place sorted[PLACES];
    u32 n = 0;
    for (u32 i = 0; i < PLACES; i++) {
        struct place p = places[i];
        u32 at = n;
        if (!p.count)
            continue;
        for (; at > 0 && sorted[at - 1].longest < p.longest; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = p;
        n++;
    }
    for (u32 i = 0; i < n; i++)
        print(what, &sorted[i]);
}

static bool told_to(const char *word)
{
    size_t n = strlen(word);
    for (const char *p = boot.command_line; strlen(p) >= n; p++)
        if (!memcmp(p, word, n))
            return true;
    return false;
}

// The counter's rate is found in the machine's first 10 ms, and whoever sets a timer before waits
// for that, maybe with a lock held: once, so that is not what is asked here.
status __real_rt_init(void);
status __wrap_rt_init(void);
status __wrap_rt_init(void)
{
    time_settle();
    deaf = told_to("probe=deaf");
    wrong = told_to("probe=holds");
    status s = __real_rt_init();
    real_look_up = look_up_hook;
    look_up_hook = looks_up;
    return s;
}

__attribute__((noreturn)) void __real_plat_exit(int code);
__attribute__((noreturn)) void __wrap_plat_exit(int code);
void __wrap_plat_exit(int code)
{
    print_all("held", held);
    if (tlb_cpus == 1)
        print_all("kept", kept);
    __real_plat_exit(code);
}
