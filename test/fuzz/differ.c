// SPDX-License-Identifier: MIT
// Differential fuzzing: random modules on interp and on fast, in one process, compared bit for bit.
//
//   differ [--seed N] [--count M] [--seconds S] [--canonical] [--keep DIR] [--batch FILE]
//   differ [--dump] --seed N          writes the module to standard output
//   differ FILE.wasm...               the same comparison for these modules
//   differ --reduce FILE.wasm         makes a module that fails smaller, in place
//
// A module is loaded by both engines; then each exported function of numbers is called with a few
// argument vectors, which depend on its name and nothing else. What must be equal: results (NaNs
// too), traps and where they happened, and in the end memory and globals. When a stack or the time
// runs out the rest of a module is not compared, for the engines may differ in how much they have.
//
// The parent only watches: children do a range of seeds each, and say in shared memory where they
// are, so that a seed that kills its child is a failure like any other. Modules that fail are
// written to DIR. --batch also writes modules and what they did to FILE, for another engine
// (v8.mjs).
#include "test/fuzz/generate.h"
#include "test/fuzz/reduce.h"
#include "main/load.h"
#include "plat/plat.h"
#include "rt/rt.h"
#include "wasm/vmctx.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    VECTORS = 3,
    SLOTS = 1000,
    CHUNK = 1000,       // seeds of one child
    CHUNK_SECONDS = 60, // of the CPU; it should be a few: then something hangs
    PATIENCE = 20,      // so many times as long it may wait for it
    TRACE = 32,
    FAILURES = 20, // then it stops
};
#define SECOND 1000000000ull
static u64 time_limit = SECOND * 3 / 10; // of one call; files that are named are known to end

struct options {
    u64 seed, count, seconds;
    u32 flags;
    bool dump, reduce;
    const char *keep, *batch;
};

struct progress { // shared with the children
    u64 seed;
    u64 modules, calls, traps, cut;
    u64 failed;
};

// What modules may change outside of themselves.
struct world {
    u64 notes; // a hash of the calls
    union vm_global gi, gd, gl, gf;
};

struct side {
    const struct engine *engine;
    struct store *store;
    struct thread *thread;
    struct rt_module *module;
    struct instance *instance;
    struct rt_module *peer_module; // what modules import functions from; one for all
    struct instance *peer;
    struct rt_module *support_module; // what modules of wasm-opt import; one for all
    struct instance *support;
    struct world world;
};

static struct side sides[2] = {{.engine = &interp_engine}, {.engine = &fast_engine}};
static struct progress *progress;
static struct bytes batch;

// --- The imports

static u64 mix(u64 hash, u64 value)
{
    hash = (hash ^ value) * 0x9e3779b97f4a7c15;
    return hash ^ hash >> 29;
}

