// SPDX-License-Identifier: MIT
// Validation of function bodies (specification, appendix "validation algorithm"), one linear walk
// per body.
//
// The operand stack is an array of value types, one byte each; 0 is the type that unreachable code
// leaves open. The control stack is an array of frames. walk() keeps the cursor (next byte, top of
// stack) in registers and does the common instructions itself, from a row of four bytes per opcode;
// everything else is a function that takes the cursor and returns it, with p = NULL after an error.
//
// Cost: each byte of code costs constant time, but for types: a call, branch or block moves as many
// bytes as it has parameters or results, at most 1000, in runs of comparisons and copies that the
// compiler makes vectors of. Stacks hold at most MAX_STACK values. Branches are fixed up through
// lists that run through the entries themselves.
//
// An instruction that is malformed after one that is invalid is not reported: the first error ends
// the walk.
#include "wasm/validate.h"
#include "base/fmt.h"
#include "base/vec.h"
#include "wasm/reader.h"

enum { NONE = -1 };

enum frame_kind { FRAME_FUNC, FRAME_BLOCK, FRAME_LOOP, FRAME_IF, FRAME_ELSE };

struct frame {
    const struct functype *type;
    u32 height; // of the operand stack, without the block's parameters
    u32 inits;  // length of the log of initialized locals
    s32 fix;    // last branch to the end that waits for its target, NONE; loop: offset of the first
                // instruction
    s32 side;   // loop: number of branch entries before it; if: the entry of its own
    s32 outer;  // loop: note of the enclosing loop, or NONE
    u8 kind;
    bool unreachable;
};
_Static_assert(sizeof(struct frame) == 32, "a block of two bytes costs no more");

struct cursor {
    const u8 *p; // NULL: failed
    u8 *sp;
};

struct validator {
    const struct module *m;
    struct error *e;
    u32 want;
    const u8 *pc; // instruction in work
    const u8 *code, *end;

    u8 *base; // operand stack of the innermost frame starts here
    u8 *high; // highest top of stack so far
    u8 *stack, *limit;
    VEC(struct frame) frames;
    u32 max_depth;

    const u8 *types; // of the locals
    u64 *initialized;
    u64 *zero;
    u32 nlocals;
    bool memory;
    bool calls, simd;
    u32 simd_offset;
    VEC(u8) locals;
    VEC(u64) bits;
    VEC(u16) inits; // locals initialized in the open frames, in order

    VEC(struct branch) branches;
    VEC(local_use) uses;
    local_use depth_bits; // loop depth where local_use has it
    u32 loop_depth;
    s32 loop; // note of the innermost loop
    VEC(struct loop_note) loops;
};

// The rows of the op table
// ---------------------------------------------------------------------------------------------

enum kind {
    K_ILLEGAL,
    K_UN,
    K_BIN,
    K_LOAD,
    K_STORE,
    K_PREFIX_FC,
    K_PREFIX_FD,
#define X(code, id, ...) K_##id,
#include "wasm/ops.def"
};

// UN: a -> r; BIN: a, a -> r; LOAD: -> r; STORE: a ->; align for the last two.
struct row {
    u8 kind, a, r, align;
};

// Opcodes of one byte, then those of prefix 0xfc.
enum { ROW_FC = 256, ROWS = 256 + 32 };
#define ROW(code) ((code) < 256 ? (code) : ROW_FC + ((code) & 31))

static const struct row rows[ROWS] = {
    [0xfc] = {.kind = K_PREFIX_FC},
    [0xfd] = {.kind = K_PREFIX_FD},
#define X(code, id, ...) [ROW(code)] = {.kind = K_##id},
#define UN(code, id, text, A, R, ...) [ROW(code)] = {K_UN, TYPE_##A, TYPE_##R, 0},
#define UNT UN
#define BIN(code, id, text, A, R, ...) [ROW(code)] = {K_BIN, TYPE_##A, TYPE_##R, 0},
#define BINT BIN
#define LOAD(code, id, text, R, mem, align) [ROW(code)] = {K_LOAD, 0, TYPE_##R, align},
#define STORE(code, id, text, A, mem, align) [ROW(code)] = {K_STORE, TYPE_##A, 0, align},
#include "wasm/ops.def"
};

// Immediates of SIMD instructions: a class, and in the low bits log2 of the alignment or of the
// number of lanes.
enum simd_imm {
    SIMD_ILLEGAL,
    SIMD_NONE,
    SIMD_V128,
    SIMD_SHUFFLE,
    SIMD_MEM_0 = 0x10,
    SIMD_MEM_1,
    SIMD_MEM_2,
    SIMD_MEM_3,
    SIMD_MEM_4,
    SIMD_MEMLANE_0 = 0x20,
    SIMD_MEMLANE_1,
    SIMD_MEMLANE_2,
    SIMD_MEMLANE_3,
    SIMD_LANE_2 = 0x31,
    SIMD_LANE_4,
    SIMD_LANE_8,
    SIMD_LANE_16,
};

static const struct simd_row {
    u8 imm;
    char params[4], results[2];
} simd_rows[256] = {
#define V(code, id, text, imm, params, results) [(code) & 0xff] = {SIMD_##imm, params, results},
#include "wasm/ops.def"
};

// The types of blocks that are not in the type section: [] -> [] and [] -> [t].
static const struct functype void_functype;
#define TYPE(byte, name, text, size)                                                               \
    static const u8 byte_##name = byte;                                                            \
    static const struct functype single_##name = {0, 1, &byte_##name, 0};
#include "wasm/types.def"
#undef TYPE

