// SPDX-License-Identifier: MIT
// The platform's own calls, of abi/nebulet.def, for the modules nebulet, abi and env.
#pragma once
#include "rt/rt.h"

struct process;

// Makes the calls importable in the realm of a store, and WASI's thread-spawn.
status nebulet_register(struct store *s);
// What abi/ keeps for a process: for kern_hooks.release.
void nebulet_release(struct process *p);