static u64 canonical(u8 type, u64 bits)
{
    if (type == TYPE_F32)
        return ((u32)bits & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : (u32)bits;
    if (type == TYPE_F64)
        return (bits & INT64_MAX) > 0x7ff0000000000000 ? 0x7ff8000000000000 : bits;
    return type == TYPE_I32 ? (u32)bits : bits;
}

static struct world *world_of(struct vmctx *vm)
{
    return &sides[vm->thread == thread_vm(sides[1].thread)].world;
}

static void note(struct vmctx *vm, u64 *slots)
{
    struct world *w = world_of(vm);
    w->notes = mix(mix(w->notes, (u32)slots[0]), slots[1]);
    slots[0] = w->notes;
}

static void wide(struct vmctx *vm, u64 *slots)
{
    static const u8 types[] = {TYPE_I32, TYPE_F64, TYPE_I64, TYPE_F32, TYPE_I32, TYPE_F64,
                               TYPE_I64, TYPE_F32, TYPE_I32, TYPE_I64, TYPE_F32, TYPE_F64,
                               TYPE_I32, TYPE_I64, TYPE_I32, TYPE_F32};
    struct world *w = world_of(vm);
    for (u32 i = 0; i < countof(types); i++)
        w->notes = mix(w->notes, canonical(types[i], slots[i]));
    f64 result = (f64)(s32)w->notes;
    memcpy(slots, &result, 8);
}

static void many(struct vmctx *vm, u64 *slots)
{
    struct world *w = world_of(vm);
    u32 n = (u32)slots[0];
    w->notes = mix(mix(w->notes, n), canonical(TYPE_F64, slots[1]));
    f64 d = (s32)n;
    f32 f = (f32)(s32)n;
    slots[0] = slots[2] = 0;
    memcpy(&slots[0], &d, 8);
    slots[1] = w->notes;
    memcpy(&slots[2], &f, 4);
    slots[3] = (u32)w->notes;
}

// Starts nothing, but a module that imports it has polls.
static void spawn(struct vmctx *vm, u64 *slots)
{
    struct world *w = world_of(vm);
    w->notes = mix(w->notes, (u32)slots[0]);
}

static u64 call_ends; // and should its timer run out while no thread runs, so to speak, again
static void others_run(struct vmctx *vm)
{
    u64 now = plat_now();
    if (now > call_ends) {
        call_ends = now + SECOND / 50;
        plat_timer(now + SECOND / 1000);
    }
    vm->thread = NULL;
}

// Nobody wakes anybody; others run, though, at each poll, and leave no register as it was.
static s64 wait_in_vain(struct vmctx *vm, u64 address, s64 timeout_ns)
{
    (void)address, (void)timeout_ns;
    others_run(vm);
    return 2;
}

static u32 notify_nobody(struct vmctx *vm, u64 address, u32 count)
{
    (void)vm, (void)address, (void)count;
    return 0;
}

static void poll_again(struct vmctx *vm)
{
    vm->poll = 1;
    vm->scratch = UINT64_MAX;
    others_run(vm);
    __asm__ volatile("" ::: "rbx", "r12", "r13", "r14", "r15");
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0; movaps %%xmm0, %%xmm1; movaps %%xmm0, %%xmm2;"
                     "movaps %%xmm0, %%xmm3; movaps %%xmm0, %%xmm4; movaps %%xmm0, %%xmm5;"
                     "movaps %%xmm0, %%xmm8; movaps %%xmm0, %%xmm9; movaps %%xmm0, %%xmm12;"
                     "mov $-1, %%rax; mov %%rax, %%rcx; mov %%rax, %%rdx; mov %%rax, %%rsi;"
                     "mov %%rax, %%r8; mov %%rax, %%r9; mov %%rax, %%r10" ::
                         : "rax", "rcx", "rdx", "rsi", "r8", "r9", "r10", "xmm0", "xmm1", "xmm2",
                           "xmm3", "xmm4", "xmm5", "xmm8", "xmm9", "xmm12");
}

static const struct rt_waiting waiting = {wait_in_vain, notify_nobody, poll_again};

// What wasm-opt's generated modules import.
static void log_value(struct vmctx *vm, u64 *slots)
{
    struct world *w = world_of(vm);
    w->notes = mix(w->notes, slots[0]);
}

static void log_i32(struct vmctx *vm, u64 *slots)
{
    slots[0] = (u32)slots[0];
    log_value(vm, slots);
}

static status offer(struct side *s)
{
    static const struct host_func env[] = {{"note", "iI:I", note, NULL},
                                           {"wide", "iFIfiFIfiIfFiIif:F", wide, NULL},
                                           {"many", "iF:FIfi", many, NULL},
                                           {"thread_spawn", "i:i", spawn, NULL}};
    static const struct host_func logs[] = {{"log-i32", "i:", log_i32, NULL},
                                            {"log-i64", "I:", log_value, NULL},
                                            {"log-f32", "f:", log_i32, NULL},
                                            {"log-f64", "F:", log_value, NULL}};
    const struct {
        const char *name;
        union vm_global *at;
        struct global_type type;
    } globals[] = {{"gi", &s->world.gi, {TYPE_I32, true}},
                   {"gd", &s->world.gd, {TYPE_F64, true}},
                   {"gl", &s->world.gl, {TYPE_I64, false}},
                   {"gf", &s->world.gf, {TYPE_F32, false}}};
    status st = store_host_module(s->store, "env", env, countof(env));
    if (st == OK)
        st = store_host_module(s->store, "fuzzing-host", logs, countof(logs));
    for (u32 i = 0; i < countof(globals) && st == OK; i++) {
        struct extern_ x = {
            .kind = EXTERN_GLOBAL, .global = globals[i].at, .global_type = globals[i].type};
        st = store_host_extern(s->store, "env", globals[i].name, &x);
    }
    return st;
}

