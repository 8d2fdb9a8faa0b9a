// SPDX-License-Identifier: MIT
// Writing ustar; see archive.h. The errors are those of a disk, in principle, so there is one
// sticky flag for all.
#define _GNU_SOURCE
#include "main/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "main/host.h"

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

static void put_header(struct archive *a, const char *name, char type, u64 size, const char *link)
{
    struct header h = {.type = type, .magic = "ustar", .version = {'0', '0'}};
    if (!set_name(&h, name) || strlen(link) > sizeof h.link) {
        fail(a, name, "the name is too long for an archive");
        return;
    }
    memcpy(h.link, link, strlen(link));
    snprintf(h.mode, sizeof h.mode, "%07o", type == '5' ? 0755 : 0644);
    snprintf(h.size, sizeof h.size, "%011llo", (unsigned long long)size);
    snprintf(h.mtime, sizeof h.mtime, "%011o", 0);
    memset(h.checksum, ' ', sizeof h.checksum);
    u32 sum = 0;
    for (size_t i = 0; i < sizeof h; i++)
        sum += ((u8 *)&h)[i];
    snprintf(h.checksum, sizeof h.checksum, "%06o", sum & 0777777);
    put(a, &h, sizeof h);
}

void archive_start(struct archive *a)
{
    *a = (struct archive){.fd = memfd_create("nebulet-archive", MFD_CLOEXEC)};
    if (a->fd < 0)
        fail(a, "the archive", strerror(errno));
}

void archive_file(struct archive *a, const char *name, const void *bytes, size_t size)
{
    put_header(a, name, '0', size, "");
    put(a, bytes, size);
    pad(a, size);
}

static void put_link(struct archive *a, const char *name, const char *path)
{
    char target[4096];
    ssize_t n = readlink(path, target, sizeof target - 1);
    if (n < 0) {
        fail(a, path, strerror(errno));
        return;
    }
    target[n] = 0;
    put_header(a, name, '2', 0, target);
}

static void put_entry(struct archive *a, const char *name, const FTSENT *e)
{
    struct file f;
    switch (e->fts_info) {
    case FTS_D: put_header(a, name, '5', 0, ""); break;
    case FTS_F:
        if (!file_read(e->fts_path, &f)) {
            a->failed = true;
            break;
        }
        archive_file(a, name, f.bytes, f.size);
        file_free(&f);
        break;
    case FTS_SL:
    case FTS_SLNONE: put_link(a, name, e->fts_path); break;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS: fail(a, e->fts_path, strerror(e->fts_errno)); break;
    default: break; // the way back out of a folder; devices and the like stay here
    }
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

void archive_folder(struct archive *a, const char *name, const char *path)
{
    char *paths[] = {(char *)path, NULL};
    FTS *walk = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, by_name);
    if (!walk) {
        fail(a, path, strerror(errno));
        return;
    }
    size_t skip = strlen(path);
    for (FTSENT *e; !a->failed && (e = fts_read(walk));) {
        char *full;
        if (asprintf(&full, "%s%s%s", name, e->fts_path[skip] && path[skip - 1] == '/' ? "/" : "",
                     e->fts_path + skip) < 0) {
            fail(a, path, strerror(ENOMEM));
            break;
        }
        put_entry(a, full, e);
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
