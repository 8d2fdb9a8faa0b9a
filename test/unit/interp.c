// SPDX-License-Identifier: MIT
// Unit test of the interpreter: what the official suite does not ask for. Traces, interrupts, the
// end of the stack, host functions that leave dirt or call back, immediates written longer than
// they need be.
#include "interp/interp.h"
#include "rt/rt.h"
#include "rt/thread.h"
#include "wasm/num.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int passed, failed;

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

// --- Modules: every one has the same sections before its code.

// Types 0: ()->() 1: ()->i64 2: (i32)->i32. Imports 0: h.poke 1: h.dirty 2: h.again.
// A memory of one page.
static const char head[] = "\0asm\1\0\0\0"
                           "\1\x0d\3\x60\0\0\x60\0\1\x7e\x60\1\x7f\1\x7f"
                           "\2\x1e\3\1h\4poke\0\0\1h\5dirty\0\2\1h\5again\0\2";
enum { IMPORTS = 3 };

struct guest {
    u8 type;
    const char *name; // exported
    const char *bytes;
    size_t size;
};
#define FUNC(type, name, text) {type, name, text, sizeof text - 1}

struct bytes {
    u8 at[1024];
    u32 size;
};

static void put(struct bytes *b, const void *p, size_t n)
{
    memcpy(b->at + b->size, p, n);
    b->size += (u32)n;
}

static void put_byte(struct bytes *b, size_t byte)
{
    b->at[b->size++] = (u8)byte;
}

// A section whose size is known when `content` is complete.
static void put_section(struct bytes *b, u8 id, const struct bytes *content)
{
    put_byte(b, id);
    put_byte(b, (content->size & 0x7f) | 0x80);
    put_byte(b, content->size >> 7);
    put(b, content->at, content->size);
}

static struct bytes build(const struct guest *guests, size_t n)
{
    struct bytes b = {0}, funcs = {0}, memories = {0}, exports = {0}, code = {0};
    put(&b, head, sizeof head - 1);
    put_byte(&funcs, n);
    put(&memories, "\1\0\1", 3);
    put_byte(&exports, n);
    put_byte(&code, n);
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(guests[i].name);
        put_byte(&funcs, guests[i].type);
        put_byte(&exports, length);
        put(&exports, guests[i].name, length);
        put_byte(&exports, EXTERN_FUNC);
        put_byte(&exports, IMPORTS + i);
        put_byte(&code, guests[i].size);
        put(&code, guests[i].bytes, guests[i].size);
    }
    put_section(&b, 3, &funcs);
    put_section(&b, 5, &memories);
    put_section(&b, 7, &exports);
    put_section(&b, 10, &code);
    return b;
}

// Where a piece of code is.
static u32 find(const struct bytes *b, const char *code, size_t n)
{
    for (u32 i = 0; i + n <= b->size; i++)
        if (!memcmp(b->at + i, code, n))
            return i;
    return 0;
}
#define FIND(b, text) find(b, text, sizeof text - 1)

// --- The host

static u32 pokes;

// At the third call somebody asks for the end.
static void poke(struct vmctx *vm, u64 *slots)
{
    (void)slots;
    if (++pokes == 3)
        vm->thread->interrupt = TRAP_TIME;
}

static void dirty(struct vmctx *vm, u64 *slots)
{
    (void)vm;
    slots[0] = 0xdeadbeef00000000 | (u32)(slots[0] + 1);
}

static struct compiled *again_code;
static const struct vm_func *again_func;

// Calls back into the module, and gives what came of it: the result, or -trap.
static void again(struct vmctx *vm, u64 *slots)
{
    if (interp_engine.call(again_code, again_func, slots))
        slots[0] = (u64) - (s64)vm->thread->trap;
}

static const struct host_func host[] = {
    {"poke", ":", poke, NULL},
    {"dirty", "i:i", dirty, NULL},
    {"again", "i:i", again, NULL},
};

// --- A world for one module

struct world {
    struct store *store;
    struct rt_module *module;
    struct instance *instance;
    struct thread *thread;
    struct error error;
};

