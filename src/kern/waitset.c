// SPDX-License-Identifier: MIT
// Sets of waits: see waitset.h.
#include "kern/waitset.h"
#include "base/heap.h"
#include "base/lookup.h"
#include "kern/sched.h"

enum { AT_ONCE = 64 }; // that are looked at with the lock held

SELDOM struct waitset *waitset_new(void)
{
    struct waitset *s = heap_zalloc(sizeof *s);
    if (!s)
        return NULL;
    object_init(&s->object, OBJECT_waitset);
    link_init(&s->ready);
    return s;
}

// --- Members

static void not_ready(struct member *m)
{
    if (m->ready.next)
        link_drop(&m->ready);
    m->ready.next = NULL;
}

void member_signaled(struct waiter *w)
{
    struct member *m = container_of(w, struct member, wait);
    if (m->ready.next)
        return;
    link_add(&m->set->ready, &m->ready);
    object_set(&m->set->object, NEBULET_READABLE);
}

void member_orphaned(struct waiter *w)
{
    assert(!w->thread && w->object->members);
    w->object->members--;
    w->object = NULL;
    not_ready(container_of(w, struct member, wait));
}

static void leave(struct member *m)
{
    if (!m->wait.object)
        return;
    link_drop(&m->wait.link);
    member_orphaned(&m->wait);
}

static void join(struct member *m, struct object *o, u32 signals)
{
    m->wait.signals = signals;
    m->wait.object = o;
    o->members++;
    link_add(&o->waiters, &m->wait.link);
    if (o->signals & signals)
        member_signaled(&m->wait);
}

// A piece at a time.
SELDOM bool waitset_destroy(struct object *o)
{
    struct waitset *s = container_of(o, struct waitset, object);
    for (u32 i = 0; i < countof(s->pieces); i++) {
        struct member *piece = s->pieces[i];
        for (u32 k = 0; piece && k < WAITSET_PIECE; k++)
            leave(&piece[k]);
        heap_free(piece);
        s->pieces[i] = NULL;
        if (piece)
            return false;
    }
    heap_free(s);
    return true;
}

// Somebody else may do the same.
SELDOM static bool make_piece(struct waitset *s, u32 place)
{
    struct member *piece = heap_array(WAITSET_PIECE, sizeof *piece);
    struct member **at = &s->pieces[place / WAITSET_PIECE];
    for (u32 i = 0; piece && i < WAITSET_PIECE; i++) {
        piece[i].set = s;
        piece[i].wait.observed = place / WAITSET_PIECE * WAITSET_PIECE + i;
    }
    kern_acquire();
    if (!*at) {
        *at = piece;
        piece = NULL;
    }
    bool made = *at;
    kern_release();
    heap_free(piece);
    return made;
}

SELDOM status waitset_put(struct waitset *s, u32 place, struct object *o, u32 signals)
{
    if (place >= NEBULET_WAIT_MAX || (o && o->type == OBJECT_waitset))
        return ERR_INVALID_ARG;
    struct member **piece = &s->pieces[place / WAITSET_PIECE];
    if (!__atomic_load_n(piece, __ATOMIC_RELAXED) && o && !make_piece(s, place))
        return ERR_NO_MEMORY;
    status result = OK;
    kern_acquire();
    if (*piece) {
        struct member *m = &(*piece)[place % WAITSET_PIECE];
        leave(m);
        if (o && o->members == NEBULET_PLACES_MAX)
            result = ERR_NO_RESOURCES;
        else if (o)
            join(m, o, signals);
    }
    kern_release();
    return result;
}

// --- Waiting

// Each that is ready is looked at once; one that has a signal is the last of those that are looked
// at the next time.
static u32 take(struct waitset *s, u8 *out, u32 n)
{
    struct link end;
    u32 count = 0;
    link_add(&s->ready, &end);
    for (u32 i = 0; i < AT_ONCE && count < n && s->ready.next != &end; i++) {
        struct member *m = container_of(s->ready.next, struct member, ready);
        const struct nebulet_ready r = {m->wait.observed, m->wait.object->signals};
        not_ready(m);
        if (r.observed & m->wait.signals && m->wait.object->refs) { // or it is still to be told
            memcpy(out + count++ * sizeof r, &r, sizeof r);
            link_add(&s->ready, &m->ready);
        }
    }
    link_drop(&end);
    if (link_alone(&s->ready))
        object_clear(&s->object, NEBULET_READABLE);
    return count;
}

// There is more to look at.
SELDOM static status breathe(void)
{
    kern_release();
    status s = look_up() ? ERR_CANCELLED : OK;
    kern_acquire();
    return s;
}

// Nothing is ready. What has become ready in the end is taken.
static status wait(struct kthread *me, struct waitset *s, u64 deadline)
{
    struct waiter w;
    waiter_add(&w, &s->object, NEBULET_READABLE, me);
    status why = sched_wait(me, deadline);
    waiter_remove(&w);
    return link_alone(&s->ready) ? why : OK;
}

__attribute__((noinline)) s64 waitset_wait(struct kthread *me, struct waitset *s, u8 *out, u32 n,
                                           u64 deadline)
{
    s64 result = OK;
    u32 count = 0;
    if (!n)
        return ERR_INVALID_ARG;
    kern_acquire();
    object_ref(&s->object); // our handle may be closed meanwhile
    while (result >= 0 && !(count = take(s, out, n))) {
        if (link_alone(&s->ready))
            result = wait(me, s, deadline);
        else
            result = breathe();
    }
    object_unref(&s->object);
    kern_release();
    return count ? count : result;
}
