// SPDX-License-Identifier: MIT
// What the unit tests of the baseline compiler share.
//
// A small assembler writes modules into memory of the C library, since the heap under test is
// counted and told to fail. A pair runs one module on the interpreter and on compiled code: agree()
// checks that results, traps and traces are the same. An object is a module compiled outside of a
// store, into memory of the test's own; twice() compiles one into two places, which must give the
// same code, since that is how places of traps are found, and asks for places in it: every one must
// be an instruction's.
#pragma once
#include "fast/state.h"
#include "rt/rt.h"
#include "wasm/runtime.h"
#include "test/unit/heap.h"

#include <stdio.h>
#include <string.h>

static int passed, failed;
static const char *about = ""; // what is being tested

#define CHECK_IS(got, want)                                                                        \
    do {                                                                                           \
        long long got_ = (long long)(got), want_ = (long long)(want);                              \
        if (got_ == want_) {                                                                       \
            passed++;                                                                              \
        } else {                                                                                   \
            failed++;                                                                              \
            printf("%s:%d: %s: %s: got %lld, want %lld\n", __FILE__, __LINE__, about, #got, got_,  \
                   want_);                                                                         \
        }                                                                                          \
    } while (0)
#define COUNT(array) (sizeof(array) / sizeof *(array))

// --- Bytes. The C library's heap: the one under test is counted and told to fail.

struct buf {
    u8 *at;
    size_t size, room;
};

static void put(struct buf *b, const void *p, size_t n)
{
    if (b->room - b->size < n) {
        b->room = (b->size + n) * 2;
        b->at = realloc(b->at, b->room);
        if (!b->at)
            abort();
    }
    memcpy(b->at + b->size, p, n);
    b->size += n;
}

static void put_byte(struct buf *b, u32 byte)
{
    put(b, &(u8){(u8)byte}, 1);
}

static void put_u(struct buf *b, u64 v)
{
    for (; v > 0x7f; v >>= 7)
        put_byte(b, (v & 0x7f) | 0x80);
    put_byte(b, (u32)v);
}

static void put_s(struct buf *b, s64 v)
{
    for (; v < -64 || v > 63; v >>= 7)
        put_byte(b, ((u32)v & 0x7f) | 0x80);
    put_byte(b, (u32)v & 0x7f);
}

static void put_buf(struct buf *b, struct buf *from)
{
    put(b, from->at, from->size);
    free(from->at);
    *from = (struct buf){0};
}

// --- Instructions

static void op(struct buf *b, u32 code)
{
    if (code > 0xff)
        put_byte(b, code >> 8);
    put_byte(b, code);
}

static void op1(struct buf *b, u32 code, u32 immediate)
{
    op(b, code);
    put_u(b, immediate);
}

__attribute__((unused)) static void op2(struct buf *b, u32 code, u32 first, u32 second)
{
    op1(b, code, first);
    put_u(b, second);
}

static void i32_const(struct buf *b, s32 v)
{
    op(b, OP_i32_const);
    put_s(b, v);
}

static void i64_const(struct buf *b, s64 v)
{
    op(b, OP_i64_const);
    put_s(b, v);
}

__attribute__((unused)) static void f64_const(struct buf *b, f64 v)
{
    op(b, OP_f64_const);
    put(b, &v, 8);
}

enum { VOID = 0x40 };

// local += value
static void bump(struct buf *b, u32 local, s32 value)
{
    op1(b, OP_local_get, local);
    i32_const(b, value);
    op(b, OP_i32_add);
    op1(b, OP_local_set, local);
}

// --- Modules: a memory of a page, a table of 20 with the first functions, all functions exported
// under their numbers.

struct mod {
    struct buf types, imports, funcs, exports, code;
    u32 ntypes, nimported, nfuncs; // imported ones come first
};

static u8 type_of(char c)
{
    return c == 'i' ? TYPE_I32 : c == 'I' ? TYPE_I64 : c == 'f' ? TYPE_F32 : TYPE_F64;
}

// "ii:I": parameters, results.
static u32 mod_type(struct mod *m, const char *text)
{
    const char *results = strchr(text, ':') + 1;
    put_byte(&m->types, 0x60);
    put_u(&m->types, (size_t)(results - 1 - text));
    for (const char *p = text; *p != ':'; p++)
        put_byte(&m->types, type_of(*p));
    put_u(&m->types, strlen(results));
    for (const char *p = results; *p; p++)
        put_byte(&m->types, type_of(*p));
    return m->ntypes++;
}

static void put_name(struct buf *b, const char *name)
{
    put_u(b, strlen(name));
    put(b, name, strlen(name));
}

