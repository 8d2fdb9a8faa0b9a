// SPDX-License-Identifier: MIT
// The least program: one line through the whole pipeline.
#include <stdio.h>

int main(void)
{
    puts("Hello, world");
    return 0;
}
