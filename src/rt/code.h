// SPDX-License-Identifier: MIT
// Code memory: page-granular ranges of the one code window of the program. All stores share the
// window, so these functions may be called on several CPUs at once.
#pragma once
#include "base/status.h"
#include "wasm/engine.h"

status code_init(void);
// A range of at least `size` bytes, or the largest free one if none is that large; never below
// `least`. ERR_NO_RESOURCES: the window is full. Who pays for what will be written (NULL: nobody)
// pays for something else at least as long.
status code_alloc(size_t size, size_t least, struct account *payer, struct code_space *out);
// Gives back what lies behind space->used.
void code_trim(struct code_space *space);
void code_free(struct code_space *space); // a zeroed one is fine
// What was written into the space can run from now on, and cannot be written to.
void code_publish(const struct code_space *space);
// Lets it be written to once more, for a further code_publish, while others run what is there.
status code_open(const struct code_space *space);
// From signal context too.
bool code_contains(const void *pc);
