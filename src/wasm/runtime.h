// SPDX-License-Identifier: MIT
// What the engines ask of the runtime: the instructions that are calls. The interpreter and the
// compilers both come here, so there is one meaning of each. Those that can trap return an enum
// trap (0: done) and have then changed nothing, but for a large copy or fill that an interrupt
// ended; the caller raises it. The runtime implements them (rt/ops.c).
#pragma once
#include "wasm/vmctx.h"

// Addresses, indices and sizes are i32s or i64s, as the memory or table has them. What has a second
// form with "far" in its name is for any memory, the first for memory 0.

// Old size in pages, or -1. Never traps.
s64 rt_memory_grow(struct vmctx *vm, u64 pages);
s64 rt_far_grow(struct vmctx *vm, u32 memory, u64 pages);
enum trap rt_memory_copy(struct vmctx *vm, u64 dst, u64 src, u64 n);
enum trap rt_far_copy(struct vmctx *vm, u32 dst_memory, u32 src_memory, u64 dst, u64 src, u64 n);
enum trap rt_memory_fill(struct vmctx *vm, u64 dst, u32 value, u64 n);
enum trap rt_far_fill(struct vmctx *vm, u32 memory, u64 dst, u32 value, u64 n);
enum trap rt_memory_init(struct vmctx *vm, u32 segment, u64 dst, u32 src, u32 n);
enum trap rt_far_init(struct vmctx *vm, u32 segment, u32 memory, u64 dst, u32 src, u32 n);
void rt_data_drop(struct vmctx *vm, u32 segment);
// References are what vm_global.ref holds.
enum trap rt_table_get(struct vmctx *vm, u32 table, u64 index, u64 *ref);
enum trap rt_table_set(struct vmctx *vm, u32 table, u64 index, u64 ref);
s64 rt_table_grow(struct vmctx *vm, u32 table, u64 ref, u64 n); // old length, or -1
enum trap rt_table_fill(struct vmctx *vm, u32 table, u64 index, u64 ref, u64 n);
enum trap rt_table_copy(struct vmctx *vm, u32 dst_table, u32 src_table, u64 dst, u64 src, u64 n);
enum trap rt_table_init(struct vmctx *vm, u32 table, u32 segment, u64 dst, u32 src, u32 n);
void rt_elem_drop(struct vmctx *vm, u32 segment);

// Atomics that wait for, or wake, threads; the offset is the instruction's. The outcome of a wait
// is 0 (woken), 1 (the value was another), 2 (timed out; negative: never does). Other threads may
// have run when they come back.
enum trap rt_atomic_wait32(struct vmctx *vm, u32 offset, u32 address, u32 expected, s64 timeout_ns,
                           u32 *outcome);
enum trap rt_atomic_wait64(struct vmctx *vm, u32 offset, u32 address, u64 expected, s64 timeout_ns,
                           u32 *outcome);
enum trap rt_atomic_notify(struct vmctx *vm, u32 offset, u32 address, u32 count, u32 *woken);
// Called by loops that find vm->poll set: clears it and lets other threads run.
void rt_poll(struct vmctx *vm);

// Is a function of the type with that id one of the module's type, or of a subtype?
bool rt_is_function(const struct vmctx *vm, u32 id, u32 type);
// The function there, if it is of that type of the module's or of a subtype.
enum trap rt_table_function(struct vmctx *vm, u32 table, u32 type, u64 index, u64 *ref);

// Objects (rt/gc.c). A new one of the type with that canonical id, `bytes` with its header and all
// zero but for that, and `length` in it; its reference. 0: no memory, or the process is to end
// (rt_check_interrupt, then a trap). All references that are still wanted have to lie where they
// are looked for: on the thread's stack or among the interpreter's cells as words of 64 bits whose
// upper half is zero, in registers that C keeps, or where the instance has them.
u64 rt_object_new(struct vmctx *vm, u32 id, u64 bytes, u32 length);
// New ones of a type of the module's; they trap if there is no memory.
u64 rt_struct_new(struct vmctx *vm, u32 type);
u64 rt_array_new(struct vmctx *vm, u32 type, u32 length);
// With elements of that value; floating point and v128 come in vm->heap->operand.
u64 rt_array_new_of(struct vmctx *vm, u32 type, u64 value, u32 length);
u64 rt_array_new_data(struct vmctx *vm, u32 type, u32 segment, u32 src, u32 length);
u64 rt_array_new_elem(struct vmctx *vm, u32 type, u32 segment, u32 src, u32 length);
enum trap rt_array_fill(struct vmctx *vm, u64 array, u32 dst, u64 value, u32 n);
enum trap rt_array_copy(struct vmctx *vm, u64 to, u32 dst, u64 from, u32 src, u32 n);
enum trap rt_array_init_data(struct vmctx *vm, u32 segment, u64 array, u32 dst, u32 src, u32 n);
enum trap rt_array_init_elem(struct vmctx *vm, u32 segment, u64 array, u32 dst, u32 src, u32 n);
// Is the value one of that type of the module's? It is of the same hierarchy.
u32 rt_ref_is(const struct vmctx *vm, valtype type, u64 ref);

