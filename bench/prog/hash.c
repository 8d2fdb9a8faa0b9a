/* SPDX-License-Identifier: MIT */
/*
 * hash: a table with string keys: FNV-1a over the bytes, open addressing with linear probing,
 * doubling when it is three quarters full. Inserts, lookups that hit and miss, and updates:
 * byte loops, multiplications, loads that miss the first cache.
 */
#include "bench.h"

struct entry {
    const char *key; /* not terminated; NULL in a free entry */
    u32 len, hash, value;
};

struct table {
    struct entry *entries;
    u32 mask, used;
};

static u32 hash_bytes(const char *s, u32 len)
{
    u32 h = 2166136261u;

    for (u32 i = 0; i < len; i++)
        h = (h ^ (u8)s[i]) * 16777619u;
    return h;
}

static int same(const char *a, const char *b, u32 len)
{
    for (u32 i = 0; i < len; i++)
        if (a[i] != b[i])
            return 0;
    return 1;
}

static struct entry *table_slot(const struct table *t, const char *key, u32 len, u32 hash)
{
    for (u32 i = hash & t->mask;; i = (i + 1) & t->mask) {
        struct entry *e = &t->entries[i];

        if (e->key == NULL || (e->hash == hash && e->len == len && same(e->key, key, len)))
            return e;
    }
}

static void table_init(struct table *t, u32 size)
{
    t->entries = bench_alloc(size * sizeof(struct entry));
    memset(t->entries, 0, size * sizeof(struct entry));
    t->mask = size - 1;
    t->used = 0;
}

static void table_double(struct table *t)
{
    struct table old = *t;

    table_init(t, 2 * (old.mask + 1));
    t->used = old.used;
    for (u32 i = 0; i <= old.mask; i++) {
        const struct entry *e = &old.entries[i];

        if (e->key != NULL)
            *table_slot(t, e->key, e->len, e->hash) = *e;
    }
    free(old.entries);
}

static u32 *table_put(struct table *t, const char *key, u32 len)
{
    u32 hash = hash_bytes(key, len);
    struct entry *e = table_slot(t, key, len, hash);

    if (e->key == NULL) {
        if (t->used++ >= t->mask / 4 * 3) {
            table_double(t);
            e = table_slot(t, key, len, hash);
        }
        *e = (struct entry){key, len, hash, 0};
    }
    return &e->value;
}

static u32 table_get(const struct table *t, const char *key, u32 len)
{
    const struct entry *e = table_slot(t, key, len, hash_bytes(key, len));

    return e->key == NULL ? 0 : e->value;
}

/* Writes a name for n, like `user/3f2a`; returns its length. */
static u32 name(char *out, u32 n)
{
    static const char *const kinds[] = {"user/", "order/", "x", "invoice-item/"};
    u32 len = 0;

    for (const char *s = kinds[n & 3]; *s != 0; s++)
        out[len++] = *s;
    do {
        out[len++] = "0123456789abcdef"[n & 15];
        n >>= 4;
    } while (n != 0);
    return len;
}

static u64 run(char *pool, u32 keys, u32 accesses)
{
    struct table t;
    u64 seed = 17, sum = 0;

    table_init(&t, 16);
    for (u32 i = 0; i < keys; i++)
        *table_put(&t, pool + i * 24, name(pool + i * 24, i * 7)) = i;
    for (u32 i = 0; i < accesses; i++) {
        char key[24];
        u32 n = bench_random(&seed) % (keys * 8);
        u32 len = name(key, n);
        u32 value = table_get(&t, key, len);

        sum = bench_mix(sum, value);
        if (value != 0)
            *table_put(&t, key, len) += n;
    }
    free(t.entries);
    return bench_mix(sum, t.used);
}

static u64 bench_body(double scale)
{
    u32 keys = 20000;
    u32 rounds = bench_count(scale, 10);
    char *pool = bench_alloc(keys * 24);
    u64 sum = 0;

    if (scale < 0.1)
        keys = bench_count(scale * 10, keys);
    for (u32 r = 0; r < rounds; r++)
        sum = bench_mix(sum, run(pool, keys, keys * 20));
    free(pool);
    return sum;
}
