// SPDX-License-Identifier: MIT
// See volume.h.
//
// littlefs knows files by their paths; a leaf is one that a client has, with the directories that
// lead to it, so that it stays what it is when it is renamed. All who have a file share its one
// handle. Of a file that is removed while somebody has it, the handle goes on: it is marked as not
// yet written, so that its blocks stay its own, and with no place to write that to.
//
// A barrier stands between data and the entry that makes them the file: they are flushed first.
//
// After an error of the disk nobody knows what littlefs has done of what it wanted: it is mounted
// anew, and what was open then stays an error (EIO), for those who had it.
#include "volume.h"

#include <stdlib.h>
#include <string.h>

#include "littlefs.h"

enum { SECTOR = 512, LOOKAHEAD_MOST = 32768, PATH_ROOM = 4096, BUCKETS = 1024, CHUNK = 4096 };
enum { ATTRIBUTE = 'n', USUAL_FILE = 0644, USUAL_DIRECTORY = 0755 };

struct record { // the attribute
    uint32_t mode, version;
    uint64_t times[3];
};

struct handle {
    lfs2_file_t file;
    struct lfs2_file_config config;
    struct lfs2_attr attribute;
    struct record record;
    uint32_t mount; // that it belongs to
    uint8_t buffer[DISK_BLOCK];
};

struct leaf {
    struct node node;
    struct leaf *up;   // held; NULL: the root, or it has no name any more
    struct leaf *next; // in its bucket
    struct handle *handle;
    bool changed; // the attribute is another than on the disk
    bool lost;    // what it was is gone, with the disk
    uint32_t length;
    char name[NINEP_NAME_MAX];
};

struct volume {
    struct store store;
    lfs2_t lfs;
    struct lfs2_config config;
    struct disk *disk;
    uint64_t reads_left; // for what is asked now
    bool unwritten;      // something was, and not flushed
    bool failed;         // to be mounted anew
    bool mounted;
    uint32_t mount; // which one it is
    struct leaf *buckets[BUCKETS];
    char path[PATH_ROOM], other[PATH_ROOM];
};

static const struct store_ops ops;

static struct volume *volume_of(struct store *s)
{
    return (struct volume *)s;
}

static struct leaf *leaf_of(struct node *n)
{
    return (struct leaf *)n;
}

// --- The disk, for littlefs

static int bd_read(const struct lfs2_config *c, lfs2_block_t block, lfs2_off_t at, void *bytes,
                   lfs2_size_t size)
{
    struct volume *v = c->context;
    if (block >= v->disk->blocks || !v->reads_left)
        return LFS2_ERR_CORRUPT; // nothing honest needs so many
    v->reads_left--;
    return v->disk->read(v->disk, block, at, bytes, size) ? 0 : LFS2_ERR_IO;
}

static int bd_write(const struct lfs2_config *c, lfs2_block_t block, lfs2_off_t at,
                    const void *bytes, lfs2_size_t size)
{
    struct volume *v = c->context;
    if (block >= v->disk->blocks || v->disk->read_only)
        return LFS2_ERR_IO;
    v->unwritten = true;
    return v->disk->write(v->disk, block, at, bytes, size) ? 0 : LFS2_ERR_IO;
}

static int bd_erase(const struct lfs2_config *c, lfs2_block_t block)
{
    (void)c, (void)block;
    return 0;
}

static int bd_flush(const struct lfs2_config *c)
{
    struct volume *v = c->context;
    if (!v->unwritten)
        return 0;
    v->unwritten = false;
    return v->disk->flush(v->disk) ? 0 : LFS2_ERR_IO;
}

static int error_of(struct volume *v, int e)
{
    if (e >= 0)
        return 0;
    if (e == LFS2_ERR_CORRUPT || e == LFS2_ERR_IO) {
        v->failed = true;
        return IO;
    }
    return e == LFS2_ERR_NOATTR ? IO : -e;
}

