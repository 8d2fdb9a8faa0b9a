// SPDX-License-Identifier: MIT
// The console as files; see console.h. Two locks: the one of input and of those who watch is this
// machine's I/O lock (fs/vfs.h), and output has one so that what goes out in one call stays
// together.
//
// Programs do not wait for the port here: what does not fit into the ring in front of it is for a
// later call, and for that they are told when there is room (console_watch). A part of the ring is
// kept from them, so that messages of the kernel have room, which come out behind what was written
// before. Where even that is full, who has something to say waits, without a lock; and when the
// other side takes nothing for a second, what there is to say is lost until there is room, which is
// said then.
#include "plat/pc/console.h"

#include "base/fmt.h"
#include "base/lock.h"
#include "base/lookup.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

enum { DLE = 0x10 };
enum {
    PROGRAMS = SERIAL_OUT / 2, // bytes of output that wait, from programs
    WRITE_MAX = 768,           // bytes that go out together, for which the lock is held
    WRITE_QUICK = 1536,        // the same, where the port takes no time
    PIECE = 64,                // bytes that are made ready for the port at once
    CONTROL = 64,              // bytes of the ring for what is not data
};
#define PATIENCE_NS 1000000000ull

static bool multiplexed; // set before there is anybody else

// What the port has brought that is not data. Its reader writes it, others look.
static struct {
    u8 control;                // of which bytes are to come: 0, DLE, or '1' or '2'
    bool ended;                // nothing comes behind what the port's reader has
    u8 error[CONSOLE_STREAMS]; // enum fs_error; a closed pipe's stays, another one is told once
} told;

static struct {
    spinlock lock;
    u32 taken; // since more was granted
    const u8 *preloaded;
    u64 left;                     // of it
    bool all;                     // nothing comes behind it
    struct vfs_watch *watches[2]; // those who want to read, to write
} input;

static struct {
    spinlock lock;
    u32 owner;  // CPU + 1; 0: nobody
    u32 stream; // that the other side expects
    u64 lost;   // bytes of messages
} output = {.stream = CONSOLE_OUT};

// The quick way is for who has much to say or to hear: to set it up takes as long as a few
// hundred bytes.
enum { MUCH = 4096, GRANTS = BULK_IN / CONSOLE_GRANT, GRANT_AT_ONCE = 8 };
static struct {
    u64 moved; // bytes; what is lost between CPUs does not matter
    bool tried, on;
} quick;

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
    if (quick.on)
        serial_push();
    __atomic_store_n(&output.owner, 0, __ATOMIC_RELAXED);
    spin_release(&output.lock);
}

// Whoever has had the output has been stopped.
void console_seize(void)
{
    __atomic_store_n(&output.owner, this_cpu()->id + 1, __ATOMIC_RELAXED);
    output.stream = CONSOLE_STREAMS; // the serial port's may be another one
    serial_seize();
}

// There is room, but for who is the last to run.
static void put(const u8 *p, u32 n)
{
    serial_drain(SERIAL_OUT - n);
    serial_put(p, n);
}

static void control(u8 a, u8 b, u32 n)
{
    u8 text[3] = {DLE, a, b};
    put(text, n);
}

// What was sent before the port was set up is lost, so the other side waits for this. The port's
// reader has room for two grants.
void console_multiplex(void)
{
    multiplexed = true;
    control('R', 0, 2);
    control('R', 0, 2);
}

bool console_is_multiplexed(void)
{
    return multiplexed;
}

static void consider(u64 n)
{
    quick.moved += n;
    if (likely(quick.tried || quick.moved < MUCH) || !multiplexed ||
        __atomic_exchange_n(&quick.tried, true, __ATOMIC_RELAXED) || !serial_prepare())
        return;
    bool taken = take_output();
    control('V', 0, 2);
    serial_move();
    for (u32 i = 2; i < GRANTS; i++) // the first two were given at the beginning
        control('R', 0, 2);
    quick.on = true;
    give_output(taken);
}

static void select_stream(u32 stream)
{
    if (multiplexed && stream != output.stream)
        control((u8)('0' + stream), 0, 2);
    output.stream = stream;
}

// What n bytes may come to on the way out.
static size_t most_of(size_t n)
{
    return 2 * n + 2;
}

// Of PIECE bytes at most; what lies behind n does not matter.
static bool has_dle(const u8 *p, u32 n)
{
    u64 found = 0, ones = 0x0101010101010101;
    for (u32 i = 0; i < n; i += 8) {
        u64 x = load_u64(p + i) ^ DLE * ones; // 0 where there is one
        found |= (x - ones) & ~x & 0x80 * ones;
    }
    return found;
}

