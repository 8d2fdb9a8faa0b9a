// SPDX-License-Identifier: MIT
// The baseline compiler for a CPU that has nothing beyond x86-64-v2: differ, linked with this
// before the real one, tests what this machine's CPU would never get to.
#include "target/x64/cpu.h"
#define x64_features() 0
#include "fast/fast.c"
