// SPDX-License-Identifier: MIT
// Unit test of the runtime and of the CPU layer below it.
//
// Modules are built from sections written as strings. What needs machine code uses an engine of the
// test's own, "toy", whose compiler copies one of the snippets at the end of this file: the body of
// a toy function is `i32.const K`, and K names the snippet. So entry, stubs, traps and traces are
// tested whatever the state of the compilers.
#define _GNU_SOURCE
#include "arch/arch.h"
#include "plat/plat.h"
#include "rt/code.h"
#include "rt/instance.h"
#include "rt/thread.h"
#include "target/x64/abi.h"
#include "wasm/runtime.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int passed, failed;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (condition) {                                                                           \
            passed++;                                                                              \
        } else {                                                                                   \
            failed++;                                                                              \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #condition);                                 \
        }                                                                                          \
    } while (0)
#define CHECK_IS(got, want)                                                                        \
    do {                                                                                           \
        long long got_ = (long long)(got), want_ = (long long)(want);                              \
        if (got_ == want_) {                                                                       \
            passed++;                                                                              \
        } else {                                                                                   \
            failed++;                                                                              \
            printf("%s:%d: %s: got %lld, want %lld\n", __FILE__, __LINE__, #got, got_, want_);     \
        }                                                                                          \
    } while (0)

// --- Modules

struct section {
    u8 id;
    const char *bytes;
    size_t size;
};
#define S(id, text) {id, text, sizeof text - 1}

struct bytes {
    u8 at[512];
    size_t size;
};

static struct bytes build(const struct section *sections, size_t count)
{
    struct bytes b = {.at = "\0asm\1\0\0\0", .size = 8};
    for (size_t i = 0; i < count; i++) {
        b.at[b.size++] = sections[i].id;
        b.at[b.size++] = (u8)(sections[i].size & 0x7f) | 0x80;
        b.at[b.size++] = (u8)(sections[i].size >> 7);
        memcpy(b.at + b.size, sections[i].bytes, sections[i].size);
        b.size += sections[i].size;
    }
    return b;
}
#define BUILD(...)                                                                                 \
    build((struct section[]){__VA_ARGS__},                                                         \
          sizeof((struct section[]){__VA_ARGS__}) / sizeof(struct section))

enum { TYPES = 1, IMPORTS, FUNCS, TABLES, MEMORIES, GLOBALS, EXPORTS, START, ELEMS, CODE, DATAS };

static struct rt_module *load(struct store *s, const struct bytes *b)
{
    struct error e = {0};
    struct rt_module *m;
    if (rt_module_load(s, b->at, b->size, &m, &e))
        printf("load: %s at %llu\n", e.text, (unsigned long long)e.offset);
    return m;
}

static struct instance *create(struct store *s, struct rt_module *m, struct error *e)
{
    struct instance *i;
    *e = (struct error){0};
    instance_create(s, m, NULL, &i, e);
    return i;
}

static struct instance *make(struct store *s, const struct bytes *b)
{
    struct error e;
    struct instance *i = create(s, load(s, b), &e);
    if (!i)
        printf("instantiate: %s\n", e.text);
    return i;
}

static const struct vm_func *func(struct instance *i, const char *name)
{
    struct extern_ x;
    if (!i || instance_export(i, name, strlen(name), &x) || x.kind != EXTERN_FUNC) {
        printf("no function %s\n", name);
        exit(1);
    }
    return x.func;
}

// --- The toy engine

enum snippet {
    TOY_42,
    TOY_UNREACHABLE,
    TOY_LOAD,
    TOY_DIV_S,
    TOY_DIV_U,
    TOY_CALL_IMPORT,
    TOY_LOOP,
    TOY_RECURSE,
    TOY_LOAD_TWICE,
    TOY_MANY,
    TOY_BAD,
    TOY_CALL_TABLE,
    TOY_CALL_MANY,
    TOY_GROW,
    TOYS,
};

struct toy {
    const u8 *start, *end;
};
extern const struct toy toys[TOYS];
// Bytes from the stack pointer to the return address in each one's body.
static const u8 toy_frames[TOYS] = {
    [TOY_CALL_IMPORT] = 8, [TOY_RECURSE] = 8,    [TOY_LOAD_TWICE] = 24,
    [TOY_CALL_TABLE] = 8,  [TOY_CALL_MANY] = 24, [TOY_GROW] = 8,
};
// The first instruction of most changes the stack pointer; behind it is the body.
enum { TOY_PROLOGUE = 4 };

static u32 toy_of(const struct module *m, u32 func_index)
{
    return m->bytes[m->funcs[func_index].start + 2];
}

static status toy_load(struct compiled *c, struct error *e)
{
    (void)c, (void)e;
    return OK;
}

struct compiler {
    const struct compiled *c;
    const struct toy *toy;
};

static struct compiler *toy_begin(void)
{
    return heap_alloc(sizeof(struct compiler));
}

static status toy_compile(struct compiler *k, const struct compiled *c, u32 func, u32 *size,
                          struct error *e)
{
    k->c = c;
    (void)e;
    k->toy = &toys[toy_of(k->c->module, func)];
    *size = (u32)(k->toy->end - k->toy->start);
    return OK;
}

static void toy_place(struct compiler *k, u32 offset, struct func_code *out)
{
    u32 size = (u32)(k->toy->end - k->toy->start);
    memcpy(k->c->write + offset, k->toy->start, size);
    *out = (struct func_code){.start = offset, .entry = offset, .end = offset + size};
}

static void toy_ended(struct compiler *k)
{
    heap_free(k);
}

static void toy_free(struct compiled *c)
{
    (void)c;
}

static status toy_call(const struct compiled *c, const struct vm_func *f, u64 *slots)
{
    const struct functype *t = module_func_type(c->module, f->index);
    struct abi_stack area = abi_stack_of(t);
    u64 stack[64] = {0};
    struct arch_call call = {.func = f,
                             .vm = f->vm,
                             .stack = stack,
                             .nstack = area.args / 8,
                             .nresults_stack = area.results / 8};
    struct abi_state s = {0};
    for (u32 i = 0; i < t->nparams; i++) {
        struct abi_place p = abi_next(&s, t->types[i]);
        if (p.where == ABI_GPR)
            call.gpr[p.index] = slots[i];
        else if (p.where == ABI_XMM)
            call.xmm[p.index][0] = slots[i];
        else
            stack[p.index] = slots[i];
    }
    if (arch_enter(&call))
        return ERR_TRAP;
    for (u32 i = 0; i < t->nresults; i++) {
        bool vector = t->types[t->nparams] == TYPE_F32 || t->types[t->nparams] == TYPE_F64;
        slots[i] = i ? stack[i - 1] : vector ? call.xmm[0][0] : call.gpr[0];
    }
    return OK;
}

static struct code_site toy_site_of(struct compiler *k, const struct compiled *c, u32 func_index,
                                    const u8 *pc, bool return_address)
{
    u32 entry = c->funcs[func_index - c->module->nimported_funcs].entry;
    u32 toy = toy_of(c->module, func_index);
    return (struct code_site){
        .offset = k ? func_index * 16 + return_address : 0,
        .frame = pc - c->run < entry + TOY_PROLOGUE ? 0 : toy_frames[toy],
    };
}

static const struct engine toy_engine = {
    .name = "toy",
    .code = true,
    .load = toy_load,
    .free = toy_free,
    .begin = toy_begin,
    .compile = toy_compile,
    .place = toy_place,
    .end = toy_ended,
    .call = toy_call,
    .site_of = toy_site_of,
};

// (module (type (func (param i32 i32) (result i32)))
//   one function of that type for each of the toys that need no import, exported under a letter;
//   (memory 1 2) holding 7 at 0)
#define TOY(k) "\4\0\x41" k "\x0b"
static struct bytes toy_module(void)
{
    return BUILD(S(TYPES, "\2\x60\2\x7f\x7f\1\x7f"
                          "\x60\x0a\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7c\x7f\3\x7f\x7e\x7f"),
                 S(FUNCS, "\x09\0\0\0\0\0\0\0\1\0"), S(TABLES, "\1\x70\0\x0a"),
                 S(MEMORIES, "\1\1\1\2"),
                 S(EXPORTS, "\x0b\1a\0\0\1b\0\1\1c\0\2\1d\0\3\1e\0\4\1f\0\5\1g\0\6\1h\0\7\1i\0\x08"
                            "\3mem\2\0\3tab\1\0"),
                 S(CODE, "\x09" TOY("\0") TOY("\1") TOY("\2") TOY("\3") TOY("\4") TOY("\6")
                             TOY("\7") TOY("\x09") TOY("\x0d")),
                 S(DATAS, "\1\0\x41\0\x0b\4\7\0\0\0"));
}

static status call(struct thread *t, const struct vm_func *f, u64 a, u64 b, u64 *result)
{
    u64 slots[16] = {a, b};
    status s = thread_call(t, f, slots);
    *result = slots[0];
    return s;
}

static enum trap trap_of(struct thread *t, const struct vm_func *f, u64 a, u64 b)
{
    u64 result;
    if (call(t, f, a, b, &result) != ERR_TRAP)
        return TRAP_NONE;
    return (enum trap)thread_vm(t)->trap;
}

static void toy_calls(void)
{
    struct store *s = store_create(&toy_engine);
    struct thread *t = thread_create(s);
    struct bytes b = toy_module();
    struct instance *i = make(s, &b);
    u64 r;
    CHECK_IS(call(t, func(i, "a"), 0, 0, &r), OK);
    CHECK_IS(r, 42);
    CHECK_IS(call(t, func(i, "c"), 0, 0, &r), OK);
    CHECK_IS(r, 7);
    CHECK_IS(call(t, func(i, "d"), (u32)-12, 4, &r), OK);
    CHECK_IS((s32)r, -3);
    // Arguments 7 and 8 and the last are on the stack, the ninth in xmm0; results 2 and 3 in the
    // area.
    u64 slots[10] = {1, 2, 3, 4, 5, 6, 70, 80, 0x3ff0000000000000, 90};
    CHECK_IS(thread_call(t, func(i, "h"), slots), OK);
    CHECK_IS(slots[0], 70 + 80 + 90);
    CHECK_IS(slots[1], 0x3ff0000000000000);
    CHECK_IS(slots[2], 6);
    CHECK(!thread_vm(t)->entry_sp);
    store_free(s);
}

static void toy_traps(void)
{
    struct store *s = store_create(&toy_engine);
    struct thread *t = thread_create(s);
    struct bytes b = toy_module();
    struct instance *i = make(s, &b);
    for (int round = 0; round < 100; round++) {
        u64 r;
        CHECK_IS(trap_of(t, func(i, "b"), 0, 0), TRAP_UNREACHABLE);
        CHECK_IS(trap_of(t, func(i, "c"), 65536, 0), TRAP_MEMORY);
        CHECK_IS(thread_vm(t)->trap_address - (u64)instance_vm(i)->mem_base, 65536);
        CHECK_IS(trap_of(t, func(i, "c"), UINT32_MAX, 0), TRAP_MEMORY);
        CHECK_IS(trap_of(t, func(i, "d"), 0x80000000, UINT32_MAX), TRAP_INT_OVERFLOW);
        CHECK_IS(trap_of(t, func(i, "e"), 1, 0), TRAP_DIV_ZERO);
        CHECK_IS(trap_of(t, func(i, "g"), 0, 0), TRAP_STACK);
        CHECK_IS(call(t, func(i, "a"), 0, 0, &r), OK);
        CHECK(!thread_vm(t)->entry_sp);
    }
    store_free(s);
}

static void toy_time(void)
{
    struct store *s = store_create(&toy_engine);
    struct thread *t = thread_create(s);
    struct bytes b = toy_module();
    struct instance *i = make(s, &b);
    u64 start = plat_now(), cpu = plat_cpu_time(), r;
    thread_deadline(t, start + 20000000);
    CHECK_IS(trap_of(t, func(i, "f"), 0, 0), TRAP_TIME);
    CHECK(plat_now() - start >= 20000000);
    CHECK(plat_cpu_time() - cpu < 2000000000); // for it computes all the while
    thread_deadline(t, UINT64_MAX);
    CHECK_IS(call(t, func(i, "a"), 0, 0, &r), OK);
    thread_interrupt(t, TRAP_TIME); // before the call: ends it at once
    CHECK_IS(trap_of(t, func(i, "f"), 0, 0), TRAP_TIME);
    CHECK_IS(call(t, func(i, "a"), 0, 0, &r), OK);
    store_free(s);
}

// (module (import "m" "f" (func (param i32 i32) (result i32))) (memory 1) (data 9)
//   x: calls the import; y: calls the import and then loads; both exported, and z: as x in another
//   instance)
static struct bytes toy_importer(const char *field)
{
    char imports[] = "\1\1m\1?\0\0";
    imports[4] = field[0];
    struct section imported = {IMPORTS, imports, sizeof imports - 1};
    return BUILD(S(TYPES, "\1\x60\2\x7f\x7f\1\x7f"), imported, S(FUNCS, "\2\0\0"),
                 S(MEMORIES, "\1\0\1"), S(EXPORTS, "\2\1x\0\1\1y\0\2"),
                 S(CODE, "\2" TOY("\5") TOY("\x08")), S(DATAS, "\1\0\x41\0\x0b\4\x09\0\0\0"));
}

static void toy_links(void)
{
    struct store *s = store_create(&toy_engine);
    struct thread *t = thread_create(s);
    struct bytes b = toy_module(), c = toy_importer("c"), back = toy_importer("y");
    struct instance *i = make(s, &b);
    CHECK_IS(store_register(s, "m", 1, i), OK);
    struct instance *j = make(s, &c);
    u64 r;
    CHECK_IS(call(t, func(j, "x"), 0, 0, &r), OK);
    CHECK_IS(r, 7);
    // y adds what the import has loaded (7) and what it loads itself afterwards (9).
    CHECK_IS(call(t, func(j, "y"), 0, 0, &r), OK);
    CHECK_IS(r, 16);
    // A third instance over the second over the first.
    CHECK_IS(store_register(s, "m", 1, j), OK);
    struct instance *k = make(s, &back);
    CHECK_IS(call(t, func(k, "y"), 0, 0, &r), OK);
    CHECK_IS(r, 25);
    struct vm_link *link = thread_vm(t)->link;
    CHECK_IS(trap_of(t, func(k, "y"), 65536, 0), TRAP_MEMORY);
    CHECK(thread_vm(t)->link == link);
    struct trace_frame f[8];
    CHECK_IS(thread_trace(t, f, 8), 3);
    CHECK(f[0].module == instance_vm(i)->module && f[0].func == 2 && f[0].offset == 32);
    CHECK(f[1].module == instance_vm(j)->module && f[1].func == 2 && f[1].offset == 33);
    CHECK(f[2].module == instance_vm(k)->module && f[2].func == 2 && f[2].offset == 33);
    char text[512];
    size_t n = thread_describe_trap(t, "file.wasm", text, sizeof text);
    CHECK_IS(n, strlen(text));
    CHECK(!strcmp(text, "wasm trap: out of bounds memory access\n  at c (file.wasm:0x20)\n"
                        "  at y (file.wasm:0x21)\n  at y (file.wasm:0x21)"));
    CHECK_IS(call(t, func(k, "y"), 0, 0, &r), OK);
    store_free(s);
}

static void toy_recursion(void)
{
    struct store *s = store_create(&toy_engine);
    struct thread *t = thread_create(s);
    struct bytes b = toy_module();
    struct instance *i = make(s, &b);
    CHECK_IS(trap_of(t, func(i, "g"), 0, 0), TRAP_STACK);
    char text[4096];
    thread_describe_trap(t, "file.wasm", text, sizeof text);
    CHECK(strstr(text, "call stack exhausted\n  probably a recursion that does not end\n"
                       "  at g (file.wasm:0x6"));
    CHECK(t->depth > 500000);
    CHECK(strstr(text, " more"));
    // Through the link stack: two instances that call each other for ever, by way of a table.
    store_free(s);
}

// Words on a thread's stack are anything. Those that lead into a module of others, which may go
// while somebody looks, are no return addresses.
static void toy_words_of_others(void)
{
    enum { WORDS = 64 };
    struct store *s = store_create(&toy_engine), *other = store_share(s, NULL, NULL);
    struct thread *t = thread_create(s);
    struct bytes b = toy_module();
    struct instance *i = make(s, &b), *j = make(other, &b);
    u64 r, *words = (u64 *)(void *)t - 8 * WORDS;
    CHECK_IS(call(t, func(i, "a"), 1, 2, &r), OK);
    CHECK_IS(call(thread_create(other), func(j, "a"), 1, 2, &r), OK);
    for (u32 k = 0; k < 2; k++) {
        const struct compiled *c = &(k ? i : j)->module->pub.compiled;
        for (u32 n = 0; n < WORDS; n++)
            words[n] = (u64)(uintptr_t)(c->run + c->funcs[0].entry + 1);
        t->trapped = (struct trapped){
            .sp = (u8 *)words, .entry_sp = (u8 *)(words + WORDS), t->vm.link, .fresh = true};
        t->vm.last_sp = NULL;
        struct trace_frame f[8];
        CHECK(k ? thread_trace(t, f, 8) > 0 : thread_trace(t, f, 8) == 0);
    }
    store_free(other);
    store_free(s);
}

// The import cell of one instance is made to call back into itself: the link stack must end it.
static void toy_link_overflow(void)
{
    struct store *s = store_create(&toy_engine);
    struct thread *t = thread_create(s);
    struct bytes b = toy_module(), c = toy_importer("a");
    CHECK_IS(store_register(s, "m", 1, make(s, &b)), OK);
    struct instance *j = make(s, &c);
    vm_import(instance_vm(j), 0)->ref = func(j, "x");
    CHECK_IS(trap_of(t, func(j, "x"), 0, 0), TRAP_STACK);
    struct trace_frame f[1];
    CHECK_IS(thread_trace(t, f, 1), 1); // counts them all
    CHECK_IS(t->depth, 3073);
    CHECK_IS(trap_of(t, func(j, "x"), 0, 0), TRAP_STACK);
    store_free(s);
}

// --- Host functions, parking (on the interpreter)

static struct thread *current;
static status nested;

static void host_add(struct vmctx *vm, u64 *slots)
{
    (void)vm;
    slots[0] = (u32)(slots[0] + slots[1]);
}

static void host_park(struct vmctx *vm, u64 *slots)
{
    u64 inner[2];
    nested = thread_call(current, current->func, inner);
    thread_park(current, vm);
    slots[0] += 100;
    thread_park(current, vm);
    slots[0] += 1000;
}

static void host_exit(struct vmctx *vm, u64 *slots)
{
    rt_exit(vm, (u32)slots[0]);
}

static void host_trap(struct vmctx *vm, u64 *slots)
{
    (void)slots;
    rt_trap(vm, TRAP_UNREACHABLE);
}

static const struct host_func host_funcs[] = {
    {"a", "ii:i", host_add, NULL},
    {"p", "ii:i", host_park, NULL},
    {"e", "ii:i", host_exit, NULL},
    {"t", "ii:i", host_trap, NULL},
};

// (module (import "h" FIELD (func $f (param i32 i32) (result i32)))
//   (func (export "x") (param i32 i32) (result i32) (call $f (local.get 0) (local.get 1)))
//   (export "again" (func $f))
//   (func (export "loop") (param i32 i32) (result i32)
//     (loop (drop (call $f (local.get 0) (local.get 1)))
//       (br_if 0 (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
//     (local.get 1)))
static struct bytes importer(const char *module, const char *field)
{
    char imports[] = "\1\1?\1?\0\0";
    imports[2] = module[0];
    imports[4] = field[0];
    struct section imported = {IMPORTS, imports, sizeof imports - 1};
    return BUILD(S(TYPES, "\1\x60\2\x7f\x7f\1\x7f"), imported, S(FUNCS, "\2\0\0"),
                 S(EXPORTS, "\3\1x\0\1\5again\0\0\4loop\0\2"),
                 S(CODE, "\2\x08\0\x20\0\x20\1\x10\0\x0b"
                         "\x17\0\3\x40\x20\0\x20\1\x10\0\x1a\x20\1\x41\1\x6b\x22\1\x0d\0\x0b"
                         "\x20\1\x0b"));
}

static struct instance *with_host(struct store *s, struct bytes *b, const char *field)
{
    *b = importer("h", field);
    return make(s, b);
}

static void hosts(const struct engine *engine)
{
    struct store *s = store_create(engine);
    struct thread *t = thread_create(s);
    CHECK_IS(store_host_module(s, "h", host_funcs, countof(host_funcs)), OK);
    struct bytes bytes[5];
    struct instance *add = with_host(s, &bytes[0], "a");
    u64 r;
    CHECK_IS(call(t, func(add, "x"), 2, 3, &r), OK);
    CHECK_IS(r, 5);
    CHECK_IS(call(t, func(add, "again"), 20, 30, &r), OK);
    CHECK_IS(r, 50);
    // Through another instance.
    CHECK_IS(store_register(s, "i", 1, add), OK);
    bytes[1] = importer("i", "x");
    CHECK_IS(call(t, func(make(s, &bytes[1]), "x"), 4, 5, &r), OK);
    CHECK_IS(r, 9);
    struct instance *leave = with_host(s, &bytes[2], "e");
    CHECK_IS(call(t, func(leave, "x"), 77, 0, &r), ERR_EXIT);
    CHECK_IS(thread_vm(t)->exit_code, 77);
    CHECK_IS(call(t, func(leave, "again"), 78, 0, &r), ERR_EXIT);
    CHECK_IS(thread_vm(t)->exit_code, 78);
    CHECK_IS(trap_of(t, func(with_host(s, &bytes[3], "t"), "x"), 0, 0), TRAP_UNREACHABLE);
    store_free(s);
}

static void parking(const struct engine *engine)
{
    struct store *s = store_create(engine);
    struct thread *t = thread_create(s), *other = thread_create(s);
    CHECK_IS(store_host_module(s, "h", host_funcs, countof(host_funcs)), OK);
    struct bytes bytes[2];
    struct instance *park = with_host(s, &bytes[0], "p"), *add = with_host(s, &bytes[1], "a");
    u64 slots[2] = {1, 2}, r;
    current = t;
    nested = OK;
    CHECK_IS(thread_resume(t), ERR_BAD_STATE);
    CHECK_IS(thread_call(t, func(park, "x"), slots), ERR_SHOULD_WAIT);
    CHECK_IS(nested, ERR_BAD_STATE);
    CHECK_IS(thread_call(t, func(add, "x"), slots), ERR_BAD_STATE);
    CHECK_IS(call(other, func(add, "x"), 2, 3, &r), OK);
    CHECK_IS(r, 5);
    CHECK_IS(thread_resume(t), ERR_SHOULD_WAIT);
    CHECK_IS(thread_resume(t), OK);
    CHECK_IS(slots[0], 1101);
    CHECK_IS(thread_resume(t), ERR_BAD_STATE);
    CHECK_IS(thread_call(t, func(park, "x"), slots), ERR_SHOULD_WAIT);
    thread_free(t); // in the middle of a call
    t = thread_create(s);
    CHECK_IS(call(t, func(add, "x"), 2, 3, &r), OK);
    store_free(s);
}

static void host_call_cost(const struct engine *engine)
{
    struct store *s = store_create(engine);
    struct thread *t = thread_create(s);
    struct bytes b;
    u64 r, n = 1000000, best = UINT64_MAX;
    store_host_module(s, "h", host_funcs, countof(host_funcs));
    const struct vm_func *f = func(with_host(s, &b, "a"), "loop");
    for (int round = 0; round < 5; round++) {
        u64 start = plat_now();
        CHECK_IS(call(t, f, 1, n, &r), OK);
        u64 took = plat_now() - start;
        best = took < best ? took : best;
    }
    printf("%s: host call in a loop: %llu.%02llu ns\n", engine->name,
           (unsigned long long)(best / n), (unsigned long long)(best % n * 100 / n));
    store_free(s);
}

// --- Traces and time, which engines must agree on

// (module (import "h" "n" (func $n (param i32 x 9) (result i32)))
//   (func $x (param i32 x 9) (result i32) (call $n (local.get 0) ...))
//   (func (export "y") (param i32 x 9) (result i32) (call $x (local.get 0) ...))
//   (func (export "deep") (call $deep)) (func (export "forever") (loop nop (br 0))))
#define NINE "\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f\x7f"
#define GET_NINE "\x20\0\x20\1\x20\2\x20\3\x20\4\x20\5\x20\6\x20\7\x20\x08"
static struct bytes tracer(void)
{
    return BUILD(S(TYPES, "\2\x60\x09" NINE "\1\x7f\x60\0\0"), S(IMPORTS, "\1\1h\1n\0\0"),
                 S(FUNCS, "\4\0\0\1\1"), S(EXPORTS, "\3\1y\0\2\4deep\0\3\7forever\0\4"),
                 S(CODE, "\4\x16\0" GET_NINE "\x10\0\x0b\x16\0" GET_NINE "\x10\1\x0b"
                         "\4\0\x10\3\x0b\x08\0\3\x40\1\x0c\0\x0b\x0b"));
}

static void host_nine(struct vmctx *vm, u64 *slots)
{
    for (u64 i = 0; i < 9; i++)
        CHECK_IS(slots[i], i + 1);
    rt_trap(vm, TRAP_UNALIGNED_ATOMIC);
}

static void traces(const struct engine *engine)
{
    static const struct host_func nine = {"n", "iiiiiiiii:i", host_nine, NULL};
    struct store *s = store_create(engine);
    struct thread *t = thread_create(s);
    struct bytes b = tracer();
    char text[4096];
    store_host_module(s, "h", &nine, 1);
    struct instance *i = make(s, &b);
    u64 slots[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    CHECK_IS(thread_call(t, func(i, "y"), slots), ERR_TRAP);
    thread_describe_trap(t, "file.wasm", text, sizeof text);
    const char *want = "wasm trap: unaligned atomic\n  at $f1 (file.wasm:0x5f)\n"
                       "  at y (file.wasm:0x76)";
    CHECK(!strcmp(text, want));
    if (strcmp(text, want))
        printf("%s\n", text);
    u64 r;
    CHECK_IS(call(t, func(i, "deep"), 0, 0, &r), ERR_TRAP);
    thread_describe_trap(t, "file.wasm", text, sizeof text);
    CHECK(strstr(text, "call stack exhausted\n  probably a recursion that does not end\n"
                       "  at deep (file.wasm:0x7"));
    CHECK(strstr(text, " more"));
    char little[40];
    CHECK(thread_describe_trap(t, "file.wasm", little, sizeof little) > sizeof little);
    CHECK_IS(strlen(little), sizeof little - 1);
    store_free(s);
}

static void time_limits(const struct engine *engine)
{
    static const struct host_func nine = {"n", "iiiiiiiii:i", host_nine, NULL};
    struct store *s = store_create(engine);
    struct thread *t = thread_create(s);
    struct bytes b = tracer();
    store_host_module(s, "h", &nine, 1);
    struct instance *i = make(s, &b);
    for (int round = 0; round < 20; round++) {
        thread_deadline(t, plat_now() + 500000);
        CHECK_IS(trap_of(t, func(i, "forever"), 0, 0), TRAP_TIME);
        CHECK_IS(trap_of(t, func(i, "deep"), 0, 0), TRAP_TIME); // past already
    }
    struct trace_frame f[2];
    thread_deadline(t, plat_now() + 500000);
    CHECK_IS(trap_of(t, func(i, "forever"), 0, 0), TRAP_TIME);
    CHECK_IS(thread_trace(t, f, 2), 1);
    CHECK_IS(f[0].func, 4);
    store_free(s);
}

// --- A thread in front of a memory

// (module (memory 1) (func $f (export "f") (call $f))
//   (func (export "g") (param i32) (result i32) (i32.load (local.get 0))))
static struct bytes recursive_loader(void)
{
    return BUILD(S(TYPES, "\2\x60\0\0\x60\1\x7f\1\x7f"), S(FUNCS, "\2\0\1"), S(MEMORIES, "\1\0\1"),
                 S(EXPORTS, "\2\1f\0\0\1g\0\1"), S(CODE, "\2\4\0\x10\0\x0b\7\0\x20\0\x28\2\0\x0b"));
}

static bool all_bytes(const u8 *p, u8 byte, size_t n)
{
    return *p == byte && !memcmp(p, p + 1, n - 1);
}

static void neighbours(const struct engine *engine)
{
    struct store *s = store_create(engine);
    struct bytes b = recursive_loader();
    struct instance *i = make(s, &b);
    struct thread *t = thread_create_beside(i, true), *other = thread_create_beside(i, true);
    u8 *base = instance_vm(i)->mem_base;
    u64 r;
    CHECK(t && t->at_front && base - (u8 *)t < (s64)thread_room(s->realm));
    CHECK(other && !other->at_front);
    memset(base, 0x55, WASM_PAGE);
    CHECK_IS(trap_of(t, func(i, "f"), 0, 0), TRAP_STACK);
    CHECK_IS(trap_of(other, func(i, "f"), 0, 0), TRAP_STACK);
    CHECK(all_bytes(base, 0x55, WASM_PAGE));
    CHECK_IS(trap_of(t, func(i, "g"), WASM_PAGE, 0), TRAP_MEMORY);
    CHECK_IS(trap_of(t, func(i, "g"), (u32)-4, 0), TRAP_MEMORY);
    CHECK_IS(call(t, func(i, "g"), WASM_PAGE - 4, 0, &r), OK);
    CHECK_IS(r, 0x55555555);
    thread_free(t);
    CHECK(thread_create_beside(i, true) == t);
    thread_free(t);
    instance_free(i);
    i = make(s, &b); // in the same place
    CHECK(instance_vm(i)->mem_base == base && all_bytes(base, 0, WASM_PAGE));
    CHECK(thread_create_beside(i, true) == t);
    CHECK_IS(trap_of(t, func(i, "f"), 0, 0), TRAP_STACK);
    CHECK(all_bytes(base, 0, WASM_PAGE));
    store_free(s);
}

// --- Linking

static void fails_to_link(struct store *s, const struct bytes *b, const char *begins,
                          const char *has)
{
    struct error e;
    struct rt_module *m = load(s, b);
    CHECK(m && !create(s, m, &e));
    CHECK_IS(e.code, ERR_UNLINKABLE);
    CHECK(!strncmp(e.text, begins, strlen(begins)));
    CHECK(strstr(e.text, has));
    if (!strstr(e.text, has))
        printf("%s\n", e.text);
    rt_module_free(m);
}

// A module that exports a memory 1 2, a table 2 4, and globals: i32 5, mutable i64 6.
static struct bytes exporter(void)
{
    return BUILD(S(TABLES, "\1\x70\1\2\4"), S(MEMORIES, "\1\1\1\2"),
                 S(GLOBALS, "\2\x7f\0\x41\5\x0b\x7e\1\x42\6\x0b"),
                 S(EXPORTS, "\4\1m\2\0\1t\1\0\1g\3\0\1v\3\1"));
}

static void linking(const struct engine *engine)
{
    struct store *s = store_create(engine);
    struct bytes b = exporter();
    CHECK_IS(store_host_module(s, "h", host_funcs, countof(host_funcs)), OK);
    CHECK_IS(store_register(s, "i", 1, make(s, &b)), OK);
#define UNLINKABLE(import, begins, has)                                                            \
    do {                                                                                           \
        struct bytes b_ = BUILD(S(TYPES, "\1\x60\1\x7e\1\x7d"), S(IMPORTS, "\1\1" import));        \
        fails_to_link(s, &b_, begins, has);                                                        \
    } while (0)
    UNLINKABLE("x\1a\0\0", "unknown import", "no module \"x\"");
    UNLINKABLE("x\1a\0\0", "unknown import", "there are: h");
    UNLINKABLE("h\1z\0\0", "unknown import", "module \"h\" has no \"z\"");
    UNLINKABLE("i\1z\2\0\1", "unknown import", "module \"i\" has no \"z\"");
    UNLINKABLE("h\1a\0\0", "incompatible import type",
               "wanted (i64) -> (f32), found (i32 i32) -> (i32)");
    UNLINKABLE("h\1a\2\0\1", "incompatible import type", "wanted a memory, found a function");
    UNLINKABLE("i\1m\2\0\2", "incompatible import type", "limits");
    UNLINKABLE("i\1m\2\1\1\1", "incompatible import type", "limits");
    UNLINKABLE("i\1t\1\x70\0\3", "incompatible import type", "limits");
    UNLINKABLE("i\1t\1\x70\1\1\3", "incompatible import type", "limits");
    UNLINKABLE("i\1t\1\x6f\0\1", "incompatible import type", "wanted a table of externref");
    UNLINKABLE("i\1g\3\x7e\0", "incompatible import type", "wanted a i64 global, found a i32 one");
    UNLINKABLE("i\1g\3\x7f\1", "incompatible import type", "wanted a mutable i32 global");
    struct bytes all = BUILD(S(IMPORTS, "\4\1i\1m\2\1\1\2\1i\1t\1\x70\1\2\4\1i\1g\3\x7f\0"
                                        "\1i\1v\3\x7e\1"),
                             S(GLOBALS, "\1\x7f\0\x23\0\x0b"), S(EXPORTS, "\1\1c\3\2"),
                             S(DATAS, "\1\0\x41\1\x0b\1\x2a"));
    struct instance *j = make(s, &all);
    struct extern_ x;
    CHECK_IS(instance_export(j, "c", 1, &x), OK);
    CHECK_IS(x.global->i32, 5);
    CHECK_IS(instance_vm(j)->mem_base[1], 42);
    CHECK_IS(instance_export(j, "none", 4, &x), ERR_NOT_FOUND);
    store_free(s);
}

// Active segments: those before one that is out of bounds stay written.
static void segments(const struct engine *engine)
{
    struct store *s = store_create(engine);
    struct bytes b = exporter();
    struct instance *i = make(s, &b);
    CHECK_IS(store_register(s, "i", 1, i), OK);
    struct bytes bad =
        BUILD(S(TYPES, "\1\x60\0\0"), S(IMPORTS, "\2\1i\1m\2\0\1\1i\1t\1\x70\0\1"),
              S(FUNCS, "\1\0"), S(ELEMS, "\1\0\x41\1\x0b\1\0"), S(CODE, "\1\2\0\x0b"),
              S(DATAS, "\2\0\x41\0\x0b\1\x2a\0\x41\xff\xff\3\x0b\2\1\2"));
    struct error e;
    struct rt_module *m = load(s, &bad);
    CHECK(!create(s, m, &e));
    CHECK_IS(e.code, ERR_TRAP);
    CHECK(!strcmp(e.text, "out of bounds memory access"));
    CHECK_IS(instance_vm(i)->mem_base[0], 42);
    // Its function is in our table, and can be called though its module is given up.
    rt_module_free(m);
    const struct vm_func *f = vm_table(instance_vm(i), 0)->at[1].ref;
    u64 r;
    CHECK(f);
    CHECK_IS(call(thread_create(s), f, 0, 0, &r), OK);
    store_free(s);
}

// --- Memories and tables

static void memories(void)
{
    u64 most[ACCOUNT_KINDS] = {[ACCOUNT_MEMORY] = 3 * WASM_PAGE};
    struct account *account = account_new(NULL, most, sizeof *account);
    struct store *realm = store_create(&interp_engine), *s = store_share(realm, account, NULL);
    struct bytes b = exporter();
    struct instance *i = make(s, &b);
    struct vmctx *vm = instance_vm(i);
    CHECK_IS(rt_memory_grow(vm, 0), 1);
    CHECK_IS(rt_memory_grow(vm, 2), -1);
    CHECK_IS(rt_memory_grow(vm, UINT32_MAX), -1);
    CHECK_IS(rt_memory_grow(vm, 1), 1);
    CHECK_IS(vm->mem->bytes, 2 * WASM_PAGE);
    vm->mem_base[2 * WASM_PAGE - 1] = 1;
    struct instance *j = make(s, &b);
    CHECK(j);
    CHECK_IS(rt_memory_grow(instance_vm(j), 1), -1); // the store's limit
    struct error e;
    CHECK(!create(s, load(s, &b), &e));
    CHECK_IS(e.code, ERR_NO_MEMORY);
    instance_free(i);
    i = make(s, &b); // the same reservation: zero again, and the second page gone
    vm = instance_vm(i);
    CHECK_IS(vm->mem->bytes, WASM_PAGE);
    CHECK_IS(rt_memory_grow(vm, 1), 1);
    CHECK_IS(vm->mem_base[2 * WASM_PAGE - 1], 0);
    CHECK_IS(rt_memory_fill(vm, 0, 0x1ab, 2 * WASM_PAGE), TRAP_NONE);
    CHECK_IS(vm->mem_base[2 * WASM_PAGE - 1], 0xab);
    CHECK_IS(rt_memory_fill(vm, 1, 0, 2 * WASM_PAGE), TRAP_MEMORY);
    CHECK_IS(rt_memory_fill(vm, 2 * WASM_PAGE, 0, 0), TRAP_NONE);
    CHECK_IS(rt_memory_fill(vm, 2 * WASM_PAGE + 1, 0, 0), TRAP_MEMORY);
    CHECK_IS(rt_memory_fill(vm, UINT32_MAX, 0, UINT32_MAX), TRAP_MEMORY);
    for (u8 k = 0; k < 8; k++)
        vm->mem_base[k] = k;
    CHECK_IS(rt_memory_copy(vm, 2, 0, 6), TRAP_NONE);
    CHECK(!memcmp(vm->mem_base, "\0\1\0\1\2\3\4\5", 8));
    CHECK_IS(rt_memory_copy(vm, 0, 2 * WASM_PAGE - 1, 2), TRAP_MEMORY);
    CHECK_IS(rt_memory_copy(vm, 0, 2 * WASM_PAGE, 0), TRAP_NONE);
    store_free(s);
    store_free(realm);
    CHECK_IS(account->of[ACCOUNT_MEMORY].used, 0);
    CHECK_IS(account->of[ACCOUNT_KEPT].used, sizeof *account);
    account_unref(account);
}

static void whole_memory(void)
{
    struct store *s = store_create(&interp_engine);
    struct vm_memory *m = store_memory(s, &(struct limits){.max = UINT64_MAX});
    CHECK_IS(memory_grow(s, m, 65536), 0);
    m->base[UINT32_MAX] = 1;
    CHECK_IS(memory_grow(s, m, 1), -1);
    CHECK_IS(memory_grow(s, m, 0), -1 * 0 + 65536);
    store_free(s);
}

// (module (table 2 4 funcref) (table 0 externref) (func $f) (elem (table 0) passive funcs $f $f)
// (elem declared))
static void tables(void)
{
    struct store *s = store_create(&interp_engine);
    struct bytes b =
        BUILD(S(TYPES, "\1\x60\0\0"), S(FUNCS, "\1\0"), S(TABLES, "\2\x70\1\2\4\x6f\0\0"),
              S(ELEMS, "\1\1\0\2\0\0"), S(CODE, "\1\2\0\x0b"));
    struct vmctx *vm = instance_vm(make(s, &b));
    u64 ref = 1, f = (u64)vm_funcref(vm, 0);
    CHECK_IS(rt_table_get(vm, 0, 1, &ref), TRAP_NONE);
    CHECK_IS(ref, 0);
    CHECK_IS(rt_table_get(vm, 0, 2, &ref), TRAP_TABLE);
    CHECK_IS(rt_table_set(vm, 0, 2, f), TRAP_TABLE);
    CHECK_IS(rt_table_init(vm, 0, 0, 0, 1, 2), TRAP_TABLE);
    CHECK_IS(rt_table_init(vm, 0, 0, 1, 1, 1), TRAP_NONE);
    CHECK_IS(rt_table_get(vm, 0, 1, &ref), TRAP_NONE);
    CHECK_IS(ref, f);
    CHECK_IS(vm_table(vm, 0)->at[1].type, module_func_type(vm->module, 0)->id);
    rt_elem_drop(vm, 0);
    CHECK_IS(rt_table_init(vm, 0, 0, 1, 1, 1), TRAP_TABLE);
    CHECK_IS(rt_table_init(vm, 0, 0, 2, 0, 0), TRAP_NONE);
    CHECK_IS(rt_table_grow(vm, 0, f, 3), -1);
    CHECK_IS(rt_table_grow(vm, 0, f, 2), 2);
    CHECK_IS(vm_table(vm, 0)->at[3].type, module_func_type(vm->module, 0)->id);
    CHECK_IS(rt_table_copy(vm, 0, 0, 0, 1, 3), TRAP_NONE);
    CHECK_IS(rt_table_copy(vm, 0, 0, 0, 2, 3), TRAP_TABLE);
    CHECK_IS(rt_table_fill(vm, 0, 1, 0, 3), TRAP_NONE);
    CHECK(vm_table(vm, 0)->at[0].ref && !vm_table(vm, 0)->at[3].type);
    // From the heap into a reservation, and to the end of it.
    CHECK_IS(rt_table_grow(vm, 1, 5, 1000), 0);
    CHECK_IS(rt_table_grow(vm, 1, 6, 1000), 1000);
    CHECK_IS(rt_table_grow(vm, 1, 0, 100000), 2000);
    CHECK_IS(rt_table_get(vm, 1, 999, &ref), TRAP_NONE);
    CHECK_IS(ref, 5);
    CHECK_IS(rt_table_get(vm, 1, 1999, &ref), TRAP_NONE);
    CHECK_IS(ref, 6);
    CHECK_IS(rt_table_get(vm, 1, 101999, &ref), TRAP_NONE);
    CHECK_IS(ref, 0);
    CHECK_IS(rt_table_grow(vm, 1, 0, UINT32_MAX), -1);
    CHECK_IS(rt_table_grow(vm, 1, 0, MAX_TABLE_SIZE - 102000), 102000);
    CHECK_IS(rt_table_grow(vm, 1, 0, 1), -1);
    store_free(s);
}

// --- Types and code ranges

static void types(void)
{
    struct type_table t = {0};
    valtype list[3] = {TYPE_I32, TYPE_I64, TYPE_F32};
    struct functype a = {1, 2, list, .super = NO_TYPE, .count = 1}, b = a, c = a;
    b.nparams = 2, b.nresults = 1, c.nparams = c.nresults = 0;
    u32 ia = type_intern(&t, &a, 0)->t.id, ib = type_intern(&t, &b, 0)->t.id;
    CHECK(ia && ib && ia != ib);
    CHECK_IS(type_intern(&t, &a, 0)->t.id, ia);
    type_drop(&t, ia);
    CHECK_IS(type_intern(&t, &a, 0)->t.id, ia);
    type_drop(&t, ia);
    type_drop(&t, ia);
    u32 ic = type_intern(&t, &c, 0)->t.id;
    CHECK_IS(ic, ia); // the free number
    CHECK(type_intern(&t, &a, 0)->t.id != ia);
    for (u32 n = 0; n < 200; n++) {
        valtype many[200];
        for (u32 i = 0; i < n; i++)
            many[i] = TYPE_I32;
        struct functype f = {n, 0, many, .super = NO_TYPE, .count = 1};
        u32 id = type_intern(&t, &f, 0)->t.id;
        CHECK_IS(type_intern(&t, &f, 0)->t.id, id);
    }
    CHECK_IS(type_intern(&t, &b, 0)->t.id, ib);
    types_free(&t);
}

static bool writable(const u8 *p)
{
    int zeros = open("/dev/zero", O_RDONLY);
    bool done = read(zeros, (u8 *)(uintptr_t)p, 1) == 1;
    close(zeros);
    return done;
}

static void code_ranges(void)
{
    struct code_space a, b, c, all;
    CHECK_IS(code_alloc(100, NULL, &a), OK);
    CHECK_IS(a.capacity, 4096);
    CHECK_IS(code_alloc(1 << 20, NULL, &b), OK);
    CHECK_IS(code_alloc(100, NULL, &c), OK);
    CHECK(b.write - b.run == (long)code_window()->size);
    memset(b.write, 0xc3, 5000);
    CHECK(writable(b.write + 5000));
    code_publish(&b, 0, 5000);
    CHECK(!writable(b.write) && !writable(b.write + 8191) && !writable(b.run));
    CHECK(writable(b.write + 8192));
    ((void (*)(void))(uintptr_t)b.run)();
    CHECK_IS(code_open(&b, 4096, 4096), OK);
    CHECK(writable(b.write + 5000) && !writable(b.write) && !writable(b.run + 5000));
    b.write[5001] = 0xc3;
    code_publish(&b, 5001, 1);
    CHECK(!writable(b.write + 5001));
    ((void (*)(void))(uintptr_t)(b.run + 5001))();
    CHECK(code_contains(b.run) && !code_contains(b.write) && !code_contains(&a));
    const u8 *was = b.run;
    code_free(&b);
    CHECK_IS(code_alloc(1 << 20, NULL, &b), OK);
    CHECK(b.run == was);
    CHECK_IS(b.write[0], 0); // the pages were given back
    code_free(&a);
    code_free(&c);
    code_free(&b);
    CHECK_IS(code_alloc(SIZE_MAX / 2, NULL, &all), ERR_NO_RESOURCES);
    CHECK_IS(code_alloc(1 << 30, NULL, &all), OK);
    CHECK_IS(code_alloc(1, NULL, &a), ERR_NO_RESOURCES);
    code_free(&all);
}

// Ranges of all sizes come and go; none lies in another, and in the end the window is whole again.
static void code_ranges_come_and_go(void)
{
    enum { RANGES = 300, STEPS = 30000 };
    static struct code_space at[RANGES];
    struct code_space all;
    u64 x = 1, failures = 0;
    for (u32 n = 0; n < STEPS; n++) {
        x = x * 6364136223846793005 + 1442695040888963407;
        struct code_space *s = &at[(x >> 33) % RANGES];
        if (s->run) {
            code_free(s);
            continue;
        }
        failures += code_alloc(((x >> 20) & 0xfff) << (x >> 61) | 1, NULL, s) != OK;
        for (u32 i = 0; i < RANGES; i++)
            failures += &at[i] != s && at[i].run && at[i].run < s->run + s->capacity &&
                        s->run < at[i].run + at[i].capacity;
    }
    for (u32 i = 0; i < RANGES; i++)
        code_free(&at[i]);
    CHECK_IS(failures, 0);
    CHECK_IS(code_alloc(1 << 30, NULL, &all), OK);
    code_free(&all);
}

// --- Nothing stays

static u64 mappings(void)
{
    FILE *f = fopen("/proc/self/maps", "r");
    u64 lines = 0;
    for (int c; f && (c = fgetc(f)) != EOF;)
        lines += c == '\n';
    if (f)
        fclose(f);
    return lines;
}

static void cycles(void)
{
    struct bytes b = toy_module(), c = toy_importer("c");
    u64 r, before = 0, failures = 0;
    for (u32 n = 0; n < 1000; n++) {
        struct store *s = store_create(&toy_engine);
        struct thread *t = thread_create(s);
        struct instance *i = make(s, &b);
        store_register(s, "m", 1, i);
        struct instance *j = make(s, &c);
        failures += call(t, func(j, "y"), 0, 0, &r) || r != 16;
        failures += trap_of(t, func(j, "y"), 65536, 0) != TRAP_MEMORY;
        store_free(s);
        if (n == 10)
            before = mappings();
    }
    CHECK_IS(failures, 0);
    CHECK(mappings() <= before + 2);
}

// Instances come and go in one store.
static void instances(void)
{
    struct store *s = store_create(&toy_engine);
    struct bytes b = toy_module();
    struct rt_module *m = load(s, &b);
    struct error e;
    u64 failures = 0, n = 10000, start = plat_now();
    for (u64 k = 0; k < n; k++) {
        struct instance *i = create(s, m, &e);
        failures += !i;
        instance_free(i);
    }
    u64 ns = (plat_now() - start) / n;
    CHECK_IS(failures, 0);
    CHECK_IS(s->memory, 0);
    printf("instantiate, 1 page and 1 table: %llu ns\n", (unsigned long long)ns);
    store_free(s);
}

static void other_cpu(void *argument)
{
    u64 *result = argument;
    struct store *s = store_create(&toy_engine);
    struct thread *t = thread_create(s);
    struct bytes b = toy_module();
    struct instance *i = make(s, &b);
    u64 trap = trap_of(t, func(i, "g"), 0, 0);
    thread_deadline(t, plat_now() + 1000000);
    trap = trap << 8 | trap_of(t, func(i, "f"), 0, 0);
    store_free(s);
    __atomic_store_n(result, trap, __ATOMIC_RELEASE);
    plat_cpu_kick(0);
}

static void cpus(void)
{
    u64 result = 0, deadline = plat_now() + 100000000000ull;
    CHECK_IS(plat_cpu_start(1, other_cpu, &result), OK);
    while (!__atomic_load_n(&result, __ATOMIC_ACQUIRE) && plat_now() < deadline)
        plat_wait(deadline);
    CHECK_IS(result, TRAP_STACK << 8 | TRAP_TIME);
    u64 start = plat_now();
    plat_wait(start + 3000000);
    CHECK(plat_now() - start >= 3000000);
}

// --- The snippets. Arguments edi, esi; R14 = vmctx, whose imports follow it; R15 = memory 0.

__asm__(
    ".text\n"
    "toy_0: mov $42, %eax; ret\n"
    "toy_1: ud2; .byte 1\n"
    "toy_2: mov %edi, %edi; mov (%r15,%rdi), %eax; ret\n"
    "toy_3: mov %edi, %eax; cdq; idiv %esi; ret\n"
    "toy_4: mov %edi, %eax; xor %edx, %edx; div %esi; ret\n"
    "toy_5: sub $8, %rsp; lea 112(%r14), %r11; call *(%r11); add $8, %rsp; ret\n"
    "toy_6: jmp toy_6\n"
    "toy_7: sub $8, %rsp; call toy_7; add $8, %rsp; ret\n"
    "toy_8: sub $24, %rsp; mov %edi, 4(%rsp); lea 112(%r14), %r11; call *(%r11); mov %eax, (%rsp);"
    "   mov 4(%rsp), %edi; mov (%r15,%rdi), %eax; add (%rsp), %eax; add $24, %rsp; ret\n"
    "toy_9: mov 8(%rsp), %eax; add 16(%rsp), %eax; add 24(%rsp), %eax; movq %xmm0, %r10;"
    "   mov %r10, 40(%rsp); mov %r9, 48(%rsp); ret $32\n"
    "toy_10: hlt\n"
    "toy_11: ret\n"
    "toy_12: ret\n"
    "toy_13: sub $8, %rsp; add $8, %rsp; ret\n"
    "toy_end:\n");
extern const u8 toy_0[], toy_1[], toy_2[], toy_3[], toy_4[], toy_5[], toy_6[], toy_7[], toy_8[],
    toy_9[], toy_10[], toy_11[], toy_12[], toy_13[], toy_end[];
const struct toy toys[TOYS] = {
    {toy_0, toy_1},   {toy_1, toy_2},   {toy_2, toy_3},   {toy_3, toy_4},    {toy_4, toy_5},
    {toy_5, toy_6},   {toy_6, toy_7},   {toy_7, toy_8},   {toy_8, toy_9},    {toy_9, toy_10},
    {toy_10, toy_11}, {toy_11, toy_12}, {toy_12, toy_13}, {toy_13, toy_end},
};
_Static_assert(sizeof(struct vmctx) == 112, "the snippets know where the imports are");

int main(void)
{
    CHECK_IS(rt_init(), OK);
    CHECK_IS(rt_init(), OK);
    types();
    code_ranges();
    code_ranges_come_and_go();
    toy_calls();
    toy_traps();
    toy_time();
    toy_links();
    toy_recursion();
    toy_link_overflow();
    toy_words_of_others();
    const struct engine *engines[] = {&interp_engine, &fast_engine};
    for (size_t i = 0; i < countof(engines); i++) {
        hosts(engines[i]);
        parking(engines[i]);
        linking(engines[i]);
        segments(engines[i]);
        traces(engines[i]);
        time_limits(engines[i]);
        host_call_cost(engines[i]);
        neighbours(engines[i]);
    }
    memories();
    whole_memory();
    tables();
    cpus();
    cycles();
    instances();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
