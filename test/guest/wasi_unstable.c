// SPDX-License-Identifier: MIT
// wasi_unstable, the snapshot before preview 1: the calls whose layout or numbering was another.
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <wasi/api.h>

#define OLD(name) __attribute__((import_module("wasi_unstable"), import_name(#name))) int old_##name

OLD(fd_seek)(int fd, int64_t offset, int whence, uint64_t *position);
OLD(fd_write)(int fd, const void *iovs, int count, uint32_t *written);
OLD(fd_filestat_get)(int fd, void *stat);
OLD(path_filestat_get)(int fd, int flags, const char *path, int length, void *stat);
OLD(poll_oneoff)(const void *in, void *out, int count, uint32_t *events);

struct old_stat {
    uint64_t dev, ino;
    uint8_t type;
    uint32_t nlink;
    uint64_t size, atim, mtim, ctim;
};

struct old_subscription {
    uint64_t userdata;
    uint8_t type;
    union {
        struct {
            uint64_t identifier;
            uint32_t id;
            uint64_t timeout, precision;
            uint16_t flags;
        } clock;
        uint32_t fd;
    };
};

static void seek(int fd, int64_t offset, int whence)
{
    uint64_t position = 0;
    int e = old_fd_seek(fd, offset, whence, &position);
    printf("seek %lld, %d: %d, %llu\n", (long long)offset, whence, e, (unsigned long long)position);
}

static void print_stat(const char *what, int e, const struct old_stat *s, uint64_t canary)
{
    printf("%s: %d, type %u, nlink %u, size %llu, %s\n", what, e, s->type, s->nlink,
           (unsigned long long)s->size, canary == 0x5555555555555555 ? "no more" : "OVERRUN");
}

static void stats(int fd)
{
    struct {
        struct old_stat s;
        uint64_t canary;
    } a;
    memset(&a, 0x55, sizeof a);
    print_stat("fd_filestat_get", old_fd_filestat_get(fd, &a.s), &a.s, a.canary);
    memset(&a, 0x55, sizeof a);
    int e = old_path_filestat_get(3, 0, "f", 1, &a.s);
    print_stat("path_filestat_get", e, &a.s, a.canary);
}

static void poll(int fd)
{
    struct old_subscription in[3];
    __wasi_event_t out[3];
    uint32_t n = 0;
    memset(in, 0, sizeof in);
    in[0].userdata = 10;
    in[0].clock.id = 1;
    in[0].clock.timeout = 1000000;
    in[1].userdata = 11;
    in[1].clock.id = 1;
    in[1].clock.timeout = 1000000000000;
    int e = old_poll_oneoff(in, out, 2, &n);
    printf("poll: %d, %u events, first %llu type %u error %u\n", e, n,
           (unsigned long long)out[0].userdata, out[0].type, out[0].error);
    in[2].userdata = 12;
    in[2].type = 2;
    in[2].fd = (uint32_t)fd;
    e = old_poll_oneoff(in + 1, out, 2, &n);
    printf("poll: %d, %u events, first %llu type %u error %u\n", e, n,
           (unsigned long long)out[0].userdata, out[0].type, out[0].error);
}

int main(void)
{
    __wasi_fd_t fd;
    uint32_t n = 0;
    struct {
        const char *p;
        uint32_t size;
    } v = {"0123456789", 10};
    int e = __wasi_path_open(3, 0, "f", 1, 1 << 1 | 1 << 2 | 1 << 5 | 1 << 6 | 1 << 21 | 1 << 27, 0,
                             0, &fd);
    printf("open %d\n", e);
    e = old_fd_write((int)fd, &v, 1, &n);
    printf("write %d, %u\n", e, n);
    seek((int)fd, 0, 0);  // current
    seek((int)fd, -2, 1); // end
    seek((int)fd, 3, 2);  // set
    seek((int)fd, 0, 3);
    stats((int)fd);
    poll((int)fd);
    return 0;
}
