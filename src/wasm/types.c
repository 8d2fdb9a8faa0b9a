// SPDX-License-Identifier: MIT
// The texts of value types, traps and opcodes, from the rows of their tables. For messages and
// dumps only: nothing here is on a fast path.
#include "wasm/types.h"

const char *valtype_text(valtype type)
{
    switch (type & 0xff) {
#define TYPE(byte, name, text, size)                                                               \
    case byte: return text;
#define HEAP(byte, name, text, heap)                                                               \
    case byte: return text;                                                                        \
    case (byte) | TYPE_NONNULL: return "(ref " heap ")";
#include "wasm/types.def"
    case TYPE_REF: return "(ref null type)";
    case TYPE_REF | TYPE_NONNULL: return "(ref type)";
    case TYPE_I8: return "i8";
    case TYPE_I16: return "i16";
    case TYPE_ANY_REF | TYPE_NONNULL: return "a reference";
    default: return "?";
    }
}

const char *trap_text(enum trap trap)
{
    switch (trap) {
    case TRAP_NONE: return "no trap";
#define TRAP(name, text)                                                                           \
    case TRAP_##name: return text;
#include "wasm/traps.def"
#undef TRAP
    }
    return "unknown trap";
}

bool op_known(u32 op)
{
    // Half as large as of 32 bits: 0xfd105 is 0xd105, and no prefix is 0xd1.
    static const u16 numbers[] = {
#define EACH(code, ...) (u16)(code),
#define EACH_ATOMIC EACH
#define EACH_OBJECT EACH
#define EACH_SIMD EACH
#include "wasm/ops.def"
    };
    for (u32 i = 0; i < countof(numbers); i++)
        if ((numbers[i] >> 12 == 0xd ? numbers[i] | 0xf0000u : numbers[i]) == op)
            return true;
    return false;
}
