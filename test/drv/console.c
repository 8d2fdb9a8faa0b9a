// SPDX-License-Identifier: MIT
// Much input and output of a program, by what its argument says (test/suites/console.py):
//
//   cat        output is the input
//   count N    N numbers of 4 bytes; then it ends at once, with exit code 7
//   turns N    lines with numbers, to output and errors in turn
//   trap N     as count, and then it traps
//   closed     numbers until that is an error, which it tells of on errors
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned char bytes[65536];

static int put(int fd, const void *from, size_t n)
{
    for (const char *p = from; n;) {
        ssize_t done = write(fd, p, n);
        if (done <= 0)
            return -1;
        p += done;
        n -= (size_t)done;
    }
    return 0;
}

static int cat(void)
{
    ssize_t n;
    while ((n = read(0, bytes, sizeof bytes)) > 0)
        if (put(1, bytes, (size_t)n))
            return 2;
    return n < 0;
}

static int count(unsigned n)
{
    enum { NUMBERS = sizeof bytes / 4 };
    for (unsigned i = 0; i < n;) {
        unsigned k = 0;
        for (; k < NUMBERS && i < n; k++, i++)
            memcpy(bytes + 4 * k, &i, 4);
        if (put(1, bytes, 4 * k))
            return -1;
    }
    return 0;
}

static void turns(unsigned n)
{
    char line[32];
    for (unsigned i = 0; i < n; i++)
        put(1 + (int)(i % 2), line, (size_t)snprintf(line, sizeof line, "%u\n", i));
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    unsigned n = argc > 2 ? (unsigned)atoi(argv[2]) : 0;
    if (!strcmp(what, "cat"))
        return cat();
    if (!strcmp(what, "turns"))
        turns(n);
    else if (!strcmp(what, "count"))
        return count(n) ? 1 : 7;
    else if (!strcmp(what, "trap"))
        count(n), __builtin_trap();
    else if (!strcmp(what, "closed"))
        return count(~0u), fprintf(stderr, "%s\n", strerror(errno)), 3;
    return 0;
}
