// SPDX-License-Identifier: MIT
// Exceptions in the validator: what throws and what catches, in both forms, and the notes about
// them (see validate.h).
//
// The ranges in which something catches lie within one another, so those that are open are a stack.
// For what they note nothing is searched for: `delegate` alone looks for one of them by its frame,
// by halving.
#include "base/lookup.h"
#include "wasm/validator.h"

// A note for the innermost range from p on, of the frame that is opened next or has just been.
static bool note_new(struct validator *v, u32 frame, const u8 *p, u32 height)
{
    u32 around = v->open.count ? v->open.at[v->open.count - 1].note + 1 : 0;
    struct open_try open = {frame, v->tries.count};
    struct try_note note = {
        .start = (u32)offset_of(v, p), .around = around, .outer = around, .height = height};
    if (vec_push(&v->open, open) && vec_push(&v->tries, note))
        return true;
    no_memory(v);
    return false;
}

// From p on the innermost range is left.
static void range_end(struct validator *v, const u8 *p)
{
    v->tries.at[v->open.at[--v->open.count].note].end = (u32)offset_of(v, p);
}

static struct handler_note *handler_new(struct validator *v, struct try_note *note)
{
    if (!vec_push(&v->handlers, (struct handler_note){0})) {
        no_memory(v);
        return NULL;
    }
    u32 index = v->handlers.count;
    if (note->last)
        v->handlers.at[note->last - 1].next = index;
    else
        note->first = index;
    note->last = index;
    return &v->handlers.at[index - 1];
}

bool try_begin(struct validator *v, struct frame *f)
{
    f->side = (s32)v->tries.count;
    return note_new(v, v->frames.count - 1, v->pc, f->height);
}

void try_end(struct validator *v)
{
    const struct frame *f = innermost(v);
    if (f->kind == FRAME_TRY || f->kind == FRAME_TABLE)
        range_end(v, v->pc);
    else
        v->catches--;
}

// try_table ---------------------------------------------------------------------------------------

enum { CATCH, CATCH_REF, CATCH_ALL, CATCH_ALL_REF };

// Does the label take what this handler gives: the values of a tag, and a reference?
static bool check_label(struct validator *v, struct label l, const struct functype *t, bool ref)
{
    if (l.n != t->nparams + ref)
        fail(v, ERR_INVALID, "type mismatch: %u values caught, the label takes %u",
             t->nparams + ref, l.n);
    else if (match_many(v, t->types, l.types, t->nparams) && ref)
        match_many(v, &single_types[SINGLE(TYPE_EXNREF | TYPE_NONNULL)], l.types + t->nparams, 1);
    return v->e->code == OK;
}

// One handler, with the operands below the block as they are.
static struct cursor table_handler(struct validator *v, struct cursor c, struct try_note *note)
{
    static const struct functype nothing;
    const struct functype *t = &nothing;
    const u8 *p = imm_bytes(v, c.p, 1);
    if (!p)
        return failed;
    u8 kind = *c.p;
    if (kind > CATCH_ALL_REF)
        return fail(v, ERR_MALFORMED, "malformed catch clause");
    bool ref = kind & 1;
    u32 tag = HANDLER_ALL;
    if (kind <= CATCH_REF) {
        p = imm_index(v, p, v->m->ntags, "tag", &tag);
        if (!p)
            return failed;
        t = module_tag_type(v->m, tag);
    }
    struct frame *f;
    p = imm_label(v, p, &f);
    if (!p || !check_label(v, label_of(f), t, ref))
        return failed;
    u32 n = t->nparams + ref;
    c.sp = raise(v, c.sp, n);
    struct handler_note *h = c.sp ? handler_new(v, note) : NULL;
    if (!h)
        return failed;
    *h = (struct handler_note){.tag = tag,
                               .pc = (u32)offset_of(v, v->pc),
                               .side = v->branches.count,
                               .table = true,
                               .pays = kind <= CATCH_REF,
                               .keeps = ref};
    if ((v->want & WANT_BRANCHES) && !add_branch(v, f, n, (u32)(c.sp - v->stack) - f->height))
        return failed;
    return (struct cursor){p, c.sp};
}

