// SPDX-License-Identifier: MIT
// Decoding of a module's binary form (specification 5.5), and the validation of everything but
// bodies (3.4).
//
// One function per section, each with one function per entry, over the sticky reader: an entry that
// is wrong ends the reading, and loops look at read_ok once per entry. A section is read on past
// its stated end when its content asks for it, and its size is compared afterwards, as in the
// specification's own interpreter; nothing of a module with a wrong section is ever seen by anyone.
//
// Memory comes from one arena. An array is allocated only when the bytes that remain can hold that
// many entries, so memory is at most 64 times the size (groups of types of 2 bytes), and a small
// module takes one heap block.
//
// Sections come in a fixed order, so whatever an entry refers to is known when it is read; bodies
// are judged later.
#include "wasm/module.h"
#include "wasm/decode.h"
#include "base/vec.h"
#include "wasm/typesec.h"
#include "wasm/validate.h"
#include "wasm/vmctx.h"

enum section {
    SECTION_CUSTOM,
    SECTION_TYPE,
    SECTION_IMPORT,
    SECTION_FUNCTION,
    SECTION_TABLE,
    SECTION_MEMORY,
    SECTION_GLOBAL,
    SECTION_EXPORT,
    SECTION_START,
    SECTION_ELEM,
    SECTION_CODE,
    SECTION_DATA,
    SECTION_DATA_COUNT,
    SECTION_TAG,
    SECTION_END,
};

struct decode {
    struct reader r;
    struct module *m;
    const u8 *section_end;
    u32 ncode;       // entries of the code section
    u32 data_count;  // of the data count section
    const u8 *names; // content of the name section, or NULL
    const u8 *names_end;
    const u8 *noswitch; // content of the section nebulet.noswitch, or NULL
    const u8 *noswitch_end;
    VEC(valtype) operands; // of the constant expression that is being read
    u32 const_ops;         // in all of them so far
};

static void *take(struct decode *d, size_t count, size_t size)
{
    void *p = arena_array(d->m->arena, count, size);
    if (!p)
        read_error(&d->r, ERR_NO_MEMORY, d->r.p, "out of memory");
    return p;
}

// An index space that has `old` entries, of imports, gets `more` own ones behind them.
static void *extend(struct decode *d, const void *old, u32 count, u32 more, size_t size)
{
    u8 *p = take(d, (size_t)count + more, size);
    if (p && count)
        memcpy(p, old, count * size);
    return p;
}

static bool invalid(struct decode *d, const u8 *at, const char *what, u32 index)
{
    return read_error(&d->r, ERR_INVALID, at, "unknown %s %u", what, index);
}

// An index that must be below n.
static u32 read_index(struct decode *d, u32 n, const char *what)
{
    const u8 *at = d->r.p;
    u32 i = read_u32(&d->r);
    if (unlikely(i >= n) && read_ok(&d->r))
        invalid(d, at, what, i);
    return i;
}

// Own functions whose reference can be taken are numbered in the order in which they are found.
static void declare_func(struct module *m, u32 func)
{
    if (func < m->nimported_funcs)
        m->declared[func] = 1;
    else if (!m->funcs[func].ref)
        m->funcs[func].ref = ++m->nrefs;
}

// Types -------------------------------------------------------------------------------------------

static void read_type_section(struct decode *d, u32 size)
{
    types_read(&d->r, d->m, size);
}

enum { LIMITS_MAX = 1, LIMITS_SHARED = 2, LIMITS_WIDE = 4 };

static void read_limits(struct decode *d, struct limits *l, u8 allowed)
{
    struct reader *r = &d->r;
    const u8 *at = r->p;
    u8 flags = read_byte(r);
    if (flags & ~allowed)
        read_error(r, ERR_MALFORMED, at, "malformed limits flags");
    else if ((flags & LIMITS_SHARED) && !(flags & LIMITS_MAX))
        read_error(r, ERR_MALFORMED, at, "malformed limits flags (shared needs a maximum)");
    l->shared = flags & LIMITS_SHARED;
    l->wide = flags & LIMITS_WIDE;
    l->min = read_leb(r, 64, false);
    l->max = flags & LIMITS_MAX ? read_leb(r, 64, false) : UINT64_MAX;
}

static void check_limits(struct decode *d, const u8 *at, const struct limits *l, u64 range,
                         const char *beyond)
{
    struct reader *r = &d->r;
    if (!read_ok(r))
        return;
    if (l->min > range || (l->max != UINT64_MAX && l->max > range))
        read_error(r, ERR_INVALID, at, "%s", beyond);
    else if (l->min > l->max)
        read_error(r, ERR_INVALID, at, "size minimum must not be greater than maximum");
}

static struct table_type read_table_type(struct decode *d)
{
    struct table_type t = {.elem = read_reftype(&d->r, d->m)};
    const u8 *at = d->r.p;
    read_limits(d, &t.limits, LIMITS_MAX | LIMITS_WIDE);
    check_limits(d, at, &t.limits, t.limits.wide ? UINT64_MAX : UINT32_MAX,
                 "table size must be at most 2^32-1");
    return t;
}

