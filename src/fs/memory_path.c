// SPDX-License-Identifier: MIT
// Paths of the memory file system, and what is done by them.
//
// A path is walked component by component; the target of a link is put in front of what is left of
// it, so that neither long paths nor chains of links take stack. ".." goes to a directory's parent,
// and is refused in the directory that the path started from: whatever the walk has entered since
// lies below it, so it cannot get out.
//
// A path may be long, and links make it longer, so the walk lets others have the lock in between.
// If one of them has taken a name away meanwhile, it begins anew: what it has come to may be
// elsewhere.
#include "base/lookup.h"
#include "fs/memory_node.h"

enum last {
    LAST_NAME,   // to create or remove: a link is not followed, slash behind it or not
    LAST_SELF,   // the thing itself, a link too (unless a slash follows)
    LAST_FOLLOW, // what a link leads to
};

struct where {
    struct mem_node *dir;  // that holds the last name
    struct mem_node *node; // that it leads to; NULL if there is none
    const char *name;      // the last name; NULL when the path ends in "." or ".."
    u32 length;
    bool slash; // at the end of the path

    struct mem_node *start;
    const char *rest;
    u32 links, cost;
    char buffer[2 * VFS_PATH]; // holds rest and name
};

static enum fs_error expand_link(struct where *w, const struct mem_node *link)
{
    size_t rest = strlen(w->rest);
    if (++w->links > VFS_LINKS)
        return E_LOOP;
    if (link->size == 0)
        return E_NOENT;
    if (link->target[0] == '/') // from an archive
        return E_PERM;
    if (link->size + rest >= sizeof w->buffer)
        return E_NAMETOOLONG;
    memmove(w->buffer + link->size, w->rest, rest + 1);
    memcpy(w->buffer, link->target, link->size);
    w->rest = w->buffer;
    w->cost += (u32)(link->size + rest) / 8;
    return E_SUCCESS;
}

// Cuts the next name off the rest; false at the end of the path.
static bool next_name(struct where *w)
{
    const char *p = w->rest;
    while (*p == '/')
        p++;
    w->name = p;
    while (*p && *p != '/')
        p++;
    w->length = (u32)(p - w->name);
    w->rest = p;
    return w->length > 0;
}

// Whether only slashes are left.
static bool at_last(struct where *w)
{
    const char *p = w->rest;
    while (*p == '/')
        p++;
    w->slash = *p == 0 && p > w->rest;
    return *p == 0;
}

static bool is_dots(const struct where *w)
{
    return w->name[0] == '.' && (w->length == 1 || (w->length == 2 && w->name[1] == '.'));
}

static enum fs_error step_dots(struct where *w)
{
    if (w->length == 2) {
        if (w->dir == w->start)
            return E_PERM;
        w->dir = w->dir->dir.parent;
    }
    return E_SUCCESS;
}

// Goes one name further; *done when it is the last one, and w describes it.
static enum fs_error step(struct where *w, enum last last, bool *done)
{
    if (w->length > VFS_NAME)
        return E_NAMETOOLONG;
    const struct mem_entry *e = mem_dir_find(w->dir, w->name, w->length);
    bool end = at_last(w);
    w->node = e ? e->node : NULL;
    if (!e) {
        *done = end;
        return end ? E_SUCCESS : E_NOENT;
    }
    bool keep = end && (last == LAST_NAME || (last == LAST_SELF && !w->slash));
    if (w->node->type == VFS_SYMBOLIC_LINK && !keep)
        return expand_link(w, w->node);
    if (w->node->type != VFS_DIRECTORY && (!end || (w->slash && last != LAST_NAME)))
        return E_NOTDIR;
    if (!end)
        w->dir = w->node;
    *done = end;
    return E_SUCCESS;
}

static void begin(struct where *w, const char *path)
{
    w->dir = w->start;
    w->links = 0;
    w->slash = false;
    memcpy(w->buffer, path, strlen(path) + 1);
    w->rest = w->buffer;
}

