// SPDX-License-Identifier: MIT
// Standard error is its own stream, and both keep their order.
#include <stdio.h>

int main(void)
{
    fprintf(stderr, "first warning\n");
    printf("out 1\n");
    fprintf(stderr, "second warning: %d\n", 42);
    printf("out 2\n");
    return 3;
}
