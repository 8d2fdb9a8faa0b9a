// SPDX-License-Identifier: MIT
// The calls of the VFS: each goes to the back end's operation, or answers for one that has none.
// The answer depends on what the file is: a path relative to something that is no directory is
// E_NOTDIR, data of a directory E_ISDIR, and what a back end cannot do at all E_NOTSUP.
#include "fs/vfs.h"

const char *fs_error_text(enum fs_error e)
{
    switch (e) {
#define ERRNO(number, name, text)                                                                  \
    case E_##name: return text;
#include "fs/errno.def"
    }
    return "unknown error";
}

const char *fs_error_name(enum fs_error e)
{
    switch (e) {
#define ERRNO(number, name, text)                                                                  \
    case E_##name: return #name;
#include "fs/errno.def"
    }
    return "?";
}

void vfs_close(struct vfs_file *f)
{
    if (f && __atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL) == 0)
        f->ops->close(f);
}

static enum fs_error no_data(const struct vfs_file *f)
{
    return f->type == VFS_DIRECTORY ? E_ISDIR : E_NOTSUP;
}

static enum fs_error no_path(const struct vfs_file *f)
{
    return f->type == VFS_DIRECTORY ? E_NOTSUP : E_NOTDIR;
}

// For what would change something.
#define CHANGE(f, op, missing, ...) ((f)->read_only ? E_ROFS : FORWARD(f, op, missing, __VA_ARGS__))
#define FORWARD(f, op, missing, ...) ((f)->ops->op ? (f)->ops->op((f), __VA_ARGS__) : (missing))

enum fs_error vfs_read(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset, u64 *done)
{
    return FORWARD(f, read, no_data(f), v, n, offset, done);
}

enum fs_error vfs_write(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset, u64 *done)
{
    return CHANGE(f, write, no_data(f), v, n, offset, done);
}

enum fs_error vfs_seek(struct vfs_file *f, s64 offset, enum vfs_whence whence, u64 *position)
{
    return FORWARD(f, seek, f->type == VFS_DIRECTORY ? E_ISDIR : E_SPIPE, offset, whence, position);
}

enum fs_error vfs_stat(struct vfs_file *f, struct vfs_stat *out)
{
    return FORWARD(f, stat, E_NOTSUP, out);
}

enum fs_error vfs_set_size(struct vfs_file *f, u64 size)
{
    return CHANGE(f, set_size, no_data(f), size);
}

enum fs_error vfs_set_times(struct vfs_file *f, const struct vfs_times *t)
{
    return CHANGE(f, set_times, E_NOTSUP, t);
}

enum fs_error vfs_set_flags(struct vfs_file *f, u32 flags)
{
    return FORWARD(f, set_flags, E_NOTSUP, flags);
}

enum fs_error vfs_allocate(struct vfs_file *f, u64 offset, u64 length)
{
    return CHANGE(f, allocate, no_data(f), offset, length);
}

enum fs_error vfs_advise(struct vfs_file *f, u64 offset, u64 length, u32 advice)
{
    return FORWARD(f, advise, E_SUCCESS, offset, length, advice);
}

enum fs_error vfs_sync(struct vfs_file *f, bool data_only)
{
    return FORWARD(f, sync, E_SUCCESS, data_only);
}

void vfs_ready(struct vfs_poll *p)
{
    p->ready = true;
    p->hangup = false;
    p->bytes = 0;
    p->error = E_SUCCESS;
    if (p->file->ops->ready)
        p->file->ops->ready(p);
}

enum fs_error vfs_watch_add(struct vfs_file *f, struct vfs_watch *w)
{
    w->ops = f->ops;
    enum fs_error e = FORWARD(f, watch, E_NOTSUP, w);
    if (e)
        w->ops = NULL;
    return e;
}

void vfs_watch_drop(struct vfs_watch *w)
{
    if (w->ops)
        w->ops->unwatch(w);
    w->ops = NULL;
}

enum fs_error vfs_readdir(struct vfs_file *d, u64 cookie, struct vfs_dirent *out)
{
    return FORWARD(d, readdir, no_path(d), cookie, out);
}

