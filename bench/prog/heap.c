/* SPDX-License-Identifier: MIT */
/*
 * heap: a priority queue in an array: the smaller child is chosen without a branch and becomes the
 * next address. Shortest ways through a grid of random heights, then the merging of sorted runs.
 */
#include "bench.h"

enum { SIDE = 256, CELLS = SIDE * SIDE, RUNS = 64, RUN = 2048 };

struct item {
    u32 key, value;
};

struct heap {
    struct item *at; /* at[1..count] */
    u32 count;
};

static void heap_push(struct heap *h, struct item item)
{
    u32 i = ++h->count;

    for (; i > 1 && h->at[i / 2].key > item.key; i /= 2)
        h->at[i] = h->at[i / 2];
    h->at[i] = item;
}

/* Puts an item at the root and lets it sink. */
static void heap_sink(struct heap *h, struct item item)
{
    u32 i = 1, child = 2;

    while (child <= h->count) {
        u32 other = child < h->count ? child + 1 : child;

        child = h->at[other].key < h->at[child].key ? other : child;
        if (h->at[child].key >= item.key)
            break;
        h->at[i] = h->at[child];
        i = child;
        child = 2 * i;
    }
    h->at[i] = item;
}

static struct item heap_pop(struct heap *h)
{
    struct item top = h->at[1], last = h->at[h->count--];

    heap_sink(h, last);
    return top;
}

static u8 height[CELLS];
static u32 distance[CELLS];

static u32 ways(struct heap *h, u32 from)
{
    u32 farthest = 0;

    for (u32 i = 0; i < CELLS; i++)
        distance[i] = ~0u;
    distance[from] = 0;
    h->count = 0;
    heap_push(h, (struct item){0, from});
    while (h->count > 0) {
        struct item next = heap_pop(h);
        u32 x = next.value % SIDE, y = next.value / SIDE;

        if (next.key > distance[next.value])
            continue;
        farthest = next.key;
        for (u32 side = 0; side < 4; side++) {
            u32 nx = side == 0 ? x - 1 : side == 1 ? x + 1 : x;
            u32 ny = side == 2 ? y - 1 : side == 3 ? y + 1 : y;
            u32 to = ny * SIDE + nx, key;

            if (nx >= SIDE || ny >= SIDE)
                continue;
            key = next.key + 1 + height[to];
            if (key < distance[to]) {
                distance[to] = key;
                heap_push(h, (struct item){key, to});
            }
        }
    }
    return farthest;
}

static u64 merge(struct heap *h, u64 *seed)
{
    static u32 runs[RUNS][RUN];
    u32 used[RUNS] = {0}, before = 0;
    u64 sum = 0;

    h->count = 0;
    for (u32 r = 0; r < RUNS; r++) {
        u32 value = bench_random(seed) >> 8;

        for (u32 i = 0; i < RUN; i++)
            runs[r][i] = value += bench_random(seed) >> 14;
        heap_push(h, (struct item){runs[r][0], r});
    }
    while (h->count > 0) {
        struct item top = h->at[1];
        u32 run = top.value;

        if (top.key < before)
            bench_fail("heap: not in order");
        before = top.key;
        sum = bench_mix(sum, top.key + run);
        if (++used[run] < RUN)
            heap_sink(h, (struct item){runs[run][used[run]], run});
        else
            heap_pop(h);
    }
    return sum;
}

static u64 bench_body(double scale)
{
    u32 rounds = bench_count(scale, 30);
    struct heap h = {bench_alloc((4 * CELLS + 1) * sizeof(struct item)), 0};
    u64 seed = 5, sum = 0;

    for (u32 i = 0; i < CELLS; i++)
        height[i] = (u8)bench_random(&seed);
    for (u32 r = 0; r < rounds; r++) {
        sum = bench_mix(sum, ways(&h, bench_random(&seed) % CELLS));
        sum = bench_mix(sum, merge(&h, &seed));
    }
    free(h.at);
    return sum;
}
