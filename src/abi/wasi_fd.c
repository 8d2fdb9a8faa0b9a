// SPDX-License-Identifier: MIT
// WASI: descriptors, and the calls on them.
//
// Numbers are given lowest first, as programs expect it of dup-like code. A descriptor holds the
// file, the rights that its calls need (base) and those that files opened through it may have
// (inheriting). A right that is missing is E_NOTCAPABLE; one that the kind of file never has is the
// error that POSIX has for it, so that programs see what they know: E_ISDIR, E_NOTDIR, E_SPIPE,
// E_NOTSOCK.
#include "abi/wasi_call.h"
#include "base/lookup.h"

#define RIGHT(bit, name, kinds) | ((kinds) & F ? 1ull << (bit) : 0)
static const u64 file_rights = 0
#include "abi/rights.def"
    ;
#define RIGHT(bit, name, kinds) | ((kinds) & D ? 1ull << (bit) : 0)
static const u64 directory_rights = 0
#include "abi/rights.def"
    ;
#define RIGHT(bit, name, kinds) | ((kinds) & S ? 1ull << (bit) : 0)
static const u64 socket_rights = 0
#include "abi/rights.def"
    ;

// Programs take a character device that cannot seek for a terminal, so that is what those rights
// say.
u64 wasi_rights(const struct vfs_file *f)
{
    switch (f->type) {
    case VFS_DIRECTORY: return directory_rights;
    case VFS_SOCKET_DGRAM:
    case VFS_SOCKET_STREAM: return socket_rights;
    case VFS_UNKNOWN:
    case VFS_BLOCK_DEVICE:
    case VFS_CHARACTER_DEVICE:
    case VFS_REGULAR_FILE:
    case VFS_SYMBOLIC_LINK: break;
    }
    return f->terminal ? file_rights & ~(R_FD_SEEK | R_FD_TELL) : file_rights;
}

u64 wasi_stream_rights(const struct vfs_file *f)
{
    return wasi_rights(f) & (file_rights | socket_rights);
}

static enum fs_error missing_right(const struct wasi_fd *fd, u64 missing)
{
    u64 foreign = missing & ~wasi_rights(fd->file);
    if (!foreign)
        return E_NOTCAPABLE;
    if (foreign & (R_SOCK_SHUTDOWN | R_SOCK_ACCEPT))
        return E_NOTSOCK;
    if (fd->file->type == VFS_DIRECTORY)
        return E_ISDIR;
    if (foreign & directory_rights & ~file_rights)
        return E_NOTDIR;
    return foreign & (R_FD_SEEK | R_FD_TELL) ? E_SPIPE : E_NOTCAPABLE;
}

static enum fs_error need(const struct wasi_fd *fd, u64 rights)
{
    u64 have = fd->base | (fd->base & R_FD_SEEK ? R_FD_TELL : 0);
    return likely(!(rights & ~have)) ? E_SUCCESS : missing_right(fd, rights & ~have);
}

enum fs_error wasi_find_fd(struct wasi *w, u32 number, u64 rights, struct wasi_fd **out)
{
    if (number >= w->fds.count || !w->fds.at[number].file)
        return E_BADF;
    *out = &w->fds.at[number];
    return need(*out, rights);
}

enum fs_error wasi_reserve_fd(struct wasi *w, u32 *number)
{
    u32 n = w->lowest;
    while (n < w->fds.count && w->fds.at[n].file)
        n++;
    w->lowest = n;
    *number = n;
    if (n >= MAX_FDS)
        return E_MFILE;
    return n < w->fds.count || vec_push(&w->fds, (struct wasi_fd){0}) ? E_SUCCESS : E_NOMEM;
}

void wasi_install_fd(struct wasi *w, u32 number, struct vfs_file *file, u64 base, u64 inheriting)
{
    w->fds.at[number] = (struct wasi_fd){
        .file = file,
        .base = base & wasi_rights(file),
        .inheriting = inheriting,
    };
}

void wasi_release_fd(struct wasi *w, u32 number)
{
    struct wasi_fd *fd = &w->fds.at[number];
    vfs_close(fd->file);
    heap_free(fd->preopen);
    *fd = (struct wasi_fd){0};
    if (number < w->lowest)
        w->lowest = number;
}

static u32 number_of(const struct call *c, const struct wasi_fd *fd)
{
    return (u32)(fd - c->wasi->fds.at);
}

