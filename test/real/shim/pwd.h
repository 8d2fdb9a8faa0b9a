// SPDX-License-Identifier: MIT
// Stands in for <pwd.h>, which this wasi-libc does not have: the little that the real programs use
// of it is in posix.h.
#include "posix.h"
