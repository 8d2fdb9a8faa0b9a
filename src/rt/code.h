// SPDX-License-Identifier: MIT
// Code memory: page-granular ranges of the one code window of the program. All stores share the
// window, so these functions may be called on several CPUs at once.
#pragma once
#include "base/status.h"
#include "plat/plat.h"
#include "wasm/engine.h"

status code_init(void);
const struct plat_code *code_window(void);
// A range of at least `size` bytes. Who pays for it (NULL: nobody) pays for something else at least
// as long. ERR_NO_RESOURCES: the window is full.
status code_alloc(size_t size, struct account *payer, struct code_space *out);
void code_free(struct code_space *space);        // a zeroed one is fine
u32 code_offset(const struct code_space *space); // of its beginning in the window
// The pages that `size` bytes from `from` on lie in can run from now on, and cannot be written to.
void code_publish(const struct code_space *space, u32 from, u32 size);
// Lets such pages be written to once more, for a further code_publish, while others run what is
// there.
status code_open(const struct code_space *space, u32 from, u32 size);
// From signal context too.
bool code_contains(const void *pc);
