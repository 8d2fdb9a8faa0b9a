// SPDX-License-Identifier: MIT
// Structured control in the validator: blocks, branches, calls, and what is noted about them for
// the engines: branch entries, loops, and which locals are initialized (see validator.h).
//
// Branch entries are made in the order of the code. Those whose target is still to come hang in a
// list that starts in the frame and runs through the entries themselves, so that fixing them up
// allocates nothing and touches each once.
#include "wasm/validator.h"
#include "base/lookup.h"

// The type of that index, which must be a function's.
const struct functype *func_type(struct validator *v, u32 type)
{
    if (type < v->m->ntypes && v->m->types[type].form == FORM_FUNC)
        return &v->m->types[type];
    fail(v, ERR_INVALID,
         type < v->m->ntypes ? "type mismatch: type %u is no function type" : "unknown type %u",
         type);
    return NULL;
}

const u8 *imm_blocktype(struct validator *v, const u8 *p, struct block_type *type)
{
    *type = (struct block_type){0};
    if (likely(p < v->end && *p == 0x40))
        return p + 1;
    if (imm_bytes(v, p, 1) == NULL)
        return NULL;
    if ((*p & 0xc0) == 0x40) {
        valtype result = 0;
        p = imm_valtype(v, p, &result);
        type->nresults = 1;
        type->types = module_single(v->m, result);
        return p;
    }
    struct leb n = imm_slow(v, p, 33, true);
    if (!n.p)
        return NULL;
    if ((s64)n.value < 0)
        return fail(v, ERR_MALFORMED, "malformed block type").p;
    const struct functype *t = func_type(v, (u32)n.value);
    if (!t)
        return NULL;
    *type = block_of(t);
    return n.p;
}

// Branch entries

struct label label_of(const struct frame *f)
{
    return f->kind == FRAME_LOOP ? (struct label){f->types, f->nparams}
                                 : (struct label){f->types + f->nparams, f->nresults};
}

// Until its target is known, an entry holds in dpc the entry that waits for the same target before
// it, and in dside the offset of its instruction.
bool add_branch(struct validator *v, struct frame *f, u32 keep, u32 drop)
{
    s32 index = (s32)v->branches.count;
    if (unlikely(!vec_reserve(&v->branches, 1))) {
        no_memory(v);
        return false;
    }
    struct branch *b = &v->branches.at[v->branches.count++];
    s32 pc = offset_of(v, v->pc);
    if (f->kind == FRAME_LOOP) {
        *b = (struct branch){f->fix - pc, f->side - index, keep, drop | v->poll};
    } else {
        *b = (struct branch){f->fix, pc, keep, drop};
        f->fix = index;
    }
    return true;
}

static void resolve(struct validator *v, s32 index, const u8 *target)
{
    struct branch *b = &v->branches.at[index];
    b->dpc = offset_of(v, target) - b->dside;
    b->dside = (s32)v->branches.count - index;
}

static void resolve_all(struct validator *v, struct frame *f, const u8 *target)
{
    enum { AT_ONCE = 1 << 15 };
    u32 n = 0;
    for (s32 next, i = f->fix; i != NONE; i = next) {
        if (++n % AT_ONCE == 0)
            look_up();
        next = v->branches.at[i].dpc;
        resolve(v, i, target);
    }
}

bool branch_to(struct validator *v, struct frame *f, valtype *sp)
{
    straight_end(v);
    if (!(v->want & WANT_BRANCHES))
        return true;
    u32 keep = label_of(f).n;
    u32 cells = (u32)(sp - v->stack) - f->height;
    return add_branch(v, f, keep, cells > keep ? cells - keep : 0);
}

// Locals, loops, calls

// The last use of a web is the last of its value if it is a read in the same loop as the write:
// whatever is read elsewhere has a write of its own before it, on all ways there. That is not so
// for a local that may be read before it is written.
void web_end(struct validator *v, struct web *w)
{
    local_use *u = &v->uses.at[w->last - 1];
    if (w->last && (*u & (LOCAL_USE_WRITE | LOCAL_USE_DEPTH)) == w->depth &&
        w->depth != LOCAL_USE_DEPTH)
        *u |= LOCAL_USE_LAST_BUT_ZERO;
}

void locals_forget(struct validator *v, u32 inits)
{
    while (v->inits.count > inits) {
        u32 x = v->inits.at[--v->inits.count];
        v->initialized[x / 64] &= ~(1ull << (x % 64));
        if (v->want & WANT_USES)
            web_end(v, &v->webs.at[x]);
    }
}

