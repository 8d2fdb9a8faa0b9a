// SPDX-License-Identifier: MIT
// Owns a keyboard's controller together with its driver, /ps2.wasm, which it starts, kills and
// starts again; and sends the driver what no keyboard would. Prints what is typed, a line for each
// key that goes down, and ends with Escape. Its argument: the set of scan codes that the driver is
// to use.
#include "../../user/drv/keyboard.h"
#include "owner.h"

enum { INJECT = 0xd2, INPUT_FULL = 2, GARBAGE = 3000 };

static nebulet_handle keys;
static const char *args[3] = {"ps2"};
static uint64_t seed = 88172645463325252;

static uint32_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}

static void start(void)
{
    owner_start(args);
    keys = (nebulet_handle)sip_must(sip_connect("keyboard"), "keyboard");
}

static void restart(void)
{
    owner_kill();
    sip_close(keys);
    start();
}

// As if it came from the keyboard. The driver may have the same port in hand.
static void inject(uint8_t byte)
{
    while (sip_must(nebulet_device_read(device, 1, 0, 1), "status") & (INPUT_FULL | 1))
        sip_sleep(SIP_MS / 10);
    sip_must(nebulet_device_write(device, 1, 0, 1, INJECT), "command");
    sip_must(nebulet_device_write(device, 0, 0, 1, byte), "data");
}

static bool next_key(struct key_event *e, uint64_t until)
{
    int64_t n = nebulet_channel_recv(keys, e, sizeof *e, NULL, 0, NULL, until);
    if (n == NEBULET_ERR_TIMED_OUT)
        return false;
    if (sip_must(n, "a key") != sizeof *e || e->size > KEY_TEXT || e->down > 1)
        sip_panic("this is no key");
    return true;
}

// Then no key is down, and no byte is part of anything.
static void garbage(void)
{
    struct key_event e;
    uint32_t seen = 0;
    for (uint32_t i = 0; i < GARBAGE; i++) {
        uint8_t byte = (uint8_t)next();
        if (!strchr("\x3a\x45\x58\x77",
                    byte & 0x7f)) // for lights the driver writes to the port, too
            inject(byte);
        while (next_key(&e, sip_now()))
            seen++;
    }
    for (uint32_t i = 0; i < 2; i++)
        inject(0xff);
    while (next_key(&e, sip_after(300 * SIP_MS)))
        seen++;
    sip_printf("garbage: %s\n", seen > GARBAGE / 20 ? "many keys" : "few keys");
}

// Who has connected hears of the key that comes then, also when others connected just before.
static void all_hear(void)
{
    enum { MANY = 8 };
    nebulet_handle usual = keys, others[MANY];
    bool second = args[1] && args[1][0] == '2';
    struct key_event e;
    for (uint32_t i = 0; i < MANY; i++)
        others[i] = (nebulet_handle)sip_must(sip_connect("keyboard"), "keyboard");
    inject(second ? 0x1c : 0x1e);
    if (second)
        inject(0xf0);
    inject(second ? 0x1c : 0x9e);
    for (uint32_t i = 0; i <= MANY; i++) {
        keys = i < MANY ? others[i] : usual;
        for (uint8_t down = 2; down-- > 0;)
            if (!next_key(&e, sip_after(20 * SIP_SECOND)) || e.key != 4 || e.down != down)
                sip_panic("one of those who have just connected has missed a key");
        if (i < MANY)
            sip_close(keys);
    }
}

int main(int argc, char **argv)
{
    struct key_event e;
    args[1] = argc > 1 ? argv[1] : NULL;
    owner_find(NEBULET_PC_PS2);
    owner_compile("/ps2.wasm");
    start();
    all_hear();
    sip_printf("ready\n");
    while (next_key(&e, NEBULET_FOREVER)) {
        if (!e.down) {
            sip_printf("up %x\n", e.key);
            continue;
        }
        sip_printf("key %x, %x: ", e.key, e.modifiers);
        for (uint32_t i = 0; i < e.size; i++)
            sip_printf(e.text[i] > ' ' && e.text[i] < 127 ? "%c" : "\\%x", e.text[i]);
        sip_printf("\n");
        if (e.text[0] == '\33' && e.size == 1)
            break;
        if (e.text[0] == '!' || e.text[0] == '?') {
            e.text[0] == '!' ? restart() : garbage();
            sip_printf("ready\n");
        }
    }
    nebulet_process_kill(process);
    sip_join(process, NULL);
    sip_printf("keys\n");
    return 0;
}
