// SPDX-License-Identifier: MIT
// Loads and stores: [memory + index + offset], and no check, because the reservation covers what
// they can reach.
#include "fast/emit.h"

// A register with the base of a memory beside memory 0.
static u32 base_of(struct fast *f, u32 memory)
{
    if (!memory)
        return MEMORY;
    u32 base = reg_alloc(f, GPR_MASK);
    x64_mem(&f->a, I_MOV_LOAD, true, base,
            x64_at(INSTANCE, (s32)(f->m->layout.memories + memory * sizeof(struct vm_far))));
    return base;
}

// Traps when r is not below 4 GiB: all that is there the reservation covers.
static void below_4g(struct fast *f, u32 r)
{
    f->zf_at = NULL;
    x64_mem(&f->a, I_CMP, true, r, x64_at(INSTANCE, offsetof(struct vmctx, last_byte)));
    trap_if(f, CC_A, TRAP_MEMORY);
}

// The operand for the popped address slot plus a static offset.
struct x64_operand address(struct fast *f, const struct slot *s, struct memarg at)
{
    u64 offset = at.offset;
    struct x64_operand m = x64_at(base_of(f, at.memory), 0);
    if (s->kind == SLOT_CONST && s->imm < INT32_MAX && offset < INT32_MAX &&
        s->imm + offset < INT32_MAX) {
        m.disp = (s32)(s->imm + offset);
        return m;
    }
    bool wide = f->m->memories[at.memory].wide;
    u32 r = value_reg(f, s);
    if (offset < VM_MEMORY_GUARD - WASM_PAGE) { // the reservation covers index + offset: it faults
        m.disp = (s32)offset;
    } else {
        f->zf_at = NULL;
        x64_mov_imm(&f->a, SCRATCH, offset);
        x64_reg(&f->a, I_ADD, true, SCRATCH, r);
        if (wide)
            trap_if(f, CC_B, TRAP_MEMORY);
        r = SCRATCH;
    }
    m.index = (u8)r;
    if (r == SCRATCH) {
        below_4g(f, r);
    } else if (unlikely(wide) && !sum_is_below(f, s, offset)) {
        below_4g(f, r);
    }
    return m;
}

static inline struct x64_operand address_of(struct fast *f, const struct slot *s, struct memarg at)
{
    if (f->far || s->kind == SLOT_CONST || at.offset >= VM_MEMORY_GUARD - WASM_PAGE)
        return address(f, s, at);
    return (struct x64_operand){MEMORY, (u8)value_reg(f, s), 0, (s32)at.offset};
}

struct load {
    u32 insn;
    enum ty type;
    bool wide;
};

static const struct load loads[] = {
    [OP_i32_load - OP_i32_load] = {I_MOV_LOAD, T32, false},
    [OP_i64_load - OP_i32_load] = {I_MOV_LOAD, T64, true},
    [OP_f32_load - OP_i32_load] = {I_MOVSS_LOAD, TF32, false},
    [OP_f64_load - OP_i32_load] = {I_MOVSD_LOAD, TF64, false},
    [OP_i32_load8_s - OP_i32_load] = {I_MOVSX8, T32, false},
    [OP_i32_load8_u - OP_i32_load] = {I_MOVZX8, T32, false},
    [OP_i32_load16_s - OP_i32_load] = {I_MOVSX16, T32, false},
    [OP_i32_load16_u - OP_i32_load] = {I_MOVZX16, T32, false},
    [OP_i64_load8_s - OP_i32_load] = {I_MOVSX8, T64, true},
    [OP_i64_load8_u - OP_i32_load] = {I_MOVZX8, T64, false},
    [OP_i64_load16_s - OP_i32_load] = {I_MOVSX16, T64, true},
    [OP_i64_load16_u - OP_i32_load] = {I_MOVZX16, T64, false},
    [OP_i64_load32_s - OP_i32_load] = {I_MOVSXD, T64, true},
    [OP_i64_load32_u - OP_i32_load] = {I_MOV_LOAD, T64, false},
};

// The instruction for what comes next, if that is arithmetic with the loaded value as its second
// operand; 0 if not, or if that is no better in memory: addition and such then take the other
// operand from where it stays.
static u32 taker(const struct fast *f, enum ty t)
{
    static const u8 first[] = {OP_i32_add, OP_i64_add, OP_f32_add, OP_f64_add};
    enum { MOST = 10 };
    static const u32 insns[][MOST] = {
        {I_ADD, I_SUB, I_IMUL, 0, 0, 0, 0, I_AND, I_OR, I_XOR},
        {I_ADDSS, I_SUBSS, I_MULSS, I_DIVSS},
        {I_ADDSD, I_SUBSD, I_MULSD, I_DIVSD},
    };
    u32 k = *f->pc - first[t];
    u32 insn = k < MOST ? insns[ty_fp(t) + (t == TF64)][k] : 0;
    if (!insn || ty_fp(t) || insn == I_SUB)
        return insn;
    const struct slot *a = &f->slots[f->sp - 1];
    bool taken = a->kind == SLOT_REG || (a->kind == SLOT_LOCAL && a->last &&
                                         f->local_reg[a->local] != NO_REG && a->type == t);
    return taken ? insn : 0;
}

