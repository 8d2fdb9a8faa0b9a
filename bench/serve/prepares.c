// SPDX-License-Identifier: MIT
// A handler that has a table to fill before it can answer, of 256 KiB, out of which it uses a
// little. With -DONCE it says how that is done once and for all.
#include <stdio.h>
#include <string.h>

enum { SIZE = 1 << 16 };
static unsigned table[SIZE];

extern void __wasm_call_ctors(void);

static void fill(void)
{
    unsigned x = 1;
    for (int round = 0; round < 10; round++)
        for (int i = 0; i < SIZE; i++)
            table[i] ^= x = x * 1664525 + 1013904223;
}

#ifdef ONCE
__attribute__((export_name("wizer.initialize"))) void initialize(void)
{
    __wasm_call_ctors();
    fill();
}
#endif

int main(void)
{
    char body[613];
    if (!table[0])
        fill();
    memset(body, 'a' + table[SIZE / 2] % 26, 612);
    body[612] = 0;
    printf("Content-Type: text/plain\n\n%s", body);
    return fflush(stdout); // nothing else does, where an initialize() calls the constructors
}
