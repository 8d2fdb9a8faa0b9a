// SPDX-License-Identifier: MIT
// WASI: poll_oneoff, which waits until one of many subscriptions has happened.
//
// The subscriptions are read into a record first, so that the guest may use one buffer for both
// lists; clocks become deadlines on the monotonic clock. The record goes through all rounds of the
// call and holds a reference to each file, for another thread may close it. Subscriptions that
// cannot be answer at once, with an error of their own. Then the shim waits for all files and the
// earliest deadline together, and whatever has happened by then is written out, in the order of the
// subscriptions. However often a file is subscribed to, it is waited for once.
#include "abi/wasi_call.h"
#include "base/lookup.h"
#include "plat/plat.h"

enum tag { TAG_CLOCK, TAG_READ, TAG_WRITE };
enum { CLOCK_REAL, CLOCK_MONOTONIC, CLOCK_ABSOLUTE = 1, EVENT_HANGUP = 1 };
enum { AT_ONCE = 256 }; // subscriptions or files, between two looks

struct wasi_sub {
    u64 userdata;
    u64 deadline; // clocks
    u32 item;     // place in `items`; UINT32_MAX: none
    enum fs_error error;
    u8 tag;
};

struct wasi_poll {
    u32 nsubs, nitems;
    struct vfs_poll *items; // behind the subscriptions
    struct wasi_sub subs[];
};

static struct wasi_poll *new_poll(u32 count)
{
    struct wasi_poll *p = heap_alloc(sizeof *p + count * (sizeof p->subs[0] + sizeof p->items[0]));
    if (!p)
        return NULL;
    p->nsubs = p->nitems = 0;
    p->items = (struct vfs_poll *)&p->subs[count];
    return p;
}

void wasi_poll_free(struct call *c)
{
    struct wasi_poll *p = c->poll;
    for (u32 i = 0; i < p->nitems; i++) {
        vfs_close(p->items[i].file);
        if (i % AT_ONCE == AT_ONCE - 1)
            look_up();
    }
    heap_free(p);
    c->poll = NULL;
}

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
static void add_file(struct call *c, struct wasi_sub *s, u32 number)
{
    struct wasi_fd *fd;
    struct wasi_poll *p = c->poll;
    u64 rights = R_POLL_FD_READWRITE | (s->tag == TAG_WRITE ? R_FD_WRITE : R_FD_READ);
    s->error = wasi_find_fd(c->wasi, number, rights, &fd);
    if (s->error)
        return;
    bool write = s->tag == TAG_WRITE;
    s->item = fd->polled[write];
    if (s->item < p->nitems && p->items[s->item].file == fd->file &&
        p->items[s->item].write == write)
        return;
    s->item = fd->polled[write] = p->nitems++;
    p->items[s->item] = (struct vfs_poll){.file = vfs_ref(fd->file), .write = write};
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
    s.userdata = now.userdata;
    s.tag = now.tag;
    if (s.tag == TAG_CLOCK)
        s.error = clock_deadline(now.clock.id, now.clock.timeout, now.clock.flags, &s.deadline);
    else if (s.tag <= TAG_WRITE)
        add_file(c, &s, now.fd);
    else
        return E_INVAL;
    c->poll->subs[c->poll->nsubs++] = s;
    return E_SUCCESS;
}

static enum fs_error read_all(struct call *c, u32 address, u32 count)
{
    u32 size =
        c->unstable ? sizeof(struct wasi_subscription_unstable) : sizeof(struct wasi_subscription);
    const u8 *p = guest(c, address, (u64)count * size);
    if (!p)
        return E_FAULT;
    c->poll = new_poll(count);
    if (!c->poll)
        return E_NOMEM;
    enum fs_error e = E_SUCCESS;
    for (u32 i = 0; i < count && !e; i++) {
        e = read_one(c, p + (u64)i * size);
        if (i % AT_ONCE == AT_ONCE - 1 && look_up())
            e = E_INTR;
    }
    if (e)
        wasi_poll_free(c);
    return e;
}

static u64 earliest(const struct wasi_poll *p)
{
    u64 until = UINT64_MAX;
    for (u32 i = 0; i < p->nsubs; i++) {
        if (p->subs[i].error)
            return 0;
        if (p->subs[i].deadline < until)
            until = p->subs[i].deadline;
    }
    return until;
}

static bool happened(const struct wasi_poll *poll, const struct wasi_sub *s, u64 now,
                     struct wasi_event *e)
{
    __builtin_memset(e, 0, sizeof *e);
    e->userdata = s->userdata;
    e->tag = s->tag;
    e->error = (u16)s->error;
    if (s->error)
        return true;
    if (s->item == UINT32_MAX)
        return s->deadline <= now;
    const struct vfs_poll *p = &poll->items[s->item];
    e->error = (u16)p->error;
    e->bytes = p->bytes;
    e->flags = p->hangup ? EVENT_HANGUP : 0;
    return p->ready;
}

static enum fs_error write_events(struct call *c, u32 address, u32 *count)
{
    const struct wasi_poll *p = c->poll;
    struct wasi_event event;
    u64 now = plat_now();
    *count = 0;
    for (u32 i = 0; i < p->nsubs; i++) {
        if (happened(p, &p->subs[i], now, &event))
            put_bytes(c, address + (*count)++ * (u32)sizeof event, &event, sizeof event);
        if (i % AT_ONCE == AT_ONCE - 1 && look_up())
            return E_INTR;
    }
    return E_SUCCESS;
}

// The first round reads and waits; each further one looks what has happened, and waits again if it
// is nothing.
enum fs_error wasi_poll_oneoff(struct call *c, struct args_poll_oneoff *a)
{
    if (c->poll) {
        u32 n;
        if (write_events(c, a->out, &n))
            return E_INTR;
        if (!n)
            return wasi_wait_until(c, c->poll->items, c->poll->nitems, earliest(c->poll));
        put_u32(c, a->nevents, n);
        wasi_poll_free(c);
        return E_SUCCESS;
    }
    if (a->count == 0 || a->count > MAX_SUBSCRIPTIONS)
        return E_INVAL;
    if (!guest(c, a->out, (u64)a->count * sizeof(struct wasi_event)))
        return E_FAULT;
    enum fs_error e = read_all(c, a->in, a->count);
    return e ? e : wasi_wait_until(c, c->poll->items, c->poll->nitems, earliest(c->poll));
}
