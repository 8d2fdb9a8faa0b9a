// SPDX-License-Identifier: MIT
// Devices: finding them, their registers, their interrupts.
//
// Those of virtio that lie in memory are announced on the command line, as Linux understands it:
// virtio_mmio.device=SIZE@BASE:INPUT. Whoever wrote that may be wrong: what overlaps RAM, or
// anything but the part of the fourth GiB where devices are, is not there.
//
// An interrupt line is a vector. One that stays up is masked when it comes, before the CPU's
// controller is told that it is over, and comes again when its driver is ready. All go to CPU 0.
//
// Pins of PCI share inputs, and these one vector. It is the device that is kept from calling until
// its driver is ready, so that a driver that never is does not keep others' interrupts away.
#include "plat/pc/device.h"
#include "base/fmt.h"
#include "plat/pc/console.h"
#include "plat/pc/iommu.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

#define DEVICES_FROM (3 * GIB)
#define DEVICES_TO 0xfec00000ull // the interrupt controllers, and what else is the machine's
#define LARGE (2ull << 20)

enum { MAGIC, VERSION, DEVICE_ID, STATUS = 28 }; // virtio 1.2, 4.2.2, in words
enum {
    MAGIC_VALUE = 0x74726976,
    VIRTIO_CONSOLE = 3,
    MODERN = 0x1040,
    VIRTIO_VENDOR = 0x1af4,
    MMIO_SIZE_MAX = 65536
};

u64 plat_interrupts;

struct found devices[PLAT_DEVICES];
u32 device_count, devices_left_out;

static u32 lock; // of what follows, and of being looked for
static struct {
    bool used;
    u32 device, n; // whose it is, or was last
} lines[PLAT_INTERRUPTS];

// --- Finding them

static bool overlap(const struct plat_range *a, u64 from, u64 to)
{
    return a->kind == RANGE_MEMORY && a->base < to && a->base + a->size > from;
}

// Has a device but this one registers there?
static bool others_in(u32 number, u64 from, u64 to)
{
    for (u32 i = 0; i < device_count; i++)
        for (u32 k = 0; i != number && k < PLAT_RANGES; k++)
            if (overlap(&devices[i].about.ranges[k], from, to))
                return true;
    return false;
}

bool device_may_have(u64 base, u64 size)
{
    u64 end = base + size;
    if (base < DEVICES_FROM || size > DEVICES_TO - DEVICES_FROM || base > DEVICES_TO - size ||
        base % 4)
        return false;
    if (boot_has_ram(base & ~(LARGE - 1), ALIGN_UP(end, LARGE)) ||
        others_in(device_count, base, end))
        return false;
    direct_map_device(base, size);
    return true;
}

static volatile u32 *registers_at(u64 base)
{
    return (volatile u32 *)base;
}

static void add_mmio(u64 size, u64 base, u64 input)
{
    if (device_count == PLAT_DEVICES || size < 0x100 || size > MMIO_SIZE_MAX ||
        input >= apic_inputs() || input == SERIAL_INPUT || !device_may_have(base, size))
        return;
    volatile u32 *r = registers_at(base);
    if (r[MAGIC] != MAGIC_VALUE || r[VERSION] != 2 || !r[DEVICE_ID])
        return;
    if (iommu_on()) {
        devices_left_out++;
        return;
    }
    devices[device_count++] = (struct found){
        .about = {.bus = BUS_VIRTIO_MMIO,
                  .vendor = VIRTIO_VENDOR,
                  .id = r[DEVICE_ID],
                  .interrupts = 1,
                  .dma = true,
                  .ranges = {{.kind = RANGE_MEMORY, .base = base, .size = (u32)size}}},
        .status = base + 4 * STATUS,
        .status_bytes = 4,
        .inputs = {(u8)input},
        .how = ROUTE_LEVEL,
    };
}

// Digits of either kind; what is too large is larger than anything that is right.
static u64 number(const char **at)
{
    const char *p = *at;
    u64 n = 0;
    u32 base = 10;
    if (p[0] == '0' && p[1] == 'x')
        base = 16, p += 2;
    for (;; p++) {
        u32 digit = (u32)*p - '0', letter = ((u32)*p | 32) - 'a';
        if (digit >= 10)
            digit = letter < 6 ? letter + 10 : base;
        if (digit >= base)
            break;
        n = n >> 56 ? n : n * base + digit;
    }
    if (*p == 'K' || *p == 'M')
        n <<= *p++ == 'K' ? 10 : 20;
    *at = p;
    return n;
}

