// SPDX-License-Identifier: MIT
// In a loop that a compiler likes to unroll.
#include <stddef.h>

static volatile size_t behind = 1u << 30;

int main(void)
{
    int *p = (int *)behind, all = 0;
    for (size_t i = 0; i < 64; i++)
        all += p[i << 20]; // HERE
    return all;
}
