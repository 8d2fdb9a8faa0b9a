// SPDX-License-Identifier: MIT
// The baseline compiler as an engine: sets up, compiles a body into memory of its own, and puts the
// code where it is to run.
//
// A body is validated right before it is compiled, so that its bytes are in the cache, and so that
// the validator's notes (uses of locals, loops) need no memory beyond the largest body's. Calls go
// through the module's table (wasm/engine.h), and directly to functions that are there already.
// Both are of the same length, so that code is the same for all but what is in its calls.
//
// There is no table from machine code to wasm: site_of compiles the function again and watches.
// Compilation depends on nothing but the bytes, so it comes out the same.
#include "fast/fast.h"
#include "base/lookup.h"
#include "fast/state.h"
#include "wasm/runtime.h"

enum {
    CODE_PER_BYTE = 16, // machine code per byte of wasm that is taken for granted; typical is 1.5
    CODE_MOST = 36,     // per byte of all bodies: more no body may make; i8x16.popcnt makes 30
    CODE_FIRST = 4,     // what is tried first
    CODE_FREE = 65536,
};

// That a function may have in its frame.
static u64 cells_of(const struct body *b)
{
    return (u64)b->nlocals + lanes_locals(b) + b->max_stack + 1 + b->hidden;
}

// The arrays by local, cleared, in one block that is kept from body to body.
static bool arrays(struct fast *f, const struct body *b)
{
    u64 n = b->nlocals + lanes_locals(b), cells = cells_of(b);
    u64 words = (n + 7) / 8 * 2 + (n * 3 + 1 + cells + 1) / 2 + 4;
    if (words > INT32_MAX)
        return false;
    f->storage.count = f->slot_storage.count = 0;
    if (!vec_reserve(&f->storage, (u32)words) || !vec_reserve(&f->slot_storage, b->max_stack + 2))
        return false;
    f->nlocals = (u32)n;
    f->slots = f->slot_storage.at;
    u32 *p = (u32 *)f->storage.at;
    f->ref_head = p;
    f->home = p + n;
    f->weight = p + n + cells;
    f->touched = p + n * 2 + cells;
    f->local_reg = (u8 *)(p + n * 3 + 1 + cells);
    f->local_type = f->local_reg + n;
    memset(p, 0, (n * 2 + cells) * 4);
    memset(f->local_reg, NO_REG, n);
    for (u32 i = 0; i < b->nlocals; i++)
        f->local_type[i] = (u8)ty_of(b->locals[i]);
    f->lazy = f->nlanes = 0;
    if (LANES_HELD && b->nlanes)
        lanes_begin(f);
    return true;
}

static void reset(struct fast *f)
{
    f->sp = f->flushed = 0;
    f->cache = f->dirty = f->temp = f->busy = 0;
    f->alloc = CALLER_SAVED;
    f->region = f->rsp_adjust = f->nhomes = f->saved = 0;
    f->zf_at = NULL;
    f->far = f->body->far;
    f->values = f->found = f->named_next = f->below_next = 0;
    if (f->far) {
        memset(f->named, 0, sizeof f->named);
        memset(f->below, 0, sizeof f->below);
    }
    f->ctls.count = f->regions.count = 0;
    f->states.count = f->free_state = 0;
    f->cold.count = f->colds.count = f->traps.count = f->calls.count = f->labels.count = 0;
    f->tails.count = 0;
    f->jumps.count = f->tables.count = f->copies.count = f->incoming.count = f->polls.count = 0;
    f->vectors.count = f->constants.count = f->constant_sites.count = 0;
    f->throws.count = f->handlers.count = f->try = f->trying = 0;
    f->loop = f->loop_depth = f->stamp = f->rotor = f->spent = 0;
    f->line.ctl = 0;
    f->reachable = true;
}

static bool push_function_label(struct fast *f)
{
    if (!vec_reserve(&f->ctls, 1) || !vec_reserve(&f->regions, 1) ||
        !vec_reserve(&f->handlers, f->body->nhandlers))
        return false;
    if (f->body->nhandlers) // those in dead code have none
        memset(f->handlers.at, 0, f->body->nhandlers * sizeof *f->handlers.at);
    const struct functype *t = f->body->type;
    f->ctls.count = f->regions.count = 1;
    f->ctls.at[0] = (struct ctl){
        .kind = CTL_FUNC,
        .nresults = t->nresults,
        .arity = t->nresults,
        .results = t->types + t->nparams,
    };
    return true;
}

// Room for the longest prologue (call.c): pushes and a subtraction, and for large frames a check;
// and for a comparison and a jump in front of it (guard.c).
static u32 prologue_space(const struct fast *f, const struct body *b)
{
    u64 frame = cells_of(b) * (b->simd ? 16 : 8);
    u32 guard = f->guard.there || f->guard.block ? 16 : 0;
    return (frame > FRAME_UNCHECKED ? 48 : 16) + guard;
}

