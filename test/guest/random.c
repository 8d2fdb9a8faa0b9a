// SPDX-License-Identifier: MIT
// Random bytes: two requests differ, all byte values turn up, a big request is filled to its end.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
    static unsigned char a[256], b[256], big[65536];
    int seen[256] = {0}, values = 0, tail = 0;

    printf("getentropy: %d %d\n", getentropy(a, sizeof(a)), getentropy(b, sizeof(b)));
    printf("differ: %d\n", memcmp(a, b, sizeof(a)) != 0);
    for (size_t i = 0; i < sizeof(big); i += 256)
        getentropy(big + i, 256);
    for (size_t i = 0; i < sizeof(big); i++) {
        values += !seen[big[i]];
        seen[big[i]] = 1;
    }
    for (int i = 1; i <= 64; i++)
        tail |= big[sizeof(big) - i];
    printf("values: %d, tail: %d\n", values, tail != 0);
    return 0;
}
