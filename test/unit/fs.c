// SPDX-License-Identifier: MIT
// Unit test of the file system in memory: what every back end does (fs.h), limits, sparse files,
// and each allocation failing once. Also of the generator of random bytes.
#include "fs/memory.h"
#include "base/csprng.h"
#include "plat/plat.h"
#include "test/unit/fs.h"
#include "test/unit/heap.h"

// In place of the platform's, whose heap this test replaces.
u64 plat_wall_clock(void)
{
    static u64 now = 1700000000000000000;
    return now++;
}

// --- Memory.
static void test_limits(void)
{
    struct vfs_file *root = memfs_create(256 << 10, 1), *f;
    struct vfs_stat st;
    static char big[100000];
    u64 done = 0, at;
    struct vfs_iov v = {(u8 *)big, sizeof big};
    memset(big, 'b', sizeof big);
    f = open_file(root, "big", NEW);
    CHECK_OK(vfs_write(f, &v, 1, VFS_HERE, &done));
    CHECK(done == sizeof big);
    CHECK_OK(vfs_write(f, &v, 1, VFS_HERE, &done));
    CHECK(done == sizeof big);
    CHECK_OK(vfs_write(f, &v, 1, VFS_HERE, &done)); // what fits
    CHECK(done > 0 && done < sizeof big);
    CHECK_ERROR(vfs_write(f, &v, 1, VFS_HERE, &done), E_NOSPC);
    CHECK_OK(vfs_set_size(f, 0));
    CHECK_OK(try_open(root, "other", NEW));
    // Sparse: a size takes nothing, and neither does what is cut off.
    CHECK_OK(vfs_set_size(f, 1ull << 40));
    CHECK_ERROR(vfs_set_size(f, (1ull << 40) + 1), E_FBIG);
    CHECK_OK(vfs_seek(f, -5, VFS_SEEK_END, &at));
    CHECK(reads(f, VFS_HERE, (const char[]){0}) == false); // five zeros
    CHECK_ERROR(vfs_write(f, &v, 1, 1ull << 40, &done), E_FBIG);
    CHECK_OK(vfs_write(f, &v, 1, (1ull << 40) - 200000,
                       &done)); // takes what is written there, and no more
    CHECK(done == sizeof big);
    CHECK_ERROR(vfs_allocate(f, 0, 1 << 20), E_NOSPC);
    CHECK_OK(vfs_stat(f, &st));
    CHECK(st.size == 1ull << 40);
    struct vfs_file *other = memfs_create(1 << 20, 2);
    CHECK_ERROR(vfs_rename(root, "big", other, "big"), E_XDEV);
    CHECK_ERROR(vfs_link(root, "big", other, "big"), E_XDEV);
    vfs_close(other);
    vfs_close(root); // f keeps it alive
    CHECK(put(f, "x", 0) == 1);
    vfs_close(f);
    CHECK(memfs_create(10, 1) == NULL);
}

static void unlinked_but_open(void)
{
    struct vfs_file *root = memfs_create(1 << 20, 1);
    struct vfs_file *f = open_file(root, "f", NEW);
    CHECK_OK(vfs_unlink(root, "f"));
    CHECK(put(f, "alive", VFS_HERE) == 5 && reads(f, 0, "alive"));
    CHECK_ERROR(try_open(root, "f", RW), E_NOENT);
    vfs_close(f);
    vfs_close(root);
}

// A listing goes on where it was, whatever happens to the directory meanwhile.
static void listing_while_changing(void)
{
    struct vfs_file *root = memfs_create(1 << 22, 1);
    struct vfs_dirent e;
    char name[32];
    u64 cookie = 0;
    u32 seen = 0;
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "n%d", i);
        CHECK_OK(put_file(root, name, ""));
    }
    while (vfs_readdir(root, cookie, &e) == E_SUCCESS) {
        cookie = e.next;
        if (e.name[0] == 'n') {
            seen++;
            CHECK_OK(vfs_unlink(root, e.name));
            snprintf(name, sizeof name, "m%u", seen); // at most as many as were removed
            if (seen < 500)
                CHECK_OK(put_file(root, name, ""));
        }
    }
    CHECK(seen == 1000);
    vfs_close(root);
}

// Names come and go in any order, while requests for memory are refused now and then. A table of
// our own says what must be there, and a listing tells them in the order in which they came.
enum { MANY = 3000, CHANGES = 60000 };

static bool lists(struct vfs_file *dir, const u64 *came)
{
    struct vfs_dirent e = {.next = 2};
    u64 last = 0;
    u32 seen = 0, there = 0;
    for (u32 i = 0; i < MANY; i++)
        there += came[i] != 0;
    while (vfs_readdir(dir, e.next, &e) == E_SUCCESS) {
        u32 i = (u32)atoi(e.name + 1);
        if (i >= MANY || came[i] <= last)
            return false;
        last = came[i];
        seen++;
    }
    return seen == there;
}

