// SPDX-License-Identifier: MIT
// A line that somebody types, without the terminal: keys come in as what a keyboard sends for them
// (drv/keyboard.h), and what is to be shown goes out as text. With a prompt it is edited as usual,
// in one row, and earlier ones are kept; without one it belongs to a program, and only its end can
// be changed, for who knows where on the screen it begins.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LINE_MOST = 500, LINE_HISTORY = 32, LINE_COLUMNS = 80 };
enum line_result { LINE_GOES_ON, LINE_ENTERED, LINE_INTERRUPTED, LINE_ENDED };

struct line {
    char text[LINE_MOST + 1];
    uint32_t size, at;  // the cursor
    const char *prompt; // or NULL
    void (*show)(const char *text, size_t size);
    char history[LINE_HISTORY][LINE_MOST + 1];
    uint32_t kept, back; // lines in there, and how far back the one on the screen is
    uint32_t next;       // where the next one goes
};

// An empty line; what was there is gone. Shows the prompt.
void line_begin(struct line *l, const char *prompt);
void line_show(
    struct line *l); // once more, at the beginning of a row or where the program has left off
// ENTERED: text is complete, and kept if it had a prompt. INTERRUPTED: Ctrl-C. ENDED: Ctrl-D where
// nothing is. After these a line begins anew.
enum line_result line_key(struct line *l, const char *key, size_t size);
