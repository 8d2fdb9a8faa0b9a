// SPDX-License-Identifier: MIT
// What every back end of the VFS must do alike, as checks on an empty directory of it
// (test_backend), which is empty again afterwards. fs.c runs them in memory, hostfs.c in host
// folders.
#pragma once
#include "fs/vfs.h"

#include <stdio.h>
#include <string.h>

static int passed, failed;
static const char *backend = "";

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (cond) {                                                                                \
            passed++;                                                                              \
        } else {                                                                                   \
            failed++;                                                                              \
            printf("%s:%d: [%s] %s\n", __FILE__, __LINE__, backend, #cond);                        \
        }                                                                                          \
    } while (0)
#define CHECK_ERROR(call, ...)                                                                     \
    do {                                                                                           \
        enum fs_error got_ = (call), want_[] = {__VA_ARGS__};                                      \
        bool ok_ = false;                                                                          \
        for (size_t i_ = 0; i_ < countof(want_); i_++)                                             \
            ok_ |= got_ == want_[i_];                                                              \
        if (ok_) {                                                                                 \
            passed++;                                                                              \
        } else {                                                                                   \
            failed++;                                                                              \
            printf("%s:%d: [%s] %s: %s, want %s\n", __FILE__, __LINE__, backend, #call,            \
                   fs_error_name(got_), fs_error_name(want_[0]));                                  \
        }                                                                                          \
    } while (0)
#define CHECK_OK(call) CHECK_ERROR(call, E_SUCCESS)

enum { RW = VFS_READ | VFS_WRITE, NEW = RW | VFS_CREATE };

static struct vfs_file *open_file(struct vfs_file *d, const char *path, u32 how)
{
    struct vfs_file *f = NULL;
    return vfs_open(d, path, how, 0, &f) == E_SUCCESS ? f : NULL;
}

static enum fs_error try_open(struct vfs_file *d, const char *path, u32 how)
{
    struct vfs_file *f = NULL;
    enum fs_error e = vfs_open(d, path, how, 0, &f);
    vfs_close(f);
    return e;
}

static u64 put(struct vfs_file *f, const char *text, u64 offset)
{
    u64 done = 0;
    struct vfs_iov v = {(u8 *)text, strlen(text)};
    return vfs_write(f, &v, 1, offset, &done) == E_SUCCESS ? done : 0;
}

static enum fs_error put_file(struct vfs_file *d, const char *path, const char *text)
{
    struct vfs_file *f;
    enum fs_error e = vfs_open(d, path, NEW | VFS_TRUNCATE | VFS_FOLLOW, 0, &f);
    if (!e) {
        put(f, text, VFS_HERE);
        vfs_close(f);
    }
    return e;
}

static bool reads(struct vfs_file *f, u64 offset, const char *want)
{
    char buffer[256];
    u64 done = 0;
    struct vfs_iov v = {(u8 *)buffer, sizeof buffer};
    return vfs_read(f, &v, 1, offset, &done) == E_SUCCESS && done == strlen(want) &&
           memcmp(buffer, want, done) == 0;
}

static bool holds(struct vfs_file *d, const char *path, const char *want)
{
    struct vfs_file *f = open_file(d, path, VFS_READ | VFS_FOLLOW);
    bool same = f && reads(f, VFS_HERE, want);
    vfs_close(f);
    return same;
}

static struct vfs_stat stat_of(struct vfs_file *d, const char *path, bool follow)
{
    struct vfs_stat st = {0};
    CHECK_OK(vfs_path_stat(d, path, follow, &st));
    return st;
}

static u32 count_names(struct vfs_file *d, u64 cookie)
{
    struct vfs_dirent e;
    u32 n = 0;
    while (vfs_readdir(d, cookie, &e) == E_SUCCESS && n < 100000) {
        n++;
        cookie = e.next;
    }
    return n;
}

