// SPDX-License-Identifier: MIT
// Inside the interpreter: what interp.c (compile, call, trace) and run.c (the instructions) share.
//
// Memory of a call. thread->cells..cells_end holds two stacks that grow towards each other: cells
// upwards, frame records downwards. An activation's cells are its locals, then its operands; the
// arguments of a call are the topmost operands of the caller and become the first locals of the
// callee where they are, and so do the results on the way back.
//
//     cells -> | locals operands |args              |            | frame  frame  frame | <-
//     cells_end
//                               | locals  operands ->            <- callee caller bottom
//
// The bottom record belongs to no function (code is NULL): returning to it leaves the interpreter.
//
// A v128 has the lower half in its cell, and the upper one VM_CELLS cells behind. Who does not know
// its operands' types moves both halves where the module uses v128 at all (program.wide), and knows
// of one otherwise.
//
// What is live is found at thread->last_sp, where compiled code would have its stack pointer: the
// innermost frame record at the latest call to the host or trap.
#pragma once
#include "base/vec.h"
#include "wasm/engine.h"

// A function, compiled: where its code and its side table are, and how much room it needs.
struct code {
    const u8 *start, *end;     // first instruction; the final `end`
    const struct branch *side; // in the order of the code
    u32 nparams, nresults;     // cells
    u32 nlocals;               // parameters and handler_note.hidden included
    u32 need;                  // cells of an activation, frame record included
    u32 index;                 // in the module
};

// compiled->data, and vmctx->engine_data of its instances.
struct program {
    struct branch *branches; // of all functions
    // The same, with offsets in the module's bytes and numbers among all.
    VEC(struct try_note) tries;
    VEC(struct handler_note) handlers;
    u32 nimported;
    u32 nfuncs;
    bool wide; // uses v128
    bool far;  // accesses memory otherwise than by an i32: operands are as if it were wide
    const struct tables *tables; // of its instances
    struct tables *own;          // two, the second counts (interp_tables); NULL: none
    struct code funcs[];         // own functions
};

struct frame {
    // Set at entry:
    const struct code *code;
    struct vmctx *vm;
    u64 *fp;       // the locals
    const u8 *end; // code->end: there `end` returns
    // Set when it calls:
    const u8 *pc, *call; // the next instruction and the calling one
    const struct branch *side;
};
enum { FRAME_CELLS = sizeof(struct frame) / sizeof(u64) };

static inline struct program *vm_program(const struct vmctx *vm)
{
    return vm->engine_data;
}

// Who catches an exception that comes out of the instruction at frame->call; NULL: nobody there.
// *height: cells of operands below it; *steps counts over all frames of a search, which looks up.
const struct handler_note *interp_handler(const struct frame *frame, const struct vm_tag *tag,
                                          u32 *height, u32 *steps);

// Sees to it that the thread's cells are there, up to `end` and from `frames` on; may end the call.
void interp_room(struct vmctx *vm, u64 *end, struct frame *frames);

// The same for the upper halves of an activation that begins at `locals`, and clears those of the
// locals from `first` on.
void interp_upper(struct vmctx *vm, u64 *locals, const u64 *first, const struct code *code);

// Executes the SIMD instruction at pc, behind the prefix, with the operands below sp. What follows
// it, and the new sp; NULL: beyond the memory's end.
struct interp_step {
    const u8 *pc;
    u64 *sp;
};
struct interp_step interp_simd(const struct vmctx *vm, const u8 *pc, u64 *sp);

// The same for the load or store at pc, of whatever memory.
struct interp_step interp_far(const struct vmctx *vm, const u8 *pc, u64 *sp);

// The same for the object's instruction at pc, behind the prefix; NULL: a trap, which is the
// thread's. Does the branch there go elsewhere, of that reference?
struct interp_step interp_object(struct vmctx *vm, const u8 *pc, u64 *sp);
bool interp_cast(const struct vmctx *vm, const u8 *pc, u64 ref);

// Chooses program->tables, `wide` and `far` being known. `counts`: instructions are counted, so
// that code without calls and branches back does not run for long without a look.
status interp_tables(struct program *p, bool counts);

// Runs f, whose arguments lie at `cells`, until it returns (OK; its results lie there) or traps
// (ERR_TRAP). `bottom` is the end of the space.
status interp_run(const struct vm_func *f, u64 *cells, struct frame *bottom);
