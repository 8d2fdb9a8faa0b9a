// SPDX-License-Identifier: MIT
// The irregular instructions in the validator that are not control: globals, references, tables,
// memory, atomics, and SIMD, which is all made from its rows in ops.def.
#include "wasm/simd.h"
#include "wasm/validator.h"

const struct simd_row simd_rows[SIMD_ROWS] = {
#define V(code, id, text, imm, params, results) [SIMD_INDEX(code)] = {SIMD_##imm, params, results},
#include "wasm/ops.def"
};

struct cursor op_drop(struct validator *v, struct cursor c)
{
    valtype found;
    return at(c.p, pop_any(v, c.sp, &found));
}

struct cursor op_select(struct validator *v, struct cursor c)
{
    valtype a = 0, b = 0;
    c.sp = pop(v, c.sp, TYPE_I32);
    if (c.sp)
        c.sp = pop_any(v, c.sp, &b);
    if (c.sp)
        c.sp = pop_any(v, c.sp, &a);
    if (!c.sp)
        return failed;
    if (is_reftype(a) || is_reftype(b))
        return fail(v, ERR_INVALID, "type mismatch: select without a type takes no references");
    if (a && b && a != b)
        return at(c.p, mismatch(v, a, b));
    return at(c.p, push(v, c.sp, a ? a : b));
}

struct cursor op_select_t(struct validator *v, struct cursor c)
{
    u32 n;
    c.p = imm_u32(v, c.p, &n);
    if (!c.p)
        return failed;
    if (n != 1)
        return fail(v, ERR_INVALID, "invalid result arity (%u types in select)", n);
    valtype t = 0;
    c.p = imm_valtype(v, c.p, &t);
    if (!c.p)
        return failed;
    valtype params[3] = {t, t, TYPE_I32};
    c.sp = pop_many(v, c.sp, params, 3);
    return c.sp ? at(c.p, push_many(v, c.sp, params, 1)) : failed;
}

struct cursor op_global(struct validator *v, struct cursor c, bool set)
{
    u32 x;
    c.p = imm_index(v, c.p, v->m->nglobals, "global", &x);
    if (!c.p)
        return failed;
    const struct global_type *g = &v->m->globals[x];
    if (!set)
        return at(c.p, push_many(v, c.sp, &g->type, 1));
    if (!g->mutable)
        return fail(v, ERR_INVALID, "immutable global %u", x);
    return at(c.p, pop(v, c.sp, g->type));
}

struct cursor op_constant(struct validator *v, struct cursor c, u32 size, valtype type)
{
    c.p = imm_bytes(v, c.p, size);
    return c.p ? at(c.p, push(v, c.sp, type)) : failed;
}

struct cursor op_ref_null(struct validator *v, struct cursor c)
{
    valtype type = 0;
    c.p = imm_heaptype(v, c.p, true, &type);
    return c.p ? at(c.p, push(v, c.sp, type)) : failed;
}

struct cursor op_ref_is_null(struct validator *v, struct cursor c)
{
    valtype found;
    c.sp = pop_ref(v, c.sp, &found);
    return c.sp ? at(c.p, push(v, c.sp, TYPE_I32)) : failed;
}

struct cursor op_ref_as_non_null(struct validator *v, struct cursor c)
{
    valtype found;
    c.sp = pop_ref(v, c.sp, &found);
    return c.sp ? at(c.p, push(v, c.sp, found | TYPE_NONNULL)) : failed;
}

struct cursor op_ref_func(struct validator *v, struct cursor c)
{
    const struct module *m = v->m;
    u32 func;
    c.p = imm_index(v, c.p, m->nfuncs, "function", &func);
    if (!c.p)
        return failed;
    if (func < m->nimported_funcs ? !m->declared[func] : !m->funcs[func].ref)
        return fail(v, ERR_INVALID, "undeclared function reference %u", func);
    return at(c.p, push(v, c.sp, module_func_type(m, func)->self[1]));
}

// Tables

struct cursor op_table(struct validator *v, struct cursor c, const char *params,
                       const char *results)
{
    valtype types[4];
    if (*params) // all but table.size call the runtime
        note_call(v);
    c.p = imm_table(v, c.p, &types[3], &types[0]);
    return c.p ? at(c.p, apply_types(v, c.sp, params, results, types)) : failed;
}

static valtype narrower(valtype a, valtype b)
{
    return a == TYPE_I32 ? a : b;
}

static struct cursor table_pair(struct validator *v, struct cursor c, valtype dst, valtype src,
                                const valtype types[4])
{
    if (!matches(v, src, dst))
        return at(c.p, mismatch(v, dst, src));
    return at(c.p, apply_types(v, c.sp, "ABN", "", types));
}

struct cursor op_table_copy(struct validator *v, struct cursor c)
{
    note_call(v);
    valtype dst = 0, src = 0, types[4];
    c.p = imm_table(v, c.p, &dst, &types[0]);
    if (c.p)
        c.p = imm_table(v, c.p, &src, &types[1]);
    if (!c.p)
        return failed;
    types[2] = narrower(types[0], types[1]);
    return table_pair(v, c, dst, src, types);
}

struct cursor op_table_init(struct validator *v, struct cursor c)
{
    note_call(v);
    u32 segment;
    valtype elem = 0, types[4] = {TYPE_I32, TYPE_I32, TYPE_I32};
    c.p = imm_u32(v, c.p, &segment);
    if (c.p)
        c.p = imm_table(v, c.p, &elem, &types[0]);
    if (!c.p)
        return failed;
    if (segment >= v->m->nelems)
        return fail(v, ERR_INVALID, "unknown elem segment %u", segment);
    return table_pair(v, c, elem, v->m->elems[segment].type, types);
}

