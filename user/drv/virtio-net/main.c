// SPDX-License-Identifier: MIT
// virtio-net (virtio 1.2, 5.1): the service "ethernet", whose contract is ../ether.h.
//
// Queues are in memory that is the driver's alone, buffers in memory that is the client's, too: the
// device goes where the driver says, so a client can spoil frames, and nothing else. Buffers below
// ETHER_IN are the device's to write to or the client's to read; the others the client's to write
// or the device's to send. What a client had that has gone is taken back when another comes.
//
// An interrupt costs more than a frame. So while frames come in numbers, more than one at a look or
// one NEAR the other, the next interrupt is that of the AHEADth, and the driver looks by itself
// when PAUSE is over; after TURNS looks that did not find two the next frame interrupts again. So
// one that comes alone is never made to wait, and one behind others for PAUSE at most. Where
// something was sent in between, the next may have come for that, and another only will when this
// one is answered, too: that is no number of them.
#include <string.h>

#include "../ether.h"
#include "../virtio.h"

enum { FEATURE_MAC = 5, QUEUES = 8192 };
enum { AHEAD = 16, TURNS = 2, PAUSE = 100 * SIP_US, NEAR = 25 * SIP_US };
enum { INTERRUPT, CLIENT_WAKES, NEW_CLIENT, CLIENT_GOES, ITEMS };

static _Alignas(4096) uint8_t queues[QUEUES];
static _Alignas(4096) struct ether_memory shared;
static struct virtio device;
static struct virtio_queue in, out;
static struct virtio_memory rings, memory;
static struct ether_about about;
static nebulet_handle lent; // the memory, for clients

static nebulet_handle client = NEBULET_NO_HANDLE, wakes_us, wakes_client, service, waits;
static struct ether_side side;
static bool has[ETHER_BUFFERS]; // the client has it
static bool sent;               // something, since the last interrupt

// --- The device

static uint64_t place(uint32_t buffer)
{
    return memory.physical + (uint32_t)(shared.buffers[buffer] - (uint8_t *)&shared);
}

static void listen_with(uint32_t buffer)
{
    virtio_describe(&in, buffer, place(buffer), ETHER_BUFFER, VIRTIO_DEVICE_WRITES, 0);
    virtio_offer(&in, buffer);
}

static void send(uint32_t buffer, uint32_t bytes)
{
    memset(shared.buffers[buffer], 0, ETHER_HEAD);
    sent = true;
    virtio_describe(&out, buffer - ETHER_IN, place(buffer), ETHER_HEAD + bytes, 0, 0);
    virtio_offer(&out, buffer - ETHER_IN);
}

static void wait_for(uint32_t item, nebulet_handle handle, uint32_t signals)
{
    sip_must(nebulet_waitset_put(waits, item, handle, signals), "virtio-net: what it waits for");
}

// --- The client

static void give(uint32_t buffer, uint32_t bytes)
{
    has[buffer] = true;
    ether_put(&side, buffer, bytes);
}

// Buffers to send in that the device has not are given at once, the others when it is done.
static void attach(nebulet_handle channel)
{
    nebulet_handle handles[3];
    memset(&shared.in, 0, sizeof shared.in);
    memset(&shared.out, 0, sizeof shared.out);
    client = channel;
    wait_for(CLIENT_GOES, client, NEBULET_PEER_CLOSED);
    side = (struct ether_side){.writes = &shared.in, .reads = &shared.out, .other = wakes_client};
    for (uint32_t i = ETHER_IN; i < ETHER_BUFFERS; i++)
        if (!(out.in_flight[(i - ETHER_IN) / 32] >> (i - ETHER_IN) % 32 & 1))
            give(i, 0);
    ether_tell(&side);
    const nebulet_handle own[] = {lent, wakes_client, wakes_us};
    for (uint32_t i = 0; i < 3; i++)
        handles[i] = (nebulet_handle)sip_must(nebulet_handle_duplicate(own[i], NEBULET_SAME_RIGHTS),
                                              "virtio-net: a handle");
    if (nebulet_channel_send(client, (const uint8_t *)&about, sizeof about, handles, 3,
                             NEBULET_AT_ONCE) < 0)
        for (uint32_t i = 0; i < 3; i++)
            sip_close(handles[i]);
}

static void detach(void)
{
    sip_close(client);
    client = NEBULET_NO_HANDLE;
    for (uint32_t i = 0; i < ETHER_BUFFERS; i++) {
        if (has[i] && i < ETHER_IN)
            listen_with(i);
        has[i] = false;
    }
}

static bool take_entry(uint32_t entry)
{
    uint32_t buffer = entry & 0xffff, bytes = entry >> 16;
    if (buffer >= ETHER_BUFFERS || !has[buffer])
        return false;
    has[buffer] = false;
    if (buffer < ETHER_IN)
        listen_with(buffer);
    else if (bytes < ETHER_LEAST || bytes > ETHER_MOST)
        give(buffer, 0);
    else
        send(buffer, bytes);
    return true;
}

// One that says what cannot be is hung up on.
static void take_from_client(void)
{
    uint32_t n = ether_waiting(&side);
    bool honest = n <= ETHER_BUFFERS;
    for (uint32_t i = 0; honest && i < n; i++)
        honest = take_entry(ether_take(&side));
    if (!honest)
        detach();
}

