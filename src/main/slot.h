// SPDX-License-Identifier: MIT
// Requests to user/svc/http without sockets: a slot is a connection of it whose other end is here.
// Its streams are memory: what http reads is copied from the request, what it writes is the answer.
//
//   the loop ──slot_give──> a request ──read──> http          on a CPU of ours
//            <──slots_take─ an answer <──write─┘
//
// One thread, the loop, gives requests and takes answers; between the two the slot is http's. It
// is told of answers when many are there, or when http has picked up all it was given: so where
// there is much to do, it is woken once for many of them. Who waits for less looks again after a
// while (slots_rest).
#pragma once
#include <sys/uio.h>

#include "kern/channel.h"
#include "kern/stream.h"

struct bytes {
    char *p;
    size_t n, room;
};

// An answer as it comes: where its body begins, and what is known of its end.
struct answer {
    struct bytes raw;
    int status;
    bool headed, chunked, closes;
    size_t body, end, at; // of the body; `at`: chunks are read so far
    u64 left;             // of the body, or of the chunk with its line end
};

// What slots have to say. Atomics.
struct slots {
    struct slot *said;
    u32 nsaid, unread; // unread: requests of which http has seen nothing yet
    bool rests, called;
    int bell; // a descriptor, to which 8 bytes are written
};

struct slot {
    struct slots *all;
    struct channel *to; // where http gets connections from
    struct slot *next;  // in a list of whoever has it
    struct answer answer;
    // The answer's, or why there is none. 0: the connection was over before it; -1: it ended
    // within; -2: it is longer than it may be; -3: there is no memory.
    int status;
    // Inside.
    struct stream in, out;
    struct iovec request[2];
    size_t at, most;
    spinlock guard;                        // after the kernel lock
    bool given;                            // it is http's: under guard
    bool ends, in_gone, out_gone, awaited; // under the kernel lock
};

void slot_init(struct slot *s, struct slots *all, struct channel *to);
// A request, whose bytes stay until the slot is taken. False: the connection before has not gone
// yet; the slot will be among those that are taken when it has. By a CPU of ours.
bool slot_give(struct slot *s, const struct iovec request[2], size_t most);
// After an answer: whether another request can be given. If not, as above.
bool slot_free(struct slot *s);
// Those that have something to say, oldest first.
struct slot *slots_take(struct slots *all);
// The loop is going to wait for the bell: for how many ms at most (-1: for ever, 0: it should not).
int slots_rest(struct slots *all);
void slots_awake(struct slots *all); // it has waited
void slots_wake(struct slots *all);  // by anybody: it is to look up
