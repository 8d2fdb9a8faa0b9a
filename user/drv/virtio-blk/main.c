// SPDX-License-Identifier: MIT
// virtio-blk [NAME] (virtio 1.2, 5.2): the service NAME ("block"), whose contract is ../block.h.
//
// A request takes a slot: three descriptors, and a place for its data. Data are copied between that
// and the client's memory, for what a device may write to must not be a client's: it could change
// under the device's hands, and outlive the client. A client that goes leaves its slots to the
// device until that is done with them, and nothing is copied then.
//
// Requests that are in flight will all be done. So the next interrupt is that of the one with which
// most of them are, unless PAUSE goes by first; after one pause in vain the next that is done
// interrupts.
#include <stdlib.h>
#include <string.h>

#include "../block.h"
#include "../virtio.h"

enum { CLIENTS = 4, SLOTS = CLIENTS * BLOCK_MOST, QUEUE = 256, MOST = 16384 };
enum { HEAD = 32, STATUS = 16 };     // a slot's header, and the device's verdict in it
enum { HEADS = 8192, DATA = 12288 }; // where they begin, behind the queue
enum { FEATURE_RO = 5, FEATURE_FLUSH = 9 };
enum { TYPE_IN, TYPE_OUT, TYPE_FLUSH = 4, TYPE_GET_ID = 8 };
enum { STATUS_OK, STATUS_IOERR, STATUS_UNSUPP, STATUS_NONE = 255 };
enum { FEW = 2, PAUSE = 200 * SIP_US };

struct header {
    uint32_t type, reserved;
    uint64_t sector;
};
_Static_assert(sizeof(struct header) == STATUS, "5.2.6");

struct state {
    nebulet_handle channel;
    uint8_t *memory; // NULL: it has not given any yet
    uint32_t bytes, in_flight, answered;
    bool used, lost; // used: by a client that is there; lost: an answer did not get through
    struct block_answer answers[BLOCK_MOST];
};

static _Alignas(4096) uint8_t window[DATA + SLOTS * MOST];
static _Alignas(4096) uint8_t memories[CLIENTS][BLOCK_MEMORY_MOST];
static struct virtio device;
static struct virtio_queue queue;
static struct virtio_memory memory;
static struct state states[CLIENTS];
static struct slot {
    struct state *owner;
    struct block_request request;
    uint32_t next; // free one
} slots[SLOTS];
static uint32_t free_slots, in_flight, finished; // finished: of all times
static struct block_about about = {.most = MOST};

// --- Slots

static bool moves(const struct block_request *r)
{
    return r->op == BLOCK_READ || r->op == BLOCK_WRITE;
}

static void describe(uint32_t s, const struct block_request *r)
{
    static const uint32_t types[] = {TYPE_IN, TYPE_OUT, TYPE_FLUSH, TYPE_GET_ID};
    uint32_t first = 3 * s, head = HEADS + s * HEAD, data = DATA + s * MOST;
    uint32_t how = r->op == BLOCK_WRITE ? VIRTIO_NEXT : VIRTIO_NEXT | VIRTIO_DEVICE_WRITES;
    *(struct header *)(memory.at + head) =
        (struct header){types[r->op], 0, moves(r) ? r->sector : 0};
    memory.at[head + STATUS] = STATUS_NONE;
    virtio_describe(&queue, first, memory.physical + head, STATUS, VIRTIO_NEXT,
                    r->bytes ? first + 1 : first + 2);
    virtio_describe(&queue, first + 1, memory.physical + data, r->bytes, how, first + 2);
    virtio_describe(&queue, first + 2, memory.physical + head + STATUS, 1, VIRTIO_DEVICE_WRITES, 0);
}

static void begin(struct state *c, const struct block_request *r)
{
    uint32_t s = free_slots;
    free_slots = slots[s].next;
    slots[s].owner = c;
    slots[s].request = *r;
    if (r->op == BLOCK_WRITE)
        memcpy(memory.at + DATA + s * MOST, c->memory + r->offset, r->bytes);
    describe(s, r);
    virtio_offer(&queue, 3 * s);
    in_flight++;
}

static void answer(struct state *c, uint32_t tag, int32_t result)
{
    c->in_flight--;
    if (!c->used)
        return;
    c->answers[c->answered++] = (struct block_answer){tag, result};
}

// What a slot has held before is another's: where the device has not written all, nothing is
// copied.
static int32_t verdict(const struct block_request *r, uint32_t written, uint32_t status)
{
    uint32_t wanted = 1 + (r->op == BLOCK_WRITE ? 0 : r->bytes);
    if (status == STATUS_UNSUPP)
        return NEBULET_ERR_NOT_SUPPORTED;
    return status == STATUS_OK && written == wanted ? (int32_t)r->bytes : NEBULET_ERR_INTERNAL;
}

static void finish(uint32_t s, uint32_t written)
{
    struct state *c = slots[s].owner;
    const struct block_request *r = &slots[s].request;
    uint32_t status = *(volatile uint8_t *)(memory.at + HEADS + s * HEAD + STATUS);
    int32_t result = verdict(r, written, status);
    if (result > 0 && r->op != BLOCK_WRITE && c->used)
        memcpy(c->memory + r->offset, memory.at + DATA + s * MOST, r->bytes);
    answer(c, r->tag, result);
    slots[s].next = free_slots;
    free_slots = s;
    in_flight--;
    finished++;
}

// --- Clients

