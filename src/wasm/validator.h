// SPDX-License-Identifier: MIT
// Between the files of the validator: its state, the operand stack, and immediates.
//
//   validate.c        the walk, the common instructions, locals, the public functions
//   validate_stack.c  errors, the operand stack, immediates
//   validate_flow.c   blocks, branches, calls, and the notes about them
//   validate_catch.c  exceptions
//   validate_lanes.c  vectors that are better held lane by lane
//   validate_object.c structs, arrays, casts
//   validate_ops.c    everything else
//
// The operand stack is an array of value types; TYPE_ANYTHING is what unreachable code leaves open.
// Where the walk stands is a cursor of two pointers, which travels in registers: functions for
// instructions take it and return the next one, with p = NULL after an error, which is then in
// *v->e. Functions on the operand stack do the same with its top, functions on immediates with p.
// The stack may move when it grows: only the returned top is good.
#pragma once
#include "base/vec.h"
#include "wasm/typesec.h"
#include "wasm/validate.h"

enum { NONE = -1 };

enum frame_kind {
    FRAME_FUNC,
    FRAME_BLOCK,
    FRAME_LOOP,
    FRAME_IF,
    FRAME_ELSE,
    FRAME_TRY,
    FRAME_CATCH,
    FRAME_CATCH_ALL, // that is the last one
    FRAME_TABLE,
};

struct frame {
    const valtype *types; // parameters, then results
    u32 height;           // of the operand stack, without the block's parameters
    s32 fix;   // last branch to the end that waits for its target, NONE; loop: offset of the first
               // instruction
    s32 side;  // loop: number of branch entries before it; if: the entry of its own; what
               // catches: its try_note
    s32 outer; // loop: note of the enclosing loop, or NONE; catch: how many are around it
    u16 nparams, nresults;
    u16 inits; // length of the log of initialized locals
    u8 kind;
    bool unreachable;
};
_Static_assert(MAX_LOCALS <= UINT16_MAX && MAX_PARAMS <= UINT16_MAX && MAX_RESULTS <= UINT16_MAX,
               "struct frame");
_Static_assert(sizeof(struct frame) == 32, "a block of two bytes costs no more");

struct block_type {
    const valtype *types; // parameters, then results
    u32 nparams, nresults;
};

struct cursor {
    const u8 *p; // NULL: failed
    valtype *sp;
};

struct open_try {
    u32 frame, note;
};

struct validator {
    const struct module *m;
    struct error *e;
    u32 want;
    const u8 *pc; // instruction in work
    const u8 *code, *end;
    const u8 *stop; // where the walk looks up next, or the end
    u32 bodies;     // so far; so many of a few bytes take long, too

    valtype *base; // operand stack of the innermost frame starts here
    valtype *high; // highest top of stack so far
    valtype *stack, *limit;
    VEC(struct frame) frames;
    u32 max_depth;

    const valtype *types; // of the locals
    u64 *initialized;
    u64 *zero;
    u32 nlocals, nshort;          // those whose index is one byte
    const struct module *counted; // whose locals are in total_locals
    u64 total_locals;
    bool memory; // there is a memory 0, and its addresses are i32
    bool calls, keeps, simd, far;
    const u8 *called; // the latest call, or the start
    u32 quiet;        // as in struct body, up to there
    VEC(valtype) locals;
    VEC(u64) bits;
    VEC(u16) inits; // locals initialized in the open frames, in order

    VEC(struct branch) branches;
    u32 poll; // BRANCH_POLL when loops of the body poll, else 0
    VEC(local_use) uses;
    VEC(struct web) webs; // of each local that is initialized
    u32 straight;         // uses before the latest instruction that may go elsewhere
    local_use depth_bits; // loop depth where local_use has it
    u32 weight;           // of a use there
    u32 loop_depth;
    s32 loop; // note of the innermost loop
    VEC(struct loop_note) loops;

    VEC(struct try_note) tries;
    VEC(struct handler_note) handlers;
    VEC(struct open_try) open; // whose ranges the walk is in
    u32 catches, hidden;       // catch and catch_all around it; at most

    struct lane_seen { // a local of type v128: what its uses weigh of which only lanes are taken
        u32 local, taken;
        bool built, derived;
    } seen[LANE_LOCALS];
    u32 builds[16]; // uses before an i32x4.replace_lane
    u32 nseen, nbuilds;
};

// validate_stack.c: errors ------------------------------------------------------------------------

// Records an error at the instruction in work.
__attribute__((cold, format(printf, 3, 4))) struct cursor fail(struct validator *v, status code,
                                                               const char *format, ...);
struct cursor no_memory(struct validator *v);
struct cursor illegal(struct validator *v, u32 prefix, u32 op);
valtype *mismatch(struct validator *v, valtype expected, valtype found);
u32 quiet_at_end(const struct validator *v); // of the whole body
void note_simd(struct validator *v);

static const struct cursor failed = {NULL, NULL};

static inline struct cursor at(const u8 *p, valtype *sp)
{
    return likely(sp) ? (struct cursor){p, sp} : failed;
}

