// SPDX-License-Identifier: MIT
// Folders that are served on a channel (fs/ninep.h).
#pragma once
#include "fs/vfs.h"
#include "kern/process.h"

struct channel;

// What is served on the other end; takes over a reference to this one, and to `control`. When who
// serves it is gone, a message with a new channel goes there: whoever has the other end may serve
// the folder on that. NULL: no memory.
struct vfs_file *folder_on(struct channel *c, struct channel *control);
