// SPDX-License-Identifier: MIT
// See terminal.h. The states are those of the usual parser (of DEC's terminals, as described by
// Paul Williams), with fewer of them, since what is not known is only skipped.
#include "terminal.h"

#include <string.h>

enum { COLUMNS = TERMINAL_COLUMNS, ROWS = TERMINAL_ROWS, TAB = 8 };
enum { PLAIN = 7, PARAMETER_MAX = 9999 };
enum { ESC = 27, CAN = 24, SUB = 26, DEL = 127, BEL = 7 };
enum { GROUND, ESCAPE, CHARSET, SEQUENCE, TEXT, TEXT_ESCAPE }; // TEXT: to be skipped, up to its end

// --- Characters

// From 128 on; and what has a picture where controls are.
static const uint16_t upper[128] = {
    0xc7,   0xfc,   0xe9,   0xe2,   0xe4,   0xe0,   0xe5,   0xe7,   0xea,   0xeb,   0xe8,   0xef,
    0xee,   0xec,   0xc4,   0xc5,   0xc9,   0xe6,   0xc6,   0xf4,   0xf6,   0xf2,   0xfb,   0xf9,
    0xff,   0xd6,   0xdc,   0xa2,   0xa3,   0xa5,   0x20a7, 0x192,  0xe1,   0xed,   0xf3,   0xfa,
    0xf1,   0xd1,   0xaa,   0xba,   0xbf,   0x2310, 0xac,   0xbd,   0xbc,   0xa1,   0xab,   0xbb,
    0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561, 0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557,
    0x255d, 0x255c, 0x255b, 0x2510, 0x2514, 0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f,
    0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256c, 0x2567, 0x2568, 0x2564, 0x2565, 0x2559,
    0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518, 0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580,
    0x3b1,  0xdf,   0x393,  0x3c0,  0x3a3,  0x3c3,  0xb5,   0x3c4,  0x3a6,  0x398,  0x3a9,  0x3b4,
    0x221e, 0x3c6,  0x3b5,  0x2229, 0x2261, 0xb1,   0x2265, 0x2264, 0x2320, 0x2321, 0xf7,   0x2248,
    0xb0,   0x2219, 0xb7,   0x221a, 0x207f, 0xb2,   0x25a0, 0xa0,
};
static const uint16_t lower[32] = {
    0,      0x263a, 0x263b, 0x2665, 0x2666, 0x2663, 0x2660, 0x2022, 0x25d8, 0x25cb, 0x25d9,
    0x2642, 0x2640, 0x266a, 0x266b, 0x263c, 0x25ba, 0x25c4, 0x2195, 0x203c, 0xb6,   0xa7,
    0x25ac, 0x21a8, 0x2191, 0x2193, 0x2192, 0x2190, 0x221f, 0x2194, 0x25b2, 0x25bc,
};
// What is usual in texts, and looks much like something that there is.
static const struct {
    uint16_t rune;
    char as;
} alike[] = {
    {0x2018, '\''},  {0x2019, '\''}, {0x201c, '"'},   {0x201d, '"'}, {0x2010, '-'},
    {0x2011, '-'},   {0x2013, '-'},  {0x2014, '-'},   {0x2212, '-'}, {0x2026, '.'},
    {0x3bc, '\xe6'}, {0x2302, DEL},  {0x3b2, '\xe1'},
};

uint8_t terminal_glyph(uint32_t rune)
{
    if (rune >= ' ' && rune < DEL)
        return (uint8_t)rune;
    for (uint32_t i = 0; i < 128; i++)
        if (upper[i] == rune)
            return (uint8_t)(128 + i);
    for (uint32_t i = 1; i < 32; i++)
        if (lower[i] == rune)
            return (uint8_t)i;
    for (uint32_t i = 0; i < sizeof alike / sizeof *alike; i++)
        if (alike[i].rune == rune)
            return (uint8_t)alike[i].as;
    return '?';
}

// --- Cells

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

// As it is shown: bold is bright.
static uint16_t blank(const struct terminal_decoder *d)
{
    uint8_t colour = d->colour | (d->bold ? 8 : 0);
    if (d->reverse)
        colour = (uint8_t)(colour << 4 | colour >> 4);
    return (uint16_t)(colour << 8 | ' ');
}

static void touch(struct screen *s, uint32_t from, uint32_t to)
{
    for (; from < to; from++)
        s->changed |= 1u << from;
}

static void clear(struct screen *s, uint32_t y, uint32_t from, uint32_t to, uint16_t with)
{
    for (uint32_t x = from; x < to; x++)
        s->cells[y][x] = with;
    touch(s, y, y + 1);
}

static void clear_rows(struct screen *s, uint32_t from, uint32_t to, uint16_t with)
{
    for (; from < to; from++)
        clear(s, from, 0, COLUMNS, with);
}

