/* SPDX-License-Identifier: MIT */
/*
 * trees: binary trees are built and dropped over and over, with an allocator of our own (a free
 * list over an arena), beside one tree that lives long; then a search tree is filled and
 * rebalanced by rotation. Allocation, recursion, pointers.
 */
#include "bench.h"

enum { NODES = 1 << 18 };

struct node {
    struct node *left, *right;
    u32 key;
};

static struct node arena[NODES];
static struct node *free_list;
static u32 arena_used;

static struct node *node_new(struct node *left, struct node *right, u32 key)
{
    struct node *n = free_list;

    if (n != NULL)
        free_list = n->left;
    else if (arena_used < NODES)
        n = &arena[arena_used++];
    else
        bench_fail("no node left");
    n->left = left;
    n->right = right;
    n->key = key;
    return n;
}

static void node_free(struct node *n)
{
    n->left = free_list;
    free_list = n;
}

static struct node *build(u32 depth, u32 key)
{
    if (depth == 0)
        return node_new(NULL, NULL, key);
    return node_new(build(depth - 1, 2 * key), build(depth - 1, 2 * key + 1), key);
}

static u32 total(const struct node *n)
{
    return n == NULL ? 0 : n->key + 3 * total(n->left) + 5 * total(n->right);
}

static void drop(struct node *n)
{
    if (n == NULL)
        return;
    drop(n->left);
    drop(n->right);
    node_free(n);
}

/* A treap: the priority of a key is its hash, so that the tree needs no further field. */
static u32 priority(u32 key)
{
    key *= 0x9e3779b1;
    return key ^ key >> 15;
}

static struct node *insert(struct node *n, u32 key)
{
    struct node *child;

    if (n == NULL)
        return node_new(NULL, NULL, key);
    if (key < n->key) {
        child = n->left = insert(n->left, key);
        if (priority(child->key) <= priority(n->key))
            return n;
        n->left = child->right;
        child->right = n;
    } else {
        if (key == n->key)
            return n;
        child = n->right = insert(n->right, key);
        if (priority(child->key) <= priority(n->key))
            return n;
        n->right = child->left;
        child->left = n;
    }
    return child;
}

static u64 bench_body(double scale)
{
    u32 rounds = bench_count(scale, 150);
    struct node *lasting = build(14, 1);
    u64 seed = 13, sum = 0;

    for (u32 r = 0; r < rounds; r++) {
        struct node *tree;

        for (u32 depth = 6; depth <= 14; depth += 4) {
            for (u32 i = 0; i < 1u << (14 - depth); i++) {
                tree = build(depth, i + r);
                sum = bench_mix(sum, total(tree));
                drop(tree);
            }
        }
        tree = NULL;
        for (u32 i = 0; i < 5000; i++)
            tree = insert(tree, bench_random(&seed));
        sum = bench_mix(sum, total(tree));
        drop(tree);
    }
    sum = bench_mix(sum, total(lasting));
    drop(lasting);
    return sum;
}
