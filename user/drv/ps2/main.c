// SPDX-License-Identifier: MIT
// ps2 [1|2]: the service "keyboard" (keyboard.h), of keyboard and mouse on the controller that PCs
// have for them (8042). The keyboard sends scan codes of set 2; by default the controller is asked
// to make set 1 of them, and set 2 is what is expected when it does not, or that is the argument.
//
// An interrupt is an edge, and comes for each byte that can be read when there was none: so all
// there is is read, whosever it is, always after the interrupt was acknowledged. A controller that
// never has enough is left alone for a moment. Keyboard and mouse have an interrupt each, and a
// thread that waits for it and wakes the one that serves.
#include <string.h>
#include <sip.h>

#include "mouse.h"
#include "scancode.h"

enum { DATA, COMMAND }; // ranges of the device, a port each
enum { STATUS_OUTPUT = 1, STATUS_INPUT = 2, STATUS_MOUSE = 0x20 };
enum {
    READ_CONFIG = 0x20,
    WRITE_CONFIG = 0x60,
    MOUSE_OFF = 0xa7,
    MOUSE_ON = 0xa8,
    TO_MOUSE = 0xd4, // the next byte is
    KEYBOARD_OFF = 0xad,
    KEYBOARD_ON = 0xae
};
enum {
    CONFIG_INTERRUPT = 1,
    CONFIG_MOUSE_INTERRUPT = 2,
    CONFIG_NO_KEYBOARD = 16,
    CONFIG_NO_MOUSE = 32,
    CONFIG_SET_1 = 64
};
enum {
    LIGHTS = 0xed,
    CODE_SET = 0xf0,
    DEFAULTS = 0xf6,
    BEGIN = 0xf4,
    RATE = 0xf3,
    IDENTITY = 0xf2,
    HAS_WHEEL = 3,
    ACKNOWLEDGED = 0xfa,
    AGAIN = 0xfe
};
enum { AT_ONCE = 64, CLIENTS = 16, PATIENCE_MS = 500, MOUSE_PATIENCE_MS = 50 };

static nebulet_handle device, interrupts[2], woken;
static struct scancodes codes;
static struct mouse mouse; // its size 0: there is none
static uint8_t buttons;    // of it that are down
static struct listener {
    nebulet_handle channel;
    bool mouse; // that is what it listens to
} clients[CLIENTS];
static uint32_t client_count;

static uint32_t in(uint32_t range)
{
    return (uint32_t)sip_must(nebulet_device_read(device, range, 0, 1), "ps2: device_read");
}

// False: the controller takes nothing.
static bool out(uint32_t range, uint32_t value)
{
    for (uint32_t ms = 0; in(COMMAND)&STATUS_INPUT; ms++) {
        if (ms == PATIENCE_MS)
            return false;
        sip_sleep(SIP_MS);
    }
    sip_must(nebulet_device_write(device, range, 0, 1, value), "ps2: device_write");
    return true;
}

// --- Setting up, when no interrupt is on yet

// The next byte of the mouse, or of the keyboard and the controller; or UINT32_MAX.
static uint32_t wait_for(bool of_mouse)
{
    uint32_t patience = of_mouse ? MOUSE_PATIENCE_MS : PATIENCE_MS;
    for (uint32_t ms = 0; ms < patience; ms++) {
        uint32_t status = in(COMMAND);
        uint32_t byte = status & STATUS_OUTPUT ? in(DATA) : UINT32_MAX;
        if (status & STATUS_OUTPUT && !(status & STATUS_MOUSE) == !of_mouse)
            return byte;
        if (!(status & STATUS_OUTPUT))
            sip_sleep(SIP_MS);
    }
    return UINT32_MAX;
}

static void flush(void)
{
    for (uint32_t i = 0; i < AT_ONCE && in(COMMAND)&STATUS_OUTPUT; i++)
        in(DATA);
}

// False: the keyboard does not want that, or is not there. What else it sends meanwhile is lost.
static bool tell(uint32_t byte)
{
    for (uint32_t tries = 0; tries < 3; tries++) {
        if (!out(DATA, byte))
            return false;
        for (uint32_t i = 0; i < AT_ONCE; i++) {
            uint32_t answer = wait_for(false);
            if (answer == ACKNOWLEDGED || answer == UINT32_MAX)
                return answer == ACKNOWLEDGED;
            if (answer == AGAIN)
                break;
        }
    }
    return false;
}

