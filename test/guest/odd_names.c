// SPDX-License-Identifier: MIT
// What a program may ask of names and folders that is odd, and that systems answer differently: one
// answer here, Linux's.
#include <stdio.h>
#include <string.h>
#include <wasi/api.h>

#define ALL 0x1fffffffull
#define FOLDER                                                                                     \
    (__WASI_RIGHTS_FD_READDIR | __WASI_RIGHTS_FD_FILESTAT_GET | __WASI_RIGHTS_PATH_OPEN |          \
     __WASI_RIGHTS_PATH_CREATE_FILE | __WASI_RIGHTS_PATH_CREATE_DIRECTORY |                        \
     __WASI_RIGHTS_PATH_RENAME_TARGET)
enum { NEW = __WASI_OFLAGS_CREAT };

static int opens(__wasi_fd_t dir, const char *path, int flags)
{
    __wasi_fd_t fd;
    int e = __wasi_path_open(dir, 1, path, (__wasi_oflags_t)flags,
                             flags & __WASI_OFLAGS_DIRECTORY ? FOLDER : ALL, ALL, 0, &fd);
    if (e == 0)
        e = __wasi_fd_close(fd);
    return e;
}

static unsigned char list[4096];

static void listing(const char *what, __wasi_fd_t dir, __wasi_dircookie_t cookie)
{
    __wasi_size_t n = 0;
    int e = __wasi_fd_readdir(dir, list, sizeof list, cookie, &n);
    printf("%s: error %d, %s\n", what, e, n ? "names" : "no names");
}

int main(void)
{
    __wasi_fd_t dir;
    __wasi_filestat_t st;
    printf("a file: %d\n", opens(3, "f", NEW));
    printf("with a slash: %d %d %d %d\n", opens(3, "f/", NEW), opens(3, "f/", 0),
           opens(3, "f//", NEW | __WASI_OFLAGS_TRUNC), opens(3, "no/", NEW));
    printf("exclusive, with a slash: %d\n", opens(3, "no/", NEW | __WASI_OFLAGS_EXCL));
    printf("below a file: %d\n", opens(3, "f/x/", NEW));
    printf("a folder: %d %d\n", __wasi_path_create_directory(3, "d"), opens(3, "d/", NEW));
    if (__wasi_path_open(3, 0, "d", __WASI_OFLAGS_DIRECTORY, FOLDER, ALL, 0, &dir))
        return 1;
    listing("the folder", dir, 0);
    listing("from its last cookie on", dir, ~0ull);
    listing("from beyond", dir, 1ull << 63);
    printf("removed: %d\n", __wasi_path_remove_directory(3, "d"));
    listing("the folder", dir, 0);
    printf("new in it: %d %d\n", opens(dir, "x", NEW), __wasi_path_create_directory(dir, "x"));
    printf("itself, above: %d %d\n", opens(dir, ".", __WASI_OFLAGS_DIRECTORY), opens(dir, "..", 0));
    printf("moved there: %d\n", __wasi_path_rename(3, "f", dir, "f"));
    printf("its names: %d", __wasi_fd_filestat_get(dir, &st));
    printf(" %d\n", (int)st.nlink);
    printf("an empty name: %d %d\n", opens(3, "", 0), opens(3, "", NEW));
    return __wasi_path_unlink_file(3, "f");
}
