// SPDX-License-Identifier: MIT
// Instructions are looked at one by one, which a valid module allows without any check; types,
// limits and the rest as they were decoded. Of these the section is known.
#include "main/features.h"

#include <string.h>

#include "fast/fast.h"
#include "main/host.h"
#include "wasm/leb.h"

static const struct {
    const char *name;
    u8 since;
} rows[] = {
#define FEATURE(id, name, since) {name, since},
#include "main/features.def"
};
_Static_assert(FEATURES <= 32, "a bit each");

const char *feature_name(enum feature f)
{
    return rows[f].name;
}

static u32 bits_of(const char *name, size_t n)
{
    static const char *const versions[] = {"mvp", "wasm2", "wasm3", "all"};
    u32 bits = 0;
    for (u32 i = 0; i < FEATURES; i++) {
        if (strlen(rows[i].name) == n && !memcmp(rows[i].name, name, n))
            return 1u << i;
        for (u32 v = 0; v < countof(versions); v++)
            if (strlen(versions[v]) == n && !memcmp(versions[v], name, n) && rows[i].since <= v + 1)
                bits |= 1u << i;
    }
    return bits;
}

bool features_parse(const char *list, u32 *out)
{
    *out = 0;
    for (bool more = true; more;) {
        size_t n = strcspn(list, ",");
        u32 bits = bits_of(list, n);
        bool mvp = n == 3 && !memcmp(list, "mvp", n);
        *out |= bits;
        if (bits || mvp) {
            more = list[n];
            list += n + more;
            continue;
        }
        complain("--features: there is no '%.*s'", (int)n, list);
        fputs("hint: there are mvp, wasm2, wasm3, all", stderr);
        for (u32 i = 0; i < FEATURES; i++)
            fprintf(stderr, ", %s", rows[i].name);
        fputc('\n', stderr);
        return false;
    }
    return true;
}

struct finding {
    const struct module *m;
    u32 *at;
    u32 sections[16]; // where each begins
};

static void note(struct finding *f, enum feature feature, u32 at)
{
    if (!f->at[feature])
        f->at[feature] = at;
}

static void look_at_type(struct finding *f, valtype t, u32 at)
{
    u32 kind = type_kind(t);
    if (kind == TYPE_V128)
        note(f, FEATURE_SIMD, at);
    else if (kind == TYPE_EXTERNREF || kind == TYPE_FUNCREF)
        note(f, FEATURE_REFERENCE_TYPES, at);
    else if (kind == TYPE_EXNREF || kind == TYPE_NULLEXNREF)
        note(f, FEATURE_EXCEPTIONS, at);
    else if (is_reftype(t) && kind != TYPE_REF)
        note(f, FEATURE_GC, at);
    if (kind == TYPE_REF || (is_reftype(t) && (t & TYPE_NONNULL)))
        note(f, FEATURE_FUNCTION_REFERENCES, at);
}

static bool is_negative(u8 byte)
{
    return (byte & 0xc0) == 0x40;
}

// As code has them: what a reference is to, and types.
static void look_at_heap(struct finding *f, const u8 *p, bool null, u32 at)
{
    valtype t = is_negative(*p) ? *p | (null ? 0 : (u32)TYPE_NONNULL) : type_ref(0, null);
    look_at_type(f, t, at);
}

static void look_at_coded(struct finding *f, const u8 *p, u32 at)
{
    enum { REF_NULL = 0x63, REF = 0x64 };
    if (*p == REF_NULL || *p == REF)
        look_at_heap(f, p + 1, *p == REF_NULL, at);
    else
        look_at_type(f, *p, at);
}

// A block's: an index of a type, or a type of values, or nothing.
static void look_at_block(struct finding *f, const u8 *p, u32 at)
{
    enum { NOTHING = 0x40 };
    if (is_negative(*p)) {
        if (*p != NOTHING)
            look_at_coded(f, p, at);
        return;
    }
    const struct functype *t = &f->m->types[leb_u32(&p)];
    if (t->nparams || t->nresults > 1)
        note(f, FEATURE_MULTI_VALUE, at);
}

