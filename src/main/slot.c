// SPDX-License-Identifier: MIT
// Connections whose other end is here: see slot.h.
//
// `given` says whose a slot is: http's, as long as `guard` is held or an answer is not there yet.
// The end of its connection is under the kernel lock, as that of all objects: a slot whose
// connection ends gets a new one with the next request.
#include "main/slot.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abi/nebulet_sockets.h"

enum {
    ROOM = 16 << 10,
    KEPT = 1 << 20, // of a buffer that became larger than usual
    HEAD = 32 << 10,
    MANY = 16,
};

#define GET(x) __atomic_load_n(&(x), __ATOMIC_SEQ_CST)
#define SET(x, v) __atomic_store_n(&(x), v, __ATOMIC_SEQ_CST)

// --- Answers: what user/svc/http says, and no more than that.

static bool make_room(struct bytes *b, size_t n)
{
    if (b->room - b->n >= n)
        return true;
    size_t room = 2 * b->room > b->n + n ? 2 * b->room : b->n + n;
    room = room < ROOM ? ROOM : room;
    char *p = realloc(b->p, room);
    if (!p)
        return false;
    b->p = p;
    b->room = room;
    return true;
}

static const char *field_of(const char *head, size_t n, const char *name)
{
    const char *found = memmem(head, n, name, strlen(name));
    return found ? found + strlen(name) : NULL;
}

static bool take_head(struct answer *a)
{
    const char *end = memmem(a->raw.p, a->raw.n, "\r\n\r\n", 4);
    if (!end)
        return true;
    size_t n = (size_t)(end - a->raw.p) + 2;
    const char *length = field_of(a->raw.p, n, "\r\nContent-Length: ");
    if (n < 14 || memcmp(a->raw.p, "HTTP/1.1 ", 9))
        return false;
    a->headed = true;
    a->status = atoi(a->raw.p + 9);
    a->chunked = field_of(a->raw.p, n, "\r\nTransfer-Encoding: chunked\r\n") != NULL;
    a->closes = field_of(a->raw.p, n, "\r\nConnection: close\r\n") != NULL;
    a->left = length ? strtoull(length, NULL, 10) : 0;
    a->body = a->at = a->end = n + 2;
    return length || a->chunked || a->status == 204 || a->status == 304;
}

// Chunks become one body in place.
static int take_chunks(struct answer *a)
{
    struct bytes *b = &a->raw;
    while (a->at < b->n) {
        if (!a->left) {
            const char *line = b->p + a->at, *end = memmem(line, b->n - a->at, "\r\n", 2);
            if (!end)
                return 0;
            u64 size = strtoull(line, NULL, 16);
            if (!size)
                return b->n - a->at < 5 ? 0 : 1;
            a->at += (size_t)(end - line) + 2;
            a->left = size + 2;
        }
        size_t n = b->n - a->at < a->left ? b->n - a->at : (size_t)a->left;
        size_t data = a->left <= 2 ? 0 : n < a->left - 2 ? n : (size_t)a->left - 2;
        memmove(b->p + a->end, b->p + a->at, data);
        a->end += data;
        a->at += n;
        a->left -= n;
    }
    a->at = b->n = a->end;
    return 0;
}

// 1: it is there; 0: there is more to come; -1: it is none.
static int take_answer(struct answer *a)
{
    if (!a->headed && !take_head(a))
        return -1;
    if (!a->headed)
        return 0;
    if (a->chunked)
        return take_chunks(a);
    a->end = a->raw.n;
    return a->end - a->body >= a->left;
}

// --- What the loop is told

// Both sides first say what they have done, and then look at what the other one has.
static bool is_enough(struct slots *all)
{
    return GET(all->said) && (GET(all->nsaid) >= MANY || !GET(all->unread));
}

static void ring(struct slots *all)
{
    if (GET(all->rests) && __atomic_exchange_n(&all->rests, false, __ATOMIC_SEQ_CST) &&
        write(all->bell, &(u64){1}, 8) < 0)
        return; // it is full, so it rings
}

