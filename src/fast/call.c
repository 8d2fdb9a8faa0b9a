// SPDX-License-Identifier: MIT
// Calls, and the two ends of a function. The convention is in target/x64/abi.h.
//
// The prologue is written last, when it is known which registers must be saved and how large the
// frame is: the body starts f->prologue bytes into the function's space, and the prologue is put
// right in front of it.
#include "fast/fast.h"
#include "fast/state.h"
#include "wasm/runtime.h"

// Where stack arguments and the result area are, before the frame's size is known: displacements
// from rsp start from this and are patched (f->incoming).
#define INCOMING 0x10000000

// --- Parallel moves: dst[i] <- src[i], all at once.
struct moves {
    u32 pending; // destinations
    u8 from[32]; // by destination
    u8 type[32];
    u8 readers[32]; // by source: how many pending moves read it
};

static void moves_add(struct moves *v, u32 dst, u32 src, enum ty t)
{
    if (dst == src)
        return;
    v->pending |= BIT(dst);
    v->from[dst] = (u8)src;
    v->type[dst] = (u8)t;
    v->readers[src]++;
}

static void moves_emit(struct fast *f, struct moves *v)
{
    while (v->pending) {
        u32 ready = 0;
        for (u32 m = v->pending; m; m &= m - 1) {
            u32 d = (u32)__builtin_ctz(m);
            if (v->readers[d])
                continue;
            move_reg(f, v->type[d], d, v->from[d]);
            v->readers[v->from[d]]--;
            ready |= BIT(d);
        }
        v->pending &= ~ready;
        if (ready || !v->pending)
            continue;
        // Only cycles are left: set one value aside, which makes its register ready.
        u32 d = (u32)__builtin_ctz(v->pending);
        u32 aside = d >= XMM0 ? SCRATCH_XMM : SCRATCH;
        move_reg(f, d >= XMM0 ? TF64 : T64, aside, d);
        for (u32 m = v->pending; m; m &= m - 1) {
            u32 k = (u32)__builtin_ctz(m);
            if (v->from[k] == d) {
                v->from[k] = (u8)aside;
                v->readers[d]--;
                v->readers[aside]++;
            }
        }
    }
}

const u8 argument_gpr[6] = {RDI, RSI, RDX, RCX, R8, R9};

static u32 argument_reg(struct abi_place p)
{
    return p.where == ABI_XMM ? XMM0 + p.index : argument_gpr[p.index];
}

u32 slot_reg(const struct fast *f, const struct slot *s)
{
    if (s->kind == SLOT_REG)
        return s->reg;
    return s->kind == SLOT_LOCAL ? f->local_reg[s->local] : NO_REG;
}

// Everything that must survive a call gets out of the caller-saved registers, except the newest
// nargs slots.
static void save_live(struct fast *f, u32 nargs)
{
    for (u32 m = f->temp & CALLER_SAVED; m; m &= m - 1) {
        u32 index = f->reg_slot[__builtin_ctz(m)];
        if (index < f->sp - nargs)
            slot_spill(f, index);
    }
    dirty_store(f, ~CALLER_SAVED);
}

static void clobber(struct fast *f)
{
    for (u32 m = f->cache & CALLER_SAVED; m; m &= m - 1)
        cache_remove(f, (u32)__builtin_ctz(m));
    f->zf_at = NULL;
}

static void drop_args(struct fast *f, u32 n)
{
    while (n--)
        pop(f);
    f->busy = 0;
}

static void stack_pointer(struct fast *f, s32 delta)
{
    if (delta)
        x64_imm(&f->a, delta < 0 ? G1_SUB : G1_ADD, true, RSP, delta < 0 ? -delta : delta);
    f->rsp_adjust += (u32)-delta;
    locate_note(f, f->op);
}

static void push_stack_arg(struct fast *f, u32 index, u32 cell)
{
    const struct slot *s = &f->slots[index];
    u32 r = slot_reg(f, s);
    if (r == NO_REG) {
        r = ty_fp(s->type) ? SCRATCH_XMM : SCRATCH;
        slot_to_reg(f, index, r);
    }
    enum ty t = ty_fp(s->type) ? s->type : T64;
    store_mem(f, t, r, x64_at(RSP, (s32)cell * 8));
}

