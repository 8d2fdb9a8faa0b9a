// SPDX-License-Identifier: MIT
// The IOMMU: a device reaches the memory that its driver was given for it, and nothing else.
//
// Each device that has a driver has page tables of its own, in which memory lies where it is: a
// device's address is the physical one. What a device may do hangs from its context entry, which it
// has from its driver's first memory (iommu_map) until it is given up (iommu_drop). Any other entry
// says: nothing, and not worth telling. So a device without a driver reaches nothing, and one that
// goes where it may not loses its entry, and cannot fill the log.
//
// What a device writes to the interrupt controllers' addresses is no memory, and no page table
// confines it: a driver could send any interrupt, an exception's too. So interrupts are remapped:
// what comes is a number in a table, whose entries each have one source. The number is the vector.
//
// Changes are told to the unit by its queue, and waited for. The lock of the queue and of context
// entries is taken by the unit's own interrupt, so it is held with interrupts off; that of the page
// tables is not. Numbers are those of the VT-d specification (3.x): 10.4 registers, 9 structures,
// 6.5.2 the queue.
#include "plat/pc/iommu.h"

#include "plat/pc/acpi.h"
#include "plat/pc/device.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

enum {
    CAPABILITIES = 0x08,
    EXTENDED = 0x10,
    COMMAND = 0x18,
    STATUS = 0x1c,
    ROOTS = 0x20,
    FAULT_STATUS = 0x34,
    FAULT_CONTROL = 0x38,
    FAULT_DATA = 0x3c,
    FAULT_ADDRESS = 0x40,
    FAULT_ADDRESS_HIGH = 0x44,
    QUEUE_TAIL = 0x88,
    QUEUE_AT = 0x90,
    INTERRUPTS = 0xb8,
};
enum { DO_QUEUE = 1 << 26, DO_REMAP = 1 << 25, SET_INTERRUPTS = 1 << 24, SET_ROOTS = 1 << 30 };
#define DO_TRANSLATE (1u << 31)
#define STAYS 0x96ffffffu // of the status, in a command: the others are done once
enum { FAULT_PENDING = 1 << 1, FAULT_CLEAR = 0x7d };
enum { SPINS = 1 << 26 };

// Of what the unit can do
#define CAP_DOMAINS 7ull
#define CAP_FLUSHES_WRITES (1ull << 4)
#define CAP_CACHES_ABSENT (1ull << 7)
enum { LEVELS_3 = 1 << 9, LEVELS_4 = 1 << 10 };
enum { EXT_COHERENT = 1 << 0, EXT_QUEUE = 1 << 1, EXT_REMAP = 1 << 3, EXT_WIDE_IDS = 1 << 4 };

// Invalidation: contexts, translations, interrupts; a domain is one device's.
enum { FORGET_CONTEXT = 1, FORGET_PAGES = 2, FORGET_INTERRUPT = 4, SAY_WHEN_DONE = 5 };
enum { ALL = 1 << 4, OF_DOMAIN = 2 << 4, OF_DEVICE = 3 << 4, ONE_INTERRUPT = 1 << 4 };
enum { WRITE_STATUS = 1 << 5, QUEUE_PLACES = 256 };

enum { PRESENT = 1, QUIET = 2 }; // a context, or an interrupt: is there; its faults are not told
enum { MAY_READ = 1, MAY_WRITE = 2, ENTRIES = 512, BITS = 9, PAGE_BITS = 12 };
enum { BUSES = 256, AT_ONCE = 64 };

static struct {
    volatile u8 *registers; // NULL: it is off
    u64 capabilities, extended;
    u32 levels;
    const u8 *said;       // by firmware
    u32 inputs;           // iommu_inputs
    u64 (*contexts)[2];   // of the first bus, by a device's place
    u64 (*interrupts)[2]; // by vector
    u64 (*queue)[2];
    u32 tail, asked;
    volatile u32 done; // as often as was asked
    u32 lock;          // of the queue and the three above
    u32 tables_lock;
    u64 tables[PLAT_DEVICES]; // the uppermost; 0: it has no memory
    u32 pages[PLAT_DEVICES];  // that these are
    struct iommu_fault faults[PLAT_DEVICES];
} unit;

bool iommu_on(void)
{
    return unit.registers != NULL;
}

u32 iommu_inputs(void)
{
    return unit.inputs;
}

// --- What firmware says of it (VT-d, 8): a list of units, each with what it is for.

enum { TABLE_UNITS = 48, UNIT_DEVICES = 16, FLAG_ALL_OTHERS = 1 };
enum { SCOPE_DEVICE = 1, SCOPE_INPUTS = 3, SCOPE_PATH = 6, SCOPE_ONE = SCOPE_PATH + 2 };

static u32 half(const u8 *p)
{
    return p[0] | (u32)p[1] << 8;
}

