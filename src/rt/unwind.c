// SPDX-License-Identifier: MIT
// Exceptions in compiled code: from where one is thrown to where it is caught.
//
// Nothing is noted when a try begins. Frames are found as traces find them, but from the types of
// functions alone: a return address is in a function, whose frame is known, and below it lies what
// the function that it called has left of its results. In each function that catches anything a
// table behind its code (wasm/engine.h) is looked into for the return address. The registers that
// functions keep are where each has pushed them, at its beginning.
//
// Nothing is changed before somebody is found who catches it: if nobody does, the trap is where it
// was thrown. C is never between frames of one call: what a host function calls begins a new one,
// which a trap would end, too.
#include "arch/arch.h"
#include "base/assert.h"
#include "base/lookup.h"
#include "rt/instance.h"
#include "rt/thread.h"
#include "target/x64/abi.h"
#include "wasm/runtime.h"

enum { LONG_TO_FIND = 1 << 20 }; // code of a function, which is found by its pages

struct unwinding {
    struct vmctx *vm; // whose code pc is in
    const u8 *pc;     // a return address
    const u8 *sp;     // the stack pointer in the body of the function there
    struct vm_link *link;
    u64 *kept[16]; // where they are, by the machine's number, of registers that functions keep
    u32 steps;
    bool ended;
};

static void take_step(struct unwinding *u)
{
    enum { STEPS = 1024 };
    if (unlikely(++u->steps % STEPS == 0))
        u->ended |= look_up() != 0;
}

// --- Who catches it in the function at pc

static const struct code_throws *site_at(const struct code_catches *table, u32 offset)
{
    const struct code_throws *sites = (const struct code_throws *)(table + 1);
    u32 low = 0, high = table->nsites;
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        if (sites[middle].returns < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < table->nsites && sites[low].returns == offset ? &sites[low] : NULL;
}

static const struct code_handler *handler_at(struct unwinding *u, const struct code_catches *table,
                                             const struct code_throws *site,
                                             const struct vm_tag *tag)
{
    const struct code_throws *sites = (const struct code_throws *)(table + 1);
    const struct code_tries *tries = (const struct code_tries *)(sites + table->nsites);
    const struct code_handler *handlers = (const struct code_handler *)(tries + table->ntries);
    for (u32 i = site->tries; i; i = tries[i - 1].outer) {
        for (u32 k = tries[i - 1].first; k; k = handlers[k - 1].next) {
            const struct code_handler *h = &handlers[k - 1];
            if (h->tag == HANDLER_ALL || vm_tag(u->vm, h->tag) == tag)
                return h;
            take_step(u);
        }
        take_step(u);
    }
    return NULL;
}

// Fills in where it goes on. False: it is not caught here.
static bool caught(struct unwinding *u, const struct compiled *c, const struct func_code *f,
                   const struct vm_exception *e, struct arch_landing *landing)
{
    if (f->catches == f->end)
        return false;
    const u8 *start = c->run + f->start;
    const struct code_catches *table =
        (const struct code_catches *)(const void *)(c->run + f->catches);
    const struct code_throws *site = site_at(table, (u32)(u->pc - start));
    const struct code_handler *h = site ? handler_at(u, table, site, e->tag) : NULL;
    if (!h)
        return false;
    landing->rcx = (u64)(uintptr_t)(start + h->code);
    landing->rip = site->pad ? (u64)(uintptr_t)(start + site->pad) : landing->rcx;
    landing->rdx = (u64)(uintptr_t)e->cells;
    landing->rax = h->keeps; // for now
    return true;
}

// --- From a function to its caller

// What the prologue has pushed, the first right below the return address.
static void find_kept(struct unwinding *u, const u8 *p, const u8 *body, const u8 *ret)
{
    while (p < body) {
        u32 high = *p == 0x41 ? 8 : 0;
        p += high != 0;
        if ((*p & 0xf8) != 0x50)
            break;
        ret -= 8;
        u->kept[high | (*p++ & 7)] = (u64 *)(uintptr_t)ret;
    }
}

// False: it was called from outside.
static bool to_caller(struct unwinding *u, const struct compiled *c, const struct func_code *f,
                      const struct functype *t)
{
    const u8 *ret = u->sp + f->frame;
    struct abi_stack area = abi_stack_of(t);
    find_kept(u, c->run + f->pushes, c->run + f->body, ret);
    u->pc = (const u8 *)(uintptr_t)load_u64(ret);
    u->sp = ret + 8 + area.args + area.results;
    if (u->pc == arch_stub_return) {
        u->pc = (--u->link)->ret;
        u->vm = u->link->vm;
    }
    return u->pc != arch_enter_return;
}

static bool find(struct unwinding *u, const struct vm_exception *e, struct arch_landing *landing)
{
    for (;;) {
        const struct module_record *r = u->vm->instance->module;
        const struct compiled *c = &r->pub.compiled;
        const struct module *m = c->module;
        u32 own = module_func_at(r, u->pc - 1);
        assert(own < m->nfuncs - m->nimported_funcs);
        const struct func_code *f = &c->funcs[own];
        if (caught(u, c, f, e, landing))
            return true;
        take_step(u);
        if (f->end - f->start > LONG_TO_FIND)
            u->ended |= look_up() != 0;
        if (u->ended || !to_caller(u, c, f, module_func_type(m, m->nimported_funcs + own)))
            return false;
    }
}

void rt_throw(struct vmctx *vm, struct arch_landing *landing)
{
    enum { RBX = 3, RBP = 5, R12 = 12, R13 };
    struct vm_thread *t = vm->thread;
    struct unwinding u = {
        .vm = vm,
        .pc = *(const u8 **)(void *)t->last_sp,
        .sp = t->last_sp + 8,
        .link = t->link,
        .kept = {[RBX] = &landing->rbx,
                 [RBP] = &landing->rbp,
                 [R12] = &landing->r12,
                 [R13] = &landing->r13},
    };
    if (!find(&u, t->exception, landing)) {
        rt_check_interrupt(vm);
        t->uncaught = t->exception->tag;
        rt_trap(vm, TRAP_EXCEPTION);
    }
    u64 kept[] = {*u.kept[RBX], *u.kept[RBP], *u.kept[R12], *u.kept[R13]};
    landing->rbx = kept[0];
    landing->rbp = kept[1];
    landing->r12 = kept[2];
    landing->r13 = kept[3];
    landing->r14 = (u64)(uintptr_t)u.vm;
    landing->r15 = (u64)(uintptr_t)u.vm->mem_base;
    landing->rsp = (u64)(uintptr_t)u.sp;
    u.vm->thread = t;
    t->link = u.link;
    landing->rax = rt_exception_caught(u.vm, landing->rax);
}
