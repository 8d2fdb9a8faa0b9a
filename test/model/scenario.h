// SPDX-License-Identifier: MIT
// What scenarios are made with: processes that are there from the beginning, their handles, and
// what is to come out.
#pragma once
#include "runtime.h"

// A process that lives when kern_run begins; scenario_process makes one that has not begun. Both
// are the scenario's, which gives them back at the end.
struct process *scenario_process(const struct program *p, const struct process_config *config);
void scenario_begin(struct process *p);
void scenario_forget(struct process *p); // gives it back now: others have it
// A handle of the object in its table; takes the reference over.
nebulet_handle scenario_give(struct process *p, struct object *o);
nebulet_handle scenario_give_module(struct process *p, const struct program *of);
// A channel between two: each has one end as its next handle.
void scenario_connect(struct process *a, struct process *b);

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            model_fail("line %d of %s: not so: %s", __LINE__, __FILE_NAME__, #condition);          \
    } while (0)