// --- What every back end does.
static void test_data(struct vfs_file *root)
{
    struct vfs_stat st;
    u64 at;
    CHECK_ERROR(try_open(root, "f", RW), E_NOENT);
    struct vfs_file *f = open_file(root, "f", NEW | VFS_EXCLUSIVE);
    CHECK(f && f->type == VFS_REGULAR_FILE);
    CHECK_ERROR(try_open(root, "f", NEW | VFS_EXCLUSIVE), E_EXIST);
    CHECK(put(f, "hello world", VFS_HERE) == 11);
    CHECK(put(f, "HE", 0) == 2);
    CHECK(reads(f, VFS_HERE, ""));
    CHECK(reads(f, 6, "world"));
    CHECK(reads(f, 100, ""));
    CHECK_OK(vfs_seek(f, -11, VFS_SEEK_CUR, &at));
    CHECK(at == 0 && reads(f, VFS_HERE, "HEllo world"));
    CHECK_ERROR(vfs_seek(f, -1, VFS_SEEK_SET, &at), E_INVAL);
    CHECK_ERROR(vfs_seek(f, -100, VFS_SEEK_END, &at), E_INVAL);
    CHECK_OK(vfs_seek(f, 10, VFS_SEEK_END, &at));
    CHECK(at == 21 && put(f, "x", VFS_HERE) == 1);
    CHECK_OK(vfs_stat(f, &st));
    CHECK(st.size == 22 && st.nlink == 1 && st.type == VFS_REGULAR_FILE);
    CHECK_OK(vfs_set_size(f, 5));
    CHECK_OK(vfs_set_size(f, 7));
    struct vfs_file *again = open_file(root, "f", VFS_READ);
    u64 done = 0;
    u8 buffer[8];
    struct vfs_iov two[] = {{buffer, 3}, {buffer + 3, 5}};
    CHECK_OK(vfs_read(again, two, 2, VFS_HERE, &done));
    CHECK(done == 7 && memcmp(buffer, "HEllo\0\0", 7) == 0);
    vfs_close(again);
    CHECK_OK(vfs_set_flags(f, VFS_APPEND));
    CHECK_OK(vfs_seek(f, 0, VFS_SEEK_SET, &at));
    CHECK(put(f, "end", VFS_HERE) == 3);
    CHECK_OK(vfs_seek(f, 0, VFS_SEEK_CUR, &at));
    CHECK(at == 10);
    CHECK_OK(vfs_allocate(f, 90, 10));
    CHECK_OK(vfs_stat(f, &st));
    CHECK(st.size == 100);
    CHECK_ERROR(vfs_allocate(f, 0, 0), E_INVAL);
    CHECK_ERROR(vfs_allocate(f, UINT64_MAX, 2), E_FBIG);
    CHECK_ERROR(vfs_set_size(f, UINT64_MAX), E_FBIG);
    CHECK_OK(vfs_advise(f, 0, 10, 3));
    CHECK_ERROR(vfs_advise(f, 0, 10, 6), E_INVAL);
    CHECK_OK(vfs_sync(f, false));
    CHECK_OK(vfs_sync(f, true));
    vfs_close(f);
    CHECK_OK(vfs_unlink(root, "f"));
    CHECK_ERROR(vfs_unlink(root, "f"), E_NOENT);
}

static void test_times(struct vfs_file *root)
{
    struct vfs_times t = {VFS_TIME_SET, VFS_TIME_SET, 1000000007, 2000000009};
    CHECK_OK(put_file(root, "t", "x"));
    CHECK_OK(vfs_symlink(root, "t", "l"));
    CHECK_OK(vfs_path_times(root, "t", false, &t));
    struct vfs_stat st = stat_of(root, "t", false);
    CHECK(st.atime == 1000000007 && st.mtime == 2000000009);
    CHECK_OK(
        vfs_path_times(root, "l", false, &(struct vfs_times){VFS_TIME_KEEP, VFS_TIME_SET, 0, 5}));
    CHECK(stat_of(root, "l", false).mtime == 5 && stat_of(root, "t", false).mtime == 2000000009);
    CHECK_OK(
        vfs_path_times(root, "l", true, &(struct vfs_times){VFS_TIME_KEEP, VFS_TIME_SET, 0, 6}));
    CHECK(stat_of(root, "l", false).mtime == 5 && stat_of(root, "l", true).mtime == 6);
    struct vfs_file *f = open_file(root, "t", RW);
    CHECK_OK(vfs_set_times(f, &(struct vfs_times){VFS_TIME_SET, VFS_TIME_NOW, 7, 0}));
    vfs_close(f);
    CHECK(stat_of(root, "t", false).atime == 7 && stat_of(root, "t", false).mtime > 1000000000000);
    CHECK_OK(vfs_unlink(root, "l"));
    CHECK_OK(vfs_unlink(root, "t"));
}