// What is wrong with a path is as it would be where one may write.
static enum fs_error open_to_read(struct vfs_file *d, const char *path, u32 how, u32 flags,
                                  struct vfs_file **out)
{
    u32 changes = VFS_CREATE | VFS_EXCLUSIVE | VFS_TRUNCATE | VFS_WRITE;
    bool exclusive = how & VFS_CREATE && how & VFS_EXCLUSIVE, writes = how & VFS_WRITE;
    enum fs_error e =
        FORWARD(d, open, no_path(d), path, (how & ~changes) | (writes ? VFS_READ : 0), flags, out);
    if (e)
        return e == E_NOENT && how & VFS_CREATE ? E_ROFS : e;
    (*out)->read_only = true;
    if (exclusive)
        e = E_EXIST;
    else if (writes || how & VFS_TRUNCATE)
        e = (*out)->type == VFS_DIRECTORY ? E_ISDIR : E_ROFS;
    if (e)
        vfs_close(*out);
    return e;
}

enum fs_error vfs_open(struct vfs_file *d, const char *path, u32 how, u32 flags,
                       struct vfs_file **out)
{
    if ((how & VFS_CREATE) && (how & VFS_DIR_ONLY))
        return E_INVAL;
    if (d->read_only)
        return open_to_read(d, path, how, flags, out);
    return FORWARD(d, open, no_path(d), path, how, flags, out);
}

enum fs_error vfs_path_stat(struct vfs_file *d, const char *path, bool follow, struct vfs_stat *out)
{
    return FORWARD(d, path_stat, no_path(d), path, follow, out);
}

enum fs_error vfs_path_times(struct vfs_file *d, const char *path, bool follow,
                             const struct vfs_times *t)
{
    return CHANGE(d, path_times, no_path(d), path, follow, t);
}

enum fs_error vfs_mkdir(struct vfs_file *d, const char *path)
{
    return CHANGE(d, mkdir, no_path(d), path);
}

enum fs_error vfs_rmdir(struct vfs_file *d, const char *path)
{
    return CHANGE(d, rmdir, no_path(d), path);
}

enum fs_error vfs_unlink(struct vfs_file *d, const char *path)
{
    return CHANGE(d, unlink, no_path(d), path);
}

enum fs_error vfs_rename(struct vfs_file *d, const char *path, struct vfs_file *to_dir,
                         const char *to)
{
    if (to_dir->read_only)
        return E_ROFS;
    if (to_dir->ops != d->ops)
        return to_dir->type == VFS_DIRECTORY ? E_XDEV : E_NOTDIR;
    return CHANGE(d, rename, no_path(d), path, to_dir, to);
}

enum fs_error vfs_link(struct vfs_file *d, const char *path, struct vfs_file *to_dir,
                       const char *to)
{
    if (to_dir->read_only)
        return E_ROFS;
    if (to_dir->ops != d->ops)
        return to_dir->type == VFS_DIRECTORY ? E_XDEV : E_NOTDIR;
    return CHANGE(d, link, no_path(d), path, to_dir, to);
}

// A target that no back end would follow is not stored either.
enum fs_error vfs_symlink(struct vfs_file *d, const char *target, const char *path)
{
    if (target[0] == '/')
        return E_PERM;
    return CHANGE(d, symlink, no_path(d), target, path);
}

enum fs_error vfs_readlink(struct vfs_file *d, const char *path, char *buffer, u32 size,
                           u32 *length)
{
    return FORWARD(d, readlink, no_path(d), path, buffer, size, length);
}

enum fs_error vfs_recv(struct vfs_file *f, const struct vfs_iov *v, u32 n, u32 flags, u64 *done,
                       bool *truncated)
{
    return FORWARD(f, recv, E_NOTSOCK, v, n, flags, done, truncated);
}

enum fs_error vfs_send(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 *done)
{
    return FORWARD(f, send, E_NOTSOCK, v, n, done);
}

enum fs_error vfs_shutdown(struct vfs_file *f, bool read, bool write)
{
    return FORWARD(f, shutdown, E_NOTSOCK, read, write);
}

enum fs_error vfs_accept(struct vfs_file *f, u32 flags, struct vfs_file **out)
{
    return FORWARD(f, accept, E_NOTSOCK, flags, out);
}
