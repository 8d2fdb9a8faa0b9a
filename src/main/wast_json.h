// SPDX-License-Identifier: MIT
// Reads a specification script as wast2json writes it, and the modules beside it, into the form
// that script.h describes.
#pragma once
#include "base/vec.h"

struct wast {
    VEC(u8) script;
    char *source; // name of the .wast file, for messages
};

// False after a message. The result is to be freed in either case.
bool wast_read(const char *path, struct wast *out);
void wast_free(struct wast *w);
