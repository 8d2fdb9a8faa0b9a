// SPDX-License-Identifier: MIT
// See tree.h. A node is a file, a directory or a link; it goes with its last name and its last
// number. A directory is a list of names in the order in which they came, each with a serial number
// that a listing goes on from.
#include "tree.h"

#include <stdlib.h>
#include <string.h>

struct leaf {
    struct node node;
    union {
        struct {
            uint8_t *bytes;
            uint64_t room;
        } data; // of a file, and a link's target
        struct {
            struct entry *first, **last;
        } directory;
    };
};

struct entry {
    struct entry *next;
    struct leaf *leaf;
    uint64_t serial;
    uint32_t length;
    char name[];
};

struct tree {
    struct store store;
    uint64_t next_ino, next_serial;
};

static const struct store_ops ops;

static struct tree *tree_of(struct store *s)
{
    return (struct tree *)s;
}

static struct leaf *leaf_of(struct node *n)
{
    return (struct leaf *)n;
}

static struct leaf *leaf_new(struct store *s, uint32_t mode)
{
    struct leaf *l = store_take(s, sizeof *l);
    if (!l)
        return NULL;
    l->node.mode = mode;
    l->node.ino = tree_of(s)->next_ino++;
    l->node.times[0] = l->node.times[1] = l->node.times[2] = node_now();
    if (node_is(&l->node, IS_DIRECTORY))
        l->directory.last = &l->directory.first;
    return l;
}

static void leaf_drop(struct store *s, struct node *n)
{
    struct leaf *l = leaf_of(n);
    if (n->names || n->numbers)
        return;
    if (!node_is(n, IS_DIRECTORY))
        store_give(s, l->data.bytes, l->data.room);
    store_give(s, l, sizeof *l);
}

static struct entry **find(struct node *d, struct name name)
{
    struct entry **e = &leaf_of(d)->directory.first;
    while (*e && ((*e)->length != name.length || memcmp((*e)->name, name.text, name.length)))
        e = &(*e)->next;
    return e;
}

static int tree_find(struct store *s, struct node *d, struct name name, struct node **out)
{
    struct entry *e = *find(d, name);
    (void)s;
    if (!e)
        return NOENT;
    *out = &e->leaf->node;
    node_hold(*out);
    return 0;
}

static int add_name(struct store *s, struct node *d, struct name name, struct node *n)
{
    struct entry *e = store_take(s, sizeof *e + name.length);
    if (!e)
        return NOSPC;
    *e = (struct entry){
        .leaf = leaf_of(n), .serial = tree_of(s)->next_serial++, .length = name.length};
    memcpy(e->name, name.text, name.length);
    *leaf_of(d)->directory.last = e;
    leaf_of(d)->directory.last = &e->next;
    n->names++;
    if (node_is(n, IS_DIRECTORY)) {
        n->parent = d;
        d->below++;
    }
    node_touch(d);
    return 0;
}

static void remove_name(struct store *s, struct node *d, struct entry **place)
{
    struct entry *e = *place;
    struct node *n = &e->leaf->node;
    *place = e->next;
    if (!e->next)
        leaf_of(d)->directory.last = place;
    n->names--;
    n->times[2] = node_now();
    if (node_is(n, IS_DIRECTORY)) {
        d->below--;
        if (!n->names)
            n->parent = NULL;
    }
    leaf_drop(s, n);
    store_give(s, e, sizeof *e + e->length);
    node_touch(d);
}

static int set_size(struct store *s, struct node *n, uint64_t size)
{
    struct leaf *l = leaf_of(n);
    if (size > l->data.room) {
        uint64_t room = size < 2 * l->data.room ? 2 * l->data.room : size;
        if (room - l->data.room > s->limit - s->used)
            room = size;
        if (room > SIZE_MAX / 2)
            return FBIG;
        if (room - l->data.room > s->limit - s->used)
            return NOSPC;
        uint8_t *bytes = realloc(l->data.bytes, room);
        if (!bytes)
            return NOSPC;
        s->used += room - l->data.room;
        l->data.bytes = bytes;
        l->data.room = room;
    }
    if (size > n->size)
        memset(l->data.bytes + n->size, 0, size - n->size);
    n->size = size;
    node_touch(n);
    return 0;
}

