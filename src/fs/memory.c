// SPDX-License-Identifier: MIT
// The file system in memory: the life of nodes, and the data of files.
//
// A node is a file, a directory or a symbolic link. It lives as long as it has a name or an open
// file; the file system lives as long as it has an open file, and then frees all nodes in one loop
// over a list, whatever the tree looks like. Data lies in blocks of 4 KiB, by number;
// a block that was never written is a hole and takes nothing. Every byte that is taken, pointers
// and names included, counts against the limit.
//
// Nothing here waits or recurses. What fails has changed nothing, but that a write may have moved a
// part. Each operation takes the file system's lock for as long as it lasts; those that move data
// or take space let others in between after 8 KiB.
#include "fs/memory.h"

#include "base/heap.h"
#include "base/lookup.h"
#include "fs/memory_node.h"
#include "plat/plat.h"

#define BLOCK 4096ull
#define MAX_SIZE (1ull << 40)
#define AT_ONCE (8ull << 10) // bytes of data under the lock
enum { IOVS_AT_ONCE = 32 };

static struct memfs *lock(struct vfs_file *f)
{
    struct memfs *fs = mem_file(f)->node->fs;
    spin_acquire(&fs->lock);
    return fs;
}

static void bury_some(struct memfs *fs);

// Whoever is here buries the dead.
static enum fs_error unlock(struct memfs *fs, enum fs_error e)
{
    while (unlikely(fs->dead != NULL)) {
        bury_some(fs);
        spin_release(&fs->lock);
        look_up();
        spin_acquire(&fs->lock);
    }
    spin_release(&fs->lock);
    return e;
}

void *mem_alloc(struct memfs *fs, u64 size)
{
    void *p = size <= fs->limit - fs->used ? heap_zalloc(size) : NULL;
    if (p)
        fs->used += size;
    return p;
}

void mem_release(struct memfs *fs, void *p, u64 size)
{
    if (p)
        fs->used -= size;
    heap_free(p);
}

// --- Nodes.
struct mem_node *mem_node_new(struct memfs *fs, enum vfs_type type)
{
    struct mem_node *n = mem_alloc(fs, sizeof *n);
    if (!n)
        return NULL;
    n->fs = fs;
    n->type = type;
    n->ino = fs->next_ino++;
    n->atime = n->mtime = n->ctime = plat_wall_clock();
    n->next = fs->all;
    if (fs->all)
        fs->all->prev = n;
    fs->all = n;
    return n;
}

enum { FREED_AT_ONCE = 32 }; // blocks or names, under the lock

// Frees blocks from the last one down to `keep`, but not many: are there more? *top: what is still
// there ends at this one.
static bool drop_blocks(struct mem_node *n, u64 keep, u64 *top)
{
    u8 *block;
    for (u32 most = FREED_AT_ONCE; (block = place_last(&n->blocks.at, top)) && *top >= keep;
         most--) {
        if (!most)
            return ++*top, true;
        mem_release(n->fs, block, BLOCK);
        place_drop(n->fs, &n->blocks.at, *top);
    }
    return false;
}

static bool free_blocks(struct mem_node *n)
{
    u64 top;
    return !drop_blocks(n, 0, &top);
}

static bool free_some(struct mem_node *n)
{
    if (n->type == VFS_DIRECTORY)
        return mem_dir_free(n->fs, &n->dir, FREED_AT_ONCE);
    if (n->type == VFS_REGULAR_FILE)
        return free_blocks(n);
    mem_release(n->fs, n->target, n->size);
    return true;
}

static void bury_some(struct memfs *fs)
{
    struct mem_node *n = fs->dead;
    if (!free_some(n))
        return;
    fs->dead = n->next;
    mem_release(fs, n, sizeof *n);
}

static void put_to_dead(struct mem_node *n)
{
    n->next = n->fs->dead;
    n->fs->dead = n;
}

void mem_node_drop(struct mem_node *n)
{
    struct memfs *fs = n->fs;
    if (n->nlink || n->refs)
        return;
    if (n->prev)
        n->prev->next = n->next;
    else
        fs->all = n->next;
    if (n->next)
        n->next->prev = n->prev;
    put_to_dead(n);
}

