// SPDX-License-Identifier: MIT
// What a client of the service "net" asks, and gets; sip_net.h has functions for all of it. It is
// the same whether lwIP or the sockets of a host are behind the service.
//
// A request is a message, a struct net_request, and the answer another one, a struct net_answer,
// with handles. A client has one request at a time: the next one is looked at when the answer is
// out, and after a hundred it is hung up on, as is one that says what cannot be. Each process may
// have as much of what is bounded as it leaves (NO_RESOURCES).
//
//   NET_LISTEN    a listener: a channel with a message for each connection, the peer's struct
//                 nebulet_address and two streams, of which the first is read and the second
//                 written. Who closes the stream that is written says so to the peer; with the
//                 second one the connection is gone. A listener that is closed is listened at no
//                 more. addresses[0]: where it listens
//   NET_FLUSH     comes when all that programs have written has got to their peers, or will not
//                 any more
//   NET_CONNECT   to a name or an address: two streams, as above. addresses[0]: of the peer
//   NET_RESOLVE   a name: `count` addresses
//   NET_UDP       a channel of datagrams: each message, in both directions, is a struct
//                 nebulet_address, whom it is from or goes to, and the bytes. With a name, all are
//                 to and from that peer. The service sends NET_CREDIT of them, and then one more
//                 for each that a message of a number (uint32_t) says was taken; what comes when
//                 there is no credit is lost, as are datagrams that are too long or that no rule
//                 allows. addresses[0]: of the socket, addresses[1]: of the peer
#pragma once
#include <nebulet/types.h>

enum net_op { NET_LISTEN, NET_FLUSH, NET_CONNECT, NET_RESOLVE, NET_UDP, NET_OPS };

enum {
    NET_NAME = 256,      // bytes of a name, the 0 behind it included
    NET_ADDRESSES = 8,   // of a name: the others are of no interest
    NET_DATAGRAM = 1472, // bytes of a datagram: what fits a frame of Ethernet with IPv4
    NET_CREDIT = 32,
    NET_USUAL_MS = 30000, // for connecting and resolving
    NET_MOST_MS = 600000,
};

struct net_request {
    uint32_t op;
    uint32_t timeout_ms;            // of CONNECT, RESOLVE, UDP; 0: NET_USUAL_MS
    struct nebulet_address address; // of LISTEN and UDP: its own; zeros: any of this machine
    uint32_t port;                  // of CONNECT and UDP: the peer's
    char name[NET_NAME];            // of the peer, or an address as text
};

// result: 0, or an error. ACCESS_DENIED: no rule allows it. NOT_FOUND: there is no such name.
// UNAVAILABLE: nobody listens there, or there is no way to there. TIMED_OUT. ALREADY_OWNED:
// somebody listens there. NO_RESOURCES: there is too much of that already. INVALID_ARG: not a name,
// an address or a port. NOT_SUPPORTED.
struct net_answer {
    int32_t result;
    uint32_t count;
    struct nebulet_address addresses[NET_ADDRESSES];
};
