// SPDX-License-Identifier: MIT
// Page tables: four levels, made on demand and given back when empty.
//
// An entry that points to a table counts the entries in use of that table, in bits that the CPU
// ignores; so nothing must be searched to know that a table is empty. The tables of the direct map
// and of the kernel are made at boot and stay; they are not counted and never unmapped. Tables that
// several reservations share stay, too (table_prepare): who would have promised them?
//
// One lock, for all tables. What it guards is short: a range is unmapped a few pages at a time.
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

#define COUNT_ONE (1ull << 52)
#define COUNT_MASK (0x3ffull << 52)
#define TABLE_FLAGS (PTE_PRESENT | PTE_WRITE)

extern u64 page_root[512], page_tables[1024];
extern u8 kernel_end[];

static u32 lock;
static bool gigabyte_pages;

static u64 *table_of(u64 entry)
{
    return (u64 *)(entry & PTE_ADDRESS);
}

static u32 index_at(u64 address, u32 level)
{
    return address >> (12 + 9 * level) & 511;
}

// --- The direct map

static u64 *boot_table(u64 *entry)
{
    if (!*entry) {
        static u8 spare[8][4096] WHOLE_PAGES;
        static u32 used;
        if (used == countof(spare))
            pc_panic(NULL, "too much memory for the boot tables");
        *entry = (u64)spare[used++] | TABLE_FLAGS;
    }
    return table_of(*entry);
}

#define LARGE (2ull << 20)
// What entry.S has made tables of 4 KiB pages for: all that the kernel reaches into.
#define KERNEL_TABLES_END ALIGN_UP((u64)kernel_end, LARGE)

static u64 min(u64 a, u64 b)
{
    return a < b ? a : b;
}

// Maps [address, end), which lies within one GiB, in pages of 2 MiB.
static void direct_large(u64 address, u64 end, u64 flags)
{
    u64 *pointers = boot_table(&page_root[index_at(address, 3)]);
    u64 *entry = &pointers[index_at(address, 2)];
    if (*entry & PTE_LARGE)
        return;
    u64 *directory = boot_table(entry), page = address & ~(LARGE - 1);
    for (u32 i = index_at(page, 1); page < end; page += LARGE, i++)
        if (!directory[i])
            directory[i] = page | flags | PTE_LARGE | PTE_NX, direct_pages++;
}

// Maps a whole GiB as one page, if the CPU can and nothing is there yet.
static bool direct_giant(u64 address, u64 end)
{
    u64 *entry = &boot_table(&page_root[index_at(address, 3)])[index_at(address, 2)];
    if (!gigabyte_pages || address & (GIB - 1) || end - address < GIB || *entry)
        return false;
    *entry = address | TABLE_FLAGS | PTE_LARGE | PTE_NX;
    direct_pages += 1 + 512;
    return true;
}

// Maps what of [address, end) lies where there are tables for it; gives what comes next.
static u64 direct_small(u64 address, u64 end, u64 flags)
{
    address &= ~(PLAT_PAGE - 1);
    for (; address < min(end, KERNEL_TABLES_END); address += PLAT_PAGE)
        if (!page_tables[address / PLAT_PAGE])
            page_tables[address / PLAT_PAGE] = address | flags | PTE_NX;
    return address;
}

void direct_map(u64 address, u64 size)
{
    if (!gigabyte_pages)
        gigabyte_pages = cpuid(0x80000001, 0).d >> 26 & 1;
    u64 end = address + size;
    address = direct_small(address, end, TABLE_FLAGS);
    for (u64 next; address < end; address = next) {
        next = min((address & ~(GIB - 1)) + GIB, end);
        if (!direct_giant(address, next))
            direct_large(address, next, TABLE_FLAGS);
    }
}

void direct_map_device(u64 address, u64 size)
{
    u64 end = address + size, flags = TABLE_FLAGS | PTE_UNCACHED;
    address = direct_small(address, end, flags);
    if (address < end)
        direct_large(address, end, flags);
}

