// SPDX-License-Identifier: MIT
// The generator: see generate.h.
//
// It is written like a grammar. expr(t) appends code that leaves one value of type t, stmt() code
// that leaves nothing; both pick one of the forms in a table by weight, and each form is a short
// function. settle() turns what lies on the operand stack into what is wanted, by any instructions
// that fit: it is how results of calls and parameters of blocks are used up. Since forms of expr()
// contain statements and blocks, values are kept on the stack across all kinds of control flow.
//
// The size is bounded by a budget of instructions per function; when it is used up, only leaves
// come. Traps end a run, so what can trap is mostly kept from trapping, and sometimes not: see
// risky().
#include "test/fuzz/generate.h"
#include "wasm/types.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_TYPES_USED = 400,
    MAX_FUNCS = 20,
    MAX_LABELS_OPEN = 300,
    MAX_LOCALS_USED = 6000,
    MAX_ARITY = 20,
    HOT = 16,
    TABLE_MAX = 24,
    NDATAS = 3,
    NELEMS = 3,
    MAX_TAGS_USED = 6,
    NPEER_TAGS = 2,
    NHOST = 3, // functions that the host gives, the first ones
    MAX_OBJECTS = 10,
    MAX_FIELDS_USED = 8,
    REF = 0x80,      // or'ed with the number of a type, of objects or functions, below MAX_REF: a
    MAX_REF = 64,    // reference to one, or null
    ARRAY_LEAST = 8, // elements of all arrays
};

// A struct, or an array, which has one field. All of a module's are one group, and come first.
struct object {
    bool array, open;
    s8 super; // or -1
    u8 n, fields[MAX_FIELDS_USED];
    bool constant[MAX_FIELDS_USED];
};

struct types {
    u8 n, at[MAX_ARITY];
};

struct signature {
    struct types params, results;
};

struct function {
    u32 type;
    bool exported, leaf;
    struct bytes code;
};

struct variable { // a global
    u8 type;
    bool mutable;
};

struct label {
    struct types types; // what a branch carries
    bool open;          // may be branched to at will: it ends, or leads forward
    bool caught;        // of a catch
};

// In which form a module has exceptions.
enum form { FORM_NONE, FORM_TRY, FORM_TRY_TABLE };

struct gen {
    struct choices *choices;
    u32 flags;

    // The module
    struct signature types[MAX_TYPES_USED];
    u32 ntypes;
    struct function funcs[MAX_FUNCS];
    u32 nfuncs, nimported;
    struct variable globals[16];
    u32 nglobals, fuel;
    u32 pages, max_pages;
    bool shared, threads, simd, tails;
    bool typed;               // references to functions of a type
    bool beyond;              // wide arithmetic, which V8 does not have
    bool wide, far, far_wide; // addresses of 64 bits; a second memory, and its addresses
    u32 table_size, ntables;
    enum form form;
    struct types tags[MAX_TAGS_USED];
    u32 ntags, nimported_tags;
    struct object objects[MAX_OBJECTS];
    u32 nobjects;

    // The function that is being written
    struct function *f;
    struct bytes *code;
    u8 locals[MAX_LOCALS_USED];
    u32 nlocals;   // those that anything may write
    u32 ncounters; // counters of loops follow, then those that hold NaNs to be: f32, f64, v128; and
                   // a pointer
    u32 counters_used;
    u32 hot[HOT], nhot; // those that are used most
    struct label labels[MAX_LABELS_OPEN];
    u32 nlabels;
    s32 budget;
    u32 depth, max_depth;
    u32 trips, max_trips; // product of the iterations of enclosing counted loops
};

static void expr(struct gen *g, u8 type);
static void leaf(struct gen *g, u8 type);
static void stmt(struct gen *g);
static bool has_typed(const struct gen *g, u32 func);
static void call_reference(struct gen *g, u32 func, u32 code);
static void settle(struct gen *g, const struct types *have, const struct types *want);

// --- Choices

