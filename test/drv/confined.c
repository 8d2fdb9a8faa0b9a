// SPDX-License-Identifier: MIT
// Drivers that aim their devices at memory that is not theirs: `confined disk|rng|interrupts` where
// an IOMMU sees to it that they fail, `open` where there is none and they succeed (doc/drivers.md
// says so). Each try is a process of its own, with a device that writes what it has (rng) or reads
// what it is not to know (disk); the memory that it aims at belongs to the card of the network,
// which is ours, or is the kernel's, the machine's, or was the driver's own in another life.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../user/drv/virtio.h"

enum { QUEUE = 8, MEMORY = 4096, BYTES = 64, DONE = 10, CUT_OFF, NEITHER };
enum { KEPT = 64 << 10, PATTERN = 0x5a, HEADER = 2048, STATUS = 2080 };

static _Alignas(4096) uint8_t window[MEMORY], theirs[MEMORY];
static struct virtio device, card;
static struct virtio_queue queue;
static struct virtio_memory memory, victim;

static bool fits(const struct virtio *v)
{
    (void)v;
    return true;
}

// --- The driver

static void ask_rng(uint64_t address, uint32_t bytes)
{
    virtio_describe(&queue, 0, address, bytes, VIRTIO_DEVICE_WRITES, 0);
}

// Writes what is there to the first sector.
static void ask_disk(uint64_t address)
{
    memset(window + HEADER, 0, 16);
    window[HEADER] = 1;
    virtio_describe(&queue, 0, memory.physical + HEADER, 16, VIRTIO_NEXT, 1);
    virtio_describe(&queue, 1, address, 512, VIRTIO_NEXT, 2);
    virtio_describe(&queue, 2, memory.physical + STATUS, 1, VIRTIO_DEVICE_WRITES, 0);
}

// Whoever was cut off has an interrupt, and hears why from whatever it asks. The device may have
// said before that it was done.
static int look(bool done_is_enough)
{
    uint32_t first, bytes;
    for (uint64_t until = sip_after(10 * SIP_SECOND); sip_now() < until;) {
        if (nebulet_interrupt_ack(device.interrupt) == NEBULET_ERR_BAD_STATE)
            break;
        if (virtio_take(&queue, &first, &bytes) && done_is_enough)
            return DONE;
        nebulet_object_wait_one(device.interrupt, NEBULET_EVENT_SIGNALED, sip_after(SIP_MS));
    }
    bool cut_off = nebulet_device_read(device.device, 6, 0, 4) == NEBULET_ERR_BAD_STATE &&
                   nebulet_dma_create(device.device, 4096) == NEBULET_ERR_BAD_STATE &&
                   nebulet_device_write(device.device, 6, 0, 4, 0) == NEBULET_ERR_BAD_STATE &&
                   nebulet_interrupt_create(device.device, 1) == NEBULET_ERR_BAD_STATE;
    return cut_off ? CUT_OFF : NEITHER;
}

// The number of a page that the next one will hardly get as its own.
static int keep(void)
{
    nebulet_handle m = (nebulet_handle)sip_must(nebulet_dma_create(device.device, KEPT), "keep");
    return (int)((uint64_t)sip_must(nebulet_dma_address(m), "keep") + KEPT - 4096) >> 12;
}

static int driver(bool disk, const char *how, uint64_t address)
{
    virtio_find(&device, disk ? VIRTIO_BLK : VIRTIO_RNG, 0, fits);
    virtio_memory(&device, &memory, window, sizeof window);
    if (!strcmp(how, "keep"))
        return keep();
    if (!strcmp(how, "ring")) // what the device is offered, and what it has done, are there
        memory.physical = address;
    virtio_queue(&device, &queue, 0, QUEUE, &memory, 0);
    virtio_ready(&device);
    if (disk)
        ask_disk(address);
    else
        ask_rng(address, !strcmp(how, "forge") ? 4 : BYTES);
    virtio_offer(&queue, 0);
    virtio_kick(&queue);
    if (!strcmp(how, "wait")) { // as drivers do that know nothing of this
        virtio_wait(&queue);
        look(false);
        virtio_acknowledge(&device);
        return DONE;
    }
    return look(!strcmp(how, "plain") || !strcmp(how, "forge"));
}

// --- Who tries them

static nebulet_handle module;

