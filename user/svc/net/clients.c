// SPDX-License-Identifier: MIT
// Clients: each has a channel, and one request at a time, the next of which is not looked at before
// the answer to the last is out. Nobody is waited for. When there are too many, who has been silent
// for longest goes, of the process that has most of them; a libsip program connects, asks and hangs
// up, so one that is silent has no need of it. Whoever hangs up before there is an answer has asked
// for nothing.
//
// What there is only so much of (places for requests, sockets, connections) a process may have as
// long as it has less than is left of it: one that wants all of it gets half, the next one a third,
// and there is always something for who comes.
#include "net.h"

#include <string.h>

enum { CLIENTS = 64, ANSWERS = 100 };

static struct client clients[CLIENTS];
static struct watch entrance;
static nebulet_handle service;
uint32_t clients_busy;

static void hang_up(struct client *c)
{
    if (c->busy && !c->flushes && reach_end)
        reach_end(c);
    clients_busy -= c->busy;
    c->busy = c->flushes = false;
    watch_end(&c->watch);
    sip_close(c->channel);
    c->used = false;
}

void client_answer(struct client *c, const struct net_answer *a, nebulet_handle *theirs, uint32_t n)
{
    clients_busy -= c->busy;
    c->busy = c->flushes = false;
    c->since = sip_now();
    c->answers++;
    if (nebulet_channel_send(c->channel, (const uint8_t *)a, sizeof *a, theirs, n,
                             NEBULET_AT_ONCE) < 0) {
        for (uint32_t i = 0; i < n; i++)
            sip_close(theirs[i]);
        hang_up(c);
    } else if (c->answers == ANSWERS) { // which are ours until they are taken
        hang_up(c);
    } else {
        watch_for(&c->watch, c->channel, NEBULET_READABLE | NEBULET_PEER_CLOSED);
    }
}

void client_fail(struct client *c, int32_t result)
{
    struct net_answer a = {.result = result};
    client_answer(c, &a, NULL, 0);
}

// --- Requests

static void listen(struct client *c)
{
    struct net_answer a = {.count = 1, .addresses = {c->asks.address}};
    struct nebulet_address *own = &a.addresses[0];
    nebulet_handle theirs = NEBULET_NO_HANDLE;
    own->family = own->family ? own->family : 4;
    a.result = rules_listen(RULE_TCP, own);
    if (!a.result)
        a.result = listen_begin(own, c->who, &theirs);
    client_answer(c, &a, &theirs, theirs != NEBULET_NO_HANDLE);
}

static void flush(struct client *c)
{
    c->flushes = true;
}

static void not_here(struct client *c)
{
    client_fail(c, NEBULET_ERR_NOT_SUPPORTED);
}

static void begin(struct client *c)
{
    switch ((enum net_op)c->asks.op) {
    case NET_LISTEN: listen(c); break;
    case NET_FLUSH: flush(c); break;
    case NET_CONNECT:
    case NET_RESOLVE:
    case NET_UDP:
    case NET_OPS: (reach_begin ? reach_begin : not_here)(c); break;
    }
}

// Nobody's, where there is one client only, who listens.
static uint32_t places_of(uint32_t who, bool busy)
{
    return reach_places ? reach_places(clients, CLIENTS, who, busy) : 0;
}

static void client_ready(struct watch *w, uint32_t signals)
{
    struct client *c = (struct client *)w;
    if (c->busy && signals & NEBULET_PEER_CLOSED) {
        hang_up(c);
        return;
    }
    int64_t n = sip_exactly(
        nebulet_channel_recv(c->channel, &c->asks, sizeof c->asks, NULL, 0, NULL, NEBULET_AT_ONCE),
        sizeof c->asks);
    if (n == NEBULET_ERR_SHOULD_WAIT)
        return;
    if (n < 0 || c->asks.op >= NET_OPS || c->asks.name[NET_NAME - 1] ||
        c->asks.timeout_ms > NET_MOST_MS) {
        hang_up(c);
        return;
    }
    if (places_of(c->who, true) >= CLIENTS - clients_busy) {
        client_fail(c, NEBULET_ERR_NO_RESOURCES);
        return;
    }
    uint32_t ms = c->asks.timeout_ms ? c->asks.timeout_ms : NET_USUAL_MS;
    c->since = sip_now();
    c->deadline = sip_after(ms * SIP_MS);
    c->busy = true;
    clients_busy++;
    watch_for(&c->watch, c->channel, NEBULET_PEER_CLOSED);
    begin(c);
}

// Who has been silent for longest, and has asked for nothing, of who has most places; NULL: all are
// busy.
static struct client *place_for_one(void)
{
    struct client *silent = NULL;
    for (struct client *c = clients; c < clients + CLIENTS; c++)
        if (!c->used)
            return c;
    for (struct client *c = clients; c < clients + CLIENTS; c++) {
        uint32_t most = silent ? places_of(silent->who, false) : 0, own = places_of(c->who, false);
        if (!c->busy && (!silent || own > most || (own == most && c->since < silent->since)))
            silent = c;
    }
    if (silent)
        hang_up(silent);
    return silent;
}

static void entrance_ready(struct watch *w, uint32_t signals)
{
    nebulet_handle channel = NEBULET_NO_HANDLE;
    (void)w, (void)signals;
    int64_t n = nebulet_channel_recv(service, NULL, 0, &channel, 1, NULL, NEBULET_AT_ONCE);
    if (n == NEBULET_ERR_SHOULD_WAIT)
        return;
    sip_must(n, "net: clients");
    struct client *c = place_for_one();
    if (!c) {
        sip_close(channel);
        return;
    }
    int64_t who = nebulet_service_client(channel);
    *c = (struct client){.watch = {.ready = client_ready},
                         .channel = channel,
                         .used = true,
                         .who = who < 0 ? 0 : (uint32_t)who,
                         .since = sip_now()};
    watch_for(&c->watch, channel, NEBULET_READABLE | NEBULET_PEER_CLOSED);
}

// --- What is overdue

static void look_flush(struct client *c)
{
    struct net_answer a = {0};
    if (all_is_out())
        client_answer(c, &a, NULL, 0);
}

// When something is overdue: the next try of a lookup, or all of it.
static uint64_t due(const struct client *c)
{
    return c->lookup.begun && c->lookup.until < c->deadline ? c->lookup.until : c->deadline;
}

uint64_t clients_look(void)
{
    uint64_t first = NEBULET_FOREVER, now = clients_busy ? sip_now() : 0;
    for (struct client *c = clients; clients_busy && c < clients + CLIENTS; c++) {
        if (!c->busy)
            continue;
        if (c->flushes)
            look_flush(c);
        else if (now >= due(c))
            reach_late(c, now);
        if (c->busy && !c->flushes && due(c) < first)
            first = due(c);
    }
    return first;
}

void clients_begin(void)
{
    entrance.ready = entrance_ready;
    service = (nebulet_handle)sip_must(nebulet_service_create("net", 3), "net: the service");
    watch_for(&entrance, service, NEBULET_READABLE);
}
