// SPDX-License-Identifier: MIT
// Numbers of 128 bits: wide arithmetic, as clang compiles __int128 with it, where registers are
// plenty and where they are not, and against the same by halves.
#include <stdint.h>
#include <stdio.h>

typedef unsigned __int128 u128;
#define APART __attribute__((noinline))

static APART u128 add(u128 a, u128 b)
{
    return a + b;
}
static APART u128 sub(u128 a, u128 b)
{
    return a - b;
}
static APART u128 doubled(u128 a)
{
    return a + a;
}
static APART u128 zero(u128 a)
{
    return a - a;
}
static APART u128 same(uint64_t a)
{
    return ((u128)a << 64 | a) + ((u128)a << 64 | a);
}
static APART u128 carried(u128 a, uint64_t b)
{
    return a + b;
}
static APART u128 mul(uint64_t a, uint64_t b)
{
    return (u128)a * b;
}
static APART __int128 mul_signed(int64_t a, int64_t b)
{
    return (__int128)a * b;
}
static APART u128 square(uint64_t a)
{
    return (u128)a * a;
}

// Many are alive at once.
static APART u128 many(const uint64_t *p)
{
    u128 a = mul(p[0], p[1]), b = (u128)p[2] * p[3], c = (u128)p[4] * p[5], d = (u128)p[6] * p[7];
    u128 e = a + b, g = c - d, h = b + c, i = a - d;
    return e * 3 + g * 5 + (h - i) + (a + g) + (b - h) + (u128)p[0] * p[7];
}

// The same by halves of 32 bits.
static APART u128 mul_slow(uint64_t a, uint64_t b)
{
    uint64_t al = (uint32_t)a, ah = a >> 32, bl = (uint32_t)b, bh = b >> 32;
    uint64_t low = al * bl, m1 = ah * bl, m2 = al * bh, high = ah * bh;
    uint64_t middle = (low >> 32) + (uint32_t)m1 + (uint32_t)m2;
    return (u128)(high + (m1 >> 32) + (m2 >> 32) + (middle >> 32)) << 64 |
           (middle << 32 | (uint32_t)low);
}

static void show(const char *what, u128 n)
{
    printf("%s %016llx%016llx\n", what, (unsigned long long)(n >> 64), (unsigned long long)n);
}

int main(void)
{
    uint64_t x = 0x9e3779b97f4a7c15, p[8], wrong = 0;
    for (int i = 0; i < 8; i++)
        p[i] = x *= 0xd1342543de82ef95;
    u128 a = (u128)p[0] << 64 | p[1], b = (u128)p[2] << 64 | p[3], top = (u128)1 << 127;
    show("add", add(a, b));
    show("add carry", add(UINT64_MAX, 1));
    show("add wrap", add(top, top));
    show("sub", sub(a, b));
    show("sub borrow", sub((u128)1 << 64, 1));
    show("sub wrap", sub(0, 1));
    show("doubled", doubled(a));
    show("zero", zero(b));
    show("same", same(p[5]));
    show("carried", carried((u128)7 << 64 | UINT64_MAX, 2));
    show("mul", mul(UINT64_MAX, UINT64_MAX));
    show("mul signed", (u128)mul_signed(INT64_MIN, 3));
    show("mul signed", (u128)mul_signed(-1, -1));
    show("square", square(p[6]));
    show("many", many(p));
    for (int i = 0; i < 100000; i++) {
        uint64_t y = x = x * 0xd1342543de82ef95 + 1;
        wrong += mul(x, y ^ x >> 7) != mul_slow(x, y ^ x >> 7);
    }
    printf("%llu of 100000 products differ\n", (unsigned long long)wrong);
    return 0;
}
