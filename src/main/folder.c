// SPDX-License-Identifier: MIT
// The forms of --dir; see folder.h. A copy is here what it is in a machine: an archive, mounted.
#define _GNU_SOURCE
#include "main/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/bundle.h"
#include "main/archive.h"
#include "main/host.h"
#include "main/options.h"
#include "plat/linux/hostfs.h"

// Cuts the form off, where there is one. (Behind a second colon it is a name in the guest.)
static size_t cut_form(const char *given, size_t n, enum folder_how *how)
{
    static const struct {
        const char *text;
        enum folder_how how;
    } forms[] = {{":ro", FOLDER_READ}, {":copy", FOLDER_COPY}, {":rw", FOLDER_ITSELF}};
    for (u32 i = 0; i < countof(forms); i++) {
        size_t form = strlen(forms[i].text);
        if (n > form && !memcmp(given + n - form, forms[i].text, form) &&
            given[n - form - 1] != ':') {
            *how = forms[i].how;
            return n - form;
        }
    }
    return n;
}

static void folder_free(struct folder *f)
{
    vfs_close(f->dir); // where there is one
    free(f->host);
    free(f->guest);
}

static bool folder_open(const char *given, struct folder *out)
{
    *out = (struct folder){.how = FOLDER_ITSELF};
    size_t n = cut_form(given, strlen(given), &out->how);
    const char *colons = memmem(given, n, "::", 2), *guest = colons ? colons + 2 : given;
    out->host = strndup(given, colons ? (size_t)(colons - given) : n);
    out->guest = strndup(guest, n - (size_t)(guest - given));
    enum fs_error e = out->host && out->guest ? hostfs_open(out->host, false, &out->dir) : E_NOMEM;
    if (e) {
        complain("--dir %s: %s", given, fs_error_text(e));
        folder_free(out);
        return false;
    }
    out->dir->read_only = out->how == FOLDER_READ;
    return true;
}

