// SPDX-License-Identifier: MIT
// The walk over a body: one case per instruction. What they do is in integer.c, compare.c, float.c,
// convert.c, memory.c, simd.c, atomic.c, variable.c, runtime.c, call.c and flow.c.
#include "fast/emit.h"

static void unreachable(struct fast *f)
{
    x64_trap(&f->a, TRAP_UNREACHABLE);
    f->reachable = false;
    pins_assume(f); // a call that does not come back may have been in the way of them
}

// --- Skipping dead code
enum imm_kind {
    IMM_NONE,
    IMM_BLOCK,
    IMM_LABEL,
    IMM_TABLE_OF_LABELS,
    IMM_FUNC,
    IMM_TYPE,
    IMM_TYPE_TABLE,
    IMM_LOCAL,
    IMM_GLOBAL,
    IMM_TABLE,
    IMM_I32,
    IMM_I64,
    IMM_F32,
    IMM_F64,
    IMM_MEMORY,
    IMM_MEMORY2,
    IMM_DATA_MEMORY,
    IMM_DATA,
    IMM_ELEM_TABLE,
    IMM_ELEM,
    IMM_TABLE2,
    IMM_REFTYPE,
    IMM_SELECT,
    IMM_MEMARG,
    IMM_FENCE,
    IMM_TAG,
    IMM_CATCHES,
    IMM_TYPE2,
    IMM_CAST,
};

static const u8 imm_of[256] = {
#define X(code, id, text, imm) [(code) < 256 ? (code) : 255] = IMM_##imm,
#define LOAD(code, ...) [code] = IMM_MEMARG,
#define STORE(code, ...) [code] = IMM_MEMARG,
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winitializer-overrides"
#include "wasm/ops.def"
#pragma clang diagnostic pop
};

static const u8 imm_of_fc[32] = {
#define X(code, id, text, imm) [(code) >> 8 == 0xfc ? (code) & 31 : 31] = IMM_##imm,
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winitializer-overrides"
#include "wasm/ops.def"
#pragma clang diagnostic pop
};

static const u8 imm_of_fb[] = {
#define OX(code, id, text, imm) [(code) & 0xff] = IMM_##imm,
#include "wasm/ops.def"
};

static enum imm_kind imm_kind(u32 op)
{
    if (op < 256)
        return imm_of[op];
    if (op >> 8 == 0xfb)
        return imm_of_fb[op & 0xff];
    if (op >> 8 == 0xfc)
        return imm_of_fc[op & 31];
    return op == OP_atomic_fence ? IMM_FENCE : IMM_MEMARG;
}

static void skip_lebs(const u8 **pc, u32 n)
{
    while (n--)
        while (*(*pc)++ & 0x80)
            ;
}

void ops_skip(const u8 **pc, u32 op)
{
    if (op >> 8 == 0xfd || op >> 12 == 0xfd) {
        *pc = simd_skip(*pc, op);
        return;
    }
    enum imm_kind kind = imm_kind(op);
    switch (kind) {
    case IMM_NONE: break;
    case IMM_TABLE_OF_LABELS: skip_lebs(pc, 1 + leb_u32(pc)); break;
    case IMM_SELECT:
        for (u32 n = leb_u32(pc); n > 0; n--)
            *pc = type_skip(*pc);
        break;
    case IMM_MEMARG: leb_memarg(pc); break;
    case IMM_TYPE_TABLE:
    case IMM_TYPE2:
    case IMM_MEMORY2:
    case IMM_DATA_MEMORY:
    case IMM_ELEM_TABLE:
    case IMM_TABLE2: skip_lebs(pc, 2); break;
    case IMM_CAST:
        ++*pc; // flags
        skip_lebs(pc, 3);
        break;
    case IMM_F32: *pc += 4; break;
    case IMM_F64: *pc += 8; break;
    case IMM_BLOCK: *pc = type_skip(*pc); break;
    case IMM_TYPE:
    case IMM_LABEL:
    case IMM_FUNC:
    case IMM_LOCAL:
    case IMM_GLOBAL:
    case IMM_TABLE:
    case IMM_I32:
    case IMM_I64:
    case IMM_MEMORY:
    case IMM_DATA:
    case IMM_ELEM:
    case IMM_FENCE:
    case IMM_TAG:
    case IMM_REFTYPE: skip_lebs(pc, 1); break;
    case IMM_CATCHES:
        *pc = type_skip(*pc);
        for (u32 n = leb_u32(pc); n > 0; n--)
            skip_lebs(pc, *(*pc)++ < 2 ? 2 : 1); // a tag, or none, and a label
        break;
    }
}

