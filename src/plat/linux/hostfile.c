// SPDX-License-Identifier: MIT
// Files, streams and sockets of the host: everything that is done to a descriptor.
//
// Data moves straight between the guest's memory and the kernel (readv, writev on the guest's own
// vectors), and no call waits. Adopted descriptors (stdin, stdout, stderr) may be shared with other
// processes, a shell for one, so their flags stay as they are; what the kernel cannot do without
// waiting on such a one (terminals) is done on a description of our own, opened anew through /proc.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/fmt.h"
#include "base/heap.h"
#include "base/lookup.h"
#include "plat/linux/hostfile.h"
#include "plat/linux/lines.h"
#include "plat/plat.h"

_Static_assert(sizeof(struct vfs_iov) == sizeof(struct iovec), "passed to the kernel as it is");
_Static_assert(offsetof(struct vfs_iov, p) == offsetof(struct iovec, iov_base), "the same");
_Static_assert(offsetof(struct vfs_iov, n) == offsetof(struct iovec, iov_len), "the same");

enum { PIPE_CHUNK = 4096 }; // POSIX's PIPE_BUF on Linux: a writable pipe takes this much at once

enum fs_error host_error(int error)
{
    switch (error) {
#define ERRNO(number, name, text)                                                                  \
    case E##name: return E_##name;
#define ERRNO_OWN(number, name, text)
#include "fs/errno.def"
    case ESHUTDOWN: return E_PIPE;
    default: return E_IO;
    }
}

enum fs_error host_check(long result)
{
    return result < 0 ? host_error(errno) : E_SUCCESS;
}

static const struct iovec *iovec(const struct vfs_iov *v)
{
    return (const struct iovec *)v;
}

enum vfs_type host_type(u32 mode, int fd)
{
    int type = 0;
    switch (mode & S_IFMT) {
    case S_IFREG: return VFS_REGULAR_FILE;
    case S_IFDIR: return VFS_DIRECTORY;
    case S_IFLNK: return VFS_SYMBOLIC_LINK;
    case S_IFCHR: return VFS_CHARACTER_DEVICE;
    case S_IFBLK: return VFS_BLOCK_DEVICE;
    case S_IFSOCK:
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){sizeof type});
        return type == SOCK_DGRAM ? VFS_SOCKET_DGRAM : VFS_SOCKET_STREAM;
    default: return VFS_UNKNOWN; // a FIFO has no number
    }
}

