// SPDX-License-Identifier: MIT
// Validation of function bodies (specification, appendix "validation algorithm"), one linear walk
// per body.
//
// The walk goes from handler to handler: each does its instruction and jumps to the one of the
// next, by a tail call through `rows`, which has an entry per opcode byte. So the cursor stays in
// registers, and the processor sees one indirect jump per kind of instruction. Regular instructions
// share handlers, which get the types of their row in `sig`; rare and large ones are functions of
// their own in the other files (see validator.h).
//
// Cost: each byte of code costs constant time, but for types: a call, branch or block moves as many
// bytes as it has parameters or results, at most 1000, in vector loops. The operand stack holds at
// most MAX_STACK values. Scratch memory is kept from body to body; setting it up costs time in
// proportion to the body and its locals.
//
// An instruction that is malformed after one that is invalid is not reported: the first error ends
// the walk.
#include "wasm/validator.h"
#include "base/lookup.h"

// The walk: handlers ------------------------------------------------------------------------------

// Opcodes of one byte, then those of prefix 0xfc, then those of 0xfe.
enum { ROW_FC = 256, ROW_FE = ROW_FC + 32, ROWS = ROW_FE + 0x4f };

typedef status handler(struct validator *v, const u8 *p, valtype *sp, u32 sig);

static const struct row {
    handler *handler;
    u32 sig; // operand type, result type << 8, log2 of the natural alignment << 16; see op_atomic
} rows[ROWS];

// Says what the byte behind the body makes of it: the body may be cut short, or its `end` be
// missing.
static void out_of_bytes(struct validator *v)
{
    v->pc = v->end;
    if (v->end == v->m->bytes + v->m->size)
        fail(v, ERR_MALFORMED, "unexpected end of section or function");
    else if (*v->end == OP_end)
        fail(v, ERR_MALFORMED, "section size mismatch (the body goes on behind its end)");
    else
        fail(v, ERR_MALFORMED, "END opcode expected");
}

static status stop(struct validator *v, const u8 *p, valtype *sp, u32 sig);

// The last handler. (A handler, so that going there is a jump, too: without calls, the frequent
// ones need no registers saved.)
__attribute__((noinline)) static status finish(struct validator *v, [[maybe_unused]] const u8 *p,
                                               [[maybe_unused]] valtype *sp,
                                               [[maybe_unused]] u32 sig)
{
    if (unlikely(v->frames.count))
        out_of_bytes(v);
    return v->e->code;
}

#define JUMP(handler, p, sp, sig) __attribute__((musttail)) return handler(v, p, sp, sig)

// Goes on at p. The jump is a tail call on every path, so that the stack does not grow.
#define NEXT(p, sp)                                                                                \
    do {                                                                                           \
        if (unlikely((p) >= v->stop))                                                              \
            JUMP(stop, p, sp, 0);                                                                  \
        v->pc = (p);                                                                               \
        const struct row *row_ = &rows[*(p)];                                                      \
        JUMP(row_->handler, (p) + 1, sp, row_->sig);                                               \
    } while (0)

#define NEXT_CURSOR(next)                                                                          \
    do {                                                                                           \
        struct cursor c_ = (next);                                                                 \
        if (unlikely(!c_.p))                                                                       \
            return v->e->code;                                                                     \
        NEXT(c_.p, c_.sp);                                                                         \
    } while (0)

// Every so many bytes the walk looks up, and every so many bodies.
enum { LOOK_BYTES = 8192, LOOK_BODIES = 128 };

static const u8 *next_stop(const struct validator *v, const u8 *p)
{
    return v->end - p > LOOK_BYTES ? p + LOOK_BYTES : v->end;
}

__attribute__((noinline)) static status stop(struct validator *v, const u8 *p, valtype *sp, u32 sig)
{
    if (p >= v->end)
        JUMP(finish, p, sp, sig);
    v->stop = next_stop(v, p);
    if (look_up())
        return fail(v, ERR_CANCELLED, "the process ends"), v->e->code;
    NEXT(p, sp);
}

#define HANDLER(name)                                                                              \
    static status do_##name(struct validator *v, const u8 *p, valtype *sp, [[maybe_unused]] u32 sig)

// What a handler jumps to when something is out of the ordinary.
#define SLOW_HANDLER(name) SELDOM HANDLER(name##_slow)

// A handler that leaves its work to a function.
#define CALL_OUT(name, call)                                                                       \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        [[maybe_unused]] struct cursor c = {p, sp};                                                \
        NEXT_CURSOR(call);                                                                         \
    }
