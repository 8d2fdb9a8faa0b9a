// SPDX-License-Identifier: MIT
// The hot instructions. No include guard: run.c includes this file three times, with DEPTH 0, 1 and
// 2, the number of topmost operands that are in registers when the instruction starts:
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

// --- Control

HANDLER(nop)
{
    BEGIN;
    pc++;
    NEXT;
}

HANDLER(block)
{
    BEGIN;
    pc++;
    SKIP_LEB(pc);
    NEXT;
}

HANDLER(loop)
{
    BEGIN;
    pc++;
    SKIP_LEB(pc);
    NEXT;
}

HANDLER(if)
{
    BEGIN;
    u64 condition = POP;
    if (!(u32)condition)
        BRANCH(side);
    side++;
    pc++;
    SKIP_LEB(pc);
    NEXT;
}

HANDLER(else)
{
    BEGIN;
    BRANCH(side);
}

HANDLER(br)
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
    NEXT;
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
    sp = fp;
    depth = 0;
    struct vmctx *vm = (frame++)->vm;
    fp = frame->fp;
    pc = frame->pc;
    side = frame->side;
    if (unlikely(frame->vm != vm))
        RELOAD_MEMORY;
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
    NEXT;
}

// --- Parametric, variables

HANDLER(drop)
{
    BEGIN;
    u64 unused = POP;
    (void)unused;
    pc++;
    NEXT;
}

HANDLER(select)
{
    BEGIN;
    u64 condition = POP;
    u64 b = POP;
    u64 a = POP;
    PUSH((u32)condition ? a : b);
    pc++;
    NEXT;
}

HANDLER(select_t)
{
    BEGIN;
    u64 condition = POP;
    u64 b = POP;
    u64 a = POP;
    PUSH((u32)condition ? a : b);
    pc++;
    for (u32 n = imm_u32(&pc); n > 0; n--)
        pc++;
    NEXT;
}

HANDLER(local_get)
{
    BEGIN;
    pc++;
    u64 value = fp[imm_u32(&pc)];
    PUSH(value);
    NEXT;
}

HANDLER(local_set)
{
    BEGIN;
    pc++;
    u64 value = POP;
    fp[imm_u32(&pc)] = value;
    NEXT;
}

HANDLER(local_tee)
{
    BEGIN;
    pc++;
    u64 value = POP;
    fp[imm_u32(&pc)] = value;
    PUSH(value);
    NEXT;
}

HANDLER(global_get)
{
    BEGIN;
    pc++;
    u64 value = global_read(frame->vm, imm_u32(&pc));
    PUSH(value);
    NEXT;
}

HANDLER(global_set)
{
    BEGIN;
    pc++;
    u64 value = POP;
    vm_global(frame->vm, imm_u32(&pc))->i64 = value;
    NEXT;
}

// --- Constants

HANDLER(i32_const)
{
    BEGIN;
    pc++;
    u64 value = (u32)imm_s64(&pc);
    PUSH(value);
    NEXT;
}

HANDLER(i64_const)
{
    BEGIN;
    pc++;
    u64 value = (u64)imm_s64(&pc);
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

#define UN(code, id, text, A, R, expr)                                                             \
    HANDLER(id)                                                                                    \
    {                                                                                              \
        BEGIN;                                                                                     \
        T_##A a = GET_##A(POP);                                                                    \
        PUSH(PUT_##R(expr));                                                                       \
        pc++;                                                                                      \
        NEXT;                                                                                      \
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

#define BIN(code, id, text, A, R, expr)                                                            \
    HANDLER(id)                                                                                    \
    {                                                                                              \
        BEGIN;                                                                                     \
        T_##A b = GET_##A(POP);                                                                    \
        T_##A a = GET_##A(POP);                                                                    \
        PUSH(PUT_##R(expr));                                                                       \
        pc++;                                                                                      \
        NEXT;                                                                                      \
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

#define LOAD(code, id, text, R, type, align)                                                       \
    HANDLER(id)                                                                                    \
    {                                                                                              \
        BEGIN;                                                                                     \
        const u8 *next = pc + 1;                                                                   \
        u64 address = (u64)imm_memarg(&next) + (u32)POP;                                           \
        if (unlikely(address + sizeof(type) > bytes))                                              \
            GO(trap_memory);                                                                       \
        type value;                                                                                \
        __builtin_memcpy(&value, mem + address, sizeof value);                                     \
        PUSH(PUT_##R((T_##R)value));                                                               \
        pc = next;                                                                                 \
        NEXT;                                                                                      \
    }

#define STORE(code, id, text, A, type, align)                                                      \
    HANDLER(id)                                                                                    \
    {                                                                                              \
        BEGIN;                                                                                     \
        const u8 *next = pc + 1;                                                                   \
        type value = (type)GET_##A(POP);                                                           \
        u64 address = (u64)imm_memarg(&next) + (u32)POP;                                           \
        if (unlikely(address + sizeof(type) > bytes))                                              \
            GO(trap_memory);                                                                       \
        __builtin_memcpy(mem + address, &value, sizeof value);                                     \
        pc = next;                                                                                 \
        NEXT;                                                                                      \
    }

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

HANDLER(leave)
{
    BEGIN;
    SPILL;
    STOP(OK);
}

// --- The other instructions have all operands in memory.

#if DEPTH > 0
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
