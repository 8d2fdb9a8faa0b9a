// SPDX-License-Identifier: MIT
// The lines of --trace: what a call was given, from the cells that it came with, and what it
// answered.
#pragma once
#include "wasm/vmctx.h"

struct arg_info {
    const char *name; // NULL: the last one
    char kind;        // d number, x flags or address, l 64 bits, p path, b address and length
    // For WASI's shims: enum arg_take, offset of the field that the argument goes to, and the
    // rights, the mask, the size or the offset of the second field.
    u8 take;
    u16 at;
    u32 detail;
};
#define LAST_ARG {.name = NULL}

struct trace_line {
    char text[1024]; // more than any call with two paths needs
    size_t n;
};

__attribute__((format(printf, 2, 3))) void trace_print(struct trace_line *l, const char *format,
                                                       ...);
// "name(a=1, b=0x40[3]"; the cells are those of the arguments.
void trace_call(struct trace_line *l, const struct vmctx *vm, const char *name,
                const struct arg_info *info, const u64 *cells);
void trace_end(const struct trace_line *l); // to the console