static bool skip(const char **at, const char *text)
{
    const char *p = *at;
    for (; *text; text++, p++)
        if (*p != *text)
            return false;
    *at = p;
    return true;
}

static void read_command_line(void)
{
    const char *p = boot.command_line;
    while (*p) {
        if (skip(&p, "virtio_mmio.device=")) {
            u64 size = number(&p), base = skip(&p, "@") ? number(&p) : 0;
            u64 input = skip(&p, ":") ? number(&p) : UINT64_MAX;
            add_mmio(size, base, input);
        }
        while (*p && *p++ != ' ')
            ;
    }
}

// The console's goes behind those that drivers are offered.
static u32 set_console_aside(void)
{
    for (u32 i = 0; i < device_count && console_is_multiplexed(); i++) {
        const struct plat_device *d = &devices[i].about;
        struct found last = devices[device_count - 1];
        if (d->vendor != VIRTIO_VENDOR ||
            d->id != VIRTIO_CONSOLE + (d->bus == BUS_PCI ? MODERN : 0))
            continue;
        devices[device_count - 1] = devices[i];
        devices[i] = last;
        return device_count - 1;
    }
    return device_count;
}

static u32 offered;

static void tell_left_out(void)
{
    char text[160];
    plat_console_write(text, fmt(text, sizeof text,
                                 "nebulet: %u devices are left out, for the IOMMU does not confine "
                                 "them (QEMU: iommu_platform=on,disable-legacy=on)\n",
                                 devices_left_out));
}

SELDOM static const struct plat_device *get(u32 n)
{
    static bool looked;
    if (!__atomic_load_n(&looked, __ATOMIC_ACQUIRE)) {
        spin_lock(&lock);
        bool first = !looked;
        if (!looked) {
            read_command_line();
            pci_scan();
            legacy_find();
            offered = set_console_aside();
        }
        __atomic_store_n(&looked, true, __ATOMIC_RELEASE);
        spin_unlock(&lock);
        if (first && devices_left_out)
            tell_left_out();
    }
    return n < offered ? &devices[n].about : NULL;
}

const struct found *device_of_console(void)
{
    get(0);
    return offered < device_count ? &devices[offered] : NULL;
}

// --- Using them

static u32 load(u64 at, u32 bytes)
{
    if (bytes == 1)
        return *(volatile u8 *)at;
    return bytes == 2 ? *(volatile u16 *)at : *(volatile u32 *)at;
}

static void store(u64 at, u32 bytes, u32 value)
{
    if (bytes == 1)
        *(volatile u8 *)at = (u8)value;
    else if (bytes == 2)
        *(volatile u16 *)at = (u16)value;
    else
        *(volatile u32 *)at = value;
}

// Virtio 1.2, 2.4: with 0 in its status a device forgets its queues, and is done with them when it
// says so.
static bool stop(u32 n)
{
    const struct found *d = &devices[n];
    if (d->about.bus == BUS_PC)
        return true;
    store(d->status, d->status_bytes, 0);
    if (load(d->status, d->status_bytes))
        return false;
    if (d->about.bus == BUS_PCI)
        pci_stop(d);
    return !iommu_on() || iommu_drop(n);
}

// Of a byte each. A wider access would be one to the next port, too.
static status read_port(const struct plat_range *r, u32 offset, u32 bytes, u32 *value)
{
    if (bytes != 1)
        return ERR_ACCESS_DENIED;
    *value = in8((u16)(r->base + offset));
    return OK;
}

static status write_port(const struct plat_range *r, u32 offset, u32 bytes, u32 value)
{
    u16 port = (u16)(r->base + offset);
    if (bytes != 1 || !legacy_may_write(port, (u8)value))
        return ERR_ACCESS_DENIED;
    out8(port, (u8)value);
    return OK;
}

static status read(u32 n, u32 range, u32 offset, u32 bytes, u32 *value)
{
    const struct plat_range *r = &devices[n].about.ranges[range];
    if (r->kind == RANGE_MEMORY)
        *value = load(r->base + offset, bytes);
    else if (r->kind == RANGE_PORTS)
        return read_port(r, offset, bytes, value);
    else
        *value =
            pci_read((u32)r->base, offset) >> 8 * (offset & 3) & (UINT32_MAX >> (32 - 8 * bytes));
    return OK;
}