static int tree_make(struct store *s, struct node *d, struct name name, uint32_t mode,
                     struct name target, struct node **out)
{
    struct leaf *l = leaf_new(s, mode);
    if (!l)
        return NOSPC;
    int e = target.length ? set_size(s, &l->node, target.length) : 0;
    if (!e && target.length)
        memcpy(l->data.bytes, target.text, target.length);
    if (!e)
        e = add_name(s, d, name, &l->node);
    if (e) {
        leaf_drop(s, &l->node);
        return e;
    }
    *out = &l->node;
    node_hold(*out);
    return 0;
}

static int tree_remove(struct store *s, struct node *d, struct name name, struct node *n)
{
    if (node_is(n, IS_DIRECTORY) && leaf_of(n)->directory.first)
        return NOTEMPTY;
    remove_name(s, d, find(d, name));
    return 0;
}

static int tree_rename(struct store *s, struct node *from, struct name name, struct node *n,
                       struct node *to, struct name to_name, struct node *over)
{
    if (over && node_is(over, IS_DIRECTORY) && leaf_of(over)->directory.first)
        return NOTEMPTY;
    int e = add_name(s, to, to_name, n);
    if (e)
        return e;
    if (over)
        remove_name(s, to, find(to, to_name)); // the older one
    remove_name(s, from, find(from, name));
    return 0;
}

static int tree_read(struct store *s, struct node *n, uint64_t offset, uint8_t *bytes,
                     uint64_t *size)
{
    (void)s;
    memcpy(bytes, leaf_of(n)->data.bytes + offset, *size);
    return 0;
}

static int tree_write(struct store *s, struct node *n, uint64_t offset, const uint8_t *bytes,
                      uint64_t size)
{
    int e = offset + size > n->size ? set_size(s, n, offset + size) : 0;
    if (e)
        return e;
    memcpy(leaf_of(n)->data.bytes + offset, bytes, size);
    node_touch(n);
    return 0;
}

static int tree_list(struct store *s, struct node *d, uint64_t from, struct listing *l,
                     void **state)
{
    (void)s, (void)state;
    for (const struct entry *e = leaf_of(d)->directory.first; e; e = e->next)
        if (e->serial >= from && !list_entry(l, e->leaf->node.ino, e->leaf->node.mode,
                                             e->serial + 1, (struct name){e->name, e->length}))
            break;
    return 0;
}

static void tree_space(struct store *s, uint64_t *bytes, uint64_t *left)
{
    *bytes = s->limit;
    *left = s->limit - s->used;
}

static const struct store_ops ops = {.find = tree_find,
                                     .make = tree_make,
                                     .link = add_name,
                                     .remove = tree_remove,
                                     .rename = tree_rename,
                                     .read = tree_read,
                                     .write = tree_write,
                                     .set_size = set_size,
                                     .list = tree_list,
                                     .space = tree_space,
                                     .idle = leaf_drop};

// --- Life

struct store *tree_new(uint64_t limit)
{
    struct tree *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->store.ops = &ops;
    t->store.limit = limit;
    t->next_ino = 1;
    t->next_serial = 2; // behind the dots
    struct leaf *root = leaf_new(&t->store, IS_DIRECTORY | 0755);
    if (!root) {
        free(t);
        return NULL;
    }
    t->store.root = &root->node;
    root->node.names = 1; // so to speak
    return &t->store;
}

// The first name that holds nothing, until none is left: a tree may be deep.
void tree_free(struct store *s)
{
    struct node *d = s->root;
    while (d) {
        struct entry *e = leaf_of(d)->directory.first;
        if (e && node_is(&e->leaf->node, IS_DIRECTORY) && e->leaf->directory.first)
            d = &e->leaf->node;
        else if (e)
            remove_name(s, d, &leaf_of(d)->directory.first);
        else
            d = d->parent;
    }
    s->root->names = 0;
    leaf_drop(s, s->root);
    free(s);
}
