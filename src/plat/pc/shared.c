// SPDX-License-Identifier: MIT
// Shared memory: pages with a record that lists them. Where they are mapped, their entries in page
// tables are marked as images' are, so that whoever unmaps leaves the pages alone (tables.c); what
// a reservation had there stays promised to it.
#include "base/heap.h"
#include "base/lookup.h"
#include "plat/pc/pc.h"

struct plat_shared {
    u64 count;
    u64 pages[];
};

static bool add_page(struct plat_shared *m)
{
    u64 page = page_alloc(0);
    if (page) {
        page_clear(page);
        m->pages[m->count++] = page;
    }
    return page;
}

struct plat_shared *plat_shared_create(size_t size)
{
    struct plat_shared *m = heap_zalloc(sizeof *m + size / PLAT_PAGE * sizeof(u64));
    for (size_t at = 0; m && at < size; at += PLAT_PAGE) {
        if ((at % LOOK_UP || !look_up()) && add_page(m))
            continue;
        while (!plat_shared_free(m))
            look_up();
        m = NULL;
    }
    return m;
}

bool plat_shared_free(struct plat_shared *m)
{
    enum { AT_ONCE = 64 };
    for (u32 n = 0; m->count && n < AT_ONCE; n++)
        page_free(m->pages[--m->count], 0);
    if (m->count)
        return false;
    heap_free(m);
    return true;
}

status plat_shared_map(struct plat_shared *m, size_t offset, void *p, size_t size)
{
    vm_drop(p, size);
    table_share((u64)p, &m->pages[offset / PLAT_PAGE], size / PLAT_PAGE);
    return OK;
}

void plat_shared_unmap(void *p, size_t size)
{
    vm_drop(p, size);
}
