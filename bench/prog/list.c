/* SPDX-License-Identifier: MIT */
/*
 * list: linked lists of small records, found, moved to the front, turned round, sorted by merging
 * and split again: each load waits for the one before it, and calls go through a pointer to the
 * comparison.
 */
#include "bench.h"

enum { RECORDS = 2000 };

struct record {
    struct record *next;
    s32 key;
    u16 tag, hits;
};

typedef int order(const struct record *a, const struct record *b);

static int by_key(const struct record *a, const struct record *b)
{
    return a->key < b->key ? -1 : a->key > b->key;
}

static int by_tag(const struct record *a, const struct record *b)
{
    return a->tag != b->tag ? a->tag - b->tag : by_key(a, b);
}

static struct record *find_key(struct record *r, s32 key)
{
    while (r != NULL && r->key != key)
        r = r->next;
    return r;
}

static struct record *reverse(struct record *r)
{
    struct record *out = NULL;

    while (r != NULL) {
        struct record *next = r->next;

        r->next = out;
        out = r;
        r = next;
    }
    return out;
}

static struct record *merge(struct record *a, struct record *b, order *compare)
{
    struct record *out = NULL, **tail = &out;

    while (a != NULL && b != NULL) {
        struct record **from = compare(a, b) <= 0 ? &a : &b, *r = *from;

        *from = r->next;
        *tail = r;
        tail = &r->next;
    }
    *tail = a != NULL ? a : b;
    return out;
}

/* From below: sorted[i] has 2^i records or none. */
static struct record *sort(struct record *r, order *compare)
{
    struct record *sorted[16] = {NULL};
    struct record *out = NULL;

    while (r != NULL) {
        struct record *run = r;
        u32 i = 0;

        r = r->next;
        run->next = NULL;
        for (; sorted[i] != NULL; i++) {
            run = merge(sorted[i], run, compare);
            sorted[i] = NULL;
        }
        sorted[i] = run;
    }
    for (u32 i = 0; i < COUNT(sorted); i++)
        out = merge(sorted[i], out, compare);
    return out;
}

/* The record at `place` becomes the first. */
static struct record *to_front(struct record *r, u32 place)
{
    struct record **link = &r, *found;

    for (; place > 0 && (*link)->next != NULL; place--)
        link = &(*link)->next;
    found = *link;
    *link = found->next;
    found->next = r == found ? found->next : r;
    found->hits++;
    return found;
}

static u64 fold(const struct record *r, order *compare)
{
    u64 sum = 0;
    u32 count = 0;

    for (; r != NULL; r = r->next, count++) {
        sum = sum * 31 + (u32)r->key + r->tag + r->hits;
        if (compare != NULL && r->next != NULL && compare(r, r->next) > 0)
            bench_fail("list: not in order");
    }
    if (count != RECORDS)
        bench_fail("list: records are lost");
    return sum;
}

static u64 bench_body(double scale)
{
    static struct record records[RECORDS];
    u32 rounds = bench_count(scale, 350);
    struct record *list = NULL;
    u64 seed = 37, sum = 0;

    for (u32 i = 0; i < RECORDS; i++) {
        struct record *r = &records[(i * 1237 + 11) % RECORDS];

        *r = (struct record){list, (s32)bench_random(&seed) >> 12, (u16)(i % 7), 0};
        list = r;
    }
    for (u32 r = 0; r < rounds; r++) {
        for (u32 i = 0; i < 200; i++) {
            u32 n = bench_random(&seed) % RECORDS;
            struct record *found = find_key(list, records[n].key);

            found->tag ^= (u16)(n & 3);
            list = to_front(list, n / 2);
        }
        list = sort(list, by_key);
        sum = bench_mix(sum, fold(list, by_key));
        list = reverse(list);
        sum = bench_mix(sum, fold(list, NULL));
        list = sort(list, by_tag);
        sum = bench_mix(sum, fold(list, by_tag));
    }
    return sum;
}
