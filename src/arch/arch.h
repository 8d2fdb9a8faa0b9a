// SPDX-License-Identifier: MIT
// The CPU contract, valid in ring 0 and ring 3 alike. A CPU is a folder beside this file.
//
// Coroutines. A coroutine is a stack. arch_switch stores the stack pointer to *save and takes over
// the stack whose pointer is at *to; it returns when somebody switches back. It gives up every
// register, so that its caller keeps what it needs and nothing else. arch_prepare makes a fresh
// stack look as if it had switched away at the start of entry(argument); entry must not return.
#pragma once
#include "wasm/vmctx.h"

static inline void arch_switch(void **save, void **to);
void *arch_prepare(void *stack_top, void (*entry)(void *), void *argument);

// A call into compiled code. Integer arguments in gpr[], floating-point ones in xmm[], further ones
// in stack[0..nstack) from low to high addresses; nstack is even (the stack stays 16-byte aligned).
struct arch_call {
    const struct vm_func *func; // in R11
    struct vmctx *vm;
    u64 gpr[6];
    u64 xmm[8][2];
    u64 *stack;
    u64 nstack;
    u64 nresults_stack; // cells of the caller's result area above the arguments, even
};

// Runs the call on the present stack: sets R14 and R15, saves and restores what C wants
// kept, records vm->thread->entry_sp (and restores the outer one). Results: gpr[0], xmm[0]; the
// result area is copied to stack[0..nresults_stack). Returns 0, or 1 when the call was ended by
// arch_unwind.
u64 arch_enter(struct arch_call *call);

// The return address that arch_enter gives to the code that it calls; for stack traces.
extern const u8 arch_enter_return[];

// Ends the innermost arch_enter or arch_protect of the thread: does not return. The fault hook may
// also set pc to it, with the thread as the first argument and any stack pointer.
__attribute__((noreturn)) void arch_unwind(struct vm_thread *t);

// The same for C code: runs body(argument) such that arch_unwind ends it. Returns 0 or 1. The
// interpreter's entry.
u64 arch_protect(struct vm_thread *t, void (*body)(void *), void *argument);

#define ARCH_PAGE 4096ull

// These may end the call like rt_trap, with "call stack exhausted", where there is no memory:
// touches the pages of [from, to), of the running thread's stacks; sees to it that so many bytes of
// the stack below are ready (vm_thread.ready).
void arch_touch(void *from, void *to);
void arch_ready(struct vm_thread *t, size_t bytes);

// The registers that C functions keep, into out[ARCH_KEPT].
static inline void arch_kept(u64 *out);

// What rt_throw is given, with the registers that C functions keep, and fills in: where it is to go
// on, with what in the registers.
struct arch_landing {
    u64 rbx, rbp, r12, r13, r14, r15, rsp, rip, rax, rdx, rcx;
};

// Bytes from the CPU's own generator of random numbers, slowly: about 1 us for each 8 of them.
// False: it has none, or none that answers.
bool arch_random(void *p, size_t n);

// Stubs that compiled code calls, in assembler (see target/x64/abi.h for the registers they keep).
extern const u8 arch_stub_link[]; // call through a vm_func of another instance, R11 = the vm_func
extern const u8 arch_stub_links_full[]; // where that has found no place for its link
extern const u8 arch_stub_import[];     // the same for an import cell: goes through R11->ref first
extern const u8 arch_stub_return[]; // where the callee of such a call returns to; the true address
                                    // is on thread->link
extern const u8 arch_stubs_end[];

#include "arch/x86_64/switch.h"
