// SPDX-License-Identifier: MIT
// Who waits for a descriptor: one epoll instance for all CPUs, made when something is first
// watched.
//
// A watch is enrolled for one event (EPOLLONESHOT) and struck off when that has come or the watch
// is dropped. epoll knows a file by its descriptor and enrols it once, so a second watch on the
// same one enrols a copy. What epoll is given is no pointer, for another CPU may have taken an
// event out before the watch was dropped: it is the number of a slot, and how often the slot has
// been used.
//
// A socket that is read and written all the time is attached once and for all (socket.h), and told
// of each change (EPOLLET): then a request costs no call of epoll_ctl.
//
// The lock is the I/O lock of fs/vfs.h: `ready` is called under it. It is a mutex and not a spin
// lock since there are system calls inside.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/vec.h"
#include "plat/linux/hostfile.h"
#include "plat/linux/linux.h"
#include "plat/linux/socket.h"

enum {
    ROUND = 64, // events taken at once
    NO_SLOT = -1,
};

static const size_t kernel_sigset = 8; // bytes; as wide as syscall hands it on

struct slot {
    struct vfs_watch *watch;      // NULL: free, or
    struct socket_source *source; // is attached
    u32 uses;
    u32 next; // free ones
    int fd;
    bool copied; // fd is ours
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static VEC(struct slot) slots; // guarded by the lock, as is what follows
static u32 free_slot = (u32)NO_SLOT;
static u32 watched;       // slots in use; others look at it without the lock
static int epoll_fd = -1; // stays when it is there

static int instance(void)
{
    return __atomic_load_n(&epoll_fd, __ATOMIC_ACQUIRE);
}

// CPUs that sleep already do so without the new instance, so they are woken once.
static enum fs_error make_instance(void)
{
    if (epoll_fd >= 0)
        return E_SUCCESS;
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0)
        return host_error(errno);
    __atomic_store_n(&epoll_fd, fd, __ATOMIC_RELEASE);
    linux_kick_others();
    return E_SUCCESS;
}

static enum fs_error take_slot(u32 *out)
{
    if (free_slot == (u32)NO_SLOT) {
        if (!vec_push(&slots, (struct slot){.next = free_slot}))
            return E_NOMEM;
        free_slot = slots.count - 1;
    }
    *out = free_slot;
    free_slot = slots.at[*out].next;
    return E_SUCCESS;
}

static void give_slot(u32 i)
{
    slots.at[i].next = free_slot;
    free_slot = i;
}

static int enrol(struct slot *s, int fd, struct epoll_event *event)
{
    s->fd = fd;
    s->copied = false;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, event) == 0)
        return 0;
    if (errno != EEXIST || (s->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3)) < 0)
        return errno;
    s->copied = true;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, s->fd, event) == 0)
        return 0;
    int error = errno;
    close(s->fd);
    return error;
}

static enum fs_error take(int fd, u32 events, u32 *out)
{
    u32 i;
    enum fs_error e = make_instance();
    if (!e)
        e = take_slot(&i);
    if (e)
        return e;
    struct slot *s = &slots.at[i];
    struct epoll_event event = {.events = events, .data.u64 = (u64)++s->uses << 32 | i};
    int error = enrol(s, fd, &event);
    if (error) {
        give_slot(i);
        return error == EPERM ? E_NOTSUP : host_error(error); // EPERM: regular files and the like
    }
    *out = i;
    __atomic_store_n(&watched, watched + 1, __ATOMIC_RELAXED);
    return E_SUCCESS;
}

static enum fs_error add(int fd, struct vfs_watch *w)
{
    u32 i;
    enum fs_error e = take(fd, (w->write ? EPOLLOUT : EPOLLIN) | EPOLLONESHOT, &i);
    if (e)
        return e;
    slots.at[i].watch = w;
    w->slot = i;
    return E_SUCCESS;
}

static void leave(u32 i)
{
    struct slot *s = &slots.at[i];
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
    if (s->copied)
        close(s->fd);
    s->watch = NULL;
    s->source = NULL;
    give_slot(i);
    __atomic_store_n(&watched, watched - 1, __ATOMIC_RELAXED);
}

static void strike_off(u32 i)
{
    slots.at[i].watch->slot = (u32)NO_SLOT;
    leave(i);
}

enum fs_error socket_attach(struct vfs_file *f, struct socket_source *s)
{
    pthread_mutex_lock(&lock);
    enum fs_error e = take(host_file(f)->fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &s->slot);
    if (!e)
        slots.at[s->slot].source = s;
    pthread_mutex_unlock(&lock);
    return e;
}

void socket_detach(struct socket_source *s)
{
    pthread_mutex_lock(&lock);
    leave(s->slot);
    pthread_mutex_unlock(&lock);
}

static u32 meaning(u32 events)
{
    return (events & EPOLLIN ? SOCKET_READABLE : 0) | (events & EPOLLOUT ? SOCKET_WRITABLE : 0) |
           (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR) ? SOCKET_READ_ENDS : 0) |
           (events & (EPOLLHUP | EPOLLERR) ? SOCKET_WRITE_ENDS : 0);
}

enum fs_error host_watch(struct vfs_file *f, struct vfs_watch *w)
{
    pthread_mutex_lock(&lock);
    enum fs_error e = add(host_file(f)->fd, w);
    pthread_mutex_unlock(&lock);
    return e;
}

void host_unwatch(struct vfs_watch *w)
{
    pthread_mutex_lock(&lock);
    if (w->slot != (u32)NO_SLOT)
        strike_off(w->slot);
    pthread_mutex_unlock(&lock);
}

// A watch is not touched any more once ready was called: its owner may be gone then.
static void deliver(const struct epoll_event *events, int n)
{
    if (n <= 0)
        return;
    pthread_mutex_lock(&lock);
    for (int k = 0; k < n; k++) {
        u32 i = (u32)events[k].data.u64;
        struct vfs_watch *w = slots.at[i].watch;
        struct socket_source *s = slots.at[i].source;
        if ((!w && !s) || slots.at[i].uses != events[k].data.u64 >> 32)
            continue;
        if (s) {
            s->ready(s, meaning(events[k].events));
            continue;
        }
        strike_off(i);
        w->ready(w);
    }
    pthread_mutex_unlock(&lock);
}

void plat_poll(void)
{
    struct epoll_event events[ROUND];
    if (__atomic_load_n(&watched, __ATOMIC_RELAXED))
        deliver(events, epoll_wait(instance(), events, ROUND, 0));
}

// Linux before 5.11 has no epoll_pwait2, and epoll_pwait counts milliseconds.
static int wait_for_events(int fd, struct epoll_event *events, const struct timespec *timeout,
                           const sigset_t *mask)
{
    int n = (int)syscall(SYS_epoll_pwait2, fd, events, ROUND, timeout, mask, kernel_sigset);
    if (n >= 0 || errno != ENOSYS)
        return n;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return ppoll(&p, 1, timeout, mask) > 0 ? epoll_wait(fd, events, ROUND, 0) : 0;
}

void linux_sleep(const struct timespec *timeout, const sigset_t *mask)
{
    struct epoll_event events[ROUND];
    int fd = instance();
    if (fd < 0)
        ppoll(NULL, 0, timeout, mask);
    else
        deliver(events, wait_for_events(fd, events, timeout, mask));
}
