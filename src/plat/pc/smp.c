// SPDX-License-Identifier: MIT
// The other CPUs. All of them are started at once by a broadcast and come through the trampoline
// one by one, each with the stack and the record that was laid out for it; then they sleep until
// somebody gives them something to do (plat_cpu_start).
#include "base/heap.h"
#include "base/lock.h"
#include "plat/pc/acpi.h"
#include "plat/pc/apic.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

enum { FW_SELECTOR = 0x510, FW_DATA = 0x511, FW_SIGNATURE = 0, FW_CPUS = 5 };
enum { GUARD = 65536 };
#define WAIT_NS                                                                                    \
    3000000000ull // the host of a machine may be busy, and one that does not come is rare

extern const u8 trampoline[], trampoline_end[];
extern u64 ap_stack, ap_cpu;
extern u32 ap_lock;
__attribute__((noreturn)) void smp_entered(struct cpu *c);

static struct cpu *cpus[CPUS_MAX] = {&cpu0}; // below `online` they never change
static u32 online = 1;

// QEMU tells what it was given; others have ACPI.
static u32 count_cpus(void)
{
    static const char qemu[] = "QEMU";
    u32 same = 0;
    out16(FW_SELECTOR, FW_SIGNATURE);
    while (same < 4 && in8(FW_DATA) == (u8)qemu[same])
        same++;
    if (same == 4) {
        out16(FW_SELECTOR, FW_CPUS);
        u32 low = in8(FW_DATA);
        return low | (u32)in8(FW_DATA) << 8;
    }
    return acpi_cpu_count();
}

static bool prepare(u32 id)
{
    enum { SIZE = STACK_SIZE + CPU_STACKS };
    struct cpu *c = heap_zalloc(sizeof *c);
    u8 *all = plat_reserve(GUARD + SIZE);
    if (!c || !all || plat_commit(all += GUARD, SIZE))
        return false;
    // A reservation fills by faults, which a CPU without a fault stack cannot take; and what lies
    // here stays, so it must not count as left behind by the program that first goes that deep.
    for (u32 i = 0; i < SIZE; i += PLAT_PAGE)
        ((volatile u8 *)all)[i] = 0;
    c->id = id;
    c->timer_at = UINT64_MAX;
    c->clock = CPU_ASLEEP;
    c->argument = all + STACK_SIZE;
    cpus[id] = c;
    ap_cpu = (u64)c;
    ap_stack = (u64)c->argument;
    return true;
}

// A start command that reaches a CPU before it has finished its reset is lost, and one to a CPU
// that runs does nothing: so it is repeated every millisecond. A CPU that has come in takes what is
// prepared, and leaves the lock closed.
static bool wait_for(struct cpu *c)
{
    u64 start = plat_now(), next = start;
    __atomic_store_n(&ap_lock, 0, __ATOMIC_RELEASE);
    while (!__atomic_load_n(&c->online, __ATOMIC_ACQUIRE)) {
        u64 now = plat_now();
        if (now - start > WAIT_NS)
            return false;
        if (now >= next) {
            apic_send(0, APIC_START_ALL | AP_TRAMPOLINE / PLAT_PAGE);
            next = now + 1000000;
        }
        cpu_pause();
    }
    return true;
}

static void reset_all(void)
{
    direct_map(AP_TRAMPOLINE, PLAT_PAGE);
    memcpy((void *)AP_TRAMPOLINE, trampoline, (size_t)(trampoline_end - trampoline));
    table_protect(AP_TRAMPOLINE, PTE_PRESENT); // to be run, never to be written again
    ap_lock = 1;
    apic_send(0, APIC_INIT_ALL);
}

void smp_init(void)
{
    u32 n = count_cpus();
    if (n > CPUS_MAX)
        n = CPUS_MAX;
    if (n > 1)
        reset_all();
    while (online < n && prepare(online) && wait_for(cpus[online]))
        online++;
}

void smp_halt(struct cpu *c)
{
    __atomic_exchange_n(&c->idle, true, __ATOMIC_SEQ_CST);
    if (!c->kicked)
        interrupts_on_and_halt();
    interrupts_off();
    tlb_wake(c);
}

// Not plat_wait: the time may not be known here yet.
static void sleep(struct cpu *c)
{
    interrupts_off();
    smp_halt(c);
    c->kicked = false;
    interrupts_on();
}

// From before it ran, it may know anything of the page tables.
static void enter(struct cpu *c, void (*entry)(void *))
{
    write_cr3(read_cr3());
    c->clock = plat_now() - (c->clock & ~CPU_ASLEEP);
    entry(c->argument);
    c->clock = (plat_now() - c->clock) | CPU_ASLEEP;
}

void smp_entered(struct cpu *c)
{
    u8 *stacks = c->argument;
    cpu_setup(c, stacks);
    apic_init_cpu();
    c->apic_id = apic_id();
    __atomic_store_n(&c->online, true, __ATOMIC_RELEASE);
    for (;;) {
        sleep(c);
        void (*entry)(void *) = __atomic_load_n(&c->entry, __ATOMIC_ACQUIRE);
        if (entry)
            enter(c, entry);
        __atomic_store_n(&c->entry, NULL, __ATOMIC_RELEASE);
    }
}

struct cpu *smp_cpu(u32 id)
{
    return cpus[id];
}

// Other CPUs come into pc_panic by a non-maskable interrupt, and so here, where they stay.
void smp_end(void)
{
    static u32 ending; // a CPU's number + 1
    u32 first = 0, us = plat_cpu_id() + 1;
    interrupts_off();
    if (!__atomic_compare_exchange_n(&ending, &first, us, false, __ATOMIC_SEQ_CST,
                                     __ATOMIC_SEQ_CST)) {
        while (first != us)
            __asm__ volatile("hlt");
        return;
    }
    if (online > 1)
        apic_send(0, APIC_NMI_ALL);
}

void spinlock_wait(const spinlock *l)
{
    while (__atomic_load_n(&l->held, __ATOMIC_RELAXED))
        cpu_pause();
}

u32 plat_cpu_count(void)
{
    return online;
}

u32 plat_cpu_id(void)
{
    return this_cpu()->id;
}

status plat_cpu_start(u32 cpu, void (*entry)(void *), void *argument)
{
    if (cpu == 0 || cpu >= online || cpus[cpu]->entry)
        return ERR_INVALID_ARG;
    time_settle();
    cpus[cpu]->argument = argument;
    if (!cpus[cpu]->runs)
        __atomic_fetch_add(&tlb_cpus, 1, __ATOMIC_RELAXED);
    __atomic_store_n(&cpus[cpu]->runs, true, __ATOMIC_SEQ_CST);
    __atomic_store_n(&cpus[cpu]->entry, entry, __ATOMIC_RELEASE);
    plat_cpu_kick(cpu);
    return OK;
}

void plat_cpu_kick(u32 cpu)
{
    if (cpu < online)
        apic_send(cpus[cpu]->apic_id, VECTOR_KICK);
}
