// SPDX-License-Identifier: MIT
// Unit test of archives (fs/bundle.h): what tar writes is understood, files are copied only when
// they are written to, and whatever is wrong with an archive is an error: cut off anywhere, changed
// anywhere, with sizes and names that lie, with each allocation failing once.
#include "fs/bundle.h"
#include "base/heap.h"
#include "plat/plat.h"
#include "test/unit/fs.h"
#include "test/unit/heap.h"

u64 plat_wall_clock(void)
{
    return 1700000000000000000;
}

enum { BLOCK = 512, ROOM = 64 << 10, LIMIT = 16 << 20 };

static u8 archive[ROOM];
static u64 size;

static void seal(u8 *h)
{
    u32 sum = 0;
    memset(h + 148, ' ', 8);
    for (u32 i = 0; i < BLOCK; i++)
        sum += h[i];
    snprintf((char *)h + 148, 8, "%06o", sum);
}

static u8 *add(const char *prefix, const char *name, char type, const char *link, const char *text)
{
    u8 *h = archive + size;
    size_t n = strlen(text);
    memset(h, 0, BLOCK);
    memcpy(h, name, strlen(name));
    snprintf((char *)h + 124, 12, "%011o", (unsigned)n);
    h[156] = (u8)type;
    memcpy(h + 157, link, strlen(link));
    memcpy(h + 257, "ustar\00000", 8);
    memcpy(h + 345, prefix, strlen(prefix));
    seal(h);
    memset(h + BLOCK, 0, ALIGN_UP(n, (size_t)BLOCK));
    memcpy(h + BLOCK, text, n);
    size += BLOCK + ALIGN_UP(n, (size_t)BLOCK);
    return h;
}

static void end(void)
{
    memset(archive + size, 0, 2 * BLOCK);
    size += 2 * BLOCK;
}

static void usual(void)
{
    size = 0;
    add("", "./", '5', "", "");
    add("", "one", '0', "", "first");
    add("", "./dir/", '5', "", "");
    add("", "dir/two", '0', "", "second");
    add("a/very/long", "/path/three", '0', "", "third");
    add("", "link", '2', "dir/two", "");
    add("", "device", '3', "", "");
    add("", "global", 'g', "", "30 path=something else\n");
    add("", "x", 'x', "", "18 path=./renamed\n22 mtime=1000000001.5\n11 other=x\n");
    add("", "short", '0', "", "renamed");
    add("", "x", 'x', "", "22 linkpath=/absolute\n");
    add("", "away", '2', "short", "");
    add("", "one", '0', "", "replaced");
    end();
}

static struct vfs_file *mounted(void)
{
    struct vfs_file *root = NULL;
    CHECK_OK(bundle_mount(archive, size, LIMIT, 1, &root));
    return root;
}

static bool contains(struct vfs_file *root, const char *path, const char *text)
{
    struct vfs_file *f = open_file(root, path, VFS_READ | VFS_FOLLOW);
    bool same = f && reads(f, 0, text);
    vfs_close(f);
    return same;
}

static void test_reading(void)
{
    struct bundle_file e;
    usual();
    CHECK_OK(bundle_find(archive, size, "one", &e));
    CHECK(e.size == 8 && memcmp(e.bytes, "replaced", 8) == 0);
    CHECK_OK(bundle_find(archive, size, "a/very/long/path/three", &e));
    CHECK_ERROR(bundle_find(archive, size, "dir", &e), E_NOENT);
    CHECK_ERROR(bundle_find(archive, size, "", &e), E_NOENT);
    CHECK_ERROR(bundle_find(archive, 0, "one", &e), E_NOENT);
    struct vfs_file *root = mounted();
    CHECK(contains(root, "one", "replaced"));
    CHECK(contains(root, "dir/two", "second"));
    CHECK(contains(root, "link", "second"));
    CHECK(contains(root, "a/very/long/path/three", "third"));
    CHECK_ERROR(try_open(root, "device", VFS_READ), E_NOENT);
    static const char *const none[] = {"global", "something else", "x", "short"};
    for (u32 i = 0; i < countof(none); i++)
        CHECK_ERROR(try_open(root, none[i], VFS_READ), E_NOENT);
    CHECK(contains(root, "renamed", "renamed"));
    struct vfs_stat st;
    CHECK_OK(vfs_path_stat(root, "renamed", false, &st));
    CHECK(st.mtime == 1000000001500000000);
    CHECK_OK(vfs_path_stat(root, "one", false, &st));
    CHECK(st.mtime == 0);
    CHECK_OK(vfs_path_stat(root, "away", false, &st));
    CHECK(st.type == VFS_SYMBOLIC_LINK && st.size == 9);
    CHECK_ERROR(try_open(root, "away", VFS_READ | VFS_FOLLOW), E_PERM);
    CHECK_ERROR(vfs_path_stat(root, "away", true, &st), E_PERM);
    CHECK_ERROR(try_open(root, "away/x", VFS_READ), E_PERM);
    vfs_close(root);
}

