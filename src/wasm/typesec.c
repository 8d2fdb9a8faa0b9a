// SPDX-License-Identifier: MIT
// The type section: groups of types that refer to each other, and which type is a subtype of which.
//
// Groups are equal if they are the same but for where they begin. Whatever refers to a type refers
// to the first one that equals it, so that types of values are equal if their numbers are, and a
// type's groups are compared once, when they are read: a group is looked for by a hash of its
// content, in which references into the group itself are relative. Who chooses types that meet in
// one place harms nobody but himself: after some steps a group is taken for one of its own.
#include "wasm/typesec.h"
#include "base/arena.h"
#include "base/hash.h"
#include "base/heap.h"

const valtype single_types[64] = {
#define TYPE(byte, name, text, size) [SINGLE(byte)] = byte,
#define HEAP(byte, name, text, heap)                                                               \
    TYPE(byte, name, text, 8)[SINGLE((byte) | TYPE_NONNULL)] = (byte) | TYPE_NONNULL,
#include "wasm/types.def"
};

// Types of values ---------------------------------------------------------------------------------

static bool is_heap(u64 byte)
{
    return byte >= TYPE_EXNREF && byte <= TYPE_NULLEXNREF;
}

valtype read_heaptype(struct reader *r, const struct module *m, bool null)
{
    const u8 *at = r->p;
    s64 n = (s64)read_leb(r, 33, true);
    if (!read_ok(r))
        return 0;
    if (n >= 0) {
        if (n < m->ntypes)
            return m->types[n].self[!null];
        read_error(r, ERR_INVALID, at, "unknown type %u", (u32)n);
        return 0;
    }
    if (n >= -64 && is_heap(n & 0x7f))
        return (u32)(n & 0x7f) | (null ? 0 : TYPE_NONNULL);
    read_error(r, ERR_MALFORMED, at, "malformed heap type");
    return 0;
}

enum { REF = 0x64, REF_NULL = 0x63 };

static valtype reference(struct reader *r, const struct module *m, u8 byte, const char *what)
{
    if (is_heap(byte))
        return byte;
    if (byte == REF || byte == REF_NULL)
        return read_heaptype(r, m, byte == REF_NULL);
    if (read_ok(r))
        read_error(r, ERR_MALFORMED, r->p - 1, "%s",
                   byte >= 0x80 ? "integer representation too long" : what);
    return 0;
}

valtype read_valtype(struct reader *r, const struct module *m)
{
    u8 byte = read_byte(r);
    return byte >= TYPE_V128 && byte <= TYPE_I32 ? byte
                                                 : reference(r, m, byte, "malformed value type");
}

valtype read_reftype(struct reader *r, const struct module *m)
{
    return reference(r, m, read_byte(r), "malformed reference type");
}

valtype module_heaptype(const struct module *m, const u8 **p, bool null)
{
    struct error e = {0};
    struct reader r = {*p, m->bytes + m->size, m->bytes, &e};
    valtype t = read_heaptype(&r, m, null);
    *p = r.p;
    return t;
}

valtype module_valtype(const struct module *m, const u8 **p)
{
    struct error e = {0};
    struct reader r = {*p, m->bytes + m->size, m->bytes, &e};
    valtype t = read_valtype(&r, m);
    *p = r.p;
    return t;
}

// Subtypes ----------------------------------------------------------------------------------------

typedef const struct functype *type_at_fn(const void *types, u32 index);

static bool is_subtype(type_at_fn *type_at, const void *types, u32 a, u32 b)
{
    if (a == b)
        return true;
    u32 depth = type_at(types, b)->depth;
    const struct functype *t = type_at(types, a);
    while (t->depth > depth) {
        a = t->super;
        t = type_at(types, a);
    }
    return a == b;
}

static u32 kind_of_form(u32 form)
{
    return form == FORM_STRUCT ? TYPE_STRUCTREF : form == FORM_ARRAY ? TYPE_ARRAYREF : TYPE_FUNCREF;
}