static inline struct frame *innermost(struct validator *v)
{
    return &v->frames.at[v->frames.count - 1];
}

// validate_stack.c: the operand stack -------------------------------------------------------------

// Makes room for n more values, and keeps the mark of the highest stack.
valtype *raise(struct validator *v, valtype *sp, u32 n);
valtype *push_list(struct validator *v, valtype *sp, const valtype *types, u32 n);
valtype *pop_list(struct validator *v, valtype *sp, const valtype *types, u32 n);
// Does a value of type a do where b is wanted? Neither need be a type of values.
static inline bool matches(const struct validator *v, valtype a, valtype b)
{
    return likely(a == b) || a == TYPE_ANYTHING || module_matches(v->m, a, b);
}
bool match_many(struct validator *v, const valtype *a, const valtype *b, u32 n);
valtype *pop_ref(struct validator *v, valtype *sp, valtype *type); // of whatever reference type
// *type is 0 when unreachable code leaves it open.
valtype *pop_any(struct validator *v, valtype *sp, valtype *type);
valtype *pop_slow(struct validator *v, valtype *sp, valtype type);
// Takes `params`, one character each (i l f d v; A B N R: the first to fourth of `types`), and puts
// `results`.
valtype *apply(struct validator *v, valtype *sp, const char *params, const char *results);
valtype *apply_types(struct validator *v, valtype *sp, const char *params, const char *results,
                     const valtype types[4]);

// raise() for one value, where no more memory is needed.
static inline bool raise_one(struct validator *v, valtype *sp)
{
    if (likely(sp < v->high))
        return true;
    if (unlikely(sp == v->limit))
        return false;
    v->high = sp + 1;
    return true;
}

static inline valtype *push(struct validator *v, valtype *sp, valtype type)
{
    if (unlikely(!raise_one(v, sp))) {
        sp = raise(v, sp, 1);
        if (!sp)
            return NULL;
    }
    *sp = type;
    return sp + 1;
}

static inline valtype *pop(struct validator *v, valtype *sp, valtype type)
{
    return likely(sp > v->base && sp[-1] == type) ? sp - 1 : pop_slow(v, sp, type);
}

static inline valtype *push_many(struct validator *v, valtype *sp, const valtype *types, u32 n)
{
    if (n == 1 && *types != TYPE_V128)
        return push(v, sp, *types);
    return n ? push_list(v, sp, types, n) : sp;
}

// Takes n values off, which must have these types.
static inline valtype *pop_many(struct validator *v, valtype *sp, const valtype *types, u32 n)
{
    if (n == 1)
        return pop(v, sp, *types);
    return n ? pop_list(v, sp, types, n) : sp;
}

// validate_stack.c: immediates --------------------------------------------------------------------

struct leb imm_slow(struct validator *v, const u8 *p, u32 bits, bool sign);
const u8 *imm_bytes(struct validator *v, const u8 *p, size_t n);
__attribute__((cold)) const u8 *unknown(struct validator *v, const char *what, u32 x);
const u8 *imm_zero(struct validator *v, const u8 *p); // a zero byte
// *type: of the memory's addresses.
const u8 *imm_memory(struct validator *v, const u8 *p, valtype *type);
const u8 *imm_memarg(struct validator *v, const u8 *p, u32 natural, valtype *type);
const u8 *imm_heaptype(struct validator *v, const u8 *p, bool null, valtype *type);
const u8 *imm_valtype(struct validator *v, const u8 *p, valtype *type);
// *type: of the table's indices.
const u8 *imm_table(struct validator *v, const u8 *p, valtype *elem, valtype *type);

static inline const u8 *imm_u32(struct validator *v, const u8 *p, u32 *x)
{
    if (likely(p < v->end && *p < 0x80)) {
        *x = *p;
        return p + 1;
    }
    if (likely(v->end - p >= 2 && p[1] < 0x80)) {
        *x = (p[0] & 0x7fu) | (u32)p[1] << 7;
        return p + 2;
    }
    struct leb n = imm_slow(v, p, 32, false);
    *x = (u32)n.value;
    return n.p;
}

// An index that must be below n.
static inline const u8 *imm_index(struct validator *v, const u8 *p, u32 n, const char *what, u32 *x)
{
    p = imm_u32(v, p, x);
    if (likely(p && *x < n))
        return p;
    return p ? unknown(v, what, *x) : NULL;
}

// Skips a LEB128 number of at most 4 bytes, which is valid whatever its type; NULL when it is
// longer. 4 bytes must be left. The length is found without a branch.
static inline const u8 *skip_leb(const u8 *p)
{
    u32 last = ~load_u32(p) & 0x80808080;
    return likely(last) ? p + (__builtin_ctz(last) >> 3) + 1 : NULL;
}

// validate_flow.c ---------------------------------------------------------------------------------

// Opens a frame above sp. `p` is the first instruction in it.
struct frame *frame_open(struct validator *v, enum frame_kind kind, struct block_type type,
                         valtype *sp, const u8 *p);
