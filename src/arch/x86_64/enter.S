// SPDX-License-Identifier: MIT
// Into compiled code and out of it: arch_enter, arch_protect, arch_unwind, and the stubs for calls between instances.
//
// The record that an entry leaves on the stack, and that thread->entry_sp points to, is from low to high:
//
//   +0 padding  +8 outer entry_sp  +16 thread->link at entry  +24 r15 r14 r13 r12 rbx rbp  +72 return address
//
// so that the way out is the same for a normal return, a trap, and both kinds of entry: `leave_guest`, with the thread
// in r12 and the result in eax.
#include "arch/x86_64/offsets.h"
#include "arch/x86_64/probe.inc"

    .macro func name
    .globl \name
    .hidden \name
    .type \name, @function
    .p2align 4
\name:
    .endm

    .macro endfunc name
    .size \name, . - \name
    .endm

    .macro save register
    push \register
    .cfi_adjust_cfa_offset 8
    .endm

    // Pushes the record; the thread is in \thread, which is copied to r12 after r12 is saved.
    .macro enter_guest thread
    save %rbp
    save %rbx
    save %r12
    save %r13
    save %r14
    save %r15
    mov \thread, %r12
    save VM_THREAD_LINK(%r12)
    save VM_THREAD_ENTRY_SP(%r12)
    sub $8, %rsp
    .cfi_adjust_cfa_offset 8
    mov %rsp, VM_THREAD_ENTRY_SP(%r12)
    .endm

    // Gives rt_switch_lock back.
    .macro unlock_switches
    probe_given
    movl $0, rt_switch_lock(%rip)
    .endm

    .text

// u64 arch_enter(struct arch_call *call)
func arch_enter
    .cfi_startproc
    mov CALL_VM(%rdi), %rax
    mov VMCTX_THREAD(%rax), %rsi
    enter_guest %rsi
    mov %rdi, %rbx
    mov %rax, %r14
    mov VMCTX_MEM_BASE(%r14), %r15

    mov CALL_NRESULTS(%rbx), %rcx
    shl $3, %rcx
    sub %rcx, %rsp
    mov CALL_STACK(%rbx), %rax
    mov CALL_NSTACK(%rbx), %rcx
1:  sub $1, %rcx
    jc 2f
    push (%rax,%rcx,8)
    jmp 1b
2:
    movups CALL_XMM + 0x00(%rbx), %xmm0
    movups CALL_XMM + 0x10(%rbx), %xmm1
    movups CALL_XMM + 0x20(%rbx), %xmm2
    movups CALL_XMM + 0x30(%rbx), %xmm3
    movups CALL_XMM + 0x40(%rbx), %xmm4
    movups CALL_XMM + 0x50(%rbx), %xmm5
    movups CALL_XMM + 0x60(%rbx), %xmm6
    movups CALL_XMM + 0x70(%rbx), %xmm7
    mov CALL_GPR + 0x00(%rbx), %rdi
    mov CALL_GPR + 0x08(%rbx), %rsi
    mov CALL_GPR + 0x10(%rbx), %rdx
    mov CALL_GPR + 0x18(%rbx), %rcx
    mov CALL_GPR + 0x20(%rbx), %r8
    mov CALL_GPR + 0x28(%rbx), %r9
    mov CALL_FUNC(%rbx), %r11
    call *VM_FUNC_CODE(%r11)
    .globl arch_enter_return
    .hidden arch_enter_return
arch_enter_return:

    // The callee has popped the arguments and kept rbx and r12: the result area is on top.
    mov %rax, CALL_GPR(%rbx)
    movups %xmm0, CALL_XMM(%rbx)
    mov CALL_STACK(%rbx), %rdi
    mov CALL_NRESULTS(%rbx), %rcx
    mov %rsp, %rsi
    rep movsq
    mov VM_THREAD_ENTRY_SP(%r12), %rsp
    xor %eax, %eax
    jmp leave_guest
    .cfi_endproc
endfunc arch_enter

// u64 arch_protect(struct vm_thread *t, void (*body)(void *), void *argument)
func arch_protect
    .cfi_startproc
    enter_guest %rdi
    mov %rdx, %rdi
    call *%rsi
    xor %eax, %eax
    jmp leave_guest
    .cfi_endproc
endfunc arch_protect

// void arch_unwind(struct vm_thread *t), from anywhere and with any stack pointer
func arch_unwind
    .cfi_startproc
    .cfi_undefined rip
    mov %rdi, %r12
    mov VM_THREAD_ENTRY_SP(%r12), %rsp
    cld
    mov $1, %eax
    jmp leave_guest
    .cfi_endproc
