/* SPDX-License-Identifier: MIT */
/*
 * recursion: fib, tak and ackermann: recursion and nothing else, so this is the price of a call, a
 * return, and values that live across calls.
 */
#include "bench.h"

static u32 fib(u32 n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static s32 tak(s32 x, s32 y, s32 z)
{
    return y >= x ? z : tak(tak(x - 1, y, z), tak(y - 1, z, x), tak(z - 1, x, y));
}

static u32 ackermann(u32 m, u32 n)
{
    if (m == 0)
        return n + 1;
    return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

static u64 bench_body(double scale)
{
    u32 rounds = bench_count(scale, 480);
    u64 sum = 0;

    for (u32 r = 0; r < rounds; r++) {
        sum = bench_mix(sum, fib(25 + r % 2));
        sum = bench_mix(sum, (u64)tak(18 + (s32)(r % 2), 12, 6));
        sum = bench_mix(sum, ackermann(2, 300 + r % 16));
    }
    return sum;
}
