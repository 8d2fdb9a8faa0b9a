// SPDX-License-Identifier: MIT
// Unit test of the baseline compiler: what the official suite does not ask for.
//
// Modules are written by the small assembler at the start of this file. Each is run on the
// interpreter too, and results, traps and traces must be the same. Compiling the same bytes twice
// must give the same code, since that is how offsets of traps are found; every offset that is found
// must be an instruction's. Bodies of hostile shapes (deep, wide, long) must compile in time and
// memory that grow no faster than they do; a heap or a code space that ends anywhere must end the
// compilation cleanly.
#include "fast/state.h"
#include "rt/rt.h"
#include "test/unit/heap.h"

#include <dirent.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

static void op2(struct buf *b, u32 code, u32 first, u32 second)
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

static void f64_const(struct buf *b, f64 v)
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
    struct buf types, funcs, exports, code;
    u32 ntypes, nfuncs;
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

// A body with n locals besides the parameters.
static struct buf body(u32 n, u8 type)
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
    int length = snprintf(name, sizeof name, "%u", m->nfuncs);
    op(b, OP_end);
    put_u(&m->funcs, type);
    put_u(&m->exports, (u32)length);
    put(&m->exports, name, (size_t)length);
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
    put_section(&b, 3, m->nfuncs, &m->funcs);
    put_section(&b, 4, 1, &table);
    put_section(&b, 5, 1, &memory);
    put_section(&b, 7, m->nfuncs, &m->exports);
    put_section(&b, 9, 1, &elems);
    put_section(&b, 10, m->nfuncs, &m->code);
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
        funcs[i] = (struct host_func){names[i][1], types[i], nothing};
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