// Puts the newest slots, of the types of t's parameters, where a callee of that type expects them;
// the slots stay. `index`, if not NO_REG, goes to rax with them.
static void arguments(struct fast *f, const struct functype *t, u32 index)
{
    u32 first = f->sp - t->nparams;
    struct moves v;
    v.pending = 0;
    memset(v.readers, 0, sizeof v.readers);
    if (index != NO_REG)
        moves_add(&v, RAX, index, T64);
    struct abi_state abi = {0};
    u32 later[14], nlater = 0; // not in registers: loaded when the moves are done
    u8 later_reg[14];
    for (u32 i = 0; i < t->nparams && fast_room(f, 64); i++) {
        struct abi_place p = abi_next(&abi, t->types[i]);
        const struct slot *s = &f->slots[first + i];
        if (p.where == ABI_STACK) {
            push_stack_arg(f, first + i, p.index);
            continue;
        }
        u32 r = slot_reg(f, s);
        if (r != NO_REG) {
            moves_add(&v, argument_reg(p), r, s->type);
        } else {
            later_reg[nlater] = (u8)argument_reg(p);
            later[nlater++] = first + i;
        }
    }
    moves_emit(f, &v);
    for (u32 i = 0; i < nlater; i++)
        slot_to_reg(f, later[i], later_reg[i]);
}

static void push_results(struct fast *f, const struct functype *t)
{
    const valtype *types = t->types + t->nparams;
    u32 base = f->sp;
    for (u32 i = 0; i < t->nresults; i++)
        push(f, SLOT_MEM, ty_of(types[i]));
    s32 from = 0;
    for (u32 i = 1; i < t->nresults && fast_room(f, 64); i++) {
        enum ty ty = ty_of(types[i]);
        u32 r = ty_fp(ty) ? SCRATCH_XMM : SCRATCH;
        load_mem(f, ty, r, x64_at(RSP, from));
        store_frame(f, ty, stack_cell(f, base + i), r);
        from += ty == TV128 ? 16 : 8;
    }
    if (!t->nresults)
        return;
    struct slot *s = &f->slots[base];
    s->kind = SLOT_REG;
    s->reg = ty_fp(s->type) ? XMM0 : RAX;
    f->temp |= BIT(s->reg);
    f->reg_slot[s->reg] = base;
}

// Room for stack arguments and results, arguments in place.
static struct abi_stack begin_call(struct fast *f, const struct functype *t, u32 index)
{
    struct abi_stack area = abi_stack_of(t);
    save_live(f, t->nparams);
    stack_pointer(f, -(s32)(area.args + area.results));
    arguments(f, t, index);
    return area;
}

// After the call instruction: the callee has popped the arguments. It may have returned to `other`,
// too, if that is not 0.
static void end_call(struct fast *f, const struct functype *t, struct abi_stack area, u32 other)
{
    f->rsp_adjust -= area.args;
    locate_note(f, f->op);
    drop_args(f, t->nparams);
    clobber(f);
    throws_note(f, other);
    push_results(f, t);
    if (area.results) {
        x64_mem(&f->a, I_LEA, true, RSP, x64_at(RSP, (s32)area.results));
        f->rsp_adjust -= area.results;
    }
}

// call or jmp [rip + disp32], linked when it is known where the function is going to run (fast.c).
void call_entry(struct fast *f, bool jump, u32 entry)
{
    x64_byte(&f->a, 0xff);
    x64_byte(&f->a, jump ? 0x25 : 0x15);
    x64_u32(&f->a, 0);
    u32 at = f->cold_return ? (u32)(f->a.p - 4 - f->cold.at) | IN_COLD : here(f) - 4;
    struct call_site c = {at, entry, SITE_CALL};
    if (!vec_push(&f->calls, c))
        f->oom = true;
}

void call_function(struct fast *f, u32 func)
{
    const struct functype *t = module_func_type(f->m, func);
    struct abi_stack area = begin_call(f, t, NO_REG);
    if (func < f->m->nimported_funcs) {
        s32 cell = (s32)(f->m->layout.imports + func * sizeof(struct vm_func));
        x64_mem(&f->a, I_LEA, true, R11, x64_at(INSTANCE, cell));
        x64_call_mem(&f->a, x64_at(R11, offsetof(struct vm_func, code)));
    } else {
        call_entry(f, false, ENTRY_FUNCS + func - f->m->nimported_funcs);
    }
    end_call(f, t, area, 0);
}

