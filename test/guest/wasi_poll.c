// SPDX-License-Identifier: MIT
// poll_oneoff: clocks that are relative and absolute, files, errors that belong to one
// subscription, one buffer for both lists, many subscriptions at once.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

static union {
    __wasi_subscription_t in[2000];
    __wasi_event_t out[2000];
} lists;

static __wasi_subscription_t clock_sub(uint64_t userdata, uint32_t id, uint64_t timeout, int flags)
{
    __wasi_subscription_t s;
    memset(&s, 0, sizeof s);
    s.userdata = userdata;
    s.u.tag = __WASI_EVENTTYPE_CLOCK;
    s.u.u.clock.id = id;
    s.u.u.clock.timeout = timeout;
    s.u.u.clock.flags = (uint16_t)flags;
    return s;
}

static __wasi_subscription_t file_sub(uint64_t userdata, int tag, int fd)
{
    __wasi_subscription_t s;
    memset(&s, 0, sizeof s);
    s.userdata = userdata;
    s.u.tag = (uint8_t)tag;
    s.u.u.fd_read.file_descriptor = fd;
    return s;
}

static void show(const char *what, uint32_t count)
{
    size_t n = 0;
    int e = __wasi_poll_oneoff(lists.in, lists.out, count, &n);
    printf("%s: %d", what, e);
    for (size_t i = 0; i < n && !e; i++)
        printf("; %llu type %u error %u", (unsigned long long)lists.out[i].userdata,
               lists.out[i].type, lists.out[i].error);
    printf("\n");
}

static uint64_t now(uint32_t clock)
{
    uint64_t t = 0;
    (void)!__wasi_clock_time_get(clock, 0, &t);
    return t;
}

static void clocks(void)
{
    uint64_t start = now(1);
    lists.in[0] = clock_sub(1, 1, 20000000, 0);
    lists.in[1] = clock_sub(2, 1, 60000000000, 0);
    show("relative", 2);
    printf("slept: %s\n", now(1) - start >= 20000000 ? "yes" : "no");
    lists.in[0] = clock_sub(3, 1, now(1) + 1000000, 1);
    show("absolute, monotonic", 1);
    lists.in[0] = clock_sub(4, 0, now(0) + 1000000, 1);
    show("absolute, real", 1);
    lists.in[0] = clock_sub(5, 0, 1, 1);
    lists.in[1] = clock_sub(6, 1, 0, 0);
    show("long ago", 2);
    lists.in[0] = clock_sub(7, 2, 0, 0);
    lists.in[1] = clock_sub(8, 77, 0, 0);
    lists.in[2] = clock_sub(9, 1, UINT64_MAX, 0);
    show("other clocks", 3);
}

static void files(void)
{
    __wasi_fd_t fd;
    lists.in[0] = file_sub(1, __WASI_EVENTTYPE_FD_WRITE, 1);
    lists.in[1] = clock_sub(2, 1, 60000000000, 0);
    show("stdout", 2);
    lists.in[0] = file_sub(1, __WASI_EVENTTYPE_FD_READ, 99);
    lists.in[1] = clock_sub(2, 1, 60000000000, 0);
    show("bad descriptor", 2);
    (void)!__wasi_path_open(3, 0, "f", 1, 1 << 1 | 1 << 27, 0, 0, &fd);
    lists.in[0] = file_sub(1, __WASI_EVENTTYPE_FD_READ, fd);
    lists.in[1] = file_sub(2, __WASI_EVENTTYPE_FD_WRITE, fd);
    show("no right to write", 2);
    lists.in[0] = file_sub(1, __WASI_EVENTTYPE_FD_READ, 3);
    show("directory", 1);
}

static void many(void)
{
    size_t n = 0;
    for (int i = 0; i < 2000; i++)
        lists.in[i] =
            i % 2 ? clock_sub(i, 1, 60000000000, 0) : file_sub(i, __WASI_EVENTTYPE_FD_WRITE, 1);
    int e = __wasi_poll_oneoff(lists.in, lists.out, 2000, &n);
    printf("many: %d, %zu events\n", e, n);
    show("none", 0);
    lists.in[0] = file_sub(1, 3, 0);
    show("no such kind", 1);
}

int main(void)
{
    clocks();
    files();
    many();
    return 0;
}
