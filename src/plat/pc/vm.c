// SPDX-License-Identifier: MIT
// Reservations: address space that fills with zeroed pages as it is touched.
//
// Address space is cut into slots of 2 MiB, 32 MiB and 8 GiB, and a reservation is a slot; the slot
// of an address, and so its record, is found by shifting. What is committed of it is one interval:
// commits extend it, decommits cut it at an end. A page fault inside it maps a page, one outside it
// is the guest's or ours.
//
// A fault must not fail for want of memory, for C code may be in the middle of anything. So to
// commit is to promise: the pages, and the tables they may need, are set aside from what others may
// take, and a commit that cannot be kept fails. Stacks alone are not promised (plat_commit_stack),
// since they are large and almost never used: there, the fault that finds no memory is reported to
// the hook, which ends the call. But a host function must not be ended in the middle, so the last
// pages are kept back for its stack.
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

struct slot {
    u64 from, to; // committed
    bool used, stack;
    u32 next; // free slot + 1
    u64 reserved;
};
_Static_assert(sizeof(struct slot) == 32, "so that finding one takes no division");

enum { SLOTS_A_PAGE = PLAT_PAGE / sizeof(struct slot), SLOT_PAGES = 256 };

enum { WINDOWS = 3 };
static const struct place {
    u64 base, end;
    u32 shift;
} places[WINDOWS] = {
    {WINDOW_SMALL, WINDOW_MIDDLE, 21},
    {WINDOW_MIDDLE, WINDOW_CODE, 25},
    {WINDOW_HUGE, WINDOW_END, 33},
};

static struct window {
    u32 made;   // slots that have ever been used
    u32 unused; // a free one + 1
    struct slot *pages[SLOT_PAGES];
} windows[WINDOWS];

static u64 promised_pages;  // committed, but not there yet
static u64 promised_tables; // that all that is committed may need
u64 vm_kept_pages;          // of slot records
static u32 lock;

// --- Promises

void vm_promise(s64 pages, s64 tables)
{
    promised_pages += (u64)pages;
    promised_tables += (u64)tables;
}

bool vm_available(u64 pages)
{
    u64 set_aside = promised_pages + (promised_tables - tables_count()) + PAGES_RESERVE;
    u64 free = pages_free_count();
    return free >= set_aside && free - set_aside >= pages;
}

u64 vm_tables(u64 from, u64 to)
{
    u64 n = 0;
    for (u32 shift = 21; from < to && shift <= 39; shift += 9)
        n += ((to - 1) >> shift) - (from >> shift) + 1;
    return n;
}

// --- Slots

__attribute__((returns_nonnull)) static struct slot *slot_at(const struct window *w, u32 i)
{
    return &w->pages[i / SLOTS_A_PAGE][i % SLOTS_A_PAGE];
}

static const struct place *place_of(const struct window *w)
{
    return &places[w - windows];
}

static u64 slot_base(const struct window *w, u32 i)
{
    return place_of(w)->base + ((u64)i << place_of(w)->shift);
}

static u32 slot_number(const struct window *w, u64 address)
{
    return (u32)((address - place_of(w)->base) >> place_of(w)->shift);
}

static struct window *window_of(u64 address)
{
    u32 i = address >= WINDOW_HUGE ? 2 : address >= WINDOW_MIDDLE;
    return address - places[i].base < places[i].end - places[i].base ? &windows[i] : NULL;
}

// The record of a slot, in use or not; NULL: there has never been one.
static inline struct slot *record(const struct window *w, u64 offset, u32 shift)
{
    u64 i = offset >> shift;
    return i < w->made ? slot_at(w, (u32)i) : NULL;
}

// That of an address. One comparison for linear memories, which fault the most: they are the last
// window, and no address outside of it has a number that small.
static inline struct slot *find(u64 address)
{
    struct slot *s = record(&windows[2], address - WINDOW_HUGE, 33);
    if (likely(s))
        return s;
    const struct window *w = window_of(address);
    return w ? record(w, address - place_of(w)->base, place_of(w)->shift) : NULL;
}

static struct slot *find_or_die(const void *p)
{
    struct slot *s = find((u64)p);
    if (!s || !s->used)
        pc_panic(NULL, "%p is in no reservation", p);
    return s;
}

// Records of slots are kept for ever.
static bool add_slot(struct window *w)
{
    u32 i = w->made;
    if (i / SLOTS_A_PAGE >= SLOT_PAGES || slot_base(w, i + 1) > place_of(w)->end)
        return false;
    struct slot **page = &w->pages[i / SLOTS_A_PAGE];
    if (!*page) {
        u64 fresh = vm_available(1) ? page_alloc(0) : 0;
        if (!fresh)
            return false;
        page_clear(fresh);
        *page = (struct slot *)fresh;
        vm_kept_pages++;
    }
    w->made++;
    slot_at(w, i)->next = w->unused;
    w->unused = i + 1;
    return true;
}

static void *reserve(size_t size)
{
    for (u32 i = 0; i < WINDOWS; i++) {
        struct window *w = &windows[i];
        if (size > 1ull << places[i].shift)
            continue;
        if (!w->unused && !add_slot(w))
            return NULL;
        u32 number = w->unused - 1;
        struct slot *s = slot_at(w, number);
        w->unused = s->next;
        *s = (struct slot){.used = true};
        return (void *)slot_base(w, number);
    }
    return NULL;
}

void *plat_reserve(size_t size)
{
    spin_lock(&lock);
    void *p = reserve(size);
    spin_unlock(&lock);
    return p;
}

