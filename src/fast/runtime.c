// SPDX-License-Identifier: MIT
// Instructions that are calls into the runtime, and the other ones about tables and references.
#include "fast/emit.h"
#include "wasm/runtime.h"

#define RUNTIME(f, function, nslots, out, checked, ...)                                            \
    call_runtime(f, (const void *)(function), (const u64[]){__VA_ARGS__},                          \
                 sizeof((const u64[]){__VA_ARGS__}) / sizeof(u64), nslots, out, checked)

// A C function leaves the upper half of rax undefined; here it must be zero.
static void push_c_int(struct fast *f)
{
    x64_reg(&f->a, I_MOV_LOAD, false, RAX, RAX);
    push_reg(f, T32, RAX);
}

static void push_c_size(struct fast *f, const struct limits *l)
{
    if (l->wide)
        push_reg(f, T64, RAX);
    else
        push_c_int(f);
}

// The operands are on the stack, the instruction's offset goes before them; the result comes
// through vm->scratch.
static void atomic_call(struct fast *f, const void *function, u32 nslots)
{
    leb_u32(&f->pc); // alignment
    u64 offset = leb_u64(&f->pc);
    call_runtime(f, function, &offset, 1, nslots, true, true);
    x64_mem(&f->a, I_MOV_LOAD, false, RAX, x64_at(INSTANCE, offsetof(struct vmctx, scratch)));
    push_reg(f, T32, RAX);
}

void runtime_op(struct fast *f, u32 op)
{
    u32 x, y;
    switch (op) {
    case OP_memory_grow:
        x = leb_u32(&f->pc);
        if (x)
            RUNTIME(f, rt_far_grow, 1, false, false, x);
        else
            call_runtime(f, (const void *)rt_memory_grow, NULL, 0, 1, false, false);
        push_c_size(f, &f->m->memories[x]);
        break;
    case OP_memory_copy:
        x = leb_u32(&f->pc);
        y = leb_u32(&f->pc);
        if (x | y)
            RUNTIME(f, rt_far_copy, 3, false, true, x, y);
        else
            call_runtime(f, (const void *)rt_memory_copy, NULL, 0, 3, false, true);
        break;
    case OP_memory_fill:
        x = leb_u32(&f->pc);
        if (x)
            RUNTIME(f, rt_far_fill, 3, false, true, x);
        else
            call_runtime(f, (const void *)rt_memory_fill, NULL, 0, 3, false, true);
        break;
    case OP_memory_init:
        x = leb_u32(&f->pc); // segment
        y = leb_u32(&f->pc);
        if (y)
            RUNTIME(f, rt_far_init, 3, false, true, x, y);
        else
            RUNTIME(f, rt_memory_init, 3, false, true, x);
        break;
    case OP_data_drop: RUNTIME(f, rt_data_drop, 0, false, false, leb_u32(&f->pc)); break;
    case OP_elem_drop: RUNTIME(f, rt_elem_drop, 0, false, false, leb_u32(&f->pc)); break;
    case OP_table_init:
        x = leb_u32(&f->pc); // segment
        y = leb_u32(&f->pc);
        RUNTIME(f, rt_table_init, 3, false, true, y, x);
        break;
    case OP_table_copy:
        x = leb_u32(&f->pc);
        y = leb_u32(&f->pc);
        RUNTIME(f, rt_table_copy, 3, false, true, x, y);
        break;
    case OP_table_grow:
        x = leb_u32(&f->pc);
        RUNTIME(f, rt_table_grow, 2, false, false, x);
        push_c_size(f, &f->m->tables[x].limits);
        break;
    case OP_table_fill: RUNTIME(f, rt_table_fill, 3, false, true, leb_u32(&f->pc)); break;
    case OP_table_set: RUNTIME(f, rt_table_set, 2, false, true, leb_u32(&f->pc)); break;
    case OP_table_get:
        RUNTIME(f, rt_table_get, 1, true, true, leb_u32(&f->pc));
        x64_mem(&f->a, I_MOV_LOAD, true, RAX, x64_at(INSTANCE, offsetof(struct vmctx, scratch)));
        push_reg(f, T64, RAX);
        break;
    case OP_memory_atomic_notify: atomic_call(f, (const void *)rt_atomic_notify, 2); break;
    case OP_memory_atomic_wait32: atomic_call(f, (const void *)rt_atomic_wait32, 3); break;
    case OP_memory_atomic_wait64: atomic_call(f, (const void *)rt_atomic_wait64, 3); break;
    default: break;
    }
}

void table_size(struct fast *f)
{
    u32 table = leb_u32(&f->pc);
    enum ty t = f->m->tables[table].limits.wide ? T64 : T32;
    u32 dst = result_begin(f, t, NO_REG);
    x64_mem(&f->a, I_MOV_LOAD, true, dst, x64_at(INSTANCE, (s32)(f->m->layout.tables + table * 8)));
    x64_mem(&f->a, I_MOV_LOAD, false, dst, x64_at(dst, offsetof(struct vm_table, length)));
    result_end(f, t, dst);
}

// The canonical vm_func: in an import cell by its ref field, else in this vmctx.
void ref_func(struct fast *f)
{
    const struct module *m = f->m;
    u32 func = leb_u32(&f->pc);
    u32 dst = result_begin(f, T64, NO_REG);
    if (func < m->nimported_funcs)
        x64_mem(&f->a, I_MOV_LOAD, true, dst,
                x64_at(INSTANCE, (s32)(m->layout.imports + func * sizeof(struct vm_func) +
                                       offsetof(struct vm_func, ref))));
    else
        x64_mem(&f->a, I_LEA, true, dst,
                x64_at(INSTANCE,
                       (s32)(m->layout.refs + (m->funcs[func].ref - 1) * sizeof(struct vm_func))));
    result_end(f, T64, dst);
}

void ref_as_non_null(struct fast *f)
{
    u32 r = pop_reg(f);
    u32 dst = result_begin(f, T64, r);
    move_reg(f, T64, dst, r);
    x64_reg(&f->a, I_TEST, true, dst, dst);
    trap_if(f, CC_E, TRAP_NULL);
    result_end(f, T64, dst);
}
