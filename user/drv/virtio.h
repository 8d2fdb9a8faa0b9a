// SPDX-License-Identifier: MIT
// Virtio for drivers: one device, its queues, its interrupt. Whoever includes this knows what its
// device is for; this knows how it is talked to (virtio 1.2), on either bus.
//
// Queues are split rings with EVENT_IDX. A driver numbers its buffers itself: descriptor i is
// whatever it says it is, and a chain is known by its first one. The device may write anything to
// the rings at any time, so what it says is read once and checked; one that lies ends the driver,
// which init may start again, with the device reset.
#pragma once
#include <sip.h>

enum { VIRTIO_NET = 1, VIRTIO_BLK, VIRTIO_CONSOLE, VIRTIO_RNG, VIRTIO_9P = 9 };
enum { VIRTIO_QUEUE_MAX = 256 };
#define VIRTIO_EVENT_IDX (1ull << 29)
#define VIRTIO_VERSION_1 (1ull << 32)
#define VIRTIO_ACCESS_PLATFORM (1ull << 33) // its addresses go through the IOMMU

struct virtio {
    nebulet_handle device, interrupt;
    volatile uint8_t *registers; // of range `mapped`, in this memory; NULL: by calls
    uint32_t mapped, mapped_bytes;
    bool pci, messages; // its interrupts are those: there is nothing to be told in its registers
    struct virtio_part {
        uint32_t range, offset;
    } common, notify, isr, config; // where these registers are
    uint32_t notify_multiplier;
    uint64_t features; // that both have
};

struct virtio_queue {
    struct virtio *device;
    uint32_t number, size, notify_at;
    volatile struct virtio_descriptor *descriptors;
    volatile uint16_t *available, *used_event;
    volatile uint8_t *used;
    volatile uint16_t *available_event;
    uint16_t offered, kicked, taken;           // free-running
    uint32_t in_flight[VIRTIO_QUEUE_MAX / 32]; // chains, by their first descriptor
};

// Memory that the device reaches, too.
struct virtio_memory {
    uint8_t *at;
    uint64_t physical;
    uint32_t bytes;
};

// The device comes in the first message on handle 0. Ends the program if that is not one of this
// type, or anything else goes wrong; so do all of these. `wanted`: features beyond VERSION_1 and
// EVENT_IDX, which the device must have for the others to be on.
void virtio_open(struct virtio *v, uint32_t type, uint64_t wanted);
// The same with a device of that type that this program finds itself, having the privilege: the
// first that is free and that `fits` says is the right one, by what it reads with virtio_config. It
// looks again for 10 s while somebody else has some, who may only be looking, too.
void virtio_find(struct virtio *v, uint32_t type, uint64_t wanted,
                 bool (*fits)(const struct virtio *v));
// `window`: whole pages of this program's, which the memory takes the place of.
void virtio_memory(struct virtio *v, struct virtio_memory *m, void *window, uint32_t bytes);
// The same, and a handle of it, for who shall have it, too.
nebulet_handle virtio_memory_shared(struct virtio *v, struct virtio_memory *m, void *window,
                                    uint32_t bytes);
// A queue of up to `size` (a power of two) descriptors in virtio_queue_bytes(size) bytes of memory.
static inline uint32_t virtio_queue_bytes(uint32_t size)
{
    return (16 * size + (6 + 2 * size) + 2 + (6 + 8 * size) + 15) & ~15u;
}
void virtio_queue(struct virtio *v, struct virtio_queue *q, uint32_t number, uint32_t size,
                  const struct virtio_memory *m, uint32_t offset);
void virtio_ready(struct virtio *v); // all queues are there
uint32_t virtio_config(const struct virtio *v, uint32_t offset, uint32_t bytes);

enum { VIRTIO_NEXT = 1, VIRTIO_DEVICE_WRITES = 2 };
void virtio_describe(struct virtio_queue *q, uint32_t i, uint64_t physical, uint32_t bytes,
                     uint32_t flags, uint32_t next);
void virtio_offer(struct virtio_queue *q, uint32_t first); // a chain, which is the device's now
void virtio_kick(struct virtio_queue *q);                  // tells it of those, if it wants to know
// A chain that the device is done with; false: none. *bytes: what it has written, at most what it
// could, which the driver must know.
bool virtio_take_one(struct virtio_queue *q, uint32_t *first, uint32_t *bytes);
static inline bool virtio_take(struct virtio_queue *q, uint32_t *first, uint32_t *bytes)
{
    return *(volatile uint16_t *)(q->used + 2) != q->taken && virtio_take_one(q, first, bytes);
}
// From the next virtio_arm on, of whichever queue, an interrupt comes with the nth chain from here
// that is done.
static inline void virtio_want(struct virtio_queue *q, uint32_t n)
{
    *q->used_event = (uint16_t)(q->taken + n - 1);
}
// The same from now on. False: it is done already, look again.
bool virtio_arm(struct virtio_queue *q, uint32_t n);
// After the interrupt has come, or at any time: what it was for is looked for next.
void virtio_acknowledge(struct virtio *v);
// Until there is something to take.
void virtio_wait(struct virtio_queue *q);
