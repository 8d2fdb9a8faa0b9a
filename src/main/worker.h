// SPDX-License-Identifier: MIT
// Messages of NATS for the server of HTTP: `nebulet worker` is `nebulet serve`, whose connections
// come from here. Each message is a request on one of them, and its answer is the message's.
#pragma once
#include "main/options.h"

struct channel;
struct worker;

enum { WORKER_CPU = 62 }; // that makes connections: the kernel's objects are for CPUs of ours

// Connects and subscribes. False after a message.
bool worker_open(const struct options *o, struct worker **out);
// What server `number` of so many is given: a channel with its connections, and what can be asked
// for metrics (the first server; NULL for others). A reference each. False after a message.
bool worker_attach(struct worker *w, u32 number, u32 servers, struct channel **connections,
                   struct channel **more);
// Begins to take messages. When all is over, after worker_over has asked for it, 8 bytes are
// written to the descriptor `bell`. False after a message: then it is over.
bool worker_begin(struct worker *w, int bell);
// Whether it is over; if not, it is asked to be. Does not wait.
bool worker_over(struct worker *w);
// After that; false: something was not answered, or may not have arrived. NULL: nothing was.
bool worker_close(struct worker *w);
