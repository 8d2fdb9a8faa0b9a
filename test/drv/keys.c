// SPDX-License-Identifier: MIT
// Owns a keyboard's controller together with its driver, /ps2.wasm, which it starts, kills and
// starts again; and sends the driver what no keyboard would. Prints what is typed, a line for each
// key that goes down, and ends with Escape. Its argument: the set of scan codes that the driver is
// to use.
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../user/drv/keyboard.h"
#include <sip.h>

enum { INJECT = 0xd2, INPUT_FULL = 2, GARBAGE = 3000 };

static nebulet_handle device, module, process, keys;
static const char *args[3] = {"ps2"};
static uint64_t seed = 88172645463325252;

static uint32_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 16);
}

static void find_device(void)
{
    struct nebulet_device about;
    uint32_t i = 0;
    while (sip_must(nebulet_device_list(i, &about), "a keyboard's controller") >= 0 &&
           (about.bus != NEBULET_PC || about.id != NEBULET_PC_PS2))
        i++;
    device = (nebulet_handle)sip_must(nebulet_device_open(i), "device_open");
}

static void compile(void)
{
    enum { MAX = 1 << 20 };
    char *bytes = malloc(MAX), message[100];
    int fd = open("/ps2.wasm", O_RDONLY);
    ssize_t n = read(fd, bytes, MAX);
    close(fd);
    module =
        (nebulet_handle)sip_must(sip_compile(bytes, (size_t)n, message, sizeof message), "ps2");
    free(bytes);
}

static void start(void)
{
    nebulet_handle ends[2], given;
    given =
        (nebulet_handle)sip_must(nebulet_handle_duplicate(device, NEBULET_SAME_RIGHTS), "device");
    sip_must(sip_channel(ends), "channel");
    sip_must(sip_send_handle(ends[0], "ps2", 3, given), "device");
    sip_close(ends[0]);
    process = (nebulet_handle)sip_must(sip_start(module, args, NULL, ends[1]), "ps2");
    keys = (nebulet_handle)sip_must(sip_connect("keyboard"), "keyboard");
}

static void restart(void)
{
    struct nebulet_exit how;
    nebulet_process_kill(process);
    sip_must(sip_join(process, &how), "ps2");
    if (how.how != NEBULET_KILLED)
        sip_panic("the driver has ended by itself, by %u with %u", how.how, how.code);
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

int main(int argc, char **argv)
{
    struct key_event e;
    args[1] = argc > 1 ? argv[1] : NULL;
    find_device();
    compile();
    start();
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