// --- Looking up, every so many bytes of a body or of its code
enum { LOOK_BODY = 4096, LOOK_CODE = 32 << 10 };

// For so many bytes at least, which are there.
static void limit_code(struct fast *f, u8 *hard, size_t n)
{
    s64 more = n < LOOK_CODE ? LOOK_CODE : (s64)n;
    f->hard_limit = hard;
    f->limit = hard - f->a.p > more ? f->a.p + more : hard;
}

void fast_pause(struct fast *f)
{
    f->oom |= look_up() != 0; // whatever the reason: no code
}

bool fast_look(struct fast *f, size_t n)
{
    bool more = !f->cold_return && f->a.p <= f->hard_limit &&
                (size_t)(f->hard_limit - f->a.p) >= n && f->limit != f->hard_limit;
    f->full |= !more;
    if (!more)
        return false;
    fast_pause(f);
    limit_code(f, f->hard_limit, n);
    return !f->oom;
}

void fast_note(struct fast *f, const u8 *op)
{
    struct where w = {here(f), (u32)(op - f->m->bytes), f->rsp_adjust, 0};
    if (f->locates && !vec_push(&f->wheres, w))
        f->oom = true;
    fast_look_at(f, op);
}

void fast_look_at(struct fast *f, const u8 *op)
{
    if (likely(op < f->look_at))
        return;
    fast_pause(f);
    f->look_at = op + LOOK_BODY;
    f->notes_from = f->locates ? op : f->look_at;
}

static void function_once(struct fast *f, u32 func, const struct body *body)
{
    f->func = func;
    f->body = body;
    f->pc = f->op = body->code;
    f->use = body->uses;
    f->look_at = body->code + LOOK_BODY;
    f->notes_from = f->locates ? body->code : f->look_at;
    f->polling = module_polls(f->m, func);
    f->wheres.count = 0;
    reset(f);
    if (f->oom || !arrays(f, body) || !push_function_label(f)) {
        f->oom = true;
        return;
    }
    guard_begin(f);
    f->prologue = prologue_space(f, body);
    if (!fast_room(f, f->prologue + 16))
        return;
    f->start = (u8 *)ALIGN_UP((uintptr_t)f->a.p, 16);
    memset(f->a.p, 0xcc, (size_t)(f->start - f->a.p));
    f->a.p = f->start;
    f->a.p += f->prologue;
    call_enter(f);
    ops_walk(f);
    if (!f->full && !f->oom)
        call_leave(f);
}

static bool make_room(struct fast *f, u64 room)
{
    if (room > f->room) {
        heap_free(f->memory);
        f->room = 0;
        if (!(f->memory = heap_alloc(room)))
            return false;
        f->room = room;
    }
    f->a.p = f->memory;
    limit_code(f, f->memory + room - FAST_STEP, 0);
    return true;
}

// Compiles one body into f->memory, from the start; f->code describes it. Leaving a loop costs code
// for each pinned local; a function made of hardly anything else may come to more than its share.
// Then it gets no pins. All that depends on the body alone.
static void function(struct fast *f, u32 func, const struct body *body)
{
    u64 length = (u64)(body->end - body->code), room = FAST_STEP + length * CODE_FIRST + 1024;
    u64 most = length * CODE_PER_BYTE + CODE_FREE;
    for (f->no_pins = false;; f->full = false) {
        if (!make_room(f, room)) {
            f->oom = true;
            return;
        }
        function_once(f, func, body);
        if (!f->full || (room == most && f->no_pins))
            return;
        if (room == most) {
            f->no_pins = true;
            most = (u64)(f->m->code_end - f->m->code_start) * CODE_MOST + CODE_FREE;
        } else {
            room = room < most / 4 ? room * 4 : most;
        }
    }
}

static void release(struct fast *f)
{
    vec_free(&f->ctls);
    vec_free(&f->states);
    vec_free(&f->regions);
    vec_free(&f->cold);
    vec_free(&f->colds);
    vec_free(&f->traps);
    vec_free(&f->calls);
    vec_free(&f->tails);
    vec_free(&f->labels);
    vec_free(&f->jumps);
    vec_free(&f->tables);
    vec_free(&f->copies);
    vec_free(&f->incoming);
    vec_free(&f->polls);
    vec_free(&f->vectors);
    vec_free(&f->constants);
    vec_free(&f->constant_sites);
    vec_free(&f->throws);
    vec_free(&f->handlers);
    vec_free(&f->wheres);
    vec_free(&f->storage);
    vec_free(&f->slot_storage);
    validator_free(f->validator);
    heap_free(f->memory);
    heap_free(f);
}