static u64 time_ns(struct timespec t)
{
    return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

void host_stat(const struct stat *st, int fd, struct vfs_stat *out)
{
    *out = (struct vfs_stat){
        .dev = st->st_dev,
        .ino = st->st_ino,
        .nlink = st->st_nlink,
        .size = (u64)st->st_size,
        .atime = time_ns(st->st_atim),
        .mtime = time_ns(st->st_mtim),
        .ctime = time_ns(st->st_ctim),
        .type = host_type(st->st_mode, fd),
    };
}

static struct timespec new_time(enum vfs_time how, u64 ns)
{
    switch (how) {
    case VFS_TIME_NOW: return (struct timespec){.tv_nsec = UTIME_NOW};
    case VFS_TIME_SET: return (struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    case VFS_TIME_KEEP: break;
    }
    return (struct timespec){.tv_nsec = UTIME_OMIT};
}

void host_times(const struct vfs_times *t, struct timespec out[2])
{
    out[0] = new_time(t->access, t->atime);
    out[1] = new_time(t->modify, t->mtime);
}

// --- Opening and closing.
static enum host_io io_of(enum vfs_type type)
{
    switch (type) {
    case VFS_REGULAR_FILE:
    case VFS_DIRECTORY:
    case VFS_SYMBOLIC_LINK:
    case VFS_BLOCK_DEVICE: return IO_PLAIN;
    case VFS_SOCKET_DGRAM:
    case VFS_SOCKET_STREAM: return IO_SOCKET;
    case VFS_CHARACTER_DEVICE:
    case VFS_UNKNOWN: break;
    }
    return IO_OWN;
}

// NULL: it is not open, or there is no memory.
static struct host_file *new_file(int fd)
{
    struct stat st;
    struct host_file *h = fstat(fd, &st) == 0 ? heap_zalloc(sizeof *h) : NULL;
    if (!h)
        return NULL;
    h->f = (struct vfs_file){.ops = &hostfs_ops, .refs = 1};
    h->f.type = host_type(st.st_mode, fd);
    h->f.terminal = h->f.type == VFS_CHARACTER_DEVICE && isatty(fd);
    h->fd = fd;
    h->io = io_of(h->f.type);
    return h;
}

enum fs_error host_file_new(int fd, u32 flags, const struct host_file *in, struct vfs_file **out)
{
    struct host_file *h = new_file(fd);
    if (!h) {
        close(fd);
        return E_NOMEM;
    }
    h->f.flags = flags;
    h->ours = true;
    if (in) {
        h->walk = in->walk;
        h->process = in->process;
    }
    *out = &h->f;
    return E_SUCCESS;
}

static void host_close(struct vfs_file *f)
{
    struct host_file *h = host_file(f);
    if (h->ours)
        close(h->fd);
    host_names_free(h->names);
    heap_free(h->peer);
    heap_free(h);
}

static bool has_openat2(struct host_file *root)
{
    int fd;
    root->walk = false;
    if (host_open(root, ".", O_PATH, &fd) != E_SUCCESS)
        return false;
    close(fd);
    return true;
}

enum fs_error hostfs_open(const char *path, bool walk, struct vfs_file **out)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return host_error(errno);
    enum fs_error e = host_file_new(fd, 0, NULL, out);
    if (e)
        return e;
    struct host_file *h = host_file(*out);
    h->process = host_of_processes(fd);
    h->walk = walk || !has_openat2(h);
    return E_SUCCESS;
}

struct vfs_file *hostfs_adopt(int fd)
{
    struct host_file *h = new_file(fd);
    if (!h)
        return NULL;
    h->adopted = true;
    h->lines = lines_share(fd) ? (u8)fd : 0;
    if (h->io == IO_OWN)
        h->io = IO_NOWAIT;
    if (fcntl(fd, F_GETFL) & O_APPEND)
        h->f.flags = VFS_APPEND;
    return &h->f;
}

// --- Data.
static short poll_one(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    return poll(&p, 1, 0) > 0 ? p.revents : 0;
}

// Two CPUs that see the same bytes, or connection, and both want it: one would wait. So one looks
// and takes at a time; to the other it is as if there were nothing yet.
static bool looking;

static void end_look(void)
{
    __atomic_store_n(&looking, false, __ATOMIC_RELEASE);
}

static bool begin_look(int fd, short events)
{
    if (!__atomic_exchange_n(&looking, true, __ATOMIC_ACQUIRE)) {
        if (poll_one(fd, events))
            return true;
        end_look();
    }
    errno = EAGAIN;
    return false;
}

// Several CPUs may find out at once how it is done.
static enum host_io io_now(const struct host_file *h)
{
    return __atomic_load_n(&h->io, __ATOMIC_ACQUIRE);
}

static void set_io(struct host_file *h, enum host_io io)
{
    __atomic_store_n(&h->io, io, __ATOMIC_RELEASE);
}

// The kernel cannot move data of this file without waiting: then on a description of our own.
static void own_description(struct host_file *h)
{
    char path[32];
    int before = __atomic_load_n(&h->fd, __ATOMIC_RELAXED);
    int mode = fcntl(before, F_GETFL) & (O_ACCMODE | O_APPEND);
    fmt(path, sizeof path, "/proc/self/fd/%d", before);
    int fd = open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) {
        set_io(h, IO_LOOK);
    } else if (__atomic_compare_exchange_n(&h->fd, &before, fd, false, __ATOMIC_RELEASE,
                                           __ATOMIC_RELAXED)) {
        h->ours = true;
        set_io(h, IO_OWN);
    } else {
        close(fd); // another CPU was quicker
    }
}

