// SPDX-License-Identifier: MIT
// A driver that never acknowledges: its device's interrupt has come, and its line stays up. It says
// so to who connects; with an argument it ends then, and leaves the line as it is.
#include <string.h>

#include "../../user/drv/virtio.h"

static _Alignas(4096) uint8_t window[4096];
static struct virtio device;
static struct virtio_queue queue;
static struct virtio_memory memory;

static enum sip_verdict request(struct sip_service *s, struct sip_client *client,
                                const struct sip_request *r)
{
    (void)s, (void)client, (void)r;
    return SIP_HANG_UP;
}

int main(int argc, char **argv)
{
    (void)argv;
    virtio_open(&device, VIRTIO_RNG, 0);
    virtio_memory(&device, &memory, window, sizeof window);
    virtio_queue(&device, &queue, 0, 8, &memory, 0);
    virtio_ready(&device);
    virtio_describe(&queue, 0, memory.physical + 2048, 64, VIRTIO_DEVICE_WRITES, 0);
    virtio_offer(&queue, 0);
    virtio_arm(&queue, 1);
    virtio_kick(&queue);
    sip_must(sip_wait(device.interrupt, NEBULET_EVENT_SIGNALED), "silent: waiting");
    if (argc > 1)
        return 0;
    struct sip_service service = {.request = request};
    return sip_serve("silent", &service) < 0;
}