// The same of what is rare in large modules: small, for the kernel's image.
#define RARE(name, call) SELDOM CALL_OUT(name, call)

static inline struct cursor unary(struct validator *v, struct cursor c, u32 sig)
{
    c.sp = pop(v, c.sp, (u8)sig);
    return c.sp ? at(c.p, push(v, c.sp, (u8)(sig >> 8))) : failed;
}

SLOW_HANDLER(un)
{
    NEXT_CURSOR(unary(v, (struct cursor){p, sp}, sig));
}

HANDLER(un)
{
    if (unlikely(sp <= v->base || sp[-1] != (u8)sig))
        JUMP(do_un_slow, p, sp, sig);
    sp[-1] = (u8)(sig >> 8);
    NEXT(p, sp);
}

SLOW_HANDLER(bin)
{
    struct cursor c = {p, pop(v, sp, (u8)sig)};
    NEXT_CURSOR(c.sp ? unary(v, c, sig) : failed);
}

HANDLER(bin)
{
    if (unlikely(sp - v->base < 2 || sp[-1] != (u8)sig || sp[-2] != (u8)sig))
        JUMP(do_bin_slow, p, sp, sig);
    sp[-2] = (u8)(sig >> 8);
    NEXT(p, sp - 1);
}

// The end of a memarg that is short and right; NULL: look more closely.
static inline const u8 *memarg(const struct validator *v, const u8 *p, u32 natural)
{
    bool good = v->end - p >= 5 && p[0] <= natural && v->memory;
    return likely(good) ? skip_leb(p + 1) : NULL;
}

SLOW_HANDLER(load)
{
    valtype address;
    p = imm_memarg(v, p, sig >> 16, &address);
    if (unlikely(!p))
        return v->e->code;
    NEXT_CURSOR(unary(v, (struct cursor){p, sp}, (sig & ~0xffu) | address));
}

HANDLER(load)
{
    const u8 *next = memarg(v, p, sig >> 16);
    if (unlikely(!next || sp <= v->base || sp[-1] != TYPE_I32))
        JUMP(do_load_slow, p, sp, sig);
    sp[-1] = (u8)(sig >> 8);
    NEXT(next, sp);
}

SLOW_HANDLER(store)
{
    valtype params[2] = {TYPE_I32, (u8)sig};
    p = imm_memarg(v, p, sig >> 16, &params[0]);
    if (unlikely(!p))
        return v->e->code;
    NEXT_CURSOR(at(p, pop_many(v, sp, params, 2)));
}

HANDLER(store)
{
    const u8 *next = memarg(v, p, sig >> 16);
    if (unlikely(!next || sp - v->base < 2 || sp[-1] != (u8)sig || sp[-2] != TYPE_I32))
        JUMP(do_store_slow, p, sp, sig);
    NEXT(next, sp - 2);
}

static inline bool local_initialized(const struct validator *v, u32 x)
{
    return v->initialized[x / 64] >> (x % 64) & 1;
}

static void local_read_early(struct validator *v, u32 x)
{
    if (!innermost(v)->unreachable)
        v->zero[x / 64] |= 1ull << (x % 64);
}

static void local_first_write(struct validator *v, u32 x)
{
    if (innermost(v)->unreachable && is_defaultable(v->types[x]))
        return;
    v->initialized[x / 64] |= 1ull << (x % 64);
    v->inits.at[v->inits.count++] = (u16)x; // room was made for all locals
}

static const u8 *local_index(struct validator *v, const u8 *p, u32 *x)
{
    p = imm_u32(v, p, x);
    if (likely(p && *x < v->nlocals))
        return p;
    if (p)
        fail(v, ERR_INVALID, "unknown local %u", *x);
    return NULL;
}

// Is there an index of one byte, of a local?
static inline bool local_short(const struct validator *v, const u8 *p)
{
    return likely(p < v->end && *p < v->nshort);
}

static inline void note_use(struct validator *v, u32 x, u32 flags)
{
    u32 n = v->uses.count;
    struct web *w = &v->webs.at[x];
    v->uses.at[n] = x | v->depth_bits | flags; // room was made for all in a body
    v->uses.count = w->last = n + 1;
    w->weight += v->weight;
}

static inline void note_read(struct validator *v, u32 x)
{
    if (v->want & WANT_USES)
        note_use(v, x, 0);
    if (unlikely(!local_initialized(v, x)))
        local_read_early(v, x);
}

