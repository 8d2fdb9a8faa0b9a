// SPDX-License-Identifier: MIT
// A message of NATS, and what it is as a request of HTTP (doc/worker.md).
#pragma once
#include "base/types.h"
#include "main/nats.h"

#ifdef NATS_VERSION_MAJOR
enum { MESSAGE_HEAD = 17 << 10 }; // user/svc/http takes 16 KiB

// The parts of what is in a stream are in the subject that acknowledges it, and stay as long as the
// message.
struct info {
    const char *subject, *reply, *data;
    int size;
    bool of_stream;
    const char *stream, *consumer;
    int stream_n, consumer_n; // their lengths
    u64 number, deliveries;
    char id[512]; // of the message, where it is in a stream; else empty
};

// Whether a subject acknowledges a message of a stream.
bool message_is_acknowledged_by(const char *reply);
// `of_stream`: it was asked for, and is acknowledged so.
void message_read(const struct nats *n, natsMsg *m, bool of_stream, struct info *out);
// False: there is more of it than fits.
bool message_head(const struct nats *n, natsMsg *m, const struct info *i, char head[MESSAGE_HEAD],
                  size_t *size);
// Headers that are the sender's go to another message.
void message_copy_headers(const struct nats *n, natsMsg *from, natsMsg *to);
#endif
