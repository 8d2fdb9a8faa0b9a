// SPDX-License-Identifier: MIT
// Unit test of plat/linux/socket.h's promise about datagrams that nobody takes: whoever sends many
// that are too long does not keep the receiver for as long as it likes, and what comes behind them
// is found.
#include <stdio.h>

#include "plat/linux/socket.h"

enum { TOO_LONG = 80, ROOM = 16 }; // as many as a socket's buffer surely has room for

static int passed, failed;
#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (what) {                                                                                \
            passed++;                                                                              \
        } else {                                                                                   \
            failed++;                                                                              \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #what);                                      \
        }                                                                                          \
    } while (0)

int main(void)
{
    struct socket_address here = {.length = 4, .bytes = {127, 0, 0, 1}}, there = here, from;
    struct vfs_file *to, *sender;
    u8 bytes[ROOM + 1] = {7};
    u32 size = 0;
    if (socket_datagrams(&here, &to) || socket_datagrams(&there, &sender)) {
        printf("no sockets\n");
        return 1;
    }
    CHECK(socket_receive(to, &from, bytes, ROOM, &size) == E_AGAIN);
    for (u32 i = 0; i < TOO_LONG; i++)
        socket_send(sender, &here, bytes, ROOM + 1);
    socket_send(sender, &here, bytes, 3);
    CHECK(socket_receive(to, &from, bytes, ROOM, &size) == E_INTR);
    CHECK(socket_receive(to, &from, bytes, ROOM, &size) == E_SUCCESS);
    CHECK(size == 3 && bytes[0] == 7 && from.port == there.port);
    CHECK(socket_receive(to, &from, bytes, ROOM, &size) == E_AGAIN);
    vfs_close(to);
    vfs_close(sender);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
