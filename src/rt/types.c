// SPDX-License-Identifier: MIT
// Canonical function types: equal types of all modules and host functions of a store get the same
// number, which is what an indirect call compares. A chained hash table of records that stay where
// they are; numbers of types that nobody uses any more are given out again, and 0 is never one.
// The hash is keyed, so that nobody can make a module whose types all meet in one chain.
#include "rt/store.h"

#include "base/hash.h"
#include "plat/plat.h"

static u32 hash_type(u64 key, const struct functype *f)
{
    return (u32)hash_bytes(key ^ (u64)f->nparams << 32, f->types, f->nparams + f->nresults);
}

static bool same_type(const struct functype *a, const struct functype *b)
{
    return a->nparams == b->nparams && a->nresults == b->nresults &&
           !memcmp(a->types, b->types, a->nparams + a->nresults);
}

// --- The arrays. Segment s has 64 << s elements, which are written to when each is first used: all
// of them would be much for the realm's lock.

static u32 segment_of(u32 i)
{
    return 31 - (u32)__builtin_clz(i / 64 + 1);
}

static u32 place_of(u32 i)
{
    return i - (64u << segment_of(i)) + 64;
}

struct rt_type **type_at(struct type_table *t, u32 id)
{
    return &t->by_id[segment_of(id)][place_of(id)];
}

static u32 *at_bucket(struct type_table *t, u32 i)
{
    return &t->buckets[segment_of(i)][place_of(i)];
}

// Linear hashing: with n buckets, a hash is taken modulo the power of two that n does not exceed,
// or half of that where there is no such bucket yet.
static u32 *bucket(struct type_table *t, u32 hash)
{
    u32 n = t->nbuckets, mask = n < 2 ? 0 : UINT32_MAX >> __builtin_clz(n - 1), i = hash & mask;
    return at_bucket(t, i < n ? i : i & mask >> 1);
}

static void enlist(struct type_table *t, struct rt_type *r)
{
    u32 *b = bucket(t, r->hash);
    r->next = *b;
    *b = r->t.id;
}

// A bucket more: what belongs there comes out of the one that stood for both.
static bool grow(struct type_table *t)
{
    u32 n = t->nbuckets, s = segment_of(n);
    if (!n)
        t->key = plat_hash_key();
    if (s == TYPE_SEGMENTS ||
        (!t->buckets[s] && !(t->buckets[s] = heap_alloc(sizeof **t->buckets << (s + 6)))))
        return false;
    t->nbuckets = n + 1;
    *at_bucket(t, n) = 0;
    if (!n)
        return true;
    u32 *from = at_bucket(t, n ^ 1u << (31 - __builtin_clz(n))), id = *from;
    *from = 0;
    while (id) {
        struct rt_type *r = *type_at(t, id);
        id = r->next;
        enlist(t, r);
    }
    return true;
}

// Room for one more id; 0: no memory.
static u32 next_id(struct type_table *t)
{
    if (t->unused)
        return t->unused;
    u32 id = t->ids ? t->ids : 1, s = segment_of(id);
    if (s == TYPE_SEGMENTS ||
        (!t->by_id[s] && !(t->by_id[s] = heap_alloc(sizeof **t->by_id << (s + 6)))))
        return 0;
    return id;
}

static struct rt_type *add(struct type_table *t, const struct functype *f, u32 hash)
{
    u32 id = next_id(t);
    u32 n = f->nparams + f->nresults;
    struct rt_type *r = id ? heap_alloc(sizeof *r + n) : NULL;
    if (!r)
        return NULL;
    if (id == t->unused) {
        t->unused = (*type_at(t, id))->next;
        heap_free(*type_at(t, id));
    } else {
        t->ids = id + 1;
    }
    *r = (struct rt_type){.t = {f->nparams, f->nresults, r->bytes, id}, .hash = hash, .users = 1};
    memcpy(r->bytes, f->types, n);
    *type_at(t, id) = r;
    enlist(t, r);
    t->used++;
    return r;
}

struct rt_type *type_intern(struct type_table *t, const struct functype *f)
{
    if (t->used >= t->nbuckets && !grow(t))
        return NULL;
    u32 hash = hash_type(t->key, f);
    for (u32 id = *bucket(t, hash); id; id = (*type_at(t, id))->next) {
        struct rt_type *r = *type_at(t, id);
        if (r->hash == hash && same_type(&r->t, f)) {
            r->users++;
            return r;
        }
    }
    return add(t, f, hash);
}

void type_drop(struct type_table *t, u32 id)
{
    struct rt_type *r = *type_at(t, id);
    if (--r->users)
        return;
    u32 *at = bucket(t, r->hash);
    while (*at != id)
        at = &(*type_at(t, *at))->next;
    *at = r->next;
    r->next = t->unused;
    t->unused = id;
    t->used--;
}

void types_free(struct type_table *t)
{
    for (u32 id = 1; id < t->ids; id++)
        heap_free(*type_at(t, id));
    for (u32 s = 0; s < TYPE_SEGMENTS; s++) {
        heap_free(t->by_id[s]);
        heap_free(t->buckets[s]);
    }
    *t = (struct type_table){0};
}
