// SPDX-License-Identifier: MIT
// The first serial port: the console. What goes out lies in a ring until the port takes it: whoever
// writes gives the port as much as it takes at once, and when it takes no more, it tells by
// interrupt when it does. Input comes by interrupt, and waits in a ring until somebody reads it;
// what does not fit stays with the sender.
//
// The interrupt is an edge, so nothing may keep the line up: with the ring of input full, the port
// is told not to ask for it, until somebody has read; and at the end of each interrupt the line
// goes down for a moment.
#include "plat/pc/console.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

enum { DATA = 0x3f8, ENABLE, FIFO, LINE, MODEM, STATUS };
enum { ENABLE_INPUT = 1, ENABLE_OUTPUT = 2 };
enum { STATUS_INPUT = 1, STATUS_OUTPUT_EMPTY = 0x20, FIFO_SIZE = 16, RING = 2 * CONSOLE_GRANT };
enum { AT_ONCE = 64 }; // bytes of output, with interrupts off: as much as is put in at once

// One lock for the port, taken with interrupts off.
static struct {
    u32 lock;
    u8 enabled;
    struct ring {
        u32 read, written;
        u8 bytes[RING];
    } in;
    struct {
        u32 read, written;
        u8 bytes[SERIAL_OUT];
    } out;
} port;

void serial_init(void)
{
    out8(ENABLE, 0);
    out8(LINE, 0x80); // divisor: 115200 baud
    out8(DATA, 1);
    out8(ENABLE, 0);
    out8(LINE, 3); // 8 bits
    out8(FIFO, 7); // on and empty, an interrupt for each byte
    out8(MODEM, 0xb);
    port.enabled = ENABLE_INPUT;
    out8(ENABLE, port.enabled);
}

static u64 lock(void)
{
    u64 flags = interrupts_save();
    spin_lock(&port.lock);
    return flags;
}

static void unlock(u64 flags)
{
    spin_unlock(&port.lock);
    interrupts_restore(flags);
}

// What the port is to interrupt for.
static void enable(void)
{
    u32 room = RING - (port.in.written - port.in.read);
    u8 wanted =
        (u8)((room ? ENABLE_INPUT : 0) | (port.out.read != port.out.written ? ENABLE_OUTPUT : 0));
    if (wanted != port.enabled)
        out8(ENABLE, wanted);
    port.enabled = wanted;
}

// --- Output

static void push(void)
{
    for (u32 n = 0; n < AT_ONCE && port.out.read != port.out.written; n += FIFO_SIZE) {
        if (!(in8(STATUS) & STATUS_OUTPUT_EMPTY))
            break;
        for (u32 i = 0; i < FIFO_SIZE && port.out.read != port.out.written; i++)
            out8(DATA, port.out.bytes[port.out.read++ % SERIAL_OUT]);
    }
}

u32 serial_waiting(void)
{
    return __atomic_load_n(&port.out.written, __ATOMIC_RELAXED) -
           __atomic_load_n(&port.out.read, __ATOMIC_RELAXED);
}

void serial_put(const u8 *p, u32 n)
{
    u64 flags = lock();
    u32 at = port.out.written % SERIAL_OUT;
    u32 first = n < SERIAL_OUT - at ? n : SERIAL_OUT - at;
    memcpy(port.out.bytes + at, p, first);
    memcpy(port.out.bytes, p + first, n - first);
    port.out.written += n;
    push();
    enable();
    unlock(flags);
}

void serial_push(void)
{
    u64 flags = lock();
    push();
    enable();
    unlock(flags);
}

void serial_drain(u32 most)
{
    while (serial_waiting() > most) {
        serial_push();
        cpu_pause();
    }
}

void serial_seize(void)
{
    port.lock = 0;
}

// --- Input

static void read_port(void)
{
    while (port.in.written - port.in.read < RING && in8(STATUS) & STATUS_INPUT) {
        u8 byte = in8(DATA);
        if (console_is_data(byte))
            port.in.bytes[port.in.written++ % RING] = byte;
    }
}

void serial_interrupt(void)
{
    spin_lock(&port.lock);
    in8(FIFO); // says what it was for, and forgets it
    read_port();
    push();
    out8(ENABLE, 0); // should there be more by now, that is an edge
    port.enabled = 0;
    enable();
    spin_unlock(&port.lock);
    time_wake_one();
}

bool serial_has_input(void)
{
    return __atomic_load_n(&port.in.read, __ATOMIC_RELAXED) !=
           __atomic_load_n(&port.in.written, __ATOMIC_RELAXED);
}

size_t serial_read(void *p, size_t n)
{
    u8 *to = p;
    size_t got = 0;
    u64 flags = lock();
    read_port();
    while (got < n && port.in.read != port.in.written) {
        to[got++] = port.in.bytes[port.in.read++ % RING];
        if (port.in.read == port.in.written)
            read_port();
    }
    read_port();
    enable();
    unlock(flags);
    return got;
}
