// SPDX-License-Identifier: MIT
// Calls on handles, channels, streams, events, signals and services.
#include "abi/nebulet_call.h"
#include "base/heap.h"

s64 call_null(struct vmctx *vm, struct process *p, const struct call_null *a)
{
    (void)vm, (void)p, (void)a;
    return OK;
}

s64 call_null_channel(struct vmctx *vm, struct process *p, const struct call_null_channel *a)
{
    (void)vm, (void)p, (void)a;
    return OK;
}

// --- Handles

s64 call_handle_close(struct vmctx *vm, struct process *p, const struct call_handle_close *a)
{
    (void)vm;
    struct handle *h = handle_find(&p->handles, a->handle);
    if (!h)
        return ERR_BAD_HANDLE;
    kern_acquire();
    object_unref(handle_remove(&p->handles, h));
    kern_release_slowly();
    return OK;
}

SELDOM s64 call_handle_duplicate(struct vmctx *vm, struct process *p,
                                 const struct call_handle_duplicate *a)
{
    u32 have = a->object_rights, want = a->rights == NEBULET_SAME_RIGHTS ? have : a->rights;
    (void)vm;
    if (want & ~HANDLE_ALL_RIGHTS)
        return ERR_INVALID_ARG;
    if (want & ~have)
        return ERR_ACCESS_DENIED;
    kern_acquire();
    object_ref(a->object);
    kern_release();
    return call_give(p, a->object, want);
}

// --- Channels

s64 call_channel_create(struct vmctx *vm, struct process *p, const struct call_channel_create *a)
{
    (void)vm;
    struct channel *x, *y;
    status s = channel_new(&x, &y);
    return s ? s
             : call_give_two(p, &x->object, HANDLE_ALL_RIGHTS, &y->object, HANDLE_ALL_RIGHTS,
                             a->ends);
}

__attribute__((noinline)) static s64 send_other(struct kthread *me,
                                                const struct call_channel_send *a)
{
    nebulet_handle handles[NEBULET_MESSAGE_HANDLES];
    if (a->bytes_size > NEBULET_MESSAGE_MAX || a->handles_count > NEBULET_MESSAGE_HANDLES)
        return ERR_INVALID_ARG;
    memcpy(handles, a->handles, a->handles_count * sizeof *handles);
    return channel_send(me, a->channel, a->bytes, a->bytes_size, handles, a->handles_count,
                        a->deadline);
}

OFTEN s64 call_channel_send(struct vmctx *vm, struct process *p, const struct call_channel_send *a)
{
    struct kthread *me = vm->thread->user;
    (void)p;
    if (likely(!a->handles_count) && likely(a->bytes_size <= CHANNEL_DIRECT_MAX) &&
        likely(channel_send_at_once(me, a->channel, a->bytes, a->bytes_size)))
        return OK;
    const struct call_channel_send copy = *a; // so that *a itself need not be in memory
    return send_other(me, &copy);
}

s64 call_channel_recv(struct vmctx *vm, struct process *p, const struct call_channel_recv *a)
{
    (void)vm, (void)p;
    nebulet_handle handles[NEBULET_MESSAGE_HANDLES];
    struct nebulet_message message;
    u32 room =
        a->handles_count < NEBULET_MESSAGE_HANDLES ? a->handles_count : NEBULET_MESSAGE_HANDLES;
    s64 result =
        channel_recv(a->channel, a->bytes, a->bytes_size, handles, room, &message, a->deadline);
    if (result >= 0 && message.handles)
        memcpy(a->handles, handles, message.handles * sizeof *handles);
    if (a->message && (result >= 0 || result == ERR_BUFFER_TOO_SMALL))
        memcpy(a->message, &message, sizeof message);
    return result;
}

s64 call_channel_call(struct vmctx *vm, struct process *p, const struct call_channel_call *a)
{
    (void)p;
    if (unlikely(a->bytes_size > NEBULET_MESSAGE_MAX))
        return ERR_INVALID_ARG;
    return channel_call(vm->thread->user, a->channel, a->bytes, a->bytes_size, a->answer,
                        a->answer_size, a->deadline);
}

OFTEN struct vm_thread *hand_channel_recv(struct vmctx *vm, const struct call_channel_recv *a)
{
    if (unlikely(a->handles_count != 0) || unlikely(a->message != NULL) ||
        unlikely(a->deadline != NEBULET_FOREVER))
        return NULL;
    return channel_recv_at_once(vm->thread->user, a->channel, a->bytes, a->bytes_size);
}

OFTEN struct vm_thread *hand_channel_call(struct vmctx *vm, const struct call_channel_call *a)
{
    if (unlikely(a->bytes_size > CHANNEL_DIRECT_MAX) || unlikely(a->deadline != NEBULET_FOREVER))
        return NULL;
    return channel_call_at_once(vm->thread->user, a->channel, a->bytes, a->bytes_size, a->answer,
                                a->answer_size);
}

// --- Streams