static struct fast *prepare(void)
{
    struct fast *f = heap_zalloc(sizeof *f);
    if (!f)
        return NULL;
    f->features = x64_features();
    f->validator = validator_create();
    if (f->validator)
        return f;
    release(f);
    return NULL;
}

static status compile(struct fast *f, const struct compiled *c, u32 func, struct error *e)
{
    f->c = c;
    f->m = c->module;
    struct body body;
    status s = validate_body(f->validator, f->m, func, WANT_USES, &body, e);
    if (s)
        return s;
    f->full = f->oom = false;
    function(f, func, &body);
    if (f->oom || f->full)
        return error_set(e, look_up() ? ERR_CANCELLED : ERR_NO_MEMORY, f->m->funcs[func].start,
                         f->oom ? "out of memory" : "too much code");
    return OK;
}

static struct compiler *fast_begin(void)
{
    return (struct compiler *)prepare();
}

static status fast_compile(struct compiler *k, const struct compiled *c, u32 func, u32 *size,
                           struct error *e)
{
    struct fast *f = (struct fast *)k;
    status s = compile(f, c, func, e);
    *size = f->code.end;
    return s;
}

// The table holds what is said in wasm/engine.h: a function that it has an address for is there.
static void link(const struct fast *f, u8 *code, const struct call_site *site)
{
    enum { CALL_REL32 = 0xe867 }; // with a prefix that means nothing here
    const struct compiled *c = f->c;
    const u8 **entry = &c->table[site->entry];
    const u8 *target = __atomic_load_n(entry, __ATOMIC_ACQUIRE);
    u8 *disp32 = code + site->site;
    u32 func = f->m->nimported_funcs + site->entry - ENTRY_FUNCS;
    if (site->entry >= ENTRY_FUNCS && func == f->func)
        target = c->run + (code - c->write) + f->code.entry;
    if (site->kind == SITE_READ || site->entry < ENTRY_FUNCS || target == arch_stub_first) {
        if (site->kind != SITE_TAIL)
            x64_patch(disp32, (const u8 *)entry + (c->write - c->run));
    } else if (site->kind == SITE_TAIL) {
        struct assembler a = {disp32};
        x64_patch(x64_jmp(&a), c->write + (target - c->run));
    } else {
        store_u16(disp32 - 2, CALL_REL32);
        x64_patch(disp32, c->write + (target - c->run));
    }
}

static void fast_place(struct compiler *k, u32 offset, struct func_code *out)
{
    struct fast *f = (struct fast *)k;
    u8 *code = f->c->write + offset;
    enum { AT_ONCE = 1 << 15 };
    for (u32 i = 0, n; i < f->code.end; i += n) {
        n = f->code.end - i < LOOK_UP ? f->code.end - i : LOOK_UP;
        memcpy(code + i, f->start + i, n);
        if (n == LOOK_UP)
            look_up();
    }
    for (u32 i = 0; i < f->calls.count; i++) {
        if (i % AT_ONCE == AT_ONCE - 1)
            look_up();
        link(f, code, &f->calls.at[i]);
    }
    *out = f->code;
    u32 *parts[] = {&out->start,    &out->entry, &out->pushes, &out->body,
                    &out->epilogue, &out->cold,  &out->end,    &out->catches};
    for (u32 i = 0; i < sizeof parts / sizeof *parts; i++)
        *parts[i] += offset;
}

static void fast_end(struct compiler *k)
{
    if (k)
        release((struct fast *)k);
}

// A body is validated again when it is compiled, with the notes that this needs.
static status fast_load(struct compiled *c, struct error *e)
{
    const struct module *m = c->module;
    struct validator *v = validator_create();
    status s = v ? OK : error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "out of memory");
    for (u32 i = m->nimported_funcs; i < m->nfuncs && !s; i++) {
        struct body body;
        s = validate_body(v, m, i, 0, &body, e);
    }
    validator_free(v);
    return s;
}

static void fast_free(struct compiled *c)
{
    (void)c; // all it has is code and funcs, which are the runtime's
}

// --- From machine code back to wasm
struct place {
    u32 wasm, adjust;
    s32 moved;
    bool exact; // the frame is known, in whatever part of the function
};

// Behind the declarations of locals.
static u32 first_instruction(const struct module *m, u32 func)
{
    const u8 *p = m->bytes + m->funcs[func].start;
    for (u32 groups = leb_u32(&p); groups; groups--) {
        leb_u32(&p);
        p++;
    }
    return (u32)(p - m->bytes);
}

