// SPDX-License-Identifier: MIT
// copy FROM TO: what is in one directory into another, links as they are, times kept.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void must(int ok, const char *what, const char *path)
{
    if (!ok) {
        printf("copy: %s %s: %s\n", what, path, strerror(errno));
        exit(1);
    }
}

static void copy_file(const char *from, const char *to)
{
    static char buffer[100000];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0666);
    must(in >= 0, "open", from);
    must(out >= 0, "create", to);
    for (ssize_t n; (n = read(in, buffer, sizeof buffer));) {
        must(n > 0, "read", from);
        must(write(out, buffer, (size_t)n) == n, "write", to);
    }
    close(in);
    close(out);
}

static void copy_link(const char *from, const char *to)
{
    char target[4096];
    ssize_t n = readlink(from, target, sizeof target - 1);
    must(n > 0, "readlink", from);
    target[n] = 0;
    must(!symlink(target, to), "symlink", to);
}

static void copy(const char *from, const char *to)
{
    DIR *d = opendir(from);
    must(d != NULL, "opendir", from);
    for (struct dirent *e; (e = readdir(d));) {
        char a[1000], b[1000];
        struct stat st;
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        snprintf(a, sizeof a, "%s/%s", from, e->d_name);
        snprintf(b, sizeof b, "%s/%s", to, e->d_name);
        must(!lstat(a, &st), "stat", a);
        if (S_ISLNK(st.st_mode)) {
            copy_link(a, b);
            continue;
        }
        if (S_ISDIR(st.st_mode)) {
            must(!mkdir(b, 0777), "mkdir", b);
            copy(a, b);
        } else {
            copy_file(a, b);
        }
        struct timespec times[] = {st.st_atim, st.st_mtim};
        must(!utimensat(AT_FDCWD, b, times, 0), "times of", b);
    }
    closedir(d);
}

int main(int argc, char **argv)
{
    must(argc == 3, "arguments", "");
    copy(argv[1], argv[2]);
    return 0;
}
