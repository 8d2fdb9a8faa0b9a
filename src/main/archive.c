// SPDX-License-Identifier: MIT
// Writing ustar, with extended headers where it has no room; see archive.h. The errors are those of
// a disk, in principle, so there is one sticky flag for all.
#define _GNU_SOURCE
#include "main/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "main/host.h"
#include "main/source.h"

enum { BLOCK = 512, NAME = 100, PREFIX = 155 };

struct header {
    char name[NAME], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type;
    char link[100], magic[6], version[2], user[32], group[32], major[8], minor[8], prefix[PREFIX],
        rest[12];
};
_Static_assert(sizeof(struct header) == BLOCK, "POSIX.1 10.1.1");

static void fail(struct archive *a, const char *name, const char *why)
{
    complain("%s: %s", name, why);
    a->failed = true;
}

static void put(struct archive *a, const void *p, size_t n)
{
    const u8 *at = p;
    while (n && !a->failed) {
        ssize_t done = write(a->fd, at, n);
        if (done <= 0 && errno != EINTR)
            fail(a, "the archive", strerror(errno));
        if (done > 0)
            at += done, n -= (size_t)done;
    }
}

// Fills the last block up.
static void pad(struct archive *a, size_t size)
{
    static const u8 zeros[BLOCK];
    put(a, zeros, (BLOCK - size % BLOCK) % BLOCK);
}

// A name of more than 100 bytes is cut at a slash.
static bool set_name(struct header *h, const char *name)
{
    size_t n = strlen(name), cut = 0;
    if (n > NAME) {
        cut = n - NAME - 1;
        while (cut < n && name[cut] != '/')
            cut++;
        if (cut == 0 || cut > PREFIX || cut >= n)
            return false;
        memcpy(h->prefix, name, cut);
        cut++;
    }
    memcpy(h->name, name + cut, n - cut);
    return true;
}

static void seal(struct header *h)
{
    u32 sum = 0;
    memset(h->checksum, ' ', sizeof h->checksum);
    for (size_t i = 0; i < sizeof *h; i++)
        sum += ((u8 *)h)[i];
    snprintf(h->checksum, sizeof h->checksum, "%06o", sum & 0777777);
}

static struct header header(char type, u64 size)
{
    struct header h = {.type = type, .magic = "ustar", .version = {'0', '0'}};
    snprintf(h.mode, sizeof h.mode, "%07o", type == '5' ? 0755 : 0644);
    snprintf(h.size, sizeof h.size, "%011llo", (unsigned long long)size);
    return h;
}

// What a header has no room for, in front of it: "LENGTH KEY=VALUE\n", the length's digits
// included.
struct extended {
    char text[2 * PATH_MAX + 200];
    size_t n;
};

static void add_record(struct extended *x, const char *key, const char *value)
{
    size_t rest = strlen(key) + strlen(value) + 3, n = rest + 1;
    while (n < rest + (size_t)snprintf(NULL, 0, "%zu", n))
        n++;
    x->n += (size_t)snprintf(x->text + x->n, sizeof x->text - x->n, "%zu %s=%s\n", n, key, value);
}

// Both texts are shorter than PATH_MAX.
static void put_header(struct archive *a, const char *name, char type, u64 size, const char *link,
                       struct timespec mtime)
{
    enum { SECONDS_MAX = 1 << 30 }; // times 8: eleven octal digits
    struct extended x = {.n = 0};
    struct header h = header(type, size);
    bool fits = mtime.tv_sec >= 0 && mtime.tv_sec / 8 < SECONDS_MAX;
    char time[48];
    snprintf(h.mtime, sizeof h.mtime, "%011llo", fits ? (unsigned long long)mtime.tv_sec : 0);
    snprintf(time, sizeof time, mtime.tv_sec < 0 ? "%lld" : "%lld.%09ld", (long long)mtime.tv_sec,
             mtime.tv_nsec);
    if (!fits || mtime.tv_nsec)
        add_record(&x, "mtime", time);
    if (!set_name(&h, name))
        add_record(&x, "path", name);
    if (strlen(link) > sizeof h.link)
        add_record(&x, "linkpath", link);
    else
        memcpy(h.link, link, strlen(link));
    if (x.n) {
        struct header extended = header('x', x.n);
        memcpy(extended.name, "extended", 8);
        seal(&extended);
        put(a, &extended, sizeof extended);
        put(a, x.text, x.n);
        pad(a, x.n);
    }
    seal(&h);
    put(a, &h, sizeof h);
}