static void look_at_op(struct finding *f, u32 op, const u8 *immediate, u32 at)
{
    bool relaxed = op >= 0x10000;
    u32 prefix = relaxed ? op >> 12 : op >> 8;
    switch (prefix) {
    case 0xfb: note(f, FEATURE_GC, at); return;
    case 0xfd: note(f, relaxed ? FEATURE_RELAXED_SIMD : FEATURE_SIMD, at); return;
    case 0xfe: note(f, FEATURE_THREADS, at); return;
    case 0xfc:
        note(f,
             op <= OP_i64_trunc_sat_f64_u ? FEATURE_SATURATING
             : op <= OP_table_copy        ? FEATURE_BULK_MEMORY
             : op <= OP_table_fill        ? FEATURE_REFERENCE_TYPES
                                          : FEATURE_WIDE_ARITHMETIC,
             at);
        return;
    default: break;
    }
    switch (op) {
    case OP_i32_extend8_s:
    case OP_i32_extend16_s:
    case OP_i64_extend8_s:
    case OP_i64_extend16_s:
    case OP_i64_extend32_s: note(f, FEATURE_SIGN_EXTENSION, at); break;
    case OP_select_t:
        note(f, FEATURE_REFERENCE_TYPES, at);
        leb_u32(&immediate);
        look_at_coded(f, immediate, at);
        break;
    case OP_ref_null:
        note(f, FEATURE_REFERENCE_TYPES, at);
        look_at_heap(f, immediate, true, at);
        break;
    case OP_table_get:
    case OP_table_set:
    case OP_ref_is_null:
    case OP_ref_func: note(f, FEATURE_REFERENCE_TYPES, at); break;
    case OP_return_call:
    case OP_return_call_indirect: note(f, FEATURE_TAIL_CALL, at); break;
    case OP_return_call_ref:
        note(f, FEATURE_TAIL_CALL, at);
        note(f, FEATURE_FUNCTION_REFERENCES, at);
        break;
    case OP_call_ref:
    case OP_ref_as_non_null:
    case OP_br_on_null:
    case OP_br_on_non_null: note(f, FEATURE_FUNCTION_REFERENCES, at); break;
    case OP_try_table:
        note(f, FEATURE_EXCEPTIONS, at);
        look_at_block(f, immediate, at);
        break;
    case OP_throw_ref: note(f, FEATURE_EXCEPTIONS, at); break;
    case OP_try:
        note(f, FEATURE_LEGACY_EXCEPTIONS, at);
        look_at_block(f, immediate, at);
        break;
    case OP_catch:
    case OP_catch_all:
    case OP_rethrow:
    case OP_delegate: note(f, FEATURE_LEGACY_EXCEPTIONS, at); break;
    case OP_block:
    case OP_loop:
    case OP_if: look_at_block(f, immediate, at); break;
    default: break;
    }
}

static void look_at_body(struct finding *f, const struct func *func)
{
    const u8 *p = f->m->bytes + func->start, *end = f->m->bytes + func->end;
    for (u32 n = leb_u32(&p); n; n--) {
        leb_u32(&p);
        look_at_coded(f, p, (u32)(p - f->m->bytes));
        p = type_skip(p);
    }
    while (p < end) {
        u32 at = (u32)(p - f->m->bytes), op = *p++;
        if (op >= 0xfb)
            op = op_prefixed(op, leb_u32(&p));
        look_at_op(f, op, p, at);
        ops_skip(&p, op);
    }
}

static void find_sections(struct finding *f)
{
    const u8 *p = f->m->bytes + 8, *end = f->m->bytes + f->m->size;
    while (p < end) {
        u8 id = *p++;
        u32 size = leb_u32(&p);
        if (id < countof(f->sections))
            f->sections[id] = (u32)(p - f->m->bytes);
        p += size;
    }
}

static void look_at_limits(struct finding *f, const struct limits *l, u32 at)
{
    if (l->wide)
        note(f, FEATURE_MEMORY64, at);
    if (l->shared)
        note(f, FEATURE_THREADS, at);
}

static void look_at_const(struct finding *f, const struct constexpr_ *x, u32 at)
{
    if (x->kind == CONST_CODE)
        note(f, FEATURE_EXTENDED_CONST, at);
}

enum {
    S_TYPE = 1,
    S_IMPORT,
    S_TABLE = 4,
    S_MEMORY,
    S_GLOBAL,
    S_EXPORT,
    S_ELEMENT = 9,
    S_DATA = 11,
    S_DATA_COUNT,
    S_TAG
};

