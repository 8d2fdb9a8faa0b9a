/* SPDX-License-Identifier: MIT */
/*
 * vtable: objects of six classes in random order, all work done through function pointers, as C++
 * virtual calls and C callbacks do it: indirect calls with changing targets, small bodies.
 */
#include "bench.h"

enum { SHAPES = 4096 };

struct shape;

struct shape_class {
    u32 (*area)(const struct shape *s);
    u32 (*edge)(const struct shape *s);
    void (*grow)(struct shape *s, u32 by);
};

struct shape {
    const struct shape_class *class;
    u32 width, height;
};

static u32 box_area(const struct shape *s)
{
    return s->width * s->height;
}

static u32 box_edge(const struct shape *s)
{
    return 2 * (s->width + s->height);
}

static void box_grow(struct shape *s, u32 by)
{
    s->width = (s->width + by) & 1023;
    s->height = (s->height + by) & 1023;
}

static u32 square_area(const struct shape *s)
{
    return s->width * s->width;
}

static u32 square_edge(const struct shape *s)
{
    return 4 * s->width;
}

static void square_grow(struct shape *s, u32 by)
{
    s->width = (s->width ^ by) & 1023;
}

static u32 wedge_area(const struct shape *s)
{
    return s->width * s->height / 2;
}

static u32 wedge_edge(const struct shape *s)
{
    return s->width + 2 * s->height;
}

static void wedge_grow(struct shape *s, u32 by)
{
    s->height = (s->height + 3 * by) & 1023;
}

static u32 disc_area(const struct shape *s)
{
    return s->width * s->width * 355 / 113;
}

static u32 disc_edge(const struct shape *s)
{
    return 2 * s->width * 355 / 113;
}

static u32 none(const struct shape *s)
{
    (void)s;
    return 0;
}

static void keep(struct shape *s, u32 by)
{
    s->width += by & 1;
}

static const struct shape_class classes[] = {
    {box_area, box_edge, box_grow},
    {square_area, square_edge, square_grow},
    {wedge_area, wedge_edge, wedge_grow},
    {disc_area, disc_edge, square_grow},
    {none, none, keep},
    {box_area, wedge_edge, keep},
};

static struct shape shapes[SHAPES];

static u32 fold(u32 (*step)(u32 sum, const struct shape *s), u32 sum)
{
    for (u32 i = 0; i < SHAPES; i++)
        sum = step(sum, &shapes[i]);
    return sum;
}

static u32 add_area(u32 sum, const struct shape *s)
{
    return sum + s->class->area(s);
}

static u32 mix_edge(u32 sum, const struct shape *s)
{
    return sum * 31 + s->class->edge(s);
}

static u64 bench_body(double scale)
{
    u32 (*const steps[])(u32, const struct shape *) = {add_area, mix_edge};
    u32 rounds = bench_count(scale, 4000);
    u64 seed = 5, sum = 0;

    for (u32 i = 0; i < SHAPES; i++) {
        shapes[i].class = &classes[bench_random(&seed) % COUNT(classes)];
        shapes[i].width = bench_random(&seed) & 1023;
        shapes[i].height = bench_random(&seed) & 1023;
    }
    for (u32 r = 0; r < rounds; r++) {
        sum = bench_mix(sum, fold(steps[r % 2], r));
        for (u32 i = 0; i < SHAPES; i++)
            shapes[i].class->grow(&shapes[i], r);
    }
    return sum;
}
