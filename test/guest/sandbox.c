// SPDX-License-Identifier: MIT
// No path leaves the folder: .. , absolute paths, links that point out, names that are not there.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void refuse(const char *path)
{
    int fd = open(path, O_RDONLY);
    printf("%s: %s\n", path, fd < 0 ? "refused" : "OPENED");
    if (fd >= 0)
        close(fd);
}

int main(void)
{
    mkdir("/data/in", 0755);
    close(open("/data/in/file", O_WRONLY | O_CREAT, 0644));
    printf("inside: %s\n", access("/data/in/../in/./file", F_OK) ? strerror(errno) : "ok");

    refuse("/etc/passwd");
    refuse("/data/../etc/passwd");
    refuse("/data/../../../../../../etc/passwd");
    refuse("/data/in/../../etc/passwd");
    refuse("/data/in/file/..");
    refuse("/data/in/file/");
    refuse("");
    refuse("/");

    if (symlink("../../../../../../etc", "/data/out") == 0) {
        refuse("/data/out/passwd");
        unlink("/data/out");
    } else {
        puts("/data/out/passwd: refused");
    }
    if (symlink("/etc", "/data/absolute") == 0) {
        refuse("/data/absolute/passwd");
        unlink("/data/absolute");
    } else {
        puts("/data/absolute/passwd: refused");
    }
    printf("rename out: %s\n", rename("/data/in/file", "/data/../file") < 0 ? "refused" : "DONE");
    printf("link in: %s\n", link("/data/../etc/passwd", "/data/p") < 0 ? "refused" : "DONE");
    printf("mkdir out: %s\n", mkdir("/data/../made", 0755) < 0 ? "refused" : "DONE");
    printf("unlink out: %s\n", unlink("/data/../../x") < 0 && errno != ENOENT ? "refused" : "?");
    return 0;
}
