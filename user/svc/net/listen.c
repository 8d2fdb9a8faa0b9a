// SPDX-License-Identifier: MIT
// Listeners and connections.
//
// A connection is two streams. What the peer has sent is written to one as far as there is room,
// and only then may the peer send more; what the program has written to the other is read as far as
// lwIP has room for it. So each side waits for the other through the window and the stream, and
// what a connection keeps here is a window's bytes, and as many that the peer has not confirmed.
//
//   peer ── lwIP ── `unread`, when the stream is full ── stream ──> program      to
//   peer <── lwIP, until it is confirmed ─────────────── stream <── program      from
//
// The end of either direction travels as such. When the program has closed both, or the peer has
// given up, the connection is gone, and lwIP sees to the rest of it.
#include "net.h"

#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>
#include <string.h>

enum { LISTENERS = MEMP_NUM_TCP_PCB_LISTEN, CLIENTS = 16, PORTS = 16, PIECE = 8192 };

struct listener {
    struct watch watch;
    nebulet_handle channel;
    struct tcp_pcb *pcb; // NULL: it is free
};

struct connection {
    struct watch to_watch, from_watch;
    nebulet_handle to, from; // NO_HANDLE: that direction has ended
    struct tcp_pcb *pcb;     // NULL: it is gone
    struct pbuf *unread;
    bool peer_done;          // it has ended its direction
    struct connection *next; // free one
};

static struct listener listeners[LISTENERS];
static struct connection connections[NET_CONNECTIONS], *free_connections;
static uint16_t ports[PORTS];
static uint32_t port_count;

// --- Connections

static void close_stream(struct watch *w, nebulet_handle *stream)
{
    watch_end(w);
    sip_close(*stream);
    *stream = NEBULET_NO_HANDLE;
}

// lwIP's part is over, or has no more to say to us.
static void drop(struct connection *c)
{
    close_stream(&c->to_watch, &c->to);
    close_stream(&c->from_watch, &c->from);
    if (c->unread)
        pbuf_free(c->unread);
    c->unread = NULL;
    c->pcb = NULL;
    c->next = free_connections;
    free_connections = c;
}

// What callbacks return: ERR_ABRT when lwIP shall not go on with it.
static err_t let_go(struct connection *c)
{
    struct tcp_pcb *pcb = c->pcb;
    tcp_arg(pcb, NULL);
    tcp_recv(pcb, NULL);
    tcp_sent(pcb, NULL);
    tcp_err(pcb, NULL);
    drop(c);
    if (tcp_close(pcb) == ERR_OK)
        return ERR_OK;
    tcp_abort(pcb);
    return ERR_ABRT;
}

// Nobody reads: what comes is taken from the peer all the same.
static void skip(struct connection *c)
{
    if (!c->unread)
        return;
    tcp_recved(c->pcb, c->unread->tot_len);
    pbuf_free(c->unread);
    c->unread = NULL;
}

// Whether the program reads on is seen when there is something for it, and needs to be known when it
// has ended its own direction.
static void watch_to(struct connection *c)
{
    if (c->to != NEBULET_NO_HANDLE && c->from == NEBULET_NO_HANDLE)
        watch_for(&c->to_watch, c->to, NEBULET_PEER_CLOSED);
    else
        watch_end(&c->to_watch);
}

// To the program, what there is room for.
static err_t push(struct connection *c)
{
    while (c->unread && c->to != NEBULET_NO_HANDLE) {
        int64_t n =
            nebulet_stream_write(c->to, c->unread->payload, c->unread->len, NEBULET_AT_ONCE);
        if (n == NEBULET_ERR_SHOULD_WAIT || n == NEBULET_ERR_NO_MEMORY) {
            watch_for(&c->to_watch, c->to, NEBULET_WRITABLE | NEBULET_PEER_CLOSED);
            return ERR_OK;
        }
        if (n < 0) {
            close_stream(&c->to_watch, &c->to);
            break;
        }
        tcp_recved(c->pcb, (u16_t)n);
        c->unread = pbuf_free_header(c->unread, (u16_t)n);
    }
    skip(c);
    if (c->peer_done && c->to != NEBULET_NO_HANDLE)
        close_stream(&c->to_watch, &c->to);
    if (c->to == NEBULET_NO_HANDLE && c->from == NEBULET_NO_HANDLE)
        return let_go(c);
    watch_to(c);
    return ERR_OK;
}

static err_t end_sending(struct connection *c)
{
    close_stream(&c->from_watch, &c->from);
    if (c->to == NEBULET_NO_HANDLE)
        return let_go(c);
    if (!c->unread)
        watch_to(c);
    tcp_shutdown(c->pcb, 0, 1); // without memory lwIP tries again by itself
    return ERR_OK;
}

