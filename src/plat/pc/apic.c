// SPDX-License-Identifier: MIT
// The local interrupt controller of a CPU, through memory or, where CPUID offers it, through MSRs;
// and the lines of the machine's controller, which all lead to CPU 0.
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"
#include "plat/pc/apic.h"
#include "plat/pc/iommu.h"

enum { MASTER_MASK = 0x21, SLAVE_MASK = 0xa1 };
#define APIC_ADDRESS 0xfee00000ull
#define IOAPIC_ADDRESS 0xfec00000ull

static bool x2apic;

u32 apic_read(u32 offset)
{
    return x2apic ? (u32)rdmsr(MSR_X2APIC + offset / 16) : *(volatile u32 *)(APIC_ADDRESS + offset);
}

void apic_write(u32 offset, u32 value)
{
    if (x2apic)
        wrmsr(MSR_X2APIC + offset / 16, value);
    else
        *(volatile u32 *)(APIC_ADDRESS + offset) = value;
}

bool apic_is_wide(void)
{
    return x2apic;
}

void apic_end(void)
{
    apic_write(APIC_EOI, 0);
}

u32 apic_id(void)
{
    return x2apic ? apic_read(APIC_ID) : apic_read(APIC_ID) >> 24;
}

void apic_send(u32 to, u32 command)
{
    if (x2apic) {
        __asm__ volatile("mfence; lfence" ::: "memory"); // SDM 3A 11.12.3: nothing waits for an MSR
        wrmsr(MSR_X2APIC + APIC_COMMAND / 16, (u64)to << 32 | command);
        return;
    }
    u64 flags = interrupts_save();
    apic_write(APIC_COMMAND_TO, to << 24);
    apic_write(APIC_COMMAND, command);
    while (apic_read(APIC_COMMAND) & APIC_PENDING)
        cpu_pause();
    interrupts_restore(flags);
}

void apic_init_cpu(void)
{
    u64 base = rdmsr(MSR_APIC_BASE) | 1 << 11;
    if (x2apic)
        base |= 1 << 10;
    wrmsr(MSR_APIC_BASE, base);
    apic_write(APIC_SPURIOUS, 0x100 | VECTOR_SPURIOUS);
    apic_write(APIC_TIMER, APIC_MASKED);
}

void apic_init(void)
{
    out8(MASTER_MASK, 0xff); // the old controllers: their vectors are the exceptions'
    out8(SLAVE_MASK, 0xff);
    x2apic = cpuid(1, 0).c >> 21 & 1;
    direct_map_device(APIC_ADDRESS, PLAT_PAGE);
    direct_map_device(IOAPIC_ADDRESS, PLAT_PAGE);
    apic_init_cpu();
}

// Interrupts come here, too.
static u32 ioapic(u32 index, const u32 *value)
{
    static u32 lock;
    volatile u32 *select = (volatile u32 *)IOAPIC_ADDRESS, *window = select + 4;
    u64 flags = interrupts_save();
    spin_lock(&lock);
    *select = index;
    if (value)
        *window = *value;
    u32 now = value ? 0 : *window;
    spin_unlock(&lock);
    interrupts_restore(flags);
    return now;
}

void apic_mask(u32 input, u32 how)
{
    ioapic(0x10 + 2 * input, &how);
}

void apic_route(u32 input, u32 how)
{
    u32 to = cpu0.apic_id << 24, vector = how & 255;
    if (iommu_on()) {
        iommu_lead(vector, iommu_inputs(), how & ROUTE_LEVEL);
        to = IOMMU_ROUTE | vector << IOMMU_ROUTE_SHIFT;
    }
    ioapic(0x11 + 2 * input, &to);
    apic_mask(input, how);
}

u32 apic_inputs(void)
{
    return (ioapic(1, NULL) >> 16 & 255) + 1;
}