void archive_start(struct archive *a)
{
    *a = (struct archive){.fd = memfd_create("nebulet-archive", MFD_CLOEXEC)};
    if (a->fd < 0)
        fail(a, "the archive", strerror(errno));
}

static void put_file(struct archive *a, const char *name, const void *bytes, size_t size,
                     struct timespec mtime)
{
    put_header(a, name, '0', size, "", mtime);
    put(a, bytes, size);
    pad(a, size);
}

void archive_file(struct archive *a, const char *name, const void *bytes, size_t size)
{
    put_file(a, name, bytes, size, (struct timespec){0});
}

void archive_module(struct archive *a, const char *name, const void *bytes, size_t size)
{
    u8 *copy = malloc(size + 1);
    if (copy)
        archive_file(a, name, copy, source_leave_out(copy, bytes, size));
    else
        fail(a, name, strerror(errno));
    free(copy);
}

static void put_link(struct archive *a, const char *name, const FTSENT *e)
{
    char target[PATH_MAX];
    ssize_t n = readlink(e->fts_path, target, sizeof target - 1);
    if (n < 0) {
        complain("%s: %s: it is left out", e->fts_path, strerror(errno));
        return;
    }
    target[n] = 0;
    put_header(a, name, '2', 0, target, e->fts_statp->st_mtim);
}

// A folder comes behind what is in it, so that its time is not changed again. What cannot be read,
// which is an error for a program that tries it, is one for nobody else.
static void put_entry(struct archive *a, const char *name, const FTSENT *e)
{
    struct file f;
    switch (e->fts_info) {
    case FTS_F:
        if (!file_copy(e->fts_path, &f))
            break;
        put_file(a, name, f.bytes, f.size, e->fts_statp->st_mtim);
        file_free(&f);
        break;
    case FTS_SL:
    case FTS_SLNONE: put_link(a, name, e); break;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        complain("%s: %s: it is left out", e->fts_path, strerror(e->fts_errno));
        if (e->fts_info != FTS_DNR)
            break;
        __attribute__((fallthrough));
    case FTS_DP: put_header(a, name, '5', 0, "", e->fts_statp->st_mtim); break;
    default: break; // the way into a folder; devices and the like stay here
    }
}

// /proc is no part of a folder above it (plat/linux/hostpath.c): there is but its place.
static bool begins_proc(const FTSENT *e)
{
    return e->fts_info == FTS_D && e->fts_level > 0 &&
           e->fts_statp->st_dev != e->fts_parent->fts_statp->st_dev && file_is_process(e->fts_path);
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

void archive_folder(struct archive *a, const char *name, const char *path)
{
    if (file_is_process(path)) {
        fail(a, path, "this is made while it is read, so a machine cannot be given a copy");
        return;
    }
    char *paths[] = {(char *)path, NULL};
    FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
    if (!walk) {
        fail(a, path, strerror(errno));
        return;
    }
    size_t skip = strlen(path);
    for (FTSENT *e; !a->failed && (e = fts_read(walk));) {
        if (begins_proc(e))
            fts_set(walk, e, FTS_SKIP);
        char *full;
        if (asprintf(&full, "%s%s%s", name, e->fts_path[skip] && path[skip - 1] == '/' ? "/" : "",
                     e->fts_path + skip) < 0) {
            fail(a, path, strerror(ENOMEM));
            break;
        }
        if (strlen(full) < PATH_MAX - 1)
            put_entry(a, full, e);
        else if (e->fts_info != FTS_DP)
            complain("%s: %s: it is left out", e->fts_path, strerror(ENAMETOOLONG));
        free(full);
    }
    fts_close(walk);
}

bool archive_finish(struct archive *a)
{
    static const u8 end[2 * BLOCK];
    put(a, end, sizeof end);
    return !a->failed;
}

void archive_free(struct archive *a)
{
    if (a->fd >= 0)
        close(a->fd);
}
