// SPDX-License-Identifier: MIT
// Objects: [heap + reference + place], and an array's index against the length in its header. What
// makes them, and what works on many elements, is a call.
//
// A reference is 64 bits wide everywhere, with zeros above, so that the collector knows one when
// it finds it. No pointer into an object lives beyond the instruction.
#include "fast/emit.h"
#include "fast/join.h"
#include "wasm/runtime.h"

#define RUNTIME(f, function, nslots, out, checked, ...)                                            \
    call_runtime(f, (const void *)(function), (const u64[]){__VA_ARGS__},                          \
                 sizeof((const u64[]){__VA_ARGS__}) / sizeof(u64), nslots, out, checked)

static const struct functype *imm_type(struct fast *f)
{
    return &f->m->types[leb_u32(&f->pc)];
}

static void not_null(struct fast *f, u32 r, enum trap trap)
{
    trap_if(f, nonzero(f, r, true) ^ 1, trap);
}

static struct x64_operand heap_operand(void)
{
    return x64_at(INSTANCE, offsetof(struct vmctx, heap_base));
}

// A place in the object that r refers to, through the scratch register.
static struct x64_operand object_at(struct fast *f, u32 r, u32 place)
{
    x64_mem(&f->a, I_MOV_LOAD, true, SCRATCH, heap_operand());
    return (struct x64_operand){SCRATCH, (u8)r, 0, (s32)place};
}

// --- Values in objects

static void load_value(struct fast *f, valtype type, bool sign, struct x64_operand m, u32 reuse)
{
    enum ty t = ty_of(field_type(type));
    u32 size = module_field_size(f->m, type);
    u32 dst = result_begin(f, t, ty_fp(t) ? NO_REG : reuse);
    if (size == 1)
        x64_mem(&f->a, sign ? I_MOVSX8 : I_MOVZX8, false, dst, m);
    else if (size == 2)
        x64_mem(&f->a, sign ? I_MOVSX16 : I_MOVZX16, false, dst, m);
    else if (size == 4 && !ty_fp(t))
        x64_mem(&f->a, I_MOV_LOAD, false, dst, m);
    else
        load_mem(f, t, dst, m);
    result_end(f, t, dst);
}

static void store_reg(struct fast *f, enum ty t, u32 size, u32 r, struct x64_operand m)
{
    if (size < 4)
        x64_mem(&f->a, size == 1 ? I_MOV_STORE8 : I_MOV_STORE16, false, r, m);
    else if (size == 4 && !ty_fp(t))
        x64_mem(&f->a, I_MOV_STORE, false, r, m);
    else
        store_mem(f, t, r, m);
}

// Can the constant be written as it is?
static bool immediate(const struct slot *s, u32 size)
{
    if (s->kind != SLOT_CONST || size > 8)
        return false;
    return size < 8 || (s64)s->imm == (s32)s->imm;
}

static void store_imm(struct fast *f, u32 size, u64 imm, struct x64_operand m)
{
    x64_mov_mem_imm(&f->a, (u32)__builtin_ctz(size), m, (s32)imm);
}

// A popped value, in a register unless it can be written as it is.
static u32 value_to_store(struct fast *f, const struct slot *s, u32 size)
{
    return immediate(s, size) ? NO_REG : value_reg(f, s);
}

static void store_value(struct fast *f, const struct slot *s, u32 size, u32 r, struct x64_operand m)
{
    if (r == NO_REG)
        store_imm(f, size, s->imm, m);
    else
        store_reg(f, s->type, size, r, m);
}

// --- Structs

static void struct_get(struct fast *f, bool sign)
{
    const struct functype *t = imm_type(f);
    u32 field = leb_u32(&f->pc), ref = pop_reg(f);
    not_null(f, ref, TRAP_NULL_STRUCT);
    load_value(f, t->types[field], sign, object_at(f, ref, struct_place(t, field)), ref);
}

static void struct_set(struct fast *f)
{
    const struct functype *t = imm_type(f);
    u32 field = leb_u32(&f->pc), size = module_field_size(f->m, t->types[field]);
    struct slot s = pop(f);
    u32 r = value_to_store(f, &s, size), ref = pop_reg(f);
    not_null(f, ref, TRAP_NULL_STRUCT);
    store_value(f, &s, size, r, object_at(f, ref, struct_place(t, field)));
}

