// SPDX-License-Identifier: MIT
// Where in its source a place of a module is: from DWARF in the module's custom sections, whose
// addresses are offsets in the code section ("DWARF for WebAssembly",
// yurydelendik.github.io/webassembly-dwarf), and names as the language writes them.
//
// What reads DWARF (libdw) and names (libiberty) was not written against liars. It runs where it
// can do no harm: see cmd_explain.c.
#pragma once
#include "base/types.h"

struct module;
struct source;

// Has the module DWARF?
bool source_has(const struct module *m);
// Copies a module without it, as far as it lies behind all that engines read, so that every offset
// of that is the same; whatever else the bytes are, all of them. How many; `out` has room for
// `size`.
size_t source_leave_out(u8 *out, const u8 *bytes, size_t size);
// NULL: the module has no DWARF, or none that can be read. The module must stay.
struct source *source_open(const struct module *m);
void source_close(struct source *s); // NULL is fine

enum { SOURCE_INLINED_MOST = 8 };
struct source_place {
    const char *file; // NULL: unknown
    int line, column; // 0: unknown
};
// Of the instruction at an offset in the module: places[0], and what was inlined there: names[i] is
// the function that places[i] is in, for all but the last, which is in the function itself. How
// many places; 0: unknown. Everything lives as long as the source.
u32 source_places(struct source *s, u32 offset, struct source_place places[SOURCE_INLINED_MOST],
                  const char *names[SOURCE_INLINED_MOST]);

// The name of a C++ or Rust function as it is written there; NULL: it is none of those. To be
// freed.
char *source_demangle(const char *name);
