// SPDX-License-Identifier: MIT
// What the command line gives to a program: arguments, environment, folders, standard streams.
#pragma once
#include "kern/process.h"
#include "main/host.h"

// Makes everything that programs may import known to a store.
status guest_imports(struct store *s);

// Fills in *p from --dir, --env, --argv0 and the arguments. False after a message; guest_free in
// either case.
bool guest_create(struct process *p, const struct options *o);
void guest_free(struct process *p);
