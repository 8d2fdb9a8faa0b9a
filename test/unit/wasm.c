// SPDX-License-Identifier: MIT
// Unit tests of src/wasm and of the arena: what the specification's suite cannot see: the notes
// that the validator takes for the engines, names, exports, layout, limits, hostile shapes, and
// memory that runs out.
//
// Modules are put together from bytes: mod() writes one with the given sections, and body() one
// with a single function.
#include "test/unit/heap.h"
#include "base/arena.h"
#include "wasm/reader.h"
#include "wasm/validate.h"
#include "wasm/vmctx.h"
#include <stdio.h>
#include <time.h>

static int passed, nfailed;

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (cond) {                                                                                \
            passed++;                                                                              \
        } else {                                                                                   \
            nfailed++;                                                                             \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #cond);                                      \
        }                                                                                          \
    } while (0)

// Bytes -------------------------------------------------------------------------------------------

struct bytes {
    u8 *p;
    size_t n, room;
};

static void put(struct bytes *b, const void *p, size_t n)
{
    if (b->n + n > b->room) {
        b->room = (b->n + n) * 2;
        b->p = realloc(b->p, b->room);
    }
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
}

static void put_byte(struct bytes *b, u8 x)
{
    put(b, &x, 1);
}

static void put_u32(struct bytes *b, u32 x)
{
    for (; x >= 0x80; x >>= 7)
        put_byte(b, (u8)(x | 0x80));
    put_byte(b, (u8)x);
}

static void put_section(struct bytes *b, u8 id, const void *p, size_t n)
{
    put_byte(b, id);
    put_u32(b, (u32)n);
    put(b, p, n);
}

#define SECTION(b, id, ...)                                                                        \
    put_section(b, id, (const u8[]){__VA_ARGS__}, sizeof(const u8[]){__VA_ARGS__})

static void put_header(struct bytes *b)
{
    b->n = 0;
    put(b, "\0asm\1\0\0\0", 8);
}

// A code section with one body: `locals` is the declaration, with its count.
static void put_code(struct bytes *b, const u8 *locals, size_t nlocals, const u8 *code, size_t n)
{
    struct bytes s = {0};
    put_u32(&s, 1);
    put_u32(&s, (u32)(nlocals + n));
    put(&s, locals, nlocals);
    put(&s, code, n);
    put_section(b, 10, s.p, s.n);
    free(s.p);
}

// Validating one function -------------------------------------------------------------------------

enum { I32 = 0x7f, I64 = 0x7e, VOID = 0x40 };

static struct bytes file;
static struct validator *v;
static struct module *m;
static struct error e;
static struct body body;
static size_t code_start; // offset of the first instruction

// Types: 0: [] -> [], 1: [i32] -> [i32], 2: [] -> [i32 i32], 3: [i32 i32] -> [i32 i32]. Function 0
// of `type` has the body, a table and a memory are there. Locals: 3 x i32, 1 x i64.
static status validate(u8 type, const u8 *code, size_t n)
{
    static const u8 locals[] = {2, 3, I32, 1, I64};
    put_header(&file);
    SECTION(&file, 1, 4, 0x60, 0, 0, 0x60, 1, I32, 1, I32, 0x60, 0, 2, I32, I32, 0x60, 2, I32, I32,
            2, I32, I32);
    SECTION(&file, 3, 1, type);
    SECTION(&file, 4, 1, 0x70, 0, 1);
    SECTION(&file, 5, 1, 0, 1);
    put_code(&file, locals, sizeof locals, code, n);
    code_start = file.n - n;
    module_free(m);
    if (module_decode(file.p, file.n, &m, &e))
        return e.code;
    return validate_body(v, m, 0, WANT_BRANCHES | WANT_USES, &body, &e);
}

#define BODY(type, ...) validate(type, (const u8[]){__VA_ARGS__}, sizeof(const u8[]){__VA_ARGS__})

static bool branch_is(u32 i, s32 dpc, s32 dside, u32 keep, u32 drop)
{
    const struct branch *b = &body.branches[i];
    if (i < body.nbranches && b->dpc == dpc && b->dside == dside && b->keep == keep &&
        b->drop == drop)
        return true;
    if (i < body.nbranches)
        printf("branch %u of %u: dpc %d dside %d keep %u drop %u\n", i, body.nbranches, b->dpc,
               b->dside, b->keep, b->drop);
    return false;
}

enum {
    UNREACHABLE = 0x00,
    NOP,
    BLOCK,
    LOOP,
    IF,
    ELSE,
    END = 0x0b,
    BR,
    BR_IF,
    BR_TABLE,
    RETURN,
    CALL,
    DROP = 0x1a,
    SELECT,
    GET = 0x20,
    SET,
    TEE,
    GROW = 0x40,
    CONST = 0x41,
    CONST64,
    ADD = 0x6a,
};

