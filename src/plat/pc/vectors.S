// SPDX-License-Identifier: MIT
// Where faults and interrupts enter, and where they leave.
//
// Every vector has a stack of its own kind in the TSS (IST), since compiled code runs in ring 0 on
// stacks that may be full. A page that is merely not there yet is mapped from here, with as few
// registers saved as possible. Everything else saves the machine state (struct frame in pc.h) and
// goes to the hook, which may take such page faults of its own: as long as it works on a fault, the
// next one finds another stack. Another fault that is more than a missing page is then fatal.
//
// Compiled code may have been interrupted anywhere, and may go on after a fault, so all registers
// are saved, and what the hook changes among them comes back.
#include "plat/pc/layout.h"

#define VECTORS 65
#define PAGE 14
#define FIRST_INTERRUPT 32
#define FRAME_ERROR 80 // before the last six registers are saved

    .text
    .p2align 4
    .globl vectors
    .hidden vectors
vectors:
    .set n, 0
    .rept VECTORS
    .p2align 4
    .if n == PAGE
    jmp page_fault
    .else
    .if n != 8 && (n < 10 || n > 14) && n != 17 && n != 21
    push $0
    .endif
    push $n
    .if n < FIRST_INTERRUPT
    jmp fault
    .else
    jmp interrupt
    .endif
    .endif
    .set n, n + 1
    .endr

    .macro save_scratch
    push %rax
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    cld
    .endm

    .macro restore_scratch
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rax
    .endm

    .macro save_others
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, %rdi
    .endm

// The frame is in rdi. Keeps nothing.
    .macro with_vectors function
    mov %rsp, %rbp
    sub $512, %rsp
    and $-16, %rsp
    fxsave (%rsp)
    call \function
    fxrstor (%rsp)
    mov %rbp, %rsp
    .endm

    .macro go_back
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    restore_scratch
    add $16, %rsp
    iretq
    .endm

    .p2align 4
page_fault:
    push $PAGE
    save_scratch
    mov %cr2, %rdi
    lea FRAME_ERROR(%rsp), %rsi // error code, rip, ...
    call fault_page
    test %al, %al
    jz other_fault
    restore_scratch
    add $16, %rsp
    iretq

fault:
    save_scratch
other_fault:
    save_others
    cmpb $0, %fs:CPU_IN_HOOK
    jne 1f
    movb $1, %fs:CPU_IN_HOOK
    mov %fs:CPU_NESTED_STACK, %rax
    xchg %rax, %fs:CPU_FAULT_STACK
    mov %rax, %rbx
    with_vectors fault_trap
    mov %rbx, %fs:CPU_FAULT_STACK
    movb $0, %fs:CPU_IN_HOOK
    go_back
1:  call fault_nested // does not return

interrupt:
    save_scratch
    save_others
    with_vectors fault_interrupt
    go_back

// void page_clear(u64 page): keeps every vector register
    .globl page_clear
    .hidden page_clear
    .type page_clear, @function
    .p2align 4
page_clear:
    lea -24(%rsp), %rax
    and $-16, %rax
    movaps %xmm0, (%rax) // below the stack pointer: nothing interrupts on this stack
    cmpb $0, page_clear_wide
    jne 2f
    xorps %xmm0, %xmm0
    lea 4096(%rdi), %rcx
1:
    .set at, 0
    .rept 16
    movaps %xmm0, at(%rdi)
    .set at, at + 16
    .endr
    add $256, %rdi
    cmp %rcx, %rdi
    jb 1b
    movaps (%rax), %xmm0
    ret
2:  vpxor %xmm0, %xmm0, %xmm0
    lea 4096(%rdi), %rcx
3:
    .set at, 0
    .rept 32
    vmovaps %ymm0, at(%rdi)
    .set at, at + 32
    .endr
    add $1024, %rdi
    cmp %rcx, %rdi
    jb 3b
    vzeroupper // nobody uses these halves: they are zeros
    movaps (%rax), %xmm0
    ret
    .size page_clear, . - page_clear

    .section .note.GNU-stack, "", @progbits