static void world_reset(struct world *w)
{
    w->notes = 0;
    w->gi.i64 = 7;
    w->gd.f64 = -0.5;
    w->gl.i64 = 0x123456789abcdef0;
    w->gf.f32 = 1.5f;
}

static struct bytes peer;

// A module that exports these as "fuzzing-support", and log-v128, which calls log-i64 for each
// half: V8 lets no vector out.
static const u8 support[] = {
    0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x15, 0x05, 0x60, 0x01, 0x7f, 0x00, 0x60,
    0x01, 0x7e, 0x00, 0x60, 0x01, 0x7d, 0x00, 0x60, 0x01, 0x7c, 0x00, 0x60, 0x01, 0x7b, 0x00, 0x02,
    0x5d, 0x04, 0x0c, 0x66, 0x75, 0x7a, 0x7a, 0x69, 0x6e, 0x67, 0x2d, 0x68, 0x6f, 0x73, 0x74, 0x07,
    0x6c, 0x6f, 0x67, 0x2d, 0x69, 0x33, 0x32, 0x00, 0x00, 0x0c, 0x66, 0x75, 0x7a, 0x7a, 0x69, 0x6e,
    0x67, 0x2d, 0x68, 0x6f, 0x73, 0x74, 0x07, 0x6c, 0x6f, 0x67, 0x2d, 0x69, 0x36, 0x34, 0x00, 0x01,
    0x0c, 0x66, 0x75, 0x7a, 0x7a, 0x69, 0x6e, 0x67, 0x2d, 0x68, 0x6f, 0x73, 0x74, 0x07, 0x6c, 0x6f,
    0x67, 0x2d, 0x66, 0x33, 0x32, 0x00, 0x02, 0x0c, 0x66, 0x75, 0x7a, 0x7a, 0x69, 0x6e, 0x67, 0x2d,
    0x68, 0x6f, 0x73, 0x74, 0x07, 0x6c, 0x6f, 0x67, 0x2d, 0x66, 0x36, 0x34, 0x00, 0x03, 0x03, 0x02,
    0x01, 0x04, 0x07, 0x34, 0x05, 0x07, 0x6c, 0x6f, 0x67, 0x2d, 0x69, 0x33, 0x32, 0x00, 0x00, 0x07,
    0x6c, 0x6f, 0x67, 0x2d, 0x69, 0x36, 0x34, 0x00, 0x01, 0x07, 0x6c, 0x6f, 0x67, 0x2d, 0x66, 0x33,
    0x32, 0x00, 0x02, 0x07, 0x6c, 0x6f, 0x67, 0x2d, 0x66, 0x36, 0x34, 0x00, 0x03, 0x08, 0x6c, 0x6f,
    0x67, 0x2d, 0x76, 0x31, 0x32, 0x38, 0x00, 0x04, 0x0a, 0x12, 0x01, 0x10, 0x00, 0x20, 0x00, 0xfd,
    0x1d, 0x00, 0x10, 0x01, 0x20, 0x00, 0xfd, 0x1d, 0x01, 0x10, 0x01, 0x0b,
};

static void side_open(struct side *s)
{
    struct error e = {0};
    s->store = store_create(s->engine);
    if (!s->store || offer(s) || !(s->thread = thread_create(s->store)) ||
        rt_module_load(s->store, peer.at, peer.count, &s->peer_module, &e) ||
        rt_module_load(s->store, support, sizeof support, &s->support_module, &e) ||
        instance_create(s->store, s->support_module, NULL, &s->support, &e) ||
        store_register(s->store, "fuzzing-support", 15, s->support)) {
        fprintf(stderr, "differ: no store %s\n", e.text);
        exit(2);
    }
}

