// SPDX-License-Identifier: MIT
// Physical pages: a buddy allocator with one byte of notes a page.
//
// Blocks are of 2^0 to 2^9 pages and aligned to their size. A free block lies in the list of its
// order, with the links in itself, and its first page's note says so; a block that is freed merges
// with its neighbour as long as that is a free block of the same size. Since no block is larger
// than a chunk of 2 MiB, merging never looks beyond one: so chunks are begun only when they are
// needed, in order, and until then no note of a chunk is touched. Blocks are cut from the begun
// one's front while the lists have none; what nobody has had yet is in no list, and not touched
// either. That keeps booting short and memory that nobody needs untouched.
//
// Pages can be promised before anybody has them (vm.c), and what is promised is not there for
// others: taking a page and keeping the count are one step.
//
// One lock; nothing is called with it held. Page faults come here, so nothing here may fault.
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

enum { ORDERS = 10, CHUNK_PAGES = 1 << (ORDERS - 1) };
#define CHUNK (CHUNK_PAGES * PLAT_PAGE)

struct block {
    struct block *next, **self;
};

enum { NOTE_NONE, NOTE_FREE = 0x80 }; // + order

static struct {
    struct block *lists[ORDERS];
    u32 orders;                      // bit n: lists[n] is not empty
    struct range ranges[RANGES_MAX]; // of which nothing has been begun
    u32 nranges;
    struct range fresh; // begun: within one chunk
    u8 *notes;          // by page number
    u64 noted;          // up to where they are valid
    u64 free;           // pages in lists, ranges and fresh
    u64 first, least;   // of those: when the machine began, and at least
    u64 promised;
    u32 lock;
} pages;

u8 *page_note(u64 page)
{
    return &pages.notes[page / PLAT_PAGE];
}

u64 pages_free_count(void)
{
    return pages.free;
}

u64 plat_memory_peak(void)
{
    return (pages.first - pages.least) * PLAT_PAGE;
}

// Keeps them in the order of their addresses.
void pages_add(u64 from, u64 to)
{
    from = ALIGN_UP(from, PLAT_PAGE);
    to &= ~(PLAT_PAGE - 1);
    if (from >= to || pages.nranges == RANGES_MAX)
        return;
    u32 i = pages.nranges++;
    for (; i > 0 && pages.ranges[i - 1].from > from; i--)
        pages.ranges[i] = pages.ranges[i - 1];
    pages.ranges[i] = (struct range){from, to};
    pages.free += (to - from) / PLAT_PAGE;
}

// The notes lie at the end of the last range that has room, which is the last to be used.
void pages_init(u64 top)
{
    u64 size = ALIGN_UP(top / PLAT_PAGE, PLAT_PAGE);
    for (u32 i = pages.nranges; i-- > 0;) {
        struct range *r = &pages.ranges[i];
        if (r->to - r->from <= size)
            continue;
        r->to -= size;
        pages.free -= size / PLAT_PAGE;
        pages.notes = (u8 *)r->to;
        pages.first = pages.least = pages.free;
        return;
    }
    pc_panic(NULL, "no memory");
}

static void put(u64 page, u32 order)
{
    struct block *b = (struct block *)page;
    *page_note(page) = (u8)(NOTE_FREE + order);
    b->next = pages.lists[order];
    b->self = &pages.lists[order];
    if (b->next)
        b->next->self = &b->next;
    pages.lists[order] = b;
    pages.orders |= 1u << order;
}

static void take(u64 page, u32 order)
{
    struct block *b = (struct block *)page;
    *page_note(page) = NOTE_NONE;
    *b->self = b->next;
    if (b->next)
        b->next->self = b->self;
    if (!pages.lists[order])
        pages.orders &= ~(1u << order);
}

// The largest block that begins at a page and has at most `count` pages.
static u32 order_at(u64 page, u64 count)
{
    u32 aligned = (u32)__builtin_ctzll(page / PLAT_PAGE | CHUNK_PAGES);
    u32 fits = 63 - (u32)__builtin_clzll(count);
    return aligned < fits ? aligned : fits;
}

// Merged with its neighbours.
static void put_merged(u64 page, u32 order)
{
    while (order < ORDERS - 1) {
        u64 buddy = page ^ (PLAT_PAGE << order);
        if (*page_note(buddy) != NOTE_FREE + order)
            break;
        take(buddy, order);
        page &= ~(PLAT_PAGE << order);
        order++;
    }
    put(page, order);
}

SELDOM static void put_run(u64 from, u64 to)
{
    while (from < to) {
        u32 order = order_at(from, (to - from) / PLAT_PAGE);
        put_merged(from, order);
        from += PLAT_PAGE << order;
    }
}

