// SPDX-License-Identifier: MIT
// A store (../ninep.h) in memory. All that is kept counts in one limit.
#pragma once
#include "../ninep.h"

struct store *tree_new(uint64_t limit); // bytes; NULL: no memory
void tree_free(struct store *s);        // no client is left