static struct nebulet_exit try(const char *kind, const char *how, uint64_t address)
{
    char text[24];
    struct nebulet_options o = {.memory = 4 << 20,
                                .privileges = NEBULET_MAY_DEVICES | NEBULET_MAY_PRINT};
    struct nebulet_exit end;
    sip_format(text, sizeof text, "%llu", (unsigned long long)address);
    const char *args[] = {"driver", kind, how, text, NULL};
    nebulet_handle p =
        (nebulet_handle)sip_must(sip_start(module, args, &o, NEBULET_NO_HANDLE), "starting one");
    sip_must(sip_join(p, &end), "waiting");
    return end;
}

static void expect(const char *kind, const char *how, uint64_t address, int code)
{
    struct nebulet_exit end = try(kind, how, address);
    if (end.how != NEBULET_EXITED || (code ? end.code != code : end.code == DONE))
        sip_panic("%s, %s at %llx: ended by %u with %d, not %d", kind, how,
                  (unsigned long long)address, end.how, end.code, code);
}

static bool untouched(void)
{
    for (uint32_t i = 0; i < MEMORY; i++)
        if (((volatile uint8_t *)theirs)[i] != PATTERN)
            return false;
    return true;
}

static void test_confined(const char *kind)
{
    static const uint64_t places[] = {
        0x1000,     0x100000,           0x123000,   0x200000, // the kernel
        0x3000000,                                            // memory that may be anybody's
        0xfec00000, 0xfed90000,         0xfeb00000,           // the machine's registers
        1ull << 38, (1ull << 39) - 512, 1ull << 52, 0xffffffffffffe000,
    };
    for (uint32_t i = 0; i < sizeof places / sizeof *places; i++)
        expect(kind, "data", places[i], CUT_OFF);
    for (uint32_t i = 0; i < 3; i++)
        expect(kind, "ring", places[i], CUT_OFF);
    expect(kind, "data", victim.physical, CUT_OFF);
    expect(kind, "ring", victim.physical, CUT_OFF);
    expect(kind, "wait", victim.physical, 0);
    if (!untouched())
        sip_panic("%s has changed what is not its own", kind);
}

// Whoever writes to the interrupt controllers' addresses interrupts: others' devices by number, and
// the CPU itself, with an exception's number if it likes, but for remapping.
static void test_interrupts(bool by_number)
{
    for (uint32_t vector = 0; vector < 64; vector++) {
        uint64_t address = 0xfee00000 | (by_number ? 1u << 4 | vector << 5 : 0);
        struct nebulet_exit end = try("rng", "forge", address);
        if (end.how != NEBULET_EXITED || (end.code != DONE && end.code != CUT_OFF))
            sip_panic("interrupts at %llx: ended by %u with %d", (unsigned long long)address,
                      end.how, end.code);
    }
}

// What a driver was given is not even its device's any more when it has ended.
static void test_again(const char *kind)
{
    struct nebulet_exit end = try(kind, "keep", 0);
    if (end.how != NEBULET_EXITED || end.code < 256)
        sip_panic("%s: it has no memory: ended by %u with %d", kind, end.how, end.code);
    expect(kind, "data", (uint64_t)end.code << 12, CUT_OFF);
}

int main(int argc, char **argv)
{
    if (argc > 3)
        return driver(!strcmp(argv[1], "disk"), argv[2], strtoull(argv[3], NULL, 10));
    enum { MAX = 1 << 20 };
    char *bytes = malloc(MAX), message[100];
    int fd = open("/confined.wasm", O_RDONLY);
    ssize_t n = read(fd, bytes, MAX);
    module =
        (nebulet_handle)sip_must(sip_compile(bytes, (size_t)n, message, sizeof message), "myself");
    virtio_find(&card, VIRTIO_NET, 0, fits);
    virtio_memory(&card, &victim, theirs, sizeof theirs);
    memset(theirs, PATTERN, sizeof theirs);
    if (!strcmp(argv[1], "open")) {
        expect("disk", "plain", victim.physical, DONE);
        expect("rng", "plain", victim.physical, DONE);
        if (untouched())
            sip_panic("rng has not reached it");
    } else if (argv[1][0] == 'i') {
        test_interrupts(!strcmp(argv[1], "interrupts by number"));
    } else {
        test_confined(argv[1]);
        test_again(argv[1]);
    }
    sip_printf("confined\n");
    return 0;
}
