// SPDX-License-Identifier: MIT
// The same with try_table.
#include "setjmp.c"
