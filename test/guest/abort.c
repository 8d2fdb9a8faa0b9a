// SPDX-License-Identifier: MIT
// abort() is a trap: message, trace, and the code of a trap.
#include <stdlib.h>

__attribute__((noinline)) static void give_up(volatile int *reason)
{
    if (*reason)
        abort();
}

int main(void)
{
    volatile int reason = 1;
    give_up(&reason);
    return 0;
}
