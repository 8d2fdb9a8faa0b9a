// SPDX-License-Identifier: MIT
// Channels: two ends, each with a queue of messages for whoever receives from it.
//
// Who waits to receive says where the bytes are to go, so a message without handles goes from
// memory to memory, from the sender's to the receiver's, and is never kept. Others are heap blocks,
// and count as messages of whoever pays for the block (the sender), until they are taken.
#pragma once
#include "kern/process.h"

// Bytes of a message that goes from memory to memory, for which the lock is held.
enum { CHANNEL_DIRECT_MAX = 16 << 10 };

struct message {
    struct message *next;
    u32 size, nhandles;
    struct sent_handle {
        struct object *object; // a reference
        u32 rights;
    } handles[];
    // then the bytes
};

// A thread that waits for room, first come, first served; on its stack. Those that wait to receive
// have an inbox.
struct sender {
    struct link link;
    struct kthread *thread;
};

// What is at the other end of a channel that has no peer: a part of the platform, asked by whoever
// sends or receives, in whose name (and on whose account) it works. Without the lock.
struct outside_channel {
    // There is nothing to receive: puts a message into the queue by channel_put (OK), or else
    // SHOULD_WAIT, and sets READABLE when it may be worth trying; NULL: SHOULD_WAIT.
    status (*pull)(struct channel *c);
    // A message, without handles; NULL: PEER_CLOSED.
    status (*take)(struct channel *c, const u8 *bytes, u32 size);
    // Nobody has the channel any more. With the lock, which may be given back meanwhile.
    void (*gone)(struct channel *c);
};

struct channel {
    struct object object;
    struct channel *peer;                  // NULL: closed
    const struct outside_channel *outside; // NULL: its peer is a channel, or was
    struct message *first, **last;
    u32 count;
    bool bytes_only; // handles are not sent to it
    u32 client;      // by its id, which process connected to a service by it; 0: none
    u32 kept; // references to it from queues, and from tables of processes that do not live yet
    struct kthread *last_receiver; // of a circle, in line; NULL: none
    struct link senders;           // that want room in this end's queue
    struct service *service;       // its name, when it is the end that connections come from
};

// The objects that lie in a channel's queue, for search_reaches, until it says false; and NULL for
// each message.
void channel_each_kept(struct channel *c, bool (*each)(struct object *o));
// More or fewer references of that kind to an object.
static inline void channel_kept(struct object *o, s32 change)
{
    if (o->type == OBJECT_channel)
        container_of(o, struct channel, object)->kept += (u32)change;
}

status channel_new(struct channel **a, struct channel **b); // a reference each; without the lock
// Without handles, to a thread that waits and has room: from memory to memory. False: none does.
// Without the lock.
bool channel_send_at_once(struct kthread *me, struct channel *c, const u8 *bytes, u32 size);
// Without the lock. The handles are those of the running process, already found to be there; they
// are taken from it when the message is sent.
status channel_send(struct kthread *me, struct channel *c, const u8 *bytes, u32 size,
                    const nebulet_handle *handles, u32 nhandles, u64 deadline);
// What was taken, or is too large: *needed. The handles go to the process's table, their numbers to
// `handles`.
s64 channel_recv(struct channel *c, u8 *bytes, u32 size, nebulet_handle *handles, u32 nhandles,
                 struct nebulet_message *needed, u64 deadline);
// The same without a deadline and without handles, when there is nothing to receive, and the CPU
// has been handed over (sched_hand_over). NULL: nothing has been done, for it is not so; else the
// thread to leave for (vm_hand_fn), with the lock held.
struct vm_thread *channel_recv_at_once(struct kthread *me, struct channel *c, u8 *bytes, u32 size);
// Sends, and receives what comes next, of at most `room` bytes and without handles: in two steps,
// or, without a deadline, at once when the other end waits: from memory to memory, and the CPU
// straight from one thread to the other. NULL, or the thread to leave for, as above.
s64 channel_call(struct kthread *me, struct channel *c, const u8 *bytes, u32 size, u8 *answer,
                 u32 room, u64 deadline);
struct vm_thread *channel_call_at_once(struct kthread *me, struct channel *c, const u8 *bytes,
                                       u32 size, u8 *answer, u32 room);
u64 channel_called(
    struct vmctx *vm); // where it goes on then, if the answer has not come with the CPU
// Puts a message with these objects into the queue of c; their references go with it. With the
// lock. NO_RESOURCES: the queue is full.
status channel_push(struct channel *c, const u8 *bytes, u32 size, const struct sent_handle *handles,
                    u32 nhandles);
status channel_new_outside(const struct outside_channel *outside, struct channel **out);
