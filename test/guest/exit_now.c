// SPDX-License-Identifier: MIT
// _Exit leaves at once: no handlers, no flushing, the code as given.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void never(void)
{
    write(1, "handler\n", 8);
}

int main(void)
{
    atexit(never);
    write(1, "before\n", 7);
    fputs("lost in the buffer", stdout);
    _Exit(7);
}
