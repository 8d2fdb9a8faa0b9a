/* SPDX-License-Identifier: MIT */
/*
 * matmul: dense matrix product as the textbook writes it, three loops, once in double and once in
 * 32-bit integers: loads with two kinds of stride and a multiply-add chain.
 */
#include "bench.h"

enum { N = 240 };

static double a[N][N], b[N][N], c[N][N];
static s32 x[N][N], y[N][N], z[N][N];

static void fill(u64 seed)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            x[i][j] = (s32)bench_random(&seed);
            y[i][j] = (s32)bench_random(&seed);
            a[i][j] = x[i][j] * 0x1p-32;
            b[i][j] = y[i][j] * 0x1p-32;
        }
}

static void multiply_double(u32 rows)
{
    for (u32 i = 0; i < rows; i++)
        for (u32 j = 0; j < N; j++) {
            double sum = 0;

            for (u32 k = 0; k < N; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
}

static void multiply_int(u32 rows)
{
    for (u32 i = 0; i < rows; i++)
        for (u32 j = 0; j < N; j++) {
            u32 sum = 0;

            for (u32 k = 0; k < N; k++)
                sum += (u32)x[i][k] * (u32)y[k][j];
            z[i][j] = (s32)sum;
        }
}

static u64 bench_body(double scale)
{
    u32 rows = bench_count(scale, 20 * N);
    u64 sum = 0;

    fill(7);
    while (rows > 0) {
        u32 part = rows < N ? rows : N;

        multiply_double(part);
        multiply_int(part);
        rows -= part;
        for (u32 i = 0; i < part; i++) {
            sum = bench_mix(bench_mix_double(sum, c[i][i]), (u32)z[i][i]);
            a[i][part - 1] += c[i][0] * 0x1p-10;
            x[i][part - 1] += z[i][0] & 255;
        }
    }
    return sum;
}
