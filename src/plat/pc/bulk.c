// SPDX-License-Identifier: MIT
// The quick way for the console's bytes: port 1 of a virtio console (virtio 1.2, 5.3). It carries
// what the serial port would carry (serial.c, which decides when), and knows nothing of it. (Not
// port 0, which would not have to be opened: QEMU drops what nobody takes at once there.)
//
// It is the platform's, and no driver's, for what it carries must come out whoever dies: traces,
// exit codes, the end of the machine. So it is small: one chain of output at a time, straight from
// the ring that bytes wait in, and a few buffers for input. What the device says is read once and
// cannot lead outside of these.
//
// All but bulk_open is called with the port's lock.
#include "plat/pc/device.h"
#include "plat/pc/iommu.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8, VERSION_1_WORD = 1 };
enum { VERSION_1 = 1 << 0, ACCESS_PLATFORM = 1 << 1 }; // in that word
enum { CONTROL, IN, OUT, QUEUES, FIRST_QUEUE = 3 };    // the first is what we say of ports
enum { PLACES = 4, PART = PLAT_PAGE };
enum { MULTIPORT = 1 << 1, PORT = 1, DEVICE_READY = 0, PORT_READY = 3, PORT_OPEN = 6 };
enum { NEXT = 1, DEVICE_WRITES = 2 };
enum { MMIO_NOTIFY = 0x50, MMIO_ISR = 0x60, MMIO_ACKNOWLEDGE = 0x64 };
enum { PCI_INTERRUPT = 26, PCI_NOTIFY = 30 };
enum { RING_PAGES = BULK_IN / PLAT_PAGE, PAGES = 1 + PLACES + RING_PAGES, ORDER = 5 };
_Static_assert(PAGES <= 1 << ORDER, "in one piece");

struct queue { // 2.7, for the device to see; each at an alignment of its own
    struct {
        u64 address;
        u32 bytes;
        u16 flags, next;
    } descriptors[PLACES];
    struct {
        u16 flags, index, ring[PLACES], event;
    } available;
    struct {
        u16 flags, index;
        struct {
            u32 first, bytes;
        } ring[PLACES];
        u16 event;
    } used __attribute__((aligned(4)));
} __attribute__((aligned(16)));

static struct {
    const struct found *device; // NULL: there is none, or it is not open
    u64 notify[QUEUES];
    volatile struct queue *queues; // QUEUES
    u8 *parts;                     // PLACES of them, for input
    u16 taken[QUEUES];             // of what the device is done with
} bulk;

// --- Registers: where they are in memory, on PCI, and how large there.
struct reg {
    u8 mmio, pci, pci_bytes;
};
static const struct reg features_word = {0x14, 0, 4}, features = {0x10, 4, 4},
                        accepted_word = {0x24, 8, 4}, accepted = {0x20, 12, 4},
                        status_ = {0x70, 20, 1}, queue_select = {0x30, 22, 2},
                        queue_size = {0x38, 24, 2}, queue_ready = {0x44, 28, 2},
                        addresses[] = {{0x80, 32, 4}, {0x90, 40, 4}, {0xa0, 48, 4}};

static void put_at(u64 at, u32 bytes, u32 value)
{
    if (bytes == 1)
        *(volatile u8 *)at = (u8)value;
    else if (bytes == 2)
        *(volatile u16 *)at = (u16)value;
    else
        *(volatile u32 *)at = value;
}

static bool is_pci(const struct found *d)
{
    return d->about.bus == BUS_PCI;
}

static void put(const struct found *d, struct reg r, u32 value)
{
    put_at(is_pci(d) ? d->common + r.pci : d->about.ranges[0].base + r.mmio,
           is_pci(d) ? r.pci_bytes : 4, value);
}

static u32 get(const struct found *d, struct reg r)
{
    u64 at = is_pci(d) ? d->common + r.pci : d->about.ranges[0].base + r.mmio;
    return is_pci(d) && r.pci_bytes == 1 ? *(volatile u8 *)at : *(volatile u32 *)at;
}

// --- Beginning

static bool negotiate(const struct found *d)
{
    put(d, status_, 0);
    put(d, status_, ACKNOWLEDGE | DRIVER);
    put(d, features_word, VERSION_1_WORD);
    u32 offered = get(d, features);
    if (!(offered & VERSION_1))
        return false;
    for (u32 word = 0; word < 2; word++) {
        put(d, accepted_word, word);
        put(d, accepted,
            word == VERSION_1_WORD ? offered & (VERSION_1 | ACCESS_PLATFORM) : MULTIPORT);
    }
    put(d, status_, ACKNOWLEDGE | DRIVER | FEATURES_OK);
    return get(d, status_) & FEATURES_OK;
}

