// SPDX-License-Identifier: MIT
// Services: a list of names, which is short, and those who wait for one to appear.
#include "kern/service.h"
#include "base/heap.h"
#include "kern/sched.h"

struct service {
    struct service *next, **self;
    struct channel *entrance; // connections are sent into it; a reference
    u32 length;
    u8 name[NEBULET_NAME_MAX];
};

struct seeker {
    struct seeker *next, **self;
    struct kthread *thread;
};

static struct service *services;
static struct seeker *seekers;

static struct service *find(const u8 *name, u32 n)
{
    struct service *s = services;
    while (s && (s->length != n || memcmp(s->name, name, n)))
        s = s->next;
    return s;
}

static void wake_seekers(void)
{
    for (struct seeker *k = seekers; k; k = k->next)
        sched_wake(k->thread, OK);
}

static status enlist(struct service *s, struct channel *exit)
{
    if (find(s->name, s->length))
        return ERR_ALREADY_EXISTS;
    s->next = services;
    s->self = &services;
    if (s->next)
        s->next->self = &s->next;
    services = s;
    exit->service = s;
    wake_seekers();
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
    kern_release();
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
    struct seeker k = {.thread = sched_self()};
    status s = OK;
    while (!(*out = find(name, n)) && !s) {
        k.next = seekers;
        k.self = &seekers;
        if (k.next)
            k.next->self = &k.next;
        seekers = &k;
        s = sched_wait(deadline);
        *k.self = k.next;
        if (k.next)
            k.next->self = k.self;
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
    kern_acquire();
    result = seek(copy, n, deadline, &s);
    if (!result)
        result = channel_push_object(s->entrance->peer, &theirs->object);
    if (result) {
        object_unref(&theirs->object);
        object_unref(&ours->object);
    }
    kern_release();
    if (!result)
        *out = ours;
    return result;
}
