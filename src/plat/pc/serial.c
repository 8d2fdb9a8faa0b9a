// SPDX-License-Identifier: MIT
// The first serial port: the console. What goes out lies in a ring until the port takes it: whoever
// writes gives the port as much as it takes at once, and when it takes no more, it tells by
// interrupt when it does. Input comes by interrupt, and waits in a ring until somebody reads it;
// what does not fit stays with the sender.
//
// The interrupt is an edge, so nothing may keep the line up: with the ring of input full, the port
// is told not to ask for it, until somebody has read; and at the end of each interrupt the line
// goes down for a moment.
//
// A byte costs the machine an exit or two, so where there is a quicker way (bulk.c) both directions
// move there (serial_move): what is in the ring of output up to there still goes out here, and
// what comes here is read until the other side says that it has moved, too. So no byte passes
// another. The rings are the same for both ways; that of input becomes larger.
#include "plat/pc/console.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

enum { DATA = 0x3f8, ENABLE, FIFO, LINE, MODEM, STATUS };
enum { ENABLE_INPUT = 1, ENABLE_OUTPUT = 2 };
enum { STATUS_INPUT = 1, STATUS_OUTPUT_EMPTY = 0x20, FIFO_SIZE = 16, RING = 2 * CONSOLE_GRANT };
enum { AT_ONCE = 64 }; // bytes of output, with interrupts off: as much as is put in at once

// One lock for the port, taken with interrupts off.
static u8 in_serial[RING];
static u8 out_ring[SERIAL_OUT] WHOLE_PAGES;
static struct {
    u32 lock;
    u8 enabled;
    enum { HERE, MOVING, MOVED } output, input; // which way
    struct {
        u32 read, written, size;
        u8 *bytes;
    } in;
    struct {
        u32 read, written;
        u32 moves_at;  // MOVING: what is behind that goes the other way
        u32 in_flight; // MOVED: bytes that the device has
    } out;
} port; // zero, or the rings were in the image

void serial_init(void)
{
    port.in.size = RING;
    port.in.bytes = in_serial;
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
    u32 room = port.in.size - (port.in.written - port.in.read);
    u8 wanted =
        (u8)((room && port.input != MOVED ? ENABLE_INPUT : 0) |
             (port.out.read != port.out.written && port.output != MOVED ? ENABLE_OUTPUT : 0));
    if (wanted != port.enabled)
        out8(ENABLE, wanted);
    port.enabled = wanted;
}

// --- Output

static void push_here(u32 end)
{
    for (u32 n = 0; n < AT_ONCE && port.out.read != end; n += FIFO_SIZE) {
        if (!(in8(STATUS) & STATUS_OUTPUT_EMPTY))
            break;
        for (u32 i = 0; i < FIFO_SIZE && port.out.read != end; i++)
            out8(DATA, out_ring[port.out.read++ % SERIAL_OUT]);
    }
}

static void push_bulk(void)
{
    if (port.out.in_flight && bulk_sent()) {
        port.out.read += port.out.in_flight;
        port.out.in_flight = 0;
    }
    u32 n = port.out.written - port.out.read, at = port.out.read % SERIAL_OUT;
    if (port.out.in_flight || !n)
        return;
    u32 first = n < SERIAL_OUT - at ? n : SERIAL_OUT - at;
    port.out.in_flight = n;
    bulk_send(out_ring + at, first, out_ring, n - first);
}

static void push(void)
{
    if (port.output != MOVED)
        push_here(port.output == MOVING ? port.out.moves_at : port.out.written);
    if (port.output == MOVING && port.out.read == port.out.moves_at)
        port.output = MOVED;
    if (port.output == MOVED)
        push_bulk();
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
    memcpy(out_ring + at, p, first);
    memcpy(out_ring, p + first, n - first);
    port.out.written += n;
    if (port.output != MOVED) // there one asks for it when all is said
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

// What the device has it may still take, but nobody waits for it: the rest goes out here.
void serial_seize(void)
{
    port.lock = 0;
    if (port.output != HERE) {
        port.out.read += port.out.in_flight;
        port.output = HERE;
    }
}

// --- Input

static void put_input(const u8 *p, u32 n)
{
    u32 at = port.in.written % port.in.size, first = n < port.in.size - at ? n : port.in.size - at;
    memcpy(port.in.bytes + at, p, first);
    memcpy(port.in.bytes, p + first, n - first);
    port.in.written += n;
}

static void read_bulk(void)
{
    enum { PARTS = 4 };
    const u8 *part;
    u32 n;
    for (u32 i = 0; i < PARTS && (part = bulk_received(&n)); i++) {
        if (port.in.size - (port.in.written - port.in.read) < n)
            break;
        for (u32 at = 0, run; at < n; at += run) {
            run = console_data(part + at, n - at);
            if (run)
                put_input(part + at, run);
            else if (run = 1, console_is_data(part[at]))
                put_input(part + at, 1);
        }
        bulk_receive(part);
    }
}

static void read_port(void)
{
    while (port.input != MOVED && port.in.written - port.in.read < port.in.size &&
           in8(STATUS) & STATUS_INPUT) {
        u8 byte = in8(DATA);
        if (console_is_data(byte))
            put_input(&byte, 1);
    }
    if (port.input == MOVED)
        read_bulk();
}

void serial_interrupt(void)
{
    spin_lock(&port.lock);
    if (port.enabled)
        in8(FIFO); // says what it was for, and forgets it
    read_port();
    push();
    if (port.enabled) {
        out8(ENABLE, 0); // should there be more by now, that is an edge
        port.enabled = 0;
    }
    enable();
    spin_unlock(&port.lock);
    time_wake_one();
}

// --- The other way

bool serial_prepare(void)
{
    u8 *bytes = bulk_open(out_ring, SERIAL_OUT);
    if (!bytes)
        return false;
    u64 flags = lock();
    u32 n = port.in.written - port.in.read;
    for (u32 i = 0; i < n; i++)
        bytes[i] = port.in.bytes[(port.in.read + i) % RING];
    port.in.bytes = bytes;
    port.in.size = BULK_IN;
    port.in.read = 0;
    port.in.written = n;
    unlock(flags);
    return true;
}

void serial_move(void)
{
    u64 flags = lock();
    port.out.moves_at = port.out.written;
    port.output = MOVING;
    push();
    enable();
    unlock(flags);
}

// Unless it has not been asked: then there is nothing to move to.
void serial_input_moves(void)
{
    if (port.in.size != RING)
        port.input = MOVED;
}

bool serial_has_input(void)
{
    return __atomic_load_n(&port.in.read, __ATOMIC_RELAXED) !=
           __atomic_load_n(&port.in.written, __ATOMIC_RELAXED);
}

size_t serial_read(void *p, size_t n)
{
    enum { MOST = 8192 };
    u64 flags = lock();
    read_port();
    u32 got = port.in.written - port.in.read;
    got = got < MOST ? got : MOST;
    got = n < got ? (u32)n : got;
    u32 at = port.in.read % port.in.size, first = got < port.in.size - at ? got : port.in.size - at;
    memcpy(p, port.in.bytes + at, first);
    memcpy((u8 *)p + first, port.in.bytes, got - first);
    port.in.read += got;
    read_port();
    enable();
    unlock(flags);
    return got;
}