// The innermost frame of an exhausted stack is wherever it ended, and the outermost ones depend on
// the size of frames; one engine keeps 32.
static void same_trace(const struct outcome *a, const struct outcome *b)
{
    bool stack = a->trap == TRAP_STACK;
    u32 n = a->nframes < 32 ? a->nframes : 32, m = b->nframes < 32 ? b->nframes : 32;
    if (!stack)
        CHECK_IS(m, n);
    n = n < m ? n : m;
    for (u32 i = stack; i + stack < n; i++) {
        CHECK_IS(b->frames[i].func, a->frames[i].func);
        CHECK_IS(b->frames[i].offset, a->frames[i].offset);
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

enum { CANARY = 64 };

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

static status object_compile(struct object *o, u32 capacity, struct error *e)
{
    u32 n = o->m->nfuncs - o->m->nimported_funcs;
    *e = (struct error){0};
    o->memory = aligned_alloc(4096, ALIGN_UP((size_t)capacity + CANARY, (size_t)4096));
    memset(o->memory + capacity, 0xa5, CANARY);
    o->c = (struct compiled){.module = o->m,
                             .funcs = calloc(n + 1, sizeof *o->c.funcs),
                             .space = {o->memory, o->memory, capacity, 0}};
    status s = fast_engine.compile(&o->c, e);
    if (!s)
        o->c.engine = &fast_engine;
    for (u32 i = 0; i < CANARY; i++)
        if (o->memory[capacity + i] != 0xa5) {
            failed++;
            printf("%s: wrote beyond a code space of %u bytes\n", about, capacity);
            break;
        }
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

// --- Shapes. Each makes function 0, "i:i", of a size that goes with n.

static void shape_blocks(struct mod *m, u32 n)
{
    struct buf b = body(1, TYPE_I32);
    for (u32 i = 0; i < n; i++)
        op1(&b, OP_block, VOID);
    op1(&b, OP_local_get, 0);
    op1(&b, OP_br_if, n / 2);
    op1(&b, OP_local_get, 0);
    i32_const(&b, 3);
    op(&b, OP_i32_and);
    op1(&b, OP_br_if, n - 1);
    for (u32 i = 0; i < n; i++) {
        bump(&b, 1, 1);
        op(&b, OP_end);
    }
    op1(&b, OP_local_get, 1);
    mod_func(m, mod_type(m, "i:i"), &b);
}

static void shape_loops(struct mod *m, u32 n)
{
    struct buf b = body(1, TYPE_I32);
    for (u32 i = 0; i < n; i++)
        op1(&b, OP_loop, VOID);
    bump(&b, 1, 1);
    op1(&b, OP_local_get, 1);
    i32_const(&b, 5);
    op(&b, OP_i32_lt_u);
    op1(&b, OP_br_if, n - 1);
    op1(&b, OP_local_get, 1);
    i32_const(&b, 9);
    op(&b, OP_i32_lt_u);
    op1(&b, OP_br_if, n / 2);
    for (u32 i = 0; i < n; i++)
        op(&b, OP_end);
    op1(&b, OP_local_get, 1);
    op1(&b, OP_local_get, 0);
    op(&b, OP_i32_add);
    mod_func(m, mod_type(m, "i:i"), &b);
}

// As deep as the argument says.
static void shape_ifs(struct mod *m, u32 n)
{
    struct buf b = body(1, TYPE_I32);
    for (u32 i = 0; i < n; i++) {
        op1(&b, OP_local_get, 0);
        i32_const(&b, 1);
        op(&b, OP_i32_sub);
        op1(&b, OP_local_tee, 0);
        op1(&b, OP_if, VOID);
    }
    bump(&b, 1, 1000000);
    for (u32 i = 0; i < n; i++) {
        bump(&b, 1, 1);
        if (i & 1) {
            op(&b, OP_else);
            bump(&b, 1, 100000);
        }
        op(&b, OP_end);
    }
    op1(&b, OP_local_get, 1);
    mod_func(m, mod_type(m, "i:i"), &b);
}

static void shape_values(struct mod *m, u32 n)
{
    struct buf b = body(0, 0);
    for (u32 i = 0; i < n; i++) {
        op1(&b, OP_local_get, 0); // stays below the block
        op1(&b, OP_block, TYPE_I32);
    }
    op1(&b, OP_local_get, 0);
    op1(&b, OP_local_get, 0);
    op1(&b, OP_br_if, n / 3);
    for (u32 i = 0; i < n; i++) {
        i32_const(&b, (s32)i);
        op(&b, OP_i32_xor);
        op(&b, OP_end);
        op(&b, OP_i32_add);
    }
    mod_func(m, mod_type(m, "i:i"), &b);
}

static void shape_table(struct mod *m, u32 n)
{
    enum { TARGETS = 61 };
    struct buf b = body(1, TYPE_I32);
    for (u32 i = 0; i < TARGETS; i++)
        op1(&b, OP_block, VOID);
    op1(&b, OP_local_get, 0);
    op1(&b, OP_br_table, n);
    for (u32 i = 0; i < n; i++)
        put_u(&b, i * 7 % TARGETS);
    put_u(&b, TARGETS / 2);
    for (u32 i = 0; i < TARGETS; i++) {
        op(&b, OP_end);
        op1(&b, OP_local_get, 1);
        i32_const(&b, 31);
        op(&b, OP_i32_mul);
        i32_const(&b, (s32)i);
        op(&b, OP_i32_add);
        op1(&b, OP_local_set, 1);
    }
    op1(&b, OP_local_get, 1);
    mod_func(m, mod_type(m, "i:i"), &b);
}

// A loop with n exits, each of which leaves a dozen changed locals behind that only the loop pins,
// because of the calls outside of it. One exit in group number `argument` of 64 is taken, if any.
// There is a trap when the argument is 77.
enum { FLAGS = 4, EXIT_LOCALS = 12, FIRST_FLOAT = 2 + FLAGS };

static void exits_body(struct buf *b, u32 n)
{
    for (u32 i = 0; i < EXIT_LOCALS; i++) {
        op1(b, OP_local_get, FIRST_FLOAT + i);
        f64_const(b, 1.5 + i);
        op(b, OP_f64_add);
        op1(b, OP_local_set, FIRST_FLOAT + i);
    }
    for (u32 i = 0; i < n; i++) {
        op1(b, OP_local_get, 2 + i % FLAGS);
        op1(b, OP_br_if, 1);
        if (i % 64 != 63)
            continue;
        op1(b, OP_local_get, 0);
        i32_const(b, (s32)i / 64);
        op(b, OP_i32_eq);
        op1(b, OP_local_set, 2 + i / 64 % FLAGS);
    }
    bump(b, 1, 1);
    op1(b, OP_local_get, 1);
    i32_const(b, 3);
    op(b, OP_i32_lt_u);
    op1(b, OP_br_if, 0);
}

static void shape_exits(struct mod *m, u32 n)
{
    struct buf b = {0}, callee = body(0, 0);
    put(&b, (u8[]){2, 1 + FLAGS, TYPE_I32, EXIT_LOCALS, TYPE_F64}, 5);
    op1(&b, OP_local_get, 0);
    op1(&b, OP_call, 1);
    op1(&b, OP_block, VOID);
    op1(&b, OP_loop, VOID);
    exits_body(&b, n);
    op(&b, OP_end);
    op(&b, OP_end);
    op1(&b, OP_local_get, 1);
    op1(&b, OP_call, 1);
    op(&b, OP_i32_add);
    for (u32 i = 0; i < EXIT_LOCALS; i++) {
        i32_const(&b, 5);
        op(&b, OP_i32_rotl);
        op1(&b, OP_local_get, FIRST_FLOAT + i);
        op(&b, OP_i32_trunc_f64_s);
        op(&b, OP_i32_xor);
    }
    u32 type = mod_type(m, "i:i");
    mod_func(m, type, &b);
    op1(&callee, OP_local_get, 0);
    i32_const(&callee, 77);
    op(&callee, OP_i32_eq);
    op1(&callee, OP_if, VOID);
    op(&callee, OP_unreachable);
    op(&callee, OP_end);
    op1(&callee, OP_local_get, 0);
    i32_const(&callee, 12345);
    op(&callee, OP_i32_mul);
    mod_func(m, type, &callee);
}

static void shape_straight(struct mod *m, u32 n)
{
    enum { LOCALS = 20 };
    struct buf b = body(LOCALS, TYPE_I32);
    for (u32 i = 0; i < n; i++) {
        op1(&b, OP_local_get, i % LOCALS);
        i32_const(&b, (s32)i | 1);
        op(&b, OP_i32_mul);
        op1(&b, OP_local_get, i * 7 % LOCALS);
        op(&b, i % 3 ? OP_i32_add : OP_i32_shl);
        op1(&b, OP_local_set, (i * 11 + 1) % LOCALS);
    }
    op1(&b, OP_local_get, n % LOCALS);
    mod_func(m, mod_type(m, "i:i"), &b);
}

// n operands on the stack at once, half of them locals that change below them.
static void shape_operands(struct mod *m, u32 n)
{
    struct buf b = body(1, TYPE_I32);
    for (u32 i = 0; i < n; i++) {
        op1(&b, OP_local_get, i & 1);
        if (i % 8 == 0)
            bump(&b, i >> 3 & 1, 1);
    }
    for (u32 i = 1; i < n; i++)
        op(&b, i & 1 ? OP_i32_add : OP_i32_xor);
    mod_func(m, mod_type(m, "i:i"), &b);
}

static void shape_locals(struct mod *m, u32 n)
{
    struct buf b = body(n - 1, TYPE_I32);
    for (u32 i = 1; i < n; i++) {
        op1(&b, OP_local_get, i - 1);
        i32_const(&b, (s32)i);
        op(&b, OP_i32_xor);
        op1(&b, OP_local_set, i);
    }
    i32_const(&b, 0);
    for (u32 i = 0; i < n; i++) {
        op1(&b, OP_local_get, i);
        op(&b, OP_i32_add);
    }
    mod_func(m, mod_type(m, "i:i"), &b);
}

// Each function calls the next.
static void shape_functions(struct mod *m, u32 n)
{
    u32 type = mod_type(m, "i:i");
    for (u32 i = 0; i < n; i++) {
        struct buf b = body(0, 0);
        op1(&b, OP_local_get, 0);
        i32_const(&b, (s32)i);
        op(&b, OP_i32_add);
        if (i % 100 != 99 && i + 1 < n)
            op1(&b, OP_call, i + 1);
        mod_func(m, type, &b);
    }
}

// n calls in one body, some of them indirect, some in blocks.
static void shape_calls(struct mod *m, u32 n)
{
    struct buf b = body(2, TYPE_I32), callee = body(0, 0);
    u32 type = mod_type(m, "i:i");
    for (u32 i = 0; i < n; i++) {
        op1(&b, OP_local_get, 1);
        op1(&b, OP_local_get, 0);
        if (i % 4 == 0) {
            i32_const(&b, 1);
            op2(&b, OP_call_indirect, type, 0);
        } else {
            op1(&b, OP_call, 1);
        }
        op(&b, OP_i32_add);
        op1(&b, OP_local_set, 1);
        if (i % 16 == 0)
            bump(&b, 0, 1);
    }
    op1(&b, OP_local_get, 1);
    mod_func(m, type, &b);
    op1(&callee, OP_local_get, 0);
    i32_const(&callee, 3);
    op(&callee, OP_i32_mul);
    mod_func(m, type, &callee);
}

static const struct shape {
    const char *name;
    void (*make)(struct mod *m, u32 n);
    u32 n;     // the most
    u32 timed; // twice that is compared with that
} shapes[] = {
    {"nested blocks", shape_blocks, 100000, 50000},
    {"nested loops", shape_loops, 100000, 50000},
    {"nested ifs", shape_ifs, 100000, 50000},
    {"nested blocks with results", shape_values, 100000, 50000},
    {"br_table", shape_table, MAX_BR_TABLE, MAX_BR_TABLE / 2},
    {"loop exits", shape_exits, 40000, 20000},
    {"straight code", shape_straight, 100000, 50000},
    {"operands", shape_operands, 200000, 100000},
    {"locals", shape_locals, MAX_LOCALS, MAX_LOCALS / 2},
    {"functions", shape_functions, 20000, 10000},
    {"calls", shape_calls, 50000, 25000},
};

static struct buf shaped(const struct shape *s, u32 n)
{
    struct mod m = {0};
    s->make(&m, n);
    about = s->name;
    return mod_finish(&m);
}

static void test_shapes(void)
{
    static const u32 sizes[] = {1, 2, 3, 10, 100, 1000, 0};
    for (u32 i = 0; i < COUNT(shapes); i++) {
        for (u32 k = 0; k < COUNT(sizes); k++) {
            u32 n = sizes[k] ? sizes[k] : shapes[i].n;
            struct buf bytes = shaped(&shapes[i], n);
            const u64 args[] = {0, 1, 2, 5, 77, 60, 999, n - 1, n, n / 2, UINT32_MAX};
            struct pair p;
            if (pair_start(&p, &bytes))
                for (u32 a = 0; a < COUNT(args); a++)
                    agree(&p, 0, (u64[]){(u32)args[a]}, 1, 1);
            pair_end(&p);
            free(bytes.at);
        }
    }
}

// The second try without pins: an exit may take no more than its share of the code space then,
// while a small function's takes several times as much.
static void test_second_try(void)
{
    const struct shape *s = &shapes[5];
    struct object o[2];
    const u32 n[2] = {200, 20000};
    u32 per_exit[2];
    for (u32 i = 0; i < 2; i++) {
        struct buf bytes = shaped(s, n[i]);
        struct error e;
        if (!object_decode(&o[i], bytes.at, bytes.size))
            return;
        CHECK_IS(object_compile(&o[i], plenty(&o[i]), &e), OK);
        per_exit[i] = (o[i].c.funcs[0].end - o[i].c.funcs[0].entry) / n[i];
        object_free(&o[i]);
        free(bytes.at);
    }
    CHECK_IS(per_exit[0] > 4 * 16, true); // the share of an exit's four bytes
    CHECK_IS(per_exit[1] < 40, true);
    printf("code for a loop exit: %u bytes, without pins %u\n", per_exit[0], per_exit[1]);
}

// --- Many parameters and results

static void mixed_type(char *out, u32 nparams, u32 nresults)
{
    for (u32 i = 0; i < nparams; i++)
        *out++ = "iIfF"[i * 5 % 4];
    *out++ = ':';
    for (u32 i = 0; i < nresults; i++)
        *out++ = "iIfF"[(nresults - 1 - i) * 5 % 4];
    *out = 0;
}

// Function 0: "i:I": n values made of the argument, the call, and a sum over what comes back; 1:
// its parameters in reverse; 2: the same as 0 through the table.
static void wide_caller(struct mod *m, u32 n, u32 type, u32 wide, bool indirect)
{
    struct buf b = body(1, TYPE_I64);
    for (u32 i = 0; i < n; i++) {
        op1(&b, OP_local_get, 0);
        i32_const(&b, (s32)(i * 2654435761u));
        op(&b, i & 1 ? OP_i32_add : OP_i32_xor);
        static const u32 convert[] = {OP_nop, OP_i64_extend_i32_u, OP_f32_convert_i32_s,
                                      OP_f64_convert_i32_u};
        op(&b, convert[i * 5 % 4]);
    }
    if (indirect)
        i32_const(&b, 1);
    if (indirect)
        op2(&b, OP_call_indirect, wide, 0);
    else
        op1(&b, OP_call, 1);
    for (u32 i = 0; i < n; i++) { // the last result is parameter 0
        switch (i * 5 % 4) {
        case 0: op(&b, OP_i64_extend_i32_u); break;
        case 2:
            op(&b, OP_i32_reinterpret_f32);
            op(&b, OP_i64_extend_i32_u);
            break;
        case 3: op(&b, OP_i64_reinterpret_f64); break;
        default: break;
        }
        op1(&b, OP_local_get, 1);
        i64_const(&b, 7);
        op(&b, OP_i64_rotl);
        op(&b, OP_i64_xor);
        op1(&b, OP_local_set, 1);
    }
    op1(&b, OP_local_get, 1);
    mod_func(m, type, &b);
}

static void test_wide_types(void)
{
    static const u32 counts[] = {1, 4, 7, 9, 16, 17, 100, MAX_PARAMS};
    static char text[2 * MAX_PARAMS + 2];
    about = "parameters and results";
    for (u32 k = 0; k < COUNT(counts); k++) {
        struct mod m = {0};
        u32 n = counts[k], type = mod_type(&m, "i:I");
        mixed_type(text, n, n);
        u32 wide = mod_type(&m, text);
        struct buf b = body(0, 0);
        wide_caller(&m, n, type, wide, false);
        for (u32 i = n; i; i--)
            op1(&b, OP_local_get, i - 1);
        mod_func(&m, wide, &b);
        wide_caller(&m, n, type, wide, true);
        struct buf bytes = mod_finish(&m);
        struct pair p;
        u64 slots[MAX_PARAMS];
        for (u32 i = 0; i < n; i++)
            slots[i] = text[i] == 'i' || text[i] == 'f' ? (u32)(i * 0x10203) : i * 0x1020304050ull;
        if (pair_start(&p, &bytes)) {
            for (u64 v = 0; v < 5; v++) {
                agree(&p, 0, (u64[]){v * 1000}, 1, 1);
                agree(&p, 2, (u64[]){v * 1000}, 1, 1);
            }
            const struct outcome *out = agree(&p, 1, slots, n, n);
            CHECK_IS(out->slots[0], slots[n - 1]);
            CHECK_IS(out->slots[n - 1], slots[0]);
        }
        pair_end(&p);
        free(bytes.at);
    }
}

// --- Where traps are

// A case is a body of type "i:i" (one local besides, an i32) and the place in it that traps when
// the argument is 1 and not when it is 0.
struct trapping {
    const char *name;
    enum trap trap;
    u32 (*make)(struct buf *b);
};

static u32 nine, other; // types: "iiiiiiiii:i" and ":"
enum { NINE_FUNC, MANY_RESULTS, FIRST_CASE };

static u32 trap_unreachable(struct buf *b)
{
    op1(b, OP_local_get, 0);
    op1(b, OP_if, VOID);
    op(b, OP_nop);
    u32 at = (u32)b->size;
    op(b, OP_unreachable);
    op(b, OP_end);
    i32_const(b, 1);
    return at;
}

static u32 trap_load(struct buf *b)
{
    op1(b, OP_local_get, 0);
    i32_const(b, 16);
    op(b, OP_i32_shl);
    u32 at = (u32)b->size;
    op2(b, OP_i32_load, 0, 0);
    return at;
}

// Beyond what the guard covers: compiled code checks that itself.
static u32 trap_load_far(struct buf *b)
{
    op1(b, OP_local_get, 0);
    op1(b, OP_if, VOID);
    i32_const(b, -1);
    u32 at = (u32)b->size;
    op2(b, OP_i64_load, 3, UINT32_MAX);
    op(b, OP_drop);
    op(b, OP_end);
    i32_const(b, 1);
    return at;
}

static u32 trap_store(struct buf *b)
{
    op1(b, OP_local_get, 0);
    i32_const(b, -8);
    op(b, OP_i32_mul);
    f64_const(b, 0.5);
    u32 at = (u32)b->size;
    op2(b, OP_f64_store, 0, 8);
    i32_const(b, 1);
    return at;
}

static u32 divide(struct buf *b, u32 code, s32 dividend, s32 scale, s32 offset)
{
    i32_const(b, dividend);
    op1(b, OP_local_get, 0);
    i32_const(b, scale);
    op(b, OP_i32_mul);
    i32_const(b, offset);
    op(b, OP_i32_add);
    u32 at = (u32)b->size;
    op(b, code);
    return at;
}

static u32 trap_div_s(struct buf *b)
{
    return divide(b, OP_i32_div_s, 7, -5, 5);
}

static u32 trap_div_u(struct buf *b)
{
    return divide(b, OP_i32_div_u, 7, -5, 5);
}

static u32 trap_rem_s(struct buf *b)
{
    return divide(b, OP_i32_rem_s, INT32_MIN, 1, -1);
}

static u32 trap_overflow(struct buf *b)
{
    return divide(b, OP_i32_div_s, INT32_MIN, -2, 1);
}

static u32 trap_rem_u64(struct buf *b)
{
    i64_const(b, 1ll << 40);
    op1(b, OP_local_get, 0);
    op(b, OP_i32_eqz);
    op(b, OP_i64_extend_i32_u);
    u32 at = (u32)b->size;
    op(b, OP_i64_rem_u);
    op(b, OP_i32_wrap_i64);
    return at;
}

static u32 trap_div_constant(struct buf *b)
{
    op1(b, OP_local_get, 0);
    op1(b, OP_if, VOID);
    i32_const(b, 3);
    i32_const(b, 0);
    u32 at = (u32)b->size;
    op(b, OP_i32_div_s);
    op1(b, OP_local_set, 1);
    op(b, OP_end);
    op1(b, OP_local_get, 1);
    return at;
}

// f64 from the argument: 0 or `one`.
static void pick(struct buf *b, f64 one)
{
    f64_const(b, one);
    f64_const(b, 0);
    op1(b, OP_local_get, 0);
    op(b, OP_select);
}

static u32 trap_truncate(struct buf *b)
{
    pick(b, 1e10);
    u32 at = (u32)b->size;
    op(b, OP_i32_trunc_f64_s);
    return at;
}

static u32 trap_truncate_u(struct buf *b)
{
    pick(b, -1);
    op(b, OP_f32_demote_f64);
    u32 at = (u32)b->size;
    op(b, OP_i32_trunc_f32_u);
    return at;
}

static u32 trap_truncate_wide(struct buf *b)
{
    pick(b, 1e19);
    u32 at = (u32)b->size;
    op(b, OP_i64_trunc_f64_s);
    op(b, OP_i32_wrap_i64);
    return at;
}

static u32 trap_truncate_wide_u(struct buf *b)
{
    pick(b, 1e20);
    op(b, OP_f32_demote_f64);
    u32 at = (u32)b->size;
    op(b, OP_i64_trunc_f32_u);
    op(b, OP_i32_wrap_i64);
    return at;
}

static u32 trap_truncate_nan(struct buf *b)
{
    pick(b, __builtin_nan(""));
    u32 at = (u32)b->size;
    op(b, OP_i64_trunc_f64_u);
    op(b, OP_i32_wrap_i64);
    return at;
}

// Through the table with nine arguments, three of which are on the stack when the check is made.
static u32 call_nine(struct buf *b, s32 index)
{
    i32_const(b, 11); // lives across the call
    for (u32 i = 0; i < 9; i++) {
        op1(b, OP_local_get, 0);
        i32_const(b, (s32)i);
        op(b, OP_i32_add);
    }
    op1(b, OP_local_get, 0);
    i32_const(b, index - NINE_FUNC);
    op(b, OP_i32_mul);
    i32_const(b, NINE_FUNC);
    op(b, OP_i32_add);
    u32 at = (u32)b->size;
    op2(b, OP_call_indirect, nine, 0);
    op(b, OP_i32_add);
    return at;
}

static u32 trap_call_undefined(struct buf *b)
{
    return call_nine(b, TABLE_SIZE);
}

static u32 trap_call_far(struct buf *b)
{
    return call_nine(b, -1);
}

static u32 trap_call_null(struct buf *b)
{
    return call_nine(b, TABLE_SIZE - 1);
}

static u32 trap_call_type(struct buf *b)
{
    return call_nine(b, MANY_RESULTS);
}

// In a callee with stack arguments (NINE_FUNC traps when its first argument is 100), and then in
// one that has a result area too; what is noted is the place of the call.
static u32 trap_in_nine(struct buf *b)
{
    i32_const(b, 11);
    op1(b, OP_local_get, 0);
    i32_const(b, 100);
    op(b, OP_i32_mul);
    for (u32 i = 1; i < 9; i++)
        op1(b, OP_local_get, 0);
    u32 at = (u32)b->size;
    op1(b, OP_call, NINE_FUNC);
    op(b, OP_i32_add);
    return at;
}

static u32 trap_in_many(struct buf *b)
{
    op1(b, OP_local_get, 0);
    u32 at = (u32)b->size;
    op1(b, OP_call, MANY_RESULTS);
    for (u32 i = 0; i < 4; i++)
        op(b, OP_drop);
    return at;
}

static u32 trap_behind_table(struct buf *b)
{
    // A loop that pins the local, left through a br_table's edge.
    op1(b, OP_block, VOID);
    op1(b, OP_block, VOID);
    op1(b, OP_loop, VOID);
    bump(b, 1, 1);
    op1(b, OP_local_get, 1);
    i32_const(b, 100);
    op(b, OP_i32_lt_u);
    op1(b, OP_br_if, 0);
    op1(b, OP_local_get, 0);
    op1(b, OP_br_table, 2);
    put(b, "\2\1\2", 3);
    op(b, OP_end);
    op(b, OP_end);
    op1(b, OP_local_get, 1);
    i32_const(b, 100);
    op(b, OP_i32_sub);
    i32_const(b, 8);
    op(b, OP_i32_add);
    i32_const(b, 13);
    op(b, OP_i32_shl);
    u32 at = (u32)b->size;
    op2(b, OP_i32_load8_u, 0, 0);
    op(b, OP_drop);
    op(b, OP_end);
    op1(b, OP_local_get, 1);
    return at;
}

static u32 trap_fill(struct buf *b)
{
    i32_const(b, 65535);
    i32_const(b, 1);
    op1(b, OP_local_get, 0);
    i32_const(b, 1);
    op(b, OP_i32_add);
    u32 at = (u32)b->size;
    op1(b, OP_memory_fill, 0);
    i32_const(b, 5);
    return at;
}

static u32 trap_copy(struct buf *b)
{
    op1(b, OP_local_get, 0);
    i32_const(b, 65535);
    i32_const(b, 1);
    op1(b, OP_local_get, 0);
    op(b, OP_i32_add);
    u32 at = (u32)b->size;
    op2(b, OP_memory_copy, 0, 0);
    i32_const(b, 5);
    return at;
}

static u32 trap_table_get(struct buf *b)
{
    op1(b, OP_local_get, 0);
    i32_const(b, TABLE_SIZE);
    op(b, OP_i32_mul);
    u32 at = (u32)b->size;
    op1(b, OP_table_get, 0);
    op(b, OP_ref_is_null);
    return at;
}

static u32 trap_table_set(struct buf *b)
{
    op1(b, OP_local_get, 0);
    i32_const(b, 1);
    op(b, OP_i32_add);
    i32_const(b, TABLE_SIZE / 2);
    op(b, OP_i32_mul);
    op1(b, OP_ref_null, TYPE_FUNCREF);
    u32 at = (u32)b->size;
    op1(b, OP_table_set, 0);
    i32_const(b, 5);
    return at;
}

static u32 trap_table_copy(struct buf *b)
{
    op1(b, OP_local_get, 0);
    i32_const(b, 0);
    i32_const(b, TABLE_SIZE);
    u32 at = (u32)b->size;
    op2(b, OP_table_copy, 0, 0);
    i32_const(b, 5);
    return at;
}

static const struct trapping trappings[] = {
    {"unreachable", TRAP_UNREACHABLE, trap_unreachable},
    {"load", TRAP_MEMORY, trap_load},
    {"load, large offset", TRAP_MEMORY, trap_load_far},
    {"store", TRAP_MEMORY, trap_store},
    {"div_s", TRAP_DIV_ZERO, trap_div_s},
    {"div_u", TRAP_DIV_ZERO, trap_div_u},
    {"rem_s", TRAP_DIV_ZERO, trap_rem_s},
    {"div_s overflow", TRAP_INT_OVERFLOW, trap_overflow},
    {"i64.rem_u", TRAP_DIV_ZERO, trap_rem_u64},
    {"division by a constant 0", TRAP_DIV_ZERO, trap_div_constant},
    {"i32.trunc_f64_s", TRAP_INT_OVERFLOW, trap_truncate},
    {"i32.trunc_f32_u", TRAP_INT_OVERFLOW, trap_truncate_u},
    {"i64.trunc_f64_s", TRAP_INT_OVERFLOW, trap_truncate_wide},
    {"i64.trunc_f32_u", TRAP_INT_OVERFLOW, trap_truncate_wide_u},
    {"i64.trunc_f64_u of NaN", TRAP_INT_CONVERSION, trap_truncate_nan},
    {"call_indirect undefined", TRAP_UNDEFINED_ELEMENT, trap_call_undefined},
    {"call_indirect far", TRAP_UNDEFINED_ELEMENT, trap_call_far},
    {"call_indirect null", TRAP_UNINITIALIZED_ELEMENT, trap_call_null},
    {"call_indirect of another type", TRAP_INDIRECT_CALL, trap_call_type},
    {"in a callee with stack arguments", TRAP_UNREACHABLE, trap_in_nine},
    {"in a callee with a result area", TRAP_INT_OVERFLOW, trap_in_many},
    {"behind br_table", TRAP_MEMORY, trap_behind_table},
    {"memory.fill", TRAP_MEMORY, trap_fill},
    {"memory.copy", TRAP_MEMORY, trap_copy},
    {"table.get", TRAP_TABLE, trap_table_get},
    {"table.set", TRAP_TABLE, trap_table_set},
    {"table.copy", TRAP_TABLE, trap_table_copy},
};

// Traps when the first argument is 100; uses all of them.
static void make_nine(struct mod *m)
{
    struct buf b = body(0, 0);
    op1(&b, OP_local_get, 0);
    i32_const(&b, 100);
    op(&b, OP_i32_eq);
    op1(&b, OP_if, VOID);
    op(&b, OP_unreachable);
    op(&b, OP_end);
    for (u32 i = 0; i < 9; i++)
        op1(&b, OP_local_get, i);
    for (u32 i = 1; i < 9; i++)
        op(&b, OP_i32_sub);
    mod_func(m, nine, &b);
}

// "i:iiiii", through nine stack arguments of its own; traps when the argument is 1.
static void make_many(struct mod *m, u32 type)
{
    struct buf b = body(0, 0);
    for (u32 i = 0; i < 13; i++)
        op1(&b, OP_local_get, 0);
    op(&b, OP_drop);
    op(&b, OP_drop);
    op(&b, OP_drop);
    op(&b, OP_drop);
    op1(&b, OP_call, NINE_FUNC);
    i32_const(&b, 1);
    pick(&b, 1e30);
    op(&b, OP_i64_trunc_f64_s);
    op(&b, OP_i32_wrap_i64);
    i32_const(&b, 3);
    i32_const(&b, 4);
    mod_func(m, type, &b);
}

static void test_trap_places(void)
{
    struct mod m = {0};
    u32 at[COUNT(trappings)], type = mod_type(&m, "i:i");
    nine = mod_type(&m, "iiiiiiiii:i");
    other = mod_type(&m, ":");
    make_nine(&m);
    make_many(&m, mod_type(&m, "i:iiiii"));
    for (u32 i = 0; i < COUNT(trappings); i++) {
        struct buf b = body(1, TYPE_I32);
        at[i] = trappings[i].make(&b);
        CHECK_IS(mod_func(&m, type, &b), FIRST_CASE + i);
    }
    struct buf bytes = mod_finish(&m);
    struct pair p;
    about = "traps";
    if (pair_start(&p, &bytes)) {
        for (u32 i = 0; i < COUNT(trappings); i++) {
            about = trappings[i].name;
            const struct outcome *out = agree(&p, FIRST_CASE + i, (u64[]){0}, 1, 1);
            CHECK_IS(out->s, OK);
            out = agree(&p, FIRST_CASE + i, (u64[]){1}, 1, 1);
            CHECK_IS(out->trap, trappings[i].trap);
            const struct trace_frame *f = &out->frames[out->nframes - 1];
            CHECK_IS(f->func, FIRST_CASE + i);
            CHECK_IS(f->offset, p.fast.m->m->funcs[FIRST_CASE + i].start + at[i]);
        }
    }
    pair_end(&p);
    free(bytes.at);
}

// --- The end of the stack

// A function that calls itself for ever: with so many locals, all of them in use, and parameters.
static void test_exhaustion(u32 nlocals, u32 nparams)
{
    char text[16] = {0};
    memset(text, 'i', nparams);
    strcpy(text + nparams, ":i");
    struct mod m = {0};
    struct buf b = body(nlocals, TYPE_I64), outer = body(0, 0);
    for (u32 i = 0; i < nlocals; i++) {
        i64_const(&b, i);
        op1(&b, OP_local_set, nparams + i);
    }
    for (u32 i = 0; i < nparams; i++)
        op1(&b, OP_local_get, i);
    op1(&b, OP_call, 0);
    for (u32 i = 0; i < nlocals; i++) {
        op1(&b, OP_local_get, nparams + i);
        op(&b, OP_i32_wrap_i64);
        op(&b, OP_i32_add);
    }
    u32 type = mod_type(&m, text);
    mod_func(&m, type, &b);
    for (u32 i = 0; i < nparams; i++)
        op1(&outer, OP_local_get, i);
    op1(&outer, OP_call, 0);
    mod_func(&m, type, &outer);
    struct buf bytes = mod_finish(&m);
    struct pair p;
    about = "stack exhaustion";
    if (pair_start(&p, &bytes)) {
        for (u32 round = 0; round < 3; round++) {
            const struct outcome *out = agree(&p, 1, (u64[16]){1, 2, 3}, nparams, 1);
            CHECK_IS(out->trap, TRAP_STACK);
            CHECK_IS(out->frames[0].func, 0);
            CHECK_IS(out->frames[0].offset > p.fast.m->m->funcs[0].start, true);
            CHECK_IS(out->frames[0].offset < p.fast.m->m->funcs[0].end, true);
        }
    }
    pair_end(&p);
    free(bytes.at);
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

// Some places in the function's code, in ascending order: within the body so are the offsets.
static void offsets_of(const struct object *o, u32 func, const u8 *starts, u32 samples)
{
    const struct func_code *f = &o->c.funcs[func - o->m->nimported_funcs];
    const struct func *in = &o->m->funcs[func];
    u32 before = 0, wrong = 0;
    for (u32 i = 0; i < samples; i++) {
        u32 at = f->body + (u32)((u64)(f->end - f->body) * i / samples);
        u32 offset = fast_engine.offset_of(&o->c, func, o->memory + at, false);
        bool ordered = at >= f->epilogue || offset >= before;
        if (offset < in->start || offset >= in->end || !starts[offset] || !ordered)
            wrong++;
        before = offset;
    }
    CHECK_IS(wrong, 0);
}

static void same_code(const struct object *a, const struct object *b)
{
    u32 n = a->m->nfuncs - a->m->nimported_funcs;
    CHECK_IS(b->c.space.used, a->c.space.used);
    CHECK_IS(memcmp(a->c.funcs, b->c.funcs, n * sizeof *a->c.funcs), 0);
    // Calls are relative, and the runtime is where it is: nothing depends on where the code lies.
    if (a->c.space.used == b->c.space.used)
        CHECK_IS(memcmp(a->memory, b->memory, a->c.space.used), 0);
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

static void test_twice(void)
{
    for (u32 i = 0; i < COUNT(shapes); i++) {
        struct buf bytes = shaped(&shapes[i], 300);
        twice(&bytes, 200);
        free(bytes.at);
        bytes = shaped(&shapes[i], shapes[i].timed);
        twice(&bytes, 2);
        free(bytes.at);
    }
}

// --- The guest programs, when they have been built

static struct buf read_file(const char *path)
{
    struct buf b = {0};
    u8 block[65536];
    FILE *f = fopen(path, "rb");
    for (size_t n; f && (n = fread(block, 1, sizeof block, f));)
        put(&b, block, n);
    if (f)
        fclose(f);
    return b;
}

static void guest_traps(const struct buf *bytes)
{
    static struct outcome a, b;
    struct pair p;
    if (pair_start(&p, bytes)) {
        run_call(&p.interp, "_start", NULL, 0, &a);
        run_call(&p.fast, "_start", NULL, 0, &b);
        CHECK_IS(a.s, ERR_TRAP);
        CHECK_IS(b.s, a.s);
        CHECK_IS(b.trap, a.trap);
        same_trace(&a, &b);
    }
    pair_end(&p);
}

static void test_guests(void)
{
    // From build/test, or from build/asan/test.
    static const char *const folders[] = {"../guest", "../../guest"};
    char self[4096] = {0}, folder[4200] = "", path[8192];
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        return;
    const char *here = dirname(self);
    DIR *d = NULL;
    u32 files = 0;
    for (u32 i = 0; i < COUNT(folders) && !d; i++) {
        snprintf(folder, sizeof folder, "%s/%s", here, folders[i]);
        d = opendir(folder);
    }
    for (struct dirent *f; d && (f = readdir(d));) {
        const char *dot = strrchr(f->d_name, '.');
        if (!dot || strcmp(dot, ".wasm"))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, f->d_name);
        struct buf bytes = read_file(path);
        about = f->d_name;
        files++;
        twice(&bytes, 12);
        // Those that trap when instantiated have no trace to compare.
        if (!strncmp(about, "trap_", 5) && !strstr(about, "segment") && !strstr(about, "in_start"))
            guest_traps(&bytes);
        free(bytes.at);
    }
    if (d)
        closedir(d);
    if (!files)
        printf("left out: the guest programs, which are not built\n");
}

// --- Code out of all proportion: every branch moves a thousand values, every call takes as many
// back. Few of them work; for many the code space is too small, and that is all that happens.

static void branches_of_many(struct mod *m, u32 n)
{
    static char results[MAX_RESULTS + 2] = ":";
    memset(results + 1, 'i', MAX_RESULTS);
    u32 type = mod_type(m, "i:i"), many = mod_type(m, results);
    struct buf b = body(0, 0);
    i32_const(&b, 7); // so that the values of the branch are not where they belong
    op1(&b, OP_block, many);
    i32_const(&b, 9);
    for (u32 i = 0; i < MAX_RESULTS; i++) {
        if (i % 3)
            i32_const(&b, (s32)(i * 1234567));
        else
            op1(&b, OP_local_get, 0);
    }
    for (u32 i = 0; i < n; i++) {
        op1(&b, OP_local_get, 0);
        i32_const(&b, (s32)i);
        op(&b, OP_i32_eq);
        op1(&b, OP_br_if, 0);
    }
    op1(&b, OP_br, 0);
    op(&b, OP_end);
    for (u32 i = 0; i < MAX_RESULTS; i++)
        op(&b, i & 1 ? OP_i32_xor : OP_i32_add);
    mod_func(m, type, &b);
}

static void calls_of_many(struct mod *m, u32 n)
{
    static char results[MAX_RESULTS + 3] = "i:";
    memset(results + 2, 'i', MAX_RESULTS);
    u32 type = mod_type(m, "i:i"), many = mod_type(m, results);
    struct buf b = body(0, 0), callee = body(0, 0);
    for (u32 i = 0; i < n; i++) {
        i32_const(&b, (s32)i);
        op1(&b, OP_call, 1);
    }
    for (u32 i = 1; i < n * MAX_RESULTS; i++)
        op(&b, i & 1 ? OP_i32_xor : OP_i32_sub);
    mod_func(m, type, &b);
    for (u32 i = 0; i < MAX_RESULTS; i++) {
        op1(&callee, OP_local_get, 0);
        i32_const(&callee, (s32)i);
        op(&callee, OP_i32_mul);
    }
    mod_func(m, many, &callee);
}

static void test_out_of_proportion(void (*make)(struct mod *m, u32 n), const char *name, u32 many)
{
    static const u32 few[] = {1, 2, 5, 8};
    about = name;
    for (u32 i = 0; i <= COUNT(few); i++) {
        struct mod m = {0};
        make(&m, i < COUNT(few) ? few[i] : many);
        struct buf bytes = mod_finish(&m);
        struct store *s = store_create(&fast_engine);
        struct rt_module *module;
        struct error e = {0};
        status got = rt_module_load(s, bytes.at, bytes.size, &module, &e);
        store_free(s);
        struct pair p;
        if (got) {
            CHECK_IS(i, COUNT(few));
            CHECK_IS(got, ERR_NO_MEMORY);
        } else if (pair_start(&p, &bytes)) {
            for (u64 v = 0; v < 10; v++)
                agree(&p, 0, &v, 1, 1);
            pair_end(&p);
        }
        free(bytes.at);
    }
}

// --- Things that run out

// Every size of code space: OK or full, and never a byte beyond.
static void test_full(const struct shape *shape, u32 n, u32 step)
{
    struct buf bytes = shaped(shape, n);
    struct object o;
    struct error e;
    if (!object_decode(&o, bytes.at, bytes.size))
        return;
    CHECK_IS(object_compile(&o, plenty(&o), &e), OK);
    u32 used = o.c.space.used, wrong = 0;
    object_drop_code(&o);
    for (u32 capacity = 0; capacity < used; capacity += step) {
        status s = object_compile(&o, capacity, &e);
        wrong += s != ERR_NO_MEMORY || e.code != ERR_NO_MEMORY || !*e.text;
        object_drop_code(&o);
    }
    CHECK_IS(wrong, 0);
    CHECK_IS(object_compile(&o, used + 3 * FAST_STEP, &e), OK);
    object_free(&o);
    free(bytes.at);
}

// The nth allocation of a load fails, for every n until none is left to fail.
static void test_heap_failures(const struct shape *shape, u32 n)
{
    struct buf bytes = shaped(shape, n);
    struct rt_module *m = NULL;
    size_t live = test_heap.live;
    long k = 0;
    for (; !m && k < 100000; k++) {
        struct store *s = store_create(&fast_engine);
        struct error e = {0};
        test_heap.left = k;
        status got = rt_module_load(s, bytes.at, bytes.size, &m, &e);
        test_heap.left = -1;
        if (got) {
            CHECK_IS(got, ERR_NO_MEMORY);
            CHECK_IS(e.code, ERR_NO_MEMORY);
            CHECK_IS(*e.text != 0, true);
        }
        store_free(s);
        CHECK_IS(test_heap.live, live);
    }
    CHECK_IS(m != NULL, true);
    CHECK_IS(k > 10, true);
    free(bytes.at);
}

// No memory for looking an offset up: it is unknown then.
static void test_offsets_without_heap(void)
{
    struct buf bytes = shaped(&shapes[5], 300);
    struct object o;
    struct error e;
    if (!object_decode(&o, bytes.at, bytes.size))
        return;
    CHECK_IS(object_compile(&o, plenty(&o), &e), OK);
    const u8 *pc = o.memory + (o.c.funcs[0].body + o.c.funcs[0].epilogue) / 2;
    u32 want = fast_engine.offset_of(&o.c, 0, pc, false), got = 0;
    CHECK_IS(want != 0, true);
    size_t live = test_heap.live;
    for (long k = 0; k < 10000 && got != want; k++) {
        test_heap.left = k;
        got = fast_engine.offset_of(&o.c, 0, pc, false);
        test_heap.left = -1;
        CHECK_IS(got == 0 || got == want, true);
        CHECK_IS(test_heap.live, live);
    }
    CHECK_IS(got, want);
    object_free(&o);
    free(bytes.at);
}

// --- Time and memory

struct cost {
    u64 ns;
    size_t bytes;
};

static struct cost cost_of(const struct shape *shape, u32 n)
{
    struct buf bytes = shaped(shape, n);
    struct object o;
    struct cost best = {UINT64_MAX, 0};
    if (!object_decode(&o, bytes.at, bytes.size))
        return best;
    for (u32 round = 0; round < 4; round++) {
        struct timespec from, to;
        struct error e;
        size_t live = test_heap.live;
        test_heap.peak = live;
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
        CHECK_IS(object_compile(&o, plenty(&o), &e), OK);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
        u64 ns = (u64)(to.tv_sec - from.tv_sec) * 1000000000 + (u64)to.tv_nsec - (u64)from.tv_nsec;
        best.ns = ns < best.ns ? ns : best.ns;
        best.bytes = test_heap.peak - live;
        object_drop_code(&o);
    }
    object_free(&o);
    free(bytes.at);
    return best;
}

// The machine may be busy with other things, hence several tries.
static void test_linear(const struct shape *shape)
{
    bool ok = false;
    for (u32 tries = 0; tries < 4 && !ok; tries++) {
        struct cost one = cost_of(shape, shape->timed), two = cost_of(shape, shape->timed * 2);
        ok = two.ns < one.ns * 5 / 2 && two.bytes < one.bytes * 5 / 2 + 4096;
        if (!ok)
            printf("%s: %u: %llu us, %zu KB; twice that: %llu us, %zu KB\n", about, shape->timed,
                   (unsigned long long)one.ns / 1000, one.bytes / 1024,
                   (unsigned long long)two.ns / 1000, two.bytes / 1024);
    }
    CHECK_IS(ok, true);
}

int main(void)
{
    if (rt_init()) {
        printf("rt_init failed\n0 passed, 1 failed\n");
        return 1;
    }
    test_trap_places();
    test_exhaustion(0, 0);
    test_exhaustion(20, 9);
    test_exhaustion(5000, 1); // a frame that the prologue checks
    test_exhaustion(MAX_LOCALS - 10, 9);
    test_wide_types();
    test_shapes();
    test_second_try();
    test_out_of_proportion(branches_of_many, "branches with many values", 5000);
    test_out_of_proportion(calls_of_many, "calls with many results", 400);
    test_twice();
    test_guests();
    for (u32 i = 0; i < COUNT(shapes); i++) {
        test_full(&shapes[i], 50, 37);
        test_full(&shapes[i], 2000, 1009);
        test_heap_failures(&shapes[i], 200);
    }
    test_offsets_without_heap();
    for (u32 i = 0; i < COUNT(shapes); i++)
        test_linear(&shapes[i]);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
