// SPDX-License-Identifier: MIT
// Between the files of the decoder: what module_decode leaves to its neighbours.
#pragma once
#include "base/arena.h"
#include "wasm/module.h"

// Builds the index of exports and finds duplicate names (exports.c). O(n log n) at worst, whatever
// the names are.
status exports_index(struct module *m, struct error *e);

// Reads the content of a "name" section, as far as it makes sense (names.c). Only lack of memory is
// an error.
status names_read(struct module *m, const u8 *p, const u8 *end);