void mem_touch(struct mem_node *n)
{
    n->mtime = n->ctime = plat_wall_clock();
}

void mem_stat(const struct mem_node *n, struct vfs_stat *out)
{
    *out = (struct vfs_stat){
        .dev = n->fs->dev,
        .ino = n->ino,
        .nlink = n->nlink,
        .size = n->size,
        .atime = n->atime,
        .mtime = n->mtime,
        .ctime = n->ctime,
        .type = n->type,
    };
}

void mem_set_times(struct mem_node *n, const struct vfs_times *t)
{
    u64 now = plat_wall_clock();
    if (t->access != VFS_TIME_KEEP)
        n->atime = t->access == VFS_TIME_NOW ? now : t->atime;
    if (t->modify != VFS_TIME_KEEP)
        n->mtime = t->modify == VFS_TIME_NOW ? now : t->mtime;
    n->ctime = now;
}

// --- Files that are open.
enum fs_error mem_open(struct mem_node *n, u32 flags, struct vfs_file **out)
{
    struct mem_file *m = heap_zalloc(sizeof *m);
    if (!m)
        return E_NOMEM;
    m->f = (struct vfs_file){.ops = &memfs_ops, .refs = 1, .type = n->type, .flags = flags};
    m->node = n;
    n->refs++;
    n->fs->handles++;
    *out = &m->f;
    return E_SUCCESS;
}

static void end_of_fs(struct memfs *fs)
{
    for (struct mem_node *n; (n = fs->all);) {
        fs->all = n->next;
        put_to_dead(n);
        while (fs->dead) {
            bury_some(fs);
            look_up();
        }
    }
    heap_free(fs);
}

static void mem_close(struct vfs_file *f)
{
    struct mem_node *n = mem_file(f)->node;
    struct memfs *fs = lock(f);
    n->refs--;
    mem_node_drop(n);
    unlock(fs, E_SUCCESS);
    heap_free(mem_file(f));
    spin_acquire(&fs->lock);
    bool last = --fs->handles == 0;
    spin_release(&fs->lock);
    if (last)
        end_of_fs(fs);
}

struct vfs_file *memfs_create(u64 limit, u64 dev)
{
    struct vfs_file *root;
    struct memfs *fs = heap_zalloc(sizeof *fs);
    if (!fs)
        return NULL;
    *fs = (struct memfs){.limit = limit, .dev = dev, .next_ino = 1, .key = plat_hash_key()};
    struct mem_node *n = mem_node_new(fs, VFS_DIRECTORY);
    if (n) {
        n->nlink = 2;
        n->dir.parent = n;
    }
    if (!n || mem_open(n, 0, &root) != E_SUCCESS) {
        end_of_fs(fs);
        return NULL;
    }
    return root;
}

// --- Data.

// What a hole reads as.
static void copy_backing(const struct mem_node *n, u64 offset, u8 *p, u64 size)
{
    u64 left = offset < n->blocks.backing_size ? n->blocks.backing_size - offset : 0;
    u64 part = size < left ? size : left;
    if (part)
        memcpy(p, n->blocks.backing + offset, part);
    memset(p + part, 0, size - part);
}

static void copy_out(const struct mem_node *n, u64 offset, u8 *p, u64 size)
{
    while (size) {
        u64 i = offset / BLOCK, at = offset % BLOCK;
        u64 part = BLOCK - at < size ? BLOCK - at : size;
        void **place = place_at(&n->blocks.at, i);
        const u8 *block = place ? *place : NULL;
        if (block)
            memcpy(p, block + at, part);
        else
            copy_backing(n, offset, p, part);
        offset += part, p += part, size -= part;
    }
}

// Makes block i there to be written.
static u8 *block_at(struct mem_node *n, u64 i)
{
    void **place = place_at(&n->blocks.at, i);
    if (place)
        return *place;
    u8 *block = mem_alloc(n->fs, BLOCK);
    if (!block)
        return NULL;
    if (!(place = place_add(n->fs, &n->blocks.at, i))) {
        mem_release(n->fs, block, BLOCK);
        return NULL;
    }
    copy_backing(n, i * BLOCK, block, BLOCK);
    return *place = block;
}

