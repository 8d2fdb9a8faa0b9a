// SPDX-License-Identifier: MIT
// The same in the form of WebAssembly 3.0, with try_table.
#include "setjmp.c"
