// SPDX-License-Identifier: MIT
// A file system on a disk, as a store (../ninep.h). What was synced, and every name that was made,
// changed or removed before, is there after a loss of power at any moment (littlefs.h).
//
// Owners are not kept; modes, times and links are, in an attribute of littlefs. A file has one name
// and up to 2 GiB; a write in the middle of a long one copies what is behind it.
#pragma once
#include "../ninep.h"
#include "disk.h"

// Errors are the protocol's. INVAL: there is no file system of ours.
int volume_format(struct disk *d);
// limit: bytes for what is kept of files in use.
int volume_mount(struct disk *d, uint64_t limit, struct store **out);
int volume_unmount(struct store *s);
// Calls `each` with every block that is in use; IO: something is not what it should be.
int volume_walk(struct store *s, int (*each)(void *context, uint32_t block), void *context);
// What is in a directory, in order. each: not 0 ends it.
int volume_list(struct store *s, struct node *d,
                int (*each)(void *context, struct name name, uint32_t mode, uint64_t size),
                void *context);
