// SPDX-License-Identifier: MIT
// SIMD in the interpreter: the upper halves of cells, and one function for all instructions, which
// takes apart what the row in ops.def says and leaves the rest to wasm/simd.c.
#include "wasm/simd.h"
#include "arch/arch.h"
#include "interp/interp.h"
#include "wasm/leb.h"
#include "wasm/runtime.h"

void interp_upper(struct vmctx *vm, u64 *locals, const u64 *first, const struct code *code)
{
    struct vm_thread *t = vm->thread;
    u64 *end = locals + code->need;
    if (end > t->upper_ready) {
        enum { TABLES = VM_CELLS * sizeof(u64) / 512 };
        u64 *ready = (u64 *)ALIGN_UP((uintptr_t)end, (uintptr_t)ARCH_PAGE);
        if (!t->upper_paid)
            rt_pay_stack(vm, TABLES);
        t->upper_paid = true;
        rt_pay_stack(vm, (size_t)((u8 *)ready - (u8 *)t->upper_ready));
        arch_touch(t->upper_ready + VM_CELLS, end + VM_CELLS);
        t->upper_ready = ready;
    }
    size_t clear = (size_t)(locals + code->nlocals - first);
    memset(locals + code->nlocals - clear + VM_CELLS, 0, clear * sizeof(u64));
}

static union v128 cell_read(const u64 *cell, char type)
{
    return (union v128){{cell[0], type == 'v' ? cell[VM_CELLS] : 0}};
}

struct interp_step interp_simd(const u8 *pc, u64 *sp, u8 *mem, u64 bytes)
{
    u32 op = leb_u32(&pc), imm;
    const struct simd_row *row = &simd_rows[op & 0xff];
    imm = row->imm;
    op = OP_v128_load + (op & 0xff);
    union v128 v[3] = {0}, result;
    sp -= strlen(row->params);
    for (u32 i = 0; row->params[i]; i++)
        v[i] = cell_read(sp + i, row->params[i]);
    u64 end = 0, size = 0;
    if ((imm & SIMD_CLASS) == SIMD_MEM_0 || (imm & SIMD_CLASS) == SIMD_MEMLANE_0) {
        size = 1u << (imm & 7);
        leb_u32(&pc);
        end = (u64)leb_u32(&pc) + v[0].w[0] + size;
        if (end > bytes)
            return (struct interp_step){0};
        v[0] = (union v128){0};
        if (row->results[0])
            memcpy(&v[0], mem + end - size, size);
    }
    if (imm == SIMD_V128 || imm == SIMD_SHUFFLE) {
        memcpy(imm == SIMD_V128 ? &v[0] : &v[2], pc, sizeof v[0]);
        pc += sizeof v[0];
    } else if (imm & 0x20) { // MEMLANE and LANE
        v[2].w[0] = *pc++;
    }
    simd_compute(op, &result, v);
    if (!row->results[0]) {
        memcpy(mem + end - size, &result, size);
        return (struct interp_step){pc, sp};
    }
    sp[0] = result.d[0];
    if (row->results[0] == 'v')
        sp[VM_CELLS] = result.d[1];
    return (struct interp_step){pc, sp + 1};
}