// The next unit of the first segment behind `p`; NULL: the first one. NULL: there is none.
static const u8 *next_unit(const u8 *p)
{
    static const u8 *table;
    static u32 length;
    if (!p)
        table = acpi_table("DMAR", &length);
    if (!table)
        return NULL;
    const u8 *end = table + length;
    p = p ? p + half(p + 2) : table + TABLE_UNITS;
    for (; p + UNIT_DEVICES <= end && half(p + 2) >= UNIT_DEVICES; p += half(p + 2))
        if (!half(p) && !half(p + 6) && p + half(p + 2) <= end)
            return p;
    return NULL;
}

// Where in the first bus the next thing of that kind is that a unit names; -1: no more.
static s32 next_named(const u8 *u, u32 kind, const u8 **at)
{
    const u8 *end = u + half(u + 2), *p = *at ? *at : u + UNIT_DEVICES;
    for (; p + SCOPE_ONE <= end && p[1] >= SCOPE_ONE; p += p[1]) {
        *at = p + p[1];
        if (p[0] == kind && p[1] == SCOPE_ONE)
            return p[5] << 8 | p[6] << 3 | p[7];
    }
    return -1;
}

static bool names(const u8 *u, u32 where)
{
    const u8 *at = NULL;
    s32 named;
    while ((named = next_named(u, SCOPE_DEVICE, &at)) >= 0)
        if ((u32)named == where)
            return true;
    return false;
}

bool iommu_covers(u32 where)
{
    bool others = false;
    for (const u8 *u = NULL; (u = next_unit(u));)
        others |= u != unit.said && names(u, where);
    return names(unit.said, where) || (unit.said[4] & FLAG_ALL_OTHERS && !others);
}

// --- Registers, and what is told by the queue

static u32 get(u32 at)
{
    return *(volatile u32 *)(unit.registers + at);
}

static u64 get_wide(u32 at)
{
    return *(volatile u64 *)(unit.registers + at);
}

static void put(u32 at, u32 value)
{
    *(volatile u32 *)(unit.registers + at) = value;
}

static void put_wide(u32 at, u64 value)
{
    *(volatile u64 *)(unit.registers + at) = value;
}

static void command(u32 what)
{
    put(COMMAND, (get(STATUS) & STAYS) | what);
    for (u32 i = 0; !(get(STATUS) & what); i++, cpu_pause())
        if (i == SPINS)
            pc_panic(NULL, "iommu: command %x is not done", what);
}

// What was written there the unit sees.
static void show(const volatile void *p, size_t size)
{
    u64 at = (u64)p & ~63ull, end = (u64)p + size;
    for (; !(unit.extended & EXT_COHERENT) && at < end; at += 64)
        __asm__ volatile("clflush (%0)" : : "r"(at) : "memory");
    __asm__ volatile("mfence" ::: "memory");
}

static void set(volatile u64 entry[2], u64 low, u64 high)
{
    entry[0] = QUIET;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    entry[1] = high;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    entry[0] = low;
    show(entry, 16);
}

static u64 lock(void)
{
    u64 flags = interrupts_save();
    spin_lock(&unit.lock);
    return flags;
}

static void unlock(u64 flags)
{
    spin_unlock(&unit.lock);
    interrupts_restore(flags);
}

static void ask(u64 low, u64 high)
{
    volatile u64 *d = unit.queue[unit.tail++ % QUEUE_PLACES];
    d[0] = low;
    d[1] = high;
    show(d, 16);
}

// Until all that was asked is done.
static void settle(void)
{
    u32 ticket = ++unit.asked;
    ask(SAY_WHEN_DONE | WRITE_STATUS | (u64)ticket << 32, (u64)&unit.done);
    put_wide(QUEUE_TAIL, unit.tail % QUEUE_PLACES * 16);
    for (u32 i = 0; unit.done != ticket; i++, cpu_pause())
        if (i == SPINS)
            pc_panic(NULL, "iommu: it does not answer (status %x)", get(FAULT_STATUS));
}

// --- What devices reach

static u64 domain(u32 device)
{
    return device + 1; // 0 is the unit's own
}

// With the lock.
static void set_context(u32 device, u64 low, u64 high)
{
    u32 where = devices[device].pci;
    set(unit.contexts[where], low, high);
    ask(FORGET_CONTEXT | OF_DEVICE | domain(device) << 16 | (u64)where << 32, 0);
    ask(FORGET_PAGES | OF_DOMAIN | domain(device) << 16, 0);
    settle();
}

static u64 new_page(void)
{
    u64 page = page_alloc(0);
    if (page) {
        page_clear(page);
        show((void *)page, PLAT_PAGE);
    }
    return page;
}

