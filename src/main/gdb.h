// SPDX-License-Identifier: MIT
// For GDB, from outside (run --gdb): what functions are called, and where their frames are.
#pragma once
#include "rt/rt.h"

// Of a module that has an instance in `s`, and all of whose functions have been compiled
// (store_compile_at_once). What GDB is told stays. False: no memory.
bool gdb_add(const struct store *s, const struct rt_module *rm);