// The function has been compiled into scratch memory, noting where each instruction starts. Ahead
// of the first one, parameters and locals are put into their places.
static void find_place(const struct fast *f, struct place *l, u32 at)
{
    *l = (struct place){.wasm = first_instruction(f->m, f->func)};
    u32 poll = (at - f->poll_start) / POLL_BYTES;
    if (at >= f->poll_start && poll < f->polls.count)
        at = f->polls.at[poll];
    if (at < f->code.cold - f->code.start) {
        u32 low = 0, high = f->wheres.count; // the last that does not lie behind it
        while (low < high) {
            u32 middle = low + (high - low) / 2;
            if (f->wheres.at[middle].code <= at)
                low = middle + 1;
            else
                high = middle;
        }
        if (low) {
            l->wasm = f->wheres.at[low - 1].wasm;
            l->adjust = f->wheres.at[low - 1].adjust;
            l->moved = f->wheres.at[low - 1].moved;
            l->exact = at >= f->tails_start;
        }
        return;
    }
    enum { AT_ONCE = 1 << 15 };
    for (u32 i = 0; i < f->colds.count; i++) {
        if (i % AT_ONCE == AT_ONCE - 1)
            look_up();
        if (at >= f->colds.at[i].final) {
            l->wasm = f->colds.at[i].wasm;
            l->adjust = f->colds.at[i].adjust;
        }
    }
    for (u32 i = 0; i < f->traps.count; i++) {
        if (i % AT_ONCE == AT_ONCE - 1)
            look_up();
        u32 trap = f->traps.at[i].site + 4 + load_u32(f->start + f->traps.at[i].site);
        if (trap == at) {
            l->wasm = f->traps.at[i].wasm;
            l->adjust = f->traps.at[i].adjust;
        }
    }
}

// The instruction at `at`, relative to the start of the function's space, and how far the stack
// pointer has moved, so many bytes further.
static bool locate(struct fast *f, const struct compiled *c, u32 func, u32 at, u32 further,
                   struct place *l)
{
    struct error e = {0};
    if (f->c != c || f->located != func + 1) {
        f->locates = true;
        f->located = compile(f, c, func, &e) ? 0 : func + 1;
    }
    if (!f->located)
        return false;
    find_place(f, l, at + further);
    u32 adjust = l->adjust;
    find_place(f, l, at);
    l->adjust = adjust;
    return true;
}

static u32 code_offset(const struct compiled *c, const struct func_code *code, const u8 *pc)
{
    return (u32)(pc - c->run) - code->start;
}

// In the prologue or epilogue: what the instructions up to, or from, pc on have moved the stack
// pointer by.
static u32 pushed_by(const u8 *p, const u8 *pc)
{
    u32 bytes = 0;
    while (p < pc) {
        if (*p == 0x41)
            p++;
        if ((*p & 0xf8) != 0x50)
            break; // the subtraction comes last: at pc it has not happened
        bytes += 8;
        p++;
    }
    return bytes;
}

// Where a prologue that finds the stack too short for its frame jumps to: the last bytes of the
// function, with the registers saved and no frame yet.
static bool in_overflow(const struct compiled *c, const struct func_code *code, const u8 *pc)
{
    const u8 *run = c->run;
    u32 saved = pushed_by(run + code->pushes, run + code->body);
    return code->frame - saved > FRAME_UNCHECKED && pc >= run + code->end - TRAP_BYTES;
}

static u32 popped_from(const u8 *p)
{
    u32 bytes = 0;
    if (p[0] == 0x48 && p[1] == 0x83) {
        bytes = p[3];
        p += 4;
    } else if (p[0] == 0x48 && p[1] == 0x81) {
        bytes = load_u32(p + 3);
        p += 7;
    }
    for (;; p++) {
        p += *p == 0x41;
        if ((*p & 0xf8) != 0x58)
            return bytes;
        bytes += 8;
    }
}

static struct code_site fast_site_of(struct compiler *k, const struct compiled *c, u32 func,
                                     const u8 *pc, bool return_address)
{
    const struct func_code *code = &c->funcs[func - c->module->nimported_funcs];
    const u8 *run = c->run;
    u32 offset = (u32)(pc - run);
    struct code_site site = {.frame = code->frame};
    struct place l = {0};
    // In the prologue: the stack is full, say the function's first instruction.
    if (offset < code->body || in_overflow(c, code, pc)) {
        const u8 *reached = offset < code->body ? pc : run + code->body;
        return (struct code_site){.offset = first_instruction(c->module, func),
                                  .frame = pushed_by(run + code->pushes, reached)};
    }
    if (k && locate((struct fast *)k, c, func, code_offset(c, code, pc) - return_address,
                    return_address, &l))
        site = (struct code_site){l.wasm, code->frame + l.adjust, l.moved};
    if (!l.exact && offset >= code->epilogue && offset < code->cold)
        site.frame = popped_from(pc);
    return site;
}

const struct engine fast_engine = {
    .name = "fast",
    .code = true,
    .load = fast_load,
    .free = fast_free,
    .begin = fast_begin,
    .compile = fast_compile,
    .place = fast_place,
    .end = fast_end,
    .call = fast_call,
    .site_of = fast_site_of,
};
