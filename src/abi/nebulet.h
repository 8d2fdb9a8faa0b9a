// SPDX-License-Identifier: MIT
// The platform's own calls, of abi/nebulet.def, for the modules nebulet, abi and env.
#pragma once
#include "rt/rt.h"

struct process;

// Where the calls can be imported from.
#define NEBULET_MODULES "nebulet", "abi", "env"

// Makes the calls importable in the realm of a store, and WASI's thread-spawn. Instances that
// import them have a process (kern/process.h). Without `trace`, a process's own wish for one may be
// ignored.
status nebulet_register(struct store *s, bool trace);
// What abi/ keeps for a process: for kern_hooks.release.
void nebulet_release(struct process *p);
