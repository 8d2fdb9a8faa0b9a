// SPDX-License-Identifier: MIT
// Many modules, of many types, and many processes of them.
enum { MODULES = 9000, TYPES = 20000, PROCESSES = 1000, BYTES = TYPES * 24 + 100 };
#include "bytes.h"

// With so many types that differ, from the first on, and a function of the first.
static u32 module_with(u32 first, u32 types)
{
    static const unsigned char head[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 1};
    static char message[100];
    memcpy(bytes, head, size = sizeof head);
    u32 at = size, start = size += 5;
    word(types);
    for (u32 i = first; i < first + types; i++) {
        byte(0x60);
        byte(16);
        for (u32 k = 0; k < 16; k++)
            byte(i >> k & 1 ? 0x7f : 0x7e);
        byte(0);
    }
    u32 length = size - start, end = size;
    size = at;
    word(length);
    size = end;
    static const unsigned char body[] = {3, 2, 1, 0, 10, 4, 1, 2, 0, 0x0b};
    memcpy(bytes + size, body, sizeof body);
    size += sizeof body;
    s64 m = nb_wasm_compile(bytes, size, message, sizeof message);
    if (m < 0)
        puts(message);
    return GOOD(m);
}

int main(int argc, char **argv)
{
    static u32 m[MODULES], p[PROCESSES];
    own_name = argv[0];
    if (argc > 1)
        return 7;
    u32 large = module_with(0, TYPES);
    for (u32 i = 0; i < MODULES; i++)
        m[i] = module_with(TYPES + i, 1);
    for (u32 i = 0; i < PROCESSES; i++)
        p[i] = child("lives", NEBULET_NO_HANDLE, NULL);
    for (u32 i = 0; i < PROCESSES; i++)
        ENDED(p[i], NEBULET_EXITED, 7);
    for (u32 i = 0; i < MODULES; i++)
        EXPECT(nb_handle_close(m[i * 7 % MODULES]), 0); // 7 and MODULES have no common divisor
    EXPECT(nb_handle_close(large), 0);
    puts("modules");
    return 0;
}