enum fs_error wasi_fd_close(struct call *c, struct args_fd_close *a)
{
    wasi_release_fd(c->wasi, number_of(c, a->fd));
    return E_SUCCESS;
}

enum fs_error wasi_fd_renumber(struct call *c, struct args_fd_renumber *a)
{
    if (a->fd == a->to)
        return E_SUCCESS;
    struct wasi_fd moved = *a->fd;
    *a->fd = (struct wasi_fd){0};
    if (number_of(c, a->fd) < c->wasi->lowest)
        c->wasi->lowest = number_of(c, a->fd);
    wasi_release_fd(c->wasi, number_of(c, a->to));
    *a->to = moved;
    return E_SUCCESS;
}

// --- Data.
static enum fs_error moved(struct call *c, enum fs_error e, u64 done, u32 out)
{
    if (!e)
        put_u32(c, out, (u32)done);
    return e;
}

// What is left of the vectors behind what earlier rounds have moved.
struct rest {
    struct vfs_iov *v;
    u32 n;
    u64 size;
};

static struct rest rest_of(const struct call *c, struct vfs_iov *v, u32 n)
{
    struct rest r = {v, n, 0};
    u64 skip = c->done;
    for (; r.n && skip >= r.v->n; r.v++, r.n--)
        skip -= r.v->n;
    if (r.n) {
        r.v->p += skip;
        r.v->n -= skip;
    }
    for (u32 i = 0; i < r.n; i++)
        r.size += r.v[i].n;
    return r;
}

// The end of a round that has moved `done` of `wanted` bytes. Streams are waited for until all is
// done; an error after a part of it waits for the next call.
static enum fs_error moved_part(struct call *c, struct vfs_file *f, bool write, enum fs_error e,
                                u64 done, u64 wanted, u32 out)
{
    if (!e)
        c->done += done;
    if (e == E_AGAIN || (!e && done && done < wanted))
        e = wasi_wait(c, f, write);
    if (e == E_INTR)
        return e;
    return moved(c, c->done ? E_SUCCESS : e, c->done, out);
}

enum fs_error wasi_fd_read(struct call *c, struct args_fd_read *a)
{
    u64 done = 0;
    struct vfs_file *f = a->fd->file;
    enum fs_error e = vfs_read(f, a->iovs, a->iovs_count, VFS_HERE, &done);
    return moved_part(c, f, false, e, done, 0, a->nread);
}

// A program that does not expect less to be written than it gave sees what POSIX promises.
enum fs_error wasi_fd_write(struct call *c, struct args_fd_write *a)
{
    u64 done = 0;
    struct vfs_file *f = a->fd->file;
    struct rest r = rest_of(c, a->iovs, a->iovs_count);
    enum fs_error e = vfs_write(f, r.v, r.n, VFS_HERE, &done);
    return moved_part(c, f, true, e, done, r.size, a->nwritten);
}

enum fs_error wasi_fd_pread(struct call *c, struct args_fd_pread *a)
{
    u64 done = 0;
    if (a->offset > INT64_MAX)
        return E_INVAL;
    enum fs_error e = vfs_read(a->fd->file, a->iovs, a->iovs_count, a->offset, &done);
    return moved(c, e, done, a->nread);
}

enum fs_error wasi_fd_pwrite(struct call *c, struct args_fd_pwrite *a)
{
    u64 done = 0;
    if (a->offset > INT64_MAX)
        return E_INVAL;
    enum fs_error e = vfs_write(a->fd->file, a->iovs, a->iovs_count, a->offset, &done);
    return moved(c, e, done, a->nwritten);
}

static enum fs_error seek(struct call *c, struct wasi_fd *fd, s64 offset, enum vfs_whence whence,
                          u32 out)
{
    u64 position = 0;
    enum fs_error e = need(fd, whence == VFS_SEEK_CUR && !offset ? R_FD_TELL : R_FD_SEEK);
    if (!e)
        e = vfs_seek(fd->file, offset, whence, &position);
    if (!e)
        put_u64(c, out, position);
    return e;
}

