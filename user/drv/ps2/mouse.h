// SPDX-License-Identifier: MIT
// What a PS/2 mouse sends, as events: packets of three bytes, of four where it has a wheel.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "../keyboard.h"

struct mouse {
    uint8_t size;     // of a packet: 3 or 4
    uint8_t count;    // bytes of one that are there
    uint8_t bytes[4]; // these
    uint64_t last_ns; // when the last one came
};

// A zeroed one with its size is at a packet's beginning. True: the byte is its last, and *out what
// it says.
bool mouse_take(struct mouse *m, uint8_t byte, uint64_t now_ns, struct mouse_event *out);