static inline struct block_type block_of(const struct functype *t)
{
    return (struct block_type){t->types, t->nparams, t->nresults};
}
// What a branch to a frame carries.
struct label {
    const valtype *types;
    u32 n;
};
struct label label_of(const struct frame *f);
const u8 *imm_blocktype(struct validator *v, const u8 *p, struct block_type *type);
const u8 *imm_label(struct validator *v, const u8 *p, struct frame **f);
bool add_branch(struct validator *v, struct frame *f, u32 keep, u32 drop);
// The entry of a branch to f with the stack as it is after the condition has been taken off.
bool branch_to(struct validator *v, struct frame *f, valtype *sp);
// The results at the end of a block, and nothing else.
bool check_results(struct validator *v, const struct frame *f, valtype *sp);
void locals_forget(struct validator *v, u32 inits);

static inline s32 offset_of(const struct validator *v, const u8 *p)
{
    return (s32)(p - v->code);
}

// Control may go elsewhere: what is written from here on need not be.
static inline void straight_end(struct validator *v)
{
    v->straight = v->uses.count;
}

void note_call(struct validator *v);
void web_end(struct validator *v, struct web *w);
struct cursor unreachable(struct validator *v, const u8 *p);
struct cursor op_block(struct validator *v, struct cursor c, enum frame_kind kind);
struct cursor op_else(struct validator *v, struct cursor c);
struct cursor op_end(struct validator *v, struct cursor c);
struct cursor op_br(struct validator *v, struct cursor c);
struct cursor op_br_if(struct validator *v, struct cursor c);
struct cursor op_br_table(struct validator *v, struct cursor c);
struct cursor op_return(struct validator *v, struct cursor c);
struct cursor op_call(struct validator *v, struct cursor c, bool tail);
struct cursor op_call_indirect(struct validator *v, struct cursor c, bool tail);
struct cursor op_call_ref(struct validator *v, struct cursor c, bool tail);
struct cursor op_br_on_null(struct validator *v, struct cursor c);
struct cursor op_br_on_non_null(struct validator *v, struct cursor c);
// The type of that index, which must be a function's; NULL: it is not.
const struct functype *func_type(struct validator *v, u32 type);

// validate_catch.c --------------------------------------------------------------------------------

bool try_begin(struct validator *v, struct frame *f); // `try`, whose frame is open
void try_end(struct validator *v);                    // of the innermost frame
struct cursor op_try_table(struct validator *v, struct cursor c);
struct cursor op_catch(struct validator *v, struct cursor c, bool all);
struct cursor op_delegate(struct validator *v, struct cursor c);
struct cursor op_throw(struct validator *v, struct cursor c);
struct cursor op_throw_ref(struct validator *v, struct cursor c);
struct cursor op_rethrow(struct validator *v, struct cursor c);

// validate_ops.c ----------------------------------------------------------------------------------

struct cursor op_drop(struct validator *v, struct cursor c);
struct cursor op_select(struct validator *v, struct cursor c);
struct cursor op_select_t(struct validator *v, struct cursor c);
struct cursor op_global(struct validator *v, struct cursor c, bool set);
struct cursor op_ref_null(struct validator *v, struct cursor c);
struct cursor op_ref_is_null(struct validator *v, struct cursor c);
struct cursor op_ref_func(struct validator *v, struct cursor c);
struct cursor op_ref_as_non_null(struct validator *v, struct cursor c);
// Instructions on one table: parameters and results as in apply_types(), with A for the type of its
// indices and R for that of its elements.
struct cursor op_table(struct validator *v, struct cursor c, const char *params,
                       const char *results);
struct cursor op_table_copy(struct validator *v, struct cursor c);
struct cursor op_table_init(struct validator *v, struct cursor c);
struct cursor op_elem_drop(struct validator *v, struct cursor c);
// Instructions on n memories, 1 or 2: A and B are the types of their addresses, and N the narrower
// one.
struct cursor op_memory(struct validator *v, struct cursor c, u32 n, const char *params,
                        const char *results);
struct cursor op_memory_init(struct validator *v, struct cursor c);
struct cursor op_data_drop(struct validator *v, struct cursor c);
struct cursor op_constant(struct validator *v, struct cursor c, u32 size, valtype type);
struct cursor op_fd(struct validator *v, struct cursor c); // all of prefix 0xfd
// An atomic access: sig is the type of operands and result, the number of operands behind the
// address << 8, whether there is a result, and log2 of the alignment << 16.
enum { ATOMIC_RESULT = 1 << 10 };
struct cursor op_atomic(struct validator *v, struct cursor c, u32 sig);
// One that calls the runtime, and has an i32 as its result.
struct cursor op_atomic_call(struct validator *v, struct cursor c, u32 align, const char *params);

// validate_lanes.c --------------------------------------------------------------------------------

// An instruction of prefix 0xfd; p is behind its number.
void lanes_note(struct validator *v, u32 op, const u8 *p);
void lanes_choose(struct validator *v, struct body *out);

// validate_object.c -------------------------------------------------------------------------------

struct cursor op_fb(struct validator *v, struct cursor c); // all of prefix 0xfb
struct cursor op_ref_eq(struct validator *v, struct cursor c);