static void wait_in(u64 *list, u64 page)
{
    *(u64 *)page = *list;
    *list = page;
}

// --- Single pages of the direct map that must not be written to. Where it has a larger one, a
// table takes its place, until the last page in that is open again. What points to such a table
// counts what is closed in it, or the tables.

u64 direct_pages;

static u64 *split(u64 *entry, u64 span)
{
    u64 was = *entry;
    if (!(was & PTE_LARGE))
        return table_of(was);
    u64 page = page_claim(), *table = (u64 *)page;
    if (span == PLAT_PAGE)
        was &= ~PTE_LARGE;
    for (u32 i = 0; i < 512; i++)
        table[i] = was + i * span;
    *entry = page | TABLE_FLAGS | PTE_SPLIT;
    return table;
}

// The entries on the way to a page.
static void direct_walk(u64 page, u64 *path[3])
{
    path[2] = &table_of(page_root[index_at(page, 3)])[index_at(page, 2)];
    path[1] = &split(path[2], LARGE)[index_at(page, 1)];
    path[0] = &split(path[1], PLAT_PAGE)[index_at(page, 0)];
}

void direct_close(u64 page)
{
    u64 *path[3];
    spin_lock_deep(&lock, TABLES_REACH);
    direct_walk(page, path);
    *path[0] &= ~PTE_WRITE;
    if (!(*path[1] & COUNT_MASK))
        *path[2] += COUNT_ONE;
    *path[1] += COUNT_ONE;
    invlpg(page);
    spin_unlock(&lock);
}

// One less in the table that an entry points to.
static u64 join(u64 *entry)
{
    u64 table = *entry & PTE_ADDRESS;
    *entry -= COUNT_ONE;
    if (*entry & COUNT_MASK || !(*entry & PTE_SPLIT))
        return 0;
    *entry = *(u64 *)table | PTE_LARGE;
    return table;
}

static void open_one(u64 page, u64 *tables)
{
    u64 *path[3];
    spin_lock_deep(&lock, TABLES_REACH);
    direct_walk(page, path);
    *path[0] |= PTE_WRITE;
    for (u32 level = 1; level <= 2 && (level == 1 || !(*path[1] & COUNT_MASK)); level++) {
        u64 table = join(path[level]);
        if (table)
            wait_in(tables, table);
    }
    invlpg(page);
    spin_unlock(&lock);
}

void direct_open(const struct mapped *m, u32 n)
{
    u64 tables = 0;
    for (u32 i = 0; i < n; i++)
        open_one(m[i].page, &tables);
    if (tlb_cpus > 1)
        tlb_flush_others(true);
    for (u64 page; (page = tables);) {
        tables = *(u64 *)page;
        page_unclaim(page);
    }
}

// --- Single pages

// The lowest level at which the entry for an address points to a table that stays: it is the lowest
// that spans more than a slot of the window there.
static u32 kept_level(u64 address)
{
    return address >= WINDOW_HUGE ? 3 : 2;
}

u64 tables_needed(u64 from, u64 to)
{
    u64 n = 0;
    for (u32 level = 1; from < to && level < kept_level(from); level++)
        n += ((to - 1) >> (12 + 9 * level)) - (from >> (12 + 9 * level)) + 1;
    return n;
}

bool table_prepare(u64 address)
{
    u64 *table = page_root;
    spin_lock_deep(&lock, TABLES_REACH);
    for (u32 level = 3; table && level >= kept_level(address); level--) {
        u64 *entry = &table[index_at(address, level)];
        u64 fresh = *entry ? 0 : vm_keep_page();
        if (fresh)
            *entry = fresh | TABLE_FLAGS;
        table = table_of(*entry);
    }
    spin_unlock(&lock);
    return table != NULL;
}