struct cursor op_try_table(struct validator *v, struct cursor c)
{
    enum { AT_ONCE = 1024 };
    struct block_type t;
    u32 n;
    c.p = imm_blocktype(v, c.p, &t);
    c.sp = c.p ? pop_many(v, c.sp, t.types, t.nparams) : NULL;
    c.p = c.sp ? imm_u32(v, c.p, &n) : NULL;
    s32 side = (s32)v->tries.count;
    if (!c.p || !note_new(v, v->frames.count, v->pc, (u32)(c.sp - v->stack)))
        return failed;
    straight_end(v);
    for (u32 i = 0; i < n && c.p; i++) {
        if (i % AT_ONCE == AT_ONCE - 1)
            look_up();
        c = table_handler(v, c, &v->tries.at[side]);
    }
    struct frame *f = c.p ? frame_open(v, FRAME_TABLE, t, c.sp, c.p) : NULL;
    if (!f)
        return failed;
    f->side = side;
    return at(c.p, push_many(v, c.sp, t.types, t.nparams));
}

// try, catch, catch_all, delegate -----------------------------------------------------------------

struct cursor op_catch(struct validator *v, struct cursor c, bool all)
{
    static const struct functype nothing;
    const struct functype *t = &nothing;
    struct frame *f = innermost(v);
    u32 tag = HANDLER_ALL;
    if (f->kind != FRAME_TRY && f->kind != FRAME_CATCH)
        return fail(v, ERR_MALFORMED, "END opcode expected (catch without try)");
    if (!all) {
        c.p = imm_index(v, c.p, v->m->ntags, "tag", &tag);
        if (!c.p)
            return failed;
        t = module_tag_type(v->m, tag);
    }
    if (!check_results(v, f, c.sp))
        return failed;
    locals_forget(v, f->inits);
    straight_end(v);
    if (f->kind == FRAME_TRY) {
        range_end(v, v->pc);
        f->outer = (s32)v->catches++;
        v->hidden = v->catches > v->hidden ? v->catches : v->hidden;
    }
    f->kind = all ? FRAME_CATCH_ALL : FRAME_CATCH;
    f->unreachable = false;
    if ((v->want & WANT_BRANCHES) && !add_branch(v, f, 0, 0))
        return failed;
    struct handler_note *h = handler_new(v, &v->tries.at[f->side]);
    if (!h)
        return failed;
    *h = (struct handler_note){.tag = tag,
                               .pc = (u32)offset_of(v, c.p),
                               .side = v->branches.count,
                               .hidden = v->nlocals + (u32)f->outer,
                               .pays = !all};
    return at(c.p, push_many(v, v->base, t->types, t->nparams));
}

// The innermost range that is open and belongs to that frame or one around it, + 1; 0: none.
static u32 range_at(const struct validator *v, u32 frame)
{
    u32 low = 0, high = v->open.count;
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        if (v->open.at[middle].frame <= frame)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? v->open.at[low - 1].note + 1 : 0;
}

// It ends the block; what comes out of it goes to where the label is.
struct cursor op_delegate(struct validator *v, struct cursor c)
{
    struct frame *f = innermost(v);
    u32 depth;
    if (f->kind != FRAME_TRY)
        return fail(v, ERR_MALFORMED, "END opcode expected (delegate without try)");
    c.p = imm_index(v, c.p, v->frames.count - 1, "label", &depth);
    if (!c.p)
        return failed;
    u32 note = v->open.at[v->open.count - 1].note;
    range_end(v, v->pc);
    v->tries.at[note].outer = range_at(v, v->frames.count - 2 - depth);
    f->kind = FRAME_BLOCK;
    return op_end(v, c);
}

// What throws -------------------------------------------------------------------------------------

static struct cursor throws(struct validator *v, struct cursor c)
{
    note_call(v);
    return c.sp ? unreachable(v, c.p) : failed;
}

struct cursor op_throw(struct validator *v, struct cursor c)
{
    u32 tag;
    c.p = imm_index(v, c.p, v->m->ntags, "tag", &tag);
    if (!c.p)
        return failed;
    const struct functype *t = module_tag_type(v->m, tag);
    c.sp = pop_many(v, c.sp, t->types, t->nparams);
    return throws(v, c);
}

struct cursor op_throw_ref(struct validator *v, struct cursor c)
{
    c.sp = pop(v, c.sp, TYPE_EXNREF);
    return throws(v, c);
}

struct cursor op_rethrow(struct validator *v, struct cursor c)
{
    struct frame *f;
    c.p = imm_label(v, c.p, &f);
    if (!c.p)
        return failed;
    if (f->kind != FRAME_CATCH && f->kind != FRAME_CATCH_ALL)
        return fail(v, ERR_INVALID, "invalid rethrow label");
    v->handlers.at[v->tries.at[f->side].last - 1].keeps = true;
    struct branch b = {.keep = v->nlocals + (u32)f->outer};
    if ((v->want & WANT_BRANCHES) && !vec_push(&v->branches, b))
        return no_memory(v);
    return throws(v, c);
}
