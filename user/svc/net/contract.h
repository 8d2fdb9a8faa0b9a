// SPDX-License-Identifier: MIT
// What a client of the service "net" asks, and gets.
//
// A request is a struct net_request, the answer a struct net_answer. To NET_LISTEN that comes with
// a handle, the listener: a channel with a message for each connection, the peer's struct
// nebulet_address and two streams, of which the first is read and the second written. Who closes
// the stream that is written says so to the peer; with the second one the connection is gone. A
// listener that is closed is listened at no more. The answer to NET_FLUSH comes when all that
// programs have written has got to their peers, or will not any more.
#pragma once
#include <nebulet/types.h>

enum net_op { NET_LISTEN, NET_FLUSH };

struct net_request {
    uint32_t op;
    struct nebulet_address address; // all zeros: any of this machine
};

// result: 0, or an error. ACCESS_DENIED: not a port that clients may listen at. ALREADY_OWNED:
// somebody listens there. NO_RESOURCES: there are too many listeners.
struct net_answer {
    int32_t result;
};
