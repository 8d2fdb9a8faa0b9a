// SPDX-License-Identifier: MIT
// Structs and arrays: the instructions about them that are calls (wasm/runtime.h). Where objects
// come from is in gc.c.
//
// What may be long is done in pieces, and looks up between them. An object is made before anything
// is put into it, and what is to go into it is where the collector finds it: on the stack as a
// whole word.
#include "base/lookup.h"
#include "rt/instance.h"
#include "wasm/runtime.h"

static bool in_bounds(u64 start, u64 n, u64 length)
{
    return n <= length && start <= length - n;
}

const struct functype *object_type(const struct vmctx *vm, u64 ref)
{
    return &type_at(&vm_store(vm)->realm->types, vm_object(vm, ref)->type)->t;
}

// --- New ones

static u64 or_trap(struct vmctx *vm, u64 ref)
{
    if (unlikely(!ref)) {
        rt_check_interrupt(vm);
        rt_trap(vm, TRAP_NO_OBJECT);
    }
    return ref;
}

u64 object_new_struct(struct vmctx *vm, const struct functype *t)
{
    return rt_object_new(vm, t->id, struct_size(t), 0);
}

u64 object_new_array(struct vmctx *vm, const struct functype *t, u32 length)
{
    return rt_object_new(vm, t->id, OBJECT_HEADER + (u64)array_step(t) * length, length);
}

u64 rt_struct_new(struct vmctx *vm, u32 type)
{
    return or_trap(vm, object_new_struct(vm, &vm->module->types[type]));
}

u64 rt_array_new(struct vmctx *vm, u32 type, u32 length)
{
    return or_trap(vm, object_new_array(vm, &vm->module->types[type], length));
}

// --- Elements

// So many elements between two looks.
enum { PIECE = LOOK_UP / 8 };

static enum trap interrupted(void)
{
    return (enum trap)look_up();
}

// What an element is to have: floating point and v128 come by another way.
static const void *value_of(const struct vmctx *vm, const struct functype *t, const u64 *value)
{
    u32 kind = type_kind(t->types[0]);
    return kind == TYPE_F32 || kind == TYPE_F64 || kind == TYPE_V128 ? vm->heap->operand : value;
}

// Writes the first of them, and then copies what is there: twice as much each time, up to a piece.
static enum trap fill(u8 *p, u32 step, const void *value, u64 n)
{
    enum trap trap = TRAP_NONE;
    if (!n)
        return trap;
    memcpy(p, value, step);
    for (u64 bytes = n * step, done = step, piece; done < bytes && !trap; done += piece) {
        piece = done < LOOK_UP ? done : LOOK_UP / step * step;
        piece = piece < bytes - done ? piece : bytes - done;
        memcpy(p + done, p, piece);
        if (unlikely(done > LOOK_UP))
            trap = interrupted();
    }
    return trap;
}

u64 rt_array_new_of(struct vmctx *vm, u32 type, u64 value, u32 length)
{
    const struct functype *t = &vm->module->types[type];
    volatile u64 kept = value; // a reference, maybe
    u64 ref = or_trap(vm, object_new_array(vm, t, length));
    value = kept;
    fill(vm_object(vm, ref)->at, array_step(t), value_of(vm, t, &value), length);
    return ref;
}

// An array's elements from one on; NULL: there are not so many.
static u8 *elements(const struct vmctx *vm, u64 array, u32 step, u32 at, u32 n)
{
    struct vm_object *o = vm_object(vm, array);
    return in_bounds(at, n, o->length) ? o->at + (u64)at * step : NULL;
}

enum trap rt_array_fill(struct vmctx *vm, u64 array, u32 dst, u64 value, u32 n)
{
    if (!array)
        return TRAP_NULL_ARRAY;
    const struct functype *t = object_type(vm, array);
    u8 *p = elements(vm, array, array_step(t), dst, n);
    return p ? fill(p, array_step(t), value_of(vm, t, &value), n) : TRAP_ARRAY;
}

enum trap rt_array_copy(struct vmctx *vm, u64 to, u32 dst, u64 from, u32 src, u32 n)
{
    if (!to || !from)
        return TRAP_NULL_ARRAY;
    u32 step = array_step(object_type(vm, to));
    u8 *p = elements(vm, to, step, dst, n), *q = elements(vm, from, step, src, n);
    return p && q ? bytes_copy(p, q, (u64)n * step) : TRAP_ARRAY;
}

// --- From segments