// One that does not take its answers is lost when it asks next.
static void send_answers(struct state *c)
{
    if (!c->answered)
        return;
    if (nebulet_channel_send(c->channel, (uint8_t *)c->answers, c->answered * sizeof *c->answers,
                             NULL, 0, NEBULET_AT_ONCE) < 0)
        c->lost = true;
    c->answered = 0;
}

static void connected(struct sip_service *s, struct sip_client *client)
{
    (void)s;
    for (uint32_t i = 0; i < CLIENTS && !client->state; i++)
        if (!states[i].used && !states[i].in_flight)
            client->state = &states[i];
    struct state *c = client->state;
    if (c)
        *c = (struct state){.used = true, .channel = client->channel};
}

static void gone(struct sip_service *s, struct sip_client *client)
{
    struct state *c = client->state;
    (void)s;
    if (c && c->memory)
        sip_must(nebulet_memory_unmap((uint32_t)(uintptr_t)c->memory, c->bytes),
                 "virtio-blk: memory_unmap");
    if (c)
        c->used = false;
}

static enum sip_verdict attach(struct sip_client *client, struct state *c, nebulet_handle given)
{
    uint8_t *at = memories[c - states];
    int64_t bytes = nebulet_memory_size(given);
    if (c->memory || bytes <= 0 || bytes > BLOCK_MEMORY_MOST ||
        nebulet_memory_map(given, (uint32_t)(uintptr_t)at, 0, (uint32_t)bytes) < 0)
        return SIP_HANG_UP;
    c->memory = at;
    c->bytes = (uint32_t)bytes;
    return sip_answer(client, &about, sizeof about) < 0 ? SIP_HANG_UP : SIP_GO_ON;
}

static int32_t check(const struct state *c, const struct block_request *r)
{
    if (r->op > BLOCK_GET_ID)
        return NEBULET_ERR_INVALID_ARG;
    if (moves(r) && (r->bytes % BLOCK_SECTOR || !r->bytes || r->bytes > MOST))
        return NEBULET_ERR_INVALID_ARG;
    if (r->op != BLOCK_FLUSH && (r->offset > c->bytes || r->bytes > c->bytes - r->offset))
        return NEBULET_ERR_OUT_OF_BOUNDS;
    if (moves(r) &&
        (r->sector > about.sectors || r->bytes / BLOCK_SECTOR > about.sectors - r->sector))
        return NEBULET_ERR_OUT_OF_BOUNDS;
    return r->op == BLOCK_WRITE && about.read_only ? NEBULET_ERR_ACCESS_DENIED : 0;
}

// Without a cache of its own that could be flushed, a device is done when it says so (5.2.6.2).
static void undertake(struct state *c, struct block_request r)
{
    if (r.op == BLOCK_FLUSH)
        r.bytes = 0;
    if (r.op == BLOCK_GET_ID)
        r.bytes = BLOCK_ID_BYTES;
    int32_t problem = check(c, &r);
    c->in_flight++;
    if (problem || (r.op == BLOCK_FLUSH && !(device.features >> FEATURE_FLUSH & 1)))
        answer(c, r.tag, problem);
    else
        begin(c, &r);
}

static enum sip_verdict request(struct sip_service *s, struct sip_client *client,
                                const struct sip_request *got)
{
    struct state *c = client->state;
    struct block_request r;
    uint32_t n = got->size / sizeof r;
    (void)s;
    if (!c || c->lost)
        return SIP_HANG_UP;
    if (got->handle_count == 1 && !got->size)
        return attach(client, c, got->handles[0]);
    if (!c->memory || got->handle_count || got->size % sizeof r || !n ||
        n > BLOCK_MOST - c->in_flight)
        return SIP_HANG_UP;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(&r, got->bytes + i * sizeof r, sizeof r);
        undertake(c, r);
    }
    virtio_kick(&queue);
    send_answers(c);
    return SIP_GO_ON;
}

// --- The device

static void take_all(void)
{
    uint32_t first, bytes;
    while (virtio_take(&queue, &first, &bytes))
        finish(first / 3, bytes);
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (states[i].used)
            send_answers(&states[i]);
}

// Before each wait: what is done is answered, and the next interrupt asked for.
static void look(struct sip_service *s, bool interrupted)
{
    static bool patient;
    uint32_t before = finished;
    bool many;
    if (interrupted)
        virtio_acknowledge(&device);
    do {
        take_all();
        if (finished != before)
            patient = true;
        else if (s->until != NEBULET_FOREVER && sip_now() >= s->until)
            patient = false;
        many = patient && in_flight > FEW;
    } while (in_flight && !virtio_arm(&queue, many ? in_flight - in_flight / 4 : 1));
    s->until = many ? sip_after(PAUSE) : NEBULET_FOREVER;
}

static void configure(void)
{
    virtio_open(&device, VIRTIO_BLK, 1ull << FEATURE_RO | 1ull << FEATURE_FLUSH);
    virtio_memory(&device, &memory, window, sizeof window);
    virtio_queue(&device, &queue, 0, QUEUE, &memory, 0);
    virtio_ready(&device);
    about.sectors = virtio_config(&device, 0, 4) | (uint64_t)virtio_config(&device, 4, 4) << 32;
    about.read_only = device.features >> FEATURE_RO & 1;
    for (uint32_t s = 0; s < SLOTS; s++)
        slots[s].next = s + 1;
}

int main(int argc, char **argv)
{
    configure();
    struct sip_service service = {.request = request,
                                  .connected = connected,
                                  .gone = gone,
                                  .look = look,
                                  .object = device.interrupt,
                                  .until = NEBULET_FOREVER};
    return sip_serve(argc > 1 ? argv[1] : "block", &service) < 0;
}