static void test_branches(void)
{
    CHECK(BODY(0, BLOCK, VOID, BR, 0, NOP, END, END) == OK);
    CHECK(body.nbranches == 1 && branch_is(0, 4, 1, 0, 0));

    // To the function's own label: its last `end`.
    CHECK(BODY(0, NOP, BR, 0, NOP, END) == OK);
    CHECK(body.nbranches == 1 && branch_is(0, 3, 1, 0, 0));

    // A loop: the first instruction in it, the entry of which is the branch's own.
    CHECK(BODY(0, LOOP, VOID, NOP, BR, 0, END, END) == OK);
    CHECK(body.nbranches == 1 && branch_is(0, -1, 0, 0, 0));
    CHECK(BODY(0, BLOCK, VOID, BR, 0, END, LOOP, VOID, GET, 0, BR_IF, 0, GET, 0, BR_IF, 0, END,
               END) == OK);
    CHECK(body.nbranches == 3 && branch_is(1, -2, 0, 0, 0) && branch_is(2, -6, -1, 0, 0));

    // if without else, with else.
    CHECK(BODY(0, GET, 0, IF, VOID, NOP, END, END) == OK);
    CHECK(body.nbranches == 1 && branch_is(0, 4, 1, 0, 0));
    CHECK(BODY(0, GET, 0, IF, VOID, BR, 0, ELSE, BR, 0, NOP, END, END) == OK);
    CHECK(body.nbranches == 4);
    CHECK(branch_is(0, 5, 3, 0, 0)); // condition false: past `else`, whose entry is the third
    CHECK(branch_is(1, 7, 3, 0, 0));
    CHECK(branch_is(2, 5, 2, 0, 0));
    CHECK(branch_is(3, 4, 1, 0, 0));

    // keep and drop: results over what lies below them.
    CHECK(BODY(0, BLOCK, I32, CONST, 1, CONST, 2, CONST, 3, BR, 0, END, DROP, END) == OK);
    CHECK(body.nbranches == 1 && branch_is(0, 3, 1, 1, 2));
    CHECK(BODY(0, BLOCK, I32, CONST, 1, CONST, 2, CONST, 3, BR_IF, 0, DROP, END, DROP, END) == OK);
    CHECK(branch_is(0, 4, 1, 1, 1));
    // Parameters of a loop.
    CHECK(BODY(1, GET, 0, LOOP, 1, CONST, 5, GET, 0, BR, 0, END, END) == OK);
    CHECK(branch_is(0, -4, 0, 1, 2));
    CHECK(body.max_stack == 3);
    // To the function with two results, from inside a block.
    CHECK(BODY(2, CONST, 9, BLOCK, VOID, CONST, 1, CONST, 2, BR, 1, END, UNREACHABLE, END) == OK);
    CHECK(branch_is(0, 4, 1, 2, 1));
    CHECK(body.max_depth == 2 && body.max_stack == 3);
}

static void test_branch_tables(void)
{
    CHECK(BODY(0, BLOCK, VOID, LOOP, VOID, GET, 0, BR_TABLE, 2, 0, 1, 2, END, END, NOP, END) == OK);
    CHECK(body.nbranches == 3);
    CHECK(branch_is(0, -2, 0, 0, 0));
    CHECK(branch_is(1, 7, 2, 0, 0));
    CHECK(branch_is(2, 8, 1, 0, 0));
    // Unreachable code keeps the numbering in step.
    CHECK(BODY(0, BLOCK, VOID, BR, 0, BR_IF, 0, IF, VOID, ELSE, END, BR_TABLE, 1, 0, 0, END, BR, 0,
               END) == OK);
    CHECK(body.nbranches == 7);
    CHECK(branch_is(0, 13, 6, 0, 0) && branch_is(6, 2, 1, 0, 0));
    // `return` has none, and without the wish nobody has.
    CHECK(BODY(0, RETURN, END) == OK && body.nbranches == 0);
    CHECK(BODY(0, BR, 0, END) == OK && validate_body(v, m, 0, 0, &body, &e) == OK &&
          body.nbranches == 0);
    CHECK(BODY(0, GET, 0, BR_TABLE, 1, 0, 1, END) == ERR_INVALID && e.offset == code_start + 2);
    CHECK(BODY(0, BLOCK, I32, CONST, 1, GET, 0, BR_TABLE, 1, 0, 1, END, DROP, END) == ERR_INVALID);
}

static bool zero_is(u64 bits)
{
    return body.zero[0] == bits;
}

static void test_zero(void)
{
    CHECK(BODY(0, GET, 1, DROP, END) == OK && zero_is(2));
    CHECK(BODY(0, GET, 0, SET, 1, GET, 1, SET, 2, GET, 2, DROP, END) == OK && zero_is(1));
    CHECK(BODY(1, GET, 0, GET, 1, SET, 2, END) == OK && zero_is(2)); // parameters count as written
    // What a block writes is forgotten at its end, and at `else`.
    CHECK(BODY(0, BLOCK, VOID, CONST, 1, SET, 0, GET, 0, DROP, END, GET, 0, DROP, END) == OK &&
          zero_is(1));
    CHECK(BODY(0, BLOCK, VOID, CONST, 1, TEE, 0, DROP, GET, 0, DROP, END, END) == OK && zero_is(0));
    CHECK(BODY(0, CONST, 1, IF, VOID, CONST, 1, SET, 1, ELSE, GET, 1, DROP, END, END) == OK &&
          zero_is(2));
    CHECK(BODY(0, LOOP, VOID, GET, 2, DROP, CONST, 0, SET, 2, END, END) == OK && zero_is(4));
    // Unreachable code counts nothing.
    CHECK(BODY(0, BLOCK, VOID, BR, 0, GET, 0, DROP, END, END) == OK && zero_is(0));
    CHECK(BODY(0, BLOCK, VOID, BR, 0, GET, 0, SET, 1, END, GET, 1, DROP, END) == OK && zero_is(2));
}