endfunc arch_unwind

    .type leave_guest, @function
leave_guest:
    .cfi_startproc
    .cfi_def_cfa rsp, 80
    .cfi_offset rbp, -16
    .cfi_offset rbx, -24
    .cfi_offset r12, -32
    .cfi_offset r13, -40
    .cfi_offset r14, -48
    .cfi_offset r15, -56
    add $8, %rsp
    .cfi_adjust_cfa_offset -8
    pop VM_THREAD_ENTRY_SP(%r12)
    .cfi_adjust_cfa_offset -8
    pop VM_THREAD_LINK(%r12)
    .cfi_adjust_cfa_offset -8
    pop %r15
    .cfi_adjust_cfa_offset -8
    pop %r14
    .cfi_adjust_cfa_offset -8
    pop %r13
    .cfi_adjust_cfa_offset -8
    pop %r12
    .cfi_adjust_cfa_offset -8
    pop %rbx
    .cfi_adjust_cfa_offset -8
    pop %rbp
    .cfi_adjust_cfa_offset -8
    ret
    .cfi_endproc
endfunc leave_guest

// Calls into another instance. On entry r11 is the vm_func and everything is as at a call; the callee must find its own
// instance in r14 and its memory in r15, and its arguments on the stack where the caller has put them: so the return
// address leaves the stack for thread->link while the call runs. Neither r10, r11 nor rax carries an argument, and on
// the way back only rax and xmm0 carry results.
func arch_stub_tail
    mov VM_FUNC_REF(%r11), %r11
    cmpl $-1, VM_FUNC_INDEX(%r11)
    je 2f
    cmp VM_FUNC_VM(%r11), %r14
    je 2f
    lea arch_stub_return(%rip), %rax
    cmp %rax, (%rsp)
    jne arch_stub_link
    mov VMCTX_THREAD(%r14), %r10
    mov VM_FUNC_VM(%r11), %r14
    mov %r10, VMCTX_THREAD(%r14)
    mov VMCTX_MEM_BASE(%r14), %r15
2:  jmp *VM_FUNC_CODE(%r11)
endfunc arch_stub_tail

func arch_stub_import
    mov VM_FUNC_REF(%r11), %r11
    .size arch_stub_import, . - arch_stub_import
    .globl arch_stub_link
    .hidden arch_stub_link
    .type arch_stub_link, @function
arch_stub_link:
    cmpl $-1, VM_FUNC_INDEX(%r11)
    je 2f
    mov VMCTX_THREAD(%r14), %r10
    mov VM_THREAD_LINK(%r10), %rax
    cmp VM_THREAD_LINK_END(%r10), %rax
    jae 3f
    pop VM_LINK_RET(%rax)
    mov %r14, VM_LINK_VM(%rax)
    add $VM_LINK_SIZE, %rax
    mov %rax, VM_THREAD_LINK(%r10)
    mov VM_FUNC_VM(%r11), %r14
    mov %r10, VMCTX_THREAD(%r14)
    mov VMCTX_MEM_BASE(%r14), %r15
    call *VM_FUNC_CODE(%r11)

    .globl arch_stub_return
    .hidden arch_stub_return
arch_stub_return:
    mov VMCTX_THREAD(%r14), %rdx
    mov VM_THREAD_LINK(%rdx), %r11
    mov -VM_LINK_SIZE + VM_LINK_VM(%r11), %r14
    mov %rdx, VMCTX_THREAD(%r14) // others may have run there
    mov VMCTX_MEM_BASE(%r14), %r15
    sub $VM_LINK_SIZE, %r11
    mov %r11, VM_THREAD_LINK(%rdx)
    push VM_LINK_RET(%r11)
    ret

2:  jmp *VM_FUNC_CODE(%r11)
    .globl arch_stub_links_full
    .hidden arch_stub_links_full
arch_stub_links_full: // goes on at arch_stub_link, if there are more
3:  ud2
    .byte TRAP_STACK_NUMBER
    .size arch_stub_link, . - arch_stub_link

// Calls a host function of compiled code's own convention, which is C's: the instance comes as the sixth argument, and
// what is the sixth has a place in the instance. It returns to the caller.
func arch_stub_direct6
    mov %r9, VMCTX_SCRATCH(%r14)
    .size arch_stub_direct6, . - arch_stub_direct6
    .globl arch_stub_direct
    .hidden arch_stub_direct
    .type arch_stub_direct, @function
