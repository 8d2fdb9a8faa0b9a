// SPDX-License-Identifier: MIT
// Time, and the timer of each CPU.
//
// Time is the time stamp counter, whose rate CPUID may tell. Where it does not, it is measured
// against the APIC's timer, which counts at 1 GHz under every hypervisor that we know, but without
// waiting: from the start the timer counts down, and is our clock; once ten milliseconds have gone
// by, whoever asks for the time takes the ratio of the two, and from then on the counter tells it.
// Until then only CPU 0 may ask.
#include "plat/pc/apic.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

enum { DIVIDE_BY_16 = 3, TICK_NS = 16, BASE_NS = 10000000, SHIFT = 32 };

static struct {
    u64 tsc, ns;   // the counter and the time at one moment
    u64 rate;      // ns a tick of the counter, << SHIFT; 0: not known yet
    u64 wall;      // real time at time 0; 0: not read yet
    bool deadline; // the timer can compare with the counter
} time;

static u64 waiting; // CPUs in plat_wait, a bit each

static u64 scale(u64 n, u64 rate)
{
    return (u64)((unsigned __int128)n * rate >> SHIFT);
}

// n / by << SHIFT
static u64 ratio(u64 n, u64 by)
{
    u64 high = n >> (64 - SHIFT), low = n << SHIFT;
    if (high >= by)
        return UINT64_MAX;
    __asm__("divq %2" : "+a"(low), "+d"(high) : "r"(by) : "cc");
    return low;
}

// From CPUID: the crystal and the ratio, or what the hypervisor says; 0: neither.
static u64 counter_hz(void)
{
    struct cpuid top = cpuid(0, 0), r;
    if (top.a >= 0x15 && (r = cpuid(0x15, 0)).a && r.b && r.c)
        return (u64)r.c * r.b / r.a;
    if (cpuid(1, 0).c >> 31 && (top = cpuid(0x40000000, 0)).a >= 0x40000010 && top.a < 0x40010000)
        return (u64)cpuid(0x40000010, 0).a * 1000;
    return 0;
}

static void start_counting(void)
{
    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_16);
    apic_write(APIC_TIMER, APIC_MASKED);
    apic_write(APIC_TIMER_START, UINT32_MAX);
    time.tsc = rdtsc();
}

static u64 counted(void)
{
    return (u64)(UINT32_MAX - apic_read(APIC_TIMER_NOW)) * TICK_NS;
}

void time_init(void)
{
    u64 hz = counter_hz();
    time.deadline = cpuid(1, 0).c >> 24 & 1;
    if (hz)
        time.rate = ratio(1000000000, hz);
    start_counting();
}

// The time by the APIC's timer, which also ends the measurement when it is long enough.
static u64 measure(void)
{
    if (!time.tsc)
        return 0; // who panics before time_init is to be heard
    u64 ns = counted(), tsc = rdtsc();
    if (ns >= BASE_NS) {
        time.rate = ratio(ns, tsc - time.tsc);
        time.ns += ns;
        time.tsc = tsc;
        return time.ns;
    }
    return time.ns + ns;
}

u64 plat_now(void)
{
    if (likely(time.rate))
        return time.ns + scale(rdtsc() - time.tsc, time.rate);
    return measure();
}

u64 plat_cpu_time(void)
{
    u64 sum = 0;
    for (u32 i = 0; i < plat_cpu_count(); i++) {
        u64 clock = __atomic_load_n(&smp_cpu(i)->clock, __ATOMIC_RELAXED);
        sum += clock & CPU_ASLEEP ? clock & ~CPU_ASLEEP : plat_now() - clock;
    }
    return sum;
}

u64 plat_wall_clock(void)
{
    static u32 lock;
    if (unlikely(!__atomic_load_n(&time.wall, __ATOMIC_RELAXED))) {
        spin_lock(&lock);
        u64 real = time.wall ? 0 : rtc_read();
        if (real)
            __atomic_store_n(&time.wall, real - plat_now(), __ATOMIC_RELAXED);
        spin_unlock(&lock);
    }
    return time.wall + plat_now();
}

