// SPDX-License-Identifier: MIT
// What an engine is to the runtime: it turns validated bodies into something callable, and calls
// it. The interpreter and the compilers each offer one of these; the runtime owns the result and
// chooses (rt/store.c).
#pragma once
#include "wasm/validate.h"
#include "wasm/vmctx.h"

// Memory that code is written to. The bytes are written through `write` and run at `run` once
// published; they are the same memory, mapped twice. Nothing is written past `capacity`: emitters
// check before each instruction. Nor past `paid`, but where nobody pays (rt_pay_code).
struct code_space {
    u8 *write;
    const u8 *run; // NULL: it is only looked at
    u32 capacity;
    u32 used;
    u32 paid;
    struct account *payer; // NULL: nobody
};

// A frame of a stack trace.
struct trace_frame {
    const struct module *module;
    u32 func;   // index in that module
    u32 offset; // in the module's bytes; 0 when unknown
};

// The parts of a function, as offsets in the code space: prologue, body, epilogue, code that rarely
// runs.
struct func_code {
    u32 start, entry, body, epilogue, cold, end; // from start to entry there is padding
    u32 frame; // bytes from the stack pointer in the body up to the return address
};

// A place in machine code.
struct code_site {
    u32 offset; // in the module's bytes, of the instruction that was executing, or of the call that
                // is to return there; 0: unknown
    u32 frame; // bytes from the stack pointer to the return address, prologue and epilogue included
};

// One module compiled by one engine. `funcs` has an element per own function.
struct compiled {
    const struct engine *engine;
    const struct module *module;
    struct func_code *funcs;
    struct code_space space;
    void *data; // the engine's own, freed by engine->free
};

struct engine {
    const char *name;
    bool code; // makes machine code: needs a code space

    // Validates and compiles all bodies of c->module; c->funcs and c->space are there. Errors:
    // those of validation, and ERR_NO_MEMORY when the code space is full.
    status (*compile)(struct compiled *c, struct error *e);
    void (*free)(struct compiled *c);

    // Calls a function of an instance (f is canonical and not of the host) on the running
    // coroutine: slots hold the arguments, then the results. Returns ERR_TRAP after a trap, with
    // thread->trap telling which.
    status (*call)(const struct compiled *c, const struct vm_func *f, u64 *slots);

    // Machine code: what is known of the place pc in function func. If `exact`, that may mean to
    // compile the function again; otherwise only the frame is told, as it is at most places.
    struct code_site (*site_of)(const struct compiled *c, u32 func, const u8 *pc,
                                bool return_address, bool exact);
    // Interpreter (NULL for machine code): the frames that were live at the thread's trap,
    // innermost first; how many.
    u32 (*trace)(const struct vm_thread *t, struct trace_frame *out, u32 max);
};

extern const struct engine interp_engine;
extern const struct engine fast_engine;