static const struct functype *single_functype(u8 type)
{
    switch (type) {
#define TYPE(byte, name, text, size)                                                               \
    case byte: return &single_##name;
#include "wasm/types.def"
#undef TYPE
    case 0x40: return &void_functype;
    default: return NULL;
    }
}

// Errors
// ---------------------------------------------------------------------------------------------------------------

static const struct cursor failed;

__attribute__((cold, noinline, format(printf, 3, 4))) static struct cursor
fail(struct validator *v, status code, const char *format, ...)
{
    char text[sizeof v->e->text];
    va_list args;
    va_start(args, format);
    fmt_va(text, sizeof text, format, args);
    va_end(args);
    error_set(v->e, code, (u64)(v->pc - v->m->bytes), "%s", text);
    return failed;
}

static struct cursor no_memory(struct validator *v)
{
    return fail(v, ERR_NO_MEMORY, "out of memory");
}

static const char *type_text(u8 type)
{
    return type ? valtype_text(type) : "any";
}

static u8 *mismatch(struct validator *v, u8 expected, u8 found)
{
    fail(v, ERR_INVALID, "type mismatch: expected %s, found %s", type_text(expected),
         type_text(found));
    return NULL;
}

static u8 *underflow(struct validator *v, const char *expected)
{
    fail(v, ERR_INVALID, "type mismatch: expected %s, found nothing", expected);
    return NULL;
}

// The operand stack. Each of these takes the top and returns the new one, NULL after an error.
// --------------------------

static inline struct frame *innermost(struct validator *v)
{
    return &v->frames.at[v->frames.count - 1];
}

static void note_simd(struct validator *v)
{
    if (!v->simd)
        v->simd_offset = (u32)(v->pc - v->m->bytes);
    v->simd = true;
}

static bool stack_grow(struct validator *v, u64 need)
{
    size_t capacity = (size_t)(v->limit - v->stack);
    ptrdiff_t base = v->base - v->stack, high = v->high - v->stack;
    if (need > MAX_STACK) {
        fail(v, ERR_INVALID, "too many operands (the limit is %u)", MAX_STACK);
        return false;
    }
    capacity = need > capacity * 2 ? need : capacity * 2;
    if (capacity > MAX_STACK)
        capacity = MAX_STACK;
    u8 *stack = heap_resize(v->stack, capacity);
    if (!stack) {
        no_memory(v);
        return false;
    }
    v->base = stack + base;
    v->high = stack + high;
    v->stack = stack;
    v->limit = stack + capacity;
    return true;
}

// Makes room for n more values, and keeps the mark of the highest stack. May move the stack.
__attribute__((noinline)) static u8 *raise(struct validator *v, u8 *sp, u32 n)
{
    size_t height = (size_t)(sp - v->stack);
    if (n > (size_t)(v->limit - sp) && !stack_grow(v, (u64)height + n))
        return NULL;
    sp = v->stack + height;
    if (sp + n > v->high)
        v->high = sp + n;
    return sp;
}

static inline u8 *push(struct validator *v, u8 *sp, u8 type)
{
    if (unlikely(sp >= v->high)) {
        sp = raise(v, sp, 1);
        if (!sp)
            return NULL;
    }
    *sp = type;
    return sp + 1;
}

static u8 *push_many(struct validator *v, u8 *sp, const u8 *types, u32 n)
{
    if (n > (size_t)(v->high - sp)) {
        sp = raise(v, sp, n);
        if (!sp)
            return NULL;
    }
    bool simd = false;
    for (u32 i = 0; i < n; i++) {
        sp[i] = types[i];
        simd |= types[i] == TYPE_V128;
    }
    if (unlikely(simd))
        note_simd(v);
    return sp + n;
}

// *type is 0 when unreachable code leaves it open.
static u8 *pop_any(struct validator *v, u8 *sp, u8 *type)
{
    *type = 0;
    if (likely(sp > v->base)) {
        *type = sp[-1];
        return sp - 1;
    }
    return innermost(v)->unreachable ? sp : underflow(v, "a value");
}

__attribute__((noinline)) static u8 *pop_slow(struct validator *v, u8 *sp, u8 type)
{
    if (sp == v->base && !innermost(v)->unreachable)
        return underflow(v, valtype_text(type));
    u8 found;
    sp = pop_any(v, sp, &found);
    return found == type || !found ? sp : mismatch(v, type, found);
}

static inline u8 *pop(struct validator *v, u8 *sp, u8 type)
{
    return likely(sp > v->base && sp[-1] == type) ? sp - 1 : pop_slow(v, sp, type);
}

static bool types_match(const u8 *found, const u8 *expected, size_t n)
{
    u8 bad = 0; // no early exit: this is a vector loop
    for (size_t i = 0; i < n; i++)
        bad |= (found[i] != expected[i]) & (found[i] != 0);
    return !bad;
}

static u8 *mismatch_many(struct validator *v, const u8 *found, const u8 *expected, size_t n)
{
    while (n-- > 0)
        if (found[n] != expected[n] && found[n])
            break;
    return mismatch(v, expected[n], found[n]);
}

// Takes n values off the stack, which must have these types.
static u8 *pop_many(struct validator *v, u8 *sp, const u8 *types, u32 n)
{
    size_t have = (size_t)(sp - v->base);
    if (unlikely(have < n)) {
        if (!innermost(v)->unreachable)
            return underflow(v, valtype_text(types[n - 1 - have]));
        types += n - have;
        n = (u32)have;
    }
    if (unlikely(!types_match(sp - n, types, n)))
        return mismatch_many(v, sp - n, types, n);
    return sp - n;
}

static struct cursor at(const u8 *p, u8 *sp)
{
    return likely(sp) ? (struct cursor){p, sp} : failed;
}

