// SPDX-License-Identifier: MIT
// The guest of descriptors.sh: looks for the code that it runs from through every descriptor that
// it might have been given by mistake, tries to change it, and looks for descriptors that nobody
// gave it. Exit code 0: there is nothing to find.
//   descriptors open PATH    opens a file by the first folder; the exit code is WASI's error
//   descriptors beneath FD   opens a name below what is descriptor FD; 0 when that is refused
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

enum { PART = 1 << 20, MOST = 16, FDS = 80 };

static unsigned char part[PART];

__attribute__((noinline)) static int answer(int x)
{
    __asm__ volatile("" ::: "memory");
    return 0x1badcafe ^ x;
}

static void fail(const char *what, unsigned fd)
{
    fprintf(stderr, "%s through descriptor %u\n", what, fd);
    exit(99);
}

static void search(unsigned fd, int zero)
{
    __wasi_iovec_t v = {part, PART};
    __wasi_ciovec_t own = {(const unsigned char *)"\x42\0\0\0", 4};
    __wasi_size_t n = 0;
    for (__wasi_filesize_t at = 0; at < (__wasi_filesize_t)MOST * PART; at += PART - 8) {
        if (__wasi_fd_pread(fd, &v, 1, at, &n) || n < 4)
            return;
        for (unsigned i = 0; i + 4 <= n; i++)
            if (!memcmp(part + i, "\xfe\xca\xad\x1b", 4)) {
                bool written = !__wasi_fd_pwrite(fd, &own, 1, at + i, &n);
                fail(written && answer(zero) != 0x1badcafe ? "changed" : "found", fd);
            }
    }
}

static int open_below(unsigned fd, const char *path)
{
    __wasi_fd_t new;
    return __wasi_path_open(fd, 0, path, 0, __WASI_RIGHTS_FD_READ, 0, 0, &new);
}

int main(int argc, char **argv)
{
    __wasi_fdstat_t st;
    if (argc == 3 && !strcmp(argv[1], "open"))
        return open_below(3, argv[2]);
    if (argc == 3 && !strcmp(argv[1], "beneath"))
        return !open_below((unsigned)atoi(argv[2]), "secret");
    for (unsigned fd = 0; fd < 3; fd++)
        search(fd, argc - argc);
    for (unsigned fd = 3; fd < FDS; fd++)
        if (!__wasi_fd_fdstat_get(fd, &st))
            fail("something is given", fd);
    return answer(argc - argc) == 0x1badcafe ? 0 : 98;
}
