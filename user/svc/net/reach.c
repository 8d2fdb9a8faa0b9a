// SPDX-License-Identifier: MIT
// What programs reach: connections that they make, names, datagrams. Whether they may is decided
// here, on the address that is connected to, and not on what they have written.
//
//   a name ── rules_resolve ──> lookup ──> addresses ─┐
//   an address ───────────────────────────────────────┴── address_normalize, rules_allow ──> dial
#include "net.h"

#include <sip_net.h>

#include <string.h>

enum { SOCKETS = 64, AT_ONCE = 16, HEARD = 16 };

// A client's socket of UDP.
static struct socket {
    struct udp udp;
    struct watch watch;
    nebulet_handle channel; // to the client
    uint32_t who;
    uint32_t credit;
    bool used, listens, pinned;
    struct nebulet_address
        heard[HEARD]; // whom it may answer, as it listens; [0]: whom it is pinned to
    uint32_t heard_count;
} sockets[SOCKETS];

// --- Datagrams

static void close_socket(struct socket *s)
{
    dgram_close(&s->udp);
    watch_end(&s->watch);
    sip_close(s->channel);
    s->used = false;
}

static bool may_exchange(const struct socket *s, const struct nebulet_address *peer)
{
    if (s->pinned)
        return address_same(peer, &s->heard[0]);
    for (uint32_t i = 0; s->listens && i < s->heard_count && i < HEARD; i++)
        if (address_same(peer, &s->heard[i]))
            return true;
    return rules_allow(RULE_UDP, NULL, peer, peer->port);
}

static void note(struct socket *s, const struct nebulet_address *from)
{
    for (uint32_t i = 0; i < s->heard_count && i < HEARD; i++)
        if (address_same(from, &s->heard[i]))
            return;
    s->heard[s->heard_count++ % HEARD] = *from;
}

static void datagram_came(struct udp *u, const struct nebulet_address *from, const uint8_t *bytes,
                          uint32_t size)
{
    static struct {
        struct nebulet_address from;
        uint8_t bytes[NET_DATAGRAM];
    } m;
    struct socket *s = (struct socket *)u;
    m.from = *from;
    if (!s->credit || size > NET_DATAGRAM || !address_normalize(&m.from))
        return;
    if (s->listens && !s->pinned)
        note(s, &m.from);
    else if (!may_exchange(s, &m.from))
        return;
    memcpy(m.bytes, bytes, size);
    if (nebulet_channel_send(s->channel, (uint8_t *)&m, (uint32_t)sizeof m.from + size, NULL, 0,
                             NEBULET_AT_ONCE) >= 0)
        s->credit--;
}

static void take_datagram(struct socket *s, const uint8_t *bytes, uint32_t size)
{
    struct nebulet_address to;
    uint32_t taken;
    if (size == sizeof taken) {
        memcpy(&taken, bytes, sizeof taken);
        s->credit = taken < NET_CREDIT - s->credit ? s->credit + taken : NET_CREDIT;
        return;
    }
    if (size < sizeof to || size > sizeof to + NET_DATAGRAM)
        return;
    memcpy(&to, bytes, sizeof to);
    if (s->pinned && !to.family)
        to = s->heard[0];
    if (address_normalize(&to) && to.port && may_exchange(s, &to))
        dgram_send(&s->udp, &to, bytes + sizeof to, size - (uint32_t)sizeof to);
}

static void socket_ready(struct watch *w, uint32_t signals)
{
    static uint8_t bytes[sizeof(struct nebulet_address) + NET_DATAGRAM + 1];
    struct socket *s = (struct socket *)((char *)w - offsetof(struct socket, watch));
    (void)signals;
    for (uint32_t i = 0; i < AT_ONCE; i++) {
        int64_t n =
            nebulet_channel_recv(s->channel, bytes, sizeof bytes, NULL, 0, NULL, NEBULET_AT_ONCE);
        if (n == NEBULET_ERR_SHOULD_WAIT)
            return;
        if (n < 0) { // gone, or says what cannot be
            close_socket(s);
            return;
        }
        take_datagram(s, bytes, (uint32_t)n);
    }
}

static bool may_have_one_more(uint32_t who)
{
    uint32_t own = 0, left = 0;
    for (struct socket *s = sockets; s < sockets + SOCKETS; s++) {
        own += s->used && s->who == who;
        left += !s->used;
    }
    return own < left;
}

// peer: NULL, or the one that it is for.
static void open_socket(struct client *c, const struct nebulet_address *peer)
{
    struct net_answer a = {.count = 1};
    struct nebulet_address own = c->asks.address;
    nebulet_handle ends[2];
    struct socket *s = sockets;
    own.family = own.family ? own.family : peer ? peer->family : 4;
    bool listens = own.port && !rules_listen(RULE_UDP, &own);
    if ((own.port || !address_is_any(&own)) && !listens) {
        client_fail(c, NEBULET_ERR_ACCESS_DENIED);
        return;
    }
    while (s < sockets + SOCKETS && s->used)
        s++;
    if (!may_have_one_more(c->who) || watch_room() < 64 || sip_channel(ends) < 0) {
        client_fail(c, NEBULET_ERR_NO_RESOURCES);
        return;
    }
    *s = (struct socket){.udp = {.received = datagram_came, .channel = NEBULET_NO_HANDLE},
                         .watch = {.ready = socket_ready},
                         .channel = ends[0],
                         .who = c->who,
                         .credit = NET_CREDIT,
                         .listens = listens,
                         .used = true};
    if (peer) {
        s->pinned = true;
        s->heard[0] = *peer;
        a.addresses[a.count++] = *peer;
    }
    a.result = dgram_open(&s->udp, &own);
    a.addresses[0] = own;
    if (a.result < 0) {
        sip_close(ends[1]);
        s->watch = (struct watch){0};
        close_socket(s);
        client_fail(c, a.result);
        return;
    }
    watch_for(&s->watch, s->channel, NEBULET_READABLE | NEBULET_PEER_CLOSED);
    client_answer(c, &a, &ends[1], 1);
}