__attribute__((unused)) static u32 mod_import(struct mod *m, const char *module, const char *field,
                                              u32 type)
{
    put_name(&m->imports, module);
    put_name(&m->imports, field);
    put_byte(&m->imports, EXTERN_FUNC);
    put_u(&m->imports, type);
    m->nimported++;
    return m->nfuncs++;
}

// A body with n locals besides the parameters.
__attribute__((unused)) static struct buf body(u32 n, u8 type)
{
    struct buf b = {0};
    put_byte(&b, n != 0);
    if (n) {
        put_u(&b, n);
        put_byte(&b, type);
    }
    return b;
}

// Adds the final end. Takes the body.
static u32 mod_func(struct mod *m, u32 type, struct buf *b)
{
    char name[16];
    snprintf(name, sizeof name, "%u", m->nfuncs);
    op(b, OP_end);
    put_u(&m->funcs, type);
    put_name(&m->exports, name);
    put_byte(&m->exports, EXTERN_FUNC);
    put_u(&m->exports, m->nfuncs);
    put_u(&m->code, b->size);
    put_buf(&m->code, b);
    return m->nfuncs++;
}

static void put_section(struct buf *b, u32 id, u32 count, struct buf *content)
{
    struct buf head = {0};
    put_u(&head, count);
    put_byte(b, id);
    put_u(b, head.size + content->size);
    put_buf(b, &head);
    put_buf(b, content);
}

enum { TABLE_SIZE = 20 };

static struct buf mod_finish(struct mod *m)
{
    struct buf b = {0}, table = {0}, memory = {0}, elems = {0};
    u32 n = m->nfuncs < TABLE_SIZE - 2 ? m->nfuncs : TABLE_SIZE - 2;
    put(&b, "\0asm\1\0\0\0", 8);
    put(&table, "\x70\0", 2);
    put_u(&table, TABLE_SIZE);
    put(&memory, "\0\1", 2);
    put(&elems, "\0\x41\0\x0b", 4);
    put_u(&elems, n);
    for (u32 i = 0; i < n; i++)
        put_u(&elems, i);
    put_section(&b, 1, m->ntypes, &m->types);
    u32 own = m->nfuncs - m->nimported;
    if (m->nimported)
        put_section(&b, 2, m->nimported, &m->imports);
    put_section(&b, 3, own, &m->funcs);
    put_section(&b, 4, 1, &table);
    put_section(&b, 5, 1, &memory);
    put_section(&b, 7, own, &m->exports);
    put_section(&b, 9, 1, &elems);
    put_section(&b, 10, own, &m->code);
    *m = (struct mod){0};
    return b;
}

// --- Runs

struct run {
    struct store *s;
    struct thread *t;
    struct rt_module *m;
    struct instance *i;
};

static void nothing(struct vmctx *vm, u64 *slots)
{
    (void)vm;
    slots[0] = 0;
}

// Every imported function does nothing and returns 0.
static void host_functions(struct store *s, const struct module *m)
{
    static char types[64][64], names[64][2][64];
    static struct host_func funcs[64];
    for (u32 i = 0; i < m->nimports && i < 64; i++) {
        const struct import *im = &m->imports[i];
        if (im->kind != EXTERN_FUNC)
            continue;
        const struct functype *t = module_func_type(m, im->index);
        char *p = types[i];
        for (u32 k = 0; k < t->nparams + t->nresults; k++) {
            if (k == t->nparams)
                *p++ = ':';
            *p++ = "iIfF"[TYPE_I32 - t->types[k]];
        }
        if (!t->nresults)
            *p++ = ':';
        *p = 0;
        snprintf(names[i][0], 64, "%.*s", (int)im->module.length, im->module.p);
        snprintf(names[i][1], 64, "%.*s", (int)im->field.length, im->field.p);
        funcs[i] = (struct host_func){names[i][1], types[i], nothing, NULL};
        store_host_module(s, names[i][0], &funcs[i], 1);
    }
}

static bool run_start(struct run *r, const struct engine *engine, const struct buf *bytes)
{
    struct error e = {0};
    *r = (struct run){.s = store_create(engine)};
    r->t = thread_create(r->s);
    if (!rt_module_load(r->s, bytes->at, bytes->size, &r->m, &e)) {
        host_functions(r->s, r->m->m);
        if (!instance_create(r->s, r->m, NULL, &r->i, &e))
            return true;
    }
    failed++;
    printf("%s: %s: %s at %llu\n", about, engine->name, e.text, (unsigned long long)e.offset);
    return false;
}

static const struct vm_func *run_func(struct run *r, const char *name)
{
    struct extern_ x;
    if (instance_export(r->i, name, strlen(name), &x) || x.kind != EXTERN_FUNC)
        return NULL;
    return x.func;
}