arch_stub_direct:
    mov VMCTX_THREAD(%r14), %rax
    cmp VM_THREAD_DIRECT_LIMIT(%rax), %rsp
    jb 8f
    mov %rsp, VM_THREAD_LAST_SP(%rax)
    mov VM_FUNC_REF(%r11), %r11
    mov %r14, %r9
    jmp *VM_HOST_DIRECT(%r11)
endfunc arch_stub_direct

// What compiled code calls to pass its turn: the thread that is to run next in the same instance gets the CPU, without a
// look at the scheduler. Its lock keeps others from changing the order meanwhile, and goes with the CPU as in every
// switch. Everything that is not as plain as that is arch_stub_direct's.
func arch_stub_pass
    mov VMCTX_THREAD(%r14), %rdi
    cmp VM_THREAD_DIRECT_LIMIT(%rdi), %rsp
    jb arch_stub_direct
    lock btsl $0, rt_switch_lock(%rip)
    jc arch_stub_direct
    probe_taken
    mov VM_THREAD_TURN(%rdi), %rsi
    test %rsi, %rsi
    jz 4f
    mov VMCTX_OWN(%r14), %rax
    push (%rax)
    mov VMCTX_OWN + 8(%r14), %rax
    push (%rax)
    .irp r, rbp, rbx, r12, r13, r14, r15
    push %\r
    .endr
    call 5f
    // Here it goes on, with its own struct vm_thread in rsi.
    .irp r, r15, r14, r13, r12, rbx, rbp
    pop %\r
    .endr
    mov VMCTX_OWN + 8(%r14), %rax
    pop (%rax)
    mov VMCTX_OWN(%r14), %rax
    pop (%rax)
    unlock_switches
    mov VM_THREAD_INTERRUPT(%rsi), %eax
    test %eax, %eax
    jnz 6f
    ret
5:  mov %rsp, VM_THREAD_SP(%rdi)
    mov %rsi, VMCTX_THREAD(%r14)
    mov VM_THREAD_SP(%rsi), %rsp
    ret
4:  unlock_switches
    jmp arch_stub_direct
6:  mov %rsp, VM_THREAD_LAST_SP(%rsi)
    mov %r14, %rdi
    jmp rt_passed
endfunc arch_stub_pass

// Calls a host function that may hand over (vm_hand_fn). The thread goes on here when it has got the CPU back, with what
// it was to get, or in `then`. Whoever wants it to end wakes it, and then it is that; a request to switch stays for its
// next call. `popped` is what it has of arguments on the stack.
    .macro hand name, popped
func \name
    mov VMCTX_THREAD(%r14), %rax
    cmp VM_THREAD_DIRECT_LIMIT(%rax), %rsp
    jb 8f
    mov %rsp, VM_THREAD_LAST_SP(%rax)
    mov VM_FUNC_REF(%r11), %r11
    .irp r, rbp, rbx, r12, r13, r14, r15
    push %\r
    .endr
    push %rax
    .if \popped
    lea 64(%rsp), %r12
    .endif
    call *VM_HOST_DIRECT(%r11)
    pop %rdi
    test %rdx, %rdx
    jz 1f
    call 5f
    // Here it goes on, with its own struct vm_thread in rsi.
    mov VM_THREAD_THEN(%rsi), %rcx
    mov VM_THREAD_RESULT(%rsi), %rax
    test %rcx, %rcx
    jnz 7f
    unlock_switches
1:  .irp r, r15, r14, r13, r12, rbx, rbp
    pop %\r
    .endr
    ret $\popped
5:  mov %rsp, VM_THREAD_SP(%rdi)
    mov %rdx, %rsi
    mov VM_THREAD_SP(%rsi), %rsp
    ret
7:  mov 8(%rsp), %rdi // r14
    push %rcx
    probe_call_guests rcx
    pop %rcx
    jmp 1b
endfunc \name
    .endm

    hand arch_stub_hand, 0
    hand arch_stub_hand8, 16

// Calls a C function of the instance and keeps every register but the flags and r11, which gets its result: the other
// caller-saved ones here, the rest by C. Compiled code uses the low halves of the vector registers only. The stack is aligned to 8 bytes at least.
    .macro call_keeping_all function
    push %rbp
    .irp r, rax, rcx, rdx, rsi, rdi, r8, r9, r10
    push %\r
    .endr
    mov %rsp, %rbp
    sub $256, %rsp
    and $-16, %rsp
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movaps %xmm\n, 16 * \n(%rsp)
    .endr
    mov %r14, %rdi
    call \function
    mov %rax, %r11
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    movaps 16 * \n(%rsp), %xmm\n
    .endr
    mov %rbp, %rsp
    .irp r, r10, r9, r8, rdi, rsi, rdx, rcx, rax, rbp
    pop %\r
    .endr
    .endm

