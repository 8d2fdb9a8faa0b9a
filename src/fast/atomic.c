// SPDX-License-Identifier: MIT
// Atomics. A process runs on one CPU at a time, and its threads switch only in calls and polls: so
// these are plain instructions, without a lock prefix, and with a check of the alignment.
// Misaligned comes before out of bounds, for then the access itself can do the rest. Only where a
// module can map memory that other processes have, too, they are locked ones, and stores and fences
// wait until what was stored before is seen (SDM 3A 9.2).
//
// Registers: an instruction may find no more than four that it can have. Address, two operands and
// the old value take them all; what is computed goes through the scratch register, unless that has
// the address, and then the address needs no other.
#include "fast/emit.h"

enum { WIDTHS = 7, LOAD = 0, STORE, ADD, SUB, AND, OR, XOR, EXCHANGE, COMPARE };
_Static_assert(OP_i64_atomic_rmw32_cmpxchg_u - OP_i32_atomic_load == COMPARE * WIDTHS + 6,
               "seven widths of each");

static const struct width {
    enum ty type;
    u32 log2;
} widths[WIDTHS] = {{T32, 2}, {T64, 3}, {T32, 0}, {T32, 1}, {T64, 0}, {T64, 1}, {T64, 2}};

static void test_low(struct fast *f, u32 r, u32 mask)
{
    x64_opcode(&f->a, 0xf6 << 16, false, 0, 0, r, r >= 4); // test r8, imm8
    x64_byte(&f->a, 0xc0 | (r & 7));
    x64_byte(&f->a, mask);
}

// Traps when the popped address and the offset make a sum that is misaligned.
static void check_alignment(struct fast *f, const struct slot *s, u64 offset, u32 mask)
{
    if (s->kind == SLOT_CONST) {
        if (((u32)s->imm + offset) & mask)
            x64_trap(&f->a, TRAP_UNALIGNED_ATOMIC);
        return;
    }
    u32 r = s->reg;
    if (offset & mask) {
        x64_mem(&f->a, I_LEA, false, SCRATCH, x64_at(r, (s32)(offset & mask)));
        r = SCRATCH;
    }
    test_low(f, r, mask);
    trap_if(f, CC_NE, TRAP_UNALIGNED_ATOMIC);
}

static struct x64_operand atomic_address(struct fast *f, u64 offset, u32 log2)
{
    u32 busy = f->busy;
    struct slot s = pop(f);
    if (s.kind != SLOT_CONST) { // both look at it
        s.reg = (u8)value_reg(f, &s);
        s.kind = SLOT_REG;
    }
    if (log2)
        check_alignment(f, &s, offset, (1u << log2) - 1);
    struct x64_operand m = address(f, &s, (struct memarg){offset, 0});
    f->busy = m.index == SCRATCH || m.index == NO_REG ? busy : busy | BIT(m.index);
    return m;
}

static void load_width(struct fast *f, u32 log2, u32 dst, struct x64_operand m)
{
    static const u32 insn[] = {I_MOVZX8, I_MOVZX16, I_MOV_LOAD, I_MOV_LOAD};
    x64_mem(&f->a, insn[log2], log2 == 3, dst, m);
}

static void store_width(struct fast *f, u32 log2, u32 r, struct x64_operand m)
{
    static const u32 insn[] = {I_MOV_STORE8, I_MOV_STORE16, I_MOV_STORE, I_MOV_STORE};
    x64_mem(&f->a, insn[log2], log2 == 3, r, m);
}

void atomic_fence(struct fast *f)
{
    x64_lock(&f->a);
    x64_imm_mem(&f->a, G1_OR, false, x64_at(RSP, 0), 0);
}

static void atomic_load(struct fast *f, const struct width *w, u64 offset)
{
    struct x64_operand m = atomic_address(f, offset, w->log2);
    u32 reuse = m.index != SCRATCH ? m.index : NO_REG;
    u32 dst = result_begin(f, w->type, reuse);
    load_width(f, w->log2, dst, m);
    result_end(f, w->type, dst);
}

static void atomic_store(struct fast *f, const struct width *w, u64 offset)
{
    u32 r = pop_reg(f);
    store_width(f, w->log2, r, atomic_address(f, offset, w->log2));
    if (f->m->maps)
        atomic_fence(f);
}

// A register for what is computed: see above.
static u32 work_register(struct fast *f, struct x64_operand m)
{
    return m.index == SCRATCH ? reg_alloc(f, GPR_MASK) : SCRATCH;
}

static void result_old(struct fast *f, enum ty t, u32 old)
{
    u32 dst = result_begin(f, t, old);
    move_reg(f, t, dst, old);
    result_end(f, t, dst);
}

static void atomic_modify(struct fast *f, const struct width *w, u64 offset, u32 kind)
{
    static const u32 insn[] = {
        [ADD] = I_ADD, [SUB] = I_SUB, [AND] = I_AND, [OR] = I_OR, [XOR] = I_XOR};
    bool wide = w->log2 == 3;
    u32 b = pop_reg(f);
    struct x64_operand m = atomic_address(f, offset, w->log2);
    u32 old = reg_alloc(f, GPR_MASK);
    load_width(f, w->log2, old, m);
    u32 new = b;
    if (kind != EXCHANGE) {
        new = work_register(f, m);
        move_reg(f, w->type, new, old);
        x64_reg(&f->a, insn[kind], wide, new, b);
    }
    store_width(f, w->log2, new, m);
    result_old(f, w->type, old);
}