// Is what a kind refers to among what b refers to? Neither is TYPE_REF.
static bool kind_matches(u32 a, u32 b)
{
    if (a == b || a == TYPE_ANY_REF)
        return true;
    switch (a) {
    case TYPE_NULLREF: return b <= TYPE_ANYREF && b >= TYPE_ARRAYREF;
    case TYPE_NULLEXTERNREF: return b == TYPE_EXTERNREF;
    case TYPE_NULLFUNCREF: return b == TYPE_FUNCREF;
    case TYPE_NULLEXNREF: return b == TYPE_EXNREF;
    case TYPE_I31REF:
    case TYPE_STRUCTREF:
    case TYPE_ARRAYREF: return b == TYPE_EQREF || b == TYPE_ANYREF;
    case TYPE_EQREF: return b == TYPE_ANYREF;
    default: return false;
    }
}

bool type_matches(type_at_fn *type_at, const void *types, valtype a, valtype b)
{
    if (a == b)
        return true;
    if (!is_reftype(a) || !is_reftype(b) || (!is_defaultable(b) && is_defaultable(a)))
        return false;
    u32 ka = type_kind(a), kb = type_kind(b);
    if (ka != TYPE_REF && kb != TYPE_REF)
        return kind_matches(ka, kb);
    if (ka == TYPE_REF && kb == TYPE_REF)
        return is_subtype(type_at, types, type_index(a), type_index(b));
    if (ka == TYPE_REF)
        return kind_matches(kind_of_form(type_at(types, type_index(a))->form), kb);
    u32 form = type_at(types, type_index(b))->form;
    return ka == TYPE_ANY_REF || ka == (form == FORM_FUNC ? TYPE_NULLFUNCREF : TYPE_NULLREF);
}

static const struct functype *type_at(const void *types, u32 index)
{
    return (const struct functype *)types + index;
}

bool module_matches(const struct module *m, valtype a, valtype b)
{
    return type_matches(type_at, m->types, a, b);
}

valtype module_top(const struct module *m, valtype t)
{
    static const u8 tops[] = {TYPE_FUNCREF, TYPE_EXTERNREF, TYPE_EXNREF};
    for (u32 i = 0; i < countof(tops); i++)
        if (module_matches(m, t, tops[i]))
            return tops[i];
    return TYPE_ANYREF;
}

bool module_subtype(const struct module *m, u32 a, u32 b)
{
    return is_subtype(type_at, m->types, type_index(m->types[a].self[0]),
                      type_index(m->types[b].self[0]));
}

// One type of the section -------------------------------------------------------------------------

struct types {
    struct reader *r;
    struct module *m;
    valtype *pool, *pool_end; // as many as the section has bytes
    const u8 *end;
    u32 room;    // of m->types
    u32 *groups; // open addressing: where one begins, + 1
    u32 mask;
    u64 key;
    u32 steps; // since the latest look: types that were compared, with their fields
};

static void step(struct types *t, u32 more)
{
    enum { AT_ONCE = 4096 };
    t->steps += more + 1;
    if (t->steps >= AT_ONCE) {
        t->steps = 0;
        read_look(t->r);
    }
}

static valtype read_field(struct types *t)
{
    struct reader *r = t->r;
    valtype type;
    if (r->p < r->end && (*r->p == TYPE_I8 || *r->p == TYPE_I16))
        type = *r->p++;
    else
        type = read_valtype(r, t->m);
    const u8 *at = r->p;
    u8 mutable = read_byte(r);
    if (mutable > 1)
        read_error(r, ERR_MALFORMED, at, "malformed mutability");
    return type | (mutable ? TYPE_MUTABLE : 0);
}

