// SPDX-License-Identifier: MIT
// A null interrupt: how long after a device has spoken its driver's thread runs, where nobody else
// wants the CPU. The device is one of virtio-net, whose timer (QEMU: tx=timer,x-txtimer=DELAY) runs
// out DELAY after it was told of a frame; then it is done with that. On a clock that counts
// instructions, all is the same in every run. Prints the median, without what this program adds.
#include <stdlib.h>

#include "../../user/drv/virtio.h"

enum { TIMES = 1000, DELAY = 4000, QUEUE = 8, BYTES = 72, PLACE = 2048 };

static _Alignas(4096) uint8_t window[4096];
static struct virtio device;
static struct virtio_queue in, out;
static struct virtio_memory memory;

static uint64_t once(void)
{
    uint32_t first, bytes;
    virtio_describe(&out, 0, memory.physical + PLACE, BYTES, 0, 0);
    virtio_offer(&out, 0);
    virtio_arm(&out, 1);
    uint64_t before = sip_now();
    virtio_kick(&out);
    sip_must(sip_wait(device.interrupt, NEBULET_EVENT_SIGNALED), "interrupt: waiting");
    uint64_t after = sip_now();
    virtio_acknowledge(&device);
    if (!virtio_take(&out, &first, &bytes))
        sip_panic("interrupt: it came for nothing");
    if (after < before + DELAY)
        sip_panic("interrupt: it came too early");
    return after - before - DELAY;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

// What reading the clock takes, and telling the device, which is told nothing here.
static uint64_t around(void)
{
    uint64_t before = sip_now();
    for (uint32_t i = 0; i < TIMES; i++) {
        virtio_kick(&out);
        sip_now();
    }
    return (sip_now() - before) / TIMES;
}

int main(void)
{
    static uint64_t took[TIMES];
    virtio_open(&device, VIRTIO_NET, 0);
    virtio_memory(&device, &memory, window, sizeof window);
    virtio_queue(&device, &in, 0, QUEUE, &memory, 0);
    virtio_queue(&device, &out, 1, QUEUE, &memory, PLACE / 2);
    virtio_ready(&device);
    once(); // the first calls of all this
    for (uint32_t i = 0; i < TIMES; i++)
        took[i] = once();
    qsort(took, TIMES, sizeof *took, compare);
    sip_printf("interrupt: %llu\n", (unsigned long long)(took[TIMES / 2] - around()));
    return 0;
}