// The value of slot `index`, which stays, to an object that is new; `zero`: that has only zeros.
static void store_slot(struct fast *f, u32 index, u32 size, bool zero, struct x64_operand m)
{
    const struct slot *s = &f->slots[index];
    if (immediate(s, size)) {
        if (s->imm || !zero)
            store_imm(f, size, s->imm, m);
        return;
    }
    u32 r = slot_reg(f, s);
    if (r == NO_REG) {
        r = ty_fp(s->type) ? SCRATCH_XMM : SCRATCH;
        slot_to_reg(f, index, r);
    }
    store_reg(f, s->type, size, r, m);
}

// A new object in rax, its address in rcx; the operands, which stay, are wherever calls leave them.
// False: all of it must be written, but for its header.
static bool new_object(struct fast *f, const void *function, u32 type, u32 bytes, u32 length)
{
    enum { MOST = 512 }; // bytes that are worth it
    struct assembler *a = &f->a;
    const u64 constants[] = {type, length};
    u32 nconstants = f->m->types[type].form == FORM_ARRAY ? 2 : 1;
    bool inlined = bytes <= MOST;
    f->busy |= BIT(RAX) | BIT(RCX);
    if (inlined) {
        u32 class = vm_heap_class(bytes);
        s32 run = (s32)(offsetof(struct vm_heap, runs) + class * sizeof(struct vm_run));
        call_clobber(f);
        x64_mem(a, I_MOV_LOAD, true, SCRATCH, x64_at(INSTANCE, offsetof(struct vmctx, heap)));
        x64_mem(a, I_MOV_LOAD, false, RAX,
                x64_at(SCRATCH, run + (s32)offsetof(struct vm_run, next)));
        x64_mem(a, I_CMP, false, RAX, x64_at(SCRATCH, run + (s32)offsetof(struct vm_run, end)));
        u8 *none = x64_jcc(a, CC_E);
        x64_imm_mem(a, G1_ADD, false, x64_at(SCRATCH, run + (s32)offsetof(struct vm_run, next)),
                    (s32)vm_heap_cell(class));
        struct cold *c = call_runtime_cold(f, none, function, constants, nconstants);
        if (c)
            c->target = here(f);
    } else {
        call_runtime(f, function, constants, nconstants, 0, false, false);
    }
    f->busy |= BIT(RAX) | BIT(RCX);
    x64_mem(a, I_MOV_LOAD, true, RCX, heap_operand());
    x64_reg(a, I_ADD, true, RCX, RAX);
    if (inlined) {
        x64_mov_mem_imm(a, 2, x64_at(RCX, offsetof(struct vm_object, type)),
                        (s32)f->m->types[type].id);
        x64_mov_mem_imm(a, 2, x64_at(RCX, offsetof(struct vm_object, length)), (s32)length);
    }
    return !inlined;
}

// n operands are in it.
static void push_new(struct fast *f, u32 n)
{
    while (n--)
        pop(f);
    f->busy = 0;
    push_reg(f, T64, RAX);
}

static void struct_new(struct fast *f)
{
    u32 type = leb_u32(&f->pc);
    const struct functype *t = &f->m->types[type];
    bool zero = new_object(f, (const void *)rt_struct_new, type, struct_size(t), 0);
    u32 n = t->nparams;
    for (u32 i = 0; i < n && fast_room(f, 64); i++)
        store_slot(f, f->sp - n + i, module_field_size(f->m, t->types[i]), zero,
                   x64_at(RCX, (s32)struct_place(t, i)));
    push_new(f, n);
}

// So small that a few words are cleared in line.
static void struct_new_default(struct fast *f)
{
    enum { FEW = 64 };
    u32 type = leb_u32(&f->pc), bytes = struct_size(&f->m->types[type]);
    if (bytes > FEW) {
        RUNTIME(f, rt_struct_new, 0, false, false, type);
    } else {
        new_object(f, (const void *)rt_struct_new, type, bytes, 0);
        for (u32 at = OBJECT_HEADER; at < bytes; at += 8) // cells are of whole words
            store_imm(f, 8, 0, x64_at(RCX, (s32)at));
    }
    push_new(f, 0);
}

// --- Arrays

// The operand of a popped index: in a register unless it is a constant. Before what lies below it
// is popped.
static u32 index_reg(struct fast *f, const struct slot *index)
{
    enum { MOST = 1 << 24 };
    return index->kind == SLOT_CONST && index->imm < MOST ? NO_REG : value_reg(f, index);
}

