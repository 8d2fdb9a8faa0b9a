// SPDX-License-Identifier: MIT
// See tree.h. A node is a file, a directory or a link; it goes with its last name and its last
// number. A directory is a list of names in the order in which they came, each with a serial number
// that a listing goes on from.
#include "tree.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    HEADER = 7,
    DATA_HEADER = 24,
    NAME_MAX_ = 255,
    TARGET_MAX = 4000,
    BUCKETS = 256,
    WALK_MAX = 16
};
enum { MESSAGE_LEAST = 4096 };
enum { IS_DIRECTORY = 0040000, IS_FILE = 0100000, IS_LINK = 0120000, KIND = 0170000 };
// Linux's numbers: the protocol's.
enum {
    PERM = 1,
    NOENT = 2,
    IO = 5,
    BADF = 9,
    NOMEM = 12,
    EXIST = 17,
    NOTDIR = 20,
    ISDIR = 21,
    INVAL = 22,
    FBIG = 27,
    NOSPC = 28,
    NAMETOOLONG = 36,
    NOTEMPTY = 39,
    NOTSUP = 95
};
enum {
    O_WRITE_ = 1,
    O_READ_WRITE = 2,
    O_ACCESS = 3,
    O_CREATE = 0100,
    O_EXCLUSIVE = 0200,
    O_TRUNCATE = 01000,
    O_APPEND_ = 02000,
    O_DIRECTORY_ = 0200000
};

struct node {
    uint32_t mode, names, numbers; // names and numbers that lead to it
    uint64_t ino, size, times[3];  // ns: read, written, changed
    union {
        struct {
            uint8_t *bytes;
            uint64_t room;
        } data; // of a file, and a link's target
        struct {
            struct entry *first, **last;
            struct node *parent;
        } directory;
    };
};

struct entry {
    struct entry *next;
    struct node *node;
    uint64_t serial;
    uint32_t length;
    char name[];
};

struct tree {
    struct node *root;
    uint64_t used, limit, next_ino, next_serial;
};

struct number {
    struct number *next;
    uint32_t fid;
    struct node *node;
    bool open;
    uint32_t flags;
};

struct client {
    struct tree *tree;
    uint32_t message; // bytes that one may have; 0: nothing was agreed on
    struct number *numbers[BUCKETS];
};

// --- Memory within the limit

static void *take_memory(struct tree *t, size_t size)
{
    void *p = size <= t->limit - t->used ? calloc(1, size) : NULL;
    if (p)
        t->used += size;
    return p;
}

static void give_back(struct tree *t, void *p, size_t size)
{
    if (p)
        t->used -= size;
    free(p);
}

// --- Nodes