static void test_directories(struct vfs_file *root)
{
    char name[32];
    struct vfs_dirent e;
    CHECK_OK(vfs_mkdir(root, "d"));
    CHECK_ERROR(vfs_mkdir(root, "d"), E_EXIST);
    CHECK_ERROR(vfs_mkdir(root, "d/"), E_EXIST);
    CHECK_ERROR(vfs_mkdir(root, "no/d"), E_NOENT);
    CHECK_ERROR(vfs_mkdir(root, "."), E_EXIST);
    CHECK_OK(vfs_mkdir(root, "d/sub/"));
    CHECK(stat_of(root, "d", false).nlink == 3);
    CHECK_ERROR(vfs_rmdir(root, "d"), E_NOTEMPTY);
    CHECK_ERROR(vfs_unlink(root, "d"), E_ISDIR);
    CHECK_ERROR(vfs_unlink(root, "d/"), E_ISDIR);
    CHECK_ERROR(vfs_rmdir(root, "d/sub/."), E_INVAL);
    CHECK_OK(vfs_rmdir(root, "d/sub/"));
    CHECK_OK(put_file(root, "d/f", "x"));
    CHECK_ERROR(vfs_rmdir(root, "d/f"), E_NOTDIR);
    CHECK_ERROR(vfs_rmdir(root, "d/f/"), E_NOTDIR);
    CHECK_ERROR(vfs_unlink(root, "d/f/"), E_NOTDIR);
    CHECK_ERROR(vfs_mkdir(root, "d/f/x"), E_NOTDIR);
    CHECK_ERROR(try_open(root, "d/f/", VFS_READ), E_NOTDIR);
    CHECK_ERROR(try_open(root, "d/f", VFS_READ | VFS_DIR_ONLY), E_NOTDIR);
    static const char *const no_file[] = {"d/f/", "d/f//", "d/", "d/new/", "d/./"};
    for (size_t i = 0; i < countof(no_file); i++) { // what ends in a slash is none that can be made
        CHECK_ERROR(try_open(root, no_file[i], NEW), E_ISDIR);
        CHECK_ERROR(try_open(root, no_file[i], NEW | VFS_EXCLUSIVE), E_ISDIR, E_EXIST);
        CHECK_ERROR(try_open(root, no_file[i], NEW | VFS_FOLLOW | VFS_TRUNCATE), E_ISDIR);
    }
    CHECK_ERROR(try_open(root, "no/f/", NEW), E_NOENT);
    CHECK_ERROR(try_open(root, "d/f/x/", NEW), E_NOTDIR);
    CHECK_ERROR(try_open(root, "d", RW), E_ISDIR);
    CHECK_ERROR(try_open(root, "d", VFS_READ | VFS_CREATE), E_ISDIR);
    CHECK_OK(try_open(root, "d///", VFS_READ));
    CHECK_OK(vfs_unlink(root, "d/f"));
    struct vfs_file *d = open_file(root, "d", VFS_READ | VFS_DIR_ONLY);
    CHECK(d && d->type == VFS_DIRECTORY && count_names(d, 0) == 2);
    u64 at;
    CHECK_ERROR(vfs_seek(d, 0, VFS_SEEK_CUR, &at), E_ISDIR);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "file.%d", i);
        CHECK_OK(put_file(d, name, name));
    }
    CHECK(count_names(d, 0) == 502);
    CHECK_OK(vfs_readdir(d, 0, &e));
    CHECK_OK(vfs_readdir(d, e.next, &e));
    u64 third = e.next;
    CHECK(count_names(d, third) == 500 && count_names(d, third) == 500);
    for (int i = 0; i < 500; i++) {
        snprintf(name, sizeof name, "file.%d", i);
        CHECK(holds(d, name, name));
        CHECK_OK(vfs_unlink(d, name));
    }
    CHECK(count_names(d, 0) == 2);
    CHECK_OK(vfs_rmdir(root, "d"));
    CHECK_ERROR(try_open(d, "x", NEW), E_NOENT); // it is gone, though open
    CHECK_ERROR(try_open(d, "x", VFS_READ), E_NOENT);
    CHECK_OK(try_open(d, ".", VFS_READ));
    CHECK_ERROR(try_open(d, "..", VFS_READ), E_PERM);
    CHECK_ERROR(vfs_mkdir(d, "x"), E_NOENT);
    CHECK_ERROR(vfs_symlink(d, "to", "x"), E_NOENT);
    CHECK(stat_of(d, ".", true).nlink == 0);
    CHECK_ERROR(vfs_readdir(d, 0, &e), E_NOENT);
    CHECK_OK(put_file(root, "other", "x"));
    CHECK_OK(vfs_mkdir(root, "sub"));
    CHECK_ERROR(vfs_rename(root, "other", d, "x"), E_NOENT);
    CHECK_ERROR(vfs_rename(root, "sub", d, "x"), E_NOENT);
    CHECK_ERROR(vfs_link(root, "other", d, "x"), E_NOENT);
    CHECK_ERROR(vfs_rename(d, "x", root, "y"), E_NOENT);
    CHECK_OK(vfs_unlink(root, "other"));
    CHECK_OK(vfs_rmdir(root, "sub"));
    vfs_close(d);
}