enum { SLOTS = 1024, FRAMES = 40 };

struct outcome {
    status s;
    u32 trap;
    u64 slots[SLOTS];
    struct trace_frame frames[FRAMES];
    u32 nframes;
};

static void run_call(struct run *r, const char *name, const u64 *args, u32 nargs,
                     struct outcome *out)
{
    memset(out, 0, sizeof *out);
    if (nargs)
        memcpy(out->slots, args, nargs * sizeof *args);
    const struct vm_func *f = run_func(r, name);
    if (!f) {
        out->s = ERR_NOT_FOUND;
        return;
    }
    out->s = thread_call(r->t, f, out->slots);
    if (out->s != ERR_TRAP)
        return;
    out->trap = thread_vm(r->t)->trap;
    out->nframes = thread_trace(r->t, out->frames, FRAMES);
}

static bool same_frame(const struct trace_frame *a, const struct trace_frame *b)
{
    return a->func == b->func && a->offset == b->offset;
}

// Where a stack is exhausted depends on the size of frames: the innermost one is left out, and in a
// recursion through several functions it may be another's turn. One engine keeps 32 frames.
static void same_trace(const struct outcome *a, const struct outcome *b)
{
    u32 n = a->nframes < 32 ? a->nframes : 32, m = b->nframes < 32 ? b->nframes : 32, turn = 0;
    bool stack = a->trap == TRAP_STACK;
    if (!stack)
        CHECK_IS(m, n);
    while (stack && turn < 3 && !same_frame(&b->frames[1 + turn], &a->frames[1]))
        turn++;
    for (u32 i = stack; i + stack < n && i + turn + stack < m; i++) {
        CHECK_IS(b->frames[i + turn].func, a->frames[i].func);
        CHECK_IS(b->frames[i + turn].offset, a->frames[i].offset);
    }
}

struct pair {
    struct run interp, fast;
};

static bool pair_start(struct pair *p, const struct buf *bytes)
{
    bool ok = run_start(&p->interp, &interp_engine, bytes);
    return run_start(&p->fast, &fast_engine, bytes) && ok;
}

static void pair_end(struct pair *p)
{
    store_free(p->interp.s);
    store_free(p->fast.s);
}

// Calls on both; returns what the compiled code did.
static const struct outcome *agree(struct pair *p, u32 func, const u64 *args, u32 nargs,
                                   u32 nresults)
{
    static struct outcome a, b;
    char name[16];
    snprintf(name, sizeof name, "%u", func);
    run_call(&p->interp, name, args, nargs, &a);
    run_call(&p->fast, name, args, nargs, &b);
    CHECK_IS(b.s, a.s);
    CHECK_IS(b.trap, a.trap);
    if (a.s == ERR_TRAP)
        same_trace(&a, &b);
    else
        for (u32 i = 0; i < nresults; i++)
            CHECK_IS(b.slots[i], a.slots[i]);
    return &b;
}

// --- Compiling outside of a store, into memory of the test's own

struct object {
    struct module *m;
    struct compiled c;
    u8 *memory;
};

static bool object_decode(struct object *o, const u8 *bytes, size_t size)
{
    struct error e = {0};
    *o = (struct object){0};
    if (!module_decode(bytes, size, &o->m, &e))
        return true;
    failed++;
    printf("%s: %s at %llu\n", about, e.text, (unsigned long long)e.offset);
    return false;
}

static void object_drop_code(struct object *o)
{
    if (o->c.engine)
        o->c.engine->free(&o->c);
    free(o->c.funcs);
    free(o->memory);
    o->c = (struct compiled){0};
    o->memory = NULL;
}

// The table lies in front of the code.
static status object_compile(struct object *o, u32 capacity, struct error *e)
{
    u32 n = o->m->nfuncs - o->m->nimported_funcs;
    u32 table = ALIGN_UP((ENTRY_FUNCS + n) * (u32)sizeof(u8 *), 64u);
    *e = (struct error){0};
    o->memory = aligned_alloc(4096, ALIGN_UP((size_t)table + capacity, (size_t)4096));
    o->c = (struct compiled){.engine = &fast_engine,
                             .module = o->m,
                             .funcs = calloc(n + 1, sizeof *o->c.funcs),
                             .write = o->memory,
                             .run = o->memory,
                             .table = (const u8 **)(void *)o->memory,
                             .used = table};
    for (u32 i = 0; i < ENTRY_FUNCS + n; i++)
        o->c.table[i] = arch_stub_first;
    struct compiler *k = fast_engine.begin();
    status s = k ? OK : ERR_NO_MEMORY;
    for (u32 i = 0, size; i < n && !s; i++) {
        if ((s = fast_engine.compile(k, &o->c, i + o->m->nimported_funcs, &size, e)))
            break;
        if (size > table + capacity - o->c.used) {
            s = error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "no room");
            break;
        }
        fast_engine.place(k, o->c.used, &o->c.funcs[i]);
        o->c.table[ENTRY_FUNCS + i] = o->memory + o->c.funcs[i].entry;
        o->c.used = ALIGN_UP(o->c.used + size, 16u);
    }
    fast_engine.end(k);
    return s;
}

