// SPDX-License-Identifier: MIT
// A client of HTTP on a wire of its own, for counting: `requests COUNT CONNECTIONS` asks that
// often, on each of its connections one request after the other. What it does itself is little and
// always the same, so it makes frames of TCP by hand; an answer's acknowledgement goes with the
// next request. On a clock that counts instructions it prints how many went by from the first
// request to the last answer.
#include <stdlib.h>
#include <string.h>

#include "../../user/drv/virtio.h"

enum { QUEUE = 64, HEADER = 12, PLACE = 2048, RINGS = 8192 };
enum { ETHERNET = 14, IP = 20, TCP = 20, ARP = 28, FRAMES = ETHERNET + IP + TCP };
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16, PORT = 8000, FIRST = 100 };
#define LIMIT (60 * SIP_SECOND)

static const uint8_t mine[4] = {10, 0, 2, 2}, theirs[4] = {10, 0, 2, 15};
static const char request[] = "GET /plain HTTP/1.1\r\nHost: 10.0.2.15\r\n\r\n";

static _Alignas(4096) uint8_t window[RINGS + 2 * QUEUE * PLACE];
static struct virtio device;
static struct virtio_queue in, out;
static struct virtio_memory memory;
static uint8_t my_mac[6], their_mac[6];
static uint32_t sent; // frames

enum { CONNECTIONS = 32, FIRST_PORT = 40000 };
static struct connection {
    uint32_t port;
    uint32_t next, expected; // numbers of TCP
    uint32_t got;            // bytes of the answer that it waits for
} connections[CONNECTIONS];

// --- Frames

static uint8_t *place(uint32_t queue, uint32_t buffer)
{
    return memory.at + RINGS + (queue * QUEUE + buffer) * PLACE;
}

static void listen_with(uint32_t buffer)
{
    virtio_describe(&in, buffer, memory.physical + (uint32_t)(place(0, buffer) - memory.at), PLACE,
                    VIRTIO_DEVICE_WRITES, 0);
    virtio_offer(&in, buffer);
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value);
}

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
    return get16(at) << 16 | get16(at + 2);
}

static uint32_t sum(const uint8_t *at, uint32_t bytes, uint32_t so_far)
{
    for (uint32_t i = 0; i < bytes; i++)
        so_far += (uint32_t)at[i] << (i % 2 ? 0 : 8);
    return so_far;
}

static uint32_t folded(uint32_t s)
{
    s = (s & 0xffff) + (s >> 16);
    return ~((s & 0xffff) + (s >> 16)) & 0xffff;
}

static uint8_t *begin(uint32_t type)
{
    uint32_t done, bytes;
    uint8_t *at = place(1, sent % QUEUE);
    while (virtio_take(&out, &done, &bytes))
        ;
    memset(at, 0, HEADER + FRAMES);
    memcpy(at + HEADER, their_mac, 6);
    memcpy(at + HEADER + 6, my_mac, 6);
    put16(at + HEADER + 12, type);
    return at + HEADER + ETHERNET;
}

static void send(uint32_t bytes)
{
    uint32_t buffer = sent++ % QUEUE;
    virtio_describe(&out, buffer, memory.physical + (uint32_t)(place(1, buffer) - memory.at),
                    HEADER + ETHERNET + bytes, 0, 0);
    virtio_offer(&out, buffer);
    virtio_kick(&out);
}

static void send_arp(uint32_t op)
{
    uint8_t *arp = begin(0x0806);
    memcpy(arp, "\0\1\x08\0\6\4\0", 7);
    arp[7] = (uint8_t)op;
    memcpy(arp + 8, my_mac, 6);
    memcpy(arp + 14, mine, 4);
    memcpy(arp + 18, their_mac, 6);
    memcpy(arp + 24, theirs, 4);
    send(ARP);
}

static void send_tcp(struct connection *c, uint32_t flags, const char *data, uint32_t bytes)
{
    uint8_t *ip = begin(0x0800), *tcp = ip + IP;
    ip[0] = 0x45;
    put16(ip + 2, IP + TCP + bytes);
    ip[8] = 64;
    ip[9] = 6;
    memcpy(ip + 12, mine, 4);
    memcpy(ip + 16, theirs, 4);
    put16(ip + 10, folded(sum(ip, IP, 0)));
    put16(tcp, c->port);
    put16(tcp + 2, PORT);
    put32(tcp + 4, c->next);
    put32(tcp + 8, c->expected);
    tcp[12] = (uint8_t)((flags & SYN ? TCP + bytes : TCP) << 2); // options, and not data
    tcp[13] = (uint8_t)flags;
    put16(tcp + 14, 65535);
    memcpy(tcp + TCP, data, bytes);
    put16(tcp + 16, folded(sum(ip + 12, 8 + TCP + bytes, 6 + TCP + bytes)));
    send(IP + TCP + bytes);
    c->next += flags & (SYN | FIN) ? 1 : bytes;
}

// --- What comes

struct segment {
    struct connection *of;
    uint32_t flags, number, bytes;
    const uint8_t *data;
};

static bool parse(const uint8_t *frame, uint32_t bytes, struct segment *s)
{
    const uint8_t *ip = frame + ETHERNET, *tcp = ip + IP;
    uint32_t type = get16(frame + 12);
    if (type == 0x0806 && bytes >= ETHERNET + ARP && !memcmp(ip + 14, theirs, 4)) {
        memcpy(their_mac, ip + 8, 6);
        if (ip[7] == 1 && !memcmp(ip + 24, mine, 4))
            send_arp(2);
        return false;
    }
    if (type != 0x0800 || bytes < FRAMES || ip[9] != 6)
        return false;
    struct connection *of = connections;
    while (of->port != get16(tcp + 2))
        if (++of == connections + CONNECTIONS)
            return false;
    uint32_t head = (tcp[12] >> 4) * 4u;
    *s = (struct segment){of, tcp[13], get32(tcp + 4), get16(ip + 2) - IP - head, tcp + head};
    return true;
}