// --- C runs on stack that is there: below the stack pointer that it begins with it never meets a page that is missing, so
// no fault ends it in the middle. What is there begins at VM_THREAD_READY. A stub finds with one comparison that this will
// do; if not, it touches what lies further down, here, where a page for which there is no memory is the guest's fault.

// rax = thread, r10 = how far down it is to be there. Keeps everything but r10 and the flags.
    .type stack_ready, @function
stack_ready:
    push %rcx
    lea -HOST_STACK + 64(%rsp), %rcx
    cmp VM_THREAD_STACK_LIMIT(%rax), %rcx
    jb 9f
    mov VM_THREAD_READY(%rax), %rcx
    cmp %rcx, %r10
    jae 2f
    and $-PAGE, %r10
    push %r10
1:  orb $0, (%r10)
    add $PAGE, %r10
    cmp %rcx, %r10
    jb 1b
    pop %rcx
    mov %rcx, VM_THREAD_READY(%rax)
2:  add $READY, %rcx
    mov %rcx, VM_THREAD_DIRECT_LIMIT(%rax)
    add $READY_CELLS - READY, %rcx
    mov %rcx, VM_THREAD_HOST_LIMIT(%rax)
    pop %rcx
    ret
9:  ud2
    .byte TRAP_STACK_NUMBER
    .size stack_ready, . - stack_ready

// void arch_touch(u8 *from, u8 *to)
func arch_touch
1:  orb $0, (%rdi)
    and $-PAGE, %rdi
    add $PAGE, %rdi
    cmp %rsi, %rdi
    jb 1b
    ret
endfunc arch_touch

// void arch_ready(struct vm_thread *t, size_t bytes)
func arch_ready
    mov %rdi, %rax
    mov %rsp, %r10
    sub %rsi, %r10
    jmp stack_ready
endfunc arch_ready

// For a stub or thunk that has found its limit above the stack pointer, with r10 as above and the return address of
// compiled code above its own: there is less stack, the call is to end, or another thread should run, which is looked at
// here. What is the sixth argument lies where others of the process may put theirs. Keeps everything but rax and r10.
func arch_stub_room
    mov VMCTX_THREAD(%r14), %rax
    call stack_ready
    mov VM_THREAD_INTERRUPT(%rax), %r10d
    test %r10d, %r10d
    jnz 1f
    ret
1:  cmp $INTERRUPT_SWITCH, %r10d
    jne 9f
    push %r11
    push VMCTX_SCRATCH(%r14)
    lea 24(%rsp), %r11
    mov %r11, VM_THREAD_LAST_SP(%rax)
    call_keeping_all rt_preempted
    pop VMCTX_SCRATCH(%r14)
    pop %r11
    ret
9:  ud2
    .byte TRAP_STACK_NUMBER
endfunc arch_stub_room

// From arch_stub_direct and the like, before their call: again, when there is room.
8:  lea -READY(%rsp), %r10
    call arch_stub_room
    jmp *VM_FUNC_CODE(%r11)

// A function of the runtime, whose address is in r11.
func arch_stub_helper
    mov VMCTX_THREAD(%r14), %rax
    cmp VM_THREAD_DIRECT_LIMIT(%rax), %rsp
    jb 1f
    mov %rsp, VM_THREAD_LAST_SP(%rax)
    jmp *%r11
1:  lea -READY(%rsp), %r10
    call arch_stub_room
    mov VMCTX_THREAD(%r14), %rax
    mov %rsp, VM_THREAD_LAST_SP(%rax)
    jmp *%r11
endfunc arch_stub_helper

// Through the above: the thread's exception is thrown. Goes on where C says (struct arch_landing).
func arch_throw
    sub $88, %rsp
    mov %rbx, (%rsp)
    mov %rbp, 8(%rsp)
    mov %r12, 16(%rsp)
    mov %r13, 24(%rsp)
    mov %rsp, %rsi
    mov %r14, %rdi
    call rt_throw
    mov (%rsp), %rbx
    mov 8(%rsp), %rbp
    mov 16(%rsp), %r12
    mov 24(%rsp), %r13
    mov 32(%rsp), %r14
    mov 40(%rsp), %r15
    mov 56(%rsp), %r11
    mov 64(%rsp), %rax
    mov 72(%rsp), %rdx
    mov 80(%rsp), %rcx
    mov 48(%rsp), %rsp
    jmp *%r11