void note_call(struct validator *v)
{
    v->calls = v->keeps = true;
    if (v->loop != NONE)
        v->loops.at[v->loop].calls = true;
}

static void loop_depth(struct validator *v, s32 step)
{
    v->loop_depth += (u32)step;
    v->depth_bits = (v->loop_depth < 255 ? v->loop_depth : 255) << 16;
    v->weight = use_weight(v->loop_depth);
}

static bool loop_begin(struct validator *v, struct frame *f)
{
    f->outer = v->loop;
    if (v->loop != NONE)
        v->loops.at[v->loop].inner = true;
    v->loop = (s32)v->loops.count;
    loop_depth(v, 1);
    if (likely(vec_push(&v->loops, ((struct loop_note){.uses_start = v->uses.count}))))
        return true;
    no_memory(v);
    return false;
}

static void loop_end(struct validator *v, const struct frame *f)
{
    struct loop_note *note = &v->loops.at[v->loop];
    note->uses_end = v->uses.count;
    if (note->calls && f->outer != NONE)
        v->loops.at[f->outer].calls = true;
    v->loop = f->outer;
    loop_depth(v, -1);
}

// Blocks

// Opens a frame above sp. `p` is the first instruction in it.
struct frame *frame_open(struct validator *v, enum frame_kind kind, struct block_type type,
                         valtype *sp, const u8 *p)
{
    if (unlikely(!vec_reserve(&v->frames, 1))) {
        no_memory(v);
        return NULL;
    }
    struct frame *f = &v->frames.at[v->frames.count++];
    *f = (struct frame){
        .types = type.types,
        .nparams = (u16)type.nparams,
        .nresults = (u16)type.nresults,
        .height = (u32)(sp - v->stack),
        .inits = (u16)v->inits.count,
        .fix = kind == FRAME_LOOP ? offset_of(v, p) : NONE,
        .side = (s32)v->branches.count,
        .kind = kind,
    };
    v->base = sp;
    if (v->frames.count > v->max_depth)
        v->max_depth = v->frames.count;
    return f;
}

struct cursor op_block(struct validator *v, struct cursor c, enum frame_kind kind)
{
    struct block_type t;
    c.p = imm_blocktype(v, c.p, &t);
    if (!c.p)
        return failed;
    if (kind == FRAME_IF)
        c.sp = pop(v, c.sp, TYPE_I32);
    if (c.sp)
        c.sp = pop_many(v, c.sp, t.types, t.nparams);
    if (!c.sp)
        return failed;
    struct frame *f = frame_open(v, kind, t, c.sp, c.p);
    if (!f)
        return failed;
    if (kind == FRAME_LOOP && (v->want & WANT_USES) && !loop_begin(v, f))
        return failed;
    if (kind == FRAME_IF)
        straight_end(v);
    if (kind == FRAME_IF && (v->want & WANT_BRANCHES)) {
        if (!add_branch(v, f, 0, 0))
            return failed;
        f->fix = NONE; // it waits for `else`, not for the end: side is its index
    }
    if (kind == FRAME_TRY && !try_begin(v, f))
        return failed;
    return at(c.p, push_many(v, c.sp, t.types, t.nparams));
}

bool check_results(struct validator *v, const struct frame *f, valtype *sp)
{
    struct label results = {f->types + f->nparams, f->nresults};
    valtype *rest = pop_many(v, sp, results.types, results.n);
    if (rest && rest != v->base)
        fail(v, ERR_INVALID, "type mismatch: %u values too many at the end of a block",
             (u32)(rest - v->base));
    return rest == v->base;
}

struct cursor op_else(struct validator *v, struct cursor c)
{
    struct frame *f = innermost(v);
    if (f->kind != FRAME_IF)
        return fail(v, ERR_MALFORMED, "END opcode expected (else without if)");
    if (!check_results(v, f, c.sp))
        return failed;
    locals_forget(v, f->inits);
    straight_end(v);
    f->kind = FRAME_ELSE;
    f->unreachable = false;
    if (v->want & WANT_BRANCHES) {
        if (!add_branch(v, f, 0, 0))
            return failed;
        resolve(v, f->side, c.p);
    }
    return at(c.p, push_many(v, v->base, f->types, f->nparams));
}

static bool check_lone_if(struct validator *v, const struct frame *f)
{
    if (f->nparams == f->nresults)
        return match_many(v, f->types, f->types + f->nparams, f->nparams);
    fail(v, ERR_INVALID, "type mismatch: if without else must leave what it takes");
    return false;
}

