// SPDX-License-Identifier: MIT
// Canonical types: equal types of all modules and host functions of a store get the same number,
// which is what an indirect call compares. A chained hash table of records that stay where they
// are; numbers of types that nobody uses any more are given out again, and 0 is never one. Types of
// a group (wasm/module.h) come and go together: the first of them is in the table, and has the
// numbers of the others. The hash is keyed, so that nobody can make a module whose types all meet
// in one chain.
#include "rt/store.h"

#include "base/hash.h"
#include "plat/plat.h"

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

// What a module's type is outside of it; within its own group `ids` are the group's numbers, or
// NULL: then they are relative, with a bit that no number has.
#define RELATIVE (1u << 22)
static u32 outside(const struct functype *types, const struct functype *f, u32 index,
                   const u32 *ids)
{
    u32 at = index - f->first;
    if (at < f->count)
        return ids ? ids[at] : at | RELATIVE;
    return types[index].id;
}

static valtype outside_type(const struct functype *types, const struct functype *f, valtype t,
                            const u32 *ids)
{
    if (type_kind(t) != TYPE_REF)
        return t;
    return (t & (TYPE_MUTABLE | 0xff)) | outside(types, f, type_index(t), ids) << TYPE_INDEX;
}

static u32 hash_group(u64 key, const struct functype *types, u32 first)
{
    u64 h = key, by = key | 1;
    for (u32 i = first; i < first + types[first].count; i++) {
        const struct functype *f = &types[i];
        u32 super = f->super == NO_TYPE ? 0 : outside(types, f, f->super, NULL);
        h = hash_fold(h ^ ((u64)f->nparams << 32 | f->nresults), by);
        h = hash_fold(h ^ ((u64)f->form << 40 | (u64)f->open << 32 | super), by);
        for (u32 k = 0; k < f->nparams + f->nresults; k++)
            h = hash_fold(h ^ outside_type(types, f, f->types[k], NULL), by);
    }
    return (u32)(h ^ h >> 32);
}

static const u32 *ids_of(const struct rt_type *r)
{
    return r->ids ? r->ids : &r->t.id;
}

static bool same_type(const struct rt_type *r, const struct functype *types,
                      const struct functype *f, const u32 *ids)
{
    const struct functype *t = &r->t;
    if (t->nparams != f->nparams || t->nresults != f->nresults || t->form != f->form ||
        t->open != f->open ||
        t->super != (f->super == NO_TYPE ? NO_TYPE : outside(types, f, f->super, ids)))
        return false;
    for (u32 k = 0; k < f->nparams + f->nresults; k++)
        if (t->types[k] != outside_type(types, f, f->types[k], ids))
            return false;
    return true;
}

static bool same_group(struct type_table *t, const struct rt_type *r, const struct functype *types,
                       u32 first)
{
    const u32 *ids = ids_of(r);
    if (r->t.count != types[first].count)
        return false;
    for (u32 i = 0; i < r->t.count; i++)
        if (!same_type(*type_at(t, ids[i]), types, &types[first + i], ids))
            return false;
    return true;
}

// Room for the entries that a type's list has, the places of fields included.
static u32 entries(const struct functype *f)
{
    switch (f->form) {
    case FORM_STRUCT: return 2 * f->nparams + 1;
    case FORM_ARRAY: return 2;
    default: return f->nparams + f->nresults;
    }
}

// What the collector finds in objects, by the type of a field: the top of the hierarchy of what may
// be an object, or an exception; 0 otherwise.
static u32 traced(const struct functype *types, valtype field)
{
    u32 kind = type_kind(field);
    switch (kind) {
    case TYPE_REF: return types[type_index(field)].form == FORM_FUNC ? 0 : TYPE_ANYREF;
    case TYPE_ANYREF:
    case TYPE_EQREF:
    case TYPE_STRUCTREF:
    case TYPE_ARRAYREF:
    case TYPE_EXTERNREF: return TYPE_ANYREF;
    case TYPE_EXNREF: return TYPE_EXNREF;
    default: return 0;
    }
}

// Behind these the places that the collector looks at.
static size_t size_of(const struct functype *f)
{
    size_t n = entries(f) + (f->form == FORM_STRUCT ? f->nparams : 0);
    return sizeof(struct rt_type) + n * sizeof(valtype);
}

static struct rt_type *add_one(struct type_table *t, const struct functype *f)
{
    u32 id = next_id(t);
    struct rt_type *r = id ? heap_alloc(size_of(f)) : NULL;
    if (!r || id >= RELATIVE) {
        heap_free(r);
        return NULL;
    }
    if (id == t->unused) {
        t->unused = (*type_at(t, id))->next;
        heap_free(*type_at(t, id));
    } else {
        t->ids = id + 1;
    }
    *r = (struct rt_type){.t = *f};
    r->t.id = id;
    r->t.types = r->types;
    r->t.self[0] = type_ref(id, true);
    r->t.self[1] = type_ref(id, false);
    *type_at(t, id) = r;
    t->used++;
    return r;
}