endfunc arch_throw

// eax = enum trap
func arch_stub_trap
    mov VMCTX_THREAD(%r14), %rcx
    mov %rsp, VM_THREAD_LAST_SP(%rcx)
    mov %r14, %rdi
    mov %eax, %esi
    jmp rt_trap
endfunc arch_stub_trap

// The first call of a function, with everything as at a call. Which one, the vm_func in r11 says; or r11 is nothing, and the
// place where it returns to does; or, for a jump, r11 is the function's place in the table.
func arch_stub_first_tail
    or $1, %r11
    jmp arch_stub_first_of
endfunc arch_stub_first_tail

func arch_stub_first
    xor %r11d, %r11d
    .size arch_stub_first, . - arch_stub_first
    .globl arch_stub_first_of
    .hidden arch_stub_first_of
    .type arch_stub_first_of, @function
arch_stub_first_of:
    mov VMCTX_THREAD(%r14), %rax
    cmp VM_THREAD_DIRECT_LIMIT(%rax), %rsp
    jae 1f
    lea -READY(%rsp), %r10
    call arch_stub_room
    mov VMCTX_THREAD(%r14), %rax
1:  mov %rsp, VM_THREAD_LAST_SP(%rax)
    mov %r11, VMCTX_SCRATCH(%r14)
    call_keeping_all rt_first_call
    jmp *%r11
    .size arch_stub_first_of, . - arch_stub_first_of

// Between two instructions of compiled code; where to go on is in the thread. Not a place where anything may change.
func arch_stub_preempt
    lea -8(%rsp), %rsp
    pushfq
    push %r11
    push %r10
    push %rax
    mov VMCTX_THREAD(%r14), %rax
    mov VM_THREAD_RESUME(%rax), %r10
    mov %r10, 32(%rsp)
    lea -READY(%rsp), %r10
    call stack_ready
    pop %rax
    pop %r10
    cld
    call_keeping_all rt_preempted
    pop %r11
    popfq
    ret
endfunc arch_stub_preempt

// The same where the stack of compiled code is nearly used up: on one that the hook has put the thread on. What was there
// before comes back all at once, for there may be no room at all.
func arch_stub_preempt_deep
    lea -40(%rsp), %rsp
    pushfq
    push %r11
    push %r10
    push %rax
    mov VMCTX_THREAD(%r14), %rax
    mov VM_THREAD_RESUME(%rax), %r10
    mov %r10, 32(%rsp)
    mov %cs, %r10d
    mov %r10, 40(%rsp)
    mov 24(%rsp), %r10
    mov %r10, 48(%rsp)
    mov VM_THREAD_RESUME_SP(%rax), %r10
    mov %r10, 56(%rsp)
    mov %ss, %r10d
    mov %r10, 64(%rsp)
    orb $0, -READY / 2(%rsp)
    orb $0, -READY(%rsp)
    orb $0, -READY - PAGE(%rsp)
    cld
    pop %rax
    pop %r10
    call_keeping_all rt_preempted
    pop %r11
    lea 8(%rsp), %rsp
    iretq
endfunc arch_stub_preempt_deep

// A poll has found that another thread should run. r11 is where to go on; every other register is live. Where less stack
// is left than host functions want, the request stays for a later poll: a trap here would depend on when the request came.
func arch_stub_poll
    mov %rax, VMCTX_SCRATCH(%r14)
    mov VMCTX_THREAD(%r14), %rax
    mov VM_THREAD_STACK_LIMIT(%rax), %rax
    add $HOST_STACK, %rax
    cmp %rax, %rsp
    jb 4f
    push %r11
    push %r10
    mov VMCTX_THREAD(%r14), %rax
    lea -READY(%rsp), %r10
    call stack_ready
    pop %r10
    mov %rsp, VM_THREAD_LAST_SP(%rax)
    mov VMCTX_SCRATCH(%r14), %rax
    call_keeping_all rt_poll
    ret
4:  mov VMCTX_SCRATCH(%r14), %rax
    jmp *%r11
endfunc arch_stub_poll

    .subsection 2
    .globl arch_stubs_end
    .hidden arch_stubs_end
arch_stubs_end:
    .previous

    .section .note.GNU-stack, "", @progbits
