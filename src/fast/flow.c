// SPDX-License-Identifier: MIT
// Blocks and branches. What holds at a label, and what an edge to it takes, is in join.c; a
// conditional branch whose edge takes more than is harmless for the other path jumps to code out of
// line (cold.c).
#include "fast/emit.h"
#include "fast/join.h"

void discard(struct fast *f, u32 height)
{
    while (f->sp > height)
        pop(f);
    f->temp = 0; // below, everything has been flushed
}

void jump_to(struct fast *f, struct ctl *c)
{
    if (c->kind == CTL_LOOP)
        x64_jmp_back(&f->a, f->start + c->header);
    else
        chain_add(f, c, x64_jmp(&f->a));
}

// An edge to c out of line, from the present state, which stays as it is.
static void cold_edge(struct fast *f, struct ctl *c, u8 *site)
{
    struct regs saved;
    regs_save(f, &saved, ~0u);
    u32 id = label_id(f, c);
    struct cold *cold = cold_begin(f, site, EDGE_BYTES + (size_t)c->arity * EDGE_VALUE_BYTES);
    if (!cold)
        return;
    conform(f, c);
    cold->target = id;
    cold_end(f, cold);
    regs_restore(f, &saved, ~0u);
}

// Does an edge to c need more than can be done in line before a conditional jump?
static bool needs_cold(struct fast *f, const struct ctl *c)
{
    if (c->kind == CTL_FUNC)
        return c->arity > 1;
    if (c->arity && !c->result_reg)
        return true;
    if (c->region == f->region)
        return false;
    const struct region *r = region_of(f, c->region);
    u32 ok = in_place(f, r);
    return ok != r->pins || (f->dirty & region_of(f, f->region)->pins & ~ok);
}

// The top of the stack into the label's result register, staying on the stack.
static void result_settle(struct fast *f, u32 r)
{
    const struct slot *s = &f->slots[f->sp - 1];
    if (s->kind == SLOT_REG && s->reg == r)
        return;
    enum ty t = s->type;
    reg_take(f, r);
    slot_to_reg(f, f->sp - 1, r);
    pop(f);
    push_reg(f, t, r);
}

// In line, before a conditional jump; harmless when it is not taken.
static void settle(struct fast *f, const struct ctl *c)
{
    if (c->kind != CTL_FUNC)
        dirty_store(f, region_of(f, f->region)->pins);
    if (c->arity == 1 && (c->result_reg || c->kind == CTL_FUNC))
        result_settle(f, ty_fp(f->slots[f->sp - 1].type) ? XMM0 : RAX);
}

static void jcc_to(struct fast *f, struct ctl *c, u32 cc)
{
    if (c->kind == CTL_LOOP)
        x64_jcc_back(&f->a, (enum x64_cc)cc, f->start + c->header);
    else
        chain_add(f, c, x64_jcc(&f->a, (enum x64_cc)cc));
}

// The jump of a conditional branch, which may take two: FNE is "not equal or unordered"; FEQ jumps
// over the jump.
static void branch_if(struct fast *f, struct ctl *c, u32 cc)
{
    bool cold = needs_cold(f, c);
    u8 *skip = NULL;
    if (cc == CC_FEQ) {
        skip = x64_jcc8(&f->a, CC_P);
        cc = CC_E;
    } else if (cc == CC_FNE) {
        if (cold)
            cold_edge(f, c, x64_jcc(&f->a, CC_P));
        else
            jcc_to(f, c, CC_P);
        cc = CC_NE;
    }
    if (cold)
        cold_edge(f, c, x64_jcc(&f->a, (enum x64_cc)cc));
    else
        jcc_to(f, c, cc);
    if (skip)
        x64_bind8(&f->a, skip);
    if (!cold)
        label_merge(f, c);
}

u32 pop_condition(struct fast *f)
{
    struct slot *s = pop_slot(f);
    if (s->kind == SLOT_FLAGS)
        return s->reg;
    return nonzero(f, value_reg(f, s), false);
}

void trap_if(struct fast *f, u32 cc, enum trap trap)
{
    u8 *site = x64_jcc(&f->a, (enum x64_cc)cc);
    struct trap_site t = {(u32)(site - f->start), wasm_offset(f), f->rsp_adjust, (u8)trap};
    if (!vec_push(&f->traps, t))
        f->oom = true;
}