u32 module_field_size(const struct module *m, valtype t)
{
    switch (type_kind(t)) {
    case TYPE_I8: return 1;
    case TYPE_I16: return 2;
    case TYPE_I32:
    case TYPE_F32: return 4;
    case TYPE_I64:
    case TYPE_F64: return 8;
    case TYPE_V128: return 16;
    case TYPE_FUNCREF:
    case TYPE_EXNREF:
    case TYPE_NULLFUNCREF:
    case TYPE_NULLEXNREF: return 8;
    case TYPE_REF: return m->types[type_index(t)].form == FORM_FUNC ? 8 : 4;
    default: return 4;
    }
}

// An entry of the pool costs a byte of the section at least. NULL after an error: what lies behind
// the section has been read.
static valtype *take(struct types *t, u32 n)
{
    valtype *at = t->pool;
    if (t->r->p > t->end || n > (size_t)(t->pool_end - at)) {
        read_error(t->r, ERR_MALFORMED, t->end, "section size mismatch");
        return NULL;
    }
    t->pool += n;
    return at;
}

static bool within(struct types *t)
{
    if (t->r->p > t->end)
        read_error(t->r, ERR_MALFORMED, t->end, "section size mismatch");
    return read_ok(t->r);
}

static valtype *read_list(struct types *t, u32 max, u32 *count, const char *what)
{
    *count = read_count(t->r, 1, max, what);
    valtype *at = read_ok(t->r) ? take(t, *count) : NULL;
    if (!at) {
        *count = 0;
        return t->pool;
    }
    for (u32 i = 0; i < *count && read_goes_on(t->r, i); i++)
        at[i] = read_valtype(t->r, t->m);
    return at;
}

// Each field at a multiple of its size, or of 8, behind the header. All types that fields refer to
// have been read.
static void lay_out(struct types *t, struct functype *f)
{
    valtype *types = (valtype *)f->types; // in the pool
    u32 n = f->nparams, at = OBJECT_HEADER;
    if (f->form == FORM_FUNC)
        return;
    t->m->objects = true;
    f->bare = true;
    for (u32 i = 0; i < n && read_goes_on(t->r, i); i++)
        f->bare &= is_defaultable(types[i]);
    if (f->form == FORM_ARRAY) {
        types[1] = module_field_size(t->m, types[0]);
        return;
    }
    for (u32 i = 0; i < n && read_goes_on(t->r, i); i++) {
        u32 size = module_field_size(t->m, types[i]);
        at = ALIGN_UP(at, size < 8 ? size : 8);
        types[n + i] = at;
        at += size;
    }
    types[2 * n] = at;
}

static void read_struct(struct types *t, struct functype *f)
{
    struct reader *r = t->r;
    u32 n = read_count(r, 2, MAX_FIELDS, "fields");
    valtype *types = read_ok(r) ? take(t, 2 * n + 1) : NULL;
    if (!types)
        return;
    for (u32 i = 0; i < n && read_goes_on(r, i); i++)
        types[i] = read_field(t);
    f->types = types;
    f->nparams = n;
}

static void read_composite(struct types *t, struct functype *f)
{
    struct reader *r = t->r;
    const u8 *at = r->p;
    u8 form = read_byte(r);
    switch (form) {
    case 0x60:
        f->types = read_list(t, MAX_PARAMS, &f->nparams, "parameters");
        read_list(t, MAX_RESULTS, &f->nresults, "results");
        break;
    case FORM_STRUCT:
        f->form = form;
        read_struct(t, f);
        break;
    case FORM_ARRAY:
        f->form = form;
        valtype *element = take(t, 2); // and its size
        if (!element)
            break;
        *element = read_field(t);
        f->types = element;
        f->nparams = 1;
        break;
    default:
        if (read_ok(r))
            read_error(r, ERR_MALFORMED, at, "%s",
                       form >= 0x80 ? "integer representation too long"
                                    : "malformed function type");
    }
}

