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

status plat_code_commit(const struct plat_code *w, size_t offset, size_t size)
{
    if ((offset | size) & (PLAT_PAGE - 1) || offset > w->size || size > w->size - offset)
        return ERR_INVALID_ARG;
    u64 end = offset + size > window.highest ? offset + size : window.highest;
    u64 pages = size / PLAT_PAGE, tables = 2 * (vm_tables(0, end) - vm_tables(0, window.highest));
    spin_lock(&window.lock);
    bool done = vm_available(pages + tables);
    if (done) {
        vm_promise((s64)pages, (s64)tables);
        window.highest = end;
    }
    spin_unlock(&window.lock);
    return done ? OK : ERR_NO_MEMORY;
}

void plat_code_decommit(const struct plat_code *w, size_t offset, size_t size)
{
    if (!size)
        return;
    spin_lock(&window.lock);
    table_unmap((u64)w->run + offset, size, NULL);
    table_unmap((u64)w->write + offset, size, vm_drop_page);
    vm_promise(-(s64)(size / PLAT_PAGE), 0);
    spin_unlock(&window.lock);
}

// x86 keeps instruction fetch coherent with stores, through any mapping; jumping to the code orders
// the two.
void plat_code_publish(const struct plat_code *w, size_t offset, size_t size)
{
    (void)w, (void)offset, (void)size;
    __asm__ volatile("" ::: "memory");
}

static bool map_both(u64 offset, u64 page)
{
    if (!table_map(WINDOW_CODE + offset, page, 0))
        return false;
    if (table_map(WINDOW_CODE + CODE_WINDOW_MAX + offset, page, PTE_WRITE | PTE_NX))
        return true;
    table_unmap(WINDOW_CODE + offset, PLAT_PAGE, NULL);
    return false;
}

bool code_fault(u64 address)
{
    u64 offset = (address - WINDOW_CODE) % CODE_WINDOW_MAX & ~(PLAT_PAGE - 1);
    if (offset >= window.highest || table_entry(address))
        return false;
    spin_lock(&window.lock);
    u64 page = page_alloc(0);
    bool done = page != 0;
    if (done) {
        page_clear(page);
        done = map_both(offset, page);
        if (done)
            vm_promise(-1, 0);
        else
            page_free(page, 0);
    }
    spin_unlock(&window.lock);
    return done;
}
