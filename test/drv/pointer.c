// SPDX-License-Identifier: MIT
// Owns a keyboard's controller together with its driver, /ps2.wasm, and prints what mouse and keys
// do. With the right button the driver is killed and started again, with the middle one all ends.
#include "../../user/drv/keyboard.h"
#include "owner.h"

static nebulet_handle keys, mouse;

static void start(void)
{
    static const char *const args[] = {"ps2", NULL};
    uint8_t wanted = KEYBOARD_MOUSE, bad[] = {1, 1};
    struct mouse_event e;
    owner_start(args);
    keys = (nebulet_handle)sip_must(sip_connect("keyboard"), "keyboard");
    sip_must(sip_send(keys, bad, sizeof bad), "sending");
    if (sip_recv(keys, NULL, 0) != NEBULET_ERR_PEER_CLOSED)
        sip_panic("it takes any request");
    sip_close(keys);
    keys = (nebulet_handle)sip_must(sip_connect("keyboard"), "keyboard");
    mouse = (nebulet_handle)sip_must(sip_connect("keyboard"), "keyboard");
    sip_must(sip_send_value(mouse, &wanted), "asking for the mouse");
    sip_must(sip_recv_value(mouse, &e), "its first event");
    sip_printf("ready\n");
}

static void restart(void)
{
    owner_kill();
    sip_close(keys);
    sip_close(mouse);
    start();
}

int main(void)
{
    struct mouse_event e = {0};
    struct key_event k;
    owner_find(NEBULET_PC_PS2);
    owner_compile("/ps2.wasm");
    start();
    while (!(e.buttons & MOUSE_MIDDLE)) {
        struct nebulet_wait items[] = {
            {.handle = keys, .signals = NEBULET_READABLE | NEBULET_PEER_CLOSED},
            {.handle = mouse, .signals = NEBULET_READABLE | NEBULET_PEER_CLOSED}};
        sip_must(nebulet_object_wait_many(items, 2, NEBULET_FOREVER), "waiting");
        if (items[0].observed & items[0].signals) {
            sip_must(sip_recv_value(keys, &k), "a key");
            if (k.down)
                sip_printf("key %x\n", k.key);
            continue;
        }
        sip_must(sip_recv_value(mouse, &e), "the mouse");
        sip_printf("mouse %u: %d %d %d\n", e.buttons, e.x, e.y, e.wheel);
        if (e.buttons & MOUSE_RIGHT)
            restart();
    }
    owner_kill();
    sip_printf("pointer\n");
    return 0;
}
