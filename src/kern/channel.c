// SPDX-License-Identifier: MIT
// Channels: see channel.h.
#include "kern/channel.h"
#include "base/heap.h"
#include "kern/sched.h"
#include "kern/service.h"

static void end_init(struct channel *c, struct channel *peer)
{
    *c = (struct channel){.peer = peer};
    object_init(&c->object, OBJECT_channel);
    c->object.signals = NEBULET_WRITABLE;
    c->last = &c->first;
    c->last_receiver = &c->receivers;
    c->last_sender = &c->senders;
}

status channel_new(struct channel **a, struct channel **b)
{
    struct channel *x = heap_alloc(sizeof *x), *y = heap_alloc(sizeof *y);
    if (!x || !y) {
        heap_free(x);
        heap_free(y);
        return ERR_NO_MEMORY;
    }
    end_init(x, y);
    end_init(y, x);
    *a = x;
    *b = y;
    return OK;
}

// --- Messages

static u8 *bytes_of(struct message *m)
{
    return (u8 *)&m->handles[m->nhandles];
}

static size_t block_size(u32 size, u32 nhandles)
{
    return sizeof(struct message) + nhandles * sizeof(struct sent_handle) + size;
}

static void message_free(struct message *m)
{
    if (m->sender) {
        m->sender->queued_messages--;
        m->sender->stats.heap -= block_size(m->size, m->nhandles);
        object_unref(&m->sender->object);
    }
    heap_free(m);
}

static void append(struct channel *c, struct message *m)
{
    m->next = NULL;
    *c->last = m;
    c->last = &m->next;
    c->count++;
    if (c->peer && c->count == NEBULET_QUEUE_MAX)
        object_clear(&c->peer->object, NEBULET_WRITABLE);
    if (c->object.waiters)
        object_set(&c->object, NEBULET_READABLE);
    else
        c->object.signals |= NEBULET_READABLE;
}

// The first of those who wait for room, when there is some: also called by one that has left
// without taking it.
static void wake_sender(struct channel *c)
{
    struct sender *s = c->senders;
    if (!s || c->count >= NEBULET_QUEUE_MAX)
        return;
    c->senders = s->next;
    if (!c->senders)
        c->last_sender = &c->senders;
    sched_wake(s->thread, OK);
    s->thread = NULL;
}

// The first in line comes out of it: NULL, nobody waits.
static struct kthread *pop_receiver(struct channel *c, status why)
{
    struct receiver *r = c->receivers;
    if (!r)
        return NULL;
    c->receivers = r->next;
    if (!c->receivers)
        c->last_receiver = &c->receivers;
    struct kthread *t = r->thread;
    r->thread = NULL;
    r->why = why;
    return t;
}

static struct message *take(struct channel *c)
{
    struct message *m = c->first;
    c->first = m->next;
    if (!c->first) {
        c->last = &c->first;
        object_clear(&c->object, NEBULET_READABLE);
    }
    if (c->count-- == NEBULET_QUEUE_MAX && c->peer)
        object_set(&c->peer->object, NEBULET_WRITABLE);
    wake_sender(c);
    return m;
}

// --- Closing

// The end has no handle any more: nobody receives from it, and what is sent to it is lost.
void channel_destroy(struct object *o)
{
    struct channel *c = container_of(o, struct channel, object), *peer = c->peer;
    while (c->first) {
        struct message *m = take(c);
        for (u32 i = 0; i < m->nhandles; i++)
            object_unref(m->handles[i].object);
        message_free(m);
    }
    if (peer) {
        peer->peer = NULL;
        object_clear(&peer->object, NEBULET_WRITABLE);
        object_set(&peer->object, NEBULET_PEER_CLOSED);
        for (struct kthread *t; (t = pop_receiver(peer, ERR_PEER_CLOSED));)
            sched_wake(t, OK);
    }
    while (c->senders)
        wake_sender(c); // the queue is empty
    if (c->service)
        service_gone(c->service);
    heap_free(c);
}

void channel_each_kept(struct channel *c, void (*each)(struct object *o))
{
    for (struct message *m = c->first; m; m = m->next)
        for (u32 i = 0; i < m->nhandles; i++)
            each(m->handles[i].object);
}

// --- Sending

// Straight to whoever waits, who is to be woken then. NULL: nobody does, or it has not enough room.
static struct kthread *deliver(struct channel *to, const u8 *bytes, u32 size)
{
    struct receiver *r = to->receivers;
    if (unlikely(!r) || size > r->size || to->first)
        return NULL;
    struct kthread *t = pop_receiver(to, OK);
    memcpy(r->bytes, bytes, size);
    r->got = size;
    t->process->stats.received++;
    return t;
}

