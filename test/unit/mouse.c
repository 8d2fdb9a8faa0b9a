// SPDX-License-Identifier: MIT
// Packets of a mouse: what they say, and that bytes by chance lead to events that are some.
#include <stdio.h>
#include <string.h>

#include "user/drv/ps2/mouse.c"

static unsigned passed, failed;

#define CHECK(x)                                                                                   \
    do {                                                                                           \
        if (x)                                                                                     \
            passed++;                                                                              \
        else if (failed++ < 20)                                                                    \
            printf("line %d: %s\n", __LINE__, #x);                                                 \
    } while (0)

static struct mouse m;
static uint64_t now = 1000000000;

// The last event of these bytes, and how many there were.
static unsigned take(uint8_t size, const char *bytes, size_t n, struct mouse_event *e)
{
    unsigned count = 0;
    m = (struct mouse){.size = size};
    for (size_t i = 0; i < n; i++)
        count += mouse_take(&m, (uint8_t)bytes[i], now, e);
    return count;
}
#define SAYS(size, bytes, n, b, right, down, z)                                                    \
    do {                                                                                           \
        e = (struct mouse_event){0};                                                               \
        CHECK(take(size, bytes, sizeof bytes - 1, &e) == (n));                                     \
        CHECK(e.buttons == (b) && e.x == (right) && e.y == (down) && e.wheel == (z));              \
    } while (0)

static void garbage(void)
{
    uint64_t seed = 1;
    for (unsigned i = 0; i < 1000000; i++) {
        struct mouse_event e;
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        now += (seed >> 20) % 64 ? 1000 : 200000000;
        if (i % 1000 == 0)
            m.size = 3 + (i / 1000 & 1), m.count = 0;
        if (mouse_take(&m, (uint8_t)(seed >> 40), now, &e))
            CHECK(e.buttons < 8 && e.x >= -256 && e.x < 256 && e.y > -256 && e.y <= 256);
        CHECK(m.count < m.size);
    }
}

int main(void)
{
    struct mouse_event e;
    SAYS(3, "\x08\x05\x03", 1, 0, 5, -3, 0);
    SAYS(3, "\x39\xfb\xfd", 1, MOUSE_LEFT, -5, 3, 0);
    SAYS(3, "\x0e\x00\x00\x08", 1, MOUSE_RIGHT | MOUSE_MIDDLE, 0, 0, 0);
    SAYS(4, "\x08\x00\x00\xff", 1, 0, 0, 0, -1);
    SAYS(4, "\x08\x01\x00\x01\x08\x02\x00\x01", 2, 0, 2, 0, 1);
    SAYS(3, "\x48\x05\x03", 1, 0, 0, 0, 0);              // too far to tell
    SAYS(3, "\x05\x03\x00\x09\x01\x01", 1, 1, 1, -1, 0); // in the middle of one
    CHECK(take(3, "\x08\x05", 2, &e) == 0);
    now += 200000000; // the rest was lost
    CHECK(!mouse_take(&m, 9, now, &e) && !mouse_take(&m, 1, now, &e) && mouse_take(&m, 2, now, &e));
    CHECK(e.buttons == MOUSE_LEFT && e.x == 1 && e.y == -2);
    garbage();
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
