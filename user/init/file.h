// SPDX-License-Identifier: MIT
// Reading files.
#pragma once
#include <stddef.h>

// The bytes of a file and a 0, in memory to be freed. NULL: errno says why; more than max bytes are
// EFBIG.
char *file_read(const char *path, size_t max, size_t *size);
