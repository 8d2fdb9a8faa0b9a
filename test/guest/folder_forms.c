// SPDX-License-Identifier: MIT
// One folder in its three forms: /data itself, /ro to be read only, /copy a copy of when it was
// empty.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wasi/api.h>

static void say(const char *what, int failed)
{
    printf("%s: %s\n", what, failed ? strerror(errno) : "done");
}

static void opens(const char *what, const char *path, int flags)
{
    int fd = open(path, flags, 0666);
    say(what, fd < 0);
    if (fd >= 0)
        close(fd);
}

static void reads(const char *path)
{
    char text[32] = "";
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    printf("%s: %s\n", path, n < 0 ? strerror(errno) : text);
    if (fd < 0)
        return;
    say("  written to", write(fd, "x", 1) < 0);
    say("  cut", ftruncate(fd, 0));
    say("  times", futimens(fd, (struct timespec[]){{1, 0}, {1, 0}}));
    close(fd);
}

int main(void)
{
    FILE *f = fopen("/data/file", "w");
    if (!f || fputs("text", f) < 0 || fclose(f) || mkdir("/data/dir", 0777) ||
        symlink("file", "/data/link"))
        return 1;
    reads("/ro/file");
    reads("/ro/link");
    opens("to write", "/ro/file", O_WRONLY);
    opens("to cut", "/ro/file", O_RDONLY | O_TRUNC);
    opens("new", "/ro/new", O_WRONLY | O_CREAT);
    opens("there, to read", "/ro/file", O_RDONLY | O_CREAT);
    opens("there, exclusive", "/ro/file", O_RDONLY | O_CREAT | O_EXCL);
    opens("missing", "/ro/no", O_WRONLY);
    opens("below a file", "/ro/file/x", O_WRONLY | O_CREAT);
    opens("a directory", "/ro/dir", O_WRONLY);
    opens("a directory, to read", "/ro/dir", O_RDONLY | O_DIRECTORY);
    opens("new in it", "/ro/dir/new", O_WRONLY | O_CREAT);
    say("mkdir", mkdir("/ro/new", 0777));
    say("rmdir", rmdir("/ro/dir"));
    say("unlink", unlink("/ro/file"));
    say("rename", rename("/ro/file", "/ro/new"));
    say("symlink", symlink("file", "/ro/new"));
    say("link", link("/ro/file", "/ro/new"));
    say("times", utimensat(AT_FDCWD, "/ro/file", NULL, 0));
    __wasi_fd_t dir = 4;
    printf("within a directory of it: %d\n",
           __wasi_path_open(dir, 0, "dir", __WASI_OFLAGS_DIRECTORY,
                            __WASI_RIGHTS_PATH_CREATE_DIRECTORY,
                            __WASI_RIGHTS_PATH_CREATE_DIRECTORY, 0, &dir));
    printf("mkdir there: %d\n", __wasi_path_create_directory(dir, "x"));
    opens("not in the copy", "/copy/file", O_RDONLY);
    opens("new in the copy", "/copy/new", O_WRONLY | O_CREAT);
    opens("there", "/copy/new", O_RDONLY);
    opens("not in the folder", "/data/new", O_RDONLY);
    say("the end", unlink("/data/file") || unlink("/data/link") || rmdir("/data/dir"));
    return 0;
}
