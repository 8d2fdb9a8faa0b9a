/* SPDX-License-Identifier: MIT */
/*
 * spectral: largest singular value of an infinite matrix cut to n x n, by power iteration; its
 * elements are computed where they are used: integer to double conversions and divisions.
 */
#include "bench.h"

enum { MAX = 1600 };

static double element(u32 i, u32 j)
{
    return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1);
}

static void times(u32 n, const double *in, double *out)
{
    for (u32 i = 0; i < n; i++) {
        double sum = 0;

        for (u32 j = 0; j < n; j++)
            sum += element(i, j) * in[j];
        out[i] = sum;
    }
}

static void times_transposed(u32 n, const double *in, double *out)
{
    for (u32 i = 0; i < n; i++) {
        double sum = 0;

        for (u32 j = 0; j < n; j++)
            sum += element(j, i) * in[j];
        out[i] = sum;
    }
}

static u64 bench_body(double scale)
{
    static double u[MAX], v[MAX], half[MAX];
    u32 n = bench_count(__builtin_sqrt(scale), MAX);
    double uv = 0, vv = 0;

    for (u32 i = 0; i < n; i++)
        u[i] = 1;
    for (int round = 0; round < 20; round++) {
        times(n, u, half);
        times_transposed(n, half, v);
        times(n, v, half);
        times_transposed(n, half, u);
    }
    for (u32 i = 0; i < n; i++) {
        uv += u[i] * v[i];
        vv += v[i] * v[i];
    }
    return bench_mix_double(0, __builtin_sqrt(uv / vv));
}