static struct limits read_memory_type(struct decode *d)
{
    struct limits l = {0};
    const u8 *at = d->r.p;
    read_limits(d, &l, LIMITS_MAX | LIMITS_SHARED | LIMITS_WIDE);
    if (l.wide)
        check_limits(d, at, &l, 1ull << 48, "memory size must be at most 2^48 pages");
    else
        check_limits(d, at, &l, MAX_PAGES, "memory size must be at most 65536 pages (4GiB)");
    return l;
}

static struct global_type read_global_type(struct decode *d)
{
    struct global_type g = {.type = read_valtype(&d->r, d->m)};
    const u8 *at = d->r.p;
    u8 mutable = read_byte(&d->r);
    if (mutable > 1)
        read_error(&d->r, ERR_MALFORMED, at, "malformed mutability");
    g.mutable = mutable == 1;
    return g;
}

// Constant expressions ----------------------------------------------------------------------------

static u32 read_op(struct reader *r)
{
    const u8 *at = r->p;
    u32 op = read_byte(r);
    if (op >= 0xfb && op <= 0xfe) {
        u32 sub = read_u32(r);
        op = op << 8 | (sub & 0xff);
        if (sub > 0xff)
            read_error(r, ERR_MALFORMED, at, "illegal opcode %02x %x", op >> 8, sub);
    }
    return op;
}

static void const_bytes(struct decode *d, struct constexpr_ *c, valtype type, u32 size)
{
    const u8 *p = read_bytes(&d->r, size);
    c->type = type;
    if (p)
        memcpy(c->v128, p, size);
}

static void const_global(struct decode *d, struct constexpr_ *c, const u8 *at)
{
    struct module *m = d->m;
    c->kind = CONST_GLOBAL;
    c->index = read_index(d, m->nglobals, "global");
    if (!read_ok(&d->r))
        return;
    c->type = m->globals[c->index].type;
    if (m->globals[c->index].mutable)
        read_error(&d->r, ERR_INVALID, at, "constant expression required (global %u is mutable)",
                   c->index);
}

static void const_func(struct decode *d, struct constexpr_ *c)
{
    c->kind = CONST_REF_FUNC;
    c->index = read_index(d, d->m->nfuncs, "function");
    if (!read_ok(&d->r))
        return;
    c->type = module_func_type(d->m, c->index)->self[1];
    declare_func(d->m, c->index);
}

static void const_op(struct decode *d, struct constexpr_ *c, u32 op, const u8 *at)
{
    struct reader *r = &d->r;
    switch (op) {
    case OP_i32_const:
        c->type = TYPE_I32;
        c->bits = (u32)read_leb(r, 32, true);
        break;
    case OP_i64_const:
        c->type = TYPE_I64;
        c->bits = read_leb(r, 64, true);
        break;
    case OP_f32_const: const_bytes(d, c, TYPE_F32, 4); break;
    case OP_f64_const: const_bytes(d, c, TYPE_F64, 8); break;
    case OP_v128_const: const_bytes(d, c, TYPE_V128, 16); break;
    case OP_ref_null:
        c->kind = CONST_REF_NULL;
        c->type = read_heaptype(r, d->m, true);
        break;
    case OP_ref_func: const_func(d, c); break;
    case OP_global_get: const_global(d, c, at); break;
    default:
        if (op_known(op))
            read_error(r, ERR_INVALID, at, "constant expression required (not %02x)", op);
        else
            read_error(r, ERR_MALFORMED, at, "illegal opcode %02x", op);
    }
}

// Those with operands. What there is of these is in d->operands, by type.
struct const_code {
    struct decode *d;
    const u8 *at; // the instruction
    u32 most;     // operands at once
};

static void const_pop(struct const_code *s, valtype type)
{
    struct reader *r = &s->d->r;
    if (!read_ok(r))
        return;
    if (!s->d->operands.count) {
        read_error(r, ERR_INVALID, s->at, "type mismatch: expected %s, found nothing",
                   valtype_text(type));
        return;
    }
    valtype found = s->d->operands.at[--s->d->operands.count];
    if (!module_matches(s->d->m, found, type))
        read_error(r, ERR_INVALID, s->at, "type mismatch: expected %s, found %s",
                   valtype_text(type), valtype_text(found));
}

static void const_push(struct const_code *s, valtype type)
{
    struct decode *d = s->d;
    if (!read_ok(&d->r))
        return;
    if (d->operands.count == MAX_CONST_DEPTH)
        read_error(&d->r, ERR_INVALID, s->at, "constant expression too large");
    else if (!vec_push(&d->operands, type))
        read_error(&d->r, ERR_NO_MEMORY, s->at, "out of memory");
    if (d->operands.count > s->most)
        s->most = d->operands.count;
}

static void const_two(struct const_code *s, valtype type)
{
    const_pop(s, type);
    const_pop(s, type);
    const_push(s, type);
}

