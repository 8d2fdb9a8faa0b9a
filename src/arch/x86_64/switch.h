// SPDX-License-Identifier: MIT
// What of arch.h is in line; the rest is in switch.S and enter.S.
#pragma once

// Code with a frame pointer cannot give that up, so it is kept here. The floating-point control
// words are the same everywhere.
static inline __attribute__((always_inline)) void arch_switch(void **save, void **to)
{
    __asm__ volatile("push %%rbp\n\t"
                     "call arch_switch_stacks\n\t"
                     "pop %%rbp"
                     : "+D"(save), "+S"(to)
                     :
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
                       "memory", "cc");
}

#define ARCH_KEPT 6
static inline __attribute__((always_inline)) void arch_kept(u64 *out)
{
    __asm__ volatile("mov %%rbx, (%0)\n\t"
                     "mov %%rbp, 8(%0)\n\t"
                     "mov %%r12, 16(%0)\n\t"
                     "mov %%r13, 24(%0)\n\t"
                     "mov %%r14, 32(%0)\n\t"
                     "mov %%r15, 40(%0)"
                     :
                     : "r"(out)
                     : "memory");
}
