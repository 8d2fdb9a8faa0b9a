// SPDX-License-Identifier: MIT
// The small VFS: what a file is to the WASI calls, whoever keeps it. Back ends are fs/memory.c and
// the platform's own (plat/linux/hostfs.c); the calls see neither.
//
// A struct vfs_file is an open file description: a regular file, a directory, a stream or a socket,
// with its position and flags. It is counted (vfs_ref, vfs_close). Directories are files too; the
// calls that take a path are relative to one.
//
// Paths are NUL-terminated, non-empty, relative, valid UTF-8 and shorter than VFS_PATH; the caller
// has checked that. A back end never leaves the directory that the path is relative to: not by
// "..", not by a symbolic link, not by a rename under its feet. It answers E_PERM when one tries,
// as it does to a link with an absolute target on the way. Trailing slashes mean what they mean in
// POSIX: the name is that of a directory, and a link is followed. Creating and removing never
// follows the last name.
//
// No call waits, but those on a file that `parks` (fs/ninep.h): they park the thread, and others of
// its program run meanwhile, so the caller has a reference. All others do not. Those that would
// have to (read, write, recv, send, accept, open of a FIFO) answer E_AGAIN, whatever VFS_NONBLOCK
// says: that flag is kept for whoever calls, who then waits, with a watch or a vfs_wait_fn, or does
// not. Less than all may be written. Disks are not waited for: they are taken to be quick. E_INTR:
// a signal came before anything happened. A back end leaves out (NULL) what it does not have; the
// wrappers of vfs.c answer for it.
//
// Files are shared between CPUs: references are counted atomically, and a back end guards what lies
// behind them, positions included, by locks of its own: a spin lock for each tree in memory, which
// is held for one operation, and takes nothing but the heap's and page faults' locks meanwhile. A
// file is closed by whoever gives the last reference back, wherever that is.
#pragma once
#include "base/types.h"

enum fs_error {
#define ERRNO(number, name, text) E_##name = number,
#include "fs/errno.def"
};
const char *fs_error_text(enum fs_error e); // never NULL
const char *fs_error_name(enum fs_error e); // "NOENT"; never NULL

enum vfs_limit {
    VFS_PATH = 4096, // bytes, final 0 included
    VFS_NAME = 255,  // bytes of one component
    VFS_LINKS = 40,  // symbolic links followed in one path
};

// Numbers are those of WASI's filetype.
enum vfs_type {
    VFS_UNKNOWN,
    VFS_BLOCK_DEVICE,
    VFS_CHARACTER_DEVICE,
    VFS_DIRECTORY,
    VFS_REGULAR_FILE,
    VFS_SOCKET_DGRAM,
    VFS_SOCKET_STREAM,
    VFS_SYMBOLIC_LINK,
};

// Numbers are those of WASI's fdflags.
enum vfs_flags {
    VFS_APPEND = 1,
    VFS_DSYNC = 2,
    VFS_NONBLOCK = 4,
    VFS_RSYNC = 8,
    VFS_SYNC = 16,
};

// How to open. The first four are WASI's oflags.
enum vfs_open {
    VFS_CREATE = 1,
    VFS_DIR_ONLY = 2,
    VFS_EXCLUSIVE = 4,
    VFS_TRUNCATE = 8,
    VFS_FOLLOW = 16, // a link in last place
    VFS_READ = 32,
    VFS_WRITE = 64,
};

enum vfs_whence { VFS_SEEK_SET, VFS_SEEK_CUR, VFS_SEEK_END };

struct vfs_stat {
    u64 dev, ino, nlink, size;
    u64 atime, mtime, ctime; // ns since 1970
    enum vfs_type type;
};

// New times; a NULL-like choice per time.
struct vfs_times {
    enum vfs_time { VFS_TIME_KEEP, VFS_TIME_NOW, VFS_TIME_SET } access, modify;
    u64 atime, mtime;
};

// The layout is that of POSIX's iovec.
struct vfs_iov {
    u8 *p;
    size_t n;
};

// One name of a directory. `next` is the cookie that continues behind it.
struct vfs_dirent {
    u64 next, ino;
    enum vfs_type type;
    u32 length;
    char name[VFS_NAME + 1];
};

