// SPDX-License-Identifier: MIT
// WASI: the calls that take a path. The path is confined by the directory's back end (fs/vfs.h);
// what is left here is flags, rights, and the number of what is opened.
#include "abi/wasi_call.h"
#include "plat/plat.h"

enum { LOOKUP_FOLLOW = 1 };

#define OPEN_AGAIN_NS 10000000ull // a FIFO that nobody reads says nothing when somebody does

// Rights of a file that the back end must open it for writing for.
static const u64 writing = 1ull << 6 | 1ull << 8 | 1ull << 22; // FD_WRITE, FD_ALLOCATE, SET_SIZE

static u32 how_to_open(const struct args_path_open *a)
{
    u32 how = a->oflags;
    how |= a->lookup & LOOKUP_FOLLOW ? VFS_FOLLOW : 0;
    how |= a->base & (R_FD_READ | R_FD_READDIR) ? VFS_READ : 0;
    how |= a->base & writing ? VFS_WRITE : 0;
    return how;
}

static enum fs_error may_open(const struct args_path_open *a)
{
    u64 needed = (a->oflags & VFS_CREATE ? R_PATH_CREATE_FILE : 0) |
                 (a->oflags & VFS_TRUNCATE ? R_PATH_FILESTAT_SET_SIZE : 0);
    u64 wanted = (a->base | a->inheriting) & R_ALL; // bits without a meaning give nothing
    return (needed & ~a->fd->base) || (wanted & ~a->fd->inheriting) ? E_NOTCAPABLE : E_SUCCESS;
}

enum fs_error wasi_path_open(struct call *c, struct args_path_open *a)
{
    struct vfs_file *dir = a->fd->file, *file;
    u32 number;
    enum fs_error e = may_open(a);
    if (!e)
        e = wasi_reserve_fd(c->wasi, &number);
    if (!e)
        e = vfs_open(dir, a->path, how_to_open(a), a->fdflags, &file);
    if (e == E_AGAIN)
        e = wasi_wait_until(c, NULL, 0, plat_now() + OPEN_AGAIN_NS);
    if (!e && file->parks && (e = wasi_reserve_fd(c->wasi, &number))) // others may have run
        vfs_close(file);
    if (e)
        return e;
    wasi_install_fd(c->wasi, number, file, a->base, a->inheriting & R_ALL);
    put_u32(c, a->opened, number);
    return E_SUCCESS;
}

enum fs_error wasi_path_filestat_get(struct call *c, struct args_path_filestat_get *a)
{
    struct vfs_stat st;
    enum fs_error e = vfs_path_stat(a->fd->file, a->path, a->lookup & LOOKUP_FOLLOW, &st);
    return e ? e : wasi_put_stat(c, a->stat, &st);
}

enum fs_error wasi_path_filestat_set_times(struct call *c, struct args_path_filestat_set_times *a)
{
    struct vfs_times t;
    (void)c;
    enum fs_error e = wasi_times(a->fstflags, a->atim, a->mtim, &t);
    return e ? e : vfs_path_times(a->fd->file, a->path, a->lookup & LOOKUP_FOLLOW, &t);
}

enum fs_error wasi_path_create_directory(struct call *c, struct args_path_create_directory *a)
{
    (void)c;
    return vfs_mkdir(a->fd->file, a->path);
}

enum fs_error wasi_path_remove_directory(struct call *c, struct args_path_remove_directory *a)
{
    (void)c;
    return vfs_rmdir(a->fd->file, a->path);
}

enum fs_error wasi_path_unlink_file(struct call *c, struct args_path_unlink_file *a)
{
    (void)c;
    return vfs_unlink(a->fd->file, a->path);
}

enum fs_error wasi_path_rename(struct call *c, struct args_path_rename *a)
{
    (void)c;
    return vfs_rename(a->fd->file, a->path, a->to->file, a->new);
}

// To follow a link first and then name what it leads to cannot be done in one step that nobody can
// come between; nobody has asked for it either.
enum fs_error wasi_path_link(struct call *c, struct args_path_link *a)
{
    (void)c;
    if (a->lookup & LOOKUP_FOLLOW)
        return E_INVAL;
    return vfs_link(a->fd->file, a->path, a->to->file, a->new);
}

enum fs_error wasi_path_symlink(struct call *c, struct args_path_symlink *a)
{
    (void)c;
    return vfs_symlink(a->fd->file, a->target, a->path);
}

enum fs_error wasi_path_readlink(struct call *c, struct args_path_readlink *a)
{
    u32 used = 0;
    enum fs_error e = vfs_readlink(a->fd->file, a->path, (char *)a->buf, a->buf_size, &used);
    if (!e)
        put_u32(c, a->bufused, used);
    return e;
}