static uint32_t configuration(void)
{
    return out(COMMAND, READ_CONFIG) ? wait_for(false) : UINT32_MAX;
}

// What it has sent before comes before its answer.
static bool tell_mouse(uint32_t byte)
{
    uint32_t answer = UINT32_MAX;
    if (out(COMMAND, TO_MOUSE) && out(DATA, byte))
        for (uint32_t i = 0; i < AT_ONCE && (answer = wait_for(true)) != UINT32_MAX; i++)
            if (answer == ACKNOWLEDGED)
                return true;
    return false;
}

// Rates in a row are how a mouse is asked for its wheel. One that is not there does not answer, and
// is not waited for long.
static void find_mouse(void)
{
    static const uint8_t rates[] = {200, 100, 80};
    if (!out(COMMAND, MOUSE_ON) || !tell_mouse(DEFAULTS))
        return;
    flush(); // what looked like an answer was none
    for (uint32_t i = 0; i < sizeof rates; i++)
        if (!tell_mouse(RATE) || !tell_mouse(rates[i]))
            return;
    uint32_t size = tell_mouse(IDENTITY) && wait_for(true) == HAS_WHEEL ? 4 : 3;
    if (tell_mouse(BEGIN))
        mouse.size = (uint8_t)size;
}

static void set_up(uint32_t set)
{
    bool takes = out(COMMAND, KEYBOARD_OFF) && out(COMMAND, MOUSE_OFF);
    flush();
    uint32_t config = takes ? configuration() : UINT32_MAX;
    if (config == UINT32_MAX)
        sip_panic("ps2: the controller does not answer");
    config &=
        ~(uint32_t)(CONFIG_INTERRUPT | CONFIG_MOUSE_INTERRUPT | CONFIG_NO_KEYBOARD | CONFIG_SET_1);
    config |= CONFIG_NO_MOUSE | (set == 1 ? CONFIG_SET_1 : 0);
    if (!out(COMMAND, WRITE_CONFIG) || !out(DATA, config) || !out(COMMAND, KEYBOARD_ON))
        sip_panic("ps2: the controller takes nothing");
    if (!tell(DEFAULTS))
        sip_panic("ps2: no keyboard answers");
    if (tell(CODE_SET))
        tell(2);
    tell(BEGIN);
    find_mouse();
    if (!mouse.size)
        out(COMMAND, MOUSE_OFF);
    config = configuration();
    codes.set = config != UINT32_MAX && config & CONFIG_SET_1 ? 1 : 2;
    if (config == UINT32_MAX || !out(COMMAND, WRITE_CONFIG) ||
        !out(DATA, config | CONFIG_INTERRUPT | (mouse.size ? CONFIG_MOUSE_INTERRUPT : 0)))
        sip_panic("ps2: the controller does not answer");
}

// --- Lights: a command and its argument, each to be acknowledged before what comes next.

static struct {
    uint8_t state; // 0: none under way; or which byte is to be acknowledged
    bool shown_caps, shown_num;
} lights;

static bool is_acknowledgement(uint8_t byte)
{
    if (!lights.state || (byte != ACKNOWLEDGED && byte != AGAIN))
        return false;
    if (lights.state == 1 && byte == ACKNOWLEDGED) {
        lights.shown_caps = codes.caps;
        lights.shown_num = codes.num;
        lights.state = out(DATA, (codes.num ? 2 : 0) | (codes.caps ? 4 : 0)) ? 2 : 0;
    } else {
        lights.state = 0;
    }
    return true;
}

// One that was not acknowledged is given up with the next.
static void show_lights(void)
{
    if (codes.caps != lights.shown_caps || codes.num != lights.shown_num)
        lights.state = out(DATA, LIGHTS);
}

// --- Serving

static void tell_all(bool of_mouse, const void *event, uint32_t size)
{
    for (uint32_t i = 0; i < client_count; i++)
        if (clients[i].mouse == of_mouse)
            nebulet_channel_send(clients[i].channel, event, size, NULL, 0, NEBULET_AT_ONCE);
}