// Timers do not pass to children, so each process starts the runtime for itself.
static void open_sides(void)
{
    if (rt_init()) {
        fprintf(stderr, "differ: no runtime\n");
        exit(2);
    }
    rt_set_waiting(&waiting);
    side_open(&sides[0]);
    side_open(&sides[1]);
}

static void side_close(struct side *s)
{
    thread_free(s->thread);
    instance_free(s->support);
    rt_module_free(s->support_module);
    rt_module_free(s->peer_module);
    store_free(s->store);
}

// --- Differences

static char difference[400];

__attribute__((format(printf, 1, 2))) static bool differ(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(difference, sizeof difference, format, args);
    va_end(args);
    return false;
}

static bool is_number(u8 type)
{
    return type == TYPE_I32 || type == TYPE_I64 || type == TYPE_F32 || type == TYPE_F64;
}

static u64 defined(u8 type, u64 bits)
{
    return type == TYPE_I32 || type == TYPE_F32 ? (u32)bits : bits;
}

// --- Batches, see v8.mjs: numbers little-endian, floats as bits.

static void put(const void *p, size_t n)
{
    if (!vec_reserve(&batch, (u32)n))
        abort();
    memcpy(batch.at + batch.count, p, n);
    batch.count += (u32)n;
}

static void put_u8(u8 value)
{
    put(&value, 1);
}

static void put_u32(u32 value)
{
    put(&value, 4);
}

static void put_value(u8 type, u64 bits)
{
    bits = canonical(type, bits);
    put_u8(type);
    put(&bits, 8);
}

static void put_peers(void)
{
    put_u8(5);
    put_u32(peer.count);
    put(peer.at, peer.count);
    put_u8(6);
    put_u32(sizeof support);
    put(support, sizeof support);
}

// --- Calls

struct call {
    const char *name;
    u32 length;
    const struct functype *type;
    u64 args[SLOTS];
    u64 slots[2][SLOTS];
    status result[2];
    struct trace_frame trace[2][TRACE];
    u32 frames[2];
};

static u64 argument(const struct call *c, u32 vector, u32 i)
{
    static const u64 ints[] = {0,          1, UINT64_MAX, 0x80000000,
                               0x7fffffff, 2, 100,        0x8000000000000000};
    static const f64 floats[] = {0, 1, -1.5, 1e10, -0.0, 3e38, 1e-40, 12345.678, -__builtin_inf()};
    u64 h = mix(vector, i);
    for (u32 k = 0; k < c->length; k++)
        h = mix(h, (u8)c->name[k]);
    h >>= 20;
    u8 type = c->type->types[i];
    f64 d = h % 10 < countof(floats) ? floats[h % 10] : (f64)(s32)h;
    f32 f = (f32)d;
    u64 bits = h % 10 < countof(ints) ? ints[h % 10] : h / 10;
    if (type == TYPE_F32)
        bits = 0, memcpy(&bits, &f, 4);
    else if (type == TYPE_F64)
        memcpy(&bits, &d, 8);
    return canonical(type, bits);
}

static void fill_up(struct instance *i)
{
    struct extern_ x;
    if (instance_export(i, "fuel", 4, &x) == OK && x.kind == EXTERN_GLOBAL)
        x.global->i32 = FUEL;
}

static void refuel(struct side *s)
{
    struct extern_ x;
    fill_up(s->instance);
    fill_up(s->peer);
    if (instance_export(s->instance, "hangLimitInitializer", 20, &x) == OK && x.kind == EXTERN_FUNC)
        thread_call(s->thread, x.func, (u64[1]){0});
}

static void call_on(struct call *c, u32 which)
{
    struct side *s = &sides[which];
    struct extern_ x;
    instance_export(s->instance, c->name, c->length, &x);
    refuel(s);
    instance_vm(s->instance)->poll = 1;
    memcpy(c->slots[which], c->args, sizeof c->args[0] * c->type->nparams);
    call_ends = plat_now() + time_limit;
    thread_deadline(s->thread, call_ends);
    c->result[which] = thread_call(s->thread, x.func, c->slots[which]);
    thread_deadline(s->thread, UINT64_MAX);
    c->frames[which] = 0;
    if (c->result[which] == ERR_TRAP)
        c->frames[which] = thread_trace(s->thread, c->trace[which], TRACE);
}

