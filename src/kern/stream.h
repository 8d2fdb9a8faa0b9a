// SPDX-License-Identifier: MIT
// Streams: pipes of NEBULET_STREAM_SIZE bytes, each end an object.
#pragma once
#include "kern/process.h"

struct stream {
    struct object object;
    struct stream *peer; // NULL: closed
    bool writes;         // this end is written to
    // Of the end that is read; made when it is first written to, and charged to who did.
    u8 *ring;
    u32 from, count;
};

status stream_new(struct stream **write_end, struct stream **read_end); // without the lock
// Without the lock. BAD_STATE: it is the other end.
s64 stream_write(struct stream *s, const u8 *bytes, u32 size, u64 deadline);
s64 stream_read(struct stream *s, u8 *bytes, u32 size, u64 deadline);
