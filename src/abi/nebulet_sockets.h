// SPDX-License-Identifier: MIT
// What the service "net" and a platform that has sockets of its own say to each other (on Linux:
// main/net.c), over a channel: a request, and an answer with its id. An answer to LISTEN has a
// listener, one to UDP a channel whose messages are a struct nebulet_address and a datagram, one to
// CONNECT the two streams of a connection; it comes when there is one, those to others at once.
// Behind nebulet/types.h, or abi/nebulet_types.h.
#pragma once
enum nebulet_socket_op {
    NEBULET_SOCKET_LISTEN,
    NEBULET_SOCKET_UDP,
    NEBULET_SOCKET_CONNECT,
    NEBULET_SOCKET_CANCEL, // what CONNECT has begun: no answer will come
};
enum { NEBULET_SOCKET_DATAGRAM = 1472 }; // bytes: longer ones are lost
struct nebulet_socket_request {
    uint32_t op, id;
    struct nebulet_address address; // its own, or the peer's
};
struct nebulet_socket_answer {
    uint32_t id;
    int32_t result;                 // 0, or an error
    struct nebulet_address address; // its own
};

_Static_assert(sizeof(struct nebulet_socket_request) == 36, "ABI");
_Static_assert(sizeof(struct nebulet_socket_answer) == 36, "ABI");
