// SPDX-License-Identifier: MIT
// sockets [--check] [--dns ADDRESS[:PORT]]... [--allow-net RULE]...: the service "net" with sockets
// of the host, which it asks for on its handle 0 (struct nebulet_socket_request); a connection goes
// straight from there to who has asked for it. With --check it only says whether rules and
// addresses are well formed.
#include <nebulet/types.h>
#include <nebulet/sockets.h>

#include "../net/net.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

_Static_assert(NEBULET_SOCKET_DATAGRAM == NET_DATAGRAM, "what comes fits");
enum { HOST = 0, DIALS = 64, AT_ONCE = 64 };

static struct watch on_host;
static uint32_t last_id;
static struct {
    uint32_t id;
    struct dial *dial; // NULL: free
} dials[DIALS];

// --- The host's answers

static void deliver(const struct nebulet_socket_answer *a, nebulet_handle theirs[2])
{
    for (uint32_t i = 0; i < DIALS; i++) {
        struct dial *d = dials[i].dial;
        if (!d || dials[i].id != a->id)
            continue;
        dials[i].dial = NULL;
        d->state = NULL;
        d->done(d, a->result, theirs);
        return;
    }
    sip_close(theirs[0]); // nobody wants it any more
    sip_close(theirs[1]);
}

static bool take(struct nebulet_socket_answer *a, nebulet_handle theirs[2])
{
    theirs[0] = theirs[1] = NEBULET_NO_HANDLE;
    int64_t n = sip_exactly(
        nebulet_channel_recv(HOST, (uint8_t *)a, sizeof *a, theirs, 2, NULL, NEBULET_AT_ONCE),
        sizeof *a);
    if (n == NEBULET_ERR_SHOULD_WAIT)
        return false;
    if (n == NEBULET_ERR_NO_MEMORY || n == NEBULET_ERR_NO_RESOURCES)
        return false; // later, when something has gone
    sip_must(n, "net: sockets");
    return true;
}

static void host_ready(struct watch *w, uint32_t signals)
{
    struct nebulet_socket_answer a;
    nebulet_handle theirs[2];
    (void)w, (void)signals;
    for (uint32_t i = 0; i < AT_ONCE && take(&a, theirs); i++)
        deliver(&a, theirs);
}

static int64_t send(uint32_t op, uint32_t id, const struct nebulet_address *address)
{
    struct nebulet_socket_request r = {.op = op, .id = id, .address = *address};
    return nebulet_channel_send(HOST, (uint8_t *)&r, sizeof r, NULL, 0, NEBULET_AT_ONCE);
}

// What is answered at once is in front of everything else.
static int32_t ask(uint32_t op, struct nebulet_address *address, nebulet_handle *theirs)
{
    struct nebulet_socket_answer a;
    nebulet_handle handles[2];
    uint32_t id = ++last_id;
    int64_t result = send(op, id, address);
    if (result < 0)
        return (int32_t)result;
    while (take(&a, handles)) {
        if (a.id != id) {
            deliver(&a, handles);
            continue;
        }
        *theirs = handles[0];
        *address = a.address;
        return a.result;
    }
    return NEBULET_ERR_NO_RESOURCES;
}

int32_t listen_begin(struct nebulet_address *own, uint32_t who, nebulet_handle *theirs)
{
    (void)who; // what comes goes straight to it
    return ask(NEBULET_SOCKET_LISTEN, own, theirs);
}

// --- Connecting

int32_t dial_begin(struct dial *d, const struct nebulet_address *to)
{
    for (uint32_t i = 0; i < DIALS; i++) {
        if (dials[i].dial)
            continue;
        int64_t result = send(NEBULET_SOCKET_CONNECT, ++last_id, to);
        if (result < 0)
            return (int32_t)result;
        dials[i].id = last_id;
        dials[i].dial = d;
        d->state = &dials[i];
        return 0;
    }
    return NEBULET_ERR_NO_RESOURCES;
}

void dial_end(struct dial *d)
{
    for (uint32_t i = 0; i < DIALS && d->state; i++) {
        struct nebulet_address none = {0};
        if (dials[i].dial != d)
            continue;
        send(NEBULET_SOCKET_CANCEL, dials[i].id, &none);
        dials[i].dial = NULL;
        d->state = NULL;
    }
}

bool all_is_out(void)
{
    return true; // what is written is the host's
}

bool have_ipv6(void)
{
    return true;
}

// --- Datagrams

static void datagrams(struct watch *w, uint32_t signals)
{
    static struct {
        struct nebulet_address from;
        uint8_t bytes[NET_DATAGRAM];
    } m;
    struct udp *u = (struct udp *)((char *)w - offsetof(struct udp, watch));
    (void)signals;
    for (uint32_t i = 0; i < AT_ONCE && u->socket; i++) {
        int64_t n = nebulet_channel_recv(u->channel, (uint8_t *)&m, sizeof m, NULL, 0, NULL,
                                         NEBULET_AT_ONCE);
        if (n < (int64_t)sizeof m.from)
            return;
        u->received(u, &m.from, m.bytes, (uint32_t)n - (uint32_t)sizeof m.from);
    }
}

int32_t dgram_open(struct udp *u, struct nebulet_address *own)
{
    int32_t result = ask(NEBULET_SOCKET_UDP, own, &u->channel);
    if (result < 0)
        return result;
    u->socket = u;
    u->watch = (struct watch){.ready = datagrams};
    watch_for(&u->watch, u->channel, NEBULET_READABLE);
    return 0;
}

void dgram_send(struct udp *u, const struct nebulet_address *to, const uint8_t *bytes,
                uint32_t size)
{
    static struct {
        struct nebulet_address to;
        uint8_t bytes[NET_DATAGRAM];
    } m;
    m.to = *to;
    memcpy(m.bytes, bytes, size);
    nebulet_channel_send(u->channel, (uint8_t *)&m, (uint32_t)sizeof m.to + size, NULL, 0,
                         NEBULET_AT_ONCE);
}

void dgram_close(struct udp *u)
{
    if (!u->socket)
        return;
    watch_end(&u->watch);
    sip_close(u->channel);
    u->socket = NULL;
}

// --- What it is told

static void usage(const char *what, const char *value)
{
    char text[1000];
    size_t n =
        sip_format(text, sizeof text,
                   "nebulet: %.20s %.700s: not understood\n"
                   "hint: tcp:example.org:443, udp:10.0.0.0/8:53, listen:tcp:127.0.0.1:8080, "
                   "dns:*.example.org (doc/net.md)\n",
                   what, value);
    write(STDERR_FILENO, text, n);
    exit(2);
}

int main(int argc, char **argv)
{
    bool check = false;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(argv[i], "--check"))
            check = true;
        else if (!net_option(argv[i], value))
            usage(argv[i], value);
        else
            i++;
    }
    if (check)
        return 0;
    clients_begin();
    on_host.ready = host_ready;
    watch_for(&on_host, HOST, NEBULET_READABLE);
    for (;;)
        watch_wait(clients_look());
}
