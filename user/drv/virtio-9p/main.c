// SPDX-License-Identifier: MIT
// virtio-9p: carries 9P messages between channels and QEMU's device, and knows no more of them than
// that a device has one set of numbers (fids) for all: so there is one client at a time, and
// another is turned away while there is one. The service has the name that the device tells, its
// mount tag.
//
// virtio-9p TAG: as the kernel starts it for `nebulet boot --dir`, serves the client on handle 0
// with the device of that mount tag, which it finds itself, and ends when that client is gone.
//
// A request lies in memory that the device reads, its answer in memory that it writes, and the next
// request is taken when it is there.
#include <string.h>

#include "../virtio.h"

#define MOUNT_TAG 1ull // a feature
enum { QUEUE = 8, RINGS = 4096, MESSAGE = NEBULET_MESSAGE_MAX, HEADER = 7 };

static _Alignas(4096) uint8_t window[RINGS + 2 * MESSAGE];
static struct virtio device;
static struct virtio_queue queue;
static struct virtio_memory memory;
static bool taken; // by the client that has a state

// The bytes of the answer.
static uint32_t ask(const uint8_t *bytes, uint32_t size)
{
    uint32_t first, written;
    memcpy(memory.at + RINGS, bytes, size);
    virtio_describe(&queue, 0, memory.physical + RINGS, size, VIRTIO_NEXT, 1);
    virtio_describe(&queue, 1, memory.physical + RINGS + MESSAGE, MESSAGE, VIRTIO_DEVICE_WRITES, 0);
    virtio_offer(&queue, 0);
    virtio_kick(&queue);
    while (!virtio_take(&queue, &first, &written))
        virtio_wait(&queue);
    if (written > MESSAGE)
        sip_panic("virtio-9p: %u bytes where %u fit", written, MESSAGE);
    return written;
}

static enum sip_verdict request(struct sip_service *s, struct sip_client *client,
                                const struct sip_request *r)
{
    (void)s;
    if ((!client->state && taken) || r->size < HEADER) // of less, QEMU's device is broken
        return SIP_HANG_UP;
    taken = true;
    client->state = &taken;
    uint32_t size = ask(r->bytes, r->size);
    return sip_answer(client, memory.at + RINGS + MESSAGE, size) < 0 ? SIP_HANG_UP : SIP_GO_ON;
}

// What it had open goes when the next one begins (T_VERSION).
static void gone(struct sip_service *s, struct sip_client *client)
{
    (void)s;
    if (client->state)
        taken = false;
}

// virtio 1.2 does not have it; QEMU: a length of two bytes, and the name behind it.
static void read_tag(const struct virtio *v, char name[NEBULET_NAME_MAX + 1])
{
    uint32_t n = virtio_config(v, 0, 2);
    if (n == 0 || n > NEBULET_NAME_MAX)
        sip_panic("virtio-9p: a mount tag of %u bytes", n);
    for (uint32_t i = 0; i < n; i++)
        name[i] = (char)virtio_config(v, 2 + i, 1);
    name[n] = 0;
}

static const char *wanted_tag;

static bool has_tag(const struct virtio *v)
{
    char name[NEBULET_NAME_MAX + 1];
    read_tag(v, name);
    return !strcmp(name, wanted_tag);
}

static void begin(void)
{
    virtio_memory(&device, &memory, window, sizeof window);
    virtio_queue(&device, &queue, 0, QUEUE, &memory, 0);
    virtio_ready(&device);
}

static int serve_one(void)
{
    static uint8_t bytes[MESSAGE];
    int64_t n = sip_recv(0, bytes, sizeof bytes);
    while (n >= 0) {
        uint32_t size = ask(bytes, (uint32_t)n);
        n = sip_call(0, memory.at + RINGS + MESSAGE, size, bytes, sizeof bytes);
    }
    return n != NEBULET_ERR_PEER_CLOSED;
}

int main(int argc, char **argv)
{
    struct sip_service service = {.request = request, .gone = gone};
    char name[NEBULET_NAME_MAX + 1];
    if (argc > 1) {
        wanted_tag = argv[1];
        virtio_find(&device, VIRTIO_9P, MOUNT_TAG, has_tag);
        begin();
        return serve_one();
    }
    virtio_open(&device, VIRTIO_9P, MOUNT_TAG);
    read_tag(&device, name);
    begin();
    return sip_serve(name, &service) < 0;
}
