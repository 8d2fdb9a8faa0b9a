// SPDX-License-Identifier: MIT
// What the command line gives to a program: arguments, environment, folders, standard streams.
#pragma once
#include "abi/wasi.h"
#include "main/host.h"
#include "main/listen.h"

struct folders;

// From folders, --env, --argv0, and the operands of this program, of which the first is its file;
// and the listeners that it gets. NULL after a message.
struct wasi *guest_wasi(const struct options *o, const struct folders *f, const struct listeners *l,
                        int argc, char **argv);