void slots_wake(struct slots *all)
{
    SET(all->called, true);
    ring(all);
}

int slots_rest(struct slots *all)
{
    SET(all->rests, true);
    if (!__atomic_exchange_n(&all->called, false, __ATOMIC_SEQ_CST) && !is_enough(all))
        return GET(all->said) || GET(all->unread) ? 1 : -1;
    slots_awake(all);
    return 0;
}

void slots_awake(struct slots *all)
{
    SET(all->rests, false);
}

// The loop may have it, and do with it what it wants, before this is over.
static void tell(struct slot *s)
{
    struct slots *all = s->all;
    __atomic_fetch_add(&all->nsaid, 1, __ATOMIC_SEQ_CST);
    struct slot *first = GET(all->said);
    do
        s->next = first;
    while (!__atomic_compare_exchange_n(&all->said, &first, s, false, __ATOMIC_SEQ_CST,
                                        __ATOMIC_SEQ_CST));
    if (is_enough(all))
        ring(all);
}

struct slot *slots_take(struct slots *all)
{
    SET(all->nsaid, 0);
    struct slot *last = __atomic_exchange_n(&all->said, NULL, __ATOMIC_SEQ_CST), *first = NULL;
    while (last) {
        struct slot *s = last;
        last = s->next;
        s->next = first;
        first = s;
    }
    return first;
}

// --- Streams

static size_t left_of(const struct slot *s)
{
    return s->request[0].iov_len + s->request[1].iov_len - s->at;
}

// Nothing of a slot is looked at by http any more when it is not given: `guard` is held meanwhile.
static bool take_back(struct slot *s)
{
    spin_acquire(&s->guard);
    bool given = s->given;
    s->given = false;
    spin_release(&s->guard);
    return given;
}

static void note_read(struct slot *s)
{
    if (!s->at)
        __atomic_fetch_sub(&s->all->unread, 1, __ATOMIC_SEQ_CST);
}

static void finish(struct slot *s, int status)
{
    s->status = status;
    note_read(s);
    tell(s);
}

static size_t copy_request(struct slot *s, u8 *bytes, size_t size)
{
    size_t n = left_of(s) < size ? left_of(s) : size, first = s->request[0].iov_len, part = 0;
    if (!n)
        return 0;
    note_read(s);
    if (s->at < first) {
        part = first - s->at < n ? first - s->at : n;
        memcpy(bytes, (char *)s->request[0].iov_base + s->at, part);
        s->at += part;
    }
    if (part < n)
        memcpy(bytes + part, (char *)s->request[1].iov_base + (s->at - first), n - part);
    s->at += n - part;
    return n;
}

static s64 in_move(struct stream *stream, u8 *bytes, u32 size)
{
    struct slot *s = container_of(stream, struct slot, in);
    spin_acquire(&s->guard);
    size_t n = s->given ? copy_request(s, bytes, size) : 0;
    bool ends = s->ends;
    spin_release(&s->guard);
    return n ? (s64)n : ends ? ERR_PEER_CLOSED : ERR_SHOULD_WAIT;
}

// What http still wants to read or write goes nowhere.
static void end_connection(struct slot *s)
{
    kern_acquire();
    s->ends = true;
    object_set(&s->in.object, NEBULET_PEER_CLOSED);
    kern_release();
}

// 0: there is more to come. Else what the status is.
static int add_to_answer(struct slot *s, const u8 *bytes, size_t size)
{
    struct answer *a = &s->answer;
    if (!make_room(&a->raw, size))
        return -3;
    memcpy(a->raw.p + a->raw.n, bytes, size);
    a->raw.n += size;
    int done = take_answer(a);
    if (done < 0)
        return -1;
    if (a->raw.n > HEAD + s->most || (a->headed && a->end - a->body > s->most))
        return -2;
    return done ? a->status : 0;
}