// The rows [from, to) move n up, or down, and n blank ones come behind or before them.
static void scroll(struct screen *s, uint32_t from, uint32_t to, uint32_t n, bool up, uint16_t with)
{
    n = least(n, to - from);
    uint32_t stay = to - from - n;
    uint16_t (*at)[COLUMNS] = s->cells + from;
    memmove(up ? at : at + n, up ? at + n : at, stay * sizeof *at);
    clear_rows(s, up ? from + stay : from, up ? to : from + n, with);
    touch(s, from, to);
}

static void line_down(struct screen *s, const struct terminal_decoder *d)
{
    if (s->y + 1 == s->bottom)
        scroll(s, s->top, s->bottom, 1, true, blank(d));
    else if (s->y + 1 < ROWS)
        s->y++;
}

static void line_up(struct screen *s, const struct terminal_decoder *d)
{
    if (s->y == s->top)
        scroll(s, s->top, s->bottom, 1, false, blank(d));
    else if (s->y)
        s->y--;
}

static void move_to(struct screen *s, uint32_t x, uint32_t y)
{
    s->x = least(x, COLUMNS - 1);
    s->y = least(y, ROWS - 1);
}

// A row that is full goes on with the next character only.
static void put(struct screen *s, const struct terminal_decoder *d, uint8_t glyph)
{
    if (s->x == COLUMNS && s->cuts)
        s->x = COLUMNS - 1;
    if (s->x == COLUMNS) {
        s->x = 0;
        line_down(s, d);
    }
    s->cells[s->y][s->x++] = (uint16_t)((blank(d) & 0xff00) | glyph);
    touch(s, s->y, s->y + 1);
}

static void new_line(struct screen *s, const struct terminal_decoder *d)
{
    s->x = 0;
    line_down(s, d);
}

static void control(struct screen *s, const struct terminal_decoder *d, uint8_t b)
{
    switch (b) {
    case '\b': s->x = s->x ? s->x - 1 : 0; break;
    case '\t': s->x = least((s->x / TAB + 1) * TAB, COLUMNS - 1); break;
    case '\n':
    case '\v':
    case '\f': new_line(s, d); break; // no terminal driver adds the \r here
    case '\r': s->x = 0; break;
    default: break;
    }
}

// --- Colours

// The PC has red and blue the other way round.
static uint8_t colour_of(uint32_t ansi)
{
    return (uint8_t)((ansi & 10) | (ansi & 1) << 2 | (ansi >> 2 & 1));
}

static uint8_t nearest(uint32_t red, uint32_t green, uint32_t blue)
{
    uint32_t most = red > green ? red : green;
    most = blue > most ? blue : most;
    uint32_t half = most / 2 + 1, bright = most > 191 ? 8 : 0;
    if (most < 64)
        return 0;
    if (most - least(least(red, green), blue) < 32) // grey
        return most < 112 ? 8 : most < 208 ? 7 : 15;
    return colour_of((red >= half ? 1 : 0) | (green >= half ? 2 : 0) | (blue >= half ? 4 : 0) |
                     bright);
}

static uint8_t of_256(uint32_t n)
{
    if (n < 16)
        return colour_of(n);
    if (n >= 232)
        return nearest(8 + 10 * (n - 232), 8 + 10 * (n - 232), 8 + 10 * (n - 232));
    n -= 16;
    return nearest(n / 36 * 51, n / 6 % 6 * 51, n % 6 * 51);
}

// 38 or 48, at i: 5 and a number, or 2 and three. Gives how many parameters follow it.
static uint32_t extended(struct terminal_decoder *d, uint32_t i, uint8_t *out)
{
    const uint32_t *p = d->parameters + i;
    uint32_t left = d->count - i - 1;
    if (left >= 2 && p[1] == 5) {
        *out = of_256(p[2] & 255);
        return 2;
    }
    if (left >= 4 && p[1] == 2) {
        *out = nearest(p[2] & 255, p[3] & 255, p[4] & 255);
        return 4;
    }
    return left;
}

static void set_front(struct terminal_decoder *d, uint8_t colour)
{
    d->colour = (d->colour & 0xf0) | colour;
}

static void set_back(struct terminal_decoder *d, uint8_t colour)
{
    d->colour = (uint8_t)((d->colour & 15) | colour << 4);
}