static void remove_one(struct type_table *t, u32 id)
{
    (*type_at(t, id))->next = t->unused;
    t->unused = id;
    t->used--;
}

static u32 list(u32 *places, const struct functype *types, const struct functype *f, u32 kind)
{
    u32 n = 0;
    for (u32 k = 0; k < f->nparams; k++)
        if (traced(types, f->types[k]) == kind)
            places[n++] = f->types[f->nparams + k];
    return n;
}

static void note_traced(struct rt_type *r, const struct functype *types, const struct functype *f)
{
    if (f->form == FORM_STRUCT) {
        u32 *places = r->types + entries(f);
        r->places = places;
        r->nrefs = list(places, types, f, TYPE_ANYREF);
        r->nexnrefs = list(places + r->nrefs, types, f, TYPE_EXNREF);
    } else if (f->form == FORM_ARRAY) {
        r->nrefs = traced(types, f->types[0]) == TYPE_ANYREF;
        r->nexnrefs = traced(types, f->types[0]) == TYPE_EXNREF;
    }
}

static void fill(struct rt_type *r, const struct functype *types, const struct functype *f,
                 const u32 *ids)
{
    if (entries(f))
        memcpy(r->types, f->types, entries(f) * sizeof *r->types);
    for (u32 k = 0; k < f->nparams + f->nresults; k++)
        r->types[k] = outside_type(types, f, f->types[k], ids);
    r->t.first = ids[0];
    r->t.super = f->super == NO_TYPE ? NO_TYPE : outside(types, f, f->super, ids);
    note_traced(r, types, f);
}

static struct rt_type *add(struct type_table *t, const struct functype *types, u32 first, u32 hash)
{
    u32 n = types[first].count, have = 0;
    u32 *ids = n > 1 ? heap_array(n, sizeof *ids) : NULL;
    struct rt_type *r = NULL, *head = NULL;
    if (n > 1 && !ids)
        return NULL;
    for (; have < n && (r = add_one(t, &types[first + have])); have++) {
        head = head ? head : r;
        if (ids)
            ids[have] = r->t.id;
    }
    if (have < n) {
        while (have > 0)
            remove_one(t, ids[--have]);
        heap_free(ids);
        return NULL;
    }
    head->ids = ids;
    for (u32 i = 0; i < n; i++)
        fill(*type_at(t, ids_of(head)[i]), types, &types[first + i], ids_of(head));
    head->hash = hash;
    head->users = 1;
    enlist(t, head);
    return head;
}

struct rt_type *type_intern(struct type_table *t, struct functype *types, u32 first)
{
    if (t->used >= t->nbuckets && !grow(t))
        return NULL;
    u32 hash = hash_group(t->key, types, first);
    u32 id = *bucket(t, hash);
    struct rt_type *r;
    for (; id; id = r->next) {
        r = *type_at(t, id);
        if (r->hash == hash && same_group(t, r, types, first))
            break;
    }
    if (id)
        r->users++;
    else if (!(r = add(t, types, first, hash)))
        return NULL;
    for (u32 i = 0; i < r->t.count; i++)
        types[first + i].id = ids_of(r)[i];
    return r;
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
    u32 *ids = r->ids;
    for (u32 i = 0, n = r->t.count; i < n; i++)
        remove_one(t, ids ? ids[i] : id);
    heap_free(ids);
    r->ids = NULL;
}

static const struct functype *type_of_id(const void *types, u32 id)
{
    return &(*type_at((struct type_table *)types, id))->t;
}

bool types_match(const struct type_table *t, valtype a, valtype b)
{
    return type_matches(type_of_id, t, a, b);
}

bool type_is(const struct type_table *t, u32 id, u32 wanted)
{
    return id && types_match(t, type_ref(id, true), type_ref(wanted, true));
}

valtype type_outside(const struct module *m, valtype t)
{
    if (type_kind(t) != TYPE_REF)
        return t;
    return (t & 0xff) | m->types[type_index(t)].id << TYPE_INDEX;
}

void types_free(struct type_table *t)
{
    for (u32 id = 1; id < t->ids; id++) {
        heap_free((*type_at(t, id))->ids);
        heap_free(*type_at(t, id));
    }
    for (u32 s = 0; s < TYPE_SEGMENTS; s++) {
        heap_free(t->by_id[s]);
        heap_free(t->buckets[s]);
    }
    *t = (struct type_table){0};
}
