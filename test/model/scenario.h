// SPDX-License-Identifier: MIT
// What scenarios are made with: processes that are there from the beginning, their handles, and
// what is to come out.
#pragma once
#include "runtime.h"

// A process, which scenario_begin lets live when all are made; in the order of the calls. It is the
// scenario's, which gives it back at the end.
struct process *scenario_process(const struct program *p, const struct process_config *config);
void scenario_begin(struct process *p);
void scenario_forget(struct process *p); // gives it back before anything runs: others have it
// A handle of the object in its table, from then on; takes the reference over.
nebulet_handle scenario_give(struct process *p, struct object *o);
struct object *scenario_given(struct process *p, u32 handle);
nebulet_handle scenario_give_module(struct process *p, const struct program *of);
// A channel between two: each has one end as its next handle.
void scenario_connect(struct process *a, struct process *b);

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            model_fail("line %d of %s: not so: %s", __LINE__, __FILE_NAME__, #condition);          \
    } while (0)