static u32 trap_of(const struct call *c, u32 which)
{
    return c->result[which] == ERR_TRAP ? thread_vm(sides[which].thread)->trap : TRAP_NONE;
}

static bool ran_out(u32 trap)
{
    return trap == TRAP_STACK || trap == TRAP_TIME;
}

static bool compare_traces(const struct call *c)
{
    if (c->frames[0] != c->frames[1])
        return differ("%.*s: traces of %u and %u frames", (int)c->length, c->name, c->frames[0],
                      c->frames[1]);
    for (u32 i = 0; i < c->frames[0]; i++) {
        const struct trace_frame *a = &c->trace[0][i], *b = &c->trace[1][i];
        if (a->func != b->func || a->offset != b->offset)
            return differ("%.*s: frame %u of the trace: function %u at 0x%x, function %u at 0x%x",
                          (int)c->length, c->name, i, a->func, a->offset, b->func, b->offset);
    }
    return true;
}

static bool compare_call(const struct call *c, u32 vector)
{
    u32 trap[2] = {trap_of(c, 0), trap_of(c, 1)};
    if (trap[0] != trap[1] || c->result[0] != c->result[1])
        return differ("%.*s, arguments %u: interp: %s, fast: %s", (int)c->length, c->name, vector,
                      trap[0] ? trap_text(trap[0]) : status_text(c->result[0]),
                      trap[1] ? trap_text(trap[1]) : status_text(c->result[1]));
    if (trap[0])
        return compare_traces(c);
    for (u32 i = 0; i < c->type->nresults; i++) {
        u8 type = c->type->types[c->type->nparams + i];
        u64 a = defined(type, c->slots[0][i]), b = defined(type, c->slots[1][i]);
        if (a != b)
            return differ("%.*s, arguments %u: result %u (%s): interp: 0x%llx, fast: 0x%llx",
                          (int)c->length, c->name, vector, i, valtype_text(type),
                          (unsigned long long)a, (unsigned long long)b);
    }
    return true;
}

static void record_call(const struct call *c)
{
    u32 trap = trap_of(c, 0), n = c->type->nparams;
    put_u8(1);
    put_u32(c->length);
    put(c->name, c->length);
    put_u32(n);
    for (u32 i = 0; i < n; i++)
        put_value(c->type->types[i], c->args[i]);
    put_u8((u8)trap);
    if (trap)
        return;
    put_u32(c->type->nresults);
    for (u32 i = 0; i < c->type->nresults; i++)
        put_value(c->type->types[n + i], c->slots[0][i]);
}

// False: stop here, for want of stack or time, or because of a difference.
static bool run_call(struct call *c, u32 vector)
{
    for (u32 i = 0; i < c->type->nparams; i++)
        c->args[i] = argument(c, vector, i);
    call_on(c, 0);
    call_on(c, 1);
    progress->calls++;
    if (ran_out(trap_of(c, 0)) || ran_out(trap_of(c, 1))) {
        progress->cut++;
        return false;
    }
    progress->traps += trap_of(c, 0) != 0;
    if (batch.at)
        record_call(c);
    return compare_call(c, vector);
}

static bool numbers_only(const struct functype *t)
{
    for (u32 i = 0; i < t->nparams + t->nresults; i++)
        if (!is_number(t->types[i]))
            return false;
    return true;
}

static bool run_calls(const struct module *m)
{
    static struct call c;
    for (u32 vector = 0; vector < VECTORS; vector++) {
        for (u32 i = 0; i < m->nexports; i++) {
            const struct export *e = &m->exports[i];
            if (e->kind != EXTERN_FUNC || !numbers_only(module_func_type(m, e->index)))
                continue;
            c.name = e->name.p;
            c.length = e->name.length;
            c.type = module_func_type(m, e->index);
            if (!run_call(&c, vector))
                return false;
        }
    }
    return true;
}

// --- What is left

