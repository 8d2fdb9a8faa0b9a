// SPDX-License-Identifier: MIT
// The raw WASI interface: bad pointers, bad descriptors and bad flags are errors, never traps.
#include <stdio.h>
#include <wasi/api.h>

static void show(const char *what, __wasi_errno_t error)
{
    printf("%s: %u\n", what, error);
}

int main(void)
{
    // All of these are given as numbers by the specification: 8 badf, 21 fault, 28 inval.
    __wasi_size_t n;
    __wasi_timestamp_t t;
    __wasi_fdstat_t stat;
    __wasi_filesize_t size;
    __wasi_prestat_t prestat;
    uint8_t byte;
    __wasi_ciovec_t text = {(const uint8_t *)"x", 1};
    __wasi_ciovec_t beyond = {(const uint8_t *)0xfffffff0, 64};

    show("fd_write, no such descriptor", __wasi_fd_write(99, &text, 1, &n));
    show("fd_read, no such descriptor", __wasi_fd_read(99, (__wasi_iovec_t *)&text, 1, &n));
    show("fd_close, no such descriptor", __wasi_fd_close(99));
    show("fd_seek, no such descriptor", __wasi_fd_seek(99, 0, __WASI_WHENCE_SET, &size));
    show("fd_prestat_get, no such descriptor", __wasi_fd_prestat_get(99, &prestat));
    show("fd_write, buffer beyond memory", __wasi_fd_write(1, &beyond, 1, &n));
    show("fd_write, vector beyond memory",
         __wasi_fd_write(1, (const __wasi_ciovec_t *)0xfffffff8, 1000, &n));
    printf("fd_write, 2^29 vectors: %s\n",
           __wasi_fd_write(1, &text, 0x20000000, &n) ? "refused" : "done");
    show("fd_write, result beyond memory",
         __wasi_fd_write(1, &text, 0, (__wasi_size_t *)0xfffffffc));
    show("random_get, beyond memory", __wasi_random_get((uint8_t *)0xffffff00, 0x1000));
    show("random_get, nothing", __wasi_random_get(&byte, 0));
    show("clock_time_get, no such clock", __wasi_clock_time_get(77, 1, &t));
    show("fd_fdstat_get of stdout", __wasi_fd_fdstat_get(1, &stat));
    show("fd_fdstat_get, beyond memory", __wasi_fd_fdstat_get(1, (__wasi_fdstat_t *)0xfffffff0));
    show("poll_oneoff, no events", __wasi_poll_oneoff(NULL, NULL, 0, &n));
    show("sched_yield", __wasi_sched_yield());
    return 0;
}