static void test_links(struct vfs_file *root)
{
    char buffer[16];
    u32 n = 0;
    CHECK_OK(put_file(root, "f", "data"));
    CHECK_OK(vfs_link(root, "f", root, "g"));
    CHECK(stat_of(root, "f", false).nlink == 2);
    CHECK(stat_of(root, "f", false).ino == stat_of(root, "g", false).ino);
    CHECK_ERROR(vfs_link(root, "f", root, "g"), E_EXIST);
    CHECK_ERROR(vfs_link(root, "f", root, "h/"), E_NOENT);
    CHECK_ERROR(vfs_link(root, "no", root, "h"), E_NOENT);
    CHECK_ERROR(vfs_link(root, "f/", root, "h"), E_NOTDIR);
    CHECK_OK(vfs_unlink(root, "f"));
    CHECK(holds(root, "g", "data") && stat_of(root, "g", false).nlink == 1);
    CHECK_OK(vfs_mkdir(root, "d"));
    CHECK_ERROR(vfs_link(root, "d", root, "h"), E_PERM);
    CHECK_ERROR(vfs_link(root, "d/", root, "h"), E_PERM);
    CHECK_OK(vfs_symlink(root, "../g", "d/up"));
    CHECK(holds(root, "d/up", "data"));
    CHECK(stat_of(root, "d/up", false).type == VFS_SYMBOLIC_LINK);
    CHECK(stat_of(root, "d/up", true).type == VFS_REGULAR_FILE);
    CHECK_OK(vfs_readlink(root, "d/up", buffer, sizeof buffer, &n));
    CHECK(n == 4 && memcmp(buffer, "../g", 4) == 0);
    CHECK_OK(vfs_readlink(root, "d/up", buffer, 2, &n));
    CHECK(n == 2);
    CHECK_ERROR(vfs_readlink(root, "g", buffer, 2, &n), E_INVAL);
    CHECK_ERROR(vfs_readlink(root, "d/", buffer, 2, &n), E_INVAL);
    CHECK_ERROR(try_open(root, "d/up", VFS_READ), E_LOOP);
    CHECK_ERROR(try_open(root, "d/up", VFS_READ | VFS_DIR_ONLY), E_NOTDIR);
    CHECK_ERROR(try_open(root, "d/up/", VFS_READ | VFS_FOLLOW), E_NOTDIR);
    CHECK_OK(vfs_symlink(root, "d", "dir"));
    CHECK(holds(root, "dir/up", "data"));
    CHECK_OK(try_open(root, "dir/", VFS_READ | VFS_FOLLOW));
    CHECK(stat_of(root, "dir/", false).type == VFS_DIRECTORY);
    CHECK_ERROR(vfs_rmdir(root, "dir/"), E_NOTDIR);
    CHECK_ERROR(vfs_unlink(root, "dir/"), E_NOTDIR);
    CHECK_ERROR(vfs_mkdir(root, "dir"), E_EXIST);
    CHECK_ERROR(vfs_symlink(root, "x", "dir"), E_EXIST);
    CHECK_ERROR(vfs_symlink(root, "x", "new/"), E_NOENT);
    CHECK_OK(vfs_symlink(root, "made", "dangling"));
    CHECK_ERROR(try_open(root, "dangling", VFS_READ | VFS_FOLLOW), E_NOENT);
    CHECK_ERROR(try_open(root, "dangling", NEW | VFS_EXCLUSIVE | VFS_FOLLOW), E_EXIST);
    CHECK_OK(put_file(root, "dangling", "made"));
    CHECK(holds(root, "made", "made"));
    CHECK_OK(vfs_link(root, "dangling", root, "hard"));
    CHECK(stat_of(root, "hard", false).type == VFS_SYMBOLIC_LINK);
    static const char *const names[] = {"hard", "dangling", "made", "dir", "d/up", "g"};
    for (size_t i = 0; i < countof(names); i++)
        CHECK_OK(vfs_unlink(root, names[i]));
    CHECK_OK(vfs_rmdir(root, "d"));
}

