// SPDX-License-Identifier: MIT
// Small blocks: see slab.h. A page keeps its own list of free blocks; its account has a list, for
// each class, of the pages that have any.
#include "base/slab.h"
#include "base/assert.h"
#include "base/heap.h"

struct slab {
    struct slab *next, **self; // in its account's list of the class, when it has a free block
    struct account *payer;
    u16 free;        // offset of a block that was given back, and there that of the next; 0: none
    u16 used, fresh; // blocks in use; offset of those that were never used
    u16 class;
};

_Static_assert(SLAB_PAGE % SLAB_MAX >= sizeof(struct slab), "the largest fits twice");

// Each class after the one before it.
// clang-format off
#define SIZES                                                                                      \
    C(0, 16) C(16, 32) C(32, 48) C(48, 64) C(64, 80) C(80, 96) C(96, 128) C(128, 160) C(160, 192)  \
    C(192, 256) C(256, 320) C(320, 400) C(400, 496) C(496, 576) C(576, 672) C(672, 800)            \
    C(800, 1008) C(1008, 1344) C(1344, 2016)
// clang-format on
static const u16 sizes[ACCOUNT_SLABS] = {
#define C(less, size) size,
    SIZES
#undef C
};
enum {
#define C(less, size) CLASS_##size,
    SIZES
#undef C
};
static const u8 classes[SLAB_MAX / 16 + 1] = { // by size in 16 bytes, rounded up
#define C(less, size) [(less) / 16 + 1 ...(size) / 16] = CLASS_##size,
    SIZES
#undef C
};
_Static_assert(CLASS_2016 == ACCOUNT_SLABS - 1 && SLAB_MAX == 2016,
               "the last class is the largest");

static struct slab *nobodys[ACCOUNT_SLABS];
static u64 used; // bytes

u64 slab_used(void)
{
    return used;
}

static u32 class_of(size_t size)
{
    return classes[(size + 15) / 16];
}

static struct slab *slab_of(const void *p)
{
    return (struct slab *)((uintptr_t)p & ~(uintptr_t)(SLAB_PAGE - 1));
}

static struct slab **partial_of(struct account *payer, u32 class)
{
    return payer ? &payer->partial[class] : &nobodys[class];
}

static void enlist(struct slab *s)
{
    struct slab **head = partial_of(s->payer, s->class);
    s->next = *head;
    s->self = head;
    if (s->next)
        s->next->self = &s->next;
    *head = s;
}

static void delist(struct slab *s)
{
    *s->self = s->next;
    if (s->next)
        s->next->self = s->self;
}

static struct slab *new_slab(struct account *payer, u32 class)
{
    if (!account_charge(payer, ACCOUNT_KEPT, SLAB_PAGE))
        return NULL;
    struct slab *s = raw_page();
    if (!s) {
        account_discharge(payer, ACCOUNT_KEPT, SLAB_PAGE); // it is held, and does not end here
        return NULL;
    }
    *s = (struct slab){.payer = payer, .class = (u16)class, .fresh = SLAB_PAGE % sizes[class]};
    while (s->fresh < sizeof *s)
        s->fresh += sizes[class];
    s->fresh = ALIGN_UP(s->fresh, 16);
    enlist(s);
    return s;
}

static bool is_full(const struct slab *s)
{
    return !s->free && s->fresh + sizes[s->class] > SLAB_PAGE;
}

void *slab_alloc(struct account *payer, size_t size)
{
    u32 class = class_of(size);
    struct slab *s = *partial_of(payer, class);
    if (!s && !(s = new_slab(payer, class)))
        return NULL;
    u8 *p = (u8 *)s + s->free;
    if (s->free) {
        s->free = *(u16 *)p;
    } else {
        p = (u8 *)s + s->fresh;
        s->fresh += sizes[class];
    }
    s->used++;
    used += sizes[class];
    if (is_full(s))
        delist(s);
    return p;
}

struct slab *slab_free(void *p)
{
    struct slab *s = slab_of(p);
    bool full = is_full(s);
    assert(s->used && s->class < ACCOUNT_SLABS);
    used -= sizes[s->class];
    *(u16 *)p = s->free;
    s->free = (u16)((u8 *)p - (u8 *)s);
    s->used--;
    if (full)
        enlist(s);
    if (s->used)
        return NULL;
    delist(s);
    return s;
}

void slab_drop(struct slab *s)
{
    if (!s)
        return;
    struct account *payer = s->payer;
    raw_page_free(s);
    account_discharge(payer, ACCOUNT_KEPT, SLAB_PAGE);
}

size_t slab_size(const void *p)
{
    return sizes[slab_of(p)->class];
}
