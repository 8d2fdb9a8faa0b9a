// SPDX-License-Identifier: MIT
// serial [BAUD]: the service "serial", of a PC's second port (16550), 8 bits, no parity, by default
// at 115200. It is for one client at a time, who connected first; others are hung up on when they
// ask. What a client's message has goes out, and what comes in is a message, of 1 to 256 bytes.
//
// The interrupt is an edge, and comes when there are bytes and there were none: so all there are
// are read, always after the interrupt was acknowledged. A port that takes nothing for long is
// nothing that a client could use: it is hung up on. Of a client that does not take them no
// more are read than one message, so whoever sends is held up where the line can do that, as QEMU's
// does; with others' the port has room for 16, and what it loses is told of.
#include <stdlib.h>
#include <sip.h>

enum { DATA, INTERRUPTS, FIFO, LINE, MODEM, STATUS }; // registers; DATA and 1 are the divisor, too
enum { RECEIVED = 1, DIVISOR = 0x80, EIGHT_BITS = 3, FIFO_ON = 0x87, READY_LINES = 0x0b };
enum { HAS_BYTE = 1, LOST = 2, CAN_SEND = 0x20, NOBODY = 0xff };
enum { FIFO_SIZE = 16, MESSAGE = 256, FASTEST = 115200, BITS = 10 };
#define PATIENCE (5 * SIP_SECOND) // beyond what the line takes

static nebulet_handle device, interrupt, client = NEBULET_NO_HANDLE;
static uint8_t held[MESSAGE]; // came in, and the client has not taken it
static uint32_t held_count;
static uint64_t patience;

static uint32_t in(uint32_t at)
{
    return (uint32_t)sip_must(nebulet_device_read(device, 0, at, 1), "serial: device_read");
}

static void out(uint32_t at, uint32_t value)
{
    sip_must(nebulet_device_write(device, 0, at, 1, value), "serial: device_write");
}

static uint32_t status(void)
{
    uint32_t now = in(STATUS);
    if (now == NOBODY)
        sip_panic("serial: the port is gone");
    if (now & LOST)
        sip_printf("serial: bytes were lost\n");
    return now;
}

static void set_up(uint32_t baud)
{
    uint32_t divisor = FASTEST / baud;
    patience = PATIENCE + FIFO_SIZE * BITS * SIP_SECOND / baud;
    out(INTERRUPTS, 0);
    out(LINE, DIVISOR | EIGHT_BITS);
    out(DATA, divisor & 255);
    out(INTERRUPTS, divisor >> 8);
    out(LINE, EIGHT_BITS);
    out(FIFO, FIFO_ON); // empty; and an interrupt at 8 bytes, or when no more have come for a while
    out(MODEM, READY_LINES);
    out(INTERRUPTS, RECEIVED);
}

// What nobody listens to is gone. False: the client has not taken what there is.
static bool hand_over(struct sip_service *s)
{
    if (held_count && client == NEBULET_NO_HANDLE)
        sip_take_clients(s);
    if (held_count && client != NEBULET_NO_HANDLE &&
        nebulet_channel_send(client, held, held_count, NULL, 0, NEBULET_AT_ONCE) ==
            NEBULET_ERR_SHOULD_WAIT)
        return false;
    held_count = 0;
    return true;
}

// False: there is more.
static bool receive(struct sip_service *s)
{
    enum { AT_ONCE = 16 }; // messages
    for (uint32_t i = 0; i < AT_ONCE; i++) {
        while (held_count < MESSAGE && status() & HAS_BYTE)
            held[held_count++] = (uint8_t)in(DATA);
        bool full = held_count == MESSAGE;
        if (!hand_over(s))
            return false;
        if (!full)
            return true;
    }
    return false;
}

static void look(struct sip_service *s, bool signaled)
{
    if (signaled)
        sip_must(nebulet_interrupt_ack(interrupt), "serial: interrupt_ack");
    s->until = receive(s) ? NEBULET_FOREVER : sip_after(SIP_MS);
}

// --- Clients

// The port sends a byte in 87 us, or more. False: it does not.
static bool wait_for_room(struct sip_service *s)
{
    for (uint64_t until = sip_after(patience); !(status() & CAN_SEND); receive(s)) {
        if (sip_now() >= until)
            return false;
        sip_sleep(SIP_MS);
    }
    return true;
}

static enum sip_verdict request(struct sip_service *s, struct sip_client *from,
                                const struct sip_request *r)
{
    if (client == NEBULET_NO_HANDLE)
        client = from->channel;
    if (client != from->channel)
        return SIP_HANG_UP;
    for (uint32_t i = 0; i < r->size;) {
        if (!wait_for_room(s))
            return SIP_HANG_UP;
        for (uint32_t n = 0; n < FIFO_SIZE && i < r->size; n++)
            out(DATA, r->bytes[i++]);
    }
    return SIP_GO_ON;
}

static void connected(struct sip_service *s, struct sip_client *one)
{
    (void)s;
    if (client == NEBULET_NO_HANDLE)
        client = one->channel;
}

static void gone(struct sip_service *s, struct sip_client *one)
{
    (void)s;
    if (client != one->channel)
        return;
    client = NEBULET_NO_HANDLE;
    held_count = 0;
}

int main(int argc, char **argv)
{
    struct nebulet_device about;
    char name[NEBULET_NAME_MAX];
    sip_must(sip_recv_handle(0, name, sizeof name, &device), "serial: its device");
    sip_must(nebulet_device_info(device, &about), "serial: device_info");
    if (about.bus != NEBULET_PC || about.id != NEBULET_PC_SERIAL)
        sip_panic("serial: this is another device");
    uint32_t baud = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : FASTEST;
    if (argc > 2 || baud < 2 || baud > FASTEST || FASTEST % baud)
        sip_panic("usage: serial [BAUD], a divisor of 115200");
    interrupt =
        (nebulet_handle)sip_must(nebulet_interrupt_create(device, 0), "serial: its interrupt");
    set_up(baud);
    struct sip_service service = {.request = request,
                                  .connected = connected,
                                  .gone = gone,
                                  .look = look,
                                  .object = interrupt};
    return sip_serve("serial", &service) < 0;
}
