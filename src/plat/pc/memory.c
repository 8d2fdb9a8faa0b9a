// SPDX-License-Identifier: MIT
// The memory functions that a C compiler may call on its own.
//
// Sixteen bytes at a time, with ends that overlap, instead of `rep movs`: on CPUs without fast
// string instructions that takes a step for every element, and it is slow to start everywhere.
// What is loaded before anything is stored makes short moves safe to overlap.
#include "base/types.h"

#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen

typedef u64 v16 __attribute__((vector_size(16), aligned(1), may_alias));
typedef u64 v8 __attribute__((aligned(1), may_alias));
typedef u32 v4 __attribute__((aligned(1), may_alias));
typedef u16 v2 __attribute__((aligned(1), may_alias));

// Keeps the compiler from finding memcpy and memset in what is to be memcpy and memset.
#define OPAQUE(x) __asm__("" : "+r"(x))

#define ENDS(T)                                                                                    \
    do {                                                                                           \
        T first = *(const T *)s, last = *(const T *)(s + n - sizeof(T));                           \
        *(T *)d = first;                                                                           \
        *(T *)(d + n - sizeof(T)) = last;                                                          \
    } while (0)

static void *move_short(u8 *d, const u8 *s, size_t n)
{
    if (n >= 16)
        ENDS(v16);
    else if (n >= 8)
        ENDS(v8);
    else if (n >= 4)
        ENDS(v4);
    else if (n >= 2)
        ENDS(v2);
    else if (n)
        *d = *s;
    return d;
}

// 32 to 64 bytes: messages are often that long.
static void *move_middle(u8 *d, const u8 *s, size_t n)
{
    v16 a = *(const v16 *)s, b = *(const v16 *)(s + 16);
    v16 x = *(const v16 *)(s + n - 32), y = *(const v16 *)(s + n - 16);
    *(v16 *)d = a;
    *(v16 *)(d + 16) = b;
    *(v16 *)(d + n - 32) = x;
    *(v16 *)(d + n - 16) = y;
    return d;
}

static void *move_up(u8 *d, const u8 *s, size_t n)
{
    v16 last = *(const v16 *)(s + n - 16);
    size_t i = 0;
    for (; i + 144 < n; i += 128) {
        const v16 *from = (const v16 *)(s + i);
        v16 *to = (v16 *)(d + i);
        v16 a = from[0], b = from[1], e = from[2], f = from[3];
        v16 g = from[4], h = from[5], k = from[6], l = from[7];
        to[0] = a, to[1] = b, to[2] = e, to[3] = f;
        to[4] = g, to[5] = h, to[6] = k, to[7] = l;
        OPAQUE(i);
    }
    for (; i + 80 < n; i += 64) {
        v16 a = *(const v16 *)(s + i), b = *(const v16 *)(s + i + 16);
        v16 e = *(const v16 *)(s + i + 32), f = *(const v16 *)(s + i + 48);
        *(v16 *)(d + i) = a;
        *(v16 *)(d + i + 16) = b;
        *(v16 *)(d + i + 32) = e;
        *(v16 *)(d + i + 48) = f;
        OPAQUE(i);
    }
    for (; i + 48 < n; i += 32) {
        v16 a = *(const v16 *)(s + i), b = *(const v16 *)(s + i + 16);
        *(v16 *)(d + i) = a;
        *(v16 *)(d + i + 16) = b;
        OPAQUE(i);
    }
    for (; i + 16 < n; i += 16) {
        *(v16 *)(d + i) = *(const v16 *)(s + i);
        OPAQUE(i);
    }
    *(v16 *)(d + n - 16) = last;
    return d;
}

static void *move_down(u8 *d, const u8 *s, size_t n)
{
    v16 first = *(const v16 *)s;
    for (size_t i = n; i > 16; i -= 16) {
        *(v16 *)(d + i - 16) = *(const v16 *)(s + i - 16);
        OPAQUE(i);
    }
    *(v16 *)d = first;
    return d;
}

void *memcpy(void *restrict dst, const void *restrict src, size_t n)
{
    if (n <= 32)
        return move_short(dst, src, n);
    return n <= 64 ? move_middle(dst, src, n) : move_up(dst, src, n);
}

void *memmove(void *dst, const void *src, size_t n)
{
    if (n <= 32)
        return move_short(dst, src, n);
    return (size_t)((u8 *)dst - (const u8 *)src) < n ? move_down(dst, src, n)
                                                     : move_up(dst, src, n);
}

#define SET(p, i) (*(v16 *)((p) + (i)) = *(v16 *)((p) + (i) + 16) = v)

void *memset(void *dst, int c, size_t n)
{
    u8 *d = dst;
    u64 word = (u8)c * 0x0101010101010101ull;
    if (n >= 16) {
        v16 v = {word, word};
        u8 *last = d + n - 16;
        for (const u8 *most = last - 112; d < most;) {
            SET(d, 0), SET(d, 32), SET(d, 64), SET(d, 96);
            d += 128;
            OPAQUE(d);
        }
        if (d + 48 < last) {
            SET(d, 0), SET(d, 32);
            d += 64;
        }
        if (d + 16 < last) {
            SET(d, 0);
            d += 32;
        }
        if (d < last)
            *(v16 *)d = v;
        *(v16 *)last = v;
    } else if (n >= 8) {
        *(v8 *)d = *(v8 *)(d + n - 8) = word;
    } else if (n >= 4) {
        *(v4 *)d = *(v4 *)(d + n - 4) = (u32)word;
    } else if (n) {
        d[0] = d[n / 2] = d[n - 1] = (u8)word;
    }
    return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const u8 *p = a, *q = b;
    size_t i = 0;
    while (i + 8 <= n && *(const v8 *)(p + i) == *(const v8 *)(q + i))
        i += 8;
    for (; i < n; i++)
        if (p[i] != q[i])
            return p[i] - q[i];
    return 0;
}

size_t strlen(const char *s)
{
    const char *p = s;
    while (*p) {
        p++;
        OPAQUE(p);
    }
    return (size_t)(p - s);
}