// How much of it was written; less when memory is out.
static u64 copy_in(struct mem_node *n, u64 offset, const u8 *p, u64 size)
{
    u64 done = 0;
    while (done < size) {
        u64 at = offset % BLOCK, part = BLOCK - at < size - done ? BLOCK - at : size - done;
        u8 *block = block_at(n, offset / BLOCK);
        if (!block)
            break;
        memcpy(block + at, p + done, part);
        offset += part, done += part;
        if (offset > n->size)
            n->size = offset;
    }
    return done;
}

void memfs_back(struct vfs_file *f, const u8 *bytes, u64 size)
{
    struct mem_node *n = mem_file(f)->node;
    struct memfs *fs = lock(f);
    n->blocks.backing = bytes;
    n->size = n->blocks.backing_size = size;
    unlock(fs, E_SUCCESS);
}

// How far a read or write has come.
struct progress {
    const struct vfs_iov *v, *end;
    size_t moved; // of *v
    u64 *at;      // the file's position, or the caller's
    u64 done;
};

static u64 next_size(const struct progress *p, u64 room)
{
    u64 left = p->v->n - p->moved;
    return left < room ? left : room;
}

static void advance(struct progress *p, u64 size)
{
    p->moved += size;
    p->done += size;
    *p->at += size;
    if (p->moved == p->v->n)
        p->v++, p->moved = 0;
}

// Each moves what may be moved under the lock at once.
static void read_some(const struct mem_node *n, struct progress *p)
{
    const struct vfs_iov *most = p->v + IOVS_AT_ONCE;
    for (u64 room = AT_ONCE, size, left; room && p->v < p->end && p->v < most; room -= size) {
        left = *p->at < n->size ? n->size - *p->at : 0;
        size = next_size(p, room < left ? room : left);
        copy_out(n, *p->at, p->v->p + p->moved, size);
        advance(p, size);
        if (size == left)
            p->end = p->v; // of the file
    }
}

static enum fs_error write_some(struct mem_node *n, struct progress *p)
{
    const struct vfs_iov *most = p->v + IOVS_AT_ONCE;
    for (u64 room = AT_ONCE, size, put; room && p->v < p->end && p->v < most; room -= put) {
        size = next_size(p, room);
        if (*p->at > MAX_SIZE || size > MAX_SIZE - *p->at)
            return E_FBIG;
        put = copy_in(n, *p->at, p->v->p + p->moved, size);
        if (put)
            mem_touch(n);
        advance(p, put);
        if (put < size)
            return E_NOSPC;
    }
    return E_SUCCESS;
}

static enum fs_error mem_read(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                              u64 *done)
{
    struct mem_file *m = mem_file(f);
    struct progress p = {v, v + n, 0, offset == VFS_HERE ? &m->position : &offset, 0};
    *done = 0;
    if (m->node->type == VFS_DIRECTORY)
        return E_ISDIR;
    while (p.v < p.end) {
        struct memfs *fs = lock(f);
        read_some(m->node, &p);
        unlock(fs, E_SUCCESS);
        if (look_up())
            return E_INTR;
    }
    *done = p.done;
    return E_SUCCESS;
}

static enum fs_error mem_write(struct vfs_file *f, const struct vfs_iov *v, u32 n, u64 offset,
                               u64 *done)
{
    struct mem_file *m = mem_file(f);
    struct progress p = {v, v + n, 0, offset == VFS_HERE ? &m->position : &offset, 0};
    enum fs_error e = E_SUCCESS;
    *done = 0;
    if (m->node->type == VFS_DIRECTORY)
        return E_ISDIR;
    while (!e && p.v < p.end) {
        struct memfs *fs = lock(f);
        if (f->flags & VFS_APPEND)
            *p.at = m->node->size;
        e = unlock(fs, write_some(m->node, &p));
        if (look_up())
            return E_INTR;
    }
    *done = p.done;
    return p.done ? E_SUCCESS : e;
}