// The element of an array in a register; traps if there is none.
static struct x64_operand element(struct fast *f, u32 ref, const struct slot *index, u32 i,
                                  u32 step)
{
    struct assembler *a = &f->a;
    u32 log2 = (u32)__builtin_ctz(step);
    not_null(f, ref, TRAP_NULL_ARRAY);
    if (i == NO_REG) {
        struct x64_operand m = object_at(f, ref, offsetof(struct vm_object, length));
        x64_imm_mem(a, G1_CMP, false, m, (s32)index->imm);
        trap_if(f, CC_BE, TRAP_ARRAY);
        m.disp = (s32)(OBJECT_HEADER + (index->imm << log2));
        return m;
    }
    x64_mem(a, I_MOV_LOAD, true, SCRATCH, heap_operand());
    x64_reg(a, I_ADD, true, SCRATCH, ref);
    x64_mem(a, I_CMP, false, i, x64_at(SCRATCH, offsetof(struct vm_object, length)));
    trap_if(f, CC_AE, TRAP_ARRAY);
    if (log2 > 3) {
        u32 twice = reg_alloc(f, GPR_MASK);
        x64_mem(a, I_LEA, true, twice, (struct x64_operand){(u8)i, (u8)i, 0, 0});
        i = twice;
    }
    return (struct x64_operand){SCRATCH, (u8)i, (u8)(log2 > 3 ? 3 : log2), OBJECT_HEADER};
}

static void array_get(struct fast *f, bool sign)
{
    const struct functype *t = imm_type(f);
    struct slot index = pop(f);
    u32 i = index_reg(f, &index), ref = pop_reg(f);
    load_value(f, t->types[0], sign, element(f, ref, &index, i, array_step(t)), ref);
}

static void array_set(struct fast *f)
{
    const struct functype *t = imm_type(f);
    struct slot s = pop(f);
    u32 size = array_step(t), r = value_to_store(f, &s, size);
    struct slot index = pop(f);
    u32 i = index_reg(f, &index), ref = pop_reg(f);
    store_value(f, &s, size, r, element(f, ref, &index, i, size));
}

static void array_len(struct fast *f)
{
    u32 ref = pop_reg(f);
    not_null(f, ref, TRAP_NULL_ARRAY);
    load_value(f, TYPE_I32, false, object_at(f, ref, offsetof(struct vm_object, length)), ref);
}

static void array_new_fixed(struct fast *f)
{
    u32 type = leb_u32(&f->pc), n = leb_u32(&f->pc), step = array_step(&f->m->types[type]);
    bool zero = new_object(f, (const void *)rt_array_new, type, OBJECT_HEADER + n * step, n);
    for (u32 i = 0; i < n && fast_room(f, 64); i++)
        store_slot(f, f->sp - n + i, step, zero, x64_at(RCX, (s32)(OBJECT_HEADER + i * step)));
    push_new(f, n);
}

static void array_call(struct fast *f, u32 op)
{
    u32 x = leb_u32(&f->pc), y;
    switch (op) {
    case OP_array_new: RUNTIME(f, rt_array_new_of, 2, false, false, x); break;
    case OP_array_new_default: RUNTIME(f, rt_array_new, 1, false, false, x); break;
    case OP_array_new_data:
        y = leb_u32(&f->pc);
        RUNTIME(f, rt_array_new_data, 2, false, false, x, y);
        break;
    case OP_array_new_elem:
        y = leb_u32(&f->pc);
        RUNTIME(f, rt_array_new_elem, 2, false, false, x, y);
        break;
    case OP_array_fill:
        call_runtime(f, (const void *)rt_array_fill, NULL, 0, 4, false, true);
        return;
    case OP_array_copy:
        leb_u32(&f->pc);
        call_runtime(f, (const void *)rt_array_copy, NULL, 0, 5, false, true);
        return;
    case OP_array_init_data:
        RUNTIME(f, rt_array_init_data, 4, false, true, leb_u32(&f->pc));
        return;
    default: RUNTIME(f, rt_array_init_elem, 4, false, true, leb_u32(&f->pc)); return;
    }
    push_reg(f, T64, RAX);
}

// --- i31

static void ref_i31(struct fast *f)
{
    struct slot s = pop(f);
    if (s.kind == SLOT_CONST) {
        push_const(f, T64, vm_i31((u32)s.imm));
        return;
    }
    u32 r = value_reg(f, &s), dst = result_begin(f, T64, r);
    x64_mem(&f->a, I_LEA, false, dst, (struct x64_operand){(u8)r, (u8)r, 0, 1});
    result_end(f, T64, dst);
}