// E_INTR: the process is to end.
static enum fs_error let_others(struct where *w, const char *path)
{
    struct memfs *fs = w->start->fs;
    u64 was = fs->taken;
    spin_release(&fs->lock);
    bool ends = look_up();
    spin_acquire(&fs->lock);
    w->cost = 0;
    if (fs->taken != was)
        begin(w, path);
    return ends ? E_INTR : E_SUCCESS;
}

static enum fs_error find(struct vfs_file *f, const char *path, enum last last, struct where *w)
{
    enum { A_NAME = 16, AT_ONCE = 512 }; // bytes of names, and what a name costs beside them
    bool done = false;
    enum fs_error e = E_SUCCESS;
    w->start = mem_file(f)->node;
    w->cost = 0;
    if (w->start->type != VFS_DIRECTORY)
        return E_NOTDIR;
    begin(w, path);
    while (!e && !done) {
        if (unlikely(w->cost > AT_ONCE) && (e = let_others(w, path)))
            break;
        bool more = next_name(w);
        w->cost += w->length + A_NAME;
        if (!more) { // the path, or the last link, ended in dots
            w->name = NULL;
            w->node = w->dir;
            return E_SUCCESS;
        }
        e = is_dots(w) ? step_dots(w) : step(w, last, &done);
    }
    return e;
}

// Gives a node its first name; without one it goes.
static enum fs_error add_new(struct where *w, struct mem_node *n)
{
    enum fs_error e = mem_dir_add(w->dir, w->name, w->length, n);
    if (e) {
        mem_node_drop(n);
        return e;
    }
    n->nlink = 1;
    if (n->type == VFS_DIRECTORY) {
        n->nlink = 2;
        n->dir.parent = w->dir;
        w->dir->nlink++;
    }
    return E_SUCCESS;
}

// Whether a new name can be made there.
static enum fs_error check_new(const struct where *w, bool directory)
{
    if (w->node)
        return E_EXIST;
    return w->slash && !directory ? E_NOENT : E_SUCCESS;
}

// --- Opening.
static enum fs_error open_new(struct where *w, u32 how)
{
    if (!(how & VFS_CREATE))
        return E_NOENT;
    struct mem_node *n = mem_node_new(w->dir->fs, VFS_REGULAR_FILE);
    enum fs_error e = n ? add_new(w, n) : E_NOSPC;
    if (!e)
        w->node = n;
    return e;
}

static enum fs_error check_open(const struct mem_node *n, u32 how)
{
    if ((how & VFS_CREATE) && (how & VFS_EXCLUSIVE))
        return E_EXIST;
    if (n->type == VFS_SYMBOLIC_LINK)
        return how & VFS_DIR_ONLY ? E_NOTDIR : E_LOOP;
    if (n->type != VFS_DIRECTORY)
        return how & VFS_DIR_ONLY ? E_NOTDIR : E_SUCCESS;
    return how & (VFS_WRITE | VFS_CREATE | VFS_TRUNCATE) ? E_ISDIR : E_SUCCESS;
}

enum fs_error memdir_open(struct vfs_file *f, const char *path, u32 how, u32 flags,
                          struct vfs_file **out)
{
    struct where w;
    bool exclusive = (how & VFS_CREATE) && (how & VFS_EXCLUSIVE);
    bool directory = (how & VFS_CREATE) && path[strlen(path) - 1] == '/'; // which this cannot make
    enum fs_error e = directory ? find(f, path, LAST_NAME, &w) : E_SUCCESS;
    if (directory)
        return e ? e : E_ISDIR;
    e = find(f, path, how & VFS_FOLLOW && !exclusive ? LAST_FOLLOW : LAST_SELF, &w);
    if (e)
        return e;
    e = !w.node ? open_new(&w, how) : check_open(w.node, how);
    return e ? e : mem_open(w.node, flags, out);
}

