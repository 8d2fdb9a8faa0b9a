// SPDX-License-Identifier: MIT
// Recursion ten thousand deep is no exhaustion.
#include <stdio.h>

__attribute__((noinline)) static unsigned sum(unsigned n, unsigned *depth)
{
    if (n == 0)
        return 0;
    ++*depth;
    unsigned below = sum(n - 1, depth);
    return below + n * *depth;
}

__attribute__((noinline)) static int is_odd(unsigned n);

__attribute__((noinline)) static int is_even(unsigned n)
{
    return n == 0 ? 1 : !!is_odd(n - 1);
}

static int is_odd(unsigned n)
{
    return n == 0 ? 0 : !!is_even(n - 1);
}

static int ackermann(int m, int n)
{
    if (m == 0)
        return n + 1;
    if (n == 0)
        return ackermann(m - 1, 1);
    return ackermann(m - 1, ackermann(m, n - 1));
}

int main(void)
{
    unsigned depth = 0;
    unsigned total = sum(10000, &depth);
    printf("%u %u\n", total, depth);
    printf("%d %d\n", is_even(10001), is_even(10000));
    printf("%d\n", ackermann(2, 300) + ackermann(3, 6));
    return 0;
}
