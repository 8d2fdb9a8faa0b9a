// SPDX-License-Identifier: MIT
// The texts of value types, traps and opcodes, from the rows of their tables. For messages and
// dumps only: nothing here is on a fast path.
#include "wasm/types.h"

const char *valtype_text(u8 type)
{
    switch (type) {
#define TYPE(byte, name, text, size)                                                               \
    case byte: return text;
#include "wasm/types.def"
#undef TYPE
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

const char *op_text(u32 op)
{
    switch (op) {
#define X(code, id, text, ...)                                                                     \
    case code: return text;
#define UN X
#define UNT X
#define BIN X
#define BINT X
#define LOAD X
#define STORE X
#define AX X
#define ALOAD X
#define ASTORE X
#define RMW X
#define CMPXCHG X
#define V X
#include "wasm/ops.def"
    default: return "?";
    }
}
