// SPDX-License-Identifier: MIT
// Two steps that every user of the runtime in main/ takes, on any platform: validating a module for
// itself, and running what an instance runs before anything else.
#pragma once
#include "rt/rt.h"

// Decodes and validates all of a module, bodies included, without an engine. With out == NULL the
// module is dropped again.
status module_validate(const u8 *bytes, size_t size, struct module **out, struct error *e);

// Runs the start function of a fresh instance, if its module has one. As thread_call.
status instance_run_start(struct instance *i, struct thread *t);
