// SPDX-License-Identifier: MIT
// Writes the archive that a machine boots with (fs/bundle.h reads it): ustar, in memory that has a
// file descriptor.
#pragma once
#include "base/types.h"

struct archive {
    int fd;      // -1: none yet
    bool failed; // after a message
};

// Names have neither a leading nor a final slash. Once something has failed nothing more is done.
void archive_start(struct archive *a);
void archive_file(struct archive *a, const char *name, const void *bytes, size_t size);
// A module, without what only debuggers read: a machine has no use for it, but pays for its memory.
void archive_module(struct archive *a, const char *name, const void *bytes, size_t size);
// A folder of this machine with all that is in it, under that name.
void archive_folder(struct archive *a, const char *name, const char *path);
bool archive_finish(struct archive *a); // false when anything has failed
void archive_free(struct archive *a);
