// SPDX-License-Identifier: MIT
// Folders that are served on a channel: the transport of fs/ninep.h, and the call that gives one to
// a process.
//
// Requests go one at a time, and whoever wants to ask next waits in line: a server that does not
// answer holds up who uses its folder, and nobody else. The channel's end takes no handles any more
// (channel.bytes_only), so nothing that lies in its queue can keep the process that has the folder,
// and with it the end, alive.
#include "abi/folder.h"

#include "abi/nebulet_call.h"
#include "abi/wasi.h"
#include "base/heap.h"
#include "fs/ninep.h"
#include "kern/service.h"
#include "plat/plat.h"

struct folder {
    struct ninep_transport transport;
    struct channel *channel;      // a reference; NULL: it was never given
    struct channel *control;      // likewise: who hears of the need for another one; NULL: nobody
    u8 service[NEBULET_NAME_MAX]; // who serves it is found by that name again; none: no more
    u32 service_size;
    // Under the kernel lock
    bool busy;
    struct link waiting; // struct sender
};

static struct folder *folder_of(struct ninep_transport *t)
{
    return container_of(t, struct folder, transport);
}

static void wake_next(struct folder *f)
{
    if (f->busy || link_alone(&f->waiting))
        return;
    struct sender *s = container_of(f->waiting.next, struct sender, link);
    link_remove(&s->link);
    sched_wake(s->thread, OK);
}

static enum fs_error folder_begin(struct ninep_transport *t)
{
    struct folder *f = folder_of(t);
    struct sender me = {.thread = sched_self()};
    status s = OK;
    kern_acquire();
    while (!s && f->busy) {
        link_add(&f->waiting, &me.link);
        s = sched_wait(me.thread, NEBULET_FOREVER);
        link_remove(&me.link);
    }
    if (!s)
        f->busy = true;
    else
        wake_next(f); // it may have been our turn
    kern_release();
    return s ? E_INTR : E_SUCCESS;
}

static void folder_end(struct ninep_transport *t)
{
    struct folder *f = folder_of(t);
    kern_acquire();
    f->busy = false;
    wake_next(f);
    kern_release();
}

static enum fs_error error_of(s64 s)
{
    switch (s) {
    case ERR_CANCELLED: return E_INTR;
    case ERR_NO_MEMORY:
    case ERR_NO_RESOURCES: return E_NOMEM;
    default: return s < 0 ? E_IO : E_SUCCESS;
    }
}

static enum fs_error folder_send(struct ninep_transport *t, const u8 *bytes, u32 size)
{
    return error_of(
        channel_send(sched_self(), folder_of(t)->channel, bytes, size, NULL, 0, NEBULET_FOREVER));
}

static enum fs_error folder_receive(struct ninep_transport *t, u8 *bytes, u32 room, u32 *size)
{
    struct nebulet_message needed;
    s64 got = channel_recv(folder_of(t)->channel, bytes, room, NULL, 0, &needed, NEBULET_FOREVER);
    *size = got < 0 ? 0 : (u32)got;
    return error_of(got);
}

static bool folder_gone(struct ninep_transport *t)
{
    u32 signals = __atomic_load_n(&folder_of(t)->channel->object.signals, __ATOMIC_RELAXED);
    return signals & NEBULET_PEER_CLOSED; // what it has left unread is nobody's answer any more
}

static status ask_for_another(struct channel *control, struct channel **out)
{
    struct channel *ours, *theirs;
    status s = channel_new(&ours, &theirs);
    if (s)
        return s;
    kern_acquire();
    s = control->peer ? channel_push(control->peer, NULL, 0,
                                     &(struct sent_handle){&theirs->object, HANDLE_ALL_RIGHTS}, 1)
                      : ERR_NOT_FOUND;
    if (s) {
        object_unref(&theirs->object);
        object_unref(&ours->object);
    }
    kern_release();
    *out = ours;
    return s;
}

static enum fs_error folder_again(struct ninep_transport *t)
{
    enum { PATIENCE = 10 }; // s
    struct folder *f = folder_of(t);
    struct channel *c, *old = f->channel;
    if (!f->service_size && !f->control)
        return E_NOTSUP;
    status s = f->control ? ask_for_another(f->control, &c)
                          : service_connect(f->service, f->service_size,
                                            plat_now() + PATIENCE * 1000000000ull, &c);
    if (s)
        return s == ERR_NOT_FOUND ? E_IO : error_of(s);
    kern_acquire();
    c->bytes_only = true;
    f->channel = c;
    object_unref(&old->object);
    kern_release();
    return E_SUCCESS;
}

