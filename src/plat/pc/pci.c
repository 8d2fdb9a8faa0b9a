// SPDX-License-Identifier: MIT
// Devices on the first PCI bus, by the ports that every PC has for it. Only those of virtio are
// taken: a device goes from one driver to the next, so there must be a way to stop it for certain.
//
// Configuration space is ours alone, for what is in there moves registers over others' and lets a
// device reach memory: drivers may read it. Interrupts are messages (MSI-X), whose table is ours,
// too, with the whole range that it lies in; who writes there could send any interrupt. A device
// without them has the pin INTx: which input of the machine that leads to, firmware has left in its
// configuration, where it has led the chipset's PIRQs, too.
#include "plat/pc/device.h"
#include "plat/pc/iommu.h"
#include "plat/pc/x86.h"

enum { SELECT = 0xcf8, DATA = 0xcfc, SLOTS = 32, FUNCTIONS = 8 };
enum { ID, COMMAND = 4, HEADER = 12, BARS = 16, SUBSYSTEM = 0x2c, CAPABILITIES = 0x34 };
enum { COMMAND_MEMORY = 2, COMMAND_MASTER = 4, COMMAND_NO_INTX = 1 << 10, STATUS_INTX = 1 << 19 };
// What a pin may lead to: the others are inputs of the PC's own devices.
enum { PIN = 0x3c, PIN_INPUTS = 1 << 5 | 1 << 9 | 1 << 10 | 1 << 11 };
enum { CAP_VENDOR = 9, CAP_MSIX = 0x11, CAPS_MAX = 48, MSIX_ON = 1u << 31 };
enum { VIRTIO_VENDOR = 0x1af4, TRANSITIONAL = 0x1000, MODERN = 0x1040, MODERN_END = 0x1080 };
enum { VIRTIO_COMMON = 1, VIRTIO_NOTIFY, COMMON_STATUS = 20, COMMON_SIZE = 56 };

static u32 lock;
static bool pins; // a device has one that leads somewhere

// Gives what was there, of which `keep` stays. Interrupts come here, too.
static u32 access(u32 where, u32 offset, u32 keep, u32 value)
{
    u64 flags = interrupts_save();
    spin_lock(&lock);
    out32(SELECT, 1u << 31 | where << 8 | (offset & 0xfc));
    u32 was = in32(DATA);
    if (~keep)
        out32(DATA, (was & keep) | value);
    spin_unlock(&lock);
    interrupts_restore(flags);
    return was;
}

u32 pci_read(u32 where, u32 offset)
{
    return access(where, offset, UINT32_MAX, 0);
}

static void put(u32 where, u32 offset, u32 value)
{
    access(where, offset, 0, value);
}

// Status, in the upper half, has bits that a one clears.
static void command(u32 where, u32 clear, u32 set)
{
    access(where, COMMAND, 0xffff & ~clear, set);
}

// Gives the range's size, which the device tells when it is asked for an address of ones.
static u32 measure(u32 where, u32 at, u32 was)
{
    put(where, at, UINT32_MAX);
    u32 mask = pci_read(where, at);
    put(where, at, was);
    mask &= was & 1 ? ~3u : ~15u;
    return mask ? ~mask + 1 : 0;
}

// Where firmware has put it. One that cannot be where it is said to be is not there.
static void read_bars(u32 where, struct plat_device *d)
{
    for (u32 i = 0; i < 6; i++) {
        u32 at = BARS + 4 * i, low = pci_read(where, at), size = measure(where, at, low);
        struct plat_range *r = &d->ranges[i];
        bool ports = low & 1, wide = !ports && (low & 6) == 4;
        u64 base = low & (ports ? ~3u : ~15u);
        if (wide && i < 5)
            base |= (u64)pci_read(where, at + 4) << 32, i++;
        if (!size || ports || !device_may_have(base, size))
            continue;
        *r = (struct plat_range){.base = base, .size = size, .kind = RANGE_MEMORY};
    }
}

// Of a range of registers; NULL: it is none, or does not reach that far.
static const struct plat_range *registers(const struct found *f, u32 bar, u32 offset, u32 size)
{
    const struct plat_range *r = &f->about.ranges[bar < 6 ? bar : 0];
    bool fits = bar < 6 && r->kind == RANGE_MEMORY && offset <= r->size && size <= r->size - offset;
    return fits ? r : NULL;
}

static void read_capability(u32 where, u32 at, struct found *f)
{
    u32 first = pci_read(where, at), kind = first & 255;
    if (kind == CAP_VENDOR && first >> 24 == VIRTIO_COMMON) {
        u32 offset = pci_read(where, at + 8);
        const struct plat_range *r =
            registers(f, pci_read(where, at + 4) & 255, offset, COMMON_SIZE);
        f->common = r ? r->base + offset : f->common;
        f->status = r ? f->common + COMMON_STATUS : f->status;
    } else if (kind == CAP_VENDOR && first >> 24 == VIRTIO_NOTIFY) {
        u32 offset = pci_read(where, at + 8);
        const struct plat_range *r = registers(f, pci_read(where, at + 4) & 255, offset, 4);
        f->notify = r ? r->base + offset : f->notify;
        f->notify_multiplier = pci_read(where, at + 16);
    } else if (kind == CAP_MSIX) {
        u32 count = (first >> 16 & 0x7ff) + 1, table = pci_read(where, at + 4), bar = table & 7;
        const struct plat_range *r = registers(f, bar, table & ~7u, 16 * count);
        f->msix = r ? r->base + (table & ~7u) : 0;
        f->msix_control = at;
        f->about.interrupts = r ? count : 0;
    }
}

