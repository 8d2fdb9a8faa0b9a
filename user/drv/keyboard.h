// SPDX-License-Identifier: MIT
// The contract of the service "keyboard": who connects gets a message, struct key_event, for each
// key that goes down, repeats, or goes up from then on. Who sends a message of one byte,
// KEYBOARD_MOUSE, gets what the mouse does instead, as struct mouse_event, the first one at once;
// if there is no mouse, it is hung up on. Of a client that does not take them, so that its channel
// is full, the rest is lost. When the driver ends, the channel closes, and all keys and buttons are
// up.
#pragma once
#include <stdint.h>

enum { KEY_SHIFT = 1, KEY_CONTROL = 2, KEY_ALT = 4, KEY_CAPS = 8, KEY_NUM = 16 };
enum { KEY_TEXT = 7 };
struct key_event {
    uint8_t key;             // its place: USB HID usage tables, page 7
    uint8_t down;            // 1: goes down, or repeats; 0: goes up
    uint8_t modifiers;       // KEY_SHIFT ..., with this key
    uint8_t size;            // bytes of text, 0 for most that go up
    char text[KEY_TEXT + 1]; // what a terminal sends: UTF-8, a control, or a sequence of VT220's
};
_Static_assert(sizeof(struct key_event) == 12, "a message");

enum { KEYBOARD_MOUSE = 1 };
enum { MOUSE_LEFT = 1, MOUSE_RIGHT = 2, MOUSE_MIDDLE = 4 };
struct mouse_event {
    uint8_t buttons; // that are down now
    int8_t wheel;    // towards the user is positive
    int16_t x, y;    // how far it has moved since the last one: to the right, and down
};
_Static_assert(sizeof(struct mouse_event) == 6, "a message");
