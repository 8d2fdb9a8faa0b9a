// SPDX-License-Identifier: MIT
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char *read_all(int fd, size_t size, size_t *done)
{
    char *bytes = malloc(size + 1);
    if (!bytes)
        return NULL;
    *done = 0;
    while (*done < size) {
        ssize_t n = read(fd, bytes + *done, size - *done);
        if (n < 0) {
            free(bytes);
            return NULL;
        }
        if (n == 0)
            break;
        *done += (size_t)n;
    }
    bytes[*done] = 0;
    return bytes;
}

char *file_read(const char *path, size_t max, size_t *size)
{
    struct stat about;
    char *bytes = NULL;
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return NULL;
    if (fstat(fd, &about) == 0) {
        if (!S_ISREG(about.st_mode))
            errno = EISDIR;
        else if ((unsigned long long)about.st_size > max)
            errno = EFBIG;
        else
            bytes = read_all(fd, (size_t)about.st_size, size);
    }
    int error = errno;
    close(fd);
    errno = error;
    return bytes;
}
