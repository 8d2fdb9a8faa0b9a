// SPDX-License-Identifier: MIT
// The instructions that C has no words for, and the numbers of the x86-64 manuals that go with
// them. Names and numbers are those of the Intel SDM; volumes 3A (system) and 4 (MSRs).
#pragma once
#include "base/probe.h"
#include "base/types.h"

// Page table entries (SDM 3A 4.5). Of the bits that the CPU ignores, 52 to 61 of an entry that
// points to a table count the entries in use there (tables.c).
#define PTE_PRESENT (1ull << 0)
#define PTE_WRITE (1ull << 1)
#define PTE_UNCACHED (1ull << 4)
#define PTE_DIRTY (1ull << 6)
#define PTE_LARGE (1ull << 7)
#define PTE_SHARED (1ull << 9) // ignored by the CPU: of an image (image.c)
#define PTE_SPLIT (1ull << 10) // likewise: a table in place of a large page (tables.c)
#define PTE_NX (1ull << 63)
#define PTE_ADDRESS 0x000ffffffffff000ull

#define FLAG_IF (1ull << 9)
#define CR4_MCE (1ull << 6)
#define CR4_UMIP (1ull << 11)
#define CR4_OSXSAVE (1ull << 18)
#define CR4_SMEP (1ull << 20)
#define CR4_SMAP (1ull << 21)

enum msr {
    MSR_APIC_BASE = 0x1b,
    MSR_TSC_DEADLINE = 0x6e0,
    MSR_X2APIC = 0x800, // + offset / 16
    MSR_FS_BASE = 0xc0000100,
    MSR_GS_BASE = 0xc0000101,
};

struct cpuid {
    u32 a, b, c, d;
};

static inline struct cpuid cpuid(u32 leaf, u32 sub)
{
    struct cpuid r;
    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(sub));
    return r;
}

static inline u64 rdtsc(void)
{
    u32 low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return low | (u64)high << 32;
}

static inline u64 rdmsr(u32 msr)
{
    u32 low, high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return low | (u64)high << 32;
}

static inline void wrmsr(u32 msr, u64 v)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

static inline u8 in8(u16 port)
{
    u8 v;
    __asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline u16 in16(u16 port)
{
    u16 v;
    __asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline u32 in32(u16 port)
{
    u32 v;
    __asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
    return v;
}

static inline void out8(u16 port, u8 v)
{
    __asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static inline void out16(u16 port, u16 v)
{
    __asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}

static inline void out32(u16 port, u32 v)
{
    __asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

static inline u64 read_cr2(void)
{
    u64 v;
    __asm__ volatile("mov %%cr2, %0" : "=r"(v));
    return v;
}

static inline u64 read_cr3(void)
{
    u64 v;
    __asm__ volatile("mov %%cr3, %0" : "=r"(v));
    return v;
}

static inline void write_cr3(u64 v)
{
    __asm__ volatile("mov %0, %%cr3" : : "r"(v) : "memory");
}

static inline u64 read_cr4(void)
{
    u64 v;
    __asm__ volatile("mov %%cr4, %0" : "=r"(v));
    return v;
}

static inline void write_cr4(u64 v)
{
    __asm__ volatile("mov %0, %%cr4" : : "r"(v) : "memory");
}

static inline void invlpg(u64 address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static inline void cpu_pause(void)
{
    __asm__ volatile("pause");
}

static inline void interrupts_off(void)
{
    __asm__ volatile("cli" ::: "memory");
}

static inline void interrupts_on(void)
{
    __asm__ volatile("sti" ::: "memory");
}

// Off, and then as they were.
static inline u64 interrupts_save(void)
{
    u64 flags = __builtin_ia32_readeflags_u64();
    interrupts_off();
    return flags;
}

static inline void interrupts_restore(u64 flags)
{
    if (flags & FLAG_IF)
        interrupts_on();
}

// Sleeps until an interrupt. None can get lost in between: sti takes effect after the next
// instruction.
static inline void interrupts_on_and_halt(void)
{
    __asm__ volatile("sti; hlt" ::: "memory");
}

void spin_wait(const u32 *lock); // tlb.c

// A lock for a few instructions. Never taken by what may interrupt its holder.
static inline void spin_lock(u32 *lock)
{
    while (unlikely(__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE)))
        spin_wait(lock);
    probe_taken(lock);
}

// So much of the stack is there: to come no deeper causes no page fault.
#define stack_reach(bytes) __asm__ volatile("testb $0, -%c0(%%rsp)" : : "i"(bytes) : "memory", "cc")

// The same for the two locks that page faults take: their holder must not touch a part of its stack
// that is not there yet. Who holds the one of the pages needs less than this; who holds that of the
// tables needs as little, and may take the one of the pages from there.
enum { PAGES_REACH = 1024, TABLES_REACH = 2 * PAGES_REACH };
#define spin_lock_deep(lock, reach)                                                                \
    ({                                                                                             \
        stack_reach(reach);                                                                        \
        spin_lock(lock);                                                                           \
        probe_deep(lock);                                                                          \
    })

static inline void spin_unlock(u32 *lock)
{
    probe_given(lock);
    __atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}
