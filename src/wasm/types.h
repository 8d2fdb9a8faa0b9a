// SPDX-License-Identifier: MIT
// Value types, traps and opcodes as enums, made from types.def, traps.def and ops.def, and the
// limits that every consumer of a module keeps to.
#pragma once
#include "base/types.h"

// A value type: its kind in the low seven bits, which is a byte of the binary format. Of a
// reference TYPE_NONNULL says that it is never null; one of TYPE_REF refers to what a type of the
// type section describes, whose index is in the bits from TYPE_INDEX on. Where an index is the
// first of equal types (struct functype.same), types are equal if the numbers are.
typedef u32 valtype;
enum valtype_kind {
#define TYPE(byte, name, text, size) TYPE_##name = byte,
#include "wasm/types.def"
    TYPE_ANYTHING = 0, // in the validator: of a value in unreachable code,
    TYPE_ANY_REF = 1,  // and of one that is a reference
    TYPE_REF = 0x63,
    TYPE_I16 = 0x77, // in fields
    TYPE_I8 = 0x78,
    TYPE_NONNULL = 0x80,
    TYPE_INDEX = 8, // a shift
};
#define TYPE_MUTABLE (1u << 31) // of a field
// Before an object's fields: its type, and an array's length.
#define OBJECT_HEADER 8u

enum trap {
    TRAP_NONE,
#define TRAP(name, text) TRAP_##name,
#include "wasm/traps.def"
#undef TRAP
};

enum {
    TRAPS = 1 // numbers, TRAP_NONE included
#define TRAP(name, text) +1
#include "wasm/traps.def"
#undef TRAP
};

enum op {
#define EACH(code, id, ...) OP_##id = code,
#define EACH_ATOMIC EACH
#define EACH_OBJECT EACH
#define EACH_SIMD EACH
#include "wasm/ops.def"
};

// "i32", ...; "?" for what is no value type.
const char *valtype_text(valtype type);
static inline u32 type_kind(valtype t)
{
    return t & 0x7f;
}
static inline u32 type_index(valtype t) // of TYPE_REF
{
    return (t & ~TYPE_MUTABLE) >> TYPE_INDEX;
}
static inline valtype type_ref(u32 index, bool null)
{
    return TYPE_REF | (null ? 0 : (u32)TYPE_NONNULL) | index << TYPE_INDEX;
}
// Arguments and results of calls from outside lie in slots of 8 bytes; so many each.
static inline u32 type_slots(valtype type)
{
    return type == TYPE_V128 ? 2 : 1;
}
static inline bool is_reftype(valtype t)
{
    return t && type_kind(t) < TYPE_I16;
}
// The type that a field of that one has on the stack.
static inline valtype field_type(valtype t)
{
    t &= ~TYPE_MUTABLE;
    return t == TYPE_I8 || t == TYPE_I16 ? TYPE_I32 : t;
}
static inline bool field_packed(valtype t)
{
    return type_kind(t) == TYPE_I8 || type_kind(t) == TYPE_I16;
}
// Is there a value that a local begins with?
static inline bool is_defaultable(valtype t)
{
    return !(t & TYPE_NONNULL);
}
const char *trap_text(enum trap trap);
bool op_known(u32 op);

// In the flags of an access: the memory's index follows, which is 0 otherwise.
#define MEMARG_INDEX 0x40u

// The number in ops.def of an instruction with a prefix.
static inline u32 op_prefixed(u32 prefix, u32 number)
{
    return prefix << (number < 0x100 ? 8 : 12) | number;
}

// Limits, those of the JavaScript API's implementation-defined ones, so that what runs in browsers
// runs here.
enum limit {
    MAX_MODULE_SIZE = 1 << 30,
    MAX_TYPES = 1000000,
    MAX_FUNCTIONS = 1000000,
    MAX_IMPORTS = 1000000,
    MAX_EXPORTS = 1000000,
    MAX_GLOBALS = 1000000,
    MAX_TAGS = 1000000,
    MAX_SEGMENTS = 1000000, // data segments; element segments: 10,000,000
    MAX_ELEM_SEGMENTS = 10000000,
    MAX_TABLES = 100000,
    MAX_TABLE_SIZE = 10000000, // elements, at run time
    MAX_BODY_SIZE = 7654321,
    MAX_LOCALS = 50000, // parameters included
    MAX_PARAMS = 1000,
    MAX_RESULTS = 1000,
    MAX_BR_TABLE = 65520,
    MAX_CONST_OPS = 20000,   // of a constant expression of several instructions, and how many
    MAX_CONST_DEPTH = 10000, // operands may wait in it; ours alone
    MAX_STACK = 500000, // operands of one body; ours alone: calls with 1000 results pile up faster
                        // than bytes are read
    MAX_NAME = 100000,
    MAX_SUPERTYPES = 63,
    MAX_FIELDS = 10000,
    MAX_FIXED = 10000, // operands of array.new_fixed
    MAX_PAGES = 65536, // of 64 KiB; ours alone for memories with 64-bit addresses
    MAX_MEMORIES = 100,
};
// Eight bytes can declare 50,000 locals, and everybody who looks at a body pays for each: so all
// bodies together may have this many per byte of the module, beyond a number that is free. Real
// ones have about one in ten bytes.
#define MAX_LOCALS_PER_BYTE 8
#define MAX_LOCALS_FREE 4000000
#define WASM_PAGE 65536ull
