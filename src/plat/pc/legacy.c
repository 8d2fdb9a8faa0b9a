// SPDX-License-Identifier: MIT
// Devices that a PC has without a bus on which they could be found: each is looked for where it has
// always been. None of them reaches memory by itself, so none has to be stopped; and what their
// registers could do to the rest of the machine is kept from drivers (legacy_may_write), so such a
// driver can do less than any other.
#include "plat/pc/device.h"
#include "plat/pc/x86.h"

enum { PS2_DATA = 0x60, PS2_COMMAND = 0x64, RTC_INDEX = 0x70, RTC_DATA, SERIAL = 0x2f8 };
enum { VGA_PORTS = 0x3c0, VGA_GRAPHICS = 0x3ce, VGA_CRTC = 0x3d4, VGA_TEXT = 0xb8000 };
enum { NOTHING = 0xff }; // what is read where nobody answers

static u8 indexed(u16 port, u8 index)
{
    out8(port, index);
    return in8(port + 1);
}

static bool has_ps2(void)
{
    return in8(PS2_COMMAND) != NOTHING;
}

// Only where it shows text, in colours, at its usual place: after a boot by EFI it does not.
static bool has_vga(void)
{
    enum { CURSOR_LOW = 15, MISCELLANEOUS = 6, TEXT_AT_B8000 = 0xc, OF_THOSE = 0xd };
    u8 was = indexed(VGA_CRTC, CURSOR_LOW);
    out8(VGA_CRTC + 1, was ^ 0x55);
    bool keeps = indexed(VGA_CRTC, CURSOR_LOW) == (was ^ 0x55);
    out8(VGA_CRTC + 1, was);
    return keeps && (indexed(VGA_GRAPHICS, MISCELLANEOUS) & OF_THOSE) == TEXT_AT_B8000;
}

enum { RTC_VALID = 13, RTC_REGISTERS };

// What the kernel wants of it is read now: its driver may set another time, or never leave the
// registers alone.
static bool has_rtc(void)
{
    plat_wall_clock();
    return !(indexed(RTC_INDEX, RTC_VALID) & 0x7f);
}

// The second port: the first is the console.
static bool has_serial(void)
{
    enum { SCRATCH = 7 };
    out8(SERIAL + SCRATCH, 0x5a);
    return in8(SERIAL + SCRATCH) == 0x5a;
}

#define PORTS(first, n) {.kind = RANGE_PORTS, .base = first, .size = n}
static const struct own {
    bool (*is_there)(void);
    u32 id;
    u8 interrupts, inputs[2];
    struct plat_range ranges[2];
} all[] = {
    {has_ps2, PC_PS2, 2, {1, 12}, {PORTS(PS2_DATA, 1), PORTS(PS2_COMMAND, 1)}},
    {has_vga,
     PC_VGA,
     0,
     {0},
     {{.kind = RANGE_MEMORY, .base = VGA_TEXT, .size = 32768}, PORTS(VGA_PORTS, 32)}},
    {has_rtc, PC_RTC, 1, {8}, {PORTS(RTC_INDEX, 2)}},
    {has_serial, PC_SERIAL, 1, {3}, {PORTS(SERIAL, 8)}},
};

void legacy_find(void)
{
    for (u32 i = 0; i < countof(all) && device_count < PLAT_DEVICES; i++) {
        const struct own *o = &all[i];
        if (!o->is_there())
            continue;
        struct found *f = &devices[device_count++];
        *f = (struct found){.about = {.bus = BUS_PC, .id = o->id, .interrupts = o->interrupts}};
        memcpy(f->inputs, o->inputs, sizeof f->inputs);
        memcpy(f->about.ranges, o->ranges, sizeof o->ranges);
        if (o->ranges[0].kind == RANGE_MEMORY)
            direct_map_device(o->ranges[0].base, o->ranges[0].size);
    }
}

// Of the keyboard's controller: what is for its configuration, its two ports and its test. Others
// turn address lines of the machine off, or reset it.
static bool is_keyboards(u8 command)
{
    static const u8 known[] = {0x20, 0x60, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xad, 0xae, 0xd2, 0xd4};
    for (u32 i = 0; i < countof(known); i++)
        if (command == known[i])
            return true;
    return false;
}

// The clock's: what firmware keeps behind its registers is not for drivers, nor is it to turn off
// the machine's last interrupt, which is in the same port.
bool legacy_may_write(u16 port, u8 value)
{
    if (port == PS2_COMMAND)
        return is_keyboards(value);
    return port != RTC_INDEX || value < RTC_REGISTERS;
}
