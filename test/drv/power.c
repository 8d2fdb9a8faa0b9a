// SPDX-License-Identifier: MIT
// power FIRST: writes files on a disk for ever, at /data, and says what is on it for good: "power:
// N" when version N, from FIRST on, of file N % FILES is. Version N is N as eight digits, again and
// again, N % 37 * 500 + 8 bytes of it. It is written under another name and renamed.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sip.h>

enum { FILES = 5, LARGEST = 36 * 500 + 8 };

int main(int argc, char **argv)
{
    static char bytes[LARGEST + 9];
    for (uint32_t n = argc > 1 ? (uint32_t)atoi(argv[1]) : 1;; n++) {
        char name[32], digits[9];
        uint32_t size = n % 37 * 500 + 8;
        snprintf(digits, sizeof digits, "%08u", n);
        for (uint32_t i = 0; i < size; i++)
            bytes[i] = digits[i % 8];
        snprintf(name, sizeof name, "/data/%u", n % FILES);
        int fd = open("/data/new", O_WRONLY | O_CREAT | O_TRUNC, 0644);
        if (fd < 0 || write(fd, bytes, size) != (ssize_t)size || fsync(fd) || close(fd) ||
            rename("/data/new", name))
            sip_panic("power: %s", strerror(errno));
        sip_printf("power: %u\n", n);
    }
}
