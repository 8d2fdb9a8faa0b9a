// SPDX-License-Identifier: MIT
// Scan codes, without the hardware: bytes of a keyboard of PCs (set 1 or 2) become keys, and keys
// text (US layout). Bytes may come in any order: after some that make no sense the next key is
// right again.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "../keyboard.h"

struct scancodes {
    uint8_t set;      // 1, or 2
    uint8_t extended; // behind 0xe0
    uint8_t release;  // set 2: behind 0xf0
    uint8_t pause;    // bytes so far of the one key that has more
    uint8_t held;     // KEY_SHIFT ..., of keys that are down: left ones, and
    uint8_t held_right;
    bool caps, num;
    uint32_t down[8]; // a bit for each key
};

// Zeroed, but for the set. True: *out is what happened.
bool scancode_take(struct scancodes *s, uint8_t byte, struct key_event *out);
// Some may be lost: no key is down.
void scancode_reset(struct scancodes *s);
