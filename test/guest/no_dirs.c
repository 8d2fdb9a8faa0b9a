// SPDX-License-Identifier: MIT
// Without --dir there is no file system at all.
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int main(void)
{
    struct stat st;
    printf("open %d\n", open("/etc/passwd", O_RDONLY));
    printf("open . %d\n", open(".", O_RDONLY));
    printf("stat %d\n", stat("/", &st));
    printf("mkdir %d\n", mkdir("x", 0755));
    printf("fd 3: %d\n", fstat(3, &st));
    return 0;
}
