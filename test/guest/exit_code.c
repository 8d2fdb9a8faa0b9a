// SPDX-License-Identifier: MIT
// The exit code is the program's, and exit handlers run before it.
#include <stdio.h>
#include <stdlib.h>

static void last(void)
{
    puts("in the handler");
}

static void deeper(int n)
{
    if (n == 0)
        exit(113);
    deeper(n - 1);
    puts("not reached");
}

int main(void)
{
    atexit(last);
    puts("leaving");
    deeper(20);
    return 0;
}