static void configure(struct volume *v, struct disk *d)
{
    uint64_t bytes = (d->blocks + 63) / 64 * 8;
    v->disk = d;
    v->config = (struct lfs2_config){
        .context = v,
        .read = bd_read,
        .prog = bd_write,
        .erase = bd_erase,
        .sync = bd_flush,
        .read_size = SECTOR,
        .prog_size = SECTOR,
        .block_size = DISK_BLOCK,
        .block_cycles = -1,
        .cache_size = DISK_BLOCK,
        .lookahead_size = bytes < LOOKAHEAD_MOST ? (uint32_t)bytes : LOOKAHEAD_MOST,
    };
    v->reads_left = 4 * d->blocks + 65536;
}

// --- Names

// The path of a leaf, or of a name in it.
static int path_in(const struct leaf *l, struct name name, char path[PATH_ROOM])
{
    uint32_t at = PATH_ROOM - 1;
    path[at] = 0;
    if (name.length) {
        at -= name.length;
        memcpy(path + at, name.text, name.length);
    }
    for (; l->up; l = l->up) {
        if (at < PATH_ROOM - 1)
            path[--at] = '/';
        if (at < l->length + 2)
            return NAMETOOLONG;
        at -= l->length;
        memcpy(path + at, l->name, l->length);
    }
    if (!at)
        return NAMETOOLONG;
    path[--at] = '/';
    memmove(path, path + at, PATH_ROOM - at);
    return 0;
}

// FNV-1a. It is a number for who compares files: it changes with the path.
static uint64_t number_of(const char *path)
{
    uint64_t h = 0xcbf29ce484222325;
    for (; *path; path++)
        h = (h ^ (uint8_t)*path) * 0x100000001b3;
    return h;
}

static struct leaf **bucket_of(struct volume *v, const struct leaf *up, struct name name)
{
    uint32_t h = (uint32_t)(uintptr_t)up * 2654435761u;
    for (uint32_t i = 0; i < name.length; i++)
        h = (h ^ (uint8_t)name.text[i]) * 16777619u;
    return &v->buckets[h % BUCKETS];
}

static struct name name_of(const struct leaf *l)
{
    return (struct name){l->name, l->length};
}

static void link_name(struct volume *v, struct leaf *l, struct leaf *up, struct name name)
{
    struct leaf **bucket = bucket_of(v, up, name);
    node_hold(&up->node);
    l->up = up;
    l->node.parent = node_is(&l->node, IS_DIRECTORY) ? &up->node : NULL;
    memcpy(l->name, name.text, name.length);
    l->length = name.length;
    l->next = *bucket;
    *bucket = l;
}

static struct leaf *unlink_name(struct volume *v, struct leaf *l)
{
    struct leaf **p = bucket_of(v, l->up, name_of(l)), *up = l->up;
    while (*p != l)
        p = &(*p)->next;
    *p = l->next;
    l->up = NULL;
    l->node.parent = NULL;
    return up; // still held
}

// --- Handles

static int flush_first(struct volume *v, struct leaf *l)
{
    int e = littlefs_flush(&v->lfs, &l->handle->file);
    return e ? e : bd_flush(&v->config);
}

// Littlefs gives up what has an error; that there was no room is none that stays.
static int after(struct volume *v, struct leaf *l, int e)
{
    if (e == LFS2_ERR_NOSPC || e == LFS2_ERR_FBIG)
        l->handle->file.flags &= ~(uint32_t)LFS2_F_ERRED;
    return error_of(v, e);
}

static void drop_handle(struct volume *v, struct leaf *l)
{
    store_give(&v->store, l->handle, sizeof *l->handle);
    l->handle = NULL;
}

static bool is_lost(struct volume *v, struct leaf *l)
{
    if (l->handle && l->handle->mount != v->mount) {
        drop_handle(v, l);
        l->lost = true;
    }
    return l->lost;
}