// Bytes that lwIP takes without fail: a segment is a buffer, and one may begin in the last one.
static uint32_t room_for(const struct tcp_pcb *pcb)
{
    uint32_t queued = tcp_sndqueuelen(pcb), room = tcp_sndbuf(pcb);
    uint32_t segments = queued + 2 < TCP_SND_QUEUELEN ? TCP_SND_QUEUELEN - 2 - queued : 0;
    room = room < segments * TCP_MSS ? room : segments * TCP_MSS;
    return room < PIECE ? room : PIECE;
}

// To the peer, as much as there is room for.
static err_t pull(struct connection *c)
{
    static uint8_t bytes[PIECE];
    for (;;) {
        uint32_t room = room_for(c->pcb);
        if (!room) {
            watch_end(&c->from_watch); // until something is confirmed
            break;
        }
        int64_t n = nebulet_stream_read(c->from, bytes, room, NEBULET_AT_ONCE);
        if (n < 0 && n != NEBULET_ERR_SHOULD_WAIT)
            return end_sending(c);
        if (n > 0 && tcp_write(c->pcb, bytes, (u16_t)n, TCP_WRITE_FLAG_COPY) != ERR_OK) {
            tcp_abort(c->pcb); // bytes are gone, so it is; on_error drops it
            return ERR_ABRT;
        }
        if (n < (int64_t)room) {
            watch_for(&c->from_watch, c->from, NEBULET_READABLE | NEBULET_PEER_CLOSED);
            break;
        }
    }
    tcp_output(c->pcb);
    return ERR_OK;
}

static void to_ready(struct watch *w, uint32_t signals)
{
    struct connection *c = (struct connection *)((char *)w - offsetof(struct connection, to_watch));
    if (signals & NEBULET_PEER_CLOSED)
        close_stream(&c->to_watch, &c->to);
    push(c);
}

static void from_ready(struct watch *w, uint32_t signals)
{
    (void)signals;
    pull((struct connection *)((char *)w - offsetof(struct connection, from_watch)));
}

static err_t on_received(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t error)
{
    struct connection *c = arg;
    (void)pcb, (void)error;
    if (!p)
        c->peer_done = true;
    else if (c->unread)
        pbuf_cat(c->unread, p);
    else
        c->unread = p;
    return push(c);
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t n)
{
    struct connection *c = arg;
    (void)pcb, (void)n;
    if (c->from == NEBULET_NO_HANDLE || c->from_watch.place)
        return ERR_OK;
    return pull(c);
}

static void on_error(void *arg, err_t error)
{
    (void)error;
    drop(arg);
}

// --- Listeners

static bool set_up(struct connection *c, struct tcp_pcb *pcb, nebulet_handle theirs[2])
{
    nebulet_handle ends[2];
    if (sip_stream(ends) < 0)
        return false;
    c->to = ends[0], theirs[0] = ends[1];
    if (sip_stream(ends) < 0) {
        sip_close(c->to);
        sip_close(theirs[0]);
        return false;
    }
    c->from = ends[1], theirs[1] = ends[0];
    c->pcb = pcb;
    c->unread = NULL;
    c->peer_done = false;
    c->to_watch = (struct watch){.ready = to_ready};
    c->from_watch = (struct watch){.ready = from_ready};
    return true;
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t error)
{
    struct listener *l = arg;
    struct connection *c = free_connections;
    nebulet_handle theirs[2];
    struct nebulet_address peer = {.family = 4};
    if (error != ERR_OK || !pcb)
        return ERR_VAL;
    if (!c || !set_up(c, pcb, theirs))
        return ERR_MEM; // lwIP aborts it
    free_connections = c->next;
    memcpy(peer.bytes, &pcb->remote_ip, 4);
    peer.port = pcb->remote_port;
    tcp_arg(pcb, c);
    tcp_recv(pcb, on_received);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
    tcp_nagle_disable(pcb);
    if (nebulet_channel_send(l->channel, (uint8_t *)&peer, sizeof peer, theirs, 2,
                             NEBULET_AT_ONCE) < 0) {
        sip_close(theirs[0]);
        sip_close(theirs[1]);
        tcp_abort(pcb); // on_error drops it
        return ERR_ABRT;
    }
    watch_for(&c->from_watch, c->from, NEBULET_READABLE | NEBULET_PEER_CLOSED);
    return ERR_OK;
}

static void listener_gone(struct watch *w, uint32_t signals)
{
    struct listener *l = (struct listener *)w;
    (void)signals;
    watch_end(&l->watch);
    sip_close(l->channel);
    tcp_close(l->pcb);
    l->pcb = NULL;
}

