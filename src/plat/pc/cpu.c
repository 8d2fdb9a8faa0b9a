// SPDX-License-Identifier: MIT
// What a CPU needs to run C and compiled code: descriptor tables, stacks for faults, and the
// features that CPUID says it has.
//
// Each CPU has a GDT and a TSS of its own in struct cpu, which FS points to. The IDT is shared. No
// vector runs on the stack that it interrupts.
#include "arch/arch.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

struct gate {
    u16 offset_low, selector;
    u8 ist, type;
    u16 offset_middle;
    u32 offset_high, reserved;
};
_Static_assert(sizeof(struct gate) == 16, "SDM 3A 6.14.1");

struct table_pointer {
    u16 limit;
    u64 base;
} __attribute__((packed));

struct cpu cpu0 = {.timer_at = UINT64_MAX, .runs = true};
static struct gate idt[VECTORS];
extern const u64 gdt[6];

static u8 ist_of(u32 vector)
{
    switch (vector) {
    case VECTOR_DOUBLE: return IST_DOUBLE;
    case VECTOR_NMI:
    case VECTOR_MACHINE: return IST_MACHINE;
    default: return vector < VECTOR_TIMER ? IST_FAULT : IST_INTERRUPT;
    }
}

void cpu_gate(u32 vector)
{
    u64 to = (u64)vectors + vector * VECTOR_SIZE;
    idt[vector] = (struct gate){
        .offset_low = (u16)to,
        .selector = SELECTOR_CODE,
        .ist = ist_of(vector),
        .type = 0x8e, // interrupt gate: interrupts off
        .offset_middle = (u16)(to >> 16),
        .offset_high = (u32)(to >> 32),
    };
}

static void make_idt(void)
{
    for (u32 i = 0; i < VECTOR_DEVICE; i++)
        cpu_gate(i);
    cpu_gate(VECTOR_SPURIOUS);
}

static void load_tables(struct cpu *c)
{
    u64 tss = (u64)&c->tss;
    memcpy(c->gdt, gdt, sizeof c->gdt);
    c->gdt[SELECTOR_TSS / 8] =
        (sizeof c->tss - 1) | (tss & 0xffffff) << 16 | 0x89ull << 40 | (tss >> 24 & 0xff) << 56;
    c->gdt[SELECTOR_TSS / 8 + 1] = tss >> 32;
    struct table_pointer g = {sizeof c->gdt - 1, (u64)c->gdt}, i = {sizeof idt - 1, (u64)idt};
    __asm__ volatile("lgdt %0; lidt %1; ltr %w2" : : "m"(g), "m"(i), "r"(SELECTOR_TSS) : "memory");
}

bool page_clear_wide;

// Writing a bit that the CPU does not know would fault.
static void enable_features(void)
{
    struct cpuid one = cpuid(1, 0), seven = {0};
    u64 cr4 = read_cr4();
    if (cpuid(0, 0).a >= 7)
        seven = cpuid(7, 0);
    if (!(one.c >> 20 & 1) || !(one.c >> 23 & 1))
        pc_panic(NULL, "this CPU is too old: SSE4.2 and POPCNT are needed");
    cr4 |= one.d >> 7 & 1 ? CR4_MCE : 0; // otherwise a machine check is a shutdown without a word
    cr4 |= seven.b >> 7 & 1 ? CR4_SMEP : 0;
    cr4 |= seven.b >> 20 & 1 ? CR4_SMAP : 0;
    cr4 |= seven.c >> 2 & 1 ? CR4_UMIP : 0;
    cr4 |= one.c >> 26 & 1 ? CR4_OSXSAVE : 0;
    write_cr4(cr4);
    if (cr4 & CR4_OSXSAVE) { // x87, SSE and, where there is any, AVX state
        u32 state = 3 | (one.c >> 28 & 1 ? 4 : 0);
        page_clear_wide = state & 4;
        __asm__ volatile("xsetbv" : : "c"(0), "a"(state), "d"(0));
    }
}

void cpu_setup(struct cpu *c, u8 *stacks)
{
    static const u32 mxcsr = 0x1f80; // no exceptions, nearest
    if (!idt[0].selector)
        make_idt();
    c->self = c;
    c->tss.ist[IST_FAULT - 1] = (u64)(stacks += HOOK_STACK_SIZE);
    c->tss.ist[IST_INTERRUPT - 1] = (u64)(stacks += HOOK_STACK_SIZE);
    c->tss.ist[IST_DOUBLE - 1] = (u64)(stacks += IST_STACK_SIZE);
    c->tss.ist[IST_MACHINE - 1] = (u64)(stacks += IST_STACK_SIZE);
    c->nested_stack = (u64)(stacks += IST_STACK_SIZE);
    c->tss.io_map = sizeof c->tss;
    wrmsr(MSR_FS_BASE, (u64)c);
    load_tables(c);
    enable_features();
    __asm__ volatile("fninit; ldmxcsr %0" : : "m"(mxcsr)); // whatever firmware has left
}
