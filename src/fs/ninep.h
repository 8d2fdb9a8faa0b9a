// SPDX-License-Identifier: MIT
// Folders that somebody else serves: a client of 9P2000.L, the third back end of the VFS.
//
// It writes a request, waits for its answer, and believes nothing of that: sizes, counts, tags and
// names are checked, and what cannot be is E_IO. How messages go to and fro is the transport's
// business (abi/folder.c: a channel), and so is waiting: operations of such files park the thread,
// and others of its program run meanwhile. The protocol: https://github.com/chaos/diod,
// protocol.md.
#pragma once
#include "fs/vfs.h"

enum { NINEP_MESSAGE = 64 << 10 }; // bytes of the largest message

struct ninep_transport {
    // One request at a time: waits until nobody else is at it. E_INTR: the thread is to end.
    enum fs_error (*begin)(struct ninep_transport *t);
    void (*end)(struct ninep_transport *t);
    // E_INTR: the thread is to end; the message was not sent, or its answer may still come.
    // E_NOMEM: it was not sent. E_IO: the server is gone, or what came was longer than `room`.
    enum fs_error (*send)(struct ninep_transport *t, const u8 *bytes, u32 size);
    enum fs_error (*receive)(struct ninep_transport *t, u8 *bytes, u32 room, u32 *size);
    // Has the server gone? NULL, as is `again`: never.
    bool (*gone)(struct ninep_transport *t);
    // To whoever serves now, waiting for him; what was open there is to be asked for anew.
    // E_NOTSUP: there is no way to find him. E_IO: there is nobody.
    enum fs_error (*again)(struct ninep_transport *t);
    void (*drop)(
        struct ninep_transport *t); // it is not used any more; from anywhere, does not wait
};

// The root of what is served there; nothing is asked before it is used. The transport goes with its
// last file. `dev` is what vfs_stat.dev says. NULL: no memory, and the transport is the caller's.
struct vfs_file *ninep_folder(struct ninep_transport *t, u64 dev);