static u32 escape(u8 *to, const u8 *p, u32 n)
{
    u32 size = 0;
    for (u32 i = 0; i < n; i++) {
        u8 b = *(const volatile u8 *)(p + i); // once: another process may change it
        if (b == DLE)
            to[size++] = DLE;
        to[size++] = b;
    }
    return size;
}

static void write_stream(u32 stream, const u8 *p, size_t n)
{
    u8 out[2 * PIECE];
    if (n)
        select_stream(stream);
    while (n) {
        u32 part = n < PIECE ? (u32)n : PIECE, size = part;
        memcpy(out, p, part);
        if (multiplexed && has_dle(out, part))
            size = escape(out, p, part);
        put(out, size);
        p += part;
        n -= part;
    }
}

static bool fits(size_t n)
{
    return serial_waiting() + most_of(n) + CONTROL <= SERIAL_OUT;
}

// The output, with room for n bytes; or without, since the other side takes nothing.
static bool take_output_for(size_t n)
{
    u32 was = serial_waiting();
    u64 since = plat_now();
    bool taken;
    while ((taken = take_output()) && !fits(n) && !output.lost &&
           plat_now() - since < PATIENCE_NS) {
        give_output(taken);
        serial_push();
        look_up();
        cpu_pause();
        if (serial_waiting() != was)
            was = serial_waiting(), since = plat_now();
    }
    return taken;
}

static void tell_lost(void)
{
    char text[80];
    size_t n = fmt(text, sizeof text, "nebulet: %lu bytes of messages lost: nobody took them\n",
                   (unsigned long)output.lost);
    if (output.lost && fits(n + WRITE_MAX)) {
        output.lost = 0;
        write_stream(CONSOLE_ERR, (const u8 *)text, n);
    }
}

static void say(u32 stream, const char *p, size_t n)
{
    for (size_t part; n; p += part, n -= part) {
        part = n < WRITE_MAX ? n : WRITE_MAX;
        bool taken = take_output_for(part);
        tell_lost();
        if (!taken || fits(part))
            write_stream(stream, (const u8 *)p, part);
        else
            output.lost += part;
        give_output(taken);
    }
}

void plat_console_write(const char *p, size_t n)
{
    say(CONSOLE_ERR, p, n);
}

void console_trace(const char *line, size_t n)
{
    say(CONSOLE_TRACE, line, n);
}

void console_ended(u8 exit_code)
{
    bool taken = take_output();
    if (output.lost)
        serial_drain(0);
    tell_lost();
    if (multiplexed)
        control('E', exit_code, 3);
    give_output(taken);
    serial_drain(0);
}

bool console_is_data(u8 byte)
{
    u8 before = told.control;
    if (!multiplexed || (!before && byte != DLE))
        return true;
    told.control = 0;
    if (!before)
        told.control = DLE;
    else if (before != DLE)
        __atomic_store_n(&told.error[before - '0'], byte, __ATOMIC_RELAXED);
    else if (byte == '1' || byte == '2')
        told.control = byte;
    else if (byte == 'V')
        serial_input_moves();
    else if (byte == 'Z')
        __atomic_store_n(&told.ended, true, __ATOMIC_RELEASE);
    return before == DLE && byte == DLE;
}

u32 console_data(const u8 *p, u32 n)
{
    u32 i = 0;
    if (multiplexed && told.control)
        return 0;
    while (multiplexed && i + PIECE <= n && !has_dle(p + i, PIECE))
        i += PIECE;
    while (i < n && (!multiplexed || p[i] != DLE))
        i++;
    return i;
}

