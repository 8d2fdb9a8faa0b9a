// SPDX-License-Identifier: MIT
// Folders that the command line gives to programs: HOST[::GUEST], and behind it :ro, whose files
// can only be read, :copy, a copy that all programs have together and that goes with them, or :rw,
// which is what it is without. And disks, IMAGE[::GUEST], perhaps with :ro or :rw: files of this
// machine that are file systems of another, which only that reads.
#pragma once
#include "base/vec.h"
#include "fs/vfs.h"

struct archive;
struct options;

struct folder {
    struct vfs_file *dir; // NULL: it is a disk
    char *host, *guest;   // a name on each side; what is not given is called here what it is there
    enum folder_how { FOLDER_ITSELF, FOLDER_READ, FOLDER_COPY } how;
};
struct folders {
    VEC(struct folder) all;
};

// All --dir of the command line, open, behind those that are there, and behind them --disk: what
// cannot be opened is an error. False after a message; to be freed in any case.
bool folders_open(struct folders *f, const struct options *o);
void folders_free(struct folders *f);

// Puts those that are to be copies into an archive, each as folder/N, N its place.
void folders_archive(const struct folders *f, struct archive *a);
// Puts such copies, in memory, in the place of the folders. False after a message.
bool folders_copy(struct folders *f);
// /proc lies below it.
bool folder_has_processes(const struct folder *f);
