// SPDX-License-Identifier: MIT
// Unit test of user/drv/virtio.c and of the driver of disks on it, on Linux, against a device that
// lies: indices, chains, lengths, flags, registers, capabilities, at any time, from never to
// always. A driver that finds out ends (here: a jump), which is right; what must not be is that it
// reads or writes beyond its memory (the sanitizers look, and the queue's memory ends where
// malloc's block does), takes what it has not given, or tells a client of bytes that the device has
// not written. A device that never lies is served to the end.
#pragma clang diagnostic ignored "-Wignored-attributes"
#pragma clang diagnostic ignored "-Wunknown-attributes"
#pragma clang diagnostic ignored "-Wshadow"
#include "user/drv/virtio.c"
// The driver has names of its own.
#define QUEUE BLK_QUEUE
#define STATUS BLK_STATUS
#define main blk_main
int blk_main(int argc, char **argv);
#include "user/drv/virtio-blk/main.c"
#undef main
#undef QUEUE
#undef STATUS

#include <setjmp.h>
#include <stdio.h>

enum { CASES = 100000, STEPS = 60, TURNS = 12, WAITS = 8 };
enum { DEVICE_HANDLE = 5, DMA_HANDLE, INTERRUPT_HANDLE, CLIENT_HANDLE = 100, MEMORY_HANDLE = 200 };
#define PHYSICAL 0x100000ull

static int passed, failed;
#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (what) {                                                                                \
            passed++;                                                                              \
        } else {                                                                                   \
            failed++;                                                                              \
            printf("%s:%d: case %u: %s\n", __FILE__, __LINE__, number, #what);                     \
        }                                                                                          \
    } while (0)

static uint32_t number; // of the case
static uint64_t seed;
static jmp_buf end;
static uint32_t ended, served;
static uint8_t *block; // a queue's memory, no more