// Both in one: dst = a op [m]. What follows the load is stepped over.
static void load_and(struct fast *f, enum ty t, u32 insn, struct x64_operand m)
{
    f->pc++;
    u32 a = pop_reg(f);
    u32 dst = result_begin(f, t, a);
    if (ty_fp(t)) {
        x64_mem(&f->a, with_first(f, insn, dst, a), false, dst, m);
    } else if (dst == m.index) {
        x64_mem(&f->a, I_MOV_LOAD, ty_wide(t), SCRATCH, m);
        two_operand(f, insn, t, dst, a, SCRATCH);
    } else {
        move_reg(f, t, dst, a);
        x64_mem(&f->a, insn, ty_wide(t), dst, m);
    }
    if (insn == I_IMUL)
        f->zf_at = NULL;
    else if (!ty_fp(t))
        flags_of(f, dst, ty_wide(t));
    result_end(f, t, dst);
}

static void load_from(struct fast *f, const struct load *l, bool stays, struct x64_operand m)
{
    bool whole =
        !stays && (ty_fp(l->type) || (l->insn == I_MOV_LOAD && l->wide == ty_wide(l->type)));
    u32 insn = whole && m.index != SCRATCH ? taker(f, l->type) : 0;
    if (insn) {
        load_and(f, l->type, insn, m);
        return;
    }
    u32 reuse = !ty_fp(l->type) && m.index != SCRATCH ? m.index : NO_REG;
    u32 sp = f->sp, dst = result_begin(f, l->type, reuse);
    x64_mem(&f->a, l->insn, l->wide, dst, m);
    result_end(f, l->type, dst);
    if (l->insn == I_MOVZX8 || l->insn == I_MOVZX16)
        result_bits(f, sp, l->insn == I_MOVZX8 ? 8 : 16);
    else if (l->insn == I_MOV_LOAD && l->type == T64 && !l->wide)
        result_bits(f, sp, 32);
}

// The load, and the i64.extend_i32_u that comes next, if it does.
static const struct load *load_of(struct fast *f, u32 op)
{
    static const u8 extended[] = {[OP_i32_load - OP_i32_load] = OP_i64_load32_u,
                                  [OP_i32_load8_u - OP_i32_load] = OP_i64_load8_u,
                                  [OP_i32_load16_u - OP_i32_load] = OP_i64_load16_u};
    u32 n = op - OP_i32_load;
    if (*f->pc == OP_i64_extend_i32_u && n < sizeof extended && extended[n]) {
        f->pc++;
        n = extended[n] - OP_i32_load;
    }
    return &loads[n];
}

// --- Loads that only decide: the value is compared where it lies, or bits of it are tested, and
// what follows the load is stepped over.

// Of a value that has been extended from 8 bits, and a constant that could have been.
static bool byte_compare(const struct load *l, s64 imm, u32 *cc)
{
    if (l->insn == I_MOVSX8)
        return imm == (s8)imm;
    static const u8 unsigned_cc[] = {
        [CC_L] = CC_B, [CC_G] = CC_A, [CC_LE] = CC_BE, [CC_GE] = CC_AE};
    if (*cc >= CC_L)
        *cc = unsigned_cc[*cc];
    return imm == (u8)imm;
}

static bool load_compare(struct fast *f, const struct load *l, struct x64_operand m)
{
    enum ty t = l->type;
    bool byte = l->insn == I_MOVZX8 || l->insn == I_MOVSX8;
    if (!byte && (l->insn != I_MOV_LOAD || l->wide != ty_wide(t)))
        return false;
    u32 least = t == T32 ? OP_i32_eq : OP_i64_eq, cc = CC_NE;
    const u8 *p = f->pc;
    s64 imm = 0;
    if (t == T32 && flags_wanted(p)) {
        p--;
    } else if (*p == (t == T32 ? OP_i32_const : OP_i64_const)) {
        p++;
        imm = leb_s64(&p);
        bool decides = t == T32 ? flags_wanted(p + 1) : p[1] == OP_i64_eqz;
        if (*p == (t == T32 ? OP_i32_and : OP_i64_and) && decides) {
            // All of what is loaded has to be there, whichever of it counts.
            bool fits = byte      ? (u64)imm <= 0xff
                        : l->wide ? fits_s32(T64, (u64)imm)
                                  : t == T32 || (u64)imm <= UINT32_MAX;
            if (!fits)
                return false;
            f->pc = p + 1;
            x64_test_mem(&f->a, byte, l->wide, m, (u32)imm);
            push(f, SLOT_FLAGS, t)->reg = CC_NE;
            return true;
        }
        if (*p - least > OP_i32_ge_u - OP_i32_eq)
            return false;
        cc = condition_of(*p);
    } else {
        const struct slot *a = &f->slots[f->sp - 1];
        if (*p - least > OP_i32_ge_u - OP_i32_eq || a->kind == SLOT_CONST)
            return false;
        cc = condition_of(*p);
        if (byte && (l->insn != I_MOVZX8 || a->kind != SLOT_REG || !a->bits || a->bits > 8 ||
                     !byte_compare(l, 0, &cc)))
            return false; // both have been extended from 8 bits
        f->pc = p + 1;
        x64_mem(&f->a, byte ? I_CMP8 : I_CMP, l->wide, pop_reg(f), m);
        push_condition(f, cc);
        return true;
    }
    if (byte ? !byte_compare(l, imm, &cc) : !fits_s32(t, (u64)imm))
        return false;
    f->pc = p + 1;
    if (byte)
        x64_cmp8_mem(&f->a, m, (u32)imm);
    else
        x64_imm_mem(&f->a, G1_CMP, l->wide, m, (s32)imm);
    push_condition(f, cc);
    return true;
}

