// SPDX-License-Identifier: MIT
// The console as files; see console.h. Two locks: the one of input and of those who watch it is
// this machine's I/O lock (fs/vfs.h), and output has one so that what goes out in one call stays
// together.
#include "plat/pc/console.h"

#include "base/lock.h"
#include "plat/pc/pc.h"

enum { DLE = 0x10 };

static bool multiplexed; // set before there is anybody else

static struct {
    spinlock lock;
    bool ended;
    bool escape; // the last byte read was DLE
    const u8 *preloaded;
    u64 left; // of it
    bool all; // nothing comes behind it
    struct vfs_watch *watches;
} input;

static struct {
    spinlock lock;
    u32 owner;  // CPU + 1; 0: nobody
    u32 stream; // that the other side expects
} output = {.stream = CONSOLE_OUT};

// False on a CPU that has it: one that panics in the middle of a line must still be able to say so.
static bool take_output(void)
{
    u32 us = this_cpu()->id + 1;
    if (__atomic_load_n(&output.owner, __ATOMIC_RELAXED) == us)
        return false;
    spin_acquire(&output.lock);
    __atomic_store_n(&output.owner, us, __ATOMIC_RELAXED);
    return true;
}

static void give_output(bool taken)
{
    if (!taken)
        return;
    __atomic_store_n(&output.owner, 0, __ATOMIC_RELAXED);
    spin_release(&output.lock);
}

// Whoever has had the output has been stopped.
void console_seize(void)
{
    __atomic_store_n(&output.owner, this_cpu()->id + 1, __ATOMIC_RELAXED);
}

static void control(u8 a, u8 b, u32 n)
{
    u8 text[3] = {DLE, a, b};
    serial_write(text, n);
}

// What was sent before the port was set up is lost, so the other side waits for this.
void console_multiplex(void)
{
    multiplexed = true;
    control('R', 0, 2);
}

void console_ended(u8 exit_code)
{
    bool taken = take_output();
    if (multiplexed)
        control('E', exit_code, 3);
    give_output(taken);
}

static void write_stream(u32 stream, const u8 *p, size_t n)
{
    if (!multiplexed) {
        serial_write(p, n);
        return;
    }
    if (!n)
        return;
    if (stream != output.stream)
        control((u8)('0' + stream), 0, 2);
    output.stream = stream;
    for (size_t start = 0, i = 0; i <= n; i++) {
        if (i < n && p[i] != DLE)
            continue;
        serial_write(p + start, i - start);
        if (i < n)
            control(DLE, 0, 2);
        start = i + 1;
    }
}

void plat_console_write(const char *p, size_t n)
{
    bool taken = take_output();
    write_stream(CONSOLE_ERR, (const u8 *)p, n);
    give_output(taken);
}

// Takes the control bytes out of what has been read; how many bytes are left.
static size_t decode(u8 *p, size_t n)
{
    size_t to = 0;
    for (size_t i = 0; i < n; i++) {
        if (!input.escape && p[i] == DLE) {
            input.escape = true;
            continue;
        }
        if (input.escape && p[i] == 'Z')
            input.ended = true;
        else
            p[to++] = p[i];
        input.escape = false;
    }
    return to;
}

void console_preload(const u8 *p, u64 size, bool all)
{
    spin_acquire(&input.lock);
    input.preloaded = p;
    input.left = size;
    input.all = all;
    input.ended = all && !size;
    spin_release(&input.lock);
}

static size_t read_preloaded(u8 *p, size_t n)
{
    size_t part = n < input.left ? n : input.left;
    memcpy(p, input.preloaded, part);
    input.preloaded += part;
    input.left -= part;
    return part;
}

static size_t read_some(u8 *p, size_t n)
{
    if (input.left)
        return read_preloaded(p, n);
    if (input.all)
        input.ended = true;
    if (input.ended)
        return 0;
    size_t got = serial_read(p, n);
    return multiplexed ? decode(p, got) : got;
}

static bool has_input(void)
{
    return input.ended || input.all || input.left || serial_has_input();
}

// --- Who waits for input
bool console_deliver(void)
{
    bool any = false;
    if (!console_pending())
        return false;
    spin_acquire(&input.lock);
    for (struct vfs_watch *w; (w = input.watches); any = true) {
        input.watches = w->next;
        w->slot = 0;
        w->ready(w);
    }
    spin_release(&input.lock);
    return any;
}

bool console_pending(void)
{
    return __atomic_load_n(&input.watches, __ATOMIC_RELAXED) && has_input();
}

void plat_poll(void)
{
    console_deliver();
}

static enum fs_error console_watch(struct vfs_file *f, struct vfs_watch *w)
{
    (void)f;
    spin_acquire(&input.lock);
    w->slot = 1; // in the list
    w->previous = NULL;
    w->next = input.watches;
    if (w->next)
        w->next->previous = w;
    __atomic_store_n(&input.watches, w, __ATOMIC_SEQ_CST);
    spin_release(&input.lock);
    return E_SUCCESS;
}

static void console_unwatch(struct vfs_watch *w)
{
    spin_acquire(&input.lock);
    if (w->slot && w->next)
        w->next->previous = w->previous;
    if (w->slot && w->previous)
        w->previous->next = w->next;
    else if (w->slot)
        input.watches = w->next;
    w->slot = 0;
    spin_release(&input.lock);
}

// --- As files
static enum fs_error console_read(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                                  u64 *done)
{
    (void)f, (void)offset;
    u32 i = 0;
    *done = 0;
    while (i < n && !v[i].n)
        i++;
    if (i == n)
        return E_SUCCESS;
    spin_acquire(&input.lock);
    *done = read_some(v[i].p, v[i].n);
    bool ended = input.ended;
    spin_release(&input.lock);
    return *done || ended ? E_SUCCESS : E_AGAIN;
}

static u32 stream_of(const struct vfs_file *f);

static enum fs_error console_write(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                                   u64 *done)
{
    (void)offset;
    *done = 0;
    bool taken = take_output();
    for (u32 i = 0; i < n; i++) {
        write_stream(stream_of(f), v[i].p, v[i].n);
        *done += v[i].n;
    }
    give_output(taken);
    return E_SUCCESS;
}

static enum fs_error console_stat(struct vfs_file *f, struct vfs_stat *out)
{
    *out = (struct vfs_stat){.nlink = 1, .type = f->type};
    return E_SUCCESS;
}

static enum fs_error console_set_flags(struct vfs_file *f, u32 flags)
{
    f->flags = flags;
    return E_SUCCESS;
}

static void console_ready(struct vfs_poll *p)
{
    if (!p->write)
        p->ready = has_input();
}

static void console_close(struct vfs_file *f)
{
    (void)f; // console_file's own reference is never given back
}

static const struct vfs_ops in_ops = {
    .close = console_close,
    .read = console_read,
    .stat = console_stat,
    .set_flags = console_set_flags,
    .ready = console_ready,
    .watch = console_watch,
    .unwatch = console_unwatch,
};
static const struct vfs_ops out_ops = {
    .close = console_close,
    .write = console_write,
    .stat = console_stat,
    .set_flags = console_set_flags,
};

static struct vfs_file files[] = {
    {.ops = &in_ops, .refs = 1, .type = VFS_UNKNOWN},
    {.ops = &out_ops, .refs = 1, .type = VFS_UNKNOWN},
    {.ops = &out_ops, .refs = 1, .type = VFS_UNKNOWN},
};

static u32 stream_of(const struct vfs_file *f)
{
    return (u32)(f - files);
}

struct vfs_file *console_file(u32 stream)
{
    return &files[stream];
}