enum fs_error wasi_fd_seek(struct call *c, struct args_fd_seek *a)
{
    static const enum vfs_whence order[][3] = {
        {VFS_SEEK_SET, VFS_SEEK_CUR, VFS_SEEK_END},
        {VFS_SEEK_CUR, VFS_SEEK_END, VFS_SEEK_SET}, // wasi_unstable
    };
    if (a->whence > 2)
        return E_INVAL;
    return seek(c, a->fd, (s64)a->offset, order[c->unstable][a->whence], a->position);
}

enum fs_error wasi_fd_tell(struct call *c, struct args_fd_tell *a)
{
    return seek(c, a->fd, 0, VFS_SEEK_CUR, a->position);
}

enum fs_error wasi_fd_sync(struct call *c, struct args_fd_sync *a)
{
    (void)c;
    return vfs_sync(a->fd->file, false);
}

enum fs_error wasi_fd_datasync(struct call *c, struct args_fd_datasync *a)
{
    (void)c;
    return vfs_sync(a->fd->file, true);
}

enum fs_error wasi_fd_allocate(struct call *c, struct args_fd_allocate *a)
{
    (void)c;
    return vfs_allocate(a->fd->file, a->offset, a->len);
}

enum fs_error wasi_fd_advise(struct call *c, struct args_fd_advise *a)
{
    (void)c;
    return vfs_advise(a->fd->file, a->offset, a->len, a->advice);
}

// --- What a descriptor is.
enum fs_error wasi_fd_fdstat_get(struct call *c, struct args_fd_fdstat_get *a)
{
    struct wasi_fdstat s;
    __builtin_memset(&s, 0, sizeof s);
    s.filetype = (u8)a->fd->file->type;
    s.flags = (u16)a->fd->file->flags;
    s.base = a->fd->base;
    s.inheriting = a->fd->inheriting;
    return put_bytes(c, a->stat, &s, sizeof s);
}

enum fs_error wasi_fd_fdstat_set_flags(struct call *c, struct args_fd_fdstat_set_flags *a)
{
    (void)c;
    return vfs_set_flags(a->fd->file, a->flags);
}

enum fs_error wasi_fd_fdstat_set_rights(struct call *c, struct args_fd_fdstat_set_rights *a)
{
    (void)c;
    if ((a->base & ~a->fd->base) || (a->inheriting & ~a->fd->inheriting))
        return E_NOTCAPABLE;
    a->fd->base = a->base;
    a->fd->inheriting = a->inheriting;
    return E_SUCCESS;
}

enum fs_error wasi_fd_prestat_get(struct call *c, struct args_fd_prestat_get *a)
{
    struct wasi_prestat p;
    if (!a->fd->preopen)
        return E_BADF;
    __builtin_memset(&p, 0, sizeof p);
    p.name_length = (u32)strlen(a->fd->preopen);
    return put_bytes(c, a->prestat, &p, sizeof p);
}

enum fs_error wasi_fd_prestat_dir_name(struct call *c, struct args_fd_prestat_dir_name *a)
{
    (void)c;
    if (!a->fd->preopen)
        return E_BADF;
    size_t n = strlen(a->fd->preopen);
    if (n > a->path_size)
        return E_NAMETOOLONG;
    memcpy(a->path, a->fd->preopen, n);
    return E_SUCCESS;
}

// --- What a file is.
enum fs_error wasi_put_stat(struct call *c, u32 address, const struct vfs_stat *st)
{
    struct wasi_filestat s;
    struct wasi_filestat_unstable u;
    __builtin_memset(&s, 0, sizeof s);
    __builtin_memset(&u, 0, sizeof u);
    s.dev = u.dev = st->dev;
    s.ino = u.ino = st->ino;
    s.filetype = u.filetype = (u8)st->type;
    s.nlink = st->nlink;
    u.nlink = (u32)st->nlink;
    s.size = u.size = st->size;
    s.atim = u.atim = st->atime;
    s.mtim = u.mtim = st->mtime;
    s.ctim = u.ctim = st->ctime;
    return c->unstable ? put_bytes(c, address, &u, sizeof u) : put_bytes(c, address, &s, sizeof s);
}

enum fs_error wasi_fd_filestat_get(struct call *c, struct args_fd_filestat_get *a)
{
    struct vfs_stat st;
    enum fs_error e = vfs_stat(a->fd->file, &st);
    return e ? e : wasi_put_stat(c, a->stat, &st);
}

enum fs_error wasi_fd_filestat_set_size(struct call *c, struct args_fd_filestat_set_size *a)
{
    (void)c;
    return vfs_set_size(a->fd->file, a->size);
}

