// SPDX-License-Identifier: MIT
// What an engine is to the runtime: it turns validated bodies into something callable, and calls
// it. The interpreter and the compilers each offer one of these; the runtime owns the result and
// chooses (rt/store.c).
#pragma once
#include "wasm/validate.h"
#include "wasm/vmctx.h"

// Memory that code is written to. The bytes are written through `write` and run at `run` once
// published; they are the same memory, mapped twice. Nothing is written past `capacity`.
struct code_space {
    u8 *write;
    const u8 *run;
    u32 capacity;
    u32 used;
    struct account *payer;    // for all of its pages; NULL: nobody
    struct code_range *range; // its place in the window (rt/code.c)
};

// A frame of a stack trace.
struct trace_frame {
    const struct module *module;
    u32 func;   // index in that module
    u32 offset; // in the module's bytes; 0 when unknown
};

// The parts of a function, as offsets in the code memory: prologue, body, epilogue, code that
// rarely runs.
struct func_code {
    u32 start, entry, body, epilogue, cold, end; // from start to entry there is padding
    u32 pushes;  // where the prologue begins, behind the way out before it (fast/guard.c)
    u32 catches; // a struct code_catches, aligned to 4 bytes; the end: there is none
    u32 frame;   // bytes from the stack pointer in the body up to the return address
    u32 next;    // for whoever has given it its place
};

// Where what catches exceptions is found, in the code memory: three arrays follow, of numbers whose
// offsets are from func_code.start. What throws in a function that catches nothing there has no
// site.
struct code_catches {
    u32 nsites, ntries;
};
struct code_throws {
    u32 returns; // offset behind a call that may come back with an exception; in order
    u32 pad;     // where the state of such a call is left behind, which goes on at rcx; 0: nothing
                 // to do
    u32 tries;   // struct code_tries + 1
};
struct code_tries {
    u32 outer; // + 1; 0: none
    u32 first; // struct code_handler + 1; 0: none
};
// Begins with all in the frame, the stack pointer as in the body, rax = a reference if it wants
// one, rdx = the exception's cells.
struct code_handler {
    u32 tag;  // HANDLER_ALL: any
    u32 next; // + 1; 0: none
    u32 code;
    u32 keeps;
};

// A place in machine code.
struct code_site {
    u32 offset; // in the module's bytes, of the instruction that was executing, or of the call that
                // is to return there; 0: unknown
    u32 frame; // bytes from the stack pointer to the return address, prologue and epilogue included
    s32 moved; // the return address lies so much higher than it did at the function's entry: it is
               // on its way to another function, which has less stack arguments (or lower: more)
};

// What compiled code calls other than itself: a table of addresses for each module, in pages of the
// code memory that are never published. It begins with stubs (arch/arch.h); behind them stands an
// entry for each own function, which is that of arch_stub_first until the function is compiled. So
// code that has been published is never written to again.
enum code_entry {
    ENTRY_LINK,
    ENTRY_HELPER,
    ENTRY_TRAP,
    ENTRY_POLL,
    ENTRY_TAIL,
    ENTRY_FIRST,
    ENTRY_FIRST_TAIL,
    ENTRY_FUNCS
};

// One module compiled by one engine. `funcs` has an element per own function, which is zero while
// that is not compiled.
struct compiled {
    const struct engine *engine;
    const struct module *module;
    struct func_code *funcs;
    u8 *write; // the code memory: offset 0 as written and as run
    const u8 *run;
    const u8 **table;
    u32 used;   // bytes of machine code
    void *data; // the engine's own, freed by engine->free
};

struct compiler; // at work on one function at a time

struct engine {
    const char *name;
    bool code; // makes machine code

    // Validates all bodies of c->module, and makes of them what the engine needs before they can
    // run. Errors: those of validation, ERR_NO_MEMORY.
    status (*load)(struct compiled *c, struct error *e);
    void (*free)(struct compiled *c);

    // Machine code: validates and compiles a function into memory of its own, *size bytes, and puts
    // them where they are to run, at a multiple of 16, from where they call others. Several CPUs
    // may do so for the same module. It can go on with others, also after an error, and must be
    // ended at last.
    struct compiler *(*begin)(void); // NULL: no memory
    status (*compile)(struct compiler *k, const struct compiled *c, u32 func, u32 *size,
                      struct error *e);
    void (*place)(struct compiler *k, u32 offset, struct func_code *out);
    void (*end)(struct compiler *k); // NULL is fine

    // Calls a function of an instance (f is canonical and not of the host) on the running
    // coroutine: slots hold the arguments, then the results. Returns ERR_TRAP after a trap, with
    // thread->trap telling which.
    status (*call)(const struct compiled *c, const struct vm_func *f, u64 *slots);

    // Machine code: what is known of the place pc in function func. For that k may compile the
    // function again, if it is not the one that it was asked about last; without k only the frame
    // is told, as it is at most places.
    struct code_site (*site_of)(struct compiler *k, const struct compiled *c, u32 func,
                                const u8 *pc, bool return_address);
    // Interpreter (NULL for machine code): the frames that were live at the thread's trap,
    // innermost first; how many.
    u32 (*trace)(const struct vm_thread *t, struct trace_frame *out, u32 max);
};

extern const struct engine interp_engine;
extern const struct engine fast_engine;