static bool cannot(ssize_t result)
{
    return result < 0 && (errno == EOPNOTSUPP || errno == ENOSYS);
}

// A FIFO that no writer has opened yet reads as ended, where other programs would still wait in
// open.
static bool not_begun(const struct host_file *h, const struct vfs_iov *v, u32 n)
{
    while (n && v->n == 0)
        v++, n--;
    return n && !h->adopted && h->f.type == VFS_UNKNOWN && !(h->f.flags & VFS_NONBLOCK) &&
           !(poll_one(h->fd, POLLIN) & (POLLIN | POLLHUP));
}

static ssize_t read_plain(const struct host_file *h, const struct vfs_iov *v, u32 n)
{
    return n == 1 ? read(h->fd, v->p, v->n) : readv(h->fd, iovec(v), (int)n);
}

static ssize_t read_look(const struct host_file *h, const struct vfs_iov *v, u32 n)
{
    if (!begin_look(h->fd, POLLIN))
        return -1;
    ssize_t got = read_plain(h, v, n);
    end_look();
    return got;
}

static ssize_t receive(struct host_file *h, const struct vfs_iov *v, u32 n, int flags, int *seen)
{
    struct msghdr m = {.msg_iov = (struct iovec *)v, .msg_iovlen = n};
    if (h->peer) {
        m.msg_name = h->peer->address;
        m.msg_namelen = sizeof h->peer->address;
    }
    ssize_t got = recvmsg(h->fd, &m, MSG_DONTWAIT | flags);
    if (got >= 0 && h->peer)
        h->peer->size = m.msg_namelen;
    *seen = m.msg_flags;
    return got;
}

static ssize_t read_here(struct host_file *h, const struct vfs_iov *v, u32 n)
{
    if (io_now(h) == IO_NOWAIT) {
        ssize_t got = preadv2(h->fd, iovec(v), (int)n, -1, RWF_NOWAIT);
        if (!cannot(got))
            return got;
        own_description(h);
    }
    switch (io_now(h)) {
    case IO_SOCKET: {
        int seen;
        return n == 1 && !h->peer ? recv(h->fd, v->p, v->n, MSG_DONTWAIT)
                                  : receive(h, v, n, 0, &seen);
    }
    case IO_LOOK: return read_look(h, v, n);
    case IO_PLAIN:
    case IO_OWN:
    case IO_NOWAIT: break;
    }
    return read_plain(h, v, n);
}

static enum fs_error read_once(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                               u64 *done)
{
    struct host_file *h = host_file(f);
    bool here = offset == VFS_HERE;
    ssize_t got = here ? read_here(h, v, n) : preadv(h->fd, iovec(v), (int)n, (off_t)offset);
    if (here && got == 0 && not_begun(h, v, n))
        return E_AGAIN;
    *done = (u64)got;
    return host_check(got);
}

static ssize_t write_plain(const struct host_file *h, const struct vfs_iov *v, u32 n)
{
    return n == 1 ? write(h->fd, v->p, v->n) : writev(h->fd, iovec(v), (int)n);
}

// One chunk at most, from the first vector that has anything.
static ssize_t write_look(const struct host_file *h, const struct vfs_iov *v, u32 n)
{
    while (n > 1 && v->n == 0)
        v++, n--;
    if (!n)
        return 0;
    if (!begin_look(h->fd, POLLOUT))
        return -1;
    ssize_t put = write(h->fd, v->p, v->n < PIPE_CHUNK ? v->n : PIPE_CHUNK);
    end_look();
    return put;
}