// What `nebulet disk create` writes, in one of the first two blocks: the other may be what a loss
// of power has left.
static const char *no_disk(const char *path, bool read_only)
{
    enum { BLOCK = 4096, LEAST = 16 * BLOCK };
    static const char magic[] = "littlefs";
    char blocks[2][BLOCK];
    struct stat st;
    int fd = open(path, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
    const char *why = fd < 0 || fstat(fd, &st) ? strerror(errno) : NULL;
    if (!why && !S_ISREG(st.st_mode))
        why = "not a file";
    else if (!why && (st.st_size < LEAST || pread(fd, blocks, sizeof blocks, 0) != sizeof blocks ||
                      (memcmp(blocks[0] + 8, magic, 8) && memcmp(blocks[1] + 8, magic, 8))))
        why = "there is no file system on it (nebulet disk create makes one)";
    if (fd >= 0)
        close(fd);
    return why;
}

static bool disk_open(const char *given, struct folder *out)
{
    *out = (struct folder){.how = FOLDER_ITSELF};
    size_t n = cut_form(given, strlen(given), &out->how);
    const char *colons = memmem(given, n, "::", 2), *guest = colons ? colons + 2 : "/disk", *why;
    out->host = strndup(given, colons ? (size_t)(colons - given) : n);
    out->guest = strndup(guest, colons ? n - (size_t)(guest - given) : strlen(guest));
    if (!out->host || !out->guest)
        why = strerror(ENOMEM);
    else if (out->how == FOLDER_COPY)
        why = "a disk is no copy; :ro is there";
    else
        why = no_disk(out->host, out->how == FOLDER_READ);
    if (!why)
        return true;
    complain("--disk %s: %s", given, why);
    folder_free(out);
    return false;
}

static bool add(struct folders *f, const char *given, bool (*open)(const char *, struct folder *))
{
    struct folder one;
    if (!open(given, &one))
        return false;
    if (vec_push(&f->all, one))
        return true;
    folder_free(&one);
    complain("out of memory");
    return false;
}

bool folders_open(struct folders *f, const struct options *o)
{
    for (u32 i = 0; i < o->dirs.count; i++)
        if (!add(f, o->dirs.at[i], folder_open))
            return false;
    for (u32 i = 0; i < o->disks.count; i++)
        if (!add(f, o->disks.at[i], disk_open))
            return false;
    return true;
}

void folders_free(struct folders *f)
{
    for (u32 i = 0; i < f->all.count; i++)
        folder_free(&f->all.at[i]);
    vec_free(&f->all);
}

void folders_archive(const struct folders *f, struct archive *a)
{
    for (u32 i = 0; i < f->all.count && !a->failed; i++) {
        char name[32];
        snprintf(name, sizeof name, "folder/%u", i);
        if (f->all.at[i].how == FOLDER_COPY)
            archive_folder(a, name, f->all.at[i].host);
    }
}

// The archive stays mapped: what nobody writes to is read where it lies.
static enum fs_error mount(const struct archive *a, struct vfs_file **root)
{
    off_t size = lseek(a->fd, 0, SEEK_CUR);
    void *at = mmap(NULL, (size_t)size, PROT_READ, MAP_PRIVATE, a->fd, 0);
    if (at == MAP_FAILED)
        return E_NOMEM;
    return bundle_mount(at, (u64)size, UINT64_MAX, 1, root);
}

static bool any_copies(const struct folders *f)
{
    for (u32 i = 0; i < f->all.count; i++)
        if (f->all.at[i].how == FOLDER_COPY)
            return true;
    return false;
}

bool folders_copy(struct folders *f)
{
    struct archive a;
    struct vfs_file *root = NULL;
    enum fs_error e = E_SUCCESS;
    if (!any_copies(f))
        return true;
    archive_start(&a);
    folders_archive(f, &a);
    bool done = archive_finish(&a);
    if (done)
        e = mount(&a, &root);
    for (u32 i = 0; i < f->all.count && done && !e; i++) {
        struct folder *one = &f->all.at[i];
        struct vfs_file *copy;
        char name[32];
        snprintf(name, sizeof name, "folder/%u", i);
        if (one->how != FOLDER_COPY ||
            (e = vfs_open(root, name, VFS_READ | VFS_DIR_ONLY, 0, &copy)))
            continue;
        vfs_close(one->dir);
        one->dir = copy;
    }
    if (e)
        complain("a copy for --dir: %s", fs_error_text(e));
    vfs_close(root);
    archive_free(&a);
    return done && !e;
}

// Puts a number in octal, as /proc/self/mountinfo writes what would be mistaken, back to a byte.
static void unescape(char *text)
{
    char *to = text;
    for (const char *p = text; *p; to++) {
        bool escaped = p[0] == '\\' && p[1] && p[2] && p[3];
        *to = escaped ? (char)((p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0')) : *p;
        p += escaped ? 4 : 1;
    }
    *to = 0;
}

// A line: five fields, the fifth being where it is mounted, others, " - ", its type.
static bool is_proc_below(char *line, const char *path)
{
    char *at = line, *type = strstr(line, " - ");
    if (!type || strncmp(type, " - proc ", 8))
        return false;
    for (u32 i = 0; i < 4 && at; i++)
        at = strchr(at + 1, ' ');
    if (!at)
        return false;
    at[1 + strcspn(at + 1, " ")] = 0;
    unescape(at + 1);
    size_t n = strlen(path);
    return !strncmp(at + 1, path, n) && (path[n - 1] == '/' || at[1 + n] == '/');
}

bool folder_has_processes(const struct folder *f)
{
    char *path = realpath(f->host, NULL), *line = NULL;
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    size_t room = 0;
    bool has = !path; // it has been opened, so this is memory
    while (mounts && !has && getline(&line, &room, mounts) > 0)
        has = is_proc_below(line, path);
    if (mounts)
        fclose(mounts);
    free(line);
    free(path);
    return has;
}
