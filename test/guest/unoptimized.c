// SPDX-License-Identifier: MIT
// Unoptimized code: every variable in memory, every branch taken literally, shadow stack busy.
#include <stdint.h>
#include <stdio.h>

struct node {
    int key;
    struct node *left, *right;
};

static struct node pool[2000];
static int used;

static struct node *insert(struct node *root, int key)
{
    if (!root) {
        struct node *n = &pool[used++];
        n->key = key;
        return n;
    }
    if (key < root->key)
        root->left = insert(root->left, key);
    else if (key > root->key)
        root->right = insert(root->right, key);
    return root;
}

static int depth(const struct node *n)
{
    if (!n)
        return 0;
    int l = depth(n->left), r = depth(n->right);
    return 1 + (l > r ? l : r);
}

static long sum(const struct node *n, int level)
{
    return n ? n->key * level + sum(n->left, level + 1) + sum(n->right, level + 1) : 0;
}

static int collatz(uint32_t n)
{
    int steps = 0;
    do {
        if (n == 1)
            break;
        if (n & 1) {
            n = 3 * n + 1;
            goto counted;
        }
        n /= 2;
    counted:
        steps++;
    } while (1);
    return steps;
}

int main(void)
{
    struct node *root = NULL;
    uint32_t x = 1;
    for (int i = 0; i < 2000; i++) {
        x = x * 1103515245 + 12345;
        root = insert(root, (int)(x >> 16) % 5000);
    }
    printf("%d nodes, depth %d, sum %ld\n", used, depth(root), sum(root, 1));
    int longest = 0;
    for (uint32_t n = 1; n < 3000; n++) {
        int steps = collatz(n);
        if (steps > longest)
            longest = steps;
    }
    printf("%d\n", longest);
    return 0;
}
