// SPDX-License-Identifier: MIT
// See virtio.h. Numbers are those of virtio 1.2: 4.2.2 (registers in memory), 2.7 (split rings).
#include "virtio.h"

#include <string.h>

enum {
    MMIO_FEATURES = 0x10,
    MMIO_FEATURES_WORD = 0x14,
    MMIO_ACCEPTED = 0x20,
    MMIO_ACCEPTED_WORD = 0x24,
    MMIO_QUEUE = 0x30,
    MMIO_QUEUE_MOST = 0x34,
    MMIO_QUEUE_SIZE = 0x38,
    MMIO_QUEUE_READY = 0x44,
    MMIO_NOTIFY = 0x50,
    MMIO_ISR = 0x60,
    MMIO_ACKNOWLEDGE = 0x64,
    MMIO_STATUS = 0x70,
    MMIO_DESCRIPTORS = 0x80,
    MMIO_AVAILABLE = 0x90,
    MMIO_USED = 0xa0,
    MMIO_CONFIG = 0x100,
};
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum { NO_NOTIFICATIONS = 1 }; // used.flags

struct virtio_descriptor {
    uint64_t address;
    uint32_t bytes;
    uint16_t flags, next;
};
_Static_assert(sizeof(struct virtio_descriptor) == 16, "2.7.5");

// --- Registers

static uint32_t get(struct virtio *v, uint32_t offset)
{
    if (v->registers)
        return *(volatile uint32_t *)(v->registers + offset);
    return (uint32_t)sip_must(nebulet_device_read(v->device, 0, offset, 4), "virtio: device_read");
}

static void put(struct virtio *v, uint32_t offset, uint32_t value)
{
    if (v->registers)
        *(volatile uint32_t *)(v->registers + offset) = value;
    else
        sip_must(nebulet_device_write(v->device, 0, offset, 4, value), "virtio: device_write");
}

static void put_address(struct virtio *v, uint32_t offset, uint64_t address)
{
    put(v, offset, (uint32_t)address);
    put(v, offset + 4, (uint32_t)(address >> 32));
}

uint32_t virtio_config(struct virtio *v, uint32_t offset, uint32_t bytes)
{
    return (uint32_t)sip_must(nebulet_device_read(v->device, 0, MMIO_CONFIG + offset, bytes),
                              "virtio: device_read");
}

// --- The device

static void receive(struct virtio *v, uint32_t type)
{
    struct nebulet_device about;
    char name[64];
    sip_must(sip_recv_handle(0, name, sizeof name, &v->device), "virtio: the first message");
    if (v->device == NEBULET_NO_HANDLE)
        sip_panic("virtio: no device");
    sip_must(nebulet_device_info(v->device, &about), "virtio: device_info");
    if (about.bus != NEBULET_VIRTIO_MMIO || about.id != type)
        sip_panic("virtio: this is device %u, not %u", about.id, type);
}

static void map_registers(struct virtio *v)
{
    static _Alignas(4096) uint8_t window[4096];
    int64_t at = nebulet_device_map(v->device, 0, (uint32_t)(uintptr_t)window);
    if (at != NEBULET_ERR_ACCESS_DENIED) // other devices are in that page
        v->registers = window + sip_must(at, "virtio: device_map");
}

static uint64_t offered_features(struct virtio *v)
{
    uint64_t features = 0;
    for (uint32_t word = 0; word < 2; word++) {
        put(v, MMIO_FEATURES_WORD, word);
        features |= (uint64_t)get(v, MMIO_FEATURES) << 32 * word;
    }
    return features;
}

