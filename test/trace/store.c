// SPDX-License-Identifier: MIT
// A pointer that is not one, in a function that is inlined.
#include <stdlib.h>

static inline void put(volatile int *p, int i, int x)
{
    p[i] = x; // HERE
}

int main(int argc, char **argv)
{
    (void)argv;
    put((int *)(0xffff0000u - (unsigned)argc * 4), 3, 7);
    return EXIT_SUCCESS;
}
