// SPDX-License-Identifier: MIT
// Coroutine switches.
//
// A stack that is switched away from has on top the address to go on at; what lies above is the business of whoever
// goes on there, who finds in rsi where its stack pointer was (for a thread: its struct vm_thread), and may count on no
// other register.

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

// The inner part of arch_switch. Called, so that who comes back does so by a return that the processor has foreseen
// when both have switched at the same place.
func arch_switch_stacks
    mov %rsp, (%rdi)
    mov (%rsi), %rsp
    ret
endfunc arch_switch_stacks

// void *arch_prepare(void *stack_top, void (*entry)(void *), void *argument)
func arch_prepare
    and $-16, %rdi
    lea start(%rip), %rax
    mov %rdx, -8(%rdi)
    mov %rsi, -16(%rdi)
    mov %rax, -24(%rdi)
    lea -24(%rdi), %rax
    ret
endfunc arch_prepare

// The first instructions on a fresh stack.
func start
    .cfi_undefined rip
    xor %ebp, %ebp // the end of the chain for debuggers
    pop %rax
    pop %rdi
    call *%rax
    ud2
endfunc start

    .section .note.GNU-stack, "", @progbits