static struct cursor end_function(struct validator *v, struct cursor c, struct frame *f)
{
    locals_forget(v, 0);
    for (u32 i = 0; i < f->nparams && (v->want & WANT_USES); i++)
        web_end(v, &v->webs.at[i]);
    if (v->want & WANT_BRANCHES)
        resolve_all(v, f, v->pc);
    v->frames.count = 0;
    if (c.p == v->end)
        return c;
    v->pc = c.p;
    return fail(v, ERR_MALFORMED, "section size mismatch (code after the end of the function)");
}

struct cursor op_end(struct validator *v, struct cursor c)
{
    struct frame *f = innermost(v);
    if (!check_results(v, f, c.sp))
        return failed;
    if (f->kind == FRAME_FUNC)
        return end_function(v, c, f);
    if (f->kind == FRAME_IF && !check_lone_if(v, f))
        return failed;
    locals_forget(v, f->inits);
    if (f->kind >= FRAME_TRY)
        try_end(v);
    if (f->kind == FRAME_LOOP) {
        if (v->want & WANT_USES)
            loop_end(v, f);
    } else if (v->want & WANT_BRANCHES) {
        resolve_all(v, f, c.p);
        if (f->kind == FRAME_IF)
            resolve(v, f->side, c.p);
    }
    struct label results = {f->types + f->nparams, f->nresults};
    valtype *sp = v->base;
    v->frames.count--;
    v->base = v->stack + innermost(v)->height;
    return at(c.p, push_many(v, sp, results.types, results.n));
}

// Branches

struct cursor unreachable(struct validator *v, const u8 *p)
{
    innermost(v)->unreachable = true;
    straight_end(v);
    return (struct cursor){p, v->base};
}

const u8 *imm_label(struct validator *v, const u8 *p, struct frame **f)
{
    u32 depth;
    p = imm_index(v, p, v->frames.count, "label", &depth);
    if (p)
        *f = &v->frames.at[v->frames.count - 1 - depth];
    return p;
}

struct cursor op_br(struct validator *v, struct cursor c)
{
    struct frame *f;
    c.p = imm_label(v, c.p, &f);
    if (!c.p)
        return failed;
    struct label l = label_of(f);
    if (!pop_many(v, c.sp, l.types, l.n) || !branch_to(v, f, c.sp))
        return failed;
    return unreachable(v, c.p);
}

struct cursor op_br_if(struct validator *v, struct cursor c)
{
    struct frame *f;
    c.p = imm_label(v, c.p, &f);
    c.sp = c.p ? pop(v, c.sp, TYPE_I32) : NULL;
    if (!c.sp)
        return failed;
    struct label l = label_of(f);
    valtype *sp = pop_many(v, c.sp, l.types, l.n);
    if (!sp || !branch_to(v, f, c.sp))
        return failed;
    return at(c.p, push_many(v, sp, l.types, l.n));
}

// Labels with the same types as the one before need no second look; a table of 65,520 labels that
// alternate between two types of 1000 values costs some milliseconds.
struct cursor op_br_table(struct validator *v, struct cursor c)
{
    u32 n;
    c.p = imm_u32(v, c.p, &n);
    if (!c.p)
        return failed;
    if (n > MAX_BR_TABLE)
        return fail(v, ERR_INVALID, "br_table too large (%u labels; the limit is %u)", n,
                    MAX_BR_TABLE);
    c.sp = pop(v, c.sp, TYPE_I32);
    if (!c.sp)
        return failed;
    enum { AT_ONCE = 1024 };
    struct label last = {NULL, 0};
    for (u32 i = 0; i <= n; i++) {
        struct frame *f;
        if (i % AT_ONCE == AT_ONCE - 1 && look_up())
            return fail(v, ERR_CANCELLED, "the process ends");
        c.p = imm_label(v, c.p, &f);
        if (!c.p)
            return failed;
        struct label l = label_of(f);
        if (i && l.n != last.n)
            return fail(v, ERR_INVALID, "type mismatch: labels with %u and %u values in br_table",
                        last.n, l.n);
        if (l.types != last.types && !pop_many(v, c.sp, l.types, l.n))
            return failed;
        last = l;
        if (!branch_to(v, f, c.sp))
            return failed;
    }
    return unreachable(v, c.p);
}

struct cursor op_return(struct validator *v, struct cursor c)
{
    struct label l = label_of(&v->frames.at[0]);
    return pop_many(v, c.sp, l.types, l.n) ? unreachable(v, c.p) : failed;
}