static void read_type(struct types *t, u32 index)
{
    struct reader *r = t->r;
    struct functype *f = &t->m->types[index];
    u8 byte = r->p < r->end ? *r->p : 0;
    if (byte == 0x50 || byte == 0x4f) { // sub, sub final
        r->p++;
        f->open = byte == 0x50;
        const u8 *at = r->p;
        u32 n = read_count(r, 1, 1, "supertypes");
        if (n && read_ok(r)) {
            u32 super = read_u32(r);
            if (read_ok(r) && super >= index)
                read_error(r, ERR_INVALID, at, "unknown type %u", super);
            else if (read_ok(r))
                f->super = type_index(t->m->types[super].self[0]);
            if (f->super != NO_TYPE && t->m->types[f->super].depth >= MAX_SUPERTYPES)
                read_error(r, ERR_INVALID, at, "sub type %u is too deep (the limit is %u)", index,
                           MAX_SUPERTYPES);
            else if (f->super != NO_TYPE)
                f->depth = t->m->types[f->super].depth + 1;
        }
    }
    read_composite(t, f);
    within(t);
}

// What a subtype must be to its supertype ---------------------------------------------------------

static bool field_matches(const struct module *m, valtype a, valtype b)
{
    if ((a ^ b) & TYPE_MUTABLE)
        return false;
    return a & TYPE_MUTABLE ? a == b : module_matches(m, a, b);
}

static bool func_matches(const struct module *m, const struct functype *a, const struct functype *b)
{
    if (a->nparams != b->nparams || a->nresults != b->nresults)
        return false;
    for (u32 i = 0; i < a->nparams; i++)
        if (!module_matches(m, b->types[i], a->types[i]))
            return false;
    for (u32 i = a->nparams; i < a->nparams + a->nresults; i++)
        if (!module_matches(m, a->types[i], b->types[i]))
            return false;
    return true;
}

static bool content_matches(const struct module *m, const struct functype *a,
                            const struct functype *b)
{
    if (a->form != b->form)
        return false;
    if (a->form == FORM_FUNC)
        return func_matches(m, a, b);
    if (a->nparams < b->nparams)
        return false;
    for (u32 i = 0; i < b->nparams; i++)
        if (!field_matches(m, a->types[i], b->types[i]))
            return false;
    return true;
}

static void check_super(struct types *t, u32 index, const u8 *at)
{
    struct module *m = t->m;
    struct functype *f = &m->types[index];
    const struct functype *super = f->super == NO_TYPE ? NULL : &m->types[f->super];
    step(t, f->nparams);
    if (super && (!super->open || !content_matches(m, f, super)))
        read_error(t->r, ERR_INVALID, at, "sub type %u does not match super type %u", index,
                   f->super);
}

// Groups ------------------------------------------------------------------------------------------

// The number of a type as groups are compared: relative to the group's beginning within it.
static u32 relative(const struct functype *f, u32 index)
{
    return index - f->first < f->count ? index - f->first : index + f->count;
}

static valtype relative_type(const struct functype *f, valtype t)
{
    if (type_kind(t) != TYPE_REF)
        return t;
    return (t & (TYPE_MUTABLE | 0xff)) | relative(f, type_index(t)) << TYPE_INDEX;
}

static u64 hash_group(struct types *t, const struct functype *f)
{
    u64 h = t->key, by = t->key | 1;
    for (u32 i = 0, n = f->count; i < n; i++, f++) {
        h = hash_fold(h ^ ((u64)f->nparams << 32 | f->nresults), by);
        h = hash_fold(h ^ ((u64)f->form << 40 | (u64)f->open << 32 |
                           (f->super == NO_TYPE ? NO_TYPE : relative(f, f->super))),
                      by);
        for (u32 k = 0; k < f->nparams + f->nresults; k++)
            h = hash_fold(h ^ relative_type(f, f->types[k]), by);
        step(t, f->nparams + f->nresults);
    }
    return h;
}

