// SPDX-License-Identifier: MIT
// The network for programs with libsip: connections, listeners, datagrams, names. A program needs
// the privilege to connect to services (`--may`), and a service "net" that has rules which allow
// what it wants (`nebulet run --allow-net`, doc/net.md); without one, UNAVAILABLE, the first time
// after 10 s.
//
// A connection is two streams: sip_read and sip_write, waits and deadlines are those of any stream.
// Errors are those of struct net_answer (nebulet/net.h).
#pragma once
#include <nebulet/net.h>
#include <sip.h>

#ifdef __cplusplus
extern "C" {
#endif

// --- Connections

struct sip_connection {
    nebulet_handle in, out;      // is read; is written, and closed when there is no more
    struct nebulet_address peer; // what it is connected to
};
// To a name or an address as text, in ms at most (0: 30 s).
int64_t sip_net_connect(const char *host, uint32_t port, uint32_t ms, struct sip_connection *out);
void sip_net_close(struct sip_connection *c); // what is open of it

// --- Listeners

// At an address of this machine as text ("": any of IPv4, "::" of IPv6) and a port (0: one that is
// free). Result: a channel, to be closed when it is over. own: where it listens; may be NULL.
int64_t sip_net_listen(const char *host, uint32_t port, struct nebulet_address *own);
int64_t sip_net_accept(nebulet_handle listener, struct sip_connection *out, uint64_t deadline);

// --- Datagrams: NET_DATAGRAM bytes at most. They get lost, as on any network.

struct sip_udp {
    nebulet_handle channel;
    uint32_t taken;                   // since the service was told
    struct nebulet_address own, peer; // peer: of sip_udp_connect, else zeros
};
// A socket at an address of this machine, as sip_net_listen. Port 0 needs no right to listen.
int64_t sip_udp_open(const char *host, uint32_t port, struct sip_udp *out);
// One whose datagrams all go to a name or an address, and come from there.
int64_t sip_udp_connect(const char *host, uint32_t port, struct sip_udp *out);
// to: NULL for the peer. OUT_OF_BOUNDS: too long.
int64_t sip_udp_send(struct sip_udp *u, const struct nebulet_address *to, const void *bytes,
                     size_t size);
// Result: bytes of the datagram, of which those that there is room for are copied. from: may be
// NULL.
int64_t sip_udp_recv(struct sip_udp *u, struct nebulet_address *from, void *bytes, size_t room,
                     uint64_t deadline);
void sip_udp_close(struct sip_udp *u);

// --- Names

// Result: how many addresses it has; the first `room` of them are in out[].
int64_t sip_net_resolve(const char *name, uint32_t ms, struct nebulet_address *out, size_t room);
// Strictly: four decimal numbers without leading zeros, or RFC 4291, without a zone. No port.
// False: it is none.
bool sip_net_parse(const char *text, struct nebulet_address *out);
enum { SIP_ADDRESS_TEXT = 56 };
// "127.0.0.1:80", "[::1]:80", without the port when it is 0 ("127.0.0.1", "::1").
void sip_net_print(const struct nebulet_address *a, char out[SIP_ADDRESS_TEXT]);

#ifdef __cplusplus
}
#endif
