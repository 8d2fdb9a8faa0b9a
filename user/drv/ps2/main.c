// SPDX-License-Identifier: MIT
// ps2 [1|2]: the service "keyboard" (keyboard.h), of a keyboard on the controller that PCs have for
// it (8042). The keyboard sends scan codes of set 2; by default the controller is asked to make set
// 1 of them, and set 2 is what is expected when it does not, or that is the argument.
//
// The interrupt is an edge, and comes for each byte that can be read when there was none: so all
// there is is read, always after the interrupt was acknowledged. A controller that never has enough
// is left alone for a moment. Bytes of a mouse are thrown away.
#include <string.h>
#include <sip.h>

#include "scancode.h"

enum { DATA, COMMAND }; // ranges of the device, a port each
enum { STATUS_OUTPUT = 1, STATUS_INPUT = 2, STATUS_MOUSE = 0x20 };
enum {
    READ_CONFIG = 0x20,
    WRITE_CONFIG = 0x60,
    MOUSE_OFF = 0xa7,
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
    ACKNOWLEDGED = 0xfa,
    AGAIN = 0xfe
};
enum { AT_ONCE = 64, CLIENTS = 16, PATIENCE_MS = 500 };

static nebulet_handle device, interrupt;
static struct scancodes codes;
static nebulet_handle clients[CLIENTS]; // channels of those who listen
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

// The next byte, or UINT32_MAX.
static uint32_t wait_for_byte(void)
{
    for (uint32_t ms = 0; ms < PATIENCE_MS; ms++) {
        uint32_t status = in(COMMAND);
        uint32_t byte = status & STATUS_OUTPUT ? in(DATA) : UINT32_MAX;
        if (status & STATUS_OUTPUT && !(status & STATUS_MOUSE))
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
            uint32_t answer = wait_for_byte();
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
    return out(COMMAND, READ_CONFIG) ? wait_for_byte() : UINT32_MAX;
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
    config = configuration();
    codes.set = config != UINT32_MAX && config & CONFIG_SET_1 ? 1 : 2;
    if (config == UINT32_MAX || !out(COMMAND, WRITE_CONFIG) ||
        !out(DATA, config | CONFIG_INTERRUPT))
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

static void tell_all(const struct key_event *e)
{
    for (uint32_t i = 0; i < client_count; i++)
        nebulet_channel_send(clients[i], e, sizeof *e, NULL, 0, NEBULET_AT_ONCE);
}

static void take(uint8_t byte)
{
    struct key_event e;
    if (is_acknowledgement(byte) || !scancode_take(&codes, byte, &e))
        return;
    tell_all(&e);
    show_lights();
}

static void look(struct sip_service *s, bool signaled)
{
    uint32_t n = 0, status;
    if (signaled)
        sip_must(nebulet_interrupt_ack(interrupt), "ps2: interrupt_ack");
    for (; n < AT_ONCE && (status = in(COMMAND)) & STATUS_OUTPUT; n++) {
        uint8_t byte = (uint8_t)in(DATA);
        if (!(status & STATUS_MOUSE))
            take(byte);
    }
    s->until = n == AT_ONCE ? sip_after(5 * SIP_MS) : NEBULET_FOREVER;
}

static enum sip_verdict request(struct sip_service *s, struct sip_client *client,
                                const struct sip_request *r)
{
    (void)s, (void)client, (void)r;
    return SIP_HANG_UP; // there is nothing to ask
}

// One more than there may be hears nothing.
static void connected(struct sip_service *s, struct sip_client *client)
{
    (void)s;
    if (client_count < CLIENTS)
        clients[client_count++] = client->channel;
}

static void gone(struct sip_service *s, struct sip_client *client)
{
    (void)s;
    for (uint32_t i = 0; i < client_count; i++)
        if (clients[i] == client->channel)
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
    interrupt = (nebulet_handle)sip_must(nebulet_interrupt_create(device, 0), "ps2: its interrupt");
    set_up(second ? 2 : 1);
    struct sip_service service = {.request = request,
                                  .connected = connected,
                                  .gone = gone,
                                  .look = look,
                                  .object = interrupt};
    return sip_serve("keyboard", &service) < 0;
}