static int write_out(struct volume *v, struct leaf *l)
{
    if (is_lost(v, l))
        return IO;
    struct handle *h = l->handle;
    if (v->store.read_only || (!h && (!l->changed || !l->node.names)))
        return 0;
    struct record r = {.mode = l->node.mode, .version = l->node.version};
    memcpy(r.times, l->node.times, sizeof r.times);
    int e;
    if (!h) {
        e = path_in(l, (struct name){0}, v->path);
        if (!e)
            e = error_of(v, lfs2_setattr(&v->lfs, v->path, ATTRIBUTE, &r, sizeof r));
    } else {
        h->record = r;
        if (l->changed)
            h->file.flags |= LFS2_F_DIRTY;
        e = flush_first(v, l);
        e = after(v, l, e ? e : lfs2_file_sync(&v->lfs, &h->file));
    }
    if (!e)
        l->changed = false;
    return e;
}

static int close_handle(struct volume *v, struct leaf *l)
{
    int e = write_out(v, l);
    if (!l->handle)
        return e;
    l->handle->file.flags |= LFS2_F_ERRED; // no more of it
    lfs2_file_close(&v->lfs, &l->handle->file);
    drop_handle(v, l);
    return e;
}

static int open_path(struct volume *v, struct leaf *l, const char *path, int flags)
{
    struct handle *h = store_take(&v->store, sizeof *h);
    if (!h)
        return NOMEM;
    h->mount = v->mount;
    h->attribute = (struct lfs2_attr){ATTRIBUTE, &h->record, sizeof h->record};
    h->config =
        (struct lfs2_file_config){.buffer = h->buffer, .attrs = &h->attribute, .attr_count = 1};
    flags |= v->store.read_only ? LFS2_O_RDONLY : LFS2_O_RDWR;
    int e = lfs2_file_opencfg(&v->lfs, &h->file, path, flags, &h->config);
    if (e) {
        store_give(&v->store, h, sizeof *h);
        return error_of(v, e);
    }
    if (!(flags & LFS2_O_CREAT))
        h->file.flags &= ~(uint32_t)LFS2_F_DIRTY; // it is what is on the disk
    l->handle = h;
    return 0;
}

static int open_handle(struct volume *v, struct leaf *l)
{
    if (is_lost(v, l))
        return IO;
    if (l->handle || node_is(&l->node, IS_DIRECTORY))
        return 0;
    if (!l->node.names)
        return IO;
    int e = path_in(l, (struct name){0}, v->path);
    return e ? e : open_path(v, l, v->path, 0);
}

// --- After an error

static int mount(struct volume *v)
{
    v->reads_left = 4 * v->disk->blocks + 65536;
    v->mounted = !error_of(v, lfs2_mount(&v->lfs, &v->config));
    v->failed = !v->mounted;
    return v->mounted ? 0 : IO;
}

// Whoever opens a file of that name from now on gets another.
static void lose_open(struct volume *v)
{
    for (uint32_t i = 0; i < BUCKETS; i++)
        for (struct leaf *l = v->buckets[i]; l;)
            if (l->handle && is_lost(v, l)) {
                l->node.names = 0;
                node_let_go(&v->store, &unlink_name(v, l)->node); // perhaps one of these
                l = v->buckets[i];
            } else {
                l = l->next;
            }
}

// Before anything is asked for.
static int begin(struct volume *v)
{
    v->reads_left = 4 * v->disk->blocks + 65536;
    if (!v->failed)
        return 0;
    if (v->mounted)
        lfs2_unmount(&v->lfs);
    v->mount++;
    int e = mount(v);
    if (!e)
        lose_open(v);
    return e;
}

// --- The store

static struct leaf *leaf_new(struct volume *v, struct leaf *up, struct name name, uint32_t mode)
{
    struct leaf *l = store_take(&v->store, sizeof *l);
    if (!l)
        return NULL;
    l->node.mode = mode;
    l->node.names = 1;
    l->node.ino = number_of(v->path);
    node_hold(&l->node);
    link_name(v, l, up, name);
    return l;
}

// Of what was not synced there may be no attribute.
static uint32_t mode_of(const struct lfs2_info *info, const struct record *r)
{
    bool directory = info->type == LFS2_TYPE_DIR;
    uint32_t kind = r->mode & KIND;
    if (directory == (kind == IS_DIRECTORY) && (directory || kind == IS_FILE || kind == IS_LINK))
        return r->mode & (KIND | 07777);
    return directory ? IS_DIRECTORY | USUAL_DIRECTORY : IS_FILE | USUAL_FILE;
}