static struct world world(const struct bytes *b)
{
    struct world w = {.store = store_create(&interp_engine)};
    store_host_module(w.store, "h", host, countof(host));
    w.thread = thread_create(w.store);
    if (!rt_module_load(w.store, b->at, b->size, &w.module, &w.error))
        instance_create(w.store, w.module, NULL, &w.instance, &w.error);
    return w;
}

static void world_free(struct world *w)
{
    thread_free(w->thread);
    store_free(w->store);
}

static const struct vm_func *func(const struct world *w, const char *name)
{
    struct extern_ x;
    if (!w->instance || instance_export(w->instance, name, strlen(name), &x)) {
        printf("no function %s: %s\n", name, w->error.text);
        exit(1);
    }
    return x.func;
}

// Calls with one argument; gives the result, or -trap.
static s64 call(const struct world *w, const char *name, u64 argument)
{
    u64 slots[2] = {argument};
    if (thread_call(w->thread, func(w, name), slots))
        return -(s64)thread_vm(w->thread)->trap;
    return (s64)slots[0];
}

// --- Tests

#define WORLD(...)                                                                                 \
    struct guest guests_[] = {__VA_ARGS__};                                                        \
    struct bytes b = build(guests_, countof(guests_));                                             \
    struct world w = world(&b)

// The instruction that trapped, then the calls that led to it.
static void test_trace(void)
{
    WORLD(FUNC(0, "inner", "\0\x41\x7f\x28\2\7\x1a\x0b"),
          FUNC(0, "outer", "\0\1\x10\x83\x80\x80\x80\0\x0b"),
          FUNC(0, "fill", "\0\x41\x7f\x41\0\x41\x02\xfc\x8b\x80\0\0\x0b"));
    struct trace_frame frames[4];
    CHECK_IS(call(&w, "outer", 0), -TRAP_MEMORY);
    CHECK_IS(thread_trace(w.thread, frames, 4), 2);
    CHECK_IS(frames[0].func, IMPORTS);
    CHECK_IS(frames[0].offset, FIND(&b, "\x28\2\7"));
    CHECK_IS(frames[1].func, IMPORTS + 1);
    CHECK_IS(frames[1].offset, FIND(&b, "\x10\x83"));
    CHECK_IS(call(&w, "fill", 0), -TRAP_MEMORY);
    CHECK_IS(thread_trace(w.thread, frames, 4), 1);
    CHECK_IS(frames[0].offset, FIND(&b, "\xfc\x8b"));
    world_free(&w);
}

static void test_stack(void)
{
    WORLD(FUNC(0, "recurse", "\0\x10\3\x0b"), FUNC(1, "well", "\0\x42\7\x0b"));
    struct trace_frame frames[3];
    CHECK_IS(call(&w, "recurse", 0), -TRAP_STACK);
    CHECK_IS(thread_trace(w.thread, frames, 3), 3);
    CHECK_IS(frames[2].func, IMPORTS);
    CHECK_IS(call(&w, "well", 0), 7);
    world_free(&w);
}

// Looked at where code goes back, and where it calls.
static void test_interrupt(void)
{
    WORLD(FUNC(0, "loop", "\0\3\x40\x10\0\x0c\0\x0b\x0b"),
          FUNC(0, "loop_if", "\0\3\x40\x10\0\x41\1\x0d\0\x0b\x0b"),
          FUNC(0, "loop_compare", "\0\3\x40\x10\0\x41\1\x41\1\x46\x0d\0\x0b\x0b"),
          FUNC(0, "recurse", "\0\x10\0\x10\6\x0b"),
          // Here the branch leads to itself.
          FUNC(0, "tight", "\0\x10\0\x10\0\x10\0\3\x40\x0c\0\x0b\x0b"));
    const char *names[] = {"loop", "loop_if", "loop_compare", "recurse", "tight"};
    for (size_t i = 0; i < countof(names); i++) {
        pokes = 0;
        CHECK_IS(call(&w, names[i], 0), -TRAP_TIME);
        CHECK_IS(pokes, 3);
    }
    world_free(&w);
}

