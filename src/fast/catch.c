// SPDX-License-Identifier: MIT
// Exceptions: what throws, what catches, and the tables about it (wasm/engine.h, rt/unwind.c).
//
// A block that catches is a block: nothing happens when it is entered or left, and calls in it are
// as they would be elsewhere. When one of them comes back with an exception, the registers are as
// behind the call, and the handler wants all locals in the frame: so for each call for which there
// are dirty ones, out of line, there is a pad that stores them. A handler takes what the exception
// carries into the frame cells of its slots, loads the pins of its region, and goes on as a label
// that has been branched to.
#include "fast/emit.h"
#include "fast/join.h"
#include "wasm/runtime.h"

enum { PAD_BYTES = 512, THROW_BYTES = 64 };

// --- What may throw
void throws_note(struct fast *f, u32 other)
{
    if (likely(!f->trying))
        return;
    u32 dirty = f->dirty, adjust = f->rsp_adjust, pad = 0;
    if (dirty) {
        f->rsp_adjust = 0; // the unwinder has seen to that
        struct cold *c = cold_begin(f, NULL, PAD_BYTES);
        if (!c)
            return;
        dirty_store(f, 0);
        x64_jmp_reg(&f->a, RCX);
        cold_end(f, c);
        c->is_offset = true; // never goes back
        pad = f->colds.count;
        f->dirty = dirty;
        f->rsp_adjust = adjust;
    }
    struct code_throws site = {other, pad, f->trying};
    if (other && !vec_push(&f->throws, site))
        f->oom = true;
    site.returns = here(f);
    if (!vec_push(&f->throws, site))
        f->oom = true;
}

static void call_throw(struct fast *f)
{
    call_runtime(f, arch_throw, NULL, 0, 0, false, false);
    throws_note(f, 0);
    f->reachable = false;
}

void flow_throw(struct fast *f, u32 tag)
{
    const struct functype *t = module_tag_type(f->m, tag);
    u64 number = tag;
    call_runtime(f, (const void *)rt_exception_new, &number, 1, 0, false, false);
    f->busy |= BIT(RAX);
    s32 at = offsetof(struct vm_exception, cells);
    for (u32 i = 0; i < t->nparams && fast_room(f, THROW_BYTES); i++) {
        u32 index = f->sp - t->nparams + i;
        enum ty ty = f->slots[index].type;
        u32 r = ty_fp(ty) ? SCRATCH_XMM : SCRATCH;
        slot_to_reg(f, index, r);
        store_mem(f, ty, r, x64_at(RAX, at));
        at += ty == TV128 ? 16 : 8;
    }
    call_throw(f);
}

void flow_throw_ref(struct fast *f)
{
    call_runtime(f, (const void *)rt_exception_take, NULL, 0, 1, false, false);
    call_throw(f);
}

void flow_rethrow(struct fast *f, u32 depth)
{
    const struct ctl *c = ctl_at(f, depth);
    u32 r = reg_alloc(f, GPR_MASK);
    load_frame(f, T64, r, c->hidden);
    push_reg(f, T64, r);
    flow_throw_ref(f);
}

// --- What catches
static const struct handler_note *handler_of(const struct fast *f, u32 number)
{
    return &f->body->handlers[number];
}

// The start of a handler: the values of the exception are the topmost slots, and what the present
// region pins is in its registers.
static void receive(struct fast *f, const struct handler_note *h)
{
    f->dirty = 0;
    for (u32 m = f->cache; m; m &= m - 1)
        cache_remove(f, (u32)__builtin_ctz(m));
    const struct functype *t = h->pays ? module_tag_type(f->m, h->tag) : NULL;
    s32 at = 0;
    for (u32 i = 0; t && i < t->nparams && fast_room(f, EDGE_VALUE_BYTES); i++) {
        enum ty ty = ty_of(t->types[i]);
        u32 r = ty_fp(ty) ? SCRATCH_XMM : SCRATCH;
        load_mem(f, ty, r, x64_at(RDX, at));
        push(f, SLOT_MEM, ty);
        store_frame(f, ty, stack_cell(f, f->sp - 1), r);
        at += ty == TV128 ? 16 : 8;
    }
    if (h->table && h->keeps) {
        push(f, SLOT_MEM, T64);
        store_frame(f, T64, stack_cell(f, f->sp - 1), RAX);
    }
    region_enter(f, f->region);
}

