// SPDX-License-Identifier: MIT
// Called by libc, which has no line information of its own here.
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return x / y; // HERE
}

int main(void)
{
    volatile int numbers[] = {0, 0, 0, 0};
    qsort((void *)numbers, 4, sizeof numbers[0], compare);
    return numbers[0];
}