// --- The timer

void time_settle(void)
{
    while (!time.rate) {
        measure();
        cpu_pause();
    }
}

static void arm(u64 at)
{
    u64 now = at == UINT64_MAX ? 0 : plat_now(), left = at > now ? at - now : 1;
    if (at == UINT64_MAX) {
        apic_write(APIC_TIMER, APIC_MASKED);
        return;
    }
    if (time.deadline) {
        u64 ticks = ratio(left, time.rate);
        apic_write(APIC_TIMER, APIC_DEADLINE | VECTOR_TIMER);
        __asm__ volatile("mfence" ::: "memory"); // SDM 3A 11.5.4.1
        wrmsr(MSR_TSC_DEADLINE, rdtsc() + ticks);
        return;
    }
    u64 ticks = left / TICK_NS + 1;
    apic_write(APIC_TIMER_DIVIDE, DIVIDE_BY_16);
    apic_write(APIC_TIMER, VECTOR_TIMER);
    apic_write(APIC_TIMER_START, ticks < UINT32_MAX ? (u32)ticks : UINT32_MAX);
}

// The interrupt may be a late one, of an earlier request, or one that plat_wait has asked for.
void time_ran_out(void)
{
    struct cpu *c = this_cpu();
    if (c->timer_at > plat_now())
        arm(c->timer_at);
    else
        c->timer_at = UINT64_MAX;
}

u64 time_ticks;

void time_stress_now(void)
{
    u64 next = plat_now() + time_ticks;
    if (next < this_cpu()->timer_at)
        arm(next);
}

void time_tick(u64 ns)
{
    time_settle();
    time_ticks = ns;
    interrupts_off();
    time_stress();
    interrupts_on();
}

void plat_timer(u64 at)
{
    struct cpu *c = this_cpu();
    if (at == c->timer_at)
        return;
    if (at != UINT64_MAX)
        time_settle();
    u64 flags = interrupts_save();
    c->timer_at = at;
    arm(at);
    time_stress();
    interrupts_restore(flags);
}

void time_wake_one(void)
{
    u64 w = __atomic_load_n(&waiting, __ATOMIC_SEQ_CST);
    if (w && !(w >> this_cpu()->id & 1))
        plat_cpu_kick((u32)__builtin_ctzll(w));
}

// The CPU's clock stands still.
static void rest(struct cpu *c)
{
    u64 ran = plat_now() - c->clock;
    __atomic_store_n(&c->clock, ran | CPU_ASLEEP, __ATOMIC_RELAXED);
    smp_halt(c);
    __atomic_store_n(&c->clock, plat_now() - ran, __ATOMIC_RELAXED);
}

// Interrupts are off from the question to the sleep, so that none that matters comes between; one
// that matters to page tables only (tlb.c) does not end it. Input interrupts one CPU only, which
// wakes those that have said before they look that they wait.
void plat_wait(u64 until)
{
    struct cpu *c = this_cpu();
    if (console_deliver())
        return;
    if (until != UINT64_MAX)
        time_settle();
    interrupts_off();
    __atomic_or_fetch(&waiting, 1ull << c->id, __ATOMIC_SEQ_CST);
    while (!c->kicked && until > plat_now() && !console_pending()) {
        bool sooner = until < c->timer_at;
        if (sooner)
            arm(until);
        rest(c);
        if (sooner)
            arm(c->timer_at);
        time_stress();
    }
    __atomic_and_fetch(&waiting, ~(1ull << c->id), __ATOMIC_SEQ_CST);
    // Before whoever has waited looks for work.
    __atomic_exchange_n(&c->kicked, false, __ATOMIC_SEQ_CST);
    interrupts_on();
    console_deliver();
}
