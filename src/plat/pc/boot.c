// SPDX-License-Identifier: MIT
// What the boot loader says: memory, command line, archive. Two forms are understood, the start
// info of PVH (include/public/arch-x86/hvm/start_info.h in Xen) and the tags of multiboot2; the
// magic number of the former tells which one it is, for EAX is not the same everywhere.
//
// What the loader has put into memory stays there and is not free; the kernel itself neither, nor
// the first MiB, where firmware keeps things.
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

#define PVH_MAGIC 0x336ec578u
#define LOW_MEMORY (1ull << 20)

struct pvh_info {
    u32 magic, version, flags, modules;
    u64 module_list, command_line, rsdp, memory_map;
    u32 memory_entries, reserved;
};
_Static_assert(sizeof(struct pvh_info) == 56, "PVH");

struct pvh_module {
    u64 address, size, command_line, reserved;
};

struct pvh_memory {
    u64 address, size;
    u32 type, reserved;
};
_Static_assert(sizeof(struct pvh_memory) == 24, "PVH");

struct tag {
    u32 type, size;
};
enum { TAG_END, TAG_COMMAND_LINE, TAG_MODULE = 3, TAG_MEMORY = 6, TAG_RSDP_OLD = 14, TAG_RSDP };
enum { MEMORY_RAM = 1 };

struct boot boot = {.command_line = ""};
extern u8 text_start[], kernel_end[];
static struct range ram[RANGES_MAX], taken[8];
static u32 nram, ntaken;

static void *map(u64 address, u64 size)
{
    direct_map(address, size);
    return (void *)address;
}

static void take(u64 address, u64 size)
{
    if (ntaken < countof(taken))
        taken[ntaken++] = (struct range){address, address + size};
}

static void add_memory(u64 address, u64 size, u32 type)
{
    if (type == MEMORY_RAM && size && address + size > LOW_MEMORY && nram < RANGES_MAX)
        ram[nram++] = (struct range){address < LOW_MEMORY ? LOW_MEMORY : address, address + size};
}

static void set_archive(u64 address, u64 size)
{
    boot.archive = (const u8 *)address;
    boot.archive_size = size;
    take(address, size);
}

static const char *text_at(u64 address)
{
    const char *text = map(address, PLAT_PAGE);
    map(address, strlen(text) + 1);
    take(address, strlen(text) + 1);
    return text;
}

static void read_pvh(const struct pvh_info *p)
{
    const struct pvh_module *m = map(p->module_list, sizeof *m);
    if (p->modules)
        set_archive(m->address, m->size);
    if (p->command_line)
        boot.command_line = text_at(p->command_line);
    boot.rsdp = p->rsdp;
    const struct pvh_memory *e = map(p->memory_map, p->memory_entries * sizeof *e);
    for (u32 i = 0; i < p->memory_entries; i++)
        add_memory(e[i].address, e[i].size, e[i].type);
}

static void read_tag(const struct tag *t)
{
    const u8 *p = (const u8 *)(t + 1);
    if (t->type == TAG_COMMAND_LINE)
        boot.command_line = (const char *)p;
    else if (t->type == TAG_MODULE && !boot.archive)
        set_archive(load_u32(p), load_u32(p + 4) - load_u32(p));
    else if (t->type == TAG_RSDP || t->type == TAG_RSDP_OLD)
        boot.rsdp = (u64)p;
    else if (t->type == TAG_MEMORY)
        for (u32 at = 16; at + 24 <= t->size; at += load_u32(p))
            add_memory(load_u64((const u8 *)t + at), load_u64((const u8 *)t + at + 8),
                       load_u32((const u8 *)t + at + 16));
}

static void read_multiboot(u64 info)
{
    u32 size = load_u32(map(info, PLAT_PAGE));
    map(info, size);
    take(info, size);
    for (u64 at = info + 8; at + 8 <= info + size;) {
        const struct tag *t = (const struct tag *)at;
        if (t->type == TAG_END)
            break;
        read_tag(t);
        at += ALIGN_UP((u64)t->size, 8ull);
    }
}

void boot_read(u64 info)
{
    const struct pvh_info *p = map(info, sizeof *p);
    take((u64)text_start, (u64)(kernel_end - text_start));
    if (p->magic == PVH_MAGIC)
        read_pvh(p);
    else
        read_multiboot(info);
    for (u32 i = 0; i < nram; i++)
        direct_map(ram[i].from, ram[i].to - ram[i].from);
    direct_map((u64)boot.archive, boot.archive_size);
}

// The first of what is taken that begins in or reaches into a range; NULL: none.
static const struct range *first_taken(u64 from, u64 to)
{
    const struct range *first = NULL;
    for (u32 i = 0; i < ntaken; i++)
        if (taken[i].from < to && taken[i].to > from && (!first || taken[i].from < first->from))
            first = &taken[i];
    return first;
}

bool boot_has_ram(u64 from, u64 to)
{
    for (u32 i = 0; i < nram; i++)
        if (ram[i].from < to && ram[i].to > from)
            return true;
    return from < LOW_MEMORY;
}

u64 boot_each_free(void (*free)(u64 from, u64 to))
{
    u64 top = 0;
    for (u32 i = 0; i < nram; i++) {
        u64 from = ram[i].from;
        const struct range *t;
        for (; (t = first_taken(from, ram[i].to)); from = ALIGN_UP(t->to, PLAT_PAGE))
            if (t->from > from)
                free(from, t->from);
        if (from < ram[i].to)
            free(from, ram[i].to);
        top = ram[i].to > top ? ram[i].to : top;
    }
    return top;
}