// The element's address into r11, of the index in rax, trapping when there is none of that type.
static void indirect_target(struct fast *f, u32 type, u32 table)
{
    struct assembler *a = &f->a;
    x64_mem(a, I_MOV_LOAD, true, SCRATCH, x64_at(INSTANCE, (s32)(f->m->layout.tables + table * 8)));
    x64_mem(a, I_CMP, true, RAX, x64_at(SCRATCH, offsetof(struct vm_table, length)));
    trap_if(f, CC_AE, TRAP_UNDEFINED_ELEMENT);
    x64_shift_imm(a, SH_SHL, true, RAX, 5);
    x64_mem(a, I_MOV_LOAD, true, R11, x64_at(SCRATCH, offsetof(struct vm_table, at)));
    x64_reg(a, I_ADD, true, R11, RAX);
    u32 id = f->m->types[type].id;
    x64_imm_mem(a, G1_CMP, false, x64_at(R11, offsetof(struct vm_func, type)), (s32)id);
    u8 *site = x64_jcc(a, CC_NE);
    struct cold *c = cold_begin(f, site, 64);
    if (!c)
        return;
    move_reg(f, T64, RAX, R11); // for the message
    x64_imm_mem(a, G1_CMP, false, x64_at(R11, offsetof(struct vm_func, type)), 0);
    u8 *null = x64_jcc8(a, CC_E);
    x64_trap(a, TRAP_INDIRECT_CALL);
    x64_bind8(a, null);
    x64_trap(a, TRAP_UNINITIALIZED_ELEMENT);
    cold_end(f, c);
    c->is_offset = true; // never goes back
}

// Of a type that has subtypes, the runtime finds it: the function's reference on the stack.
static void open_target(struct fast *f, u32 type, u32 table)
{
    call_runtime(f, (const void *)rt_table_function, (const u64[]){table, type}, 2, 1, true, true);
    x64_mem(&f->a, I_MOV_LOAD, true, RAX, x64_at(INSTANCE, offsetof(struct vmctx, scratch)));
    push_reg(f, T64, RAX);
}

// The function into r11, of the index in rax, or the reference there (NO_TABLE).
static void target(struct fast *f, u32 type, u32 table)
{
    if (table != NO_TABLE && !f->m->types[type].open) {
        indirect_target(f, type, table);
        return;
    }
    if (table == NO_TABLE) {
        x64_reg(&f->a, I_TEST, true, RAX, RAX);
        trap_if(f, CC_E, TRAP_NULL_FUNCTION);
    }
    move_reg(f, T64, R11, RAX);
}

// Of an element of a table, or, without one (NO_TABLE), of a reference.
void call_indirect(struct fast *f, u32 type, u32 table)
{
    const struct functype *t = &f->m->types[type];
    if (table != NO_TABLE && t->open)
        open_target(f, type, table);
    u32 index = pop_reg(f);
    struct abi_stack area = begin_call(f, t, index);
    target(f, type, table);
    // A function of another instance is called through the stub that switches, which wants it in
    // r11.
    x64_mem(&f->a, I_CMP, true, INSTANCE, x64_at(R11, offsetof(struct vm_func, vm)));
    u8 *same = x64_jcc8(&f->a, CC_E);
    call_entry(f, false, ENTRY_LINK);
    u32 other = here(f);
    f->rsp_adjust -= area.args; // popped where the stub returns to
    locate_note(f, f->op);
    f->rsp_adjust += area.args;
    u8 *done = x64_jmp8(&f->a);
    x64_bind8(&f->a, same);
    locate_note(f, f->op);
    x64_call_mem(&f->a, x64_at(R11, offsetof(struct vm_func, code)));
    x64_bind8(&f->a, done);
    end_call(f, t, area, other);
}

// --- Tail calls. The callee's stack arguments take the place of the function's own, with the
// return address below them, wherever that comes to lie. So they wait below the frame until
// everything in it has been read, and the way out, which is known when the frame is (call_leave),
// moves them. What lies below the frame is twice as large as they are beyond the own ones, so that
// the return address's new place is above them.

static u32 tail_staged(const struct fast *f, u32 args)
{
    u32 own = abi_stack_of(f->body->type).args;
    return args + (args > own ? args - own : 0);
}