static inline void note_write(struct validator *v, u32 x)
{
    bool initialized = local_initialized(v, x);
    if (v->want & WANT_USES) {
        struct web *w = &v->webs.at[x];
        u32 level = v->frames.count;
        if (w->last > v->straight) // nothing but this can follow
            v->uses.at[w->last - 1] |= LOCAL_USE_LAST;
        else if (initialized && w->level == level)
            web_end(v, w);
        if (!initialized || w->level == level) {
            w->level = level;
            w->depth = v->depth_bits;
        }
        note_use(v, x, LOCAL_USE_WRITE);
    }
    if (!initialized)
        local_first_write(v, x);
}

OFTEN static inline bool local_write(struct validator *v, const u8 *p, const valtype *sp)
{
    if (unlikely(!local_short(v, p) || sp <= v->base || sp[-1] != v->types[*p]))
        return false;
    u32 x = *p;
    note_write(v, x);
    return true;
}

SLOW_HANDLER(local_get)
{
    u32 x;
    p = local_index(v, p, &x);
    if (unlikely(!p))
        return v->e->code;
    if (!is_defaultable(v->types[x]) && !local_initialized(v, x))
        return fail(v, ERR_INVALID, "uninitialized local %u", x), v->e->code;
    note_read(v, x);
    sp = push(v, sp, v->types[x]);
    if (unlikely(!sp))
        return v->e->code;
    NEXT(p, sp);
}

HANDLER(local_get)
{
    if (unlikely(!local_short(v, p) || !raise_one(v, sp)))
        JUMP(do_local_get_slow, p, sp, sig);
    u32 x = *p;
    valtype type = v->types[x];
    if (unlikely(!is_defaultable(type)))
        JUMP(do_local_get_slow, p, sp, sig);
    note_read(v, x);
    *sp = type;
    NEXT(p + 1, sp + 1);
}

static inline struct cursor local_set(struct validator *v, struct cursor c, bool tee)
{
    u32 x;
    c.p = local_index(v, c.p, &x);
    if (unlikely(!c.p))
        return failed;
    note_write(v, x);
    c.sp = pop(v, c.sp, v->types[x]);
    if (tee && likely(c.sp))
        c.sp = push(v, c.sp, v->types[x]);
    return at(c.p, c.sp);
}

SLOW_HANDLER(local_set)
{
    NEXT_CURSOR(local_set(v, (struct cursor){p, sp}, false));
}

HANDLER(local_set)
{
    if (!local_write(v, p, sp))
        JUMP(do_local_set_slow, p, sp, sig);
    NEXT(p + 1, sp - 1);
}

SLOW_HANDLER(local_tee)
{
    NEXT_CURSOR(local_set(v, (struct cursor){p, sp}, true));
}

HANDLER(local_tee)
{
    if (!local_write(v, p, sp))
        JUMP(do_local_tee_slow, p, sp, sig);
    NEXT(p + 1, sp);
}

// The type in the low byte of sig, the bits of the number behind it.
SLOW_HANDLER(constant)
{
    p = imm_slow(v, p, sig >> 8, true).p;
    if (unlikely(!p || !(sp = push(v, sp, (u8)sig))))
        return v->e->code;
    NEXT(p, sp);
}

#define CONSTANT(name, type, bits)                                                                 \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        const u8 *next = likely(v->end - p >= 4) ? skip_leb(p) : NULL;                             \
        if (unlikely(!next || !raise_one(v, sp)))                                                  \
            JUMP(do_constant_slow, p, sp, (type) | (bits) << 8);                                   \
        *sp = type;                                                                                \
        NEXT(next, sp + 1);                                                                        \
    }
CONSTANT(i32_const, TYPE_I32, 32)
CONSTANT(i64_const, TYPE_I64, 64)

HANDLER(nop)
{
    NEXT(p, sp);
}

#define PREFIX(name, byte, first, end)                                                             \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        u32 op;                                                                                    \
        p = imm_u32(v, p, &op);                                                                    \
        if (unlikely(!p))                                                                          \
            return v->e->code;                                                                     \
        if (op >= (end) - (first))                                                                 \
            return illegal(v, byte, op), v->e->code;                                               \
        const struct row *row = &rows[(first) + op];                                               \
        if (row->handler == do_illegal)                                                            \
            return illegal(v, byte, op), v->e->code;                                               \
        JUMP(row->handler, p, sp, row->sig);                                                       \
    }

