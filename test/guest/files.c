// SPDX-License-Identifier: MIT
// Files in a folder of the host: create, append, seek, truncate, rename, unlink, and the errors.
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

static void contents(const char *path)
{
    char buffer[128];
    FILE *file = fopen(path, "rb");
    if (!file) {
        printf("%s: %s\n", path, strerror(errno));
        return;
    }
    size_t n = fread(buffer, 1, sizeof(buffer), file);
    printf("%s: %zu bytes <%.*s>\n", path, n, (int)n, buffer);
    fclose(file);
}

static void stdio(void)
{
    FILE *file = fopen("/data/a.txt", "w");
    fputs("0123456789", file);
    show("ftell", ftell(file));
    fclose(file);
    file = fopen("/data/a.txt", "a");
    fputs("appended", file);
    fclose(file);
    contents("/data/a.txt");
    file = fopen("/data/a.txt", "r+");
    fseek(file, 4, SEEK_SET);
    fputs("XY", file);
    fseek(file, -3, SEEK_END);
    printf("at the end: %c\n", fgetc(file));
    fclose(file);
    contents("/data/a.txt");
}

static void calls(void)
{
    char buffer[16] = {0};
    struct stat st;
    int fd = open("/data/b.bin", O_RDWR | O_CREAT | O_EXCL, 0644);
    show("write", write(fd, "hello", 5));
    show("pwrite beyond", pwrite(fd, "!", 1, 9));
    show("lseek cur", lseek(fd, 0, SEEK_CUR));
    show("lseek end", lseek(fd, 0, SEEK_END));
    show("lseek before 0", lseek(fd, -1, SEEK_SET));
    show("pread", pread(fd, buffer, 4, 1));
    printf("<%s>\n", buffer);
    show("ftruncate", ftruncate(fd, 3));
    show("fstat", fstat(fd, &st));
    printf("size %lld, regular %d\n", (long long)st.st_size, S_ISREG(st.st_mode));
    show("fsync", fsync(fd));
    show("close", close(fd));
    show("close again", close(fd));
    show("write closed", write(fd, "x", 1));
}

static void names(void)
{
    show("create existing", open("/data/b.bin", O_WRONLY | O_CREAT | O_EXCL, 0644));
    show("rename", rename("/data/b.bin", "/data/c.bin"));
    show("open old name", open("/data/b.bin", O_RDONLY));
    show("rename over", rename("/data/c.bin", "/data/a.txt"));
    contents("/data/a.txt");
    show("link", link("/data/a.txt", "/data/d.txt"));
    show("unlink", unlink("/data/a.txt"));
    contents("/data/d.txt");
    show("unlink missing", unlink("/data/a.txt"));
    show("unlink last", unlink("/data/d.txt"));
    show("open a folder to write", open("/data", O_WRONLY));
}

int main(void)
{
    stdio();
    calls();
    names();
    return 0;
}