static void test_rename(struct vfs_file *root)
{
    CHECK_OK(put_file(root, "a", "A"));
    CHECK_OK(put_file(root, "b", "B"));
    CHECK_OK(vfs_rename(root, "a", root, "b"));
    CHECK(holds(root, "b", "A"));
    CHECK_ERROR(vfs_rename(root, "a", root, "b"), E_NOENT);
    CHECK_OK(vfs_rename(root, "b", root, "b"));
    CHECK_ERROR(vfs_rename(root, "b/", root, "c"), E_NOTDIR);
    CHECK_ERROR(vfs_rename(root, "b", root, "c/"), E_NOTDIR);
    CHECK_OK(vfs_mkdir(root, "d"));
    CHECK_OK(vfs_mkdir(root, "e"));
    CHECK_ERROR(vfs_rename(root, "b", root, "d"), E_ISDIR);
    CHECK_ERROR(vfs_rename(root, "d", root, "b"), E_NOTDIR);
    CHECK_ERROR(vfs_rename(root, "d", root, "d/x"), E_INVAL);
    CHECK_ERROR(vfs_rename(root, "d", root, "d/x/"), E_INVAL);
    CHECK_ERROR(vfs_rename(root, ".", root, "x"), E_BUSY, E_INVAL);
    CHECK_OK(vfs_rename(root, "b", root, "e/b"));
    CHECK_ERROR(vfs_rename(root, "d", root, "e"), E_NOTEMPTY);
    CHECK_OK(vfs_rename(root, "e/", root, "d/"));
    CHECK(holds(root, "d/b", "A"));
    CHECK_OK(vfs_mkdir(root, "d/sub"));
    CHECK_OK(vfs_rename(root, "d/sub", root, "sub"));
    CHECK(stat_of(root, "d", false).nlink == 2);
    struct vfs_file *sub = open_file(root, "sub", VFS_READ);
    CHECK_OK(vfs_rename(root, "d/b", sub, "b"));
    CHECK(holds(root, "sub/b", "A"));
    CHECK_OK(vfs_rename(root, "sub", root, "d/sub")); // moved while open
    CHECK(holds(sub, "b", "A"));
    CHECK_ERROR(try_open(sub, "../sub/b", VFS_READ), E_PERM);
    CHECK_OK(vfs_unlink(sub, "b"));
    vfs_close(sub);
    CHECK_OK(vfs_rmdir(root, "d/sub"));
    CHECK_OK(vfs_rmdir(root, "d"));
}