// No further request comes by a connection of which one part is in doubt.
static s64 out_move(struct stream *stream, u8 *bytes, u32 size)
{
    struct slot *s = container_of(stream, struct slot, out);
    spin_acquire(&s->guard);
    bool given = s->given;
    int status = given ? add_to_answer(s, bytes, size) : 0;
    if (status)
        s->given = false;
    spin_release(&s->guard);
    if (!given)
        return ERR_PEER_CLOSED;
    if (status && (status < 0 || s->answer.closes || left_of(s)))
        end_connection(s);
    if (status)
        finish(s, status);
    return status < 0 ? ERR_PEER_CLOSED : (s64)size;
}

// With the lock. When both are gone the connection is.
static void one_gone(struct slot *s, bool *gone, const bool *other, struct stream *stream)
{
    bool given = take_back(s), awaited = *other && s->awaited;
    *gone = s->ends = true;
    if (!*other)
        object_set(&stream->object, NEBULET_PEER_CLOSED);
    if (awaited)
        s->awaited = false;
    if (!given && !awaited)
        return;
    spin_release(&rt_switch_lock); // what others have left to be done stays for them
    if (given)
        finish(s, s->answer.raw.n ? -1 : 0);
    else
        tell(s);
    spin_acquire(&rt_switch_lock);
}

static void in_gone(struct stream *stream)
{
    struct slot *s = container_of(stream, struct slot, in);
    one_gone(s, &s->in_gone, &s->out_gone, &s->out);
}

static void out_gone(struct stream *stream)
{
    struct slot *s = container_of(stream, struct slot, out);
    one_gone(s, &s->out_gone, &s->in_gone, &s->in);
}

static const struct outside_stream in_outside = {in_move, in_gone};
static const struct outside_stream out_outside = {out_move, out_gone};

// --- Connections

void slot_init(struct slot *s, struct slots *all, struct channel *to)
{
    *s = (struct slot){
        .all = all, .to = to, .answer = s->answer, .ends = true, .in_gone = true, .out_gone = true};
}

// With the lock. False: there is no memory for it; it is over then.
static bool connect_slot(struct slot *s)
{
    static const struct nebulet_address here = {.family = 4, .bytes = {127, 0, 0, 1}};
    const struct sent_handle streams[] = {{&s->in.object, HANDLE_ALL_RIGHTS},
                                          {&s->out.object, HANDLE_ALL_RIGHTS}};
    stream_init_outside(&s->in, &in_outside, false);
    stream_init_outside(&s->out, &out_outside, true);
    object_set(&s->out.object, NEBULET_WRITABLE);
    s->ends = s->in_gone = s->out_gone = false;
    if (!channel_push(s->to, (const u8 *)&here, sizeof here, streams, countof(streams)))
        return true;
    s->ends = s->in_gone = s->out_gone = true;
    return false;
}

// With the lock.
static bool is_usable(struct slot *s)
{
    if (!s->ends || (s->in_gone && s->out_gone))
        return true;
    s->awaited = true;
    return false;
}

bool slot_free(struct slot *s)
{
    struct bytes *b = &s->answer.raw;
    if (b->room > KEPT) {
        free(b->p);
        *b = (struct bytes){0};
    }
    kern_acquire();
    bool usable = is_usable(s);
    kern_release();
    return usable;
}

bool slot_give(struct slot *s, const struct iovec request[2], size_t most)
{
    s->answer = (struct answer){.raw = {s->answer.raw.p, 0, s->answer.raw.room}};
    memcpy(s->request, request, sizeof s->request);
    s->at = 0;
    s->most = most;
    __atomic_fetch_add(&s->all->unread, 1, __ATOMIC_SEQ_CST);
    kern_acquire();
    bool usable = is_usable(s), done = usable && (!s->ends || connect_slot(s));
    if (done) {
        spin_acquire(&s->guard);
        s->given = true;
        spin_release(&s->guard);
        object_set(&s->in.object, NEBULET_READABLE);
    }
    kern_release();
    if (!done)
        __atomic_fetch_sub(&s->all->unread, 1, __ATOMIC_SEQ_CST);
    if (usable && !done) {
        s->status = -3;
        tell(s);
    }
    return usable;
}