static uint64_t now(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static bool is(const struct node *n, uint32_t kind)
{
    return (n->mode & KIND) == kind;
}

static struct node *node_new(struct tree *t, uint32_t mode)
{
    struct node *n = take_memory(t, sizeof *n);
    if (!n)
        return NULL;
    n->mode = mode;
    n->ino = t->next_ino++;
    n->times[0] = n->times[1] = n->times[2] = now();
    if (is(n, IS_DIRECTORY))
        n->directory.last = &n->directory.first;
    return n;
}

static void touch(struct node *n)
{
    n->times[1] = n->times[2] = now();
}

static void node_drop(struct tree *t, struct node *n)
{
    if (n->names || n->numbers)
        return;
    if (!is(n, IS_DIRECTORY))
        give_back(t, n->data.bytes, n->data.room);
    give_back(t, n, sizeof *n);
}

static struct entry **find(struct node *d, const char *name, uint32_t length)
{
    struct entry **e = &d->directory.first;
    while (*e && ((*e)->length != length || memcmp((*e)->name, name, length)))
        e = &(*e)->next;
    return e;
}

static int add_name(struct tree *t, struct node *d, const char *name, uint32_t length,
                    struct node *n)
{
    struct entry *e = take_memory(t, sizeof *e + length);
    if (!e)
        return NOSPC;
    *e = (struct entry){.node = n, .serial = t->next_serial++, .length = length};
    memcpy(e->name, name, length);
    *d->directory.last = e;
    d->directory.last = &e->next;
    n->names++;
    if (is(n, IS_DIRECTORY))
        n->directory.parent = d;
    touch(d);
    return 0;
}

static void remove_name(struct tree *t, struct node *d, struct entry **place)
{
    struct entry *e = *place;
    *place = e->next;
    if (!e->next)
        d->directory.last = place;
    e->node->names--;
    e->node->times[2] = now();
    if (!e->node->names && is(e->node, IS_DIRECTORY))
        e->node->directory.parent = NULL;
    node_drop(t, e->node);
    give_back(t, e, sizeof *e + e->length);
    touch(d);
}

static int set_size(struct tree *t, struct node *n, uint64_t size)
{
    if (size > n->data.room) {
        uint64_t room = size < 2 * n->data.room ? 2 * n->data.room : size;
        if (room - n->data.room > t->limit - t->used)
            room = size;
        if (room > SIZE_MAX / 2)
            return FBIG;
        if (room - n->data.room > t->limit - t->used)
            return NOSPC;
        uint8_t *bytes = realloc(n->data.bytes, room);
        if (!bytes)
            return NOSPC;
        t->used += room - n->data.room;
        n->data.bytes = bytes;
        n->data.room = room;
    }
    if (size > n->size)
        memset(n->data.bytes + n->size, 0, size - n->size);
    n->size = size;
    touch(n);
    return 0;
}

// --- Numbers

static struct number **place_of(struct client *c, uint32_t fid)
{
    struct number **p = &c->numbers[fid % BUCKETS];
    while (*p && (*p)->fid != fid)
        p = &(*p)->next;
    return p;
}

static int number_new(struct client *c, uint32_t fid, struct node *n)
{
    struct number **p = place_of(c, fid);
    if (*p)
        return BADF;
    if (!(*p = take_memory(c->tree, sizeof **p)))
        return NOMEM;
    (*p)->fid = fid;
    (*p)->node = n;
    n->numbers++;
    return 0;
}

static void point(struct client *c, struct number *f, struct node *n)
{
    struct node *was = f->node;
    n->numbers++;
    was->numbers--;
    f->node = n;
    node_drop(c->tree, was);
}

static void forget(struct client *c, struct number **p)
{
    struct number *f = *p;
    *p = f->next;
    f->node->numbers--;
    node_drop(c->tree, f->node);
    give_back(c->tree, f, sizeof *f);
}

// --- Messages: a request that is read, an answer that is written. What does not fit is noted, and
// looked at once.

struct message {
    const uint8_t *in, *end;
    uint8_t *out, *room;
    bool bad; // the request has less than it should
};

static uint64_t get(struct message *m, uint32_t size)
{
    uint64_t v = 0;
    if ((size_t)(m->end - m->in) < size) {
        m->bad = true;
        return 0;
    }
    memcpy(&v, m->in, size);
    m->in += size;
    return v;
}

static const char *get_text(struct message *m, uint32_t *length)
{
    *length = (uint32_t)get(m, 2);
    const uint8_t *p = m->in;
    if ((size_t)(m->end - p) < *length) {
        m->bad = true;
        *length = 0;
    }
    m->in += *length;
    return (const char *)p;
}

static void add(struct message *m, uint64_t v, uint32_t size)
{
    if ((size_t)(m->room - m->out) < size)
        return;
    memcpy(m->out, &v, size);
    m->out += size;
}

static void put_qid(struct message *m, const struct node *n)
{
    add(m, is(n, IS_DIRECTORY) ? 0x80 : is(n, IS_LINK) ? 2 : 0, 1);
    add(m, 0, 4);
    add(m, n->ino, 8);
}

static int check_name(const struct message *m, const char *name, uint32_t length)
{
    if (m->bad || !length || memchr(name, '/', length) || memchr(name, 0, length))
        return INVAL;
    if (name[0] == '.' && (length == 1 || (length == 2 && name[1] == '.')))
        return EXIST;
    return length > NAME_MAX_ ? NAMETOOLONG : 0;
}

static struct node *directory(struct client *c, struct message *m, int *error)
{
    struct number *f = *place_of(c, (uint32_t)get(m, 4));
    *error = !f ? BADF : !is(f->node, IS_DIRECTORY) ? NOTDIR : 0;
    return *error ? NULL : f->node;
}

static struct number *any(struct client *c, struct message *m, int *error)
{
    struct number *f = *place_of(c, (uint32_t)get(m, 4));
    *error = f ? 0 : BADF;
    return f;
}

// --- Requests. Each returns an error, or 0 with its answer written.

static int do_version(struct client *c, struct message *m)
{
    static const char ours[] = "9P2000.L";
    uint32_t length, size = (uint32_t)get(m, 4);
    const char *text = get_text(m, &length);
    if (m->bad || size < MESSAGE_LEAST)
        return INVAL;
    for (uint32_t i = 0; i < BUCKETS; i++)
        while (c->numbers[i])
            forget(c, &c->numbers[i]);
    bool same = length == sizeof ours - 1 && !memcmp(text, ours, length);
    uint32_t room = (uint32_t)(m->room - m->out) + HEADER;
    c->message = size < room ? size : room;
    add(m, c->message, 4);
    add(m, same ? 8 : 7, 2);
    for (const char *p = same ? ours : "unknown"; *p; p++)
        add(m, (uint8_t)*p, 1);
    return 0;
}

static int do_attach(struct client *c, struct message *m)
{
    uint32_t fid = (uint32_t)get(m, 4);
    if (m->bad)
        return INVAL;
    int e = number_new(c, fid, c->tree->root);
    put_qid(m, c->tree->root);
    return e;
}

static struct node *one_step(struct node *n, const char *name, uint32_t length, int *error)
{
    *error = NOTDIR;
    if (!is(n, IS_DIRECTORY))
        return NULL;
    *error = NOENT;
    if (length == 1 && name[0] == '.') // some clients ask for it
        return n;
    if (length == 2 && !memcmp(name, "..", 2))
        return n->directory.parent ? n->directory.parent : n;
    struct entry *e = *find(n, name, length);
    return e ? e->node : NULL;
}

static int do_walk(struct client *c, struct message *m)
{
    int e;
    struct number *f = any(c, m, &e);
    uint32_t fid = (uint32_t)get(m, 4), names = (uint32_t)get(m, 2), length, i;
    if (e || m->bad || names > WALK_MAX)
        return e ? e : INVAL;
    struct node *n = f->node, *next;
    uint8_t *count = m->out;
    add(m, names, 2);
    for (i = 0; i < names; i++, n = next) {
        const char *name = get_text(m, &length);
        if (m->bad)
            return INVAL;
        if (!(next = one_step(n, name, length, &e)))
            break;
        put_qid(m, next);
    }
    if (names && !i)
        return e;
    memcpy(count, &(uint16_t){(uint16_t)i}, 2);
    if (i < names)
        return 0;
    if (fid != f->fid)
        return number_new(c, fid, n);
    point(c, f, n);
    return 0;
}

static int do_clunk(struct client *c, struct message *m)
{
    struct number **p = place_of(c, (uint32_t)get(m, 4));
    if (!*p)
        return BADF;
    forget(c, p);
    return 0;
}

static uint64_t links_of(const struct node *n)
{
    uint64_t links = n->names;
    if (!is(n, IS_DIRECTORY) || !links)
        return links;
    links = 2;
    for (const struct entry *e = n->directory.first; e; e = e->next)
        links += is(e->node, IS_DIRECTORY);
    return links;
}

static int do_getattr(struct client *c, struct message *m)
{
    int e;
    struct number *f = any(c, m, &e);
    if (e)
        return e;
    const struct node *n = f->node;
    add(m, 0x7ff, 8);
    put_qid(m, n);
    add(m, n->mode, 4);
    add(m, 0, 8); // owner and group
    add(m, links_of(n), 8);
    add(m, 0, 8);
    add(m, n->size, 8);
    add(m, 4096, 8);
    add(m, (n->size + 511) / 512, 8);
    for (int i = 0; i < 3; i++) {
        add(m, n->times[i] / 1000000000, 8);
        add(m, n->times[i] % 1000000000, 8);
    }
    for (int i = 0; i < 4; i++)
        add(m, 0, 8);
    return 0;
}

static int do_setattr(struct client *c, struct message *m)
{
    int e;
    struct number *f = any(c, m, &e);
    uint32_t which = (uint32_t)get(m, 4), mode = (uint32_t)get(m, 4);
    get(m, 8); // owner and group
    uint64_t size = get(m, 8), t[2];
    for (int i = 0; i < 2; i++) {
        t[i] = get(m, 8) * 1000000000;
        t[i] += get(m, 8);
    }
    if (e || m->bad)
        return e ? e : INVAL;
    struct node *n = f->node;
    if (which & 8 && !is(n, IS_FILE))
        return is(n, IS_DIRECTORY) ? ISDIR : INVAL;
    if (which & 8 && (e = set_size(c->tree, n, size)))
        return e;
    if (which & 1)
        n->mode = (n->mode & KIND) | (mode & 07777);
    for (int i = 0; i < 2; i++)
        if (which & 16u << i)
            n->times[i] = which & 128u << i ? t[i] : now();
    n->times[2] = now();
    return 0;
}

static int opened(struct client *c, struct message *m, struct number *f, uint32_t flags)
{
    f->open = true;
    f->flags = flags;
    put_qid(m, f->node);
    add(m, c->message - DATA_HEADER, 4);
    return flags & O_TRUNCATE && is(f->node, IS_FILE) ? set_size(c->tree, f->node, 0) : 0;
}

static int do_lopen(struct client *c, struct message *m)
{
    int e;
    struct number *f = any(c, m, &e);
    uint32_t flags = (uint32_t)get(m, 4);
    if (e || m->bad || f->open)
        return e ? e : INVAL;
    if (is(f->node, IS_DIRECTORY) ? flags & (O_ACCESS | O_TRUNCATE) : flags & O_DIRECTORY_)
        return is(f->node, IS_DIRECTORY) ? ISDIR : NOTDIR;
    return is(f->node, IS_LINK) ? INVAL : opened(c, m, f, flags);
}

// A new thing under a name that is not there.
static int make(struct client *c, struct message *m, struct node *d, const char *name,
                uint32_t length, uint32_t mode, struct node **out)
{
    int e = check_name(m, name, length);
    if (e)
        return e;
    if (*find(d, name, length))
        return EXIST;
    if (!d->names)
        return NOENT;
    if (!(*out = node_new(c->tree, mode)))
        return NOSPC;
    if ((e = add_name(c->tree, d, name, length, *out)))
        node_drop(c->tree, *out);
    return e;
}

static int do_lcreate(struct client *c, struct message *m)
{
    int e;
    uint32_t length;
    struct number *f = any(c, m, &e);
    const char *name = get_text(m, &length);
    uint32_t flags = (uint32_t)get(m, 4), mode = (uint32_t)get(m, 4);
    if (e || m->bad || f->open)
        return e ? e : INVAL;
    if (!is(f->node, IS_DIRECTORY))
        return NOTDIR;
    struct entry *there = *find(f->node, name, length);
    struct node *n = there ? there->node : NULL;
    if (n && (flags & O_EXCLUSIVE || !is(n, IS_FILE)))
        return is(n, IS_DIRECTORY) && !(flags & O_EXCLUSIVE) ? ISDIR : EXIST;
    e = n ? 0 : make(c, m, f->node, name, length, IS_FILE | (mode & 07777), &n);
    if (e)
        return e;
    point(c, f, n);
    return opened(c, m, f, flags);
}

static int do_read(struct client *c, struct message *m)
{
    int e;
    struct number *f = any(c, m, &e);
    uint64_t offset = get(m, 8), size = get(m, 4);
    if (e || m->bad)
        return e ? e : INVAL;
    if (!f->open || !is(f->node, IS_FILE) || (f->flags & O_ACCESS) == O_WRITE_)
        return BADF;
    uint64_t left = offset < f->node->size ? f->node->size - offset : 0;
    uint64_t room = (uint64_t)(m->room - m->out) - 4;
    size = size < left ? size : left;
    size = size < room ? size : room;
    add(m, size, 4);
    if (size)
        memcpy(m->out, f->node->data.bytes + offset, size);
    m->out += size;
    return 0;
}

static int do_write(struct client *c, struct message *m)
{
    int e;
    struct number *f = any(c, m, &e);
    uint64_t offset = get(m, 8), size = get(m, 4), end;
    if (e || m->bad || size > (size_t)(m->end - m->in))
        return e ? e : INVAL;
    if (!f->open || !is(f->node, IS_FILE) || !(f->flags & O_ACCESS))
        return BADF;
    if (f->flags & O_APPEND_)
        offset = f->node->size;
    if (__builtin_add_overflow(offset, size, &end))
        return FBIG;
    if (size && end > f->node->size && (e = set_size(c->tree, f->node, end)))
        return e;
    if (size) {
        memcpy(f->node->data.bytes + offset, m->in, size);
        touch(f->node);
    }
    add(m, size, 4);
    return 0;
}

// False: there is no more room in the answer.
static bool put_entry(struct message *m, const uint8_t *end, const struct node *n, uint64_t next,
                      const char *name, uint32_t length)
{
    if ((size_t)(end - m->out) < 24 + length)
        return false;
    put_qid(m, n);
    add(m, next, 8);
    add(m, n->mode >> 12, 1);
    add(m, length, 2);
    memcpy(m->out, name, length);
    m->out += length;
    return true;
}

static int do_readdir(struct client *c, struct message *m)
{
    int e;
    struct number *f = any(c, m, &e);
    uint64_t offset = get(m, 8), size = get(m, 4), room = (uint64_t)(m->room - m->out) - 4;
    if (e || m->bad)
        return e ? e : INVAL;
    if (!f->open || !is(f->node, IS_DIRECTORY))
        return f->open ? NOTDIR : BADF;
    struct node *d = f->node, *parent = d->directory.parent ? d->directory.parent : d;
    uint8_t *count = m->out, *end = count + 4 + (size < room ? size : room);
    add(m, 0, 4);
    if (!d->names) // it was removed
        return 0;
    bool more = offset > 0 || put_entry(m, end, d, 1, ".", 1);
    more = more && (offset > 1 || put_entry(m, end, parent, 2, "..", 2));
    for (struct entry *i = d->directory.first; i && more; i = i->next)
        if (i->serial >= offset)
            more = put_entry(m, end, i->node, i->serial + 1, i->name, i->length);
    memcpy(count, &(uint32_t){(uint32_t)(m->out - count - 4)}, 4);
    return 0;
}

static int do_readlink(struct client *c, struct message *m)
{
    int e;
    struct number *f = any(c, m, &e);
    if (e || !is(f->node, IS_LINK))
        return e ? e : INVAL;
    add(m, f->node->size, 2);
    memcpy(m->out, f->node->data.bytes, f->node->size);
    m->out += f->node->size;
    return 0;
}

static int do_symlink(struct client *c, struct message *m)
{
    int e;
    uint32_t length, size;
    struct node *d = directory(c, m, &e), *n;
    const char *name = get_text(m, &length), *target = get_text(m, &size);
    if (e || m->bad || !size || size > TARGET_MAX)
        return e ? e : size > TARGET_MAX ? NAMETOOLONG : INVAL;
    if ((e = make(c, m, d, name, length, IS_LINK | 0777, &n)))
        return e;
    if ((e = set_size(c->tree, n, size))) {
        remove_name(c->tree, d, find(d, name, length));
        return e;
    }
    memcpy(n->data.bytes, target, size);
    put_qid(m, n);
    return 0;
}

static int do_mkdir(struct client *c, struct message *m)
{
    int e;
    uint32_t length;
    struct node *d = directory(c, m, &e), *n;
    const char *name = get_text(m, &length);
    uint32_t mode = (uint32_t)get(m, 4);
    if (!e)
        e = make(c, m, d, name, length, IS_DIRECTORY | (mode & 07777), &n);
    if (!e)
        put_qid(m, n);
    return e;
}

static int do_link(struct client *c, struct message *m)
{
    int e, error;
    uint32_t length;
    struct node *d = directory(c, m, &e);
    struct number *f = any(c, m, &error);
    const char *name = get_text(m, &length);
    if (e || error || (e = check_name(m, name, length)))
        return e ? e : error;
    if (is(f->node, IS_DIRECTORY))
        return PERM;
    if (*find(d, name, length))
        return EXIST;
    f->node->times[2] = now();
    return f->node->names && d->names ? add_name(c->tree, d, name, length, f->node) : NOENT;
}

static int do_unlinkat(struct client *c, struct message *m)
{
    int e;
    uint32_t length;
    struct node *d = directory(c, m, &e);
    const char *name = get_text(m, &length);
    bool whole = get(m, 4) & 0x200;
    if (e || m->bad)
        return e ? e : INVAL;
    struct entry **place = find(d, name, length);
    if (!*place)
        return NOENT;
    const struct node *n = (*place)->node;
    if (is(n, IS_DIRECTORY) != whole)
        return whole ? NOTDIR : ISDIR;
    if (whole && n->directory.first)
        return NOTEMPTY;
    remove_name(c->tree, d, place);
    return 0;
}

static bool is_below(const struct node *n, const struct node *ancestor)
{
    while (n && n != ancestor)
        n = n->directory.parent;
    return n;
}

static int do_renameat(struct client *c, struct message *m)
{
    int e, error;
    uint32_t length, to_length;
    struct node *from = directory(c, m, &e);
    const char *name = get_text(m, &length);
    struct node *to = directory(c, m, &error);
    const char *to_name = get_text(m, &to_length);
    if (e || error || (e = check_name(m, to_name, to_length)))
        return e ? e : error;
    struct entry **a = find(from, name, length), **b = find(to, to_name, to_length);
    if (!*a || !to->names)
        return NOENT;
    struct node *n = (*a)->node, *over = *b ? (*b)->node : NULL;
    if (n == over)
        return 0;
    if (is(n, IS_DIRECTORY) && is_below(to, n))
        return INVAL;
    if (over && is(over, IS_DIRECTORY) != is(n, IS_DIRECTORY))
        return is(over, IS_DIRECTORY) ? ISDIR : NOTDIR;
    if (over && is(over, IS_DIRECTORY) && over->directory.first)
        return NOTEMPTY;
    if ((e = add_name(c->tree, to, to_name, to_length, n)))
        return e;
    if (over)
        remove_name(c->tree, to, find(to, to_name, to_length)); // the older one
    remove_name(c->tree, from, find(from, name, length));
    return 0;
}

static int do_fsync(struct client *c, struct message *m)
{
    int e;
    any(c, m, &e);
    return e;
}

static int do_flush(struct client *c, struct message *m)
{
    (void)c, (void)m;
    return 0; // what it names has been answered
}

static int do_statfs(struct client *c, struct message *m)
{
    int e;
    any(c, m, &e);
    const struct tree *t = c->tree;
    add(m, 0x01021997, 4);
    add(m, 4096, 4);
    add(m, t->limit / 4096, 8);
    add(m, (t->limit - t->used) / 4096, 8);
    add(m, (t->limit - t->used) / 4096, 8);
    for (int i = 0; i < 3; i++)
        add(m, 0, 8);
    add(m, NAME_MAX_, 4);
    return e;
}

static const struct {
    uint8_t type;
    int (*answer)(struct client *c, struct message *m);
} requests[] = {
    {8, do_statfs},   {12, do_lopen},    {14, do_lcreate},  {16, do_symlink}, {22, do_readlink},
    {24, do_getattr}, {26, do_setattr},  {40, do_readdir},  {50, do_fsync},   {70, do_link},
    {72, do_mkdir},   {74, do_renameat}, {76, do_unlinkat}, {104, do_attach}, {108, do_flush},
    {110, do_walk},   {116, do_read},    {118, do_write},   {120, do_clunk},
};

static int dispatch(struct client *c, struct message *m, uint8_t type)
{
    if (type == 100)
        return do_version(c, m);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
        if (requests[i].type == type)
            return c->message ? requests[i].answer(c, m) : INVAL;
    return NOTSUP;
}

uint32_t client_answer(struct client *c, const uint8_t *request, uint32_t size, uint8_t *answer,
                       uint32_t room)
{
    if (size < HEADER)
        return 0;
    uint32_t said;
    memcpy(&said, request, 4);
    if (said != size)
        return 0;
    if (c->message && c->message < room)
        room = c->message;
    struct message m = {request + HEADER, request + size, answer + HEADER, answer + room, false};
    int e = dispatch(c, &m, request[4]);
    if (e) {
        m.out = answer + HEADER;
        add(&m, (uint32_t)e, 4);
    }
    uint32_t length = (uint32_t)(m.out - answer);
    memcpy(answer, &length, 4);
    answer[4] = e ? 7 : request[4] + 1;
    memcpy(answer + 5, request + 5, 2);
    return length;
}

// --- Life

struct tree *tree_new(uint64_t limit)
{
    struct tree *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->limit = limit;
    t->next_ino = 1;
    t->next_serial = 2; // behind the dots
    t->root = node_new(t, IS_DIRECTORY | 0755);
    if (!t->root) {
        free(t);
        return NULL;
    }
    t->root->names = 1; // so to speak
    return t;
}

// The first name that holds nothing, until none is left: a tree may be deep.
void tree_free(struct tree *t)
{
    struct node *d = t->root;
    while (d) {
        struct entry *e = d->directory.first;
        if (e && is(e->node, IS_DIRECTORY) && e->node->directory.first) {
            d = e->node;
        } else if (e) {
            remove_name(t, d, &d->directory.first);
        } else {
            d = d->directory.parent;
        }
    }
    t->root->names = 0;
    node_drop(t, t->root);
    free(t);
}

struct client *client_new(struct tree *t)
{
    struct client *c = take_memory(t, sizeof *c);
    if (c)
        c->tree = t;
    return c;
}

void client_free(struct client *c)
{
    for (uint32_t i = 0; i < BUCKETS; i++)
        while (c->numbers[i])
            forget(c, &c->numbers[i]);
    give_back(c->tree, c, sizeof *c);
}