static enum fs_error mem_seek(struct vfs_file *f, s64 offset, enum vfs_whence whence, u64 *position)
{
    struct mem_file *m = mem_file(f);
    s64 from = 0, to;
    if (m->node->type == VFS_DIRECTORY)
        return E_ISDIR;
    struct memfs *fs = lock(f);
    switch (whence) {
    case VFS_SEEK_SET: break;
    case VFS_SEEK_CUR: from = (s64)m->position; break;
    case VFS_SEEK_END: from = (s64)m->node->size; break;
    }
    if (__builtin_add_overflow(from, offset, &to))
        return unlock(fs, E_OVERFLOW);
    if (to < 0)
        return unlock(fs, E_INVAL);
    *position = m->position = (u64)to;
    return unlock(fs, E_SUCCESS);
}

static enum fs_error mem_fstat(struct vfs_file *f, struct vfs_stat *out)
{
    struct memfs *fs = lock(f);
    mem_stat(mem_file(f)->node, out);
    return unlock(fs, E_SUCCESS);
}

// What lies behind the new end is given back, and reads as zero should the file grow again. That is
// done from the end, so the file becomes shorter a little at a time. False: there is more.
static bool cut(struct mem_node *n, u64 size)
{
    u64 keep = (size + BLOCK - 1) / BLOCK, top;
    if (drop_blocks(n, keep, &top)) {
        if (top * BLOCK < n->size)
            n->size = top * BLOCK;
        return false;
    }
    if (n->blocks.backing_size > size)
        n->blocks.backing_size = size;
    void **last = size % BLOCK ? place_at(&n->blocks.at, keep - 1) : NULL;
    if (last)
        memset((u8 *)*last + size % BLOCK, 0, BLOCK - size % BLOCK);
    return true;
}

static enum fs_error mem_set_size(struct vfs_file *f, u64 size)
{
    struct mem_node *n = mem_file(f)->node;
    if (n->type == VFS_DIRECTORY)
        return E_ISDIR;
    if (size > MAX_SIZE)
        return E_FBIG;
    struct memfs *fs = lock(f);
    while (size < n->size && !cut(n, size)) {
        spin_release(&fs->lock);
        u32 ends = look_up();
        spin_acquire(&fs->lock);
        if (ends)
            return unlock(fs, E_INTR);
    }
    n->size = size;
    mem_touch(n);
    return unlock(fs, E_SUCCESS);
}

static enum fs_error mem_times(struct vfs_file *f, const struct vfs_times *t)
{
    struct memfs *fs = lock(f);
    mem_set_times(mem_file(f)->node, t);
    return unlock(fs, E_SUCCESS);
}

static enum fs_error mem_set_flags(struct vfs_file *f, u32 flags)
{
    f->flags = flags;
    return E_SUCCESS;
}

// The blocks of a part, and the new end with it.
static enum fs_error allocate_some(struct mem_node *n, u64 offset, u64 end)
{
    for (u64 i = offset / BLOCK; i <= (end - 1) / BLOCK; i++)
        if (!block_at(n, i))
            return E_NOSPC;
    if (end > n->size)
        n->size = end;
    mem_touch(n);
    return E_SUCCESS;
}

// Takes the blocks, so that later writes there cannot run out of space.
static enum fs_error mem_allocate(struct vfs_file *f, u64 offset, u64 length)
{
    struct mem_node *n = mem_file(f)->node;
    u64 end;
    if (n->type == VFS_DIRECTORY)
        return E_ISDIR;
    if (length == 0)
        return E_INVAL;
    if (__builtin_add_overflow(offset, length, &end) || end > MAX_SIZE)
        return E_FBIG;
    struct memfs *fs = lock(f);
    enum fs_error e = unlock(fs, length > fs->limit - fs->used ? E_NOSPC : E_SUCCESS);
    for (u64 to; !e && offset < end; offset = to) {
        to = end - offset < AT_ONCE ? end : offset + AT_ONCE;
        lock(f);
        e = unlock(fs, allocate_some(n, offset, to));
        if (look_up())
            return E_INTR;
    }
    return e;
}

