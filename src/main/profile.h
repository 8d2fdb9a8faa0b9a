// SPDX-License-Identifier: MIT
// Where programs spend their time: --profile.
#pragma once
#include "main/host.h"

struct rt_module;

// Where perf looks for the names of code that no file has: /tmp/perf-PID.map. NULL after a message.
FILE *profile_map_create(void);
// A line for each function of a module that has been compiled.
void profile_map_add(FILE *to, const struct rt_module *rm);

// What --profile's value means. False after a message.
struct profile {
    bool map;
    const char *samples; // the file that gets them, or NULL
};
bool profile_parse(const char *value, struct profile *out);

void profile_prepare(const struct profile *p); // before jobs_init

// Samples: every millisecond of a processor's time, or as often as Linux looks, who runs is asked
// for its frames. Behind jobs_init.
bool profile_start(void); // false after a message
// When all is over: a line for each stack, from the program on, with semicolons between, and its
// microseconds. False after a message.
bool profile_write(const char *path);
