// SPDX-License-Identifier: MIT
// The hot instructions. No include guard: run.c includes this file with DEPTH 0, and again with 1
// and 2 unless it is to be small, the number of topmost operands that are in registers when the
// instruction starts:
//
//   DEPTH   registers                      in memory
//   0                                      all operands, sp[-1] on top
//   1       r0 on top                      the rest
//   2       r1 on top, r0 below            the rest
//
// A handler is written once, with PUSH and POP, which keep account of the depth at compile time;
// NEXT goes on in the table of the depth that it ends with. So `local.get a, local.get b, i32.add,
// local.set c` touches no operand memory at all, and no handler asks at run time where its operands
// are. Any depth is right anywhere: at a label, paths with different depths may meet.
//
// pc stays on the instruction (on the last byte of its opcode, after a prefix) until NEXT, for
// traps and branches.

#if !WIDE
// In place of all instructions (struct tables).
HANDLER(counted)
{
    enum { STEPS = 1024 };
    u32 steps = ++frame->vm->thread->steps;
    if (unlikely(steps % STEPS == 0 && INTERRUPT)) {
        frame->call = pc;
        enum trap trap = interrupted(frame);
        if (trap)
            TRAP_CALL(trap);
        RELOAD_MEMORY;
    }
    GO(t->real->at[DEPTH][*pc]);
}
#endif

// --- Control

HANDLER(nop)
{
    BEGIN;
    pc++;
    NEXT;
}

// A switch begins with as many blocks as it has cases: they are passed eight at a time.
HANDLER(block)
{
    BEGIN;
    pc++;
    SKIP_TYPE(pc);
    if (NEXT_IS(block)) {
        const u64 four = 0x4002400240024002;
        while (frame->end - pc > 16 && !((load_u64(pc) ^ four) | (load_u64(pc + 8) ^ four)))
            pc += 16;
        while (NEXT_IS(block) && pc[1] == 0x40)
            pc += 2;
    }
    NEXT_OR_LOCAL;
}

HANDLER(loop)
{
    BEGIN;
    pc++;
    SKIP_TYPE(pc);
    NEXT_OR_LOCAL;
}

HANDLER(if)
{
    BEGIN;
    u64 condition = POP;
    if (!(u32)condition)
        BRANCH(side);
    side++;
    pc++;
    SKIP_TYPE(pc);
    NEXT;
}

HANDLER(else)
{
    BEGIN;
    BRANCH(side);
}

// Not part of the comparisons that go here: they would have to save registers.
__attribute__((noinline)) HANDLER(br)
{
    BEGIN;
    BRANCH(side);
}

HANDLER(br_if)
{
    BEGIN;
    u64 condition = POP;
    if ((u32)condition)
        BRANCH(side);
    side++;
    pc++;
    SKIP_LEB(pc);
    NEXT_OR_LOCAL;
}

HANDLER(br_table)
{
    BEGIN;
    u32 index = (u32)POP;
    const u8 *next = pc + 1;
    u32 count = imm_u32(&next);
    BRANCH(side + (index < count ? index : count));
}

// Leaves results where the first local was; the caller goes on behind its call.
HANDLER(return)
{
    BEGIN;
    u32 nresults = frame->code->nresults;
    if (unlikely(nresults > 1)) {
        SPILL;
        GO(return_many);
    }
    u64 result = 0;
    if (nresults)
        result = POP;
    if (WIDE)
        fp[VM_CELLS] = sp[VM_CELLS];
    sp = fp;
    depth = 0;
    TO_CALLER;
    if (!nresults)
        NEXT;
    PUSH(result);
    NEXT;
}

HANDLER(end)
{
    BEGIN;
    if (pc == frame->end)
        GO(SAME_DEPTH(return));
    pc++;
    NEXT_OR_LOCAL;
}

// --- Parametric, variables

HANDLER(drop)
{
    BEGIN;
    u64 unused = POP;
    (void)unused;
    pc++;
    NEXT_OR_LOCAL;
}

HANDLER(select)
{
    BEGIN;
    u64 condition = POP;
    u64 b = POP;
    u64 a = POP;
    if (WIDE && !(u32)condition)
        sp[VM_CELLS] = sp[VM_CELLS + 1];
    PUSH((u32)condition ? a : b);
    pc++;
    NEXT_OR_LOCAL;
}

