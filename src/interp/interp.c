// SPDX-License-Identifier: MIT
// The interpreter as an engine: compile, call, trace. The instructions themselves are in run.c.
//
// Nothing is translated: the bytes of the module are executed where they lie, as the
// microcontroller that has them in flash needs it and as a reference for the compilers should.
// Compiling is validating, and keeping what the validator found out about jumps: its side table
// (Titzer, "A fast in-place interpreter for WebAssembly", OOPSLA 2022).
#include "interp/interp.h"
#include "arch/arch.h"
#include "base/lookup.h"
#include "base/vec.h"
#include "wasm/runtime.h"

typedef VEC(struct branch) branches;

static u32 moved(u32 number, u32 by)
{
    return number ? number + by : 0;
}

// Appends the body's notes of what catches to those of the program.
static status keep_tries(struct program *p, const struct module *m, const struct body *b,
                         u32 branches)
{
    u32 code = (u32)(b->code - m->bytes), tries = p->tries.count, handlers = p->handlers.count;
    if (!vec_reserve(&p->tries, b->ntries) || !vec_reserve(&p->handlers, b->nhandlers))
        return ERR_NO_MEMORY;
    for (u32 i = 0; i < b->ntries; i++) {
        struct try_note t = b->tries[i];
        t.start += code;
        t.end += code;
        t.around = moved(t.around, tries);
        t.outer = moved(t.outer, tries);
        t.first = moved(t.first, handlers);
        p->tries.at[p->tries.count++] = t;
    }
    for (u32 i = 0; i < b->nhandlers; i++) {
        struct handler_note h = b->handlers[i];
        h.next = moved(h.next, handlers);
        h.pc += code;
        h.side += branches;
        p->handlers.at[p->handlers.count++] = h;
    }
    return OK;
}

const struct handler_note *interp_handler(const struct frame *frame, const struct vm_tag *tag,
                                          u32 *height, u32 *steps)
{
    enum { AT_ONCE = 1 << 14 };
    const struct program *p = vm_program(frame->vm);
    u32 pc = (u32)(frame->call - frame->vm->module->bytes);
    u32 low = 0, high = p->tries.count; // the last one that begins before it
    while (low < high) {
        u32 middle = low + (high - low) / 2;
        if (p->tries.at[middle].start <= pc)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low && p->tries.at[low - 1].end <= pc; low = p->tries.at[low - 1].around)
        if (++*steps % AT_ONCE == 0)
            look_up();
    for (; low; low = p->tries.at[low - 1].outer) {
        const struct try_note *t = &p->tries.at[low - 1];
        *height = t->height;
        for (u32 i = t->first; i; i = p->handlers.at[i - 1].next) {
            const struct handler_note *h = &p->handlers.at[i - 1];
            if (h->tag == HANDLER_ALL || vm_tag(frame->vm, h->tag) == tag)
                return h;
            if (++*steps % AT_ONCE == 0)
                look_up();
        }
        if (++*steps % AT_ONCE == 0)
            look_up();
    }
    return NULL;
}

// Appends the body's side table to *all and describes it in *code, whose side holds the index until
// all are there.
static status keep_body(const struct body *b, struct code *code, branches *all)
{
    if (!vec_reserve(all, b->nbranches))
        return ERR_NO_MEMORY;
    code->start = b->code;
    code->end = b->end - 1;
    code->side = (const struct branch *)(uintptr_t)all->count;
    code->nparams = b->type->nparams;
    code->nresults = b->type->nresults;
    code->nlocals = b->nlocals + b->hidden;
    // Results are returned to where the parameters were, and clearing locals in pairs may clear one
    // cell more.
    u32 operands = b->max_stack > code->nresults ? b->max_stack : code->nresults;
    code->need = code->nlocals + operands + 1 + FRAME_CELLS;
    if (b->nbranches)
        memcpy(all->at + all->count, b->branches, b->nbranches * sizeof *b->branches);
    all->count += b->nbranches;
    return OK;
}

static status compile_bodies(const struct module *m, struct validator *v, struct program *p,
                             branches *all, struct error *e)
{
    enum { QUIET_MOST = 16 << 10 };
    bool counts = false;
    for (u32 i = 0; i < p->nfuncs; i++) {
        struct body body;
        struct code *code = &p->funcs[i];
        code->index = p->nimported + i;
        status s = validate_body(v, m, code->index, WANT_BRANCHES, &body, e);
        if (s)
            return s;
        s = keep_tries(p, m, &body, all->count);
        if (!s)
            s = keep_body(&body, code, all);
        if (s)
            return error_set(e, s, m->funcs[code->index].start, "out of memory");
        p->far |= body.far;
        p->wide |= body.simd | body.far;
        counts |= body.quiet > QUIET_MOST;
    }
    if (interp_tables(p, counts))
        return error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "out of memory");
    return OK;
}

// Gives back what growing took too much, and turns indices into pointers.
static void settle_branches(struct program *p, const branches *all)
{
    struct branch *trimmed = all->count ? heap_resize(all->at, all->count * sizeof *all->at) : NULL;
    p->branches = trimmed ? trimmed : all->at;
    for (u32 i = 0; i < p->nfuncs; i++)
        p->funcs[i].side = p->branches + (uintptr_t)p->funcs[i].side;
}

