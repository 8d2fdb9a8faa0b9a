// SPDX-License-Identifier: MIT
// The type section, and types as bytes that nobody has checked.
#pragma once
#include "wasm/reader.h"

// Reads the section's content of `size` bytes into m->types. Linear time and memory.
void types_read(struct reader *r, struct module *m, u32 size);

// Types that stand elsewhere. Those that they refer to must be among m->types.
valtype read_valtype(struct reader *r, const struct module *m);
valtype read_reftype(struct reader *r, const struct module *m);
valtype read_heaptype(struct reader *r, const struct module *m, bool null);
