// SPDX-License-Identifier: MIT
// Streams: a ring of bytes at the end that is read.
#include "kern/stream.h"
#include "base/heap.h"
#include "base/lookup.h"
#include "kern/sched.h"

status stream_new(struct stream **write_end, struct stream **read_end)
{
    struct stream *w = heap_zalloc(2 * sizeof *w); // it goes with the last of them
    if (!w)
        return ERR_NO_MEMORY;
    struct stream *r = w + 1;
    object_init(&w->object, OBJECT_stream);
    object_init(&r->object, OBJECT_stream);
    w->object.signals = NEBULET_WRITABLE;
    w->writes = true;
    w->peer = r;
    r->peer = w;
    *write_end = w;
    *read_end = r;
    return OK;
}

SELDOM void stream_init_outside(struct stream *s, const struct outside_stream *outside, bool writes)
{
    *s = (struct stream){.outside = outside, .writes = writes};
    object_init(&s->object, OBJECT_stream);
}

bool stream_destroy(struct object *o)
{
    struct stream *s = container_of(o, struct stream, object);
    if (unlikely(s->outside != NULL)) {
        s->outside->gone(s);
        return true;
    }
    heap_free(s->ring);
    if (s->peer) {
        s->peer->peer = NULL;
        object_clear(&s->peer->object, NEBULET_WRITABLE);
        object_set(&s->peer->object, NEBULET_PEER_CLOSED);
    } else {
        heap_free(s->writes ? s : s - 1);
    }
    return true;
}

// With what the heap keeps in front of it, a page at most.
enum { SMALL = NEBULET_STREAM_SIZE < 3072 ? NEBULET_STREAM_SIZE : 3072 };

static u32 put(struct stream *r, const u8 *bytes, u32 size)
{
    u32 room = r->size - r->count, n = size < room ? size : room;
    u32 at = (r->from + r->count) % r->size, first = r->size - at;
    first = n < first ? n : first;
    memcpy(r->ring + at, bytes, first);
    if (unlikely(first < n))
        memcpy(r->ring, bytes + first, n - first);
    r->count += n;
    return n;
}

static u32 get(struct stream *r, u8 *bytes, u32 size)
{
    u32 n = size < r->count ? size : r->count, first = r->size - r->from;
    first = n < first ? n : first;
    memcpy(bytes, r->ring + r->from, first);
    if (unlikely(first < n))
        memcpy(bytes + first, r->ring, n - first);
    r->from = (r->from + n) % r->size;
    r->count -= n;
    return n;
}

// Room for as much more as may be. A small ring is not kept where a larger one is wanted, but it
// will do where there is no memory for that.
static status make_room(struct stream *r, u32 more)
{
    u32 size = r->count + more <= SMALL ? SMALL : NEBULET_STREAM_SIZE;
    if (r->size >= size)
        return OK;
    u8 *ring = heap_alloc(size);
    if (!ring)
        return r->count < r->size ? OK : ERR_NO_MEMORY;
    u32 kept = r->count;
    if (kept)
        get(r, ring, kept);
    heap_free(r->ring);
    r->ring = ring;
    r->size = size;
    r->from = 0;
    r->count = kept;
    return OK;
}

static status write_ready(struct stream *s, u64 deadline)
{
    s64 seen = OK;
    while (s->peer && s->peer->count == NEBULET_STREAM_SIZE && seen >= 0)
        seen = object_wait(&s->object, NEBULET_WRITABLE | NEBULET_PEER_CLOSED, deadline);
    if (!s->peer)
        return ERR_PEER_CLOSED;
    return s->peer->count == NEBULET_STREAM_SIZE ? (status)seen : OK;
}

// To who waits to read, if its memory lies still: how much. Who is still to be told of what was
// written before has that first.
static u32 give(struct stream *r, const u8 *bytes, u32 size)
{
    struct taker *t = r->taker;
    if (!t || r->count || t->thread->status != THREAD_WAITS ||
        !sched_lies_still(sched_self(), t->thread))
        return 0;
    t->got = size < t->room ? size : t->room;
    memmove(t->bytes, bytes, t->got);
    r->taker = NULL;
    sched_wake(t->thread, OK);
    return t->got;
}

// To the ring.
static s64 keep(struct stream *s, const u8 *bytes, u32 size)
{
    struct stream *r = s->peer;
    status why = make_room(r, size);
    if (why)
        return why;
    u32 n = put(r, bytes, size);
    if (r->count == NEBULET_STREAM_SIZE)
        object_clear(&s->object, NEBULET_WRITABLE);
    if (r->count)
        object_set(&r->object, NEBULET_READABLE);
    return n;
}

