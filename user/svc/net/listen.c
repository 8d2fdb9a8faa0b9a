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
#include "stack.h"

#include <lwip/priv/tcp_priv.h>
#include <lwip/tcp.h>
#include <string.h>

enum { LISTENERS = MEMP_NUM_TCP_PCB_LISTEN, PIECE = 8192 };

struct listener {
    struct watch watch;
    nebulet_handle channel;
    struct tcp_pcb *pcb; // NULL: it is free
    uint32_t who;        // which process listens
};

struct connection {
    struct watch to_watch, from_watch;
    nebulet_handle to, from; // NO_HANDLE: that direction has ended
    struct tcp_pcb *pcb;     // NULL: it is gone
    struct pbuf *unread;
    bool peer_done;    // it has ended its direction
    struct dial *dial; // that it is for, until there is a connection; else NULL
    union {
        uint32_t who;            // has asked for it, or listens
        struct connection *next; // free one, while it is free
    };
};

static struct listener listeners[LISTENERS];
static struct connection connections[NET_CONNECTIONS], *free_connections;

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

// Whether the program reads on is seen when there is something for it, and needs to be known when
// it has ended its own direction.
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

// Also of one that has not come to be: the peer refuses, or does not answer.
static void on_error(void *arg, err_t error)
{
    struct connection *c = arg;
    struct dial *d = c->dial;
    c->dial = NULL;
    drop(c);
    if (!d)
        return;
    d->state = NULL;
    d->done(d, error == ERR_ABRT ? NEBULET_ERR_TIMED_OUT : NEBULET_ERR_UNAVAILABLE, NULL);
}

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

// From now on it goes by itself.
static void attend(struct connection *c)
{
    tcp_arg(c->pcb, c);
    tcp_recv(c->pcb, on_received);
    tcp_sent(c->pcb, on_sent);
    tcp_err(c->pcb, on_error);
    tcp_nagle_disable(c->pcb);
    watch_for(&c->from_watch, c->from, NEBULET_READABLE | NEBULET_PEER_CLOSED);
}

// --- Listeners

// Of what comes, the last eighth of the places is for peers that have less than is left, and the
// last sixteenth for processes of which that is so: nobody can take all of it from others. Of IPv6
// a peer has a /64.
static bool may_come(uint32_t who, const ip_addr_t *peer)
{
    uint32_t process = 0, peers = 0, left = 0;
    for (struct connection *c = connections; c < connections + NET_CONNECTIONS; c++) {
        left += !c->pcb;
        process += c->pcb && c->who == who;
        peers += c->pcb && IP_GET_TYPE(&c->pcb->remote_ip) == IP_GET_TYPE(peer) &&
                 !memcmp(&c->pcb->remote_ip, peer, IP_IS_V6(peer) ? 8 : 4);
    }
    return (left > NET_CONNECTIONS / 8 || peers < left) &&
           (left > NET_CONNECTIONS / 16 || process < left);
}

static err_t on_accept(void *arg, struct tcp_pcb *pcb, err_t error)
{
    struct listener *l = arg;
    struct connection *c = free_connections;
    nebulet_handle theirs[2];
    struct nebulet_address peer;
    if (error != ERR_OK || !pcb)
        return ERR_VAL;
    if (!may_come(l->who, &pcb->remote_ip) || !c || !set_up(c, pcb, theirs))
        return ERR_MEM; // lwIP aborts it
    free_connections = c->next;
    c->who = l->who;
    stack_peer(&pcb->remote_ip, pcb->remote_port, &peer);
    attend(c);
    if (nebulet_channel_send(l->channel, (uint8_t *)&peer, sizeof peer, theirs, 2,
                             NEBULET_AT_ONCE) < 0) {
        sip_close(theirs[0]);
        sip_close(theirs[1]);
        tcp_abort(pcb); // on_error drops it
        return ERR_ABRT;
    }
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

int32_t listen_begin(struct nebulet_address *own, uint32_t who, nebulet_handle *theirs)
{
    nebulet_handle ends[2];
    struct listener *l = listeners;
    ip_addr_t at;
    while (l < listeners + LISTENERS && l->pcb)
        l++;
    if (!stack_address(own, &at))
        return NEBULET_ERR_NOT_SUPPORTED;
    struct tcp_pcb *pcb = l < listeners + LISTENERS ? tcp_new() : NULL, *listening = NULL;
    if (!pcb)
        return NEBULET_ERR_NO_RESOURCES;
    if (tcp_bind(pcb, &at, (u16_t)own->port) == ERR_OK)
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
    *l = (struct listener){
        .watch = {.ready = listener_gone}, .channel = ends[0], .pcb = listening, .who = who};
    tcp_arg(listening, l);
    tcp_accept(listening, on_accept);
    watch_for(&l->watch, l->channel, NEBULET_PEER_CLOSED);
    own->port = listening->local_port;
    *theirs = ends[1];
    return 0;
}

// --- Connecting: it is a connection without streams until the peer has agreed.

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t error)
{
    struct connection *c = arg;
    struct dial *d = c->dial;
    nebulet_handle theirs[2];
    (void)error;
    c->dial = NULL;
    d->state = NULL;
    if (!set_up(c, pcb, theirs)) {
        err_t how = let_go(c);
        d->done(d, NEBULET_ERR_NO_MEMORY, NULL);
        return how;
    }
    attend(c);
    d->done(d, 0, theirs);
    return ERR_OK;
}

static bool may_have_one_more(uint32_t who)
{
    uint32_t own = 0, left = 0;
    for (struct connection *c = connections; c < connections + NET_CONNECTIONS; c++) {
        own += c->pcb && c->who == who;
        left += !c->pcb;
    }
    return own < left;
}

int32_t dial_begin(struct dial *d, const struct nebulet_address *to)
{
    struct connection *c = may_have_one_more(d->who) ? free_connections : NULL;
    ip_addr_t at;
    if (!stack_address(to, &at))
        return NEBULET_ERR_UNAVAILABLE;
    struct tcp_pcb *pcb = c ? tcp_new() : NULL;
    if (!pcb)
        return NEBULET_ERR_NO_RESOURCES;
    c->to = c->from = NEBULET_NO_HANDLE;
    tcp_arg(pcb, c);
    tcp_err(pcb, on_error);
    err_t error = tcp_connect(pcb, &at, (u16_t)to->port, on_connected);
    if (error != ERR_OK) {
        tcp_err(pcb, NULL);
        tcp_abort(pcb);
        return error == ERR_MEM ? NEBULET_ERR_NO_MEMORY : NEBULET_ERR_UNAVAILABLE;
    }
    free_connections = c->next;
    c->pcb = pcb;
    c->dial = d;
    c->who = d->who;
    d->state = c;
    return 0;
}

void dial_end(struct dial *d)
{
    struct connection *c = d->state;
    if (!c)
        return;
    d->state = NULL;
    c->dial = NULL;
    tcp_err(c->pcb, NULL);
    tcp_abort(c->pcb);
    drop(c);
}

bool all_is_out(void)
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

void connections_begin(void)
{
    for (uint32_t i = NET_CONNECTIONS; i-- > 0;) {
        connections[i].to = connections[i].from = NEBULET_NO_HANDLE;
        connections[i].next = free_connections;
        free_connections = &connections[i];
    }
}
