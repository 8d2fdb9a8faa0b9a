/* SPDX-License-Identifier: MIT */
/*
 * nbody: five bodies under gravity, symplectic Euler steps: double arithmetic with divisions and
 * square roots, few loads, no branches to speak of. The energy after the last step is the
 * checksum: it is the same bits on every IEEE machine that does not fuse or reorder.
 */
#include "bench.h"

enum { BODIES = 5 };

struct body {
    double pos[3], vel[3], mass;
};

static struct body bodies[BODIES];

/* A heavy body in the middle, the others on circles around it, each a little inclined. */
static void place(void)
{
    static const double radius[BODIES] = {0, 5.2, 9.6, 19.2, 30.1};
    static const double mass[BODIES] = {39.5, 0.038, 0.011, 0.0017, 0.002};

    memset(bodies, 0, sizeof(bodies));
    for (int i = 0; i < BODIES; i++) {
        struct body *b = &bodies[i];
        double side = i & 1 ? 1 : -1;

        b->mass = mass[i];
        b->pos[0] = radius[i] * side;
        b->pos[2] = radius[i] * 0.03 * i;
        if (i > 0)
            b->vel[1] = side * __builtin_sqrt(mass[0] / radius[i]);
    }
}

static void pull(struct body *a, struct body *b, double dt)
{
    double dx = a->pos[0] - b->pos[0];
    double dy = a->pos[1] - b->pos[1];
    double dz = a->pos[2] - b->pos[2];
    double square = dx * dx + dy * dy + dz * dz;
    double force = dt / (square * __builtin_sqrt(square));

    a->vel[0] -= dx * b->mass * force;
    a->vel[1] -= dy * b->mass * force;
    a->vel[2] -= dz * b->mass * force;
    b->vel[0] += dx * a->mass * force;
    b->vel[1] += dy * a->mass * force;
    b->vel[2] += dz * a->mass * force;
}

static void step(double dt)
{
    for (int i = 0; i < BODIES; i++)
        for (int j = i + 1; j < BODIES; j++)
            pull(&bodies[i], &bodies[j], dt);
    for (int i = 0; i < BODIES; i++)
        for (int k = 0; k < 3; k++)
            bodies[i].pos[k] += dt * bodies[i].vel[k];
}

static double energy(void)
{
    double sum = 0;

    for (int i = 0; i < BODIES; i++) {
        const struct body *a = &bodies[i];

        for (int k = 0; k < 3; k++)
            sum += 0.5 * a->mass * a->vel[k] * a->vel[k];
        for (int j = i + 1; j < BODIES; j++) {
            const struct body *b = &bodies[j];
            double square = 0;

            for (int k = 0; k < 3; k++)
                square += (a->pos[k] - b->pos[k]) * (a->pos[k] - b->pos[k]);
            sum -= a->mass * b->mass / __builtin_sqrt(square);
        }
    }
    return sum;
}

static u64 bench_body(double scale)
{
    u32 steps = bench_count(scale, 5000000);

    place();
    for (u32 i = 0; i < steps; i++)
        step(0.001);
    return bench_mix_double(0, energy());
}