static void attributes(struct terminal_decoder *d)
{
    for (uint32_t i = 0; i < d->count; i++) {
        uint32_t n = d->parameters[i];
        uint8_t colour = n == 38 ? d->colour & 15 : d->colour >> 4;
        if (n == 0)
            d->colour = PLAIN, d->bold = d->reverse = false;
        else if (n == 1 || n == 22)
            d->bold = n == 1;
        else if (n == 7 || n == 27)
            d->reverse = n == 7;
        else if (n >= 30 && n < 38)
            set_front(d, colour_of(n - 30));
        else if (n >= 40 && n < 48)
            set_back(d, colour_of(n - 40));
        else if (n >= 90 && n < 98)
            set_front(d, colour_of(n - 90 + 8));
        else if (n >= 100 && n < 108)
            set_back(d, colour_of(n - 100 + 8));
        else if (n == 39)
            set_front(d, PLAIN);
        else if (n == 49)
            set_back(d, 0);
        else if (n == 38 || n == 48) {
            i += extended(d, i, &colour);
            n == 38 ? set_front(d, colour) : set_back(d, colour);
        }
    }
}

// --- Sequences

static void save(const struct screen *s, struct terminal_decoder *d)
{
    d->saved_x = s->x;
    d->saved_y = s->y;
    d->saved_colour = d->colour;
    d->saved_bold = d->bold;
    d->saved_reverse = d->reverse;
}

static void restore(struct screen *s, struct terminal_decoder *d)
{
    s->x = d->saved_x;
    s->y = d->saved_y;
    d->colour = d->saved_colour;
    d->bold = d->saved_bold;
    d->reverse = d->saved_reverse;
}

// One that is 0 or not there counts as 1.
static uint32_t parameter(const struct terminal_decoder *d, uint32_t i)
{
    uint32_t n = i < d->count ? d->parameters[i] : 0;
    return n ? n : 1;
}

// 0: to the end, 1: from the beginning, 2: all.
static void erase_line(struct screen *s, uint32_t how, uint16_t with)
{
    uint32_t x = least(s->x, COLUMNS - 1);
    if (how > 2)
        return;
    clear(s, s->y, how == 0 ? x : 0, how == 1 ? x + 1 : COLUMNS, with);
}

static void erase(struct screen *s, uint32_t how, uint16_t with)
{
    if (how == 2 || how == 3) {
        clear_rows(s, 0, ROWS, with);
        return;
    }
    erase_line(s, how, with);
    if (how == 0)
        clear_rows(s, s->y + 1, ROWS, with);
    else if (how == 1)
        clear_rows(s, 0, s->y, with);
}

// Within a row: n blanks come in at the cursor, or n characters go there.
static void shift(struct screen *s, uint32_t n, bool in, uint16_t with)
{
    uint32_t x = least(s->x, COLUMNS - 1);
    n = least(n, COLUMNS - x);
    uint16_t *at = s->cells[s->y] + x;
    memmove(in ? at + n : at, in ? at : at + n, (COLUMNS - x - n) * sizeof *at);
    clear(s, s->y, in ? x : COLUMNS - n, in ? x + n : COLUMNS, with);
}

static void set_region(struct screen *s, uint32_t top, uint32_t bottom)
{
    bottom = least(bottom, ROWS);
    if (top < 1 || top >= bottom)
        return;
    s->top = top - 1;
    s->bottom = bottom;
    move_to(s, 0, 0);
}

static void set_mode(struct screen *s, const struct terminal_decoder *d, bool on)
{
    for (uint32_t i = 0; i < d->count; i++)
        if (d->parameters[i] == 25)
            s->hidden = !on;
        else if (d->parameters[i] == 7)
            s->cuts = !on;
}

static void sequence(struct screen *s, struct terminal_decoder *d, uint8_t last)
{
    uint32_t n = parameter(d, 0), how = d->parameters[0], x = least(s->x, COLUMNS - 1);
    uint16_t with = blank(d);
    if (d->kind == '?' && (last == 'h' || last == 'l'))
        set_mode(s, d, last == 'h');
    if (d->kind)
        return;
    switch (last) {
    case '@': shift(s, n, true, with); break;
    case 'A': move_to(s, x, s->y - least(n, s->y)); break;
    case 'B':
    case 'e': move_to(s, x, s->y + n); break;
    case 'C':
    case 'a': move_to(s, x + n, s->y); break;
    case 'D': move_to(s, x - least(n, x), s->y); break;
    case 'E': move_to(s, 0, s->y + n); break;
    case 'F': move_to(s, 0, s->y - least(n, s->y)); break;
    case 'G':
    case '`': move_to(s, n - 1, s->y); break;
    case 'H':
    case 'f': move_to(s, parameter(d, 1) - 1, n - 1); break;
    case 'd': move_to(s, x, n - 1); break;
    case 'J': erase(s, how, with); break;
    case 'K': erase_line(s, how, with); break;
    case 'P': shift(s, n, false, with); break;
    case 'X': clear(s, s->y, x, x + least(n, COLUMNS - x), with); break;
    case 'S':
    case 'T': scroll(s, s->top, s->bottom, n, last == 'S', with); break;
    case 'L':
    case 'M':
        if (s->y >= s->top && s->y < s->bottom)
            scroll(s, s->y, s->bottom, n, last == 'M', with);
        break;
    case 'm': attributes(d); break;
    case 'r': set_region(s, n, d->count > 1 && d->parameters[1] ? d->parameters[1] : ROWS); break;
    case 's': save(s, d); break;
    case 'u': restore(s, d); break;
    default: break;
    }
}