static void const_object(struct const_code *s, u32 op)
{
    struct reader *r = &s->d->r;
    const struct module *m = s->d->m;
    u32 form = op <= OP_struct_new_default ? FORM_STRUCT : FORM_ARRAY;
    u32 type = read_index(s->d, m->ntypes, "type");
    const struct functype *t = read_ok(r) ? &m->types[type] : NULL;
    u32 n = op == OP_array_new_fixed ? read_u32(r) : op == OP_array_new ? 1 : 0;
    if (t && t->form != form)
        read_error(r, ERR_INVALID, s->at, "type mismatch: type %u is no such type", type);
    if (!t || !read_ok(r))
        return;
    if (op == OP_array_new || op == OP_array_new_default)
        const_pop(s, TYPE_I32);
    if ((op == OP_struct_new_default || op == OP_array_new_default) && !t->bare)
        read_error(r, ERR_INVALID, s->at, "type mismatch: type %u is not defaultable", type);
    if (op == OP_struct_new)
        n = t->nparams;
    while (n-- > 0 && read_ok(r))
        const_pop(s, field_type(t->types[form == FORM_STRUCT ? n : 0]));
    const_push(s, t->self[1]);
}

static void const_convert(struct const_code *s, valtype from, valtype to)
{
    struct decode *d = s->d;
    u32 n = d->operands.count;
    if (n)
        to |= d->operands.at[n - 1] & TYPE_NONNULL;
    const_pop(s, from);
    const_push(s, to);
}

// False: it is none of these.
static bool const_operands(struct const_code *s, u32 op)
{
    switch (op) {
    case OP_i32_add:
    case OP_i32_sub:
    case OP_i32_mul: const_two(s, TYPE_I32); return true;
    case OP_i64_add:
    case OP_i64_sub:
    case OP_i64_mul: const_two(s, TYPE_I64); return true;
    case OP_struct_new:
    case OP_struct_new_default:
    case OP_array_new:
    case OP_array_new_default:
    case OP_array_new_fixed: const_object(s, op); return true;
    case OP_ref_i31:
        const_pop(s, TYPE_I32);
        const_push(s, TYPE_I31REF | TYPE_NONNULL);
        return true;
    case OP_any_convert_extern: const_convert(s, TYPE_EXTERNREF, TYPE_ANYREF); return true;
    case OP_extern_convert_any: const_convert(s, TYPE_ANYREF, TYPE_EXTERNREF); return true;
    default: return false;
    }
}

static void read_constexpr(struct decode *d, struct constexpr_ *c, valtype type)
{
    struct reader *r = &d->r;
    const u8 *start = r->p;
    struct const_code s = {.d = d};
    bool code = false;
    d->operands.count = 0;
    for (u32 ops = 0;; ops++) {
        s.at = r->p;
        if (s.at == d->section_end)
            read_error(r, ERR_MALFORMED, s.at, "unexpected end of section or function");
        u32 op = read_op(r);
        if (op == OP_end || !read_goes_on(r, d->const_ops++))
            break;
        code |= ops > 0;
        if (ops == MAX_CONST_OPS) {
            read_error(r, ERR_INVALID, start, "constant expression too large");
        } else if (const_operands(&s, op)) {
            code = true;
        } else {
            *c = (struct constexpr_){0};
            const_op(d, c, op, s.at);
            const_push(&s, c->type);
        }
    }
    if (!read_ok(r))
        return;
    if (d->operands.count != 1)
        read_error(r, ERR_INVALID, start,
                   "type mismatch: constant expression leaves %u values, expected 1",
                   d->operands.count);
    else if (!module_matches(d->m, d->operands.at[0], type))
        read_error(r, ERR_INVALID, start, "type mismatch: constant expression is %s, expected %s",
                   valtype_text(d->operands.at[0]), valtype_text(type));
    if (code)
        *c = (struct constexpr_){.kind = CONST_CODE, .type = type, .index = s.most, .code = start};
}

// Imports and own definitions ---------------------------------------------------------------------

static bool name_is(struct name n, const char *text)
{
    return n.length == strlen(text) && memcmp(n.p, text, n.length) == 0;
}

static bool is_call(const struct import *im, const char *name)
{
    return name_is(im->field, name) && (name_is(im->module, "nebulet") ||
                                        name_is(im->module, "abi") || name_is(im->module, "env"));
}

static bool starts_threads(const struct import *im)
{
    return (name_is(im->module, "wasi") && name_is(im->field, "thread-spawn")) ||
           is_call(im, "thread_spawn");
}

// The index of a function's type.
static u32 read_func_type(struct decode *d)
{
    const u8 *at = d->r.p;
    u32 type = read_index(d, d->m->ntypes, "type");
    if (read_ok(&d->r) && d->m->types[type].form != FORM_FUNC)
        read_error(&d->r, ERR_INVALID, at, "type %u is no function type", type);
    return type;
}

static void import_func(struct decode *d, struct import *im)
{
    if (read_ok(&d->r) && starts_threads(im))
        d->m->threads = true;
    if (read_ok(&d->r) && is_call(im, "memory_map"))
        d->m->maps = true;
    struct module *m = d->m;
    u32 type = read_func_type(d);
    if (m->funcs)
        m->funcs[m->nimported_funcs] = (struct func){.type = type};
    im->index = m->nimported_funcs++;
}

