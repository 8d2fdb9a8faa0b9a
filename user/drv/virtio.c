// SPDX-License-Identifier: MIT
// See virtio.h. Numbers are those of virtio 1.2: 4.2.2 (registers in memory), 2.7 (split rings).
#include "virtio.h"

#include <string.h>

// Registers: where they are in memory, in the common structure of PCI, and how large they are
// there.
enum reg {
    FEATURES_WORD,
    FEATURES,
    ACCEPTED_WORD,
    ACCEPTED,
    STATUS,
    QUEUE,
    QUEUE_MOST,
    QUEUE_SIZE,
    QUEUE_READY,
    DESCRIPTORS,
    AVAILABLE,
    USED,
};
static const struct {
    uint8_t mmio, pci, pci_bytes;
} registers[] = {
    [FEATURES_WORD] = {0x14, 0, 4}, [FEATURES] = {0x10, 4, 4},    [ACCEPTED_WORD] = {0x24, 8, 4},
    [ACCEPTED] = {0x20, 12, 4},     [STATUS] = {0x70, 20, 1},     [QUEUE] = {0x30, 22, 2},
    [QUEUE_MOST] = {0x34, 24, 2},   [QUEUE_SIZE] = {0x38, 24, 2}, [QUEUE_READY] = {0x44, 28, 2},
    [DESCRIPTORS] = {0x80, 32, 4},  [AVAILABLE] = {0x90, 40, 4},  [USED] = {0xa0, 48, 4},
};
enum { MMIO_NOTIFY = 0x50, MMIO_ACKNOWLEDGE = 0x64, MMIO_CONFIG = 0x100, MMIO_REASONS = 3 };
enum { PCI_QUEUE_INTERRUPT = 26, PCI_QUEUE_NOTIFY = 30 };
enum {
    PCI_FIRST_CAPABILITY = 0x34,
    CAPABILITY_VENDOR = 9,
    CAPABILITY_MESSAGES = 17,
    CAPABILITIES_MAX = 48,
    CONFIGURATION = 6
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

// A device says itself where in a range its registers are, so that may be beyond what is mapped, or
// askew: then, as where nothing is mapped, there is the call, which refuses.
static bool is_mapped(const struct virtio *v, const struct virtio_part *p, uint32_t offset,
                      uint32_t bytes)
{
    return v->registers && p->range == v->mapped && offset <= v->mapped_bytes &&
           bytes <= v->mapped_bytes - offset && offset % bytes == 0;
}

static uint32_t get_at(const struct virtio *v, const struct virtio_part *p, uint32_t offset,
                       uint32_t bytes)
{
    offset += p->offset;
    if (!is_mapped(v, p, offset, bytes))
        return (uint32_t)sip_must(nebulet_device_read(v->device, p->range, offset, bytes),
                                  "virtio: device_read");
    const volatile uint8_t *at = v->registers + offset;
    if (bytes == 4)
        return *(const volatile uint32_t *)at;
    return bytes == 2 ? *(const volatile uint16_t *)at : *at;
}

static void put_at(const struct virtio *v, const struct virtio_part *p, uint32_t offset,
                   uint32_t bytes, uint32_t value)
{
    offset += p->offset;
    if (!is_mapped(v, p, offset, bytes)) {
        sip_must(nebulet_device_write(v->device, p->range, offset, bytes, value),
                 "virtio: device_write");
        return;
    }
    volatile uint8_t *at = v->registers + offset;
    if (bytes == 4)
        *(volatile uint32_t *)at = value;
    else if (bytes == 2)
        *(volatile uint16_t *)at = (uint16_t)value;
    else
        *at = (uint8_t)value;
}

static uint32_t get(const struct virtio *v, enum reg r)
{
    return v->pci ? get_at(v, &v->common, registers[r].pci, registers[r].pci_bytes)
                  : get_at(v, &v->common, registers[r].mmio, 4);
}

static void put(const struct virtio *v, enum reg r, uint32_t value)
{
    if (v->pci)
        put_at(v, &v->common, registers[r].pci, registers[r].pci_bytes, value);
    else
        put_at(v, &v->common, registers[r].mmio, 4, value);
}

static void put_address(const struct virtio *v, enum reg r, uint64_t address)
{
    uint32_t at = v->pci ? registers[r].pci : registers[r].mmio;
    put_at(v, &v->common, at, 4, (uint32_t)address);
    put_at(v, &v->common, at + 4, 4, (uint32_t)(address >> 32));
}

uint32_t virtio_config(const struct virtio *v, uint32_t offset, uint32_t bytes)
{
    return get_at(v, &v->config, offset, bytes);
}

// --- The device

static uint32_t configuration(const struct virtio *v, uint32_t offset, uint32_t bytes)
{
    return (uint32_t)sip_must(nebulet_device_read(v->device, CONFIGURATION, offset, bytes),
                              "virtio: configuration");
}

// 4.1.4: capabilities say in which BARs the structures are. The list may be a circle.
static void find_parts(struct virtio *v)
{
    struct virtio_part *const parts[] = {NULL, &v->common, &v->notify, &v->isr, &v->config};
    uint32_t at = configuration(v, PCI_FIRST_CAPABILITY, 1) & ~3u;
    for (uint32_t i = 0; at && i < CAPABILITIES_MAX; i++) {
        uint32_t kind = configuration(v, at + 3, 1), what = configuration(v, at, 1);
        v->messages |= what == CAPABILITY_MESSAGES;
        if (what == CAPABILITY_VENDOR && kind < 5 && parts[kind]) {
            *parts[kind] =
                (struct virtio_part){configuration(v, at + 4, 1), configuration(v, at + 8, 4)};
            if (kind == 2)
                v->notify_multiplier = configuration(v, at + 16, 4);
        }
        at = configuration(v, at + 1, 1) & ~3u;
    }
}

static bool is(const struct nebulet_device *about, uint32_t type)
{
    return about->vendor == 0x1af4 && about->id == type + (about->bus == NEBULET_PCI ? 0x1040 : 0);
}

static void set_device(struct virtio *v, const struct nebulet_device *about, nebulet_handle device)
{
    *v = (struct virtio){.device = device, .interrupt = NEBULET_NO_HANDLE};
    v->pci = about->bus == NEBULET_PCI;
    if (v->pci)
        find_parts(v);
    else
        v->config.offset = MMIO_CONFIG;
}

static void receive(struct virtio *v, struct nebulet_device *about, uint32_t type)
{
    char name[64];
    nebulet_handle device;
    sip_must(sip_recv_handle(0, name, sizeof name, &device), "virtio: the first message");
    if (device == NEBULET_NO_HANDLE)
        sip_panic("virtio: no device");
    sip_must(nebulet_device_info(device, about), "virtio: device_info");
    if (!is(about, type))
        sip_panic("virtio: this is device %x, not %x", about->id, type);
    set_device(v, about, device);
}

static void map_registers(struct virtio *v, const struct nebulet_device *about)
{
    static _Alignas(4096) uint8_t window[16 * 4096];
    v->mapped = v->common.range;
    if (v->mapped >= NEBULET_RANGES || about->sizes[v->mapped] + 4096 > sizeof window)
        return;
    int64_t at = nebulet_device_map(v->device, v->mapped, (uint32_t)(uintptr_t)window);
    if (at == NEBULET_ERR_ACCESS_DENIED) // other devices are in that page
        return;
    v->registers = window + sip_must(at, "virtio: device_map");
    v->mapped_bytes = about->sizes[v->mapped];
}

static uint64_t offered_features(const struct virtio *v)
{
    uint64_t features = 0;
    for (uint32_t word = 0; word < 2; word++) {
        put(v, FEATURES_WORD, word);
        features |= (uint64_t)get(v, FEATURES) << 32 * word;
    }
    return features;
}

static void accept(const struct virtio *v)
{
    for (uint32_t word = 0; word < 2; word++) {
        put(v, ACCEPTED_WORD, word);
        put(v, ACCEPTED, (uint32_t)(v->features >> 32 * word));
    }
    put(v, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    if (!(get(v, STATUS) & FEATURES_OK))
        sip_panic("virtio: the device does not accept features %llx",
                  (unsigned long long)v->features);
}

static void negotiate(struct virtio *v, const struct nebulet_device *about, uint64_t wanted)
{
    map_registers(v, about);
    put(v, STATUS, 0);
    put(v, STATUS, ACKNOWLEDGE | DRIVER);
    v->features = offered_features(v) &
                  (wanted | VIRTIO_VERSION_1 | VIRTIO_EVENT_IDX | VIRTIO_ACCESS_PLATFORM);
    if (!(v->features & VIRTIO_VERSION_1))
        sip_panic("virtio: a device of before version 1");
    accept(v);
    v->interrupt = (nebulet_handle)sip_must(nebulet_interrupt_create(v->device, 0),
                                            "virtio: interrupt_create");
}

void virtio_open(struct virtio *v, uint32_t type, uint64_t wanted)
{
    struct nebulet_device about;
    receive(v, &about, type);
    negotiate(v, &about, wanted);
}

// *others: one of them is somebody else's.
static bool find(struct virtio *v, uint32_t type, struct nebulet_device *about,
                 bool (*fits)(const struct virtio *v), bool *others)
{
    *others = false;
    for (uint32_t i = 0; nebulet_device_list(i, about) >= 0; i++) {
        int64_t device = is(about, type) ? nebulet_device_open(i) : NEBULET_ERR_NOT_FOUND;
        *others |= device == NEBULET_ERR_ALREADY_OWNED;
        if (device < 0)
            continue;
        set_device(v, about, (nebulet_handle)device);
        if (fits(v))
            return true;
        sip_close((nebulet_handle)device);
    }
    return false;
}

void virtio_find(struct virtio *v, uint32_t type, uint64_t wanted,
                 bool (*fits)(const struct virtio *v))
{
    struct nebulet_device about;
    bool others;
    uint64_t until = sip_after(10 * SIP_SECOND);
    while (!find(v, type, &about, fits, &others)) {
        if (!others || sip_now() > until)
            sip_panic("virtio: there is no such device %x", type);
        sip_sleep(SIP_MS);
    }
    negotiate(v, &about, wanted);
}

nebulet_handle virtio_memory_shared(struct virtio *v, struct virtio_memory *m, void *window,
                                    uint32_t bytes)
{
    nebulet_handle memory =
        (nebulet_handle)sip_must(nebulet_dma_create(v->device, bytes), "virtio: dma_create");
    sip_must(nebulet_memory_map(memory, (uint32_t)(uintptr_t)window, 0, bytes),
             "virtio: memory_map");
    m->at = window;
    m->bytes = bytes;
    m->physical = (uint64_t)sip_must(nebulet_dma_address(memory), "virtio: dma_address");
    return memory;
}

void virtio_memory(struct virtio *v, struct virtio_memory *m, void *window, uint32_t bytes)
{
    sip_close(virtio_memory_shared(v, m, window, bytes));
}

void virtio_ready(struct virtio *v)
{
    put(v, STATUS, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
}

// --- Queues: descriptors, then the ring of what is offered, then that of what is done.

void virtio_queue(struct virtio *v, struct virtio_queue *q, uint32_t number, uint32_t size,
                  const struct virtio_memory *m, uint32_t offset)
{
    uint32_t available = 16 * size, used = (available + 6 + 2 * size + 3) & ~3u;
    if (size > VIRTIO_QUEUE_MAX || offset % 16 || offset + virtio_queue_bytes(size) > m->bytes)
        sip_panic("virtio: no room for queue %u", number);
    put(v, QUEUE, number);
    if (get(v, QUEUE_MOST) < size)
        sip_panic("virtio: queue %u has only %u places", number, get(v, QUEUE_MOST));
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
    put(v, QUEUE_SIZE, size);
    put_address(v, DESCRIPTORS, physical);
    put_address(v, AVAILABLE, physical + available);
    put_address(v, USED, physical + used);
    if (v->pci) {
        if (v->messages)
            put_at(v, &v->common, PCI_QUEUE_INTERRUPT, 2, 0);
        q->notify_at = get_at(v, &v->common, PCI_QUEUE_NOTIFY, 2) * v->notify_multiplier;
    } else {
        q->notify_at = MMIO_NOTIFY;
    }
    put(v, QUEUE_READY, 1);
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
    uint16_t since = (uint16_t)(q->offered - q->kicked);
    if (!since)
        return;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    q->available[1] = q->offered;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    bool wanted = !(*(volatile uint16_t *)q->used & NO_NOTIFICATIONS);
    if (q->device->features & VIRTIO_EVENT_IDX)
        wanted = (uint16_t)(q->offered - *q->available_event - 1) < since;
    q->kicked = q->offered;
    if (wanted)
        put_at(q->device, &q->device->notify, q->notify_at, q->device->pci ? 2 : 4, q->number);
}

static uint16_t done(const struct virtio_queue *q)
{
    uint16_t n = *(volatile uint16_t *)(q->used + 2);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    if ((uint16_t)(n - q->taken) > (uint16_t)(q->offered - q->taken))
        sip_panic("virtio: queue %u: the device is done with more than it was given", q->number);
    return n;
}

bool virtio_take_one(struct virtio_queue *q, uint32_t *first, uint32_t *bytes)
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
    virtio_want(q, n);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return (uint16_t)(done(q) - q->taken) < n;
}

void virtio_acknowledge(struct virtio *v)
{
    if (!v->pci) // whatever it was for
        put_at(v, &v->common, MMIO_ACKNOWLEDGE, 4, MMIO_REASONS);
    else if (!v->messages)
        get_at(v, &v->isr, 0, 1);
    sip_must(nebulet_interrupt_ack(v->interrupt), "virtio: interrupt_ack");
}

void virtio_wait(struct virtio_queue *q)
{
    while (virtio_arm(q, 1)) {
        sip_must(sip_wait(q->device->interrupt, NEBULET_EVENT_SIGNALED), "virtio: waiting");
        virtio_acknowledge(q->device);
    }
}