RARE(illegal, illegal(v, 0, *v->pc))
PREFIX(prefix_fc, 0xfc, ROW_FC, ROW_FE)
PREFIX(prefix_fe, 0xfe, ROW_FE, ROWS)
RARE(unreachable, unreachable(v, c.p))
CALL_OUT(block, op_block(v, c, FRAME_BLOCK))
CALL_OUT(loop, op_block(v, c, FRAME_LOOP))
CALL_OUT(if, op_block(v, c, FRAME_IF))
CALL_OUT(else, op_else(v, c))
CALL_OUT(end, op_end(v, c))
CALL_OUT(br, op_br(v, c))
CALL_OUT(br_if, op_br_if(v, c))
CALL_OUT(br_table, op_br_table(v, c))
CALL_OUT(return, op_return(v, c))
CALL_OUT(call, op_call(v, c, false))
RARE(return_call, op_call(v, c, true))
CALL_OUT(call_indirect, op_call_indirect(v, c, false))
RARE(return_call_indirect, op_call_indirect(v, c, true))
CALL_OUT(call_ref, op_call_ref(v, c, false))
RARE(return_call_ref, op_call_ref(v, c, true))
RARE(br_on_null, op_br_on_null(v, c))
RARE(br_on_non_null, op_br_on_non_null(v, c))
RARE(ref_as_non_null, op_ref_as_non_null(v, c))
RARE(try, op_block(v, c, FRAME_TRY))
RARE(try_table, op_try_table(v, c))
RARE(catch, op_catch(v, c, false))
RARE(catch_all, op_catch(v, c, true))
RARE(delegate, op_delegate(v, c))
RARE(throw, op_throw(v, c))
RARE(throw_ref, op_throw_ref(v, c))
RARE(rethrow, op_rethrow(v, c))
CALL_OUT(drop, op_drop(v, c))
CALL_OUT(select, op_select(v, c))
RARE(select_t, op_select_t(v, c))
CALL_OUT(global_get, op_global(v, c, false))
CALL_OUT(global_set, op_global(v, c, true))
CALL_OUT(f32_const, op_constant(v, c, 4, TYPE_F32))
CALL_OUT(f64_const, op_constant(v, c, 8, TYPE_F64))
RARE(ref_null, op_ref_null(v, c))
RARE(ref_is_null, op_ref_is_null(v, c))
RARE(ref_func, op_ref_func(v, c))
RARE(table_get, op_table(v, c, "A", "R"))
RARE(table_set, op_table(v, c, "AR", ""))
RARE(table_size, op_table(v, c, "", "A"))
RARE(table_grow, op_table(v, c, "RA", "A"))
RARE(table_fill, op_table(v, c, "ARA", ""))
RARE(table_copy, op_table_copy(v, c))
RARE(table_init, op_table_init(v, c))
RARE(elem_drop, op_elem_drop(v, c))
RARE(memory_size, op_memory(v, c, 1, "", "A"))
RARE(memory_grow, op_memory(v, c, 1, "A", "A"))
RARE(memory_copy, op_memory(v, c, 2, "ABN", ""))
RARE(memory_fill, op_memory(v, c, 1, "AiA", ""))
RARE(memory_init, op_memory_init(v, c))
RARE(data_drop, op_data_drop(v, c))
RARE(i64_add128, at(c.p, apply(v, c.sp, "llll", "ll")))
RARE(i64_sub128, at(c.p, apply(v, c.sp, "llll", "ll")))
RARE(i64_mul_wide_s, at(c.p, apply(v, c.sp, "ll", "ll")))
RARE(i64_mul_wide_u, at(c.p, apply(v, c.sp, "ll", "ll")))
RARE(prefix_fb, op_fb(v, c))
CALL_OUT(prefix_fd, op_fd(v, c))
RARE(ref_eq, op_ref_eq(v, c))
CALL_OUT(atomic, op_atomic(v, c, sig))
RARE(memory_atomic_notify, op_atomic_call(v, c, 2, "ii"))
RARE(memory_atomic_wait32, op_atomic_call(v, c, 2, "iil"))
RARE(memory_atomic_wait64, op_atomic_call(v, c, 3, "ill"))
RARE(atomic_fence, at(imm_zero(v, c.p), c.sp))

