// SPDX-License-Identifier: MIT
// Stack traces. Compiled code has no frame pointers: at any pc the engine says how far the return
// address is, and the types of the functions say how many bytes of arguments a callee has popped
// with it.
//
// At the trap only the machine state is noted. Unwinding leaves what lies below the entry as it
// was, until the next call on the thread; so the frames are looked for when somebody asks, which
// may mean to compile functions again. A wrong stack costs frames, never more: every address is
// checked.
//
// What that may cost is bounded by bytes of bodies, so that a trace is the same everywhere. What
// does not fit has a name but no offset, and is as large as it is at most places. And it looks up:
// who is to end at once tells what it has.
#include "rt/thread.h"
#include "arch/arch.h"
#include "base/lookup.h"
#include "rt/code.h"
#include "rt/instance.h"
#include "target/x64/abi.h"

enum {
    SCAN_WORDS = 8 << 10,
    ARGS_MAX = 64, // of a host function, in pairs of cells on the stack
    CACHE = 256,
    PROBES = 4,
    SAMPLE_MAX = 200,
    SAMPLE_SCANS = 256,
    FEW = 8, // frames, where nobody can be let in meanwhile
    FEW_SCANS = 16,
};
// To find a frame's place in the module the engine may have to compile the function again, for some
// hundred instructions a byte: how many bytes of bodies that may come to.
enum {
    BUDGET = 2 << 20,
    BUDGET_LATE = 2 << 10, // where time is what has run out
    BUDGET_SAMPLE = 1 << 10,
};

struct place {
    struct module_record *module;
    u32 func;
    struct code_site site;
    u32 popped; // argument bytes above the frame, which go with it
};

struct walk {
    struct thread *t;
    const u8 *pc, *sp, *high; // high: where the call has come from
    bool return_address;      // pc is one
    struct vm_link *link;
    struct noted_frame *out; // the innermost frames
    u32 n, max;
    u64 depth;                 // all frames there were
    u32 budget, scans;         // scans: words to look at, at most
    bool brief;                // no further than `max`
    bool sample;               // frames that are not where they should be are looked for
    struct compiler *compiler; // for them; NULL: not needed so far
    const struct module_record *module;
    u32 func;   // that it was asked about last
    bool ended; // the process is to end, which is more urgent
    struct cached {
        const u8 *pc;
        struct place place;
    } cache[CACHE]; // of return addresses: a deep recursion is the same few over and over
};

// --- pc -> function

// Of the thread's own store, whose instances keep their modules. What lies on a stack may be
// anything that a guest has put there: also an address in the code of others, which may go at any
// look.
static struct module_record *module_at(const struct store *s, const u8 *pc)
{
    enum { AT_ONCE = 500 };
    const struct instance *in = code_contains(pc) ? s->instances : NULL;
    for (u32 n = 1; in && !module_chunk_at(in->module, pc); n++, in = in->next)
        if (n % AT_ONCE == 0)
            look_up();
    return in ? in->module : NULL;
}

static struct module_record *func_at(const struct store *s, const u8 *pc, u32 *func)
{
    struct module_record *r = module_at(s, pc);
    if (!r)
        return NULL;
    const struct module *m = r->pub.m;
    u32 count = m->nfuncs - m->nimported_funcs;
    u32 own = module_func_at(r, pc);
    *func = own + m->nimported_funcs;
    return own < count ? r : NULL;
}

// What lies on a stack may be anything, not only a pointer: hence the arithmetic on numbers.
static const u8 *minus(const u8 *pc, u32 n)
{
    return (const u8 *)((uintptr_t)pc - n);
}

static struct cached *cached(struct walk *w, const u8 *pc)
{
    u32 at = (u32)((uintptr_t)pc * 0x9e3779b97f4a7c15u >> 48);
    struct cached *slot = NULL;
    for (u32 i = 0; i < PROBES; i++) {
        slot = &w->cache[(at + i) % CACHE];
        if (!slot->pc || slot->pc == pc)
            break;
    }
    return slot;
}

