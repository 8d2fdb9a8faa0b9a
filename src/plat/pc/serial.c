// SPDX-License-Identifier: MIT
// The first serial port: the console. Output waits for the port; input is read by whoever wants it,
// and an interrupt wakes a CPU that waits for it. The interrupt is an edge, and the next one comes
// only after the port was read empty: so read to the end before waiting.
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

enum { DATA = 0x3f8, ENABLE, FIFO, LINE, MODEM, STATUS };
enum { STATUS_INPUT = 1, STATUS_OUTPUT_EMPTY = 0x20, FIFO_SIZE = 16 };

static u32 lock;

void serial_init(void)
{
    out8(ENABLE, 0);
    out8(LINE, 0x80); // divisor: 115200 baud
    out8(DATA, 1);
    out8(ENABLE, 0);
    out8(LINE, 3); // 8 bits
    out8(FIFO, 7); // on and empty, an interrupt for each byte
    out8(MODEM, 0xb);
    out8(ENABLE, 1);
}

void serial_write(const void *p, size_t n)
{
    const u8 *at = p;
    spin_lock(&lock);
    while (n) {
        while (!(in8(STATUS) & STATUS_OUTPUT_EMPTY))
            cpu_pause();
        for (u32 i = 0; i < FIFO_SIZE && n; i++, n--)
            out8(DATA, *at++);
    }
    spin_unlock(&lock);
}

bool serial_has_input(void)
{
    return in8(STATUS) & STATUS_INPUT;
}

size_t serial_read(void *p, size_t n)
{
    u8 *to = p;
    size_t got = 0;
    while (got < n && serial_has_input())
        to[got++] = in8(DATA);
    return got;
}
