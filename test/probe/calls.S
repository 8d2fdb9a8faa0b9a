// SPDX-License-Identifier: MIT
// The ways from guests to C and back, for test/probe/probe.c, which is told of each. The linker puts these functions in
// the place of those that they are named after (--wrap).
#include "arch/x86_64/offsets.h"

    .text

// Calls the function in r10 for a guest: with its arguments in registers by any convention, and its result in rax and rdx.
    .globl probe_call
probe_call:
    .irp r, rdi, rsi, rdx, rcx, r8, r9, r10
    push %\r
    .endr
    mov %r10, %rdi
    call probe_enters
    mov %rax, %r11
    .irp r, r10, r9, r8, rcx, rdx, rsi, rdi
    pop %\r
    .endr
    push %r11 // what probe_leaves wants
    call *%r10
    pop %rdi
    push %rax
    push %rdx
    sub $8, %rsp
    call probe_leaves
    add $8, %rsp
    pop %rdx
    pop %rax
    ret

// What host functions are registered as: each calls the one that has its place in probe_hosts.
    .p2align 4
    .globl probe_host
probe_host:
    .set n, 0
    .rept 1 << PROBE_HOST_BITS
    .p2align 4
    mov $n, %r10d
    jmp 1f
    .set n, n + 1
    .endr
1:  mov probe_hosts(, %r10, 8), %r10
    jmp probe_call

    .macro wrap function
    .globl __wrap_\function
__wrap_\function:
    lea __real_\function(%rip), %r10
    jmp probe_call
    .endm
    .irp f, rt_memory_grow, rt_memory_copy, rt_memory_fill, rt_memory_init, rt_data_drop, rt_table_get, rt_table_set
    wrap \f
    .endr
    .irp f, rt_table_grow, rt_table_fill, rt_table_copy, rt_table_init, rt_elem_drop
    wrap \f
    .endr
    .irp f, rt_struct_new, rt_array_new, rt_array_new_of, rt_array_new_data, rt_array_new_elem, rt_exception_new
    wrap \f
    .endr
    .irp f, rt_array_fill, rt_array_copy, rt_array_init_data, rt_array_init_elem
    wrap \f
    .endr
    .irp f, rt_atomic_wait32, rt_atomic_wait64, rt_atomic_notify, rt_poll, rt_preempted, rt_passed
    wrap \f
    .endr

// From C into a guest, and back, also by arch_unwind.
    .macro wrap_guest function
    .globl __wrap_\function
__wrap_\function:
    push %rdi
    push %rsi
    push %rdx
    call probe_begins
    pop %rdx
    pop %rsi
    pop %rdi
    sub $8, %rsp
    call __real_\function
    push %rax
    call probe_ends
    pop %rax
    add $8, %rsp
    ret
    .endm
    wrap_guest arch_enter
    wrap_guest arch_protect

// With any stack pointer, for a thread: what lies below its entry is over.
    .globl __wrap_arch_unwind
__wrap_arch_unwind:
    mov VM_THREAD_ENTRY_SP(%rdi), %rsp
    cld
    push %rdi
    sub $8, %rsp
    call probe_unwinds
    add $8, %rsp
    pop %rdi
    jmp __real_arch_unwind

// Changes every register anyway, but for these two.
    .globl __wrap_arch_switch_stacks
__wrap_arch_switch_stacks:
    push %rdi
    push %rsi
    mov 16(%rsp), %rdi
    call probe_switches
    pop %rsi
    pop %rdi
    jmp __real_arch_switch_stacks

    .section .note.GNU-stack, "", @progbits