// Whether the function may be compiled again, or has just been.
static bool afford(struct walk *w, const struct module_record *r, u32 func)
{
    const struct module *m = r->pub.m;
    u32 size = m->funcs[func].end - m->funcs[func].start;
    bool again = w->module != r || w->func != func;
    if (again && size > w->budget)
        return false;
    if (!w->compiler)
        w->compiler = w->t->store->engine->begin();
    w->budget -= again ? size : 0;
    w->module = r;
    w->func = func;
    return true;
}

static bool find(struct walk *w, const u8 *pc, bool return_address, struct place *out)
{
    struct cached *slot = cached(w, pc);
    if (return_address && pc && slot->pc == pc) {
        *out = slot->place;
        return true;
    }
    u32 func;
    struct module_record *r = func_at(w->t->store, minus(pc, return_address), &func);
    if (!r || w->ended)
        return false;
    const struct module *m = r->pub.m;
    const struct compiled *c = &r->pub.compiled;
    bool exact = afford(w, r, func);
    *out = (struct place){
        .module = r,
        .func = func,
        .site = c->engine->site_of(exact ? w->compiler : NULL, c, func, pc, return_address),
    };
    out->popped = abi_stack_of(module_func_type(m, func)).args - (u32)out->site.moved;
    if (return_address)
        *slot = (struct cached){pc, *out};
    return true;
}

// --- Walking

static bool readable(const struct walk *w, const u8 *p)
{
    return p >= w->t->low && p + 8 <= w->high && !((uintptr_t)p & 7) && plat_touched(p);
}

static bool is_return_address(const struct walk *w, const u8 *p)
{
    if (!readable(w, p))
        return false;
    const u8 *pc = (const u8 *)(uintptr_t)load_u64(p);
    u32 func;
    return pc == arch_stub_return || pc == arch_enter_return ||
           func_at(w->t->store, minus(pc, 1), &func);
}

// Takes the return address that lies at p; what is above it and `popped` bytes more belongs to the
// caller.
static bool pop(struct walk *w, const u8 *p, u32 popped)
{
    if (!readable(w, p))
        return false;
    w->pc = (const u8 *)(uintptr_t)load_u64(p);
    w->sp = p + 8 + popped;
    w->return_address = true;
    if (w->pc == arch_stub_return) {
        if (w->link <= thread_links(w->t))
            return false;
        w->pc = (--w->link)->ret;
    }
    return true;
}

// At p there may be a return address of something of which nobody knows how many arguments it pops:
// takes the least number with which the caller's own return address is one.
static bool pop_unknown(struct walk *w, const u8 *p)
{
    struct vm_link *link = w->link;
    struct place here;
    if (is_return_address(w, p) && pop(w, p, 0) && find(w, w->pc, true, &here)) {
        for (u32 i = 0; i < ARGS_MAX; i++, w->sp += 16)
            if (is_return_address(w, w->sp + here.site.frame))
                return true;
    }
    w->link = link;
    return false;
}

// After n steps.
static bool goes_on(struct walk *w, u64 n)
{
    enum { STEPS = 256 };
    if (n % STEPS == STEPS - 1)
        w->ended |= look_up() != 0;
    return !w->ended;
}

// For places whose frame nobody knows (host functions, thunks, the runtime's C code): looks upwards
// for the first return address into compiled code that makes sense.
static bool scan(struct walk *w)
{
    const u8 *from = (const u8 *)ALIGN_UP((uintptr_t)w->sp, (uintptr_t)8);
    for (u32 i = 0; i < w->scans && readable(w, from + i * 8) && goes_on(w, i); i++)
        if (pop_unknown(w, from + i * 8))
            return true;
    return false;
}