static void import_table(struct decode *d, struct import *im)
{
    struct module *m = d->m;
    struct table_type t = read_table_type(d);
    if (m->tables)
        m->tables[m->nimported_tables] = t;
    im->index = m->nimported_tables++;
}

static void import_memory(struct decode *d, struct import *im)
{
    struct module *m = d->m;
    struct limits l = read_memory_type(d);
    if (m->memories)
        m->memories[m->nimported_memories] = l;
    im->index = m->nimported_memories++;
}

static void import_global(struct decode *d, struct import *im)
{
    struct module *m = d->m;
    struct global_type g = read_global_type(d);
    if (m->globals)
        m->globals[m->nimported_globals] = g;
    im->index = m->nimported_globals++;
}

static u32 read_tag(struct decode *d)
{
    struct reader *r = &d->r;
    const u8 *at = r->p;
    if (read_byte(r) != 0 && read_ok(r))
        read_error(r, ERR_MALFORMED, at, "malformed tag attribute");
    u32 type = read_func_type(d);
    if (read_ok(r) && d->m->types[type].nresults)
        read_error(r, ERR_INVALID, at, "non-empty tag result type");
    return type;
}

static void import_tag(struct decode *d, struct import *im)
{
    struct module *m = d->m;
    u32 type = read_tag(d);
    if (m->tags)
        m->tags[m->nimported_tags] = type;
    im->index = m->nimported_tags++;
}

static void read_import(struct decode *d, struct import *im)
{
    im->module = read_name(&d->r);
    im->field = read_name(&d->r);
    const u8 *at = d->r.p;
    im->kind = read_byte(&d->r);
    switch (im->kind) {
    case EXTERN_FUNC: import_func(d, im); break;
    case EXTERN_TABLE: import_table(d, im); break;
    case EXTERN_MEMORY: import_memory(d, im); break;
    case EXTERN_GLOBAL: import_global(d, im); break;
    case EXTERN_TAG: import_tag(d, im); break;
    default: read_error(&d->r, ERR_MALFORMED, at, "malformed import kind");
    }
}

static void import_arrays(struct decode *d)
{
    struct module *m = d->m;
    m->funcs = take(d, m->nimported_funcs, sizeof *m->funcs);
    m->tables = take(d, m->nimported_tables, sizeof *m->tables);
    m->memories = take(d, m->nimported_memories, sizeof *m->memories);
    m->globals = take(d, m->nimported_globals, sizeof *m->globals);
    m->tags = take(d, m->nimported_tags, sizeof *m->tags);
    m->declared = take(d, m->nimported_funcs, 1);
    if (m->declared)
        memset(m->declared, 0, m->nimported_funcs);
    m->nimported_funcs = m->nimported_tables = m->nimported_memories = m->nimported_globals = 0;
    m->nimported_tags = 0;
}

static void check_memories(struct decode *d, const u8 *at)
{
    if (d->m->nmemories > MAX_MEMORIES)
        read_error(&d->r, ERR_INVALID, at, "too many memories (the limit is %u)", MAX_MEMORIES);
}

// Read twice: first to count the kinds, then, with the arrays there, for good.
static void read_import_section(struct decode *d, u32 size)
{
    (void)size;
    struct module *m = d->m;
    m->nimports = read_count(&d->r, 3, MAX_IMPORTS, "imports");
    m->imports = take(d, m->nimports, sizeof *m->imports);
    const u8 *start = d->r.p;
    for (u32 i = 0; i < m->nimports && read_goes_on(&d->r, i); i++)
        read_import(d, &m->imports[i]);
    if (read_ok(&d->r)) {
        d->r.p = start;
        import_arrays(d);
    }
    for (u32 i = 0; i < m->nimports && read_goes_on(&d->r, i); i++)
        read_import(d, &m->imports[i]);
    m->nfuncs = m->nimported_funcs;
    m->ntables = m->nimported_tables;
    m->nmemories = m->nimported_memories;
    m->nglobals = m->nimported_globals;
    m->ntags = m->nimported_tags;
    check_memories(d, start);
}

static void read_function_section(struct decode *d, u32 size)
{
    (void)size;
    struct module *m = d->m;
    u32 n = read_count(&d->r, 1, MAX_FUNCTIONS - m->nfuncs, "functions");
    struct func *funcs = extend(d, m->funcs, m->nfuncs, n, sizeof *funcs);
    for (u32 i = 0; i < n && read_goes_on(&d->r, i); i++)
        funcs[m->nfuncs + i] = (struct func){.type = read_func_type(d)};
    m->funcs = funcs;
    m->nfuncs += n;
}