// Nothing is in the flags there, and the code out of line keeps all registers.
void flow_poll(struct fast *f)
{
    x64_imm_mem(&f->a, G1_CMP, false, x64_at(INSTANCE, offsetof(struct vmctx, poll)), 0);
    u32 site = (u32)(x64_jcc(&f->a, CC_NE) - f->start);
    if (!vec_push(&f->polls, site))
        f->oom = true;
}

// --- Blocks
static void block_type(struct fast *f, struct ctl *c)
{
    const u8 *p = f->pc;
    if ((*p & 0xc0) == 0x40) { // empty or a value type
        c->nparams = 0;
        c->nresults = *p != 0x40;
        if (c->nresults)
            c->results = module_single(f->m, module_valtype(f->m, &f->pc));
        else
            f->pc++;
        return;
    }
    const struct functype *t = &f->m->types[leb_s32(&f->pc)];
    c->nparams = t->nparams;
    c->nresults = t->nresults;
    c->results = t->types + t->nparams;
}

struct ctl *ctl_push(struct fast *f, enum ctl_kind kind)
{
    if (!vec_reserve(&f->ctls, 1)) {
        f->oom = true;
        return NULL;
    }
    struct ctl *c = &f->ctls.at[f->ctls.count++];
    *c = (struct ctl){.kind = (u8)kind, .region = f->region, .found = f->found};
    block_type(f, c);
    c->height = f->sp - c->nparams;
    c->arity = kind == CTL_LOOP ? c->nparams : c->nresults;
    // An if with parameters and no else hands them on as results: then they are where parameters
    // are.
    c->result_reg = kind != CTL_LOOP && c->nresults == 1 && !(kind == CTL_IF && c->nparams);
    c->result_type = c->nresults ? (u8)ty_of(c->results[0]) : T32;
    return c;
}

// Changes with all that refers to a place in the code, but for loads.
static u32 marks(const struct fast *f)
{
    return f->traps.count + f->calls.count + f->colds.count + f->polls.count +
           f->constant_sites.count + f->tables.count + f->incoming.count;
}

static void loop_begin(struct fast *f, struct ctl *c)
{
    const struct loop_note *note = &f->body->loops[f->loop++];
    u32 written = region_of(f, f->region)->pins; // without a look at the uses: all of them may be
    c->outer_region = f->region;
    if (++f->loop_depth <= PIN_DEPTH && !f->no_pins) {
        if (!vec_reserve(&f->regions, 1)) {
            f->oom = true;
            return;
        }
        pins_loop(f, note, &f->regions.at[f->region], &f->regions.at[f->regions.count], &written);
        f->region = f->regions.count++;
    } else if (f->far) {
        sums_loop(f, NULL);
    }
    c->region = f->region;
    region_enter(f, f->region);
    // Back edges find everything else in its home, and what the loop writes may be dirty.
    for (u32 m = f->cache & ~region_of(f, f->region)->pins; m; m &= m - 1)
        local_drop(f, (u32)__builtin_ctz(m));
    f->dirty |= written;
    c->header = here(f);
    f->zf_at = NULL;
    f->line.ctl = f->ctls.count;
    f->line.pc = f->pc;
    f->line.marks = marks(f);
    for (u32 i = c->height; i < f->sp; i++)
        f->slots[i].bits = 0; // of the parameter that it is entered with, and not of others
    if (f->polling) {         // in traces it is the loop's first instruction, on all engines
        f->op = f->pc;
        locate_note(f, f->op);
        flow_poll(f);
    }
}

// Parameters of a block are in the frame, constants too: that is where an else finds them, and what
// back edges replace.
void params_to_frame(struct fast *f, const struct ctl *c)
{
    for (u32 i = c->height; i < f->sp && fast_room(f, 64); i++) {
        if (f->slots[i].kind == SLOT_CONST)
            slot_spill(f, i);
    }
}

void flow_block(struct fast *f, enum ctl_kind kind)
{
    settle_lanes(f);
    struct ctl *c = ctl_push(f, kind);
    if (!c)
        return;
    slots_flush(f);
    params_to_frame(f, c);
    if (kind == CTL_LOOP)
        loop_begin(f, c);
}