static bool same_type(const struct functype *a, const struct functype *b)
{
    if (a->nparams != b->nparams || a->nresults != b->nresults || a->form != b->form ||
        a->open != b->open || (a->super == NO_TYPE) != (b->super == NO_TYPE) ||
        (a->super != NO_TYPE && relative(a, a->super) != relative(b, b->super)))
        return false;
    for (u32 k = 0; k < a->nparams + a->nresults; k++)
        if (relative_type(a, a->types[k]) != relative_type(b, b->types[k]))
            return false;
    return true;
}

static bool same_group(struct types *t, const struct functype *a, const struct functype *b)
{
    if (a->count != b->count)
        return false;
    for (u32 i = 0; i < a->count; i++) {
        if (!same_type(a + i, b + i))
            return false;
        step(t, a[i].nparams + a[i].nresults);
    }
    return true;
}

// If the group is there already, its types become copies of those.
static void find_group(struct types *t, u32 first)
{
    struct functype *f = &t->m->types[first];
    enum { STEPS = 128 };
    u32 at = (u32)hash_group(t, f) & t->mask;
    for (u32 steps = 0; t->groups[at]; at = (at + 1) & t->mask) {
        if (++steps == STEPS)
            return;
        const struct functype *same = &t->m->types[t->groups[at] - 1];
        if (!same_group(t, same, f))
            continue;
        memcpy(f, same, f->count * sizeof *f);
        return;
    }
    t->groups[at] = first + 1;
}

// m->types has room for n more.
static bool make_room(struct types *t, u32 n)
{
    struct module *m = t->m;
    if (n <= t->room - m->ntypes)
        return true;
    if (n > MAX_TYPES - m->ntypes)
        return read_error(t->r, ERR_INVALID, t->r->p, "too many types (the limit is %u)",
                          MAX_TYPES);
    t->room = 2 * t->room > m->ntypes + n ? 2 * t->room : m->ntypes + n;
    struct functype *types = arena_array(m->arena, t->room, sizeof *types);
    if (!types)
        return read_error(t->r, ERR_NO_MEMORY, t->r->p, "out of memory");
    memcpy(types, m->types, m->ntypes * sizeof *types);
    m->types = types;
    return true;
}

static void read_group(struct types *t)
{
    struct reader *r = t->r;
    struct module *m = t->m;
    const u8 *at = r->p;
    u32 n = 1, first = m->ntypes;
    if (r->p < r->end && *r->p == 0x4e) {
        r->p++;
        n = read_count(r, 2, MAX_TYPES, "types");
    }
    if (!read_ok(r) || !make_room(t, n))
        return;
    for (u32 i = first; i < first + n && read_goes_on(r, i); i++)
        m->types[i] = (struct functype){.super = NO_TYPE,
                                        .first = first,
                                        .count = n,
                                        .self = {type_ref(i, true), type_ref(i, false)}};
    m->ntypes += n;
    for (u32 i = first; i < first + n && read_goes_on(r, i); i++)
        read_type(t, i);
    for (u32 i = first; i < first + n && read_goes_on(r, i); i++) {
        lay_out(t, &m->types[i]);
        check_super(t, i, at);
    }
    if (n && read_ok(r))
        find_group(t, first);
}

void types_read(struct reader *r, struct module *m, u32 size)
{
    struct types t = {.r = r, .m = m, .end = r->p + size};
    t.key = hash_bytes(size, r->p, size);
    u32 n = read_count(r, 2, MAX_TYPES, "types");
    t.pool = arena_array(m->arena, size, sizeof *t.pool);
    t.pool_end = t.pool ? t.pool + size : NULL;
    t.room = n;
    m->types = arena_array(m->arena, n, sizeof *m->types);
    for (t.mask = 1; t.mask < 2 * n; t.mask = 2 * t.mask + 1)
        ;
    t.groups = heap_zalloc((t.mask + 1) * sizeof *t.groups);
    if (!t.pool || !m->types || !t.groups)
        read_error(r, ERR_NO_MEMORY, r->p, "out of memory");
    for (u32 i = 0; i < n && read_goes_on(r, i); i++)
        read_group(&t);
    heap_free(t.groups);
}
