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

#include "abi/nebulet_sockets.h"
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
static status push(struct channel *to, struct connection *c, const void *bytes, u32 size)
{
    const struct sent_handle streams[] = {{&c->in.object, HANDLE_ALL_RIGHTS},
                                          {&c->out.object, HANDLE_ALL_RIGHTS}};
    kern_acquire();
    sched_io_waits(1);
    status s = channel_push(to, bytes, size, streams, countof(streams));
    if (s) {
        object_unref(&c->in.object);
        object_unref(&c->out.object);
    }
    kern_release();
    return s;
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
    struct nebulet_address address;
    enum fs_error e = socket_accept(port_of(c)->file, &peer, &file);
    if (!e)
        e = connection_new(file, &connection);
    switch ((u32)e) {
    case E_SUCCESS: address = to_guest(&peer); return push(c, connection, &address, sizeof address);
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

// --- Datagrams: a channel whose messages are an address and a datagram, in both directions.

struct datagrams {
    struct outside_channel outside;
    struct channel *channel;
    struct socket_source source;
    struct vfs_file *file;
};
enum { DATAGRAM = NEBULET_SOCKET_DATAGRAM };

static struct socket_address from_guest(const struct nebulet_address *a)
{
    struct socket_address out = {
        .length = a->family == 6 ? 16 : 4, .port = (u16)a->port, .scope = a->scope};
    memcpy(out.bytes, a->bytes, out.length);
    return out;
}

static struct datagrams *datagrams_of(const struct channel *c)
{
    return container_of(c->outside, struct datagrams, outside);
}

static void datagrams_ready(struct socket_source *source, u32 events)
{
    struct datagrams *d = container_of(source, struct datagrams, source);
    if (!(events & SOCKET_READABLE))
        return;
    spin_acquire(&rt_switch_lock);
    object_set(&d->channel->object, NEBULET_READABLE);
    spin_release(&rt_switch_lock);
}

static status datagrams_pull(struct channel *c)
{
    struct {
        struct nebulet_address from;
        u8 bytes[DATAGRAM];
    } m;
    struct socket_address from;
    u32 size;
    enum fs_error e = socket_receive(datagrams_of(c)->file, &from, m.bytes, sizeof m.bytes, &size);
    status s = ERR_SHOULD_WAIT;
    if (!e)
        m.from = to_guest(&from);
    kern_acquire();
    if (!e)
        s = channel_push(c, (const u8 *)&m, sizeof m.from + size, NULL, 0);
    else if (e == E_INTR) // whoever sends what nobody takes does not keep the CPU
        object_set(&c->object, NEBULET_READABLE);
    kern_release();
    return s;
}

static status datagrams_take(struct channel *c, const u8 *bytes, u32 size)
{
    struct nebulet_address to;
    if (size < sizeof to || size > sizeof to + DATAGRAM)
        return ERR_INVALID_ARG;
    memcpy(&to, bytes, sizeof to);
    const struct socket_address at = from_guest(&to);
    socket_send(datagrams_of(c)->file, &at, bytes + sizeof to, size - (u32)sizeof to);
    return OK;
}

static void datagrams_gone(struct channel *c)
{
    struct datagrams *d = datagrams_of(c);
    sched_io_waits(-1);
    spin_release(&rt_switch_lock);
    socket_detach(&d->source);
    vfs_close(d->file);
    heap_free(d);
    spin_acquire(&rt_switch_lock);
}

// Takes the file over.
static enum fs_error datagrams_new(struct vfs_file *file, struct channel **out)
{
    struct datagrams *d = heap_zalloc(sizeof *d);
    enum fs_error e = d ? E_SUCCESS : E_NOMEM;
    if (!e) {
        d->outside = (struct outside_channel){datagrams_pull, datagrams_take, datagrams_gone};
        d->file = file;
        d->source.ready = datagrams_ready;
        e = channel_new_outside(&d->outside, &d->channel) ? E_NOMEM : E_SUCCESS;
    }
    if (!e && (e = socket_attach(file, &d->source)))
        heap_free(d->channel);
    if (e) {
        heap_free(d);
        vfs_close(file);
        return e;
    }
    kern_acquire();
    sched_io_waits(1);
    kern_release();
    *out = d->channel;
    return E_SUCCESS;
}

// --- Sockets on request: all that is asked for is done, or begun, at once, in the name of who
// asks, and never waits. What was begun is a dial, which goes to `done` when its socket says
// something; whoever receives the answer finds out what.

struct dial {
    struct link link; // in sockets.under_way, or done
    struct socket_source source;
    struct sockets *of;
    struct vfs_file *file;
    struct socket_address to;
    u32 id;
};

struct sockets {
    struct outside_channel outside;
    struct channel *channel;
    struct link under_way, done;         // under the kernel lock
    bool answered;                       // there is an answer that comes first:
    struct nebulet_socket_answer answer; // only the service's one thread has to do with it
    struct object *given;
};

static struct sockets *sockets_of(const struct channel *c)
{
    return container_of(c->outside, struct sockets, outside);
}

static status meaning(enum fs_error e)
{
    switch ((u32)e) {
    case E_SUCCESS: return OK;
    case E_ACCES:
    case E_PERM: return ERR_ACCESS_DENIED;
    case E_ADDRINUSE: return ERR_ALREADY_OWNED;
    case E_TIMEDOUT: return ERR_TIMED_OUT;
    case E_NOMEM: return ERR_NO_MEMORY;
    case E_MFILE:
    case E_NFILE: return ERR_NO_RESOURCES;
    case E_AFNOSUPPORT: return ERR_NOT_SUPPORTED;
    case E_INVAL: return ERR_INVALID_ARG;
    default: return ERR_UNAVAILABLE;
    }
}

static void dial_ready(struct socket_source *source, u32 events)
{
    struct dial *d = container_of(source, struct dial, source);
    if (!(events & (SOCKET_WRITABLE | SOCKET_WRITE_ENDS)))
        return;
    spin_acquire(&rt_switch_lock);
    if (!link_alone(&d->link)) { // else somebody has it already
        link_remove(&d->link);
        link_add(&d->of->done, &d->link);
        object_set(&d->of->channel->object, NEBULET_READABLE);
    }
    spin_release(&rt_switch_lock);
}

// It is in no list. Without the lock.
static void dial_free(struct dial *d)
{
    socket_detach(&d->source);
    vfs_close(d->file);
    heap_free(d);
}

static status dial_new(struct sockets *s, u32 id, const struct nebulet_address *to)
{
    struct dial *d = heap_zalloc(sizeof *d);
    if (!d)
        return ERR_NO_MEMORY;
    *d = (struct dial){.source.ready = dial_ready, .of = s, .to = from_guest(to), .id = id};
    enum fs_error e = socket_connect(&d->to, &d->file);
    if (e) {
        heap_free(d);
        return meaning(e);
    }
    kern_acquire();
    link_add(&s->under_way, &d->link);
    kern_release();
    if (!(e = socket_attach(d->file, &d->source)))
        return OK;
    kern_acquire();
    link_remove(&d->link);
    kern_release();
    vfs_close(d->file);
    heap_free(d);
    return meaning(e);
}

// From a list; NULL: none has that id, 0: of any.
static struct dial *unlink_dial(struct link *list, u32 id)
{
    for (struct link *l = list->next; l != list; l = l->next) {
        struct dial *d = container_of(l, struct dial, link);
        if (id && d->id != id)
            continue;
        link_remove(l);
        return d;
    }
    return NULL;
}

static void cancel(struct sockets *s, u32 id)
{
    kern_acquire();
    struct dial *d = unlink_dial(&s->under_way, id);
    if (!d)
        d = unlink_dial(&s->done, id);
    kern_release();
    if (d)
        dial_free(d);
}

static status sockets_take(struct channel *c, const u8 *bytes, u32 size)
{
    struct sockets *s = sockets_of(c);
    struct nebulet_socket_request r;
    struct vfs_file *file;
    struct channel *given = NULL;
    enum fs_error e = E_SUCCESS;
    if (size != sizeof r)
        return ERR_INVALID_ARG;
    memcpy(&r, bytes, sizeof r);
    struct socket_address at = from_guest(&r.address);
    switch (r.op) {
    case NEBULET_SOCKET_LISTEN:
        if (!(e = socket_listen(&at, &file))) {
            e = net_listener(file, &given);
            vfs_close(file);
        }
        break;
    case NEBULET_SOCKET_UDP:
        if (!(e = socket_datagrams(&at, &file)))
            e = datagrams_new(file, &given);
        break;
    case NEBULET_SOCKET_CONNECT: return dial_new(s, r.id, &r.address);
    case NEBULET_SOCKET_CANCEL: return cancel(s, r.id), OK;
    default: return ERR_INVALID_ARG;
    }
    if (s->given)
        object_release(s->given); // nobody has asked for it
    s->answer = (struct nebulet_socket_answer){r.id, meaning(e), to_guest(&at)};
    s->given = given ? &given->object : NULL;
    s->answered = true;
    return OK;
}

static status pull_answer(struct sockets *s)
{
    const struct sent_handle given = {s->given, HANDLE_ALL_RIGHTS};
    kern_acquire();
    status result = channel_push(s->channel, (const u8 *)&s->answer, sizeof s->answer, &given,
                                 s->given != NULL);
    kern_release();
    if (result)
        return result;
    s->answered = false;
    s->given = NULL;
    return OK;
}

// A dial that is over: with two streams, or with what went wrong.
static status pull_dial(struct sockets *s)
{
    struct nebulet_socket_answer a = {0};
    struct connection *c = NULL;
    kern_acquire();
    struct dial *d = unlink_dial(&s->done, 0);
    kern_release();
    if (!d)
        return ERR_SHOULD_WAIT;
    a.id = d->id;
    a.address = to_guest(&d->to);
    enum fs_error e = socket_connected(d->file);
    socket_detach(&d->source);
    if (e)
        vfs_close(d->file);
    else
        e = connection_new(d->file, &c);
    heap_free(d);
    a.result = meaning(e);
    if (c)
        return push(s->channel, c, &a, sizeof a);
    kern_acquire();
    status result = channel_push(s->channel, (const u8 *)&a, sizeof a, NULL, 0);
    kern_release();
    return result;
}

static status sockets_pull(struct channel *c)
{
    struct sockets *s = sockets_of(c);
    return s->answered ? pull_answer(s) : pull_dial(s);
}

static void sockets_gone(struct channel *c)
{
    struct sockets *s = sockets_of(c);
    struct dial *d;
    sched_io_waits(-1);
    while ((d = unlink_dial(&s->under_way, 0)) || (d = unlink_dial(&s->done, 0))) {
        spin_release(&rt_switch_lock);
        dial_free(d);
        spin_acquire(&rt_switch_lock);
    }
    if (s->given)
        object_unref(s->given);
    heap_free(s);
}

struct channel *net_sockets(void)
{
    struct sockets *s = heap_zalloc(sizeof *s);
    if (!s)
        return NULL;
    s->outside = (struct outside_channel){sockets_pull, sockets_take, sockets_gone};
    link_init(&s->under_way);
    link_init(&s->done);
    if (channel_new_outside(&s->outside, &s->channel)) {
        heap_free(s);
        return NULL;
    }
    kern_acquire();
    sched_io_waits(1);
    kern_release();
    return s->channel;
}
