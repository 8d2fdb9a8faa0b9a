// SPDX-License-Identifier: MIT
// Objects in the interpreter: one function for all instructions of prefix 0xfb but the branches.
// Operands stay in their cells, where the collector finds references, until they are no longer
// wanted.
#include "interp/interp.h"
#include "wasm/leb.h"
#include "wasm/runtime.h"

// A field of `size` bytes, to and from a cell.
static void field_read(u64 *cell, const u8 *p, u32 size, bool sign)
{
    switch (size) {
    case 1: *cell = sign ? (u32)(s32)(s8)*p : *p; break;
    case 2: *cell = sign ? (u32)(s32)(s16)load_u16(p) : load_u16(p); break;
    case 4: *cell = load_u32(p); break;
    case 8: *cell = load_u64(p); break;
    default: cell[0] = load_u64(p); cell[VM_CELLS] = load_u64(p + 8);
    }
}

static void field_write(u8 *p, const u64 *cell, u32 size)
{
    memcpy(p, cell, size < 8 ? size : 8);
    if (size > 8)
        store_u64(p + 8, cell[VM_CELLS]);
}

struct operation {
    struct vmctx *vm;
    const u8 *pc;
    u64 *sp;
    u32 op;
    enum trap trap;
};

static void struct_new(struct operation *o)
{
    u32 type = leb_u32(&o->pc);
    const struct functype *t = &o->vm->module->types[type];
    u64 ref = rt_struct_new(o->vm, type);
    u8 *at = (u8 *)vm_object(o->vm, ref);
    for (u32 i = o->op == OP_struct_new ? t->nparams : 0; i-- > 0;)
        field_write(at + struct_place(t, i), --o->sp,
                    module_field_size(o->vm->module, t->types[i]));
    *o->sp++ = ref;
}

static void struct_field(struct operation *o)
{
    const struct functype *t = &o->vm->module->types[leb_u32(&o->pc)];
    u32 field = leb_u32(&o->pc), size = module_field_size(o->vm->module, t->types[field]);
    bool set = o->op == OP_struct_set;
    u64 ref = o->sp[set ? -2 : -1];
    u8 *at = (u8 *)vm_object(o->vm, ref) + struct_place(t, field);
    if (!ref)
        o->trap = TRAP_NULL_STRUCT;
    else if (!set)
        field_read(o->sp - 1, at, size, o->op == OP_struct_get_s);
    else
        field_write(at, o->sp - 1, size), o->sp -= 2;
}

static void array_element(struct operation *o)
{
    u32 step = array_step(&o->vm->module->types[leb_u32(&o->pc)]);
    bool set = o->op == OP_array_set;
    u64 *operands = o->sp - (set ? 3 : 2), ref = operands[0], index = operands[1];
    struct vm_object *array = vm_object(o->vm, ref);
    if (!ref)
        o->trap = TRAP_NULL_ARRAY;
    else if (index >= array->length)
        o->trap = TRAP_ARRAY;
    else if (set)
        field_write(array->at + index * step, o->sp - 1, step), o->sp = operands;
    else
        field_read(operands, array->at + index * step, step, o->op == OP_array_get_s), o->sp--;
}

static void array_len(struct operation *o)
{
    if (o->sp[-1])
        o->sp[-1] = vm_object(o->vm, o->sp[-1])->length;
    else
        o->trap = TRAP_NULL_ARRAY;
}

// For array.new and array.fill, in case that it is no integer or reference.
static void keep_operand(struct operation *o, const u64 *cell, u32 step)
{
    o->vm->heap->operand[0] = cell[0];
    if (step == 16)
        o->vm->heap->operand[1] = cell[VM_CELLS];
}

