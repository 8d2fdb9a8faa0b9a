// SPDX-License-Identifier: MIT
// Makes a module that fails smaller, as long as it fails.
#pragma once
#include "test/fuzz/generate.h"

// Replaces *module, which is valid, by a smaller valid one of which `fails` still says true.
void reduce(struct bytes *module, bool (*fails)(const struct bytes *module));
