// SPDX-License-Identifier: MIT
// A decoded module: the sections as arrays, with function bodies, data and names left in the bytes
// they came in.
//
// module_decode reads everything but the bodies; each body is validated when it is compiled
// (validate.h), which is part of loading, so that nothing of a module runs before all of it is
// valid. The bytes must stay alive and unchanged as long as the module. Everything else hangs from
// the module and goes with module_free.
//
// Index spaces list imports first. "Cells" are the 8-byte units of operand stacks and locals.
#pragma once
#include "base/status.h"
#include "wasm/types.h"

struct name {
    const char *p; // UTF-8, validated; not terminated
    u32 length;
};

// A type of the type section. Those that refer to each other are a group (`rec`), and are equal if
// all of their groups is. A supertype comes before, so that chains of them end.
struct functype {
    u32 nparams, nresults; // a struct has parameters that are fields, an array one
    const valtype *types;  // parameters, then results; behind fields, where each lies, and the
                           // size; behind an array's, its size
    u32 id;    // canonical: equal ids, equal types, over all modules of a store; 0 until interned
               // (rt/store)
    u32 super; // index, or NO_TYPE
    u32 first, count; // the group
    valtype self[2];  // references to it: that may be null, and not; by the first of the module's
                      // types that equal it, of which all else here is, too
    u8 form;
    u8 depth;  // supertypes above it
    bool open; // there may be subtypes (not `final`)
    bool bare; // of a struct or array: all it has can begin as zero or null
};
enum { FORM_FUNC = 0, FORM_STRUCT = 0x5f, FORM_ARRAY = 0x5e };
#define NO_TYPE UINT32_MAX

// Of a struct, in bytes from its header on.
static inline u32 struct_place(const struct functype *t, u32 field)
{
    return t->types[t->nparams + field];
}
static inline u32 struct_size(const struct functype *t)
{
    return t->types[2 * t->nparams];
}
// Of an array, what an element takes.
static inline u32 array_step(const struct functype *t)
{
    return t->types[1];
}

enum extern_kind { EXTERN_FUNC, EXTERN_TABLE, EXTERN_MEMORY, EXTERN_GLOBAL, EXTERN_TAG };

struct limits {
    u64 min, max; // max = UINT64_MAX when not given
    bool shared;  // of memories: by threads; has a maximum
    bool wide;    // addresses, or indices, are i64
};

struct table_type {
    valtype elem; // a reference type
    struct limits limits;
};

struct global_type {
    valtype type;
    bool mutable;
};

// A constant expression: its only instruction, or CONST_CODE.
struct constexpr_ {
    enum { CONST_VALUE, CONST_GLOBAL, CONST_REF_NULL, CONST_REF_FUNC, CONST_CODE } kind;
    valtype type; // of the result
    u32 index;    // of the global or the function; of code, how many operands wait at most
    union {
        u64 bits; // i32 zero-extended, floats as their bits
        u8 v128[16];
        const u8 *code; // in the module, up to `end`
    };
};

struct import {
    struct name module, field;
    u8 kind;   // enum extern_kind
    u32 index; // in the index space of its kind
};

struct export
{
    struct name name;
    u8 kind;
    u32 index;
};

enum segment_mode { SEGMENT_ACTIVE, SEGMENT_PASSIVE, SEGMENT_DECLARATIVE };

struct elem_segment {
    u8 mode;
    valtype type;
    u32 table;                // active
    struct constexpr_ offset; // active
    u32 count;
    bool computed;    // there is code among the expressions
    const u32 *funcs; // function indices, or NULL when the segment is written with expressions:
    const struct constexpr_ *exprs;
};

struct data_segment {
    u8 mode;
    u32 memory;               // active
    struct constexpr_ offset; // active
    const u8 *bytes;
    u32 size;
};

struct func {
    u32 type;       // index into types
    u32 start, end; // body in the module's bytes: the local declarations, up to and with the final
                    // `end`; 0 if imported
    u32 ref; // index + 1 among the functions whose reference can be taken ("cells" in vmctx.h); 0:
             // never
};

struct module {
    const u8 *bytes;
    u32 size;