static u32 hash_memory(const struct vm_memory *m)
{
    u32 h = 0x811c9dc5;
    for (u64 i = 0; i < m->bytes; i += 4)
        h = (h ^ load_u32(m->base + i)) * 0x01000193;
    return h;
}

static bool compare_global(const struct export *e, u8 type, u64 a, u64 b)
{
    a = defined(type, a);
    b = defined(type, b);
    if (batch.at) {
        put_u8(2);
        put_u32(e->name.length);
        put(e->name.p, e->name.length);
        put_value(type, a);
    }
    return a == b || differ("global %.*s: interp: 0x%llx, fast: 0x%llx", (int)e->name.length,
                            e->name.p, (unsigned long long)a, (unsigned long long)b);
}

static bool compare_memory(const struct export *e, const struct vm_memory *a,
                           const struct vm_memory *b)
{
    if (a->bytes != b->bytes)
        return differ("memory: interp: %llu bytes, fast: %llu", (unsigned long long)a->bytes,
                      (unsigned long long)b->bytes);
    if (batch.at) {
        put_u8(3);
        put_u32(e->name.length);
        put(e->name.p, e->name.length);
        put_u32((u32)(a->bytes / WASM_PAGE));
        put_u32(hash_memory(a));
    }
    if (!memcmp(a->base, b->base, a->bytes))
        return true;
    u64 at = 0;
    while (a->base[at] == b->base[at])
        at++;
    return differ("memory at 0x%llx: interp: 0x%02x, fast: 0x%02x", (unsigned long long)at,
                  a->base[at], b->base[at]);
}

static bool compare_worlds(void)
{
    const struct world *a = &sides[0].world, *b = &sides[1].world;
    if (batch.at) {
        put_u8(4);
        put(&a->notes, 8);
        put_value(TYPE_I32, a->gi.i32);
        put_value(TYPE_F64, a->gd.i64);
    }
    if (a->notes != b->notes)
        return differ("calls of imports differ");
    return (a->gi.i32 == b->gi.i32 && a->gd.i64 == b->gd.i64) ||
           differ("an imported global differs");
}

static bool compare_rest(const struct module *m)
{
    bool same = compare_worlds();
    for (u32 i = 0; i < m->nexports && same; i++) {
        const struct export *e = &m->exports[i];
        struct extern_ x[2];
        for (u32 k = 0; k < 2; k++)
            instance_export(sides[k].instance, e->name.p, e->name.length, &x[k]);
        if (e->kind == EXTERN_MEMORY)
            same = compare_memory(e, x[0].memory, x[1].memory);
        if (e->kind == EXTERN_GLOBAL && is_number(x[0].global_type.type))
            same = compare_global(e, x[0].global_type.type, x[0].global->i64, x[1].global->i64);
    }
    return same;
}

// --- One module

static bool load(const u8 *p, size_t size, status st[2])
{
    struct error e[2];
    for (u32 i = 0; i < 2; i++) {
        struct side *s = &sides[i];
        s->module = NULL;
        s->instance = s->peer = NULL;
        e[i] = (struct error){0};
        world_reset(&s->world);
        st[i] = instance_create(s->store, s->peer_module, NULL, &s->peer, &e[i]);
        if (st[i] == OK)
            st[i] = store_register(s->store, "peer", 4, s->peer);
        if (st[i] == OK)
            st[i] = rt_module_load(s->store, p, size, &s->module, &e[i]);
        if (st[i] == OK)
            st[i] = instance_create(s->store, s->module, NULL, &s->instance, &e[i]);
        if (st[i] == OK)
            st[i] = instance_run_start(s->instance, s->thread);
    }
    if (st[0] != st[1] || strcmp(e[0].text, e[1].text))
        return differ("interp: %s %s, fast: %s %s", status_text(st[0]), e[0].text,
                      status_text(st[1]), e[1].text);
    return st[0] == OK ||
           differ("does not load: %s at 0x%llx", e[0].text, (unsigned long long)e[0].offset);
}

