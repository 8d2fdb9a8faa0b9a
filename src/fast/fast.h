// SPDX-License-Identifier: MIT
// The baseline compiler: validated body in, x86-64 machine code out, in one pass and without an IR.
#pragma once
#include "wasm/engine.h"

// Writes the host thunk of a function type (target/x64/abi.h) into the code space; its offset, or
// an error when the space is full (ERR_NO_MEMORY).
status fast_host_thunk(struct code_space *space, const struct functype *type, u32 *offset);

// engine->call of compiled code: f->code with the arguments in slots, on the running coroutine.
status fast_call(const struct compiled *c, const struct vm_func *f, u64 *slots);
// Skips the immediates of an instruction (op: with prefix); pc behind the opcode, in a valid body.
void ops_skip(const u8 **pc, u32 op);