    struct functype *types;
    u32 ntypes;
    bool objects; // there are structs or arrays among them
    struct import *imports;
    u32 nimports;
    struct func *funcs;
    u32 nfuncs, nimported_funcs;
    struct table_type *tables;
    struct constexpr_ *table_init; // of the own tables only: what all elements are at first
    u32 ntables, nimported_tables;
    struct limits *memories;
    u32 nmemories, nimported_memories;
    struct global_type *globals;
    struct constexpr_ *global_init; // of the own globals only: [nglobals - nimported_globals]
    u32 nglobals, nimported_globals;
    u32 *tags; // their types, indices into types; no results
    u32 ntags, nimported_tags;
    struct export *exports;
    u32 nexports;
    struct elem_segment *elems;
    u32 nelems;
    struct data_segment *datas;
    u32 ndatas;
    bool has_data_count;
    u32 start;                // function index, or UINT32_MAX
    u32 code_start, code_end; // of the code section's content, 0 without one
    u32 nrefs;    // functions with ref != 0: imported ones not counted, they have cells anyway
    u8 *declared; // [nimported_funcs], 1: ref.func may name it in bodies (own functions: ref != 0)

    // It can have a second thread, for it imports a function that starts one: loops poll, but for
    // those of functions whose bit is set in noswitch (NULL: none is).
    bool threads;
    bool maps; // it can have memory that other processes have, too: its atomics are locked
    u64 *noswitch;

    // Names for traces, from the "name" section, which may be wrong or missing: func_names is NULL
    // or [nfuncs], empty names have length 0.
    struct name module_name;
    struct name *func_names;

    struct layout { // byte offsets in the vmctx, see vmctx.h
        u32 imports, imported_globals, tables, tags, memories, globals, refs, own_tags, size;
    } layout;

    // The index behind module_export: exports by name, in buckets of a hash (wasm/exports.c).
    u32 *export_order;  // [nexports]
    u32 *export_bucket; // [export_mask + 2]: where in export_order each bucket starts
    u32 export_mask;

    struct arena *arena; // owner of all of the above
};

// Decodes and validates everything but function bodies. On failure *out is NULL and *e says offset
// and reason (ERR_MALFORMED, ERR_INVALID, ERR_NO_MEMORY). Linear time; memory in proportion to
// size.
status module_decode(const u8 *bytes, size_t size, struct module **out, struct error *e);
void module_free(struct module *m); // NULL is fine

// The export of that name, or NULL. Constant expected time.
const struct export *module_export(const struct module *m, const char *name, size_t length);

// The type of a function in the function index space.
static inline const struct functype *module_func_type(const struct module *m, u32 func)
{
    return &m->types[m->funcs[func].type];
}

// What an exception with that tag carries, as parameters.
static inline const struct functype *module_tag_type(const struct module *m, u32 tag)
{
    return &m->types[m->tags[tag]];
}

// Does a value of type a do where b is wanted? `types` are those that indices of both mean. In time
// in proportion to the supertypes.
bool type_matches(const struct functype *(*type_at)(const void *types, u32 index),
                  const void *types, valtype a, valtype b);
// Of this module's.
bool module_matches(const struct module *m, valtype a, valtype b);
// The topmost supertype of a reference type: TYPE_FUNCREF, TYPE_EXTERNREF, TYPE_ANYREF,
// TYPE_EXNREF.
valtype module_top(const struct module *m, valtype t);
// Is the type of that index another, or one of its subtypes?
bool module_subtype(const struct module *m, u32 a, u32 b);

// The bytes of a value in an object: of packed ones less than 4, and of references 8 where they
// are pointers (wasm/vmctx.h).
u32 module_field_size(const struct module *m, valtype t);

// One type, to point to. Bytes of types are 0x60 to 0x7f: no two are at the same place.
#define SINGLE(t) (((t) & 31) | ((t) & TYPE_NONNULL) >> 2)
extern const valtype single_types[64];
static inline const valtype *module_single(const struct module *m, valtype t)
{
    return type_kind(t) == TYPE_REF ? &m->types[type_index(t)].self[!is_defaultable(t)]
                                    : &single_types[SINGLE(t)];
}
// The type that begins at p, as bytes say that have been accepted.
valtype module_valtype(const struct module *m, const u8 **p);
// The same for what stands behind ref.null and casts.
valtype module_heaptype(const struct module *m, const u8 **p, bool null);

// The type of addresses of a memory, and of indices into a table.
static inline valtype limits_type(const struct limits *l)
{
    return l->wide ? TYPE_I64 : TYPE_I32;
}

// Can accesses be other than to a memory 0 of 32 bits?
static inline bool module_far(const struct module *m)
{
    return m->nmemories > 1 || (m->nmemories && m->memories[0].wide);
}

// Do the loops of that function of the module's own look whether another thread should run?
static inline bool module_polls(const struct module *m, u32 func)
{
    return m->threads && !(m->noswitch && m->noswitch[func / 64] >> (func % 64) & 1);
}

// Calls `each` for every custom section, in order; for tools.
void module_custom_sections(const struct module *m,
                            void (*each)(void *context, struct name name, const u8 *p, u32 size),
                            void *context);