// --- The walk
static void prefixed(struct fast *f)
{
    u32 op = 0xfc00 | leb_u32(&f->pc);
    switch (op) {
#define SAT(id, from, to, is_signed)                                                               \
    case OP_##id: truncate(f, from, to, is_signed, true); break
        SAT(i32_trunc_sat_f32_s, TF32, T32, true);
        SAT(i32_trunc_sat_f32_u, TF32, T32, false);
        SAT(i32_trunc_sat_f64_s, TF64, T32, true);
        SAT(i32_trunc_sat_f64_u, TF64, T32, false);
        SAT(i64_trunc_sat_f32_s, TF32, T64, true);
        SAT(i64_trunc_sat_f32_u, TF32, T64, false);
        SAT(i64_trunc_sat_f64_s, TF64, T64, true);
        SAT(i64_trunc_sat_f64_u, TF64, T64, false);
#undef SAT
    case OP_table_size: table_size(f); break;
    case OP_i64_add128: add_wide(f, I_ADD, I_ADC); break;
    case OP_i64_sub128: add_wide(f, I_SUB, I_SBB); break;
    case OP_i64_mul_wide_s: multiply_wide(f, G3_IMUL); break;
    case OP_i64_mul_wide_u: multiply_wide(f, G3_MUL); break;
    default: runtime_op(f, op); break;
    }
}

static void atomic(struct fast *f)
{
    u32 op = 0xfe00 | leb_u32(&f->pc);
    if (op == OP_atomic_fence) {
        f->pc++;
        if (f->m->maps) // else everything is in order already
            atomic_fence(f);
    } else if (op < OP_i32_atomic_load)
        runtime_op(f, op);
    else
        atomic_op(f, op);
}

// Everything behind a jump that is always taken, up to where code can be reached again. False: the
// function ended.
static bool dead_code(struct fast *f)
{
    for (;;) {
        flow_skip(f);
        u8 op = *f->pc++;
        if (op == OP_else || op == OP_catch || op == OP_catch_all) {
            if (op == OP_else)
                flow_else(f);
            else
                flow_catch(f, op == OP_catch_all);
            return true;
        }
        if (op == OP_delegate)
            leb_u32(&f->pc);
        if (!flow_end(f))
            return false;
        if (f->reachable)
            return true;
    }
}

// What follows an instruction. After one that wrote no code there is as much room as before it.
enum step { STEP_END, STEP_ON, STEP_NO_CODE };

// What has stopped may not have come to the instruction's end, so nothing is read from there.
static enum step jumped(struct fast *f)
{
    return unlikely(f->stopped) || dead_code(f) ? STEP_ON : STEP_END;
}

