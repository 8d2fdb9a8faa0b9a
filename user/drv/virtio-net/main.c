// SPDX-License-Identifier: MIT
// virtio-net: so far, what a driver alone costs: every frame goes back to where it came from.
// Frames are 60 to 1,514 bytes behind the device's header of 12. Buffers go round: one that has
// been received is sent from where it lies, and is offered for receiving again when it is out.
//
// With an argument N it ends after N frames, and says how many interrupts that took.
#include <stdlib.h>
#include <string.h>

#include "../virtio.h"

enum { BUFFERS = 128, BUFFER = 2048, HEADER = 12, MAC = 6, LEAST = HEADER + 14 };
enum { RINGS = 8192, BATCH = BUFFERS / 2 };

static _Alignas(4096) uint8_t window[RINGS + BUFFERS * BUFFER];
static struct virtio device;
static struct virtio_queue in, out;
static struct virtio_memory memory;
static uint32_t frames, interrupts;

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

static void echo(void)
{
    uint32_t buffer, bytes;
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
    sip_printf("virtio-net: ready\n");
    for (;;) {
        echo();
        if (frames >= most)
            break;
        if (!virtio_arm(&in, 1))
            continue;
        sip_must(sip_wait(device.interrupt, NEBULET_EVENT_SIGNALED), "virtio-net: waiting");
        virtio_acknowledge(&device);
        interrupts++;
    }
    sip_printf("virtio-net: %u frames, %u interrupts\n", frames, interrupts);
    return 0;
}
