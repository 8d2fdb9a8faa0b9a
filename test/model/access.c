// SPDX-License-Identifier: MIT
// Every access of the kernel's files to memory: the compiler puts the calls for ThreadSanitizer in,
// and what they call is here. An access to a heap block that is gone, beyond a block, or to a part
// of a stack that has been left is a failure at once; an atomic access is a point.
#include "model.h"

#define PLAIN(size)                                                                                \
    void __tsan_read##size(const void *p);                                                         \
    void __tsan_write##size(const void *p);                                                        \
    void __tsan_unaligned_read##size(const void *p);                                               \
    void __tsan_unaligned_write##size(const void *p);                                              \
    void __tsan_read##size(const void *p)                                                          \
    {                                                                                              \
        model_access(p, size, false, __builtin_return_address(0));                                 \
    }                                                                                              \
    void __tsan_write##size(const void *p)                                                         \
    {                                                                                              \
        model_access(p, size, true, __builtin_return_address(0));                                  \
    }                                                                                              \
    void __tsan_unaligned_read##size(const void *p)                                                \
    {                                                                                              \
        model_access(p, size, false, __builtin_return_address(0));                                 \
    }                                                                                              \
    void __tsan_unaligned_write##size(const void *p)                                               \
    {                                                                                              \
        model_access(p, size, true, __builtin_return_address(0));                                  \
    }
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

#define ATOMIC(bits, type)                                                                         \
    type __tsan_atomic##bits##_load(const type *p, int order);                                     \
    void __tsan_atomic##bits##_store(type *p, type v, int order);                                  \
    type __tsan_atomic##bits##_exchange(type *p, type v, int order);                               \
    type __tsan_atomic##bits##_fetch_add(type *p, type v, int order);                              \
    type __tsan_atomic##bits##_fetch_sub(type *p, type v, int order);                              \
    type __tsan_atomic##bits##_fetch_or(type *p, type v, int order);                               \
    type __tsan_atomic##bits##_fetch_and(type *p, type v, int order);                              \
    type __tsan_atomic##bits##_compare_exchange_val(type *p, type was, type v, int order,          \
                                                    int failed);                                   \
    type __tsan_atomic##bits##_load(const type *p, int order)                                      \
    {                                                                                              \
        (void)order;                                                                               \
        return *(const type *)before(p, sizeof *p, "looks", __builtin_return_address(0));          \
    }                                                                                              \
    void __tsan_atomic##bits##_store(type *p, type v, int order)                                   \
    {                                                                                              \
        (void)order;                                                                               \
        *(type *)before(p, sizeof *p, "writes", __builtin_return_address(0)) = v;                  \
    }                                                                                              \
    CHANGE(bits, type, exchange, v)                                                                \
    CHANGE(bits, type, fetch_add, was + v)                                                         \
    CHANGE(bits, type, fetch_sub, was - v)                                                         \
    CHANGE(bits, type, fetch_or, was | v)                                                          \
    CHANGE(bits, type, fetch_and, was &v)                                                          \
    type __tsan_atomic##bits##_compare_exchange_val(type *p, type was, type v, int order,          \
                                                    int failed)                                    \
    {                                                                                              \
        (void)order, (void)failed;                                                                 \
        type *at = before(p, sizeof *p, "compares", __builtin_return_address(0)), seen = *at;      \
        if (seen == was)                                                                           \
            *at = v;                                                                               \
        return seen;                                                                               \
    }
#define CHANGE(bits, type, name, value)                                                            \
    type __tsan_atomic##bits##_##name(type *p, type v, int order)                                  \
    {                                                                                              \
        (void)order;                                                                               \
        type *at = before(p, sizeof *p, "changes", __builtin_return_address(0)), was = *at;        \
        *at = (type)(value);                                                                       \
        return was;                                                                                \
    }

static void *before(const void *p, size_t n, const char *what, const void *pc)
{
    model_point(what, pc);
    model_alive(p, n, false, pc);
    return (void *)(uintptr_t)p;
}

ATOMIC(8, u8)
ATOMIC(16, u16)
ATOMIC(32, u32)
ATOMIC(64, u64)

void __tsan_init(void);
void __tsan_init(void)
{
}

void *__tsan_memcpy(void *to, const void *from, size_t n);
void *__tsan_memmove(void *to, const void *from, size_t n);
void *__tsan_memset(void *to, int value, size_t n);

void *__tsan_memcpy(void *to, const void *from, size_t n)
{
    return __tsan_memmove(to, from, n);
}

void *__tsan_memmove(void *to, const void *from, size_t n)
{
    model_access(from, n, false, __builtin_return_address(0));
    model_access(to, n, true, __builtin_return_address(0));
    return memmove(to, from, n);
}

void *__tsan_memset(void *to, int value, size_t n)
{
    model_access(to, n, true, __builtin_return_address(0));
    return memset(to, value, n);
}
