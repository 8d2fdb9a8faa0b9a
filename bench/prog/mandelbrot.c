/* SPDX-License-Identifier: MIT */
/*
 * mandelbrot: escape times over a square of the plane: a short chain of dependent double
 * multiplications and additions, one branch a round, everything in registers.
 */
#include "bench.h"

enum { WIDTH = 640, LIMIT = 1000 };

static u32 escape(double cx, double cy)
{
    double x = 0, y = 0;

    for (u32 n = 0; n < LIMIT; n++) {
        double xx = x * x, yy = y * y;

        if (xx + yy > 4)
            return n;
        y = 2 * x * y + cy;
        x = xx - yy + cx;
    }
    return LIMIT;
}

static u64 bench_body(double scale)
{
    u32 height = bench_count(scale, WIDTH);
    u64 sum = 0;

    for (u32 row = 0; row < height; row++) {
        u64 line = 0;

        for (u32 col = 0; col < WIDTH; col++)
            line += escape(col * (2.5 / WIDTH) - 2, row * (2.5 / height) - 1.25);
        sum = bench_mix(sum, line);
    }
    return sum;
}
