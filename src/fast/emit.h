// SPDX-License-Identifier: MIT
// What the walk over a body (walk.c) calls: the instructions by kind, each popping slots, writing
// machine code and pushing a slot; and what those files share (result.c).
#pragma once
#include "fast/state.h"

// --- result.c
// A register for the result: the pinned local that the next instruction sets, else a's if that is
// free to be overwritten (NO_REG: never), else a new one.
u32 result_begin(struct fast *f, enum ty t, u32 a);
// The next use of a local in the code is this read. Is it the last one of this value?
static inline bool last_use(struct fast *f, u32 local)
{
    local_use u = *f->use++;
    return unlikely(u & (LOCAL_USE_LAST | LOCAL_USE_LAST_BUT_ZERO)) &&
           ((u & LOCAL_USE_LAST) || !(f->body->zero[local / 64] >> (local % 64) & 1));
}
// May a result of type t overwrite register r, which an operand came in?
static inline bool may_take(const struct fast *f, enum ty t, u32 r)
{
    return owned(f, r) || ((f->spent & BIT(r)) && f->local_type[f->reg_local[r]] == t);
}
// For result_begin, of an instruction that needs no copy of its operand: its register is only taken
// where no other is free.
static inline u32 unless_free(const struct fast *f, enum ty t, u32 a)
{
    return regs_free(f, class_of(t)) ? NO_REG : a;
}
// The result is in r, which result_begin chose.
void result_end(struct fast *f, enum ty t, u32 r);
// The result went to a local, or f->sp is above sp: that is below 4 GiB.
void result_is_below(struct fast *f, u32 sp);
// The result that result_end pushed, if it did, has no more than so many bits.
static inline void result_bits(struct fast *f, u32 sp, u32 bits)
{
    if (f->sp > sp)
        f->slots[sp].bits = (u8)bits;
    if (unlikely(f->far) && bits <= 32)
        result_is_below(f, sp);
}
// dst = a op b for an instruction whose operands cannot be exchanged; dst = b is allowed.
void two_operand(struct fast *f, u32 insn, enum ty t, u32 dst, u32 a, u32 b);
// Of an instruction between xmm registers: what to write for dst = a op (what follows).
u32 with_first(struct fast *f, u32 insn, u32 dst, u32 a);
// dst = op a, of an instruction that leaves the upper half of dst: without a dependency on that.
void float_unary(struct fast *f, u32 insn, u32 dst, u32 a);
// Is the popped slot an operand that instructions can read where it is, in the frame?
bool in_frame(struct fast *f, const struct slot *s, struct x64_operand *m);

// The flags now are those of a test of r.
static inline void flags_of(struct fast *f, u32 r, bool wide)
{
    f->zf_at = f->a.p;
    f->zf_reg = r;
    f->zf_wide = wide;
    f->zf_cc = CC_NE;
}

// From `before` on there was nothing but moves, into registers that are busy: what the flags say
// still holds, if it was not of one of those.
static inline void flags_kept(struct fast *f, const u8 *before)
{
    if (f->zf_at == before && !(f->busy & BIT(f->zf_reg)))
        f->zf_at = f->a.p;
}

static inline bool fits_s32(enum ty t, u64 imm)
{
    return t == T32 || (s64)imm == (s32)imm;
}

// --- integer.c
void integer_op(struct fast *f, u32 op, enum ty t, u32 base); // base: OP_i32_clz or OP_i64_clz

// --- divide.c
void divide(struct fast *f, enum ty t, bool is_signed, bool rem);
// The operand on top in rax, and rdx free, both for the current instruction to overwrite.
void pop_to_rax(struct fast *f, enum ty t);

// --- wide.c
void add_wide(struct fast *f, u32 low, u32 high); // instructions for the halves
void multiply_wide(struct fast *f, enum x64_group3 insn);

// --- compare.c
// May a condition stay in the flags for the instruction at pc?
static inline bool flags_wanted(const u8 *pc)
{
    enum { NEAR = 1 << OP_br_if | 1 << OP_if | 1 << OP_select };
    u32 op = *pc;
    return op < 32 ? NEAR >> op & 1 : op == OP_i32_eqz;
}
// Sets the flags; the condition under which r is not 0.
u32 nonzero(struct fast *f, u32 r, bool wide);
void push_condition(struct fast *f, u32 cc); // the flags as an i32
u32 condition_of(u32 op);                    // of an integer comparison
void compare(struct fast *f, enum ty t, u32 op);
void compare_float(struct fast *f, enum ty t, u32 op);
void eqz(struct fast *f, bool wide);
void select_op(struct fast *f);

// --- float.c
void float_op(struct fast *f, u32 op);

// --- convert.c
void conversion(struct fast *f, u32 op);
void truncate(struct fast *f, enum ty from, enum ty to, bool is_signed, bool sat);

// --- memory.c
void load(struct fast *f, u32 op);
void store(struct fast *f, u32 op);
// The load that comes next, if one does: of the address index << scale, popped. It has so many
// bits, 32 at most, and if there are more after the shift, the address is one of 64.
bool load_scaled(struct fast *f, u32 index, u32 scale, u32 bits);
void memory_size(struct fast *f);
// The operand for a popped address and a static offset. It may be in the scratch register.
struct x64_operand address(struct fast *f, const struct slot *s, struct memarg at);

// --- simd.c
void simd(struct fast *f); // the instruction at pc, behind the prefix
// dst = a shifted by a constant, as insn (by a register) would.
void simd_shift(struct fast *f, u32 insn, u32 dst, u32 a, u32 count);

// --- lanes.c: each does its instruction if it is on a vector that is held as four locals, and
// false says that it is not.
bool lanes_set(struct fast *f, u32 local, bool tee);
bool lanes_splat(struct fast *f, const struct slot *s);   // of a popped slot
bool lanes_replace(struct fast *f, const struct slot *s); // the same; pc is at the lane
bool lanes_extract(struct fast *f);
bool lanes_shift(struct fast *f, u32 count);          // to the right, by less than 32
bool lanes_and(struct fast *f, const struct slot *s); // with a popped slot
bool lanes_with_memory(struct fast *f, u32 insn, struct x64_operand m); // insn as of vectors; with
                                                                        // the local.set behind it

// --- atomic.c
void atomic_fence(struct fast *f);
void atomic_op(struct fast *f, u32 op); // loads, stores, and what does both

// --- variable.c
void local_set(struct fast *f, u32 local, bool tee);
void global_get(struct fast *f, u32 global);
void global_set(struct fast *f, u32 global);

// --- object.c
void object_op(struct fast *f); // the instruction at pc, behind the prefix

// --- runtime.c
void runtime_op(struct fast *f, u32 op); // those that call wasm/runtime.h
void table_size(struct fast *f);
void ref_func(struct fast *f);
void ref_as_non_null(struct fast *f);