struct cursor op_elem_drop(struct validator *v, struct cursor c)
{
    note_call(v);
    u32 segment;
    c.p = imm_index(v, c.p, v->m->nelems, "elem segment", &segment);
    return c.p ? c : failed;
}

// Memory

static struct cursor data_index(struct validator *v, struct cursor c, u32 segment)
{
    if (segment >= v->m->ndatas)
        return fail(v, ERR_INVALID, "unknown data segment %u", segment);
    return c;
}

static const u8 *imm_data(struct validator *v, const u8 *p, u32 *segment)
{
    p = imm_u32(v, p, segment);
    if (p && !v->m->has_data_count)
        return fail(v, ERR_MALFORMED, "data count section required").p;
    return p;
}

struct cursor op_memory_init(struct validator *v, struct cursor c)
{
    note_call(v);
    u32 segment;
    valtype types[4];
    c.p = imm_data(v, c.p, &segment);
    if (c.p)
        c.p = imm_memory(v, c.p, &types[0]);
    c.sp = c.p ? apply_types(v, c.sp, "Aii", "", types) : NULL;
    return c.sp ? data_index(v, c, segment) : failed;
}

struct cursor op_data_drop(struct validator *v, struct cursor c)
{
    note_call(v);
    u32 segment;
    c.p = imm_data(v, c.p, &segment);
    return c.p ? data_index(v, c, segment) : failed;
}

struct cursor op_memory(struct validator *v, struct cursor c, u32 n, const char *params,
                        const char *results)
{
    valtype types[4] = {0};
    if (*params) // all but memory.size call the runtime
        note_call(v);
    for (u32 i = 0; i < n && c.p; i++)
        c.p = imm_memory(v, c.p, &types[i]);
    types[2] = narrower(types[0], types[1]);
    return c.p ? at(c.p, apply_types(v, c.sp, params, results, types)) : failed;
}

// Atomics

static const u8 *imm_atomic(struct validator *v, const u8 *p, u32 natural)
{
    const u8 *start = p;
    u32 align = natural;
    valtype type = 0;
    p = imm_memarg(v, p, natural, &type);
    if (p)
        imm_u32(v, start, &align);
    if (p && ((align & MEMARG_INDEX) || type == TYPE_I64))
        return fail(v, ERR_NOT_SUPPORTED, "atomics on a second memory, or one of 64 bits").p;
    if (align != natural)
        return fail(v, ERR_INVALID, "atomic alignment must be natural (2^%u, not 2^%u)", natural,
                    align)
            .p;
    return p;
}

struct cursor op_atomic(struct validator *v, struct cursor c, u32 sig)
{
    valtype type = (u8)sig;
    c.p = imm_atomic(v, c.p, sig >> 16);
    if (!c.p)
        return failed;
    for (u32 n = sig >> 8 & 3; n > 0 && c.sp; n--)
        c.sp = pop(v, c.sp, type);
    if (c.sp)
        c.sp = pop(v, c.sp, TYPE_I32);
    if (c.sp && (sig & ATOMIC_RESULT))
        c.sp = push(v, c.sp, type);
    return at(c.p, c.sp);
}

struct cursor op_atomic_call(struct validator *v, struct cursor c, u32 align, const char *params)
{
    note_call(v);
    c.p = imm_atomic(v, c.p, align);
    return c.p ? at(c.p, apply(v, c.sp, params, "i")) : failed;
}

// SIMD

static const u8 *imm_lanes(struct validator *v, const u8 *p, u32 n, u32 below)
{
    const u8 *end = imm_bytes(v, p, n);
    for (; end && p < end; p++)
        if (*p >= below)
            return fail(v, ERR_INVALID, "invalid lane index %u", *p).p;
    return end;
}

static const u8 *imm_simd(struct validator *v, const u8 *p, u32 imm, valtype *address)
{
    u32 log = imm & 7;
    switch (imm & 0x30) {
    case SIMD_MEM_0: return imm_memarg(v, p, log, address);
    case SIMD_MEMLANE_0:
        p = imm_memarg(v, p, log, address);
        return p ? imm_lanes(v, p, 1, 16 >> log) : NULL;
    case SIMD_LANE_2 & 0x30: return imm_lanes(v, p, 1, 1 << log);
    }
    if (imm == SIMD_NONE)
        return p;
    return imm == SIMD_V128 ? imm_bytes(v, p, 16) : imm_lanes(v, p, 16, 32);
}

struct cursor op_fd(struct validator *v, struct cursor c)
{
    u32 op;
    c.p = imm_u32(v, c.p, &op);
    if (!c.p)
        return failed;
    if (op >= SIMD_ROWS || simd_rows[op].imm == SIMD_ILLEGAL)
        return illegal(v, 0xfd, op);
    note_simd(v);
    if (LANES_HELD && (v->want & WANT_USES))
        lanes_note(v, op, c.p);
    const struct simd_row *row = &simd_rows[op];
    char params[sizeof row->params];
    valtype types[4] = {0};
    memcpy(params, row->params, sizeof params);
    c.p = imm_simd(v, c.p, row->imm, &types[0]);
    if (types[0])
        params[0] = 'A';
    return c.p ? at(c.p, apply_types(v, c.sp, params, row->results, types)) : failed;
}