static void try_begin(struct fast *f, struct ctl *c)
{
    slots_flush(f);
    params_to_frame(f, c);
    c->note = f->try++;
    c->handler = f->body->tries[c->note].first;
    f->trying = c->note + 1;
}

void flow_try(struct fast *f)
{
    struct ctl *c = ctl_push(f, CTL_TRY);
    if (c)
        try_begin(f, c);
}

void flow_catch(struct fast *f, bool all)
{
    struct ctl *c = ctl_at(f, 0);
    if (!all)
        leb_u32(&f->pc); // the tag, which the note has, too
    if (f->reachable) {
        conform(f, c);
        jump_to(f, c);
    }
    discard(f, c->height);
    f->trying = f->body->tries[c->note].around;
    const struct handler_note *h = handler_of(f, c->handler - 1);
    f->handlers.at[c->handler - 1] = here(f);
    c->handler = h->next;
    c->kind = CTL_CATCH;
    f->reachable = true;
    joined(f, c->found);
    if (h->keeps) {
        c->hidden = hidden_cell(f, h->hidden);
        store_frame(f, T64, c->hidden, RAX);
    }
    receive(f, h);
}

// A handler of try_table is out of line. The branch of each is to a label around the block.
static void table_handler(struct fast *f, const struct ctl *block, struct ctl *to)
{
    u32 number = block->handler - 1;
    size_t values = to->arity;
    f->sp = f->flushed = block->height;
    struct cold *c = cold_begin(f, NULL, 2 * EDGE_BYTES + values * 2 * EDGE_VALUE_BYTES);
    if (!c)
        return;
    u32 id = label_id(f, to);
    f->handlers.at[number] = (f->colds.count - 1) | JUMP_COLD;
    f->region = to->region;
    receive(f, handler_of(f, number));
    conform(f, to);
    c->target = id;
    cold_end(f, c);
}

void flow_try_table(struct fast *f)
{
    struct ctl *c = ctl_push(f, CTL_TRY);
    if (!c)
        return;
    try_begin(f, c);
    struct regs saved;
    regs_save(f, &saved, ~0u);
    u32 region = f->region, flushed = f->flushed;
    for (u32 n = leb_u32(&f->pc); n > 0 && !f->stopped; n--) {
        if (*f->pc++ < 2)
            leb_u32(&f->pc); // the tag
        table_handler(f, c, ctl_at(f, leb_u32(&f->pc) + 1));
        c->handler = handler_of(f, c->handler - 1)->next;
        fast_look_at(f, f->pc);
    }
    f->region = region;
    regs_restore(f, &saved, ~0u);
    params_restore(f, c);
    f->flushed = flushed;
}

// --- The tables
static u32 final(const struct fast *f, u32 cold)
{
    return f->colds.at[cold].final;
}

void catch_place(struct fast *f)
{
    const struct body *b = f->body;
    while (here(f) & 3)
        x64_byte(&f->a, 0xcc);
    f->code.catches = here(f);
    x64_u32(&f->a, f->throws.count);
    x64_u32(&f->a, b->ntries);
    for (u32 i = 0; i < f->throws.count && fast_room(f, 12); i++) {
        const struct code_throws *t = &f->throws.at[i];
        x64_u32(&f->a, t->returns);
        x64_u32(&f->a, t->pad ? final(f, t->pad - 1) : 0);
        x64_u32(&f->a, t->tries);
    }
    for (u32 i = 0; i < b->ntries && fast_room(f, 8); i++) {
        x64_u32(&f->a, b->tries[i].outer);
        x64_u32(&f->a, b->tries[i].first);
    }
    for (u32 i = 0; i < b->nhandlers && fast_room(f, 16); i++) {
        u32 at = f->handlers.at[i];
        x64_u32(&f->a, b->handlers[i].tag);
        x64_u32(&f->a, b->handlers[i].next);
        x64_u32(&f->a, at & JUMP_COLD ? final(f, at & ~JUMP_COLD) : at);
        x64_u32(&f->a, b->handlers[i].keeps);
    }
}