// Brings the walk to the innermost frame of compiled code.
static bool start(struct walk *w)
{
    struct place here;
    if (!w->pc) {
        const u8 *last = w->t->vm.last_sp;
        if (last && last >= w->sp)
            w->sp = last;
        return scan(w);
    }
    // In the stubs, before the return address has moved to the link stack, it is on top.
    if (trap_in_stubs(w->pc) && w->pc < arch_stub_return && is_return_address(w, w->sp))
        return pop(w, w->sp, 0);
    return find(w, w->pc, false, &here) || scan(w);
}

static void note(struct walk *w, const struct place *p)
{
    if (w->n < w->max)
        w->out[w->n++] = (struct noted_frame){p->module, p->func, p->site.offset};
    w->depth++;
}

static void walk_stack(struct walk *w)
{
    struct place here;
    if (!start(w))
        return;
    while ((!w->brief || w->n < w->max) && goes_on(w, w->depth) &&
           find(w, w->pc, w->return_address, &here)) {
        note(w, &here);
        const u8 *at = w->sp + here.site.frame;
        if (w->sample && !is_return_address(w, at) ? !scan(w) : !pop(w, at, here.popped))
            break;
    }
}

static void note_stack(struct thread *t, struct walk *w)
{
    const struct trapped *at = &t->trapped;
    w->t = t;
    w->pc = at->pc;
    w->sp = at->sp;
    w->high = at->entry_sp;
    w->link = at->link;
    t->trapped.fresh = false;
    if (!t->trace)
        t->trace = heap_array(w->max, sizeof *t->trace);
    w->out = t->trace;
    w->max = t->trace ? w->max : 0;
    walk_stack(w);
    t->ntrace = w->n;
    t->depth = w->depth;
    t->cut = w->ended || (w->brief && w->n && w->n == w->max);
    t->store->engine->end(w->compiler);
}

static void note_all(struct thread *t)
{
    struct walk w = {.max = TRACE_MAX, .scans = SCAN_WORDS};
    w.budget = t->vm.trap == TRAP_TIME ? BUDGET_LATE : BUDGET;
    note_stack(t, &w);
}

void thread_note_few(struct thread *t)
{
    struct walk w = {.max = FEW, .scans = FEW_SCANS, .budget = BUDGET_SAMPLE, .brief = true};
    if (t->trapped.fresh && !t->store->engine->trace)
        note_stack(t, &w);
    t->trapped.fresh = false;
}

// --- For people

static u32 as_frames(const struct noted_frame *from, u32 n, struct trace_frame *out)
{
    for (u32 i = 0; i < n; i++)
        out[i] = (struct trace_frame){from[i].module->pub.m, from[i].func, from[i].offset};
    return n;
}

u32 thread_trace(struct thread *t, struct trace_frame *out, u32 max)
{
    const struct engine *engine = t->store->engine;
    if (engine->trace)
        return engine->trace(&t->vm, out, max);
    if (t->trapped.fresh)
        note_all(t);
    return as_frames(t->trace, t->ntrace < max ? t->ntrace : max, out);
}

// `resume` is where it was preempted, if not in a call to the host: whoever looks takes it.
u32 thread_sample(struct vmctx *vm, struct trace_frame *out, u32 max)
{
    struct thread *t = (struct thread *)vm->thread;
    const struct engine *engine = t->store->engine;
    struct noted_frame frames[SAMPLE_MAX];
    if (engine->trace)
        return engine->trace(&t->vm, out, max);
    struct walk w = {.t = t,
                     .pc = t->vm.resume,
                     .sp = t->vm.resume ? t->vm.resume_sp : t->vm.last_sp,
                     .high = t->vm.entry_sp,
                     .link = t->vm.link,
                     .out = frames,
                     .max = max < SAMPLE_MAX ? max : SAMPLE_MAX,
                     .budget = BUDGET_SAMPLE,
                     .scans = SAMPLE_SCANS,
                     .sample = true};
    t->vm.resume = NULL;
    walk_stack(&w);
    engine->end(w.compiler);
    return as_frames(frames, w.n, out);
}
