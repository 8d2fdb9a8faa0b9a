// SPDX-License-Identifier: MIT
// virtio-9p: carries 9P messages between channels and QEMU's device, and knows no more of them than
// that a device has one set of numbers (fids) for all: so there is one client at a time, and
// another is turned away while there is one. The service has the name that the device tells, its mount tag.
//
// A request lies in memory that the device reads, its answer in memory that it writes, and the next
// request is taken when it is there.
#include <string.h>

#include "../virtio.h"

#define MOUNT_TAG 1ull // a feature
enum { QUEUE = 8, RINGS = 4096, MESSAGE = NEBULET_MESSAGE_MAX };

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
    if (!client->state && taken)
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
static void read_tag(char name[NEBULET_NAME_MAX + 1])
{
    uint32_t n = virtio_config(&device, 0, 2);
    if (n == 0 || n > NEBULET_NAME_MAX)
        sip_panic("virtio-9p: a mount tag of %u bytes", n);
    for (uint32_t i = 0; i < n; i++)
        name[i] = (char)virtio_config(&device, 2 + i, 1);
    name[n] = 0;
}

int main(void)
{
    struct sip_service service = {.request = request, .gone = gone};
    char name[NEBULET_NAME_MAX + 1];
    virtio_open(&device, VIRTIO_9P, MOUNT_TAG);
    read_tag(name);
    virtio_memory(&device, &memory, window, sizeof window);
    virtio_queue(&device, &queue, 0, QUEUE, &memory, 0);
    virtio_ready(&device);
    return sip_serve(name, &service) < 0;
}
