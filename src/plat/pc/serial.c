// SPDX-License-Identifier: MIT
// The first serial port: the console. Output waits for the port. Input comes by interrupt, and
// waits in a ring until somebody reads it. The interrupt is an edge, and the next one comes only
// after the port was read empty; so when the ring was full, whoever reads from it reads the port,
// too. What does not fit stays with the sender.
#include "plat/pc/console.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

enum { DATA = 0x3f8, ENABLE, FIFO, LINE, MODEM, STATUS };
enum { STATUS_INPUT = 1, STATUS_OUTPUT_EMPTY = 0x20, FIFO_SIZE = 16, RING = 2 * CONSOLE_GRANT };

static struct {
    u32 lock; // taken with interrupts off
    u32 read, written;
    u8 bytes[RING];
} in;

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
    while (n) {
        while (!(in8(STATUS) & STATUS_OUTPUT_EMPTY))
            cpu_pause();
        for (u32 i = 0; i < FIFO_SIZE && n; i++, n--)
            out8(DATA, *at++);
    }
}

// --- Input

static void read_port(void)
{
    while (in.written - in.read < RING && in8(STATUS) & STATUS_INPUT) {
        u8 byte = in8(DATA);
        if (console_is_data(byte))
            in.bytes[in.written++ % RING] = byte;
    }
}

void serial_interrupt(void)
{
    spin_lock(&in.lock);
    read_port();
    spin_unlock(&in.lock);
    time_wake_one();
}

bool serial_has_input(void)
{
    return __atomic_load_n(&in.read, __ATOMIC_RELAXED) !=
           __atomic_load_n(&in.written, __ATOMIC_RELAXED);
}

size_t serial_read(void *p, size_t n)
{
    u8 *to = p;
    size_t got = 0;
    interrupts_off();
    spin_lock(&in.lock);
    read_port();
    while (got < n && in.read != in.written) {
        to[got++] = in.bytes[in.read++ % RING];
        if (in.read == in.written)
            read_port();
    }
    read_port();
    spin_unlock(&in.lock);
    interrupts_on();
    return got;
}
