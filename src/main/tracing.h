// SPDX-License-Identifier: MIT
// Where the lines of --trace go (abi/trace.h), those from a machine, too.
#pragma once
#include "main/options.h"

// False after a message: of calls that there are not; of what else goes wrong.
bool tracing_check(const struct options *o);
bool tracing_begin(const struct options *o);
void tracing_end(void); // all of them are out
// Of o->trace_calls, as the kernel wants them.
const char *tracing_calls(const struct options *o);
