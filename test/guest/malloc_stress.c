// SPDX-License-Identifier: MIT
// malloc, realloc and free in random order, every block filled and checked.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 1000, ROUNDS = 60000 };

static uint32_t state = 12345;

static uint32_t next(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
}

static struct block {
    unsigned char *data;
    size_t size;
} blocks[BLOCKS];

static int intact(const struct block *b)
{
    for (size_t i = 0; i < b->size; i += 61) {
        if (b->data[i] != (unsigned char)(b->size + i))
            return 0;
    }
    return 1;
}

static void fill(struct block *b)
{
    for (size_t i = 0; i < b->size; i++)
        b->data[i] = (unsigned char)(b->size + i);
}

int main(void)
{
    size_t allocated = 0, freed = 0, moved = 0;

    for (int round = 0; round < ROUNDS; round++) {
        struct block *b = &blocks[next() % BLOCKS];
        size_t size = next() % 16 ? next() % 200 : next() % 20000;
        if (b->data && !intact(b)) {
            printf("round %d: a block of %zu is damaged\n", round, b->size);
            return 1;
        }
        if (!b->data || next() % 4 == 0) {
            unsigned char *data = realloc(b->data, size + 1);
            if (!data)
                return 2;
            moved += b->data != NULL;
            allocated += b->data == NULL;
            *b = (struct block){data, size};
            fill(b);
        } else {
            free(b->data);
            *b = (struct block){0};
            freed++;
        }
    }
    printf("%zu allocated, %zu resized, %zu freed\n", allocated, moved, freed);
    return 0;
}