static status write(u32 n, u32 range, u32 offset, u32 bytes, u32 value)
{
    const struct plat_range *r = &devices[n].about.ranges[range];
    if (r->kind == RANGE_PORTS)
        return write_port(r, offset, bytes, value);
    if (r->kind != RANGE_MEMORY)
        return ERR_ACCESS_DENIED;
    store(r->base + offset, bytes, value);
    return OK;
}

static status registers(u32 n, u32 range, struct plat_shared **out)
{
    const struct plat_range *r = &devices[n].about.ranges[range];
    u64 from = r->base & ~(PLAT_PAGE - 1), to = ALIGN_UP(r->base + r->size, PLAT_PAGE);
    if (others_in(n, from, to))
        return ERR_ACCESS_DENIED;
    *out = shared_registers(from, to - from);
    return *out ? OK : ERR_NO_MEMORY;
}

static struct plat_shared *memory(u32 n, size_t size, u64 *address)
{
    struct plat_shared *m = shared_run(size);
    if (!m)
        return NULL;
    *address = shared_address(m);
    if (iommu_on() && iommu_map(n, *address, size, true)) {
        while (!plat_shared_free(m))
            ;
        return NULL;
    }
    if (devices[n].about.bus == BUS_PCI)
        pci_reach(&devices[n]);
    return m;
}

static void tell(u32 n)
{
    const struct iommu_fault *f = iommu_fault(n);
    u32 where = devices[n].pci;
    char text[160];
    plat_console_write(
        text, fmt(text, sizeof text,
                  "nebulet: device %u (PCI %02x:%02x.%x) tried to %s 0x%lx, which is not its "
                  "driver's: it reaches no memory any more (reason %u)\n",
                  n, where >> 8, where >> 3 & 31, where & 7, f->read ? "read" : "write",
                  (unsigned long)f->address, f->reason));
}

// --- Interrupts

static const struct found *of(u32 line)
{
    return &devices[lines[line].device];
}

enum { MSIX_ADDRESS, MSIX_ADDRESS_HIGH, MSIX_DATA, MSIX_MASK, MSIX_WORDS };

static volatile u32 *message(const struct found *d, u32 n)
{
    return (volatile u32 *)d->msix + MSIX_WORDS * n;
}

static bool by_pin(const struct found *d)
{
    return d->about.bus == BUS_PCI && !d->msix;
}

// --- Pins. One that nobody looks after would keep this CPU busy, and none is missed by mistake
// (firmware's device behind a bridge): after VAIN interrupts in a row from none of ours, they are
// all masked until a driver is ready.
static struct {
    u32 lock;
    u32 inputs; // that are led here, a bit each
    u32 vain;
    bool masked;
} pins;
enum { VAIN = 100, VAIN_AGAIN = 8 };

// So many have come in a row.
static void expect_pins(u32 vain)
{
    u64 flags = interrupts_save();
    spin_lock(&pins.lock);
    bool mask = vain >= VAIN;
    for (u32 left = mask != pins.masked ? pins.inputs : 0; left; left &= left - 1)
        apic_mask((u32)__builtin_ctz(left), ROUTE_LEVEL | VECTOR_PIN | (mask ? ROUTE_MASKED : 0));
    pins.vain = vain;
    pins.masked = mask;
    spin_unlock(&pins.lock);
    interrupts_restore(flags);
}

static void quiet_pin(const struct found *d, bool on)
{
    pci_quiet(d, on);
    if (!on && pins.vain > VAIN - VAIN_AGAIN)
        expect_pins(VAIN - VAIN_AGAIN);
}

static void lead_pin(const struct found *d)
{
    cpu_gate(VECTOR_PIN);
    if (!(pins.inputs >> d->inputs[0] & 1))
        apic_route(d->inputs[0], ROUTE_LEVEL | VECTOR_PIN);
    pins.inputs |= 1u << d->inputs[0];
    quiet_pin(d, false);
}

// --- All

