// SPDX-License-Identifier: MIT
// The console as files; see console.h. A read waits for at least one byte, with the CPU asleep, and
// ends with E_INTR after a kick, so that a program can be ended while it waits.
#include "plat/pc/console.h"

#include "plat/pc/pc.h"

enum { DLE = 0x10 };

static struct {
    bool multiplexed, ended;
    bool escape; // the last byte read was DLE
    u32 stream;  // that the other side expects
    const u8 *preloaded;
    u64 left; // of it
    bool all; // nothing comes behind it
} console = {.stream = CONSOLE_OUT};

static void control(u8 a, u8 b, u32 n)
{
    u8 text[3] = {DLE, a, b};
    serial_write(text, n);
}

// What was sent before the port was set up is lost, so the other side waits for this.
void console_multiplex(void)
{
    console.multiplexed = true;
    control('R', 0, 2);
}

void console_ended(u8 exit_code)
{
    if (console.multiplexed)
        control('E', exit_code, 3);
}

static void write_stream(u32 stream, const u8 *p, size_t n)
{
    if (!console.multiplexed) {
        serial_write(p, n);
        return;
    }
    if (!n)
        return;
    if (stream != console.stream)
        control((u8)('0' + stream), 0, 2);
    console.stream = stream;
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
    write_stream(CONSOLE_ERR, (const u8 *)p, n);
}

// Takes the control bytes out of what has been read; how many bytes are left.
static size_t decode(u8 *p, size_t n)
{
    size_t to = 0;
    for (size_t i = 0; i < n; i++) {
        if (!console.escape && p[i] == DLE) {
            console.escape = true;
            continue;
        }
        if (console.escape && p[i] == 'Z')
            console.ended = true;
        else
            p[to++] = p[i];
        console.escape = false;
    }
    return to;
}

void console_preload(const u8 *p, u64 size, bool all)
{
    console.preloaded = p;
    console.left = size;
    console.all = all;
    console.ended = all && !size;
}

static size_t read_preloaded(u8 *p, size_t n)
{
    size_t part = n < console.left ? n : console.left;
    memcpy(p, console.preloaded, part);
    console.preloaded += part;
    console.left -= part;
    return part;
}

static size_t read_some(u8 *p, size_t n)
{
    if (console.left)
        return read_preloaded(p, n);
    if (console.all) {
        console.ended = true;
        return 0;
    }
    size_t got = serial_read(p, n);
    return console.multiplexed ? decode(p, got) : got;
}

// --- As files
static enum fs_error console_read(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                                  u64 *done)
{
    (void)offset;
    u32 i = 0;
    *done = 0;
    while (i < n && !v[i].n)
        i++;
    while (i < n && !console.ended) {
        *done = read_some(v[i].p, v[i].n);
        if (*done || console.ended)
            break;
        if (f->flags & VFS_NONBLOCK)
            return E_AGAIN;
        if (serial_has_input())
            continue;
        plat_wait(UINT64_MAX);
        if (!serial_has_input())
            return E_INTR;
    }
    return E_SUCCESS;
}

static u32 stream_of(const struct vfs_file *f);

static enum fs_error console_write(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                                   u64 *done)
{
    (void)offset;
    *done = 0;
    for (u32 i = 0; i < n; i++) {
        write_stream(stream_of(f), v[i].p, v[i].n);
        *done += v[i].n;
    }
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
        p->ready = console.ended || console.all || console.left || serial_has_input();
}

static void console_close(struct vfs_file *f)
{
    f->refs = 1;
}

static const struct vfs_ops in_ops = {
    .close = console_close,
    .read = console_read,
    .stat = console_stat,
    .set_flags = console_set_flags,
    .ready = console_ready,
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
