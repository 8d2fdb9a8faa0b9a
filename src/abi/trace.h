// SPDX-License-Identifier: MIT
// The lines of --trace: when, in which process, what a call was given, from the cells that it came
// with, and what it answered.
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
    char text[768]; // more than any call with two paths needs
    size_t n;
};

__attribute__((format(printf, 2, 3))) void trace_print(struct trace_line *l, const char *format,
                                                       ...);
// "0.000123 1 name(a=1, b=0x40[3]": seconds since trace_to, and the process. The cells are those of
// the arguments. False: nobody wants to see that call.
bool trace_call(struct trace_line *l, const struct vmctx *vm, const char *name,
                const struct arg_info *info, const u64 *cells);
void trace_end(const struct trace_line *l);

// Is a call among those that a list names, as trace_to has it?
bool trace_lists(const char *calls, const char *name);

// From now on `to` gets the lines, whole ones, from any CPU; before that the console does. Of which
// calls: their names, separated by commas, where one that ends in * is all that begin so. NULL:
// all. It stays as long as anything runs.
void trace_to(void (*to)(const char *line, size_t n), const char *calls);