static void tail_jump(struct fast *f, const struct functype *t, u32 func)
{
    u32 args = abi_stack_of(t).args;
    u32 site = (u32)(x64_jmp(&f->a) - f->start);
    struct tail tail = {site, wasm_offset(f), func, args, tail_staged(f, args)};
    if (!vec_push(&f->tails, tail))
        f->oom = true;
    f->rsp_adjust = 0;
    f->reachable = false;
}

static void tail_arguments(struct fast *f, const struct functype *t, u32 index)
{
    if (has_lanes(f)) // to whose registers arguments may go
        slots_flush(f);
    stack_pointer(f, -(s32)tail_staged(f, abi_stack_of(t).args));
    arguments(f, t, index);
}

void tail_call(struct fast *f, u32 func)
{
    const struct functype *t = module_func_type(f->m, func);
    if (f->polling)
        flow_poll(f);
    tail_arguments(f, t, NO_REG);
    tail_jump(f, t, func);
}

void tail_call_indirect(struct fast *f, u32 type, u32 table)
{
    const struct functype *t = &f->m->types[type];
    if (f->polling)
        flow_poll(f);
    if (table != NO_TABLE && t->open)
        open_target(f, type, table);
    tail_arguments(f, t, pop_reg(f));
    target(f, type, table);
    tail_jump(f, t, UINT32_MAX);
}

static void tail_note(struct fast *f, const struct tail *t, s32 adjust, s32 moved)
{
    struct where w = {here(f), t->wasm, (u32)adjust, moved};
    if (f->locates && !vec_push(&f->wheres, w))
        f->oom = true;
}

// The frame is gone, as in the epilogue.
static void tail_leave(struct fast *f, const struct tail *t, u32 frame)
{
    s32 adjust = -(s32)frame;
    if (frame)
        x64_imm(&f->a, G1_ADD, true, RSP, (s32)frame);
    for (u32 m = f->saved; m; adjust -= 8) {
        u32 r = 31 - (u32)__builtin_clz(m);
        tail_note(f, t, adjust, 0);
        x64_pop(&f->a, r);
        m &= ~BIT(r);
    }
    tail_note(f, t, adjust, 0);
}

// The same where there are stack arguments. The return address goes first, then they do, from the
// last one on, for where they go is above where they are.
static void tail_move(struct fast *f, const struct tail *t, u32 frame)
{
    struct assembler *a = &f->a;
    s32 size = (s32)frame + __builtin_popcount(f->saved) * 8;
    s32 top = (s32)t->staged + size, saved = top;
    s32 moved = (s32)abi_stack_of(f->body->type).args - (s32)t->args;
    x64_mem(a, I_MOV_LOAD, true, R10, x64_at(RSP, top));
    for (u32 m = f->saved; m; m &= m - 1)
        x64_mem(a, I_MOV_LOAD, true, (u32)__builtin_ctz(m), x64_at(RSP, saved -= 8));
    x64_mem(a, I_MOV_STORE, true, R10, x64_at(RSP, top + moved));
    tail_note(f, t, (s32)t->staged + moved, moved);
    if (t->args) {
        x64_mov_imm(a, RAX, t->args);
        const u8 *loop = a->p;
        x64_mem(a, I_MOV_LOAD, true, R10, (struct x64_operand){RSP, RAX, 0, -8});
        x64_mem(a, I_MOV_STORE, true, R10, (struct x64_operand){RSP, RAX, 0, top + moved});
        x64_imm(a, G1_SUB, false, RAX, 8);
        x64_jcc_back(a, CC_NE, loop);
    }
    x64_mem(a, I_LEA, true, RSP, x64_at(RSP, top + moved));
    tail_note(f, t, moved - size - moved, moved);
}

static void read_entry(struct fast *f, u32 insn, u32 r, u32 entry)
{
    struct call_site c = {(u32)(x64_rip(&f->a, insn, true, r) - f->start), entry, SITE_READ};
    if (!vec_push(&f->calls, c))
        f->oom = true;
}

// To a function of the module's own: straight there if it has been compiled when this is put in its
// place; else by what the table says, with r11 as where, should nobody have called it yet.
static void tail_own(struct fast *f, u32 entry)
{
    struct call_site start = {here(f), entry, SITE_TAIL};
    read_entry(f, I_MOV_LOAD, R10, entry);
    read_entry(f, I_LEA, R11, entry);
    read_entry(f, I_CMP, R10, ENTRY_FIRST);
    u8 *known = x64_jcc8(&f->a, CC_NE);
    call_entry(f, true, ENTRY_FIRST_TAIL);
    x64_bind8(&f->a, known);
    x64_jmp_reg(&f->a, R10);
    if (!vec_push(&f->calls, start)) // behind the others: it overwrites the first of them
        f->oom = true;
}

