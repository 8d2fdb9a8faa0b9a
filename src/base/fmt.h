// SPDX-License-Identifier: MIT
// A bounded printf for the core: %s %.*s %c %d %u %x %p %zu and the l, ll, z length modifiers,
// width, 0 and - flags. Floating point is not formatted: nothing in the core prints any.
#pragma once
#include "base/types.h"

// Writes at most n bytes including the final 0; returns the length the whole text would have had
// (as snprintf).
__attribute__((format(printf, 3, 4))) size_t fmt(char *buffer, size_t n, const char *format, ...);
size_t fmt_va(char *buffer, size_t n, const char *format, va_list args);

// Byte i of a text from a guest, as messages show it. Control characters stay off the terminal: '?'
// stands for those of ASCII, for those from U+0080 to U+009F, and for bytes that begin no character
// and might be taken for one of the latter.
char fmt_shown(const char *text, size_t n, size_t i);