// Its reference is the receiver's business: while `s` is in line the channel is there.
static status wait_for_room(struct channel *to, u64 deadline)
{
    struct sender s = {.thread = sched_self()};
    *to->last_sender = &s;
    to->last_sender = &s.next;
    status why = sched_wait(deadline);
    if (!s.thread)
        return why;
    struct sender **at = &to->senders;
    while (*at != &s)
        at = &(*at)->next;
    *at = s.next;
    if (!s.next)
        to->last_sender = at;
    return why;
}

static struct message *message_new(const u8 *bytes, u32 size, u32 nhandles)
{
    struct message *m = heap_alloc(block_size(size, nhandles));
    if (!m)
        return NULL;
    *m = (struct message){.size = size, .nhandles = nhandles};
    memcpy(bytes_of(m), bytes, size);
    return m;
}

// The references go from the table to the message.
static void give_handles(struct process *p, struct message *m, const nebulet_handle *handles)
{
    for (u32 i = 0; i < m->nhandles; i++) {
        struct handle *h = handle_find(&p->handles, handles[i]);
        u32 rights = h->rights;
        m->handles[i] = (struct sent_handle){handle_remove(&p->handles, h), rights};
    }
}

static void enqueue(struct process *p, struct channel *to, struct message *m)
{
    m->sender = p;
    object_ref(&p->object);
    p->queued_messages++;
    p->stats.heap += block_size(m->size, m->nhandles);
    append(to, m);
    struct kthread *t = pop_receiver(to, OK); // it has too little room, or there are handles
    if (t)
        sched_hand_over(t);
}

// Waits until there is room for a message more.
static status room(struct process *p, struct channel *c, u64 deadline)
{
    status s = OK;
    while (!s && c->peer && c->peer->count >= NEBULET_QUEUE_MAX)
        s = wait_for_room(c->peer, deadline);
    if (!c->peer)
        return ERR_PEER_CLOSED;
    if (!s && p->limits.messages && p->queued_messages >= p->limits.messages)
        return ERR_NO_RESOURCES;
    return s;
}

static status check_handles(struct process *p, const struct channel *c,
                            const nebulet_handle *handles, u32 n)
{
    search_begin();
    for (u32 i = 0; i < n; i++) {
        struct handle *h = handle_find(&p->handles, handles[i]);
        if (!h)
            return ERR_BAD_HANDLE;
        if (!(h->rights & NEBULET_TRANSFER))
            return ERR_ACCESS_DENIED;
        if (h->object == &c->object || search_reaches(h->object, &c->peer->object))
            return ERR_INVALID_ARG;
        for (u32 k = 0; k < i; k++)
            if (handles[k] == handles[i])
                return ERR_INVALID_ARG;
    }
    return OK;
}

// After a wait a sibling may have closed one of the handles, so they are looked at then.
static status send_kept(struct process *p, struct channel *c, const u8 *bytes, u32 size,
                        const nebulet_handle *handles, u32 nhandles, u64 deadline)
{
    struct message *m = message_new(bytes, size, nhandles);
    if (!m)
        return ERR_NO_MEMORY;
    kern_acquire();
    object_ref(&c->object); // our handle may be closed meanwhile
    status s = room(p, c, deadline);
    if (!s)
        s = check_handles(p, c, handles, nhandles);
    if (!s) {
        give_handles(p, m, handles);
        p->stats.sent++;
        enqueue(p, c->peer, m);
    } else if (c->peer) {
        wake_sender(c->peer); // the room that we were woken for is somebody else's
    }
    object_unref(&c->object);
    kern_release();
    if (s)
        heap_free(m);
    return s;
}

status channel_send(struct process *p, struct channel *c, const u8 *bytes, u32 size,
                    const nebulet_handle *handles, u32 nhandles, u64 deadline)
{
    if (likely(!nhandles)) {
        kern_acquire();
        struct kthread *t = c->peer ? deliver(c->peer, bytes, size) : NULL;
        if (likely(t)) {
            p->stats.sent++;
            sched_hand_over(t);
        }
        kern_release();
        if (likely(t))
            return OK;
    }
    return send_kept(p, c, bytes, size, handles, nhandles, deadline);
}

status channel_push_object(struct channel *c, struct object *o)
{
    struct process *p = sched_self()->process;
    bool room = c->count < NEBULET_QUEUE_MAX &&
                !(p->limits.messages && p->queued_messages >= p->limits.messages);
    struct message *m = room ? heap_alloc(block_size(0, 1)) : NULL;
    if (!m)
        return room ? ERR_NO_MEMORY : ERR_NO_RESOURCES;
    *m = (struct message){.nhandles = 1};
    m->handles[0] = (struct sent_handle){o, HANDLE_ALL_RIGHTS};
    enqueue(p, c, m);
    return OK;
}