static struct leaf *there(struct volume *v, struct leaf *up, struct name name)
{
    for (struct leaf *l = *bucket_of(v, up, name); l; l = l->next)
        if (l->up == up && l->length == name.length && !memcmp(l->name, name.text, name.length))
            return l;
    return NULL;
}

static int find(struct store *s, struct node *d, struct name name, struct node **out)
{
    struct volume *v = volume_of(s);
    struct lfs2_info info;
    struct record r;
    int e = begin(v);
    if (e || !d->names)
        return e ? e : NOENT;
    struct leaf *l = there(v, leaf_of(d), name);
    if (l) {
        node_hold(&l->node);
        *out = &l->node;
        return 0;
    }
    if ((e = path_in(leaf_of(d), name, v->path)) ||
        (e = error_of(v, littlefs_look(&v->lfs, v->path, &info, ATTRIBUTE, &r, sizeof r))))
        return e;
    if (!(l = leaf_new(v, leaf_of(d), name, mode_of(&info, &r))))
        return NOMEM;
    l->node.size = info.type == LFS2_TYPE_REG ? info.size : 0;
    memcpy(l->node.times, r.times, sizeof r.times);
    l->node.version = r.version;
    *out = &l->node;
    return 0;
}

static void touch(struct node *d)
{
    node_touch(d);
    leaf_of(d)->changed = true;
}

static int fill_link(struct volume *v, struct leaf *l, struct name target)
{
    lfs2_ssize_t n = lfs2_file_write(&v->lfs, &l->handle->file, target.text, target.length);
    l->node.size = target.length;
    return n < 0 ? after(v, l, n) : write_out(v, l);
}

static int make(struct store *s, struct node *d, struct name name, uint32_t mode,
                struct name target, struct node **out)
{
    struct volume *v = volume_of(s);
    int e = begin(v);
    if (e || (e = path_in(leaf_of(d), name, v->path)))
        return e;
    struct leaf *l = leaf_new(v, leaf_of(d), name, mode);
    if (!l)
        return NOMEM;
    l->node.times[0] = l->node.times[1] = l->node.times[2] = node_now();
    l->node.version = (uint32_t)l->node.times[2] | 1;
    l->changed = true;
    if (node_is(&l->node, IS_DIRECTORY))
        e = error_of(v, lfs2_mkdir(&v->lfs, v->path));
    else
        e = open_path(v, l, v->path, LFS2_O_CREAT | LFS2_O_EXCL);
    if (!e && target.length && (e = fill_link(v, l, target))) {
        close_handle(v, l);
        lfs2_remove(&v->lfs, v->path);
    }
    if (e) {
        l->node.names = 0;
        node_let_go(s, &unlink_name(v, l)->node);
        node_let_go(s, &l->node);
        return e;
    }
    touch(d);
    *out = &l->node;
    return 0;
}

// Before it loses its name: who else has it goes on reading.
static int keep(struct volume *v, struct leaf *l)
{
    return l->node.numbers > 1 ? open_handle(v, l) : 0;
}

static void gone(struct volume *v, struct leaf *l)
{
    l->node.names = 0;
    l->node.times[2] = node_now();
    if (l->handle)
        l->handle->file.flags |= LFS2_F_DIRTY;
    node_let_go(&v->store, &unlink_name(v, l)->node);
}

static int fs_remove(struct store *s, struct node *d, struct name name, struct node *n)
{
    struct volume *v = volume_of(s);
    struct leaf *l = leaf_of(n);
    int e = begin(v);
    if (e || !n->names || (e = keep(v, l)) || (e = path_in(leaf_of(d), name, v->path)))
        return e ? e : IO;
    if ((e = error_of(v, lfs2_remove(&v->lfs, v->path))))
        return e;
    gone(v, l);
    touch(d);
    return 0;
}

// All that somebody has below a directory has another path now.
static void renumber(struct volume *v)
{
    for (uint32_t i = 0; i < BUCKETS; i++)
        for (struct leaf *l = v->buckets[i]; l; l = l->next)
            if (!path_in(l, (struct name){0}, v->path))
                l->node.ino = number_of(v->path);
}

