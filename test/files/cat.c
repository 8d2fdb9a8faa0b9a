// SPDX-License-Identifier: MIT
// cat PATH: what is in a file, or the number of the error.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char bytes[4096];
    int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
    ssize_t n = -1;
    while (fd >= 0 && (n = read(fd, bytes, sizeof bytes)) > 0)
        if (write(1, bytes, (size_t)n) != n)
            return 1;
    if (n < 0)
        fprintf(stderr, "cat: %s: %d\n", argc > 1 ? argv[1] : "", errno);
    return n < 0;
}