void flow_if(struct fast *f)
{
    settle_lanes(f);
    u32 cc = pop_condition(f);
    struct ctl *c = ctl_push(f, CTL_IF);
    if (!c)
        return;
    slots_flush(f);
    params_to_frame(f, c);
    dirty_store(f, region_of(f, f->region)->pins);
    u8 *second = NULL;
    if (cc == CC_FEQ) { // false when unequal or unordered
        chain_add(f, c, x64_jcc(&f->a, CC_P));
        cc = CC_E;
    } else if (cc == CC_FNE) {
        second = x64_jcc8(&f->a, CC_P);
        cc = CC_NE;
    }
    chain_add(f, c, x64_jcc(&f->a, (enum x64_cc)(cc ^ 1)));
    c->else_site = c->chain;
    c->chain = 0;
    if (second)
        x64_bind8(&f->a, second);
    c->else_state = state_new(f);
    if (c->else_state)
        regs_save(f, &f->states.at[c->else_state - 1], unpinned(f));
}

static void else_restore(struct fast *f, struct ctl *c)
{
    if (c->else_state)
        regs_restore(f, &f->states.at[c->else_state - 1], unpinned(f));
    state_free(f, c->else_state);
    c->else_state = 0;
}

// Binds the jumps of a false condition to here.
static void else_bind(struct fast *f, struct ctl *c)
{
    for (u32 at = c->else_site; at;) {
        u8 *rel32 = f->start + at - 1;
        at = load_u32(rel32);
        x64_patch(rel32, f->a.p);
    }
}

// The operands as they were when the block was entered: parameters in their frame cells.
void params_restore(struct fast *f, const struct ctl *c)
{
    const valtype *params = c->results - c->nparams;
    f->sp = c->height;
    for (u32 i = 0; i < c->nparams; i++)
        push(f, SLOT_MEM, ty_of(params[i]));
    f->flushed = f->sp;
}

void flow_else(struct fast *f)
{
    settle_lanes(f);
    struct ctl *c = ctl_at(f, 0);
    if (f->reachable) {
        conform(f, c);
        jump_to(f, c);
    }
    discard(f, c->height);
    else_bind(f, c);
    else_restore(f, c);
    params_restore(f, c);
    c->kind = CTL_ELSE;
    f->reachable = true;
    joined(f, c->found);
}

// What a label that has been branched to leaves on the stack.
static void results_push(struct fast *f, const struct ctl *c)
{
    if (c->result_reg) {
        push_reg(f, c->result_type, result_register(c));
        return;
    }
    for (u32 i = 0; i < c->nresults; i++)
        push(f, SLOT_MEM, ty_of(c->results[i]));
}

bool flow_end(struct fast *f)
{
    settle_lanes(f);
    struct ctl *c = ctl_at(f, 0);
    if (f->guard.block && f->guard.block == f->ctls.count - 1)
        guard_end(f);
    if (c->kind == CTL_LOOP) // nothing goes there but what comes along
        f->zf_at = NULL;
    else
        joined(f, c->found);
    if (c->kind == CTL_FUNC) {
        if (f->reachable)
            conform(f, c);
        f->returns = f->reachable || c->chain || c->label;
        chain_bind(f, c);
        return false;
    }
    switch ((enum ctl_kind)c->kind) {
    case CTL_LOOP:
        f->loop_depth--;
        f->region = c->outer_region;
        if (f->reachable)
            region_enter(f, f->region);
        else
            region_assume(f, region_of(f, f->region));
        if (c->region != c->outer_region)
            f->regions.count = c->region;
        break;
    case CTL_IF: // the false edge comes straight here
        if (f->reachable)
            conform(f, c);
        discard(f, c->height);
        else_restore(f, c);
        label_merge(f, c);
        else_bind(f, c);
        f->reachable = false; // only through the label
        break;
    case CTL_TRY: f->trying = f->body->tries[c->note].around; // fall through
    case CTL_CATCH:
    case CTL_BLOCK:
    case CTL_ELSE:
        if (f->reachable && c->state)
            conform(f, c);
        break;
    case CTL_FUNC: break;
    }
    if (c->kind != CTL_LOOP && c->state) {
        discard(f, c->height);
        chain_bind(f, c);
        regs_restore(f, &f->states.at[c->state - 1], unpinned(f));
        state_free(f, c->state);
        results_push(f, c);
        f->reachable = true;
    } else if (!f->reachable) {
        discard(f, c->height);
    }
    f->ctls.count--;
    return true;
}

// --- The loop of an interpreter goes on with the next operation at many places. Where the code
// from its header to the jump through a table is a few instructions in a line, these are put there
// instead of a jump to the header: that is one jump less, and the processor predicts each of them
// from what its own operation was followed by.
enum { LINE_BODY = 2048, LINE_CODE = 72 };

