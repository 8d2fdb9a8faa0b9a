// SPDX-License-Identifier: MIT
// Canonical types: equal types of all modules and host functions of a realm get the same number,
// which is what an indirect call and a cast compare. Numbers of types that nobody uses any more are
// given out again, and 0 is never one. Types of a group (wasm/module.h) come and go together: the
// first of them is in a chained hash table, and has the numbers of the others.
//
// A group may be large. So the lock is held for a few steps at a time: all that is compared and
// written lies outside of it. A record is only read while its group has a user, and is written
// before it is in the table. Two groups of the same hash, of 64 bits and keyed, are not expected:
// the second one is refused.
//
// Numbers lead to records by one array, in a reservation that grows page by page and never moves:
// compiled code looks there, too. Who interns a type pays for its place in it.
#include "rt/store.h"

#include "base/hash.h"
#include "base/lookup.h"
#include "plat/plat.h"

enum {
    MOST = 1 << 22,  // numbers
    AT_ONCE = 64,    // of them, with the lock held
    STEPS = 1 << 12, // fields and such between two looks
};

static void looks(u32 *steps, u32 more)
{
    *steps += more + 1;
    if (*steps < STEPS)
        return;
    *steps = 0;
    look_up();
}

// --- The table, with the lock held

// Has the array room for n places?
static bool reach(struct type_table *t, u32 n)
{
    u64 have = t->room * sizeof *t->at, need = n * sizeof *t->at;
    if (!t->at && !(t->at = plat_reserve(MOST * sizeof *t->at)))
        return false;
    if (n > MOST || (need > have && plat_commit((u8 *)t->at + have, PLAT_PAGE)))
        return false;
    if (need > have)
        t->room += PLAT_PAGE / sizeof *t->at;
    static const struct rt_type none; // what is no type is a subtype of none
    t->at[0].type = (struct rt_type *)&none;
    return true;
}

// Linear hashing: with n buckets, a hash is taken modulo the power of two that n does not exceed,
// or half of that where there is no such bucket yet.
static u32 *bucket(struct type_table *t, u64 hash)
{
    u32 n = t->nbuckets, mask = n < 2 ? 0 : UINT32_MAX >> __builtin_clz(n - 1);
    u32 i = (u32)hash & mask;
    return &t->at[i < n ? i : i & mask >> 1].bucket;
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
    u32 n = t->nbuckets;
    if (!reach(t, n + 1))
        return false;
    t->nbuckets = n + 1;
    t->at[n].bucket = 0;
    if (!n)
        return true;
    u32 *from = &t->at[n ^ 1u << (31 - __builtin_clz(n))].bucket, id = *from;
    *from = 0;
    while (id) {
        struct rt_type *r = t->at[id].type;
        id = r->next;
        enlist(t, r);
    }
    return true;
}

static struct rt_type *find(struct type_table *t, u64 hash)
{
    u32 id = t->nbuckets ? *bucket(t, hash) : 0;
    while (id && t->at[id].type->hash != hash)
        id = t->at[id].type->next;
    return id ? t->at[id].type : NULL;
}

// A free number; 0: no memory.
static u32 take_id(struct type_table *t, struct rt_type *r)
{
    u32 id = t->unused ? t->unused : t->ids ? t->ids : 1;
    if (!t->unused && !reach(t, id + 1))
        return 0;
    if (t->unused)
        t->unused = t->at[id].next;
    else
        t->ids = id + 1;
    t->at[id].type = r;
    return id;
}

static void give_id(struct type_table *t, u32 id)
{
    t->at[id].type = NULL;
    t->at[id].next = t->unused;
    t->unused = id;
}

// --- Types as groups have them

// What a module's type is outside of it; within its own group `ids` are the group's numbers, or
// NULL: then they are relative, with a bit that no number has.
#define RELATIVE ((u32)MOST)
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

