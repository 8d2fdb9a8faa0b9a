// SPDX-License-Identifier: MIT
// WASI: poll_oneoff, which waits until one of many subscriptions has happened.
//
// The subscriptions are read into the program's record first, so that the guest may use one buffer
// for both lists; clocks become deadlines on the monotonic clock. Subscriptions that cannot be
// answer at once, with an error of their own. Then the platform waits for all files and the
// earliest deadline together, and whatever has happened by then is written out, in the order of the
// subscriptions.
#include "abi/wasi_call.h"
#include "plat/plat.h"

enum tag { TAG_CLOCK, TAG_READ, TAG_WRITE };
enum { CLOCK_REAL, CLOCK_MONOTONIC, CLOCK_ABSOLUTE = 1, EVENT_HANGUP = 1 };

static u64 add_saturating(u64 a, u64 b)
{
    return a + b < a ? UINT64_MAX : a + b;
}

static enum fs_error clock_deadline(u32 id, u64 timeout, u32 flags, u64 *out)
{
    u64 now = plat_now();
    if (id != CLOCK_REAL && id != CLOCK_MONOTONIC)
        return id < 4 ? E_NOTSUP : E_INVAL;
    *out = add_saturating(now, timeout);
    if (flags & CLOCK_ABSOLUTE) {
        u64 base = id == CLOCK_REAL ? plat_wall_clock() : now;
        *out = timeout <= base ? now : add_saturating(now, timeout - base);
    }
    return E_SUCCESS;
}

// A file that is to be waited for; errors go into the event.
static enum fs_error add_file(struct wasi *w, struct wasi_sub *s, u32 number)
{
    struct wasi_fd *fd;
    u64 rights = R_POLL_FD_READWRITE | (s->tag == TAG_WRITE ? R_FD_WRITE : R_FD_READ);
    s->error = wasi_find_fd(w, number, rights, &fd);
    if (s->error)
        return E_SUCCESS;
    s->item = w->items.count;
    struct vfs_poll item = {.file = fd->file, .write = s->tag == TAG_WRITE};
    return vec_push(&w->items, item) ? E_SUCCESS : E_NOMEM;
}

static enum fs_error read_one(struct call *c, const u8 *p)
{
    struct wasi_subscription now;
    struct wasi_subscription_unstable then;
    struct wasi_sub s = {.item = UINT32_MAX, .deadline = UINT64_MAX};
    __builtin_memcpy(&now, p, sizeof now);
    if (c->unstable) {
        __builtin_memcpy(&then, p, sizeof then);
        now.clock.id = then.tag == TAG_CLOCK ? then.clock.id : then.fd;
        now.clock.timeout = then.clock.timeout;
        now.clock.flags = then.clock.flags;
    }
    enum fs_error e = E_SUCCESS;
    s.userdata = now.userdata;
    s.tag = now.tag;
    if (s.tag == TAG_CLOCK)
        s.error = clock_deadline(now.clock.id, now.clock.timeout, now.clock.flags, &s.deadline);
    else if (s.tag <= TAG_WRITE)
        e = add_file(c->wasi, &s, now.fd);
    else
        return E_INVAL;
    return e ? e : vec_push(&c->wasi->subs, s) ? E_SUCCESS : E_NOMEM;
}

static enum fs_error read_all(struct call *c, u32 address, u32 count)
{
    u32 size =
        c->unstable ? sizeof(struct wasi_subscription_unstable) : sizeof(struct wasi_subscription);
    const u8 *p = guest(c, address, (u64)count * size);
    if (!p)
        return E_FAULT;
    c->wasi->subs.count = c->wasi->items.count = 0;
    enum fs_error e = E_SUCCESS;
    for (u32 i = 0; i < count && !e; i++)
        e = read_one(c, p + (u64)i * size);
    return e;
}

static u64 earliest(const struct wasi *w)
{
    u64 until = UINT64_MAX;
    for (u32 i = 0; i < w->subs.count; i++) {
        if (w->subs.at[i].error)
            return 0;
        if (w->subs.at[i].deadline < until)
            until = w->subs.at[i].deadline;
    }
    return until;
}

// Without a function of the platform: looks, and sleeps until something may have changed.
static enum fs_error wait_plain(struct vfs_poll *items, u32 n, u64 until)
{
    for (;;) {
        bool any = false;
        for (u32 i = 0; i < n; i++) {
            vfs_ready(&items[i]);
            any |= items[i].ready;
        }
        if (any || (until != UINT64_MAX && plat_now() >= until))
            return E_SUCCESS;
        plat_wait(until);
    }
}

static bool happened(const struct wasi *w, const struct wasi_sub *s, u64 now, struct wasi_event *e)
{
    __builtin_memset(e, 0, sizeof *e);
    e->userdata = s->userdata;
    e->tag = s->tag;
    e->error = (u16)s->error;
    if (s->error)
        return true;
    if (s->item == UINT32_MAX)
        return s->deadline <= now;
    const struct vfs_poll *p = &w->items.at[s->item];
    e->error = (u16)p->error;
    e->bytes = p->bytes;
    e->flags = p->hangup ? EVENT_HANGUP : 0;
    return p->ready;
}

static u32 write_events(struct call *c, u32 address)
{
    const struct wasi *w = c->wasi;
    struct wasi_event event;
    u64 now = plat_now();
    u32 n = 0;
    for (u32 i = 0; i < w->subs.count; i++)
        if (happened(w, &w->subs.at[i], now, &event))
            put_bytes(c, address + n++ * (u32)sizeof event, &event, sizeof event);
    return n;
}

enum fs_error wasi_poll_oneoff(struct call *c, struct args_poll_oneoff *a)
{
    struct wasi *w = c->wasi;
    if (a->count == 0 || a->count > MAX_SUBSCRIPTIONS)
        return E_INVAL;
    if (!guest(c, a->out, (u64)a->count * sizeof(struct wasi_event)))
        return E_FAULT;
    enum fs_error e = read_all(c, a->in, a->count);
    u64 until = earliest(w);
    u32 n = 0;
    while (!e && !n) {
        vfs_wait_fn *wait = w->wait ? w->wait : wait_plain;
        e = wait(w->items.at, w->items.count, until);
        if (e == E_INTR) { // not from the start: relative times would begin again
            rt_check_interrupt(c->vm);
            e = E_SUCCESS;
            continue;
        }
        if (!e)
            n = write_events(c, a->out);
    }
    if (!e)
        put_u32(c, a->nevents, n);
    return e;
}
