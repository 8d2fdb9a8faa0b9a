// SPDX-License-Identifier: MIT
// virtio-rng: the service "random". A request is a u32, how many bytes are wanted; the answer has
// as many of them as the device gave at once, 1 to 256.
#include <string.h>

#include "../virtio.h"

enum { QUEUE = 8, BYTES = 256, MEMORY = 4096 };

static _Alignas(4096) uint8_t window[MEMORY];
static struct virtio device;
static struct virtio_queue queue;
static struct virtio_memory memory;

static uint32_t fetch(uint8_t *to, uint32_t wanted)
{
    uint32_t first, bytes, offset = MEMORY - BYTES;
    virtio_describe(&queue, 0, memory.physical + offset, wanted, VIRTIO_DEVICE_WRITES, 0);
    virtio_offer(&queue, 0);
    virtio_kick(&queue);
    virtio_wait(&queue);
    virtio_take(&queue, &first, &bytes);
    if (bytes > wanted)
        sip_panic("virtio-rng: %u bytes where %u were wanted", bytes, wanted);
    memcpy(to, memory.at + offset, bytes);
    return bytes;
}

static enum sip_verdict answer(struct sip_service *s, struct sip_client *client,
                               const struct sip_request *request)
{
    uint8_t bytes[BYTES];
    uint32_t wanted;
    (void)s;
    if (request->size != sizeof wanted)
        return SIP_HANG_UP;
    memcpy(&wanted, request->bytes, sizeof wanted);
    uint32_t n = wanted ? fetch(bytes, wanted < BYTES ? wanted : BYTES) : 0;
    return sip_answer(client, bytes, n) < 0 ? SIP_HANG_UP : SIP_GO_ON;
}

int main(void)
{
    struct sip_service service = {.request = answer};
    virtio_open(&device, VIRTIO_RNG, 0);
    virtio_memory(&device, &memory, window, sizeof window);
    virtio_queue(&device, &queue, 0, QUEUE, &memory, 0);
    virtio_ready(&device);
    return sip_serve("random", &service) < 0;
}
