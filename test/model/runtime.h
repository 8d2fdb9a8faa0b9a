// SPDX-License-Identifier: MIT
// What programs of scenarios are written with. A program is a function of C that runs as compiled
// code would: it is interrupted at guest_point and before each call, and calls go through the shims
// of abi/nebulet.c. It has no variables that others see but those of its scenario, and bytes of its
// memory at small addresses.
#pragma once
#include "model.h"
#include "rt/rt.h"

enum { GUEST_MEMORY = 1024, FURTHER = 4 };

typedef u32 guest_fn(struct vmctx *vm, u32 arg);
// What a module of the model is made of: its bytes.
struct program {
    guest_fn *start, *further[FURTHER]; // further: elements of table 0
};

struct model_module {
    struct rt_module rt;
    struct module m;
    const struct program *program;
    struct functype types[2];
    struct func funcs[1 + FURTHER];
    struct export start;
};

const struct host_func *guest_call_named(const char *name);
s64 guest_invoke(struct vmctx *vm, const struct host_func *f, const u64 *cells);
#define CALL(name, ...) guest_invoke(vm, guest_call_named(#name), (const u64[8]){__VA_ARGS__})

void guest_point(void);
void guest_compute(u64 ns);                                    // of this CPU's time
void guest_burn(void);                                         // for ever
s64 guest_wait(struct vmctx *vm, u32 address, s64 timeout_ns); // memory.atomic.wait
u32 guest_notify(struct vmctx *vm, u32 address, u32 count);    // memory.atomic.notify
void guest_poll(struct vmctx *vm);                             // at a loop's head

static inline u8 *guest_bytes(const struct vmctx *vm, u32 address)
{
    return vm->mem_base + address;
}
