// SPDX-License-Identifier: MIT
// Reservations: address space that fills with zeroed pages as it is touched.
//
// Address space is cut into slots of 2 MiB, 32 MiB and 8 GiB, and a reservation is a slot; the slot
// of an address, and so its record, is found by shifting. What is committed of it is one interval:
// commits extend it, decommits cut it at an end. Its lower part may be a stack. A page fault inside
// it maps a page, one outside it is the guest's or ours.
//
// A fault must not fail for want of memory, for C code may be in the middle of anything. So to
// commit is to promise: the pages, and the tables they may need, are set aside from what others may
// take, and a commit that cannot be kept fails. Stacks alone are not promised (plat_commit_stack),
// but for a part at their top, since they are large and almost never used: there, the fault that
// finds no memory is reported to the hook, which ends the call. So it must be compiled code that
// touches them first, or its stubs. When it is C, nobody has seen to its stack, and the machine
// says so at once, whether there is memory or not.
//
// A reservation belongs to whoever has it: calls about the same one, and faults in it, may come
// from any CPU, but not at the same time. Only the heap's are touched, for the first time, by
// several.
#include "arch/arch.h"
#include "base/assert.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

struct slot {
    u64 from, to;                   // committed
    u64 stack_end;                  // from `from` to here it is a stack; 0: there is none
    u64 ready, ready_end;           // of that, what is promised
    u64 lowest;                     // of that: from here on, its tables are promised
    const struct plat_image *image; // that what is not stack begins with; NULL: none
    u32 next;                       // free slot + 1
    bool used;
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct slot) == 64, "so that finding one takes no division");

enum { SLOTS_A_PAGE = PLAT_PAGE / sizeof(struct slot), SLOT_PAGES = 512 }; // of 32768 slots

enum { RENEWED = 32 }; // pages, by plat_zero
const struct plat_costs plat_costs = {.zero = 0, .image = 2048};

enum { WINDOWS = 3 };
static const struct place {
    u64 base;
    u32 slots, shift;
} places[WINDOWS] = {
    {WINDOW_SMALL, (WINDOW_CODE - WINDOW_SMALL) >> 21, 21},
    {WINDOW_MIDDLE, (WINDOW_HUGE - WINDOW_MIDDLE) >> 25, 25},
    {WINDOW_HUGE, ((1ull << 48) - WINDOW_HUGE) >> 33, 33},
};

static struct window {
    u32 made;   // slots that have ever been used
    u32 unused; // a free one + 1
    struct slot *pages[SLOT_PAGES];
} windows[WINDOWS];

u64 vm_kept_pages;
static u32 lock; // of what is not in use: windows, and the lists of their slots

