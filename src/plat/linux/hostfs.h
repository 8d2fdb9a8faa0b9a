// SPDX-License-Identifier: MIT
// The host's files for the VFS: folders that a program may use, and streams that it inherits.
#pragma once
#include "fs/vfs.h"

// Opens a folder of the host; everything below it is reachable through the file, and nothing else.
// `walk` resolves paths component by component even where the kernel could confine them (openat2);
// tests use it. E_NOTDIR, E_NOENT, E_ACCES, E_NOMEM, ...
enum fs_error hostfs_open(const char *path, bool walk, struct vfs_file **out);

// Makes a file of a descriptor that this process has: 0, 1, 2 or a socket. It is not closed with
// the file, and its flags, which other processes may share, are not changed. NULL when the
// descriptor is not open, or memory is out.
struct vfs_file *hostfs_adopt(int fd);

vfs_wait_fn hostfs_wait;
