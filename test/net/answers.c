// SPDX-License-Identifier: MIT
// Answers datagrams, by what WASI has for sockets: each goes to whom the last one came from. Says
// what it was not to be able to do, and ends with an empty one.
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wasi/api.h>

static void expect(const char *what, int error, int wanted)
{
    if (error != wanted)
        printf("%s: %s, not %s\n", what, strerror(error), strerror(wanted));
}

int main(void)
{
    enum { SOCKET = 3 };
    char text[100];
    __wasi_fd_t fd;
    __wasi_fdstat_t stat;
    ssize_t n;
    expect("fdstat", __wasi_fd_fdstat_get(SOCKET, &stat), 0);
    if (stat.fs_filetype != __WASI_FILETYPE_SOCKET_DGRAM)
        printf("type %d\n", stat.fs_filetype);
    expect("send to nobody", send(SOCKET, "x", 1, 0) < 0 ? errno : 0, EDESTADDRREQ);
    expect("write to nobody", write(SOCKET, "x", 1) < 0 ? errno : 0, EDESTADDRREQ);
    expect("accept", __wasi_sock_accept(SOCKET, 0, &fd), __WASI_ERRNO_INVAL);
    for (int i = 0;
         (n = i % 2 ? read(SOCKET, text, sizeof text) : recv(SOCKET, text, sizeof text, 0)) > 0;
         i++) {
        for (ssize_t k = 0; k < n; k++)
            text[k] = (char)toupper(text[k]);
        if ((i % 2 ? write(SOCKET, text, (size_t)n) : send(SOCKET, text, (size_t)n, 0)) != n)
            perror("answer");
    }
    puts(n ? strerror(errno) : "over");
    return 0;
}
