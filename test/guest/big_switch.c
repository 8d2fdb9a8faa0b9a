// SPDX-License-Identifier: MIT
// A switch of a thousand cases, dense, and one of scattered values.
#include <stdint.h>
#include <stdio.h>

// Every case does something else, so that the compiler cannot turn the switch into a table.
// clang-format off
#define C1(n) case n: x = x * ((n) + 3) ^ ((n) % 3 ? x >> ((n) % 7) : x + (n)); break;
#define C5(n) C1(n) C1(n + 1) C1(n + 2) C1(n + 3) C1(n + 4)
#define C10(n) C5(n) C5(n + 5)
#define C50(n) C10(n) C10(n + 10) C10(n + 20) C10(n + 30) C10(n + 40)
#define C100(n) C50(n) C50(n + 50)
#define C500(n) C100(n) C100(n + 100) C100(n + 200) C100(n + 300) C100(n + 400)

__attribute__((noinline)) static uint32_t dense(uint32_t op, uint32_t x)
{
    switch (op) {
        C500(0)
        C500(500)
    default:
        x = ~x;
    }
    return x;
}
// clang-format on

__attribute__((noinline)) static int scattered(uint32_t op)
{
    switch (op) {
    case 0: return 1;
    case 3: return 4;
    case 1000: return 2;
    case 100000: return 9;
    case 0x7fffffff: return 8;
    case 0x80000000: return 7;
    case 0xffffffff: return 5;
    default: return 0;
    }
}

int main(void)
{
    uint32_t x = 1;
    for (uint32_t i = 0; i < 100000; i++)
        x = dense((x >> 5) % 1010, x + i);
    printf("%08x %08x %08x %08x\n", x, dense(999, 5), dense(1000, 5), dense(0xffffffff, 5));
    printf("%d%d%d%d%d%d%d%d\n", scattered(0), scattered(1), scattered(3), scattered(1000),
           scattered(100000), scattered(0x7fffffff), scattered(0x80000000), scattered(0xffffffff));
    return 0;
}
