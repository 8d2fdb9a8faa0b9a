// SPDX-License-Identifier: MIT
// What a PC has without a bus: which of those there are (its arguments, in order), what their
// registers are good for, that their interrupts come, and what is refused.
#include <stdlib.h>
#include <string.h>
#include <sip.h>

static const char *const names[] = {"", "ps2", "vga", "rtc", "serial"};
enum { RTC_SECONDS = 0, RTC_A = 10, RTC_B, RTC_C };
enum { UPDATE_INTERRUPT = 0x10, BINARY = 4 };

static nebulet_handle device;

#define REFUSED(result)                                                                            \
    do {                                                                                           \
        if ((result) != NEBULET_ERR_ACCESS_DENIED)                                                 \
            sip_panic("line %d: not refused", __LINE__);                                           \
    } while (0)

static uint32_t in(uint32_t range, uint32_t offset)
{
    return (uint32_t)sip_must(nebulet_device_read(device, range, offset, 1), "device_read");
}

static void out(uint32_t range, uint32_t offset, uint32_t value)
{
    sip_must(nebulet_device_write(device, range, offset, 1, value), "device_write");
}

static void ps2(void)
{
    static const uint8_t bad[] = {0xfe, 0xff, 0xf0, 0xd1, 0xdd, 0xdf, 0x00, 0xc0};
    for (uint32_t i = 0; i < sizeof bad; i++)
        REFUSED(nebulet_device_write(device, 1, 0, 1, bad[i]));
    REFUSED(nebulet_device_write(device, 1, 0, 1, 0x1fe)); // as a byte
    out(1, 0, 0x20);
    in(0, 0);
}

static void vga(void)
{
    static _Alignas(4096) uint8_t window[32768];
    volatile uint16_t *cells = (volatile uint16_t *)window;
    sip_must(nebulet_device_map(device, 0, (uint32_t)(uintptr_t)window), "device_map");
    cells[1999] = 0x1f41;
    if (nebulet_device_read(device, 0, 2 * 1999, 2) != 0x1f41)
        sip_panic("vga: two ways to the same place are two places");
    if (nebulet_device_read(device, 0, 32768, 2) != NEBULET_ERR_OUT_OF_BOUNDS)
        sip_panic("vga: there is more of it");
    out(1, 0x14, 15);
    out(1, 0x15, 0x2a);
    if (in(1, 0x15) != 0x2a)
        sip_panic("vga: no cursor");
    REFUSED(nebulet_device_read(device, 1, 0x14, 2));
}

static uint32_t clock(uint32_t index)
{
    out(0, 0, index);
    return in(0, 1);
}

static uint32_t of_bcd(uint32_t n)
{
    return clock(RTC_B) & BINARY ? n : n / 16 * 10 + n % 16;
}

static void rtc(void)
{
    enum { YEAR = 9 };
    uint32_t year = clock(YEAR);
    out(0, 1, 0x99); // the time of day is not its driver's to set
    int64_t time = nebulet_clock_now(NEBULET_REALTIME);
    out(0, 0, YEAR);
    out(0, 1, year);
    if (time > (int64_t)(4070908800 * SIP_SECOND)) // 2099
        sip_panic("rtc: its driver makes the time");
    REFUSED(nebulet_device_write(device, 0, 0, 1, 0x80)); // NMI
    REFUSED(nebulet_device_write(device, 0, 0, 1, 14));   // firmware's
    nebulet_handle interrupt =
        (nebulet_handle)sip_must(nebulet_interrupt_create(device, 0), "interrupt_create");
    uint32_t was = clock(RTC_B);
    out(0, 1, was | UPDATE_INTERRUPT);
    clock(RTC_C);
    // One may come again before what it came for is looked at; and this may stand still anywhere.
    uint32_t right = 0, now, wall, tries = 0;
    for (uint32_t i = 0; right < 3; i++) {
        sip_must(
            nebulet_object_wait_one(interrupt, NEBULET_EVENT_SIGNALED, sip_after(5 * SIP_SECOND)),
            "rtc: its interrupt");
        sip_must(nebulet_interrupt_ack(interrupt), "interrupt_ack");
        right += !!(clock(RTC_C) & UPDATE_INTERRUPT);
        if (i > 2 * right + 1)
            sip_panic("rtc: they come for something else");
    }
    do {
        now = of_bcd(clock(RTC_SECONDS));
        wall = (uint32_t)(nebulet_clock_now(NEBULET_REALTIME) / (int64_t)SIP_SECOND % 60);
    } while ((now - wall + 62) % 60 > 4 && ++tries < 100);
    out(0, 0, RTC_B);
    out(0, 1, was);
    if (tries == 100)
        sip_panic("rtc: second %u, and not %u", now, wall);
}

static void serial(void)
{
    enum { DATA, ENABLE, IDENTITY, MODEM = 4, STATUS };
    nebulet_handle interrupt =
        (nebulet_handle)sip_must(nebulet_interrupt_create(device, 0), "interrupt_create");
    out(0, MODEM, 0x1b); // what is sent comes back
    out(0, ENABLE, 1);
    for (uint32_t i = 0; i < 3; i++) {
        out(0, DATA, 'a' + i);
        sip_must(
            nebulet_object_wait_one(interrupt, NEBULET_EVENT_SIGNALED, sip_after(5 * SIP_SECOND)),
            "serial: its interrupt");
        sip_must(nebulet_interrupt_ack(interrupt), "interrupt_ack");
        if (!(in(0, STATUS) & 1) || in(0, DATA) != 'a' + i)
            sip_panic("serial: another byte");
    }
    out(0, ENABLE, 0);
}

int main(int argc, char **argv)
{
    static void (*const all[])(void) = {NULL, ps2, vga, rtc, serial};
    struct nebulet_device about;
    int next = 1;
    for (uint32_t i = 0; nebulet_device_list(i, &about) >= 0; i++) {
        if (about.bus != NEBULET_PC)
            continue;
        if (about.id < 1 || about.id > 4 || about.dma)
            sip_panic("no such device is known: %u", about.id);
        if (next == argc || strcmp(names[about.id], argv[next]))
            sip_panic("there is also %s", names[about.id]);
        device = (nebulet_handle)sip_must(nebulet_device_open(i), "device_open");
        if (nebulet_device_open(i) != NEBULET_ERR_ALREADY_OWNED)
            sip_panic("%s: two have it", names[about.id]);
        if (nebulet_dma_create(device, 4096) != NEBULET_ERR_NOT_SUPPORTED)
            sip_panic("%s: it reaches memory", names[about.id]);
        all[about.id]();
        sip_close(device);
        next++;
    }
    if (next != argc)
        sip_panic("there is no %s", argv[next]);
    sip_printf("legacy\n");
    return 0;
}