static void take(uint8_t byte)
{
    struct key_event e;
    if (is_acknowledgement(byte) || !scancode_take(&codes, byte, &e))
        return;
    tell_all(false, &e, sizeof e);
    show_lights();
}

static void take_from_mouse(uint8_t byte)
{
    struct mouse_event e;
    if (!mouse.size || !mouse_take(&mouse, byte, sip_now(), &e))
        return;
    buttons = e.buttons;
    tell_all(true, &e, sizeof e);
}

// False: there may be more. Who connected before a byte could be read hears of it.
static bool read_all(struct sip_service *s)
{
    struct {
        uint8_t byte;
        bool of_mouse;
    } got[AT_ONCE];
    uint32_t n = 0, status;
    for (; n < AT_ONCE && (status = in(COMMAND)) & STATUS_OUTPUT; n++) {
        got[n].of_mouse = status & STATUS_MOUSE;
        got[n].byte = (uint8_t)in(DATA);
    }
    if (n)
        sip_take_clients(s);
    for (uint32_t i = 0; i < n; i++)
        got[i].of_mouse ? take_from_mouse(got[i].byte) : take(got[i].byte);
    return n < AT_ONCE;
}

static void look(struct sip_service *s, bool signaled)
{
    if (signaled)
        sip_must(nebulet_object_signal(woken, NEBULET_EVENT_SIGNALED, 0), "ps2: its event");
    s->until = read_all(s) ? NEBULET_FOREVER : sip_after(5 * SIP_MS);
}

static int32_t watch(void *interrupt)
{
    nebulet_handle i = *(nebulet_handle *)interrupt;
    for (;;) {
        sip_must(sip_wait(i, NEBULET_EVENT_SIGNALED), "ps2: an interrupt");
        sip_must(nebulet_interrupt_ack(i), "ps2: interrupt_ack");
        sip_must(sip_signal(woken), "ps2: its event");
    }
}

static enum sip_verdict request(struct sip_service *s, struct sip_client *client,
                                const struct sip_request *r)
{
    (void)s;
    for (uint32_t i = 0; i < client_count && r->size == 1 && r->bytes[0] == KEYBOARD_MOUSE; i++)
        if (clients[i].channel == client->channel && mouse.size) {
            struct mouse_event now = {.buttons = buttons};
            clients[i].mouse = true;
            return sip_answer(client, &now, sizeof now) < 0 ? SIP_HANG_UP : SIP_GO_ON;
        }
    return SIP_HANG_UP;
}

// One more than there may be hears nothing.
static void connected(struct sip_service *s, struct sip_client *client)
{
    (void)s;
    if (client_count < CLIENTS)
        clients[client_count++] = (struct listener){.channel = client->channel};
}

static void gone(struct sip_service *s, struct sip_client *client)
{
    (void)s;
    for (uint32_t i = 0; i < client_count; i++)
        if (clients[i].channel == client->channel)
            clients[i] = clients[--client_count];
}

int main(int argc, char **argv)
{
    struct nebulet_device about;
    char name[NEBULET_NAME_MAX];
    sip_must(sip_recv_handle(0, name, sizeof name, &device), "ps2: its device");
    sip_must(nebulet_device_info(device, &about), "ps2: device_info");
    if (about.bus != NEBULET_PC || about.id != NEBULET_PC_PS2)
        sip_panic("ps2: this is another device");
    bool second = argc > 1 && !strcmp(argv[1], "2");
    if (argc > 2 || (argc > 1 && !second && strcmp(argv[1], "1")))
        sip_panic("usage: ps2 [1|2]");
    woken = (nebulet_handle)sip_must(nebulet_event_create(), "ps2: an event");
    for (uint32_t i = 0; i < 2; i++)
        interrupts[i] =
            (nebulet_handle)sip_must(nebulet_interrupt_create(device, i), "ps2: its interrupts");
    set_up(second ? 2 : 1);
    struct sip_thread threads[2];
    for (uint32_t i = 0; i < 1 + (mouse.size > 0); i++)
        sip_must(sip_thread_start(&threads[i], watch, &interrupts[i], 4096), "ps2: a thread");
    struct sip_service service = {
        .request = request, .connected = connected, .gone = gone, .look = look, .object = woken};
    return sip_serve("keyboard", &service) < 0;
}