static void place_tail(struct fast *f, const struct tail *t, u32 frame)
{
    tail_note(f, t, (s32)t->staged, 0);
    if (t->args || abi_stack_of(f->body->type).args)
        tail_move(f, t, frame);
    else
        tail_leave(f, t, frame);
    if (t->func != UINT32_MAX && t->func >= f->m->nimported_funcs) {
        tail_own(f, ENTRY_FUNCS + t->func - f->m->nimported_funcs);
        return;
    }
    if (t->func != UINT32_MAX) {
        s32 cell = (s32)(f->m->layout.imports + t->func * sizeof(struct vm_func));
        x64_mem(&f->a, I_LEA, true, R11, x64_at(INSTANCE, cell));
        call_entry(f, true, ENTRY_TAIL);
        return;
    }
    x64_mem(&f->a, I_CMP, true, INSTANCE, x64_at(R11, offsetof(struct vm_func, vm)));
    u8 *other = x64_jcc8(&f->a, CC_NE);
    x64_mem(&f->a, 0xff << 16, false, 4, x64_at(R11, offsetof(struct vm_func, code)));
    x64_bind8(&f->a, other);
    call_entry(f, true, ENTRY_TAIL);
}

// The one that ends the body needs no jump to where it is placed.
static void place_last_tail(struct fast *f, u32 frame)
{
    if (f->returns || !f->tails.count || !fast_room(f, 256))
        return;
    const struct tail *last = &f->tails.at[f->tails.count - 1];
    if (last->site + 4 != here(f))
        return;
    f->a.p = f->start + last->site - 1;
    place_tail(f, last, frame);
    f->tails.count--;
}

static void place_tails(struct fast *f, u32 frame)
{
    f->tails_start = here(f);
    for (u32 i = 0; i < f->tails.count && fast_room(f, 256); i++) {
        x64_patch(f->start + f->tails.at[i].site, f->a.p);
        place_tail(f, &f->tails.at[i], frame);
    }
}

static void raise_if_trap(struct fast *f)
{
    x64_reg(&f->a, I_TEST, false, RAX, RAX);
    u8 *none = x64_jcc8(&f->a, CC_E);
    call_entry(f, false, ENTRY_TRAP);
    x64_bind8(&f->a, none);
}

void call_runtime(struct fast *f, const void *function, const u64 *constants, u32 nconstants,
                  u32 nslots, bool out, bool checked)
{
    save_live(f, nslots);
    struct moves v;
    v.pending = 0;
    memset(v.readers, 0, sizeof v.readers);
    u32 first = f->sp - nslots, next = 1 + nconstants, later = 0;
    for (u32 i = 0; i < nslots; i++) {
        const struct slot *s = &f->slots[first + i];
        u32 r = slot_reg(f, s);
        if (ty_fp(s->type)) {
            if (r == NO_REG)
                slot_to_reg(f, first + i, r = SCRATCH_XMM);
            x64_mem(&f->a, I_MOV_LOAD, true, SCRATCH,
                    x64_at(INSTANCE, offsetof(struct vmctx, heap)));
            store_mem(f, s->type, r, x64_at(SCRATCH, offsetof(struct vm_heap, operand)));
        } else if (r != NO_REG)
            moves_add(&v, argument_gpr[next + i], r, s->type);
        else
            later |= BIT(i); // from memory, or a constant: when the moves are done
    }
    moves_emit(f, &v);
    for (; later; later &= later - 1) {
        u32 i = (u32)__builtin_ctz(later);
        slot_to_reg(f, first + i, argument_gpr[next + i]);
    }
    for (u32 i = 0; i < nconstants; i++)
        x64_mov_imm(&f->a, argument_gpr[1 + i], constants[i]);
    if (out)
        x64_mem(&f->a, I_LEA, true, argument_gpr[next + nslots],
                x64_at(INSTANCE, offsetof(struct vmctx, scratch)));
    move_reg(f, T64, RDI, INSTANCE);
    x64_mov_imm(&f->a, R11, (u64)function);
    call_entry(f, false, ENTRY_HELPER);
    drop_args(f, nslots);
    clobber(f);
    if (checked)
        raise_if_trap(f);
}