static bool in_line(u32 op)
{
    return op == OP_block || (op >= OP_local_get && op <= OP_global_set) ||
           (op >= OP_i32_load && op <= OP_i64_load32_u) || op == OP_i32_const ||
           op == OP_i64_const || (op >= OP_i32_add && op <= OP_i32_mul) ||
           (op >= OP_i32_and && op <= OP_i32_rotr) || (op >= OP_i64_add && op <= OP_i64_mul) ||
           (op >= OP_i64_and && op <= OP_i64_rotr) || op == OP_i32_wrap_i64 ||
           op == OP_i64_extend_i32_s || op == OP_i64_extend_i32_u;
}

// Of the br_table that begins now.
static struct ctl *line_start(struct fast *f)
{
    const u8 *p = f->line.pc;
    if (!f->line.ctl || f->line.ctl > f->ctls.count || f->op - p > LINE_BODY ||
        f->line.marks != marks(f))
        return NULL;
    while (p < f->op) {
        u32 op = *p++;
        if (!in_line(op) || (op == OP_block && *p != 0x40))
            return NULL;
        ops_skip(&p, op);
    }
    struct ctl *c = &f->ctls.at[f->line.ctl - 1];
    return c->kind == CTL_LOOP && !c->arity && c->region == f->region ? c : NULL;
}

// In place of a jump to the header.
static void dispatch(struct fast *f, const struct ctl *c)
{
    const struct jump_table *t = &f->tables.at[c->dispatch - 1];
    struct jump_copy copy = {c->dispatch - 1, here(f) - t->start};
    if (!vec_push(&f->copies, copy))
        f->oom = true;
    for (u32 i = t->where_start; i < t->where_end; i++) {
        struct where w = f->wheres.at[i];
        w.code += copy.further;
        if (!vec_push(&f->wheres, w))
            f->oom = true;
    }
    memcpy(f->a.p, f->start + t->start, t->end - t->start);
    f->a.p += t->end - t->start;
}

// --- Branches
void flow_br(struct fast *f, u32 depth)
{
    settle_lanes(f);
    struct ctl *c = ctl_at(f, depth);
    conform(f, c);
    if (c->dispatch)
        dispatch(f, c);
    else
        jump_to(f, c);
    if (c->region != f->region)
        region_assume(f, region_of(f, f->region));
    f->reachable = false;
}

// A branch out of a loop that goes back next: back if the condition does not hold, so that a round
// takes one jump. False: it is not that.
static bool branch_back_unless(struct fast *f, u32 depth, u32 cc)
{
    const u8 *p = f->pc;
    if (*p++ != OP_br || cc >= CC_FEQ)
        return false;
    struct ctl *loop = ctl_at(f, leb_u32(&p));
    if (loop->kind != CTL_LOOP || loop->arity || loop->region != f->region)
        return false;
    dirty_store(f, region_of(f, f->region)->pins);
    jcc_to(f, loop, cc ^ 1);
    f->pc = p;
    flow_br(f, depth);
    return true;
}

bool flow_br_if(struct fast *f, u32 depth)
{
    settle_lanes(f);
    struct ctl *c = ctl_at(f, depth);
    u32 cc = pop_condition(f);
    if (branch_back_unless(f, depth, cc))
        return false;
    settle(f, c);
    branch_if(f, c, cc);
    return true;
}

// Branches on references find the reference in its frame cell, so that the edge may use whatever
// register it likes.
u32 ref_to_frame(struct fast *f)
{
    u32 r = pop_reg(f);
    push(f, SLOT_MEM, T64);
    store_frame(f, T64, stack_cell(f, f->sp - 1), r);
    return r;
}

void flow_br_flags(struct fast *f, u32 depth, u32 cc)
{
    settle_lanes(f);
    struct ctl *c = ctl_at(f, depth);
    settle(f, c);
    branch_if(f, c, cc);
}

static void ref_test(struct fast *f, u32 index)
{
    x64_imm_mem(&f->a, G1_CMP, true, frame_at(f, stack_cell(f, index)), 0);
}

void flow_br_on_null(struct fast *f, u32 depth)
{
    settle_lanes(f);
    struct ctl *c = ctl_at(f, depth);
    ref_to_frame(f);
    pop(f);
    settle(f, c);
    ref_test(f, f->sp);
    branch_if(f, c, CC_E);
    push(f, SLOT_MEM, T64);
}

void flow_br_on_non_null(struct fast *f, u32 depth)
{
    settle_lanes(f);
    struct ctl *c = ctl_at(f, depth);
    ref_to_frame(f);
    settle(f, c);
    ref_test(f, f->sp - 1);
    branch_if(f, c, CC_NE);
    pop(f);
}

