// SPDX-License-Identifier: MIT
// Groups of many types, of many results, fields and supertypes, each in two modules.
enum { BYTES = 2 << 20 };
#include "bytes.h"

static void repeat(u32 n, u32 a, int b)
{
    word(n);
    for (u32 i = 0; i < n; i++) {
        byte(a);
        if (b >= 0)
            byte((u32)b);
    }
}

static void results(u32 i)
{
    (void)i;
    byte(0x60);
    byte(0);
    repeat(1000, 0x7f, -1);
}

static void parameters(u32 i)
{
    (void)i;
    byte(0x60);
    repeat(1000, 0x7e, -1);
    byte(0);
}

static void fields(u32 i)
{
    (void)i;
    byte(0x5f);
    repeat(10000, 0x6e, 1);
}

// Each is one of those before it, up to the deepest that there may be.
static void subtypes(u32 i)
{
    byte(0x50);
    byte(i % 63 != 0);
    if (i % 63)
        word(i - 1);
    byte(0x5f);
    repeat(i % 63, 0x6e, 0);
}

static void small(u32 i)
{
    byte(0x60);
    byte(17);
    for (u32 k = 0; k < 17; k++)
        byte(i >> k & 1 ? 0x7f : 0x7e);
    byte(0);
}

// So many groups of so many types, and a function of the last.
static u32 grouped(u32 groups, u32 types, void (*type)(u32 i))
{
    static const unsigned char head[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 1};
    static char message[100];
    memcpy(bytes, head, size = sizeof head);
    u32 at = size, start = size += 5, i = 0;
    word(groups);
    for (u32 g = 0; g < groups; g++) {
        byte(0x4e);
        word(types);
        for (u32 k = 0; k < types; k++)
            type(i++);
    }
    u32 end = size;
    size = at;
    word(end - start);
    size = end;
    s64 m = nb_wasm_compile(bytes, size, message, sizeof message);
    if (m < 0)
        puts(message);
    return GOOD(m);
}

static void twice(u32 groups, u32 types, void (*type)(u32 i))
{
    u32 a = grouped(groups, types, type), b = grouped(groups, types, type);
    EXPECT(nb_handle_close(a), 0);
    EXPECT(nb_handle_close(b), 0);
}

int main(void)
{
    twice(1, 900, results);
    twice(1, 900, parameters);
    twice(1, 50, fields);
    twice(1, 63 * 50, subtypes);
    twice(1, 10000, small);
    twice(100, 50, small);
    puts("groups");
    return 0;
}
