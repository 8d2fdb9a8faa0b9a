// SPDX-License-Identifier: MIT
// Sockets as the kernel's objects: see net.h.
//
// A connection is one block: its two streams, its file, and its place with epoll. What is done with
// it is done by whoever calls, in his name and on his account: to accept, to read, to write. The
// platform only tells that it may be worth trying. Each stream goes by itself: who closes the one
// that is written says so to the peer, and with the second one the connection is gone.
//
//   epoll ──ready──> signals of the streams ──wake──> threads that wait there ──> recv, send
#include "main/net.h"

#include "base/heap.h"
#include "kern/sched.h"
#include "kern/stream.h"

struct connection {
    struct stream in, out;
    struct socket_source source;
    struct vfs_file *file;
    bool in_gone, out_gone; // under the kernel lock
};

struct port {
    struct outside_channel outside;
    struct channel *channel;
    struct socket_source source;
    struct vfs_file *file;
};

// --- Connections

// Both kinds of `ready` are called by who holds the lock of what is watched, which the end of a
// connection takes: so what others have left to be done stays for them (kern_release would do it).
static void connection_ready(struct socket_source *source, u32 events)
{
    struct connection *c = container_of(source, struct connection, source);
    u32 read_ends = events & SOCKET_READ_ENDS ? NEBULET_PEER_CLOSED : 0;
    u32 write_ends = events & SOCKET_WRITE_ENDS ? NEBULET_PEER_CLOSED : 0;
    spin_acquire(&rt_switch_lock);
    if (events & SOCKET_READABLE || read_ends)
        object_set(&c->in.object, NEBULET_READABLE | read_ends);
    if (events & SOCKET_WRITABLE || write_ends)
        object_set(&c->out.object, NEBULET_WRITABLE | write_ends);
    spin_release(&rt_switch_lock);
}

static s64 moved(enum fs_error e, u64 done)
{
    if (e == E_AGAIN)
        return ERR_SHOULD_WAIT;
    return e || !done ? ERR_PEER_CLOSED : (s64)done;
}

static s64 in_move(struct stream *s, u8 *bytes, u32 size)
{
    struct vfs_iov v = {bytes, size};
    u64 done = 0;
    enum fs_error e;
    do {
        e = vfs_read(container_of(s, struct connection, in)->file, &v, 1, VFS_HERE, &done);
    } while (e == E_INTR);
    return moved(e, done);
}

static s64 out_move(struct stream *s, u8 *bytes, u32 size)
{
    struct vfs_iov v = {bytes, size};
    u64 done = 0;
    enum fs_error e;
    do {
        e = vfs_write(container_of(s, struct connection, out)->file, &v, 1, VFS_HERE, &done);
    } while (e == E_INTR);
    return moved(e, done);
}

// No system call is made with the lock.
static void connection_free(struct connection *c)
{
    sched_io_waits(-1);
    spin_release(&rt_switch_lock);
    socket_detach(&c->source);
    vfs_close(c->file);
    heap_free(c);
    spin_acquire(&rt_switch_lock);
}

static void in_gone(struct stream *s)
{
    struct connection *c = container_of(s, struct connection, in);
    c->in_gone = true;
    if (c->out_gone)
        connection_free(c);
}

// While the lock is given back the other stream may go, and the connection with it.
static void out_gone(struct stream *s)
{
    struct connection *c = container_of(s, struct connection, out);
    c->out_gone = true;
    if (c->in_gone) {
        connection_free(c);
        return;
    }
    struct vfs_file *file = vfs_ref(c->file);
    spin_release(&rt_switch_lock);
    vfs_shutdown(file, false, true);
    vfs_close(file);
    spin_acquire(&rt_switch_lock);
}

static const struct outside_stream in_outside = {in_move, in_gone};
static const struct outside_stream out_outside = {out_move, out_gone};

