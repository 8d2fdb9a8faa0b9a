// SPDX-License-Identifier: MIT
// A file system in memory: files, directories, hard and symbolic links, all of it in the core's
// heap.
#pragma once
#include "fs/vfs.h"

// Makes an empty file system and returns its root directory. It takes at most `limit` bytes of heap
// (E_NOSPC beyond) and lives until its last open file is closed. `dev` is what vfs_stat.dev says:
// give each its own. NULL: no memory.
struct vfs_file *memfs_create(u64 limit, u64 dev);

// Gives a new, empty file its contents: bytes that stay where they are until they are written to,
// and so must outlive the file system. They do not count against the limit.
void memfs_back(struct vfs_file *f, const u8 *bytes, u64 size);