static void array_new(struct operation *o)
{
    u32 type = leb_u32(&o->pc), n = (u32)o->sp[-1], x;
    u32 step = array_step(&o->vm->module->types[type]);
    u64 ref;
    switch (o->op) {
    case OP_array_new:
        keep_operand(o, o->sp - 2, step);
        ref = rt_array_new_of(o->vm, type, o->sp[-2], n);
        o->sp -= 2;
        break;
    case OP_array_new_default:
        ref = rt_array_new(o->vm, type, n);
        o->sp--;
        break;
    case OP_array_new_fixed:
        n = leb_u32(&o->pc);
        ref = rt_array_new(o->vm, type, n);
        for (u8 *at = vm_object(o->vm, ref)->at; n-- > 0;)
            field_write(at + (u64)n * step, --o->sp, step);
        break;
    default:
        x = leb_u32(&o->pc);
        ref = (o->op == OP_array_new_data ? rt_array_new_data
                                          : rt_array_new_elem)(o->vm, type, x, (u32)o->sp[-2], n);
        o->sp -= 2;
        break;
    }
    *o->sp++ = ref;
}

static void array_write(struct operation *o)
{
    u64 *sp = o->sp;
    u32 x = leb_u32(&o->pc), y;
    switch (o->op) {
    case OP_array_fill:
        keep_operand(o, sp - 2, array_step(&o->vm->module->types[x]));
        o->trap = rt_array_fill(o->vm, sp[-4], (u32)sp[-3], sp[-2], (u32)sp[-1]);
        o->sp -= 4;
        break;
    case OP_array_copy:
        leb_u32(&o->pc);
        o->trap = rt_array_copy(o->vm, sp[-5], (u32)sp[-4], sp[-3], (u32)sp[-2], (u32)sp[-1]);
        o->sp -= 5;
        break;
    default:
        y = leb_u32(&o->pc);
        o->trap = (o->op == OP_array_init_data ? rt_array_init_data : rt_array_init_elem)(
            o->vm, y, sp[-4], (u32)sp[-3], (u32)sp[-2], (u32)sp[-1]);
        o->sp -= 4;
        break;
    }
}

static void cast(struct operation *o)
{
    bool null = o->op == OP_ref_test_null || o->op == OP_ref_cast_null;
    valtype type = module_heaptype(o->vm->module, &o->pc, null);
    u32 is = rt_ref_is(o->vm, type, o->sp[-1]);
    if (o->op <= OP_ref_test_null)
        o->sp[-1] = is;
    else if (!is)
        o->trap = TRAP_CAST;
}

static void i31_get(struct operation *o)
{
    u32 ref = (u32)o->sp[-1];
    if (!ref)
        o->trap = TRAP_NULL_I31;
    o->sp[-1] = o->op == OP_i31_get_s ? (u32)((s32)ref >> 1) : ref >> 1;
}

struct interp_step interp_object(struct vmctx *vm, const u8 *pc, u64 *sp)
{
    struct operation o = {vm, pc, sp, 0, TRAP_NONE};
    o.op = 0xfb00 | leb_u32(&o.pc);
    switch (o.op) {
    case OP_struct_new:
    case OP_struct_new_default: struct_new(&o); break;
    case OP_struct_get ... OP_struct_set: struct_field(&o); break;
    case OP_array_new ... OP_array_new_elem: array_new(&o); break;
    case OP_array_get ... OP_array_set: array_element(&o); break;
    case OP_array_len: array_len(&o); break;
    case OP_array_fill ... OP_array_init_elem: array_write(&o); break;
    case OP_ref_test ... OP_ref_cast_null: cast(&o); break;
    case OP_ref_i31: o.sp[-1] = vm_i31((u32)o.sp[-1]); break;
    case OP_i31_get_s:
    case OP_i31_get_u: i31_get(&o); break;
    default: break; // conversions
    }
    vm->thread->trap = o.trap;
    return (struct interp_step){o.trap ? NULL : o.pc, o.sp};
}

bool interp_cast(const struct vmctx *vm, const u8 *pc, u64 ref)
{
    u32 op = 0xfb00 | leb_u32(&pc);
    u8 flags = *pc++;
    leb_u32(&pc);
    module_heaptype(vm->module, &pc, flags & 1);
    return rt_ref_is(vm, module_heaptype(vm->module, &pc, flags & 2), ref) == (op == OP_br_on_cast);
}
