// SPDX-License-Identifier: MIT
// Specification scripts in a compact binary form, and the machine that executes them. The host
// makes the form from wast2json's output (wast_json.c); any platform can execute it, for it needs
// nothing but the runtime.
//
// A script is a sequence of records, little-endian and unaligned:
//
//   record  u8 command, u32 line, then by command:
//     MODULE                              text name ("" if it has none), text bytes
//     DEFINITION                          the same: a module that is not instantiated
//     INSTANCE                            text name, text definition ("": the latest), of which it
//                                         is one
//     REGISTER                            text name ("": the latest module), text as
//     ACTION                              action
//     RETURN                              action, u32 n, value[n]
//     TRAP, EXHAUSTION                    action, text message
//     EXCEPTION                           action, that nobody catches what is thrown in
//     INVALID, MALFORMED, UNLINKABLE,
//     UNINSTANTIABLE                      text bytes, text message
//     TEXT_MODULE                         nothing: a module in the text format; skipped
//     TEXT_ASSERT                         nothing: an assertion on such a module; skipped
//   action  u8 kind (0 invoke, 1 get), text module ("": the latest), text field, u32 n, value[n]
//   text    u32 length, bytes
//   value   struct script_value; n counts the alternatives behind one of type SCRIPT_EITHER
//
// Every record counts as one test: passed, failed, or skipped for a reason.
#pragma once
#include "rt/rt.h"

enum script_command {
    SCRIPT_MODULE,
    SCRIPT_REGISTER,
    SCRIPT_ACTION,
    SCRIPT_RETURN,
    SCRIPT_TRAP,
    SCRIPT_EXHAUSTION,
    SCRIPT_INVALID,
    SCRIPT_MALFORMED,
    SCRIPT_UNLINKABLE,
    SCRIPT_UNINSTANTIABLE,
    SCRIPT_DEFINITION,
    SCRIPT_INSTANCE,
    SCRIPT_EXCEPTION,
    SCRIPT_TEXT_MODULE,
    SCRIPT_TEXT_ASSERT,
};

enum { SCRIPT_INVOKE, SCRIPT_GET };

// What stands for a type of value: a reference of whatever type, and one of several values.
enum { SCRIPT_REF = 1, SCRIPT_EITHER };

// An argument, or what is expected of a result. Lanes are those of v128; other types have one.
struct script_value {
    u8 type;                   // enum valtype, or one of the below
    u8 lane_size;              // bytes
    u8 any;                    // expected: any reference of that type but null
    u8 alternatives;           // SCRIPT_EITHER: so many values follow, one of which is expected
    u16 canonical, arithmetic; // expected: bit i set if lane i must be such a NaN
    u8 bits[16];               // of the host's references: vm_host_ref
};
_Static_assert(sizeof(struct script_value) == 24, "part of the binary form");

enum script_skip {
    SKIP_TEXT,     // in the text format
    SKIP_VALIDATE, // nothing is run
    SKIP_COUNT,
};
const char *script_skip_text(enum script_skip reason);

struct script_counts {
    u32 passed, failed, skipped[SKIP_COUNT];
};

struct script_options {
    const struct engine *engine;
    bool validate_only;
    void (*report)(void *context, u32 line, const char *text); // of each failure
    void *context;
};

// Adds to *counts. An error when the script itself cannot be read, or the runtime cannot be set up.
status script_run(const struct script_options *o, const u8 *script, size_t size,
                  struct script_counts *counts);
