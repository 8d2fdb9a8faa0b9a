// SPDX-License-Identifier: MIT
// The first C code: brings the machine up, in the order in which things need each other, and goes
// on to main/kernel.c. What is not needed before the first program runs is not done here.
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

__attribute__((noreturn)) void pc_start(u64 info);

extern const u64 boot_stamp;
extern u8 boot_stack_guard[];
static u8 stacks[CPU_STACKS] WHOLE_PAGES;

// A stack that is used up must not run into what lies below it.
static void guard_stacks(void)
{
    table_protect((u64)boot_stack_guard, 0);
    table_protect((u64)stacks, 0);
    table_protect((u64)stacks + HOOK_STACK_SIZE, 0);
}

void pc_start(u64 info)
{
    serial_init();
    cpu_setup(&cpu0, stacks);
    guard_stacks();
    boot.entry_tsc = boot_stamp;
    boot_read(info);
    u64 top = boot_each_free(pages_add);
    pages_init(top);
    boot.paging_tsc = rdtsc();
    apic_init();
    cpu0.apic_id = apic_id();
    time_init();
    apic_route(SERIAL_INPUT, VECTOR_SERIAL);
    interrupts_on();
    smp_init();
    kernel_main();
}

// --- Parts of the machine contract that mean nothing here

void plat_stack_leave(struct plat_stack *own, const struct plat_stack *to)
{
    (void)own, (void)to;
}

void plat_stack_enter(struct plat_stack *own, struct plat_stack *from)
{
    (void)own, (void)from;
}

void plat_stack_dropped(void *low, size_t size)
{
    (void)low, (void)size;
}
