// SPDX-License-Identifier: MIT
// The baseline compiler: validated body in, x86-64 machine code out, in one pass and without an IR.
#pragma once
#include "wasm/engine.h"

// Writes the host thunk of a function type (target/x64/abi.h) into the code space; its offset, or an error when the
// space is full (ERR_NO_MEMORY).
status fast_host_thunk(struct code_space *space, const struct functype *type, u32 *offset);
