// SPDX-License-Identifier: MIT
// Atomics that wait and wake, and polls: where a thread may be switched away from inside of
// compiled code. What waiting is comes from above (rt_set_waiting); here are the checks, and what
// must hold when the thread goes on.
//
// A process runs on one CPU at a time and its threads switch only here and in host functions, so
// between the comparison and the wait nobody can come.
#include "rt/thread.h"
#include "wasm/runtime.h"

static const struct rt_waiting *waiting; // set before anything runs

void rt_set_waiting(const struct rt_waiting *w)
{
    waiting = w;
}

// Misaligned comes before out of bounds, as it does for the plain atomics.
static enum trap check(const struct vmctx *vm, u64 address, u64 size)
{
    if (address % size)
        return TRAP_UNALIGNED_ATOMIC;
    return address + size > vm->mem->bytes ? TRAP_MEMORY : TRAP_NONE;
}

// Other threads may have run in the same instance, or this one may have been told to end.
static void back_in(struct vmctx *vm, struct vm_thread *t)
{
    vm->thread = t;
    rt_check_interrupt(vm);
}

static enum trap wait(struct vmctx *vm, u64 address, s64 timeout_ns, u32 *outcome)
{
    struct vm_thread *t = vm->thread;
    if (!waiting) {
        *outcome = 2;
        return timeout_ns < 0 ? TRAP_DEADLOCK : TRAP_NONE;
    }
    s64 how = waiting->wait(vm, address, timeout_ns);
    back_in(vm, t);
    *outcome = (u32)how;
    return TRAP_NONE;
}

static enum trap check_wait(const struct vmctx *vm, u64 address, u64 size)
{
    enum trap trap = check(vm, address, size);
    return !trap && !vm->module->memories[0].shared ? TRAP_UNSHARED : trap;
}

enum trap rt_atomic_wait32(struct vmctx *vm, u32 offset, u32 address, u32 expected, s64 timeout_ns,
                           u32 *outcome)
{
    u64 at = (u64)address + offset;
    enum trap trap = check_wait(vm, at, 4);
    if (trap)
        return trap;
    *outcome = 1;
    return load_u32(vm->mem_base + at) == expected ? wait(vm, at, timeout_ns, outcome) : TRAP_NONE;
}

enum trap rt_atomic_wait64(struct vmctx *vm, u32 offset, u32 address, u64 expected, s64 timeout_ns,
                           u32 *outcome)
{
    u64 at = (u64)address + offset;
    enum trap trap = check_wait(vm, at, 8);
    if (trap)
        return trap;
    *outcome = 1;
    return load_u64(vm->mem_base + at) == expected ? wait(vm, at, timeout_ns, outcome) : TRAP_NONE;
}

enum trap rt_atomic_notify(struct vmctx *vm, u32 offset, u32 address, u32 count, u32 *woken)
{
    u64 at = (u64)address + offset;
    enum trap trap = check(vm, at, 4);
    if (trap)
        return trap;
    bool nobody = !waiting || !count || !vm->module->memories[0].shared;
    struct vm_thread *t = vm->thread;
    *woken = nobody ? 0 : waiting->notify(vm, at, count);
    if (!nobody)
        back_in(vm, t);
    return TRAP_NONE;
}

void rt_poll(struct vmctx *vm)
{
    struct vm_thread *t = vm->thread;
    __atomic_store_n(&vm->poll, 0, __ATOMIC_RELAXED);
    if (!waiting)
        return;
    waiting->poll(vm);
    back_in(vm, t);
}
