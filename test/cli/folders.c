// SPDX-License-Identifier: MIT
// The guest of folders.sh: prints what it finds in its folders, in an order of its own.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wasi/api.h>

static void show(const char *dir, const char *name)
{
    static char path[5000], text[5000];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (lstat(path, &st)) {
        printf("%zu %.40s: %s\n", strlen(name), name, strerror(errno));
        return;
    }
    printf("%zu %.40s: mode %o, time %lld.%09ld", strlen(name), name, st.st_mode & S_IFMT,
           (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    if (S_ISLNK(st.st_mode)) {
        ssize_t n = readlink(path, text, sizeof text);
        printf(", to %zd bytes %.20s", n, text);
        FILE *f = fopen(path, "r");
        printf(", opened: %s", f ? "yes" : strerror(errno));
        if (f)
            fclose(f);
    } else if (S_ISREG(st.st_mode)) {
        FILE *f = fopen(path, "r");
        printf(", %lld bytes %s", (long long)st.st_size, f && fgets(text, 20, f) ? text : "none");
        if (f)
            fclose(f);
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    __wasi_prestat_t p;
    char name[300];
    for (__wasi_fd_t fd = 3; !__wasi_fd_prestat_get(fd, &p); fd++) {
        memset(name, 0, sizeof name);
        if (p.u.dir.pr_name_len < sizeof name &&
            !__wasi_fd_prestat_dir_name(fd, (uint8_t *)name, p.u.dir.pr_name_len))
            printf("folder %u: <%s>\n", (unsigned)fd, name);
    }
    for (int i = 1; i < argc; i++) {
        struct dirent **list;
        int n = scandir(argv[i], &list, NULL, alphasort);
        printf("%s: %d names\n", argv[i], n);
        for (int k = 0; k < n; k++)
            if (strcmp(list[k]->d_name, "..") != 0)
                show(argv[i], list[k]->d_name);
    }
    return 0;
}