SELDOM s64 call_stream_create(struct vmctx *vm, struct process *p,
                              const struct call_stream_create *a)
{
    (void)vm;
    struct stream *w, *r;
    status s = stream_new(&w, &r);
    u32 both = NEBULET_DUPLICATE | NEBULET_TRANSFER | NEBULET_READ | NEBULET_WRITE;
    return s ? s : call_give_two(p, &w->object, both, &r->object, both, a->ends);
}

s64 call_stream_write(struct vmctx *vm, struct process *p, const struct call_stream_write *a)
{
    (void)vm, (void)p;
    return stream_write(a->stream, a->bytes, a->bytes_size, a->deadline);
}

s64 call_stream_read(struct vmctx *vm, struct process *p, const struct call_stream_read *a)
{
    (void)vm, (void)p;
    return stream_read(a->stream, a->bytes, a->bytes_size, a->deadline);
}

// --- Events and signals

s64 call_event_create(struct vmctx *vm, struct process *p, const struct call_event_create *a)
{
    (void)vm, (void)a;
    struct event *e = event_new();
    return e ? call_give(p, &e->object, HANDLE_ALL_RIGHTS) : ERR_NO_MEMORY;
}

s64 call_event_rearm(struct vmctx *vm, struct process *p, const struct call_event_rearm *a)
{
    (void)vm, (void)p;
    kern_acquire();
    bool was = a->event->object.signals & NEBULET_EVENT_SIGNALED;
    object_clear(&a->event->object, NEBULET_EVENT_SIGNALED);
    kern_release();
    return was;
}

s64 call_object_signal(struct vmctx *vm, struct process *p, const struct call_object_signal *a)
{
    (void)vm, (void)p;
    if (unlikely((a->clear | a->set) & ~object_settable(a->object)))
        return ERR_INVALID_ARG;
    kern_acquire();
    struct object *o = object_signaled(a->object);
    if (o) {
        object_clear(o, a->clear);
        object_set(o, a->set | (o == a->object ? 0 : NEBULET_PEER_SIGNALED));
    }
    kern_release_slowly();
    return OK;
}

s64 call_object_wait_one(struct vmctx *vm, struct process *p, const struct call_object_wait_one *a)
{
    (void)vm, (void)p;
    if (!a->signals)
        return ERR_INVALID_ARG;
    kern_acquire();
    s64 result = object_wait(a->object, a->signals, a->deadline);
    kern_release();
    return result;
}

// --- Sets of waits

SELDOM s64 call_waitset_create(struct vmctx *vm, struct process *p,
                               const struct call_waitset_create *a)
{
    (void)vm, (void)a;
    struct waitset *s = waitset_new();
    return s ? call_give(p, &s->object, HANDLE_ALL_RIGHTS) : ERR_NO_MEMORY;
}

SELDOM s64 call_waitset_put(struct vmctx *vm, struct process *p, const struct call_waitset_put *a)
{
    (void)vm;
    if (a->handle == NEBULET_NO_HANDLE)
        return waitset_put(a->waitset, a->place, NULL, 0);
    const struct handle *h = handle_find(&p->handles, a->handle);
    if (!h)
        return ERR_BAD_HANDLE;
    if (!(h->rights & NEBULET_READ))
        return ERR_ACCESS_DENIED;
    return waitset_put(a->waitset, a->place, h->object, a->signals);
}

s64 call_waitset_wait(struct vmctx *vm, struct process *p, const struct call_waitset_wait *a)
{
    (void)p;
    return waitset_wait(vm->thread->user, a->waitset, a->ready, a->ready_count, a->deadline);
}

// --- Several at once

static u8 *item_at(u8 *items, u32 i)
{
    return items + i * sizeof(struct nebulet_wait);
}

static inline void observe(u8 *item, u32 signals)
{
    store_u32(item + offsetof(struct nebulet_wait, observed), signals);
}

// What an item says; it may be wrong.
static inline status find(const struct process *p, const u8 *item, struct waiter *w,
                          struct kthread *self)
{
    nebulet_handle number = load_u32(item + offsetof(struct nebulet_wait, handle));
    const struct handle *h = handle_find(&p->handles, number);
    if (unlikely(!h))
        return ERR_BAD_HANDLE;
    if (unlikely(!(h->rights & NEBULET_READ)))
        return ERR_ACCESS_DENIED;
    w->object = h->object;
    w->signals = load_u32(item + offsetof(struct nebulet_wait, signals));
    w->thread = self;
    return OK;
}

static void join(struct waiter *w)
{
    link_add(&w->object->waiters, &w->link);
}

static void leave(struct waiter *w)
{
    link_drop(&w->link);
}

static inline bool look(struct waiter *w)
{
    w->observed = w->object->signals;
    return w->observed & w->signals;
}

// Of all at the same time.
static inline u32 signaled(struct waiter *w, u32 n)
{
    u32 count = 0;
    for (struct waiter *end = w + n; w < end; w++)
        count += look(w);
    return count;
}

// The objects themselves may be gone.
static void tell(const struct process *p, u8 *items, const struct waiter *w, u32 n)
{
    for (u32 i = 0; i < n; i++) {
        const struct handle *h = handle_find(&p->handles, load_u32(item_at(items, i)));
        u32 closed = h && h->object == w[i].object ? 0 : NEBULET_HANDLE_CLOSED;
        observe(item_at(items, i), w[i].observed | closed);
    }
}