// --- Both

// How many frames have come.
static uint32_t take_from_device(void)
{
    uint32_t buffer, bytes, frames = 0;
    for (; virtio_take(&in, &buffer, &bytes); frames++)
        if (client != NEBULET_NO_HANDLE && bytes >= ETHER_HEAD + ETHER_LEAST &&
            bytes <= ETHER_HEAD + ETHER_MOST)
            give(buffer, bytes - ETHER_HEAD);
        else
            listen_with(buffer);
    while (virtio_take(&out, &buffer, &bytes))
        if (client != NEBULET_NO_HANDLE)
            give(ETHER_IN + buffer, 0);
    return frames;
}

static uint32_t look(void)
{
    if (client != NEBULET_NO_HANDLE)
        take_from_client();
    uint32_t frames = take_from_device();
    virtio_kick(&out);
    if ((uint16_t)(in.kicked - in.taken) < ETHER_IN / 2) // the device has no more
        virtio_kick(&in);
    if (client != NEBULET_NO_HANDLE)
        ether_tell(&side);
    return frames;
}

static void new_client(void)
{
    nebulet_handle channel = NEBULET_NO_HANDLE;
    int64_t how = nebulet_channel_recv(service, NULL, 0, &channel, 1, NULL, NEBULET_AT_ONCE);
    if (how < 0 && how != NEBULET_ERR_SHOULD_WAIT)
        sip_must(how, "virtio-net: clients");
    if (channel != NEBULET_NO_HANDLE && client != NEBULET_NO_HANDLE)
        sip_close(channel);
    else if (channel != NEBULET_NO_HANDLE)
        attach(channel);
}

static bool arm(uint32_t ahead)
{
    virtio_want(&out, ETHER_OUT / 2); // the client may wait for buffers
    return virtio_arm(&in, ahead) && (client == NEBULET_NO_HANDLE || ether_arm(&side));
}

// The clock is asked where it matters only.
static void interrupted(uint32_t *turns)
{
    static uint64_t last; // 0: one that does not count
    uint64_t now = sent ? 0 : sip_now();
    virtio_acknowledge(&device);
    if (!sent && last && now - last < NEAR)
        *turns = TURNS + 1;
    last = now;
    sent = false;
}

// A client comes when the one before has gone.
static void happened(const struct nebulet_ready *ready, int64_t n, uint32_t *turns)
{
    bool comes = false;
    for (; n; n--, ready++)
        if (ready->place == INTERRUPT)
            interrupted(turns);
        else if (ready->place == CLIENT_WAKES)
            nebulet_event_rearm(wakes_us);
        else if (ready->place == CLIENT_GOES)
            detach();
        else
            comes = true;
    if (comes)
        new_client();
}

// Until there is something to do, where there were `got` frames at the last look.
static void rest(uint32_t got)
{
    static uint32_t turns;
    struct nebulet_ready ready[ITEMS];
    turns = got > 1 ? TURNS : turns ? turns - 1 : 0;
    if (!arm(turns ? AHEAD : 1))
        return;
    int64_t how =
        nebulet_waitset_wait(waits, ready, ITEMS, turns ? sip_after(PAUSE) : NEBULET_FOREVER);
    if (how == NEBULET_ERR_TIMED_OUT)
        return;
    happened(ready, sip_must(how, "virtio-net: waiting"), &turns);
}

// --- Beginning

// A device that tells no address gets one of those that anybody may take.
static void find_address(void)
{
    if (device.features >> FEATURE_MAC & 1) {
        for (uint32_t i = 0; i < sizeof about.mac; i++)
            about.mac[i] = (uint8_t)virtio_config(&device, i, 1);
        return;
    }
    sip_random(about.mac, sizeof about.mac);
    about.mac[0] = (uint8_t)((about.mac[0] & 0xfc) | 2);
}

static void configure(void)
{
    virtio_open(&device, VIRTIO_NET, 1ull << FEATURE_MAC);
    virtio_memory(&device, &rings, queues, sizeof queues);
    lent = virtio_memory_shared(&device, &memory, &shared, sizeof shared);
    virtio_queue(&device, &in, 0, ETHER_IN, &rings, 0);
    virtio_queue(&device, &out, 1, ETHER_OUT, &rings, QUEUES / 2);
    find_address();
    virtio_ready(&device);
    for (uint32_t i = 0; i < ETHER_IN; i++)
        listen_with(i);
    virtio_kick(&in);
    waits = (nebulet_handle)sip_must(nebulet_waitset_create(), "virtio-net: a set of waits");
    wakes_us = (nebulet_handle)sip_must(nebulet_event_create(), "virtio-net: an event");
    wakes_client = (nebulet_handle)sip_must(nebulet_event_create(), "virtio-net: an event");
}

int main(void)
{
    static const char name[] = "ethernet";
    configure();
    service = (nebulet_handle)sip_must(nebulet_service_create(name, sizeof name - 1),
                                       "virtio-net: the service");
    wait_for(INTERRUPT, device.interrupt, NEBULET_EVENT_SIGNALED);
    wait_for(CLIENT_WAKES, wakes_us, NEBULET_EVENT_SIGNALED);
    wait_for(NEW_CLIENT, service, NEBULET_READABLE);
    for (;;)
        rest(look());
}
