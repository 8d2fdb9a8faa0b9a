// SPDX-License-Identifier: MIT
// The guest of output.sh: writes COUNT times to descriptor FD, until that fails, and says on the
// other one what happened. The exit code is the error.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    long count = argc > 1 ? atol(argv[1]) : 1, n = 0;
    int fd = argc > 2 ? atoi(argv[2]) : 1, error = 0;
    char line[101];
    for (; n < count && !error; n++) {
        snprintf(line, sizeof line, "%08ld%c%90d\n", n, 0x10, 1); // a DLE is data, too
        if (write(fd, line, 100) < 0)
            error = errno;
    }
    dprintf(3 - fd, "%s: %s\n", n < count ? "less" : "all", error ? strerror(error) : "written");
    dprintf(3 - fd, "terminals: %d%d%d\n", isatty(0), isatty(1), isatty(2));
    return error;
}