// A question about readiness, and its answer.
struct vfs_poll {
    struct vfs_file *file;
    bool write; // to write; otherwise to read
    bool ready;
    bool hangup;
    enum fs_error error;
    u64 bytes; // that can be read now, when known
};

// Somebody who waits for a file: see vfs_watch_add. It usually lies on the stack of the coroutine
// that waits.
struct vfs_watch {
    void (*ready)(struct vfs_watch *w);
    bool write; // to write; otherwise to read
    // The back end's.
    const struct vfs_ops *ops; // NULL: not watching
    u32 slot;
    struct vfs_watch *next, *previous;
};

struct vfs_file {
    const struct vfs_ops *ops;
    u32 refs;
    enum vfs_type type;
    u32 flags;      // enum vfs_flags
    bool terminal;  // someone types there
    bool parks;     // its operations may park the thread
    bool read_only; // nothing is changed through it, or through what is opened through it: E_ROFS
};

// At the file's own position, for read and write.
#define VFS_HERE UINT64_MAX

struct vfs_ops {
    void (*close)(struct vfs_file *f); // the last reference went
    // Data. Reads and writes stop early as POSIX's do; *done bytes were moved. offset: VFS_HERE
    // moves the position, anything else leaves it alone.
    enum fs_error (*read)(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                          u64 *done);
    enum fs_error (*write)(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                           u64 *done);
    enum fs_error (*seek)(struct vfs_file *f, s64 offset, enum vfs_whence whence, u64 *position);
    enum fs_error (*stat)(struct vfs_file *f, struct vfs_stat *out);
    enum fs_error (*set_size)(struct vfs_file *f, u64 size);
    enum fs_error (*set_times)(struct vfs_file *f, const struct vfs_times *t);
    enum fs_error (*set_flags)(struct vfs_file *f, u32 flags);
    enum fs_error (*allocate)(struct vfs_file *f, u64 offset, u64 length);
    enum fs_error (*advise)(struct vfs_file *f, u64 offset, u64 length,
                            u32 advice); // WASI's numbers
    enum fs_error (*sync)(struct vfs_file *f, bool data_only);
    // Answers at once. NULL: always ready.
    void (*ready)(struct vfs_poll *p);
    // vfs_watch_add and vfs_watch_drop. Both or none: always ready.
    enum fs_error (*watch)(struct vfs_file *f, struct vfs_watch *w);
    void (*unwatch)(struct vfs_watch *w);
    // Directories. cookie 0 starts; E_NOENT at the end.
    enum fs_error (*readdir)(struct vfs_file *d, u64 cookie, struct vfs_dirent *out);
    enum fs_error (*open)(struct vfs_file *d, const char *path, u32 how, u32 flags,
                          struct vfs_file **out);
    enum fs_error (*path_stat)(struct vfs_file *d, const char *path, bool follow,
                               struct vfs_stat *out);
    enum fs_error (*path_times)(struct vfs_file *d, const char *path, bool follow,
                                const struct vfs_times *t);
    enum fs_error (*mkdir)(struct vfs_file *d, const char *path);
    enum fs_error (*rmdir)(struct vfs_file *d, const char *path);
    enum fs_error (*unlink)(struct vfs_file *d, const char *path);
    // Both directories belong to the same back end: vfs_rename and vfs_link see to it.
    enum fs_error (*rename)(struct vfs_file *d, const char *path, struct vfs_file *to_dir,
                            const char *to);
    enum fs_error (*link)(struct vfs_file *d, const char *path, struct vfs_file *to_dir,
                          const char *to);
    enum fs_error (*symlink)(struct vfs_file *d, const char *target, const char *path);
    // Writes at most size bytes, without a final 0; *length of them.
    enum fs_error (*readlink)(struct vfs_file *d, const char *path, char *buffer, u32 size,
                              u32 *length);
    // Sockets. Flags are WASI's: recv 1 peek; *truncated: a datagram was cut.
    enum fs_error (*recv)(struct vfs_file *f, const struct vfs_iov *v, u32 n, u32 flags, u64 *done,
                          bool *truncated);
    enum fs_error (*send)(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 *done);
    enum fs_error (*shutdown)(struct vfs_file *f, bool read, bool write);
    enum fs_error (*accept)(struct vfs_file *f, u32 flags, struct vfs_file **out);
};

