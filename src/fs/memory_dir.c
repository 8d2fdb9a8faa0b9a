// SPDX-License-Identifier: MIT
// The names of a directory in memory: an array in the order in which they came, and a hash table
// over it that finds one by name. A removed name leaves its place in both until the array is full;
// then the array is squeezed or doubled, and the table made anew. So adding and finding cost the
// same in a directory of ten names and of a million, and a listing goes on from its cookie by
// binary search.
#include "base/heap.h"
#include "fs/memory_node.h"

enum {
    FIRST_SERIAL = 2, // cookies 0 and 1 are those of "." and ".."
    FIRST_CAPACITY = 8,
    MAX_NAMES = 1 << 28,
};

static u32 hash_name(const char *name, u32 length) // FNV-1a
{
    u32 h = 2166136261u;
    for (u32 i = 0; i < length; i++)
        h = (h ^ (u8)name[i]) * 16777619u;
    return h;
}

struct mem_entry *mem_dir_find(const struct mem_dir *d, const char *name, u32 length)
{
    u32 hash = hash_name(name, length), mask = d->capacity * 2 - 1;
    if (!d->capacity)
        return NULL;
    for (u32 i = hash & mask; d->index[i]; i = (i + 1) & mask) {
        struct mem_entry *e = &d->at[d->index[i] - 1];
        if (e->node && e->hash == hash && e->length == length && !memcmp(e->name, name, length))
            return e;
    }
    return NULL;
}

static void add_index(struct mem_dir *d, u32 place)
{
    u32 mask = d->capacity * 2 - 1, i = d->at[place].hash & mask;
    while (d->index[i])
        i = (i + 1) & mask;
    d->index[i] = place + 1;
}

static void release(struct memfs *fs, struct mem_dir *d)
{
    mem_release(fs, d->at, d->capacity * sizeof *d->at);
    mem_release(fs, d->index, 2ull * d->capacity * sizeof *d->index);
}

// Moves what is alive to arrays of another capacity.
static bool rebuild(struct memfs *fs, struct mem_dir *d, u32 capacity)
{
    struct mem_dir to = *d;
    to.capacity = capacity;
    to.count = 0;
    to.at = mem_alloc(fs, capacity * sizeof *to.at);
    to.index = mem_alloc(fs, 2ull * capacity * sizeof *to.index);
    if (!to.at || !to.index) {
        release(fs, &to);
        return false;
    }
    for (u32 i = 0; i < d->count; i++)
        if (d->at[i].node) {
            to.at[to.count] = d->at[i];
            add_index(&to, to.count++);
        }
    release(fs, d);
    *d = to;
    return true;
}

static bool make_room(struct memfs *fs, struct mem_dir *d)
{
    if (d->count < d->capacity)
        return true;
    if (d->live > MAX_NAMES)
        return false;
    u32 capacity = d->capacity ? d->capacity : FIRST_CAPACITY;
    while (d->live >= capacity / 4 * 3)
        capacity *= 2;
    return rebuild(fs, d, capacity);
}

enum fs_error mem_dir_add(struct mem_node *dir, const char *name, u32 length, struct mem_node *node)
{
    struct mem_dir *d = &dir->dir;
    if (!dir->nlink) // removed while it was open
        return E_NOENT;
    if (!make_room(dir->fs, d))
        return E_NOSPC;
    char *copy = mem_alloc(dir->fs, length);
    if (!copy)
        return E_NOSPC;
    memcpy(copy, name, length);
    d->at[d->count] = (struct mem_entry){
        .node = node,
        .name = copy,
        .serial = FIRST_SERIAL + d->serial++,
        .length = length,
        .hash = hash_name(name, length),
    };
    add_index(d, d->count++);
    d->live++;
    mem_touch(dir);
    return E_SUCCESS;
}

void mem_dir_remove(struct mem_node *dir, struct mem_entry *e)
{
    mem_release(dir->fs, e->name, e->length);
    e->name = NULL;
    e->node = NULL;
    dir->dir.live--;
    dir->fs->taken++;
    mem_touch(dir);
}

bool mem_dir_free(struct memfs *fs, struct mem_dir *d, u32 most)
{
    for (; d->count && most; most--) {
        struct mem_entry *e = &d->at[--d->count];
        mem_release(fs, e->name, e->length);
    }
    if (d->count)
        return false;
    release(fs, d);
    return true;
}

// The first entry that is alive and has that serial or a later one.
static const struct mem_entry *from_serial(const struct mem_dir *d, u64 serial)
{
    u32 low = 0, high = d->count;
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        if (d->at[middle].serial < serial)
            low = middle + 1;
        else
            high = middle;
    }
    while (low < d->count && !d->at[low].node)
        low++;
    return low < d->count ? &d->at[low] : NULL;
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
    const struct mem_entry *e = from_serial(&n->dir, cookie);
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
