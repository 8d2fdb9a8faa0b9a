// SPDX-License-Identifier: MIT
// Folders of the host: what is done by path, and listing.
//
// host_where and host_open (hostpath.c) confine the path; what is left here is the kernel's own
// call on a folder and a name that is not followed. Names are read ahead in blocks; a cookie is the
// kernel's d_off, which stays valid while the folder changes, and going on from a cookie within the
// block costs no system call. The number that ".." would give away is replaced by the folder's own.
// Names, and the position of the descriptor that goes with them, have one lock for all folders.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/heap.h"
#include "plat/linux/hostfile.h"

struct host_dir {
    u64 first; // cookie at which the block begins
    u64 at;    // cookie at pos
    u32 pos, used;
    u8 block[16384] __attribute__((aligned(8)));
};

static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;

void host_names_free(struct host_dir *names)
{
    heap_free(names);
}

static const struct dirent64 *entry(const struct host_dir *n)
{
    return (const struct dirent64 *)(n->block + n->pos);
}

static void skip_entry(struct host_dir *n)
{
    n->at = (u64)entry(n)->d_off;
    n->pos += entry(n)->d_reclen;
}

// Goes to a cookie: in the block, or by asking the kernel to. 0 always starts afresh.
static enum fs_error go_to(struct host_file *h, u64 cookie)
{
    struct host_dir *n = h->names;
    if (n->at == cookie && cookie)
        return E_SUCCESS;
    n->pos = 0;
    n->at = n->first;
    while (n->pos < n->used && n->at != cookie)
        skip_entry(n);
    if (n->pos < n->used && cookie)
        return E_SUCCESS;
    n->pos = n->used = 0;
    n->first = n->at = cookie;
    return host_check(lseek(h->fd, (off_t)cookie, SEEK_SET));
}

static enum fs_error fill(struct host_file *h)
{
    struct host_dir *n = h->names;
    if (n->pos < n->used)
        return E_SUCCESS;
    ssize_t got = getdents64(h->fd, n->block, sizeof n->block);
    if (got <= 0)
        return got < 0 ? host_error(errno) : E_NOENT;
    n->pos = 0;
    n->used = (u32)got;
    n->first = n->at;
    return E_SUCCESS;
}

