// SPDX-License-Identifier: MIT
// Several servers, each on a CPU, accept from the same listeners and know nothing of each other,
// but that the one which is asked for metrics asks the others what they have counted: an empty
// message, and the answer is a struct counts and the requests of each route. Who does not answer in
// time counts as nothing.
#include "http.h"

#include <stdlib.h>
#include <string.h>

enum { OTHERS_MAX = 15, ROUTES_MAX = 256, STACK = 16384 };

struct told {
    struct counts counts;
    uint64_t requests[ROUTES_MAX];
};

static struct {
    struct sip_mutex lock; // of the channels: one asks at a time
    nebulet_handle channels[OTHERS_MAX];
    uint32_t count;
    struct told answer;
} others;

bool others_add(nebulet_handle channel)
{
    if (others.count == OTHERS_MAX)
        return false;
    others.channels[others.count++] = channel;
    return true;
}

static void add(uint64_t *to, const uint64_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] += from[i];
}

// A late answer to an earlier question is taken off first.
static int64_t ask(nebulet_handle channel)
{
    int64_t n;
    do {
        n = nebulet_channel_recv(channel, &others.answer, sizeof others.answer, NULL, 0, NULL,
                                 NEBULET_AT_ONCE);
    } while (n >= 0);
    n = nebulet_channel_send(channel, NULL, 0, NULL, 0, NEBULET_AT_ONCE);
    return n < 0 ? n
                 : nebulet_channel_recv(channel, &others.answer, sizeof others.answer, NULL, 0,
                                        NULL, sip_after(SIP_SECOND));
}

void others_counted(struct counts *sum, uint64_t *requests, uint32_t n)
{
    sip_lock(&others.lock);
    for (uint32_t i = 0; i < others.count; i++) {
        int64_t size = ask(others.channels[i]);
        if (size < (int64_t)sizeof *sum)
            continue;
        size_t routes = ((size_t)size - sizeof *sum) / sizeof *requests;
        add((uint64_t *)sum, (const uint64_t *)&others.answer.counts,
            sizeof *sum / sizeof(uint64_t));
        add(requests, others.answer.requests, routes < n ? routes : n);
    }
    sip_unlock(&others.lock);
}

// --- And the other side

struct answerer {
    nebulet_handle channel;
    struct told told;
};

static int32_t answer(void *arg)
{
    struct answerer *a = arg;
    while (nebulet_channel_recv(a->channel, NULL, 0, NULL, 0, NULL, NEBULET_FOREVER) >= 0) {
        uint32_t n = 0;
        struct site *s = site_take();
        for (const struct route *r = s->routes; r && n < ROUTES_MAX; r = r->next)
            a->told.requests[n++] = r->requests;
        site_drop(s);
        counts_read(&a->told.counts);
        nebulet_channel_send(a->channel, &a->told,
                             (uint32_t)(sizeof a->told.counts + n * sizeof *a->told.requests), NULL,
                             0, NEBULET_AT_ONCE);
    }
    return 0;
}

bool others_answer(nebulet_handle channel)
{
    struct sip_thread t; // for as long as we live
    struct answerer *a = malloc(sizeof *a);
    if (!a)
        return false;
    a->channel = channel;
    return sip_thread_start(&t, answer, a, STACK) >= 0;
}
