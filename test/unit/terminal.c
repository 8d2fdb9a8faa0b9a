// SPDX-License-Identifier: MIT
// The terminal: what is on the screen after some bytes; and that no bytes reach beyond it.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/drv/vga/terminal.c"

static unsigned passed, failed;

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (x)                                                                                     \
            passed++;                                                                              \
        else if (failed++ < 20)                                                                    \
            printf("line %d: %s\n", __LINE__, #x);                                                 \
    } while (0)

// Of its own on the heap, so that what reaches beyond it is found.
static struct screen *s;
static struct terminal_decoder d;

static void begin(void)
{
    free(s);
    s = calloc(1, sizeof *s);
    screen_init(s);
    terminal_init(&d);
}

static void write_text(const char *text)
{
    terminal_write(s, &d, (const uint8_t *)text, (uint32_t)strlen(text));
}

// A row without the blanks at its end.
static const char *row(uint32_t y)
{
    static char text[COLUMNS + 1];
    uint32_t n = COLUMNS;
    for (uint32_t x = 0; x < COLUMNS; x++)
        text[x] = (char)s->cells[y][x];
    while (n && text[n - 1] == ' ')
        n--;
    text[n] = 0;
    return text;
}

static bool is(uint32_t y, const char *text)
{
    return !strcmp(row(y), text);
}

static bool at(uint32_t x, uint32_t y)
{
    return s->x == x && s->y == y;
}

static uint8_t colour(uint32_t x, uint32_t y)
{
    return s->cells[y][x] >> 8;
}

static void lines(void)
{
    begin();
    write_text("one\ntwo\r\nthree\rT\tx\bX\n\a");
    CHECK(is(0, "one") && is(1, "two") && is(2, "Three   X") && at(0, 3));
    begin();
    for (uint32_t i = 0; i < 30; i++) {
        char text[16];
        snprintf(text, sizeof text, "\nline %u", i);
        write_text(text);
    }
    CHECK(is(24, "line 29") && is(0, "line 5") && at(7, 24));
    begin();
    for (uint32_t i = 0; i < COLUMNS; i++)
        write_text("x");
    CHECK(at(COLUMNS, 0)); // a row that is full does not go on by itself
    write_text("\b\bab\nc\33[1;1H");
    CHECK(s->cells[0][78] == 0x761 && at(0, 0));
    write_text("\33[H\33[?7l");
    for (uint32_t i = 0; i < 100; i++)
        write_text(i == 99 ? "z" : "y");
    CHECK(at(COLUMNS, 0) && s->cells[0][79] == 0x77a && s->cells[1][0] == 0x763);
}

static void moves(void)
{
    begin();
    write_text("\33[5;10H");
    CHECK(at(9, 4));
    write_text("\33[A\33[2B\33[3C\33[D");
    CHECK(at(11, 5));
    write_text("\33[99;999H");
    CHECK(at(79, 24));
    write_text("\33[999A\33[999D");
    CHECK(at(0, 0));
    write_text("\33[7d\33[4G\33[s\33[H\33[u");
    CHECK(at(3, 6));
    write_text("\33[2E");
    CHECK(at(0, 8));
    write_text("x\33[F\0337\33[H\0338\33M");
    CHECK(at(0, 6));
    write_text("\33[;5H");
    CHECK(at(4, 0));
}

static void erasing(void)
{
    begin();
    write_text("abcdef\nghijkl\nmnopqr\33[2;3H\33[K");
    CHECK(is(0, "abcdef") && is(1, "gh") && is(2, "mnopqr"));
    write_text("\33[1;3H\33[1K");
    CHECK(is(0, "   def"));
    write_text("\33[2K\33[3;3H\33[P\33[@X");
    CHECK(is(0, "") && is(2, "mnXpqr"));
    write_text("\33[3;2H\33[2X");
    CHECK(is(2, "m  pqr"));
    write_text("\33[2;1H\33[L");
    CHECK(is(1, "") && is(2, "gh") && is(3, "m  pqr"));
    write_text("\33[M");
    CHECK(is(1, "gh") && is(2, "m  pqr"));
    write_text("\33[J");
    CHECK(is(1, "") && is(2, "") && is(0, ""));
    write_text("a\33[2J");
    CHECK(is(1, ""));
    write_text("\33[Hq\33[9J\33[9K");
    CHECK(is(0, "q"));
    // A region: what is around it stays.
    begin();
    write_text("top\33[25;1Hend\33[2;4r\33[2;1Ha\nb\nc\nd");
    CHECK(is(0, "top") && is(1, "b") && is(2, "c") && is(3, "d") && is(24, "end"));
    write_text("\33[T");
    CHECK(is(0, "top") && is(1, "") && is(2, "b") && is(3, "c") && is(4, ""));
    write_text("\33[9;2r\33[r\33[99;1H\n");
    CHECK(is(23, "end") && is(0, ""));
}

