// SPDX-License-Identifier: MIT
// See ninep.h.
#include "ninep.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { HEADER = 7, DATA_HEADER = 24, BUCKETS = 256, WALK_MAX = 16, MESSAGE_LEAST = 4096 };
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

struct number {
    struct number *next;
    uint32_t fid;
    struct node *node;
    bool open;
    uint32_t flags;
    void *listing; // the store's
};

struct client {
    struct store *store;
    uint32_t message; // bytes that one may have; 0: nothing was agreed on
    struct number *numbers[BUCKETS];
};

// --- Memory within the limit

void *store_take(struct store *s, size_t size)
{
    void *p = size <= s->limit - s->used ? calloc(1, size) : NULL;
    if (p)
        s->used += size;
    return p;
}

void store_give(struct store *s, void *p, size_t size)
{
    if (p)
        s->used -= size;
    free(p);
}

// --- Nodes

uint64_t node_now(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void node_touch(struct node *n)
{
    n->times[1] = n->times[2] = node_now();
}

void node_hold(struct node *n)
{
    n->numbers++;
}

void node_let_go(struct store *s, struct node *n)
{
    if (!--n->numbers)
        s->ops->idle(s, n);
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
    if (!(*p = store_take(c->store, sizeof **p)))
        return NOMEM;
    (*p)->fid = fid;
    (*p)->node = n;
    node_hold(n);
    return 0;
}

static void point(struct client *c, struct number *f, struct node *n)
{
    struct node *was = f->node;
    node_hold(n);
    f->node = n;
    node_let_go(c->store, was);
}

static void forget(struct client *c, struct number **p)
{
    struct number *f = *p;
    *p = f->next;
    if (f->listing)
        c->store->ops->end_list(c->store, f->listing);
    node_let_go(c->store, f->node);
    store_give(c->store, f, sizeof *f);
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

static struct name get_name(struct message *m)
{
    struct name name = {.length = (uint32_t)get(m, 2)};
    name.text = (const char *)m->in;
    if ((size_t)(m->end - m->in) < name.length) {
        m->bad = true;
        name.length = 0;
    }
    m->in += name.length;
    return name;
}

static void add(struct message *m, uint64_t v, uint32_t size)
{
    if ((size_t)(m->room - m->out) < size)
        return;
    memcpy(m->out, &v, size);
    m->out += size;
}

static void add_qid(struct message *m, uint32_t mode, uint32_t version, uint64_t ino)
{
    uint32_t kind = mode & KIND;
    add(m, kind == IS_DIRECTORY ? 0x80 : kind == IS_LINK ? 2 : 0, 1);
    add(m, version, 4);
    add(m, ino, 8);
}

static void put_qid(struct message *m, const struct node *n)
{
    add_qid(m, n->mode, n->version, n->ino);
}

static int check_name(const struct message *m, struct name name)
{
    if (m->bad || !name.length || memchr(name.text, '/', name.length) ||
        memchr(name.text, 0, name.length))
        return INVAL;
    if (name.text[0] == '.' && (name.length == 1 || (name.length == 2 && name.text[1] == '.')))
        return EXIST;
    return name.length > NINEP_NAME_MAX ? NAMETOOLONG : 0;
}

static struct number *any(struct client *c, struct message *m, int *error)
{
    struct number *f = *place_of(c, (uint32_t)get(m, 4));
    *error = f ? 0 : BADF;
    return f;
}

static struct node *directory(struct client *c, struct message *m, int *error)
{
    struct number *f = any(c, m, error);
    if (f && !node_is(f->node, IS_DIRECTORY))
        *error = NOTDIR;
    return *error ? NULL : f->node;
}

// What is there under a name that was checked, held; NULL and no error: nothing is.
static int look_up(struct client *c, struct node *d, struct name name, struct node **out)
{
    int e = c->store->ops->find(c->store, d, name, out);
    if (e)
        *out = NULL;
    return e == NOENT ? 0 : e;
}

static void let_go(struct client *c, struct node *n)
{
    if (n)
        node_let_go(c->store, n);
}

static int may_change(const struct client *c)
{
    return c->store->read_only ? ROFS : 0;
}

// --- Requests. Each returns an error, or 0 with its answer written.

static int do_version(struct client *c, struct message *m)
{
    static const char ours[] = "9P2000.L";
    uint32_t size = (uint32_t)get(m, 4);
    struct name version = get_name(m);
    if (m->bad || size < MESSAGE_LEAST)
        return INVAL;
    for (uint32_t i = 0; i < BUCKETS; i++)
        while (c->numbers[i])
            forget(c, &c->numbers[i]);
    bool same = version.length == sizeof ours - 1 && !memcmp(version.text, ours, version.length);
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
    int e = number_new(c, fid, c->store->root);
    put_qid(m, c->store->root);
    return e;
}

// Held.
static int one_step(struct client *c, struct node *n, struct name name, struct node **out)
{
    const char *text = name.text;
    if (!node_is(n, IS_DIRECTORY))
        return NOTDIR;
    if (name.length == 1 && text[0] == '.') { // some clients ask for it
        *out = n;
    } else if (name.length == 2 && !memcmp(text, "..", 2)) {
        *out = n->parent ? n->parent : n;
    } else if (!name.length || name.length > NINEP_NAME_MAX || memchr(text, 0, name.length) ||
               memchr(text, '/', name.length)) {
        return NOENT;
    } else {
        return c->store->ops->find(c->store, n, name, out);
    }
    node_hold(*out);
    return 0;
}

static int end_walk(struct client *c, struct number *f, uint32_t fid, struct node *n)
{
    if (fid != f->fid)
        return number_new(c, fid, n);
    point(c, f, n);
    return 0;
}

static int do_walk(struct client *c, struct message *m)
{
    int e;
    struct number *f = any(c, m, &e);
    uint32_t fid = (uint32_t)get(m, 4), names = (uint32_t)get(m, 2), i;
    if (e || m->bad || names > WALK_MAX)
        return e ? e : INVAL;
    struct node *n = f->node, *next;
    uint8_t *count = m->out;
    add(m, names, 2);
    node_hold(n);
    for (i = 0; i < names; i++) {
        struct name name = get_name(m);
        e = m->bad ? INVAL : one_step(c, n, name, &next);
        if (e)
            break;
        put_qid(m, next);
        node_let_go(c->store, n);
        n = next;
    }
    memcpy(count, &(uint16_t){(uint16_t)i}, 2);
    if (!e)
        e = end_walk(c, f, fid, n);
    else if (i && !m->bad)
        e = 0; // so far it came
    node_let_go(c->store, n);
    return e;
}

static int do_clunk(struct client *c, struct message *m)
{
    struct number **p = place_of(c, (uint32_t)get(m, 4));
    if (!*p)
        return BADF;
    forget(c, p);
    return 0;
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
    add(m, n->names && node_is(n, IS_DIRECTORY) ? 2 + n->below : n->names, 8);
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
    if (which & 8 && !node_is(n, IS_FILE))
        return node_is(n, IS_DIRECTORY) ? ISDIR : INVAL;
    if ((e = may_change(c)) || (which & 8 && (e = c->store->ops->set_size(c->store, n, size))))
        return e;
    if (which & 1)
        n->mode = (n->mode & KIND) | (mode & 07777);
    for (int i = 0; i < 2; i++)
        if (which & 16u << i)
            n->times[i] = which & 128u << i ? t[i] : node_now();
    n->times[2] = node_now();
    return c->store->ops->changed ? c->store->ops->changed(c->store, n) : 0;
}

static int opened(struct client *c, struct message *m, struct number *f, uint32_t flags)
{
    struct store *s = c->store;
    int e = s->ops->open ? s->ops->open(s, f->node) : 0;
    if (!e && flags & O_TRUNCATE && node_is(f->node, IS_FILE))
        e = s->ops->set_size(s, f->node, 0);
    f->open = !e;
    f->flags = flags;
    put_qid(m, f->node);
    add(m, c->message - DATA_HEADER, 4);
    return e;
}

static int do_lopen(struct client *c, struct message *m)
{
    int e;
    struct number *f = any(c, m, &e);
    uint32_t flags = (uint32_t)get(m, 4);
    if (e || m->bad || f->open)
        return e ? e : INVAL;
    bool directory = node_is(f->node, IS_DIRECTORY);
    if (directory ? flags & (O_ACCESS | O_TRUNCATE) : flags & O_DIRECTORY_)
        return directory ? ISDIR : NOTDIR;
    if (flags & (O_ACCESS | O_TRUNCATE) && (e = may_change(c)))
        return e;
    return node_is(f->node, IS_LINK) ? INVAL : opened(c, m, f, flags);
}

// A new thing under a name that is not there.
static int make(struct client *c, struct message *m, struct node *d, struct name name,
                uint32_t mode, struct name target, struct node **out)
{
    int e = check_name(m, name);
    struct node *there = NULL;
    if (!e)
        e = look_up(c, d, name, &there);
    if (there)
        e = EXIST;
    let_go(c, there);
    if (!e)
        e = may_change(c);
    if (!e && !d->names)
        e = NOENT;
    return e ? e : c->store->ops->make(c->store, d, name, mode, target, out);
}

static int do_lcreate(struct client *c, struct message *m)
{
    int e;
    struct number *f = any(c, m, &e);
    struct name name = get_name(m);
    uint32_t flags = (uint32_t)get(m, 4), mode = (uint32_t)get(m, 4);
    if (e || m->bad || f->open)
        return e ? e : INVAL;
    if (!node_is(f->node, IS_DIRECTORY))
        return NOTDIR;
    struct node *n;
    if ((e = check_name(m, name)) || (e = look_up(c, f->node, name, &n)))
        return e;
    if (n && (flags & O_EXCLUSIVE || !node_is(n, IS_FILE)))
        e = node_is(n, IS_DIRECTORY) && !(flags & O_EXCLUSIVE) ? ISDIR : EXIST;
    else if (!n)
        e = make(c, m, f->node, name, IS_FILE | (mode & 07777), (struct name){0}, &n);
    else
        e = may_change(c);
    if (!e) {
        point(c, f, n);
        e = opened(c, m, f, flags);
    }
    let_go(c, n);
    return e;
}

static int do_read(struct client *c, struct message *m)
{
    int e;
    struct number *f = any(c, m, &e);
    uint64_t offset = get(m, 8), size = get(m, 4);
    if (e || m->bad)
        return e ? e : INVAL;
    if (!f->open || !node_is(f->node, IS_FILE) || (f->flags & O_ACCESS) == O_WRITE_)
        return BADF;
    uint64_t left = offset < f->node->size ? f->node->size - offset : 0;
    uint64_t room = (uint64_t)(m->room - m->out) - 4;
    size = size < left ? size : left;
    size = size < room ? size : room;
    uint8_t *count = m->out;
    add(m, size, 4);
    if (size && (e = c->store->ops->read(c->store, f->node, offset, m->out, &size)))
        return e;
    memcpy(count, &(uint32_t){(uint32_t)size}, 4);
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
    if (!f->open || !node_is(f->node, IS_FILE) || !(f->flags & O_ACCESS))
        return BADF;
    if (f->flags & O_APPEND_)
        offset = f->node->size;
    if (__builtin_add_overflow(offset, size, &end))
        return FBIG;
    if (size && (e = c->store->ops->write(c->store, f->node, offset, m->in, size)))
        return e;
    add(m, size, 4);
    return 0;
}

struct listing {
    struct message *m;
    const uint8_t *end;
};

bool list_entry(struct listing *l, uint64_t ino, uint32_t mode, uint64_t next, struct name name)
{
    if ((size_t)(l->end - l->m->out) < 24 + name.length)
        return false;
    add_qid(l->m, mode, 0, ino);
    add(l->m, next, 8);
    add(l->m, mode >> 12, 1);
    add(l->m, name.length, 2);
    memcpy(l->m->out, name.text, name.length);
    l->m->out += name.length;
    return true;
}

static int do_readdir(struct client *c, struct message *m)
{
    int e;
    struct number *f = any(c, m, &e);
    uint64_t offset = get(m, 8), size = get(m, 4), room = (uint64_t)(m->room - m->out) - 4;
    if (e || m->bad)
        return e ? e : INVAL;
    if (!f->open || !node_is(f->node, IS_DIRECTORY))
        return f->open ? NOTDIR : BADF;
    struct node *d = f->node, *parent = d->parent ? d->parent : d;
    uint8_t *count = m->out;
    struct listing l = {m, count + 4 + (size < room ? size : room)};
    add(m, 0, 4);
    if (!d->names) // it was removed
        return 0;
    bool more = offset > 0 || list_entry(&l, d->ino, d->mode, 1, (struct name){".", 1});
    more = more && (offset > 1 || list_entry(&l, parent->ino, d->mode, 2, (struct name){"..", 2}));
    if (more)
        e = c->store->ops->list(c->store, d, offset < 2 ? 2 : offset, &l, &f->listing);
    memcpy(count, &(uint32_t){(uint32_t)(m->out - count - 4)}, 4);
    return e;
}

static int do_readlink(struct client *c, struct message *m)
{
    int e;
    struct number *f = any(c, m, &e);
    if (e || !node_is(f->node, IS_LINK))
        return e ? e : INVAL;
    uint64_t size = f->node->size;
    uint8_t *length = m->out;
    add(m, size, 2);
    if (size > (size_t)(m->room - m->out) ||
        (e = c->store->ops->read(c->store, f->node, 0, m->out, &size)))
        return e ? e : IO;
    memcpy(length, &(uint16_t){(uint16_t)size}, 2);
    m->out += size;
    return 0;
}

// What was made is answered, and is nobody's.
static int made(struct client *c, struct message *m, int e, struct node *n)
{
    if (!e) {
        put_qid(m, n);
        let_go(c, n);
    }
    return e;
}

static int do_symlink(struct client *c, struct message *m)
{
    int e;
    struct node *d = directory(c, m, &e), *n = NULL;
    struct name name = get_name(m), target = get_name(m);
    if (e || m->bad || !target.length || target.length > NINEP_TARGET_MAX)
        return e ? e : target.length > NINEP_TARGET_MAX ? NAMETOOLONG : INVAL;
    return made(c, m, make(c, m, d, name, IS_LINK | 0777, target, &n), n);
}

static int do_mkdir(struct client *c, struct message *m)
{
    int e;
    struct node *d = directory(c, m, &e), *n = NULL;
    struct name name = get_name(m);
    uint32_t mode = (uint32_t)get(m, 4);
    if (!e)
        e = make(c, m, d, name, IS_DIRECTORY | (mode & 07777), (struct name){0}, &n);
    return made(c, m, e, n);
}

static int do_link(struct client *c, struct message *m)
{
    int e, error;
    struct node *d = directory(c, m, &e), *there = NULL;
    struct number *f = any(c, m, &error);
    struct name name = get_name(m);
    if (e || error || (e = check_name(m, name)))
        return e ? e : error;
    if (node_is(f->node, IS_DIRECTORY) || !c->store->ops->link)
        return PERM;
    if ((e = look_up(c, d, name, &there)) || there) {
        let_go(c, there);
        return e ? e : EXIST;
    }
    if ((e = may_change(c)))
        return e;
    f->node->times[2] = node_now();
    return f->node->names && d->names ? c->store->ops->link(c->store, d, name, f->node) : NOENT;
}

static int do_unlinkat(struct client *c, struct message *m)
{
    int e;
    struct node *d = directory(c, m, &e), *n;
    struct name name = get_name(m);
    bool whole = get(m, 4) & 0x200;
    if (e || m->bad)
        return e ? e : INVAL;
    if (check_name(m, name) || (e = look_up(c, d, name, &n)) || !n)
        return e ? e : NOENT;
    if (node_is(n, IS_DIRECTORY) != whole)
        e = whole ? NOTDIR : ISDIR;
    else if (!(e = may_change(c)))
        e = c->store->ops->remove(c->store, d, name, n);
    let_go(c, n);
    return e;
}

static bool is_below(const struct node *n, const struct node *ancestor)
{
    while (n && n != ancestor)
        n = n->parent;
    return n;
}

static int check_rename(const struct node *n, const struct node *to, const struct node *over)
{
    if (!n || !to->names)
        return NOENT;
    if (node_is(n, IS_DIRECTORY) && is_below(to, n))
        return INVAL;
    if (over && node_is(over, IS_DIRECTORY) != node_is(n, IS_DIRECTORY))
        return node_is(over, IS_DIRECTORY) ? ISDIR : NOTDIR;
    return 0;
}

static int do_renameat(struct client *c, struct message *m)
{
    int e, error;
    struct node *from = directory(c, m, &e);
    struct name name = get_name(m);
    struct node *to = directory(c, m, &error), *n = NULL, *over = NULL;
    struct name to_name = get_name(m);
    if (e || error || (e = check_name(m, to_name)))
        return e ? e : error;
    if (check_name(m, name))
        return NOENT;
    if (!(e = look_up(c, from, name, &n)))
        e = look_up(c, to, to_name, &over);
    if (!e && (!n || n != over) && !(e = check_rename(n, to, over)) && !(e = may_change(c)))
        e = c->store->ops->rename(c->store, from, name, n, to, to_name, over);
    let_go(c, n);
    let_go(c, over);
    return e;
}

static int do_fsync(struct client *c, struct message *m)
{
    int e;
    struct number *f = any(c, m, &e);
    return !e && c->store->ops->sync ? c->store->ops->sync(c->store, f->node) : e;
}

static int do_flush(struct client *c, struct message *m)
{
    (void)c, (void)m;
    return 0; // what it names has been answered
}

static int do_statfs(struct client *c, struct message *m)
{
    int e;
    uint64_t bytes = 0, left = 0;
    any(c, m, &e);
    c->store->ops->space(c->store, &bytes, &left);
    add(m, 0x01021997, 4);
    add(m, 4096, 4);
    add(m, bytes / 4096, 8);
    add(m, left / 4096, 8);
    add(m, left / 4096, 8);
    for (int i = 0; i < 3; i++)
        add(m, 0, 8);
    add(m, NINEP_NAME_MAX, 4);
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

struct client *client_new(struct store *s)
{
    struct client *c = store_take(s, sizeof *c);
    if (c)
        c->store = s;
    return c;
}

void client_free(struct client *c)
{
    for (uint32_t i = 0; i < BUCKETS; i++)
        while (c->numbers[i])
            forget(c, &c->numbers[i]);
    store_give(c->store, c, sizeof *c);
}