HANDLER(select_t)
{
    BEGIN;
    u64 condition = POP;
    u64 b = POP;
    u64 a = POP;
    if (WIDE && !(u32)condition)
        sp[VM_CELLS] = sp[VM_CELLS + 1];
    PUSH((u32)condition ? a : b);
    pc++;
    for (u32 n = imm_u32(&pc); n > 0; n--)
        SKIP_TYPE(pc);
    NEXT;
}

#if WIDE
HANDLER(local_get)
{
    BEGIN;
    pc++;
    u32 local = imm_u32(&pc);
    sp[VM_CELLS] = fp[local + VM_CELLS];
    PUSH(fp[local]);
    NEXT;
}

HANDLER(local_set)
{
    BEGIN;
    pc++;
    u32 local = imm_u32(&pc);
    fp[local] = POP;
    fp[local + VM_CELLS] = sp[VM_CELLS];
    NEXT;
}

HANDLER(local_tee)
{
    BEGIN;
    pc++;
    u32 local = imm_u32(&pc);
    fp[local] = sp[-1];
    fp[local + VM_CELLS] = sp[VM_CELLS - 1];
    NEXT;
}

HANDLER(global_get)
{
    BEGIN;
    pc++;
    u32 global = imm_u32(&pc);
    sp[VM_CELLS] = load_u64(vm_global(frame->vm, global)->v128 + 8);
    PUSH(global_read(frame->vm, global));
    NEXT;
}

HANDLER(global_set)
{
    BEGIN;
    pc++;
    union vm_global *global = vm_global(frame->vm, imm_u32(&pc));
    global->i64 = POP;
    store_u64(global->v128 + 8, sp[VM_CELLS]);
    NEXT;
}

#else
// Nearly all immediates take one byte; those that take more have a handler of their own (x_long),
// so that the common one is straight and its pc advances by a constant.

HANDLER(local_get_long)
{
    BEGIN;
    pc++;
    u64 value = fp[imm_u32(&pc)];
    PUSH(value);
    NEXT;
}

HANDLER(local_get)
{
    BEGIN;
    IF_LONG(local_get);
    u64 value = fp[pc[1]];
    pc += 2;
    if (*pc == OP_i32_const && pc[1] < 0x40) {
        u32 constant = pc[1];
        pc += 2;
        if (NEXT_IS(i32_add)) {
            pc++;
            RESULT((u32)(value + constant));
        }
        PUSH(value);
        PUSH(constant);
        NEXT;
    }
    if (NEXT_IS(i32_add)) {
        pc++;
        RESULT((u32)(value + POP));
    }
    PUSH(value);
    NEXT_OR_LOCAL;
}

HANDLER(local_set_long)
{
    BEGIN;
    pc++;
    u64 value = POP;
    fp[imm_u32(&pc)] = value;
    NEXT;
}

HANDLER(local_set)
{
    BEGIN;
    IF_LONG(local_set);
    u64 value = POP;
    fp[pc[1]] = value;
    pc += 2;
    NEXT_OR_LOCAL;
}

HANDLER(local_tee_long)
{
    BEGIN;
    pc++;
    u64 value = POP;
    fp[imm_u32(&pc)] = value;
    PUSH(value);
    NEXT;
}

HANDLER(local_tee)
{
    BEGIN;
    IF_LONG(local_tee);
    u64 value = POP;
    fp[pc[1]] = value;
    pc += 2;
    PUSH(value);
    NEXT;
}

HANDLER(global_get)
{
    BEGIN;
    pc++;
    u64 value = global_read(frame->vm, imm_u32(&pc));
    PUSH(value);
    NEXT_OR_LOCAL;
}

HANDLER(global_set)
{
    BEGIN;
    pc++;
    u64 value = POP;
    vm_global(frame->vm, imm_u32(&pc))->i64 = value;
    NEXT;
}

#endif

// --- Constants