// Exceptions. A new one of that tag for the running thread to throw, whose cells the caller fills
// in; a trap if there is no memory.
struct vm_exception *rt_exception_new(struct vmctx *vm, u32 tag);
// Makes the one of a reference the thread's to throw; a trap if that is null.
void rt_exception_take(struct vmctx *vm, u64 ref);
// It has been caught by who wants a reference to it (or not): which, 0.
u64 rt_exception_caught(struct vmctx *vm, bool keep);
// Compiled code throws the thread's exception by calling this; where it is caught is in a table
// behind the code (wasm/engine.h).
extern const u8 arch_throw[];
// What that calls: finds who catches it; a trap if nobody does.
struct arch_landing;
void rt_throw(struct vmctx *vm, struct arch_landing *landing);

// Ends the running call with a trap: unwinds the coroutine to its entry, where the call returns
// ERR_TRAP. To be called by host functions and by compiled code's stubs; holds nothing, frees
// nothing: whoever calls it has let go of everything first.
__attribute__((noreturn)) void rt_trap(struct vmctx *vm, enum trap trap);
// The same, with the exit code of the program.
__attribute__((noreturn)) void rt_exit(struct vmctx *vm, u32 code);
// Charges bytes that the thread will keep until it ends; a trap if nobody pays.
void rt_pay_stack(struct vmctx *vm, size_t bytes);
// For host functions that can block: raises the trap that thread_interrupt has asked for, if any.
// To be called when a blocking call was interrupted (EINTR), and before one that may take long.
void rt_check_interrupt(struct vmctx *vm);
// The same for who raises traps of its own accord; vm->thread->interrupt was seen not to be 0. May
// switch to another thread and come back. TRAP_NONE: go on.
enum trap rt_interrupted(struct vmctx *vm);

// The stub that a timer interrupt sends compiled code through, with the place to go on at in
// vm_thread.resume: saves all registers, calls rt_preempted, and goes on as if nothing had been.
extern const u8 arch_stub_preempt[], arch_stub_preempt_deep[];
void rt_preempted(struct vmctx *vm);

// What compiled code calls C through: a function of this file that is in R11; rt_trap, with the
// trap in EAX; and a thunk, when its stack pointer is below a limit of the thread, with R10 as how
// far down the stack is to be there.
extern const u8 arch_stub_helper[], arch_stub_trap[], arch_stub_room[];

// Where a function is called that has not been compiled yet: that is done, and it goes on there.
// For a call through the module's table, and for one of the vm_func in R11, which then has the
// function.
extern const u8 arch_stub_first[], arch_stub_first_of[];
// The same for a jump in place of a call: R11 = where in the module's table the function is.
extern const u8 arch_stub_first_tail[];
// What they call: of the vm_func in vm->scratch, or the place in the table there if its lowest bit
// is set, or of the call that returns to thread->last_sp[0].
const void *rt_first_call(struct vmctx *vm);

// The stub that compiled code calls functions of other instances through (arch/arch.h): R11 = the
// vm_func.
extern const u8 arch_stub_link[];
// For a jump in place of a call, to whatever function: a place in the list of links is only taken
// if the return address is none of the stubs' yet.
extern const u8 arch_stub_tail[];
// And the code of host functions that take their arguments in registers: R11 = a vm_func whose ref
// is a struct vm_host; for those with six arguments.
extern const u8 arch_stub_direct[], arch_stub_direct6[];
// And that of a call by which a thread passes its turn to the next one (vm_thread.turn); it comes
// to the function like one with arguments in registers when there is more to it, or no next one. A
// thread that has got it again and is wanted otherwise goes on in rt_passed.
extern const u8 arch_stub_pass[];
u64 rt_passed(struct vmctx *vm);
// And that of a call by which a thread may hand the CPU over and wait (vm_hand_fn), of up to six
// arguments, or of seven and eight.
extern const u8 arch_stub_hand[], arch_stub_hand8[];
// And the one for a poll, which keeps every register but R11: the address to go on at.
extern const u8 arch_stub_poll[];
