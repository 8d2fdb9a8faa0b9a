// SPDX-License-Identifier: MIT
// Sparse arrays of pointers for the memory file system: a tree of small nodes of 16 ways, which
// grows at its root. So nothing is ever moved or made anew as a whole, and what is not there takes
// nothing.
#include "base/assert.h"
#include "fs/memory_node.h"

enum { BITS = 4, WAYS = 1 << BITS, DEEPEST = 64 / BITS };

struct place_node {
    u16 used; // bit i: at[i] is there; one without any is not
    void *at[WAYS];
};

static u32 digit(u64 i, u32 level)
{
    return (u32)(i >> level * BITS) % WAYS;
}

static bool is_beyond(const struct places *a, u64 i)
{
    return a->height < DEEPEST && i >> a->height * BITS;
}

void **place_at(const struct places *a, u64 i)
{
    if (is_beyond(a, i))
        return NULL;
    void **at = NULL;
    for (u32 level = a->height; level--;) {
        struct place_node *n = at ? *at : a->root;
        if (!(n->used >> digit(i, level) & 1))
            return NULL;
        at = &n->at[digit(i, level)];
    }
    return at;
}

void place_drop(struct memfs *fs, struct places *a, u64 i)
{
    struct place_node *way[DEEPEST], *n = a->root;
    u32 level = a->height;
    while (n && level) {
        way[--level] = n;
        n = level && n->used >> digit(i, level) & 1 ? n->at[digit(i, level)] : NULL;
    }
    for (; level < a->height; level++) {
        way[level]->used &= (u16) ~(1u << digit(i, level));
        if (way[level]->used)
            return;
        mem_release(fs, way[level], sizeof *way[level]);
    }
    *a = (struct places){NULL, 0};
}

// Makes the tree as high as place i needs it.
static bool reach(struct memfs *fs, struct places *a, u64 i)
{
    if (!a->root) {
        if (!(a->root = mem_alloc(fs, sizeof *a->root)))
            return false;
        for (a->height = 1; is_beyond(a, i);)
            a->height++;
    }
    for (struct place_node *n; is_beyond(a, i); a->height++) {
        if (!(n = mem_alloc(fs, sizeof *n)))
            return false;
        n->used = 1;
        n->at[0] = a->root;
        a->root = n;
    }
    return true;
}

void **place_add(struct memfs *fs, struct places *a, u64 i)
{
    if (!reach(fs, a, i))
        return NULL;
    struct place_node *n = a->root;
    for (u32 level = a->height; --level;) {
        u32 k = digit(i, level);
        if (!(n->used >> k & 1)) {
            if (!(n->at[k] = mem_alloc(fs, sizeof *n))) {
                place_drop(fs, a, i);
                return NULL;
            }
            n->used |= (u16)(1u << k);
        }
        n = n->at[k];
    }
    assert(!(n->used >> digit(i, 0) & 1));
    n->used |= (u16)(1u << digit(i, 0));
    n->at[digit(i, 0)] = NULL;
    return &n->at[digit(i, 0)];
}

// Where a node has nothing from there on, the way begins anew behind it, so that each time it comes
// further down.
void *place_next(const struct places *a, u64 i)
{
    while (a->root && !is_beyond(a, i)) {
        const struct place_node *n = a->root;
        for (u32 level = a->height; level--;) {
            u32 k = digit(i, level), rest = n->used >> k;
            if (!rest) {
                u32 shift = (level + 1) * BITS;
                if (level + 1 == a->height)
                    return NULL;
                i = ((i >> shift) + 1) << shift;
                break;
            }
            if (!(rest & 1)) // another one, from its beginning
                i = ((i >> level * BITS) + (u32)__builtin_ctz(rest)) << level * BITS;
            void *at = n->at[digit(i, level)];
            if (!level)
                return at;
            n = at;
        }
    }
    return NULL;
}

void *place_last(const struct places *a, u64 *i)
{
    const struct place_node *n = a->root;
    if (!n)
        return NULL;
    *i = 0;
    for (u32 level = a->height;; level--) {
        u32 k = 31 - (u32)__builtin_clz(n->used);
        *i = *i << BITS | k;
        if (level == 1)
            return n->at[k];
        n = n->at[k];
    }
}