// --- Committing

static bool commit(struct slot *s, u64 from, u64 to, bool stack)
{
    bool first = s->from == s->to;
    if (!first && to != s->from && from != s->to)
        return false;
    u64 low = first || from < s->from ? from : s->from, high = first || to > s->to ? to : s->to;
    u64 pages = stack ? 0 : (to - from) / PLAT_PAGE;
    u64 tables = vm_tables(low, high) - vm_tables(s->from, s->to);
    if (!vm_available(pages + tables))
        return false;
    vm_promise((s64)pages, (s64)tables);
    s->from = low;
    s->to = high;
    s->stack = stack;
    return true;
}

static status commit_as(void *p, size_t size, bool stack)
{
    if (((u64)p | size) & (PLAT_PAGE - 1))
        return ERR_INVALID_ARG;
    if (!size)
        return OK;
    spin_lock(&lock);
    bool done = commit(find_or_die(p), (u64)p, (u64)p + size, stack);
    spin_unlock(&lock);
    return done ? OK : ERR_NO_MEMORY;
}

status plat_commit(void *p, size_t size)
{
    return commit_as(p, size, false);
}

status plat_commit_stack(void *p, size_t size)
{
    return commit_as(p, size, true);
}

void vm_drop_page(u64 page)
{
    promised_pages++;
    page_free(page, 0);
}

static void drop_stack_page(u64 page)
{
    page_free(page, 0);
}

static void drop_pages(const struct slot *s, u64 from, u64 size)
{
    table_unmap(from, size, s->stack ? drop_stack_page : vm_drop_page);
}

static void decommit(struct slot *s, u64 from, u64 to)
{
    u64 low = s->from, high = s->to;
    if (from < low)
        from = low;
    if (to > high)
        to = high;
    if (from >= to)
        return;
    if (from != low && to != high)
        pc_panic(NULL, "a hole in a reservation at 0x%lx", (unsigned long)from);
    drop_pages(s, from, to - from);
    *(from == low ? &s->from : &s->to) = from == low ? to : from;
    vm_promise(s->stack ? 0 : -(s64)((to - from) / PLAT_PAGE),
               (s64)vm_tables(s->from, s->to) - (s64)vm_tables(low, high));
}

void plat_decommit(void *p, size_t size)
{
    if (!size)
        return;
    spin_lock(&lock);
    decommit(find_or_die(p), (u64)p, (u64)p + size);
    spin_unlock(&lock);
}

void plat_release(void *p, size_t size)
{
    struct window *w = window_of((u64)p);
    spin_lock(&lock);
    struct slot *s = find_or_die(p);
    (void)size;
    decommit(s, s->from, s->to);
    s->used = false;
    s->next = w->unused;
    w->unused = slot_number(w, (u64)p) + 1;
    spin_unlock(&lock);
}

void plat_zero(void *p, size_t size)
{
    if (!size)
        return;
    spin_lock(&lock);
    drop_pages(find_or_die(p), (u64)p, size);
    spin_unlock(&lock);
}

// --- Faults

// Stacks grow at their pointer; anything else in a stack's reservation is data of the interpreter.
static bool may_take(u64 address, const u64 *saved)
{
    if (vm_available(1 + 3))
        return true;
    bool plain_c = saved[1] - WINDOW_CODE >= CODE_WINDOW_MAX;
    bool on_stack = address - (saved[4] - 65536) < 2 * 65536;
    return plain_c && on_stack && pages_free_count() > promised_pages;
}

// Out of line, so that a fault that is not ours is known at once.
__attribute__((noinline)) static bool fill(const struct slot *s, u64 address)
{
    spin_lock(&lock);
    u64 page = page_alloc(0);
    bool done = page != 0;
    if (done) {
        page_clear(page);
        done = table_map(address & ~(PLAT_PAGE - 1), page, PTE_WRITE | PTE_NX);
        if (!done)
            page_free(page, 0);
        else if (!s->stack)
            promised_pages--;
    }
    spin_unlock(&lock);
    return done;
}

__attribute__((noinline)) static bool fill_stack(const struct slot *s, u64 address,
                                                 const u64 *saved)
{
    return may_take(address, saved) && fill(s, address);
}

// Without the lock: a slot does not change while something in it is being used.
bool vm_fault(u64 address, const u64 *saved)
{
    const struct slot *s = find(address); // one that is not in use has nothing committed
    if (!s)
        return address - WINDOW_CODE < 2 * CODE_WINDOW_MAX && code_fault(address);
    if (address - s->from >= s->to - s->from)
        return false;
    return s->stack ? fill_stack(s, address, saved) : fill(s, address);
}

// --- Large blocks of the heap

void *vm_alloc(size_t size)
{
    void *p = plat_reserve(size);
    if (p && plat_commit(p, ALIGN_UP(size, PLAT_PAGE))) {
        plat_release(p, size);
        return NULL;
    }
    return p;
}

size_t vm_size(const void *p)
{
    const struct slot *s = find_or_die(p);
    return s->to - s->from;
}

bool vm_resize(void *p, size_t size)
{
    size_t have = vm_size(p);
    size = ALIGN_UP(size, PLAT_PAGE);
    if (size <= have) {
        plat_decommit((u8 *)p + size, have - size);
        return true;
    }
    return size <= 1ull << place_of(window_of((u64)p))->shift &&
           !plat_commit((u8 *)p + have, size - have);
}
