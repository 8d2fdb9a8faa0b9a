// SPDX-License-Identifier: MIT
// For how long locks are held. This is linked to a kernel that calls it whenever a lock is taken
// and before it is given back; when the machine ends it prints, for each place where one is taken,
//
//   probe: held TICKS of the counter at most, COUNT times, taken at ADDRESS, given back at ADDRESS
//
// the longest first. Under QEMU's -icount the counter tells instructions, of all CPUs together. It
// runs where page faults and stubs do, so it keeps to general registers, a little stack, and memory
// that is always there. What it does itself counts for the locks that are held around it.
#include "base/fmt.h"
#include "base/lock.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

enum { LOCKS = 4096, PLACES = 512 };

static struct taken {
    const void *lock, *by;
    u64 since;
} locks[LOCKS];

static struct place {
    const void *taken, *given;
    u64 longest, count;
} places[PLACES];

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

static struct place *of_place(const void *taken)
{
    for (u32 i = slot_of(taken, PLACES), n = 0; n < PLACES; i = (i + 1) % PLACES, n++) {
        const void *none = NULL;
        if (places[i].taken == taken ||
            __atomic_compare_exchange_n(&places[i].taken, &none, taken, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED) ||
            none == taken)
            return &places[i];
    }
    pc_panic(NULL, "too many places");
}

__attribute__((noinline)) void probe_taken(const void *lock)
{
    struct taken *t = of_lock(lock);
    t->by = __builtin_return_address(0);
    t->since = rdtsc();
}

__attribute__((noinline)) void probe_given(const void *lock)
{
    u64 now = rdtsc();
    const struct taken *t = of_lock(lock);
    struct place *p = of_place(t->by);
    p->count++;
    if (now - t->since <= p->longest)
        return;
    p->longest = now - t->since;
    p->given = __builtin_return_address(0);
}

static void print(const struct place *p)
{
    char text[160];
    plat_console_write(text, fmt(text, sizeof text, "probe: held %lu %lu 0x%lx 0x%lx\n",
                                 (unsigned long)p->longest, (unsigned long)p->count,
                                 (unsigned long)p->taken, (unsigned long)p->given));
}

// The counter's rate is found in the machine's first 10 ms, and whoever sets a timer before waits
// for that, maybe with a lock held: once, so that is not what is asked here.
status __real_rt_init(void);
status __wrap_rt_init(void);
status __wrap_rt_init(void)
{
    time_settle();
    return __real_rt_init();
}

__attribute__((noreturn)) void __real_plat_exit(int code);
__attribute__((noreturn)) void __wrap_plat_exit(int code);
void __wrap_plat_exit(int code)
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
        print(&sorted[i]);
    __real_plat_exit(code);
}