static void accept(struct virtio *v)
{
    for (uint32_t word = 0; word < 2; word++) {
        put(v, MMIO_ACCEPTED_WORD, word);
        put(v, MMIO_ACCEPTED, (uint32_t)(v->features >> 32 * word));
    }
    put(v, MMIO_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    if (!(get(v, MMIO_STATUS) & FEATURES_OK))
        sip_panic("virtio: the device does not accept features %llx",
                  (unsigned long long)v->features);
}

void virtio_open(struct virtio *v, uint32_t type, uint64_t wanted)
{
    *v = (struct virtio){.interrupt = NEBULET_NO_HANDLE};
    receive(v, type);
    map_registers(v);
    put(v, MMIO_STATUS, 0);
    put(v, MMIO_STATUS, ACKNOWLEDGE | DRIVER);
    v->features = offered_features(v) & (wanted | VIRTIO_VERSION_1 | VIRTIO_EVENT_IDX);
    if (!(v->features & VIRTIO_VERSION_1))
        sip_panic("virtio: a device of before version 1");
    accept(v);
    v->interrupt = (nebulet_handle)sip_must(nebulet_interrupt_create(v->device, 0),
                                            "virtio: interrupt_create");
}

void virtio_memory(struct virtio *v, struct virtio_memory *m, void *window, uint32_t bytes)
{
    nebulet_handle memory =
        (nebulet_handle)sip_must(nebulet_dma_create(v->device, bytes), "virtio: dma_create");
    sip_must(nebulet_memory_map(memory, (uint32_t)(uintptr_t)window, 0, bytes),
             "virtio: memory_map");
    m->at = window;
    m->bytes = bytes;
    m->physical = (uint64_t)sip_must(nebulet_dma_address(memory), "virtio: dma_address");
    sip_close(memory);
}

void virtio_ready(struct virtio *v)
{
    put(v, MMIO_STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

// --- Queues: descriptors, then the ring of what is offered, then that of what is done.

void virtio_queue(struct virtio *v, struct virtio_queue *q, uint32_t number, uint32_t size,
                  const struct virtio_memory *m, uint32_t offset)
{
    uint32_t available = 16 * size, used = (available + 6 + 2 * size + 3) & ~3u;
    if (size > VIRTIO_QUEUE_MAX || offset % 16 || offset + virtio_queue_bytes(size) > m->bytes)
        sip_panic("virtio: no room for queue %u", number);
    put(v, MMIO_QUEUE, number);
    if (get(v, MMIO_QUEUE_MOST) < size)
        sip_panic("virtio: queue %u has only %u places", number, get(v, MMIO_QUEUE_MOST));
    uint8_t *at = m->at + offset;
    uint64_t physical = m->physical + offset;
    *q = (struct virtio_queue){
        .device = v,
        .number = number,
        .size = size,
        .descriptors = (volatile struct virtio_descriptor *)at,
        .available = (volatile uint16_t *)(at + available),
        .used_event = (volatile uint16_t *)(at + available + 4 + 2 * size),
        .used = at + used,
        .available_event = (volatile uint16_t *)(at + used + 4 + 8 * size),
    };
    put(v, MMIO_QUEUE_SIZE, size);
    put_address(v, MMIO_DESCRIPTORS, physical);
    put_address(v, MMIO_AVAILABLE, physical + available);
    put_address(v, MMIO_USED, physical + used);
    put(v, MMIO_QUEUE_READY, 1);
}

void virtio_describe(struct virtio_queue *q, uint32_t i, uint64_t physical, uint32_t bytes,
                     uint32_t flags, uint32_t next)
{
    volatile struct virtio_descriptor *d = &q->descriptors[i];
    d->address = physical;
    d->bytes = bytes;
    d->flags = (uint16_t)flags;
    d->next = (uint16_t)next;
}

void virtio_offer(struct virtio_queue *q, uint32_t first)
{
    q->in_flight[first / 32] |= 1u << first % 32;
    q->available[2 + (q->offered++ & (q->size - 1))] = (uint16_t)first;
}

// What the ring says must be there before its index, and that before the device's wish is read.
void virtio_kick(struct virtio_queue *q)
{
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    q->available[1] = q->offered;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint16_t since = (uint16_t)(q->offered - q->kicked);
    bool wanted = since && !(*(volatile uint16_t *)q->used & NO_NOTIFICATIONS);
    if (q->device->features & VIRTIO_EVENT_IDX)
        wanted = (uint16_t)(q->offered - *q->available_event - 1) < since;
    q->kicked = q->offered;
    if (wanted)
        put(q->device, MMIO_NOTIFY, q->number);
}

static uint16_t done(const struct virtio_queue *q)
{
    uint16_t n = *(volatile uint16_t *)(q->used + 2);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if ((uint16_t)(n - q->taken) > (uint16_t)(q->offered - q->taken))
        sip_panic("virtio: queue %u: the device is done with more than it was given", q->number);
    return n;
}

bool virtio_take(struct virtio_queue *q, uint32_t *first, uint32_t *bytes)
{
    if (done(q) == q->taken)
        return false;
    volatile uint32_t *e = (volatile uint32_t *)(q->used + 4 + 8 * (q->taken & (q->size - 1)));
    uint32_t i = e[0];
    *bytes = e[1];
    if (i >= q->size || !(q->in_flight[i / 32] >> i % 32 & 1))
        sip_panic("virtio: queue %u: the device has not been given %u", q->number, i);
    q->in_flight[i / 32] &= ~(1u << i % 32);
    q->taken++;
    *first = i;
    return true;
}

bool virtio_arm(struct virtio_queue *q, uint32_t n)
{
    *q->used_event = (uint16_t)(q->taken + n - 1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return (uint16_t)(done(q) - q->taken) < n;
}

void virtio_acknowledge(struct virtio *v)
{
    put(v, MMIO_ACKNOWLEDGE, get(v, MMIO_ISR));
    sip_must(nebulet_interrupt_ack(v->interrupt), "virtio: interrupt_ack");
}

void virtio_wait(struct virtio_queue *q)
{
    while (virtio_arm(q, 1)) {
        sip_must(sip_wait(q->device->interrupt, NEBULET_EVENT_SIGNALED), "virtio: waiting");
        virtio_acknowledge(q->device);
    }
}
