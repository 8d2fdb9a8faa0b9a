// SPDX-License-Identifier: MIT
// Names to addresses: a stub resolver, which asks a server that goes through all of it. Each lookup
// has a socket and so a port of its own, which nobody can guess, nor the number of a query: an
// answer counts when it is from whom was asked, to that port, with that number and that question.
// What did not fit a datagram is asked for again by TCP (RFC 7766), of the same server. Addresses
// of IPv4 are asked for first, and then, where there is IPv6, those. Nothing is kept: who asks gets
// what is so now.
#include "net.h"

#include <stdlib.h>
#include <string.h>

enum { SERVERS = 3, TRIES = 3, HOPS = 8 };
enum { BY_TCP = 4096 }; // bytes of such an answer that are looked at
#define FIRST_TRY SIP_SECOND

static struct nebulet_address servers[SERVERS];
static uint32_t server_count;

bool names_server(const struct nebulet_address *a)
{
    struct nebulet_address s = *a;
    s.port = s.port ? s.port : 53;
    if (!address_normalize(&s) || server_count == SERVERS)
        return false;
    servers[server_count++] = s;
    return true;
}

static void close_all(struct lookup *l)
{
    dgram_close(&l->udp);
    dial_end(&l->dial);
    watch_end(&l->watch);
    if (l->in != NEBULET_NO_HANDLE) {
        sip_close(l->in);
        sip_close(l->out);
    }
    l->in = NEBULET_NO_HANDLE;
    free(l->answer);
    l->answer = NULL;
}

void names_end(struct lookup *l)
{
    if (l->begun)
        close_all(l);
    l->begun = false;
}

static void end(struct lookup *l, int32_t result)
{
    names_end(l);
    l->done(l, result);
}

static void give_time(struct lookup *l)
{
    l->until = sip_after(FIRST_TRY << (l->tries / (server_count ? server_count : 1)));
}

static void send(struct lookup *l)
{
    static uint8_t query[DNS_MOST];
    uint32_t size = dns_query(query, l->id, l->name, l->type);
    give_time(l);
    dgram_send(&l->udp, &servers[l->server], query, size);
}

// A question with a number and a port of its own. False: there is no socket.
static bool ask(struct lookup *l)
{
    struct nebulet_address own = {.family = servers[l->server].family};
    sip_random(&l->id, sizeof l->id);
    close_all(l);
    if (dgram_open(&l->udp, &own) < 0)
        return false;
    send(l);
    return true;
}

// Whoever has addresses does not wait for what servers may not have an answer to.
static void try_again(struct lookup *l)
{
    l->tries++;
    l->server = (l->server + 1) % server_count;
    if (l->count || l->tries >= TRIES * server_count)
        end(l, l->count ? 0 : l->worst ? l->worst : NEBULET_ERR_TIMED_OUT);
    else if (!ask(l))
        end(l, NEBULET_ERR_NO_RESOURCES);
}

static void next_type(struct lookup *l, int32_t result)
{
    if (l->type == DNS_A && have_ipv6() && l->count < NET_ADDRESSES) {
        l->type = DNS_AAAA;
        l->tries = l->hops = 0;
        l->worst = result;
        if (!ask(l))
            end(l, l->count ? 0 : NEBULET_ERR_NO_RESOURCES);
    } else {
        end(l, l->count ? 0 : result);
    }
}

static void go_on(struct lookup *l, int32_t result, bool again)
{
    if (again && ++l->hops < HOPS) {
        if (!ask(l))
            end(l, NEBULET_ERR_NO_RESOURCES);
    } else if (again || result == NEBULET_ERR_UNAVAILABLE) {
        l->worst = NEBULET_ERR_UNAVAILABLE;
        if (again)
            end(l, l->worst);
        else
            try_again(l);
    } else {
        next_type(l, result);
    }
}

// --- By TCP, where each message has two bytes of its length in front

// All of it has come, or as much as is looked at: what is not in that may be in the rest.
static void take_answer(struct lookup *l, uint32_t length)
{
    bool again = false;
    uint32_t there = l->got - 2, size = there < length ? there : length;
    int32_t result =
        dns_answer(l->answer + 2, size, l->id, l->name, l->type, l->found, &l->count, &again);
    bool none = result == NEBULET_ERR_BAD_STATE || result == NEBULET_ERR_BUFFER_TOO_SMALL;
    if (none || (result == NEBULET_ERR_NOT_FOUND && size < length))
        result = NEBULET_ERR_UNAVAILABLE;
    go_on(l, result, again);
}

