// SPDX-License-Identifier: MIT
// Takes the place of handler.c.
#include <stdio.h>

int main(void)
{
    puts("the other one");
    return 0;
}
