// SPDX-License-Identifier: MIT
// Page tables: four levels, made on demand and given back when empty.
//
// An entry that points to a table counts the entries in use of that table, in bits that the CPU
// ignores; so nothing must be searched to know that a table is empty. The tables of the direct map
// and of the kernel are made at boot and stay; they are not counted and never unmapped.
//
// The window of reservations is the same in all page tables of the future: its top-level entries
// are below page_root. Other CPUs do not yet run anything that could have an old entry in its TLB.
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

#define COUNT_ONE (1ull << 52)
#define COUNT_MASK (0x3ffull << 52)
#define TABLE_FLAGS (PTE_PRESENT | PTE_WRITE)

extern u64 page_root[512], page_tables[1024];
extern u8 kernel_end[];

static u32 lock;
static u64 tables; // beyond those of the boot
static bool gigabyte_pages;

u64 tables_count(void)
{
    return tables;
}

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
        static u8 spare[8][4096] __attribute__((aligned(4096)));
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
            directory[i] = page | flags | PTE_LARGE | PTE_NX;
}

// Maps a whole GiB as one page, if the CPU can and nothing is there yet.
static bool direct_giant(u64 address, u64 end)
{
    u64 *entry = &boot_table(&page_root[index_at(address, 3)])[index_at(address, 2)];
    if (!gigabyte_pages || address & (GIB - 1) || end - address < GIB || *entry)
        return false;
    *entry = address | TABLE_FLAGS | PTE_LARGE | PTE_NX;
    return true;
}

void direct_map(u64 address, u64 size)
{
    if (!gigabyte_pages)
        gigabyte_pages = cpuid(0x80000001, 0).d >> 26 & 1;
    u64 end = address + size;
    address &= ~(PLAT_PAGE - 1);
    for (; address < min(end, KERNEL_TABLES_END); address += PLAT_PAGE)
        if (!page_tables[address / PLAT_PAGE])
            page_tables[address / PLAT_PAGE] = address | TABLE_FLAGS | PTE_NX;
    for (u64 next; address < end; address = next) {
        next = min((address & ~(GIB - 1)) + GIB, end);
        if (!direct_giant(address, next))
            direct_large(address, next, TABLE_FLAGS);
    }
}

void direct_map_device(u64 address)
{
    direct_large(address, address + PLAT_PAGE, TABLE_FLAGS | PTE_UNCACHED);
}

// --- Single pages

static u64 *make_table(u64 *entry)
{
    if (!(*entry & PTE_PRESENT)) {
        u64 page = page_alloc(0);
        if (!page)
            return NULL;
        page_clear(page);
        tables++;
        *entry = page | TABLE_FLAGS;
    }
    return table_of(*entry);
}

// Takes back the table that an entry points to if nothing is in it, and so on upwards.
static void drop_empty(u64 *path[4], u32 level)
{
    for (; level <= 3 && !(*path[level] & COUNT_MASK); level++) {
        page_free(*path[level] & PTE_ADDRESS, 0);
        tables--;
        *path[level] = 0;
        if (level < 3)
            *path[level + 1] -= COUNT_ONE;
    }
}

// The entries on the way to an address, path[3] in the root; false: no memory.
static bool walk_make(u64 address, u64 *path[4])
{
    u64 *table = page_root;
    for (u32 level = 3; level > 0; level--) {
        path[level] = &table[index_at(address, level)];
        bool was = *path[level] & PTE_PRESENT;
        if (!(table = make_table(path[level]))) {
            drop_empty(path, level + 1);
            return false;
        }
        if (!was && level < 3)
            *path[level + 1] += COUNT_ONE;
    }
    path[0] = &table[index_at(address, 0)];
    return true;
}

bool table_map(u64 address, u64 page, u64 flags)
{
    u64 *path[4];
    spin_lock(&lock);
    bool done = walk_make(address, path);
    if (done) {
        *path[0] = page | flags | PTE_PRESENT;
        *path[1] += COUNT_ONE;
    }
    spin_unlock(&lock);
    return done;
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

// Unmaps what lies in one page table, up to `end`.
static void unmap_in_table(u64 address, u64 end, u64 *path[4], void (*drop)(u64 page))
{
    u64 *table = table_of(*path[1]);
    for (; address < end && *path[1] & COUNT_MASK; address += PLAT_PAGE) {
        u64 *entry = &table[index_at(address, 0)];
        if (!(*entry & PTE_PRESENT))
            continue;
        u64 page = *entry & PTE_ADDRESS;
        *entry = 0;
        *path[1] -= COUNT_ONE;
        invlpg(address);
        if (drop)
            drop(page);
    }
    drop_empty(path, 1);
}

void table_unmap(u64 address, u64 size, void (*drop)(u64 page))
{
    u64 end = address + size;
    spin_lock(&lock);
    while (address < end) {
        u64 *table = page_root, *path[4];
        u32 level = 3;
        for (;; level--) {
            path[level] = &table[index_at(address, level)];
            if (!(*path[level] & PTE_PRESENT) || level == 1)
                break;
            table = table_of(*path[level]);
        }
        u64 span = PLAT_PAGE << 9 * level, next = (address & ~(span - 1)) + span;
        if (next > end)
            next = end;
        if (*path[level] & PTE_PRESENT)
            unmap_in_table(address, next, path, drop);
        address = next;
    }
    spin_unlock(&lock);
}
