// SPDX-License-Identifier: MIT
// See mouse.h. Nothing says where a packet begins but a bit that its first byte has; others may
// have it, too. So when a byte has been lost, what follows is wrong until the mouse has been still.
#include "mouse.h"

enum { ALWAYS = 8, X_NEGATIVE = 0x10, Y_NEGATIVE = 0x20, OVERFLOWS = 0xc0, BUTTONS = 7 };
enum { STILL_NS = 100000000 };

bool mouse_take(struct mouse *m, uint8_t byte, uint64_t now_ns, struct mouse_event *out)
{
    if (now_ns - m->last_ns > STILL_NS)
        m->count = 0;
    m->last_ns = now_ns;
    if (!m->count && !(byte & ALWAYS))
        return false;
    m->bytes[m->count++] = byte;
    if (m->count < m->size)
        return false;
    m->count = 0;
    uint8_t first = m->bytes[0];
    bool lost = first & OVERFLOWS; // how far, nobody knows
    *out = (struct mouse_event){
        .buttons = first & BUTTONS,
        .wheel = m->size == 4 ? (int8_t)m->bytes[3] : 0,
        .x = (int16_t)(lost ? 0 : m->bytes[1] - (first & X_NEGATIVE ? 256 : 0)),
        .y = (int16_t)(lost ? 0 : (first & Y_NEGATIVE ? 256 : 0) - m->bytes[2]),
    };
    return true;
}