static enum fs_error mem_advise(struct vfs_file *f, u64 offset, u64 length, u32 advice)
{
    (void)f;
    return advice > 5 || offset > INT64_MAX || length > INT64_MAX ? E_INVAL : E_SUCCESS;
}

static void mem_ready(struct vfs_poll *p)
{
    const struct mem_file *m = mem_file(p->file);
    struct memfs *fs = lock(p->file);
    if (!p->write && m->position < m->node->size)
        p->bytes = m->node->size - m->position;
    unlock(fs, E_SUCCESS);
}

// --- By path, under the lock; memory_dir.c and memory_path.c do it.
#define PATH_CALL(name, params, ...)                                                               \
    static enum fs_error locked_##name params                                                      \
    {                                                                                              \
        struct memfs *fs = lock(d);                                                                \
        return unlock(fs, memdir_##name(__VA_ARGS__));                                             \
    }
PATH_CALL(readdir, (struct vfs_file * d, u64 cookie, struct vfs_dirent *out), d, cookie, out)
PATH_CALL(open, (struct vfs_file * d, const char *path, u32 how, u32 flags, struct vfs_file **out),
          d, path, how, flags, out)
PATH_CALL(stat, (struct vfs_file * d, const char *path, bool follow, struct vfs_stat *out), d, path,
          follow, out)
PATH_CALL(times, (struct vfs_file * d, const char *path, bool follow, const struct vfs_times *t), d,
          path, follow, t)
PATH_CALL(mkdir, (struct vfs_file * d, const char *path), d, path)
PATH_CALL(rmdir, (struct vfs_file * d, const char *path), d, path)
PATH_CALL(unlink, (struct vfs_file * d, const char *path), d, path)
PATH_CALL(symlink, (struct vfs_file * d, const char *target, const char *path), d, target, path)
PATH_CALL(readlink, (struct vfs_file * d, const char *path, char *buffer, u32 size, u32 *length), d,
          path, buffer, size, length)

static enum fs_error mem_open_path(struct vfs_file *d, const char *path, u32 how, u32 flags,
                                   struct vfs_file **out)
{
    enum fs_error e = locked_open(d, path, how, flags, out);
    return e || !(how & VFS_TRUNCATE) ? e : mem_set_size(*out, 0);
}

// Two trees have two locks, and there is nothing to be done between them.
static bool other_tree(struct vfs_file *a, struct vfs_file *b)
{
    return mem_file(a)->node->fs != mem_file(b)->node->fs;
}

static enum fs_error mem_rename(struct vfs_file *d, const char *path, struct vfs_file *to_dir,
                                const char *to)
{
    if (other_tree(d, to_dir))
        return E_XDEV;
    struct memfs *fs = lock(d);
    return unlock(fs, memdir_rename(d, path, to_dir, to));
}

static enum fs_error mem_link(struct vfs_file *d, const char *path, struct vfs_file *to_dir,
                              const char *to)
{
    if (other_tree(d, to_dir))
        return E_XDEV;
    struct memfs *fs = lock(d);
    return unlock(fs, memdir_link(d, path, to_dir, to));
}

const struct vfs_ops memfs_ops = {
    .close = mem_close,
    .read = mem_read,
    .write = mem_write,
    .seek = mem_seek,
    .stat = mem_fstat,
    .set_size = mem_set_size,
    .set_times = mem_times,
    .set_flags = mem_set_flags,
    .allocate = mem_allocate,
    .advise = mem_advise,
    .ready = mem_ready,
    .readdir = locked_readdir,
    .open = mem_open_path,
    .path_stat = locked_stat,
    .path_times = locked_times,
    .mkdir = locked_mkdir,
    .rmdir = locked_rmdir,
    .unlink = locked_unlink,
    .rename = mem_rename,
    .link = mem_link,
    .symlink = locked_symlink,
    .readlink = locked_readlink,
};