// The entries on the way to an address, path[3] in the root.
static void walk_make(u64 address, u64 *path[4])
{
    u64 *table = page_root;
    for (u32 level = 3; level > 0; level--) {
        path[level] = &table[index_at(address, level)];
        if (!(*path[level] & PTE_PRESENT)) {
            u64 page = page_claim();
            page_clear(page);
            *path[level] = page | TABLE_FLAGS;
            *path[level + 1] += COUNT_ONE;
        }
        table = table_of(*path[level]);
    }
    path[0] = &table[index_at(address, 0)];
}

bool table_map(u64 address, u64 page, u64 flags)
{
    u64 *path[4];
    spin_lock_deep(&lock, TABLES_REACH);
    walk_make(address, path);
    bool fresh = !(*path[0] & PTE_PRESENT);
    if (fresh) {
        *path[0] = page | flags | PTE_PRESENT;
        *path[1] += COUNT_ONE;
    }
    spin_unlock(&lock);
    return fresh;
}

void table_share(u64 address, const u64 *pages, u64 count, u64 flags)
{
    enum { AT_ONCE = 32 };
    u64 *path[4];
    for (u64 n; count; address += n * PLAT_PAGE, pages += n, count -= n) {
        n = min(min(count, AT_ONCE), 512 - index_at(address, 0));
        spin_lock_deep(&lock, TABLES_REACH);
        walk_make(address, path);
        for (u64 i = 0; i < n; i++)
            path[0][i] = pages[i] | PTE_SHARED | PTE_PRESENT | PTE_WRITE | PTE_NX | flags;
        *path[1] += n * COUNT_ONE;
        spin_unlock(&lock);
    }
}

// The entries on the way to an address, down to the one for its last table; false: there is none.
// Either way, up to where the next one could be.
static bool walk(u64 address, u64 end, u64 *path[4], u64 *next)
{
    u64 *table = page_root;
    u32 level = 3;
    for (;; level--) {
        path[level] = &table[index_at(address, level)];
        if (!(*path[level] & PTE_PRESENT) || level == 1)
            break;
        table = table_of(*path[level]);
    }
    u64 span = PLAT_PAGE << 9 * level, after = (address & ~(span - 1)) + span;
    *next = after < end ? after : end;
    return *path[level] & PTE_PRESENT;
}

// The first entry of a page that was written, or `last`; four at a time, for most were not.
static const u64 *written(const u64 *entry, const u64 *last)
{
    for (; entry + 4 <= last; entry += 4)
        if ((entry[0] | entry[1] | entry[2] | entry[3]) & PTE_DIRTY)
            break;
    while (entry < last && !(*entry & PTE_DIRTY))
        entry++;
    return entry;
}

// Without the lock: what is there belongs to the caller.
u64 table_each_written(u64 address, u64 end, u32 most,
                       void (*each)(const void *context, u64 address, u64 page),
                       const void *context)
{
    u64 *path[4], next;
    for (; address < end; address = next) {
        if (!walk(address, end, path, &next))
            continue;
        const u64 *first = &table_of(*path[1])[index_at(address, 0)];
        const u64 *last = first + (next - address) / PLAT_PAGE;
        for (const u64 *entry = first; (entry = written(entry, last)) < last; entry++) {
            if (*entry & PTE_SHARED)
                continue;
            u64 page = address + (u64)(entry - first) * PLAT_PAGE;
            if (!most--)
                return page;
            each(context, page, *entry & PTE_ADDRESS);
        }
    }
    return end;
}

// Without the lock, likewise.
u32 table_mapped(u64 address, u64 end, struct mapped *out, u32 most, u64 *to)
{
    u64 *path[4], next;
    u32 n = 0;
    for (*to = end; address < end; address = next) {
        if (!walk(address, end, path, &next))
            continue;
        for (; address < next; address += PLAT_PAGE) {
            u64 entry = table_of(*path[1])[index_at(address, 0)];
            if (!(entry & PTE_PRESENT))
                continue;
            if (n == most) {
                *to = address;
                return n;
            }
            out[n++] = (struct mapped){address, entry & PTE_ADDRESS};
        }
    }
    return n;
}

