// SPDX-License-Identifier: MIT
// The manual page, and what completes words in a shell: both made of the tables of commands and
// options, so they know what the program knows.
#pragma once
#include "base/types.h"

void manual_print(void);                  // roff, for man(1)
bool completion_print(const char *shell); // bash, zsh, fish; false: there is none for it
