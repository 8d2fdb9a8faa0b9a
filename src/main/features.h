// SPDX-License-Identifier: MIT
// What of WebAssembly a module uses beyond its first version, by the names that wasm-tools has for
// them.
#pragma once
#include "wasm/module.h"

enum feature {
#define FEATURE(id, name, since) FEATURE_##id,
#include "main/features.def"
    FEATURES
};

// The bits of a list as `simd,tail-call,wasm2`; false after a message: one is unknown.
bool features_parse(const char *list, u32 *out);
const char *feature_name(enum feature f);

// Where each is first met, as an offset in the module, or that of its section where that is all
// that is known; 0: it is not used. The module is valid.
void features_find(const struct module *m, u32 at[FEATURES]);
