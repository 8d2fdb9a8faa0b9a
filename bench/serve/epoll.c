// SPDX-License-Identifier: MIT
// The least that a server of HTTP does on Linux: epoll, a read, a write, a fixed answer of 612
// bytes to whatever ends with an empty line. Prints the port that it was given.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY = 612, EVENTS = 64 };
static char answer[1024];
static size_t size;

static void serve(int fd)
{
    char request[4096];
    ssize_t n = read(fd, request, sizeof request);
    if (n <= 0) {
        close(fd);
        return;
    }
    if (n >= 4 && !memcmp(request + n - 4, "\r\n\r\n", 4) && write(fd, answer, size) < 0)
        close(fd);
}

int main(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0), on = 1;
    if (bind(listener, (void *)&a, length) || listen(listener, 1000) ||
        getsockname(listener, (void *)&a, &length))
        return 1;
    size = (size_t)sprintf(
        answer, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n", BODY);
    memset(answer + size, 'x', BODY);
    size += BODY;
    printf("listening at http://127.0.0.1:%d/\n", ntohs(a.sin_port));
    fflush(stdout);
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener,
              &(struct epoll_event){.events = EPOLLIN, .data.fd = listener});
    for (struct epoll_event events[EVENTS];;) {
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd != listener) {
                serve(fd);
                continue;
            }
            fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            epoll_ctl(epoll, EPOLL_CTL_ADD, fd,
                      &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
        }
    }
}