// --- Receiving

static s64 receive(struct process *p, struct channel *c, u8 *bytes, nebulet_handle *handles)
{
    struct message *m = take(c);
    s64 size = m->size;
    memcpy(bytes, bytes_of(m), m->size);
    for (u32 i = 0; i < m->nhandles; i++)
        handles[i] = handle_add(&p->handles, m->handles[i].object, m->handles[i].rights);
    p->stats.received++;
    message_free(m);
    return size;
}

static void leave_queue(struct channel *c, struct receiver *r)
{
    struct receiver **at = &c->receivers;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    if (!r->next)
        c->last_receiver = at;
}

// Parks; first lets `next` run, if it is not NULL. OK: something came, which r->got says, or which
// is in the queue (r->got == UINT32_MAX).
static status wait_for_message(struct channel *c, struct receiver *r, struct kthread *next,
                               u64 deadline)
{
    r->next = NULL;
    r->got = UINT32_MAX;
    r->thread = sched_self();
    *c->last_receiver = r;
    c->last_receiver = &r->next;
    status s = next ? sched_hand_over_and_wait(r->thread, next, deadline) : sched_wait(deadline);
    if (likely(!r->thread))
        return r->why;
    leave_queue(c, r);
    return s;
}

// The first message of the queue, if it fits.
static s64 receive_first(struct process *p, struct channel *c, u8 *bytes, u32 size,
                         nebulet_handle *handles, u32 nhandles, struct nebulet_message *needed)
{
    const struct message *m = c->first;
    *needed = (struct nebulet_message){m->size, m->nhandles};
    if (m->size > size || m->nhandles > nhandles)
        return ERR_BUFFER_TOO_SMALL;
    status s = m->nhandles ? handles_reserve(&p->handles, m->nhandles) : OK;
    return s ? s : receive(p, c, bytes, handles);
}

s64 channel_recv(struct process *p, struct channel *c, u8 *bytes, u32 size, nebulet_handle *handles,
                 u32 nhandles, struct nebulet_message *needed, u64 deadline)
{
    struct receiver r = {.bytes = bytes, .size = size, .got = UINT32_MAX};
    s64 result = OK;
    *needed = (struct nebulet_message){0};
    kern_acquire();
    object_ref(&c->object); // our handle may be closed meanwhile
    while (!c->first && !result && r.got == UINT32_MAX)
        result = c->peer ? wait_for_message(c, &r, NULL, deadline) : ERR_PEER_CLOSED;
    if (r.got != UINT32_MAX) {
        needed->bytes = r.got;
        result = r.got;
    } else if (c->first && (!result || result == ERR_PEER_CLOSED)) {
        result = receive_first(p, c, bytes, size, handles, nhandles, needed);
    }
    struct kthread *next = result < 0 && c->first ? pop_receiver(c, OK) : NULL;
    if (next)
        sched_wake(next, OK); // what we were woken for may suit somebody else
    object_unref(&c->object);
    kern_release();
    return result;
}

// --- Both

// What comes is for us, and the other end waits already: from memory to memory, and the CPU
// straight from one thread to the other. False: nothing has been done, for it is not so. Otherwise
// r->got is the answer's size, or UINT32_MAX: *why says why there is none, or there is one in the
// queue.
static bool call_at_once(struct process *p, struct channel *c, const u8 *bytes, u32 size,
                         struct receiver *r, u64 deadline, status *why)
{
    struct channel *peer = c->peer;
    if (unlikely(!peer || c->first || c->receivers))
        return false;
    struct kthread *t = deliver(peer, bytes, size);
    if (unlikely(!t))
        return false;
    p->stats.sent++;
    object_ref(&c->object); // our handle may be closed meanwhile
    *why = wait_for_message(c, r, t, deadline);
    object_unref(&c->object);
    return true;
}

s64 channel_call(struct process *p, struct channel *c, const u8 *bytes, u32 size, u8 *answer,
                 u32 room, u64 deadline)
{
    struct receiver r = {.bytes = answer, .size = room, .got = UINT32_MAX};
    struct nebulet_message needed;
    status s;
    kern_acquire();
    bool sent = call_at_once(p, c, bytes, size, &r, deadline, &s);
    kern_release();
    if (likely(r.got != UINT32_MAX))
        return r.got;
    if (!sent)
        s = channel_send(p, c, bytes, size, NULL, 0, deadline);
    return s ? s : channel_recv(p, c, answer, room, NULL, 0, &needed, deadline);
}
