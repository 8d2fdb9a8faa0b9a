// SPDX-License-Identifier: MIT
// Coroutine switches and the GS base.
//
// A stack that is switched away from holds, from its stack pointer up: r15 r14 r13 r12 rbx rbp and the address to go on
// at. The floating-point control words are the same everywhere, so nothing else needs saving: the switch is a function
// call, and a function call gives up all other registers.

    .macro func name
    .globl \name
    .hidden \name
    .type \name, @function
    .p2align 4
\name:
    .cfi_startproc
    .endm

    .macro endfunc name
    .cfi_endproc
    .size \name, . - \name
    .endm

    .text

// void arch_switch(void **save, void *to)
func arch_switch
    push %rbp
    push %rbx
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbx
    pop %rbp
    ret
endfunc arch_switch

// void *arch_prepare(void *stack_top, void (*entry)(void *), void *argument)
func arch_prepare
    and $-16, %rdi
    lea start(%rip), %rax
    mov %rax, -8(%rdi)
    movq $0, -16(%rdi)   // rbp: the end of the chain for debuggers
    mov %rsi, -24(%rdi)  // rbx
    mov %rdx, -32(%rdi)  // r12
    movq $0, -40(%rdi)
    movq $0, -48(%rdi)
    movq $0, -56(%rdi)
    lea -56(%rdi), %rax
    ret
endfunc arch_prepare

// The first instructions on a fresh stack.
func start
    .cfi_undefined rip
    mov %r12, %rdi
    call *%rbx
    ud2
endfunc start

// void arch_set_gs(u64 base)
func arch_set_gs
    mov arch_gs_setter(%rip), %rax
    test %rax, %rax
    jnz 1f
    wrgsbase %rdi
    ret
1:  jmp *%rax
endfunc arch_set_gs

    .section .note.GNU-stack, "", @progbits
