// SPDX-License-Identifier: MIT
#include <stdlib.h>

static void check(int good)
{
    if (!good)
        __builtin_trap(); // HERE
}

int main(int argc, char **argv)
{
    check(!!argv);
    check(argc > 100);
    return EXIT_SUCCESS;
}