// The edge of one label of a br_table: an entry for the table.
static u32 table_edge(struct fast *f, struct ctl *c)
{
    if (!needs_cold(f, c)) {
        label_merge(f, c);
        return label_id(f, c);
    }
    u32 index = f->colds.count;
    cold_edge(f, c, NULL);
    return index | JUMP_COLD;
}

// The jump of an index beyond the table. It is better predicted than the entry that it would have.
static void table_beyond(struct fast *f, struct ctl *c, struct jump_table *t)
{
    if (c->jump & JUMP_COLD) {
        f->colds.at[c->jump & ~JUMP_COLD].site = (u32)(x64_jcc(&f->a, CC_AE) - f->start);
        return;
    }
    u8 *rel32 = x64_jcc(&f->a, CC_AE);
    t->jcc = (u32)(rel32 - f->start);
    t->beyond = label_id(f, c);
    if (c->kind == CTL_LOOP)
        x64_patch(rel32, f->start + c->header);
    else
        chain_add(f, c, rel32);
}

void flow_br_table(struct fast *f)
{
    settle_lanes(f);
    u32 n = leb_u32(&f->pc);
    if (!vec_reserve(&f->jumps, n + 1) || !vec_reserve(&f->tables, 1)) {
        f->oom = true;
        return;
    }
    struct ctl *line = line_start(f);
    u32 index = pop_reg(f);
    dirty_store(f, region_of(f, f->region)->pins);
    const u8 *last = f->pc;
    for (u32 i = 0; i < n; i++)
        leb_u32(&last); // of 65,520 at most
    bool settles = ctl_at(f, leb_u32(&last))->arity == 1;
    bool fp = settles && ty_fp(f->slots[f->sp - 1].type);
    if (settles && !fp && index == RAX) {
        move_reg(f, T32, SCRATCH, RAX);
        index = SCRATCH;
    }
    if (settles)
        result_settle(f, fp ? XMM0 : RAX);
    u32 base = reg_alloc(f, GPR_MASK);

    struct jump_table *t = &f->tables.at[f->tables.count++];
    *t = (struct jump_table){.first = f->jumps.count, .count = n};
    struct ctl *beyond = NULL;
    f->stamp++;
    for (u32 i = 0; i <= n; i++) {
        struct ctl *c = ctl_at(f, leb_u32(&f->pc));
        if (c->stamp != f->stamp) {
            c->stamp = f->stamp;
            c->jump = table_edge(f, c);
        }
        if (i < n)
            f->jumps.at[f->jumps.count++] = c->jump;
        else
            beyond = c;
    }
    f->reachable = false;
    if (f->stopped)
        return; // an entry may not be there
    x64_imm(&f->a, G1_CMP, false, index, (s32)n);
    table_beyond(f, beyond, t);
    t->site = (u32)(x64_rip(&f->a, I_LEA, true, base) - f->start); // the table's address
    x64_mem(&f->a, I_MOVSXD, true, SCRATCH, (struct x64_operand){(u8)base, (u8)index, 2, 0});
    x64_reg(&f->a, I_ADD, true, SCRATCH, base);
    x64_jmp_reg(&f->a, SCRATCH);
    if (line && t->jcc && here(f) - line->header <= LINE_CODE) {
        t->start = line->header;
        t->end = here(f);
        t->where_start = t->where_end = f->wheres.count;
        while (t->where_start && f->wheres.at[t->where_start - 1].code >= t->start)
            t->where_start--;
        line->dispatch = f->tables.count;
    }
}

// Does it end what is skipped, at the same level?
static bool closes(u32 op)
{
    return op == OP_end || op == OP_else || op == OP_catch || op == OP_catch_all ||
           op == OP_delegate;
}

void flow_skip(struct fast *f)
{
    u32 nesting = 0;
    for (;;) {
        const u8 *at = f->pc;
        u32 op = *f->pc++;
        fast_look_at(f, at);
        if (!nesting && closes(op)) {
            f->pc = at;
            return;
        }
        if (op >= 0xfb)
            op = op_prefixed(op, leb_u32(&f->pc));
        bool tries = op == OP_try || op == OP_try_table;
        if (op == OP_block || op == OP_loop || op == OP_if || tries)
            nesting++;
        nesting -= op == OP_end || op == OP_delegate;
        f->loop += op == OP_loop;
        f->try += tries;
        f->use += op >= OP_local_get && op <= OP_local_tee;
        ops_skip(&f->pc, op);
    }
}
