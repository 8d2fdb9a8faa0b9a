// SPDX-License-Identifier: MIT
// What the parts of the memory file system share: memory.c (life of nodes, data of files),
// memory_dir.c (names in a directory), memory_path.c (paths and what is done by them). All of it is
// called with the file system's lock held, by memory.c.
#pragma once
#include "base/lock.h"
#include "fs/memory.h"

struct mem_node;

struct memfs {
    spinlock lock;         // guards the whole: what is below, the nodes, positions of files
    struct mem_node *all;  // every node, so that the end needs no walk of the tree
    struct mem_node *dead; // those that nothing refers to any more, but for their content
    u64 used, limit;       // bytes
    u64 next_ino;
    u64 key;   // of the hash of names
    u64 taken; // names away from their nodes, so far
    u64 dev;
    u32 handles; // open files; the file system ends with the last
};

// A name in a directory. Its serial is the cookie of readdir, and stays valid while other names
// come and go.
struct mem_entry {
    struct mem_node *node;
    struct mem_entry *next; // in its bucket
    u64 serial;
    u32 length, hash;
    char name[];
};

// Pointers by number, each in its place; memory_places.c.
struct places {
    struct place_node *root;
    u32 height;
};
void **place_at(const struct places *a, u64 i); // NULL: it is not there
// Makes place i, which is not there yet, with NULL in it. NULL: no room.
void **place_add(struct memfs *fs, struct places *a, u64 i);
// Takes place i away, and the nodes in which nothing is left. A node that is not there, on the way,
// is as if it were empty.
void place_drop(struct memfs *fs, struct places *a, u64 i);
// What is in the first place from i on, and in the last one, whose number is *i; NULL: there is
// none.
void *place_next(const struct places *a, u64 i);
void *place_last(const struct places *a, u64 *i);

struct mem_dir {
    struct mem_node *parent; // the root's is the root itself
    struct places serials, names;
    u32 count; // names, and buckets
    u64 serial;
};

struct mem_node {
    struct memfs *fs;
    struct mem_node *prev, *next;
    enum vfs_type type;
    u32 refs;  // open files
    u64 nlink; // names; the node goes when it has neither
    u64 ino, size;
    u64 atime, mtime, ctime;
    union {
        struct {
            struct places at;  // those that are there; what is not is a hole, and reads as
            const u8 *backing; // this below backing_size, and as zero behind
            u64 backing_size;
        } blocks;
        struct mem_dir dir;
        char *target; // of size bytes
    };
};

struct mem_file {
    struct vfs_file f;
    struct mem_node *node;
    u64 position;
};

static inline struct mem_file *mem_file(struct vfs_file *f)
{
    return container_of(f, struct mem_file, f);
}

extern const struct vfs_ops memfs_ops;

// Heap within the file system's limit: zeroed, NULL beyond it. `size` is told again to give it
// back.
void *mem_alloc(struct memfs *fs, u64 size);
void mem_release(struct memfs *fs, void *p, u64 size);

struct mem_node *mem_node_new(struct memfs *fs, enum vfs_type type); // without names or references
void mem_node_drop(struct mem_node *n); // it goes if nothing refers to it any more
void mem_touch(struct mem_node *n);     // data changed now
void mem_stat(const struct mem_node *n, struct vfs_stat *out);
void mem_set_times(struct mem_node *n, const struct vfs_times *t);
enum fs_error mem_open(struct mem_node *n, u32 flags, struct vfs_file **out);

// Directories. Names are not NUL-terminated.
struct mem_entry *mem_dir_find(const struct mem_node *dir, const char *name, u32 length);
enum fs_error mem_dir_add(struct mem_node *dir, const char *name, u32 length,
                          struct mem_node *node);
void mem_dir_remove(struct mem_node *dir, struct mem_entry *e);
bool mem_dir_free(struct memfs *fs, struct mem_dir *d, u32 most); // false: there is more
enum fs_error memdir_readdir(struct vfs_file *f, u64 cookie, struct vfs_dirent *out);

// The operations by path; memory_path.c.
enum fs_error memdir_open(struct vfs_file *f, const char *path, u32 how, u32 flags,
                          struct vfs_file **out);
enum fs_error memdir_stat(struct vfs_file *f, const char *path, bool follow, struct vfs_stat *out);
enum fs_error memdir_times(struct vfs_file *f, const char *path, bool follow,
                           const struct vfs_times *t);
enum fs_error memdir_mkdir(struct vfs_file *f, const char *path);
enum fs_error memdir_rmdir(struct vfs_file *f, const char *path);
enum fs_error memdir_unlink(struct vfs_file *f, const char *path);
enum fs_error memdir_rename(struct vfs_file *f, const char *path, struct vfs_file *to_dir,
                            const char *to);
enum fs_error memdir_link(struct vfs_file *f, const char *path, struct vfs_file *to_dir,
                          const char *to);
enum fs_error memdir_symlink(struct vfs_file *f, const char *target, const char *path);
enum fs_error memdir_readlink(struct vfs_file *f, const char *path, char *buffer, u32 size,
                              u32 *length);
