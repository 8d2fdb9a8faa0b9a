// SPDX-License-Identifier: MIT
// vga: the service "screen", on the text mode of a PC's graphics card. A client sends one message
// with the end of a stream that is read; what it writes into the other end is shown (terminal.h
// says what that may be), until it closes it. What is written by several comes as they write it.
//
// Rows are kept here and copied to the card when they have changed: to read what is there takes a
// card longer than to write it.
#include <stdlib.h>
#include <string.h>
#include <sip.h>

#include "terminal.h"

enum { CLIENTS = 32, AT_ONCE = 4096, MEMORY = 32768 };
enum { REGISTERS, PORTS };
enum { ATTRIBUTE = 0, ATTRIBUTE_READ = 1, CRTC = 0x14, CRTC_DATA, STATUS = 0x1a }; // from 0x3c0 on
enum { CURSOR_START = 10, START_HIGH = 12, START_LOW, CURSOR_HIGH, CURSOR_LOW };
enum { CURSOR_OFF = 0x20, ATTRIBUTE_MODE = 0x10, ATTRIBUTE_SHOWS = 0x20, BLINKS = 8 };

static const char banner[] = "\033c\n"
                             "\033[35m      .-~~~-.\033[36m_\033[0m\n"
                             "\033[94m   .-~~~-.\033[36m' \033[97m|\033[36m `.\033[0m\n"
                             "\033[94m  (  .  \033[97m--*--\033[35m   )\033[0m   "
                             "\033[97mN e b u l e t\033[0m\n"
                             "\033[36m   `.  \033[35m' \033[97m|\033[35m~~-'\033[0m      "
                             "WebAssembly processes, and nothing below them\n"
                             "\033[36m     `-.\033[35m__.-~'\033[0m\n\n";

static _Alignas(4096) uint8_t window[MEMORY];
static nebulet_handle device;
static struct screen screen;

// The first waits for clients. Those of others are a client's channel, until it has sent its
// stream, and then that.
static struct nebulet_wait items[1 + CLIENTS];
static struct client {
    bool has_stream;
    struct terminal_decoder decoder;
} *clients[1 + CLIENTS];
static uint32_t count = 1;

static void out(uint32_t port, uint32_t value)
{
    sip_must(nebulet_device_write(device, PORTS, port, 1, value), "vga: device_write");
}

static uint32_t in(uint32_t port)
{
    return (uint32_t)sip_must(nebulet_device_read(device, PORTS, port, 1), "vga: device_read");
}

static void crtc(uint32_t index, uint32_t value)
{
    out(CRTC, index);
    out(CRTC_DATA, value);
}

// The high bit of an attribute is a colour, too, instead of blinking.
static void set_up(void)
{
    in(STATUS); // the next write is an index
    out(ATTRIBUTE, ATTRIBUTE_MODE | ATTRIBUTE_SHOWS);
    uint32_t mode = in(ATTRIBUTE_READ);
    out(ATTRIBUTE, mode & ~(uint32_t)BLINKS);
    crtc(START_HIGH, 0);
    crtc(START_LOW, 0);
}

static void show(void)
{
    static uint32_t cursor_was = UINT32_MAX, shape_was = UINT32_MAX;
    volatile uint32_t *to = (volatile uint32_t *)window;
    for (uint32_t y = 0; y < TERMINAL_ROWS; y++) {
        uint32_t words[TERMINAL_COLUMNS / 2];
        if (!(screen.changed >> y & 1))
            continue;
        memcpy(words, screen.cells[y], sizeof words);
        for (uint32_t i = 0; i < TERMINAL_COLUMNS / 2; i++)
            to[y * (TERMINAL_COLUMNS / 2) + i] = words[i];
    }
    screen.changed = 0;
    uint32_t x = screen.x < TERMINAL_COLUMNS ? screen.x : TERMINAL_COLUMNS - 1;
    uint32_t cursor = screen.y * TERMINAL_COLUMNS + x, shape = screen.hidden ? CURSOR_OFF : 13;
    if (cursor != cursor_was) {
        crtc(CURSOR_HIGH, cursor >> 8);
        crtc(CURSOR_LOW, cursor & 255);
    }
    if (shape != shape_was)
        crtc(CURSOR_START, shape);
    cursor_was = cursor, shape_was = shape;
}

// --- Clients

static void accept_client(void)
{
    nebulet_handle channel = NEBULET_NO_HANDLE;
    int64_t result =
        nebulet_channel_recv(items[0].handle, NULL, 0, &channel, 1, NULL, NEBULET_AT_ONCE);
    if (result == NEBULET_ERR_SHOULD_WAIT)
        return;
    sip_must(result, "vga");
    struct client *c = count <= CLIENTS ? calloc(1, sizeof *c) : NULL;
    if (!c) {
        sip_close(channel);
        return;
    }
    terminal_init(&c->decoder);
    clients[count] = c;
    items[count++] =
        (struct nebulet_wait){.handle = channel, .signals = NEBULET_READABLE | NEBULET_PEER_CLOSED};
}

static void drop(uint32_t i)
{
    if (screen.writer == &clients[i]->decoder)
        screen.writer = NULL;
    sip_close(items[i].handle);
    free(clients[i]);
    count--;
    items[i] = items[count];
    clients[i] = clients[count];
}

// False: it is over.
static bool get_stream(uint32_t i)
{
    nebulet_handle stream = NEBULET_NO_HANDLE;
    uint8_t text[64];
    int64_t result =
        nebulet_channel_recv(items[i].handle, text, sizeof text, &stream, 1, NULL, NEBULET_AT_ONCE);
    if (result == NEBULET_ERR_SHOULD_WAIT)
        return true;
    if (result < 0 || stream == NEBULET_NO_HANDLE)
        return false;
    sip_close(items[i].handle);
    items[i].handle = stream;
    clients[i]->has_stream = true;
    return true;
}

static bool get_text(uint32_t i)
{
    uint8_t text[AT_ONCE];
    int64_t n = nebulet_stream_read(items[i].handle, text, sizeof text, NEBULET_AT_ONCE);
    if (n > 0)
        terminal_write(&screen, &clients[i]->decoder, text, (uint32_t)n);
    return n >= 0 || n == NEBULET_ERR_SHOULD_WAIT;
}

int main(void)
{
    struct nebulet_device about;
    char name[NEBULET_NAME_MAX];
    sip_must(sip_recv_handle(0, name, sizeof name, &device), "vga: its device");
    sip_must(nebulet_device_info(device, &about), "vga: device_info");
    if (about.bus != NEBULET_PC || about.id != NEBULET_PC_VGA)
        sip_panic("vga: this is another device");
    sip_must(nebulet_device_map(device, REGISTERS, (uint32_t)(uintptr_t)window), "vga: device_map");
    set_up();
    struct terminal_decoder ours;
    terminal_init(&ours);
    terminal_write(&screen, &ours, (const uint8_t *)banner, sizeof banner - 1);
    show();
    screen.writer = NULL;
    int64_t listen = sip_must(nebulet_service_create("screen", 6), "vga: the name \"screen\"");
    items[0] = (struct nebulet_wait){.handle = (nebulet_handle)listen, .signals = NEBULET_READABLE};
    for (;;) {
        sip_must(nebulet_object_wait_many(items, count, NEBULET_FOREVER), "vga: waiting");
        for (uint32_t i = count; --i > 0;)
            if (items[i].observed & items[i].signals &&
                !(clients[i]->has_stream ? get_text(i) : get_stream(i)))
                drop(i);
        if (items[0].observed & NEBULET_READABLE)
            accept_client();
        show();
    }
}
