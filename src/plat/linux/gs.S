// SPDX-License-Identifier: MIT
// The GS base through the kernel, for machines where wrgsbase is not allowed (see arch.h: arch_gs_setter). A system
// call keeps every register but rax, rcx and r11.
#include <asm/prctl.h>
#include <asm/unistd.h>

    .text
    .globl linux_set_gs
    .hidden linux_set_gs
    .type linux_set_gs, @function
linux_set_gs: // base in rdi
    push %rdi
    push %rsi
    mov %rdi, %rsi
    mov $ARCH_SET_GS, %edi
    mov $__NR_arch_prctl, %eax
    syscall
    pop %rsi
    pop %rdi
    ret
    .size linux_set_gs, . - linux_set_gs

    .section .note.GNU-stack, "", @progbits
