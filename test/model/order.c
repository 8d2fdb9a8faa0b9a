// SPDX-License-Identifier: MIT
// What happens before what. Each CPU counts its steps, and knows how many of the others' lie before
// its own: those before a lock was given back that it has taken since, a kick, a start. Two
// accesses to the same bytes, one of them a write, of which neither lies before the other, are a
// race, whichever comes first in this execution (after FastTrack, Flanagan and Freund, PLDI 2009).
// So points are needed only where CPUs meet: between them nobody can tell the order.
#include "state.h"

#include "model.h"

static u16 seen[MODEL_CPUS][MODEL_CPUS];

static void join(u16 *to, const u16 *from)
{
    for (u32 i = 0; i < MODEL_CPUS; i++)
        to[i] = from[i] > to[i] ? from[i] : to[i];
}

void order_take(const u16 *of)
{
    join(seen[model_cpu()], of);
}

void order_give(u16 *of)
{
    u32 self = model_cpu();
    seen[self][self]++;
    join(of, seen[self]);
}

// Of 8 bytes; a bit of a mask is a byte.
struct cell {
    u8 writer, written; // written: 0: by nobody
    u8 read[MODEL_CPUS];
    u16 at, read_at[MODEL_CPUS];
    u32 pc, read_pc[MODEL_CPUS];
};

// The step that this CPU is at.
static u16 now(void)
{
    return seen[model_cpu()][model_cpu()] + 1;
}

static bool is_before(u32 cpu, u16 at)
{
    return cpu == model_cpu() || at <= seen[model_cpu()][cpu];
}

static void check(bool apart, u32 other, const void *pc)
{
    if (likely(!apart))
        return;
    model_note((const void *)(uintptr_t)other, "the one access");
    model_note(pc, "the other");
    model_fail("a race: two CPUs access the same bytes in no order");
}

static void access_cell(struct cell *c, u8 mask, bool write, const void *pc)
{
    u32 self = model_cpu();
    check(c->written & mask && !is_before(c->writer, c->at), c->pc, pc);
    if (!write) {
        bool same = c->read_at[self] == now();
        c->read[self] = same ? c->read[self] | mask : mask;
        c->read_at[self] = now();
        c->read_pc[self] = (u32)(uintptr_t)pc;
        return;
    }
    for (u32 i = 0; i < MODEL_CPUS; i++)
        check(c->read[i] & mask && !is_before(i, c->read_at[i]), c->read_pc[i], pc);
    bool same = c->writer == self && c->at == now();
    c->written = same ? c->written | mask : mask;
    c->writer = (u8)self;
    c->at = now();
    c->pc = (u32)(uintptr_t)pc;
}

static void access(struct cell *cells, size_t at, size_t n, bool write, const void *pc)
{
    for (size_t end = at + n; at < end;) {
        size_t from = at % 8, bytes = end - at < 8 - from ? end - at : 8 - from;
        access_cell(&cells[at / 8], (u8)(((1u << bytes) - 1) << from), write, pc);
        at += bytes;
    }
}

extern u8 __start_model_bss[], __stop_model_bss[];
static struct cell heap_cells[MODEL_HEAP / 8] __attribute__((section(".bss.cells")));
static struct cell cells[MODEL_GLOBALS / 8];

void order_access_heap(size_t at, size_t n, bool write, const void *pc)
{
    access(heap_cells, at, n, write, pc);
}

void order_forget_heap(size_t at, size_t n)
{
    memset(&heap_cells[at / 8], 0, n / 8 * sizeof *heap_cells);
}

void order_access_other(const u8 *p, size_t n, bool write, const void *pc)
{
    size_t at = (size_t)(p - __start_model_bss);
    if (p >= __start_model_bss && p < __stop_model_bss && at + n <= MODEL_GLOBALS)
        access(cells, at, n, write, pc);
}
