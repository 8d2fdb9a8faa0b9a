// SPDX-License-Identifier: MIT
// What the rings of a network device alone cost: every frame goes back to where it came from.
// Frames are 60 to 1,514 bytes behind the device's header of 12. Buffers go round: one that has
// been received is sent from where it lies, and is offered for receiving again when it is out.
//
// An interrupt costs more than a frame. So while frames come in numbers, more than one at a look or
// one NEAR the other, the next interrupt is that of the AHEADth, and the driver looks by itself
// when PAUSE is over; after TURNS looks that did not find two the next frame interrupts again. So
// one that comes alone is never made to wait, and one behind others for PAUSE at most.
//
// With an argument N it ends after N frames, and says how many interrupts and pauses that took.
#include <stdlib.h>
#include <string.h>

#include "../../user/drv/virtio.h"

enum { BUFFERS = 128, BUFFER = 2048, HEADER = 12, MAC = 6, LEAST = HEADER + 14 };
enum { RINGS = 8192, AHEAD = 16, TURNS = 2, PAUSE = 100 * SIP_US, NEAR = 25 * SIP_US };

static _Alignas(4096) uint8_t window[RINGS + BUFFERS * BUFFER];
static struct virtio device;
static struct virtio_queue in, out;
static struct virtio_memory memory;
static uint32_t frames, interrupts, pauses;

static uint64_t place(uint32_t buffer)
{
    return memory.physical + RINGS + buffer * BUFFER;
}

static void listen_with(uint32_t buffer)
{
    virtio_describe(&in, buffer, place(buffer), BUFFER, VIRTIO_DEVICE_WRITES, 0);
    virtio_offer(&in, buffer);
}

// Back to its sender: the header says nothing, and the addresses change places.
static void send_back(uint32_t buffer, uint32_t bytes)
{
    uint8_t *frame = memory.at + RINGS + buffer * BUFFER, to[MAC];
    memset(frame, 0, HEADER);
    memcpy(to, frame + HEADER + MAC, MAC);
    memcpy(frame + HEADER + MAC, frame + HEADER, MAC);
    memcpy(frame + HEADER, to, MAC);
    virtio_describe(&out, buffer, place(buffer), bytes, 0, 0);
    virtio_offer(&out, buffer);
}

// Buffers of frames that are out wait until there are many: the device wants a word for each batch.
static void reclaim(void)
{
    uint32_t buffer, bytes;
    while (virtio_take(&out, &buffer, &bytes))
        listen_with(buffer);
    virtio_kick(&in);
}

// How many frames there were.
static uint32_t echo(void)
{
    uint32_t buffer, bytes, before = frames;
    while (virtio_take(&in, &buffer, &bytes)) {
        if (bytes >= LEAST && bytes <= BUFFER) {
            send_back(buffer, bytes);
            frames++;
        } else {
            listen_with(buffer);
        }
    }
    virtio_kick(&out);
    reclaim();
    return frames - before;
}

// Until there may be frames again, where there were `got` when it last looked.
static void rest(uint32_t got)
{
    static uint32_t turns;
    static uint64_t interrupted;
    turns = got > 1 ? TURNS : turns ? turns - 1 : 0;
    if (!virtio_arm(&in, turns ? AHEAD : 1))
        return;
    int64_t how = nebulet_object_wait_one(device.interrupt, NEBULET_EVENT_SIGNALED,
                                          turns ? sip_after(PAUSE) : NEBULET_FOREVER);
    if (how == NEBULET_ERR_TIMED_OUT) {
        pauses++;
        return;
    }
    sip_must(how, "echo: waiting");
    virtio_acknowledge(&device);
    interrupts++;
    uint64_t now = sip_now();
    if (now - interrupted < NEAR)
        turns = TURNS + 1;
    interrupted = now;
}

int main(int argc, char **argv)
{
    uint32_t most = argc > 1 ? (uint32_t)atoi(argv[1]) : UINT32_MAX;
    virtio_open(&device, VIRTIO_NET, 0);
    virtio_memory(&device, &memory, window, sizeof window);
    virtio_queue(&device, &in, 0, BUFFERS, &memory, 0);
    virtio_queue(&device, &out, 1, BUFFERS, &memory, RINGS / 2);
    virtio_arm(&out, BUFFERS); // what is out is looked for when something comes in
    virtio_ready(&device);
    for (uint32_t i = 0; i < BUFFERS; i++)
        listen_with(i);
    virtio_kick(&in);
    for (uint32_t got = echo(); frames < most; got = echo())
        rest(got);
    sip_printf("echo: %u frames, %u interrupts, %u pauses\n", frames, interrupts, pauses);
    return 0;
}