HANDLER(i32_const_long)
{
    BEGIN;
    u32 value = pc[1];
    if (value < 0x80) {
        value -= 0x80;
        pc += 2;
    } else if (pc[2] < 0x80) {
        value = ((value + ((u32)pc[2] << 7) - 0x80) ^ 0x2000) - 0x2000;
        pc += 3;
    } else if (REGISTERS && pc[3] < 0x80) { // strides of arrays and negative offsets
        value = (value << 11) + ((u32)pc[2] << 18) + ((u32)pc[3] << 25) - (0x4080 << 11);
        value = (u32)((s32)value >> 11);
        pc += 4;
    } else {
        pc++;
        value = imm_s32(&pc);
    }
    if (NEXT_IS(i32_add)) {
        pc++;
        RESULT((u32)(value + POP));
    }
    PUSH(value);
    NEXT;
}

// The common ones, which are not negative, are their byte.
HANDLER(i32_const)
{
    BEGIN;
    u32 value = pc[1];
    if (unlikely(value >= 0x40))
        GO(SAME_DEPTH(i32_const_long));
    pc += 2;
    if (NEXT_IS(i32_add)) {
        pc++;
        RESULT((u32)(value + POP));
    }
    PUSH(value);
    NEXT;
}

HANDLER(i64_const_long)
{
    BEGIN;
    pc++;
    u64 value = (u64)leb_s64(&pc);
    PUSH(value);
    NEXT;
}

HANDLER(i64_const)
{
    BEGIN;
    u64 value = pc[1];
    if (unlikely(value >= 0x40))
        GO(SAME_DEPTH(i64_const_long));
    pc += 2;
    PUSH(value);
    NEXT;
}

HANDLER(f32_const)
{
    BEGIN;
    PUSH(load_u32(pc + 1));
    pc += 5;
    NEXT;
}

HANDLER(f64_const)
{
    BEGIN;
    PUSH(load_u64(pc + 1));
    pc += 9;
    NEXT;
}

// --- The regular rows

// The rows that are worth their fused and quick forms.
#define IS_FREQUENT(code)                                                                          \
    (((code) >= OP_i32_add && (code) <= OP_i32_mul) ||                                             \
     ((code) >= OP_i32_and && (code) <= OP_i32_rotl) ||                                            \
     ((code) >= OP_i64_add && (code) <= OP_i64_mul) ||                                             \
     ((code) >= OP_i64_and && (code) <= OP_i64_rotl) ||                                            \
     ((code) >= OP_f32_add && (code) <= OP_f32_mul) ||                                             \
     ((code) >= OP_f64_add && (code) <= OP_f64_mul) ||                                             \
     ((code) >= OP_i32_load && (code) <= OP_f64_load) || (code) == OP_i32_load8_u ||               \
     ((code) >= OP_i32_store && (code) <= OP_i32_store8))

#define IS_COMPARISON(code) ((code) >= OP_i32_eqz && (code) <= OP_f64_ge)
// A condition: branched on at once, or a value. A branch that is taken goes through br, which costs
// a jump and saves a tenth of the size. pc is on the comparison still, since whether it moves on by
// one or by three is known here.
#define CONDITION(expr)                                                                            \
    do {                                                                                           \
        if (pc[1] == OP_br_if && !(pc[2] & 0x80)) {                                                \
            if (expr) {                                                                            \
                pc++;                                                                              \
                GO(BR_AT(depth));                                                                  \
            }                                                                                      \
            side++;                                                                                \
            pc += 3;                                                                               \
            NEXT_OR_LOCAL;                                                                         \
        }                                                                                          \
        pc++;                                                                                      \
        PUSH((u64)(expr));                                                                         \
        NEXT;                                                                                      \
    } while (0)