// Paths that lead out, or nowhere.
static void test_paths(struct vfs_file *root)
{
    static const char *const out[] = {"..",          "../",
                                      "../x",        "../../x",
                                      "d/../..",     "d/../../x",
                                      "./../x",      "d/./../../d",
                                      "d/up/up/x",   "d/up/up",
                                      "d/up/../x",   "d/out",
                                      "d/out/x",     "d/sub/../../..",
                                      "d/up/../d/f", "d/out/../../d/f"};
    static char path[VFS_PATH];
    struct vfs_stat st;
    struct vfs_file *d;
    CHECK_OK(vfs_mkdir(root, "d"));
    CHECK_OK(vfs_mkdir(root, "d/sub"));
    CHECK_OK(put_file(root, "d/f", "F"));
    CHECK_OK(vfs_symlink(root, "..", "d/up"));
    CHECK_OK(vfs_symlink(root, "../..", "d/out"));
    CHECK_OK(vfs_symlink(root, "..", "up"));
    CHECK_ERROR(vfs_symlink(root, "/etc", "absolute"), E_PERM);
    for (size_t i = 0; i < countof(out); i++) {
        CHECK_ERROR(try_open(root, out[i], VFS_READ | VFS_FOLLOW), E_PERM);
        CHECK_ERROR(vfs_path_stat(root, out[i], true, &st), E_PERM);
    }
    CHECK_ERROR(vfs_path_stat(root, "up/x", false, &st), E_PERM);
    CHECK_ERROR(vfs_mkdir(root, "../x"), E_PERM);
    CHECK_ERROR(vfs_mkdir(root, ".."), E_PERM);
    CHECK_ERROR(vfs_rmdir(root, "d/../../x"), E_PERM);
    CHECK_ERROR(vfs_rmdir(root, "up/x"), E_PERM);
    CHECK_ERROR(vfs_unlink(root, "d/out/x"), E_PERM);
    CHECK_ERROR(vfs_rename(root, "d/f", root, "../f"), E_PERM);
    CHECK_ERROR(vfs_rename(root, "up/f", root, "g"), E_PERM);
    CHECK_ERROR(vfs_link(root, "d/f", root, "d/out/f"), E_PERM);
    CHECK_ERROR(vfs_link(root, "../f", root, "g"), E_PERM);
    CHECK_ERROR(vfs_symlink(root, "x", "../x"), E_PERM);
    CHECK_ERROR(vfs_path_times(root, "up/x", true, &(struct vfs_times){0}), E_PERM);
    CHECK_ERROR(try_open(root, "../x", NEW), E_PERM);
    CHECK_ERROR(put_file(root, "up", "x"), E_PERM);
    CHECK(holds(root, "d/up/d/f", "F"));
    CHECK(holds(root, "./d/.//sub/../../d/sub/../f", "F"));
    d = open_file(root, "d", VFS_READ);
    CHECK_ERROR(try_open(d, "../d/f", VFS_READ), E_PERM);
    CHECK_ERROR(try_open(d, "up/d/f", VFS_READ), E_PERM);
    vfs_close(d);
    CHECK_OK(vfs_symlink(root, "loop", "loop"));
    CHECK_OK(vfs_symlink(root, "two", "one"));
    CHECK_OK(vfs_symlink(root, "one/x", "two"));
    CHECK_ERROR(try_open(root, "loop", VFS_READ | VFS_FOLLOW), E_LOOP);
    CHECK_ERROR(try_open(root, "one", VFS_READ | VFS_FOLLOW), E_LOOP);
    CHECK_ERROR(try_open(root, "loop/x", VFS_READ), E_LOOP);
    CHECK_ERROR(vfs_path_stat(root, "one", true, &st), E_LOOP);
    memset(path, 'n', 256);
    CHECK_ERROR(try_open(root, path, NEW), E_NAMETOOLONG);
    CHECK_ERROR(vfs_mkdir(root, path), E_NAMETOOLONG);
    path[255] = 0;
    CHECK_OK(put_file(root, path, "long"));
    CHECK(holds(root, path, "long"));
    CHECK_OK(vfs_unlink(root, path));
    for (size_t i = 0; i + 2 < sizeof path; i += 2)
        memcpy(path + i, "./", 2);
    memcpy(path + sizeof path - 4, "d\0", 2);
    CHECK_OK(vfs_path_stat(root, path, false, &st));
    static const char *const names[] = {"d/up", "d/out", "d/f", "up", "loop", "one", "two"};
    for (size_t i = 0; i < countof(names); i++)
        CHECK_OK(vfs_unlink(root, names[i]));
    CHECK_OK(vfs_rmdir(root, "d/sub"));
    CHECK_OK(vfs_rmdir(root, "d"));
}

// A chain of as many links as are allowed, and of one more.
static void test_chain(struct vfs_file *root)
{
    char name[16], target[16];
    CHECK_OK(put_file(root, "l0", "end"));
    for (int i = 1; i <= VFS_LINKS + 1; i++) {
        snprintf(name, sizeof name, "l%d", i);
        snprintf(target, sizeof target, "l%d", i - 1);
        CHECK_OK(vfs_symlink(root, target, name));
    }
    snprintf(name, sizeof name, "l%d", VFS_LINKS);
    CHECK(holds(root, name, "end"));
    snprintf(name, sizeof name, "l%d", VFS_LINKS + 1);
    CHECK_ERROR(try_open(root, name, VFS_READ | VFS_FOLLOW), E_LOOP);
    for (int i = 0; i <= VFS_LINKS + 1; i++) {
        snprintf(name, sizeof name, "l%d", i);
        CHECK_OK(vfs_unlink(root, name));
    }
}

static void test_backend(const char *name, struct vfs_file *root)
{
    backend = name;
    CHECK(root != NULL);
    if (!root)
        return;
    test_data(root);
    test_times(root);
    test_directories(root);
    test_links(root);
    test_rename(root);
    test_paths(root);
    test_chain(root);
    CHECK(count_names(root, 0) == 2);
    vfs_close(root);
    backend = "";
}