static u64 hash_group(u64 key, const struct functype *types, u32 first)
{
    u64 h = key, by = key | 1;
    u32 steps = 0;
    for (u32 i = first; i < first + types[first].count; i++) {
        const struct functype *f = &types[i];
        u32 super = f->super == NO_TYPE ? 0 : outside(types, f, f->super, NULL);
        h = hash_fold(h ^ ((u64)f->nparams << 32 | f->nresults), by);
        h = hash_fold(h ^ ((u64)f->form << 40 | (u64)f->open << 32 | super), by);
        for (u32 k = 0; k < f->nparams + f->nresults; k++)
            h = hash_fold(h ^ outside_type(types, f, f->types[k], NULL), by);
        looks(&steps, f->nparams + f->nresults);
    }
    return h;
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
    u32 steps = 0;
    if (r->t.count != types[first].count)
        return false;
    for (u32 i = 0; i < r->t.count; i++) {
        if (!same_type(type_at(t, ids[i]), types, &types[first + i], ids))
            return false;
        looks(&steps, types[first + i].nparams + types[first + i].nresults);
    }
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

// What it is, and what it is a subtype of, from above: those are complete already.
static void fill(struct type_table *t, struct rt_type *r, const struct functype *types,
                 const struct functype *f, const u32 *ids)
{
    if (entries(f))
        memcpy(r->types, f->types, entries(f) * sizeof *r->types);
    for (u32 k = 0; k < f->nparams + f->nresults; k++)
        r->types[k] = outside_type(types, f, f->types[k], ids);
    r->t.first = ids[0];
    r->t.super = f->super == NO_TYPE ? NO_TYPE : outside(types, f, f->super, ids);
    if (f->super != NO_TYPE)
        memcpy(r->vm.display, type_at(t, r->t.super)->vm.display, sizeof r->vm.display);
    if (f->depth < VM_DISPLAY)
        r->vm.display[f->depth] = r->t.id;
    note_traced(r, types, f);
}

// --- Groups

// A record with a number of its own; NULL: no memory.
static struct rt_type *make_one(struct type_table *t, const struct functype *f)
{
    struct rt_type *r = heap_alloc(size_of(f) + sizeof *t->at);
    if (!r)
        return NULL;
    *r = (struct rt_type){.t = *f};
    spin_acquire(&t->lock);
    u32 id = take_id(t, r);
    spin_release(&t->lock);
    if (!id) {
        heap_free(r);
        return NULL;
    }
    r->t.id = id;
    r->t.types = r->types;
    r->t.self[0] = type_ref(id, true);
    r->t.self[1] = type_ref(id, false);
    return r;
}

// Of numbers that are in nobody's table any more.
static void drop_all(struct type_table *t, u32 *ids, u32 n)
{
    for (u32 i = 0; i < n; i++) {
        struct rt_type *r = type_at(t, ids[i]);
        spin_acquire(&t->lock);
        give_id(t, ids[i]);
        spin_release(&t->lock);
        heap_free(r);
        if (i % AT_ONCE == AT_ONCE - 1)
            look_up();
    }
}

static void drop_group(struct type_table *t, struct rt_type *head)
{
    u32 *ids = head->ids, one = head->t.id;
    drop_all(t, ids ? ids : &one, head->t.count);
    heap_free(ids);
}

static struct rt_type *make(struct type_table *t, const struct functype *types, u32 first)
{
    u32 n = types[first].count, one, steps = 0;
    u32 *ids = n > 1 ? heap_array(n, sizeof *ids) : &one;
    struct rt_type *r;
    for (u32 i = 0; i < n && ids; i++) {
        if (!(r = make_one(t, &types[first + i]))) {
            drop_all(t, ids, i);
            if (n > 1)
                heap_free(ids);
            return NULL;
        }
        ids[i] = r->t.id;
        looks(&steps, AT_ONCE);
    }
    for (u32 i = 0; i < n && ids; i++) {
        fill(t, type_at(t, ids[i]), types, &types[first + i], ids);
        looks(&steps, entries(&types[first + i]));
    }
    r = ids ? type_at(t, ids[0]) : NULL;
    if (r)
        r->ids = n > 1 ? ids : NULL;
    return r;
}

static u64 key_of(struct type_table *t)
{
    spin_acquire(&t->lock);
    if (!t->key)
        t->key = plat_hash_key();
    u64 key = t->key;
    spin_release(&t->lock);
    return key;
}

// A user more of the group of that hash; `made`, if it is not NULL, when there is none yet.
static struct rt_type *use(struct type_table *t, u64 hash, struct rt_type *made)
{
    spin_acquire(&t->lock);
    struct rt_type *r = find(t, hash);
    if (!r && made && (t->ngroups < t->nbuckets || grow(t))) {
        r = made;
        r->hash = hash;
        t->ngroups++;
        enlist(t, r);
    }
    if (r)
        r->users++;
    spin_release(&t->lock);
    return r;
}

struct rt_type *type_intern(struct type_table *t, struct functype *types, u32 first)
{
    u64 hash = hash_group(key_of(t), types, first);
    struct rt_type *r = use(t, hash, NULL), *made = NULL;
    if (!r && (made = make(t, types, first))) {
        r = use(t, hash, made);
        if (r != made)
            drop_group(t, made);
    }
    if (r && r != made && !same_group(t, r, types, first)) {
        type_drop(t, r->t.id);
        r = NULL;
    }
    for (u32 i = 0, steps = 0; r && i < r->t.count; i++) {
        types[first + i].id = ids_of(r)[i];
        looks(&steps, 0);
    }
    return r;
}

void type_drop(struct type_table *t, u32 id)
{
    spin_acquire(&t->lock);
    struct rt_type *r = type_at(t, id);
    bool last = !--r->users;
    if (last) {
        u32 *at = bucket(t, r->hash);
        while (*at != id)
            at = &type_at(t, *at)->next;
        *at = r->next;
        t->ngroups--;
    }
    spin_release(&t->lock);
    if (last)
        drop_group(t, r);
}

static const struct functype *type_of_id(const void *types, u32 id)
{
    return &type_at(types, id)->t;
}

bool types_match(const struct type_table *t, valtype a, valtype b)
{
    return type_matches(type_of_id, t, a, b);
}

bool type_is(const struct type_table *t, u32 id, u32 wanted)
{
    if (!id || id == wanted)
        return id;
    u32 depth = type_at(t, wanted)->t.depth;
    if (depth < VM_DISPLAY)
        return type_at(t, id)->vm.display[depth] == wanted;
    return types_match(t, type_ref(id, true), type_ref(wanted, true));
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
        struct rt_type *r = type_at(t, id);
        if (r)
            heap_free(r->ids);
        heap_free(r);
    }
    if (t->at)
        plat_release(t->at, MOST * sizeof *t->at);
    *t = (struct type_table){0};
}
