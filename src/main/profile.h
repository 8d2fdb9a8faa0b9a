// SPDX-License-Identifier: MIT
// For profilers from outside.
#pragma once
#include "main/host.h"

struct rt_module;

// Where perf looks for the names of code that no file has: /tmp/perf-PID.map. NULL after a message.
FILE *profile_map_create(void);
// A line for each function of a module that has been compiled.
void profile_map_add(FILE *to, const struct rt_module *rm);