void console_preload(const u8 *p, u64 size, bool all)
{
    spin_acquire(&input.lock);
    input.preloaded = p;
    input.left = size;
    input.all = all;
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

// *end: there is none, and none comes.
static size_t read_some(u8 *p, size_t n, bool *end)
{
    if (input.left)
        return read_preloaded(p, n);
    *end = input.all || __atomic_load_n(&told.ended, __ATOMIC_ACQUIRE);
    size_t got = input.all ? 0 : serial_read(p, n);
    input.taken += (u32)got;
    *end &= !got;
    return got;
}

static bool has_input(void)
{
    return input.all || input.left || serial_has_input() ||
           __atomic_load_n(&told.ended, __ATOMIC_ACQUIRE);
}

// The other side may send so many times CONSOLE_GRANT bytes more.
static void grant(u32 times)
{
    if (!multiplexed || !times)
        return;
    bool taken = take_output();
    while (times--)
        control('R', 0, 2);
    give_output(taken);
}

// --- Who waits
static bool has_room(void)
{
    return serial_waiting() + most_of(WRITE_QUICK) <= PROGRAMS; // for any call
}

static bool wanted(bool write)
{
    return __atomic_load_n(&input.watches[write], __ATOMIC_RELAXED) &&
           (write ? has_room() : has_input());
}

// A few at a time, for there may be a crowd.
static bool deliver(bool write)
{
    enum { AT_ONCE = 16 };
    bool any = false;
    while (wanted(write)) {
        spin_acquire(&input.lock);
        struct vfs_watch *w;
        for (u32 i = 0; i < AT_ONCE && (w = input.watches[write]); i++) {
            input.watches[write] = w->next;
            if (w->next)
                w->next->previous = NULL;
            w->slot = 0;
            w->ready(w);
            any = true;
        }
        spin_release(&input.lock);
    }
    return any;
}

// Mostly nobody waits, as between an interrupt and its driver.
bool console_deliver(void)
{
    if (!__atomic_load_n(&input.watches[0], __ATOMIC_RELAXED) &&
        !__atomic_load_n(&input.watches[1], __ATOMIC_RELAXED))
        return false;
    bool any = deliver(false);
    return deliver(true) || any;
}

bool console_pending(void)
{
    return wanted(false) || wanted(true);
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
    w->next = input.watches[w->write];
    if (w->next)
        w->next->previous = w;
    __atomic_store_n(&input.watches[w->write], w, __ATOMIC_SEQ_CST);
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
        input.watches[w->write] = w->next;
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
    bool end = false;
    spin_acquire(&input.lock);
    *done = read_some(v[i].p, v[i].n, &end);
    u32 room = input.taken / CONSOLE_GRANT;
    room = quick.on && room < GRANT_AT_ONCE ? 0 : room;
    input.taken -= room * CONSOLE_GRANT;
    spin_release(&input.lock);
    grant(room);
    consider(*done);
    return *done || end ? E_SUCCESS : E_AGAIN;
}

static u32 stream_of(const struct vfs_file *f);

// What the other side has said of that output.
static enum fs_error failure(u32 stream)
{
    u8 e = __atomic_load_n(&told.error[stream], __ATOMIC_RELAXED);
    if (e && e != E_PIPE)
        __atomic_store_n(&told.error[stream], 0, __ATOMIC_RELAXED);
    return (enum fs_error)e;
}

static enum fs_error console_write(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                                   u64 *done)
{
    u64 left, all = 0;
    (void)offset;
    *done = 0;
    enum fs_error e = failure(stream_of(f));
    if (e)
        return e;
    bool tells = stream_of(f) == CONSOLE_TELL;
    u32 most = tells ? CONSOLE_TOLD : quick.on ? WRITE_QUICK : WRITE_MAX;
    for (u32 i = 0; i < n && all < most; i++)
        all += v[i].n;
    bool taken = take_output();
    u32 waiting = serial_waiting();
    left = all < most ? all : most;
    if (waiting + most_of(left) > PROGRAMS)
        left = 0;
    for (u32 i = 0; i < n && left; i++) {
        size_t part = v[i].n < left ? v[i].n : left;
        write_stream(stream_of(f), v[i].p, part);
        *done += part;
        left -= part;
    }
    if (tells && *done)
        select_stream(CONSOLE_ERR); // there it ends
    give_output(taken);
    consider(*done);
    return *done || !all ? E_SUCCESS : E_AGAIN;
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
    p->ready = p->write ? has_room() : has_input();
}

static void console_out_ready(struct vfs_poll *p)
{
    p->ready = has_room();
    p->hangup =
        p->write && __atomic_load_n(&told.error[stream_of(p->file)], __ATOMIC_RELAXED) == E_PIPE;
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
    .ready = console_out_ready,
    .watch = console_watch,
    .unwatch = console_unwatch,
};

static struct vfs_file files[] = {
    {.ops = &in_ops, .refs = 1, .type = VFS_UNKNOWN},
    {.ops = &out_ops, .refs = 1, .type = VFS_UNKNOWN},
    {.ops = &out_ops, .refs = 1, .type = VFS_UNKNOWN},
    {.ops = &out_ops, .refs = 1, .type = VFS_UNKNOWN},
};

_Static_assert(2 * CONSOLE_TOLD + CONTROL <= PROGRAMS, "there can be room for it");

static u32 stream_of(const struct vfs_file *f)
{
    return (u32)(f - files);
}

void console_terminal(u32 stream)
{
    files[stream].type = VFS_CHARACTER_DEVICE;
    files[stream].terminal = true;
}

struct vfs_file *console_file(u32 stream)
{
    return &files[stream];
}