static void i31_get(struct fast *f, bool sign)
{
    u32 r = pop_reg(f);
    not_null(f, r, TRAP_NULL_I31);
    u32 dst = result_begin(f, T32, r);
    move_reg(f, T32, dst, r);
    x64_shift_imm(&f->a, sign ? SH_SAR : SH_SHR, false, dst, 1);
    result_end(f, T32, dst);
}

// --- Casts

enum test { TEST_NEVER, TEST_ALWAYS, TEST_NULL, TEST_NONNULL, TEST_I31, TEST_OBJECT, TEST_CALL };

// How to find out whether a reference of the same hierarchy is of that type. Only TEST_I31 and
// TEST_OBJECT ask for null separately.
static enum test test_of(const struct fast *f, valtype type)
{
    bool null = is_defaultable(type);
    switch (type_kind(type)) {
    case TYPE_FUNCREF:
    case TYPE_EXTERNREF:
    case TYPE_EXNREF:
    case TYPE_ANYREF: return null ? TEST_ALWAYS : TEST_NONNULL;
    case TYPE_NULLREF:
    case TYPE_NULLFUNCREF:
    case TYPE_NULLEXTERNREF:
    case TYPE_NULLEXNREF: return null ? TEST_NULL : TEST_NEVER;
    case TYPE_I31REF: return TEST_I31;
    case TYPE_REF: {
        const struct functype *t = &f->m->types[type_index(type)];
        return t->form == FORM_FUNC || (t->open && t->depth >= VM_DISPLAY) ? TEST_CALL
                                                                           : TEST_OBJECT;
    }
    default: return TEST_CALL;
    }
}

// Is the type of the object that r refers to t, or a subtype? The flags say "equal" then. At 0,
// where null leads, there is no type, and that is a subtype of none. NULL, or a jump to where the
// flags are looked at.
static u8 *test_type(struct fast *f, const struct functype *t, u32 r, u32 found)
{
    struct assembler *a = &f->a;
    struct x64_operand id = object_at(f, r, offsetof(struct vm_object, type));
    if (!t->open) {
        x64_imm_mem(a, G1_CMP, false, id, (s32)t->id);
        return NULL;
    }
    x64_mem(a, I_MOV_LOAD, false, found, id);
    x64_imm(a, G1_CMP, false, found, (s32)t->id);
    u8 *same = x64_jcc8(a, CC_E);
    _Static_assert(sizeof(struct vm_type_slot) == 16, "the shift");
    x64_shift_imm(a, SH_SHL, true, found, 4);
    x64_mem(a, I_MOV_LOAD, true, SCRATCH, x64_at(INSTANCE, offsetof(struct vmctx, heap)));
    x64_mem(a, I_MOV_LOAD, true, SCRATCH, x64_at(SCRATCH, offsetof(struct vm_heap, types)));
    x64_mem(a, I_MOV_LOAD, true, SCRATCH, (struct x64_operand){SCRATCH, (u8)found, 0, 0});
    x64_imm_mem(a, G1_CMP, false, x64_at(SCRATCH, t->depth * (s32)sizeof(u32)), (s32)t->id);
    return same;
}

// The condition under which the reference in r is of that type. It may be null, or, unless it is
// known to be an object, anything else.
static u32 test_reg(struct fast *f, enum test test, valtype type, u32 r, bool object)
{
    struct assembler *a = &f->a;
    if (test == TEST_NONNULL || test == TEST_NULL)
        return nonzero(f, r, true) ^ (test == TEST_NULL);
    u8 *null = NULL, *other = NULL, *same = NULL;
    const struct functype *t = test == TEST_OBJECT ? &f->m->types[type_index(type)] : NULL;
    // What this takes to get happens on all ways.
    u32 found = t && t->open ? reg_alloc(f, GPR_MASK) : NO_REG;
    f->zf_at = NULL;
    if (is_defaultable(type)) {
        x64_reg(a, I_TEST, true, r, r);
        null = x64_jcc8(a, CC_E);
    }
    if (test == TEST_I31) {
        x64_reg(a, I_MOV_LOAD, false, SCRATCH, r);
        x64_group3_reg(a, G3_NOT, false, SCRATCH);
        x64_test_imm8(a, SCRATCH, 1);
    } else {
        if (!object) {
            x64_test_imm8(a, r, 3);
            other = x64_jcc8(a, CC_NE);
        }
        same = test_type(f, t, r, found);
    }
    if (other)
        x64_bind8(a, other);
    if (same)
        x64_bind8(a, same);
    if (null)
        x64_bind8(a, null);
    return CC_E;
}