// The archive stays as it is, whatever happens to the files.
static void test_writing(void)
{
    static u8 copy[ROOM];
    static char large[10000], got[10001];
    memset(large, 'x', sizeof large - 1);
    size = 0;
    add("", "large", '0', "", large);
    end();
    memcpy(copy, archive, size);
    struct vfs_file *root = mounted(), *f = open_file(root, "large", RW);
    struct vfs_iov v = {(u8 *)got, sizeof got};
    struct vfs_stat st;
    u64 done;
    CHECK(put(f, "here", 5000) == 4);
    CHECK_OK(vfs_read(f, &v, 1, 0, &done));
    CHECK(done == 9999 && got[4999] == 'x' && !memcmp(got + 5000, "here", 4) && got[5004] == 'x' &&
          got[9998] == 'x');
    CHECK_OK(vfs_set_size(f, 9000)); // what is cut off stays away
    CHECK_OK(vfs_set_size(f, 9999));
    CHECK_OK(vfs_read(f, &v, 1, 0, &done));
    CHECK(done == 9999 && got[8999] == 'x' && got[9000] == 0 && got[9998] == 0);
    CHECK(put(f, "end", 9996) == 3);
    CHECK_OK(vfs_read(f, &v, 1, 9990, &done));
    CHECK(done == 9 && memcmp(got, "\0\0\0\0\0\0end", 9) == 0);
    CHECK_OK(vfs_set_size(f, 0));
    CHECK_OK(vfs_stat(f, &st));
    CHECK(st.size == 0 && put(f, "new", 0) == 3 && reads(f, 0, "new"));
    vfs_close(f);
    vfs_close(root);
    CHECK(memcmp(copy, archive, size) == 0);
}

static void refuse(const char *why)
{
    struct vfs_file *root = NULL;
    end();
    enum fs_error e = bundle_mount(archive, size, LIMIT, 1, &root);
    CHECK(e != E_SUCCESS);
    if (!e)
        printf("accepted: %s\n", why);
    vfs_close(e ? NULL : root);
    size = 0;
}

static void test_hostile(void)
{
    static const char *const names[] = {"..", "../x", "a/../b", "a/..", "/../x"};
    for (u32 i = 0; i < countof(names); i++) {
        size = 0;
        add("", names[i], '0', "", "x");
        refuse(names[i]);
    }
    u8 *h = add("", "big", '0', "", "x");
    memcpy(h + 124, "77777777777", 12);
    seal(h);
    refuse("a size beyond the end");
    h = add("", "big", '0', "", "x");
    memset(h + 124, '7', 12);
    seal(h);
    refuse("a size without an end");
    h = add("", "none", '0', "", "x");
    memcpy(h + 124, "          x", 12);
    seal(h);
    refuse("a size that is no number");
    h = add("", "sum", '0', "", "x");
    h[0]++;
    refuse("a wrong checksum");
    static const char *const records[] = {"5 a=",
                                          "6 a=b",
                                          "0 a=b\n",
                                          "99 a=b\n",
                                          "7 a=b \nx",
                                          "x",
                                          "6 ab b\n",
                                          "99999999999999999999 a=b\n",
                                          "17 path=a/../b\n"};
    for (u32 i = 0; i < countof(records); i++) {
        add("", "x", 'x', "", records[i]);
        add("", "file", '0', "", "x");
        refuse(records[i]);
    }
    add("", "link", '2', "nowhere", "");
    add("", "link/file", '0', "", "x");
    refuse("a dangling link as a directory");
    add("", "link", '2', "/etc", "");
    add("", "link/file", '0', "", "x");
    refuse("an absolute link as a directory");
    add("", "file", '0', "", "x");
    add("", "file/below", '0', "", "x");
    refuse("a file as a directory");
    add("", "out", '2', "../..", "");
    add("", "out/file", '0', "", "x");
    refuse("a link that leads out");
}

// Cut off anywhere: what is read before that is right, and nothing behind it is looked at.
static void test_cut(void)
{
    usual();
    u64 all = size;
    for (u64 n = 0; n <= all; n += n % BLOCK < 8 || n % BLOCK > 504 ? 1 : 61) {
        u8 *exact = malloc(n + 1);
        struct vfs_file *root = NULL;
        memcpy(exact, archive, n);
        enum fs_error e = bundle_mount(exact, n, LIMIT, 1, &root);
        CHECK(e == E_SUCCESS || e == E_INVAL);
        vfs_close(e ? NULL : root);
        free(exact);
    }
}

// Changed anywhere; half of the time with the checksum repaired.
static void test_changed(void)
{
    u64 random = 88172645463325252ull;
    for (u32 round = 0; round < 20000; round++) {
        struct vfs_file *root = NULL;
        usual();
        for (u32 i = 0; i < 1 + round % 4; i++) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            u64 at = random % (size - 2 * BLOCK);
            archive[at] = (u8)(random >> 32);
            if (random >> 63)
                seal(archive + at / BLOCK * BLOCK);
        }
        if (!bundle_mount(archive, size, LIMIT, 1, &root))
            vfs_close(root);
    }
    passed++;
}

static void test_memory(void)
{
    usual();
    u64 before = test_heap.live;
    bool through = false;
    for (int n = 0; !through && n < 1000; n++) {
        struct vfs_file *root = NULL;
        test_heap.left = n;
        enum fs_error e = bundle_mount(archive, size, LIMIT, 1, &root);
        test_heap.left = -1;
        through = e == E_SUCCESS;
        CHECK(through || e == E_NOMEM || e == E_NOSPC);
        vfs_close(e ? NULL : root);
        CHECK(test_heap.live == before);
    }
    CHECK(through);
}

int main(void)
{
    end();
    test_backend("archive", mounted());
    test_reading();
    test_writing();
    test_hostile();
    test_cut();
    test_changed();
    test_memory();
    CHECK(test_heap.live == 0);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