#define ROW(code)                                                                                  \
    ((code) < 256 ? (code) : (code) < 0xfe00 ? ROW_FC + ((code) & 31) : ROW_FE + ((code) & 127))

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winitializer-overrides" // what is no opcode comes first
static const struct row rows[ROWS] = {
    [0 ... ROWS - 1] = {do_illegal, 0}, [0xfb] = {do_prefix_fb, 0}, [0xfc] = {do_prefix_fc, 0},
    [0xfd] = {do_prefix_fd, 0},         [0xfe] = {do_prefix_fe, 0},
#define X(code, id, ...) [ROW(code)] = {do_##id, 0},
#define AX X
#define UN(code, id, text, A, R, ...) [ROW(code)] = {do_un, TYPE_##A | TYPE_##R << 8},
#define UNT UN
#define BIN(code, id, text, A, R, ...) [ROW(code)] = {do_bin, TYPE_##A | TYPE_##R << 8},
#define BINT BIN
#define LOAD(code, id, text, R, mem, align)                                                        \
    [ROW(code)] = {do_load, TYPE_I32 | TYPE_##R << 8 | (align) << 16},
#define STORE(code, id, text, A, mem, align) [ROW(code)] = {do_store, TYPE_##A | (align) << 16},
#define ALOAD(code, id, text, R, ...) ATOMIC(code, R, 0, ATOMIC_RESULT, __VA_ARGS__)
#define ASTORE(code, id, text, A, ...) ATOMIC(code, A, 1, 0, __VA_ARGS__)
#define RMW(code, id, text, A, ...) ATOMIC(code, A, 1, ATOMIC_RESULT, __VA_ARGS__)
#define CMPXCHG(code, id, text, A, ...) ATOMIC(code, A, 2, ATOMIC_RESULT, __VA_ARGS__)
#define ATOMIC(code, A, operands, result, mem, align, ...)                                         \
    [ROW(code)] = {do_atomic, TYPE_##A | (operands) << 8 | (result) | (align) << 16},
#include "wasm/ops.def"
};
#pragma clang diagnostic pop

static status walk(struct validator *v)
{
    return do_nop(v, v->code, v->stack, 0);
}

// Locals and set-up -------------------------------------------------------------------------------
static bool add_locals(struct validator *v, struct reader *r, u32 n, valtype type)
{
    if (n > MAX_LOCALS || v->locals.count + n > MAX_LOCALS)
        return read_error(r, ERR_MALFORMED, r->p, "too many locals (the limit is %u)", MAX_LOCALS);
    if (!vec_reserve(&v->locals, n))
        return read_error(r, ERR_NO_MEMORY, r->p, "out of memory");
    valtype *at = v->locals.at + v->locals.count;
    for (u32 i = 0; i < n; i++)
        at[i] = type;
    v->locals.count += n;
    if (n && type == TYPE_V128)
        note_simd(v);
    return true;
}

// Parameters, then the runs of the declaration.
static bool read_locals(struct validator *v, const struct functype *t, struct reader *r)
{
    v->locals.count = 0;
    if (!vec_reserve(&v->locals, t->nparams + 1))
        return read_error(r, ERR_NO_MEMORY, r->p, "out of memory");
    if (t->nparams)
        memcpy(v->locals.at, t->types, t->nparams * sizeof *t->types);
    v->locals.count = t->nparams;
    for (u32 i = 0; i < t->nparams + t->nresults; i++)
        if (t->types[i] == TYPE_V128)
            note_simd(v);
    for (u32 i = read_u32(r); i > 0 && read_ok(r); i--) {
        v->pc = r->p;
        u32 n = read_u32(r);
        add_locals(v, r, n, read_valtype(r, v->m));
    }
    v->types = v->locals.at;
    v->nlocals = v->locals.count;
    v->nshort = v->nlocals < 0x80 ? v->nlocals : 0x80;
    if (v->m != v->counted) {
        v->counted = v->m;
        v->total_locals = 0;
    }
    v->total_locals += v->nlocals;
    if (v->total_locals > MAX_LOCALS_PER_BYTE * (u64)v->m->size + MAX_LOCALS_FREE)
        return read_error(r, ERR_MALFORMED, r->p, "too many locals in all functions together");
    return read_ok(r);
}

static bool clear_bits(struct validator *v, u32 nparams)
{
    u32 words = v->nlocals / 64 + 1;
    v->bits.count = 0;
    if (!vec_reserve(&v->bits, 2 * words))
        return false;
    v->initialized = v->bits.at;
    v->zero = v->bits.at + words;
    memset(v->bits.at, 0, 2 * (size_t)words * sizeof *v->bits.at);
    memset(v->initialized, 0xff, nparams / 64 * sizeof *v->bits.at);
    v->initialized[nparams / 64] |= (1ull << nparams % 64) - 1;
    return true;
}

static bool start_webs(struct validator *v, u32 nparams)
{
    v->weight = use_weight(0);
    if (!vec_reserve(&v->webs, v->nlocals))
        return false;
    memset(v->webs.at, 0, v->nlocals * sizeof *v->webs.at);
    for (u32 i = 0; i < nparams; i++)
        v->webs.at[i].level = 1;
    return true;
}

static bool start_body(struct validator *v, const struct functype *t, const u8 *code)
{
    v->code = code;
    v->stop = next_stop(v, code);
    v->base = v->high = v->stack;
    v->frames.count = v->inits.count = v->branches.count = v->uses.count = v->loops.count = 0;
    v->tries.count = v->handlers.count = v->open.count = v->catches = v->hidden = 0;
    v->max_depth = v->loop_depth = v->depth_bits = 0;
    v->loop = NONE;
    v->memory = v->m->nmemories && !v->m->memories[0].wide;
    v->calls = v->keeps = false;
    v->nseen = v->nbuilds = 0;
    u32 size = (u32)(v->end - code);
    v->straight = v->webs.count = 0;
    if (!clear_bits(v, t->nparams) || !vec_reserve(&v->inits, v->nlocals) ||
        ((v->want & WANT_USES) &&
         (!vec_reserve(&v->uses, size / 2 + 1) || !start_webs(v, t->nparams))) ||
        !frame_open(v, FRAME_FUNC, block_of(t), v->stack, code)) {
        no_memory(v);
        return false;
    }
    return true;
}

static void fill_body(const struct validator *v, const struct functype *t, struct body *out)
{
    *out = (struct body){
        .code = v->code,
        .end = v->end,
        .type = t,
        .locals = v->types,
        .nlocals = v->nlocals,
        .max_stack = (u32)(v->high - v->stack),
        .max_depth = v->max_depth,
        .quiet = quiet_at_end(v),
        .calls = v->calls,
        .keeps = v->keeps,
        .simd = v->simd,
        .far = v->far,
        .zero = v->zero,
        .branches = v->branches.at,
        .nbranches = v->branches.count,
        .uses = v->uses.at,
        .nuses = v->uses.count,
        .webs = v->webs.at,
        .loops = v->loops.at,
        .nloops = v->loops.count,
        .tries = v->tries.at,
        .ntries = v->tries.count,
        .handlers = v->handlers.at,
        .nhandlers = v->handlers.count,
        .hidden = v->hidden,
    };
}

status validate_body(struct validator *v, const struct module *m, u32 func, u32 want,
                     struct body *out, struct error *e)
{
    const struct func *f = &m->funcs[func];
    const struct functype *t = &m->types[f->type];
    *e = (struct error){0};
    v->m = m;
    v->e = e;
    v->want = want;
    v->end = m->bytes + f->end;
    v->simd = false;
    v->quiet = 0;
    v->far = module_far(m);
    v->poll = module_polls(m, func) ? BRANCH_POLL : 0;
    struct reader r = {m->bytes + f->start, v->end, m->bytes, e};
    v->pc = v->called = r.p;
    if (++v->bodies % LOOK_BODIES == 0 && look_up())
        return error_set(e, ERR_CANCELLED, f->start, "the process ends");
    if (!read_locals(v, t, &r) || !start_body(v, t, r.p) || walk(v))
        return e->code;
    fill_body(v, t, out);
    if (LANES_HELD && v->nseen)
        lanes_choose(v, out);
    return OK;
}

enum { FIRST_STACK = 4096 };

struct validator *validator_create(void)
{
    struct validator *v = heap_zalloc(sizeof *v);
    valtype *stack = v ? heap_alloc(FIRST_STACK * sizeof *stack) : NULL;
    if (!stack) {
        heap_free(v);
        return NULL;
    }
    v->stack = stack;
    v->limit = stack + FIRST_STACK;
    return v;
}

void validator_free(struct validator *v)
{
    if (!v)
        return;
    heap_free(v->stack);
    vec_free(&v->frames);
    vec_free(&v->locals);
    vec_free(&v->bits);
    vec_free(&v->inits);
    vec_free(&v->branches);
    vec_free(&v->uses);
    vec_free(&v->webs);
    vec_free(&v->loops);
    vec_free(&v->tries);
    vec_free(&v->handlers);
    vec_free(&v->open);
    heap_free(v);
}
