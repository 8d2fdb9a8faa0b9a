// SPDX-License-Identifier: MIT
// Output in many shapes: single bytes, gathered pieces, a megabyte at once.
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

int main(void)
{
    static char big[100000];
    struct iovec pieces[64];

    for (const char *p = "one at a time\n"; *p; p++)
        write(1, p, 1);
    for (int i = 0; i < 64; i++)
        pieces[i] = (struct iovec){(void *)&"abcdefghijklmnop\n"[i % 17], i == 5 ? 0 : 1};
    ssize_t n = writev(1, pieces, 64);
    memset(big, '.', sizeof(big));
    for (size_t i = 99; i < sizeof(big); i += 100)
        big[i] = '\n';
    for (size_t done = 0; done < sizeof(big);) {
        ssize_t part = write(1, big + done, sizeof(big) - done);
        if (part <= 0)
            return 1;
        done += part;
    }
    printf("\n%zd\n", n);
    printf("nothing: %zd\n", write(1, big, 0));
    return 0;
}