// Only as many bits of the expected value are compared as are in memory.
static void atomic_compare(struct fast *f, const struct width *w, u64 offset)
{
    u32 replacement = pop_reg(f), expected = pop_reg(f);
    struct x64_operand m = atomic_address(f, offset, w->log2);
    u32 old = reg_alloc(f, GPR_MASK);
    u32 wrapped = w->log2 < 2 ? work_register(f, m) : expected;
    load_width(f, w->log2, old, m);
    if (w->log2 < 2)
        x64_reg(&f->a, w->log2 ? I_MOVZX16 : I_MOVZX8, false, wrapped, expected);
    x64_reg(&f->a, I_CMP, w->log2 == 3, old, wrapped);
    u8 *differs = x64_jcc8(&f->a, CC_NE);
    store_width(f, w->log2, replacement, m);
    x64_bind8(&f->a, differs);
    result_old(f, w->type, old);
}

// --- Locked. What is read replaces what is in `reg`.

static void locked(struct fast *f, const u32 insn[3], u32 log2, u32 reg, struct x64_operand m)
{
    x64_lock(&f->a);
    x64_mem(&f->a, insn[log2 < 2 ? log2 : 2], log2 == 3, reg, m);
}

static void widen(struct fast *f, u32 log2, u32 r)
{
    if (log2 < 2)
        x64_reg(&f->a, log2 ? I_MOVZX16 : I_MOVZX8, false, r, r);
}

static const u32 compare_exchange[] = {I_CMPXCHG8, I_CMPXCHG16, I_CMPXCHG};

// By the instructions that give the old value back.
static void locked_exchange(struct fast *f, const struct width *w, u64 offset, u32 kind)
{
    static const u32 add[] = {I_XADD8, I_XADD16, I_XADD}, exchange[] = {I_XCHG8, I_XCHG16, I_XCHG};
    u32 b = pop_reg(f);
    struct x64_operand m = atomic_address(f, offset, w->log2);
    u32 old = reg_alloc(f, GPR_MASK);
    move_reg(f, w->type, old, b);
    if (kind == SUB)
        x64_group3_reg(&f->a, G3_NEG, w->log2 == 3, old);
    locked(f, kind == EXCHANGE ? exchange : add, w->log2, old, m);
    widen(f, w->log2, old);
    result_old(f, w->type, old);
}

// Until nobody has come in between.
static void locked_modify(struct fast *f, const struct width *w, u64 offset, u32 kind)
{
    static const u32 insn[] = {[AND] = I_AND, [OR] = I_OR, [XOR] = I_XOR};
    reg_take(f, RAX);
    u32 b = pop_reg(f);
    struct x64_operand m = atomic_address(f, offset, w->log2);
    load_width(f, w->log2, RAX, m);
    u32 new = work_register(f, m);
    u8 *again = f->a.p;
    move_reg(f, w->type, new, RAX);
    x64_reg(&f->a, insn[kind], w->log2 == 3, new, b);
    locked(f, compare_exchange, w->log2, new, m);
    x64_jcc_back(&f->a, CC_NE, again);
    widen(f, w->log2, RAX);
    result_old(f, w->type, RAX);
}

static void locked_compare(struct fast *f, const struct width *w, u64 offset)
{
    reg_take(f, RAX);
    u32 replacement = pop_reg(f), expected = pop_reg(f);
    struct x64_operand m = atomic_address(f, offset, w->log2);
    move_reg(f, w->log2 == 3 ? T64 : T32, RAX, expected);
    locked(f, compare_exchange, w->log2, replacement, m);
    widen(f, w->log2, RAX);
    result_old(f, w->type, RAX);
}

static void locked_op(struct fast *f, const struct width *w, u64 offset, u32 kind)
{
    switch (kind) {
    case ADD:
    case SUB:
    case EXCHANGE: locked_exchange(f, w, offset, kind); break;
    case COMPARE: locked_compare(f, w, offset); break;
    default: locked_modify(f, w, offset, kind); break;
    }
}

void atomic_op(struct fast *f, u32 op)
{
    u32 kind = (op - OP_i32_atomic_load) / WIDTHS;
    const struct width *w = &widths[(op - OP_i32_atomic_load) % WIDTHS];
    leb_u32(&f->pc); // alignment: the natural one
    u64 offset = leb_u64(&f->pc);
    switch (kind) {
    case LOAD: atomic_load(f, w, offset); return;
    case STORE: atomic_store(f, w, offset); return;
    default: break;
    }
    if (f->m->maps) {
        locked_op(f, w, offset, kind);
        return;
    }
    switch (kind) {
    case COMPARE: atomic_compare(f, w, offset); break;
    default: atomic_modify(f, w, offset, kind); break;
    }
}
