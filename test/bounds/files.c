// SPDX-License-Identifier: MIT
// Files in memory of any shape that takes long: large ones cut and freed, directories with many
// names, trees that are deep, paths that are long. (That nothing keeps a lock or a CPU for long
// meanwhile, whoever runs this sees.)
#include "../kern/nebulet.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include <wasi/api.h>

enum { LARGE = 24 << 20, PIECE = 1 << 20, NAMES = 20000, DEEP = 1500, MANY = 1024, PATH = 4000 };

static char piece[PIECE];

static int large(void)
{
    int f = open("/large", O_CREAT | O_RDWR, 0666);
    TRUE(f >= 0);
    for (u32 i = 0; i < LARGE / PIECE; i++)
        EXPECT(write(f, piece, PIECE), PIECE);
    return f;
}

static void files(void)
{
    struct stat s;
    int f = large();
    EXPECT(ftruncate(f, 5000), 0);
    EXPECT(fstat(f, &s), 0);
    EXPECT(s.st_size, 5000);
    EXPECT(close(f), 0);
    EXPECT(close(large()), 0);
    f = open("/large", O_TRUNC | O_RDWR);
    EXPECT(fstat(f, &s), 0);
    EXPECT(s.st_size, 0);
    EXPECT(close(f), 0);
    f = large();
    EXPECT(unlink("/large"), 0);
    EXPECT(pread(f, piece, 8, LARGE - 8), 8);
    EXPECT(close(f), 0);
}

// In one call each.
static void whole(void)
{
    char *bytes = malloc(LARGE);
    TRUE(bytes != NULL);
    memset(bytes, 7, LARGE);
    int f = open("/whole", O_CREAT | O_RDWR, 0666);
    EXPECT(posix_fallocate(f, 0, LARGE), 0);
    EXPECT(pwrite(f, bytes, LARGE, 1), LARGE);
    memset(bytes, 0, LARGE);
    EXPECT(pread(f, bytes, LARGE, 1), LARGE);
    EXPECT(bytes[0] + bytes[LARGE / 2] + bytes[LARGE - 1], 21);
    EXPECT(close(f), 0);
    EXPECT(unlink("/whole"), 0);
    free(bytes);
}

// A byte very far behind: nothing that is not there costs anything. The last one is there at the
// end.
static void sparse(void)
{
    const off_t far = (1ll << 40) - 1;
    char byte;
    for (u32 i = 0; i < 3; i++) {
        int f = open("/sparse", O_CREAT | O_RDWR, 0666);
        EXPECT(pwrite(f, "x", 1, far), 1);
        EXPECT(pwrite(f, "y", 1, far / 3), 1);
        EXPECT(pread(f, &byte, 1, far), 1);
        EXPECT(byte, 'x');
        EXPECT(pread(f, &byte, 1, far / 2), 1);
        EXPECT(byte, 0);
        if (i == 0)
            EXPECT(ftruncate(f, far / 3), 0);
        if (i == 0)
            EXPECT(ftruncate(f, far), 0);
        EXPECT(pread(f, &byte, 1, far / 3), 1);
        EXPECT(byte, i ? 'y' : 0);
        if (i == 1)
            EXPECT(unlink("/sparse"), 0);
        EXPECT(close(f), 0);
    }
}

// Buffers of no length cost time, too.
static void vectors(void)
{
    static struct iovec v[MANY];
    int f = open("/vectors", O_CREAT | O_RDWR, 0666);
    TRUE(f >= 0);
    for (u32 i = 0; i < MANY; i++)
        v[i].iov_base = piece;
    EXPECT(writev(f, v, MANY), 0);
    v[MANY - 1].iov_len = 3;
    EXPECT(writev(f, v, MANY), 3);
    EXPECT(lseek(f, 0, SEEK_SET), 0);
    EXPECT(readv(f, v, MANY), 3);
    EXPECT(writev(1, v, MANY - 1), 0);
    EXPECT(close(f), 0);
    EXPECT(unlink("/vectors"), 0);
}

static uint8_t all[NAMES * 32];

static u32 listed(int d, u64 from)
{
    size_t used;
    EXPECT(__wasi_fd_readdir((__wasi_fd_t)d, all, sizeof all, from, &used), 0);
    return used;
}

// Many names, of which most go again, then all; and as many as are there when it ends.
static void names(void)
{
    enum { ENTRY = 24 }; // of a listing, before the name
    char name[40], to[40];
    EXPECT(mkdir("/names", 0777), 0);
    int d = open("/names", O_RDONLY | O_DIRECTORY);
    for (u32 i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "/names/%u", i);
        EXPECT(mkdir(name, 0777), 0);
    }
    TRUE(listed(d, 0) > NAMES * ENTRY);
    for (u32 i = 0; i < NAMES; i += 10) {
        snprintf(name, sizeof name, "/names/%u", i);
        snprintf(to, sizeof to, "/names/moved %u", i);
        EXPECT(rename(name, to), 0);
        EXPECT(rename(to, name), 0);
    }
    for (u32 i = 0; i < NAMES - 1; i++) {
        snprintf(name, sizeof name, "/names/%u", i * 11 % (NAMES - 1)); // without a common divisor
        EXPECT(rmdir(name), 0);
    }
    TRUE(listed(d, 0) < 4 * ENTRY); // ".", ".." and one that is far
    TRUE(listed(d, NAMES) < 2 * ENTRY + 4 && listed(d, INT64_MAX - 1) == 0);
    EXPECT(close(d), 0);
    EXPECT(rmdir("/names"), -1);
    for (u32 i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "/names/again %u", i);
        EXPECT(close(open(name, O_CREAT | O_WRONLY, 0666)), 0);
    }
}

// Made from inside, so that no path says how deep it is.
static void trees(void)
{
    EXPECT(mkdir("/deep", 0777), 0);
    int d = open("/deep", O_RDONLY | O_DIRECTORY);
    for (u32 i = 0; i < DEEP; i++) {
        EXPECT(mkdirat(d, "d", 0777), 0);
        int below = openat(d, "d", O_RDONLY | O_DIRECTORY);
        TRUE(below >= 0);
        EXPECT(close(d), 0);
        d = below;
    }
    EXPECT(mkdir("/moves", 0777), 0);
    EXPECT(renameat(AT_FDCWD, "/moves", d, "in"), -1);
    EXPECT(errno, ENAMETOOLONG);
    EXPECT(rename("/deep", "/moves/deep"), 0);
    EXPECT(renameat(AT_FDCWD, "/moves/deep", d, "in"), -1);
    EXPECT(close(d), 0);
}

static void paths(void)
{
    static char path[PATH + 1], target[PATH / 4 + 1];
    struct stat s;
    EXPECT(mkdir("/p", 0777), 0);
    EXPECT(mkdir("/p/a", 0777), 0);
    memcpy(path, "/p", 2);
    path[2] = '/';
    for (u32 i = 3; i + 5 <= PATH; i += 5)
        memcpy(path + i, "a/../", 5);
    path[PATH - PATH % 5 - 2] = 0;
    EXPECT(stat(path, &s), 0);
    for (u32 i = 0; i + 5 <= PATH / 4; i += 5)
        memcpy(target + i, "a/../", 5);
    strcpy(target + PATH / 4 / 5 * 5 - 5, "m");
    EXPECT(symlink(target, "/p/m"), 0);
    EXPECT(stat("/p/m", &s), -1);
    EXPECT(errno, ELOOP);
}

int main(void)
{
    files();
    whole();
    sparse();
    vectors();
    names();
    trees();
    paths();
    puts("files");
    return 0;
}
