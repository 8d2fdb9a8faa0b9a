// SPDX-License-Identifier: MIT
// The heap: see heap.h. In front of each block stands who pays for it, and how much by itself.
#include "base/heap.h"
#include "base/account.h"
#include "base/lookup.h"

struct block {
    struct account *payer; // NULL: nobody
    u64 charged;
    u8 bytes[] __attribute__((aligned(16)));
};

_Static_assert(sizeof(struct block) == 16, "blocks stay aligned");

enum { FREED_AT_ONCE = 16 << 20 }; // bytes

struct account *(*heap_who_runs)(void);

static struct block *block_of(const void *bytes)
{
    return container_of((u8(*)[])bytes, struct block, bytes);
}

static struct account *payer(void)
{
    return heap_who_runs ? heap_who_runs() : NULL;
}

static inline void *charge(struct block *b, size_t size, struct account *to)
{
    if (unlikely(!b))
        return NULL;
    b->payer = to;
    b->charged = size > raw_paid && to ? raw_size(b) : 0;
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
    return with_header(size, &size) ? charge(raw_alloc(size, to), size, to) : NULL;
}

static inline void *zalloc(size_t size, struct account *to)
{
    return with_header(size, &size) ? charge(raw_zalloc(size, to), size, to) : NULL;
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

// To give pages back takes time for each.
static __attribute__((noinline)) void shrink(struct block *b)
{
    enum { PIECE = 4 << 20 };
    for (size_t size = raw_room(b); size > FREED_AT_ONCE; look_up())
        raw_resize(b, size -= PIECE);
}

void heap_free(void *block)
{
    if (!block)
        return;
    struct block *b = block_of(block);
    struct account *to = b->payer;
    u64 charged = b->charged;
    if (unlikely(charged > FREED_AT_ONCE))
        shrink(b);
    raw_free(b);
    if (charged)
        account_discharge(to, ACCOUNT_KEPT, charged);
}

static void copy(u8 *to, const u8 *from, size_t size)
{
    for (size_t n; size > LOOK_UP; to += n, from += n, size -= n) {
        memcpy(to, from, n = LOOK_UP);
        look_up();
    }
    memcpy(to, from, size);
}

// It stays with who pays for it.
static void *move(struct block *b, size_t size)
{
    size_t room = raw_room(b);
    u8 *to = charge(raw_alloc(size, b->payer), size, b->payer);
    if (!to)
        return NULL;
    copy(to, b->bytes, (room < size ? room : size) - sizeof *b);
    heap_free(b->bytes);
    return to;
}

// Who pays is asked before.
SELDOM void *heap_resize(void *block, size_t size)
{
    if (!block)
        return heap_alloc(size);
    if (!with_header(size, &size))
        return NULL;
    struct block *b = block_of(block), *moved;
    size_t takes = raw_takes(b, size);
    if (takes == RAW_MOVES)
        return move(b, size);
    struct account *to = b->payer;
    u64 had = b->charged, more = to && takes > had ? takes - had : 0;
    if (!account_charge(to, ACCOUNT_KEPT, more))
        return NULL;
    if (!(moved = raw_resize(b, size))) {
        account_discharge(to, ACCOUNT_KEPT, more);
        return NULL;
    }
    moved->charged = had + more;
    if (to && takes < had) {
        account_discharge(to, ACCOUNT_KEPT, had - takes);
        moved->charged = takes;
    }
    return moved->bytes;
}
