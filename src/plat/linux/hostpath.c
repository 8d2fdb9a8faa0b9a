// SPDX-License-Identifier: MIT
// How a path stays beneath its folder.
//
// The kernel does it where it can: openat2 with RESOLVE_BENEATH resolves "..", links and renames
// that happen meanwhile, and refuses (EXDEV) what would leave. Calls other than open have no such
// flag, so the folder of the last name is opened that way first, and the call gets that descriptor
// and the name, which it does not follow.
//
// Elsewhere (kernels before 5.6, or a filter that hides the call) the walk below does the same by
// hand: it opens one component after the other without following, keeps a descriptor of every
// folder on the way, so that ".." goes back to the folder that it came from and not to where that
// may have been moved to, and puts a link's target in front of what is left of the path. Neither
// way looks at a name twice and trusts the first look.
//
// The links of /proc that lead to descriptors, whatever these are, are followed neither way. And
// since a process can write to itself through /proc/self/mem, /proc is no part of a folder that it
// is mounted below: nothing there is opened unless the folder that the user gave lies there itself.
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "plat/linux/hostfile.h"

enum {
    RETRIES = 128, // of openat2, which answers EAGAIN when a rename could have hidden an escape
    WALK_DEPTH = 128,
};

static enum fs_error beneath(int dir, const char *path, int flags, int *fd)
{
    struct open_how how = {
        .flags = (u64)(flags | O_CLOEXEC),
        .mode = flags & O_CREAT ? 0666 : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    for (int i = 0; i < RETRIES; i++) {
        *fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
        if (*fd >= 0)
            return E_SUCCESS;
        if (errno != EAGAIN)
            break;
    }
    return errno == EXDEV ? E_PERM : host_error(errno);
}

bool host_of_processes(int fd)
{
    struct statfs s;
    return fstatfs(fd, &s) == 0 && s.f_type == PROC_SUPER_MAGIC;
}

// --- The walk.
struct walk {
    int fds[WALK_DEPTH]; // the folders from the start, which is not ours, to where we are
    u32 depth;
    u32 links;
    char *rest;
    char buffer[2 * VFS_PATH]; // holds rest
};

struct component {
    char name[VFS_NAME + 1];
    bool last;  // only slashes follow, or nothing
    bool slash; // last, and slashes follow
};

static enum fs_error next_component(struct walk *k, struct component *c)
{
    char *p = k->rest + strspn(k->rest, "/");
    size_t n = strcspn(p, "/");
    char *end = p + n;
    if (n > VFS_NAME)
        return E_NAMETOOLONG;
    memcpy(c->name, n ? p : ".", n ? n : 1);
    c->name[n ? n : 1] = 0;
    c->last = end[strspn(end, "/")] == 0;
    c->slash = c->last && *end;
    k->rest = end;
    return E_SUCCESS;
}

// Puts the target of the link that fd is in front of the rest.
static enum fs_error expand_link(struct walk *k, int fd)
{
    char target[VFS_PATH];
    ssize_t n = readlinkat(fd, "", target, sizeof target);
    size_t rest = strlen(k->rest);
    if (n < 0)
        return host_error(errno);
    if (++k->links > VFS_LINKS)
        return E_LOOP;
    if (n == 0)
        return E_NOENT;
    if (target[0] == '/')
        return E_PERM;
    if ((size_t)n == sizeof target || (size_t)n + rest >= sizeof k->buffer)
        return E_NAMETOOLONG;
    memmove(k->buffer + n, k->rest, rest + 1);
    memcpy(k->buffer, target, (size_t)n);
    k->rest = k->buffer;
    return E_SUCCESS;
}

static enum fs_error enter(struct walk *k, int fd)
{
    if (k->depth + 1 == WALK_DEPTH) {
        close(fd);
        return E_NAMETOOLONG;
    }
    k->fds[++k->depth] = fd;
    return E_SUCCESS;
}

static enum fs_error leave(struct walk *k)
{
    if (k->depth == 0)
        return E_PERM;
    close(k->fds[k->depth--]);
    return E_SUCCESS;
}

// Looks at one component and goes on; sets *done when the name is the last one.
static enum fs_error step(struct walk *k, const struct component *c, enum host_last last,
                          bool *done)
{
    struct stat st;
    if (c->last && (last == LAST_NAME || (last == LAST_SELF && !c->slash))) {
        *done = true;
        return E_SUCCESS;
    }
    int fd = openat(k->fds[k->depth], c->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        *done = errno == ENOENT && c->last && !c->slash; // may be about to be created
        return *done ? E_SUCCESS : host_error(errno);
    }
    if (fstat(fd, &st) < 0) {
        close(fd);
        return host_error(errno);
    }
    if (S_ISDIR(st.st_mode) && !c->last)
        return enter(k, fd);
    enum fs_error e = E_SUCCESS;
    if (S_ISLNK(st.st_mode))
        e = expand_link(k, fd);
    else if (!S_ISDIR(st.st_mode) && (!c->last || c->slash))
        e = E_NOTDIR;
    else
        *done = true;
    close(fd);
    return e;
}

static enum fs_error walk_path(struct walk *k, enum host_last last, struct component *c)
{
    bool done = false;
    enum fs_error e = E_SUCCESS;
    while (!e && !done) {
        e = next_component(k, c);
        if (e)
            break;
        bool up = c->name[0] == '.' && c->name[1] == '.' && !c->name[2];
        if (up)
            e = leave(k);
        if (up || (c->name[0] == '.' && !c->name[1])) {
            memcpy(c->name, ".", 2);
            c->slash = false;
            done = c->last;
            continue;
        }
        e = step(k, c, last, &done);
    }
    return e;
}

static enum fs_error walk_where(int dir, const char *path, enum host_last last,
                                struct host_where *w)
{
    struct walk k = {.fds = {dir}, .rest = k.buffer};
    struct component c;
    memcpy(k.buffer, path, strlen(path) + 1);
    enum fs_error e = walk_path(&k, last, &c);
    if (!e) {
        w->fd = k.fds[k.depth];
        w->owned = k.depth > 0;
        k.depth -= w->owned;
        size_t n = strlen(c.name);
        memcpy(w->name, c.name, n + 1);
        if (last == LAST_NAME && c.slash)
            memcpy(w->name + n, "/", 2);
    }
    while (k.depth)
        close(k.fds[k.depth--]);
    return e;
}

// --- By openat2.

// The folder of the last name, and that name. A path that ends in "." or ".." is that folder's ".".
static enum fs_error kernel_name(int dir, const char *path, struct host_where *w)
{
    size_t end = strlen(path), start;
    bool slash = path[end - 1] == '/';
    while (end && path[end - 1] == '/')
        end--;
    for (start = end; start && path[start - 1] != '/'; start--)
        ;
    size_t n = end - start;
    if (n > VFS_NAME)
        return E_NAMETOOLONG;
    if (memcmp(path + start, "..", n < 2 ? n : 2) == 0 && n <= 2) {
        memcpy(w->name, ".", 2);
        w->owned = true;
        return beneath(dir, path, O_PATH | O_DIRECTORY, &w->fd);
    }
    memcpy(w->name, path + start, n);
    memcpy(w->name + n, slash ? "/" : "", slash ? 2 : 1);
    if (start == 0) {
        w->fd = dir;
        return E_SUCCESS;
    }
    char parent[VFS_PATH];
    memcpy(parent, path, start);
    parent[start] = 0;
    w->owned = true;
    return beneath(dir, parent, O_PATH | O_DIRECTORY, &w->fd);
}

static bool ends_in_slash(const char *path)
{
    return path[strlen(path) - 1] == '/';
}

enum fs_error host_where(struct host_file *d, const char *path, enum host_last last,
                         struct host_where *w)
{
    enum fs_error e;
    w->owned = false;
    if (d->walk)
        return walk_where(d->fd, path, last, w);
    if (last == LAST_NAME || (last == LAST_SELF && !ends_in_slash(path))) {
        e = kernel_name(d->fd, path, w);
    } else {
        w->name[0] = 0;
        w->owned = true;
        e = beneath(d->fd, path, O_PATH, &w->fd);
    }
    if (e)
        w->owned = false;
    return e;
}

void host_where_done(struct host_where *w)
{
    if (w->owned)
        close(w->fd);
}

enum fs_error host_open(struct host_file *d, const char *path, int flags, int *fd)
{
    if (!d->walk)
        return beneath(d->fd, path, flags, fd);
    struct host_where w;
    enum host_last last = flags & (O_NOFOLLOW | O_EXCL) ? LAST_SELF : LAST_FOLLOW;
    bool directory = flags & O_CREAT && ends_in_slash(path); // which this cannot make
    w.owned = false;
    enum fs_error e = walk_where(d->fd, path, directory ? LAST_NAME : last, &w);
    if (e)
        return e;
    if (directory) {
        host_where_done(&w);
        return E_ISDIR;
    }
    *fd = openat(w.fd, w.name, flags | O_NOFOLLOW | O_CLOEXEC, 0666);
    e = host_check(*fd);
    host_where_done(&w);
    return e;
}
