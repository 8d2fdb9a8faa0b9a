// SPDX-License-Identifier: MIT
// Files on a disk, at /data: `lasts write` makes them, in one machine; `lasts read`, in the next,
// finds them as they were left, and changes them; `lasts again` finds the changes.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <sip.h>

enum { LARGE = 60000, MANY = 60 };

#define CHECK(cond)                                                                                \
    ((cond) ? (void)0 : sip_panic("line %d: %s (%s)", __LINE__, #cond, strerror(errno)))

static uint8_t bytes[LARGE], got[LARGE + 1];

static void fill(uint32_t seed)
{
    for (uint32_t i = 0; i < LARGE; i++)
        bytes[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
}

static void put(const char *path, uint32_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK(fd >= 0 && write(fd, bytes, size) == (ssize_t)size && !fsync(fd) && !close(fd));
}

static void expect(const char *path, uint32_t size)
{
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    uint32_t n = 0;
    for (ssize_t part; (part = read(fd, got + n, sizeof got - n)) > 0;)
        n += (uint32_t)part;
    if (n != size || memcmp(got, bytes, size))
        sip_panic("%s: %u bytes, not %u, or others", path, n, size);
    CHECK(!close(fd));
}

static uint32_t count(const char *path)
{
    uint32_t n = 0;
    DIR *d = opendir(path);
    CHECK(d);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static const char *numbered(const char *format, uint32_t i)
{
    static char text[64];
    snprintf(text, sizeof text, format, i);
    return text;
}

static void first(void)
{
    fill(1);
    put("/data/large", LARGE);
    put("/data/small", 11);
    put("/data/empty", 0);
    CHECK(!mkdir("/data/some", 0755) && !mkdir("/data/some/place", 0755));
    CHECK(!symlink("some/place", "/data/link"));
    for (uint32_t i = 0; i < MANY; i++)
        put(numbered("/data/link/%u", i), i * 31);
    struct timespec t[2] = {{5, 6}, {1000000000, 123456789}};
    CHECK(!utimensat(AT_FDCWD, "/data/small", t, 0));

    int fd = open("/data/removed", O_RDWR | O_CREAT, 0644);
    CHECK(fd >= 0 && write(fd, bytes, LARGE) == LARGE && !unlink("/data/removed"));
    put("/data/other", LARGE);
    CHECK(lseek(fd, 20000, SEEK_SET) == 20000 && read(fd, got, 1000) == 1000);
    CHECK(!memcmp(got, bytes + 20000, 1000) && !close(fd));

    fd = open("/data/other", O_RDWR);
    CHECK(fd >= 0 && !rename("/data/other", "/data/some/other"));
    CHECK(pwrite(fd, "changed", 7, 5000) == 7 && !close(fd));
}

static void second(void)
{
    struct stat st;
    fill(1);
    expect("/data/large", LARGE);
    expect("/data/small", 11);
    expect("/data/empty", 0);
    CHECK(!stat("/data/small", &st) && st.st_mtim.tv_sec == 1000000000);
    CHECK(st.st_mtim.tv_nsec == 123456789 && st.st_atim.tv_sec == 5 && st.st_size == 11);
    CHECK(readlink("/data/link", (char *)got, sizeof got) == 10 && !memcmp(got, "some/place", 10));
    CHECK(count("/data") == 5 && count("/data/link") == MANY);
    for (uint32_t i = 0; i < MANY; i++)
        expect(numbered("/data/some/place/%u", i), i * 31);
    memcpy(bytes + 5000, "changed", 7);
    expect("/data/some/other", LARGE);
    CHECK(stat("/data/removed", &st) && errno == ENOENT);
    CHECK(rmdir("/data/some/place") && errno == ENOTEMPTY);
    for (uint32_t i = 0; i < MANY; i++)
        CHECK(!unlink(numbered("/data/link/%u", i)));
    CHECK(!unlink("/data/link") && !rmdir("/data/some/place"));
    CHECK(!truncate("/data/large", 1000) && !rename("/data/large", "/data/small"));
}

static void third(void)
{
    fill(1);
    expect("/data/small", 1000);
    CHECK(count("/data") == 3 && count("/data/some") == 1);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (!strcmp(what, "write"))
        first();
    else if (!strcmp(what, "read"))
        second();
    else
        third();
    sip_printf("lasts: %s\n", what);
    return 0;
}
