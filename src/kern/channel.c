// SPDX-License-Identifier: MIT
// Channels: see channel.h.
#include "kern/channel.h"
#include "base/heap.h"
#include "kern/sched.h"
#include "kern/service.h"
#include "wasm/runtime.h"

static void end_init(struct channel *c, struct channel *peer)
{
    *c = (struct channel){.peer = peer};
    object_init(&c->object, OBJECT_channel);
    c->object.signals = NEBULET_WRITABLE;
    c->last = &c->first;
    link_init(&c->senders);
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

SELDOM status channel_new_outside(const struct outside_channel *outside, struct channel **out)
{
    struct channel *c = heap_alloc(sizeof *c);
    if (!c)
        return ERR_NO_MEMORY;
    end_init(c, NULL);
    c->outside = outside;
    *out = c;
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

// It is in no queue any more, and only its memory is left to be given back.
static void discharge(struct message *m)
{
    for (u32 i = 0; i < m->nhandles; i++)
        channel_kept(m->handles[i].object, -1);
    account_discharge(heap_payer(m), ACCOUNT_MESSAGES, 1);
}

static void append(struct channel *c, struct message *m)
{
    m->next = NULL;
    *c->last = m;
    c->last = &m->next;
    c->count++;
    if (c->peer && c->count == NEBULET_QUEUE_MAX)
        object_clear(&c->peer->object, NEBULET_WRITABLE);
    object_set(&c->object, NEBULET_READABLE);
}

// The first of those who wait for room, when there is some: also called by one that has left
// without taking it.
static void wake_sender(struct channel *c)
{
    if (link_alone(&c->senders) || c->count >= NEBULET_QUEUE_MAX)
        return;
    struct sender *s = container_of(c->senders.next, struct sender, link);
    link_remove(&s->link);
    sched_wake(s->thread, OK);
}

// The first of those who wait to receive.
static struct kthread *first_receiver(const struct channel *c)
{
    return c->last_receiver ? c->last_receiver->inbox.next : NULL;
}

static inline void step_out(struct channel *c, struct kthread *t)
{
    struct kthread *next = t->inbox.next, *last = t->inbox.last;
    if (likely(next == t)) {
        c->last_receiver = NULL;
    } else {
        next->inbox.last = last;
        last->inbox.next = next;
        if (c->last_receiver == t)
            c->last_receiver = last;
    }
    t->inbox.next = NULL;
}

// It comes out of the line without a message; NULL: nobody waits.
static struct kthread *pop_receiver(struct channel *c, status why)
{
    struct kthread *t = first_receiver(c);
    if (!t)
        return NULL;
    step_out(c, t);
    t->inbox.why = why;
    thread_vm(t->rt)->then = channel_called; // should it have handed over
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

// Nobody sends into its queue any more, or waits for what comes from here.
static void sever(struct channel *peer)
{
    peer->peer = NULL;
    object_clear(&peer->object, NEBULET_WRITABLE);
    object_set(&peer->object, NEBULET_PEER_CLOSED);
}

// The first message, with what lies in it; how many handles that were.
static u32 lose(struct channel *c)
{
    struct message *m = take(c);
    u32 n = m->nhandles;
    discharge(m);
    for (u32 i = 0; i < n; i++)
        object_unref(m->handles[i].object);
    spin_release(&rt_switch_lock); // it may be large
    heap_free(m);
    spin_acquire(&rt_switch_lock);
    return n;
}

// The end has no handle any more: nobody receives from it, and what is sent to it is lost. The
// other end stays while those who wait there are told.
SELDOM bool channel_destroy(struct object *o)
{
    enum { AT_ONCE = 16, HANDLES_AT_ONCE = 64 };
    struct channel *c = container_of(o, struct channel, object), *peer = c->peer;
    struct kthread *t;
    if (peer && !peer->object.refs) {
        peer->peer = NULL; // dead, too
        peer = c->peer = NULL;
    }
    if (peer && peer->peer) {
        sever(peer);
        object_ref(&peer->object);
    }
    for (u32 i = 0; i < AT_ONCE && peer; i++) {
        if ((t = pop_receiver(peer, ERR_PEER_CLOSED))) {
            sched_wake(t, OK);
        } else {
            c->peer = NULL;
            object_unref(&peer->object);
            peer = NULL;
        }
    }
    for (u32 i = 0, n = 0; i < AT_ONCE && n < HANDLES_AT_ONCE && !peer && c->first; i++)
        n += lose(c);
    for (u32 i = 0; i < AT_ONCE && !c->first; i++)
        wake_sender(c);
    if (peer || c->first || !link_alone(&c->senders))
        return false;
    if (c->service)
        service_gone(c->service);
    if (c->outside)
        c->outside->gone(c);
    heap_free(c);
    return true;
}

void channel_each_kept(struct channel *c, bool (*each)(struct object *o))
{
    bool more = true;
    for (struct message *m = c->first; m && more; m = m->next) {
        more = each(NULL);
        for (u32 i = 0; i < m->nhandles && more; i++)
            more = each(m->handles[i].object);
    }
}

// --- Sending

// Without a say in what its caller keeps in registers. Threads of one process may have buffers that
// overlap.
__attribute__((noinline, preserve_most)) static void copy_other(u8 *to, const u8 *from, u32 n)
{
    memmove(to, from, n);
}

#define NOTHING UINT64_MAX // in vm_thread.result: nothing has come

// Most messages are as long as a few registers.
static inline __attribute__((always_inline)) void copy_message(u8 *to, const u8 *from, u32 n)
{
    typedef u64 two __attribute__((vector_size(16), aligned(1), may_alias));
    if (likely(n - 32 <= 32)) {
        two a = *(const two *)from, b = *(const two *)(from + 16);
        two y = *(const two *)(from + n - 32), z = *(const two *)(from + n - 16);
        *(two *)to = a, *(two *)(to + 16) = b;
        *(two *)(to + n - 32) = y, *(two *)(to + n - 16) = z;
    } else {
        copy_other(to, from, n);
    }
}

// From memory to memory, to a thread that waits: it is to be woken then.
static inline __attribute__((always_inline)) void deliver(struct channel *to, struct kthread *t,
                                                          const u8 *bytes, u32 size)
{
    step_out(to, t);
    thread_vm(t->rt)->result = size;
    t->process->stats.received++;
    object_unref(&to->object);
    copy_message(t->inbox.bytes, bytes, size);
}

// The references go from table to table; there is room (hand).
static void deliver_handles(struct process *p, struct kthread *t, const nebulet_handle *handles,
                            u32 n)
{
    for (u32 i = 0; i < n; i++) {
        struct handle *h = handle_find(&p->handles, handles[i]);
        u32 rights = h->rights;
        t->inbox.handles[i] =
            handle_add(&t->process->handles, handle_remove(&p->handles, h), rights);
    }
    t->inbox.came = n;
}

// Its reference is the receiver's business: while `s` is in line the channel is there.
static status wait_for_room(struct channel *to, u64 deadline)
{
    struct sender s = {.thread = sched_self()};
    link_add(&to->senders, &s.link);
    status why = sched_wait(s.thread, deadline);
    link_remove(&s.link);
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
        channel_kept(m->handles[i].object, 1);
    }
}

static void enqueue(struct kthread *me, struct channel *to, struct message *m)
{
    append(to, m);
    struct kthread *t = pop_receiver(to, OK); // it has too little room, or there are handles
    if (t && me)
        sched_hand_over(me, t);
    else if (t) // from outside: nobody here is to wait soon
        sched_wake(t, OK);
}

// Waits until there is room for a message more.
static status room(struct channel *c, u64 deadline)
{
    status s = OK;
    while (!s && c->peer && c->peer->count >= NEBULET_QUEUE_MAX)
        s = wait_for_room(c->peer, deadline);
    if (!c->peer)
        return ERR_PEER_CLOSED;
    return s;
}

// Only what is kept from those who run can be come to by what is sent.
SELDOM static status check_reach(struct process *p, const struct channel *c,
                                 const nebulet_handle *handles, u32 n)
{
    status s = OK;
    search_begin();
    for (u32 i = 0; i < n && !s; i++)
        s = search_reaches(handle_find(&p->handles, handles[i])->object, &c->peer->object);
    return s;
}

static status check_handles(struct process *p, const struct channel *c,
                            const nebulet_handle *handles, u32 n)
{
    if (n && c->peer->bytes_only)
        return ERR_INVALID_ARG;
    for (u32 i = 0; i < n; i++) {
        const struct handle *h = handle_find(&p->handles, handles[i]);
        if (!h)
            return ERR_BAD_HANDLE;
        if (!(h->rights & NEBULET_TRANSFER))
            return ERR_ACCESS_DENIED;
        if (h->object == &c->object || h->object == &c->peer->object)
            return ERR_INVALID_ARG;
    }
    return c->peer->kept ? check_reach(p, c, handles, n) : OK;
}

static bool twice(const nebulet_handle *handles, u32 n)
{
    for (u32 i = 0; i < n; i++)
        for (u32 k = 0; k < i; k++)
            if (handles[k] == handles[i])
                return true;
    return false;
}

// As if its peer took no handles (bytes_only).
SELDOM static status send_outside(struct channel *c, const u8 *bytes, u32 size, u32 nhandles)
{
    if (!c->outside->take)
        return ERR_PEER_CLOSED;
    if (nhandles)
        return ERR_INVALID_ARG;
    kern_acquire();
    object_ref(&c->object); // our handle may be closed meanwhile
    kern_release();
    status s = c->outside->take(c, bytes, size);
    object_release(&c->object);
    return s;
}

// To who waits, and has room for all of it. SHOULD_WAIT: nobody does.
static status hand(struct kthread *me, struct channel *c, const u8 *bytes, u32 size,
                   const nebulet_handle *handles, u32 n)
{
    struct channel *to = c->peer;
    struct kthread *t = to && !to->first ? first_receiver(to) : NULL;
    if (!t || size > t->inbox.room || n > t->inbox.handle_room || !sched_lies_still(me, t))
        return ERR_SHOULD_WAIT;
    const struct handles *table = &t->process->handles;
    if (table->limited || !handles_room(table, n))
        return ERR_SHOULD_WAIT;
    // One of its threads may stand in C that looks up while it counts on what is in the table.
    if (t->process != me->process && t->process->ring)
        return ERR_SHOULD_WAIT;
    status s = check_handles(me->process, c, handles, n);
    if (s)
        return s;
    me->process->stats.sent++;
    deliver_handles(me->process, t, handles, n);
    deliver(to, t, bytes, size);
    sched_hand_over(me, t);
    return OK;
}

static status hand_at_once(struct kthread *me, struct channel *c, const u8 *bytes, u32 size,
                           const nebulet_handle *handles, u32 n)
{
    if (!n || size > CHANNEL_DIRECT_MAX)
        return ERR_SHOULD_WAIT;
    kern_acquire();
    status s = hand(me, c, bytes, size, handles, n);
    kern_release();
    return s;
}

// After a wait a sibling may have closed one of the handles, so they are looked at then.
SELDOM static status send_kept(struct kthread *me, struct channel *c, const u8 *bytes, u32 size,
                               const nebulet_handle *handles, u32 nhandles, u64 deadline)
{
    struct process *p = me->process;
    if (twice(handles, nhandles))
        return ERR_INVALID_ARG;
    if (c->outside)
        return send_outside(c, bytes, size, nhandles);
    status s = hand_at_once(me, c, bytes, size, handles, nhandles);
    if (s != ERR_SHOULD_WAIT)
        return s;
    struct message *m = message_new(bytes, size, nhandles);
    if (!m)
        return ERR_NO_MEMORY;
    kern_acquire();
    object_ref(&c->object); // our handle may be closed meanwhile
    s = room(c, deadline);
    if (!s)
        s = check_handles(p, c, handles, nhandles);
    if (!s && !account_charge(heap_payer(m), ACCOUNT_MESSAGES, 1))
        s = ERR_NO_RESOURCES;
    if (!s) {
        give_handles(p, m, handles);
        p->stats.sent++;
        enqueue(me, c->peer, m);
    } else if (c->peer) {
        wake_sender(c->peer); // the room that we were woken for is somebody else's
    }
    object_unref(&c->object);
    kern_release_slowly();
    if (s)
        heap_free(m);
    return s;
}

OFTEN bool channel_send_at_once(struct kthread *me, struct channel *c, const u8 *bytes, u32 size)
{
    kern_acquire();
    struct channel *to = c->peer;
    struct kthread *t = likely(to) && likely(!to->first) ? first_receiver(to) : NULL;
    bool fits = likely(t) && likely(size <= t->inbox.room) && sched_lies_still(me, t);
    if (fits) {
        me->process->stats.sent++;
        deliver(to, t, bytes, size);
        sched_hand_over(me, t);
    }
    kern_release();
    return fits;
}

status channel_send(struct kthread *me, struct channel *c, const u8 *bytes, u32 size,
                    const nebulet_handle *handles, u32 nhandles, u64 deadline)
{
    if (!nhandles && size <= CHANNEL_DIRECT_MAX && channel_send_at_once(me, c, bytes, size))
        return OK;
    return send_kept(me, c, bytes, size, handles, nhandles, deadline);
}

SELDOM status channel_push(struct channel *c, const u8 *bytes, u32 size,
                           const struct sent_handle *handles, u32 nhandles)
{
    if (c->count >= NEBULET_QUEUE_MAX)
        return ERR_NO_RESOURCES;
    struct message *m = message_new(bytes, size, nhandles);
    if (!m)
        return ERR_NO_MEMORY;
    if (!account_charge(heap_payer(m), ACCOUNT_MESSAGES, 1)) {
        heap_free(m);
        return ERR_NO_RESOURCES;
    }
    for (u32 i = 0; i < nhandles; i++) {
        m->handles[i] = handles[i];
        channel_kept(handles[i].object, 1);
    }
    enqueue(sched_self(), c, m);
    return OK;
}

// --- Receiving

static struct message *receive(struct process *p, struct channel *c, nebulet_handle *handles)
{
    struct message *m = take(c);
    discharge(m);
    for (u32 i = 0; i < m->nhandles; i++)
        handles[i] = handle_add(&p->handles, m->handles[i].object, m->handles[i].rights);
    p->stats.received++;
    return m;
}

// Without the lock.
static void unpack(struct message *m, u8 *bytes)
{
    if (!m)
        return;
    memcpy(bytes, bytes_of(m), m->size);
    heap_free(m);
}

// The reference is that of the inbox, until a message has come.
static inline __attribute__((always_inline)) void stand_in_line(struct kthread *me,
                                                                struct channel *c,
                                                                struct kthread *last, u8 *bytes,
                                                                u32 room, bool at_once)
{
    object_ref(&c->object);
    me->inbox.at = c;
    me->inbox.bytes = bytes;
    me->inbox.room = room;
    me->inbox.at_once = at_once ? (room + 1) & me->process->hand_mask : 0;
    me->inbox.next = me->inbox.last = me;
    if (unlikely(last)) {
        me->inbox.next = last->inbox.next;
        me->inbox.last = last;
        me->inbox.next->inbox.last = last->inbox.next = me;
    }
    c->last_receiver = me;
    thread_vm(me->rt)->result = NOTHING;
}

// After the wait. OK: something came, of the size that `result` says, or, if that is NOTHING, into
// the queue.
static status out_of_line(struct kthread *me, status woken)
{
    if (likely(thread_vm(me->rt)->result != NOTHING))
        return OK;
    if (me->inbox.next)
        step_out(me->inbox.at, me);
    else
        woken = me->inbox.why;
    object_unref(&me->inbox.at->object);
    return woken;
}

// The table may be large, so others get the lock meanwhile, and may take the message.
#define AGAIN INT64_MIN
static s64 make_room(struct handles *t, u32 n)
{
    spin_release(&rt_switch_lock);
    status s = handles_reserve(t, n);
    spin_acquire(&rt_switch_lock);
    return s ? s : AGAIN;
}

// The first message of the queue, if it fits. AGAIN: look again.
static s64 receive_first(struct process *p, struct channel *c, u32 size, nebulet_handle *handles,
                         u32 nhandles, struct nebulet_message *needed, struct message **kept)
{
    const struct message *m = c->first;
    *needed = (struct nebulet_message){m->size, m->nhandles};
    if (m->size > size || m->nhandles > nhandles)
        return ERR_BUFFER_TOO_SMALL;
    if (!handles_room(&p->handles, m->nhandles))
        return make_room(&p->handles, m->nhandles);
    *kept = receive(p, c, handles);
    return (*kept)->size;
}

SELDOM static s64 wait_and_receive(struct kthread *me, struct channel *c, u8 *bytes, u32 size,
                                   nebulet_handle *handles, u32 nhandles,
                                   struct nebulet_message *needed, u64 deadline,
                                   struct message **kept)
{
    u64 *got = &thread_vm(me->rt)->result;
    s64 result = OK;
    *got = NOTHING;
    while (!c->first && !result && *got == NOTHING) {
        if (!c->peer)
            return ERR_PEER_CLOSED;
        stand_in_line(me, c, c->last_receiver, bytes, size, deadline == NEBULET_FOREVER);
        me->inbox.handles = handles;
        me->inbox.handle_room = nhandles;
        me->inbox.came = 0;
        result = out_of_line(me, sched_wait(me, deadline));
        me->inbox.handle_room = 0; // who waits otherwise takes none
    }
    if (*got != NOTHING) {
        *needed = (struct nebulet_message){(u32)*got, me->inbox.came};
        return (s64)*got;
    }
    if (c->first && (!result || result == ERR_PEER_CLOSED))
        result = receive_first(me->process, c, size, handles, nhandles, needed, kept);
    if (result == AGAIN)
        return result;
    struct kthread *next = result < 0 && c->first ? pop_receiver(c, OK) : NULL;
    if (next)
        sched_wake(next, OK); // what we were woken for may suit somebody else
    return result;
}

// With the lock, and a reference. What was kept is to be unpacked.
static s64 receive_next(struct kthread *me, struct channel *c, u8 *bytes, u32 size,
                        nebulet_handle *handles, u32 nhandles, struct nebulet_message *needed,
                        u64 deadline, struct message **kept)
{
    s64 result;
    do {
        result = wait_and_receive(me, c, bytes, size, handles, nhandles, needed, deadline, kept);
    } while (result == AGAIN);
    return result;
}

// The signal is taken back before the outside is asked, so that one which comes meanwhile is not
// lost; and when something was received there may be more. With the lock.
static status pull(struct channel *c, u64 deadline)
{
    s64 seen = OK;
    while (!c->first && seen >= 0) {
        object_clear(&c->object, NEBULET_READABLE);
        kern_release();
        status s = c->outside->pull ? c->outside->pull(c) : ERR_SHOULD_WAIT;
        kern_acquire();
        if (s && s != ERR_SHOULD_WAIT)
            return s;
        if (s)
            seen = object_wait(&c->object, NEBULET_READABLE | NEBULET_PEER_CLOSED, deadline);
    }
    return c->first ? OK : (status)seen;
}

SELDOM static s64 receive_outside(struct channel *c, u32 size, nebulet_handle *handles,
                                  u32 nhandles, struct nebulet_message *needed, u64 deadline,
                                  struct message **kept)
{
    s64 result = AGAIN;
    while (result == AGAIN) {
        result = pull(c, deadline);
        if (!result)
            result = receive_first(sched_self()->process, c, size, handles, nhandles, needed, kept);
    }
    if (result >= 0 && c->outside->pull)
        object_set(&c->object, NEBULET_READABLE);
    return result;
}

s64 channel_recv(struct channel *c, u8 *bytes, u32 size, nebulet_handle *handles, u32 nhandles,
                 struct nebulet_message *needed, u64 deadline)
{
    struct message *kept = NULL;
    s64 result;
    *needed = (struct nebulet_message){0};
    kern_acquire();
    object_ref(&c->object); // our handle may be closed meanwhile
    if (unlikely(c->outside != NULL))
        result = receive_outside(c, size, handles, nhandles, needed, deadline, &kept);
    else
        result =
            receive_next(sched_self(), c, bytes, size, handles, nhandles, needed, deadline, &kept);
    object_unref(&c->object);
    kern_release();
    unpack(kept, bytes);
    return result;
}

struct vm_thread *channel_recv_at_once(struct kthread *me, struct channel *c, u8 *bytes, u32 size)
{
    kern_acquire();
    bool empty = !c->first && !c->last_receiver && c->peer;
    struct kthread *t = likely(empty) ? sched_handed_over(me) : NULL;
    if (unlikely(!t)) {
        kern_release();
        return NULL;
    }
    stand_in_line(me, c, NULL, bytes, size, true);
    return sched_hand(me, t);
}

// --- Both

// Nothing else is in either queue, and nobody else waits at this end.
static struct kthread *who_waits(const struct channel *c, u32 size)
{
    const struct channel *peer = c->peer;
    if (unlikely(!peer) || unlikely(!peer->last_receiver) || unlikely(peer->first != NULL) ||
        unlikely(c->first != NULL) || unlikely(c->last_receiver != NULL))
        return NULL;
    struct kthread *t = peer->last_receiver->inbox.next;
    return likely(size < t->inbox.at_once) ? t : NULL;
}

struct vm_thread *channel_call_at_once(struct kthread *me, struct channel *c, const u8 *bytes,
                                       u32 size, u8 *answer, u32 room)
{
    kern_acquire();
    struct kthread *t = who_waits(c, size);
    if (unlikely(!t) || unlikely(!sched_can_hand(me, t))) {
        kern_release();
        return NULL;
    }
    me->process->stats.sent++;
    deliver(c->peer, t, bytes, size);
    stand_in_line(me, c, NULL, answer, room, true);
    return sched_hand(me, t);
}

// Somebody has woken it, or its process has several threads.
SELDOM u64 channel_called(struct vmctx *vm)
{
    struct kthread *me = vm->thread->user;
    struct channel *c = me->inbox.at;
    struct nebulet_message needed;
    struct message *kept = NULL;
    u8 *bytes = me->inbox.bytes;
    sched_arrived(me);
    s64 result = (s64)vm->thread->result;
    if (vm->thread->result == NOTHING) {
        object_ref(&c->object);
        result = out_of_line(me, me->woken);
        if (!result)
            result = receive_next(me, c, bytes, me->inbox.room, NULL, 0, &needed, NEBULET_FOREVER,
                                  &kept);
        object_unref(&c->object);
    }
    kern_release();
    unpack(kept, bytes);
    rt_check_interrupt(vm);
    return (u64)result;
}

s64 channel_call(struct kthread *me, struct channel *c, const u8 *bytes, u32 size, u8 *answer,
                 u32 room, u64 deadline)
{
    struct nebulet_message needed;
    kern_acquire();
    object_ref(&c->object);
    kern_release();
    s64 s = channel_send(me, c, bytes, size, NULL, 0, deadline);
    if (!s)
        s = channel_recv(c, answer, room, NULL, 0, &needed, deadline);
    object_release(&c->object);
    return s;
}