// Those that have joined leave, and the items tell what is seen of all at the same time.
static inline u32 leave_all(struct waiter *w, const struct waiter *end, u8 *item)
{
    u32 count = 0;
    for (; w < end; w++, item += sizeof(struct nebulet_wait)) {
        u32 signals = w->object->signals;
        leave(w);
        observe(item, w->observed = signals);
        count += (signals & w->signals) != 0;
    }
    return count;
}

// It was woken for nothing.
SELDOM static status wait_again(struct waiter *w, const struct waiter *end, u64 deadline,
                                struct kthread *self)
{
    for (; w < end; w++)
        join(w);
    return sched_wait(self, deadline);
}

// A few are found, looked at and joined in one walk, for mostly nothing has happened yet.
enum { FEW = 8 };
static s64 wait_few(const struct process *p, u8 *items, u32 n, u64 deadline, struct kthread *self)
{
    struct waiter few[FEW], *w = few, *end = few + n;
    status s = OK, wrong = OK;
    u32 count = 0;
    bool alone = p->nthreads == 1; // nobody closes a handle meanwhile
    kern_acquire();
    for (const u8 *item = items; w < end; w++, item += sizeof(struct nebulet_wait)) {
        if (unlikely((wrong = find(p, item, w, self))))
            break;
        object_ref(w->object);
        join(w);
        count += (w->object->signals & w->signals) != 0;
    }
    if (likely(!count) && likely(!wrong))
        s = sched_wait(self, deadline);
    while (unlikely(!(count = leave_all(few, w, items))) && !wrong && !s)
        s = wait_again(few, w, deadline, self);
    for (struct waiter *x = few; x < w; x++)
        object_unref(x->object);
    kern_release_slowly();
    if (unlikely(wrong))
        return wrong;
    if (!alone)
        tell(p, items, few, n);
    return count ? (s64)count : s;
}

// --- Many

// Lets others have the lock after every few.
enum { AT_ONCE = 64 };
static inline __attribute__((always_inline)) void each(struct waiter *w, u32 n,
                                                       void (*step)(struct waiter *w))
{
    for (struct waiter *end = w + n;;) {
        struct waiter *stop = end - w > AT_ONCE ? w + AT_ONCE : end;
        for (; w < stop; w++)
            step(w);
        if (w == end)
            return;
        kern_breathe();
    }
}

static void hold(struct waiter *w)
{
    object_ref(w->object);
}

static void let_go(struct waiter *w)
{
    object_unref(w->object);
}

static s64 wait_all(struct waiter *w, u32 n, u64 deadline)
{
    status s = OK;
    u32 count;
    while (!(count = signaled(w, n)) && !s) {
        each(w, n, join);
        if (n < AT_ONCE || !signaled(w, n))
            s = sched_wait(w->thread, deadline);
        each(w, n, leave);
    }
    return count ? (s64)count : s;
}

static s64 wait_many(const struct process *p, u8 *items, u32 n, u64 deadline, struct kthread *self)
{
    struct waiter *w = heap_array(n, sizeof *w);
    if (!w)
        return ERR_NO_MEMORY;
    s64 result = OK;
    for (u32 i = 0; i < n && !result; i++)
        result = find(p, item_at(items, i), &w[i], self);
    if (!result) {
        kern_acquire();
        each(w, n, hold);
        result = wait_all(w, n, deadline);
        each(w, n, let_go);
        kern_release_slowly();
        tell(p, items, w, n);
    }
    heap_free(w);
    return result;
}

s64 call_object_wait_many(struct vmctx *vm, struct process *p,
                          const struct call_object_wait_many *a)
{
    u32 n = a->items_count;
    struct kthread *self = vm->thread->user;
    if (unlikely(n > NEBULET_WAIT_MAX))
        return ERR_INVALID_ARG;
    if (unlikely(n > FEW))
        return wait_many(p, a->items, n, a->deadline, self);
    return wait_few(p, a->items, n, a->deadline, self);
}

// --- Services

static bool good_name(u32 n)
{
    return n > 0 && n <= NEBULET_NAME_MAX;
}

SELDOM s64 call_service_create(struct vmctx *vm, struct process *p,
                               const struct call_service_create *a)
{
    (void)vm;
    struct channel *c;
    status s = good_name(a->name_size) ? service_new(a->name, a->name_size, &c) : ERR_INVALID_ARG;
    return s ? s : call_give(p, &c->object, NEBULET_READ | NEBULET_DUPLICATE | NEBULET_TRANSFER);
}

SELDOM s64 call_service_client(struct vmctx *vm, struct process *p,
                               const struct call_service_client *a)
{
    (void)vm, (void)p;
    return a->channel->client;
}

SELDOM s64 call_service_connect(struct vmctx *vm, struct process *p,
                                const struct call_service_connect *a)
{
    (void)vm;
    struct channel *c;
    status s = good_name(a->name_size) ? service_connect(a->name, a->name_size, a->deadline, &c)
                                       : ERR_INVALID_ARG;
    return s ? s : call_give(p, &c->object, HANDLE_ALL_RIGHTS);
}