// Littlefs does not follow a file that is open to another name, so it is closed meanwhile.
static int fs_rename(struct store *s, struct node *from, struct name name, struct node *n,
                     struct node *to, struct name to_name, struct node *over)
{
    struct volume *v = volume_of(s);
    struct leaf *l = leaf_of(n);
    int e = begin(v);
    bool open = l->handle;
    if (e || !n->names || (over && (e = keep(v, leaf_of(over)))) ||
        (open && (e = close_handle(v, l))))
        return e ? e : IO;
    if ((e = path_in(leaf_of(from), name, v->path)) ||
        (e = path_in(leaf_of(to), to_name, v->other)) ||
        (e = error_of(v, lfs2_rename(&v->lfs, v->path, v->other)))) {
        if (open && !v->failed)
            open_handle(v, l);
        return e;
    }
    if (over)
        gone(v, leaf_of(over));
    struct leaf *up = unlink_name(v, l);
    link_name(v, l, leaf_of(to), to_name);
    node_let_go(s, &up->node);
    renumber(v);
    n->times[2] = node_now();
    l->changed = true;
    touch(from);
    touch(to);
    return open ? open_handle(v, l) : 0;
}

static int fs_open(struct store *s, struct node *n)
{
    struct volume *v = volume_of(s);
    int e = begin(v);
    return e ? e : open_handle(v, leaf_of(n));
}

static int go_to(struct volume *v, struct leaf *l, uint64_t offset)
{
    if (offset > LFS2_FILE_MAX)
        return FBIG;
    lfs2_soff_t at = lfs2_file_seek(&v->lfs, &l->handle->file, (lfs2_soff_t)offset, LFS2_SEEK_SET);
    return at < 0 ? after(v, l, at) : 0;
}

static int fs_read(struct store *s, struct node *n, uint64_t offset, uint8_t *bytes, uint64_t *size)
{
    struct volume *v = volume_of(s);
    struct leaf *l = leaf_of(n);
    int e = begin(v);
    if (e || (e = open_handle(v, l)) || (e = go_to(v, l, offset)))
        return e;
    lfs2_ssize_t got = lfs2_file_read(&v->lfs, &l->handle->file, bytes, (lfs2_size_t)*size);
    *size = got < 0 ? 0 : (uint64_t)got;
    return got < 0 ? after(v, l, got) : 0;
}

static void resized(struct volume *v, struct leaf *l)
{
    lfs2_soff_t size = lfs2_file_size(&v->lfs, &l->handle->file);
    l->node.size = size < 0 ? l->node.size : (uint64_t)size;
    touch(&l->node);
}

// What would never fit is not begun.
static int fits(struct volume *v, uint64_t size)
{
    if (size > LFS2_FILE_MAX)
        return FBIG;
    return size > v->disk->blocks * DISK_BLOCK ? NOSPC : 0;
}

static int fs_write(struct store *s, struct node *n, uint64_t offset, const uint8_t *bytes,
                    uint64_t size)
{
    struct volume *v = volume_of(s);
    struct leaf *l = leaf_of(n);
    int e = begin(v);
    if (e || (e = fits(v, offset + size)) || (e = open_handle(v, l)) || (e = go_to(v, l, offset)))
        return e;
    lfs2_ssize_t done = lfs2_file_write(&v->lfs, &l->handle->file, bytes, (lfs2_size_t)size);
    e = done < 0 ? after(v, l, done) : 0;
    resized(v, l);
    return e;
}

static int fs_set_size(struct store *s, struct node *n, uint64_t size)
{
    struct volume *v = volume_of(s);
    struct leaf *l = leaf_of(n);
    int e = begin(v);
    if (e || (e = fits(v, size)) || (e = open_handle(v, l)))
        return e;
    e = after(v, l, lfs2_file_truncate(&v->lfs, &l->handle->file, (lfs2_off_t)size));
    resized(v, l);
    return e;
}

static int fs_changed(struct store *s, struct node *n)
{
    (void)s;
    leaf_of(n)->changed = true;
    return 0;
}