static ssize_t transmit(const struct host_file *h, const struct vfs_iov *v, u32 n)
{
    struct msghdr m = {.msg_iov = (struct iovec *)v, .msg_iovlen = n};
    if (h->peer && h->peer->size) {
        m.msg_name = h->peer->address;
        m.msg_namelen = h->peer->size;
    }
    return sendmsg(h->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static ssize_t write_here(struct host_file *h, const struct vfs_iov *v, u32 n)
{
    if (io_now(h) == IO_NOWAIT) {
        ssize_t put = pwritev2(h->fd, iovec(v), (int)n, -1, RWF_NOWAIT);
        if (!cannot(put))
            return put;
        own_description(h);
    }
    switch (io_now(h)) {
    case IO_SOCKET:
        return n == 1 && !h->peer ? send(h->fd, v->p, v->n, MSG_DONTWAIT | MSG_NOSIGNAL)
                                  : transmit(h, v, n);
    case IO_LOOK: return write_look(h, v, n);
    case IO_PLAIN:
    case IO_OWN:
    case IO_NOWAIT: break;
    }
    return write_plain(h, v, n);
}

static enum fs_error write_once(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                                u64 *done)
{
    struct host_file *h = host_file(f);
    if (unlikely(h->lines))
        lines_begin();
    ssize_t put =
        offset == VFS_HERE ? write_here(h, v, n) : pwritev(h->fd, iovec(v), (int)n, (off_t)offset);
    int error = errno;
    if (unlikely(h->lines))
        lines_end(h->lines, v, n, put);
    errno = error;
    *done = (u64)put;
    return host_check(put);
}

// --- Much, which nothing would interrupt in a system call, goes in pieces: of a regular file all
// of it, of another only one.
typedef enum fs_error move_fn(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                              u64 *done);
enum { MOVE_MOST = 1 << 20 };

static bool is_much(const struct vfs_iov *v, u32 n)
{
    u64 size = 0;
    for (u32 i = 0; i < n; i++)
        size += v[i].n;
    return size > MOVE_MOST;
}

static enum fs_error move_pieces(move_fn *move, struct vfs_file *f, const struct vfs_iov *v, u32 n,
                                 u64 offset, u64 *done)
{
    enum fs_error e = E_SUCCESS;
    size_t at = 0;
    *done = 0;
    while (n && !e) {
        if (at == v->n) {
            v++, n--, at = 0;
            continue;
        }
        u64 got = 0, from = offset == VFS_HERE ? offset : offset + *done;
        struct vfs_iov part = {v->p + at, v->n - at < MOVE_MOST ? v->n - at : MOVE_MOST};
        if ((e = move(f, &part, 1, from, &got)))
            break;
        *done += got;
        at += got;
        if (got < part.n || f->type != VFS_REGULAR_FILE)
            break;
        if (look_up())
            e = E_INTR;
    }
    return e == E_INTR || !*done ? e : E_SUCCESS;
}

static enum fs_error move_all(move_fn *move, struct vfs_file *f, const struct vfs_iov *v, u32 n,
                              u64 offset, u64 *done)
{
    bool socket = f->type == VFS_SOCKET_DGRAM || f->type == VFS_SOCKET_STREAM;
    if (socket || !is_much(v, n))
        return move(f, v, n, offset, done);
    return move_pieces(move, f, v, n, offset, done);
}

static enum fs_error host_read(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                               u64 *done)
{
    return move_all(read_once, f, v, n, offset, done);
}

static enum fs_error host_write(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                                u64 *done)
{
    return move_all(write_once, f, v, n, offset, done);
}

static enum fs_error host_seek(struct vfs_file *f, s64 offset, enum vfs_whence whence,
                               u64 *position)
{
    static const int to[] = {SEEK_SET, SEEK_CUR, SEEK_END};
    if (f->type == VFS_DIRECTORY)
        return E_ISDIR;
    off_t p = lseek(host_file(f)->fd, offset, to[whence]);
    *position = (u64)p;
    return host_check(p);
}

static enum fs_error host_fstat(struct vfs_file *f, struct vfs_stat *out)
{
    struct stat st;
    int fd = host_file(f)->fd;
    enum fs_error e = host_check(fstat(fd, &st));
    if (!e)
        host_stat(&st, fd, out);
    return e;
}

static enum fs_error host_set_size(struct vfs_file *f, u64 size)
{
    if (size > INT64_MAX)
        return E_FBIG;
    return host_check(ftruncate(host_file(f)->fd, (off_t)size));
}

static enum fs_error host_set_times(struct vfs_file *f, const struct vfs_times *t)
{
    struct timespec times[2];
    host_times(t, times);
    return host_check(futimens(host_file(f)->fd, times));
}

static enum fs_error host_set_flags(struct vfs_file *f, u32 flags)
{
    struct host_file *h = host_file(f);
    u32 fixed = VFS_DSYNC | VFS_RSYNC | VFS_SYNC | (h->adopted ? (u32)VFS_APPEND : 0);
    if ((flags ^ f->flags) & fixed)
        return E_NOTSUP;
    if (!h->adopted) {
        int now = fcntl(h->fd, F_GETFL) & ~O_APPEND;
        now |= flags & VFS_APPEND ? O_APPEND : 0;
        if (fcntl(h->fd, F_SETFL, now) < 0)
            return host_error(errno);
    }
    f->flags = flags;
    return E_SUCCESS;
}

static enum fs_error host_allocate(struct vfs_file *f, u64 offset, u64 length)
{
    u64 end;
    if (length == 0)
        return E_INVAL;
    if (__builtin_add_overflow(offset, length, &end) || end > INT64_MAX)
        return E_FBIG;
    return host_check(fallocate(host_file(f)->fd, 0, (off_t)offset, (off_t)length));
}

static enum fs_error host_advise(struct vfs_file *f, u64 offset, u64 length, u32 advice)
{
    static const int to[] = {POSIX_FADV_NORMAL,   POSIX_FADV_SEQUENTIAL, POSIX_FADV_RANDOM,
                             POSIX_FADV_WILLNEED, POSIX_FADV_DONTNEED,   POSIX_FADV_NOREUSE};
    if (advice >= countof(to) || offset > INT64_MAX || length > INT64_MAX)
        return E_INVAL;
    int error = posix_fadvise(host_file(f)->fd, (off_t)offset, (off_t)length, to[advice]);
    return error ? host_error(error) : E_SUCCESS;
}

static enum fs_error host_sync(struct vfs_file *f, bool data_only)
{
    int fd = host_file(f)->fd;
    return host_check(data_only ? fdatasync(fd) : fsync(fd));
}

// --- Readiness.
static u64 readable_bytes(struct host_file *h)
{
    int n = 0;
    struct stat st;
    off_t at;
    if (h->f.type != VFS_REGULAR_FILE)
        return ioctl(h->fd, FIONREAD, &n) == 0 && n > 0 ? (u64)n : 0;
    at = lseek(h->fd, 0, SEEK_CUR);
    return at >= 0 && fstat(h->fd, &st) == 0 && st.st_size > at ? (u64)(st.st_size - at) : 0;
}

static void answer(struct vfs_poll *p, short revents)
{
    p->ready = revents != 0;
    p->error = revents & POLLNVAL ? E_BADF : E_SUCCESS;
    p->hangup = revents & (POLLHUP | (p->write ? POLLERR : 0));
    p->bytes = p->ready && !p->write && !p->error ? readable_bytes(host_file(p->file)) : 0;
}

static void host_ready(struct vfs_poll *p)
{
    struct pollfd fd = {.fd = host_file(p->file)->fd, .events = p->write ? POLLOUT : POLLIN};
    answer(p, poll(&fd, 1, 0) > 0 ? fd.revents : 0);
}

// Files of other back ends answer at once, and then nothing waits.
static bool prepare(struct vfs_poll *items, u32 n, struct pollfd *fds)
{
    bool any = false;
    for (u32 i = 0; i < n; i++) {
        bool ours = items[i].file->ops == &hostfs_ops;
        fds[i].fd = ours ? host_file(items[i].file)->fd : -1;
        fds[i].events = items[i].write ? POLLOUT : POLLIN;
        fds[i].revents = 0;
        if (!ours) {
            vfs_ready(&items[i]);
            any |= items[i].ready;
        }
    }
    return any;
}

enum fs_error hostfs_wait(struct vfs_poll *items, u32 n, u64 until)
{
    struct pollfd few[32], *fds = n > countof(few) ? heap_array(n, sizeof *fds) : few;
    if (!fds)
        return E_NOMEM;
    bool any = prepare(items, n, fds);
    u64 now = until && until != UINT64_MAX && !any ? plat_now() : 0;
    u64 ns = any || until < now ? 0 : until - now;
    struct timespec timeout = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
    int got = ppoll(fds, n, until == UINT64_MAX && !any ? NULL : &timeout, NULL);
    enum fs_error e = host_check(got);
    for (u32 i = 0; i < n && !e; i++)
        if (items[i].file->ops == &hostfs_ops)
            answer(&items[i], fds[i].revents);
    if (fds != few)
        heap_free(fds);
    return e;
}

// --- Sockets.
static enum fs_error host_recv(struct vfs_file *f, const struct vfs_iov *v, u32 n, u32 flags,
                               u64 *done, bool *truncated)
{
    int seen;
    ssize_t got = receive(host_file(f), v, n, flags & 1 ? MSG_PEEK : 0, &seen);
    *done = (u64)got;
    *truncated = seen & MSG_TRUNC;
    return host_check(got);
}

static enum fs_error host_send(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 *done)
{
    ssize_t put = transmit(host_file(f), v, n);
    *done = (u64)put;
    return host_check(put);
}

static enum fs_error host_shutdown(struct vfs_file *f, bool read, bool write)
{
    int how = read && write ? SHUT_RDWR : read ? SHUT_RD : SHUT_WR;
    return host_check(shutdown(host_file(f)->fd, how));
}

static enum fs_error host_accept(struct vfs_file *f, u32 flags, struct vfs_file **out)
{
    int listener = host_file(f)->fd, listens = 0;
    bool adopted = host_file(f)->adopted; // it may be one that waits
    if (getsockopt(listener, SOL_SOCKET, SO_ACCEPTCONN, &listens, &(socklen_t){sizeof listens}))
        return host_error(errno);
    if (!listens)
        return E_INVAL;
    if (adopted && !begin_look(listener, POLLIN))
        return E_AGAIN;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (adopted)
        end_look();
    return fd < 0 ? host_error(errno) : host_file_new(fd, flags & VFS_NONBLOCK, NULL, out);
}

const struct vfs_ops hostfs_ops = {
    .close = host_close,
    .read = host_read,
    .write = host_write,
    .seek = host_seek,
    .stat = host_fstat,
    .set_size = host_set_size,
    .set_times = host_set_times,
    .set_flags = host_set_flags,
    .allocate = host_allocate,
    .advise = host_advise,
    .sync = host_sync,
    .ready = host_ready,
    .watch = host_watch,
    .unwatch = host_unwatch,
    .readdir = hostdir_readdir,
    .open = hostdir_open,
    .path_stat = hostdir_stat,
    .path_times = hostdir_times,
    .mkdir = hostdir_mkdir,
    .rmdir = hostdir_rmdir,
    .unlink = hostdir_unlink,
    .rename = hostdir_rename,
    .link = hostdir_link,
    .symlink = hostdir_symlink,
    .readlink = hostdir_readlink,
    .recv = host_recv,
    .send = host_send,
    .shutdown = host_shutdown,
    .accept = host_accept,
};
