// SPDX-License-Identifier: MIT
// Validation of one function body: one linear walk, no recursion, which also notes what its
// consumers need, so that they can trust the bytes and decode them without a check. This walk is
// the only place where the bytes of a body are judged; interp and the compilers run on what it
// accepted.
//
// The validator owns its scratch memory and reuses it from body to body; everything in struct body
// that is a pointer points into that scratch or into the module and is good until the next call.
#pragma once
#include "wasm/module.h"

// A transfer of control as the in-place interpreter needs it (Titzer, "A fast in-place interpreter
// for WebAssembly", OOPSLA 2022). One entry per br, br_if, if and else, count + 1 per br_table, one
// per handler of a try_table, and one per catch, which the code before it takes as with else; one
// of rethrow has handler_note.hidden in `keep`. They are in the order of the code. `if` uses its
// entry when the condition is false, `else` when the first arm runs into it. Taking an entry: move
// `keep` cells down over `drop` cells, pc += dpc, entry pointer += dside; both relative to the
// branch instruction and to the entry itself. dpc leads to the instruction after `end` or `else`,
// or to the first instruction in a loop (the byte after the block type). A branch to the function's
// own label leads to the function's final `end`. Not taking an entry: the interpreter steps over it
// (over all of them: br_table always takes one). A branch back where loops poll (module_polls) has
// BRANCH_POLL in `drop`.
struct branch {
    s32 dpc;
    s32 dside;
    u32 keep, drop;
};
#define BRANCH_POLL 0x80000000u

// A use of a local, in the order of the code: index in the low 16 bits, loop depth (saturated at
// 255) in bits 16-23, and what follows above. After a read that is the last one, no way leads to
// another read of the value.
typedef u32 local_use;
#define LOCAL_USE_WRITE 0x80000000u
#define LOCAL_USE_LAST 0x40000000u
#define LOCAL_USE_LAST_BUT_ZERO 0x20000000u // unless the local is in body.zero
#define LOCAL_USE_DEPTH 0x00ff0000u

// What a use counts for a region, with so many loops in between. These choose registers of their
// own: what it saves there is a load and a store each time such a loop is entered and left, however
// often it goes round. All uses of a body (MAX_BODY_SIZE) stay below 2^31.
static inline u32 use_weight(u32 loops)
{
    return 1u << 2 * (loops < 4 ? loops : 4);
}

// A local, and its web in work: from a write to the end of the frame that the write lies in
// directly, or to the next such write in this frame; a parameter is written when the function
// begins. A write in a frame within belongs to the web, too.
struct web {
    u32 last;  // number + 1 of the latest use of the local, in a web or not
    u32 level; // frames that were open at the write
    local_use depth;
    u32 weight; // of all uses so far, added up
};

// A loop, in the order of the code. uses[uses_start, uses_end) lie within it, inner loops included.
struct loop_note {
    u32 uses_start, uses_end;
    bool calls; // contains call, call_indirect, memory.grow or a bulk or table instruction that
                // calls the runtime, and comes back: not a call in front of `unreachable`
    bool inner; // contains a loop
};

// What catches, in the order of the code. `try` and `try_table` make a note each. An exception that
// comes out of [start, end) goes to the note's handlers in their order, and then to those of the
// note `outer`. Offsets are those of struct body's code.
struct try_note {
    u32 start, end;
    u32 around;      // note + 1 of the innermost one whose range this one lies in; 0: none
    u32 outer;       // the same, or where `delegate` leads
    u32 first, last; // handlers + 1; 0: none
    u32 height;      // cells of the operand stack below what is caught
};

// The cells of the exception, and then a reference to it if that is wanted, go to the operand
// stack. Then try_table's branch is taken, from pc; `catch` and `catch_all` go on at pc, and keep
// the reference for `rethrow`, if there is one, where it knows.
struct handler_note {
    u32 tag;    // HANDLER_ALL: whatever it is
    u32 next;   // of the same note, + 1; 0: none
    u32 pc;     // of the try_table, or the first instruction behind catch
    u32 side;   // branch entry, or the first one from there on
    u32 hidden; // of catch: the local behind all others that it keeps the reference in
    bool table; // of try_table
    bool pays;  // has the cells
    bool keeps; // the reference
};
#define HANDLER_ALL UINT32_MAX

enum validate_want {
    WANT_BRANCHES = 1, // for the interpreter
    WANT_USES = 2,     // for the compilers
};

// Locals of type v128 that are better held as four values of 32 bits each, for compilers that can:
// all that is read of them is lanes, for the most part. `built` are put together from such values;
// the others are lanes of these, shifted and masked. They are no parameters, and written before
// they are read.
// Code that is to be small, the kernel's, goes without: it is 7.5 KB.
#ifdef __OPTIMIZE_SIZE__
enum { LANES_HELD = 0 };
#else
enum { LANES_HELD = 1 };
#endif
enum { LANE_LOCALS = 6 };
struct lane_local {
    u16 local;
    bool built;
};

struct body {
    const u8 *code, *end; // first instruction; one past the final `end`
    const struct functype *type;
    const valtype *locals; // types, parameters included
    u32 nlocals;
    u32 max_stack;   // cells of the operand stack at its highest; v128 takes one cell here
    u32 max_depth;   // nesting of blocks at its deepest, the function's own included: at least 1
    u32 quiet;       // bytes of code that may run without a call, or a branch back, in between
    bool calls;      // there is a call, or such an instruction
    bool keeps;      // one that comes back: calls of loop_note, for the whole body
    bool simd;       // uses v128 anywhere, types of locals included
    bool far;        // accesses memory by more than an i32 and an offset of five bytes
    const u64 *zero; // bit i set: local i (not a parameter) may be read before it is written
    struct branch *branches;
    u32 nbranches;
    const local_use *uses;
    u32 nuses;
    const struct web *webs; // of each local, for its weight
    const struct loop_note *loops;
    u32 nloops;
    struct try_note *tries;
    u32 ntries;
    struct handler_note *handlers;
    u32 nhandlers;
    u32 hidden; // so many locals there are for handler_note.hidden
    struct lane_local lanes[LANE_LOCALS];
    u32 nlanes;
};

struct validator;

struct validator *validator_create(void); // NULL: no memory
void validator_free(struct validator *v);

// Validates body `func` (function index, not imported) of a decoded module. Offsets in *e are in
// the module.
status validate_body(struct validator *v, const struct module *m, u32 func, u32 want,
                     struct body *out, struct error *e);
