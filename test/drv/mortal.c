// SPDX-License-Identifier: MIT
// user/drv/virtio-rng, but it dies as it is told to: a request of one byte is how. A watchdog looks
// after it.
#define main rng_main
int rng_main(void);
#include "../../user/drv/virtio-rng/main.c"
#undef main

enum { TICK = 500 * SIP_MS };

static enum sip_verdict answer_or_die(struct sip_service *s, struct sip_client *client,
                                      const struct sip_request *request)
{
    volatile uint32_t i = 0;
    if (request->size != 1)
        return answer(s, client, request);
    // While the device works, too.
    virtio_describe(&queue, 0, memory.physical, MEMORY, VIRTIO_DEVICE_WRITES, 0);
    virtio_offer(&queue, 0);
    virtio_kick(&queue);
    switch (request->bytes[0]) {
    case 't': __builtin_trap();
    case 'x': nebulet_exit(3);
    default:
        for (;;)
            i++;
    }
}

static void look(struct sip_service *s, bool signaled)
{
    if (signaled)
        virtio_acknowledge(&device);
    nebulet_watchdog_alive();
    s->until = sip_after(TICK / 4);
}

int main(void)
{
    virtio_open(&device, VIRTIO_RNG, 0);
    virtio_memory(&device, &memory, window, sizeof window);
    virtio_queue(&device, &queue, 0, QUEUE, &memory, 0);
    virtio_ready(&device);
    sip_must(nebulet_watchdog_setup(TICK), "a watchdog");
    struct sip_service service = {
        .request = answer_or_die, .look = look, .object = device.interrupt};
    return sip_serve("random", &service) < 0;
}