// The list may be a circle.
static void read_capabilities(u32 where, struct found *f)
{
    u32 at = pci_read(where, CAPABILITIES) & 0xfc;
    for (u32 i = 0; at && i < CAPS_MAX; i++, at = pci_read(where, at) >> 8 & 0xfc)
        read_capability(where, at, f);
    for (u32 i = 0; i < 6; i++) {
        struct plat_range *r = &f->about.ranges[i];
        if (f->msix && f->msix - r->base < r->size)
            *r = (struct plat_range){.kind = RANGE_NONE};
    }
}

static void use_pin(struct found *f)
{
    u32 said = pci_read(f->pci, PIN), input = said & 255;
    if (!(said & 0xff00) || input >= apic_inputs() || !(PIN_INPUTS >> input & 1))
        return;
    f->inputs[0] = (u8)input;
    f->how = ROUTE_LEVEL;
    f->about.interrupts = 1;
    pins = true;
}

// Its registers and messages are on from now on, whoever owns it: that its ranges come and go while
// another CPU runs, QEMU before 8.1 does not survive. Without COMMAND_MASTER it can do nothing.
static void open_up(const struct found *f)
{
    put(f->pci, COMMAND, COMMAND_NO_INTX | COMMAND_MEMORY);
    if (f->msix)
        put(f->pci, f->msix_control, pci_read(f->pci, f->msix_control) | MSIX_ON);
}

// Virtio 1.2, 6: without ACCESS_PLATFORM a device goes past the IOMMU, and it is not the driver who
// decides that.
static bool is_confined(const struct found *f)
{
    enum { FEATURES_WORD = 0, FEATURES = 4, ACCESS_PLATFORM = 1 << 1 }; // of the second word
    if (!iommu_on())
        return true;
    if (!f->status || !iommu_covers(f->pci))
        return false;
    *(volatile u32 *)(f->common + FEATURES_WORD) = 1;
    return *(volatile u32 *)(f->common + FEATURES) & ACCESS_PLATFORM;
}

static void add(u32 where, u32 id)
{
    struct found f = {.about = {.bus = BUS_PCI, .vendor = id & 0xffff, .id = id >> 16, .dma = true},
                      .status_bytes = 1,
                      .pci = where};
    struct plat_device *d = &f.about;
    if (d->vendor != VIRTIO_VENDOR || d->id < TRANSITIONAL || d->id >= MODERN_END ||
        device_count == PLAT_DEVICES || pci_read(where, HEADER) >> 16 & 0x7f)
        return;
    if (d->id < MODERN)
        d->id = MODERN + (pci_read(where, SUBSYSTEM) >> 16);
    put(where, COMMAND, COMMAND_NO_INTX);
    read_bars(where, d);
    read_capabilities(where, &f);
    d->ranges[6] = (struct plat_range){.base = where, .size = 256, .kind = RANGE_CONFIG};
    if (!f.status)
        return;
    if (!f.msix)
        use_pin(&f);
    open_up(&f);
    if (is_confined(&f))
        devices[device_count++] = f;
    else
        devices_left_out++;
}

// Nobody would look after one that others leave up.
static void hush(u32 where, u32 id)
{
    (void)id;
    command(where, 0, COMMAND_NO_INTX);
}

static void each(void (*look)(u32 where, u32 id))
{
    for (u32 slot = 0; slot < SLOTS; slot++) {
        u32 functions = 1;
        for (u32 i = 0; i < functions; i++) {
            u32 where = slot << 3 | i, id = pci_read(where, ID);
            if (id == UINT32_MAX)
                continue;
            if (!i && pci_read(where, HEADER) >> 23 & 1)
                functions = FUNCTIONS;
            look(where, id);
        }
    }
}

void pci_scan(void)
{
    each(add);
    if (pins)
        each(hush);
}

void pci_reach(const struct found *d)
{
    command(d->pci, 0, COMMAND_MASTER);
}

void pci_stop(const struct found *d)
{
    command(d->pci, COMMAND_MASTER, COMMAND_NO_INTX);
}

void pci_quiet(const struct found *d, bool on)
{
    command(d->pci, COMMAND_NO_INTX, on ? COMMAND_NO_INTX : 0);
}

bool pci_calls(const struct found *d)
{
    u32 now = pci_read(d->pci, COMMAND);
    return now & STATUS_INTX && !(now & COMMAND_NO_INTX);
}