// The instruction at f->pc.
static inline enum step step(struct fast *f)
{
    const u8 *pc = f->pc;
    u8 op = *pc;
    f->op = pc;
    f->pc = pc + 1;
    switch (op) {
    case OP_unreachable: unreachable(f); return jumped(f);
    case OP_nop:
    case 0xff: break; // are not there, but so the jump needs no check
    case OP_block: flow_block(f, CTL_BLOCK); break;
    case OP_loop: flow_block(f, CTL_LOOP); break;
    case OP_if: flow_if(f); break;
    case OP_else: flow_else(f); break;
    case OP_end: return flow_end(f) ? STEP_ON : STEP_END;
    case OP_try: flow_try(f); break;
    case OP_try_table: flow_try_table(f); break;
    case OP_catch: flow_catch(f, false); break;
    case OP_catch_all: flow_catch(f, true); break;
    case OP_delegate: leb_u32(&f->pc); return flow_end(f) ? STEP_ON : STEP_END;
    case OP_throw: flow_throw(f, leb_u32(&f->pc)); return jumped(f);
    case OP_throw_ref: flow_throw_ref(f); return jumped(f);
    case OP_rethrow: flow_rethrow(f, leb_u32(&f->pc)); return jumped(f);
    case OP_br: flow_br(f, leb_u32(&f->pc)); return jumped(f);
    case OP_br_if: return flow_br_if(f, leb_u32(&f->pc)) ? STEP_ON : jumped(f);
    case OP_br_table: flow_br_table(f); return jumped(f);
    case OP_return: flow_br(f, f->ctls.count - 1); return jumped(f);
    case OP_call: call_function(f, leb_u32(&f->pc)); break;
    case OP_call_indirect: {
        u32 type = leb_u32(&f->pc);
        call_indirect(f, type, leb_u32(&f->pc));
        break;
    }
    case OP_return_call: tail_call(f, leb_u32(&f->pc)); return jumped(f);
    case OP_return_call_indirect: {
        u32 type = leb_u32(&f->pc);
        tail_call_indirect(f, type, leb_u32(&f->pc));
        return jumped(f);
    }
    case OP_call_ref: call_indirect(f, leb_u32(&f->pc), NO_TABLE); break;
    case OP_return_call_ref: tail_call_indirect(f, leb_u32(&f->pc), NO_TABLE); return jumped(f);
    case OP_br_on_null: flow_br_on_null(f, leb_u32(&f->pc)); break;
    case OP_br_on_non_null: flow_br_on_non_null(f, leb_u32(&f->pc)); break;
    case OP_drop: pop(f); break;
    case OP_select_t:
        ops_skip(&f->pc, OP_select_t);
        select_op(f);
        break;
    case OP_select: select_op(f); break;
    case OP_local_get: {
        u32 local = leb_u32(&f->pc);
        push_local(f, local, last_use(f, local));
        return STEP_NO_CODE;
    }
    case OP_local_set: local_set(f, leb_u32(&f->pc), false); break;
    case OP_local_tee: local_set(f, leb_u32(&f->pc), true); break;
    case OP_global_get: global_get(f, leb_u32(&f->pc)); break;
    case OP_global_set: global_set(f, leb_u32(&f->pc)); break;
    case OP_table_get:
    case OP_table_set:
    case OP_memory_grow: runtime_op(f, op); break;
    case OP_memory_size: memory_size(f); break;
    case OP_i32_const: push_const(f, T32, (u32)leb_s32(&f->pc)); return STEP_NO_CODE;
    case OP_i64_const: push_const(f, T64, leb_s64(&f->pc)); return STEP_NO_CODE;
    case OP_f32_const:
        push_const(f, TF32, load_u32(f->pc));
        f->pc += 4;
        break;
    case OP_f64_const:
        push_const(f, TF64, load_u64(f->pc));
        f->pc += 8;
        break;
    case OP_i32_eqz: eqz(f, false); break;
    case OP_i64_eqz: eqz(f, true); break;
    case OP_i32_load ... OP_i64_load32_u: load(f, op); break;
    case OP_i32_store ... OP_i64_store32: store(f, op); break;
    case OP_i32_eq ... OP_i32_ge_u: compare(f, T32, op); break;
    case OP_i64_eq ... OP_i64_ge_u: compare(f, T64, op); break;
    case OP_f32_eq ... OP_f32_ge: compare_float(f, TF32, op); break;
    case OP_f64_eq ... OP_f64_ge: compare_float(f, TF64, op); break;
    case OP_i32_clz ... OP_i32_rotr: integer_op(f, op, T32, OP_i32_clz); break;
    case OP_i64_clz ... OP_i64_rotr: integer_op(f, op, T64, OP_i64_clz); break;
    case OP_f32_abs ... OP_f64_copysign: float_op(f, op); break;
    case OP_ref_null:
        ops_skip(&f->pc, OP_ref_null);
        push_const(f, T64, 0);
        break;
    case OP_ref_is_null: eqz(f, true); break;
    case OP_ref_func: ref_func(f); break;
    case OP_ref_as_non_null: ref_as_non_null(f); break;
    case OP_ref_eq: compare(f, T64, OP_i64_eq); break;
    case 0xfb: object_op(f); break;
    case 0xfc: prefixed(f); break;
    case 0xfd: simd(f); break;
    case 0xfe: atomic(f); break;
    default: conversion(f, op); break;
    }
    return STEP_ON;
}

void ops_walk(struct fast *f)
{
    f->hint.reg = NO_REG;
    enum step s;
    do {
        if (unlikely(f->a.p > f->limit || f->stopped) && (f->stopped || !fast_room(f, 0))) {
            f->full = !f->oom;
            return;
        }
        f->busy = f->spent = 0;
        do {
            locate_note(f, f->pc);
            s = step(f);
        } while (s == STEP_NO_CODE);
    } while (s != STEP_END);
}
