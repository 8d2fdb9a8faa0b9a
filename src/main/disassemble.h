// SPDX-License-Identifier: MIT
// Compiled code as assembler text, through the system's objdump.
#pragma once
#include "wasm/engine.h"

// Prints all functions, or the one whose name or index `which` is ("" for all). False after a
// message.
bool disassemble(const struct compiled *c, const char *which);