static bool compare_module(const u8 *p, size_t size)
{
    status st[2];
    u32 start = batch.count;
    difference[0] = 0;
    if (batch.at) {
        if (!batch.count)
            put_peers();
        put_u8(0);
        put_u32((u32)size);
        put(p, size);
    }
    u64 cut = progress->cut;
    bool same = load(p, size, st);
    if (same) {
        bool whole = run_calls(sides[0].module->m);
        same = whole ? compare_rest(sides[0].module->m) : !difference[0];
    }
    for (u32 i = 0; i < 2; i++) {
        instance_free(sides[i].instance);
        instance_free(sides[i].peer);
        if (sides[i].module)
            rt_module_free(sides[i].module);
    }
    if (!same || progress->cut != cut)
        batch.count = start; // nothing that another engine could be held to
    progress->modules++;
    return same;
}

// --- Seeds

static void generate_seed(u64 seed, u32 flags, struct bytes *out)
{
    struct choices c = {.state = mix(seed, flags) ^ seed};
    out->count = 0;
    generate(&c, flags, out);
}

static bool write_file(const char *name, const u8 *p, size_t n, const char *mode)
{
    FILE *f = fopen(name, mode);
    bool done = f && fwrite(p, 1, n, f) == n;
    done = f && !fclose(f) && done;
    if (!done)
        fprintf(stderr, "differ: %s: %s\n", name, strerror(errno));
    return done;
}

static void report(const struct options *o, u64 seed, const struct bytes *module, const char *text)
{
    char name[4200];
    snprintf(name, sizeof name, "%s/seed-%llu.wasm", o->keep, (unsigned long long)seed);
    printf("FAIL seed %llu: %s\n     %s\n", (unsigned long long)seed, text, name);
    fflush(stdout);
    write_file(name, module->at, module->count, "wb");
    progress->failed++;
}

static void flush_batch(const struct options *o)
{
    if (o->batch && !write_file(o->batch, batch.at, batch.count, "ab"))
        exit(2);
    batch.count = 0;
}

static void run_seeds(const struct options *o, u64 end)
{
    struct bytes module = {0};
    open_sides();
    for (; progress->seed < end && progress->failed < FAILURES; progress->seed++) {
        generate_seed(progress->seed, o->flags, &module);
        if (!compare_module(module.at, module.count))
            report(o, progress->seed, &module, difference);
        if (batch.count > 8u << 20)
            flush_batch(o);
    }
    flush_batch(o);
    side_close(&sides[0]);
    side_close(&sides[1]);
}

static void run_children(const struct options *o)
{
    struct bytes module = {0};
    u64 end = o->seed + o->count, deadline = plat_now() + o->seconds * 1000000000;
    for (progress->seed = o->seed; progress->seed < end && progress->failed < FAILURES;) {
        if (o->seconds && plat_now() > deadline)
            break;
        u64 stop = progress->seed + CHUNK < end ? progress->seed + CHUNK : end;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) {
            setrlimit(RLIMIT_CPU, &(struct rlimit){CHUNK_SECONDS, CHUNK_SECONDS});
            alarm(CHUNK_SECONDS * PATIENCE);
            run_seeds(o, stop);
            fflush(stdout);
            _exit(0);
        }
        int how;
        waitpid(child, &how, 0);
        if (WIFEXITED(how) && WEXITSTATUS(how) == 0)
            continue;
        char text[60];
        snprintf(text, sizeof text, WIFSIGNALED(how) ? "died by signal %d" : "died with code %d",
                 WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
        generate_seed(progress->seed, o->flags, &module);
        report(o, progress->seed++, &module, text);
    }
    vec_free(&module);
}

// --- Files

static bool read_file(const char *name, struct bytes *out)
{
    FILE *f = fopen(name, "rb");
    out->count = 0;
    while (f && vec_reserve(out, 1 << 16)) {
        size_t n = fread(out->at + out->count, 1, 1 << 16, f);
        out->count += (u32)n;
        if (!n)
            break;
    }
    if (!f || fclose(f)) {
        fprintf(stderr, "differ: %s: %s\n", name, strerror(errno));
        return false;
    }
    return true;
}

