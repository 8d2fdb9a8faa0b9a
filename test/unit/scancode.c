// SPDX-License-Identifier: MIT
// Scan codes: what keyboards send, in both sets, and what none does.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "user/drv/ps2/scancode.c"

static unsigned passed, failed;

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (x)                                                                                     \
            passed++;                                                                              \
        else if (failed++ < 20)                                                                    \
            printf("line %d: %s\n", __LINE__, #x);                                                 \
    } while (0)

static struct scancodes s;

// What is typed by these bytes, as text.
static const char *typed(uint32_t set, const char *bytes, size_t n)
{
    static char text[200];
    size_t size = 0;
    s = (struct scancodes){.set = (uint8_t)set, .num = s.num};
    for (size_t i = 0; i < n; i++) {
        struct key_event e;
        if (!scancode_take(&s, (uint8_t)bytes[i], &e))
            continue;
        if (size + e.size < sizeof text)
            memcpy(text + size, e.text, e.size);
        size += e.size;
    }
    text[size] = 0;
    return text;
}
#define TYPED(set, bytes, text) CHECK(!strcmp(typed(set, bytes, sizeof bytes - 1), text))

static void plain(void)
{
    TYPED(1, "\x1e\x9e\x30\xb0\x39\xb9\x1c\x9c", "ab \r");
    TYPED(2, "\x1c\xf0\x1c\x32\xf0\x32\x29\xf0\x29\x5a\xf0\x5a", "ab \r");
    TYPED(1, "\x1e\x1e\x1e\x9e", "aaa"); // repeats
    TYPED(1, "\x0e\x01\x0f", "\x7f\x1b\t");
}

static void modified(void)
{
    TYPED(1, "\x2a\x1e\x9e\xaa\x1e", "Aa");                   // shift
    TYPED(2, "\x12\x1c\xf0\x1c\xf0\x12\x1c", "Aa");           // the same in set 2
    TYPED(1, "\x2a\x36\xaa\x1e\xb6\x1e", "Aa");               // both, one after the other goes up
    TYPED(1, "\x2a\x02\x28\x2b", "!\"|");                     // US
    TYPED(1, "\x3a\xba\x1e\x02\x2a\x1e\xaa\x3a\x1e", "A1aa"); // Caps Lock is for letters
    TYPED(1, "\x3a\x3a\x3a\xba\x1e", "A");                    // it does not repeat
    TYPED(1, "\x1d\x2e\x20\x9d\x2e",
          "\x03\x04"
          "c"); // Ctrl
    TYPED(2, "\xe0\x14\x21\xe0\xf0\x14\x21",
          "\x03"
          "c");                            // the right one
    TYPED(1, "\x38\x1e\xb8\x1e", "\33aa"); // Alt
}

static void others(void)
{
    TYPED(1, "\xe0\x48\xe0\xc8\xe0\x53\x3b\x58", "\33[A\33[3~\33[[A\33[24~");
    TYPED(2, "\xe0\x75\xe0\xf0\x75\xe0\x71\x05\x07", "\33[A\33[3~\33[[A\33[24~");
    TYPED(1, "\x48\xc8\x45\xc5\x48", "\33[A8"); // the keypad, without and with Num Lock
    s.num = false;
    TYPED(1, "\x37\xb7\xe0\x35\xe0\x1c", "*/\r");
    // Pause is one key that never goes up, and none of the others.
    TYPED(1, "\xe1\x1d\x45\xe1\x9d\xc5\x1e", "a");
    CHECK(!s.num && !s.held);
    TYPED(2, "\xe1\x14\x77\xe1\xf0\x14\xf0\x77\x1c", "a");
    CHECK(!s.num && !s.held);
}

static void ends(void)
{
    struct key_event e = {0};
    s = (struct scancodes){.set = 1};
    CHECK(scancode_take(&s, 0x2a, &e) && e.key == 0xe1 && e.down && e.modifiers == KEY_SHIFT &&
          !e.size);
    CHECK(scancode_take(&s, 0x1e, &e) && e.key == 4 && e.down && e.size == 1);
    CHECK(scancode_take(&s, 0x9e, &e) && e.key == 4 && !e.down && !e.size);
    CHECK(scancode_take(&s, 0xaa, &e) && e.key == 0xe1 && !e.down && !e.modifiers);
    CHECK(!scancode_take(&s, 0xaa, &e)); // it was up
}

static void garbage(void)
{
    TYPED(1, "\xe0\xe1\xe0\x1e\xff\x1e", "a"); // prefixes of nothing
    TYPED(1, "\xe1\x1e", "a");                 // no Pause
    TYPED(2, "\xe1\x14\x1c", "a");             // nor that; Ctrl was of it
    TYPED(2, "\x12\xff\x1c", "a");             // an overrun: nothing is held
    TYPED(2, "\x12\xaa\x1c", "a");             // another keyboard
    TYPED(1, "\xfa\xfe\x7f\x60\x1e", "a");     // answers, and no keys
    TYPED(2, "\xf0\xf0\xe0\xf0\x1c\x1c", "a");
    srand(1);
    for (uint32_t i = 0; i < 2000000; i++) {
        struct key_event e;
        if (!(i % 1000))
            s = (struct scancodes){.set = (uint8_t)(1 + rand() % 2)};
        if (scancode_take(&s, (uint8_t)(rand() >> 8), &e))
            CHECK(e.size <= KEY_TEXT && e.down <= 1 && (e.down || !e.size) && e.modifiers < 32);
    }
}

int main(void)
{
    plain();
    modified();
    others();
    ends();
    garbage();
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
