// SPDX-License-Identifier: MIT
// What the files of the program `nebulet` share: messages, engines, files, and a module being
// loaded.
//
// Every command is a function that gets parsed options and returns the exit code: that of the
// program run, or one of enum exit_code. Messages go to stderr and begin with "nebulet: "; a hint
// follows on a line of its own where one helps.
#pragma once
#include "main/options.h"
#include "rt/rt.h"
#include <stdio.h>

struct module;

// What compilers call what programs are built for, as hints say it.
#define WASI_TARGET "wasm32-wasip1, or wasm32-wasi where that is its name"

enum exit_code {
    EXIT_OK = 0,
    EXIT_ERROR = 1, // no such file, invalid module, failed tests
    EXIT_USAGE = 2,
    EXIT_TRAP = 134, // as a shell reports SIGABRT
};

__attribute__((format(printf, 1, 2))) void complain(const char *format, ...);
__attribute__((format(printf, 1, 2))) void hint(const char *format, ...);

// Of the runtime, when it cannot be set up: for errno's reason. EXIT_ERROR.
int complain_setup(void);

// The function's name, or its number.
void print_func(FILE *to, const struct module *m, u32 index);
// Text from a module: control characters do not get to the terminal.
void print_text(FILE *to, const void *text, size_t length);

// By name; NULL names the default. NULL if there is none.
const struct engine *engine_find(const char *name);

// --- Files. The bytes of a whole file, read into memory: see file.c for why they are not mapped.
struct file {
    const char *name; // as given, "-" is standard input
    u8 *bytes;
    size_t size;
};
bool file_read(const char *name, struct file *out); // false after a message
// What a module becomes when it is started by another process (cmd_snapshot.c). False after a
// message.
bool snapshot_file(const struct options *o, const char *name, struct file *out);
// A regular file for an archive: it must not wait, nor be much longer than its size, as files are
// that a kernel makes while they are read.
bool file_copy(const char *name, struct file *out);
void file_free(struct file *f);
bool file_is_process(const char *path); // it lies in /proc
const char *file_base_name(const char *path);

// Says what is wrong with a module, with a hint if it looks like something else than one.
// EXIT_ERROR.
int complain_module(const struct file *f, const struct error *e);

// --- Values on the command line: i32 and i64 as decimal or 0x numbers, floats as C writes them,
// v128 as 0x numbers. They lie in type_slots(type) slots.
bool value_parse(valtype type, const char *text, u64 *slots);
void value_print(valtype type, const u64 *slots);

// The commands in the order of the help; NULL: there are no more.
const struct command *command_at(u32 i);

int cmd_run(struct options *o);
int cmd_serve(struct options *o);
int cmd_worker(struct options *o);
int cmd_snapshot(struct options *o);
int cmd_boot(struct options *o);
int cmd_disk(struct options *o);
int cmd_validate(struct options *o);
int cmd_compile(struct options *o);
int cmd_inspect(struct options *o);
int cmd_explain(struct options *o);
int cmd_wast(struct options *o);
int cmd_bench_instantiate(struct options *o);