#define UN(code, id, text, A, R, expr)                                                             \
    HANDLER(id)                                                                                    \
    {                                                                                              \
        BEGIN;                                                                                     \
        T_##A a = GET_##A(POP);                                                                    \
        if (IS_COMPARISON(code)) {                                                                 \
            CONDITION(expr);                                                                       \
        } else {                                                                                   \
            pc++;                                                                                  \
            PUSH(PUT_##R(expr));                                                                   \
            NEXT;                                                                                  \
        }                                                                                          \
    }

#define UNT(code, id, text, A, R, why, expr)                                                       \
    HANDLER(id)                                                                                    \
    {                                                                                              \
        BEGIN;                                                                                     \
        T_##A a = GET_##A(POP);                                                                    \
        enum trap trap_ = (why);                                                                   \
        if (unlikely(trap_))                                                                       \
            TRAP(trap_);                                                                           \
        PUSH(PUT_##R(expr));                                                                       \
        pc++;                                                                                      \
        NEXT;                                                                                      \
    }

// Comparisons are mostly followed by br_if, others by a local variable.
#define BIN(code, id, text, A, R, expr)                                                            \
    HANDLER(id)                                                                                    \
    {                                                                                              \
        BEGIN;                                                                                     \
        T_##A b = GET_##A(POP);                                                                    \
        T_##A a = GET_##A(POP);                                                                    \
        if (IS_COMPARISON(code)) {                                                                 \
            CONDITION(expr);                                                                       \
        } else if (IS_FREQUENT(code)) {                                                            \
            pc++;                                                                                  \
            RESULT(PUT_##R(expr));                                                                 \
        } else {                                                                                   \
            pc++;                                                                                  \
            PUSH(PUT_##R(expr));                                                                   \
            NEXT;                                                                                  \
        }                                                                                          \
    }

#define BINT(code, id, text, A, R, why, expr)                                                      \
    HANDLER(id)                                                                                    \
    {                                                                                              \
        BEGIN;                                                                                     \
        T_##A b = GET_##A(POP);                                                                    \
        T_##A a = GET_##A(POP);                                                                    \
        enum trap trap_ = (why);                                                                   \
        if (unlikely(trap_))                                                                       \
            TRAP(trap_);                                                                           \
        PUSH(PUT_##R(expr));                                                                       \
        pc++;                                                                                      \
        NEXT;                                                                                      \
    }

// The body finds the static offset in `offset`; pc is still on the instruction, for the trap.
#define MEMORY_ACCESS(code, id, ...)                                                               \
    HANDLER(id##_long)                                                                             \
    {                                                                                              \
        BEGIN;                                                                                     \
        if (depth > 0 && !IS_FREQUENT(code)) {                                                     \
            SPILL;                                                                                 \
            GO(op_##id##_long_0);                                                                  \
        }                                                                                          \
        const u8 *next = pc + 1;                                                                   \
        u64 offset = imm_memarg(&next);                                                            \
        __VA_ARGS__;                                                                               \
        pc = next;                                                                                 \
        NEXT;                                                                                      \
    }                                                                                              \
    HANDLER(id)                                                                                    \
    {                                                                                              \
        BEGIN;                                                                                     \
        if (unlikely((pc[1] | pc[2]) & 0x80)) /* alignment, offset */                              \
            GO(SAME_DEPTH(id##_long));                                                             \
        u64 offset = pc[2];                                                                        \
        __VA_ARGS__;                                                                               \
        pc += 3;                                                                                   \
        if (IS_FREQUENT(code))                                                                     \
            NEXT_OR_LOCAL;                                                                         \
        NEXT;                                                                                      \
    }

#define LOAD(code, id, text, R, type, align)                                                       \
    MEMORY_ACCESS(code, id, u64 end = offset + (u32)POP + sizeof(type); BOUNDS(end, sizeof(type)); \
                  type value; __builtin_memcpy(&value, mem + end - sizeof value, sizeof value);    \
                  PUSH(PUT_##R((T_##R)value)))

#define STORE(code, id, text, A, type, align)                                                      \
    MEMORY_ACCESS(code, id, type value = (type)GET_##A(POP);                                       \
                  u64 end = offset + (u32)POP + sizeof(type); BOUNDS(end, sizeof(type));           \
                  __builtin_memcpy(mem + end - sizeof value, &value, sizeof value))

#include "wasm/ops.def"

// --- Not of WebAssembly

HANDLER(prefix_fc)
{
    BEGIN;
    frame->call = pc++;
    u32 op = imm_u32(&pc);
    pc--;
    GO(t->at[depth][PREFIX_FC + op]);
}

// --- The other instructions have all operands in memory.

#if DEPTH > 0 || WIDE
#define COLD(id)                                                                                   \
    HANDLER(id)                                                                                    \
    {                                                                                              \
        BEGIN;                                                                                     \
        SPILL;                                                                                     \
        GO(op_##id##_0);                                                                           \
    }
COLD_OPS
#undef COLD
#endif
