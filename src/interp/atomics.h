// SPDX-License-Identifier: MIT
// The atomics, which run.c includes once: all operands are in memory. A process runs on one CPU at
// a time, but another one may have a page of its memory, too (kern/memory.h), so they are atomic
// and sequentially consistent; those that wait or wake are calls.
//
// frame->call is at the prefix, pc behind the memarg, and r0 is its offset.

#define ATOMIC_ADDRESS(n, size)                                                                    \
    u64 address = r0 + (u32)sp[-(n)];                                                              \
    if (unlikely(address % (size)))                                                                \
        TRAP_CALL(TRAP_UNALIGNED_ATOMIC);                                                          \
    if (unlikely(address + (size) > bytes)) {                                                      \
        r0 = address;                                                                              \
        GO(trap_atomic);                                                                           \
    }

#define ATOMIC_PLACE(type) ((type *)(void *)(mem + address))

#define ALOAD(code, id, text, R, type, align)                                                      \
    HANDLER(id)                                                                                    \
    {                                                                                              \
        BEGIN;                                                                                     \
        ATOMIC_ADDRESS(1, sizeof(type));                                                           \
        sp[-1] = __atomic_load_n(ATOMIC_PLACE(type), __ATOMIC_SEQ_CST);                            \
        NEXT;                                                                                      \
    }

#define ASTORE(code, id, text, A, type, align)                                                     \
    HANDLER(id)                                                                                    \
    {                                                                                              \
        BEGIN;                                                                                     \
        ATOMIC_ADDRESS(2, sizeof(type));                                                           \
        __atomic_store_n(ATOMIC_PLACE(type), (type)sp[-1], __ATOMIC_SEQ_CST);                      \
        sp -= 2;                                                                                   \
        NEXT;                                                                                      \
    }

#define RMW(code, id, text, A, type, align, expr)                                                  \
    HANDLER(id)                                                                                    \
    {                                                                                              \
        BEGIN;                                                                                     \
        ATOMIC_ADDRESS(2, sizeof(type));                                                           \
        type a = *ATOMIC_PLACE(volatile type), b = (type)sp[-1];                                   \
        while (!__atomic_compare_exchange_n(ATOMIC_PLACE(type), &a, (type)(expr), false,           \
                                            __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))                   \
            ;                                                                                      \
        sp--;                                                                                      \
        sp[-1] = a;                                                                                \
        NEXT;                                                                                      \
    }

#define CMPXCHG(code, id, text, A, type, align)                                                    \
    HANDLER(id)                                                                                    \
    {                                                                                              \
        BEGIN;                                                                                     \
        ATOMIC_ADDRESS(3, sizeof(type));                                                           \
        type a = (type)sp[-2];                                                                     \
        __atomic_compare_exchange_n(ATOMIC_PLACE(type), &a, (type)sp[-1], false, __ATOMIC_SEQ_CST, \
                                    __ATOMIC_SEQ_CST);                                             \
        sp -= 2;                                                                                   \
        sp[-1] = a;                                                                                \
        NEXT;                                                                                      \
    }

#include "wasm/ops.def"

HANDLER(atomic_fence)
{
    BEGIN;
    pc++;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
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
