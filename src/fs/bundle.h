// SPDX-License-Identifier: MIT
// A bundle: a ustar archive in memory (POSIX.1-1988 interchange format), as `tar --format=ustar`
// writes it, read where it lies. It may be hostile: whatever is wrong with it is an error, never a
// wrong access.
//
// Directories, regular files and symbolic links are understood, and of the extended headers of
// POSIX.1-2001 (`tar --format=pax`) what is said of one file's name, target and time; other kinds
// of entries are passed over. A name may begin with "/" or "./"; one with a component ".." is an
// error.
#pragma once
#include "fs/vfs.h"

struct bundle_entry {
    char name[VFS_PATH];   // without slashes at its ends; "" is the root
    char target[VFS_PATH]; // of a symbolic link
    enum vfs_type type;    // VFS_UNKNOWN: to be passed over
    const u8 *bytes;       // of a regular file, in the archive
    u64 size;
    u64 mtime; // ns since 1970
};

// Reads the entry at *at and moves *at behind it. E_NOENT: the archive ends here; E_INVAL: it is
// damaged. Start with *at = 0.
enum fs_error bundle_next(const u8 *archive, u64 size, u64 *at, struct bundle_entry *out);

// The contents of the last regular file of that name (without slashes at its ends). E_NOENT.
struct bundle_file {
    const u8 *bytes;
    u64 size;
};
enum fs_error bundle_find(const u8 *archive, u64 size, const char *name, struct bundle_file *out);

// A memory file system (fs/memory.h) with what is in the archive. File contents stay in the archive
// until they are written to, so it must outlive the file system, and only what is written counts
// against `limit`. Later entries replace earlier ones of the same name.
enum fs_error bundle_mount(const u8 *archive, u64 size, u64 limit, u64 dev, struct vfs_file **out);
