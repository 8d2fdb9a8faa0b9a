/* SPDX-License-Identifier: MIT */
/*
 * sieve: primes below a million by the sieve of Eratosthenes, one byte a number, and the longest
 * Collatz chains: integer arithmetic, byte stores with a stride, and branches that are hard to
 * predict.
 */
#include "bench.h"

enum { LIMIT = 1 << 20 };

static u8 composite[LIMIT];

static u32 sieve(u32 limit)
{
    u32 primes = 0;

    memset(composite, 0, limit);
    for (u32 i = 2; i < limit; i++) {
        if (composite[i])
            continue;
        primes++;
        for (u64 k = (u64)i * i; k < limit; k += i)
            composite[k] = 1;
    }
    return primes;
}

static u32 collatz(u64 n)
{
    u32 steps = 0;

    for (; n != 1; steps++)
        n = n & 1 ? 3 * n + 1 : n >> 1;
    return steps;
}

static u64 bench_body(double scale)
{
    u32 rounds = bench_count(scale, 30);
    u32 chains = bench_count(scale, 600000);
    u64 sum = 0;
    u32 longest = 0;

    for (u32 r = 0; r < rounds; r++)
        sum = bench_mix(sum, sieve(LIMIT - r));
    for (u32 n = 1; n <= chains; n++) {
        u32 steps = collatz(n);

        longest = steps > longest ? steps : longest;
    }
    return bench_mix(sum, longest);
}
