// SPDX-License-Identifier: MIT
// The code window: the same pages at two addresses, once to run and once to write.
//
// A page comes when it is first written to (or, which only a bug does, run), and then appears at
// both addresses. To commit a range is to promise its pages, as in vm.c. A bit per page would be
// needed to know which ranges are committed; the runtime keeps them apart, so a fault anywhere
// below the highest address ever committed is taken for one inside.
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

static struct {
    u64 size;
    u64 highest; // end of what was ever committed
    u32 lock;
} window;

status plat_code_window(size_t size, struct plat_code *out)
{
    if (window.size || size > CODE_WINDOW_MAX)
        return ERR_BAD_STATE;
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

void plat_code_decommit(const struct plat_code *w, size_t offset, size_t size)
{
    if (!size)
        return;
    spin_lock(&window.lock);
    table_unmap((u64)w->run + offset, size, NULL);
    table_unmap((u64)w->write + offset, size, page_unclaim);
    pages_unpromise(size / PLAT_PAGE);
    spin_unlock(&window.lock);
}

// x86 keeps instruction fetch coherent with stores, through any mapping; jumping to the code orders
// the two.
void plat_code_publish(const struct plat_code *w, size_t offset, size_t size)
{
    (void)w, (void)offset, (void)size;
    __asm__ volatile("" ::: "memory");
}

static void fill(u64 offset)
{
    u64 page = page_claim();
    page_clear(page);
    table_map(WINDOW_CODE + offset, page, 0);
    table_map(WINDOW_CODE + CODE_WINDOW_MAX + offset, page, PTE_WRITE | PTE_NX);
}

// Another CPU may have been here since the fault.
bool code_fault(u64 address)
{
    u64 offset = (address - WINDOW_CODE) % CODE_WINDOW_MAX & ~(PLAT_PAGE - 1);
    if (offset >= __atomic_load_n(&window.highest, __ATOMIC_RELAXED))
        return false;
    spin_lock(&window.lock);
    if (!table_entry(WINDOW_CODE + CODE_WINDOW_MAX + offset))
        fill(offset);
    spin_unlock(&window.lock);
    return true;
}