u64 table_entry(u64 address)
{
    u64 *table = page_root;
    for (u32 level = 3; level > 0; level--) {
        u64 entry = table[index_at(address, level)];
        if (!(entry & PTE_PRESENT) || entry & PTE_LARGE)
            return 0;
        table = table_of(entry);
    }
    return table[index_at(address, 0)];
}

void table_protect(u64 address, u64 flags)
{
    page_tables[address / PLAT_PAGE] = flags ? address | flags | PTE_PRESENT : 0;
    invlpg(address);
}

bool table_replace(u64 address, u64 page, u64 entry)
{
    u64 *path[4];
    spin_lock_deep(&lock, TABLES_REACH);
    walk_make(address, path);
    bool same = (*path[0] & PTE_ADDRESS) == page;
    if (same)
        *path[0] = entry | PTE_PRESENT;
    spin_unlock(&lock);
    invlpg(address);
    if (same && tlb_cpus > 1)
        tlb_flush_others(false);
    return same;
}

// --- Unmapping

// As long as other CPUs may know what is unmapped, pages and tables wait in lists. The links are
// their first words, which are no entries of a table that are present.
struct removal {
    void (*drop)(u64 page);
    bool shared, any;
    u64 pages, tables;
};

static void remove_page(struct removal *r, u64 page)
{
    if (!r->drop)
        return;
    if (r->shared)
        wait_in(&r->pages, page);
    else
        r->drop(page);
}

// Takes back the table that an entry points to if nothing is in it, and so on upwards.
static void remove_empty(struct removal *r, u64 address, u64 *path[4])
{
    for (u32 level = 1; level < kept_level(address) && !(*path[level] & COUNT_MASK); level++) {
        u64 table = *path[level] & PTE_ADDRESS;
        *path[level] = 0;
        *path[level + 1] -= COUNT_ONE;
        invlpg(address); // also forgets what it knows of tables
        if (r->shared)
            wait_in(&r->tables, table);
        else
            page_unclaim(table);
    }
}

// Unmaps what lies in one page table, up to `end`, but no more than some pages: how far it came.
static u64 unmap_in_table(struct removal *r, u64 address, u64 end, u64 *path[4])
{
    enum { AT_ONCE = 32 };
    u64 *table = table_of(*path[1]), start = address;
    for (u32 n = 0; address < end && *path[1] & COUNT_MASK && n < AT_ONCE; address += PLAT_PAGE) {
        u64 *entry = &table[index_at(address, 0)], was = *entry;
        if (!(was & PTE_PRESENT))
            continue;
        *entry = 0;
        *path[1] -= COUNT_ONE;
        invlpg(address);
        r->any = true;
        n++;
        if (!(was & PTE_SHARED))
            remove_page(r, was & PTE_ADDRESS);
    }
    bool empty = !(*path[1] & COUNT_MASK);
    remove_empty(r, start, path);
    return empty ? end : address;
}

static void finish(struct removal *r)
{
    tlb_flush_others(r->tables != 0);
    for (u64 page; (page = r->pages);) {
        r->pages = *(u64 *)page;
        r->drop(page);
    }
    for (u64 page; (page = r->tables);) {
        r->tables = *(u64 *)page;
        page_unclaim(page);
    }
}

static u64 unmap_some(struct removal *r, u64 address, u64 end)
{
    u64 *path[4], next;
    return walk(address, end, path, &next) ? unmap_in_table(r, address, next, path) : next;
}

void table_unmap(u64 address, u64 size, void (*drop)(u64 page))
{
    struct removal r = {.drop = drop, .shared = tlb_cpus > 1};
    u64 end = address + size;
    if (!size)
        return;
    spin_lock_deep(&lock, TABLES_REACH);
    while ((address = unmap_some(&r, address, end)) < end) {
        spin_unlock(&lock); // page faults wait for it
        spin_lock_deep(&lock, TABLES_REACH);
    }
    spin_unlock(&lock);
    if (r.shared && ((r.any && drop) || r.tables))
        finish(&r);
}