void call_clobber(struct fast *f)
{
    save_live(f, 0);
    clobber(f);
}

struct cold *call_runtime_cold(struct fast *f, u8 *site, const void *function, const u64 *constants,
                               u32 nconstants)
{
    struct cold *c = cold_begin(f, site, 128);
    if (!c)
        return NULL;
    for (u32 i = 0; i < nconstants; i++)
        x64_mov_imm(&f->a, argument_gpr[1 + i], constants[i]);
    move_reg(f, T64, RDI, INSTANCE);
    x64_mov_imm(&f->a, R11, (u64)function);
    call_entry(f, false, ENTRY_HELPER);
    cold_end(f, c);
    c->is_offset = true;
    return c;
}

// --- The ends of a function
static struct x64_operand incoming(u32 bytes)
{
    return x64_at(RSP, (s32)(INCOMING + bytes));
}

static void incoming_note(struct fast *f)
{
    u32 at = f->cold_return ? (u32)(f->a.p - 4 - f->cold.at) | IN_COLD : here(f) - 4;
    if (!vec_push(&f->incoming, at))
        f->oom = true;
}

static void load_incoming(struct fast *f, enum ty t, u32 r, u32 cell)
{
    load_mem(f, t, r, incoming(cell * 8));
    incoming_note(f);
}

void call_store_result(struct fast *f, enum ty t, u32 r, u32 cell)
{
    struct x64_operand m = incoming(abi_stack_of(f->body->type).args + cell * 8);
    store_mem(f, ty_fp(t) ? t : T64, r, m);
    incoming_note(f);
}

// Parameters that came in registers, to the registers that the function pins them in.
static void pin_params(struct fast *f)
{
    const struct region *r = &f->regions.at[0];
    struct moves v;
    v.pending = 0;
    memset(v.readers, 0, sizeof v.readers);
    u32 moved = 0, target[32];
    for (u32 m = f->cache; m; m &= m - 1) {
        u32 reg = (u32)__builtin_ctz(m), local = f->reg_local[reg], to = NO_REG;
        for (u32 p = r->pins; p; p &= p - 1)
            if (r->local[__builtin_ctz(p)] == local)
                to = (u32)__builtin_ctz(p);
        if (to == reg)
            continue;
        if (to != NO_REG) {
            moves_add(&v, to, reg, f->local_type[local]);
            moved |= BIT(reg);
            target[reg] = to;
        } else if (r->pins & BIT(reg)) {
            local_drop(f, reg); // its register is wanted for another
        }
    }
    moves_emit(f, &v);
    u32 locals[32];
    for (u32 m = moved; m; m &= m - 1) {
        u32 reg = (u32)__builtin_ctz(m);
        locals[reg] = f->reg_local[reg];
        cache_remove(f, reg);
    }
    for (u32 m = moved; m; m &= m - 1) {
        u32 reg = (u32)__builtin_ctz(m);
        cache_put(f, target[reg], locals[reg], true);
    }
}

static u32 pin_of(const struct fast *f, u32 local)
{
    const struct region *r = &f->regions.at[0];
    for (u32 p = r->pins; p; p &= p - 1)
        if (r->local[__builtin_ctz(p)] == local)
            return (u32)__builtin_ctz(p);
    return NO_REG;
}

static void stack_params(struct fast *f)
{
    const struct functype *t = f->body->type;
    struct abi_state abi = {0};
    for (u32 i = 0; i < t->nparams && fast_room(f, 64); i++) {
        struct abi_place p = abi_next(&abi, t->types[i]);
        enum ty ty = f->local_type[i];
        if (p.where != ABI_STACK)
            continue;
        u32 pin = pin_of(f, i);
        u32 r = pin != NO_REG ? pin : ty_fp(ty) ? SCRATCH_XMM : SCRATCH;
        load_incoming(f, ty, r, p.index);
        if (pin == NO_REG)
            store_frame(f, ty, i, r);
        else
            cache_put(f, pin, i, true);
    }
}