// By the runtime, of the topmost slot, which is in its frame cell and stays.
static u32 test_call(struct fast *f, valtype type)
{
    RUNTIME(f, rt_ref_is, 1, false, false, type);
    push(f, SLOT_MEM, T64);
    x64_reg(&f->a, I_TEST, false, RAX, RAX);
    return CC_NE;
}

static void ref_test(struct fast *f, bool null)
{
    valtype type = module_heaptype(f->m, &f->pc, null);
    enum test test = test_of(f, type);
    if (test == TEST_NEVER || test == TEST_ALWAYS) {
        pop(f);
        push_const(f, T32, test == TEST_ALWAYS);
        return;
    }
    u32 cc;
    if (test == TEST_CALL) {
        RUNTIME(f, rt_ref_is, 1, false, false, type);
        x64_reg(&f->a, I_TEST, false, RAX, RAX);
        cc = CC_NE;
    } else {
        cc = test_reg(f, test, type, pop_reg(f), false);
    }
    push_condition(f, cc);
}

static void ref_cast(struct fast *f, bool null)
{
    valtype type = module_heaptype(f->m, &f->pc, null);
    enum test test = test_of(f, type);
    if (test == TEST_ALWAYS)
        return;
    if (test == TEST_CALL) {
        ref_to_frame(f);
        trap_if(f, test_call(f, type) ^ 1, TRAP_CAST);
        return;
    }
    u32 r = pop_reg(f), dst = result_begin(f, T64, r);
    move_reg(f, T64, dst, r);
    if (test == TEST_NEVER)
        x64_trap(&f->a, TRAP_CAST);
    else
        trap_if(f, test_reg(f, test, type, dst, false) ^ 1, TRAP_CAST);
    result_end(f, T64, dst);
}

static bool is_object(const struct fast *f, valtype type)
{
    u32 kind = type_kind(type);
    return kind == TYPE_STRUCTREF || kind == TYPE_ARRAYREF ||
           (kind == TYPE_REF && f->m->types[type_index(type)].form != FORM_FUNC);
}

static void br_on_cast(struct fast *f, bool fails)
{
    u8 flags = *f->pc++;
    u32 depth = leb_u32(&f->pc), cc;
    valtype from = module_heaptype(f->m, &f->pc, flags & 1);
    valtype to = module_heaptype(f->m, &f->pc, flags & 2);
    enum test test = test_of(f, to);
    u32 r = ref_to_frame(f);
    if (test == TEST_CALL) {
        cc = test_call(f, to);
    } else if (test == TEST_NEVER || test == TEST_ALWAYS) {
        x64_reg(&f->a, I_CMP, true, r, r);
        cc = test == TEST_ALWAYS ? CC_E : CC_NE;
    } else {
        cc = test_reg(f, test, to, r, is_object(f, from));
    }
    flow_br_flags(f, depth, cc ^ fails);
}

void object_op(struct fast *f)
{
    u32 op = 0xfb00 | leb_u32(&f->pc);
    switch (op) {
    case OP_struct_new: struct_new(f); break;
    case OP_struct_new_default: struct_new_default(f); break;
    case OP_struct_get ... OP_struct_get_u: struct_get(f, op == OP_struct_get_s); break;
    case OP_struct_set: struct_set(f); break;
    case OP_array_new_fixed: array_new_fixed(f); break;
    case OP_array_get ... OP_array_get_u: array_get(f, op == OP_array_get_s); break;
    case OP_array_set: array_set(f); break;
    case OP_array_len: array_len(f); break;
    case OP_ref_test:
    case OP_ref_test_null: ref_test(f, op == OP_ref_test_null); break;
    case OP_ref_cast:
    case OP_ref_cast_null: ref_cast(f, op == OP_ref_cast_null); break;
    case OP_br_on_cast:
    case OP_br_on_cast_fail: br_on_cast(f, op == OP_br_on_cast_fail); break;
    case OP_any_convert_extern:
    case OP_extern_convert_any: break;
    case OP_ref_i31: ref_i31(f); break;
    case OP_i31_get_s:
    case OP_i31_get_u: i31_get(f, op == OP_i31_get_s); break;
    default: array_call(f, op); break;
    }
}