static enum vfs_type entry_type(struct host_file *h, const struct dirent64 *d)
{
    struct stat st;
    switch (d->d_type) {
    case DT_UNKNOWN:
        if (fstatat(h->fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            return host_type(st.st_mode, -1);
        return VFS_UNKNOWN;
    default: return host_type(DTTOIF((u32)d->d_type), -1);
    }
}

static enum fs_error next_name(struct host_file *h, u64 cookie, struct vfs_dirent *out)
{
    struct stat st;
    if (!h->names && !(h->names = heap_zalloc(sizeof *h->names)))
        return E_NOMEM;
    enum fs_error e = go_to(h, cookie);
    if (!e)
        e = fill(h);
    if (e)
        return e;
    const struct dirent64 *d = entry(h->names);
    out->length = (u32)strlen(d->d_name);
    memcpy(out->name, d->d_name, out->length + 1);
    out->next = (u64)d->d_off;
    out->ino = d->d_ino;
    out->type = entry_type(h, d);
    if (strcmp(d->d_name, "..") == 0 && fstat(h->fd, &st) == 0)
        out->ino = st.st_ino;
    skip_entry(h->names);
    return E_SUCCESS;
}

enum fs_error hostdir_readdir(struct vfs_file *f, u64 cookie, struct vfs_dirent *out)
{
    if (f->type != VFS_DIRECTORY)
        return E_NOTDIR;
    pthread_mutex_lock(&names_lock);
    enum fs_error e = next_name(host_file(f), cookie, out);
    pthread_mutex_unlock(&names_lock);
    return e;
}

static int open_flags(u32 how, u32 flags)
{
    int o = O_NOCTTY | O_NONBLOCK; // for FIFOs and devices; hostfile.c relies on it
    o |= how & VFS_WRITE ? how & VFS_READ ? O_RDWR : O_WRONLY : O_RDONLY;
    o |= how & VFS_CREATE ? O_CREAT : 0;
    o |= how & VFS_CREATE && how & VFS_EXCLUSIVE ? O_EXCL : 0;
    o |= how & VFS_DIR_ONLY ? O_DIRECTORY : 0;
    o |= how & VFS_TRUNCATE ? O_TRUNC : 0;
    o |= how & VFS_FOLLOW ? 0 : O_NOFOLLOW;
    o |= flags & VFS_APPEND ? O_APPEND : 0;
    o |= flags & VFS_DSYNC ? O_DSYNC : 0;
    o |= flags & (VFS_SYNC | VFS_RSYNC) ? O_SYNC : 0;
    return o;
}

static bool is_fifo(struct vfs_file *f, const char *path, bool follow)
{
    struct vfs_stat st;
    return hostdir_stat(f, path, follow, &st) == E_SUCCESS && st.type == VFS_UNKNOWN;
}

enum fs_error hostdir_open(struct vfs_file *f, const char *path, u32 how, u32 flags,
                           struct vfs_file **out)
{
    struct host_file *h = host_file(f);
    int fd;
    enum fs_error e = host_open(h, path, open_flags(how, flags), &fd);
    if (e == E_NXIO && !(flags & VFS_NONBLOCK) && is_fifo(f, path, how & VFS_FOLLOW))
        return E_AGAIN; // to be written to, and nobody reads it yet
    if (e)
        return e;
    if (!h->process && host_of_processes(fd)) {
        close(fd);
        return E_PERM;
    }
    return host_file_new(fd, flags, h, out);
}

enum fs_error hostdir_stat(struct vfs_file *f, const char *path, bool follow, struct vfs_stat *out)
{
    struct host_where w;
    struct stat st;
    enum fs_error e = host_where(host_file(f), path, follow ? LAST_FOLLOW : LAST_SELF, &w);
    if (e)
        return e;
    e = host_check(fstatat(w.fd, w.name, &st, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH));
    if (!e)
        host_stat(&st, -1, out);
    host_where_done(&w);
    return e;
}

enum fs_error hostdir_times(struct vfs_file *f, const char *path, bool follow,
                            const struct vfs_times *t)
{
    struct host_where w;
    struct timespec times[2];
    enum fs_error e = host_where(host_file(f), path, follow ? LAST_FOLLOW : LAST_SELF, &w);
    if (e)
        return e;
    host_times(t, times);
    int how = AT_SYMLINK_NOFOLLOW | (w.name[0] ? 0 : AT_EMPTY_PATH);
    e = host_check(utimensat(w.fd, w.name, times, how));
    host_where_done(&w);
    return e;
}

enum fs_error hostdir_mkdir(struct vfs_file *f, const char *path)
{
    struct host_where w;
    enum fs_error e = host_where(host_file(f), path, LAST_NAME, &w);
    if (e)
        return e;
    e = host_check(mkdirat(w.fd, w.name, 0777));
    host_where_done(&w);
    return e;
}

static enum fs_error remove_name(struct vfs_file *f, const char *path, int flags)
{
    struct host_where w;
    enum fs_error e = host_where(host_file(f), path, LAST_NAME, &w);
    if (e)
        return e;
    e = host_check(unlinkat(w.fd, w.name, flags));
    host_where_done(&w);
    return e;
}

enum fs_error hostdir_rmdir(struct vfs_file *f, const char *path)
{
    return remove_name(f, path, AT_REMOVEDIR);
}

enum fs_error hostdir_unlink(struct vfs_file *f, const char *path)
{
    return remove_name(f, path, 0);
}

// Both ends of a rename or link.
static enum fs_error two_names(struct vfs_file *f, const char *path, struct vfs_file *to_dir,
                               const char *to, struct host_where w[2])
{
    enum fs_error e = host_where(host_file(f), path, LAST_NAME, &w[0]);
    if (e)
        return e;
    e = host_where(host_file(to_dir), to, LAST_NAME, &w[1]);
    if (e)
        host_where_done(&w[0]);
    return e;
}

enum fs_error hostdir_rename(struct vfs_file *f, const char *path, struct vfs_file *to_dir,
                             const char *to)
{
    struct host_where w[2];
    enum fs_error e = two_names(f, path, to_dir, to, w);
    if (e)
        return e;
    e = host_check(renameat(w[0].fd, w[0].name, w[1].fd, w[1].name));
    host_where_done(&w[0]);
    host_where_done(&w[1]);
    return e;
}

// The source's trailing slash must go: with it the kernel would follow a link there.
static enum fs_error link_source(struct host_where *w)
{
    struct stat st;
    size_t n = strlen(w->name);
    if (w->name[n - 1] != '/')
        return E_SUCCESS;
    w->name[n - 1] = 0;
    enum fs_error e = host_check(fstatat(w->fd, w->name, &st, AT_SYMLINK_NOFOLLOW));
    return e ? e : S_ISDIR(st.st_mode) ? E_PERM : E_NOTDIR;
}

enum fs_error hostdir_link(struct vfs_file *f, const char *path, struct vfs_file *to_dir,
                           const char *to)
{
    struct host_where w[2];
    enum fs_error e = two_names(f, path, to_dir, to, w);
    if (e)
        return e;
    e = link_source(&w[0]);
    if (!e)
        e = host_check(linkat(w[0].fd, w[0].name, w[1].fd, w[1].name, 0));
    host_where_done(&w[0]);
    host_where_done(&w[1]);
    return e;
}

enum fs_error hostdir_symlink(struct vfs_file *f, const char *target, const char *path)
{
    struct host_where w;
    enum fs_error e = host_where(host_file(f), path, LAST_NAME, &w);
    if (e)
        return e;
    e = host_check(symlinkat(target, w.fd, w.name));
    host_where_done(&w);
    return e;
}

enum fs_error hostdir_readlink(struct vfs_file *f, const char *path, char *buffer, u32 size,
                               u32 *length)
{
    struct host_where w;
    char target[VFS_PATH];
    enum fs_error e = host_where(host_file(f), path, LAST_SELF, &w);
    if (e)
        return e;
    ssize_t n = readlinkat(w.fd, w.name, target, sizeof target);
    e = host_check(n);
    if (e == E_NOENT && !w.name[0])
        e = E_INVAL; // what a path with a trailing slash leads to is no link
    if (!e) {
        *length = (u32)n < size ? (u32)n : size;
        memcpy(buffer, target, *length);
    }
    host_where_done(&w);
    return e;
}