// Calls

static u32 quiet_since(const struct validator *v, const u8 *p)
{
    u32 bytes = (u32)(p - v->called);
    return bytes > v->quiet ? bytes : v->quiet;
}

u32 quiet_at_end(const struct validator *v)
{
    return quiet_since(v, v->end);
}

// A call that takes the place of the function leaves what that would leave. Nothing of this
// activation lives beyond it: for the notes it is a jump.
static struct cursor tail_call_type(struct validator *v, struct cursor c, const struct functype *t)
{
    struct label l = label_of(&v->frames.at[0]);
    if (t->nresults == l.n && !match_many(v, t->types + t->nparams, l.types, l.n))
        return failed;
    if (t->nresults != l.n)
        return fail(v, ERR_INVALID, "type mismatch: a tail call with other results");
    return pop_many(v, c.sp, t->types, t->nparams) ? unreachable(v, c.p) : failed;
}

static struct cursor call_type(struct validator *v, struct cursor c, const struct functype *t,
                               bool tail)
{
    if (tail)
        return tail_call_type(v, c, t);
    v->calls = true;
    if (c.p == v->end || *c.p != OP_unreachable) // else it does not come back
        note_call(v);
    v->quiet = quiet_since(v, v->pc);
    v->called = v->pc;
    if (unlikely(v->open.count))
        straight_end(v);
    c.sp = pop_many(v, c.sp, t->types, t->nparams);
    return c.sp ? at(c.p, push_many(v, c.sp, t->types + t->nparams, t->nresults)) : failed;
}

struct cursor op_call(struct validator *v, struct cursor c, bool tail)
{
    u32 func;
    c.p = imm_index(v, c.p, v->m->nfuncs, "function", &func);
    return c.p ? call_type(v, c, module_func_type(v->m, func), tail) : failed;
}

struct cursor op_call_indirect(struct validator *v, struct cursor c, bool tail)
{
    u32 type;
    valtype elem = 0, index = 0;
    c.p = imm_u32(v, c.p, &type);
    if (c.p)
        c.p = imm_table(v, c.p, &elem, &index);
    if (!c.p)
        return failed;
    if (!matches(v, elem, TYPE_FUNCREF))
        return fail(v, ERR_INVALID, "type mismatch: call_indirect needs a table of funcref");
    const struct functype *t = func_type(v, type);
    c.sp = t ? pop(v, c.sp, index) : NULL;
    if (c.sp && t->open)
        note_call(v); // of the runtime, which finds the function, by a jump, too
    return c.sp ? call_type(v, c, t, tail) : failed;
}

struct cursor op_call_ref(struct validator *v, struct cursor c, bool tail)
{
    u32 type;
    c.p = imm_u32(v, c.p, &type);
    const struct functype *t = c.p ? func_type(v, type) : NULL;
    c.sp = t ? pop(v, c.sp, t->self[0]) : NULL;
    return c.sp ? call_type(v, c, t, tail) : failed;
}

// Branches on references

struct cursor op_br_on_null(struct validator *v, struct cursor c)
{
    struct frame *f;
    valtype ref;
    c.p = imm_label(v, c.p, &f);
    c.sp = c.p ? pop_ref(v, c.sp, &ref) : NULL;
    if (!c.sp)
        return failed;
    struct label l = label_of(f);
    valtype *sp = pop_many(v, c.sp, l.types, l.n);
    if (!sp || !branch_to(v, f, c.sp))
        return failed;
    sp = push_many(v, sp, l.types, l.n);
    return sp ? at(c.p, push(v, sp, ref | TYPE_NONNULL)) : failed;
}

// What is left when the branch is not taken is without the reference.
struct cursor op_br_on_non_null(struct validator *v, struct cursor c)
{
    struct frame *f;
    valtype ref;
    c.p = imm_label(v, c.p, &f);
    valtype *sp = c.p ? pop_ref(v, c.sp, &ref) : NULL;
    if (!sp)
        return failed;
    struct label l = label_of(f);
    if (!l.n)
        return fail(v, ERR_INVALID, "type mismatch: the label of br_on_non_null takes nothing");
    if (!matches(v, ref | TYPE_NONNULL, l.types[l.n - 1]))
        return at(c.p, mismatch(v, l.types[l.n - 1], ref | TYPE_NONNULL));
    valtype *below = pop_many(v, sp, l.types, l.n - 1);
    if (!below || !branch_to(v, f, sp + 1))
        return failed;
    return at(c.p, push_many(v, below, l.types, l.n - 1));
}