static void zero_locals(struct fast *f)
{
    bool scratch_zero = false;
    u32 nparams = f->body->type->nparams;
    for (u32 p = f->regions.at[0].pins & ~f->cache; p; p &= p - 1) {
        u32 r = (u32)__builtin_ctz(p), local = f->regions.at[0].local[r];
        if (local < f->body->nlocals && f->body->zero[local / 64] >> (local % 64) & 1)
            x64_reg(&f->a, r >= XMM0 ? I_XORPS : I_XOR, false, r, r);
        // Otherwise it is written before it is read: whatever is in the register may stay there.
        cache_put(f, r, local, true);
    }
    for (u32 w = nparams / 64; w < (f->body->nlocals + 63) / 64; w++) {
        for (u64 bits = f->body->zero[w]; bits && fast_room(f, 64); bits &= bits - 1) {
            u32 local = w * 64 + (u32)__builtin_ctzll(bits);
            if (local < nparams || f->local_reg[local] != NO_REG)
                continue;
            if (!scratch_zero)
                x64_reg(&f->a, I_XOR, false, SCRATCH, SCRATCH);
            scratch_zero = true;
            store_frame(f, T64, local, SCRATCH);
            if (f->local_type[local] == TV128)
                x64_frame(&f->a, I_MOV_STORE, true, SCRATCH, frame_at(f, local).disp + 8);
        }
    }
}

void call_enter(struct fast *f)
{
    const struct functype *t = f->body->type;
    struct abi_state abi = {0};
    for (u32 i = 0; i < t->nparams; i++) {
        struct abi_place p = abi_next(&abi, t->types[i]);
        if (p.where != ABI_STACK)
            cache_put(f, argument_reg(p), i, true);
    }
    pins_function(f);
    pin_params(f);
    stack_params(f);
    zero_locals(f);
}

static u8 *prologue(struct fast *f, u32 frame)
{
    struct assembler *a = &f->a;
    u8 *overflow = NULL;
    for (u32 m = f->saved; m; m &= m - 1)
        x64_push(a, (u32)__builtin_ctz(m));
    if (frame > FRAME_UNCHECKED) {
        x64_mem(a, I_MOV_LOAD, true, R10, x64_at(INSTANCE, offsetof(struct vmctx, thread)));
        x64_mem(a, I_LEA, true, RAX, x64_at(RSP, -(s32)frame));
        x64_mem(a, I_CMP, true, RAX, x64_at(R10, offsetof(struct vm_thread, stack_limit)));
        overflow = x64_jcc(a, CC_B);
    }
    if (frame)
        x64_imm(a, G1_SUB, true, RSP, (s32)frame);
    return overflow;
}

static void epilogue(struct fast *f, u32 frame)
{
    if (frame)
        x64_imm(&f->a, G1_ADD, true, RSP, (s32)frame);
    for (u32 m = f->saved; m;) {
        u32 r = 31 - (u32)__builtin_clz(m);
        x64_pop(&f->a, r);
        m &= ~BIT(r);
    }
    x64_ret(&f->a, abi_stack_of(f->body->type).args);
}

void call_leave(struct fast *f)
{
    u32 pushes = (u32)__builtin_popcount(f->saved) * 8;
    u32 frame = f->nhomes * 8;
    if (f->body->calls && (frame + pushes + 8) % 16)
        frame += 8;
    for (u32 i = 0; i < f->incoming.count; i++) {
        u32 at = f->incoming.at[i];
        u8 *disp = at & IN_COLD ? f->cold.at + (at & ~IN_COLD) : f->start + at;
        store_u32(disp, load_u32(disp) - INCOMING + frame + pushes + 8);
    }
    place_last_tail(f, frame);
    f->code.epilogue = here(f);
    epilogue(f, frame);
    bool guarded = f->guard.there && (frame || f->saved);
    const u8 *way_out = f->a.p;
    if (guarded)
        guard_leave(f);
    place_tails(f, frame);
    f->code.cold = here(f);
    cold_place(f);
    if (!fast_room(f, 64))
        return;
    u8 *overflow_code = f->a.p;
    if (frame > FRAME_UNCHECKED)
        x64_trap(&f->a, TRAP_STACK);
    u8 *end = f->a.p;

    // In front of the body, right-aligned.
    u8 *body = f->start + f->prologue;
    f->a.p = f->start;
    u8 *guard = guarded ? guard_place(f) : NULL;
    u32 guard_length = here(f);
    u8 *overflow = prologue(f, frame);
    u32 length = here(f);
    memmove(body - length, f->start, length);
    if (overflow)
        x64_patch(overflow + (body - length - f->start), overflow_code);
    if (guard)
        x64_patch(guard + (body - length - f->start), way_out);
    memset(f->start, 0xcc, f->prologue - length);
    f->a.p = end;

    f->code = (struct func_code){
        .start = 0,
        .entry = f->prologue - length,
        .pushes = f->prologue - length + guard_length,
        .body = f->prologue,
        .epilogue = f->code.epilogue,
        .cold = f->code.cold,
        .end = (u32)(end - f->start),
        .catches = f->throws.count ? f->code.catches : (u32)(end - f->start),
        .frame = frame + pushes,
    };
}