static u64 draw(struct choices *c)
{
    if (c->left) {
        c->left--;
        return *c->bytes++;
    }
    u64 z = c->state += 0x9e3779b97f4a7c15; // splitmix64
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

static u64 draw64(struct gen *g)
{
    u64 value = draw(g->choices);
    for (u32 i = 1; i < 8 && g->choices->left; i++)
        value = value << 8 | draw(g->choices);
    return value;
}

static u32 below(struct gen *g, u32 n)
{
    u64 value = draw(g->choices);
    if (n > 256 && g->choices->left)
        value = value << 8 | draw(g->choices);
    return (u32)(value % n);
}

static bool one_in(struct gen *g, u32 n)
{
    return below(g, n) == 0;
}

// May what comes next trap?
static bool risky(struct gen *g)
{
    return one_in(g, 60);
}

// An index into weights, each as likely as its weight says.
static u32 weighted(struct gen *g, const u8 *weights, u32 n)
{
    u32 sum = 0;
    for (u32 i = 0; i < n; i++)
        sum += weights[i];
    u32 at = below(g, sum), i = 0;
    while (at >= weights[i])
        at -= weights[i++];
    return i;
}

// --- Bytes

static void byte(struct bytes *b, u32 value)
{
    if (!vec_push(b, (u8)value))
        abort();
}

static void bytes(struct bytes *b, const void *p, u32 n)
{
    if (!vec_reserve(b, n))
        abort();
    if (n)
        memcpy(b->at + b->count, p, n);
    b->count += n;
}

static void leb(struct bytes *b, u64 value)
{
    for (; value >= 0x80; value >>= 7)
        byte(b, (value & 0x7f) | 0x80);
    byte(b, (u32)value);
}

static void sleb(struct bytes *b, s64 value)
{
    for (; value < -64 || value > 63; value >>= 7)
        byte(b, ((u32)value & 0x7f) | 0x80);
    byte(b, (u32)value & 0x7f);
}

static void text(struct bytes *b, const char *s)
{
    leb(b, strlen(s));
    bytes(b, s, (u32)strlen(s));
}

static void op(struct gen *g, u32 code)
{
    u32 relaxed = code >> 12 == 0xfd;
    if (code > 0xff)
        byte(g->code, relaxed ? 0xfd : code >> 8);
    if (relaxed || code >> 8 == 0xfd)
        leb(g->code, relaxed ? code & 0xfff : code & 0xff);
    else
        byte(g->code, code & 0xff);
    g->budget--;
}

static void op1(struct gen *g, u32 code, u32 immediate)
{
    op(g, code);
    leb(g->code, immediate);
}

static void op2(struct gen *g, u32 code, u32 first, u32 second)
{
    op1(g, code, first);
    leb(g->code, second);
}

// --- Types

static const u8 numbers[] = {TYPE_I32, TYPE_I64, TYPE_F32, TYPE_F64};

static bool is_number(u8 type)
{
    return type >= TYPE_V128 && type <= TYPE_I32;
}

static void heap_type(struct bytes *b, u8 type)
{
    byte(b, type & REF ? type & ~REF : type);
}

static void value_type(struct bytes *b, u8 type)
{
    if (type & REF)
        byte(b, TYPE_REF);
    heap_type(b, type);
}

static u8 object_type(struct gen *g)
{
    static const u8 kinds[] = {TYPE_ANYREF, TYPE_EQREF, TYPE_I31REF};
    return one_in(g, 3) ? kinds[below(g, 3)] : (u8)(REF | below(g, g->nobjects));
}

static bool is_float(u8 type)
{
    return type == TYPE_F32 || type == TYPE_F64;
}

static u8 number(struct gen *g)
{
    static const u8 weights[] = {5, 3, 2, 3};
    return numbers[weighted(g, weights, 4)];
}

// Of one of the types of functions that there are.
static u8 typed_function(struct gen *g)
{
    u32 n = g->ntypes + g->nobjects < MAX_REF ? g->ntypes : MAX_REF - g->nobjects;
    return (u8)(REF | (g->nobjects + below(g, n)));
}

static bool is_typed_function(const struct gen *g, u8 type)
{
    return type & REF && (type & ~REF) >= (int)g->nobjects;
}

static u8 any_type(struct gen *g)
{
    if (g->simd && one_in(g, 3))
        return TYPE_V128;
    if (g->form == FORM_TRY_TABLE && one_in(g, 24))
        return TYPE_EXNREF;
    if (g->nobjects && one_in(g, 5))
        return object_type(g);
    if (g->typed && g->ntypes && one_in(g, 10))
        return typed_function(g);
    return one_in(g, 24) ? one_in(g, 3) ? TYPE_EXTERNREF : TYPE_FUNCREF : number(g);
}

static void types_push(struct types *t, u8 type)
{
    if (t->n < MAX_ARITY)
        t->at[t->n++] = type;
}

static struct types some_types(struct gen *g, u32 n, bool refs)
{
    struct types t = {0};
    for (u32 i = 0; i < n; i++)
        types_push(&t, refs ? any_type(g) : number(g));
    return t;
}

static bool types_equal(const struct types *a, const struct types *b)
{
    return a->n == b->n && !memcmp(a->at, b->at, a->n);
}

// The index of a function type, which is added when it is new.
static u32 index_of_type(struct gen *g, const struct types *params, const struct types *results)
{
    for (u32 i = 0; i < g->ntypes; i++)
        if (types_equal(&g->types[i].params, params) && types_equal(&g->types[i].results, results))
            return i;
    if (g->ntypes == MAX_TYPES_USED)
        abort();
    g->types[g->ntypes] = (struct signature){*params, *results};
    return g->ntypes++;
}

static const struct signature *type_of(const struct gen *g, u32 func)
{
    return &g->types[g->funcs[func].type];
}

// --- Constants

static u64 int_bits(struct gen *g, u32 width)
{
    static const u32 small[] = {0,  1,  2,  3,  4,  5,  7,  8,   9,   10,
                                16, 31, 32, 33, 63, 64, 65, 100, 1000};
    static const u64 edges[] = {0x7f,
                                0x80,
                                0x81,
                                0xff,
                                0x100,
                                0x7fff,
                                0x8000,
                                0xffff,
                                0x10000,
                                0x7fffffff,
                                0x80000000,
                                0x80000001,
                                0xfffffffe,
                                0xffffffff,
                                0x55555555,
                                0xaaaaaaaa,
                                0x100000000,
                                1ull << 63,
                                (1ull << 63) - 1,
                                (1ull << 63) + 1,
                                0x7fffffff00000000,
                                0xffffffff00000000};
    switch (below(g, 8)) {
    case 0: return 0;
    case 1: return UINT64_MAX;
    case 2: return 1ull << below(g, width);
    case 3: return (1ull << below(g, width)) - 1;
    case 4: return edges[below(g, countof(edges))];
    case 5: return -(u64)small[below(g, countof(small))];
    case 6: return one_in(g, 2) ? draw64(g) : draw64(g) & 0xffff;
    default: return small[below(g, countof(small))];
    }
}

static u64 f32_bits_of(struct gen *g)
{
    static const u32 edges[] = {
        0,          0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, // 0 1 inf
        0x7fc00000, 0xffc00000, 0x7fc12345, 0x7f800001, 0xff812345, 0x7fffffff, // NaNs
        1,          0x80000001, 0x007fffff, 0x00800000, 0x7f7fffff, 0xff7fffff, // least, greatest
        0x4f000000, 0xcf000000, 0x4effffff, 0x4f800000, 0x4f7fffff, 0xcf000001, // around 2^31, 2^32
        0x5f000000, 0xdf000000, 0x5effffff, 0x5f800000, 0x5f7fffff, 0xdf000001, // around 2^63, 2^64
        0x3f000000, 0xbf000000, 0x3effffff, 0x3fc00000, 0x40200000, 0xbf7fffff, // to be rounded
        0x4b000000, 0x4b000001, 0x4a800001, 0x4b7fffff, 0x40490fdb, 0x42c80000};
    u32 bits = one_in(g, 6) ? (u32)draw64(g) : edges[below(g, countof(edges))];
    bool nan = (bits & 0x7fffffff) > 0x7f800000;
    return nan && one_in(g, 2) ? 0x42280000 : bits; // NaNs spread, so fewer will do
}

static u64 f64_bits_of(struct gen *g)
{
    static const u64 edges[] = {0,
                                1ull << 63,
                                0x3ff0000000000000,
                                0xbff0000000000000,
                                0x7ff0000000000000,
                                0xfff0000000000000,
                                0x7ff8000000000000,
                                0xfff8000000000000,
                                0x7ff8000000012345,
                                0x7ff0000000000001,
                                0xfff0000000012345,
                                0x7fffffffffffffff,
                                1,
                                0x8000000000000001,
                                0x000fffffffffffff,
                                0x0010000000000000,
                                0x7fefffffffffffff,
                                0xffefffffffffffff,
                                0x41dfffffffc00000,
                                0x41e0000000000000,
                                0xc1e0000000000000,
                                0xc1e0000000200000,
                                0xc1e00000001fffff,
                                0x41efffffffe00000,
                                0x41effffffff00000,
                                0x41f0000000000000,
                                0x43e0000000000000,
                                0xc3e0000000000000,
                                0x43dfffffffffffff,
                                0xc3e0000000000001,
                                0x43f0000000000000,
                                0x43efffffffffffff,
                                0xbfefffffffffffff,
                                0x3fe0000000000000,
                                0xbfe0000000000000,
                                0x3fdfffffffffffff,
                                0x3ff8000000000000,
                                0x4004000000000000,
                                0x4330000000000000,
                                0x4330000000000001,
                                0x4340000000000000,
                                0x36a0000000000000,
                                0x3690000000000000,
                                0x380fffffffffffff,
                                0x47efffffe0000000,
                                0x47effffff0000000,
                                0x400921fb54442d18,
                                0x4059000000000000};
    u64 bits = one_in(g, 6) ? draw64(g) : edges[below(g, countof(edges))];
    bool nan = (bits & INT64_MAX) > 0x7ff0000000000000;
    return nan && one_in(g, 2) ? 0x4045000000000000 : bits;
}

static void const_bits(struct bytes *b, u8 type, u64 bits)
{
    u32 low = (u32)bits;
    u64 upper = bits & 4 ? bits << 32 | bits >> 32 : bits & 2 ? ~bits : bits;
    switch (type) {
    case TYPE_V128: bytes(b, "\xfd\x0c", 2), bytes(b, &bits, 8), bytes(b, &upper, 8); break;
    case TYPE_I32: byte(b, OP_i32_const), sleb(b, (s32)low); break;
    case TYPE_I64: byte(b, OP_i64_const), sleb(b, (s64)bits); break;
    case TYPE_F32: byte(b, OP_f32_const), bytes(b, &low, 4); break;
    case TYPE_F64: byte(b, OP_f64_const), bytes(b, &bits, 8); break;
    default: byte(b, OP_ref_null), heap_type(b, type); break;
    }
}

static u64 some_bits(struct gen *g, u8 type)
{
    switch (type) {
    case TYPE_I32: return int_bits(g, 32);
    case TYPE_I64: return int_bits(g, 64);
    case TYPE_F32: return f32_bits_of(g);
    case TYPE_F64: return f64_bits_of(g);
    case TYPE_V128:
        switch (below(g, 4)) {
        case 0: return f64_bits_of(g);
        case 1: return f32_bits_of(g) << 32 | f32_bits_of(g);
        case 2: return int_bits(g, 8) * 0x0101010101010101;
        default: return int_bits(g, 64);
        }
    default: return 0;
    }
}

static void constant(struct gen *g, u8 type, u64 bits)
{
    const_bits(g->code, type, bits);
    g->budget--;
}

static void i32_const(struct gen *g, u32 value)
{
    constant(g, TYPE_I32, value);
}

static void some_const(struct gen *g, u8 type)
{
    constant(g, type, some_bits(g, type));
}

// --- Variables

// A local of that type that may be written, or UINT32_MAX; one of the hot ones more often.
static u32 local_of(struct gen *g, u8 type)
{
    if (!g->nlocals)
        return UINT32_MAX;
    u32 hot = g->hot[below(g, g->nhot)];
    if (hot < g->nlocals && g->locals[hot] == type)
        return hot;
    u32 start = below(g, g->nlocals);
    for (u32 i = 0; i < g->nlocals; i++) {
        u32 local = (start + i) % g->nlocals;
        if (g->locals[local] == type)
            return local;
    }
    return UINT32_MAX;
}

static void choose_hot(struct gen *g)
{
    for (u32 i = 0; i < HOT && g->nlocals; i++)
        g->hot[i] = below(g, g->nlocals);
}

static u32 global_of(struct gen *g, u8 type, bool mutable)
{
    u32 start = below(g, g->nglobals);
    for (u32 i = 0; i < g->nglobals; i++) {
        u32 global = (start + i) % g->nglobals;
        const struct variable *v = &g->globals[global];
        if (v->type == type && global != g->fuel && (v->mutable || !mutable))
            return global;
    }
    return UINT32_MAX;
}

// Into a local or a global, or nowhere.
static void put_away(struct gen *g, u8 type)
{
    u32 local = one_in(g, 8) ? UINT32_MAX : local_of(g, type);
    u32 global = one_in(g, 3) ? global_of(g, type, true) : UINT32_MAX;
    if (global != UINT32_MAX)
        op1(g, OP_global_set, global);
    else if (local != UINT32_MAX)
        op1(g, OP_local_set, local);
    else
        op(g, OP_drop);
}

// --- Operations of ops.def

enum { PURE, TRAPPING };

struct operation {
    u16 code;
    u8 a, b, result; // b: 0 when there is one operand
    bool traps;
};

static const struct operation operations[] = {
#define UN(code, id, text, A, R, expr) {code, TYPE_##A, 0, TYPE_##R, false},
#define UNT(code, id, text, A, R, trap, expr) {code, TYPE_##A, 0, TYPE_##R, true},
#define BIN(code, id, text, A, R, expr) {code, TYPE_##A, TYPE_##A, TYPE_##R, false},
#define BINT(code, id, text, A, R, trap, expr) {code, TYPE_##A, TYPE_##A, TYPE_##R, true},
#include "wasm/ops.def"
};

struct access {
    u8 code, type, align, size;
};

static const struct access loads[] = {
#define LOAD(code, id, text, R, mem, align) {code, TYPE_##R, align, sizeof(mem)},
#include "wasm/ops.def"
};

static const struct access stores[] = {
#define STORE(code, id, text, A, mem, align) {code, TYPE_##A, align, sizeof(mem)},
#include "wasm/ops.def"
};

enum { ATOMIC_LOAD, ATOMIC_STORE, ATOMIC_RMW, ATOMIC_CMPXCHG };

static const struct atomic {
    u16 code;
    u8 kind;
    struct access access;
} atomics[] = {
#define ALOAD(code, id, text, A, mem, align) ATOMIC(code, LOAD, A, mem, align)
#define ASTORE(code, id, text, A, mem, align) ATOMIC(code, STORE, A, mem, align)
#define RMW(code, id, text, A, mem, align, expr) ATOMIC(code, RMW, A, mem, align)
#define CMPXCHG(code, id, text, A, mem, align) ATOMIC(code, CMPXCHG, A, mem, align)
#define ATOMIC(code, kind, A, mem, align) {code, ATOMIC_##kind, {0, TYPE_##A, align, sizeof(mem)}},
#include "wasm/ops.def"
};

static const struct operation *operation_with(struct gen *g, u8 result)
{
    for (;;) {
        const struct operation *o = &operations[below(g, countof(operations))];
        if (o->result == result)
            return o;
    }
}

static const struct access *access_of(struct gen *g, const struct access *all, u32 n, u8 type)
{
    for (;;) {
        const struct access *a = &all[below(g, n)];
        if (a->type == type)
            return a;
    }
}

static bool makes_nan(const struct operation *o)
{
    switch (o->code) {
    case OP_f32_abs:
    case OP_f32_neg:
    case OP_f32_copysign:
    case OP_f64_abs:
    case OP_f64_neg:
    case OP_f64_copysign:
    case OP_f32_reinterpret_i32:
    case OP_f64_reinterpret_i64: return false;
    default: return is_float(o->result) && is_float(o->a);
    }
}

// Replaces a NaN by the canonical one.
static void canonical(struct gen *g, u8 type)
{
    bool wide = type == TYPE_F64;
    u32 local = g->nlocals + g->ncounters + wide;
    op1(g, OP_local_tee, local);
    const_bits(g->code, type, wide ? 0x7ff8000000000000 : 0x7fc00000);
    op1(g, OP_local_get, local);
    op1(g, OP_local_get, local);
    op(g, wide ? OP_f64_eq : OP_f32_eq);
    op(g, OP_select);
}

// The same in each lane.
static void canonical_lanes(struct gen *g, bool wide)
{
    u32 local = g->nlocals + g->ncounters + 2;
    op1(g, OP_local_tee, local);
    const_bits(g->code, TYPE_V128, wide ? 0x7ff8000000000000 : 0x7fc000007fc00000);
    op1(g, OP_local_get, local);
    op1(g, OP_local_get, local);
    op(g, wide ? OP_f64x2_eq : OP_f32x4_eq);
    op(g, OP_v128_bitselect);
}

static void operate(struct gen *g, const struct operation *o)
{
    op(g, o->code);
    if ((g->flags & GENERATE_NANS_CANONICAL) && makes_nan(o))
        canonical(g, o->result);
}

// --- Blocks

static void block_type(struct gen *g, const struct types *params, const struct types *results)
{
    if (!params->n && !results->n)
        byte(g->code, 0x40);
    else if (!params->n && results->n == 1 && !one_in(g, 8))
        value_type(g->code, results->at[0]);
    else
        sleb(g->code, g->nobjects + index_of_type(g, params, results));
}

static void label_push(struct gen *g, const struct types *types, bool open)
{
    g->labels[g->nlabels++] = (struct label){*types, open, false};
}

static void block_open(struct gen *g, u32 code, const struct types *params,
                       const struct types *results)
{
    op(g, code);
    block_type(g, params, results);
    label_push(g, code == OP_loop ? params : results, code != OP_loop);
}

static void block_close(struct gen *g)
{
    op(g, OP_end);
    g->nlabels--;
}

static void values(struct gen *g, const struct types *types)
{
    for (u32 i = 0; i < types->n; i++)
        expr(g, types->at[i]);
}

static void default_values(struct gen *g, const struct types *types)
{
    for (u32 i = 0; i < types->n; i++) {
        u32 local = one_in(g, 2) ? local_of(g, types->at[i]) : UINT32_MAX;
        if (local != UINT32_MAX)
            op1(g, OP_local_get, local);
        else
            some_const(g, types->at[i]);
    }
}

static const struct types none;

// Goes home when the fuel is used up.
static void spend(struct gen *g)
{
    op1(g, OP_global_get, g->fuel);
    op(g, OP_i32_eqz);
    block_open(g, OP_if, &none, &none);
    if (one_in(g, 8)) {
        op(g, OP_unreachable);
    } else {
        default_values(g, &g->types[g->f->type].results);
        op(g, OP_return);
    }
    block_close(g);
    op1(g, OP_global_get, g->fuel);
    i32_const(g, 1);
    op(g, OP_i32_sub);
    op1(g, OP_global_set, g->fuel);
}

// What stands behind a branch that is always taken: nothing of it runs, all of it must be skipped.
static void dead_code(struct gen *g)
{
    static const u8 odd[] = {OP_i32_add, OP_f64_mul, OP_i64_eqz,
                             OP_drop,    OP_select,  OP_i32_load8_u};
    for (u32 n = below(g, 4); n; n--) {
        u32 code = odd[below(g, countof(odd))];
        op(g, code);
        if (code == OP_i32_load8_u)
            bytes(g->code, "\0\x80\x80\x04", 4);
        if (code != OP_drop)
            op(g, OP_drop);
        if (one_in(g, 3))
            stmt(g);
    }
}

static void body(struct gen *g, const struct types *have, const struct types *want)
{
    settle(g, have, want);
    if (!one_in(g, 16))
        return;
    // The same values leave by a branch instead; what the end of the block takes is then anything.
    op1(g, OP_br, 0);
    dead_code(g);
    if (one_in(g, 2))
        values(g, want);
}

static bool may_open(const struct gen *g)
{
    return g->nlabels < MAX_LABELS_OPEN - 40 && g->depth < 40;
}

// Parameters, results and label of a block: it takes some values that are pushed right here.
static void block(struct gen *g, const struct types *results)
{
    struct types params = one_in(g, 4) ? some_types(g, 1 + below(g, 4), true) : none;
    values(g, &params);
    block_open(g, OP_block, &params, results);
    body(g, &params, results);
    block_close(g);
}

static void if_else(struct gen *g, const struct types *results)
{
    struct types params = one_in(g, 6) ? some_types(g, 1 + below(g, 3), true) : none;
    if (!params.n && one_in(g, 8))
        params = *results; // the arm that is not there hands them on
    values(g, &params);
    expr(g, TYPE_I32);
    block_open(g, OP_if, &params, results);
    body(g, &params, results);
    if (!types_equal(&params, results) || !one_in(g, 3)) {
        op(g, OP_else);
        body(g, &params, results);
    }
    block_close(g);
}

// --- Exceptions

static void throw_tag(struct gen *g)
{
    u32 tag = below(g, g->ntags);
    const struct types types = g->tags[tag];
    values(g, &types);
    op1(g, OP_throw, tag);
    dead_code(g);
}

// In a block of its own, since it goes always; not too often.
static void throw_in_if(struct gen *g)
{
    u32 depth = below(g, g->nlabels), local;
    bool again = g->labels[g->nlabels - 1 - depth].caught;
    if (g->form == FORM_TRY_TABLE && (local = local_of(g, TYPE_EXNREF)) != UINT32_MAX &&
        one_in(g, 2)) {
        op1(g, OP_local_get, local);
        op(g, OP_ref_is_null);
        if (!risky(g))
            op(g, OP_i32_eqz);
        block_open(g, OP_if, &none, &none);
        op1(g, OP_local_get, local);
        op(g, OP_throw_ref);
        dead_code(g);
        block_close(g);
        return;
    }
    expr(g, TYPE_I32);
    i32_const(g, below(g, 4));
    op(g, OP_i32_and);
    op(g, OP_i32_eqz);
    block_open(g, OP_if, &none, &none);
    if (again) {
        op1(g, OP_rethrow, depth + 1);
        dead_code(g);
    } else {
        throw_tag(g);
    }
    block_close(g);
}

static void try_catch(struct gen *g, const struct types *results)
{
    struct types params = one_in(g, 4) ? some_types(g, 1 + below(g, 3), true) : none;
    values(g, &params);
    block_open(g, OP_try, &params, results);
    body(g, &params, results);
    if (one_in(g, 8)) {
        g->nlabels--;
        op1(g, OP_delegate, below(g, g->nlabels));
        return;
    }
    g->labels[g->nlabels - 1].caught = true;
    for (u32 n = below(g, 3); n; n--) {
        u32 tag = below(g, g->ntags);
        const struct types types = g->tags[tag];
        op1(g, OP_catch, tag);
        body(g, &types, results);
    }
    if (one_in(g, 2)) {
        op(g, OP_catch_all);
        body(g, &none, results);
    }
    block_close(g);
}

// A handler of try_table: what it catches, and what the label takes for it.
struct clause {
    u32 kind, tag, depth;
    struct types types;
};

static struct clause some_clause(struct gen *g)
{
    struct clause c = {.kind = below(g, 4), .tag = below(g, g->ntags)};
    if (c.kind < 2)
        c.types = g->tags[c.tag];
    if (c.kind & 1)
        types_push(&c.types, TYPE_EXNREF);
    return c;
}

// A block for each handler around it, and branches from there to the end; some handlers go where
// it happens to fit.
static void try_table(struct gen *g, const struct types *results)
{
    struct clause clauses[6];
    u32 own = below(g, 3), n = own;
    struct types params = one_in(g, 4) ? some_types(g, 1 + below(g, 3), true) : none;
    block_open(g, OP_block, &none, results);
    for (u32 i = 0; i < own; i++) {
        clauses[i] = some_clause(g);
        block_open(g, OP_block, &none, &clauses[i].types);
    }
    for (u32 i = 0; i < own; i++)
        clauses[i].depth = own - 1 - i;
    for (u32 tries = below(g, 6); tries; tries--) {
        clauses[n] = some_clause(g);
        clauses[n].depth = below(g, g->nlabels);
        const struct label *l = &g->labels[g->nlabels - 1 - clauses[n].depth];
        n += l->open && types_equal(&l->types, &clauses[n].types) && n < countof(clauses) - 1;
    }
    values(g, &params);
    op(g, OP_try_table);
    block_type(g, &params, results);
    leb(g->code, n);
    for (u32 i = 0; i < n; i++) {
        byte(g->code, clauses[i].kind);
        if (clauses[i].kind < 2)
            leb(g->code, clauses[i].tag);
        leb(g->code, clauses[i].depth);
    }
    label_push(g, results, true);
    body(g, &params, results);
    block_close(g);
    for (u32 i = own; i--;) {
        op1(g, OP_br, i + 1);
        block_close(g);
        settle(g, &clauses[i].types, results);
    }
    block_close(g);
}

static void try(struct gen *g, const struct types *results)
{
    if (g->form == FORM_NONE)
        block(g, results);
    else
        (g->form == FORM_TRY ? try_catch : try_table)(g, results);
}

// --- Loops

static u32 counter(struct gen *g)
{
    return g->counters_used < g->ncounters ? g->nlocals + g->counters_used++ : UINT32_MAX;
}

static void count_down(struct gen *g, u32 local)
{
    op1(g, OP_local_get, local);
    i32_const(g, 1);
    op(g, OP_i32_sub);
    op1(g, OP_local_tee, local);
}

// A loop that counts down at its end, as compilers write them; or at its start, and then anything
// inside may branch to it.
static void loop_counted(struct gen *g, u32 local, u32 trips, const struct types *results)
{
    struct types params = one_in(g, 4) ? some_types(g, 1 + below(g, 3), true) : none;
    bool at_start = one_in(g, 3);
    i32_const(g, trips);
    op1(g, OP_local_set, local);
    if (at_start)
        block_open(g, OP_block, &none, results);
    values(g, &params);
    block_open(g, OP_loop, &params, results);
    if (at_start) {
        g->labels[g->nlabels - 1].open = true;
        count_down(g, local);
        i32_const(g, 0);
        op(g, OP_i32_lt_s);
        block_open(g, OP_if, &none, &none);
        values(g, results);
        op1(g, OP_br, 2);
        block_close(g);
    }
    settle(g, &params, results);
    if (!at_start) { // the results of the last round are those of the loop
        for (u32 i = results->n; i--;)
            put_away(g, results->at[i]);
        values(g, &params);
        count_down(g, local);
        op1(g, OP_br_if, 0);
        settle(g, &params, results);
    }
    block_close(g);
    if (at_start)
        block_close(g);
}

// A loop that goes on as long as something holds, and there is fuel.
static void loop_free(struct gen *g, const struct types *results)
{
    struct types params = one_in(g, 4) ? some_types(g, 1 + below(g, 3), true) : none;
    values(g, &params);
    block_open(g, OP_loop, &params, results);
    g->labels[g->nlabels - 1].open = true;
    spend(g);
    settle(g, &params, &none);
    values(g, &params);
    expr(g, TYPE_I32);
    op1(g, OP_br_if, 0);
    settle(g, &params, results);
    block_close(g);
}

static void loop(struct gen *g, const struct types *results)
{
    u32 hot[HOT], trips = 1 + below(g, 6), before = g->trips;
    memcpy(hot, g->hot, sizeof hot);
    if (one_in(g, 2))
        choose_hot(g);
    if (!g->f->leaf && one_in(g, 3)) {
        loop_free(g, results);
    } else if (g->trips * trips <= g->max_trips) {
        u32 local = counter(g);
        g->trips *= trips;
        if (local != UINT32_MAX)
            loop_counted(g, local, trips, results);
        else
            block(g, results);
        g->trips = before;
    } else {
        block(g, results);
    }
    memcpy(g->hot, hot, sizeof hot);
}

// --- Branches

// How far out the label is that is picked, or UINT32_MAX.
static u32 pick_label(struct gen *g)
{
    for (u32 tries = 0; tries < 4 && g->nlabels; tries++) {
        u32 depth = one_in(g, 2) ? below(g, g->nlabels) : below(g, g->nlabels < 3 ? g->nlabels : 3);
        if (g->labels[g->nlabels - 1 - depth].open)
            return depth;
    }
    return UINT32_MAX;
}

static const struct types *label_types(const struct gen *g, u32 depth)
{
    return &g->labels[g->nlabels - 1 - depth].types;
}

static void branch_if(struct gen *g)
{
    u32 depth = pick_label(g);
    if (depth == UINT32_MAX)
        return;
    const struct types types = *label_types(g, depth);
    bool extra = one_in(g, 4);
    if (extra)
        expr(g, TYPE_I64); // one below, which the branch drops
    values(g, &types);
    expr(g, TYPE_I32);
    op1(g, OP_br_if, depth);
    settle(g, &types, &none);
    if (extra)
        put_away(g, TYPE_I64);
}

// Instead of a return: a call that leaves the function, of one with the same results, if there is
// one.
static bool tail_call(struct gen *g)
{
    u32 start = below(g, g->nfuncs);
    for (u32 i = 0; g->tails && i < g->nfuncs; i++) {
        u32 func = (start + i) % g->nfuncs;
        const struct signature *s = type_of(g, func);
        if ((g->f->leaf && func >= NHOST) ||
            !types_equal(&s->results, &g->types[g->f->type].results))
            continue;
        bool through = func > 1 && one_in(g, 3);
        if (has_typed(g, func) && one_in(g, 3)) {
            call_reference(g, func, OP_return_call_ref);
            return true;
        }
        values(g, &s->params);
        if (through)
            i32_const(g, risky(g) ? below(g, 40) : func);
        if (through)
            op2(g, OP_return_call_indirect, g->nobjects + g->funcs[func].type, 0);
        else
            op1(g, OP_return_call, func);
        return true;
    }
    return false;
}

// In a block of its own, since it goes always.
static void branch_in_if(struct gen *g)
{
    expr(g, TYPE_I32);
    block_open(g, OP_if, &none, &none);
    u32 depth = pick_label(g);
    if (depth != UINT32_MAX) {
        const struct types types = *label_types(g, depth);
        values(g, &types);
        op1(g, OP_br, depth);
        dead_code(g);
    } else if (one_in(g, 2)) {
        if (!tail_call(g)) {
            values(g, &g->types[g->f->type].results);
            op(g, OP_return);
        }
        dead_code(g);
    }
    block_close(g);
}

static bool same_label(const struct gen *g, u32 a, u32 b)
{
    return types_equal(label_types(g, a), label_types(g, b));
}

// To labels whose values are those of the default one; in an if, since it goes always.
static void branch_table(struct gen *g)
{
    if (!may_open(g))
        return;
    expr(g, TYPE_I32);
    block_open(g, OP_if, &none, &none);
    u32 last = pick_label(g);
    if (last != UINT32_MAX) {
        u32 labels[40], n = 0;
        for (u32 want = below(g, one_in(g, 8) ? 40 : 8); want; want--) {
            u32 depth = pick_label(g);
            if (depth != UINT32_MAX && same_label(g, depth, last))
                labels[n++] = depth;
        }
        values(g, label_types(g, last));
        expr(g, TYPE_I32);
        op1(g, OP_br_table, n);
        for (u32 i = 0; i < n; i++)
            leb(g->code, labels[i]);
        leb(g->code, last);
        dead_code(g);
    }
    block_close(g);
}

// Many blocks around one br_table, as switches look; each end is a place of its own.
static void nest(struct gen *g)
{
    u32 n = 2 + below(g, one_in(g, 20) ? 150 : 8);
    if (g->nlabels + n + 20 >= MAX_LABELS_OPEN)
        return;
    struct types carried = some_types(g, below(g, 3), true);
    for (u32 i = 0; i < n; i++)
        block_open(g, OP_block, &none, &carried);
    values(g, &carried);
    expr(g, TYPE_I32);
    op1(g, OP_br_table, n - 1);
    for (u32 i = 0; i < n; i++)
        leb(g->code, one_in(g, 4) ? below(g, n) : i);
    for (u32 i = 0; i < n; i++) {
        block_close(g);
        settle(g, &carried, i + 1 < n ? &carried : &none);
    }
}

// --- Calls

static void call_direct(struct gen *g, u32 func)
{
    values(g, &type_of(g, func)->params);
    op1(g, OP_call, func);
}

// An element of the table that is likely to be a function of that type: element i is function
// i % nfuncs, unless something has been written there.
static void call_through_table(struct gen *g, u32 func)
{
    values(g, &type_of(g, func)->params);
    if (one_in(g, 3) && g->nlocals) {
        expr(g, TYPE_I32);
        i32_const(g, risky(g) ? UINT32_MAX : 0);
        op(g, OP_i32_and);
        i32_const(g, func);
        op(g, OP_i32_add);
    } else {
        i32_const(g, risky(g) ? below(g, 40) : func);
    }
    op2(g, OP_call_indirect, g->nobjects + g->funcs[func].type, 0);
}

// A function of that type, or null: one that does not call any that calls, where this does not.
static void some_function(struct gen *g, u8 type)
{
    u32 start = below(g, g->nfuncs), least = g->f->leaf ? NHOST : g->nfuncs;
    for (u32 i = 0; i < g->nfuncs; i++) {
        u32 func = (start + i) % g->nfuncs;
        if (g->nobjects + g->funcs[func].type == (type & ~(u32)REF) && func < least) {
            op1(g, OP_ref_func, func);
            return;
        }
    }
    some_const(g, type);
}

// One that is not null, mostly; `to`: it is of that function, if nothing has been written over it.
static void function_there(struct gen *g, u8 type, u32 to)
{
    struct types one = {1, {type}};
    switch (below(g, risky(g) ? 4 : 3)) {
    case 0: op1(g, OP_ref_func, to); break;
    case 1: // or that, where there is none
        block_open(g, OP_block, &none, &one);
        expr(g, type);
        op1(g, OP_br_on_non_null, 0);
        op1(g, OP_ref_func, to);
        block_close(g);
        break;
    case 2: // the other way around
        block_open(g, OP_block, &none, &one);
        block_open(g, OP_block, &none, &none);
        expr(g, type);
        op1(g, OP_br_on_null, 0);
        op1(g, OP_br, 1);
        block_close(g);
        op1(g, OP_ref_func, to);
        block_close(g);
        break;
    default: expr(g, type); break;
    }
    if (one_in(g, 3))
        op(g, OP_ref_as_non_null);
}

static bool has_typed(const struct gen *g, u32 func)
{
    return g->typed && g->nobjects + g->funcs[func].type < MAX_REF;
}

static void call_reference(struct gen *g, u32 func, u32 code)
{
    u32 type = g->nobjects + g->funcs[func].type;
    values(g, &type_of(g, func)->params);
    function_there(g, (u8)(REF | type), func);
    op1(g, code, type);
}

static bool call(struct gen *g, u32 func)
{
    if (g->f->leaf && func >= NHOST)
        return false; // those of the host are fine
    if (has_typed(g, func) && one_in(g, 3))
        call_reference(g, func, OP_call_ref);
    else if (func > 1 && one_in(g, 3))
        call_through_table(g, func);
    else
        call_direct(g, func);
    return true;
}

// --- Memory

static u32 some_memory(struct gen *g)
{
    return g->far && one_in(g, 3);
}

static u8 address_type(const struct gen *g, u32 memory)
{
    return (memory ? g->far_wide : g->wide) ? TYPE_I64 : TYPE_I32;
}

// `code` stands for an operation of 32 bits.
static void address_op(struct gen *g, u8 type, u32 code)
{
    op(g, type == TYPE_I64 ? code + OP_i64_add - OP_i32_add : code);
}

static void masked_as(struct gen *g, u8 type, u32 mask)
{
    expr(g, type);
    constant(g, type, mask);
    address_op(g, type, OP_i32_and);
}

static void masked(struct gen *g, u32 mask)
{
    masked_as(g, TYPE_I32, mask);
}

// A local that mostly is an address, but for what happens to it on one of the ways to where it is
// used.
static u32 pointer(struct gen *g)
{
    u32 local = g->nlocals + g->ncounters + 3;
    if (one_in(g, 3)) {
        if (risky(g))
            expr(g, TYPE_I64);
        else
            masked_as(g, TYPE_I64, 0x3ff8);
        bool tee = one_in(g, 2);
        op1(g, tee ? OP_local_tee : OP_local_set, local);
        if (tee)
            return 0;
    }
    op1(g, OP_local_get, local);
    if (one_in(g, 2)) { // near it, so that what is known of one says something of the other
        static const u64 far[] = {1,       8,          4096,       65536,         1 << 20,
                                  1048577, 0x7ffeffff, 0x80000000, 0xffffffffull, 1ull << 63};
        bool risk = risky(g);
        constant(g, TYPE_I64, risk ? far[below(g, countof(far))] : below(g, 512));
        op(g, risk && one_in(g, 2) ? OP_i64_sub : OP_i64_add);
        if (one_in(g, 6))
            op1(g, OP_local_tee, local);
    }
    return one_in(g, 2) ? 0 : below(g, 64);
}

// An address, and the offset that goes with it.
static u64 address(struct gen *g, u32 memory, u32 size)
{
    static const u32 offsets[] = {0, 0, 0, 1, 4, 8, 127, 128, 4095, 4096, 32767};
    static const u64 large[] = {65535,      65536,      0x7fffffff,    0x80000000,
                                0xfffffff8, 0xffffffff, 0x10000000,    0x100000000,
                                1ull << 40, 1ull << 63, UINT64_MAX - 7};
    u8 type = address_type(g, memory);
    u32 end = g->pages * 65536; // the second one has as many
    switch (below(g, g->wide && !memory ? 14 : 10)) {
    case 0: // a sum, whose terms may wrap around
        if (one_in(g, 2)) {
            u64 k = one_in(g, 2) ? below(g, 1000) : 0x80000000;
            masked_as(g, type, 0x3fff);
            constant(g, type, k);
            address_op(g, type, OP_i32_add);
            constant(g, type, -k);
        } else {
            masked_as(g, type, 0x3fff);
            masked_as(g, type, 0x3fff);
        }
        address_op(g, type, OP_i32_add);
        return 0;
    case 1: // an element of an array
        masked_as(g, type, 0xfff);
        constant(g, type, below(g, 4));
        address_op(g, type, OP_i32_shl);
        if (one_in(g, 2)) {
            constant(g, type, below(g, 4096));
            address_op(g, type, OP_i32_add);
        }
        return one_in(g, 2) ? 0 : offsets[below(g, countof(offsets))];
    case 2: // the end of memory
        constant(g, type, end - size - (risky(g) ? 0 : below(g, 9)) + (risky(g) ? 1 : 0));
        return 0;
    case 3: { // an address that is split between constant and offset
        u32 at = below(g, end - 8), offset = below(g, at + 1);
        constant(g, type, at - offset);
        return offset;
    }
    case 4:
        if (risky(g)) {
            expr(g, type);
            return one_in(g, 2) ? 0 : large[below(g, type == TYPE_I64 ? countof(large) : 7)];
        }
        break;
    case 10 ... 13: return pointer(g);
    default: break;
    }
    masked_as(g, type, one_in(g, 2) ? 0xff : 0x7ffc);
    return offsets[below(g, countof(offsets))];
}

static void memarg(struct gen *g, u32 align, u32 memory, u64 offset)
{
    if (memory || (g->far && one_in(g, 10)))
        leb(g->code, align | 0x40), leb(g->code, memory);
    else
        leb(g->code, align);
    leb(g->code, offset);
}

static void load(struct gen *g, u8 type)
{
    const struct access *a = access_of(g, loads, countof(loads), type);
    u32 memory = some_memory(g);
    u64 offset = address(g, memory, a->size);
    op(g, a->code);
    memarg(g, one_in(g, 2) ? a->align : 0, memory, offset);
}

static void vector_operation(struct gen *g, const char *result);

static void store(struct gen *g)
{
    if (g->simd && one_in(g, 3)) {
        vector_operation(g, "");
        return;
    }
    u8 type = number(g);
    const struct access *a = access_of(g, stores, countof(stores), type);
    u32 memory = some_memory(g);
    u64 offset = address(g, memory, a->size);
    expr(g, type);
    op(g, a->code);
    memarg(g, one_in(g, 2) ? a->align : 0, memory, offset);
}

// --- SIMD
static const struct vector_row {
    u32 code;
    const char *params, *results;
    const char *imm;
} vector_rows[] = {
#define V(code, id, text, imm, params, results) {code, params, results, #imm},
#include "wasm/ops.def"
};

static u8 type_of_letter(char letter)
{
    return letter == 'i'   ? TYPE_I32
           : letter == 'l' ? TYPE_I64
           : letter == 'f' ? TYPE_F32
           : letter == 'd' ? TYPE_F64
                           : TYPE_V128;
}

static bool makes_nan_lanes(u32 code, bool *wide)
{
    *wide = (code >= OP_f64x2_abs && code <= OP_f64x2_pmax) || code == OP_f64x2_ceil ||
            code == OP_f64x2_floor || code == OP_f64x2_trunc || code == OP_f64x2_nearest ||
            code == OP_f64x2_promote_low_f32x4;
    switch (code) {
    case OP_f32x4_sqrt ... OP_f32x4_max:
    case OP_f32x4_ceil ... OP_f32x4_nearest:
    case OP_f32x4_demote_f64x2_zero:
    case OP_f64x2_sqrt ... OP_f64x2_max: return true;
    default: return *wide && code != OP_f64x2_abs && code != OP_f64x2_neg && code < OP_f64x2_pmin;
    }
}

// Bytes of two vectors: any, or of the kinds that machines have instructions for.
static void shuffle_bytes(struct gen *g)
{
    u32 kind = below(g, 6), size = 1u << below(g, 4), first = below(g, 17), one = one_in(g, 3);
    u8 lanes[16];
    for (u32 i = 0; i < 16; i++)
        lanes[i] = (u8)below(g, one ? 16 : 32);
    for (u32 i = 0; i < 16; i++) {
        u32 lane = i / size, byte_ = lanes[i];
        switch (kind) {
        case 0: byte_ = first + i; break;                                      // a piece of both
        case 1: byte_ = lane / 2 * size + i % size + lane % 2 * 16; break;     // lower halves
        case 2: byte_ = lane / 2 * size + i % size + lane % 2 * 16 + 8; break; // upper ones
        case 3: byte_ = lanes[lane] / size * size + i % size; break;           // whole lanes
        case 4: byte_ = i | (lanes[lane] & 16); break;                         // in place
        default: break;
        }
        byte(g->code, (one_in(g, 200) ? lanes[i] : byte_ ^ (one_in(g, 400) ? 16 : 0)) & 31);
    }
}

// Any row with that result ("" for those that store).
static void vector_operation(struct gen *g, const char *result)
{
    const struct vector_row *r;
    do
        r = &vector_rows[below(g, countof(vector_rows))];
    while (strcmp(r->results, result) || r->code == OP_v128_const ||
           (r->code >> 12 == 0xfd && (g->flags & GENERATE_NANS_CANONICAL))); // others may differ
    const char *imm = r->imm, *last = strrchr(imm, '_');
    u32 k = last && last[1] >= '0' && last[1] <= '9' ? (u32)atoi(last + 1) : 0;
    bool accesses = !strncmp(imm, "MEM", 3);
    u32 memory = accesses && some_memory(g);
    u64 offset = accesses ? address(g, memory, 1u << k) : 0;
    for (const char *p = r->params + accesses; *p; p++) {
        if (p > r->params && one_in(g, 10))
            stmt(g);
        u8 type = type_of_letter(*p);
        if (one_in(g, type == TYPE_I32 ? 2 : 6))
            some_const(g, type);
        else
            expr(g, type);
    }
    op(g, r->code);
    if (accesses) {
        memarg(g, one_in(g, 2) ? k : 0, memory, offset);
        if (!strncmp(imm, "MEMLANE", 7))
            byte(g->code, below(g, 16u >> k));
    } else if (!strncmp(imm, "LANE", 4)) {
        byte(g->code, below(g, k));
    } else if (!strcmp(imm, "SHUFFLE")) {
        shuffle_bytes(g);
    }
    bool lanes_wide;
    if ((g->flags & GENERATE_NANS_CANONICAL) && makes_nan_lanes(r->code, &lanes_wide))
        canonical_lanes(g, lanes_wide);
}

// --- Atomics

// An address and an offset that mostly make a sum that is aligned. Atomics have the first memory,
// if its addresses are of 32 bits.
static u32 aligned_address(struct gen *g, u32 size)
{
    if (risky(g))
        return (u32)address(g, 0, size);
    u32 apart = one_in(g, 3) ? below(g, size) : 0, at = below(g, 64) * size;
    switch (below(g, 4)) {
    case 0: i32_const(g, at + apart); break;
    case 1: i32_const(g, g->pages * 65536 - size - apart); return apart;
    default:
        masked(g, 0x3ff8);
        if (apart) {
            i32_const(g, apart);
            op(g, OP_i32_add);
        }
    }
    return size * below(g, 100) + (apart ? size - apart : 0);
}

static void atomic_memarg(struct gen *g, u32 align, u32 offset)
{
    leb(g->code, align);
    leb(g->code, offset);
}

// Leaves a value of that type, or nothing: TYPE 0.
static void atomic(struct gen *g, u8 type)
{
    const struct atomic *a;
    do
        a = &atomics[below(g, countof(atomics))];
    while (type ? a->kind == ATOMIC_STORE || a->access.type != type : a->kind != ATOMIC_STORE);
    u32 offset = aligned_address(g, a->access.size);
    for (u32 n = a->kind == ATOMIC_CMPXCHG ? 2 : a->kind != ATOMIC_LOAD; n; n--)
        expr(g, a->access.type);
    op(g, a->code);
    atomic_memarg(g, a->access.align, offset);
}

// V8's baseline compiler makes mistakes with waits, so it sees none.
static void wait_or_notify(struct gen *g)
{
    bool wait = one_in(g, 2) && !(g->flags & GENERATE_NANS_CANONICAL), wide = one_in(g, 2);
    if (wait && !g->shared && !risky(g)) { // would trap
        op1(g, OP_atomic_fence, 0);
        return;
    }
    u32 size = wait && wide ? 8 : 4, offset = aligned_address(g, size);
    expr(g, size == 8 ? TYPE_I64 : TYPE_I32);
    if (wait)
        constant(g, TYPE_I64, below(g, 1000));
    op(g, !wait  ? OP_memory_atomic_notify
          : wide ? OP_memory_atomic_wait64
                 : OP_memory_atomic_wait32);
    atomic_memarg(g, size == 8 ? 3 : 2, offset);
    put_away(g, TYPE_I32);
}

// --- Bulk memory, tables, references

static void small_as(struct gen *g, u8 type, u32 n)
{
    if (risky(g))
        expr(g, type);
    else if (one_in(g, 2))
        constant(g, type, below(g, n));
    else
        masked_as(g, type, n - 1);
}

static void small(struct gen *g, u32 n)
{
    small_as(g, TYPE_I32, n);
}

static void bulk(struct gen *g)
{
    u32 segment = below(g, NDATAS), to = some_memory(g), from = some_memory(g);
    u8 type = address_type(g, to), other = address_type(g, from);
    switch (below(g, 4)) {
    case 0:
        small_as(g, type, 0x4000), small_as(g, other, 0x4000);
        small_as(g, type == other ? type : TYPE_I32, 256);
        op2(g, OP_memory_copy, to, from);
        break;
    case 1:
        small_as(g, type, 0x4000), expr(g, TYPE_I32), small_as(g, type, 256);
        op1(g, OP_memory_fill, to);
        break;
    case 2: // segments that were dropped have length 0
        small_as(g, type, 0x4000), small(g, 4), small(g, risky(g) ? 8 : 1);
        op2(g, OP_memory_init, segment, to);
        break;
    default:
        if (one_in(g, 4))
            op1(g, OP_data_drop, segment);
    }
}

// Elements that are called come first; what is written lies behind them.
static void table_index(struct gen *g)
{
    if (risky(g))
        small(g, 32);
    else
        i32_const(g, g->nfuncs + below(g, g->table_size - g->nfuncs));
}

static void table_statement(struct gen *g)
{
    switch (below(g, 6)) {
    case 0:
        table_index(g), expr(g, TYPE_FUNCREF);
        op1(g, OP_table_set, 0);
        break;
    case 1:
        table_index(g), small(g, 4), i32_const(g, below(g, 2));
        op2(g, OP_table_copy, 0, 0);
        break;
    case 2:
        table_index(g), expr(g, TYPE_FUNCREF), i32_const(g, below(g, 2));
        op1(g, OP_table_fill, 0);
        break;
    case 3: {
        u32 segment = below(g, NELEMS);
        table_index(g), i32_const(g, below(g, 2)), i32_const(g, risky(g));
        op2(g, OP_table_init, segment, 0);
        break;
    }
    case 4:
        if (g->ntables > 1) {
            i32_const(g, below(g, 4)), expr(g, TYPE_EXTERNREF);
            op1(g, OP_table_set, 1);
        }
        break;
    default:
        if (one_in(g, 4))
            op1(g, OP_elem_drop, below(g, NELEMS));
    }
}

// --- Objects

static u8 stack_type(u8 field)
{
    return field == TYPE_I8 || field == TYPE_I16 ? TYPE_I32 : field;
}

static void new_default(struct gen *g, u32 k)
{
    if (g->objects[k].array)
        i32_const(g, ARRAY_LEAST + below(g, 8));
    op1(g, g->objects[k].array ? OP_array_new_default : OP_struct_new_default, k);
}

static bool is_subobject(const struct gen *g, u32 k, u32 of)
{
    while (k != of && g->objects[k].super >= 0)
        k = (u32)g->objects[k].super;
    return k == of;
}

static void new_array(struct gen *g, u32 k)
{
    u8 element = stack_type(g->objects[k].fields[0]);
    u32 n = ARRAY_LEAST + below(g, 8);
    if (g->objects[k].fields[0] == TYPE_I8 && one_in(g, 6)) {
        i32_const(g, below(g, 4)), i32_const(g, ARRAY_LEAST);
        op2(g, OP_array_new_data, k, 2); // it may have been dropped
    } else if (one_in(g, 2)) {
        expr(g, element);
        if (one_in(g, 20))
            n = 1 << below(g, 20);
        i32_const(g, n < ARRAY_LEAST ? ARRAY_LEAST : n);
        op1(g, OP_array_new, k);
    } else {
        for (u32 i = 0; i < n; i++)
            (i ? leaf : expr)(g, element);
        op2(g, OP_array_new_fixed, k, n);
    }
}

// A new one of that type or of a subtype.
static void new_object(struct gen *g, u32 k)
{
    for (u32 tries = below(g, 4), sub; tries; tries--)
        k = is_subobject(g, sub = below(g, g->nobjects), k) ? sub : k;
    const struct object *o = &g->objects[k];
    if (one_in(g, 3) || g->budget <= 0) {
        new_default(g, k);
    } else if (o->array) {
        new_array(g, k);
    } else {
        for (u32 i = 0; i < o->n; i++)
            (one_in(g, 2) ? leaf : expr)(g, stack_type(o->fields[i]));
        op1(g, OP_struct_new, k);
    }
}

// One that is not null, mostly.
static void object_there(struct gen *g, u8 type)
{
    expr(g, type);
    if (risky(g))
        return;
    struct types one = {1, {type}};
    op(g, OP_block);
    sleb(g->code, g->nobjects + index_of_type(g, &one, &one));
    op1(g, OP_br_on_non_null, 0);
    if (type & REF) {
        new_default(g, type & ~REF);
    } else {
        some_const(g, TYPE_I32);
        op(g, OP_ref_i31);
    }
    op(g, OP_end);
}

static void array_index(struct gen *g)
{
    if (risky(g)) {
        expr(g, TYPE_I32);
    } else if (one_in(g, 2)) {
        i32_const(g, below(g, ARRAY_LEAST));
    } else {
        expr(g, TYPE_I32);
        i32_const(g, ARRAY_LEAST - 1);
        op(g, OP_i32_and);
    }
}

// Reads a field or element that has that type on the stack; false: there is none.
static bool field_read(struct gen *g, u8 type)
{
    for (u32 tries = 8; tries; tries--) {
        u32 k = below(g, g->nobjects);
        const struct object *o = &g->objects[k];
        u32 field = o->n ? below(g, o->n) : 0, sign = 1 + below(g, 2);
        if (!o->n || stack_type(o->fields[field]) != type)
            continue;
        bool packed = o->fields[field] != type;
        object_there(g, (u8)(REF | k));
        if (o->array) {
            array_index(g);
            op1(g, OP_array_get + (packed ? sign : 0), k);
        } else {
            op2(g, OP_struct_get + (packed ? sign : 0), k, field);
        }
        return true;
    }
    return false;
}

static void object_statement(struct gen *g)
{
    u32 k = below(g, g->nobjects);
    const struct object *o = &g->objects[k];
    u32 field = o->n ? below(g, o->n) : 0;
    if (!o->n || o->constant[field])
        return;
    u8 type = stack_type(o->fields[field]);
    object_there(g, (u8)(REF | k));
    if (!o->array) {
        expr(g, type);
        op2(g, OP_struct_set, k, field);
        return;
    }
    switch (below(g, 4)) {
    case 0:
        i32_const(g, below(g, 4)), expr(g, type), i32_const(g, below(g, 5));
        op1(g, OP_array_fill, k);
        break;
    case 1:
        i32_const(g, below(g, 4)), object_there(g, (u8)(REF | k));
        i32_const(g, below(g, 4)), i32_const(g, below(g, 5));
        op2(g, OP_array_copy, k, k);
        break;
    case 2:
        if (is_number(type)) {
            i32_const(g, below(g, 4)), i32_const(g, below(g, 3)), i32_const(g, risky(g));
            op2(g, OP_array_init_data, k, 2);
            break;
        }
        // fallthrough
    default:
        array_index(g), expr(g, type);
        op1(g, OP_array_set, k);
        break;
    }
}

// One of a wider type, if it is one, or another one.
static void cast(struct gen *g, u8 type)
{
    u8 from = one_in(g, 2) ? TYPE_ANYREF : TYPE_EQREF;
    if (type == TYPE_ANYREF || type == from)
        from = TYPE_ANYREF;
    struct types to = {1, {type}}, any = {1, {from}};
    bool null = one_in(g, 2);
    if (risky(g)) {
        expr(g, from);
        op(g, null ? OP_ref_cast_null : OP_ref_cast);
        heap_type(g->code, type);
        return;
    }
    bool fails = one_in(g, 2);
    block_open(g, OP_block, &none, &to);
    if (fails)
        block_open(g, OP_block, &none, &any);
    expr(g, from);
    op(g, fails ? OP_br_on_cast_fail : OP_br_on_cast);
    byte(g->code, 1 | (null ? 2 : 0)), leb(g->code, 0);
    heap_type(g->code, from), heap_type(g->code, type);
    if (fails) {
        op1(g, OP_br, 1);
        block_close(g);
    }
    op(g, OP_drop);
    some_const(g, type);
    block_close(g);
}

static void object(struct gen *g, u8 type)
{
    u32 local = local_of(g, type), global = global_of(g, type, false);
    switch (g->budget <= 0 ? 0 : below(g, 9)) {
    case 0:
        if (local != UINT32_MAX)
            op1(g, OP_local_get, local);
        else
            some_const(g, type);
        break;
    case 1:
        if (global != UINT32_MAX)
            op1(g, OP_global_get, global);
        else
            some_const(g, type);
        break;
    case 2: cast(g, type); break;
    case 3:
    case 4:
        if (!field_read(g, type))
            some_const(g, type);
        break;
    case 5:
        if (type == TYPE_ANYREF) {
            expr(g, TYPE_EXTERNREF);
            op(g, OP_any_convert_extern);
            break;
        }
        // fallthrough
    default:
        if (type & REF) {
            new_object(g, type & ~REF);
        } else if (type != TYPE_I31REF && !one_in(g, 3)) {
            new_object(g, below(g, g->nobjects));
        } else {
            expr(g, TYPE_I32);
            op(g, OP_ref_i31);
        }
    }
}

// What is told of objects.
static void object_number(struct gen *g, u8 type)
{
    if (type != TYPE_I32 || one_in(g, 2)) {
        if (!field_read(g, type))
            leaf(g, type);
        return;
    }
    u32 k = below(g, g->nobjects);
    switch (below(g, 4)) {
    case 0:
        expr(g, TYPE_ANYREF);
        op(g, one_in(g, 2) ? OP_ref_test : OP_ref_test_null);
        heap_type(g->code, object_type(g));
        break;
    case 1:
        expr(g, TYPE_EQREF), expr(g, TYPE_EQREF);
        op(g, OP_ref_eq);
        break;
    case 2:
        object_there(g, TYPE_I31REF);
        op(g, one_in(g, 2) ? OP_i31_get_s : OP_i31_get_u);
        break;
    default:
        if (g->objects[k].array) {
            object_there(g, (u8)(REF | k));
            op(g, OP_array_len);
        } else {
            expr(g, (u8)(REF | k));
            op(g, OP_ref_is_null);
        }
    }
}

static void reference(struct gen *g, u8 type)
{
    bool func = type == TYPE_FUNCREF;
    u32 own = local_of(g, type);
    if (is_typed_function(g, type)) {
        if (own != UINT32_MAX && one_in(g, 2))
            op1(g, OP_local_get, own);
        else
            some_function(g, type);
        return;
    }
    if (func && g->typed && one_in(g, 4)) {
        expr(g, typed_function(g));
        return;
    }
    if (type != TYPE_FUNCREF && type != TYPE_EXTERNREF && type != TYPE_EXNREF) {
        object(g, type);
        return;
    }
    if (g->nobjects && type == TYPE_EXTERNREF && g->budget > 0 && one_in(g, 2)) {
        expr(g, TYPE_ANYREF);
        op(g, OP_extern_convert_any);
        return;
    }
    switch (below(g, 4)) {
    case 0:
        op(g, OP_ref_null);
        byte(g->code, type);
        break;
    case 1:
        if (func || (g->ntables > 1 && type == TYPE_EXTERNREF)) {
            small(g, 4);
            op1(g, OP_table_get, func ? 0 : 1);
            break;
        }
        // fallthrough
    default: {
        u32 local = local_of(g, type);
        if (local != UINT32_MAX && one_in(g, 2)) {
            op1(g, OP_local_get, local);
        } else if (func) {
            op1(g, OP_ref_func, below(g, g->nfuncs));
        } else {
            op(g, OP_ref_null);
            byte(g->code, type);
        }
    }
    }
}

// --- Expressions

static void leaf(struct gen *g, u8 type)
{
    u32 local = local_of(g, type);
    if (!is_number(type)) {
        reference(g, type);
    } else if (local != UINT32_MAX && !one_in(g, 3)) {
        op1(g, OP_local_get, local);
    } else if (one_in(g, 5)) {
        u32 global = global_of(g, type, false);
        if (global != UINT32_MAX)
            op1(g, OP_global_get, global);
        else
            some_const(g, type);
    } else {
        some_const(g, type);
    }
}

// A divisor: mostly not 0.
static void divisor(struct gen *g, u8 type)
{
    if (one_in(g, 2)) {
        u64 bits;
        do
            bits = some_bits(g, type);
        while (!(type == TYPE_I32 ? (u32)bits : bits) && !risky(g));
        constant(g, type, bits);
        return;
    }
    expr(g, type);
    if (risky(g))
        return;
    constant(g, type, 1);
    op(g, type == TYPE_I32 ? OP_i32_or : OP_i64_or);
}

static void operation(struct gen *g, u8 type)
{
    if (g->simd && one_in(g, 4)) {
        vector_operation(g, type == TYPE_I32   ? "i"
                            : type == TYPE_I64 ? "l"
                            : type == TYPE_F32 ? "f"
                                               : "d");
        return;
    }
    const struct operation *o = operation_with(g, type);
    while (o->traps && is_float(o->a) && !one_in(g, 12)) // conversions; the saturating ones do
        o = operation_with(g, type);
    expr(g, o->a);
    if (o->b && one_in(g, 8))
        stmt(g); // may change what the first operand was read from
    if (o->b && o->traps)
        divisor(g, o->b);
    else if (o->b && one_in(g, 4))
        some_const(g, o->b);
    else if (o->b)
        expr(g, o->b);
    operate(g, o);
}

// Many values at once, then an operation for each two: more than there are registers.
static void wide(struct gen *g, u8 type)
{
    static const u8 fold[] = {OP_i32_add, OP_i32_sub, OP_i32_xor, OP_i32_mul,
                              OP_i64_add, OP_i64_sub, OP_i64_xor, OP_i64_mul,
                              OP_f32_add, OP_f32_sub, OP_f32_mul, OP_f32_copysign,
                              OP_f64_add, OP_f64_sub, OP_f64_mul, OP_f64_copysign};
    u32 n = 3 + below(g, 20), row = 0;
    while (numbers[row] != type)
        row++;
    for (u32 i = 0; i < n; i++)
        (one_in(g, 3) ? expr : leaf)(g, type);
    while (n > 1) {
        if (g->beyond && type == TYPE_I64 && n > 3 && one_in(g, 3)) {
            op(g, one_in(g, 2) ? OP_i64_add128 : OP_i64_sub128);
            n -= 2;
        } else if (g->beyond && type == TYPE_I64 && one_in(g, 6)) {
            op(g, one_in(g, 2) ? OP_i64_mul_wide_s : OP_i64_mul_wide_u);
        } else {
            u32 code = fold[row * 4 + below(g, 4)];
            operate(g, &(struct operation){(u16)code, type, type, type, false});
            n--;
        }
    }
}

static void tee(struct gen *g, u8 type)
{
    u32 local = local_of(g, type);
    expr(g, type);
    for (u32 n = one_in(g, 4) ? 3 : 1; n && local != UINT32_MAX; n--) {
        op1(g, OP_local_tee, local);
        local = local_of(g, type);
    }
}

static void select_one(struct gen *g, u8 type)
{
    expr(g, type);
    expr(g, type);
    expr(g, TYPE_I32);
    if (is_number(type) && !one_in(g, 4)) {
        op(g, OP_select);
    } else {
        op1(g, OP_select_t, 1);
        value_type(g->code, type);
    }
}

// The first result of a call; the others are put away.
static void call_for(struct gen *g, u8 type)
{
    u32 start = below(g, g->nfuncs);
    for (u32 i = 0; i < g->nfuncs; i++) {
        u32 func = (start + i) % g->nfuncs;
        const struct signature *s = type_of(g, func);
        if (!s->results.n || s->results.at[0] != type || !call(g, func))
            continue;
        for (u32 k = s->results.n; --k;)
            put_away(g, s->results.at[k]);
        return;
    }
    leaf(g, type);
}

static void block_for(struct gen *g, u8 type)
{
    struct types results = {1, {type}};
    if (!may_open(g)) {
        leaf(g, type);
        return;
    }
    switch (below(g, 4)) {
    case 0: block(g, &results); break;
    case 1: if_else(g, &results); break;
    case 2: try(g, &results); break;
    default: loop(g, &results);
    }
}

static void state(struct gen *g)
{
    u32 memory = some_memory(g);
    u8 type = address_type(g, memory);
    switch (below(g, 5)) {
    case 0:
        op1(g, OP_memory_size, memory);
        if (type == TYPE_I64)
            op(g, OP_i32_wrap_i64);
        break;
    case 1:
        constant(g, type, below(g, 3));
        op1(g, OP_memory_grow, memory);
        if (type == TYPE_I64)
            op(g, OP_i32_wrap_i64);
        break;
    case 2: op1(g, OP_table_size, 0); break;
    case 3:
        expr(g, TYPE_FUNCREF);
        i32_const(g, below(g, 2));
        op1(g, OP_table_grow, 0);
        break;
    default: expr(g, one_in(g, 3) ? TYPE_EXTERNREF : TYPE_FUNCREF); op(g, OP_ref_is_null);
    }
}

// local.get x; ...; local.set x; use of both.
static void old_and_new(struct gen *g, u8 type)
{
    u32 local = local_of(g, type);
    if (local == UINT32_MAX || !is_number(type)) {
        leaf(g, type);
        return;
    }
    op1(g, OP_local_get, local);
    expr(g, type);
    op1(g, OP_local_set, local);
    if (one_in(g, 2))
        stmt(g);
    op1(g, OP_local_get, local);
    if (type == TYPE_V128) {
        op(g, one_in(g, 2) ? OP_i8x16_sub : OP_i16x8_lt_u);
        return;
    }
    u32 code = type == TYPE_I32   ? OP_i32_sub
               : type == TYPE_I64 ? OP_i64_sub
               : type == TYPE_F32 ? OP_f32_sub
                                  : OP_f64_sub;
    operate(g, &(struct operation){(u16)code, type, type, type, false});
}

// --- What is known of values, and for how long

// A number of 32 bits that is in a register, in the frame or in memory, or a constant.
static void simple(struct gen *g)
{
    u32 local = local_of(g, TYPE_I32);
    switch (below(g, 5)) {
    case 0: some_const(g, TYPE_I32); break;
    case 1:
        if (!g->wide) {
            if (local != UINT32_MAX && one_in(g, 2)) {
                op1(g, OP_local_get, local);
                i32_const(g, 0x3ffc);
                op(g, OP_i32_and);
            } else {
                i32_const(g, 4 * below(g, 64));
            }
            op(g, OP_i32_load);
            memarg(g, 0, 0, 0);
            break;
        }
        // fallthrough
    default:
        if (local != UINT32_MAX)
            op1(g, OP_local_get, local);
        else
            some_const(g, TYPE_I32);
    }
}

static void simple_operation(struct gen *g)
{
    static const u8 codes[] = {OP_i32_and, OP_i32_and, OP_i32_xor, OP_i32_or,   OP_i32_add,
                               OP_i32_sub, OP_i32_mul, OP_i32_shl, OP_i32_shr_u};
    simple(g), simple(g);
    op(g, codes[below(g, countof(codes))]);
}

// A condition, in as few instructions as there may be.
static void simple_condition(struct gen *g)
{
    static const u8 codes[] = {OP_i32_eq,   OP_i32_ne,   OP_i32_lt_s,
                               OP_i32_lt_u, OP_i32_ge_s, OP_i32_gt_u};
    if (one_in(g, 3))
        simple(g);
    else
        simple_operation(g);
    if (one_in(g, 4))
        simple(g), op(g, codes[below(g, countof(codes))]);
    else if (one_in(g, 2))
        op(g, OP_i32_eqz);
}

static void set_or_drop(struct gen *g, u32 local)
{
    if (local == UINT32_MAX)
        op(g, OP_drop);
    else
        op1(g, OP_local_set, local);
}

static void from_memory(struct gen *g)
{
    constant(g, address_type(g, 0), 4 * below(g, 64));
    op(g, OP_i32_load);
    memarg(g, 0, 0, 0);
}

static void simple_or(struct gen *g, u32 local)
{
    if (local != UINT32_MAX && one_in(g, 2))
        op1(g, OP_local_get, local);
    else
        simple(g);
}

// Something that sets the flags, or takes the register that they were of, as little as it can be.
static void disturb(struct gen *g, u32 looked_at)
{
    u32 local = one_in(g, 4) ? UINT32_MAX : local_of(g, TYPE_I32);
    switch (below(g, 7)) {
    case 0: simple_operation(g), op(g, OP_drop); break;
    case 1: simple_operation(g), set_or_drop(g, local); break;
    case 2:
    case 3:
        simple_or(g, looked_at), simple_or(g, looked_at);
        if (one_in(g, 2)) {
            from_memory(g);
            if (one_in(g, 2))
                i32_const(g, below(g, 8)), op(g, OP_i32_and);
            else
                op(g, OP_i32_eqz);
        } else {
            simple_condition(g);
        }
        op(g, OP_select);
        set_or_drop(g, local);
        break;
    case 4:
        simple_or(g, looked_at), from_memory(g);
        op(g, OP_i32_mul);
        set_or_drop(g, local);
        break;
    case 5: simple_condition(g), set_or_drop(g, local); break;
    default: simple(g), set_or_drop(g, local); break;
    }
}

// A condition that waits on the stack, or in a local, while others are looked at and locals change.
static void flags_live_on(struct gen *g)
{
    u32 local = local_of(g, TYPE_I32), depth;
    bool waits = one_in(g, 2);
    if (waits && one_in(g, 3) && local != UINT32_MAX)
        op1(g, OP_local_get, local);
    else if (waits)
        (one_in(g, 2) ? simple_operation : simple_condition)(g);
    for (u32 n = below(g, 4); n; n--)
        disturb(g, local);
    if (!waits && local != UINT32_MAX)
        op1(g, OP_local_get, local);
    else if (!waits)
        simple_condition(g);
    if (one_in(g, 4))
        op(g, OP_i32_eqz);
    switch (below(g, 4)) {
    case 0:
        depth = pick_label(g);
        if (depth != UINT32_MAX && !label_types(g, depth)->n) {
            op1(g, OP_br_if, depth);
            break;
        }
        // fallthrough
    case 1:
    case 2: {
        struct types one = {1, {TYPE_I32}};
        block_open(g, OP_if, &none, &one);
        simple(g);
        op(g, OP_else);
        simple_operation(g);
        block_close(g);
        put_away(g, TYPE_I32);
        break;
    }
    default:
        put_away(g, TYPE_I32);
        if (local != UINT32_MAX) {
            op1(g, OP_local_get, local);
            op(g, OP_i32_eqz);
            put_away(g, TYPE_I32);
        }
    }
}

// Of which all bits but some are zeros, as code would know it.
static void few_bits(struct gen *g, u32 bits)
{
    u32 mask = (1u << bits) - 1;
    switch (below(g, 4)) {
    case 0: i32_const(g, (u32)draw64(g) & mask); break;
    case 1: simple(g), i32_const(g, 32 - bits), op(g, OP_i32_shr_u); break;
    case 2: simple_condition(g), op(g, OP_i32_eqz); break;
    default: simple(g), i32_const(g, mask), op(g, OP_i32_and); break;
    }
}

// Takes a value, and does what is less work if it has so few bits; mostly it becomes an address,
// and those beyond are shifted out.
static void tell_bits(struct gen *g, u32 bits, u32 shift)
{
    switch (below(g, 6)) {
    case 0: i32_const(g, (1u << bits) - 1), op(g, OP_i32_and); break;
    case 1:
        op(g, one_in(g, 2) ? OP_i64_extend_i32_s : OP_i64_extend_i32_u);
        put_away(g, TYPE_I64);
        return;
    case 2: i32_const(g, 1u << bits), op(g, one_in(g, 2) ? OP_i32_lt_u : OP_i32_lt_s); break;
    default:
        i32_const(g, shift), op(g, OP_i32_shl);
        if (one_in(g, 3))
            i32_const(g, below(g, 64)), op(g, OP_i32_add);
        if (g->wide)
            break;
        op(g, one_in(g, 2) ? OP_i32_load : OP_i32_load8_u);
        memarg(g, 0, 0, below(g, 64));
    }
    put_away(g, TYPE_I32);
}

// A loop whose parameter has few bits at first, and others later, from one place or two.
static void bits_of_parameters(struct gen *g)
{
    u32 rounds = counter(g), bits = 1 + below(g, 7), shift = 1 + below(g, 8),
        edges = 1 + below(g, 2);
    struct types params = {1, {TYPE_I32}};
    u8 other = one_in(g, 3) ? number(g) : 0;
    if (rounds == UINT32_MAX || !may_open(g))
        return;
    if (other)
        types_push(&params, other);
    i32_const(g, 2 + below(g, 3)), op1(g, OP_local_set, rounds);
    few_bits(g, bits);
    if (other)
        expr(g, other);
    block_open(g, OP_loop, &params, &none);
    for (u32 n = 0; n <= edges; n++) {
        if (other)
            put_away(g, other);
        if (one_in(g, 4))
            disturb(g, UINT32_MAX);
        tell_bits(g, bits, shift);
        if (n == edges)
            break;
        few_bits(g, bits);
        if (!one_in(g, 4))
            i32_const(g, UINT32_MAX << (32 - shift)), op(g, OP_i32_or);
        if (other)
            leaf(g, other);
        count_down(g, rounds);
        i32_const(g, 0), op(g, OP_i32_gt_s);
        op1(g, OP_br_if, 0);
    }
    block_close(g);
}

static void wide_vectors(struct gen *g)
{
    static const u16 fold[] = {OP_i32x4_add,     OP_i8x16_sub, OP_v128_xor,   OP_v128_andnot,
                               OP_i8x16_swizzle, OP_i64x2_mul, OP_i16x8_le_u, OP_f32x4_pmin};
    u32 n = 3 + below(g, 18);
    for (u32 i = 0; i < n; i++)
        (one_in(g, 3) ? expr : leaf)(g, TYPE_V128);
    while (--n)
        op(g, fold[below(g, countof(fold))]);
}

static void expr_vector(struct gen *g)
{
    static const u8 weights[] = {15, 6, 55, 3, 5, 4, 5, 5};
    if (g->nobjects && one_in(g, 8) && field_read(g, TYPE_V128))
        return;
    switch (weighted(g, weights, countof(weights))) {
    case 0: leaf(g, TYPE_V128); break;
    case 1: tee(g, TYPE_V128); break;
    case 2: vector_operation(g, "v"); break;
    case 3: wide_vectors(g); break;
    case 4: select_one(g, TYPE_V128); break;
    case 5: call_for(g, TYPE_V128); break;
    case 6: block_for(g, TYPE_V128); break;
    default: old_and_new(g, TYPE_V128); break;
    }
}

static void expr_number(struct gen *g, u8 type)
{
    static const u8 weights[] = {22, 6, 36, 4, 5, 4, 5, 6, 8, 3};
    if (g->nobjects && one_in(g, 5)) {
        object_number(g, type);
        return;
    }
    switch (weighted(g, weights, countof(weights))) {
    case 0: leaf(g, type); break;
    case 1: tee(g, type); break;
    case 2: operation(g, type); break;
    case 3: wide(g, type); break;
    case 4: select_one(g, type); break;
    case 5: call_for(g, type); break;
    case 6: block_for(g, type); break;
    case 7: old_and_new(g, type); break;
    case 8:
        if (!g->wide && !is_float(type) && one_in(g, 4))
            atomic(g, type);
        else
            load(g, type);
        break;
    default:
        if (type == TYPE_I32)
            state(g);
        else
            leaf(g, type);
    }
}

static void expr(struct gen *g, u8 type)
{
    if (g->budget <= 0 || g->depth >= g->max_depth) {
        leaf(g, type);
        return;
    }
    g->depth++;
    if (type == TYPE_V128)
        expr_vector(g);
    else if (is_number(type))
        expr_number(g, type);
    else if (one_in(g, 6))
        block_for(g, type);
    else if (one_in(g, 6))
        select_one(g, type);
    else
        reference(g, type);
    g->depth--;
}

// --- Statements

static void call_statement(struct gen *g)
{
    u32 func = below(g, g->nfuncs);
    if (call(g, func))
        settle(g, &type_of(g, func)->results, &none);
}

static void set_statement(struct gen *g)
{
    u8 type = any_type(g);
    expr(g, type);
    put_away(g, type);
}

static void block_statement(struct gen *g)
{
    struct types results = one_in(g, 3) ? some_types(g, 1 + below(g, 4), true) : none;
    static const u8 weights[] = {3, 4, 4, 4, 2};
    if (!may_open(g))
        return;
    switch (weighted(g, weights, countof(weights))) {
    case 0: block(g, &results); break;
    case 1: if_else(g, &results); break;
    case 2: loop(g, &results); break;
    case 3: try(g, &results); break;
    default: nest(g); return;
    }
    settle(g, &results, &none);
}

static void stmt(struct gen *g)
{
    static const u8 weights[] = {30, 10, 7, 18, 8, 5, 3, 3, 2, 5, 1, 8, 4};
    if (g->budget <= 0)
        return;
    g->depth++;
    if (g->nobjects && one_in(g, 6)) {
        object_statement(g);
        g->depth--;
        return;
    }
    switch (weighted(g, weights, countof(weights))) {
    case 0: set_statement(g); break;
    case 1:
        if (!g->wide && one_in(g, 6))
            atomic(g, 0);
        else
            store(g);
        break;
    case 2: call_statement(g); break;
    case 3: block_statement(g); break;
    case 4: branch_if(g); break;
    case 5: branch_in_if(g); break;
    case 6: branch_table(g); break;
    case 7: bulk(g); break;
    case 8: table_statement(g); break;
    case 9:
        if (g->form != FORM_NONE)
            throw_in_if(g);
        break;
    case 11: flags_live_on(g); break;
    case 12: bits_of_parameters(g); break;
    default:
        if (!g->wide && one_in(g, 2))
            wait_or_notify(g);
        else
            op(g, OP_nop);
    }
    g->depth--;
}

// --- From one operand stack to another

// One step on a stack that is not empty.
static void settle_step(struct gen *g, struct types *have)
{
    u8 top = have->at[have->n - 1];
    bool pair = have->n > 1 && have->at[have->n - 2] == top && is_number(top) && top != TYPE_V128;
    u32 local = local_of(g, top);
    switch (below(g, 6)) {
    case 0:
        if (!pair)
            break;
        for (;;) {
            const struct operation *o = &operations[below(g, countof(operations))];
            if (o->b != top || o->traps)
                continue;
            operate(g, o);
            have->n--;
            have->at[have->n - 1] = o->result;
            return;
        }
    case 1:
        if (!pair)
            break;
        expr(g, TYPE_I32);
        op(g, OP_select);
        have->n--;
        return;
    case 2:
        if (local == UINT32_MAX)
            break;
        op1(g, OP_local_tee, local);
        return;
    case 3:
        if (have->n >= MAX_ARITY || g->budget <= 0)
            break;
        top = any_type(g);
        expr(g, top);
        types_push(have, top);
        return;
    case 4: stmt(g); return;
    default: break;
    }
    put_away(g, top);
    have->n--;
}

static void settle(struct gen *g, const struct types *have, const struct types *want)
{
    struct types now = *have;
    u32 steps = 2 + below(g, 6);
    while (g->budget > 0 && steps--)
        stmt(g);
    while (now.n && !(types_equal(&now, want) && one_in(g, 2)))
        settle_step(g, &now);
    if (!now.n)
        values(g, want);
}

// --- Functions

// Groups of locals of one type; the same type may come twice.
static void declare_locals(struct gen *g, struct bytes *b)
{
    u32 nparams = type_of(g, (u32)(g->f - g->funcs))->params.n,
        total = g->nlocals + g->ncounters + (g->wide ? 4 : 2 + g->simd);
    struct bytes groups = {0};
    u32 n = 0;
    for (u32 i = nparams; i < total; n++) {
        u32 start = i;
        while (i < total && g->locals[i] == g->locals[start])
            i++;
        leb(&groups, i - start);
        value_type(&groups, g->locals[start]);
    }
    leb(b, n);
    bytes(b, groups.at, groups.count);
    vec_free(&groups);
}

static void choose_locals(struct gen *g, bool crowded)
{
    const struct types *params = &g->types[g->f->type].params;
    static const u16 sizes[] = {0, 3, 8, 14, 40, 200};
    static const u8 weights[] = {2, 10, 12, 8, 5, 1};
    u32 declared = below(g, sizes[weighted(g, weights, countof(sizes))] + 1u);
    if (one_in(g, 300))
        declared = 5000; // a frame that is larger than the guard below the stack
    memcpy(g->locals, params->at, params->n);
    u8 only = crowded || one_in(g, 4) ? g->simd && one_in(g, 3) ? TYPE_V128 : number(g) : 0;
    if (crowded)
        declared = 8 + below(g, 20);
    g->nlocals = params->n + declared;
    for (u32 i = params->n; i < g->nlocals; i++)
        g->locals[i] = only ? only : any_type(g);
    g->ncounters = 1 + below(g, 5);
    g->counters_used = 0;
    memset(g->locals + g->nlocals, TYPE_I32, g->ncounters);
    g->locals[g->nlocals + g->ncounters] = TYPE_F32;
    g->locals[g->nlocals + g->ncounters + 1] = TYPE_F64;
    g->locals[g->nlocals + g->ncounters + 2] = TYPE_V128;
    g->locals[g->nlocals + g->ncounters + 3] = TYPE_I64;
}

static void write_function(struct gen *g, struct function *f)
{
    static const u16 budgets[] = {15, 60, 150, 400};
    const struct types *results = &g->types[f->type].results;
    struct bytes code = {0};
    g->f = f;
    g->code = &code;
    g->depth = 0;
    g->nlabels = 0;
    g->budget = budgets[below(g, countof(budgets))];
    g->max_depth = one_in(g, 3) ? 14 : 5;
    g->trips = 1;
    g->max_trips = f->leaf ? 12 : 36;
    bool crowded = one_in(g, 4); // more locals at work than there are registers
    choose_locals(g, crowded);
    g->nhot = crowded ? HOT : 4;
    choose_hot(g);
    if (crowded)
        g->budget += 400;
    label_push(g, results, true);
    if (!f->leaf)
        spend(g);
    body(g, &none, results);
    op(g, OP_end);
    declare_locals(g, &f->code);
    bytes(&f->code, code.at, code.count);
    vec_free(&code);
}

// --- The module

static void add_function(struct gen *g, const struct types *params, const struct types *results,
                         bool exported)
{
    struct function *f = &g->funcs[g->nfuncs++];
    f->type = index_of_type(g, params, results);
    f->exported = exported;
    f->leaf = one_in(g, 3);
}

enum { I = TYPE_I32, L = TYPE_I64, F = TYPE_F32, D = TYPE_F64 };

// Functions of another instance, which is generated, too.
static const struct signature peers[] = {{{9, {I, L, F, D, I, I, I, I, L}}, {1, {L}}},
                                         {{2, {D, I}}, {3, {I, D, L}}}};

static void choose_imports(struct gen *g)
{
    static const struct signature host[NHOST] = {
        {{2, {I, L}}, {1, {L}}},
        {{16, {I, D, L, F, I, D, L, F, I, L, F, D, I, L, I, F}}, {1, {D}}},
        {{2, {I, D}}, {4, {D, L, F, I}}}};
    for (u32 i = 0; i < NHOST; i++)
        add_function(g, &host[i].params, &host[i].results, false);
    for (u32 i = 0; i < countof(peers) && !(g->flags & GENERATE_PEER); i++)
        add_function(g, &peers[i].params, &peers[i].results, false);
    static const struct signature spawn = {{1, {I}}, {1, {I}}};
    if (g->threads)
        add_function(g, &spawn.params, &spawn.results, false);
    g->nimported = g->nfuncs;
    static const struct variable imported[] = {{I, true}, {D, true}, {L, false}, {F, false}};
    memcpy(g->globals, imported, sizeof imported);
    g->nglobals = countof(imported);
}

// The first ones are those of the peer.
static void choose_tags(struct gen *g)
{
    static const struct types theirs[NPEER_TAGS] = {{1, {I}}, {3, {D, L, I}}};
    if (g->form == FORM_NONE)
        return;
    memcpy(g->tags, theirs, sizeof theirs);
    g->ntags = NPEER_TAGS;
    g->nimported_tags = g->flags & GENERATE_PEER ? 0 : NPEER_TAGS;
    for (u32 n = below(g, MAX_TAGS_USED - NPEER_TAGS + 1); n; n--)
        g->tags[g->ntags++] = some_types(g, one_in(g, 6) ? 12 : below(g, 4), true);
    for (u32 i = 0; i < g->ntags; i++)
        index_of_type(g, &g->tags[i], &none);
}

static u8 field_of(struct gen *g)
{
    static const u8 packed[] = {TYPE_I8, TYPE_I16};
    if (one_in(g, 4))
        return packed[below(g, 2)];
    return any_type(g);
}

static void choose_object(struct gen *g, struct object *o, u32 before)
{
    *o = (struct object){.super = -1, .open = !one_in(g, 3)};
    u32 above = below(g, before + 1);
    o->array = one_in(g, 3);
    if (above < before && g->objects[above].open) { // with all that it has, and more
        bool open = o->open;
        *o = g->objects[above];
        o->super = (s8)above;
        o->open = open;
    } else {
        o->n = 0;
    }
    u32 n = o->array ? 1 : o->n + below(g, MAX_FIELDS_USED - o->n + 1u);
    for (; o->n < n; o->n++) {
        o->fields[o->n] = field_of(g);
        o->constant[o->n] = one_in(g, 6);
    }
}

static void choose_objects(struct gen *g)
{
    if (g->flags & (GENERATE_PEER | GENERATE_OLD) || !one_in(g, 2))
        return;
    g->nobjects = 2 + below(g, MAX_OBJECTS - 1);
    for (u32 i = 0; i < g->nobjects; i++)
        choose_object(g, &g->objects[i], i);
}

static void choose_functions(struct gen *g)
{
    for (u32 i = 0; i < countof(peers) && (g->flags & GENERATE_PEER); i++)
        add_function(g, &peers[i].params, &peers[i].results, true);
    for (u32 n = 2 + below(g, 5); n; n--) {
        bool exported = !one_in(g, 4) || n == 1;
        u32 nparams = one_in(g, 5) ? 7 + below(g, 13) : below(g, 5);
        u32 nresults = one_in(g, 3) ? below(g, 5) : 1;
        if (one_in(g, 20))
            nresults = 10;
        struct types params = some_types(g, nparams, !exported);
        struct types results = some_types(g, nresults, !exported);
        add_function(g, &params, &results, exported);
    }
}

static void choose_globals(struct gen *g)
{
    g->fuel = g->nglobals;
    g->globals[g->nglobals++] = (struct variable){TYPE_I32, true};
    for (u32 n = below(g, 6); n; n--) {
        u8 type = g->simd && one_in(g, 4) ? TYPE_V128 : number(g);
        if (g->nobjects && one_in(g, 3))
            type = object_type(g);
        g->globals[g->nglobals++] = (struct variable){type, !one_in(g, 4)};
    }
}

static void section(struct bytes *out, u32 id, struct bytes *content)
{
    byte(out, id);
    leb(out, content->count);
    bytes(out, content->at, content->count);
    content->count = 0;
}

static void write_values(struct bytes *s, const struct types *t)
{
    leb(s, t->n);
    for (u32 i = 0; i < t->n; i++)
        value_type(s, t->at[i]);
}

static void write_object(const struct object *o, struct bytes *s)
{
    byte(s, o->open ? 0x50 : 0x4f);
    byte(s, o->super >= 0);
    if (o->super >= 0)
        byte(s, (u8)o->super);
    byte(s, o->array ? 0x5e : 0x5f);
    if (!o->array)
        leb(s, o->n);
    for (u32 i = 0; i < o->n; i++)
        value_type(s, o->fields[i]), byte(s, !o->constant[i]);
}

static void write_types(struct gen *g, struct bytes *s)
{
    leb(s, g->ntypes + (g->nobjects > 0));
    if (g->nobjects) {
        byte(s, 0x4e), leb(s, g->nobjects);
        for (u32 i = 0; i < g->nobjects; i++)
            write_object(&g->objects[i], s);
    }
    for (u32 i = 0; i < g->ntypes; i++) {
        byte(s, 0x60);
        write_values(s, &g->types[i].params);
        write_values(s, &g->types[i].results);
    }
}

static void write_imports(struct gen *g, struct bytes *s)
{
    static const char *const funcs[] = {"note", "wide", "many", "p0", "p1"};
    static const char *const globals[] = {"gi", "gd", "gl", "gf"};
    leb(s, g->nimported + countof(globals) + g->nimported_tags);
    for (u32 i = 0; i < g->nimported; i++) {
        bool spawn = g->threads && i == g->nimported - 1;
        text(s, i < NHOST || spawn ? "env" : "peer");
        text(s, spawn ? "thread_spawn" : funcs[i]), byte(s, 0);
        leb(s, g->nobjects + g->funcs[i].type);
    }
    for (u32 i = 0; i < countof(globals); i++) {
        text(s, "env"), text(s, globals[i]), byte(s, 3);
        byte(s, g->globals[i].type), byte(s, g->globals[i].mutable);
    }
    for (u32 i = 0; i < g->nimported_tags; i++) {
        text(s, "peer"), text(s, i ? "t1" : "t0"), byte(s, 4), byte(s, 0);
        leb(s, g->nobjects + index_of_type(g, &g->tags[i], &none));
    }
}

static void write_tags(struct gen *g, struct bytes *s)
{
    leb(s, g->ntags - g->nimported_tags);
    for (u32 i = g->nimported_tags; i < g->ntags; i++)
        byte(s, 0), leb(s, g->nobjects + index_of_type(g, &g->tags[i], &none));
}

static void write_functions(struct gen *g, struct bytes *s)
{
    leb(s, g->nfuncs - g->nimported);
    for (u32 i = g->nimported; i < g->nfuncs; i++)
        leb(s, g->nobjects + g->funcs[i].type);
}

static void limits_as(struct bytes *s, u32 flags, u32 min, u32 max)
{
    byte(s, flags | 1);
    leb(s, min);
    leb(s, max);
}

static void limits(struct bytes *s, u32 min, u32 max)
{
    limits_as(s, 0, min, max);
}

static void write_tables(struct gen *g, struct bytes *s)
{
    leb(s, g->ntables);
    byte(s, TYPE_FUNCREF), limits(s, g->table_size, TABLE_MAX);
    if (g->ntables > 1)
        byte(s, TYPE_EXTERNREF), limits(s, 4, 4);
}

// As an initial value.
static void constant_object(struct gen *g, struct bytes *s, u8 type)
{
    if (type & REF) {
        if (g->objects[type & ~REF].array)
            const_bits(s, TYPE_I32, ARRAY_LEAST);
        byte(s, 0xfb), byte(s, g->objects[type & ~REF].array ? 7 : 1), byte(s, type & ~REF);
        return;
    }
    const_bits(s, TYPE_I32, int_bits(g, 32));
    byte(s, 0xfb), byte(s, OP_ref_i31 & 0xff);
}

static void write_globals(struct gen *g, struct bytes *s)
{
    leb(s, g->nglobals - 4);
    for (u32 i = 4; i < g->nglobals; i++) {
        u8 type = g->globals[i].type;
        value_type(s, type), byte(s, g->globals[i].mutable);
        if (i == g->fuel) {
            const_bits(s, TYPE_I32, FUEL);
        } else if (!is_number(type) && one_in(g, 2)) {
            constant_object(g, s, type);
        } else if ((type == TYPE_I64 || type == TYPE_F32) && one_in(g, 4)) {
            byte(s, OP_global_get), byte(s, type == TYPE_I64 ? 2 : 3); // of a constant import
        } else {
            const_bits(s, type, some_bits(g, type));
        }
        byte(s, OP_end);
    }
}

static void export(struct bytes *s, const char *kind, u32 number_, u8 what, u32 index)
{
    char name[16];
    snprintf(name, sizeof name, kind, number_);
    text(s, name), byte(s, what), leb(s, index);
}

static bool exports_global(const struct gen *g, u32 i)
{
    return is_number(g->globals[i].type) && g->globals[i].type != TYPE_V128;
}

static void write_exports(struct gen *g, struct bytes *s)
{
    u32 n = 2;
    for (u32 i = 0; i < g->nfuncs; i++)
        n += g->funcs[i].exported;
    for (u32 i = 5; i < g->nglobals; i++)
        n += exports_global(g, i);
    u32 tags = g->flags & GENERATE_PEER ? NPEER_TAGS : 0;
    leb(s, n + tags);
    for (u32 i = 0; i < tags; i++)
        export(s, "t%u", i, 4, i);
    for (u32 i = 0; i < g->nfuncs; i++)
        if (g->funcs[i].exported)
            export(s, g->flags & GENERATE_PEER ? "p%u" : "f%u", i - g->nimported, 0, i);
    export(s, "memory", 0, 2, 0);
    export(s, "fuel", 0, 3, g->fuel);
    for (u32 i = 5; i < g->nglobals; i++)
        if (exports_global(g, i))
            export(s, "g%u", i, 3, i);
}

// Active: all functions in order; passive, as indices; passive, as expressions.
static void write_elements(struct gen *g, struct bytes *s)
{
    leb(s, NELEMS);
    byte(s, 0), const_bits(s, TYPE_I32, 0), byte(s, OP_end);
    leb(s, g->nfuncs);
    for (u32 i = 0; i < g->nfuncs; i++)
        leb(s, i);
    byte(s, 1), byte(s, 0), leb(s, 3);
    for (u32 i = 0; i < 3; i++)
        leb(s, below(g, g->nfuncs));
    byte(s, 5), byte(s, TYPE_FUNCREF), leb(s, 2);
    byte(s, OP_ref_null), byte(s, TYPE_FUNCREF), byte(s, OP_end);
    byte(s, OP_ref_func), leb(s, below(g, g->nfuncs)), byte(s, OP_end);
}

static void random_bytes(struct gen *g, struct bytes *s, u32 n)
{
    leb(s, n);
    for (u32 i = 0; i < n; i++)
        byte(s, one_in(g, 3) ? (u32)draw64(g) & 0xff : 0);
}

static void write_datas(struct gen *g, struct bytes *s)
{
    leb(s, NDATAS);
    u32 second = g->far && one_in(g, 2);
    byte(s, 0), const_bits(s, address_type(g, 0), below(g, 200)), byte(s, OP_end);
    random_bytes(g, s, 100);
    byte(s, second ? 2 : 0);
    if (second)
        leb(s, 1);
    const_bits(s, address_type(g, second), 65000), byte(s, OP_end);
    random_bytes(g, s, 536);
    byte(s, 1);
    random_bytes(g, s, 12);
}

static void write_code(struct gen *g, struct bytes *s)
{
    leb(s, g->nfuncs - g->nimported);
    for (u32 i = g->nimported; i < g->nfuncs; i++) {
        leb(s, g->funcs[i].code.count);
        bytes(s, g->funcs[i].code.at, g->funcs[i].code.count);
        vec_free(&g->funcs[i].code);
    }
}

// Some functions whose loops do not poll.
static void write_noswitch(struct gen *g, struct bytes *s)
{
    u32 own = g->nfuncs - g->nimported, n = below(g, own + 1);
    text(s, "nebulet.noswitch");
    leb(s, n);
    while (n--)
        leb(s, g->nimported + below(g, own));
}

static void write_module(struct gen *g, struct bytes *out)
{
    struct bytes s = {0};
    bytes(out, "\0asm\1\0\0\0", 8);
    write_types(g, &s), section(out, 1, &s);
    write_imports(g, &s), section(out, 2, &s);
    write_functions(g, &s), section(out, 3, &s);
    write_tables(g, &s), section(out, 4, &s);
    leb(&s, 1 + g->far);
    limits_as(&s, g->wide ? 4 : g->shared ? 2 : 0, g->pages, g->max_pages);
    if (g->far)
        limits_as(&s, g->far_wide ? 4 : 0, g->pages, g->max_pages);
    section(out, 5, &s);
    if (g->ntags > g->nimported_tags)
        write_tags(g, &s), section(out, 13, &s);
    write_globals(g, &s), section(out, 6, &s);
    write_exports(g, &s), section(out, 7, &s);
    write_elements(g, &s), section(out, 9, &s);
    leb(&s, NDATAS), section(out, 12, &s);
    write_code(g, &s), section(out, 10, &s);
    write_datas(g, &s), section(out, 11, &s);
    if (g->threads && one_in(g, 2))
        write_noswitch(g, &s), section(out, 0, &s);
    vec_free(&s);
}

void generate(struct choices *c, u32 flags, struct bytes *out)
{
    struct gen *g = calloc(1, sizeof *g);
    if (!g)
        abort();
    g->choices = c;
    g->flags = flags;
    bool newer = !(flags & (GENERATE_PEER | GENERATE_OLD));
    g->wide = newer && one_in(g, 3);
    g->far = newer && one_in(g, 3);
    g->far_wide = one_in(g, 2);
    g->tails = newer && one_in(g, 2);
    g->typed = newer && one_in(g, 2);
    g->beyond = !(flags & (GENERATE_NANS_CANONICAL | GENERATE_PEER));
    g->shared = !g->wide && one_in(g, 6);
    g->threads = one_in(g, 3) && !(flags & GENERATE_PEER);
    g->simd = one_in(g, 2);
    g->form = (enum form)below(g, 3);
    if (flags & GENERATE_PEER || (g->form == FORM_TRY_TABLE && flags & GENERATE_OLD))
        g->form = FORM_TRY;
    choose_objects(g);
    choose_imports(g);
    choose_tags(g);
    choose_functions(g);
    choose_globals(g);
    g->pages = 1 + below(g, 3);
    g->max_pages = g->pages + below(g, 3);
    g->table_size = g->nfuncs + 2 + below(g, 6);
    g->ntables = 1 + below(g, 2);
    for (u32 i = g->nimported; i < g->nfuncs; i++)
        write_function(g, &g->funcs[i]);
    write_module(g, out);
    free(g);
}