// Takes `params`, one character each (i l f d v), and puts `results`.
static u8 char_type(char c)
{
    switch (c) {
    case 'i': return TYPE_I32;
    case 'l': return TYPE_I64;
    case 'f': return TYPE_F32;
    case 'd': return TYPE_F64;
    default: return TYPE_V128;
    }
}

static u8 *apply(struct validator *v, u8 *sp, const char *params, const char *results)
{
    size_t n = strlen(params);
    while (n-- > 0 && sp)
        sp = pop(v, sp, char_type(params[n]));
    for (; *results && sp; results++)
        sp = push(v, sp, char_type(*results));
    return sp;
}

// Immediates. Each returns the next byte, NULL after an error.
// ----------------------------------------------------------

__attribute__((noinline)) static struct leb imm_slow(struct validator *v, const u8 *p, u32 bits,
                                                     bool sign)
{
    struct leb n = sign ? leb_check_s(p, v->end, bits) : leb_check_u(p, v->end, bits);
    if (unlikely(!n.p))
        fail(v, ERR_MALFORMED, "%s", leb_error_text(n.value));
    return n;
}

static inline const u8 *imm_u32(struct validator *v, const u8 *p, u32 *x)
{
    if (likely(p < v->end && *p < 0x80)) {
        *x = *p;
        return p + 1;
    }
    struct leb n = imm_slow(v, p, 32, false);
    *x = (u32)n.value;
    return n.p;
}

static inline const u8 *imm_const(struct validator *v, const u8 *p, u32 bits)
{
    return likely(p < v->end && *p < 0x80) ? p + 1 : imm_slow(v, p, bits, true).p;
}

static const u8 *imm_bytes(struct validator *v, const u8 *p, size_t n)
{
    if (likely((size_t)(v->end - p) >= n))
        return p + n;
    fail(v, ERR_MALFORMED, "unexpected end of section or function");
    return NULL;
}

// An index that must be below n.
static const u8 *imm_index(struct validator *v, const u8 *p, u32 n, const char *what, u32 *x)
{
    p = imm_u32(v, p, x);
    if (likely(p && *x < n))
        return p;
    if (p)
        fail(v, ERR_INVALID, "unknown %s %u", what, *x);
    return NULL;
}

static const u8 *imm_zero(struct validator *v, const u8 *p)
{
    const u8 *next = imm_bytes(v, p, 1);
    if (likely(next && *p == 0))
        return next;
    fail(v, ERR_MALFORMED, "zero byte expected");
    return NULL;
}

static const u8 *need_memory(struct validator *v, const u8 *p)
{
    if (likely(p && v->memory))
        return p;
    if (p)
        fail(v, ERR_INVALID, "unknown memory 0");
    return NULL;
}

static const u8 *imm_memory(struct validator *v, const u8 *p)
{
    return need_memory(v, imm_zero(v, p));
}

__attribute__((noinline)) static const u8 *imm_memarg(struct validator *v, const u8 *p, u32 natural)
{
    u32 align, offset;
    p = imm_u32(v, p, &align);
    if (p && align >= 32)
        return fail(v, ERR_MALFORMED, "malformed memop flags").p;
    if (p)
        p = imm_u32(v, p, &offset);
    p = need_memory(v, p);
    if (p && align > natural)
        return fail(v, ERR_INVALID, "alignment must not be larger than natural (2^%u > 2^%u)",
                    align, natural)
            .p;
    return p;
}

static const u8 *imm_blocktype(struct validator *v, const u8 *p, const struct functype **type)
{
    if (imm_bytes(v, p, 1) == NULL)
        return NULL;
    *type = single_functype(*p);
    if (*type)
        return p + 1;
    struct leb n = imm_slow(v, p, 33, true);
    if (!n.p)
        return NULL;
    if ((s64)n.value < 0)
        return fail(v, ERR_MALFORMED, "malformed block type").p;
    if (n.value >= v->m->ntypes)
        return fail(v, ERR_INVALID, "unknown type %u", (u32)n.value).p;
    *type = &v->m->types[n.value];
    return n.p;
}

static const u8 *imm_reftype(struct validator *v, const u8 *p, u8 *type)
{
    if (imm_bytes(v, p, 1) == NULL)
        return NULL;
    *type = *p;
    return is_reftype(*p) ? p + 1 : fail(v, ERR_MALFORMED, "malformed reference type").p;
}

static const u8 *imm_table(struct validator *v, const u8 *p, u8 *elem)
{
    u32 table;
    p = imm_index(v, p, v->m->ntables, "table", &table);
    if (p)
        *elem = v->m->tables[table].elem;
    return p;
}

// Branch entries
// -------------------------------------------------------------------------------------------------------

struct label {
    const u8 *types;
    u32 n;
};

static struct label label_of(const struct frame *f)
{
    const struct functype *t = f->type;
    return f->kind == FRAME_LOOP ? (struct label){t->types, t->nparams}
                                 : (struct label){t->types + t->nparams, t->nresults};
}

static s32 offset_of(const struct validator *v, const u8 *p)
{
    return (s32)(p - v->code);
}