static bool use_is(u32 i, u32 local, u32 depth, bool write)
{
    return i < body.nuses && body.uses[i] == (local | depth << 16 | (write ? LOCAL_USE_WRITE : 0));
}

static bool loop_is(u32 i, u32 start, u32 end, bool calls, bool inner)
{
    const struct loop_note *l = &body.loops[i];
    return i < body.nloops && l->uses_start == start && l->uses_end == end && l->calls == calls &&
           l->inner == inner;
}

static void test_uses(void)
{
    CHECK(BODY(0, GET, 0, TEE, 1, SET, 2, END) == OK && body.nuses == 3);
    CHECK(use_is(0, 0, 0, false) && use_is(1, 1, 0, true) && use_is(2, 2, 0, true));
    CHECK(BODY(0, GET, 0, DROP, LOOP, VOID, GET, 1, DROP, LOOP, VOID, GET, 2, DROP, CALL, 0, END,
               END, LOOP, VOID, RETURN, GET, 3, DROP, END, END) == OK);
    CHECK(body.nuses == 4 && use_is(1, 1, 1, false) && use_is(2, 2, 2, false) &&
          use_is(3, 3, 1, false));
    CHECK(body.nloops == 3 && body.calls);
    CHECK(loop_is(0, 1, 3, true, true) && loop_is(1, 2, 3, true, false) &&
          loop_is(2, 3, 4, false, false));
    CHECK(BODY(0, LOOP, VOID, CONST, 0, GROW, 0, DROP, END, END) == OK &&
          loop_is(0, 0, 0, true, false));
    CHECK(BODY(0, LOOP, VOID, END, CONST, 0, GROW, 0, DROP, END) == OK &&
          loop_is(0, 0, 0, false, false) && body.calls);
    CHECK(validate_body(v, m, 0, WANT_BRANCHES, &body, &e) == OK && body.nuses == 0 &&
          body.nloops == 0 && body.calls);
}

static void test_depth(void)
{
    struct bytes code = {0};
    for (u32 i = 0; i < 300; i++)
        put(&code, (const u8[]){LOOP, VOID}, 2);
    put(&code, (const u8[]){GET, 0, DROP}, 3);
    for (u32 i = 0; i < 301; i++)
        put_byte(&code, END);
    CHECK(validate(0, code.p, code.n) == OK && body.max_depth == 301);
    CHECK(use_is(0, 0, 255, false) && body.nloops == 300);
    free(code.p);
}

static void test_body_errors(void)
{
    CHECK(BODY(0, ADD, END) == ERR_INVALID && e.offset == code_start);
    CHECK(BODY(0, GET, 3, GET, 0, ADD, DROP, END) == ERR_INVALID && e.offset == code_start + 4);
    CHECK(BODY(0, GET, 4, DROP, END) == ERR_INVALID && str_eq(e.text, "unknown local 4"));
    CHECK(BODY(0, 0xff, END) == ERR_MALFORMED);
    CHECK(BODY(0, CONST) == ERR_MALFORMED &&
          str_eq(e.text, "unexpected end of section or function"));
    CHECK(BODY(0, END, END) == ERR_MALFORMED && e.offset == code_start + 1);
    CHECK(BODY(0, ELSE, END) == ERR_MALFORMED);
    CHECK(BODY(0, CONST, 0, END) == ERR_INVALID);
    CHECK(BODY(0, UNREACHABLE, SELECT, DROP, END) == OK);
    CHECK(BODY(0, UNREACHABLE, CONST64, 0, SELECT, END) == ERR_INVALID);
    CHECK(BODY(0, 0xfd, 0x94, 0x02, END) == ERR_MALFORMED); // past the last SIMD opcode
    CHECK(BODY(0, UNREACHABLE, 0xfd, 0x4d, DROP, END) == OK && body.simd);
    CHECK(BODY(0, NOP, END) == OK && !body.simd);
}

// The whole ---------------------------------------------------------------------------------------

static status decode(void)
{
    module_free(m);
    return module_decode(file.p, file.n, &m, &e);
}

static void test_texts(void)
{
    CHECK(str_eq(valtype_text(TYPE_EXTERNREF), "externref") && str_eq(valtype_text(1), "?"));
    CHECK(op_known(OP_i32_add) && op_known(OP_memory_init) && op_known(OP_select_t));
    CHECK(op_known(OP_i8x16_relaxed_swizzle) && op_known(OP_i8x16_add));
    CHECK(!op_known(0xff) && !op_known(0xd100) && !op_known(0x1006a) && !op_known(0xfd1ff));
    CHECK(str_eq(trap_text(TRAP_DIV_ZERO), "integer divide by zero"));
}