enum fs_error wasi_times(u32 fstflags, u64 atim, u64 mtim, struct vfs_times *out)
{
    static const enum vfs_time how[] = {VFS_TIME_KEEP, VFS_TIME_SET, VFS_TIME_NOW};
    u32 access = fstflags & 3, modify = fstflags >> 2;
    if (access == 3 || modify == 3)
        return E_INVAL;
    *out = (struct vfs_times){how[access], how[modify], atim, mtim};
    return E_SUCCESS;
}

enum fs_error wasi_fd_filestat_set_times(struct call *c, struct args_fd_filestat_set_times *a)
{
    struct vfs_times t;
    (void)c;
    enum fs_error e = wasi_times(a->fstflags, a->atim, a->mtim, &t);
    return e ? e : vfs_set_times(a->fd->file, &t);
}

// --- Listing. The buffer is filled to its end: the last entry may be cut, and the program asks
// again.
static u32 put_part(u8 *to, u32 room, const void *from, u32 size)
{
    u32 n = size < room ? size : room;
    memcpy(to, from, n);
    return n;
}

enum fs_error wasi_fd_readdir(struct call *c, struct args_fd_readdir *a)
{
    enum { AT_ONCE = 64 };
    struct vfs_file *f = a->fd->file;
    struct vfs_dirent d;
    u32 used = 0, n = 0;
    u64 cookie = a->cookie;
    if (cookie > INT64_MAX)
        return E_INVAL;
    while (used < a->buf_size) {
        if (++n % AT_ONCE == 0 && look_up())
            return E_INTR;
        enum fs_error e = vfs_readdir(f, cookie, &d);
        if (e == E_NOENT)
            break;
        if (e)
            return e;
        struct wasi_dirent out;
        __builtin_memset(&out, 0, sizeof out);
        out.next = cookie = d.next;
        out.ino = d.ino;
        out.name_length = d.length;
        out.filetype = (u8)d.type;
        used += put_part(a->buf + used, a->buf_size - used, &out, sizeof out);
        used += put_part(a->buf + used, a->buf_size - used, d.name, d.length);
    }
    put_u32(c, a->bufused, used);
    return E_SUCCESS;
}

// --- Sockets: those that the program was started with, and what they accept.
enum fs_error wasi_sock_recv(struct call *c, struct args_sock_recv *a)
{
    enum { PEEK = 1, ALL = 2 };
    u64 done = 0;
    bool truncated = false;
    struct vfs_file *f = a->fd->file;
    struct rest r = rest_of(c, a->iovs, a->iovs_count);
    // To look at bytes that are there does not make room for more of them: no waiting for all then.
    bool all = a->riflags == ALL && f->type == VFS_SOCKET_STREAM;
    enum fs_error e = vfs_recv(f, r.v, r.n, a->riflags & PEEK, &done, &truncated);
    e = moved_part(c, f, false, e, done, all ? r.size : 0, a->nread);
    if (!e)
        put_u16(c, a->roflags, truncated);
    return e;
}

enum fs_error wasi_sock_send(struct call *c, struct args_sock_send *a)
{
    u64 done = 0;
    struct rest r = rest_of(c, a->iovs, a->iovs_count);
    enum fs_error e = vfs_send(a->fd->file, r.v, r.n, &done);
    return moved_part(c, a->fd->file, true, e, done, r.size, a->nwritten);
}

enum fs_error wasi_sock_shutdown(struct call *c, struct args_sock_shutdown *a)
{
    (void)c;
    return a->how ? vfs_shutdown(a->fd->file, a->how & 1, a->how & 2) : E_INVAL;
}

enum fs_error wasi_sock_accept(struct call *c, struct args_sock_accept *a)
{
    struct vfs_file *listener = a->fd->file, *file;
    u32 number;
    u64 inheriting = a->fd->inheriting | socket_rights;
    enum fs_error e = wasi_reserve_fd(c->wasi, &number);
    if (!e)
        e = vfs_accept(listener, a->flags, &file);
    if (e)
        return e == E_AGAIN ? wasi_wait(c, listener, false) : e;
    wasi_install_fd(c->wasi, number, file, inheriting, inheriting);
    put_u32(c, a->accepted, number);
    return E_SUCCESS;
}
