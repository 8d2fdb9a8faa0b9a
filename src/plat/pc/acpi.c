// SPDX-License-Identifier: MIT
// ACPI without its language: tables are found from the root pointer and read where they lie. Of the
// byte code only one constant is looked for, as everybody does who has no interpreter for it: the
// sleep type that the package \_S5_ begins with.
#include "plat/pc/acpi.h"

#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

struct header {
    char signature[4];
    u32 length;
    u8 revision, checksum;
    char oem[18];
    u32 creator[2];
} __attribute__((packed));
_Static_assert(sizeof(struct header) == 36, "ACPI 5.2.6");

enum { FADT_DSDT = 40, FADT_PM1A = 64, MADT_ENTRIES = 44, SLEEP_ENABLE = 1 << 13 };

static const u8 *map(u64 address, u64 size)
{
    direct_map(address, size);
    return (const u8 *)address;
}

static const struct header *table_at(u64 address)
{
    const struct header *h = (const struct header *)map(address, sizeof *h);
    return (const struct header *)map(address, h->length);
}

static bool has_signature(const u8 *p, const char *text, u32 n)
{
    return !memcmp(p, text, n);
}

// Loaders that give no pointer leave it to be found in the BIOS area.
static u64 root_pointer(void)
{
    if (boot.rsdp)
        return boot.rsdp;
    for (const u8 *p = map(0xe0000, 0x20000), *end = p + 0x20000; p < end; p += 16)
        if (has_signature(p, "RSD PTR ", 8))
            return (u64)p;
    return 0;
}

static const struct header *find(const char *signature)
{
    u64 root = root_pointer();
    if (!root)
        return NULL;
    const u8 *r = map(root, 36);
    u32 width = r[15] >= 2 && load_u64(r + 24) ? 8 : 4;
    const struct header *list = table_at(width == 8 ? load_u64(r + 24) : load_u32(r + 16));
    const u8 *p = (const u8 *)(list + 1), *end = (const u8 *)list + list->length;
    for (; p + width <= end; p += width) {
        const struct header *h = table_at(width == 8 ? load_u64(p) : load_u32(p));
        if (has_signature((const u8 *)h, signature, 4))
            return h;
    }
    return NULL;
}

const u8 *acpi_table(const char *signature, u32 *length)
{
    const struct header *h = find(signature);
    *length = h ? h->length : 0;
    return (const u8 *)h;
}

u32 acpi_cpu_count(void)
{
    const struct header *h = find("APIC");
    if (!h)
        return 0;
    u32 n = 0;
    const u8 *p = (const u8 *)h + MADT_ENTRIES, *end = (const u8 *)h + h->length;
    for (; p + 2 <= end && p[1]; p += p[1])
        n += (p[0] == 0 && load_u32(p + 4) & 1) || (p[0] == 9 && load_u32(p + 8) & 1);
    return n;
}

// The first element of the package: a byte constant, or one of the one-byte opcodes for 0 and 1.
static u32 sleep_type(const u8 *p, const u8 *end)
{
    for (; p + 10 < end; p++) {
        if (!has_signature(p, "_S5_\x12", 5))
            continue;
        p += 5;
        p += (*p >> 6) + 2; // length of the package, number of elements
        return *p == 0x0a ? p[1] : *p;
    }
    return 0;
}

void acpi_power_off(void)
{
    const struct header *fadt = find("FACP");
    if (!fadt)
        return;
    const u8 *p = (const u8 *)fadt;
    const struct header *dsdt = table_at(load_u32(p + FADT_DSDT));
    const u8 *code = (const u8 *)dsdt;
    u32 port = load_u32(p + FADT_PM1A);
    if (port)
        out16((u16)port, (u16)(sleep_type(code, code + dsdt->length) << 10 | SLEEP_ENABLE));
}