// The elements begin as null, unless the table says otherwise.
static void read_table(struct decode *d, struct table_type *t, struct constexpr_ *init)
{
    struct reader *r = &d->r;
    const u8 *at = r->p;
    bool given = at < r->end && *at == 0x40;
    if (given) {
        r->p++;
        if (read_byte(r) != 0 && read_ok(r))
            read_error(r, ERR_MALFORMED, at, "malformed table");
    }
    *t = read_table_type(d);
    *init = (struct constexpr_){.kind = CONST_REF_NULL, .type = t->elem};
    if (given && read_ok(r))
        read_constexpr(d, init, t->elem);
    else if (!is_defaultable(t->elem) && read_ok(r))
        read_error(r, ERR_INVALID, at, "type mismatch: a table of %s needs an initial value",
                   valtype_text(t->elem));
}

static void read_table_section(struct decode *d, u32 size)
{
    (void)size;
    struct module *m = d->m;
    u32 most = m->ntables < MAX_TABLES ? MAX_TABLES - m->ntables : 0;
    u32 n = read_count(&d->r, 2, most, "tables");
    m->tables = extend(d, m->tables, m->ntables, n, sizeof *m->tables);
    m->table_init = take(d, n, sizeof *m->table_init);
    for (u32 i = 0; i < n && read_goes_on(&d->r, i); i++)
        read_table(d, &m->tables[m->ntables + i], &m->table_init[i]);
    m->ntables += n;
}

static void read_memory_section(struct decode *d, u32 size)
{
    (void)size;
    struct module *m = d->m;
    const u8 *at = d->r.p;
    u32 n = read_count(&d->r, 1, UINT32_MAX, "memories");
    m->memories = extend(d, m->memories, m->nmemories, n, sizeof *m->memories);
    for (u32 i = 0; i < n && read_goes_on(&d->r, i); i++)
        m->memories[m->nmemories + i] = read_memory_type(d);
    m->nmemories += n;
    check_memories(d, at);
}

static void read_tag_section(struct decode *d, u32 size)
{
    (void)size;
    struct module *m = d->m;
    u32 n = read_count(&d->r, 2, MAX_TAGS - m->ntags, "tags");
    m->tags = extend(d, m->tags, m->ntags, n, sizeof *m->tags);
    for (u32 i = 0; i < n && read_goes_on(&d->r, i); i++)
        m->tags[m->ntags + i] = read_tag(d);
    m->ntags += n;
}

static void read_global_section(struct decode *d, u32 size)
{
    (void)size;
    struct module *m = d->m;
    u32 n = read_count(&d->r, 3, MAX_GLOBALS - m->nglobals, "globals");
    m->globals = extend(d, m->globals, m->nglobals, n, sizeof *m->globals);
    m->global_init = take(d, n, sizeof *m->global_init);
    for (u32 i = 0; i < n && read_goes_on(&d->r, i);
         i++, m->nglobals++) { // an initial value can be one before it
        struct global_type *g = &m->globals[m->nglobals];
        *g = read_global_type(d);
        read_constexpr(d, &m->global_init[i], g->type);
    }
}

// Exports and start -------------------------------------------------------------------------------

static void read_export(struct decode *d, struct export *ex)
{
    struct module *m = d->m;
    ex->name = read_name(&d->r);
    const u8 *at = d->r.p;
    ex->kind = read_byte(&d->r);
    switch (ex->kind) {
    case EXTERN_FUNC:
        ex->index = read_index(d, m->nfuncs, "function");
        if (read_ok(&d->r))
            declare_func(m, ex->index);
        break;
    case EXTERN_TABLE: ex->index = read_index(d, m->ntables, "table"); break;
    case EXTERN_MEMORY: ex->index = read_index(d, m->nmemories, "memory"); break;
    case EXTERN_GLOBAL: ex->index = read_index(d, m->nglobals, "global"); break;
    case EXTERN_TAG: ex->index = read_index(d, m->ntags, "tag"); break;
    default: read_error(&d->r, ERR_MALFORMED, at, "malformed export kind");
    }
}

static void read_export_section(struct decode *d, u32 size)
{
    (void)size;
    struct module *m = d->m;
    m->nexports = read_count(&d->r, 3, MAX_EXPORTS, "exports");
    m->exports = take(d, m->nexports, sizeof *m->exports);
    for (u32 i = 0; i < m->nexports && read_goes_on(&d->r, i); i++)
        read_export(d, &m->exports[i]);
    if (read_ok(&d->r) && exports_index(m, d->r.e))
        d->r.p = d->r.end;
}

static void read_start_section(struct decode *d, u32 size)
{
    (void)size;
    struct module *m = d->m;
    const u8 *at = d->r.p;
    m->start = read_index(d, m->nfuncs, "function");
    if (!read_ok(&d->r))
        return;
    const struct functype *t = module_func_type(m, m->start);
    if (t->nparams || t->nresults)
        read_error(&d->r, ERR_INVALID, at, "start function must have no parameters and no results");
}

// Element segments --------------------------------------------------------------------------------

enum { ELEM_NOT_ACTIVE = 1, ELEM_INDEX_OR_DECLARATIVE = 2, ELEM_EXPRESSIONS = 4 };

