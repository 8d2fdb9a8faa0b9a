// SPDX-License-Identifier: MIT
// malloc while threads come in between: blocks of all sizes, filled, checked, grown and freed in
// no particular order.
#include <stdlib.h>
#include <string.h>
#include <sip.h>

enum { THREADS = 4, BLOCKS = 60, ROUNDS = 1500 };

struct block {
    unsigned char *at;
    uint32_t size, fill;
};

static void check(const struct block *b)
{
    for (uint32_t i = 0; i < b->size; i++)
        if (b->at[i] != b->fill)
            sip_panic("byte %u of a block of %u is %u, not %u", i, b->size, b->at[i], b->fill);
}

static void renew(struct block *b, uint32_t random, uint32_t fill)
{
    uint32_t size = random % 17 ? random % 300 : random % 20000;
    check(b);
    if (random & 1 << 20) {
        free(b->at);
        b->at = NULL;
    }
    b->at = b->at ? realloc(b->at, size + 1) : malloc(size + 1);
    if (!b->at || (uintptr_t)b->at % 16)
        sip_panic("%u bytes are at %p", size, (void *)b->at);
    b->size = size;
    b->fill = fill;
    memset(b->at, (int)fill, size);
}

static int32_t work(void *arg)
{
    uint32_t number = (uint32_t)(uintptr_t)arg, random = number + 1;
    struct block blocks[BLOCKS] = {{0}};
    for (uint32_t i = 0; i < ROUNDS; i++) {
        random = random * 1664525 + 1013904223;
        renew(&blocks[(random >> 8) % BLOCKS], random >> 4, (number * 50 + i) & 255);
    }
    for (uint32_t i = 0; i < BLOCKS; i++) {
        check(&blocks[i]);
        free(blocks[i].at);
    }
    return (int32_t)number * 10;
}

// A compiler that sees a block that nobody uses would take it for granted.
static void refused(void *volatile block)
{
    if (block)
        sip_panic("more memory than there is");
}

// What does not exist cannot be had, and zeros are zeros though the memory was used before.
static void edges(void)
{
    refused(malloc(SIZE_MAX));
    refused(malloc(SIZE_MAX - 100));
    refused(calloc(1 << 20, 1 << 20));
    unsigned char *zeros = calloc(100, 100);
    for (int i = 0; i < 10000; i++)
        if (zeros[i])
            sip_panic("calloc: byte %d is %u", i, zeros[i]);
    free(zeros);
    free(NULL);
}

int main(void)
{
    struct sip_thread threads[THREADS];
    int32_t value;
    for (int i = 0; i < THREADS; i++)
        sip_must(sip_thread_start(&threads[i], work, (void *)i, 8192), "a thread");
    for (int i = 0; i < THREADS; i++) {
        sip_must(sip_thread_join(&threads[i], &value), "joining");
        sip_printf("thread %d returns %d\n", i, value);
    }
    edges();
    return 0;
}