// --- By path.
static enum fs_error find_node(struct vfs_file *f, const char *path, enum last last,
                               struct where *w)
{
    enum fs_error e = find(f, path, last, w);
    return e ? e : w->node ? E_SUCCESS : E_NOENT;
}

enum fs_error memdir_stat(struct vfs_file *f, const char *path, bool follow, struct vfs_stat *out)
{
    struct where w;
    enum fs_error e = find_node(f, path, follow ? LAST_FOLLOW : LAST_SELF, &w);
    if (!e)
        mem_stat(w.node, out);
    return e;
}

enum fs_error memdir_times(struct vfs_file *f, const char *path, bool follow,
                           const struct vfs_times *t)
{
    struct where w;
    enum fs_error e = find_node(f, path, follow ? LAST_FOLLOW : LAST_SELF, &w);
    if (!e)
        mem_set_times(w.node, t);
    return e;
}

enum fs_error memdir_mkdir(struct vfs_file *f, const char *path)
{
    struct where w;
    enum fs_error e = find(f, path, LAST_NAME, &w);
    if (!e)
        e = check_new(&w, true);
    if (e)
        return e;
    struct mem_node *n = mem_node_new(w.dir->fs, VFS_DIRECTORY);
    return n ? add_new(&w, n) : E_NOSPC;
}

enum fs_error memdir_symlink(struct vfs_file *f, const char *target, const char *path)
{
    struct where w;
    size_t length = strlen(target);
    enum fs_error e = find(f, path, LAST_NAME, &w);
    if (!e)
        e = check_new(&w, false);
    if (e)
        return e;
    struct mem_node *n = mem_node_new(w.dir->fs, VFS_SYMBOLIC_LINK);
    char *copy = n ? mem_alloc(n->fs, length) : NULL;
    if (!copy) {
        if (n)
            mem_node_drop(n);
        return E_NOSPC;
    }
    memcpy(copy, target, length);
    n->target = copy;
    n->size = length;
    return add_new(&w, n);
}

enum fs_error memdir_readlink(struct vfs_file *f, const char *path, char *buffer, u32 size,
                              u32 *length)
{
    struct where w;
    enum fs_error e = find_node(f, path, LAST_SELF, &w);
    if (e)
        return e;
    if (w.node->type != VFS_SYMBOLIC_LINK)
        return E_INVAL;
    *length = w.node->size < size ? (u32)w.node->size : size;
    memcpy(buffer, w.node->target, *length);
    return E_SUCCESS;
}

// Takes a name away from its node, which goes with its last one.
static void remove_name(struct mem_node *dir, struct mem_entry *e)
{
    struct mem_node *n = e->node;
    mem_dir_remove(dir, e);
    n->ctime = dir->ctime;
    n->nlink--;
    if (n->type == VFS_DIRECTORY) {
        n->nlink = 0;
        dir->nlink--;
    }
    mem_node_drop(n);
}

enum fs_error memdir_rmdir(struct vfs_file *f, const char *path)
{
    struct where w;
    enum fs_error e = find_node(f, path, LAST_NAME, &w);
    if (e)
        return e;
    if (!w.name)
        return E_INVAL;
    if (w.node->type != VFS_DIRECTORY)
        return E_NOTDIR;
    if (w.node->dir.count)
        return E_NOTEMPTY;
    remove_name(w.dir, mem_dir_find(w.dir, w.name, w.length));
    return E_SUCCESS;
}

enum fs_error memdir_unlink(struct vfs_file *f, const char *path)
{
    struct where w;
    enum fs_error e = find_node(f, path, LAST_NAME, &w);
    if (e)
        return e;
    if (w.node->type == VFS_DIRECTORY)
        return E_ISDIR;
    if (w.slash)
        return E_NOTDIR;
    remove_name(w.dir, mem_dir_find(w.dir, w.name, w.length));
    return E_SUCCESS;
}

