// SPDX-License-Identifier: MIT
// A message comes back as it is.
#include <unistd.h>

int main(void)
{
    static char bytes[4096];
    for (ssize_t n; (n = read(0, bytes, sizeof bytes)) > 0;)
        if (write(1, bytes, (size_t)n) != n)
            return 1;
    return 0;
}