// Until its target is known, an entry holds in dpc the entry that waits for the same target before
// it, and in dside the offset of its instruction.
static bool add_branch(struct validator *v, struct frame *f, u32 keep, u32 drop)
{
    s32 index = (s32)v->branches.count;
    if (unlikely(!vec_reserve(&v->branches, 1))) {
        no_memory(v);
        return false;
    }
    struct branch *b = &v->branches.at[v->branches.count++];
    s32 pc = offset_of(v, v->pc);
    if (f->kind == FRAME_LOOP) {
        *b = (struct branch){f->fix - pc, f->side - index, keep, drop};
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
    for (s32 next, i = f->fix; i != NONE; i = next) {
        next = v->branches.at[i].dpc;
        resolve(v, i, target);
    }
}

// The entry of a branch to f with the stack as it is after the condition has been taken off.
static bool branch_to(struct validator *v, struct frame *f, u8 *sp)
{
    if (!(v->want & WANT_BRANCHES))
        return true;
    u32 keep = label_of(f).n;
    u32 cells = (u32)(sp - v->stack) - f->height;
    return add_branch(v, f, keep, cells > keep ? cells - keep : 0);
}

// Initialization of locals, as in WebAssembly 3.0
// ----------------------------------------------------------------------

static inline bool local_initialized(const struct validator *v, u32 x)
{
    return v->initialized[x / 64] >> (x % 64) & 1;
}

__attribute__((noinline)) static void local_read_early(struct validator *v, u32 x)
{
    if (!innermost(v)->unreachable)
        v->zero[x / 64] |= 1ull << (x % 64);
}

__attribute__((noinline)) static bool local_first_write(struct validator *v, u32 x)
{
    if (innermost(v)->unreachable)
        return true;
    v->initialized[x / 64] |= 1ull << (x % 64);
    if (likely(vec_push(&v->inits, (u16)x)))
        return true;
    no_memory(v);
    return false;
}

static void locals_forget(struct validator *v, u32 inits)
{
    while (v->inits.count > inits) {
        u32 x = v->inits.at[--v->inits.count];
        v->initialized[x / 64] &= ~(1ull << (x % 64));
    }
}

// Loops and calls
// ------------------------------------------------------------------------------------------------------

static void note_call(struct validator *v)
{
    v->calls = true;
    if (v->loop != NONE)
        v->loops.at[v->loop].calls = true;
}

static void loop_depth(struct validator *v, s32 step)
{
    v->loop_depth += (u32)step;
    v->depth_bits = (v->loop_depth < 255 ? v->loop_depth : 255) << 16;
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
// ---------------------------------------------------------------------------------------------------------------

// Opens a frame above sp. `p` is the first instruction in it.
static struct frame *frame_open(struct validator *v, enum frame_kind kind,
                                const struct functype *type, u8 *sp, const u8 *p)
{
    if (unlikely(!vec_reserve(&v->frames, 1))) {
        no_memory(v);
        return NULL;
    }
    struct frame *f = &v->frames.at[v->frames.count++];
    *f = (struct frame){
        .type = type,
        .height = (u32)(sp - v->stack),
        .inits = v->inits.count,
        .fix = kind == FRAME_LOOP ? offset_of(v, p) : NONE,
        .side = (s32)v->branches.count,
        .kind = kind,
    };
    v->base = sp;
    if (v->frames.count > v->max_depth)
        v->max_depth = v->frames.count;
    return f;
}

static struct cursor op_block(struct validator *v, struct cursor c, enum frame_kind kind)
{
    const struct functype *t;
    c.p = imm_blocktype(v, c.p, &t);
    if (!c.p)
        return failed;
    if (kind == FRAME_IF)
        c.sp = pop(v, c.sp, TYPE_I32);
    if (c.sp)
        c.sp = pop_many(v, c.sp, t->types, t->nparams);
    if (!c.sp)
        return failed;
    struct frame *f = frame_open(v, kind, t, c.sp, c.p);
    if (!f)
        return failed;
    if (kind == FRAME_LOOP && (v->want & WANT_USES) && !loop_begin(v, f))
        return failed;
    if (kind == FRAME_IF && (v->want & WANT_BRANCHES)) {
        if (!add_branch(v, f, 0, 0))
            return failed;
        f->fix = NONE; // it waits for `else`, not for the end: side is its index
    }
    return at(c.p, push_many(v, c.sp, t->types, t->nparams));
}

// The results at the end of a block, and nothing else.
static bool check_results(struct validator *v, const struct frame *f, u8 *sp)
{
    struct label results = {f->type->types + f->type->nparams, f->type->nresults};
    u8 *rest = pop_many(v, sp, results.types, results.n);
    if (rest && rest != v->base)
        fail(v, ERR_INVALID, "type mismatch: %u values too many at the end of a block",
             (u32)(rest - v->base));
    return rest == v->base;
}

static struct cursor op_else(struct validator *v, struct cursor c)
{
    struct frame *f = innermost(v);
    if (f->kind != FRAME_IF)
        return fail(v, ERR_MALFORMED, "END opcode expected (else without if)");
    if (!check_results(v, f, c.sp))
        return failed;
    locals_forget(v, f->inits);
    f->kind = FRAME_ELSE;
    f->unreachable = false;
    if (v->want & WANT_BRANCHES) {
        if (!add_branch(v, f, 0, 0))
            return failed;
        resolve(v, f->side, c.p);
    }
    return at(c.p, push_many(v, v->base, f->type->types, f->type->nparams));
}

static bool check_lone_if(struct validator *v, const struct functype *t)
{
    if (t->nparams == t->nresults && memcmp(t->types, t->types + t->nparams, t->nparams) == 0)
        return true;
    fail(v, ERR_INVALID, "type mismatch: if without else must leave what it takes");
    return false;
}

static struct cursor end_function(struct validator *v, struct cursor c, struct frame *f)
{
    if (v->want & WANT_BRANCHES)
        resolve_all(v, f, v->pc);
    v->frames.count = 0;
    if (c.p == v->end)
        return c;
    v->pc = c.p;
    return fail(v, ERR_MALFORMED, "section size mismatch (code after the end of the function)");
}

static struct cursor op_end(struct validator *v, struct cursor c)
{
    struct frame *f = innermost(v);
    if (!check_results(v, f, c.sp))
        return failed;
    if (f->kind == FRAME_FUNC)
        return end_function(v, c, f);
    if (f->kind == FRAME_IF && !check_lone_if(v, f->type))
        return failed;
    locals_forget(v, f->inits);
    if (f->kind == FRAME_LOOP) {
        if (v->want & WANT_USES)
            loop_end(v, f);
    } else if (v->want & WANT_BRANCHES) {
        resolve_all(v, f, c.p);
        if (f->kind == FRAME_IF)
            resolve(v, f->side, c.p);
    }
    const struct functype *t = f->type;
    u8 *sp = v->base;
    v->frames.count--;
    v->base = v->stack + innermost(v)->height;
    return at(c.p, push_many(v, sp, t->types + t->nparams, t->nresults));
}

// Branches
// -------------------------------------------------------------------------------------------------------------

static struct cursor unreachable(struct validator *v, const u8 *p)
{
    innermost(v)->unreachable = true;
    return (struct cursor){p, v->base};
}

static const u8 *imm_label(struct validator *v, const u8 *p, struct frame **f)
{
    u32 depth;
    p = imm_index(v, p, v->frames.count, "label", &depth);
    if (p)
        *f = &v->frames.at[v->frames.count - 1 - depth];
    return p;
}

static struct cursor op_br(struct validator *v, struct cursor c)
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

static struct cursor op_br_if(struct validator *v, struct cursor c)
{
    struct frame *f;
    c.p = imm_label(v, c.p, &f);
    c.sp = c.p ? pop(v, c.sp, TYPE_I32) : NULL;
    if (!c.sp)
        return failed;
    struct label l = label_of(f);
    u8 *sp = pop_many(v, c.sp, l.types, l.n);
    if (!sp || !branch_to(v, f, c.sp))
        return failed;
    return at(c.p, push_many(v, sp, l.types, l.n));
}

// Labels with the same types as the one before need no second look; a table of 65,520 labels that
// alternate between two types of 1000 values costs some milliseconds.
static struct cursor op_br_table(struct validator *v, struct cursor c)
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
    struct label last = {NULL, 0};
    for (u32 i = 0; i <= n; i++) {
        struct frame *f;
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

static struct cursor op_return(struct validator *v, struct cursor c)
{
    struct label l = label_of(&v->frames.at[0]);
    return pop_many(v, c.sp, l.types, l.n) ? unreachable(v, c.p) : failed;
}

// Calls
// ----------------------------------------------------------------------------------------------------------------

static struct cursor call_type(struct validator *v, struct cursor c, const struct functype *t)
{
    note_call(v);
    c.sp = pop_many(v, c.sp, t->types, t->nparams);
    return c.sp ? at(c.p, push_many(v, c.sp, t->types + t->nparams, t->nresults)) : failed;
}

static struct cursor op_call(struct validator *v, struct cursor c)
{
    u32 func;
    c.p = imm_index(v, c.p, v->m->nfuncs, "function", &func);
    return c.p ? call_type(v, c, module_func_type(v->m, func)) : failed;
}

static struct cursor op_call_indirect(struct validator *v, struct cursor c)
{
    u32 type;
    u8 elem = 0;
    c.p = imm_u32(v, c.p, &type);
    if (c.p)
        c.p = imm_table(v, c.p, &elem);
    if (!c.p)
        return failed;
    if (elem != TYPE_FUNCREF)
        return fail(v, ERR_INVALID, "type mismatch: call_indirect needs a table of funcref");
    if (type >= v->m->ntypes)
        return fail(v, ERR_INVALID, "unknown type %u", type);
    c.sp = pop(v, c.sp, TYPE_I32);
    return c.sp ? call_type(v, c, &v->m->types[type]) : failed;
}

// Parametric instructions, globals, references, tables
// -----------------------------------------------------------------

static struct cursor op_select(struct validator *v, struct cursor c)
{
    u8 a = 0, b = 0;
    c.sp = pop(v, c.sp, TYPE_I32);
    if (c.sp)
        c.sp = pop_any(v, c.sp, &b);
    if (c.sp)
        c.sp = pop_any(v, c.sp, &a);
    if (!c.sp)
        return failed;
    if (is_reftype(a) || is_reftype(b))
        return fail(v, ERR_INVALID, "type mismatch: select without a type takes no references");
    if (a && b && a != b)
        return at(c.p, mismatch(v, a, b));
    return at(c.p, push(v, c.sp, a ? a : b));
}

static struct cursor op_select_t(struct validator *v, struct cursor c)
{
    u32 n;
    c.p = imm_u32(v, c.p, &n);
    if (!c.p)
        return failed;
    if (n != 1)
        return fail(v, ERR_INVALID, "invalid result arity (%u types in select)", n);
    const u8 *p = imm_bytes(v, c.p, 1);
    if (!p)
        return failed;
    u8 t = *c.p;
    if (!is_valtype(t))
        return fail(v, ERR_MALFORMED, "malformed value type");
    u8 params[3] = {t, t, TYPE_I32};
    c.sp = pop_many(v, c.sp, params, 3);
    return c.sp ? at(p, push_many(v, c.sp, params, 1)) : failed;
}

static struct cursor op_global(struct validator *v, struct cursor c, bool set)
{
    u32 x;
    c.p = imm_index(v, c.p, v->m->nglobals, "global", &x);
    if (!c.p)
        return failed;
    const struct global_type *g = &v->m->globals[x];
    if (!set)
        return at(c.p, push_many(v, c.sp, &g->type, 1));
    if (!g->mutable)
        return fail(v, ERR_INVALID, "global is immutable (global %u)", x);
    return at(c.p, pop(v, c.sp, g->type));
}

static struct cursor op_ref_null(struct validator *v, struct cursor c)
{
    u8 type = 0;
    c.p = imm_reftype(v, c.p, &type);
    return c.p ? at(c.p, push(v, c.sp, type)) : failed;
}

static struct cursor op_ref_is_null(struct validator *v, struct cursor c)
{
    u8 found;
    c.sp = pop_any(v, c.sp, &found);
    if (c.sp && found && !is_reftype(found))
        return fail(v, ERR_INVALID, "type mismatch: expected a reference, found %s",
                    valtype_text(found));
    return c.sp ? at(c.p, push(v, c.sp, TYPE_I32)) : failed;
}

static struct cursor op_ref_func(struct validator *v, struct cursor c)
{
    const struct module *m = v->m;
    u32 func;
    c.p = imm_index(v, c.p, m->nfuncs, "function", &func);
    if (!c.p)
        return failed;
    if (func < m->nimported_funcs ? !m->declared[func] : !m->funcs[func].ref)
        return fail(v, ERR_INVALID, "undeclared function reference %u", func);
    return at(c.p, push(v, c.sp, TYPE_FUNCREF));
}

// Instructions on one table: types with R for the table's element type.
static struct cursor op_table(struct validator *v, struct cursor c, const char *params,
                              const char *results)
{
    u8 elem = 0;
    c.p = imm_table(v, c.p, &elem);
    if (!c.p)
        return failed;
    size_t n = strlen(params);
    while (n-- > 0 && c.sp)
        c.sp = pop(v, c.sp, params[n] == 'R' ? elem : TYPE_I32);
    if (*results && c.sp)
        c.sp = push(v, c.sp, *results == 'R' ? elem : TYPE_I32);
    return at(c.p, c.sp);
}

static struct cursor table_pair(struct validator *v, struct cursor c, u8 dst, u8 src)
{
    if (dst != src)
        return at(c.p, mismatch(v, dst, src));
    return at(c.p, apply(v, c.sp, "iii", ""));
}

static struct cursor op_table_copy(struct validator *v, struct cursor c)
{
    u8 dst = 0, src = 0;
    c.p = imm_table(v, c.p, &dst);
    if (c.p)
        c.p = imm_table(v, c.p, &src);
    return c.p ? table_pair(v, c, dst, src) : failed;
}

static struct cursor op_table_init(struct validator *v, struct cursor c)
{
    u32 segment;
    u8 elem = 0;
    c.p = imm_u32(v, c.p, &segment);
    if (c.p)
        c.p = imm_table(v, c.p, &elem);
    if (!c.p)
        return failed;
    if (segment >= v->m->nelems)
        return fail(v, ERR_INVALID, "unknown elem segment %u", segment);
    return table_pair(v, c, elem, v->m->elems[segment].type);
}

static struct cursor op_elem_drop(struct validator *v, struct cursor c)
{
    u32 segment;
    c.p = imm_index(v, c.p, v->m->nelems, "elem segment", &segment);
    return c.p ? c : failed;
}

// Memory
// ---------------------------------------------------------------------------------------------------------------

static struct cursor data_index(struct validator *v, struct cursor c, u32 segment)
{
    if (segment >= v->m->ndatas)
        return fail(v, ERR_INVALID, "unknown data segment %u", segment);
    return c;
}

static const u8 *imm_data(struct validator *v, const u8 *p, u32 *segment)
{
    p = imm_u32(v, p, segment);
    if (p && !v->m->has_data_count)
        return fail(v, ERR_MALFORMED, "data count section required").p;
    return p;
}

static struct cursor op_memory_init(struct validator *v, struct cursor c)
{
    u32 segment;
    c.p = imm_data(v, c.p, &segment);
    if (c.p)
        c.p = imm_memory(v, c.p);
    c.sp = c.p ? apply(v, c.sp, "iii", "") : NULL;
    return c.sp ? data_index(v, c, segment) : failed;
}

static struct cursor op_data_drop(struct validator *v, struct cursor c)
{
    u32 segment;
    c.p = imm_data(v, c.p, &segment);
    return c.p ? data_index(v, c, segment) : failed;
}

static struct cursor op_memory(struct validator *v, struct cursor c, u32 zeros, const char *params,
                               const char *results)
{
    while (zeros-- > 0 && c.p)
        c.p = imm_memory(v, c.p);
    return c.p ? at(c.p, apply(v, c.sp, params, results)) : failed;
}

// Simple instructions off the fast path
// --------------------------------------------------------------------------------

__attribute__((noinline)) static struct cursor op_un(struct validator *v, struct cursor c,
                                                     struct row row)
{
    c.sp = pop(v, c.sp, row.a);
    return c.sp ? at(c.p, push(v, c.sp, row.r)) : failed;
}

__attribute__((noinline)) static struct cursor op_bin(struct validator *v, struct cursor c,
                                                      struct row row)
{
    c.sp = pop(v, c.sp, row.a);
    if (c.sp)
        c.sp = pop(v, c.sp, row.a);
    return c.sp ? at(c.p, push(v, c.sp, row.r)) : failed;
}

static struct cursor illegal(struct validator *v, u32 prefix, u32 op)
{
    if (prefix)
        return fail(v, ERR_MALFORMED, "illegal opcode %02x %x", prefix, op);
    return fail(v, ERR_MALFORMED, "illegal opcode %02x", op);
}

static struct cursor op_fc(struct validator *v, struct cursor c)
{
    u32 op;
    c.p = imm_u32(v, c.p, &op);
    if (!c.p)
        return failed;
    if (op >= 32)
        return illegal(v, 0xfc, op);
    struct row row = rows[ROW_FC + op];
    if (row.kind == K_UN)
        return op_un(v, c, row);
    if (row.kind != K_ILLEGAL && row.kind != K_table_size)
        note_call(v);
    switch (row.kind) {
    case K_memory_init: return op_memory_init(v, c);
    case K_data_drop: return op_data_drop(v, c);
    case K_memory_copy: return op_memory(v, c, 2, "iii", "");
    case K_memory_fill: return op_memory(v, c, 1, "iii", "");
    case K_table_init: return op_table_init(v, c);
    case K_elem_drop: return op_elem_drop(v, c);
    case K_table_copy: return op_table_copy(v, c);
    case K_table_grow: return op_table(v, c, "Ri", "i");
    case K_table_size: return op_table(v, c, "", "i");
    case K_table_fill: return op_table(v, c, "iRi", "");
    default: return illegal(v, 0xfc, op);
    }
}

static const u8 *imm_lanes(struct validator *v, const u8 *p, u32 n, u32 below)
{
    const u8 *end = imm_bytes(v, p, n);
    for (; end && p < end; p++)
        if (*p >= below)
            return fail(v, ERR_INVALID, "invalid lane index %u", *p).p;
    return end;
}

static const u8 *imm_simd(struct validator *v, const u8 *p, u32 imm)
{
    u32 log = imm & 7;
    switch (imm & 0x30) {
    case SIMD_MEM_0: return imm_memarg(v, p, log);
    case SIMD_MEMLANE_0: p = imm_memarg(v, p, log); return p ? imm_lanes(v, p, 1, 16 >> log) : NULL;
    case SIMD_LANE_2 & 0x30: return imm_lanes(v, p, 1, 1 << log);
    }
    if (imm == SIMD_NONE)
        return p;
    return imm == SIMD_V128 ? imm_bytes(v, p, 16) : imm_lanes(v, p, 16, 32);
}

static struct cursor op_fd(struct validator *v, struct cursor c)
{
    u32 op;
    c.p = imm_u32(v, c.p, &op);
    if (!c.p)
        return failed;
    if (op >= 256 || simd_rows[op].imm == SIMD_ILLEGAL)
        return illegal(v, 0xfd, op);
    note_simd(v);
    const struct simd_row *row = &simd_rows[op];
    c.p = imm_simd(v, c.p, row->imm);
    return c.p ? at(c.p, apply(v, c.sp, row->params, row->results)) : failed;
}

static struct cursor op_constant(struct validator *v, struct cursor c, u32 size, u8 type)
{
    c.p = imm_bytes(v, c.p, size);
    return c.p ? at(c.p, push(v, c.sp, type)) : failed;
}

static struct cursor op_drop(struct validator *v, struct cursor c)
{
    u8 found;
    return at(c.p, pop_any(v, c.sp, &found));
}

// The walk
// -------------------------------------------------------------------------------------------------------------

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

static inline const u8 *local_index(struct validator *v, const u8 *p, u32 *x)
{
    p = imm_u32(v, p, x);
    if (likely(p && *x < v->nlocals))
        return p;
    if (p)
        fail(v, ERR_INVALID, "unknown local %u", *x);
    return NULL;
}

static inline void note_use(struct validator *v, u32 x, u32 flags)
{
    if (v->want & WANT_USES) // room was made for all that a body can have
        v->uses.at[v->uses.count++] = x | v->depth_bits | flags;
}

static inline struct cursor op_local_get(struct validator *v, struct cursor c)
{
    u32 x;
    c.p = local_index(v, c.p, &x);
    if (unlikely(!c.p))
        return failed;
    note_use(v, x, 0);
    if (unlikely(!local_initialized(v, x)))
        local_read_early(v, x);
    return at(c.p, push(v, c.sp, v->types[x]));
}

static inline struct cursor op_local_set(struct validator *v, struct cursor c, bool tee)
{
    u32 x;
    c.p = local_index(v, c.p, &x);
    if (unlikely(!c.p))
        return failed;
    note_use(v, x, LOCAL_USE_WRITE);
    if (unlikely(!local_initialized(v, x) && !local_first_write(v, x)))
        return failed;
    c.sp = pop(v, c.sp, v->types[x]);
    if (tee && likely(c.sp))
        c.sp = push(v, c.sp, v->types[x]);
    return at(c.p, c.sp);
}

static inline const u8 *memarg(struct validator *v, const u8 *p, u32 natural)
{
    if (likely(v->end - p >= 3 && p[0] <= natural && v->memory)) {
        if (p[1] < 0x80)
            return p + 2;
        if (p[2] < 0x80)
            return p + 3;
    }
    return imm_memarg(v, p, natural);
}

static status walk(struct validator *v)
{
    struct cursor c = {v->code, v->stack};
    const u8 *end = v->end;
    while (likely(c.p < end)) {
        v->pc = c.p;
        struct row row = rows[*c.p++];
        switch (row.kind) {
        case K_UN:
            if (likely(c.sp > v->base && c.sp[-1] == row.a))
                c.sp[-1] = row.r;
            else
                c = op_un(v, c, row);
            break;
        case K_BIN:
            if (likely(c.sp - v->base >= 2 && c.sp[-1] == row.a && c.sp[-2] == row.a))
                *(--c.sp - 1) = row.r;
            else
                c = op_bin(v, c, row);
            break;
        case K_LOAD:
            c.p = memarg(v, c.p, row.align);
            if (likely(c.p && c.sp > v->base && c.sp[-1] == TYPE_I32))
                c.sp[-1] = row.r;
            else if (c.p)
                c = op_un(v, c, (struct row){.a = TYPE_I32, .r = row.r});
            break;
        case K_STORE:
            c.p = memarg(v, c.p, row.align);
            if (likely(c.p && c.sp - v->base >= 2 && c.sp[-1] == row.a && c.sp[-2] == TYPE_I32)) {
                c.sp -= 2;
            } else if (c.p) {
                const u8 params[2] = {TYPE_I32, row.a};
                c = at(c.p, pop_many(v, c.sp, params, 2));
            }
            break;
        case K_local_get: c = op_local_get(v, c); break;
        case K_local_set: c = op_local_set(v, c, false); break;
        case K_local_tee: c = op_local_set(v, c, true); break;
        case K_i32_const:
            c.p = imm_const(v, c.p, 32);
            c = c.p ? at(c.p, push(v, c.sp, TYPE_I32)) : c;
            break;
        case K_i64_const:
            c.p = imm_const(v, c.p, 64);
            c = c.p ? at(c.p, push(v, c.sp, TYPE_I64)) : c;
            break;
        case K_PREFIX_FC: c = op_fc(v, c); break;
        case K_PREFIX_FD: c = op_fd(v, c); break;
        case K_unreachable: c = unreachable(v, c.p); break;
        case K_nop: break;
        case K_block: c = op_block(v, c, FRAME_BLOCK); break;
        case K_loop: c = op_block(v, c, FRAME_LOOP); break;
        case K_if: c = op_block(v, c, FRAME_IF); break;
        case K_else: c = op_else(v, c); break;
        case K_end: c = op_end(v, c); break;
        case K_br: c = op_br(v, c); break;
        case K_br_if: c = op_br_if(v, c); break;
        case K_br_table: c = op_br_table(v, c); break;
        case K_return: c = op_return(v, c); break;
        case K_call: c = op_call(v, c); break;
        case K_call_indirect: c = op_call_indirect(v, c); break;
        case K_drop: c = op_drop(v, c); break;
        case K_select: c = op_select(v, c); break;
        case K_select_t: c = op_select_t(v, c); break;
        case K_global_get: c = op_global(v, c, false); break;
        case K_global_set: c = op_global(v, c, true); break;
        case K_table_get:
            note_call(v);
            c = op_table(v, c, "i", "R");
            break;
        case K_table_set:
            note_call(v);
            c = op_table(v, c, "iR", "");
            break;
        case K_memory_size: c = op_memory(v, c, 1, "", "i"); break;
        case K_memory_grow:
            note_call(v);
            c = op_memory(v, c, 1, "i", "i");
            break;
        case K_f32_const: c = op_constant(v, c, 4, TYPE_F32); break;
        case K_f64_const: c = op_constant(v, c, 8, TYPE_F64); break;
        case K_ref_null: c = op_ref_null(v, c); break;
        case K_ref_is_null: c = op_ref_is_null(v, c); break;
        case K_ref_func: c = op_ref_func(v, c); break;
        default: c = illegal(v, 0, *v->pc);
        }
        if (unlikely(!c.p))
            return v->e->code;
    }
    if (unlikely(v->frames.count))
        out_of_bytes(v);
    return v->e->code;
}

// Locals and set-up
// ----------------------------------------------------------------------------------------------------

static bool add_locals(struct validator *v, struct reader *r, u32 n, u8 type)
{
    if (n > MAX_LOCALS || v->locals.count + n > MAX_LOCALS)
        return read_error(r, ERR_MALFORMED, r->p, "too many locals (the limit is %u)", MAX_LOCALS);
    if (!vec_reserve(&v->locals, n))
        return read_error(r, ERR_NO_MEMORY, r->p, "out of memory");
    memset(v->locals.at + v->locals.count, type, n);
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
    memcpy(v->locals.at, t->types, t->nparams);
    v->locals.count = t->nparams;
    for (u32 i = 0; i < t->nparams + t->nresults; i++)
        if (t->types[i] == TYPE_V128)
            note_simd(v);
    for (u32 i = read_u32(r); i > 0 && read_ok(r); i--) {
        v->pc = r->p;
        u32 n = read_u32(r);
        add_locals(v, r, n, read_valtype(r));
    }
    v->types = v->locals.at;
    v->nlocals = v->locals.count;
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

static bool start_body(struct validator *v, const struct functype *t, const u8 *code)
{
    v->code = code;
    v->base = v->high = v->stack;
    v->frames.count = v->inits.count = v->branches.count = v->uses.count = v->loops.count = 0;
    v->max_depth = v->loop_depth = v->depth_bits = 0;
    v->loop = NONE;
    v->memory = v->m->nmemories > 0;
    v->calls = false;
    u32 size = (u32)(v->end - code);
    if (!clear_bits(v, t->nparams) ||
        ((v->want & WANT_USES) && !vec_reserve(&v->uses, size / 2 + 1)) ||
        !frame_open(v, FRAME_FUNC, t, v->stack, code)) {
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
        .calls = v->calls,
        .simd = v->simd,
        .simd_offset = v->simd_offset,
        .zero = v->zero,
        .branches = v->branches.at,
        .nbranches = v->branches.count,
        .uses = v->uses.at,
        .nuses = v->uses.count,
        .loops = v->loops.at,
        .nloops = v->loops.count,
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
    v->simd_offset = 0;
    struct reader r = {m->bytes + f->start, v->end, m->bytes, e};
    v->pc = r.p;
    if (!read_locals(v, t, &r) || !start_body(v, t, r.p) || walk(v))
        return e->code;
    fill_body(v, t, out);
    return OK;
}

enum { FIRST_STACK = 4096 };

struct validator *validator_create(void)
{
    struct validator *v = heap_zalloc(sizeof *v);
    u8 *stack = v ? heap_alloc(FIRST_STACK) : NULL;
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
    vec_free(&v->loops);
    heap_free(v);
}
