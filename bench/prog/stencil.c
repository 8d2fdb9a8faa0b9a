/* SPDX-License-Identifier: MIT */
/*
 * stencil: heat spreads over a plate and through a block: five and seven neighbours of each point,
 * weighted by constants, from one array into another and back; then a blur in place whose steps
 * depend on each other. Loads at fixed distances, constants of double precision, no branches.
 */
#include "bench.h"

enum { SIDE = 200, EDGE = 32 };

static double plate[2][SIDE][SIDE];
static double block[2][EDGE][EDGE][EDGE];

static void spread_plate(double (*in)[SIDE], double (*out)[SIDE])
{
    for (int y = 1; y < SIDE - 1; y++)
        for (int x = 1; x < SIDE - 1; x++)
            out[y][x] = 0.52 * in[y][x] + 0.115 * (in[y][x - 1] + in[y][x + 1]) +
                        0.125 * (in[y - 1][x] + in[y + 1][x]);
}

static void spread_block(double (*in)[EDGE][EDGE], double (*out)[EDGE][EDGE])
{
    for (int z = 1; z < EDGE - 1; z++)
        for (int y = 1; y < EDGE - 1; y++)
            for (int x = 1; x < EDGE - 1; x++) {
                double at = in[z][y][x];

                out[z][y][x] = at + 0.1 * (in[z][y][x - 1] - 2.0 * at + in[z][y][x + 1]) +
                               0.125 * (in[z][y - 1][x] - 2.0 * at + in[z][y + 1][x]) +
                               0.15 * (in[z - 1][y][x] - 2.0 * at + in[z + 1][y][x]);
            }
}

static void blur(double (*p)[SIDE])
{
    for (int y = 1; y < SIDE - 1; y++)
        for (int x = 1; x < SIDE - 1; x++)
            p[y][x] = (p[y - 1][x - 1] + p[y - 1][x] + p[y - 1][x + 1] + p[y][x - 1] + p[y][x] +
                       p[y][x + 1] + p[y + 1][x - 1] + p[y + 1][x] + p[y + 1][x + 1]) /
                      9.0;
}

static u64 bench_body(double scale)
{
    u32 rounds = bench_count(scale, 1200);
    u64 seed = 3, sum = 0;

    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            plate[0][y][x] = plate[1][y][x] = bench_random(&seed) * 0x1p-32;
    for (int z = 0; z < EDGE; z++)
        for (int y = 0; y < EDGE; y++)
            for (int x = 0; x < EDGE; x++)
                block[0][z][y][x] = block[1][z][y][x] = bench_random(&seed) * 0x1p-32;
    for (u32 r = 0; r < rounds; r++) {
        spread_plate(plate[0], plate[1]);
        spread_plate(plate[1], plate[0]);
        spread_block(block[0], block[1]);
        spread_block(block[1], block[0]);
        if (r % 4 == 0)
            blur(plate[0]);
        sum = bench_mix_double(sum, plate[0][1 + r % (SIDE - 2)][SIDE / 2]);
        sum = bench_mix_double(sum, block[0][EDGE / 2][1 + r % (EDGE - 2)][EDGE / 2]);
    }
    return sum;
}