static void set_queue(const struct found *d, u32 n)
{
    volatile struct queue *q = &bulk.queues[n];
    u64 parts[] = {(u64)&q->descriptors, (u64)&q->available, (u64)&q->used};
    put(d, queue_select, FIRST_QUEUE + n);
    put(d, queue_size, PLACES);
    for (u32 i = 0; i < countof(parts); i++) {
        struct reg low = addresses[i], high = {low.mmio + 4, low.pci + 4, 4};
        put(d, low, (u32)parts[i]);
        put(d, high, (u32)(parts[i] >> 32));
    }
    bulk.notify[n] = d->about.ranges[0].base + MMIO_NOTIFY;
    if (is_pci(d)) {
        put_at(d->common + PCI_INTERRUPT, 2, 0);
        bulk.notify[n] =
            d->notify + *(volatile u16 *)(d->common + PCI_NOTIFY) * (u64)d->notify_multiplier;
    }
    put(d, queue_ready, 1);
}

// Its index is written when all else is there, and before the device is told.
static void offer(u32 n, u16 first)
{
    volatile struct queue *q = &bulk.queues[n];
    u16 at = q->available.index;
    q->available.ring[at % PLACES] = first;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    q->available.index = (u16)(at + 1);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    put_at(bulk.notify[n], is_pci(bulk.device) ? 2 : 4, FIRST_QUEUE + n);
}

static void describe(u32 n, u32 i, const u8 *p, u32 bytes, u16 flags, u16 next)
{
    volatile struct queue *q = &bulk.queues[n];
    q->descriptors[i].address = (u64)p;
    q->descriptors[i].bytes = bytes;
    q->descriptors[i].flags = flags;
    q->descriptors[i].next = next;
}

static const struct {
    u32 port;
    u16 what, value;
} said[] = {{0, DEVICE_READY, 1}, {PORT, PORT_READY, 1}, {PORT, PORT_OPEN, 1}};

// Nobody waits for an answer: what is said is done in turn.
static void open_port(void)
{
    for (u16 i = 0; i < countof(said); i++) {
        describe(CONTROL, i, (const u8 *)&said[i], sizeof said[i], 0, 0);
        offer(CONTROL, i);
    }
}

// With an IOMMU it reaches its pages; and reads what is said, and the ring of output.
static bool confine(const struct found *d, u64 page, const u8 *out, u32 bytes)
{
    u32 n = (u32)(d - devices);
    u64 from = (u64)said & ~(PLAT_PAGE - 1), to = ALIGN_UP((u64)said + sizeof said, PLAT_PAGE);
    if (!iommu_on())
        return true;
    if (!iommu_map(n, page, PAGES * PLAT_PAGE, true) && !iommu_map(n, from, to - from, false) &&
        !iommu_map(n, (u64)out, bytes, false)) {
        vm_keep(iommu_pages(n));
        return true;
    }
    while (!iommu_drop(n))
        ;
    return false;
}

u8 *bulk_open(const u8 *out, u32 bytes)
{
    const struct found *d = device_of_console();
    u64 page = d ? page_alloc(ORDER) : 0;
    if (!page)
        return NULL;
    page_free_run(page + PAGES * PLAT_PAGE, (1 << ORDER) - PAGES);
    if (is_pci(d))
        pci_reach(d);
    if ((is_pci(d) && !(d->notify && d->msix)) || !negotiate(d) || !confine(d, page, out, bytes)) {
        page_free_run(page, PAGES);
        return NULL;
    }
    vm_keep(PAGES); // for as long as the machine runs
    page_clear(page);
    bulk.queues = (volatile struct queue *)page;
    bulk.parts = (u8 *)page + PLAT_PAGE;
    for (u32 n = 0; n < QUEUES; n++)
        set_queue(d, n);
    device_lead(d, VECTOR_BULK);
    put(d, status_, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK);
    bulk.device = d;
    open_port();
    for (u16 i = 0; i < PLACES; i++) {
        describe(IN, i, bulk.parts + i * PART, PART, DEVICE_WRITES, 0);
        offer(IN, i);
    }
    return bulk.parts + PLACES * PART;
}

// --- What it is done with

static bool is_done(u32 n)
{
    bool done = bulk.queues[n].used.index != bulk.taken[n];
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return done;
}

void bulk_send(const u8 *a, u32 n, const u8 *b, u32 m)
{
    describe(OUT, 0, a, n, m ? NEXT : 0, 1);
    describe(OUT, 1, b, m, 0, 0);
    offer(OUT, 0);
}

bool bulk_sent(void)
{
    bool sent = is_done(OUT);
    bulk.taken[OUT] += sent;
    return sent;
}

const u8 *bulk_received(u32 *n)
{
    if (!is_done(IN))
        return NULL;
    volatile struct queue *q = &bulk.queues[IN];
    u32 at = bulk.taken[IN] % PLACES, bytes = q->used.ring[at].bytes;
    *n = bytes < PART ? bytes : PART;
    return bulk.parts + q->used.ring[at].first % PLACES * PART;
}

void bulk_receive(const u8 *part)
{
    bulk.taken[IN]++;
    offer(IN, (u16)((part - bulk.parts) / PART));
}

// In memory it is a line, which stays up until then; on PCI a message.
void bulk_acknowledge(void)
{
    if (!bulk.device || is_pci(bulk.device))
        return;
    u64 base = bulk.device->about.ranges[0].base;
    put_at(base + MMIO_ACKNOWLEDGE, 4, *(volatile u32 *)(base + MMIO_ISR));
}