static uint32_t any(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

static uint32_t below(uint32_t n)
{
    return any() % n;
}

// --- The device: what it lies about is a matter of chance, `lies` in 1,024.
static struct {
    uint32_t lies;
    bool pci, on_map;
    uint32_t words[2]; // registers that select
    uint8_t configuration[256];
    uint8_t *memory; // of the queue
    uint32_t memory_bytes;
    uint16_t seen, done; // of the ring of what is offered, and of what is done
    uint32_t waits;
} model;

static bool lie(void)
{
    return below(1024) < model.lies;
}

static uint32_t truth(uint32_t offset)
{
    bool mmio = !model.pci;
    if (offset == (mmio ? 0x10u : 4u))
        return model.words[0] ? 1 : 1u << 29 | 1u << FEATURE_FLUSH;
    if (offset == (mmio ? 0x70u : 20u))
        return model.words[1];
    if (offset == (mmio ? 0x34u : 24u))
        return 256;
    return mmio && offset == 0x100 ? 4096 : 0; // sectors
}

int64_t nebulet_device_read(nebulet_handle device, uint32_t range, uint32_t offset, uint32_t bytes)
{
    (void)device;
    if (range >= NEBULET_RANGES || offset >= 4096 || (bytes & (bytes - 1)) || offset % bytes)
        return NEBULET_ERR_OUT_OF_BOUNDS;
    if (lie())
        return any() & (UINT32_MAX >> (32 - 8 * bytes));
    if (range == CONFIGURATION && offset < sizeof model.configuration - 4) {
        uint32_t value = 0;
        memcpy(&value, model.configuration + offset, bytes);
        return value;
    }
    return model.pci && range == 1 ? (offset ? 0 : 4096) : truth(offset);
}

int64_t nebulet_device_write(nebulet_handle device, uint32_t range, uint32_t offset, uint32_t bytes,
                             uint32_t value)
{
    (void)device;
    if (range >= NEBULET_RANGES || offset >= 4096 || (bytes & (bytes - 1)) || offset % bytes)
        return NEBULET_ERR_OUT_OF_BOUNDS;
    if (range == 0 && offset == (model.pci ? 0u : 0x14u))
        model.words[0] = value;
    if (range == 0 && offset == (model.pci ? 20u : 0x70u))
        model.words[1] = value;
    return 0;
}

// A list of capabilities: the common structure, notifications, the device's own, and a circle.
static void fill_configuration(void)
{
    static const uint8_t kinds[] = {1, 2, 4, 5}, ranges[] = {0, 2, 1, 3};
    uint8_t *c = model.configuration;
    memset(c, 0, sizeof model.configuration);
    c[0x34] = 0x40;
    for (uint32_t i = 0; i < 4; i++) {
        uint8_t *at = c + 0x40 + 0x20 * i;
        at[0] = CAPABILITY_VENDOR;
        at[1] = (uint8_t)(0x40 + 0x20 * ((i + 1) % 4));
        at[3] = kinds[i];
        at[4] = ranges[i];
        at[16] = 4;
    }
    for (uint32_t i = 0; i < sizeof model.configuration; i++)
        if (below(16) == 0 && lie())
            c[i] = (uint8_t)any();
}

int64_t nebulet_device_info(nebulet_handle device, struct nebulet_device *out)
{
    (void)device;
    *out = (struct nebulet_device){.bus = model.pci ? NEBULET_PCI : NEBULET_VIRTIO_MMIO,
                                   .vendor = 0x1af4,
                                   .id = model.pci ? 0x1042 : 2};
    for (uint32_t i = 0; i < NEBULET_RANGES; i++)
        out->sizes[i] = i == CONFIGURATION ? 256 : 4096u << i;
    return 0;
}

// What is mapped is plain memory, whose bytes are those that were there, or any.
int64_t nebulet_device_map(nebulet_handle device, uint32_t range, uint32_t address)
{
    (void)device, (void)range, (void)address;
    return model.on_map ? (int64_t)below(4) * 4 : NEBULET_ERR_ACCESS_DENIED;
}

int64_t nebulet_dma_create(nebulet_handle device, uint64_t bytes)
{
    (void)device, (void)bytes;
    return DMA_HANDLE;
}

int64_t nebulet_dma_address(nebulet_handle memory)
{
    (void)memory;
    return (int64_t)PHYSICAL;
}

int64_t nebulet_memory_map(nebulet_handle memory, uint32_t address, uint64_t offset, uint32_t bytes)
{
    (void)memory, (void)address, (void)offset, (void)bytes;
    return 0;
}

int64_t nebulet_memory_unmap(uint32_t address, uint32_t bytes)
{
    (void)address, (void)bytes;
    return 0;
}

int64_t nebulet_interrupt_create(nebulet_handle device, uint32_t n)
{
    (void)device, (void)n;
    return INTERRUPT_HANDLE;
}

int64_t nebulet_interrupt_ack(nebulet_handle interrupt)
{
    (void)interrupt;
    return 0;
}

// A disk's sector is full of its number.
static void fill(uint8_t *to, uint32_t bytes, uint64_t sector)
{
    memset(to, (uint8_t)(sector * 7 + 1), bytes);
}

static uint8_t *reach(uint64_t address, uint32_t bytes)
{
    uint64_t offset = address - PHYSICAL;
    return address >= PHYSICAL && offset <= model.memory_bytes &&
                   bytes <= model.memory_bytes - offset
               ? model.memory + offset
               : NULL;
}

// How many bytes an honest disk has written.
static uint32_t serve(const struct virtio_queue *q, uint32_t first)
{
    volatile struct virtio_descriptor *d = &q->descriptors[first % q->size];
    uint8_t *header = reach(d->address, sizeof(struct header)), *data = NULL, *status;
    uint32_t bytes = 0, type;
    uint64_t sector;
    if (!header || !(d->flags & VIRTIO_NEXT))
        return 0;
    memcpy(&type, header, 4);
    memcpy(&sector, header + 8, 8);
    d = &q->descriptors[d->next % q->size];
    if (d->flags & VIRTIO_NEXT) {
        bytes = d->bytes;
        data = reach(d->address, bytes);
        d = &q->descriptors[d->next % q->size];
    }
    status = reach(d->address, 1);
    if (data && type != TYPE_OUT)
        fill(data, bytes, sector);
    if (status)
        *status = lie() ? (uint8_t)any() : STATUS_OK;
    return 1 + (data && type != TYPE_OUT ? bytes : 0);
}

static void put16(volatile void *at, uint16_t value)
{
    *(volatile uint16_t *)at = value;
}

// Is done with one chain, if there is one, and tells of it, or of anything else.
static void step(const struct virtio_queue *q)
{
    if (model.seen != q->available[1]) {
        uint32_t first = q->available[2 + (model.seen++ & (q->size - 1))];
        uint32_t bytes = serve(q, first);
        volatile uint32_t *e =
            (volatile uint32_t *)(q->used + 4 + 8 * (model.done++ & (q->size - 1)));
        e[0] = lie() ? (below(2) ? any() : below(2 * q->size)) : first;
        e[1] = lie() ? (below(2) ? any() : below(MOST + 2)) : bytes;
        put16(q->used + 2, model.done);
    }
    *q->available_event = model.seen;
    if (lie())
        put16(q->used, (uint16_t)any());
    if (lie())
        put16(q->used + 2, (uint16_t)(below(2) ? any() : model.done + below(4)));
    if (lie())
        *q->available_event = (uint16_t)any();
    if (lie())
        model.memory[below(model.memory_bytes)] = (uint8_t)any();
}

// --- libsip

void sip_panic(const char *format, ...)
{
    (void)format;
    longjmp(end, 1);
}

void sip_fail(int64_t result, const char *what)
{
    (void)result;
    sip_panic("%s", what);
}

int64_t sip_recv_handle(nebulet_handle channel, void *bytes, size_t room, nebulet_handle *handle)
{
    (void)channel, (void)bytes, (void)room;
    *handle = DEVICE_HANDLE;
    return 0;
}

void sip_close(nebulet_handle handle)
{
    (void)handle;
}

int64_t sip_wait(nebulet_handle object, uint32_t signals)
{
    (void)object, (void)signals;
    if (++model.waits > WAITS)
        longjmp(end, 1); // killed, for it waits for ever
    step(&queue);
    return 0;
}

uint64_t sip_now(void)
{
    static uint64_t now;
    return now += below(1000000);
}

uint64_t sip_after(uint64_t ns)
{
    return sip_now() + ns;
}

static void begin_device(void)
{
    static const uint32_t often[] = {0, 0, 4, 64, 512, 1024};
    uint32_t lies = often[below(6)];
    memset(&model, 0, sizeof model);
    model.pci = below(2);
    model.on_map = model.pci && lies && !below(8);
    model.lies = lies;
    fill_configuration();
}

// --- Rings by themselves

static void rings(void)
{
    static struct virtio v;
    static struct virtio_queue q;
    static bool out[VIRTIO_QUEUE_MAX];
    uint32_t size = 1u << below(9), bytes = virtio_queue_bytes(size), given = 0, taken = 0;
    struct virtio_memory m = {block = calloc(1, bytes), PHYSICAL, bytes};
    model.memory = block;
    model.memory_bytes = bytes;
    memset(out, 0, sizeof out);
    virtio_open(&v, VIRTIO_BLK, 0);
    virtio_queue(&v, &q, 0, size, &m, 0);
    virtio_ready(&v);
    for (uint32_t i = 0; i < STEPS; i++) {
        uint32_t first = below(size), what = below(4), got;
        if (what == 0 && !out[first]) {
            virtio_describe(&q, first, PHYSICAL, 1, 0, 0);
            virtio_offer(&q, first);
            out[first] = true;
            given++;
        } else if (what == 1) {
            virtio_kick(&q);
        } else if (what == 2) {
            step(&q);
        } else if (virtio_take(&q, &first, &got)) {
            CHECK(first < size && out[first] && ++taken <= given);
            out[first] = false;
        }
        if (!below(8))
            virtio_arm(&q, 1 + below(4));
    }
    for (virtio_kick(&q); !model.lies && taken < given; taken++) {
        uint32_t first, got;
        step(&q);
        virtio_wait(&q);
        CHECK(virtio_take(&q, &first, &got) && out[first]);
        out[first] = false;
    }
    served++;
}

// --- The driver of disks, and its clients, who ask for anything

static struct sip_client clients[CLIENTS + 1];
static struct asked {
    struct block_request r;
    bool used;
} asked[CLIENTS + 1][BLOCK_MOST];

int64_t nebulet_memory_size(nebulet_handle memory)
{
    (void)memory;
    return BLOCK_MEMORY_MOST / 16;
}

static bool holds(const uint8_t *at, uint32_t bytes, uint64_t sector)
{
    for (uint32_t i = 0; i < bytes; i++)
        if (at[i] != (uint8_t)(sector * 7 + 1))
            return false;
    return true;
}

static void check_answer(uint32_t client, const struct block_answer *a)
{
    CHECK(a->tag < BLOCK_MOST && asked[client][a->tag].used);
    struct block_request r = asked[client][a->tag % BLOCK_MOST].r;
    asked[client][a->tag % BLOCK_MOST].used = false;
    if (r.op > BLOCK_GET_ID || (r.op < BLOCK_FLUSH && !r.bytes))
        CHECK(a->result == NEBULET_ERR_INVALID_ARG);
    if (a->result < 0 || model.lies > 4)
        return;
    const struct state *c = clients[client].state;
    if (r.op == BLOCK_READ && !model.lies)
        CHECK(a->result == (int32_t)r.bytes && holds(c->memory + r.offset, r.bytes, r.sector));
}

int64_t nebulet_channel_send(nebulet_handle channel, const void *bytes, uint32_t size,
                             nebulet_handle *handles, uint32_t n, uint64_t deadline)
{
    const struct block_answer *a = bytes;
    (void)handles, (void)n, (void)deadline;
    for (uint32_t i = 0; i < size / sizeof *a; i++)
        check_answer(channel - CLIENT_HANDLE, &a[i]);
    return 0;
}

int64_t sip_answer(struct sip_client *client, const void *bytes, size_t size)
{
    (void)client, (void)bytes, (void)size;
    return 0;
}

// At most a whole window, and places that do not overlap, where what comes is to be looked at.
static struct block_request a_request(uint32_t tag)
{
    uint32_t bytes = (1 + below(4)) * BLOCK_SECTOR, offset = tag * 4 * BLOCK_SECTOR;
    struct block_request r = {below(5), tag, below(4100), offset, bytes};
    if (!below(8))
        r.sector = any();
    if (!below(8))
        r.bytes = below(2) ? below(2048) : MOST + 1 + below(4) * 511;
    if (!below(8))
        r.offset = below(2) ? UINT32_MAX - below(600) : BLOCK_MEMORY_MOST / 16 - below(512);
    return r;
}

static void ask(struct sip_service *s, uint32_t i)
{
    struct block_request r[BLOCK_MOST];
    uint32_t n = 0;
    for (uint32_t tag = 0; tag < BLOCK_MOST; tag++)
        if (!asked[i][tag].used && below(2)) {
            r[n] = a_request(tag);
            asked[i][tag] = (struct asked){r[n++], true};
        }
    if (!n)
        return;
    struct sip_request request = {(const uint8_t *)r, n * (uint32_t)sizeof *r, 0, NULL};
    CHECK(s->request(s, &clients[i], &request) == (clients[i].state ? SIP_GO_ON : SIP_HANG_UP));
}

// A client that the driver cannot have, one that sends what is no request, and one that goes.
static void misbehave(struct sip_service *s)
{
    uint8_t bytes[BLOCK_MOST * sizeof(struct block_request) + 24] = {0};
    uint32_t i = below(CLIENTS), size = 1 + below(sizeof bytes);
    struct sip_request request = {bytes, size, 0, NULL};
    CHECK(!clients[CLIENTS].state);
    CHECK(s->request(s, &clients[CLIENTS], &request) == SIP_HANG_UP);
    if (size % sizeof(struct block_request) || size > sizeof bytes - 24)
        CHECK(s->request(s, &clients[i], &request) == SIP_HANG_UP);
}

// There is no place for who comes while all are another's, or the device's still.
static void come(struct sip_service *s, uint32_t i)
{
    bool room = false;
    for (uint32_t k = 0; k < CLIENTS; k++)
        room |= !states[k].used && !states[k].in_flight;
    nebulet_handle given = MEMORY_HANDLE;
    struct sip_request request = {NULL, 0, 1, &given};
    clients[i] = (struct sip_client){.channel = CLIENT_HANDLE + i};
    memset(asked[i], 0, sizeof asked[i]);
    s->connected(s, &clients[i]);
    CHECK(!clients[i].state == !room);
    if (room)
        CHECK(s->request(s, &clients[i], &request) == SIP_GO_ON);
}

int64_t sip_serve(const char *name, struct sip_service *s)
{
    (void)name;
    for (uint32_t i = 0; i <= CLIENTS; i++)
        come(s, i);
    for (uint32_t i = 0; i < TURNS; i++) {
        uint32_t client = below(CLIENTS);
        ask(s, client);
        for (uint32_t k = below(20); k; k--)
            step(&queue);
        s->look(s, below(2));
        if (!below(6))
            misbehave(s);
        if (!below(6) || !clients[client].state) {
            s->gone(s, &clients[client]);
            come(s, client);
        }
    }
    for (uint32_t k = 0; k < SLOTS && !model.lies; k++)
        step(&queue);
    s->look(s, true);
    CHECK(model.lies || !in_flight);
    for (uint32_t k = 0; k < CLIENTS; k++)
        CHECK(model.lies || !states[k].in_flight);
    served++;
    return 0;
}

static void disks(void)
{
    memset(states, 0, sizeof states);
    memset(slots, 0, sizeof slots);
    memset(window, 0, sizeof window);
    free_slots = in_flight = 0;
    model.memory = window;
    model.memory_bytes = sizeof window;
    blk_main(0, NULL);
}

int main(void)
{
    for (number = 0; number < CASES; number++) {
        seed = number * 0x9e3779b97f4a7c15u + 1;
        begin_device();
        bool disk = number % 4 == 3;
        uint32_t before = served;
        if (setjmp(end))
            ended++;
        else if (disk)
            disks();
        else
            rings();
        CHECK(model.lies || served == before + 1);
        free(block);
        block = NULL;
    }
    printf("%u cases, %u to their end, %u ended by the driver\n", CASES, served, ended);
    CHECK(ended > CASES / 10 && served > CASES / 3);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
