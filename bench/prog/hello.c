/* SPDX-License-Identifier: MIT */
/*
 * hello: prints one line through stdio and ends: the program whose start to exit is measured.
 */
#include <stdio.h>

int main(void)
{
    puts("hello, world");
    return 0;
}
