// SPDX-License-Identifier: MIT
// Standard input to standard output, byte for byte, zeros included; then the sums.
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    unsigned char buffer[37]; /* an odd size, so that reads end in the middle of lines */
    unsigned sum = 0;
    unsigned long total = 0;
    ssize_t n;

    while ((n = read(0, buffer, sizeof(buffer))) > 0) {
        for (ssize_t i = 0; i < n; i++)
            sum = sum * 31 + buffer[i];
        total += n;
        if (write(1, buffer, n) != n)
            return 1;
    }
    printf("%lu bytes, sum %08x, then %zd\n", total, sum, read(0, buffer, 1));
    return n < 0;
}