static void run_files(const struct options *o, char **names)
{
    struct bytes module = {0};
    time_limit = 10 * SECOND;
    open_sides();
    for (; *names; names++) {
        if (!read_file(*names, &module) || !compare_module(module.at, module.count)) {
            printf("FAIL %s: %s\n", *names, difference);
            progress->failed++;
        }
    }
    flush_batch(o);
    side_close(&sides[0]);
    side_close(&sides[1]);
    vec_free(&module);
}

// In a child: it may be the kind of failure that ends a process, or goes on for ever.
static bool fails_still(const struct bytes *module)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(3);
        open_sides();
        fclose(stderr);
        _exit(compare_module(module->at, module->count) || !strncmp(difference, "does not", 8));
    }
    int how;
    waitpid(child, &how, 0);
    return !WIFEXITED(how) ? WTERMSIG(how) != SIGALRM : WEXITSTATUS(how) != 1;
}

static int reduce_file(const char *name)
{
    struct bytes module = {0};
    if (!read_file(name, &module))
        return 2;
    if (!fails_still(&module)) {
        printf("%s: does not fail\n", name);
        return 1;
    }
    reduce(&module, fails_still);
    bool done = write_file(name, module.at, module.count, "wb");
    vec_free(&module);
    return done ? 0 : 2;
}

// --- The command line

static int usage(void)
{
    fprintf(stderr, "usage: differ [--seed N] [--count M] [--seconds S] [--canonical] [--old] "
                    "[--dump] [--keep DIR] "
                    "[--batch FILE] [--reduce] [FILE.wasm...]\n");
    return 2;
}

static bool parse(struct options *o, char ***argv)
{
    while (**argv && !strncmp(**argv, "--", 2)) {
        const char *name = *(*argv)++;
        if (str_eq(name, "--dump")) {
            o->dump = true;
            continue;
        }
        if (str_eq(name, "--reduce")) {
            o->reduce = true;
            continue;
        }
        if (str_eq(name, "--old")) {
            o->flags |= GENERATE_OLD;
            continue;
        }
        if (str_eq(name, "--canonical")) {
            o->flags |= GENERATE_NANS_CANONICAL;
            continue;
        }
        const char *value = *(*argv)++;
        if (!value)
            return false;
        if (str_eq(name, "--seed"))
            o->seed = strtoull(value, NULL, 0);
        else if (str_eq(name, "--count"))
            o->count = strtoull(value, NULL, 0);
        else if (str_eq(name, "--seconds"))
            o->seconds = strtoull(value, NULL, 0), o->count = 1ull << 40;
        else if (str_eq(name, "--keep"))
            o->keep = value;
        else if (str_eq(name, "--batch"))
            o->batch = value;
        else
            return false;
    }
    return true;
}

static int dump(const struct options *o)
{
    struct bytes module = {0};
    generate_seed(o->seed, o->flags, &module);
    bool done = fwrite(module.at, 1, module.count, stdout) == module.count;
    vec_free(&module);
    return done ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options o = {.count = 1000, .keep = "."};
    (void)argc;
    argv++;
    if (!parse(&o, &argv))
        return usage();
    if (o.dump)
        return dump(&o);
    progress =
        mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (progress == MAP_FAILED)
        return 2;
    if (o.batch && (!vec_reserve(&batch, 1 << 20) || !write_file(o.batch, NULL, 0, "wb")))
        return 2;
    generate(&(struct choices){.state = 1}, o.flags | GENERATE_PEER, &peer);
    if (o.reduce)
        return *argv ? reduce_file(*argv) : usage();
    u64 start = plat_now();
    if (*argv)
        run_files(&o, argv);
    else
        run_children(&o);
    f64 seconds = (f64)(plat_now() - start) / 1e9;
    printf("interp = fast: %llu modules, %llu calls, %llu traps, %llu cut short, %.1f s, %.0f "
           "modules/s, "
           "%llu failed\n",
           (unsigned long long)progress->modules, (unsigned long long)progress->calls,
           (unsigned long long)progress->traps, (unsigned long long)progress->cut, seconds,
           (f64)progress->modules / seconds, (unsigned long long)progress->failed);
    return progress->failed ? 1 : 0;
}