static int fs_sync(struct store *s, struct node *n)
{
    struct volume *v = volume_of(s);
    int e = begin(v);
    if (e || (e = write_out(v, leaf_of(n))))
        return e;
    return error_of(v, bd_flush(&v->config));
}

static int fs_quiet(struct store *s)
{
    struct volume *v = volume_of(s);
    int e = begin(v);
    if (!e)
        e = write_out(v, leaf_of(s->root));
    for (uint32_t i = 0; i < BUCKETS; i++)
        for (struct leaf *l = v->buckets[i]; l && (!e || e == NOSPC); l = l->next) {
            int more = write_out(v, l); // of one that has no room others do not know
            e = e ? e : more;
        }
    if (e && e != NOSPC)
        return e;
    int flushed = error_of(v, bd_flush(&v->config));
    return e ? e : flushed;
}

// --- Listings: all names as they are when it begins, so that what is removed or made meanwhile
// does not shift them.

struct chunk {
    struct chunk *next;
    uint32_t used;
    uint8_t bytes[CHUNK]; // mode (2), length (1), name
};

struct names {
    struct store *store;
    struct chunk *first, *last;
    struct chunk *chunk; // where `from` is
    uint32_t at;
    uint64_t from;
};

static void end_list(struct store *s, void *state)
{
    struct names *names = state;
    for (struct chunk *c = names->first, *next; c; c = next) {
        next = c->next;
        store_give(s, c, sizeof *c);
    }
    store_give(s, names, sizeof *names);
}

static int note_name(void *context, struct name name, uint32_t mode, uint64_t size)
{
    struct names *names = context;
    (void)size;
    if (!names->last || names->last->used + 3 + name.length > CHUNK) {
        struct chunk *c = store_take(names->store, sizeof *c);
        if (!c)
            return NOMEM;
        *(names->last ? &names->last->next : &names->first) = c;
        names->last = c;
    }
    uint8_t *p = names->last->bytes + names->last->used;
    memcpy(p, &(uint16_t){(uint16_t)mode}, 2);
    p[2] = (uint8_t)name.length;
    memcpy(p + 3, name.text, name.length);
    names->last->used += 3 + name.length;
    return 0;
}

int volume_list(struct store *s, struct node *d,
                int (*each)(void *context, struct name name, uint32_t mode, uint64_t size),
                void *context)
{
    struct volume *v = volume_of(s);
    lfs2_dir_t dir;
    struct lfs2_info info;
    struct record r;
    int e = begin(v), found;
    if (e || (e = path_in(leaf_of(d), (struct name){0}, v->path)) ||
        (e = error_of(v, lfs2_dir_open(&v->lfs, &dir, v->path))))
        return e;
    while (!e && (found = littlefs_next(&v->lfs, &dir, &info, ATTRIBUTE, &r, sizeof r)))
        e = found < 0 ? error_of(v, found)
                      : each(context, (struct name){info.name, (uint32_t)strlen(info.name)},
                             mode_of(&info, &r), info.size);
    lfs2_dir_close(&v->lfs, &dir);
    return e;
}

static int begin_list(struct store *s, struct node *d, void **state)
{
    struct names *names = store_take(s, sizeof *names);
    if (!names)
        return NOMEM;
    names->store = s;
    int e = volume_list(s, d, note_name, names);
    if (e)
        end_list(s, names);
    else
        *state = names;
    return e;
}

static int list(struct store *s, struct node *d, uint64_t from, struct listing *l, void **state)
{
    struct volume *v = volume_of(s);
    if (*state && from == 2) { // from the beginning, as it is now
        end_list(s, *state);
        *state = NULL;
    }
    int e = *state ? 0 : begin_list(s, d, state);
    struct names *names = *state;
    if (e)
        return e;
    if (!names->chunk || from < names->from)
        names->chunk = names->first, names->at = 0, names->from = 2;
    for (; names->chunk; names->chunk = names->chunk->next, names->at = 0)
        for (; names->at < names->chunk->used; names->from++) {
            const uint8_t *p = names->chunk->bytes + names->at;
            struct name name = {(const char *)p + 3, p[2]};
            uint16_t mode;
            memcpy(&mode, p, 2);
            if (names->from >= from) {
                uint64_t ino = path_in(leaf_of(d), name, v->path) ? 0 : number_of(v->path);
                if (!list_entry(l, ino, mode, names->from + 1, name))
                    return 0;
            }
            names->at += 3 + name.length;
        }
    return 0;
}

