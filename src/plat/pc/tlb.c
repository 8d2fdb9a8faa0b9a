// SPDX-License-Identifier: MIT
// What other CPUs remember of the page tables.
//
// An entry that was taken out of a table may live on in the TLB of every CPU that has used it. So
// before its page, its table or its address serve anything else, those CPUs must forget it: whoever
// unmaps asks them by interrupt, and waits until all have done it. A CPU that spins with interrupts
// off, as page faults do, answers from its loop (spin_wait), so the one that asks may hold locks.
// Requests have numbers and no lock: who waits for answers gives its own meanwhile, so two CPUs
// that ask each other wait for one turn of the other, however seldom the machine below lets them
// run. A CPU that halts is let sleep: it answers when it wakes, before it touches anything. It may
// still read ahead, and write to tables that are no tables any more (SDM 3A 4.10.2.2), so when
// tables go it is woken.
//
// CPUs that have never run core code know nothing that is ever unmapped; as long as there is only
// one that has, nothing of this happens.
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

u32 tlb_cpus = 1;

// Interrupts are off. A request that comes while this works on the one before stays open.
void tlb_answer(void)
{
    struct cpu *c = this_cpu();
    u64 number = __atomic_load_n(&c->flush_asked, __ATOMIC_ACQUIRE);
    if (number == c->flush_done)
        return;
    write_cr3(read_cr3());
    __atomic_store_n(&c->flush_done, number, __ATOMIC_RELEASE);
}

// Both sides write one flag, then read the other: at least one of them sees what the other wrote.
void tlb_wake(struct cpu *c)
{
    __atomic_exchange_n(&c->idle, false, __ATOMIC_SEQ_CST);
    tlb_answer();
}

static void answer_between(void)
{
    u64 flags = interrupts_save();
    tlb_answer();
    interrupts_restore(flags);
    cpu_pause();
}

void spin_wait(const u32 *busy)
{
    while (__atomic_load_n(busy, __ATOMIC_RELAXED))
        answer_between();
}

static bool asked(const struct cpu *c)
{
    return c != this_cpu() && __atomic_load_n(&c->runs, __ATOMIC_ACQUIRE);
}

static bool owes_answer(const struct cpu *c, u64 number, bool tables)
{
    return asked(c) && __atomic_load_n(&c->flush_done, __ATOMIC_ACQUIRE) < number &&
           (tables || !__atomic_load_n(&c->idle, __ATOMIC_SEQ_CST));
}

// Who waits does so for the number of its own request: whoever has asked since may not have sent
// the interrupt yet, and be kept from it by who waits here.
void tlb_flush_others(bool tables)
{
    u32 n = plat_cpu_count();
    u64 numbers[CPUS_MAX] = {0};
    for (u32 i = 0; i < n; i++)
        if (asked(smp_cpu(i)))
            numbers[i] = __atomic_add_fetch(&smp_cpu(i)->flush_asked, 1, __ATOMIC_SEQ_CST);
    for (u32 i = 0; i < n; i++)
        if (owes_answer(smp_cpu(i), numbers[i], tables))
            apic_send(smp_cpu(i)->apic_id, VECTOR_FLUSH);
    for (u32 i = 0; i < n; i++)
        while (owes_answer(smp_cpu(i), numbers[i], tables))
            answer_between();
}
