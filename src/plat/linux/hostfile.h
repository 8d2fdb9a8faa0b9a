// SPDX-License-Identifier: MIT
// What the parts of the host backend share: hostfile.c (data, streams, sockets), hostdir.c (what is
// done by path), hostpath.c (how a path is confined) and watch.c (who waits for a descriptor).
#pragma once
#include "plat/linux/hostfs.h"

struct host_dir; // names read ahead; hostdir.c

// Whom the last datagram came from. What is sent goes there.
struct host_peer {
    u32 size; // 0: there was none
    u8 address[28];
};

// How data is moved without waiting.
enum host_io {
    IO_PLAIN,  // a disk's: as it is
    IO_OWN,    // the open file description is ours, and has O_NONBLOCK
    IO_SOCKET, // MSG_DONTWAIT
    IO_NOWAIT, // RWF_NOWAIT, as long as it turns out to work
    IO_LOOK,   // by asking first; somebody else may still be quicker, and then we wait
};

struct host_file {
    struct vfs_file f;
    int fd;
    bool ours;    // fd is to be closed
    bool adopted; // its flags are left alone
    u8 lines;     // others than programs write to it, too (lines.h): by this number; 0: no
    enum host_io io;
    bool walk;    // paths below are resolved by host_where's walk, not by openat2
    bool process; // lies in /proc because the user gave a folder there
    struct host_dir *names;
    struct host_peer *peer; // NULL: it has one, or nobody may be answered
};

extern const struct vfs_ops hostfs_ops;

static inline struct host_file *host_file(struct vfs_file *f)
{
    return container_of(f, struct host_file, f);
}

enum fs_error host_error(int error);   // of an errno
enum fs_error host_check(long result); // of a system call's result: errno when negative
// Takes the descriptor over, also when it fails. flags are what is remembered as enum vfs_flags;
// `in`: the folder through which it was opened, or NULL.
enum fs_error host_file_new(int fd, u32 flags, const struct host_file *in, struct vfs_file **out);
bool host_of_processes(int fd); // whether it lies in /proc, where our own memory is a file
enum vfs_type host_type(u32 mode, int fd);
struct stat;
void host_stat(const struct stat *st, int fd, struct vfs_stat *out);
struct timespec;
void host_times(const struct vfs_times *t, struct timespec out[2]);
void host_names_free(struct host_dir *names);

// Readiness; watch.c.
enum fs_error host_watch(struct vfs_file *f, struct vfs_watch *w);
void host_unwatch(struct vfs_watch *w);

// --- Paths. Where the last name of a path is: calls of the kernel's *at family take fd and name,
// with AT_SYMLINK_NOFOLLOW and, when name is empty, AT_EMPTY_PATH.
struct host_where {
    int fd;
    bool owned; // host_where_done closes it
    char name[VFS_NAME + 2];
};
enum host_last {
    LAST_NAME,   // to create or remove: not looked at, and a trailing slash stays at the name
    LAST_SELF,   // the thing itself, a link too (unless a slash follows)
    LAST_FOLLOW, // what a link leads to
};
enum fs_error host_where(struct host_file *d, const char *path, enum host_last last,
                         struct host_where *w);
void host_where_done(struct host_where *w);
// Opens what a path leads to; flags as open(2), O_NOFOLLOW included.
enum fs_error host_open(struct host_file *d, const char *path, int flags, int *fd);

// The operations by path; hostdir.c.
enum fs_error hostdir_readdir(struct vfs_file *f, u64 cookie, struct vfs_dirent *out);
enum fs_error hostdir_open(struct vfs_file *f, const char *path, u32 how, u32 flags,
                           struct vfs_file **out);
enum fs_error hostdir_stat(struct vfs_file *f, const char *path, bool follow, struct vfs_stat *out);
enum fs_error hostdir_times(struct vfs_file *f, const char *path, bool follow,
                            const struct vfs_times *t);
enum fs_error hostdir_mkdir(struct vfs_file *f, const char *path);
enum fs_error hostdir_rmdir(struct vfs_file *f, const char *path);
enum fs_error hostdir_unlink(struct vfs_file *f, const char *path);
enum fs_error hostdir_rename(struct vfs_file *f, const char *path, struct vfs_file *to_dir,
                             const char *to);
enum fs_error hostdir_link(struct vfs_file *f, const char *path, struct vfs_file *to_dir,
                           const char *to);
enum fs_error hostdir_symlink(struct vfs_file *f, const char *target, const char *path);
enum fs_error hostdir_readlink(struct vfs_file *f, const char *path, char *buffer, u32 size,
                               u32 *length);