// What a host function leaves in the upper half of an i32 is not seen; nor is an argument's.
static void test_dirt(void)
{
    WORLD(FUNC(1, "widen", "\0\x41\1\x10\1\xad\x0b"), FUNC(2, "same", "\0\x20\0\x0b"));
    CHECK_IS(call(&w, "widen", 0), 2);
    CHECK_IS(call(&w, "same", 0xdeadbeef00000005), 5);
    world_free(&w);
}

// A host function calls back: what the outer call has on its stack stays, even if the inner traps.
static void test_again(void)
{
    WORLD(FUNC(2, "twice", "\0\x20\0\x41\x02\x6c\x0b"), FUNC(2, "trap", "\0\0\x0b"),
          FUNC(2, "outer", "\0\x41\x0a\x20\0\x10\2\x6a\x0b"));
    again_code = &w.module->compiled;
    again_func = func(&w, "twice");
    CHECK_IS(call(&w, "outer", 4), 18);
    again_func = func(&w, "trap");
    CHECK_IS(call(&w, "outer", 4), 10 - TRAP_UNREACHABLE);
    world_free(&w);
}

// Padded immediates, in every instruction that has a quick form for short ones.
static void test_padded(void)
{
    WORLD(FUNC(2, "locals",
               "\1\2\x7f\x20\x80\0\x21\x81\x80\0\x20\x81\x80\x80\x80\0\x22\2\x20\x82"
               "\0\x6a\x22\x82\x80\x80\0\x1a\x20\2\x0b"),
          FUNC(2, "constants",
               "\0\x41\xff\xff\xff\xff\x7f\x20\0\x6a\x41\x80\x81\x80\0\x6a\x41\xc0"
               "\0\x6a\x0b"),
          FUNC(2, "memory",
               "\0\x41\0\x20\0\x36\x82\0\x84\x80\x80\x80\0\x41\0\x28\2\x84\0\x41\2\x2d"
               "\x80\x80\0\x82\x80\0\x6a\x0b"),
          FUNC(2, "blocks", "\0\x20\0\2\x82\0\x20\0\x0d\x80\0\x1a\x41\x09\x0b\x0b"),
          FUNC(2, "saturate", "\0\x20\0\xb2\xfc\x80\0\x0b"));
    CHECK_IS(call(&w, "locals", 21), 42);
    CHECK_IS(call(&w, "constants", 1), 0x80 + 0x40);
    CHECK_IS(call(&w, "memory", 0x01020304), 0x01020308);
    CHECK_IS(call(&w, "blocks", 0), 9);
    CHECK_IS(call(&w, "blocks", 5), 5);
    CHECK_IS(call(&w, "saturate", 77), 77);
    world_free(&w);
}

// Appends the value in `length` bytes; false: it needs more.
static bool put_sleb(struct bytes *b, s64 value, u32 length)
{
    s64 sign = length < 10 ? value >> (7 * length - 1) : 0;
    if (sign != 0 && sign != -1)
        return false;
    for (u32 i = 0; i < length; i++, value >>= 7)
        put_byte(b, (value & 0x7f) | (i + 1 < length ? 0x80 : 0));
    return true;
}

static u64 operate(u8 op, u64 a, u64 b)
{
    switch (op) {
    case 0x6a: return (u32)(a + b);
    case 0x71: return (u32)(a & b);
    case 0x74: return (u32)(a << (b & 31));
    case 0x75: return (u32)((s32)a >> (b & 31));
    case 0x76: return (u32)((u32)a >> (b & 31));
    case 0x77: return rotl32((u32)a, (u32)b);
    case 0x7c: return a + b;
    case 0x83: return a & b;
    case 0x88: return a >> (b & 63);
    default: return a ^ b;
    }
}