static void elem_active(struct decode *d, struct elem_segment *s, bool index)
{
    s->mode = SEGMENT_ACTIVE;
    const u8 *at = d->r.p;
    s->table = index ? read_u32(&d->r) : 0;
    if (read_ok(&d->r) && s->table >= d->m->ntables)
        invalid(d, at, "table", s->table);
    if (read_ok(&d->r))
        read_constexpr(d, &s->offset, limits_type(&d->m->tables[s->table].limits));
}

static valtype elem_type(struct decode *d, bool expressions)
{
    if (expressions)
        return read_reftype(&d->r, d->m);
    const u8 *at = d->r.p;
    if (read_byte(&d->r) != 0)
        read_error(&d->r, ERR_MALFORMED, at, "malformed element kind");
    return TYPE_FUNCREF | TYPE_NONNULL;
}

static void elem_funcs(struct decode *d, struct elem_segment *s)
{
    s->count = read_count(&d->r, 1, MAX_TABLE_SIZE, "elements");
    u32 *funcs = take(d, s->count, sizeof *funcs);
    for (u32 i = 0; i < s->count && read_goes_on(&d->r, i); i++) {
        funcs[i] = read_index(d, d->m->nfuncs, "function");
        if (read_ok(&d->r))
            declare_func(d->m, funcs[i]);
    }
    s->funcs = funcs;
}

static void elem_exprs(struct decode *d, struct elem_segment *s)
{
    s->count = read_count(&d->r, 3, MAX_TABLE_SIZE, "elements");
    struct constexpr_ *exprs = take(d, s->count, sizeof *exprs);
    for (u32 i = 0; i < s->count && read_goes_on(&d->r, i); i++) {
        read_constexpr(d, &exprs[i], s->type);
        s->computed |= exprs[i].kind == CONST_CODE;
    }
    s->exprs = exprs;
}

static void read_elem(struct decode *d, struct elem_segment *s)
{
    const u8 *at = d->r.p;
    u32 flags = read_u32(&d->r);
    if (flags > 7 && read_ok(&d->r))
        read_error(&d->r, ERR_MALFORMED, at, "malformed elements segment kind");
    bool second = flags & ELEM_INDEX_OR_DECLARATIVE;
    *s = (struct elem_segment){.type = TYPE_FUNCREF};
    if (!(flags & ELEM_EXPRESSIONS))
        s->type |= TYPE_NONNULL;
    if (!(flags & ELEM_NOT_ACTIVE))
        elem_active(d, s, second);
    else
        s->mode = second ? SEGMENT_DECLARATIVE : SEGMENT_PASSIVE;
    if (flags & (ELEM_NOT_ACTIVE | ELEM_INDEX_OR_DECLARATIVE))
        s->type = elem_type(d, flags & ELEM_EXPRESSIONS);
    if (flags & ELEM_EXPRESSIONS)
        elem_exprs(d, s);
    else
        elem_funcs(d, s);
    if (read_ok(&d->r) && s->mode == SEGMENT_ACTIVE &&
        !module_matches(d->m, s->type, d->m->tables[s->table].elem))
        read_error(&d->r, ERR_INVALID, at, "type mismatch: segment of %s for a table of %s",
                   valtype_text(s->type), valtype_text(d->m->tables[s->table].elem));
}

static void read_elem_section(struct decode *d, u32 size)
{
    (void)size;
    struct module *m = d->m;
    m->nelems = read_count(&d->r, 3, MAX_ELEM_SEGMENTS, "element segments");
    m->elems = take(d, m->nelems, sizeof *m->elems);
    for (u32 i = 0; i < m->nelems && read_goes_on(&d->r, i); i++)
        read_elem(d, &m->elems[i]);
}

// Code and data -----------------------------------------------------------------------------------

static void read_code(struct decode *d, struct func *f)
{
    const u8 *at = d->r.p;
    u32 size = read_u32(&d->r);
    if (!read_bytes(&d->r, size))
        return;
    if (size > MAX_BODY_SIZE)
        read_error(&d->r, ERR_INVALID, at, "function body too large (%u bytes; the limit is %u)",
                   size, MAX_BODY_SIZE);
    f->end = (u32)(d->r.p - d->r.base);
    f->start = f->end - size;
}

static void read_code_section(struct decode *d, u32 size)
{
    struct module *m = d->m;
    m->code_start = (u32)(d->r.p - d->r.base);
    m->code_end = m->code_start + size;
    d->ncode = read_count(&d->r, 1, MAX_FUNCTIONS, "functions");
    for (u32 i = 0; i < d->ncode && read_goes_on(&d->r, i); i++) {
        struct func surplus; // counts are compared when all sections have been seen
        read_code(d, i < m->nfuncs - m->nimported_funcs ? &m->funcs[m->nimported_funcs + i]
                                                        : &surplus);
    }
}

