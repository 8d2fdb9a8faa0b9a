// SPDX-License-Identifier: MIT
// A server by WASI's calls alone: gives back, in capitals, what connections send, to as many at
// once as come, none of which it waits for. Ends when it has served as many as its argument says,
// and tells how often it woke.
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wasi/api.h>

enum { MOST = 512, ROOM = 4096 };

static struct client {
    char bytes[ROOM];
    size_t from, to;
    int ends;
} clients[MOST];
static struct pollfd polled[MOST + 1];
static int count, served, wanted;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void take(int listener)
{
    int fd;
    while (count < MOST && (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        polled[++count] = (struct pollfd){.fd = fd, .events = POLLRDNORM};
        clients[count - 1] = (struct client){.ends = 0};
    }
    if (count < MOST && errno != EAGAIN)
        fail("accept");
}

static void drop(int i)
{
    close(polled[i].fd);
    polled[i] = polled[count];
    clients[i - 1] = clients[count - 1];
    count--;
    served++;
}

// 1: it is over.
static int serve(int i)
{
    struct client *c = &clients[i - 1];
    if (c->from == c->to && !c->ends) {
        ssize_t n =
            i % 2 ? recv(polled[i].fd, c->bytes, ROOM, 0) : read(polled[i].fd, c->bytes, ROOM);
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0)
            return 1;
        c->from = 0;
        c->to = (size_t)n;
        c->ends = n == 0;
        for (ssize_t k = 0; k < n; k++)
            c->bytes[k] = (char)toupper(c->bytes[k]);
    }
    while (c->from < c->to) {
        ssize_t n = i % 2 ? write(polled[i].fd, c->bytes + c->from, c->to - c->from)
                          : send(polled[i].fd, c->bytes + c->from, c->to - c->from, 0);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            return 1;
        c->from += (size_t)n;
    }
    polled[i].events = c->from < c->to ? POLLWRNORM : POLLRDNORM;
    if (!c->ends)
        return 0;
    shutdown(polled[i].fd, SHUT_WR);
    return 1;
}

int main(int argc, char **argv)
{
    int listener = argc > 2 ? atoi(argv[2]) : 3;
    unsigned long long rounds = 0;
    __wasi_fdstat_t stat;
    wanted = argc > 1 ? atoi(argv[1]) : 1;
    if (__wasi_fd_fdstat_get(listener, &stat) || stat.fs_filetype != __WASI_FILETYPE_SOCKET_STREAM)
        fail("no listener");
    printf("LISTEN_FDS=%s\n", getenv("LISTEN_FDS"));
    fflush(stdout);
    if (fcntl(listener, F_SETFL, O_NONBLOCK) < 0)
        fail("fcntl");
    polled[0] = (struct pollfd){.fd = listener, .events = POLLRDNORM};
    while (served < wanted) {
        if (poll(polled, (nfds_t)count + 1, -1) < 0)
            fail("poll");
        rounds++;
        for (int i = count; i > 0; i--)
            if (polled[i].revents && serve(i))
                drop(i);
        if (polled[0].revents)
            take(listener);
    }
    printf("served %d\n", served);
    return rounds > 1000000; // it span
}
