// SPDX-License-Identifier: MIT
#include <limits.h>

static volatile int minus = -1, least = INT_MIN;

int main(void)
{
    int a = least;
    return a / minus; // HERE
}