static void space(struct store *s, uint64_t *bytes, uint64_t *left)
{
    struct volume *v = volume_of(s);
    lfs2_ssize_t used = begin(v) ? 0 : lfs2_fs_size(&v->lfs);
    uint64_t blocks = v->disk->blocks;
    *bytes = blocks * DISK_BLOCK;
    *left = used < 0 || (uint64_t)used > blocks ? 0 : (blocks - (uint64_t)used) * DISK_BLOCK;
}

// A directory goes with the last that is in it, so it may be many.
static void idle(struct store *s, struct node *n)
{
    struct volume *v = volume_of(s);
    while (n) {
        struct leaf *l = leaf_of(n), *up = NULL;
        bool well = !begin(v);
        if (l->handle && well)
            close_handle(v, l);
        else if (l->handle)
            drop_handle(v, l);
        else if (well)
            write_out(v, l);
        if (l->up)
            up = unlink_name(v, l);
        store_give(s, l, sizeof *l);
        n = up && !--up->node.numbers ? &up->node : NULL;
    }
}

static const struct store_ops ops = {.find = find,
                                     .make = make,
                                     .remove = fs_remove,
                                     .rename = fs_rename,
                                     .open = fs_open,
                                     .read = fs_read,
                                     .write = fs_write,
                                     .set_size = fs_set_size,
                                     .changed = fs_changed,
                                     .list = list,
                                     .end_list = end_list,
                                     .sync = fs_sync,
                                     .quiet = fs_quiet,
                                     .space = space,
                                     .idle = idle};

// --- Life

int volume_format(struct disk *d)
{
    struct volume *v = calloc(1, sizeof *v);
    if (!v)
        return NOMEM;
    configure(v, d);
    v->config.block_count = (uint32_t)d->blocks;
    int e = error_of(v, lfs2_format(&v->lfs, &v->config));
    free(v);
    return e;
}

int volume_mount(struct disk *d, uint64_t limit, struct store **out)
{
    struct volume *v = d->blocks ? calloc(1, sizeof *v) : NULL;
    if (!v)
        return d->blocks ? NOMEM : INVAL;
    v->store = (struct store){.ops = &ops, .limit = limit, .read_only = d->read_only};
    configure(v, d);
    int e = lfs2_mount(&v->lfs, &v->config);
    if (e || v->lfs.block_count > d->blocks) {
        if (!e)
            lfs2_unmount(&v->lfs);
        free(v);
        return e == LFS2_ERR_IO ? IO : INVAL;
    }
    v->mounted = true;
    struct leaf *root = store_take(&v->store, sizeof *root);
    if (!root) {
        lfs2_unmount(&v->lfs);
        free(v);
        return NOMEM;
    }
    struct record r = {0};
    lfs2_getattr(&v->lfs, "/", ATTRIBUTE, &r, sizeof r);
    root->node = (struct node){.mode = mode_of(&(struct lfs2_info){.type = LFS2_TYPE_DIR}, &r),
                               .numbers = 1,
                               .names = 1,
                               .ino = number_of("/"),
                               .times = {r.times[0], r.times[1], r.times[2]}};
    v->store.root = &root->node;
    *out = &v->store;
    return 0;
}

int volume_unmount(struct store *s)
{
    struct volume *v = volume_of(s);
    int e = fs_quiet(s);
    store_give(s, s->root, sizeof(struct leaf));
    if (v->mounted)
        lfs2_unmount(&v->lfs);
    free(v);
    return e;
}

int volume_walk(struct store *s, int (*each)(void *context, uint32_t block), void *context)
{
    struct volume *v = volume_of(s);
    int e = begin(v);
    return e ? e : error_of(v, littlefs_blocks(&v->lfs, each, context));
}