// The next segment, which is in the buffer until the one after it is asked for; false: a frame that
// is none, or half a second went by.
static bool receive(struct segment *s)
{
    static uint32_t buffer = QUEUE;
    uint32_t bytes;
    if (buffer < QUEUE)
        listen_with(buffer);
    virtio_kick(&in);
    buffer = QUEUE;
    while (!virtio_take(&in, &buffer, &bytes)) {
        if (!virtio_arm(&in, 1))
            continue;
        if (nebulet_object_wait_one(device.interrupt, NEBULET_EVENT_SIGNALED,
                                    sip_after(SIP_SECOND / 2)) < 0)
            return false;
        virtio_acknowledge(&device);
    }
    return parse(place(0, buffer) + HEADER, bytes - HEADER, s);
}

static struct segment wait_for(uint32_t flags)
{
    struct segment s;
    for (uint64_t until = sip_after(LIMIT); sip_now() < until;)
        if (receive(&s) && (s.flags & (SYN | RST | FIN | ACK)) == flags)
            return s;
    sip_panic("requests: nothing comes");
}

// The bytes of an answer of which nothing else is known.
static uint32_t length_of(const struct segment *s)
{
    static const char field[] = "Content-Length: ";
    const char *text = (const char *)s->data, *end = text + s->bytes;
    uint32_t body = 0;
    for (const char *p = text; p + 4 <= end; p++) {
        if (p + sizeof field <= end && !memcmp(p, field, sizeof field - 1))
            body = (uint32_t)atoi(p + sizeof field - 1);
        if (!memcmp(p, "\r\n\r\n", 4))
            return (uint32_t)(p + 4 - text) + body;
    }
    sip_panic("requests: the answer has no length");
}

static void ask(struct connection *c)
{
    c->got = 0;
    send_tcp(c, PSH | ACK, request, sizeof request - 1);
}

// The connection of which the answer is complete now.
static struct connection *answered(void)
{
    static uint32_t length;
    for (;;) {
        struct segment s = wait_for(ACK);
        struct connection *c = s.of;
        if (!s.bytes)
            continue;
        if (s.number != c->expected || (!c->got && memcmp(s.data, "HTTP/1.1 200 OK\r\n", 17)))
            sip_panic("requests: this is no answer: %.60s", (const char *)s.data);
        if (!length)
            length = length_of(&s);
        c->got += s.bytes;
        c->expected += s.bytes;
        if (c->got > length)
            sip_panic("requests: %u bytes, not %u", c->got, length);
        if (c->got == length)
            return c;
    }
}

// So many requests, all connections busy.
static void ask_all(uint32_t requests, uint32_t at_once)
{
    uint32_t asked = 0;
    for (; asked < at_once && asked < requests; asked++)
        ask(&connections[asked]);
    for (uint32_t done = 0; done < requests; done++) {
        struct connection *c = answered();
        if (asked < requests) {
            ask(c);
            asked++;
        }
    }
}

// Until somebody listens.
static void connect(struct connection *c)
{
    static uint32_t port = FIRST_PORT;
    struct segment s = {0};
    for (uint64_t until = sip_after(LIMIT);;) {
        if (sip_now() > until)
            sip_panic("requests: nobody listens");
        send_arp(1);
        receive(&s);
        *c = (struct connection){.port = port++, .next = 1000};
        send_tcp(c, SYN, "\2\4\5\xb4", 4); // segments of 1,460 bytes, as everybody says
        receive(&s);
        if (s.of == c && s.flags == (SYN | ACK))
            break;
        sip_sleep(20 * SIP_MS);
    }
    c->expected = s.number + 1;
    send_tcp(c, ACK, "", 0);
}

int main(int argc, char **argv)
{
    uint32_t requests = argc > 1 ? (uint32_t)atoi(argv[1]) : 1;
    uint32_t at_once = argc > 2 ? (uint32_t)atoi(argv[2]) : 1;
    if (at_once < 1 || at_once > CONNECTIONS)
        sip_panic("requests: 1 to %u connections", CONNECTIONS);
    virtio_open(&device, VIRTIO_NET, 1ull << 5);
    for (uint32_t i = 0; i < sizeof my_mac; i++)
        my_mac[i] = (uint8_t)virtio_config(&device, i, 1);
    memset(their_mac, 255, sizeof their_mac);
    virtio_memory(&device, &memory, window, sizeof window);
    virtio_queue(&device, &in, 0, QUEUE, &memory, 0);
    virtio_queue(&device, &out, 1, QUEUE, &memory, RINGS / 2);
    virtio_ready(&device);
    for (uint32_t i = 0; i < QUEUE; i++)
        listen_with(i);
    virtio_arm(&out, QUEUE);
    connect(&connections[0]);
    sip_printf("requests: connected at %llu\n", (unsigned long long)sip_now());
    for (uint32_t i = 1; i < at_once; i++)
        connect(&connections[i]);
    ask_all(FIRST * at_once, at_once); // code is compiled, pools are filled
    uint64_t began = sip_now();
    ask_all(requests, at_once);
    sip_printf("requests: %llu for %u\n", (unsigned long long)(sip_now() - began), requests);
    return 0;
}