// Waits until one of the files is ready or it is `until` (plat_now; 0: only looks, UINT64_MAX: for
// ever), and fills the answers in. n may be 0. E_INTR after a signal. The platform has it, for it
// alone can wait for several files at once.
typedef enum fs_error vfs_wait_fn(struct vfs_poll *items, u32 n, u64 until);

static inline struct vfs_file *vfs_ref(struct vfs_file *f)
{
    if (f)
        __atomic_add_fetch(&f->refs, 1, __ATOMIC_RELAXED);
    return f;
}
void vfs_close(struct vfs_file *f); // NULL is fine

enum fs_error vfs_read(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset, u64 *done);
enum fs_error vfs_write(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset, u64 *done);
enum fs_error vfs_seek(struct vfs_file *f, s64 offset, enum vfs_whence whence, u64 *position);
enum fs_error vfs_stat(struct vfs_file *f, struct vfs_stat *out);
enum fs_error vfs_set_size(struct vfs_file *f, u64 size);
enum fs_error vfs_set_times(struct vfs_file *f, const struct vfs_times *t);
enum fs_error vfs_set_flags(struct vfs_file *f, u32 flags);
enum fs_error vfs_allocate(struct vfs_file *f, u64 offset, u64 length);
enum fs_error vfs_advise(struct vfs_file *f, u64 offset, u64 length, u32 advice);
enum fs_error vfs_sync(struct vfs_file *f, bool data_only);
void vfs_ready(struct vfs_poll *p);

// Arranges that w->ready(w) is called once, as soon as reading (writing) f may not have to wait, or
// soon if that is so already: by plat_poll or plat_wait on some CPU, in ordinary C. One watch says
// little about what comes next: somebody else may be quicker, so try, and watch again. f stays open
// until the watch is dropped. E_NOTSUP: f is always ready. E_NOMEM, E_MFILE, E_NOSPC.
//
// `ready` runs under a lock of the platform's, the I/O lock, which comes before the kernel's locks:
// so it may take those, and it may not watch or drop. Both calls below take the I/O lock.
enum fs_error vfs_watch_add(struct vfs_file *f, struct vfs_watch *w);
// Afterwards ready is not called any more, nor running on another CPU. Any watch that vfs_watch_add
// was called with may be dropped, once it was refused or ready too.
void vfs_watch_drop(struct vfs_watch *w);

enum fs_error vfs_readdir(struct vfs_file *d, u64 cookie, struct vfs_dirent *out);
enum fs_error vfs_open(struct vfs_file *d, const char *path, u32 how, u32 flags,
                       struct vfs_file **out);
enum fs_error vfs_path_stat(struct vfs_file *d, const char *path, bool follow,
                            struct vfs_stat *out);
enum fs_error vfs_path_times(struct vfs_file *d, const char *path, bool follow,
                             const struct vfs_times *t);
enum fs_error vfs_mkdir(struct vfs_file *d, const char *path);
enum fs_error vfs_rmdir(struct vfs_file *d, const char *path);
enum fs_error vfs_unlink(struct vfs_file *d, const char *path);
enum fs_error vfs_rename(struct vfs_file *d, const char *path, struct vfs_file *to_dir,
                         const char *to);
enum fs_error vfs_link(struct vfs_file *d, const char *path, struct vfs_file *to_dir,
                       const char *to);
enum fs_error vfs_symlink(struct vfs_file *d, const char *target, const char *path);
enum fs_error vfs_readlink(struct vfs_file *d, const char *path, char *buffer, u32 size,
                           u32 *length);

enum fs_error vfs_recv(struct vfs_file *f, const struct vfs_iov *v, u32 n, u32 flags, u64 *done,
                       bool *truncated);
enum fs_error vfs_send(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 *done);
enum fs_error vfs_shutdown(struct vfs_file *f, bool read, bool write);
enum fs_error vfs_accept(struct vfs_file *f, u32 flags, struct vfs_file **out);