// --- Two paths.
static enum fs_error find_two(struct vfs_file *f, const char *path, struct vfs_file *to_dir,
                              const char *to, struct where *a, struct where *b)
{
    const struct memfs *fs = mem_file(f)->node->fs;
    enum fs_error e;
    u64 was;
    do { // until the first is still there when the second is found
        was = fs->taken;
        e = find_node(f, path, LAST_NAME, a);
        if (!e)
            e = find(to_dir, to, LAST_NAME, b);
    } while (!e && fs->taken != was);
    return e ? e : a->dir->fs != b->dir->fs ? E_XDEV : E_SUCCESS;
}

enum fs_error memdir_link(struct vfs_file *f, const char *path, struct vfs_file *to_dir,
                          const char *to)
{
    struct where a, b;
    enum fs_error e = find_two(f, path, to_dir, to, &a, &b);
    if (e)
        return e;
    if (a.node->type == VFS_DIRECTORY)
        return E_PERM;
    if (a.slash)
        return E_NOTDIR;
    e = check_new(&b, false);
    if (!e)
        e = mem_dir_add(b.dir, b.name, b.length, a.node);
    if (e)
        return e;
    a.node->nlink++;
    a.node->ctime = b.dir->ctime;
    return E_SUCCESS;
}

// A tree may be of any depth, made by names relative to open directories; here it is looked at up
// to some.
static enum fs_error check_below(const struct mem_node *n, const struct mem_node *ancestor)
{
    enum { DEEPEST = 1000 };
    for (u32 i = 0; n != ancestor && n != n->dir.parent; i++) {
        if (i == DEEPEST)
            return E_NAMETOOLONG;
        n = n->dir.parent;
    }
    return n == ancestor ? E_INVAL : E_SUCCESS;
}

static enum fs_error check_rename(const struct where *a, const struct where *b)
{
    bool directory = a->node->type == VFS_DIRECTORY;
    if (!a->name || !b->name)
        return E_BUSY;
    if (!b->dir->nlink) // removed while it was open
        return E_NOENT;
    if (!directory && (a->slash || b->slash))
        return E_NOTDIR;
    enum fs_error below = directory ? check_below(b->dir, a->node) : E_SUCCESS;
    if (below)
        return below;
    if (!b->node || b->node == a->node)
        return E_SUCCESS;
    if (b->node->type != VFS_DIRECTORY)
        return directory ? E_NOTDIR : E_SUCCESS;
    return !directory ? E_ISDIR : b->node->dir.count ? E_NOTEMPTY : E_SUCCESS;
}

// The name that is taken over gets the other node at once: at no time is there neither.
static enum fs_error put_name(struct where *b, struct mem_node *n)
{
    if (!b->node)
        return mem_dir_add(b->dir, b->name, b->length, n);
    struct mem_entry *e = mem_dir_find(b->dir, b->name, b->length);
    e->node = n;
    b->dir->fs->taken++;
    if (b->node->type == VFS_DIRECTORY) {
        b->node->nlink = 0;
        b->dir->nlink--;
    } else {
        b->node->nlink--;
    }
    mem_node_drop(b->node);
    mem_touch(b->dir);
    return E_SUCCESS;
}

enum fs_error memdir_rename(struct vfs_file *f, const char *path, struct vfs_file *to_dir,
                            const char *to)
{
    struct where a, b;
    enum fs_error e = find_two(f, path, to_dir, to, &a, &b);
    if (!e)
        e = check_rename(&a, &b);
    if (e || a.node == b.node)
        return e;
    e = put_name(&b, a.node);
    if (e)
        return e;
    mem_dir_remove(a.dir, mem_dir_find(a.dir, a.name, a.length));
    if (a.node->type == VFS_DIRECTORY) {
        a.node->dir.parent = b.dir;
        a.dir->nlink--;
        b.dir->nlink++;
    }
    a.node->ctime = b.dir->ctime;
    return E_SUCCESS;
}
