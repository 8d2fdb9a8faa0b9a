// SPDX-License-Identifier: MIT
// The simplest server there is: waits for a connection, for a line, answers, and waits again. What
// it must not be able to do with its descriptors it tries first.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wasi/api.h>

static void expect(const char *what, int error, int wanted)
{
    if (error != wanted)
        printf("%s: %s, not %s\n", what, strerror(error), strerror(wanted));
}

static int error_of(long result)
{
    return result < 0 ? errno : 0;
}

static void hostile(int listener)
{
    char byte;
    __wasi_fd_t fd;
    __wasi_filestat_t stat;
    expect("read of a listener", error_of(read(listener, &byte, 1)), ENOTCONN);
    expect("write to a listener", error_of(write(listener, "x", 1)), EPIPE);
    expect("accept of a file", __wasi_sock_accept(1, 0, &fd), __WASI_ERRNO_NOTSOCK);
    expect("accept of nothing", __wasi_sock_accept(99, 0, &fd), __WASI_ERRNO_BADF);
    expect("flags", __wasi_sock_accept(listener, 1, &fd), __WASI_ERRNO_INVAL);
    expect("listing", __wasi_fd_prestat_get(listener, &(__wasi_prestat_t){0}), __WASI_ERRNO_BADF);
    expect("stat", __wasi_fd_filestat_get(listener, &stat), 0);
    expect("seek", error_of(lseek(listener, 0, SEEK_SET)), ESPIPE);
}

int main(int argc, char **argv)
{
    int listener = argc > 2 ? atoi(argv[2]) : 3;
    int wanted = argc > 1 ? atoi(argv[1]) : 1;
    hostile(listener);
    for (int i = 0; i < wanted; i++) {
        char line[100];
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) {
            perror("accept");
            return 1;
        }
        ssize_t n = recv(fd, line, sizeof line, MSG_PEEK);
        ssize_t m = recv(fd, line, sizeof line, 0);
        printf("%d: %.*s", i, (int)m, line);
        fflush(stdout);
        if (m < n)
            printf("%zd bytes were seen, and %zd read\n", n, m);
        dprintf(fd, "line %d of %zd bytes\n", i, m);
        close(fd);
    }
    return 0;
}
