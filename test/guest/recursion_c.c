// SPDX-License-Identifier: MIT
// Endless recursion in a C program: a clean trap, output so far kept, the function named.
#include <unistd.h>

__attribute__((noinline)) static unsigned endless(unsigned n, volatile unsigned *sink)
{
    *sink = n;
    return endless(n + 1, sink) * 3 + *sink;
}

int main(void)
{
    volatile unsigned sink = 0;
    write(1, "going down\n", 11);
    unsigned result = endless(1, &sink);
    write(1, result ? "back\n" : "none\n", 5);
    return 0;
}