// --- Host functions

// One store or load of a cell of that wasm type, through r10 if it is memory to memory.
static void thunk_spill(struct assembler *a, struct abi_place p, u32 i, s32 stack_args)
{
    struct x64_operand cell = x64_at(RSP, (s32)i * 8);
    switch (p.where) {
    case ABI_GPR: x64_mem(a, I_MOV_STORE, true, argument_reg(p), cell); break;
    case ABI_XMM: x64_mem(a, I_MOVSD_STORE, false, argument_reg(p), cell); break;
    case ABI_STACK:
        x64_mem(a, I_MOV_LOAD, true, R10, x64_at(RSP, stack_args + (s32)p.index * 8));
        x64_mem(a, I_MOV_STORE, true, R10, cell);
        break;
    }
}

static void thunk_result(struct assembler *a, enum ty t)
{
    if (ty_fp(t))
        x64_mem(a, ty_wide(t) ? I_MOVSD_LOAD : I_MOVSS_LOAD, false, XMM0, x64_at(RSP, 0));
    else
        x64_mem(a, I_MOV_LOAD, ty_wide(t), RAX, x64_at(RSP, 0));
}

status fast_host_thunk(struct code_space *space, const struct functype *t, u32 *offset)
{
    u32 cells = t->nparams > t->nresults ? t->nparams : t->nresults;
    if (space->capacity - space->used < 256 + cells * 32)
        return ERR_NO_MEMORY;
    struct assembler asmb = {space->write + space->used}, *a = &asmb;
    *offset = space->used;
    s32 frame = (s32)ALIGN_UP(cells * 8, 16u) + 8;
    struct abi_stack area = abi_stack_of(t);
    x64_mem(a, I_MOV_LOAD, true, RAX, x64_at(INSTANCE, offsetof(struct vmctx, thread)));
    x64_mem(a, I_LEA, true, R10, x64_at(RSP, -frame));
    x64_mem(a, I_CMP, true, R10, x64_at(RAX, offsetof(struct vm_thread, host_limit)));
    u8 *enough = x64_jcc8(a, CC_AE);
    x64_imm(a, G1_SUB, true, R10, VM_READY_CELLS);
    x64_mov_imm(a, RAX, (u64)arch_stub_room);
    x64_call_reg(a, RAX);
    x64_mem(a, I_MOV_LOAD, true, RAX, x64_at(INSTANCE, offsetof(struct vmctx, thread)));
    x64_bind8(a, enough);
    x64_mem(a, I_MOV_STORE, true, RSP, x64_at(RAX, offsetof(struct vm_thread, last_sp)));
    x64_imm(a, G1_SUB, true, RSP, frame);
    struct abi_state abi = {0};
    for (u32 i = 0; i < t->nparams; i++)
        thunk_spill(a, abi_next(&abi, t->types[i]), i, frame + 8);
    x64_reg(a, I_MOV_LOAD, true, RDI, INSTANCE);
    x64_reg(a, I_MOV_LOAD, true, RSI, RSP);
    x64_call_mem(a, x64_at(R11, offsetof(struct vm_func, host)));
    if (t->nresults)
        thunk_result(a, ty_of(t->types[t->nparams]));
    for (u32 i = 1; i < t->nresults; i++) {
        bool wide = ty_wide(ty_of(t->types[t->nparams + i]));
        x64_mem(a, I_MOV_LOAD, wide, R10, x64_at(RSP, (s32)i * 8));
        x64_mem(a, I_MOV_STORE, true, R10, x64_at(RSP, frame + 8 + (s32)(area.args + (i - 1) * 8)));
    }
    x64_imm(a, G1_ADD, true, RSP, frame);
    x64_ret(a, area.args);
    space->used = (u32)(a->p - space->write);
    return OK;
}
