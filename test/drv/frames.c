// SPDX-License-Identifier: MIT
// The other end of a wire on which virtio-net sends frames back: a frame of 64 bytes every SPACE,
// up to IN_FLIGHT that are not back yet, as many as its argument says. On a clock that counts
// instructions, all is the same in every run.
#include <stdlib.h>
#include <string.h>

#include "../../user/drv/virtio.h"

enum { MOST = 1 << 15, IN_FLIGHT = 32, SPACE = 5 * SIP_US };
enum { QUEUE = 64, HEADER = 12, BYTES = 64, PLACE = 128, RINGS = 8192 };
enum { TYPE = 12, NUMBER = 14 }; // where they are in a frame

static _Alignas(4096) uint8_t window[RINGS + 2 * QUEUE * PLACE];
static struct virtio device;
static struct virtio_queue in, out;
static struct virtio_memory memory;
static uint32_t sent, back;
static bool seen[MOST];

static uint32_t place(uint32_t queue, uint32_t buffer)
{
    return RINGS + (queue * QUEUE + buffer) * PLACE;
}

static void listen_with(uint32_t buffer)
{
    virtio_describe(&in, buffer, memory.physical + place(0, buffer), PLACE, VIRTIO_DEVICE_WRITES,
                    0);
    virtio_offer(&in, buffer);
}

static void send_next(void)
{
    uint32_t buffer = sent % QUEUE, done, bytes;
    uint8_t *at = memory.at + place(1, buffer), *frame = at + HEADER;
    while (virtio_take(&out, &done, &bytes))
        ;
    memset(at, 0, HEADER);
    memset(frame, '.', BYTES);
    memcpy(frame, "\xff\xff\xff\xff\xff\xff\2\0\0\0\0\1\x88\xb5", NUMBER);
    memcpy(frame + NUMBER, &sent, sizeof sent);
    virtio_describe(&out, buffer, memory.physical + place(1, buffer), HEADER + BYTES, 0, 0);
    virtio_offer(&out, buffer);
    virtio_kick(&out);
    sent++;
}

static void check(const uint8_t *frame, uint32_t bytes)
{
    uint32_t number;
    memcpy(&number, frame + NUMBER, sizeof number);
    if (bytes != HEADER + BYTES || memcmp(frame, "\2\0\0\0\0\1", 6) || number >= sent ||
        seen[number] || frame[BYTES - 1] != '.')
        sip_panic("frame %u has come back, of %u bytes", number, bytes);
    seen[number] = true;
    back++;
}

static void receive(void)
{
    uint32_t buffer, bytes;
    while (virtio_take(&in, &buffer, &bytes)) {
        check(memory.at + place(0, buffer) + HEADER, bytes);
        listen_with(buffer);
    }
    virtio_kick(&in);
}

int main(int argc, char **argv)
{
    uint32_t frames = argc > 1 ? (uint32_t)atoi(argv[1]) : MOST;
    if (frames > MOST)
        sip_panic("frames: %u are too many", frames);
    virtio_open(&device, VIRTIO_NET, 0);
    virtio_memory(&device, &memory, window, sizeof window);
    virtio_queue(&device, &in, 0, QUEUE, &memory, 0);
    virtio_queue(&device, &out, 1, QUEUE, &memory, RINGS / 2);
    virtio_ready(&device);
    for (uint32_t i = 0; i < QUEUE; i++)
        listen_with(i);
    virtio_kick(&in);
    // The clock is what it goes by: no interrupts, but for a first one.
    virtio_arm(&in, MOST);
    virtio_arm(&out, MOST);
    for (uint64_t next = sip_now(); back < frames; next += SPACE) {
        if (nebulet_object_wait_one(device.interrupt, NEBULET_EVENT_SIGNALED, next) >= 0)
            virtio_acknowledge(&device);
        receive();
        if (sent < frames && sent - back < IN_FLIGHT)
            send_next();
    }
    sip_printf("frames\n");
    return 0;
}
