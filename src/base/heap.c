// SPDX-License-Identifier: MIT
// The heap: see heap.h. In front of each block stands who pays for it, and how much by itself.
#include "base/heap.h"
#include "base/account.h"

struct block {
    struct account *payer; // NULL: nobody
    u64 charged;
    u8 bytes[] __attribute__((aligned(16)));
};

_Static_assert(sizeof(struct block) == 16, "blocks stay aligned");

struct account *(*heap_who_runs)(void);

static struct block *block_of(const void *bytes)
{
    return container_of((u8(*)[])bytes, struct block, bytes);
}

static struct account *payer(void)
{
    return heap_who_runs ? heap_who_runs() : NULL;
}

static void *charge(struct block *b, struct account *to)
{
    if (!b)
        return NULL;
    b->payer = to;
    b->charged = to ? raw_size(b) : 0;
    if (!b->charged || account_charge(to, ACCOUNT_KEPT, b->charged))
        return b->bytes;
    raw_free(b);
    return NULL;
}

static bool with_header(size_t size, size_t *out)
{
    return !__builtin_add_overflow(size, sizeof(struct block), out);
}

void *heap_alloc(size_t size)
{
    struct account *to = payer();
    return with_header(size, &size) ? charge(raw_alloc(size, to), to) : NULL;
}

static void *zalloc(size_t size, struct account *to)
{
    return with_header(size, &size) ? charge(raw_zalloc(size, to), to) : NULL;
}

void *heap_zalloc(size_t size)
{
    return zalloc(size, payer());
}

void *heap_zalloc_for(struct account *to, size_t size)
{
    return zalloc(size, to);
}

struct account *heap_payer(const void *block)
{
    return block_of(block)->payer;
}

void heap_free(void *block)
{
    if (!block)
        return;
    struct block *b = block_of(block);
    struct account *to = b->payer;
    u64 charged = b->charged;
    raw_free(b);
    if (charged)
        account_discharge(to, ACCOUNT_KEPT, charged);
}

// It stays with who pays for it, who is asked before.
void *heap_resize(void *block, size_t size)
{
    if (!block)
        return heap_alloc(size);
    if (!with_header(size, &size))
        return NULL;
    struct block *b = block_of(block);
    struct account *to = b->payer;
    u64 had = b->charged, asked = size > had ? size : had;
    if (!account_charge(to, ACCOUNT_KEPT, asked - had))
        return NULL;
    struct block *moved = raw_resize(b, size, to);
    u64 is = !to ? 0 : moved ? raw_size(moved) : had;
    if (moved && is > asked && !account_charge(to, ACCOUNT_KEPT, is - asked))
        is = asked; // a few bytes more than was asked for
    if (is < asked)
        account_discharge(to, ACCOUNT_KEPT, asked - is);
    if (!moved)
        return NULL;
    moved->charged = is;
    return moved->bytes;
}