// The table of the lowest level for an address, made if need be. NULL: no memory.
static u64 *leaf(u32 device, u64 address)
{
    u64 *entry = &unit.tables[device];
    for (u32 level = unit.levels;; level--) {
        if (!*entry) {
            u64 page = new_page();
            if (!page)
                return NULL;
            unit.pages[device]++;
            *entry = page | (level < unit.levels ? MAY_READ | MAY_WRITE : 0);
            show(entry, 8);
        }
        u64 *table = (u64 *)(*entry & PTE_ADDRESS);
        if (level == 1)
            return table;
        entry = &table[address >> (PAGE_BITS + BITS * (level - 1)) & (ENTRIES - 1)];
    }
}

static status map(u32 device, u64 address, u64 size, u64 may)
{
    while (size) {
        u64 *table = leaf(device, address);
        u32 from = address / PLAT_PAGE % ENTRIES, i = from;
        if (!table)
            return ERR_NO_MEMORY;
        for (; i < ENTRIES && size; i++, address += PLAT_PAGE, size -= PLAT_PAGE)
            table[i] |= address | may;
        show(&table[from], (i - from) * 8);
    }
    return OK;
}

status iommu_map(u32 device, u64 address, u64 size, bool write)
{
    if (address + size > 1ull << (PAGE_BITS + BITS * unit.levels))
        return ERR_NO_MEMORY;
    spin_lock(&unit.tables_lock);
    bool first = !unit.tables[device];
    status s = map(device, address, size, MAY_READ | (write ? MAY_WRITE : 0));
    if (first && unit.tables[device]) {
        u64 flags = lock();
        set_context(device, unit.tables[device] | PRESENT, (unit.levels - 2) | domain(device) << 8);
        unlock(flags);
    } else if (unit.capabilities & CAP_CACHES_ABSENT) {
        u64 flags = lock();
        ask(FORGET_PAGES | OF_DOMAIN | domain(device) << 16, 0);
        settle();
        unlock(flags);
    }
    spin_unlock(&unit.tables_lock);
    return s;
}

u32 iommu_pages(u32 device)
{
    return unit.pages[device];
}

u64 iommu_tables(void)
{
    return iommu_on() ? unit.levels * PLAT_PAGE : 0;
}

// One of the lowest that there are; true: it was the uppermost.
static bool free_table(u32 device)
{
    u64 *entry = &unit.tables[device];
    for (u32 level = unit.levels; level > 1; level--) {
        u64 *table = (u64 *)(*entry & PTE_ADDRESS);
        u32 i = 0;
        while (i < ENTRIES && !table[i])
            i++;
        if (i == ENTRIES)
            break;
        entry = &table[i];
    }
    page_free(*entry & PTE_ADDRESS, 0);
    *entry = 0;
    unit.pages[device]--;
    return !unit.tables[device];
}

bool iommu_drop(u32 device)
{
    u32 n = 0;
    spin_lock(&unit.tables_lock);
    if (unit.tables[device]) {
        u64 flags = lock();
        set_context(device, QUIET, 0);
        unlock(flags);
        iommu_interrupt(); // what it has done so far is not the next one's
    }
    while (unit.tables[device] && n++ < AT_ONCE && !free_table(device))
        ;
    bool gone = !unit.tables[device];
    spin_unlock(&unit.tables_lock);
    return gone;
}

// --- Interrupts

void iommu_lead(u32 vector, u32 source, bool level)
{
    enum { LEVEL = 1 << 4, VECTOR_SHIFT = 16, THIS_SOURCE = 1 << 18 };
    u64 to = unit.extended & EXT_WIDE_IDS ? cpu0.apic_id : cpu0.apic_id << 8;
    u64 flags = lock();
    set(unit.interrupts[vector], PRESENT | (level ? LEVEL : 0) | vector << VECTOR_SHIFT | to << 32,
        source | THIS_SOURCE);
    ask(FORGET_INTERRUPT | ONE_INTERRUPT | (u64)vector << 32, 0);
    settle();
    unlock(flags);
}

void iommu_silence(u32 vector)
{
    u64 flags = lock();
    set(unit.interrupts[vector], QUIET, 0);
    ask(FORGET_INTERRUPT | ONE_INTERRUPT | (u64)vector << 32, 0);
    settle();
    unlock(flags);
}

// --- Faults

const struct iommu_fault *iommu_fault(u32 device)
{
    return &unit.faults[device];
}

static void cut_off(u32 where, const struct iommu_fault *f)
{
    for (u32 i = 0; i < device_count; i++) {
        if (devices[i].about.bus != BUS_PCI || devices[i].pci != where)
            continue;
        unit.faults[i] = *f;
        set_context(i, QUIET, 0);
        __atomic_or_fetch(&plat_interrupts, 1ull << (PLAT_CUT_OFF + i), __ATOMIC_RELEASE);
    }
}

