// SPDX-License-Identifier: MIT
// More vectors at once than any host takes: a part is moved, and the program goes on from there.
// Only when nothing at all could be moved is that an error.
#include <stdio.h>
#include <string.h>
#include <wasi/api.h>

enum { MANY = 3000 };

static char bytes[MANY], back[MANY];
static __wasi_ciovec_t out[MANY];
static __wasi_iovec_t in[MANY];

static void show(const char *what, int error, __wasi_size_t n)
{
    printf("%s: error %d, %s\n", what, error,
           n == 0      ? "nothing"
           : n == MANY ? "all"
           : n < MANY  ? "a part"
                       : "too much");
}

// Writes all, as the libraries of languages do.
static int write_all(__wasi_fd_t fd)
{
    __wasi_size_t n, done = 0;
    while (done < MANY) {
        n = 0;
        if (__wasi_fd_write(fd, out + done, MANY - done, &n) || !n)
            return 0;
        done += n;
    }
    return 1;
}

int main(void)
{
    __wasi_fd_t fd;
    __wasi_size_t n = 0;
    for (int i = 0; i < MANY; i++) {
        bytes[i] = (char)('a' + i % 26);
        out[i] = (__wasi_ciovec_t){(unsigned char *)bytes + i, 1};
        in[i] = (__wasi_iovec_t){(unsigned char *)back + i, 1};
    }
    if (__wasi_path_open(3, 0, "many", __WASI_OFLAGS_CREAT, ~0ull & 0x1fffffff, 0, 0, &fd))
        return 1;
    int e = __wasi_fd_write(fd, out, MANY, &n);
    show("fd_write", e, n);
    e = __wasi_fd_pwrite(fd, out, 1025, 0, &n);
    show("fd_pwrite", e, n);
    __wasi_filesize_t at;
    e = __wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at);
    printf("whole: %d\n", write_all(fd));
    e = __wasi_fd_pread(fd, in, MANY, 0, &n);
    show("fd_pread", e, n);
    printf("the same: %d\n", !memcmp(bytes, back, n));
    e = __wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &at);
    memset(back, 0, sizeof back);
    e = __wasi_fd_read(fd, in, MANY, &n);
    show("fd_read", e, n);
    printf("the same: %d\n", !memcmp(bytes, back, n));
    for (int i = 0; i < MANY - 1; i++)
        out[i].buf_len = in[i].buf_len = 0;
    n = 0;
    show("fd_write behind empty ones", __wasi_fd_write(fd, out, MANY, &n), n);
    show("fd_read behind empty ones", __wasi_fd_read(fd, in, MANY, &n), n);
    show("fd_write of empty ones", __wasi_fd_write(fd, out, 1000, &n), n);
    printf("standard output: ");
    fflush(stdout);
    for (int i = 0; i < MANY; i++)
        out[i].buf_len = 1;
    bytes[MANY - 1] = '\n';
    return !write_all(1);
}