// Perhaps by whoever takes dead objects apart, so what this one's end brings is left to those.
static void folder_drop(struct ninep_transport *t)
{
    struct folder *f = folder_of(t);
    spin_acquire(&rt_switch_lock);
    if (f->channel)
        object_unref(&f->channel->object);
    if (f->control)
        object_unref(&f->control->object);
    spin_release(&rt_switch_lock);
    heap_free(f);
}

static struct vfs_file *folder_new(struct folder **out)
{
    static u64 last;
    struct folder *f = heap_zalloc(sizeof *f);
    if (!f)
        return NULL;
    f->transport = (struct ninep_transport){folder_begin, folder_end,   folder_send, folder_receive,
                                            folder_gone,  folder_again, folder_drop};
    link_init(&f->waiting);
    *out = f;
    struct vfs_file *root =
        ninep_folder(&f->transport, __atomic_add_fetch(&last, 1, __ATOMIC_RELAXED) << 32);
    if (!root)
        heap_free(f);
    return root;
}

struct vfs_file *folder_on(struct channel *c, struct channel *control)
{
    struct folder *f;
    struct vfs_file *root = folder_new(&f);
    if (root) {
        f->channel = c;
        f->control = control;
        c->bytes_only = control->bytes_only = true;
    }
    return root;
}

// The folder's name, and behind a 0 that of the service.
static status take_names(const struct process *p, struct folder *f, const char *name, u32 size)
{
    u32 n = (u32)strlen(name), rest = n < size ? size - n - 1 : 0;
    if (!n || n > VFS_NAME || (n < size && (!rest || rest > NEBULET_NAME_MAX)))
        return ERR_INVALID_ARG;
    if (rest && !(p->limits.privileges & NEBULET_MAY_CONNECT))
        return ERR_ACCESS_DENIED;
    memcpy(f->service, name + n + 1, rest);
    f->service_size = rest;
    return OK;
}

static status check_channel(const struct handle *h)
{
    u32 needed = NEBULET_TRANSFER | NEBULET_READ | NEBULET_WRITE;
    if (!h)
        return ERR_BAD_HANDLE;
    if (h->object->type != OBJECT_channel)
        return ERR_WRONG_TYPE;
    return (h->rights & needed) == needed ? OK : ERR_ACCESS_DENIED;
}

// With the lock. The name and the file are the process's then.
static status give(struct process *p, struct process *to, nebulet_handle channel, struct folder *f,
                   struct vfs_file *root, char *name)
{
    struct handle *h = handle_find(&p->handles, channel);
    struct channel *c = container_of(h->object, struct channel, object);
    if (to->state != NEBULET_CREATED || to->begun || c->first)
        return ERR_BAD_STATE;
    if (!to->wasi)
        return ERR_NOT_SUPPORTED;
    status s = wasi_add_folder(to->wasi, root, name);
    if (s)
        return s;
    handle_remove(&p->handles, h);
    c->bytes_only = true;
    f->channel = c;
    return OK;
}

SELDOM s64 call_process_folder(struct vmctx *vm, struct process *p,
                               const struct call_process_folder *a)
{
    (void)vm;
    struct folder *f;
    status s = check_channel(handle_find(&p->handles, a->channel));
    if (s)
        return s;
    if (a->name_size > VFS_NAME + 1 + NEBULET_NAME_MAX)
        return ERR_INVALID_ARG;
    char *name = heap_zalloc(a->name_size + 1);
    struct vfs_file *root = name ? folder_new(&f) : NULL;
    if (!root) {
        heap_free(name);
        return ERR_NO_MEMORY;
    }
    memcpy(name, a->name, a->name_size);
    s = take_names(p, f, name, a->name_size);
    kern_acquire();
    if (!s)
        s = give(p, a->process, a->channel, f, root, name);
    kern_release();
    if (s) {
        vfs_close(root);
        heap_free(name);
    }
    return s;
}
