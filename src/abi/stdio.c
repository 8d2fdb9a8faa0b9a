// SPDX-License-Identifier: MIT
// Standard streams and environment that whoever makes a process gives it: the calls process_stream
// and process_environment, and streams (kern/stream.h) as files of the VFS.
//
// Such a file parks (fs/vfs.h): a read or write waits in the stream, so there is nothing to begin
// anew, and a process that is to end is told by CANCELLED.
#include "abi/nebulet_call.h"
#include "abi/wasi.h"
#include "base/heap.h"
#include "fs/vfs.h"

struct stream_file {
    struct vfs_file f;
    struct stream *stream; // a reference; NULL: it was never given
};

static struct stream *stream_of(struct vfs_file *f)
{
    return container_of(f, struct stream_file, f)->stream;
}

static enum fs_error error_of(const struct vfs_file *f, s64 s)
{
    switch (s) {
    case ERR_CANCELLED: return E_INTR;
    case ERR_SHOULD_WAIT: return E_AGAIN;
    case ERR_NO_MEMORY: return E_NOMEM;
    case ERR_PEER_CLOSED:
        return container_of(f, struct stream_file, f)->stream->writes ? E_PIPE : E_SUCCESS;
    default: return E_BADF; // it is the other end
    }
}

// What a read gets is what there is; a write goes on to its end.
static enum fs_error stream_move(struct vfs_file *f, const struct vfs_iov *v, u32 n, bool all,
                                 s64 (*some)(struct stream *s, u8 *bytes, u32 size, u64 deadline),
                                 u64 *done)
{
    u64 wait = f->flags & VFS_NONBLOCK ? NEBULET_AT_ONCE : NEBULET_FOREVER;
    *done = 0;
    for (size_t at = 0; n;) {
        if (at == v->n) {
            v++, n--, at = 0;
            continue;
        }
        u32 size = v->n - at < UINT32_MAX ? (u32)(v->n - at) : UINT32_MAX;
        s64 got = some(stream_of(f), v->p + at, size, *done && !all ? NEBULET_AT_ONCE : wait);
        if (got < 0)
            return *done ? E_SUCCESS : error_of(f, got);
        *done += (u64)got;
        at += (size_t)got;
        if (!all && got < size)
            break;
    }
    return E_SUCCESS;
}

static s64 write_some(struct stream *s, u8 *bytes, u32 size, u64 deadline)
{
    return stream_write(s, bytes, size, deadline);
}

static enum fs_error file_read(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                               u64 *done)
{
    return offset == VFS_HERE ? stream_move(f, v, n, false, stream_read, done) : E_SPIPE;
}

static enum fs_error file_write(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                                u64 *done)
{
    return offset == VFS_HERE ? stream_move(f, v, n, true, write_some, done) : E_SPIPE;
}

static enum fs_error file_stat(struct vfs_file *f, struct vfs_stat *out)
{
    *out = (struct vfs_stat){.type = f->type, .nlink = 1};
    return E_SUCCESS;
}

static enum fs_error file_flags(struct vfs_file *f, u32 flags)
{
    if ((flags ^ f->flags) & ~(u32)(VFS_NONBLOCK | VFS_APPEND))
        return E_NOTSUP;
    f->flags = flags;
    return E_SUCCESS;
}

// Perhaps by whoever takes dead objects apart, so what this one's end brings is left to those.
static void file_close(struct vfs_file *f)
{
    struct stream_file *file = container_of(f, struct stream_file, f);
    spin_acquire(&rt_switch_lock);
    if (file->stream)
        object_unref(&file->stream->object);
    spin_release(&rt_switch_lock);
    heap_free(file);
}

static const struct vfs_ops stream_ops = {
    .close = file_close,
    .read = file_read,
    .write = file_write,
    .stat = file_stat,
    .set_flags = file_flags,
};

static status check(const struct handle *h, u32 number)
{
    u32 needed = NEBULET_TRANSFER | (number ? NEBULET_WRITE : NEBULET_READ);
    if (!h)
        return ERR_BAD_HANDLE;
    if (h->object->type != OBJECT_stream)
        return ERR_WRONG_TYPE;
    if ((h->rights & needed) != needed)
        return ERR_ACCESS_DENIED;
    return container_of(h->object, struct stream, object)->writes == (number != 0)
               ? OK
               : ERR_INVALID_ARG;
}

// With the lock.
static status equippable(const struct process *to)
{
    if (to->state != NEBULET_CREATED || to->begun)
        return ERR_BAD_STATE;
    return to->wasi ? OK : ERR_NOT_SUPPORTED;
}

SELDOM s64 call_process_stream(struct vmctx *vm, struct process *p,
                               const struct call_process_stream *a)
{
    (void)vm;
    struct handle *h = handle_find(&p->handles, a->stream);
    status s = a->number > 2 ? ERR_INVALID_ARG : check(h, a->number);
    struct stream_file *file = s ? NULL : heap_zalloc(sizeof *file);
    struct vfs_file *old = NULL;
    if (s || !file)
        return s ? s : ERR_NO_MEMORY;
    file->f = (struct vfs_file){.ops = &stream_ops, .refs = 1, .parks = true};
    kern_acquire();
    s = equippable(a->process);
    if (!s) {
        file->stream = container_of(handle_remove(&p->handles, h), struct stream, object);
        old = wasi_set_stream(a->process->wasi, a->number, &file->f);
    }
    kern_release();
    vfs_close(s ? &file->f : old);
    return s;
}

SELDOM s64 call_process_environment(struct vmctx *vm, struct process *p,
                                    const struct call_process_environment *a)
{
    (void)vm, (void)p;
    char *bytes = NULL;
    if (a->variables_size && a->variables[a->variables_size - 1])
        return ERR_INVALID_ARG;
    status s = ERR_NO_MEMORY;
    if (wasi_texts_copy(a->variables, a->variables_size, &bytes)) {
        kern_acquire();
        s = equippable(a->process);
        if (!s)
            bytes = wasi_set_environment(a->process->wasi, bytes, a->variables_size);
        kern_release();
    }
    heap_free(bytes);
    return s;
}
