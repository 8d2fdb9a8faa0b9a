// SPDX-License-Identifier: MIT
// SIMD in the interpreter: the upper halves of cells, and one function for all instructions, which
// takes apart what the row in ops.def says and leaves the rest to wasm/simd.c.
#include "wasm/num.h"
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

// Where `size` bytes at an address are; NULL: beyond the end, for which the thread notes it.
static u8 *place(const struct vmctx *vm, struct memarg m, u64 address, u64 size)
{
    const struct vm_memory *memory = vm_memory(vm, m.memory);
    u64 start, end;
    if (__builtin_add_overflow(address, m.offset, &start) ||
        __builtin_add_overflow(start, size, &end) || end > memory->bytes) {
        vm->thread->trap_address = (u64)(uintptr_t)memory->base + start;
        return NULL;
    }
    return memory->base + start;
}

struct interp_step interp_simd(const struct vmctx *vm, const u8 *pc, u64 *sp)
{
    u32 op = leb_u32(&pc), imm;
    const struct simd_row *row = &simd_rows[op];
    imm = row->imm;
    op = op_prefixed(0xfd, simd_strict(op));
    union v128 v[3] = {0}, result;
    sp -= strlen(row->params);
    for (u32 i = 0; row->params[i]; i++)
        v[i] = cell_read(sp + i, row->params[i]);
    u8 *at = NULL;
    u64 size = 0;
    if ((imm & SIMD_CLASS) == SIMD_MEM_0 || (imm & SIMD_CLASS) == SIMD_MEMLANE_0) {
        size = 1u << (imm & 7);
        at = place(vm, leb_memarg(&pc), v[0].d[0], size);
        if (!at)
            return (struct interp_step){0};
        v[0] = (union v128){0};
        if (row->results[0])
            memcpy(&v[0], at, size);
    }
    if (imm == SIMD_V128 || imm == SIMD_SHUFFLE) {
        memcpy(imm == SIMD_V128 ? &v[0] : &v[2], pc, sizeof v[0]);
        pc += sizeof v[0];
    } else if (imm & 0x20) { // MEMLANE and LANE
        v[2].w[0] = *pc++;
    }
    simd_compute(op, &result, v);
    if (!row->results[0]) {
        memcpy(at, &result, size);
        return (struct interp_step){pc, sp};
    }
    sp[0] = result.d[0];
    if (row->results[0] == 'v')
        sp[VM_CELLS] = result.d[1];
    return (struct interp_step){pc, sp + 1};
}

struct interp_step interp_far(const struct vmctx *vm, const u8 *pc, u64 *sp)
{
    u8 op = *pc++, *at;
    struct memarg m = leb_memarg(&pc);
    switch (op) {
#define LOAD(code, id, text, R, type, align)                                                       \
    case code: {                                                                                   \
        type value;                                                                                \
        if (!(at = place(vm, m, sp[-1], sizeof value)))                                            \
            return (struct interp_step){0};                                                        \
        memcpy(&value, at, sizeof value);                                                          \
        sp[-1] = CELL_##R(value);                                                                  \
        break;                                                                                     \
    }
#define STORE(code, id, text, A, type, align)                                                      \
    case code:                                                                                     \
        if (!(at = place(vm, m, sp[-2], sizeof(type))))                                            \
            return (struct interp_step){0};                                                        \
        memcpy(at, &sp[-1], sizeof(type));                                                         \
        sp -= 2;                                                                                   \
        break;
#define CELL_I32(value) (u32)(value)
#define CELL_I64(value) (u64)(value)
#define CELL_F32(value) f32_bits(value)
#define CELL_F64(value) f64_bits(value)
#include "wasm/ops.def"
    default: break;
    }
    return (struct interp_step){pc, sp};
}