// Takes the file over.
static enum fs_error connection_new(struct vfs_file *file, struct connection **out)
{
    struct connection *c = heap_zalloc(sizeof *c);
    enum fs_error e = c ? E_SUCCESS : E_NOMEM;
    if (!e) {
        c->file = file;
        c->source.ready = connection_ready;
        stream_init_outside(&c->in, &in_outside, false);
        stream_init_outside(&c->out, &out_outside, true);
        e = socket_attach(file, &c->source);
    }
    if (e) {
        heap_free(c);
        vfs_close(file);
        return e;
    }
    *out = c;
    return E_SUCCESS;
}

static struct nebulet_address to_guest(const struct socket_address *a)
{
    struct nebulet_address out = {
        .family = a->length == 4 ? 4 : 6, .port = a->port, .scope = a->scope};
    __builtin_memcpy(out.bytes, a->bytes, a->length);
    return out;
}

// The streams go with the message, or are dropped.
static status push(struct channel *to, struct connection *c, const struct socket_address *peer)
{
    const struct nebulet_address address = to_guest(peer);
    const struct sent_handle streams[] = {{&c->in.object, HANDLE_ALL_RIGHTS},
                                          {&c->out.object, HANDLE_ALL_RIGHTS}};
    kern_acquire();
    sched_io_waits(1);
    status s = channel_push(to, (const u8 *)&address, sizeof address, streams, countof(streams));
    if (s) {
        object_unref(&c->in.object);
        object_unref(&c->out.object);
    }
    kern_release();
    return s;
}

enum fs_error net_connection(int fd, struct channel *to)
{
    static const struct socket_address here = {.bytes = {127, 0, 0, 1}, .length = 4};
    struct vfs_file *file;
    struct connection *c;
    enum fs_error e = socket_adopt(fd, &file);
    if (!e)
        e = connection_new(file, &c);
    if (!e && push(to, c, &here))
        e = E_NOMEM;
    return e;
}

// --- Listeners

static struct port *port_of(const struct channel *c)
{
    return container_of(c->outside, struct port, outside);
}

static void port_ready(struct socket_source *source, u32 events)
{
    struct port *p = container_of(source, struct port, source);
    (void)events;
    spin_acquire(&rt_switch_lock);
    object_set(&p->channel->object, NEBULET_READABLE);
    spin_release(&rt_switch_lock);
}

static status port_pull(struct channel *c)
{
    struct socket_address peer;
    struct vfs_file *file;
    struct connection *connection;
    enum fs_error e = socket_accept(port_of(c)->file, &peer, &file);
    if (!e)
        e = connection_new(file, &connection);
    switch ((u32)e) {
    case E_SUCCESS: return push(c, connection, &peer);
    case E_AGAIN: return ERR_SHOULD_WAIT;
    case E_NOMEM: return ERR_NO_MEMORY;
    default: return ERR_NO_RESOURCES;
    }
}

static void port_gone(struct channel *c)
{
    struct port *p = port_of(c);
    sched_io_waits(-1);
    spin_release(&rt_switch_lock);
    socket_detach(&p->source);
    vfs_close(p->file);
    heap_free(p);
    spin_acquire(&rt_switch_lock);
}

enum fs_error net_listener(struct vfs_file *listener, struct channel **out)
{
    struct port *p = heap_zalloc(sizeof *p);
    if (!p)
        return E_NOMEM;
    p->outside = (struct outside_channel){.pull = port_pull, .gone = port_gone};
    p->file = vfs_ref(listener);
    p->source.ready = port_ready;
    enum fs_error e = channel_new_outside(&p->outside, &p->channel) ? E_NOMEM : E_SUCCESS;
    if (!e && (e = socket_attach(listener, &p->source)))
        heap_free(p->channel);
    if (e) {
        vfs_close(p->file);
        heap_free(p);
        return e;
    }
    kern_acquire();
    sched_io_waits(1);
    kern_release();
    *out = p->channel;
    return E_SUCCESS;
}