static void names_of_a_directory(void)
{
    static u64 came[MANY];
    struct vfs_file *root = memfs_create(16 << 20, 1), *dir;
    struct vfs_stat st;
    struct vfs_dirent e;
    char name[32];
    u64 random = 1, clock = 0;
    size_t before = test_heap.live;
    u32 refused = 0, i = 0;
    CHECK_OK(vfs_mkdir(root, "d"));
    CHECK_OK(vfs_open(root, "d", VFS_DIR_ONLY, 0, &dir));
    for (; i < CHANGES; i++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        u32 n = (u32)(random >> 33) % MANY, phase = i / (CHANGES / 3);
        snprintf(name, sizeof name, "n%u", n);
        if ((vfs_path_stat(dir, name, false, &st) == E_SUCCESS) != (came[n] != 0))
            break;
        test_heap.left = random >> 60 == 0 ? (long)(random >> 56 & 7) : -1;
        // Many more come than go, then about as many, then less.
        enum fs_error error = came[n] && random >> 40 & (phase == 0   ? 7
                                                         : phase == 1 ? 1
                                                                      : 0)
                                  ? E_EXIST
                              : came[n]    ? vfs_rmdir(dir, name)
                              : phase == 2 ? E_EXIST
                                           : vfs_mkdir(dir, name);
        test_heap.left = -1;
        refused += error == E_NOSPC;
        if (error == E_SUCCESS)
            came[n] = came[n] ? 0 : ++clock;
        else if (error != E_EXIST && error != E_NOSPC)
            break;
        if (i % 1000 == 0 && !lists(dir, came))
            break;
    }
    CHECK(i == CHANGES && lists(dir, came) && refused > 100);
    CHECK_ERROR(vfs_readdir(dir, UINT64_MAX, &e), E_NOENT);
    CHECK_ERROR(vfs_readdir(dir, clock + 2, &e), E_NOENT);
    for (i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "n%u", i);
        CHECK((vfs_rmdir(dir, name) == E_SUCCESS) == (came[i] != 0));
    }
    CHECK_OK(vfs_rmdir(root, "d"));
    vfs_close(dir);
    CHECK(test_heap.live == before); // but for the root's own
    vfs_close(root);
}

static enum fs_error use(struct vfs_file *root)
{
    struct vfs_file *f = NULL;
    enum fs_error e = vfs_mkdir(root, "dir");
    if (!e)
        e = vfs_open(root, "dir/file", NEW, 0, &f);
    if (!e && put(f, "text", 9000) != 4)
        e = E_NOSPC;
    vfs_close(f);
    if (!e)
        e = vfs_symlink(root, "dir/file", "link");
    if (!e)
        e = vfs_link(root, "dir/file", root, "hard");
    if (!e)
        e = vfs_rename(root, "hard", root, "dir/moved");
    return e;
}

// Each allocation fails once; nothing is lost, and what is there can still be used.
static void failing_heap(void)
{
    size_t before = test_heap.live;
    bool through = false;
    for (long n = 0; n < 100 && !through; n++) {
        test_heap.left = n;
        struct vfs_file *root = memfs_create(1 << 20, 1);
        enum fs_error e = root ? use(root) : E_NOMEM;
        test_heap.left = -1;
        through = e == E_SUCCESS;
        CHECK(through || e == E_NOMEM || e == E_NOSPC);
        if (root)
            CHECK(count_names(root, 0) >= 2);
        vfs_close(root);
        CHECK(test_heap.live == before);
    }
    CHECK(through);
}

// --- ChaCha20: the block of RFC 8439, 2.3.2, and a generator that does not repeat itself.
static void test_random(void)
{
    static const u8 want[] = {0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15,
                              0x50, 0x0f, 0xdd, 0x1f, 0xa3, 0x20, 0x71, 0xc4};
    u32 key[8], nonce[3] = {0x09000000, 0x4a000000, 0};
    u8 bytes[32], block[64], a[200], b[200];
    for (u32 i = 0; i < 32; i++)
        bytes[i] = (u8)i;
    memcpy(key, bytes, sizeof key);
    chacha20_block(key, 1, nonce, block);
    CHECK(memcmp(block, want, sizeof want) == 0);
    struct csprng r, s;
    csprng_seed(&r, bytes);
    csprng_seed(&s, bytes);
    csprng_fill(&r, a, sizeof a);
    csprng_fill(&s, b, sizeof b);
    CHECK(memcmp(a, b, sizeof a) == 0);
    csprng_fill(&r, b, sizeof b);
    CHECK(memcmp(a, b, sizeof a) != 0 && memcmp(r.key, bytes, 32) != 0);
    csprng_fill(&r, a, 0);
}

int main(void)
{
    test_backend("memory", memfs_create(16 << 20, 1));
    test_limits();
    unlinked_but_open();
    listing_while_changing();
    names_of_a_directory();
    failing_heap();
    test_random();
    CHECK(test_heap.live == 0);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
