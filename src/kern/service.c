// SPDX-License-Identifier: MIT
// Services: names, and those who wait for one to appear.
#include "kern/service.h"
#include "base/hash.h"
#include "base/heap.h"
#include "kern/sched.h"
#include "plat/plat.h"

struct service {
    struct service *next, **self;
    struct channel *entrance; // connections are sent into it; a reference
    u32 length;
    u8 name[NEBULET_NAME_MAX];
};

// Names are found by a hash with a key, so that nobody can offer many that meet in one bucket.
static struct bucket {
    struct service *services;
    struct object sought; // whoever waits for a name of this bucket waits for its only signal
} buckets[256];
static u64 key;

enum { APPEARED = 1 };

void services_init(void)
{
    key = plat_hash_key();
}

// With the lock.
static struct bucket *bucket_of(const u8 *name, u32 n)
{
    struct bucket *b = &buckets[hash_bytes(key, name, n) % countof(buckets)];
    if (!b->sought.refs) {
        object_init(&b->sought, OBJECT_event);
        b->sought.signals = APPEARED; // for ever: who waits looks for the name
    }
    return b;
}

// One whose other end is gone already is about to go: its queue is taken apart a little at a time.
static struct service *find(const u8 *name, u32 n)
{
    struct service *s = bucket_of(name, n)->services;
    while (s && (s->length != n || memcmp(s->name, name, n) || !s->entrance->peer))
        s = s->next;
    return s;
}

static status enlist(struct service *s, struct channel *exit)
{
    struct bucket *b = bucket_of(s->name, s->length);
    if (find(s->name, s->length))
        return ERR_ALREADY_EXISTS;
    s->next = b->services;
    s->self = &b->services;
    if (s->next)
        s->next->self = &s->next;
    b->services = s;
    exit->service = s;
    object_set(&b->sought, APPEARED);
    return OK;
}

status service_new(const u8 *name, u32 n, struct channel **out)
{
    struct channel *exit;
    struct service *s = heap_zalloc(sizeof *s);
    if (!s || channel_new(&s->entrance, &exit)) {
        heap_free(s);
        return ERR_NO_MEMORY;
    }
    s->length = n;
    memcpy(s->name, name, n);
    kern_acquire();
    status result = enlist(s, exit);
    if (result) {
        object_unref(&exit->object);
        object_unref(&s->entrance->object);
    }
    kern_release_slowly(); // of those who look for a service there may be many
    if (result)
        heap_free(s);
    else
        *out = exit;
    return result;
}

void service_gone(struct service *s)
{
    *s->self = s->next;
    if (s->next)
        s->next->self = s->self;
    object_unref(&s->entrance->object);
    heap_free(s);
}

static status seek(const u8 *name, u32 n, u64 deadline, struct service **out)
{
    struct waiter w;
    struct kthread *me = sched_self();
    status s = OK;
    while (!(*out = find(name, n)) && !s) {
        waiter_add(&w, &bucket_of(name, n)->sought, APPEARED, me);
        s = sched_wait(me, deadline);
        waiter_remove(&w);
    }
    return *out ? OK : s == ERR_CANCELLED ? s : ERR_NOT_FOUND;
}

status service_connect(const u8 *name, u32 n, u64 deadline, struct channel **out)
{
    struct channel *ours, *theirs;
    struct service *s;
    u8 copy[NEBULET_NAME_MAX];
    memcpy(copy, name, n); // the guest may change it while we wait
    status result = channel_new(&ours, &theirs);
    if (result)
        return result;
    if (sched_self())
        theirs->client = sched_self()->process->id;
    kern_acquire();
    result = seek(copy, n, deadline, &s);
    if (!result)
        result = channel_push(s->entrance->peer, copy, 0,
                              &(struct sent_handle){&theirs->object, HANDLE_ALL_RIGHTS}, 1);
    if (result) {
        object_unref(&theirs->object);
        object_unref(&ours->object);
    }
    kern_release();
    if (!result)
        *out = ours;
    return result;
}
