// SPDX-License-Identifier: MIT
// The atomics, which run.c includes once: all operands are in memory. A process runs on one CPU at
// a time, so they are plain accesses that insist on alignment; only those that wait or wake are
// calls.
//
// frame->call is at the prefix, pc behind the memarg, and r0 is its offset.

#define ATOMIC_ADDRESS(n, size)                                                                    \
    u64 address = r0 + (u32)sp[-(n)];                                                              \
    if (unlikely(address % (size)))                                                                \
        TRAP_CALL(TRAP_UNALIGNED_ATOMIC);                                                          \
    if (unlikely(address + (size) > bytes))                                                        \
    TRAP_CALL(TRAP_MEMORY)

#define ATOMIC_LOAD(to) __builtin_memcpy(&(to), mem + address, sizeof(to))
#define ATOMIC_STORE(from) __builtin_memcpy(mem + address, &(from), sizeof(from))

#define ALOAD(code, id, text, R, type, align)                                                      \
    HANDLER(id)                                                                                    \
    {                                                                                              \
        BEGIN;                                                                                     \
        ATOMIC_ADDRESS(1, sizeof(type));                                                           \
        type value;                                                                                \
        ATOMIC_LOAD(value);                                                                        \
        sp[-1] = value;                                                                            \
        NEXT;                                                                                      \
    }

#define ASTORE(code, id, text, A, type, align)                                                     \
    HANDLER(id)                                                                                    \
    {                                                                                              \
        BEGIN;                                                                                     \
        ATOMIC_ADDRESS(2, sizeof(type));                                                           \
        type value = (type)sp[-1];                                                                 \
        ATOMIC_STORE(value);                                                                       \
        sp -= 2;                                                                                   \
        NEXT;                                                                                      \
    }

#define RMW(code, id, text, A, type, align, expr)                                                  \
    HANDLER(id)                                                                                    \
    {                                                                                              \
        BEGIN;                                                                                     \
        ATOMIC_ADDRESS(2, sizeof(type));                                                           \
        type a, b = (type)sp[-1];                                                                  \
        ATOMIC_LOAD(a);                                                                            \
        type value = (type)(expr);                                                                 \
        ATOMIC_STORE(value);                                                                       \
        sp--;                                                                                      \
        sp[-1] = a;                                                                                \
        NEXT;                                                                                      \
    }

#define CMPXCHG(code, id, text, A, type, align)                                                    \
    HANDLER(id)                                                                                    \
    {                                                                                              \
        BEGIN;                                                                                     \
        ATOMIC_ADDRESS(3, sizeof(type));                                                           \
        type a, expected = (type)sp[-2], value = (type)sp[-1];                                     \
        ATOMIC_LOAD(a);                                                                            \
        if (a == expected)                                                                         \
            ATOMIC_STORE(value);                                                                   \
        sp -= 2;                                                                                   \
        sp[-1] = a;                                                                                \
        NEXT;                                                                                      \
    }

#include "wasm/ops.def"

HANDLER(atomic_fence)
{
    BEGIN;
    pc++;
    NEXT;
}

// One that calls the runtime with n operands and has a number as its result. Others may have run
// when it comes back.
#define ATOMIC_CALL(n, call)                                                                       \
    do {                                                                                           \
        u32 offset = (u32)r0, result = 0;                                                          \
        frame->vm->thread->last_sp = (u8 *)frame;                                                  \
        enum trap trap_ = (call);                                                                  \
        if (trap_)                                                                                 \
            TRAP_CALL(trap_);                                                                      \
        sp -= (n) - 1;                                                                             \
        sp[-1] = result;                                                                           \
        RELOAD_MEMORY;                                                                             \
        NEXT;                                                                                      \
    } while (0)

HANDLER(memory_atomic_notify)
{
    BEGIN;
    ATOMIC_CALL(2, rt_atomic_notify(frame->vm, offset, (u32)sp[-2], (u32)sp[-1], &result));
}

HANDLER(memory_atomic_wait32)
{
    BEGIN;
    ATOMIC_CALL(
        3, rt_atomic_wait32(frame->vm, offset, (u32)sp[-3], (u32)sp[-2], (s64)sp[-1], &result));
}

HANDLER(memory_atomic_wait64)
{
    BEGIN;
    ATOMIC_CALL(3, rt_atomic_wait64(frame->vm, offset, (u32)sp[-3], sp[-2], (s64)sp[-1], &result));
}