// Begins the next range, or as much of it as is in one chunk. What is no memory, or was never free,
// keeps an empty note, and so nothing merges with it.
SELDOM static bool begin(void)
{
    if (!pages.nranges)
        return false;
    struct range *r = &pages.ranges[0];
    u64 chunk = r->from & ~(CHUNK - 1), end = chunk + CHUNK;
    if (pages.noted < end) { // or another range of this chunk was begun before
        for (u32 i = 0; i < CHUNK_PAGES / 8; i++)
            store_u64(page_note(chunk) + 8 * i, 0);
        pages.noted = end;
    }
    pages.fresh = (struct range){r->from, r->to < end ? r->to : end};
    r->from = pages.fresh.to;
    if (r->from == r->to)
        for (pages.nranges--; r < pages.ranges + pages.nranges; r++)
            *r = r[1];
    return true;
}

// Of what nobody has had yet; before it, what does not lie where such a block may. 0: there is none
// that large, but in the lists maybe, where what was left is now.
static u64 cut(u32 order)
{
    struct range *r = &pages.fresh;
    u64 size = PLAT_PAGE << order, page = ALIGN_UP(r->from, size), to = page + size;
    bool fits = to <= r->to;
    put_run(r->from, fits ? page : r->to);
    r->from = fits ? to : r->to;
    return fits ? page : 0;
}

static u64 alloc_listed(u32 order)
{
    u32 have = order + (u32)__builtin_ctz(pages.orders >> order);
    u64 page = (u64)pages.lists[have];
    take(page, have);
    while (have > order) {
        have--;
        put(page + (PLAT_PAGE << have), have);
    }
    return page;
}

static u64 alloc_locked(u32 order)
{
    u64 page = 0;
    while (!page) {
        if (pages.orders >> order)
            page = alloc_listed(order);
        else if (!(page = cut(order)) && !(pages.orders >> order) && !begin())
            return 0;
    }
    pages.free -= 1ull << order;
    if (pages.free < pages.least)
        pages.least = pages.free;
    return page;
}

static struct {
    u64 n; // requests, until one is refused; 0: never
    bool all;
} refuse;

void memory_refuse(u64 n, bool all)
{
    refuse.all = all;
    __atomic_store_n(&refuse.n, n, __ATOMIC_RELAXED);
}

bool memory_refused(void)
{
    u64 n = __atomic_load_n(&refuse.n, __ATOMIC_RELAXED);
    if (likely(!n))
        return false;
    if (n > 1 || !refuse.all)
        __atomic_fetch_sub(&refuse.n, 1, __ATOMIC_RELAXED);
    return n == 1;
}

static bool available(u64 count)
{
    if (unlikely(memory_refused()))
        return false;
    return pages.free >= pages.promised && pages.free - pages.promised >= count;
}

u64 page_alloc(u32 order)
{
    spin_lock_deep(&pages.lock, PAGES_REACH);
    u64 page = available(1ull << order) ? alloc_locked(order) : 0;
    spin_unlock(&pages.lock);
    return page;
}

bool pages_promise(u64 count)
{
    spin_lock_deep(&pages.lock, PAGES_REACH);
    bool done = available(count);
    if (done)
        pages.promised += count;
    spin_unlock(&pages.lock);
    return done;
}

void pages_unpromise(u64 count)
{
    spin_lock_deep(&pages.lock, PAGES_REACH);
    pages.promised -= count;
    spin_unlock(&pages.lock);
}

u64 page_claim(void)
{
    spin_lock_deep(&pages.lock, PAGES_REACH);
    u64 page = pages.promised ? alloc_locked(0) : 0;
    pages.promised--;
    spin_unlock(&pages.lock);
    if (unlikely(!page))
        pc_panic(NULL, "a promised page is not there");
    return page;
}

static void free_locked(u64 page, u32 order)
{
    pages.free += 1ull << order;
    put_merged(page, order);
}

void page_unclaim(u64 page)
{
    spin_lock_deep(&pages.lock, PAGES_REACH);
    pages.promised++;
    *page_note(page) = NOTE_NONE;
    free_locked(page, 0);
    spin_unlock(&pages.lock);
}

void page_free(u64 page, u32 order)
{
    spin_lock_deep(&pages.lock, PAGES_REACH);
    *page_note(page) = NOTE_NONE;
    free_locked(page, order);
    spin_unlock(&pages.lock);
}

void page_free_run(u64 page, u64 count)
{
    spin_lock_deep(&pages.lock, PAGES_REACH);
    while (count) {
        u32 order = order_at(page, count);
        *page_note(page) = NOTE_NONE;
        free_locked(page, order);
        page += PLAT_PAGE << order;
        count -= 1ull << order;
    }
    spin_unlock(&pages.lock);
}
