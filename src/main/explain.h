// SPDX-License-Identifier: MIT
// A trace of a program's trap, printed by `nebulet explain` in a process of its own (cmd_explain.c
// says why).
#pragma once
#include "main/host.h"

struct module;

struct explanation {
    int process; // 0: none
    char *text;  // as it is printed should that process fail
    size_t size;
};

// Starts it, for a text that has such a trace of the module of a file; it prints to stderr. False:
// there is nothing to add, or it could not be started.
bool explain_begin(struct explanation *x, const struct file *f, const struct module *m,
                   const char *text, size_t n);
// Waits for it.
void explain_end(struct explanation *x);