// --- Connecting

static const char *name_of(const struct client *c)
{
    return c->lookup.count ? c->asks.name : NULL;
}

static void connected(struct dial *d, int32_t result, nebulet_handle theirs[2]);

// The next one of the addresses that may be.
static void next_address(struct client *c)
{
    uint32_t kind = c->asks.op == NET_UDP ? RULE_UDP : RULE_TCP;
    while (c->next < c->lookup.count) {
        struct nebulet_address *a = &c->lookup.found[c->next++];
        a->port = c->asks.port;
        if (!address_normalize(a) || !rules_allow(kind, name_of(c), a, a->port))
            continue;
        if (kind == RULE_UDP) {
            open_socket(c, a);
            return;
        }
        c->dial.done = connected;
        c->dial.who = c->who;
        int32_t result = dial_begin(&c->dial, a);
        if (!result)
            return;
        c->worst = result;
    }
    client_fail(c, c->worst);
}

static void connected(struct dial *d, int32_t result, nebulet_handle theirs[2])
{
    struct client *c = (struct client *)((char *)d - offsetof(struct client, dial));
    struct net_answer a = {.count = 1, .addresses = {c->lookup.found[c->next - 1]}};
    if (!result) {
        client_answer(c, &a, theirs, 2);
        return;
    }
    c->worst = result;
    next_address(c);
}

static void resolved(struct lookup *l, int32_t result)
{
    struct client *c = (struct client *)((char *)l - offsetof(struct client, lookup));
    struct net_answer a = {.count = l->count};
    if (result < 0) {
        client_fail(c, result);
    } else if (c->asks.op == NET_RESOLVE) {
        memcpy(a.addresses, l->found, l->count * sizeof *l->found);
        client_answer(c, &a, NULL, 0);
    } else {
        next_address(c);
    }
}

// An address is a name that stands for itself, and is nobody's.
static void look_up(struct client *c)
{
    struct nebulet_address literal;
    struct net_answer a = {.count = 1};
    c->next = 0;
    c->worst = NEBULET_ERR_ACCESS_DENIED;
    c->lookup.count = 0;
    if (c->asks.op != NET_RESOLVE && (!c->asks.port || c->asks.port > UINT16_MAX)) {
        client_fail(c, NEBULET_ERR_INVALID_ARG);
    } else if (!sip_net_parse(c->asks.name, &literal)) {
        c->lookup.done = resolved;
        c->lookup.dial.who = c->who;
        if (!dns_is_name(c->asks.name) || address_is_number(c->asks.name))
            client_fail(c, NEBULET_ERR_INVALID_ARG);
        else if (!dns_is_local(c->asks.name) && !rules_resolve(c->asks.name))
            client_fail(c, NEBULET_ERR_ACCESS_DENIED);
        else
            names_begin(&c->lookup, c->asks.name, c->deadline);
    } else if (c->asks.op == NET_RESOLVE) {
        a.addresses[0] = literal;
        client_answer(c, &a, NULL, 0);
    } else {
        literal.port = c->asks.port;
        if (!address_normalize(&literal)) {
            client_fail(c, NEBULET_ERR_INVALID_ARG);
            return;
        }
        c->asks.name[0] = 0; // rules of names say nothing of it
        c->lookup.found[0] = literal;
        c->lookup.count = 1;
        next_address(c);
    }
}

static void begin_udp(struct client *c)
{
    struct nebulet_address *own = &c->asks.address;
    if ((own->family && own->family != 4 && own->family != 6) || own->port > UINT16_MAX ||
        (!address_is_any(own) && !address_normalize(own)))
        client_fail(c, NEBULET_ERR_INVALID_ARG);
    else if (*c->asks.name)
        look_up(c);
    else
        open_socket(c, NULL);
}

void reach_begin(struct client *c)
{
    if (c->asks.op == NET_UDP)
        begin_udp(c);
    else
        look_up(c);
}

void reach_end(struct client *c)
{
    names_end(&c->lookup);
    dial_end(&c->dial);
}

void reach_late(struct client *c, uint64_t now)
{
    if (c->lookup.begun) {
        names_look(&c->lookup, now);
        return;
    }
    reach_end(c);
    client_fail(c, NEBULET_ERR_TIMED_OUT);
}

uint32_t reach_places(const struct client *c, uint32_t n, uint32_t who, bool busy)
{
    uint32_t found = 0;
    for (const struct client *end = c + n; c < end; c++)
        found += c->used && c->who == who && (!busy || c->busy);
    return found;
}
