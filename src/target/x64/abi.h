// SPDX-License-Identifier: MIT
// The calling convention of compiled code on x86-64. Fast and opt code, stubs and the trace walker
// all keep to it.
//
//   R14 = vmctx, R15 = base of memory 0. RSP is 16-byte aligned at every call instruction.
//   Integer and reference arguments: rdi rsi rdx rcx r8 r9; f32 and f64: xmm0-xmm7; v128: xmm0-xmm7
//   too. What does not fit goes to the stack from left to right, a cell of 8 bytes each (v128:
//   two), lowest address first, the whole padded to 16 bytes. The *callee* pops the stack arguments
//   (tail calls need that). Results: the first in rax or xmm0; the others in a result area that the
//   caller has put above the stack arguments, a cell each in order, padded to 16 bytes; the
//   *caller* pops it. i32 values are zero-extended to 64 bits in registers, cells and slots alike.
//   Callee-saved: rbx rbp r12 r13 (and r14 r15). All xmm are caller-saved. DF = 0, MXCSR at its
//   default. R11 = the vm_func for calls through one. r10 and rax are free in stubs.
//
// So C functions of the System V ABI can be called directly with up to 6 integer and 8 float
// arguments.
//
// Traps: ud2 followed by a byte with the enum trap; #DE in div/idiv: integer overflow if signed
// (the divisor has been tested for zero), division by zero if unsigned; a page fault in the memory
// reservation: TRAP_MEMORY; one in the guard below the stack: TRAP_STACK.
//
// The host thunk (code of a host function's vm_func, one per type): checks RSP against
// thread->host_limit, stores RSP to thread->last_sp ([last_sp] = return address), spills the
// arguments to cells in order on the stack, calls vm_func.host(R14, cells) and loads the results.
#pragma once
#include "wasm/module.h"

struct abi_place {
    enum { ABI_GPR, ABI_XMM, ABI_STACK } where;
    u32 index; // argument register number; for ABI_STACK the cell
};

struct abi_state {
    u32 gprs, xmms, cells;
};

// The place of the next argument of that type. Start with a zeroed state.
static inline struct abi_place abi_next(struct abi_state *s, valtype type)
{
    bool vector = type == TYPE_F32 || type == TYPE_F64 || type == TYPE_V128;
    if (vector && s->xmms < 8)
        return (struct abi_place){ABI_XMM, s->xmms++};
    if (!vector && s->gprs < 6)
        return (struct abi_place){ABI_GPR, s->gprs++};
    struct abi_place p = {ABI_STACK, s->cells};
    s->cells += type == TYPE_V128 ? 2 : 1;
    return p;
}

// Bytes of stack arguments and of the result area of a function type, both padded to 16.
struct abi_stack {
    u32 args, results;
};

static inline struct abi_stack abi_stack_of(const struct functype *t)
{
    struct abi_state s = {0};
    for (u32 i = 0; t->nparams > 6 && i < t->nparams; i++) // 6 are in registers, whatever they are
        abi_next(&s, t->types[i]);
    u32 results = 0;
    for (u32 i = 1; i < t->nresults; i++)
        results += t->types[t->nparams + i] == TYPE_V128 ? 2 : 1;
    return (struct abi_stack){ALIGN_UP(s.cells * 8, 16u), ALIGN_UP(results * 8, 16u)};
}
