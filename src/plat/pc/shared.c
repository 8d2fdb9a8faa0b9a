// SPDX-License-Identifier: MIT
// Shared memory: pages with a record that lists them. Where they are mapped, their entries in page
// tables are marked as images' are, so that whoever unmaps leaves the pages alone (tables.c); what
// a reservation had there stays promised to it.
#include "base/heap.h"
#include "base/lookup.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

struct plat_shared {
    u64 count;
    u64 flags; // PTE_UNCACHED: these are a device's registers, and nobody's pages
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

struct plat_shared *shared_registers(u64 address, u64 size)
{
    struct plat_shared *m = heap_zalloc(sizeof *m + size / PLAT_PAGE * sizeof(u64));
    if (!m)
        return NULL;
    m->flags = PTE_UNCACHED;
    for (; size; size -= PLAT_PAGE, address += PLAT_PAGE)
        m->pages[m->count++] = address;
    return m;
}

struct plat_shared *shared_run(u64 size)
{
    u32 order = 0;
    u64 count = size / PLAT_PAGE;
    while (1ull << order < count)
        order++;
    struct plat_shared *m = heap_zalloc(sizeof *m + count * sizeof(u64));
    u64 page = m ? page_alloc(order) : 0;
    if (!page) {
        heap_free(m);
        return NULL;
    }
    if (count < 1ull << order)
        page_free_run(page + size, (1ull << order) - count);
    for (; m->count < count; page += PLAT_PAGE) {
        page_clear(page);
        m->pages[m->count++] = page;
    }
    return m;
}

u64 shared_address(const struct plat_shared *m)
{
    return m->pages[0];
}

bool plat_shared_free(struct plat_shared *m)
{
    enum { AT_ONCE = 64 };
    if (m->flags)
        m->count = 0;
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
    table_share((u64)p, &m->pages[offset / PLAT_PAGE], size / PLAT_PAGE, m->flags);
    return OK;
}

void plat_shared_unmap(void *p, size_t size)
{
    vm_drop(p, size);
}