// A constant of that many bytes is the operand of an operation, below which there are so many
// others, and whose result goes through a local in one of three ways. *want: what comes of it.
static bool constant_body(struct bytes *b, bool wide, s64 value, u32 length, u8 op, u32 form,
                          u64 *want)
{
    u32 below = form % 3, way = form / 3 % 3, apart = form / 9;
    u64 x = wide ? 0xfedcba9876543210 : 0x87654321;
    put(b, wide ? "\1\2\x7e" : "\1\2\x7f", 3); // x is in the last one
    put_byte(b, wide ? 0x42 : 0x41);
    put_sleb(b, wide ? (s64)x : (s32)x, wide ? 10 : 5);
    put(b, wide ? "\x21\1" : "\x21\2", 2);
    for (u32 i = 0; i <= below; i++)
        put(b, wide ? "\x20\1" : "\x20\2", 2);
    if (apart)
        put_byte(b, 1); // nop
    put_byte(b, wide ? 0x42 : 0x41);
    if (!put_sleb(b, value, length))
        return false;
    put_byte(b, op);
    if (way != 2)
        put(b, way ? "\x22\0\x20\0" : "\x21\0\x20\0", 4);
    if (way == 1)
        put_byte(b, wide ? 0x83 : 0x71); // and, of the same twice
    for (u32 i = 0; i < below; i++)
        put_byte(b, wide ? 0x85 : 0x73); // xor
    put_byte(b, 0x0b);
    *want = operate(op, x, wide ? (u64)value : (u32)value) ^ (below & 1 ? x : 0);
    return true;
}

// Constants of all lengths, before operations that may be done with them at once.
static void test_constants(void)
{
    static const s64 values[] = {0,
                                 5,
                                 63,
                                 64,
                                 -1,
                                 -64,
                                 -65,
                                 0x1fff,
                                 0x2000,
                                 -0x2000,
                                 -0x2001,
                                 0xfffff,
                                 0x100000,
                                 -0x100001,
                                 1 << 27,
                                 -(1 << 27) - 1,
                                 0x7fffffff,
                                 -0x7fffffff - 1,
                                 0xffffffff,
                                 0x3ffffffff,
                                 -0x400000000,
                                 0x123456789abcdef,
                                 1ll << 62};
    static const u8 ops[2][7] = {{0x6a, 0x71, 0x74, 0x75, 0x76, 0x77, 0x73},
                                 {0x7c, 0x83, 0x88, 0x85}};
    for (u32 form = 0; form < 18; form++)
        for (u32 i = 0; i < countof(values) * 2 * countof(ops[0]); i++) {
            bool wide = i & 1;
            s64 value = values[i / 2 / countof(ops[0])];
            u8 op = ops[wide][i / 2 % countof(ops[0])];
            for (u32 length = 1; op && length <= (wide ? 10 : 5); length++) {
                struct bytes body = {0};
                u64 want;
                if ((!wide && value != (s32)value) ||
                    !constant_body(&body, wide, value, length, op, form, &want))
                    continue;
                struct guest guest = {wide ? 1 : 2, "f", (char *)body.at, body.size};
                struct bytes b = build(&guest, 1);
                struct world w = world(&b);
                CHECK_IS(call(&w, "f", 0), want);
                world_free(&w);
            }
        }
}

// Both halves of a v128 go through locals, a block's result, select and a call; what is scalar
// beside them too.
static void test_simd(void)
{
    WORLD(FUNC(2, "simd",
               "\1\2\x7b"                               // two locals: v128
               "\x20\0\xfd\x11\x21\1"                   // y = i32x4.splat x
               "\x41\x0a\xfd\x11\x20\1\xfd\xae\1\x21\2" // z = splat 10 + y
               "\x20\2\x20\1\x20\0\x1b"                 // x ? z : y
               "\xfd\x1b\3\x0b"),                       // its last lane
          FUNC(2, "upper",
               "\1\1\x7b\xfd\x0c\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\x21\1"
               "\x20\1\xfd\x1b\2\x20\0\x6a\x0b"));
    CHECK_IS(call(&w, "simd", 7), 17);
    CHECK_IS(call(&w, "simd", 0), 0);
    CHECK_IS(call(&w, "upper", 40), 43);
    world_free(&w);
}

int main(void)
{
    rt_init();
    test_trace();
    test_stack();
    test_interrupt();
    test_dirt();
    test_again();
    test_padded();
    test_constants();
    test_simd();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