static void answer_ready(struct watch *w, uint32_t signals)
{
    struct lookup *l = (struct lookup *)((char *)w - offsetof(struct lookup, watch));
    (void)signals;
    int64_t n = nebulet_stream_read(l->in, l->answer + l->got, BY_TCP - l->got, NEBULET_AT_ONCE);
    if (n == NEBULET_ERR_SHOULD_WAIT)
        return;
    if (n < 0) {
        go_on(l, NEBULET_ERR_UNAVAILABLE, false);
        return;
    }
    l->got += (uint32_t)n;
    uint32_t length = (uint32_t)l->answer[0] << 8 | l->answer[1];
    if (l->got >= 2 && (l->got - 2 >= length || l->got == BY_TCP))
        take_answer(l, length);
}

static void connected(struct dial *d, int32_t result, nebulet_handle theirs[2])
{
    static uint8_t query[2 + DNS_MOST];
    struct lookup *l = (struct lookup *)((char *)d - offsetof(struct lookup, dial));
    if (result < 0) {
        go_on(l, NEBULET_ERR_UNAVAILABLE, false);
        return;
    }
    uint32_t size = dns_query(query + 2, l->id, l->name, l->type);
    l->in = theirs[0];
    l->out = theirs[1];
    query[0] = (uint8_t)(size >> 8);
    query[1] = (uint8_t)size;
    l->watch.ready = answer_ready;
    watch_for(&l->watch, l->in, NEBULET_READABLE | NEBULET_PEER_CLOSED);
    nebulet_stream_write(l->out, query, 2 + size, NEBULET_AT_ONCE); // it is empty; or has ended
}

static void ask_by_tcp(struct lookup *l)
{
    sip_random(&l->id, sizeof l->id);
    dgram_close(&l->udp);
    give_time(l);
    l->dial.done = connected;
    l->got = 0;
    l->answer = calloc(1, BY_TCP);
    if (!l->answer)
        end(l, NEBULET_ERR_NO_MEMORY);
    else if (dial_begin(&l->dial, &servers[l->server]) < 0)
        go_on(l, NEBULET_ERR_UNAVAILABLE, false);
}

static void received(struct udp *u, const struct nebulet_address *from, const uint8_t *bytes,
                     uint32_t size)
{
    struct lookup *l = (struct lookup *)((char *)u - offsetof(struct lookup, udp));
    bool again;
    if (!address_same(from, &servers[l->server]))
        return;
    int32_t result = dns_answer(bytes, size, l->id, l->name, l->type, l->found, &l->count, &again);
    if (result == NEBULET_ERR_BUFFER_TOO_SMALL)
        ask_by_tcp(l);
    else if (result != NEBULET_ERR_BAD_STATE)
        go_on(l, result, again);
}

void names_begin(struct lookup *l, const char *name, uint64_t deadline)
{
    static const struct nebulet_address local[] = {{.bytes = {127, 0, 0, 1}, .family = 4},
                                                   {.bytes = {[15] = 1}, .family = 6}};
    l->count = l->hops = l->tries = l->server = 0;
    l->worst = 0;
    l->type = DNS_A;
    l->deadline = deadline;
    l->begun = true;
    l->udp = (struct udp){.received = received, .channel = NEBULET_NO_HANDLE};
    l->watch = (struct watch){0};
    l->in = NEBULET_NO_HANDLE;
    l->answer = NULL;
    l->dial.state = NULL;
    memcpy(l->name, name, strlen(name) + 1);
    if (dns_is_local(name)) {
        memcpy(l->found, local, sizeof local);
        l->count = have_ipv6() ? 2 : 1;
        end(l, 0);
    } else if (!dns_is_name(name) || address_is_number(name)) {
        end(l, NEBULET_ERR_INVALID_ARG);
    } else if (!server_count) {
        end(l, NEBULET_ERR_UNAVAILABLE);
    } else if (!ask(l)) {
        end(l, NEBULET_ERR_NO_RESOURCES);
    }
}

void names_look(struct lookup *l, uint64_t now)
{
    if (!l->begun)
        return;
    if (now >= l->deadline)
        end(l, l->count ? 0 : NEBULET_ERR_TIMED_OUT);
    else if (now >= l->until)
        try_again(l);
}