static void test_arena(void)
{
    struct arena *a = arena_create(100);
    u8 *p = arena_alloc(a, 1), *q = arena_alloc(a, 50), *r = arena_alloc(a, 100000),
       *s = arena_alloc(a, 30);
    CHECK(q == p + 16 && s == q + 64 && r && ((uintptr_t)r & 15) == 0);
    memset(r, 1, 100000);
    CHECK(arena_alloc(a, SIZE_MAX) == NULL && arena_array(a, SIZE_MAX / 2, 3) == NULL);
    for (u32 i = 0; i < 10000; i++)
        memset(arena_alloc(a, i % 100), 2, i % 100);
    arena_destroy(a);
    arena_destroy(NULL);
    CHECK(test_heap.live == 0);
}

static bool u_is(u64 expected, bool ok, u32 bits, const char *p, size_t n)
{
    struct leb l = leb_check_u((const u8 *)p, (const u8 *)p + n, bits);
    return ok ? l.p == (const u8 *)p + n && l.value == expected : !l.p && l.value == expected;
}

static bool s_is(s64 expected, bool ok, u32 bits, const char *p, size_t n)
{
    struct leb l = leb_check_s((const u8 *)p, (const u8 *)p + n, bits);
    return ok ? l.p == (const u8 *)p + n && (s64)l.value == expected
              : !l.p && (s64)l.value == expected;
}

