// SPDX-License-Identifier: MIT
// The names of a directory in memory. Each has a serial number, in the order in which they came,
// and that is its cookie: a sparse array by serial leads to it, and a listing goes on from the next
// serial that there is. A hash table finds one by name. It has as many buckets as there are names,
// by linear hashing: with a name more one bucket is split, with one less two are joined.
//
// Both are arrays of places (memory_places.c), so whatever is done to a directory, of ten names or
// of a million, takes a few steps under the lock.
//
//   serials ──> node ──> node ──> entry 17          names ──> node ──> bucket 3 ──> entry ──> entry
#include "base/hash.h"
#include "fs/memory_node.h"

enum {
    FIRST_SERIAL = 2, // cookies 0 and 1 are those of "." and ".."
    MAX_NAMES = 1 << 28,
};

// --- Names

// With n buckets, a hash is taken modulo the power of two that n does not exceed, or half of that
// where there is no such bucket yet.
static struct mem_entry **bucket(const struct mem_dir *d, u32 hash, u32 n)
{
    u32 mask = n < 2 ? 0 : UINT32_MAX >> __builtin_clz(n - 1), i = hash & mask;
    return (struct mem_entry **)place_at(&d->names, i < n ? i : i & mask >> 1);
}

static u32 hash_name(const struct memfs *fs, const char *name, u32 length)
{
    return (u32)hash_bytes(fs->key, name, length);
}

struct mem_entry *mem_dir_find(const struct mem_node *dir, const char *name, u32 length)
{
    const struct mem_dir *d = &dir->dir;
    u32 hash = hash_name(dir->fs, name, length);
    struct mem_entry *e = d->count ? *bucket(d, hash, d->count) : NULL;
    while (e && (e->hash != hash || e->length != length || memcmp(e->name, name, length)))
        e = e->next;
    return e;
}

static void enlist(const struct mem_dir *d, struct mem_entry *e, u32 buckets)
{
    struct mem_entry **b = bucket(d, e->hash, buckets);
    e->next = *b;
    *b = e;
}

static void enlist_all(const struct mem_dir *d, struct mem_entry *e, u32 buckets)
{
    for (struct mem_entry *next; e; e = next) {
        next = e->next;
        enlist(d, e, buckets);
    }
}

// A bucket more: what belongs there comes out of the one that stood for both.
static bool split(struct memfs *fs, struct mem_dir *d)
{
    u32 n = d->count;
    if (!place_add(fs, &d->names, n))
        return false;
    if (!n)
        return true;
    void **from = place_at(&d->names, n ^ 1u << (31 - __builtin_clz(n)));
    struct mem_entry *all = *from;
    *from = NULL;
    enlist_all(d, all, n + 1);
    return true;
}

static void join(struct memfs *fs, struct mem_dir *d)
{
    u32 n = d->count;
    struct mem_entry *all = *place_at(&d->names, n);
    place_drop(fs, &d->names, n);
    if (n)
        enlist_all(d, all, n);
}

enum fs_error mem_dir_add(struct mem_node *dir, const char *name, u32 length, struct mem_node *node)
{
    struct mem_dir *d = &dir->dir;
    u64 serial = FIRST_SERIAL + d->serial;
    if (!dir->nlink) // removed while it was open
        return E_NOENT;
    struct mem_entry *e = d->count < MAX_NAMES ? mem_alloc(dir->fs, sizeof *e + length) : NULL;
    void **place = e ? place_add(dir->fs, &d->serials, serial) : NULL;
    if (!place || !split(dir->fs, d)) {
        if (place)
            place_drop(dir->fs, &d->serials, serial);
        mem_release(dir->fs, e, sizeof *e + length);
        return E_NOSPC;
    }
    *place = e;
    *e = (struct mem_entry){
        .node = node, .serial = serial, .length = length, .hash = hash_name(dir->fs, name, length)};
    memcpy(e->name, name, length);
    enlist(d, e, ++d->count);
    d->serial++;
    mem_touch(dir);
    return E_SUCCESS;
}

static void forget(struct memfs *fs, struct mem_dir *d, struct mem_entry *e)
{
    struct mem_entry **at = bucket(d, e->hash, d->count);
    while (*at != e)
        at = &(*at)->next;
    *at = e->next;
    d->count--;
    join(fs, d);
    place_drop(fs, &d->serials, e->serial);
    mem_release(fs, e, sizeof *e + e->length);
}

void mem_dir_remove(struct mem_node *dir, struct mem_entry *e)
{
    forget(dir->fs, &dir->dir, e);
    dir->fs->taken++;
    mem_touch(dir);
}

bool mem_dir_free(struct memfs *fs, struct mem_dir *d, u32 most)
{
    for (; d->count && most; most--)
        forget(fs, d, place_next(&d->serials, 0));
    return !d->count;
}

// "..", at the directory that the listing began at, is that directory: nothing above it is told.
enum fs_error memdir_readdir(struct vfs_file *f, u64 cookie, struct vfs_dirent *out)
{
    const struct mem_node *n = mem_file(f)->node;
    if (n->type != VFS_DIRECTORY)
        return E_NOTDIR;
    if (!n->nlink)
        return E_NOENT;
    if (cookie < FIRST_SERIAL) {
        out->length = (u32)cookie + 1;
        memcpy(out->name, "..", 3);
        out->name[out->length] = 0;
        out->next = cookie + 1;
        out->ino = n->ino;
        out->type = VFS_DIRECTORY;
        return E_SUCCESS;
    }
    const struct mem_entry *e = place_next(&n->dir.serials, cookie);
    if (!e)
        return E_NOENT;
    out->length = e->length;
    memcpy(out->name, e->name, e->length);
    out->name[e->length] = 0;
    out->next = e->serial + 1;
    out->ino = e->node->ino;
    out->type = e->node->type;
    return E_SUCCESS;
}
