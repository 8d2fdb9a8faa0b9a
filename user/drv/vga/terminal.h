// SPDX-License-Identifier: MIT
// A terminal of 80x25 characters, without the hardware: bytes become cells. What it understands is
// what programs send to a VT100 or to Linux's console (ECMA-48): cursor movement, erasing,
// inserting and deleting, a scrolling region, 16 colours (others become the nearest of these); text
// is UTF-8, and shown as far as the character set of the PC (code page 437) has it. Anything else
// is ignored, or a question mark. Nothing answers.
//
// Bytes may be hostile: each takes bounded time, state is of fixed size, and a sequence ends
// wherever the next one begins.
//
// Several writers share a screen: each has a decoder of its own, so that none breaks another's
// sequences or takes its colour, and what one begins to write goes to a new line when another has
// not finished its own.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { TERMINAL_COLUMNS = 80, TERMINAL_ROWS = 25 };

struct terminal_decoder;
struct screen {
    uint16_t cells[TERMINAL_ROWS][TERMINAL_COLUMNS]; // character, attribute above it
    uint32_t changed;                                // a bit for each row, for who shows them
    uint32_t x, y;        // the cursor: x may be TERMINAL_COLUMNS, behind what fills a row
    uint32_t top, bottom; // rows that scroll: [top, bottom)
    bool hidden;          // the cursor
    bool cuts;            // what does not fit into a row overwrites its end
    const struct terminal_decoder *writer; // whose cursor this is
};

enum { TERMINAL_PARAMETERS = 16 };
struct terminal_decoder {
    uint8_t state, kind; // of a sequence; kind: '?', another prefix or intermediate, or 0
    uint8_t colour;      // attribute, without what follows
    bool bold, reverse;
    uint32_t parameters[TERMINAL_PARAMETERS], count;
    uint32_t rune, least, wanted; // UTF-8: so far, at least, bytes to come
    uint32_t saved_x, saved_y;
    uint8_t saved_colour;
    bool saved_bold, saved_reverse;
};

void screen_init(struct screen *s);
void terminal_init(struct terminal_decoder *d);
void terminal_write(struct screen *s, struct terminal_decoder *d, const uint8_t *bytes,
                    uint32_t size);
// The character set's number of a code point; '?' when it has none.
uint8_t terminal_glyph(uint32_t rune);