static void begin_sequence(struct terminal_decoder *d)
{
    d->state = SEQUENCE;
    d->kind = 0;
    d->count = 1;
    memset(d->parameters, 0, sizeof d->parameters);
}

static void after_escape(struct screen *s, struct terminal_decoder *d, uint8_t b)
{
    d->state = GROUND;
    switch (b) {
    case '[': begin_sequence(d); break;
    case ']':
    case 'P':
    case 'X':
    case '^':
    case '_': d->state = TEXT; break;
    case '7': save(s, d); break;
    case '8': restore(s, d); break;
    case 'D': line_down(s, d); break;
    case 'E': new_line(s, d); break;
    case 'M': line_up(s, d); break;
    case 'c':
        terminal_init(d);
        screen_init(s);
        break;
    default: d->state = b >= ' ' && b < '0' ? CHARSET : GROUND; break;
    }
}

static void in_sequence(struct screen *s, struct terminal_decoder *d, uint8_t b)
{
    uint32_t *p = &d->parameters[d->count - 1];
    if (b >= '0' && b <= '9') {
        *p = least(*p * 10 + b - '0', PARAMETER_MAX);
    } else if (b == ';' || b == ':') {
        if (d->count < TERMINAL_PARAMETERS) // else the rest count together, as the last
            d->count++;
    } else if (b >= ' ' && b < '@') {
        d->kind = b;
    } else {
        d->state = GROUND;
        sequence(s, d, b);
    }
}

// --- Bytes

// RFC 3629: neither too long, nor a half of a pair. What is not well formed is one question mark,
// and what ended it counts on its own.
static void text(struct screen *s, struct terminal_decoder *d, uint8_t b)
{
    if (d->wanted && (b & 0xc0) != 0x80) {
        d->wanted = 0;
        put(s, d, '?');
    }
    if (d->wanted) {
        d->rune = d->rune << 6 | (b & 63);
        if (--d->wanted)
            return;
        bool good =
            d->rune >= d->least && d->rune < 0x110000 && (d->rune < 0xd800 || d->rune > 0xdfff);
        put(s, d, good ? terminal_glyph(d->rune) : '?');
    } else if (b < 0x80) {
        put(s, d, b);
    } else if (b >= 0xc2 && b < 0xf5) {
        d->wanted = b < 0xe0 ? 1 : b < 0xf0 ? 2 : 3;
        d->least = b < 0xe0 ? 0x80 : b < 0xf0 ? 0x800 : 0x10000;
        d->rune = b & (0x3f >> d->wanted);
    } else {
        put(s, d, '?');
    }
}

static void take(struct screen *s, struct terminal_decoder *d, uint8_t b)
{
    bool is_text = d->state == TEXT || d->state == TEXT_ESCAPE;
    if (d->wanted && b < 0x80) {
        d->wanted = 0;
        put(s, d, '?');
    }
    if (b == CAN || b == SUB)
        d->state = GROUND;
    else if (b == ESC)
        d->state = is_text ? TEXT_ESCAPE : ESCAPE;
    else if (is_text && b == BEL)
        d->state = GROUND;
    else if (d->state == TEXT)
        return;
    else if (d->state == TEXT_ESCAPE && b == '\\')
        d->state = GROUND;
    else if (b < ' ')
        control(s, d, b);
    else if (b == DEL)
        return;
    else if (d->state == ESCAPE || d->state == TEXT_ESCAPE)
        after_escape(s, d, b);
    else if (d->state == CHARSET)
        d->state = b < '0' ? CHARSET : GROUND;
    else if (d->state == SEQUENCE)
        in_sequence(s, d, b);
    else
        text(s, d, b);
}

void screen_init(struct screen *s)
{
    const struct terminal_decoder *writer = s->writer;
    *s = (struct screen){.bottom = ROWS, .writer = writer};
    clear_rows(s, 0, ROWS, PLAIN << 8 | ' ');
}

void terminal_init(struct terminal_decoder *d)
{
    *d = (struct terminal_decoder){.colour = PLAIN, .saved_colour = PLAIN};
}

void terminal_write(struct screen *s, struct terminal_decoder *d, const uint8_t *bytes,
                    uint32_t size)
{
    if (size && s->writer != d) {
        if (s->writer && s->x)
            new_line(s, d);
        s->writer = d;
    }
    for (uint32_t i = 0; i < size; i++)
        take(s, d, bytes[i]);
}