u64 vm_keep_page(void)
{
    u64 page = page_alloc(0);
    if (page) {
        page_clear(page);
        vm_keep(1);
    }
    return page;
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

// Addresses have 48 bits, and the others are copies of the highest of those.
static u64 slot_base(const struct window *w, u32 i)
{
    return (u64)((s64)((place_of(w)->base + ((u64)i << place_of(w)->shift)) << 16) >> 16);
}

static inline u64 number_at(u64 offset, u32 shift)
{
    return offset << 16 >> (16 + shift);
}

static u32 slot_number(const struct window *w, u64 address)
{
    return (u32)number_at(address - place_of(w)->base, place_of(w)->shift);
}

static struct window *window_of(u64 address)
{
    struct window *w = &windows[address >= WINDOW_HUGE ? 2 : address >= WINDOW_MIDDLE];
    return slot_number(w, address) < place_of(w)->slots ? w : NULL;
}

// The record of a slot, in use or not; NULL: there has never been one.
static inline struct slot *record(const struct window *w, u64 offset, u32 shift)
{
    u64 i = number_at(offset, shift);
    return i < __atomic_load_n(&w->made, __ATOMIC_ACQUIRE) ? slot_at(w, (u32)i) : NULL;
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

__attribute__((noinline)) static struct slot *find_or_die(const void *p)
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
    if (i == place_of(w)->slots)
        return false;
    struct slot **page = &w->pages[i / SLOTS_A_PAGE];
    if (!table_prepare(slot_base(w, i)) || (!*page && !(*page = (struct slot *)vm_keep_page())))
        return false;
    __atomic_store_n(&w->made, i + 1, __ATOMIC_RELEASE);
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

// --- Committing. A reservation is in the hands of one CPU at a time, and so is its record.

static u64 memory_start(const struct slot *s)
{
    return s->stack_end ? s->stack_end : s->from;
}

static u64 tables_of(const struct slot *s)
{
    return tables_needed(s->stack_end ? s->lowest : s->from, s->to);
}

// All that is promised for it, whether it has been touched or not.
static u64 promised_for(const struct slot *s)
{
    return tables_of(s) + (s->ready_end - s->ready + s->to - memory_start(s)) / PLAT_PAGE;
}

// Whether it stays one interval, with the stack below everything else.
static bool fits(const struct slot *s, u64 from, u64 to, bool stack)
{
    if (s->from == s->to)
        return true;
    return to == s->from ? !stack || !s->stack_end : from == s->to && !stack;
}

static void extend(struct slot *s, u64 from, u64 to)
{
    bool first = s->from == s->to;
    s->from = first || from < s->from ? from : s->from;
    s->to = first || to > s->to ? to : s->to;
}

static status change(struct slot *s, const struct slot *to)
{
    if (!pages_promise(promised_for(to) - promised_for(s)))
        return ERR_NO_MEMORY;
    *s = *to;
    return OK;
}

static bool whole_pages(const void *p, size_t size)
{
    return !(((u64)p | size) & (PLAT_PAGE - 1));
}

status plat_commit(void *p, size_t size)
{
    struct slot *s = find_or_die(p), now = *s;
    u64 from = (u64)p, to = from + size;
    if (!whole_pages(p, size))
        return ERR_INVALID_ARG;
    if (!size)
        return OK;
    if (!fits(s, from, to, false))
        return ERR_NO_MEMORY;
    extend(&now, from, to);
    return change(s, &now);
}

void plat_prefer_large(void *p, size_t size)
{
    (void)p, (void)size;
}

status plat_commit_stack(void *p, size_t size, const void *ready, size_t ready_size)
{
    struct slot *s = find_or_die(p), now = *s;
    u64 from = (u64)p, to = from + size;
    if (!whole_pages(p, size) || !whole_pages(ready, ready_size))
        return ERR_INVALID_ARG;
    if (!fits(s, from, to, true))
        return ERR_NO_MEMORY;
    extend(&now, from, to);
    now.stack_end = to;
    now.lowest = now.ready = (u64)ready;
    now.ready_end = now.ready + ready_size;
    return change(s, &now);
}

static void drop_stack_page(u64 page)
{
    page_free(page, 0);
}

static u64 min(u64 a, u64 b)
{
    return a < b ? a : b;
}

// What is promised stays so. Tables are not any more, below what is left. Says from where on the
// rest is promised, up to the end.
static u64 drop_stack(struct slot *s, u64 from, u64 to)
{
    if (from < s->lowest)
        from = s->lowest; // nothing was ever below
    if (from >= to)
        return to;
    bool lower = from == s->lowest && from < s->ready;
    u64 ready = min(to, from > s->ready ? from : s->ready), end = min(to, s->ready_end);
    table_unmap(from, ready - from, drop_stack_page);
    if (end < to) {
        end = end < ready ? ready : end;
        table_unmap(ready, end - ready, page_unclaim);
        table_unmap(end, to - end, drop_stack_page);
        ready = to;
    }
    if (lower) {
        u64 tables = tables_of(s);
        s->lowest = min(to, s->ready);
        pages_unpromise(tables - tables_of(s));
    }
    return ready;
}

static void drop_pages(struct slot *s, u64 from, u64 to)
{
    u64 middle = s->stack_end < from ? from : s->stack_end < to ? s->stack_end : to;
    u64 rest = drop_stack(s, from, middle);
    table_unmap(rest, to - rest, page_unclaim);
}

static void cut(struct slot *s, u64 from, u64 to)
{
    *(from == s->from ? &s->from : &s->to) = from == s->from ? to : from;
    if (s->stack_end) {
        u64 *const marks[] = {&s->stack_end, &s->ready, &s->ready_end, &s->lowest};
        for (u32 i = 0; i < countof(marks); i++)
            *marks[i] = min(*marks[i] > s->from ? *marks[i] : s->from, s->to);
        if (s->stack_end == s->from)
            s->stack_end = s->ready = s->ready_end = 0;
    }
    if (memory_start(s) == s->to)
        s->image = NULL;
}

static void decommit(struct slot *s, u64 from, u64 to)
{
    if (from < s->from)
        from = s->from;
    if (to > s->to)
        to = s->to;
    if (from >= to)
        return;
    u64 memory = memory_start(s);
    bool cuts = s->image && from > memory && from - memory < image_size(s->image);
    if (cuts || (from != s->from && to != s->to))
        pc_panic(NULL, "a hole in a reservation at 0x%lx", (unsigned long)from);
    drop_pages(s, from, to);
    u64 promised = promised_for(s);
    cut(s, from, to);
    pages_unpromise(promised - promised_for(s));
}

void plat_decommit(void *p, size_t size)
{
    if (size)
        decommit(find_or_die(p), (u64)p, (u64)p + size);
}

void plat_release(void *p, size_t size)
{
    struct window *w = window_of((u64)p);
    struct slot *s = find_or_die(p);
    (void)size;
    drop_pages(s, s->from, s->to);
    pages_unpromise(promised_for(s));
    spin_lock(&lock);
    *s = (struct slot){.next = w->unused};
    w->unused = slot_number(w, (u64)p) + 1;
    spin_unlock(&lock);
}

void plat_release_all(void **at, u32 n, size_t size)
{
    for (u32 i = 0; i < n; i++)
        plat_release(at[i], size);
}

void vm_drop(void *p, size_t size)
{
    const struct slot *s = find_or_die(p);
    u64 from = (u64)p, to = from + size;
    assert(from >= memory_start(s) && to <= s->to);
    table_unmap(from, to - from, page_unclaim);
}

static void renew(const void *slot, u64 address, u64 page)
{
    const struct slot *s = slot;
    if (!s->image || !image_renew(s->image, address - memory_start(s), page))
        page_clear(page);
}

// A few pages are renewed where they are: no CPU need forget them, and they will be used again.
void plat_zero(void *p, size_t size)
{
    struct slot *s = find_or_die(p);
    u64 from = (u64)p, to = from + size;
    if (from >= s->stack_end)
        from = table_each_written(from, to, RENEWED, renew, s);
    if (from < to)
        drop_pages(s, from, to);
}

status plat_image_map(struct plat_image *i, void *p)
{
    struct slot *s = find_or_die(p);
    u64 from = memory_start(s);
    if (s->image || from != (u64)p || image_size(i) > s->to - from)
        return ERR_INVALID_ARG;
    drop_pages(s, from, from + image_size(i));
    s->image = i;
    return OK;
}

void plat_image_unmap(struct plat_image *i, void *p)
{
    struct slot *s = find_or_die(p);
    drop_pages(s, (u64)p, (u64)p + image_size(i));
    s->image = NULL;
}

// --- Faults

// Of memory, all that may be needed has been promised.
static void fill(u64 address)
{
    u64 page = page_claim();
    page_clear(page);
    if (!table_map(address, page, PTE_WRITE | PTE_NX))
        page_unclaim(page); // another CPU was faster
}

static bool in_guest(u64 pc)
{
    u64 stubs = (u64)arch_stub_import;
    return pc - WINDOW_CODE < CODE_WINDOW_MAX || pc - stubs < (u64)arch_stubs_end - stubs;
}

// Promises the tables from there up; as far down as they reach.
static bool deepen(struct slot *s, u64 address)
{
    struct slot deeper = *s;
    u64 table = address & ~((2ull << 20) - 1);
    deeper.lowest = table > s->from ? table : s->from;
    return address >= s->lowest || !change(s, &deeper);
}

static bool fill_stack(struct slot *s, u64 address)
{
    u64 page = deepen(s, address) ? page_alloc(0) : 0;
    if (!page)
        return false;
    page_clear(page);
    if (!table_map(address, page, PTE_WRITE | PTE_NX))
        page_free(page, 0); // it was there
    return true;
}

// What is not plain, out of line.
__attribute__((noinline)) static bool fill_other(struct slot *s, u64 address, const u64 *saved)
{
    u64 page = address & ~(PLAT_PAGE - 1);
    if (address < s->stack_end && address - s->ready >= s->ready_end - s->ready)
        return in_guest(saved[1]) && fill_stack(s, page);
    if (address < s->stack_end ||
        !image_fault(s->image, page - memory_start(s), page, saved[0] & ERROR_WRITE))
        fill(page);
    return true;
}

// Out of line, so that a fault that is not ours is known at once.
__attribute__((noinline)) static bool fill_plain(u64 address)
{
    fill(address & ~(PLAT_PAGE - 1));
    return true;
}

// Without a lock: a slot does not change while something in it is being used.
bool vm_fault(u64 address, const u64 *saved)
{
    probe_fault();
    struct slot *s = find(address); // one that is not in use has nothing committed
    if (!s)
        return address - WINDOW_CODE < 2 * CODE_WINDOW_MAX && code_fault(address);
    if (address - s->from >= s->to - s->from)
        return false;
    bool plain = address >= s->stack_end && !s->image;
    return plain ? fill_plain(address) : fill_other(s, address, saved);
}

bool plat_touched(const void *p)
{
    return table_entry((u64)p) != 0;
}

bool vm_write_fault(u64 address)
{
    const struct slot *s = find(address);
    return s && s->image && address >= s->stack_end && image_write(address & ~(PLAT_PAGE - 1));
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

bool vm_fits(const void *p, size_t size)
{
    return size <= 1ull << place_of(window_of((u64)p))->shift;
}

bool vm_resize(void *p, size_t size)
{
    size_t have = vm_size(p);
    size = ALIGN_UP(size, PLAT_PAGE);
    if (size <= have) {
        plat_decommit((u8 *)p + size, have - size);
        return true;
    }
    return !plat_commit((u8 *)p + have, size - have);
}
