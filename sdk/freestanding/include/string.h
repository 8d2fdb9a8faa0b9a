// SPDX-License-Identifier: MIT
// What freestanding/string.c has of <string.h>.
#pragma once
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#define restrict __restrict
#endif

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int value, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *text);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *text, int c);

#ifdef __cplusplus
#undef restrict
}
#endif