// What has come while it was quiet comes then, but an edge, which is not kept quiet.
static void quiet(u32 line, bool on)
{
    const struct found *d = of(line);
    if (d->msix)
        message(d, lines[line].n)[MSIX_MASK] = on;
    else if (by_pin(d))
        quiet_pin(d, on);
    else
        apic_mask(d->inputs[lines[line].n],
                  d->how | (VECTOR_DEVICE + line) | (on ? ROUTE_MASKED : 0));
}

SELDOM static void lead(const struct found *d, u32 n, u32 vector)
{
    if (by_pin(d)) {
        lead_pin(d);
        return;
    }
    cpu_gate(vector);
    if (d->msix) {
        volatile u32 *m = message(d, n);
        m[MSIX_ADDRESS] = MESSAGE_ADDRESS | cpu0.apic_id << 12;
        m[MSIX_ADDRESS_HIGH] = 0;
        m[MSIX_DATA] = vector;
        if (iommu_on()) {
            iommu_lead(vector, d->pci, false);
            m[MSIX_ADDRESS] = MESSAGE_ADDRESS | IOMMU_MESSAGE | vector << IOMMU_MESSAGE_SHIFT;
            m[MSIX_DATA] = 0;
        }
        m[MSIX_MASK] = 0;
    } else {
        apic_route(d->inputs[n], d->how | vector);
    }
}

void device_lead(const struct found *d, u32 vector)
{
    lead(d, 0, vector);
}

// An input of the machine, or a message, leads to one line at a time; pins of PCI share theirs.
static bool same(const struct found *a, u32 n, const struct found *b, u32 k)
{
    if (a->msix || b->msix || (by_pin(a) && by_pin(b)))
        return a == b && n == k;
    return a->inputs[n] == b->inputs[k];
}

static bool in_use(u32 device, u32 n)
{
    for (u32 i = 0; i < PLAT_INTERRUPTS; i++)
        if (lines[i].used && same(&devices[device], n, of(i), lines[i].n))
            return true;
    return false;
}

SELDOM static s64 connect(u32 device, u32 n)
{
    u32 line = 0;
    spin_lock(&lock);
    bool busy = in_use(device, n);
    while (line < PLAT_INTERRUPTS && lines[line].used)
        line++;
    if (!busy && line < PLAT_INTERRUPTS) {
        lines[line].device = device;
        lines[line].n = n;
        __atomic_store_n(&lines[line].used, true, __ATOMIC_RELEASE);
        lead(of(line), n, VECTOR_DEVICE + line);
    }
    spin_unlock(&lock);
    return busy ? ERR_BAD_STATE : line < PLAT_INTERRUPTS ? (s64)line : ERR_NO_RESOURCES;
}

SELDOM static void disconnect(u32 line)
{
    spin_lock(&lock);
    quiet(line, true);
    if (iommu_on())
        iommu_silence(VECTOR_DEVICE + line);
    __atomic_store_n(&lines[line].used, false, __ATOMIC_RELEASE);
    __atomic_and_fetch(&plat_interrupts, ~(1ull << line), __ATOMIC_RELAXED);
    spin_unlock(&lock);
}

static bool stays_up(const struct found *d)
{
    return d->msix || d->how & ROUTE_LEVEL;
}

static void ready(u32 line)
{
    if (stays_up(of(line)))
        quiet(line, false);
}

// One that was on its way when its line was disconnected is nobody's.
void device_interrupt(u32 line)
{
    if (!__atomic_load_n(&lines[line].used, __ATOMIC_ACQUIRE))
        return;
    if (stays_up(of(line)))
        quiet(line, true);
    __atomic_or_fetch(&plat_interrupts, 1ull << line, __ATOMIC_RELEASE);
}

// Whoever of them calls.
SELDOM void device_pins(void)
{
    u64 came = 0;
    for (u32 i = 0; i < PLAT_INTERRUPTS; i++) {
        if (!__atomic_load_n(&lines[i].used, __ATOMIC_ACQUIRE) || !by_pin(of(i)) ||
            !pci_calls(of(i)))
            continue;
        pci_quiet(of(i), true);
        came |= 1ull << i;
    }
    __atomic_or_fetch(&plat_interrupts, came, __ATOMIC_RELEASE);
    expect_pins(came ? 0 : pins.vain + 1);
}

static const struct plat_devices pc_devices = {
    get, stop, read, write, registers, memory, iommu_tables, tell, connect, disconnect, ready,
};
const struct plat_devices *const plat_devices = &pc_devices;
