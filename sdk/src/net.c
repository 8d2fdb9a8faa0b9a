// SPDX-License-Identifier: MIT
// The service "net": who asks connects to it, asks, and hangs up.
#include <string.h>
#include <sip_net.h>

#define PATIENCE                                                                                   \
    (10 * SIP_SECOND) // until there is a service, the first time: a machine may be starting

static int64_t ask(const struct net_request *r, struct net_answer *a, nebulet_handle *handles,
                   uint32_t n)
{
    struct nebulet_message got = {0};
    static bool missed; // and there was none
    int64_t net = sip_connect_until("net", missed ? NEBULET_AT_ONCE : sip_after(PATIENCE));
    missed = net == NEBULET_ERR_NOT_FOUND;
    if (net < 0)
        return net == NEBULET_ERR_NOT_FOUND ? NEBULET_ERR_UNAVAILABLE : net;
    int64_t result = sip_send((nebulet_handle)net, r, sizeof *r);
    if (result >= 0)
        result = nebulet_channel_recv((nebulet_handle)net, (uint8_t *)a, sizeof *a, handles, n,
                                      &got, NEBULET_FOREVER);
    result = sip_exactly(result, sizeof *a);
    sip_close((nebulet_handle)net);
    if (result == NEBULET_ERR_PEER_CLOSED)
        return NEBULET_ERR_UNAVAILABLE; // it has died, or there are too many who ask
    if (result < 0)
        return result;
    return a->result < 0 ? a->result : got.handles == n ? 0 : NEBULET_ERR_INTERNAL;
}

// "": any of this machine's.
static bool own_address(const char *text, struct nebulet_address *out)
{
    *out = (struct nebulet_address){.family = 4};
    return !*text || sip_net_parse(text, out);
}

static bool set_name(struct net_request *r, const char *host)
{
    size_t n = strlen(host);
    if (n >= NET_NAME)
        return false;
    memcpy(r->name, host, n + 1);
    return true;
}

int64_t sip_net_connect(const char *host, uint32_t port, uint32_t ms, struct sip_connection *out)
{
    struct net_request r = {.op = NET_CONNECT, .timeout_ms = ms, .port = port};
    struct net_answer a;
    nebulet_handle handles[2];
    if (!set_name(&r, host))
        return NEBULET_ERR_INVALID_ARG;
    int64_t result = ask(&r, &a, handles, 2);
    if (result >= 0)
        *out = (struct sip_connection){handles[0], handles[1], a.addresses[0]};
    return result;
}

static void close_once(nebulet_handle *h)
{
    if (*h != NEBULET_NO_HANDLE)
        sip_close(*h);
    *h = NEBULET_NO_HANDLE;
}

void sip_net_close(struct sip_connection *c)
{
    close_once(&c->out);
    close_once(&c->in);
}

int64_t sip_net_listen(const char *host, uint32_t port, struct nebulet_address *own)
{
    struct net_request r = {.op = NET_LISTEN};
    struct net_answer a;
    nebulet_handle listener;
    if (!own_address(host, &r.address))
        return NEBULET_ERR_INVALID_ARG;
    r.address.port = port;
    int64_t result = ask(&r, &a, &listener, 1);
    if (result >= 0 && own)
        *own = a.addresses[0];
    return result < 0 ? result : listener;
}

int64_t sip_net_accept(nebulet_handle listener, struct sip_connection *out, uint64_t deadline)
{
    nebulet_handle handles[2];
    struct nebulet_message got = {0};
    int64_t n = nebulet_channel_recv(listener, (uint8_t *)&out->peer, sizeof out->peer, handles, 2,
                                     &got, deadline);
    n = sip_exactly(n, sizeof out->peer);
    if (n < 0)
        return n;
    out->in = handles[0];
    out->out = handles[1];
    return 0;
}

int64_t sip_net_resolve(const char *name, uint32_t ms, struct nebulet_address *out, size_t room)
{
    struct net_request r = {.op = NET_RESOLVE, .timeout_ms = ms};
    struct net_answer a;
    if (!set_name(&r, name))
        return NEBULET_ERR_INVALID_ARG;
    int64_t result = ask(&r, &a, NULL, 0);
    if (result < 0)
        return result;
    for (size_t i = 0; i < room && i < a.count; i++)
        out[i] = a.addresses[i];
    return a.count;
}

// --- Datagrams

static int64_t open_udp(struct net_request *r, struct sip_udp *out)
{
    struct net_answer a = {0};
    *out = (struct sip_udp){.channel = NEBULET_NO_HANDLE};
    int64_t result = ask(r, &a, &out->channel, 1);
    if (result < 0)
        return result;
    out->own = a.addresses[0];
    if (a.count > 1)
        out->peer = a.addresses[1];
    return 0;
}

int64_t sip_udp_open(const char *host, uint32_t port, struct sip_udp *out)
{
    struct net_request r = {.op = NET_UDP};
    if (!own_address(host, &r.address))
        return NEBULET_ERR_INVALID_ARG;
    r.address.port = port;
    return open_udp(&r, out);
}

int64_t sip_udp_connect(const char *host, uint32_t port, struct sip_udp *out)
{
    struct net_request r = {.op = NET_UDP, .port = port};
    return set_name(&r, host) && *host ? open_udp(&r, out) : NEBULET_ERR_INVALID_ARG;
}

struct datagram {
    struct nebulet_address address;
    uint8_t bytes[NET_DATAGRAM];
};

int64_t sip_udp_send(struct sip_udp *u, const struct nebulet_address *to, const void *bytes,
                     size_t size)
{
    struct datagram d;
    if (size > sizeof d.bytes)
        return NEBULET_ERR_OUT_OF_BOUNDS;
    d.address = to ? *to : u->peer;
    memcpy(d.bytes, bytes, size);
    return sip_send(u->channel, &d, sizeof d.address + size);
}

int64_t sip_udp_recv(struct sip_udp *u, struct nebulet_address *from, void *bytes, size_t room,
                     uint64_t deadline)
{
    struct datagram d;
    int64_t n = nebulet_channel_recv(u->channel, (uint8_t *)&d, sizeof d, NULL, 0, NULL, deadline);
    if (n < 0)
        return n;
    if (n < (int64_t)sizeof d.address)
        return NEBULET_ERR_INTERNAL;
    n -= (int64_t)sizeof d.address;
    if (++u->taken == NET_CREDIT / 4) {
        sip_send_value(u->channel, &u->taken);
        u->taken = 0;
    }
    if (from)
        *from = d.address;
    memcpy(bytes, d.bytes, (size_t)n < room ? (size_t)n : room);
    return n;
}

void sip_udp_close(struct sip_udp *u)
{
    close_once(&u->channel);
}