// Whoever is told of has lost its context, so what is pending comes to an end.
void iommu_interrupt(void)
{
    u32 records = (unit.capabilities >> 40 & 255) + 1, at = (unit.capabilities >> 24 & 1023) * 16;
    u64 flags = lock();
    for (u32 i = 0; i < 2 * PLAT_DEVICES && get(FAULT_STATUS) & FAULT_PENDING; i++)
        for (u32 k = 0; k < records; k++) {
            u64 low = get_wide(at + 16 * k), high = get_wide(at + 16 * k + 8);
            struct iommu_fault f = {low & PTE_ADDRESS, (u8)(high >> 32), high >> 62 & 1};
            if (!(high >> 63))
                continue;
            put(at + 16 * k + 12, 1u << 31);
            cut_off(high & 0xffff, &f);
        }
    put(FAULT_STATUS, FAULT_CLEAR);
    unlock(flags);
}

// --- Turning it on

static const char *find(void)
{
    for (const u8 *u = NULL; (u = next_unit(u));) {
        const u8 *at = NULL;
        s32 inputs = next_named(u, SCOPE_INPUTS, &at);
        if (inputs < 0)
            continue;
        u64 base = load_u64(u + 8);
        direct_map_device(base, PLAT_PAGE);
        unit.registers = (volatile u8 *)base;
        unit.inputs = (u32)inputs;
        unit.said = u;
        return NULL;
    }
    return "this machine has none (QEMU: -machine q35 -device intel-iommu)";
}

static const char *look(void)
{
    u64 cap = unit.capabilities = get_wide(CAPABILITIES);
    u64 extended = unit.extended = get_wide(EXTENDED);
    unit.levels = cap & LEVELS_3 ? 3 : cap & LEVELS_4 ? 4 : 0;
    u32 domains = 1u << (4 + 2 * (cap & CAP_DOMAINS)); // a device each, and the unit's own
    if (!unit.levels || !(extended & EXT_QUEUE) || cap & CAP_FLUSHES_WRITES ||
        domains <= PLAT_DEVICES)
        return "this machine's is too old";
    if (!(extended & EXT_REMAP))
        return "this machine's does not remap interrupts (QEMU: kernel-irqchip=split, intremap=on)";
    if (get(STATUS) & (DO_TRANSLATE | DO_REMAP))
        return "this machine's is on already";
    if (!apic_is_wide())
        unit.extended &= ~(u64)EXT_WIDE_IDS;
    return NULL;
}

// One table of contexts for the first bus, and one for all others.
static bool make_tables(void)
{
    u64 roots = new_page(), here = new_page(), others = new_page();
    u64 interrupts = new_page(), queue = new_page();
    if (!roots || !here || !others || !interrupts || !queue)
        return false;
    unit.contexts = (void *)here;
    unit.interrupts = (void *)interrupts;
    unit.queue = (void *)queue;
    for (u32 i = 0; i < BUSES; i++) {
        set((u64 *)others + 2 * i, QUIET, 0);
        set(unit.contexts[i], QUIET, 0);
        set(unit.interrupts[i], QUIET, 0);
        set((u64 *)roots + 2 * i, (i ? others : here) | PRESENT, 0);
    }
    put_wide(ROOTS, roots);
    put_wide(QUEUE_AT, queue);
    put_wide(INTERRUPTS, interrupts | (unit.extended & EXT_WIDE_IDS ? 1 << 11 : 0) | 7);
    return true;
}

static void turn_on(void)
{
    put_wide(QUEUE_TAIL, 0);
    command(DO_QUEUE);
    command(SET_ROOTS);
    command(SET_INTERRUPTS);
    ask(FORGET_CONTEXT | ALL, 0);
    ask(FORGET_PAGES | ALL, 0);
    ask(FORGET_INTERRUPT, 0);
    settle();
    put(FAULT_DATA, VECTOR_IOMMU);
    put(FAULT_ADDRESS, MESSAGE_ADDRESS | (cpu0.apic_id & 255) << 12);
    put(FAULT_ADDRESS_HIGH, cpu0.apic_id & ~255u);
    cpu_gate(VECTOR_IOMMU);
    put(FAULT_CONTROL, 0);
    command(DO_TRANSLATE);
    command(DO_REMAP);
}

// The port's interrupt, which was led otherwise so far, may be lost meanwhile.
const char *iommu_start(void)
{
    if (iommu_on())
        return NULL;
    if (device_count)
        return "devices are in use already";
    const char *why = find();
    if (!why)
        why = look();
    if (!why && !make_tables())
        why = "no memory";
    if (why) {
        unit.registers = NULL;
        return why;
    }
    u64 flags = interrupts_save();
    turn_on();
    apic_route(SERIAL_INPUT, VECTOR_SERIAL);
    serial_interrupt();
    interrupts_restore(flags);
    return NULL;
}
