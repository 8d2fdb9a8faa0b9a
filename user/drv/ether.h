// SPDX-License-Identifier: MIT
// Network devices: what the driver and its one client, the stack, have together.
//
// Who connects to the service "ethernet" gets a message: struct ether_about, and three handles: a
// memory object, an event to wait for, and one to signal. There is one client at a time; another is
// turned away while there is one. In the memory are buffers, which belong to one side at a time,
// and two rings by which they change sides. So frames are not copied, and nobody waits for a call.
//
//   driver ── in ──> client    frames that came (buffers below ETHER_IN), and buffers to send in
//   driver <── out ── client   frames to send, and buffers of frames that were received
//
// A ring has a writer and a reader, and free-running indices. As with EVENT_IDX of virtio, the
// reader says from which entry on it wants to be woken, so that a side that is busy is not. Each
// side keeps its own index to itself and checks what the other says: who lies can spoil frames,
// its own and, as the memory is the same for one client after another, those of who comes next.
#pragma once
#include <sip.h>

enum { ETHER_IN = 128, ETHER_OUT = 128, ETHER_BUFFERS = ETHER_IN + ETHER_OUT, ETHER_BUFFER = 2048 };
enum { ETHER_HEAD = 12 }; // bytes of a buffer before the frame, which are the device's
enum { ETHER_LEAST = 14, ETHER_MOST = 1514 }; // bytes of a frame

struct ether_about {
    uint8_t mac[6];
    uint16_t reserved;
};

struct ether_ring {
    _Alignas(64) uint32_t written; // the writer's
    _Alignas(64) uint32_t wake;    // the reader's: a signal when this entry is written
    _Alignas(
        64) uint32_t entries[ETHER_BUFFERS]; // buffer, and << 16 the bytes of a frame in it or 0
};

struct ether_memory {
    struct ether_ring in, out;
    _Alignas(4096) uint8_t buffers[ETHER_BUFFERS][ETHER_BUFFER];
};

// What a side knows for itself.
struct ether_side {
    volatile struct ether_ring *writes, *reads;
    uint32_t put, told, taken;
    nebulet_handle other; // the event that wakes it
};

// A buffer is in a ring once at most, so there is room.
static inline void ether_put(struct ether_side *s, uint32_t buffer, uint32_t bytes)
{
    s->writes->entries[s->put++ % ETHER_BUFFERS] = buffer | bytes << 16;
}

// What was put is the other side's from now on.
static inline void ether_tell(struct ether_side *s)
{
    uint32_t since = s->put - s->told;
    if (!since)
        return;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    s->writes->written = s->put;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    s->told = s->put;
    if (s->put - s->writes->wake - 1 < since)
        nebulet_object_signal(s->other, 0, NEBULET_EVENT_SIGNALED);
}

// How many entries wait to be taken. More than there can be: the other side lies.
static inline uint32_t ether_waiting(const struct ether_side *s)
{
    uint32_t waiting = s->reads->written - s->taken;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return waiting;
}

static inline uint32_t ether_take(struct ether_side *s)
{
    return s->reads->entries[s->taken++ % ETHER_BUFFERS];
}

// From now on the other side signals when there is something to take. False: there is already.
static inline bool ether_arm(struct ether_side *s)
{
    s->reads->wake = s->taken;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return !ether_waiting(s);
}
