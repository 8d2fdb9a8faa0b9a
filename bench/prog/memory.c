/* SPDX-License-Identifier: MIT */
/*
 * memory: bound by caches and DRAM. First a walk along one random cycle through all the nodes,
 * each load waiting for the one before; then streams over three arrays (copy, add, triad) that the
 * prefetcher sees coming.
 */
#include "bench.h"

/* Sattolo's shuffle: one cycle through all nodes. */
static u32 *make_cycle(u32 nodes)
{
    u32 *next = bench_alloc((size_t)nodes * sizeof(u32));
    u64 seed = 11;

    for (u32 i = 0; i < nodes; i++)
        next[i] = i;
    for (u32 i = nodes - 1; i > 0; i--) {
        u32 j = (u32)(((u64)bench_random(&seed) * i) >> 32);
        u32 t = next[i];

        next[i] = next[j];
        next[j] = t;
    }
    return next;
}

static u32 chase(const u32 *next, u32 steps)
{
    u32 at = 0;

    for (u32 i = 0; i < steps; i++)
        at = next[at];
    return at;
}

static double stream(u32 n, u32 rounds)
{
    double *a = bench_alloc(n * sizeof(double));
    double *b = bench_alloc(n * sizeof(double));
    double *c = bench_alloc(n * sizeof(double));
    double last;

    for (u32 i = 0; i < n; i++) {
        a[i] = i;
        b[i] = 2;
        c[i] = 0;
    }
    for (u32 r = 0; r < rounds; r++) {
        for (u32 i = 0; i < n; i++)
            c[i] = a[i] * 0.5;
        for (u32 i = 0; i < n; i++)
            b[i] = a[i] + c[i];
        for (u32 i = 0; i < n; i++)
            a[i] = b[i] + 0.25 * c[i] - i;
    }
    last = a[n - 1] + b[n / 2] + c[n / 3];
    free(a);
    free(b);
    free(c);
    return last;
}

static u64 bench_body(double scale)
{
    u32 nodes = bench_count(scale, 1 << 21);
    u32 *next = make_cycle(nodes < 1024 ? 1024 : nodes);
    u64 sum = chase(next, bench_count(scale, 2500000));

    free(next);
    return bench_mix_double(sum, stream(1 << 18, bench_count(scale, 100)));
}
