// SPDX-License-Identifier: MIT
// The kernel's heap, in three sizes.
//
// Small blocks share pages: a page holds blocks of one size class and keeps its own list of free
// ones; its class has a list of the pages that have any. Blocks of 2 KiB to 64 KiB are runs of
// whole pages, with their number in the note of the first. Larger ones are reservations (vm.c),
// whose pages come when they are touched, and which grow in place. Which of the three a block is
// shows in its address: reservations lie high, runs begin at a page, small blocks never do.
//
// A page without a block in use goes back at once, but when its class has no other with room: who
// makes something and gives it back, again and again, would else make a page each time. One lock,
// for small blocks, runs and the count.
#include "base/heap.h"
#include "base/lookup.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

enum { SMALL_MAX = 2032, RUN_PAGES = 16, CLASSES = 19 };
#define RUN_MAX (RUN_PAGES * PLAT_PAGE)

struct slab {
    struct slab *next, **self; // in the list of its class, when it has a free block
    void *free;                // blocks that were given back
    u16 used, fresh;           // blocks in use; offset of those that were never used
    u32 class;
};

// Each class after the one before it.
// clang-format off
#define SIZES                                                                                      \
    C(0, 16) C(16, 32) C(32, 48) C(48, 64) C(64, 80) C(80, 96) C(96, 128) C(128, 160) C(160, 192)  \
    C(192, 256) C(256, 320) C(320, 400) C(400, 496) C(496, 576) C(576, 672) C(672, 800)            \
    C(800, 1008) C(1008, 1344) C(1344, 2032)
// clang-format on
static const u16 sizes[CLASSES] = {
#define C(less, size) size,
    SIZES
#undef C
};
enum {
#define C(less, size) CLASS_##size,
    SIZES
#undef C
};
static const u8 classes[SMALL_MAX / 16 + 1] = { // by size in 16 bytes, rounded up
#define C(less, size) [(less) / 16 + 1 ...(size) / 16] = CLASS_##size,
    SIZES
#undef C
};
_Static_assert(CLASS_2032 == CLASSES - 1 && SMALL_MAX == 2032, "the last class is the largest");
static struct slab *partial[CLASSES];
static u64 used; // bytes
static u32 lock;

u64 heap_used(void)
{
    return used;
}

static u32 class_of(size_t size)
{
    return classes[(size + 15) / 16];
}

static bool is_reservation(const void *p)
{
    return (u64)p >= WINDOW_SMALL;
}

static bool is_run(const void *p)
{
    return !((u64)p & (PLAT_PAGE - 1));
}

static struct slab *slab_of(const void *p)
{
    return (struct slab *)((u64)p & ~(PLAT_PAGE - 1));
}

// --- Small blocks

static void enlist(struct slab *s)
{
    struct slab **head = &partial[s->class];
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

static struct slab *new_slab(u32 class)
{
    u64 page = page_alloc(0);
    if (!page)
        return NULL;
    struct slab *s = (struct slab *)page;
    *s = (struct slab){.class = class, .fresh = PLAT_PAGE % sizes[class]};
    while (s->fresh < sizeof *s)
        s->fresh += sizes[class];
    s->fresh = ALIGN_UP(s->fresh, 16);
    enlist(s);
    vm_keep(1);
    return s;
}

static bool is_full(const struct slab *s)
{
    return !s->free && s->fresh + sizes[s->class] > PLAT_PAGE;
}

static void *small_alloc(u32 class)
{
    struct slab *s = partial[class];
    if (!s && !(s = new_slab(class)))
        return NULL;
    if (!s->used)
        vm_keep(-1);
    void *p = s->free;
    if (p) {
        s->free = *(void **)p;
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

static void small_free(void *p)
{
    struct slab *s = slab_of(p);
    bool full = is_full(s);
    used -= sizes[s->class];
    *(void **)p = s->free;
    s->free = p;
    s->used--;
    if (full)
        enlist(s);
    if (s->used)
        return;
    if (s->next || partial[s->class] != s) {
        delist(s);
        page_free((u64)s, 0);
    } else {
        vm_keep(1);
    }
}

// --- Runs of pages

static void *run_alloc(size_t size)
{
    u32 count = (u32)((size + PLAT_PAGE - 1) / PLAT_PAGE), order = 0;
    while (1u << order < count)
        order++;
    u64 page = page_alloc(order);
    if (!page)
        return NULL;
    page_free_run(page + count * PLAT_PAGE, (1u << order) - count);
    *page_note(page) = (u8)count;
    used += count * PLAT_PAGE;
    return (void *)page;
}

static void run_free(void *p)
{
    u32 count = *page_note((u64)p);
    used -= count * PLAT_PAGE;
    page_free_run((u64)p, count);
}

// --- Any

static void count(u64 bytes)
{
    spin_lock(&lock);
    used += bytes;
    spin_unlock(&lock);
}

static void *large_alloc(size_t size)
{
    void *p = size < WINDOW_HUGE ? vm_alloc(size) : NULL;
    if (p)
        count(vm_size(p));
    return p;
}

static void large_free(void *p)
{
    count(-vm_size(p));
    plat_release(p, 0);
}

void *raw_alloc(size_t size)
{
    if (unlikely(memory_refused()))
        return NULL;
    if (size > RUN_MAX)
        return large_alloc(size);
    spin_lock(&lock);
    void *p = size <= SMALL_MAX ? small_alloc(class_of(size)) : run_alloc(size);
    spin_unlock(&lock);
    return p;
}

void *raw_zalloc(size_t size)
{
    void *p = raw_alloc(size);
    if (p && size <= RUN_MAX)
        memset(p, 0, size);
    return p;
}

void raw_free(void *p)
{
    if (!p)
        return;
    if (is_reservation(p)) {
        large_free(p);
        return;
    }
    spin_lock(&lock);
    if (is_run(p))
        run_free(p);
    else
        small_free(p);
    spin_unlock(&lock);
}

size_t raw_size(const void *p)
{
    if (is_reservation(p))
        return vm_size(p);
    return is_run(p) ? *page_note((u64)p) * PLAT_PAGE : sizes[slab_of(p)->class];
}

static bool resize_in_place(void *p, size_t size)
{
    size_t room = raw_size(p);
    if (!is_reservation(p) || size <= RUN_MAX)
        return size <= room && size >= room / 2;
    if (!vm_resize(p, size))
        return false;
    count(vm_size(p) - room);
    return true;
}

// Large blocks may take long.
static void copy(u8 *to, const u8 *from, size_t size)
{
    for (size_t n; size > LOOK_UP; to += n, from += n, size -= n) {
        memcpy(to, from, n = LOOK_UP);
        look_up();
    }
    memcpy(to, from, size);
}

void *raw_resize(void *p, size_t size)
{
    if (!p)
        return raw_alloc(size);
    if (resize_in_place(p, size))
        return p;
    size_t room = raw_size(p);
    void *to = raw_alloc(size);
    if (!to)
        return NULL;
    copy(to, p, room < size ? room : size);
    raw_free(p);
    return to;
}