static void test_leb(void)
{
    CHECK(u_is(UINT32_MAX, true, 32, "\xff\xff\xff\xff\x0f", 5));
    CHECK(u_is(LEB_TOO_LARGE, false, 32, "\xff\xff\xff\xff\x1f", 5));
    CHECK(u_is(LEB_TOO_LONG, false, 32, "\x80\x80\x80\x80\x80\x00", 6));
    CHECK(u_is(LEB_END, false, 32, "\x80", 1));
    CHECK(u_is(0, true, 32, "\x80\x80\x80\x80\x00", 5));
    CHECK(s_is(INT32_MIN, true, 32, "\x80\x80\x80\x80\x78", 5));
    CHECK(s_is(INT32_MAX, true, 32, "\xff\xff\xff\xff\x07", 5));
    CHECK(s_is(LEB_TOO_LARGE, false, 32, "\xff\xff\xff\xff\x4f", 5));
    CHECK(s_is(-1, true, 32, "\x7f", 1));
    CHECK(s_is(INT64_MIN, true, 64, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x7f", 10));
    CHECK(s_is(INT64_MAX, true, 64, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00", 10));
    CHECK(s_is(LEB_TOO_LARGE, false, 64, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10));
    CHECK(s_is(-1, true, 33, "\xff\xff\xff\xff\x7f", 5));
}

static bool utf8(const char *s)
{
    return utf8_valid((const u8 *)s, strlen(s));
}

static void test_utf8(void)
{
    CHECK(utf8("") && utf8("plain text longer than a word") &&
          utf8("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
    CHECK(!utf8("\xc0\x80") && !utf8("\xe0\x80\x80") && !utf8("\xed\xa0\x80") &&
          !utf8("\xf4\x90\x80\x80"));
    CHECK(!utf8("\x80") && !utf8("abcdefg\xc3") && !utf8("\xf0\x9f\x98") &&
          utf8("\xf4\x8f\xbf\xbf"));
}

static void put_name(struct bytes *b, const char *name)
{
    put_u32(b, (u32)strlen(name));
    put(b, name, strlen(name));
}

// n functions "f<i % different>".
static void exports_module(u32 n, u32 different)
{
    struct bytes s = {0};
    put_header(&file);
    SECTION(&file, 1, 1, 0x60, 0, 0);
    SECTION(&file, 3, 1, 0);
    put_u32(&s, n);
    for (u32 i = 0; i < n; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%u", i % different);
        put_name(&s, name);
        put(&s, "\0\0", 2);
    }
    put_section(&file, 7, s.p, s.n);
    SECTION(&file, 10, 1, 2, 0, END);
    free(s.p);
}

static void test_exports(void)
{
    exports_module(1000, 1000);
    CHECK(decode() == OK && m->nexports == 1000);
    bool all = true;
    for (u32 i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%u", i);
        all &= module_export(m, name, strlen(name)) == &m->exports[i];
    }
    CHECK(all && !module_export(m, "f1000", 5) && !module_export(m, "", 0));
    CHECK(m->nrefs == 1 && m->funcs[0].ref == 1);
    exports_module(1000, 999);
    CHECK(decode() == ERR_INVALID && str_eq(e.text, "duplicate export name \"f0\""));
    exports_module(1, 1);
    CHECK(decode() == OK && module_export(m, "f0", 2));
}

// Functions 0 (imported), 1..4; references: 2 by an export, 3 by a segment, 4 by a global, 0 by a
// segment.
static void test_refs_and_layout(void)
{
    put_header(&file);
    SECTION(&file, 1, 1, 0x60, 0, 0);
    SECTION(&file, 2, 2, 1, 'm', 1, 'f', 0, 0, 1, 'm', 1, 'g', 3, I32, 0);
    SECTION(&file, 3, 4, 0, 0, 0, 0);
    SECTION(&file, 4, 1, 0x70, 0, 1);
    SECTION(&file, 6, 2, I32, 1, 0x23, 0, END, 0x70, 0, 0xd2, 4, END);
    SECTION(&file, 7, 1, 1, 'x', 0, 2);
    SECTION(&file, 9, 2, 3, 0, 2, 3, 2, 1, 0, 1, 0);
    SECTION(&file, 10, 4, 5, 0, 0xd2, 1, DROP, END, 5, 0, 0xd2, 2, DROP, END, 5, 0, 0xd2, 3, DROP,
            END, 5, 0, 0xd2, 0, DROP, END);
    CHECK(decode() == OK);
    CHECK(m->nrefs == 3 && m->funcs[4].ref == 1 && m->funcs[2].ref == 2 && m->funcs[3].ref == 3 &&
          !m->funcs[1].ref);
    CHECK(m->declared[0] == 1);
    CHECK(validate_body(v, m, 1, 0, &body, &e) == ERR_INVALID &&
          str_eq(e.text, "undeclared function reference 1"));
    CHECK(validate_body(v, m, 2, 0, &body, &e) == OK && validate_body(v, m, 3, 0, &body, &e) == OK);
    CHECK(validate_body(v, m, 4, 0, &body, &e) == OK);
    CHECK(m->global_init[0].kind == CONST_GLOBAL && m->global_init[1].kind == CONST_REF_FUNC);
    const struct layout *l = &m->layout;
    CHECK(l->imports >= sizeof(struct vmctx) && l->imports % 16 == 0);
    CHECK(l->imported_globals == l->imports + sizeof(struct vm_func) &&
          l->tables == l->imported_globals + 8);
    CHECK(l->globals % 16 == 0 && l->globals >= l->tables + 8 && l->refs == l->globals + 32);
    CHECK(l->size == l->refs + 3 * sizeof(struct vm_func));
}

static status global_of(u8 type, const u8 *code, size_t n)
{
    static u8 content[3 * MAX_CONST_OPS + 16];
    put_header(&file);
    SECTION(&file, 2, 1, 1, 'm', 1, 'g', 3, I32, 0);
    u8 start[] = {2, I32, 0, 0x23, 0, END, type, 0};
    memcpy(content, start, sizeof start);
    memcpy(content + sizeof start, code, n);
    put_section(&file, 6, content, sizeof start + n);
    return decode();
}
#define GLOBAL(type, ...)                                                                          \
    global_of(type, (const u8[]){__VA_ARGS__}, sizeof((const u8[]){__VA_ARGS__}))

// n types, each but the first a subtype of the one before it, at the end of `s`.
static void put_chain(struct bytes *s, u32 n)
{
    for (u32 i = 0; i < n; i++) {
        put_byte(s, 0x50);
        put_byte(s, i ? 1 : 0);
        if (i)
            put_u32(s, i - 1);
        put_byte(s, 0x5f);
        put_byte(s, 0);
    }
}

static status types_of(const struct bytes *s)
{
    put_header(&file);
    put_section(&file, 1, s->p, s->n);
    return decode();
}

// Two groups of n structs, each of which has a field for the next one; the last for `last`.
static void put_groups(struct bytes *s, u32 n, u32 last)
{
    s->n = 0;
    put_u32(s, 2);
    for (u32 g = 0; g < 2; g++) {
        put_byte(s, 0x4e);
        put_u32(s, n);
        for (u32 i = 0; i < n; i++) {
            u32 next = g * n + (i + 1) % n;
            put_byte(s, 0x5f);
            put_u32(s, 1);
            put_byte(s, 0x64);
            next = g && i + 1 == n ? last : next; // a signed number
            put_byte(s, (u8)(next | 0x80));
            put_byte(s, (u8)(next >> 7 | 0x80));
            put_byte(s, (u8)(next >> 14));
            put_byte(s, 1);
        }
    }
}

// A type that goes on behind the end of its section, further than there is room for what the
// section can have.
static void test_types_beyond_their_section(void)
{
    static const u8 structure[] = {1, 3, 1, 0x50, 0, 0x5f, 0x90, 0x4e},
                    function[] = {1, 4, 1, 0x60, 1, 0x64, 0x70, 0xe8, 7},
                    list[] = {1, 3, 1, 0x60, 0, 0xe8, 7}, array[] = {1, 2, 1, 0x50, 0, 0x5e};
    static const struct {
        const u8 *p;
        size_t n;
    } starts[] = {{structure, sizeof structure},
                  {function, sizeof function},
                  {list, sizeof list},
                  {array, sizeof array}};
    for (u32 i = 0; i < countof(starts); i++) {
        put_header(&file);
        for (size_t k = 0; k < starts[i].n; k++)
            put_byte(&file, starts[i].p[k]);
        for (u32 k = 0; k < 20000; k++)
            put_byte(&file, k % 2 && !i ? 0 : I32);
        CHECK(decode() == ERR_MALFORMED);
    }
}

// A type may be said to be a subtype of an earlier one by what a later one of the group is to it.
static void test_types_of_later_ones(void)
{
    static const u8 types[] = {1,    0x4e, 3, 0x50, 0, 0x60, 0, 1, 0x63, 0, 0x50, 1,    0,
                               0x60, 0,    1, 0x63, 2, 0x50, 1, 0, 0x60, 0, 1,    0x63, 0};
    put_header(&file);
    put_section(&file, 1, types, sizeof types);
    CHECK(decode() == OK && module_subtype(m, 2, 0));
}

static void test_types(void)
{
    struct bytes s = {0};
    put_u32(&s, MAX_SUPERTYPES + 1);
    put_chain(&s, MAX_SUPERTYPES + 1);
    CHECK(types_of(&s) == OK && m->types[MAX_SUPERTYPES].depth == MAX_SUPERTYPES);
    CHECK(module_subtype(m, MAX_SUPERTYPES, 0) && !module_subtype(m, 0, 1));
    CHECK(module_matches(m, m->types[9].self[1], m->types[3].self[0]));
    CHECK(!module_matches(m, m->types[9].self[0], m->types[3].self[1])); // it may be null
    CHECK(!module_matches(m, m->types[3].self[0], m->types[9].self[0]));
    CHECK(module_matches(m, m->types[3].self[0], TYPE_EQREF) &&
          module_matches(m, TYPE_NULLREF, m->types[3].self[0]) &&
          !module_matches(m, m->types[3].self[0], TYPE_ARRAYREF) &&
          !module_matches(m, TYPE_NULLFUNCREF, m->types[3].self[0]));
    s.n = 0;
    put_u32(&s, MAX_SUPERTYPES + 2);
    put_chain(&s, MAX_SUPERTYPES + 2);
    CHECK(types_of(&s) == ERR_INVALID);

    // Equal groups are one, whatever there is in them; nothing is compared twice.
    enum { N = 10000, MANY = 20000 };
    put_groups(&s, N, N);
    CHECK(types_of(&s) == OK && m->ntypes == 2 * N);
    CHECK(m->types[2 * N - 1].self[0] == m->types[N - 1].self[0]);
    put_groups(&s, N, 0);
    CHECK(types_of(&s) == OK);
    CHECK(m->types[2 * N - 1].self[0] != m->types[N - 1].self[0]);
    put_groups(&s, N, 2 * N);
    CHECK(types_of(&s) == ERR_INVALID && str_eq(e.text, "unknown type 20000"));

    // Types that are all the same, and all different.
    s.n = 0;
    put_u32(&s, 2 * MANY);
    for (u32 i = 0; i < 2 * MANY; i++) {
        put_byte(&s, 0x5f);
        put_byte(&s, 16);
        for (u32 k = 0; k < 16; k++) {
            put_byte(&s, i < MANY && i >> k & 1 ? I32 : I64);
            put_byte(&s, 0);
        }
    }
    CHECK(types_of(&s) == OK);
    CHECK(m->types[2 * MANY - 1].self[0] == m->types[0].self[0]);
    CHECK(m->types[MANY - 1].self[0] == type_ref(MANY - 1, true));
    free(s.p);
}

// Integers, also of globals before this one, imported or not; within bounds.
static void test_constant_expressions(void)
{
    CHECK(GLOBAL(I32, 0x23, 0, 0x23, 1, 0x6a, 0x41, 3, 0x6c, END) == OK);
    CHECK(m->global_init[0].kind == CONST_GLOBAL && m->global_init[1].kind == CONST_CODE);
    CHECK(GLOBAL(I64, 0x42, 1, 0x42, 2, 0x7d, END) == OK);
    CHECK(GLOBAL(I32, 0x23, 2, END) == ERR_INVALID && str_eq(e.text, "unknown global 2"));
    CHECK(GLOBAL(I32, 0x41, 1, 0x6a, END) == ERR_INVALID &&
          str_eq(e.text, "type mismatch: expected i32, found nothing"));
    CHECK(GLOBAL(I32, 0x41, 1, 0x42, 1, 0x6a, END) == ERR_INVALID);
    CHECK(GLOBAL(I32, 0x42, 1, 0x42, 1, 0x7c, END) == ERR_INVALID &&
          str_eq(e.text, "type mismatch: constant expression is i64, expected i32"));
    CHECK(GLOBAL(I32, 0x41, 1, 0x41, 1, 0x6d, END) == ERR_INVALID); // a division
    u8 code[3 * MAX_CONST_OPS], *p = code;
    for (u32 i = 0; i < MAX_CONST_DEPTH; i++, *p++ = 0x41, *p++ = 1)
        ;
    for (u32 i = 1; i < MAX_CONST_DEPTH; i++)
        *p++ = 0x6a;
    *p++ = END;
    CHECK(global_of(I32, code, (size_t)(p - code)) == OK);
    p = code;
    for (u32 i = 0; i <= MAX_CONST_DEPTH; i++, *p++ = 0x41, *p++ = 1)
        ;
    CHECK(global_of(I32, code, (size_t)(p - code)) == ERR_INVALID &&
          str_eq(e.text, "constant expression too large"));
    p = code;
    for (u32 i = 0; i <= MAX_CONST_OPS / 2; i++, *p++ = 0x41, *p++ = 1)
        if (i > 1)
            *p++ = 0x6a;
    *p++ = 0x6a;
    *p++ = END;
    CHECK(global_of(I32, code, (size_t)(p - code)) == ERR_INVALID &&
          str_eq(e.text, "constant expression too large"));
}

static void test_names(void)
{
    struct bytes s = {0};
    exports_module(1, 1);
    put_name(&s, "name");
    put(&s, "\0\4\3abc\1\6\1\0\3def\1\7\1\0\4\xff\xff\xff\xff", 23);
    put_section(&file, 0, s.p, s.n);
    CHECK(decode() == OK && m->module_name.length == 3 && memcmp(m->module_name.p, "abc", 3) == 0);
    CHECK(m->func_names && m->func_names[0].length == 3 &&
          memcmp(m->func_names[0].p, "def", 3) == 0);
    exports_module(1, 1);
    put_section(&file, 0, s.p, s.n - 12); // cut in the middle
    CHECK(decode() == OK && m->module_name.length == 3);
    free(s.p);
}

static void count_sections(void *context, struct name name, const u8 *p, u32 size)
{
    u32 *n = context;
    *n += name.length == 1 && size == 2 && p[1] == 7 ? 1 : 100;
}

static void test_custom_sections(void)
{
    u32 n = 0;
    exports_module(1, 1);
    SECTION(&file, 0, 1, 'a', 6, 7);
    SECTION(&file, 0, 1, 'b', 6, 7);
    CHECK(decode() == OK);
    module_custom_sections(m, count_sections, &n);
    CHECK(n == 2);
}

// A module that uses about everything fails cleanly wherever memory ends.
static void test_no_memory(void)
{
    exports_module(50, 50);
    struct bytes code = {0};
    for (u32 i = 0; i < 100; i++)
        put(&code, (const u8[]){LOOP, VOID, GET, 0, BR_IF, 0, CONST, 0, SET, 1}, 10);
    for (u32 i = 0; i < 5000; i++)
        put(&code, (const u8[]){CONST, 0}, 2);
    for (u32 i = 0; i < 5000; i++)
        put_byte(&code, DROP);
    for (u32 i = 0; i < 101; i++)
        put_byte(&code, END);
    module_free(m);
    m = NULL;
    struct validator *own = NULL;
    status s = ERR_NO_MEMORY;
    long tries;
    for (tries = 0; s == ERR_NO_MEMORY; tries++) {
        test_heap.left = tries;
        own = validator_create();
        s = own ? validate(0, code.p, code.n) : ERR_NO_MEMORY;
        if (s == OK) {
            struct validator *kept = v;
            v = own;
            s = validate(0, code.p, code.n);
            v = kept;
        }
        validator_free(own);
    }
    test_heap.left = -1;
    CHECK(s == OK && tries > 5);
    free(code.p);
}

// Hostile shapes ----------------------------------------------------------------------------------

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

// Every hostile shape must be done in this CPU time, sanitizers included.
static const double PATIENCE = 5;

static void test_deep_nesting(void)
{
    static const u8 opens[] = {BLOCK, LOOP, IF};
    for (u32 k = 0; k < 3; k++) {
        struct bytes code = {0};
        for (u32 i = 0; i < 100000; i++)
            put(&code, (const u8[]){CONST, 1, opens[k], VOID}, 4);
        for (u32 i = 0; i < 100000; i++)
            put(&code, (const u8[]){END, DROP}, 2);
        put_byte(&code, END);
        double start = seconds();
        CHECK(validate(0, code.p, code.n) == (opens[k] == IF ? ERR_INVALID : OK));
        CHECK(seconds() - start < PATIENCE);
        free(code.p);
    }
}

static void test_large_tables(void)
{
    struct bytes code = {0};
    for (u32 k = 0; k < 40; k++) {
        put(&code, (const u8[]){GET, 0, BR_TABLE}, 3);
        put_u32(&code, 65520);
        for (u32 i = 0; i <= 65520; i++)
            put_byte(&code, 0);
    }
    put_byte(&code, END);
    double start = seconds();
    CHECK(validate(0, code.p, code.n) == OK && body.nbranches == 40 * 65521);
    CHECK(branch_is(0, (s32)code.n - 1 - 2, 40 * 65521, 0, 0));
    CHECK(seconds() - start < PATIENCE);
    free(code.p);
}

// Type 0: 1000 x i32 -> 1000 x i32, type 1: [] -> 1000 x i32; a body of calls and branches with
// them.
static void test_many_values(void)
{
    struct bytes s = {0}, code = {0};
    put_u32(&s, 3);
    for (u32 k = 0; k < 3; k++) {
        put_byte(&s, 0x60);
        for (u32 i = 0; i < 2; i++) {
            u32 n = k == 2 || (k == 1 && i == 0) ? 0 : 1000;
            put_u32(&s, n);
            for (u32 j = 0; j < n; j++)
                put_byte(&s, I32);
        }
    }
    put_header(&file);
    put_section(&file, 1, s.p, s.n);
    SECTION(&file, 3, 3, 0, 1, 2);
    put(&code, (const u8[]){BLOCK, 1, CALL, 1}, 4);
    for (u32 i = 0; i < 100000; i++)
        put(&code, (const u8[]){CALL, 0, GET, 0, BR_IF, 0}, 6);
    put(&code, (const u8[]){END, RETURN, UNREACHABLE, END}, 4);
    s.n = 0;
    put(&s, (const u8[]){3, 3, 0, UNREACHABLE, END, 3, 0, UNREACHABLE, END}, 9);
    put_u32(&s, (u32)code.n + 3);
    put(&s, (const u8[]){1, 1, I32}, 3);
    put(&s, code.p, code.n);
    put_section(&file, 10, s.p, s.n);
    CHECK(decode() == OK);
    double start = seconds();
    CHECK(validate_body(v, m, 2, WANT_BRANCHES | WANT_USES, &body, &e) == OK);
    CHECK(seconds() - start < PATIENCE);
    free(s.p);
    free(code.p);
}

// Calls that pile up values faster than bytes are read.
static void test_stack_limit(void)
{
    struct bytes code = {0};
    for (u32 i = 0; i < MAX_STACK + 1; i++)
        put(&code, (const u8[]){CONST, 0}, 2);
    put(&code, (const u8[]){UNREACHABLE, END}, 2);
    CHECK(validate(0, code.p, code.n) == ERR_INVALID &&
          str_eq(e.text, "too many operands (the limit is 500000)"));
    free(code.p);
}

static void test_locals(void)
{
    static const struct {
        status expected;
        u8 locals[16];
        u32 n;
    } tests[] = {
        {OK, {1, 0xd0, 0x86, 0x03, I32}, 5},                                // 50,000
        {ERR_MALFORMED, {1, 0xd1, 0x86, 0x03, I32}, 5},                     // 50,001
        {ERR_MALFORMED, {2, 0xd0, 0x86, 0x03, I32, 1, I64}, 7},             // in two runs
        {ERR_MALFORMED, {2, 2, I32, 0xff, 0xff, 0xff, 0xff, 0x0f, I64}, 9}, // the sum wraps
        {ERR_MALFORMED, {0xff, 0xff, 0xff, 0xff, 0x0f, 1, I32}, 7},         // more runs than bytes
        {ERR_MALFORMED, {1, 1, 0x65}, 3},
        {OK, {3, 0, I32, 0, 0x70, 0, 0x7b}, 7},
    };
    for (u32 i = 0; i < countof(tests); i++) {
        put_header(&file);
        SECTION(&file, 1, 1, 0x60, 0, 0);
        SECTION(&file, 3, 1, 0);
        put_code(&file, tests[i].locals, tests[i].n, (const u8[]){GET, 0, DROP, END},
                 i == countof(tests) - 1 ? 0 : 4);
        if (i == countof(tests) - 1) {
            file.n -= tests[i].n + 3 + 1;
            put_code(&file, tests[i].locals, tests[i].n, (const u8[]){END}, 1);
        }
        CHECK(decode() == OK && validate_body(v, m, 0, 0, &body, &e) == tests[i].expected);
    }
}

// Counts that promise more than there is take no memory.
static void test_hostile_counts(void)
{
    static const u8 ids[] = {1, 2, 3, 4, 5, 6, 7, 9, 10, 11};
    for (u32 i = 0; i < countof(ids); i++) {
        put_header(&file);
        SECTION(&file, ids[i], 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0);
        module_free(m);
        m = NULL;
        test_heap.peak = test_heap.live;
        size_t before = test_heap.live;
        CHECK(decode() == ERR_MALFORMED);
        CHECK(test_heap.peak - before < 8192);
    }
}

int main(void)
{
    test_arena();
    test_texts();
    test_leb();
    test_utf8();
    v = validator_create();
    test_branches();
    test_branch_tables();
    test_zero();
    test_uses();
    test_depth();
    test_body_errors();
    test_exports();
    test_refs_and_layout();
    test_types();
    test_types_beyond_their_section();
    test_types_of_later_ones();
    test_constant_expressions();
    test_names();
    test_custom_sections();
    test_deep_nesting();
    test_large_tables();
    test_many_values();
    test_stack_limit();
    test_locals();
    test_hostile_counts();
    test_no_memory();
    validator_free(v);
    module_free(m);
    free(file.p);
    CHECK(test_heap.live == 0);
    printf("%d passed, %d failed\n", passed, nfailed);
    return nfailed != 0;
}