static void read_data(struct decode *d, struct data_segment *s)
{
    const u8 *at = d->r.p;
    u32 flags = read_u32(&d->r);
    *s = (struct data_segment){.mode = flags == 1 ? SEGMENT_PASSIVE : SEGMENT_ACTIVE};
    if (flags > 2 && read_ok(&d->r))
        read_error(&d->r, ERR_MALFORMED, at, "malformed data segment kind");
    at = d->r.p;
    if (flags == 2)
        s->memory = read_u32(&d->r);
    if (s->mode == SEGMENT_ACTIVE) {
        if (read_ok(&d->r) && s->memory >= d->m->nmemories)
            invalid(d, at, "memory", s->memory);
        if (read_ok(&d->r))
            read_constexpr(d, &s->offset, limits_type(&d->m->memories[s->memory]));
    }
    s->size = read_u32(&d->r);
    s->bytes = read_bytes(&d->r, s->size);
}

static void read_data_section(struct decode *d, u32 size)
{
    (void)size;
    struct module *m = d->m;
    m->ndatas = read_count(&d->r, 2, MAX_SEGMENTS, "data segments");
    m->datas = take(d, m->ndatas, sizeof *m->datas);
    for (u32 i = 0; i < m->ndatas && read_goes_on(&d->r, i); i++)
        read_data(d, &m->datas[i]);
}

static void read_data_count_section(struct decode *d, u32 size)
{
    (void)size;
    d->data_count = read_u32(&d->r);
    d->m->has_data_count = true;
}

// Custom sections, and the whole ------------------------------------------------------------------

static void read_custom_section(struct decode *d, u32 size)
{
    const u8 *end = d->r.end;
    d->r.end = d->r.p + size;
    struct name name = read_name(&d->r);
    if (name_is(name, "name")) {
        d->names = d->r.p;
        d->names_end = d->r.end;
    } else if (name_is(name, "nebulet.noswitch")) {
        if (d->noswitch)
            read_error(&d->r, ERR_INVALID, d->r.p, "a second section nebulet.noswitch");
        d->noswitch = d->r.p;
        d->noswitch_end = d->r.end;
    }
    if (read_ok(&d->r))
        d->r.p = d->r.end;
    d->r.end = end;
}

// The functions that must not be switched away from: a vector of indices. A promise that cannot be
// kept is an error. Read when all functions are known, for the section may stand anywhere.
static void read_noswitch(struct decode *d)
{
    struct module *m = d->m;
    struct reader *r = &d->r;
    if (!d->noswitch || !read_ok(r))
        return;
    r->p = d->noswitch;
    r->end = d->noswitch_end;
    size_t words = m->nfuncs / 64 + 1;
    m->noswitch = take(d, words, sizeof *m->noswitch);
    if (m->noswitch)
        memset(m->noswitch, 0, words * sizeof *m->noswitch);
    for (u32 n = read_count(r, 1, MAX_FUNCTIONS, "functions"); n > 0 && read_goes_on(r, n); n--) {
        const u8 *at = r->p;
        u32 func = read_index(d, m->nfuncs, "function");
        if (read_ok(r) && func < m->nimported_funcs)
            read_error(r, ERR_INVALID, at, "nebulet.noswitch: function %u is imported", func);
        else if (read_ok(r))
            m->noswitch[func / 64] |= 1ull << (func % 64);
    }
    if (read_ok(r) && r->p != r->end)
        read_error(r, ERR_MALFORMED, r->p, "section size mismatch (nebulet.noswitch)");
}

// `rank` is the place in the order of sections; custom sections stand anywhere.
static const struct {
    void (*read)(struct decode *d, u32 size);
    u8 rank;
} sections[SECTION_END] = {
    [SECTION_CUSTOM] = {read_custom_section, 0},
    [SECTION_TYPE] = {read_type_section, 1},
    [SECTION_IMPORT] = {read_import_section, 2},
    [SECTION_FUNCTION] = {read_function_section, 3},
    [SECTION_TABLE] = {read_table_section, 4},
    [SECTION_MEMORY] = {read_memory_section, 5},
    [SECTION_TAG] = {read_tag_section, 6},
    [SECTION_GLOBAL] = {read_global_section, 7},
    [SECTION_EXPORT] = {read_export_section, 8},
    [SECTION_START] = {read_start_section, 9},
    [SECTION_ELEM] = {read_elem_section, 10},
    [SECTION_DATA_COUNT] = {read_data_count_section, 11},
    [SECTION_CODE] = {read_code_section, 12},
    [SECTION_DATA] = {read_data_section, 13},
};

static void read_section(struct decode *d, u8 *rank)
{
    struct reader *r = &d->r;
    const u8 *at = r->p;
    u8 id = read_byte(r);
    if (id >= SECTION_END) {
        read_error(r, ERR_MALFORMED, at, "malformed section id %u", id);
        return;
    }
    u32 size = read_u32(r);
    if (!read_ok(r))
        return;
    if (size > read_left(r)) {
        read_error(r, ERR_MALFORMED, at, "length out of bounds");
        return;
    }
    if (id != SECTION_CUSTOM && sections[id].rank <= *rank) {
        read_error(r, ERR_MALFORMED, at, "unexpected content after last section");
        return;
    }
    if (id != SECTION_CUSTOM)
        *rank = sections[id].rank;
    const u8 *end = d->section_end = r->p + size;
    sections[id].read(d, size);
    if (read_ok(r) && r->p != end)
        read_error(r, ERR_MALFORMED, end, "section size mismatch");
}

