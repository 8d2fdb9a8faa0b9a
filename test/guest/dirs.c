// SPDX-License-Identifier: MIT
// Folders: make, list (all names, however many), stat, remove.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *path)
{
    char *names[600];
    size_t count = 0;
    DIR *dir = opendir(path);
    if (!dir) {
        printf("%s: %s\n", path, strerror(errno));
        return;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            names[count++] = strdup(e->d_name);
    }
    closedir(dir);
    qsort(names, count, sizeof(*names), by_name);
    printf("%s: %zu entries", path, count);
    for (size_t i = 0; i < count; i++) {
        if (i < 3 || i + 2 > count)
            printf(" %s", names[i]);
        free(names[i]);
    }
    printf("\n");
}

static void show(const char *what, int result)
{
    printf("%s: %s\n", what, result < 0 ? strerror(errno) : "ok");
}

int main(void)
{
    struct stat st;
    char path[300];

    list("/data");
    show("mkdir", mkdir("/data/sub", 0755));
    show("mkdir again", mkdir("/data/sub", 0755));
    show("mkdir below nothing", mkdir("/data/no/sub", 0755));
    for (int i = 0; i < 500; i++) {
        // Long names, so that no buffer holds the whole folder.
        snprintf(path, sizeof(path), "/data/sub/file-%03d-%0*d", i, i % 100 + 1, i);
        close(open(path, O_WRONLY | O_CREAT, 0644));
    }
    list("/data/sub");
    show("stat", stat("/data/sub", &st));
    printf("folder %d\n", S_ISDIR(st.st_mode));
    show("rmdir full", rmdir("/data/sub"));
    show("unlink a folder", unlink("/data/sub"));
    for (int i = 0; i < 500; i++) {
        snprintf(path, sizeof(path), "/data/sub/file-%03d-%0*d", i, i % 100 + 1, i);
        if (unlink(path) < 0)
            show(path, -1);
    }
    list("/data/sub");
    show("rmdir", rmdir("/data/sub"));
    show("rmdir again", rmdir("/data/sub"));
    list("/data");
    list("/data/none");
    return 0;
}
