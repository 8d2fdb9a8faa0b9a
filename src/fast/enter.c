// SPDX-License-Identifier: MIT
// A call from C into compiled code: cells to registers and stack by the convention of
// target/x64/abi.h, and back.
#include "fast/fast.h"
#include "arch/arch.h"
#include "base/heap.h"
#include "target/x64/abi.h"

enum { CELLS_INLINE = 64 };

// From its slots, which are n.
static void place_argument(struct arch_call *call, struct abi_place p, const u64 *value, u32 n)
{
    u64 *to = p.where == ABI_GPR   ? &call->gpr[p.index]
              : p.where == ABI_XMM ? call->xmm[p.index]
                                   : &call->stack[p.index];
    memcpy(to, value, n * sizeof *value);
}

static void clean_slot(valtype type, u64 *slot)
{
    if (type == TYPE_I32 || type == TYPE_F32)
        *slot = (u32)*slot;
}

static void take_results(const struct arch_call *call, const struct functype *t, u64 *slots)
{
    const valtype *types = t->types + t->nparams;
    const u64 *stack = call->stack;
    for (u32 i = 0; i < t->nresults; i++) {
        u32 n = type_slots(types[i]);
        bool xmm = types[i] == TYPE_F32 || types[i] == TYPE_F64 || types[i] == TYPE_V128;
        memcpy(slots, i ? stack : xmm ? call->xmm[0] : call->gpr, n * sizeof *slots);
        clean_slot(types[i], slots);
        slots += n;
        stack += i ? n : 0;
    }
}

// What goes to the stack may be more than is there of it. Large ones only: the rest of what is
// ready (READY of rt/thread.c) is for C.
enum { STACK_READY = 2048 };

struct room {
    struct vm_thread *thread;
    size_t bytes;
    bool is_there;
};

static void make_room(void *argument)
{
    struct room *room = argument;
    arch_ready(room->thread, room->bytes);
    room->is_there = true;
}

static bool room_for(struct vm_thread *t, struct abi_stack area)
{
    struct room room = {t, (size_t)area.args + area.results + STACK_READY, false};
    if (room.bytes <= 2 * STACK_READY)
        return true;
    arch_protect(t, make_room, &room);
    return room.is_there;
}

status fast_call(const struct compiled *c, const struct vm_func *f, u64 *slots)
{
    const struct functype *t = module_func_type(c->module, f->index);
    struct abi_stack area = abi_stack_of(t);
    u32 cells = (area.args > area.results ? area.args : area.results) / 8;
    u64 inline_cells[CELLS_INLINE];
    struct arch_call call = {
        .func = f,
        .vm = f->vm,
        .stack = cells <= CELLS_INLINE ? inline_cells : heap_array(cells, sizeof(u64)),
        .nstack = area.args / 8,
        .nresults_stack = area.results / 8,
    };
    if (!call.stack)
        return ERR_NO_MEMORY;
    struct abi_state abi = {0};
    const u64 *value = slots;
    for (u32 i = 0; i < t->nparams; i++) {
        u32 n = type_slots(t->types[i]);
        u64 slot[2] = {value[0], n == 2 ? value[1] : 0};
        clean_slot(t->types[i], slot);
        place_argument(&call, abi_next(&abi, t->types[i]), slot, n);
        value += n;
    }
    status s = !room_for(f->vm->thread, area) || arch_enter(&call) ? ERR_TRAP : OK;
    if (!s)
        take_results(&call, t, slots);
    if (call.stack != inline_cells)
        heap_free(call.stack);
    return s;
}