// If a local is read or written next, the value is loaded and no more.
static void load_at(struct fast *f, const struct load *l, struct x64_operand m)
{
    bool stays = (u32)(*f->pc - OP_local_get) <= OP_local_tee - OP_local_get;
    if (stays || ty_fp(l->type) || !load_compare(f, l, m))
        load_from(f, l, stays, m);
    else if (f->zf_at != f->a.p)
        f->zf_at = NULL; // of what came before: the comparison has its own flags
}

void load(struct fast *f, u32 op)
{
    struct memarg at = leb_memarg(&f->pc);
    const u8 *before = f->a.p;
    struct slot *s = pop_slot(f);
    load_at(f, load_of(f, op), address_of(f, s, at));
    flags_kept(f, before);
}

bool load_scaled(struct fast *f, u32 index, u32 scale, u32 bits)
{
    const u8 *op = f->pc, *p = op + 1;
    if (*op < OP_i32_load || *op > OP_i64_load32_u)
        return false;
    struct memarg at = leb_memarg(&p);
    bool fits = bits + scale <= 32;
    if (at.memory || at.offset >= VM_MEMORY_GUARD - WASM_PAGE || !(fits || f->m->memories[0].wide))
        return false;
    f->op = op;
    locate_note(f, op);
    f->pc = p;
    if (!fits) {
        f->zf_at = NULL;
        x64_imm(&f->a, G1_CMP, false, index, (s32)(UINT32_MAX >> scale));
        trap_if(f, CC_A, TRAP_MEMORY);
    }
    load_at(f, load_of(f, *op), (struct x64_operand){MEMORY, (u8)index, (u8)scale, (s32)at.offset});
    return true;
}

static const struct store {
    u32 insn;
    u8 log2;
} stores[] = {
    [OP_i32_store - OP_i32_store] = {I_MOV_STORE, 2},
    [OP_i64_store - OP_i32_store] = {I_MOV_STORE, 3},
    [OP_f32_store - OP_i32_store] = {I_MOVSS_STORE, 2},
    [OP_f64_store - OP_i32_store] = {I_MOVSD_STORE, 3},
    [OP_i32_store8 - OP_i32_store] = {I_MOV_STORE8, 0},
    [OP_i32_store16 - OP_i32_store] = {I_MOV_STORE16, 1},
    [OP_i64_store8 - OP_i32_store] = {I_MOV_STORE8, 0},
    [OP_i64_store16 - OP_i32_store] = {I_MOV_STORE16, 1},
    [OP_i64_store32 - OP_i32_store] = {I_MOV_STORE, 2},
};

void store(struct fast *f, u32 op)
{
    struct memarg at = leb_memarg(&f->pc);
    const u8 *before = f->a.p;
    struct slot *value = pop_slot(f);
    const struct store *to = &stores[op - OP_i32_store];
    u32 log2 = to->log2;
    bool constant = value->kind == SLOT_CONST && (log2 < 3 || (s64)value->imm == (s32)value->imm);
    u32 r = constant ? NO_REG : value_reg(f, value);
    struct slot *a = pop_slot(f);
    struct x64_operand m = address_of(f, a, at);
    if (constant)
        x64_mov_mem_imm(&f->a, log2, m, (s32)value->imm);
    else
        x64_mem(&f->a, to->insn, op == OP_i64_store, r, m);
    flags_kept(f, before);
}

void memory_size(struct fast *f)
{
    u32 memory = leb_u32(&f->pc);
    enum ty t = f->m->memories[memory].wide ? T64 : T32;
    u32 dst = result_begin(f, t, NO_REG);
    s32 at = memory ? (s32)(f->m->layout.memories + memory * sizeof(struct vm_far) +
                            offsetof(struct vm_far, memory))
                    : (s32)offsetof(struct vmctx, mem);
    x64_mem(&f->a, I_MOV_LOAD, true, dst, x64_at(INSTANCE, at));
    x64_mem(&f->a, I_MOV_LOAD, true, dst, x64_at(dst, offsetof(struct vm_memory, bytes)));
    x64_shift_imm(&f->a, SH_SHR, true, dst, 16);
    result_end(f, t, dst);
}
