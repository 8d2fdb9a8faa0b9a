// SPDX-License-Identifier: MIT
// What a program's imports are bound to beside what every program gets: modules that were given
// with it (--preload), and traps in the place of functions that nobody has
// (--trap-unknown-imports).
#pragma once
#include "base/vec.h"
#include "kern/process.h"
#include "main/host.h"

struct preload {
    const char *name;
    struct file file;
    struct module_object *module;
};

struct unknown;

struct imports {
    VEC(struct preload) preloads;
    bool traps;
    VEC(struct unknown *) unknown;
};

bool imports_load(const struct options *o,
                  struct imports *out); // behind jobs_init; false after a message
void imports_free(struct imports *i);   // behind jobs_free

// In a process that has no instance yet (process_config.prepare). `first` has room for two calls of
// each preloaded module, and stays as long as the process: they are to be made before its own.
status imports_bind(const struct imports *i, struct process *p, struct vm_func *first,
                    struct error *e);
// The same before that, in which m is to be the program's module: what it still misses traps.
status imports_trap(struct imports *i, struct process *p, const struct module *m, struct error *e);