static void program_free(struct program *p)
{
    if (!p)
        return;
    heap_free(p->branches);
    heap_free(p->own);
    vec_free(&p->tries);
    vec_free(&p->handlers);
    heap_free(p);
}

static status interp_load(struct compiled *c, struct error *e)
{
    const struct module *m = c->module;
    u32 nfuncs = m->nfuncs - m->nimported_funcs;
    struct validator *v = validator_create();
    struct program *p =
        heap_zalloc(sizeof *p + nfuncs * sizeof p->funcs[0]); // nfuncs <= MAX_FUNCTIONS
    branches all = {0};
    status s = ERR_NO_MEMORY;
    if (!v || !p) {
        error_set(e, s, ERROR_NO_OFFSET, "out of memory");
        goto out;
    }
    p->nimported = m->nimported_funcs;
    p->nfuncs = nfuncs;
    s = compile_bodies(m, v, p, &all, e);
    if (s)
        goto out;
    settle_branches(p, &all);
    c->data = p;
out:
    if (s) {
        vec_free(&all);
        program_free(p);
    }
    validator_free(v);
    return s;
}

static void interp_free(struct compiled *c)
{
    program_free(c->data);
    c->data = NULL;
}

void interp_room(struct vmctx *vm, u64 *end, struct frame *frames)
{
    struct vm_thread *t = vm->thread;
    if (end > t->cells_ready) {
        u64 *ready = (u64 *)ALIGN_UP((uintptr_t)end, (uintptr_t)ARCH_PAGE);
        rt_pay_stack(vm, (size_t)((u8 *)ready - (u8 *)t->cells_ready));
        arch_touch(t->cells_ready, end);
        t->cells_ready = ready;
    }
    if ((u64 *)frames < t->frames_ready) {
        u64 *ready = (u64 *)((uintptr_t)frames & ~(uintptr_t)(ARCH_PAGE - 1));
        rt_pay_stack(vm, (size_t)((u8 *)t->frames_ready - (u8 *)ready));
        arch_touch(frames, t->frames_ready);
        t->frames_ready = ready;
    }
}

// A call from outside. It may happen inside of another one, in a host function: run.c has then
// narrowed the thread's cells to the free ones.
struct entry {
    const struct vm_func *f;
    const struct functype *type;
    u64 *slots;
    status result;
};

// Cells of i32 and f32 have a zero upper half; slots need not. Of a v128 there are two slots.
static u64 cell_of_slot(valtype type, u64 slot)
{
    return type == TYPE_I32 || type == TYPE_F32 ? (u32)slot : slot;
}

static void enter(void *argument)
{
    struct entry *entry = argument;
    const struct functype *type = entry->type;
    struct vm_thread *t = entry->f->vm->thread;
    u64 *cells = t->cells;
    u32 most = type->nparams > type->nresults ? type->nparams : type->nresults;

    t->last_sp = NULL;
    if ((size_t)(t->cells_end - cells) < most + FRAME_CELLS) {
        t->trap = TRAP_STACK;
        t->trap_pc = NULL;
        entry->result = ERR_TRAP;
        return;
    }
    struct frame *bottom = (struct frame *)(void *)t->cells_end - 1;
    interp_room(entry->f->vm, cells + most, bottom);
    if (vm_program(entry->f->vm)->wide)
        interp_upper(entry->f->vm, cells, cells, &(struct code){.need = most});
    const u64 *from = entry->slots;
    for (u32 i = 0; i < type->nparams; i++) {
        cells[i] = cell_of_slot(type->types[i], *from++);
        if (type->types[i] == TYPE_V128)
            cells[i + VM_CELLS] = *from++;
    }
    entry->result = interp_run(entry->f, cells, bottom);
    u64 *to = entry->slots;
    for (u32 i = 0; i < type->nresults && entry->result == OK; i++) {
        *to++ = cells[i];
        if (type->types[type->nparams + i] == TYPE_V128)
            *to++ = cells[i + VM_CELLS];
    }
}

static status interp_call(const struct compiled *c, const struct vm_func *f, u64 *slots)
{
    struct vm_thread *t = f->vm->thread;
    struct entry entry = {f, module_func_type(c->module, f->index), slots, ERR_TRAP};
    u64 *cells = t->cells, *cells_end = t->cells_end;

    arch_protect(t, enter, &entry);
    t->cells = cells;
    t->cells_end = cells_end;
    return entry.result;
}

static u32 interp_trace(const struct vm_thread *t, struct trace_frame *out, u32 max)
{
    const struct frame *frame = (const void *)t->last_sp;
    u32 n = 0;
    enum { AT_ONCE = 1 << 14 };
    for (; frame && frame->code && n < max; frame++, n++) {
        if (n % AT_ONCE == AT_ONCE - 1 && look_up())
            break;
        const struct module *m = frame->vm->module;
        out[n] = (struct trace_frame){m, frame->code->index, (u32)(frame->call - m->bytes)};
    }
    return n;
}

const struct engine interp_engine = {
    .name = "interp",
    .load = interp_load,
    .free = interp_free,
    .call = interp_call,
    .trace = interp_trace,
};
