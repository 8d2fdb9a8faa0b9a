// SPDX-License-Identifier: MIT
// Streams: pipes of NEBULET_STREAM_SIZE bytes, each end an object. Or one end of what is not ours:
// of a connection, which the platform keeps (struct outside_stream).
#pragma once
#include "kern/process.h"

struct stream;

// A thread that waits to read, on whose stack this lies: what is written goes from memory to
// memory.
struct taker {
    struct kthread *thread;
    u8 *bytes;
    u32 room, got;
};

// What is at the other end of a stream that has no peer. Whoever has it sets READABLE or WRITABLE
// when it may be worth trying, and PEER_CLOSED, which stays, when there is an end: with the lock.
struct outside_stream {
    // Moves what can be moved at once, for the running thread, without the lock: how much, not 0;
    // or SHOULD_WAIT, PEER_CLOSED.
    s64 (*move)(struct stream *s, u8 *bytes, u32 size);
    // Nobody has it any more; its memory is yours. With the lock, which may be given back
    // meanwhile.
    void (*gone)(struct stream *s);
};

struct stream {
    struct object object;
    struct stream *peer;                  // NULL: closed
    const struct outside_stream *outside; // NULL: it is a pipe
    bool writes;                          // this end is written to
    // Of the end that is read; made when it is first written to, and charged to who did: a small
    // one first, since most streams never hold more.
    u8 *ring;
    u32 size, from, count;
    struct taker *taker; // the first who waits, while there is nothing; NULL: nobody
};

void stream_init_outside(struct stream *s, const struct outside_stream *outside, bool writes);
status stream_new(struct stream **write_end, struct stream **read_end); // without the lock
// Without the lock. BAD_STATE: it is the other end.
s64 stream_write(struct stream *s, const u8 *bytes, u32 size, u64 deadline);
s64 stream_read(struct stream *s, u8 *bytes, u32 size, u64 deadline);