static void read_header(struct reader *r)
{
    const u8 *p = read_bytes(r, 4);
    if (p && memcmp(p, "\0asm", 4) != 0)
        read_error(r, ERR_MALFORMED, p, "magic header not detected");
    p = read_bytes(r, 4);
    if (p && load_u32(p) != 1)
        read_error(r, ERR_MALFORMED, p, "unknown binary version");
}

static void check_counts(struct decode *d)
{
    struct module *m = d->m;
    if (d->ncode != m->nfuncs - m->nimported_funcs)
        read_error(&d->r, ERR_MALFORMED, d->r.p,
                   "function and code section have inconsistent lengths");
    if (m->has_data_count && m->ndatas != d->data_count)
        read_error(&d->r, ERR_MALFORMED, d->r.p,
                   "data count and data section have inconsistent lengths");
}

// Offsets in the vmctx; at most 1,000,000 of each kind, so that the sum stays far below 4 GiB.
static void lay_out(struct module *m)
{
    struct layout *l = &m->layout;
    u32 at = ALIGN_UP((u32)sizeof(struct vmctx), 16u);
    l->imports = at;
    at += m->nimported_funcs * (u32)sizeof(struct vm_func);
    l->imported_globals = at;
    at += m->nimported_globals * (u32)sizeof(void *);
    l->tables = at;
    at += m->ntables * (u32)sizeof(void *);
    l->tags = at;
    at += m->ntags * (u32)sizeof(void *);
    l->memories = at;
    at += m->nmemories > 1 ? m->nmemories * (u32)sizeof(struct vm_far) : 0;
    at = ALIGN_UP(at, 16u);
    l->globals = at;
    at += (m->nglobals - m->nimported_globals) * (u32)sizeof(union vm_global);
    l->refs = at;
    at += m->nrefs * (u32)sizeof(struct vm_func);
    l->own_tags = at;
    at += (m->ntags - m->nimported_tags) * (u32)sizeof(struct vm_tag);
    l->size = at;
}

static struct module *module_new(const u8 *bytes, size_t size)
{
    size_t first = sizeof(struct module) + 1024 + (size < (128 << 10) ? size / 2 : 64 << 10);
    struct arena *arena = arena_create(first);
    struct module *m = arena ? arena_alloc(arena, sizeof *m) : NULL;
    if (m)
        *m =
            (struct module){.bytes = bytes, .size = (u32)size, .start = UINT32_MAX, .arena = arena};
    return m;
}

// What is wrong in a body comes before what is wrong behind the code section, as if bodies had been
// read on the way.
static void first_error(const struct module *m, struct error *e)
{
    if (e->code != ERR_MALFORMED || !m->code_end || e->offset < m->code_end)
        return;
    struct validator *v = validator_create();
    for (u32 i = m->nimported_funcs; v && i < m->nfuncs && m->funcs[i].end; i++) {
        struct body body;
        struct error earlier;
        if (validate_body(v, m, i, 0, &body, &earlier) == ERR_MALFORMED) {
            *e = earlier;
            break;
        }
        if (earlier.code == ERR_CANCELLED)
            break;
    }
    validator_free(v);
}

status module_decode(const u8 *bytes, size_t size, struct module **out, struct error *e)
{
    *out = NULL;
    *e = (struct error){0};
    if (size > MAX_MODULE_SIZE)
        return error_set(e, ERR_INVALID, 0, "module too large (%zu bytes)", size);
    struct module *m = module_new(bytes, size);
    if (!m)
        return error_set(e, ERR_NO_MEMORY, 0, "out of memory");
    struct decode d = {.r = {bytes, bytes + size, bytes, e}, .m = m};
    read_header(&d.r);
    u8 rank = 0;
    for (u32 i = 0; read_goes_on(&d.r, i) && d.r.p < d.r.end; i++)
        read_section(&d, &rank);
    check_counts(&d);
    read_noswitch(&d);
    vec_free(&d.operands);
    if (read_ok(&d.r) && d.names && names_read(m, d.names, d.names_end))
        read_error(&d.r, ERR_NO_MEMORY, d.names, "out of memory");
    if (!read_ok(&d.r)) {
        first_error(m, e);
        module_free(m);
        return e->code;
    }
    lay_out(m);
    *out = m;
    return OK;
}

void module_free(struct module *m)
{
    if (m)
        arena_destroy(m->arena);
}

void module_custom_sections(const struct module *m,
                            void (*each)(void *context, struct name name, const u8 *p, u32 size),
                            void *context)
{
    struct error e = {0};
    struct reader r = {m->bytes + 8, m->bytes + m->size, m->bytes, &e};
    while (r.p < r.end) {
        u8 id = read_byte(&r);
        u32 size = read_u32(&r);
        const u8 *end = r.p + size;
        if (id == SECTION_CUSTOM) {
            struct name name = read_name(&r);
            each(context, name, r.p, (u32)(end - r.p));
        }
        r.p = end;
    }
}
