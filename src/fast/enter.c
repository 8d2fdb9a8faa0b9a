// SPDX-License-Identifier: MIT
// A call from C into compiled code: cells to registers and stack by the convention of
// target/x64/abi.h, and back.
#include "fast/fast.h"
#include "arch/arch.h"
#include "base/heap.h"
#include "target/x64/abi.h"

enum { CELLS_INLINE = 64 };

static void place_argument(struct arch_call *call, struct abi_place p, u64 value)
{
    switch (p.where) {
    case ABI_GPR: call->gpr[p.index] = value; break;
    case ABI_XMM: call->xmm[p.index][0] = value; break;
    case ABI_STACK: call->stack[p.index] = value; break;
    }
}

static u64 cell_of(u8 type, u64 value)
{
    return type == TYPE_I32 || type == TYPE_F32 ? (u32)value : value;
}

static void take_results(const struct arch_call *call, const struct functype *t, u64 *slots)
{
    const u8 *types = t->types + t->nparams;
    if (!t->nresults)
        return;
    bool fp = types[0] == TYPE_F32 || types[0] == TYPE_F64;
    slots[0] = cell_of(types[0], fp ? call->xmm[0][0] : call->gpr[0]);
    for (u32 i = 1; i < t->nresults; i++)
        slots[i] = cell_of(types[i], call->stack[i - 1]);
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
    for (u32 i = 0; i < t->nparams; i++)
        place_argument(&call, abi_next(&abi, t->types[i]), cell_of(t->types[i], slots[i]));
    status s = arch_enter(&call) ? ERR_TRAP : OK;
    if (!s)
        take_results(&call, t, slots);
    if (call.stack != inline_cells)
        heap_free(call.stack);
    return s;
}