enum { AT_ONCE = 16 << 10 }; // bytes that are copied with the lock held

static s64 write_some(struct stream *s, u8 *bytes, u32 size, u64 deadline)
{
    s64 result = write_ready(s, deadline);
    if (!result) {
        u32 given = give(s->peer, bytes, size);
        s64 kept = given == size ? 0 : keep(s, bytes + given, size - given);
        result = kept > 0 ? given + kept : given ? given : kept;
    }
    return result;
}

// There is nothing. Who is given something is woken without a signal.
static status wait_to_read(struct stream *s, struct taker *me, u64 deadline)
{
    struct waiter w;
    if (!s->taker && me->room)
        s->taker = me;
    waiter_add(&w, &s->object, NEBULET_READABLE | NEBULET_PEER_CLOSED, me->thread);
    status why = sched_wait(me->thread, deadline);
    waiter_remove(&w);
    if (s->taker == me)
        s->taker = NULL;
    return why;
}

static s64 read_some(struct stream *s, u8 *bytes, u32 size, u64 deadline)
{
    status seen = OK;
    struct taker me = {.bytes = bytes, .room = size};
    while (!me.got && !s->count && s->peer && !seen) {
        me.thread = sched_self();
        seen = wait_to_read(s, &me, deadline);
    }
    s64 result = seen ? seen : ERR_PEER_CLOSED;
    if (me.got) {
        result = me.got;
    } else if (s->count) {
        result = get(s, bytes, size);
        if (!s->count)
            object_clear(&s->object, NEBULET_READABLE);
        if (s->peer && s->count < NEBULET_STREAM_SIZE)
            object_set(&s->peer->object, NEBULET_WRITABLE);
    }
    return result;
}

// Others get the lock. False: the process is to end.
static bool breathe(void)
{
    kern_release();
    bool goes_on = !look_up();
    kern_acquire();
    return goes_on;
}

// In pieces, of which only the first may wait.
SELDOM static s64 in_pieces(struct stream *s, u8 *bytes, u32 size, u64 deadline,
                            s64 (*some)(struct stream *s, u8 *bytes, u32 size, u64 deadline))
{
    u32 done = 0, n;
    s64 got;
    kern_acquire();
    object_ref(&s->object); // our handle may be closed meanwhile
    do {
        n = size - done < AT_ONCE ? size - done : AT_ONCE;
        got = some(s, bytes + done, n, done ? NEBULET_AT_ONCE : deadline);
        done += got > 0 ? (u32)got : 0;
    } while (got == AT_ONCE && done < size && breathe());
    object_unref(&s->object);
    kern_release();
    return done ? done : got;
}

// The signal is taken back first, so that one which comes meanwhile is not lost. When all was moved
// there may be more; when less was, the next signal tells.
SELDOM static s64 move_outside(struct stream *s, u8 *bytes, u32 size, u64 deadline)
{
    u32 ready = s->writes ? NEBULET_WRITABLE : NEBULET_READABLE;
    s64 got, seen = OK;
    kern_acquire();
    object_ref(&s->object); // our handle may be closed meanwhile
    do {
        object_clear(&s->object, ready);
        kern_release();
        got = s->outside->move(s, bytes, size);
        kern_acquire();
        if (got == size)
            object_set(&s->object, ready);
        else if (got == ERR_SHOULD_WAIT)
            seen = object_wait(&s->object, ready | NEBULET_PEER_CLOSED, deadline);
    } while (got == ERR_SHOULD_WAIT && seen >= 0);
    object_unref(&s->object);
    kern_release();
    return got == ERR_SHOULD_WAIT ? seen : got;
}

static OFTEN inline s64 move(struct stream *s, u8 *bytes, u32 size, u64 deadline,
                             s64 (*some)(struct stream *s, u8 *bytes, u32 size, u64 deadline))
{
    if (unlikely(s->outside != NULL))
        return size ? move_outside(s, bytes, size, deadline) : 0;
    if (unlikely(size > AT_ONCE))
        return in_pieces(s, bytes, size, deadline, some);
    kern_acquire();
    object_ref(&s->object); // our handle may be closed meanwhile
    s64 got = some(s, bytes, size, deadline);
    object_unref(&s->object);
    kern_release();
    return got;
}

s64 stream_write(struct stream *s, const u8 *bytes, u32 size, u64 deadline)
{
    return s->writes ? move(s, (u8 *)bytes, size, deadline, write_some) : ERR_BAD_STATE;
}

s64 stream_read(struct stream *s, u8 *bytes, u32 size, u64 deadline)
{
    return s->writes ? ERR_BAD_STATE : move(s, bytes, size, deadline, read_some);
}