static void look_at_types(struct finding *f)
{
    for (u32 i = 0; i < f->m->ntypes; i++) {
        const struct functype *t = &f->m->types[i];
        u32 at = f->sections[S_TYPE];
        if (t->form != FORM_FUNC || t->super != NO_TYPE || t->open || t->count > 1)
            note(f, FEATURE_GC, at);
        if (t->form == FORM_FUNC && t->nresults > 1)
            note(f, FEATURE_MULTI_VALUE, at);
        for (u32 k = 0; k < t->nparams + t->nresults && t->form == FORM_FUNC; k++)
            look_at_type(f, t->types[k], at);
    }
}

static u32 section_of(const struct finding *f, u32 section, u32 i, u32 imported)
{
    return f->sections[i < imported ? S_IMPORT : section];
}

static void look_at_spaces(struct finding *f)
{
    const struct module *m = f->m;
    for (u32 i = 0; i < m->ntables; i++) {
        u32 at = section_of(f, S_TABLE, i, m->nimported_tables);
        if (i)
            note(f, FEATURE_REFERENCE_TYPES, at);
        if (m->tables[i].elem != TYPE_FUNCREF) // as the first version has them
            look_at_type(f, m->tables[i].elem, at);
        look_at_limits(f, &m->tables[i].limits, at);
    }
    for (u32 i = 0; i < m->nmemories; i++) {
        u32 at = section_of(f, S_MEMORY, i, m->nimported_memories);
        if (i)
            note(f, FEATURE_MULTI_MEMORY, at);
        look_at_limits(f, &m->memories[i], at);
    }
    for (u32 i = 0; i < m->nglobals; i++) {
        u32 at = section_of(f, S_GLOBAL, i, m->nimported_globals);
        look_at_type(f, m->globals[i].type, at);
        if (m->globals[i].mutable && i < m->nimported_globals)
            note(f, FEATURE_MUTABLE_GLOBAL, at);
        if (i >= m->nimported_globals)
            look_at_const(f, &m->global_init[i - m->nimported_globals], at);
    }
    for (u32 i = 0; i < m->nexports; i++)
        if (m->exports[i].kind == EXTERN_GLOBAL && m->globals[m->exports[i].index].mutable)
            note(f, FEATURE_MUTABLE_GLOBAL, f->sections[S_EXPORT]);
}

static void look_at_segments(struct finding *f)
{
    const struct module *m = f->m;
    if (m->has_data_count)
        note(f, FEATURE_BULK_MEMORY, f->sections[S_DATA_COUNT]);
    for (u32 i = 0; i < m->nelems; i++) {
        const struct elem_segment *s = &m->elems[i];
        if (s->mode == SEGMENT_PASSIVE)
            note(f, FEATURE_BULK_MEMORY, f->sections[S_ELEMENT]);
        if (s->mode == SEGMENT_DECLARATIVE || !s->funcs)
            note(f, FEATURE_REFERENCE_TYPES, f->sections[S_ELEMENT]);
        if (s->mode == SEGMENT_ACTIVE)
            look_at_const(f, &s->offset, f->sections[S_ELEMENT]);
    }
    for (u32 i = 0; i < m->ndatas; i++) {
        if (m->datas[i].mode == SEGMENT_PASSIVE)
            note(f, FEATURE_BULK_MEMORY, f->sections[S_DATA]);
        else
            look_at_const(f, &m->datas[i].offset, f->sections[S_DATA]);
    }
}

void features_find(const struct module *m, u32 at[FEATURES])
{
    struct finding f = {m, at, {0}};
    memset(at, 0, FEATURES * sizeof *at);
    find_sections(&f);
    look_at_types(&f);
    look_at_spaces(&f);
    look_at_segments(&f);
    for (u32 i = m->nimported_funcs; i < m->nfuncs; i++)
        look_at_body(&f, &m->funcs[i]);
    // A tag may be for either form: the newer one, if neither is used.
    if (m->ntags && !at[FEATURE_LEGACY_EXCEPTIONS])
        note(&f, FEATURE_EXCEPTIONS, f.sections[m->nimported_tags ? S_IMPORT : S_TAG]);
}