static int32_t listen(const struct net_request *r, nebulet_handle *theirs)
{
    nebulet_handle ends[2];
    struct listener *l = listeners;
    uint32_t allowed = 0;
    while (allowed < port_count && ports[allowed] != r->address.port)
        allowed++;
    if (allowed == port_count)
        return NEBULET_ERR_ACCESS_DENIED;
    if (r->address.family != 4 && r->address.family != 0)
        return NEBULET_ERR_NOT_SUPPORTED;
    while (l < listeners + LISTENERS && l->pcb)
        l++;
    struct tcp_pcb *pcb = l < listeners + LISTENERS ? tcp_new() : NULL, *listening = NULL;
    if (!pcb)
        return NEBULET_ERR_NO_RESOURCES;
    ip_addr_t at;
    memcpy(&at, r->address.bytes, sizeof at);
    if (tcp_bind(pcb, &at, (u16_t)r->address.port) == ERR_OK)
        listening = tcp_listen_with_backlog(pcb, NET_BACKLOG);
    if (!listening) {
        tcp_close(pcb);
        return NEBULET_ERR_ALREADY_OWNED;
    }
    int64_t result = sip_channel(ends);
    if (result < 0) {
        tcp_close(listening);
        return (int32_t)result;
    }
    *l = (struct listener){.watch = {.ready = listener_gone}, .channel = ends[0], .pcb = listening};
    tcp_arg(listening, l);
    tcp_accept(listening, on_accept);
    watch_for(&l->watch, l->channel, NEBULET_PEER_CLOSED);
    *theirs = ends[1];
    return 0;
}

void listen_allow(uint32_t port)
{
    if (port_count == PORTS || port == 0 || port > UINT16_MAX)
        sip_panic("net: --listen %u: no port, or too many", port);
    ports[port_count++] = (uint16_t)port;
}

// --- Clients

struct client {
    struct watch watch;
    nebulet_handle channel;
    bool used, flushes; // it waits until everything is out
};
static struct client clients[CLIENTS];
static struct client service; // who connects

static uint32_t flushes; // of clients

static void hang_up(struct client *c)
{
    flushes -= c->flushes;
    watch_end(&c->watch);
    sip_close(c->channel);
    c->used = false;
}

static void answer(struct client *c, int32_t result, nebulet_handle theirs)
{
    struct net_answer a = {result};
    if (nebulet_channel_send(c->channel, (uint8_t *)&a, sizeof a, &theirs,
                             theirs != NEBULET_NO_HANDLE, NEBULET_AT_ONCE) < 0) {
        sip_close(theirs);
        hang_up(c);
    }
}

static bool all_is_out(void)
{
    for (struct connection *c = connections; c < connections + NET_CONNECTIONS; c++)
        if (c->from != NEBULET_NO_HANDLE && c->pcb &&
            nebulet_object_wait_one(c->from, NEBULET_READABLE, NEBULET_AT_ONCE) >= 0)
            return false;
    for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next)
        if (pcb->unsent || pcb->unacked)
            return false;
    return true;
}

void listen_look(void)
{
    for (struct client *c = clients; flushes && c < clients + CLIENTS; c++) {
        if (!c->used || !c->flushes || !all_is_out())
            continue;
        c->flushes = false;
        flushes--;
        answer(c, 0, NEBULET_NO_HANDLE);
    }
}

static void client_ready(struct watch *w, uint32_t signals)
{
    struct client *c = (struct client *)w;
    struct net_request r;
    nebulet_handle theirs = NEBULET_NO_HANDLE;
    (void)signals;
    int64_t n = sip_exactly(
        nebulet_channel_recv(c->channel, &r, sizeof r, NULL, 0, NULL, NEBULET_AT_ONCE), sizeof r);
    if (n == NEBULET_ERR_SHOULD_WAIT)
        return;
    if (n < 0 || c->flushes || r.op > NET_FLUSH) {
        hang_up(c);
    } else if (r.op == NET_FLUSH) {
        c->flushes = true;
        flushes++;
    } else {
        int32_t result = listen(&r, &theirs);
        answer(c, result, theirs);
    }
}

static void service_ready(struct watch *w, uint32_t signals)
{
    nebulet_handle channel = NEBULET_NO_HANDLE;
    struct client *c = clients;
    (void)w, (void)signals;
    int64_t n = nebulet_channel_recv(service.channel, NULL, 0, &channel, 1, NULL, NEBULET_AT_ONCE);
    if (n == NEBULET_ERR_SHOULD_WAIT)
        return;
    sip_must(n, "net: clients");
    while (c < clients + CLIENTS && c->used)
        c++;
    if (c == clients + CLIENTS) {
        sip_close(channel);
        return;
    }
    *c = (struct client){.watch = {.ready = client_ready}, .channel = channel, .used = true};
    watch_for(&c->watch, channel, NEBULET_READABLE | NEBULET_PEER_CLOSED);
}

void listen_begin(void)
{
    for (uint32_t i = NET_CONNECTIONS; i-- > 0;) {
        connections[i].to = connections[i].from = NEBULET_NO_HANDLE;
        connections[i].next = free_connections;
        free_connections = &connections[i];
    }
    service.watch.ready = service_ready;
    service.channel =
        (nebulet_handle)sip_must(nebulet_service_create("net", 3), "net: the service");
    watch_for(&service.watch, service.channel, NEBULET_READABLE);
}
