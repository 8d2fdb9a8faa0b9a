// SPDX-License-Identifier: MIT
// What freestanding/malloc.c has of <stdlib.h>.
#pragma once
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *memory, size_t size);
void free(void *memory);

#ifdef __cplusplus
}
#endif
