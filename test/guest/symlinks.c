// SPDX-License-Identifier: MIT
// Symbolic links: made, read, followed inside the folder, and seen as what they are by lstat.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void show(const char *what, long result)
{
    if (result < 0)
        printf("%s: %s\n", what, strerror(errno));
    else
        printf("%s: %ld\n", what, result);
}

int main(void)
{
    char buffer[64] = {0};
    struct stat st;

    show("mkdir", mkdir("/data/dir", 0755));
    FILE *file = fopen("/data/dir/target", "w");
    fputs("through the link", file);
    fclose(file);

    show("symlink", symlink("dir/target", "/data/link"));
    show("symlink again", symlink("dir/target", "/data/link"));
    show("readlink", readlink("/data/link", buffer, sizeof(buffer)));
    printf("<%s>\n", buffer);
    memset(buffer, 0, sizeof(buffer));
    show("readlink, small buffer", readlink("/data/link", buffer, 4));
    printf("<%s>\n", buffer);
    memset(buffer, 0, sizeof(buffer));
    int fd = open("/data/link", O_RDONLY);
    show("read", read(fd, buffer, sizeof(buffer)));
    printf("<%s>\n", buffer);
    close(fd);
    show("lstat", lstat("/data/link", &st));
    printf("link %d, size %lld\n", S_ISLNK(st.st_mode), (long long)st.st_size);
    show("stat", stat("/data/link", &st));
    printf("regular %d, size %lld\n", S_ISREG(st.st_mode), (long long)st.st_size);
    show("no follow", open("/data/link", O_RDONLY | O_NOFOLLOW));
    show("dangling", symlink("nowhere", "/data/dangling"));
    show("open dangling", open("/data/dangling", O_RDONLY));
    show("loop a", symlink("loop-b", "/data/loop-a"));
    show("loop b", symlink("loop-a", "/data/loop-b"));
    show("open loop", open("/data/loop-a", O_RDONLY));
    show("readlink of a file", readlink("/data/dir/target", buffer, sizeof(buffer)));
    show("unlink link", unlink("/data/link"));
    show("target is still there", access("/data/dir/target", F_OK));
    return 0;
}
