// SPDX-License-Identifier: MIT
// Calls on threads and their locks, timers, the watchdog, and random bytes.
#include "abi/nebulet_call.h"
#include "arch/arch.h"
#include "base/csprng.h"
#include "kern/word.h"
#include "plat/plat.h"

// --- Threads

SELDOM s64 call_thread_spawn(struct vmctx *vm, struct process *p, const struct call_thread_spawn *a)
{
    (void)vm;
    struct kthread *t;
    status s = handles_reserve(&p->handles, 1);
    if (!s)
        s = thread_new(p, a->function, a->arg, a->stack, &t);
    return s ? s : call_give(p, &t->object, HANDLE_ALL_RIGHTS);
}

s64 call_thread_join(struct vmctx *vm, struct process *p, const struct call_thread_join *a)
{
    (void)vm, (void)p;
    if (a->thread == sched_self())
        return ERR_BAD_STATE;
    kern_acquire();
    s64 result = object_wait(&a->thread->object, NEBULET_ENDED, a->deadline);
    if (result > 0)
        result = a->thread->value;
    kern_release();
    return result;
}

OFTEN s64 call_thread_yield(struct vmctx *vm, struct process *p, const struct call_thread_yield *a)
{
    (void)vm, (void)p, (void)a;
    kern_acquire();
    sched_pass();
    kern_release();
    return OK;
}

s64 call_thread_exit(struct vmctx *vm, struct process *p, const struct call_thread_exit *a)
{
    (void)p;
    sched_self()->exits_alone = true;
    rt_exit(vm, a->value);
}

s64 call_pfex_acquire(struct vmctx *vm, struct process *p, const struct call_pfex_acquire *a)
{
    (void)p;
    return pfex_acquire(vm, a->word);
}

s64 call_pfex_release(struct vmctx *vm, struct process *p, const struct call_pfex_release *a)
{
    (void)p;
    return pfex_release(vm, a->word);
}

// --- Time

s64 call_timer_create(struct vmctx *vm, struct process *p, const struct call_timer_create *a)
{
    (void)vm, (void)a;
    struct timer *t = timer_new();
    return t ? call_give(p, &t->object, HANDLE_ALL_RIGHTS) : ERR_NO_MEMORY;
}

s64 call_timer_set(struct vmctx *vm, struct process *p, const struct call_timer_set *a)
{
    (void)vm, (void)p;
    timer_set(a->timer, a->at, a->period);
    return OK;
}

s64 call_clock_now(struct vmctx *vm, struct process *p, const struct call_clock_now *a)
{
    (void)vm, (void)p;
    switch (a->clock) {
    case NEBULET_MONOTONIC: return (s64)plat_now();
    case NEBULET_REALTIME: return (s64)plat_wall_clock();
    default: return ERR_INVALID_ARG;
    }
}

// --- The watchdog

enum { TICK_MIN = 1000000 }; // ns

static void on_silence(struct alarm *a)
{
    process_stop_locked(container_of(a, struct process, watchdog), NEBULET_WATCHDOG, 0);
}

s64 call_watchdog_setup(struct vmctx *vm, struct process *p, const struct call_watchdog_setup *a)
{
    (void)vm;
    u64 interval = a->tick_interval, now = plat_now();
    if (interval && interval < TICK_MIN)
        return ERR_INVALID_ARG;
    kern_acquire();
    p->watchdog_interval = interval;
    p->watchdog.ring = on_silence;
    alarm_set(&p->watchdog, NULL, interval && now + interval > now ? now + interval : UINT64_MAX);
    kern_release();
    return OK;
}

s64 call_watchdog_alive(struct vmctx *vm, struct process *p, const struct call_watchdog_alive *a)
{
    (void)vm, (void)a;
    if (!p->watchdog_interval)
        return ERR_BAD_STATE;
    u64 now = plat_now(), at = now + p->watchdog_interval;
    kern_acquire();
    alarm_set(&p->watchdog, NULL, at > now ? at : UINT64_MAX);
    kern_release();
    return OK;
}

// --- Random bytes. A request may be for 4 GiB, so it is served in pieces. The hardware's take a
// thousand cycles for each eight of them, the generator's ten instructions for each of them.

enum { PIECE = 4096 };

s64 call_random_fill(struct vmctx *vm, struct process *p, const struct call_random_fill *a)
{
    enum { AT_ONCE = 512 }; // it is slow
    (void)p;
    bool good = true;
    for (u32 done = 0, n; done < a->bytes_size && good; done += n) {
        n = a->bytes_size - done < AT_ONCE ? a->bytes_size - done : AT_ONCE;
        rt_check_interrupt(vm);
        good = arch_random(a->bytes + done, n);
    }
    return good ? OK : ERR_UNAVAILABLE;
}

// One generator for all, seeded at first use and again after a while.
static struct {
    spinlock lock;
    struct csprng random;
    u64 seeded_at;
    bool seeded;
} shared;
#define RESEED_NS 300000000000ull

static status fill(u8 *to, u32 n)
{
    u8 seed[32];
    status s = OK;
    u64 now = plat_now();
    if ((!shared.seeded || now - shared.seeded_at > RESEED_NS) &&
        !(s = plat_entropy(seed, sizeof seed))) {
        csprng_seed(&shared.random, seed);
        shared.seeded = true;
        shared.seeded_at = now;
    }
    if (!shared.seeded)
        return s;
    csprng_fill(&shared.random, to, n);
    return OK;
}

s64 call_cprng_fill(struct vmctx *vm, struct process *p, const struct call_cprng_fill *a)
{
    (void)p;
    status s = OK;
    enum { AT_ONCE = 1024 }; // with the lock held
    u8 *to = a->bytes;
    for (u32 done = 0, n; done < a->bytes_size && !s; done += n) {
        n = a->bytes_size - done < AT_ONCE ? a->bytes_size - done : AT_ONCE;
        if (done % PIECE == 0)
            rt_check_interrupt(vm);
        spin_acquire(&shared.lock);
        s = fill(to + done, n);
        spin_release(&shared.lock);
    }
    return s;
}