static void colours(void)
{
    begin();
    write_text("a\33[31mb\33[1mc\33[44md\33[7me\33[0mf\33[92mg\33[39;101mh\33[49mi\33[38;5;196mj"
               "\33[38;2;0;0;200mk\33[48;5;15ml\33[m");
    const uint8_t wanted[] = {7, 4, 12, 0x1c, 0xc1, 7, 10, 0xc7, 7, 12, 9, 0xf9};
    for (uint32_t x = 0; x < sizeof wanted; x++)
        CHECK(colour(x, 0) == wanted[x]);
    write_text("\33[41m\33[K");
    CHECK(colour(79, 0) == 0x47);
    write_text("\33[?25l");
    CHECK(s->hidden);
    write_text("\33[?25h\33c");
    CHECK(!s->hidden && colour(79, 0) == 7);
}

static void characters(void)
{
    begin();
    write_text("\xc3\xa4\xe2\x94\x80\xe2\x82\xac\xe2\x80\x99\xf0\x9f\x98\x80");
    CHECK(is(0, "\x84\xc4?'?")); // a umlaut, a line; no euro; a quote; no smile
    begin();
    write_text("\xc3"
               "a\xff\x80\xe0\x80\x80\xed\xa0\x80\xc3\33[mb\xc0\xaf");
    CHECK(is(0, "?a?????b??"));
    for (uint32_t i = 0; i < 128; i++)
        CHECK(terminal_glyph(upper[i]) == 128 + i);
    CHECK(terminal_glyph(0x263a) == 1 && terminal_glyph(0) == '?' &&
          terminal_glyph(0x1f600) == '?');
}

static void others(void)
{
    begin();
    write_text(
        "\33]0;title\aa\33]8;;link\33\\b\33Pq#1\33\\c\33(Bd\33[>4;2me\33[0 qf\33[?1049hg\33=h");
    CHECK(is(0, "abcdefgh"));
    begin();
    write_text("\33[3\0303\33[12\33[31mx"); // cancelled; another one begins
    CHECK(is(0, "3x") && colour(1, 0) == 4);
    begin();
    write_text("\33[1;2;3;4;5;6;7;8;9;10;11;12;13;14;15;16;17;18;19;31;31mx");
    CHECK(is(0, "x"));
    write_text("\33[99999999999999999999A\33[4294967295Cx");
    CHECK(s->cells[0][79] == 0x778 || at(COLUMNS, 0));
}

static void writers(void)
{
    struct terminal_decoder other;
    begin();
    terminal_init(&other);
    write_text("\33[31mred\33[3");
    terminal_write(s, &other, (const uint8_t *)"plain\n", 6);
    CHECK(is(0, "red") && is(1, "plain") && colour(0, 1) == 7);
    write_text("2mgreen");
    CHECK(is(2, "green") && colour(0, 2) == 2);
}

static uint64_t seed = 1;
static uint32_t chance(uint32_t n)
{
    seed = seed * 6364136223846793005 + 1442695040888963407;
    return (uint32_t)(seed >> 33) % n;
}

// Bytes of which sequences are made, and any; the screen is always one.
static void garbage(void)
{
    static const char likely[] =
        "\33\33\33[[[[;;;?0123456789999ABCDEFGHJKLMPSTX@dfhlmnrsu78DEMc]P\\\n\r\b\t";
    for (uint32_t i = 0; i < 4000; i++) {
        begin();
        struct terminal_decoder other;
        terminal_init(&other);
        for (uint32_t k = 0; k < 40; k++) {
            uint8_t bytes[64];
            uint32_t n = chance(64);
            for (uint32_t b = 0; b < n; b++)
                bytes[b] =
                    chance(4) ? (uint8_t)likely[chance(sizeof likely - 1)] : (uint8_t)chance(256);
            terminal_write(s, chance(5) ? &d : &other, bytes, n);
            CHECK(s->x <= COLUMNS && s->y < ROWS && s->top < s->bottom && s->bottom <= ROWS &&
                  !(s->changed >> ROWS));
        }
        write_text("\30\33c\33[Hit lives");
        CHECK(is(0, "it lives"));
    }
}

int main(void)
{
    lines();
    moves();
    erasing();
    colours();
    characters();
    others();
    writers();
    garbage();
    free(s);
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