static void object_free(struct object *o)
{
    object_drop_code(o);
    module_free(o->m);
}

static u32 plenty(const struct object *o)
{
    return (o->m->code_end - o->m->code_start) * 24 + o->m->nfuncs * 256 + (64 << 10);
}

// --- The same bytes, the same code; every offset an instruction's

static void mark_instructions(const struct module *m, u32 func, u8 *starts)
{
    const u8 *p = m->bytes + m->funcs[func].start, *end = m->bytes + m->funcs[func].end;
    for (u32 groups = leb_u32(&p); groups; groups--) {
        leb_u32(&p);
        p++;
    }
    while (p < end) {
        starts[p - m->bytes] = 1;
        u32 code = *p++;
        if (code >= 0xfc)
            code = code << 8 | leb_u32(&p);
        if (code == OP_br_table) {
            for (u32 n = leb_u32(&p) + 1; n; n--)
                leb_u32(&p);
        } else {
            ops_skip(&p, code);
        }
    }
}

// Of the instruction that some code belongs to.
static u32 offset_of(const struct object *o, u32 func, const u8 *pc)
{
    struct compiler *k = fast_engine.begin();
    u32 offset = fast_engine.site_of(k, &o->c, func, pc, false).offset;
    fast_engine.end(k);
    return offset;
}

// One that goes back to a loop's beginning may have that once more.
static bool has_table(const struct object *o, const struct func *in, const u8 *starts)
{
    for (u32 at = in->start; at < in->end; at++)
        if (starts[at] && o->m->bytes[at] == OP_br_table)
            return true;
    return false;
}

// Some places in the function's code, in ascending order: within the body so are the offsets, but
// for code that is there several times.
static void offsets_of(const struct object *o, u32 func, const u8 *starts, u32 samples)
{
    const struct func_code *f = &o->c.funcs[func - o->m->nimported_funcs];
    const struct func *in = &o->m->funcs[func];
    u32 before = 0, wrong = 0;
    bool again = has_table(o, in, starts);
    for (u32 i = 0; i < samples; i++) {
        u32 at = f->body + (u32)((u64)(f->end - f->body) * i / samples);
        u32 offset = offset_of(o, func, o->memory + at);
        bool ordered = again || at >= f->epilogue || offset >= before;
        if (offset < in->start || offset >= in->end || !starts[offset] || !ordered)
            wrong++;
        before = offset;
    }
    CHECK_IS(wrong, 0);
}

static void same_code(const struct object *a, const struct object *b)
{
    u32 n = a->m->nfuncs - a->m->nimported_funcs;
    CHECK_IS(b->c.used, a->c.used);
    CHECK_IS(memcmp(a->c.funcs, b->c.funcs, n * sizeof *a->c.funcs), 0);
    // Calls are relative, and the runtime is where it is: nothing depends on where the code lies.
    for (u32 i = 0; i < n && a->c.used == b->c.used; i++) {
        const struct func_code *f = &a->c.funcs[i];
        CHECK_IS(memcmp(a->memory + f->start, b->memory + f->start, f->end - f->start), 0);
    }
}

static void twice(const struct buf *bytes, u32 samples)
{
    struct object a, b;
    struct error e;
    if (!object_decode(&a, bytes->at, bytes->size) || !object_decode(&b, bytes->at, bytes->size))
        return;
    CHECK_IS(object_compile(&a, plenty(&a), &e), OK);
    CHECK_IS(object_compile(&b, plenty(&b) + 8192, &e), OK);
    same_code(&a, &b);
    u8 *starts = calloc(bytes->size + 1, 1);
    u64 budget = 4 << 20; // bytes of bodies that are compiled again
    for (u32 i = a.m->nimported_funcs; i < a.m->nfuncs; i++) {
        u64 cost = (u64)(a.m->funcs[i].end - a.m->funcs[i].start + 64) * samples;
        if (cost > budget)
            continue;
        budget -= cost;
        mark_instructions(a.m, i, starts);
        offsets_of(&a, i, starts, samples);
    }
    free(starts);
    object_free(&a);
    object_free(&b);
}
