// SPDX-License-Identifier: MIT
// The code window: the same pages at two addresses, first to write and then to run.
//
// A page comes when it is first written to. When it is published it moves to where it is run, and
// the direct map cannot write to it any more, so there is no address left at which it could be
// changed. To commit a range is to promise its pages, as in vm.c. A bit per page would be needed to
// know which ranges are committed; the runtime keeps them apart, so a fault anywhere below the
// highest address ever committed is taken for one inside.
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

// Pages under the lock, each of which may be the first of a table of the direct map; and bytes in
// which they are looked for.
enum { AT_ONCE = 4, SPAN = 2 << 20 };

#define RUN WINDOW_CODE
#define WRITE (WINDOW_CODE + CODE_WINDOW_MAX)

static struct {
    u64 size;
    u64 highest; // end of what was ever committed
    u32 lock;
} window;

status plat_code_window(size_t size, struct plat_code *out)
{
    if (window.size || size > CODE_WINDOW_MAX)
        return ERR_BAD_STATE;
    if (!pages_promise(direct_pages))
        return ERR_NO_MEMORY;
    window.size = size;
    *out = (struct plat_code){
        .write = (u8 *)(WINDOW_CODE + CODE_WINDOW_MAX),
        .run = (const u8 *)WINDOW_CODE,
        .size = size,
    };
    return OK;
}

static bool prepare(u64 from, u64 to)
{
    bool done = true;
    for (u64 at = from; at < to && done; at = (at & ~(GIB - 1)) + GIB)
        done = table_prepare(WINDOW_CODE + at) && table_prepare(WINDOW_CODE + CODE_WINDOW_MAX + at);
    return done;
}

status plat_code_commit(const struct plat_code *w, size_t offset, size_t size)
{
    if ((offset | size) & (PLAT_PAGE - 1) || offset > w->size || size > w->size - offset)
        return ERR_INVALID_ARG;
    spin_lock(&window.lock);
    u64 have = window.highest, end = offset + size > have ? offset + size : have;
    u64 pages = size / PLAT_PAGE, tables = 2 * (tables_needed(0, end) - tables_needed(0, have));
    bool done = prepare(have, end) && pages_promise(pages + tables);
    if (done)
        window.highest = end;
    spin_unlock(&window.lock);
    return done ? OK : ERR_NO_MEMORY;
}

static void flush(void)
{
    if (tlb_cpus > 1)
        tlb_flush_others(false);
}

// Each of these does some pages of a range that has any, and says how far it came. What is run
// cannot be written to, not even for a moment: so one of the two ends everywhere before the other
// begins.
static u64 take_back(u64 from, u64 end)
{
    struct mapped m[AT_ONCE];
    u32 n = table_mapped(RUN + from, RUN + end, m, AT_ONCE, &from);
    if (!n)
        return from - RUN;
    table_unmap(m[0].address, from - m[0].address, NULL);
    flush();
    direct_open(m, n);
    for (u32 i = 0; i < n; i++)
        page_unclaim(m[i].page);
    return from - RUN;
}

static u64 publish(u64 from, u64 end)
{
    struct mapped m[AT_ONCE];
    u32 n = table_mapped(WRITE + from, WRITE + end, m, AT_ONCE, &from);
    if (!n)
        return from - WRITE;
    for (u32 i = 0; i < n; i++)
        if (!table_entry(m[i].address - CODE_WINDOW_MAX))
            direct_close(m[i].page);
    table_unmap(m[0].address, from - m[0].address, NULL);
    flush();
    for (u32 i = 0; i < n; i++)
        table_map(m[i].address - CODE_WINDOW_MAX, m[i].page, 0); // one that was open is there
    return from - WRITE;
}

static u64 open(u64 from, u64 end)
{
    struct mapped m[AT_ONCE];
    u32 n = table_mapped(RUN + from, RUN + end, m, AT_ONCE, &from);
    for (u32 i = 0; i < n; i++)
        table_map(m[i].address + CODE_WINDOW_MAX, m[i].page, PTE_WRITE | PTE_NX);
    return from - RUN;
}

static void for_all(u64 (*some)(u64 from, u64 end), u64 at, u64 size)
{
    for (u64 end = at + size; at < end;) {
        spin_lock(&window.lock);
        at = some(at, end - at < SPAN ? end : at + SPAN);
        spin_unlock(&window.lock);
    }
}

void plat_code_decommit(const struct plat_code *w, size_t offset, size_t size)
{
    (void)w;
    for_all(take_back, offset, size);
    spin_lock(&window.lock);
    table_unmap(WRITE + offset, size, page_unclaim);
    pages_unpromise(size / PLAT_PAGE);
    spin_unlock(&window.lock);
}

// x86 keeps instruction fetch coherent with stores, through any mapping; jumping to the code orders
// the two.
void plat_code_publish(const struct plat_code *w, size_t offset, size_t size)
{
    (void)w;
    for_all(publish, offset, size);
}

status plat_code_open(const struct plat_code *w, size_t offset, size_t size)
{
    (void)w;
    for_all(open, offset, size);
    return OK;
}

static void fill(u64 offset)
{
    u64 page = page_claim();
    page_clear(page);
    table_map(WRITE + offset, page, PTE_WRITE | PTE_NX);
}

// Another CPU may have been here since the fault. What is run has been published, and what is
// published is not written to.
bool code_fault(u64 address)
{
    u64 offset = (address - RUN) % CODE_WINDOW_MAX & ~(PLAT_PAGE - 1);
    if (offset >= __atomic_load_n(&window.highest, __ATOMIC_RELAXED))
        return false;
    spin_lock(&window.lock);
    if (address >= WRITE && !table_entry(WRITE + offset) && !table_entry(RUN + offset))
        fill(offset);
    bool there = table_entry(address);
    spin_unlock(&window.lock);
    return there;
}