static enum trap init_data(struct vmctx *vm, u32 segment, u8 *p, u32 step, u32 src, u32 n)
{
    const struct data_segment *s = &vm->module->datas[segment];
    u64 size = vm->instance->dropped_datas[segment] ? 0 : s->size, bytes = (u64)n * step;
    if (!in_bounds(src, bytes, size))
        return TRAP_MEMORY;
    return bytes ? bytes_copy(p, s->bytes + src, bytes) : TRAP_NONE;
}

static enum trap init_elem(struct vmctx *vm, u32 segment, u8 *p, u32 step, u32 src, u32 n)
{
    const struct elem_segment *s = &vm->module->elems[segment];
    if (!in_bounds(src, n, vm->instance->dropped_elems[segment] ? 0 : s->count))
        return TRAP_TABLE;
    enum trap trap = TRAP_NONE;
    for (u32 i = 0; i < n && !trap; i++) {
        u64 ref = segment_ref(vm, segment, src + i);
        memcpy(p + (u64)i * step, &ref, step);
        if (unlikely(i % PIECE == PIECE - 1))
            trap = interrupted();
    }
    return trap;
}

typedef enum trap init_fn(struct vmctx *vm, u32 segment, u8 *p, u32 step, u32 src, u32 n);

// What is out of bounds is told before there is an object: none is made that is too large for the
// segment.
static u64 new_of(struct vmctx *vm, u32 type, u32 segment, u32 src, u32 length, init_fn *init,
                  bool fits, enum trap beyond)
{
    const struct functype *t = &vm->module->types[type];
    if (!fits)
        rt_trap(vm, beyond);
    u64 ref = or_trap(vm, object_new_array(vm, t, length));
    init(vm, segment, vm_object(vm, ref)->at, array_step(t), src, length);
    return ref;
}

u64 rt_array_new_data(struct vmctx *vm, u32 type, u32 segment, u32 src, u32 length)
{
    u64 size = vm->instance->dropped_datas[segment] ? 0 : vm->module->datas[segment].size;
    u64 bytes = (u64)length * array_step(&vm->module->types[type]);
    return new_of(vm, type, segment, src, length, init_data, in_bounds(src, bytes, size),
                  TRAP_MEMORY);
}

u64 rt_array_new_elem(struct vmctx *vm, u32 type, u32 segment, u32 src, u32 length)
{
    u64 size = vm->instance->dropped_elems[segment] ? 0 : vm->module->elems[segment].count;
    return new_of(vm, type, segment, src, length, init_elem, in_bounds(src, length, size),
                  TRAP_TABLE);
}

static enum trap init_from(struct vmctx *vm, u32 segment, u64 array, u32 dst, u32 src, u32 n,
                           init_fn *init)
{
    if (!array)
        return TRAP_NULL_ARRAY;
    u32 step = array_step(object_type(vm, array));
    u8 *p = elements(vm, array, step, dst, n);
    return p ? init(vm, segment, p, step, src, n) : TRAP_ARRAY;
}

enum trap rt_array_init_data(struct vmctx *vm, u32 segment, u64 array, u32 dst, u32 src, u32 n)
{
    return init_from(vm, segment, array, dst, src, n, init_data);
}

enum trap rt_array_init_elem(struct vmctx *vm, u32 segment, u64 array, u32 dst, u32 src, u32 n)
{
    return init_from(vm, segment, array, dst, src, n, init_elem);
}

// --- Types

static bool object_is(const struct vmctx *vm, valtype type, u64 ref)
{
    switch (type_kind(type)) {
    case TYPE_STRUCTREF: return object_type(vm, ref)->form == FORM_STRUCT;
    case TYPE_ARRAYREF: return object_type(vm, ref)->form == FORM_ARRAY;
    case TYPE_ANYREF:
    case TYPE_EQREF: return true;
    case TYPE_REF:
        return type_is(&vm_store(vm)->realm->types, vm_object(vm, ref)->type,
                       vm->module->types[type_index(type)].id);
    default: return false;
    }
}

u32 rt_ref_is(const struct vmctx *vm, valtype type, u64 ref)
{
    u32 kind = type_kind(type);
    if (!ref)
        return is_defaultable(type);
    if (kind == TYPE_REF && vm->module->types[type_index(type)].form == FORM_FUNC)
        return rt_is_function(vm, ((const struct vm_func *)ref)->type, type_index(type));
    switch (kind) {
    case TYPE_FUNCREF:
    case TYPE_EXTERNREF:
    case TYPE_EXNREF: return true;
    case TYPE_NULLFUNCREF:
    case TYPE_NULLEXNREF: return false;
    default: break;
    }
    if (vm_is_object(ref))
        return object_is(vm, type, ref);
    if (vm_is_host_ref(ref))
        return kind == TYPE_ANYREF;
    return kind == TYPE_I31REF || kind == TYPE_EQREF || kind == TYPE_ANYREF;
}
