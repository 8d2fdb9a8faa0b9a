// SPDX-License-Identifier: MIT
// The scalar types and the few macros that every layer uses.
//
// The core is freestanding: it includes the compiler's own headers, and no libc. The memory
// functions below are the ones that a C compiler may call on its own; libc has them on Linux, and
// the kernel brings its own.
#pragma once
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef float f32;
typedef double f64;

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
// Of functions that are called very often, and from one place or two: the kernel, which is
// optimized as a whole, puts them there.
#define OFTEN __attribute__((always_inline))
// Of functions that are called rarely, among those that are: small code will do.
#define SELDOM __attribute__((noinline, minsize))
#define countof(a) (sizeof(a) / sizeof((a)[0]))
#define ALIGN_UP(x, n) (((x) + ((n) - 1)) & ~((__typeof__(x))(n) - 1))
#define container_of(p, type, member) ((type *)((char *)(p) - offsetof(type, member)))

void *memcpy(void *restrict dst, const void *restrict src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);

// A compiler that may not assume a libc takes these names for any functions; so, by its own names
// for them, it still knows what to do for a few bytes.
#if !__STDC_HOSTED__
#define memcpy(dst, src, n) __builtin_memcpy(dst, src, n)
#define memmove(dst, src, n) __builtin_memmove(dst, src, n)
#define memset(dst, c, n) __builtin_memset(dst, c, n)
#define memcmp(a, b, n) __builtin_memcmp(a, b, n)
#define strlen(s) __builtin_strlen(s)
#endif

static inline bool str_eq(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

// Unaligned little-endian access; compiles to one move.
#define LOAD_STORE(T)                                                                              \
    static inline T load_##T(const void *p)                                                        \
    {                                                                                              \
        T v;                                                                                       \
        __builtin_memcpy(&v, p, sizeof v);                                                         \
        return v;                                                                                  \
    }                                                                                              \
    static inline void store_##T(void *p, T v)                                                     \
    {                                                                                              \
        __builtin_memcpy(p, &v, sizeof v);                                                         \
    }
LOAD_STORE(u16)
LOAD_STORE(u32)
LOAD_STORE(u64)
LOAD_STORE(s32)
LOAD_STORE(s64)
LOAD_STORE(f32)
LOAD_STORE(f64)
#undef LOAD_STORE
