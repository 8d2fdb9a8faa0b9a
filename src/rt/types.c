// SPDX-License-Identifier: MIT
// Canonical function types: equal types of all modules and host functions of a store get the same
// number, which is what an indirect call compares. A chained hash table of records that stay where
// they are; numbers of types that nobody uses any more are given out again, and 0 is never one.
// The hash is keyed, so that nobody can make a module whose types all meet in one chain.
#include "rt/store.h"
#include "plat/plat.h"

static void choose_key(struct type_table *t)
{
    if (plat_entropy(&t->key, sizeof t->key))
        t->key = plat_now() * 0x9e3779b97f4a7c15ull;
}

static u32 hash_type(u64 key, const struct functype *f)
{
    u64 h = key ^ (u64)f->nparams << 32 ^ f->nresults;
    for (u32 i = 0; i < f->nparams + f->nresults; i++) {
        h = (h ^ f->types[i]) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 32;
    }
    return (u32)h;
}

static bool same_type(const struct functype *a, const struct functype *b)
{
    return a->nparams == b->nparams && a->nresults == b->nresults &&
           !memcmp(a->types, b->types, a->nparams + a->nresults);
}

static u32 *bucket(struct type_table *t, u32 hash)
{
    return &t->buckets[hash & (t->nbuckets - 1)];
}

static bool grow(struct type_table *t)
{
    u32 n = t->nbuckets ? t->nbuckets * 2 : 64;
    if (!t->nbuckets)
        choose_key(t);
    u32 *buckets = heap_array(n, sizeof *buckets);
    if (!buckets)
        return false;
    heap_free(t->buckets);
    t->buckets = buckets;
    t->nbuckets = n;
    for (u32 id = 1; id < t->by_id.count; id++) {
        struct rt_type *r = t->by_id.at[id];
        if (!r->users)
            continue;
        u32 *b = bucket(t, r->hash);
        r->next = *b;
        *b = id;
    }
    return true;
}

// Room for one more id; 0: no memory. The slot holds a record without users, or NULL if it is new.
static u32 next_id(struct type_table *t)
{
    if (t->unused)
        return t->unused;
    if (!t->by_id.count && !vec_push(&t->by_id, NULL))
        return 0;
    return vec_reserve(&t->by_id, 1) ? t->by_id.count : 0;
}

static struct rt_type *add(struct type_table *t, const struct functype *f, u32 hash)
{
    u32 id = next_id(t);
    u32 n = f->nparams + f->nresults;
    struct rt_type *r = id ? heap_alloc(sizeof *r + n) : NULL;
    if (!r)
        return NULL;
    if (id == t->unused) {
        t->unused = t->by_id.at[id]->next;
        heap_free(t->by_id.at[id]);
    } else {
        t->by_id.count++;
    }
    *r = (struct rt_type){.t = {f->nparams, f->nresults, r->bytes, id}, .hash = hash, .users = 1};
    memcpy(r->bytes, f->types, n);
    t->by_id.at[id] = r;
    u32 *b = bucket(t, hash);
    r->next = *b;
    *b = id;
    t->used++;
    return r;
}

struct rt_type *type_intern(struct type_table *t, const struct functype *f)
{
    if (t->used >= t->nbuckets && !grow(t))
        return NULL;
    u32 hash = hash_type(t->key, f);
    for (u32 id = *bucket(t, hash); id; id = t->by_id.at[id]->next) {
        struct rt_type *r = t->by_id.at[id];
        if (r->hash == hash && same_type(&r->t, f)) {
            r->users++;
            return r;
        }
    }
    return add(t, f, hash);
}

void type_drop(struct type_table *t, u32 id)
{
    struct rt_type *r = t->by_id.at[id];
    if (--r->users)
        return;
    u32 *at = bucket(t, r->hash);
    while (*at != id)
        at = &t->by_id.at[*at]->next;
    *at = r->next;
    r->next = t->unused;
    t->unused = id;
    t->used--;
}

void types_free(struct type_table *t)
{
    for (u32 id = 1; id < t->by_id.count; id++)
        heap_free(t->by_id.at[id]);
    vec_free(&t->by_id);
    heap_free(t->buckets);
    *t = (struct type_table){0};
}
