// SPDX-License-Identifier: MIT
// Unit test of the baseline compiler: hostile shapes.
//
// Bodies that are deep, wide or long, and types with a thousand parameters and results, must
// compute what they do on the interpreter, and compile in time and memory that grow no faster than
// they do. A heap or a code space that ends anywhere must end the compilation cleanly.
#include "test/unit/fast.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

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

// Constants of both widths, most of them different, some again after few others or many; NaNs too.
static void shape_constants(struct mod *m, u32 n)
{
    struct buf b = {0};
    put(&b, (u8[]){2, 1, TYPE_F64, 1, TYPE_F32}, 5);
    op1(&b, OP_local_get, 0);
    op(&b, OP_f64_convert_i32_u);
    op1(&b, OP_local_set, 1);
    for (u32 i = 0; i < n; i++) {
        u32 k = i % 7 ? i : i / 2;
        op1(&b, OP_local_get, 1);
        f64_const(&b, i % 1000 == 999 ? __builtin_nan("") : k + 0.5);
        op(&b, i & 1 ? OP_f64_sub : OP_f64_add);
        op1(&b, OP_local_set, 1);
        op1(&b, OP_local_get, 2);
        op(&b, OP_f32_const);
        put(&b, &(f32){k * 0.25f}, 4);
        op(&b, i & 2 ? OP_f32_sub : OP_f32_add);
        op1(&b, OP_local_set, 2);
    }
    op1(&b, OP_local_get, 1);
    op(&b, OP_i64_reinterpret_f64);
    op1(&b, OP_local_get, 2);
    op(&b, OP_i32_reinterpret_f32);
    op(&b, OP_i64_extend_i32_u);
    op(&b, OP_i64_xor);
    i64_const(&b, 11);
    op(&b, OP_i64_rotl);
    op(&b, OP_i32_wrap_i64);
    mod_func(m, mod_type(m, "i:i"), &b);
}

struct shape {
    const char *name;
    void (*make)(struct mod *m, u32 n);
    u32 n;     // the most
    u32 timed; // twice that is compared with that
};
static const struct shape shapes[] = {
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
    {"constants", shape_constants, 100000, 50000},
};

#define LOOP_EXITS (&shapes[5])

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
    const struct shape *s = LOOP_EXITS;
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
        store_compile_at_once(s);
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

static void test_twice(const struct shape *shape)
{
    struct buf bytes = shaped(shape, 300);
    twice(&bytes, 200);
    free(bytes.at);
    bytes = shaped(shape, shape->timed);
    twice(&bytes, 2);
    free(bytes.at);
}

// --- Things that run out

// Whatever its size, a body is compiled in the first room for code that is large enough; that
// nothing is written beyond one is the heap's to see.
static void test_room(const struct shape *shape, u32 n, u32 step)
{
    for (u32 i = 1; i < n; i += step) {
        struct buf bytes = shaped(shape, i);
        struct object o;
        struct error e;
        if (!object_decode(&o, bytes.at, bytes.size))
            return;
        CHECK_IS(object_compile(&o, plenty(&o), &e), OK);
        object_free(&o);
        free(bytes.at);
    }
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
        store_compile_at_once(s);
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

// Three functions that have not been called: 0 calls 1, and 2 through the table, which calls 1.
static struct buf uncalled(void)
{
    struct mod m = {0};
    u32 type = mod_type(&m, "i:i");
    struct buf f[3] = {body(0, 0), body(0, 0), body(0, 0)};
    op1(&f[0], OP_local_get, 0);
    op1(&f[0], OP_call, 1);
    op1(&f[0], OP_local_get, 0);
    i32_const(&f[0], 2);
    op2(&f[0], OP_call_indirect, type, 0);
    op(&f[0], OP_i32_add);
    op1(&f[1], OP_local_get, 0);
    i32_const(&f[1], 3);
    op(&f[1], OP_i32_mul);
    op1(&f[2], OP_local_get, 0);
    op1(&f[2], OP_call, 1);
    i32_const(&f[2], 1);
    op(&f[2], OP_i32_add);
    for (u32 i = 0; i < COUNT(f); i++)
        mod_func(&m, type, &f[i]);
    return mod_finish(&m);
}

static bool writable(const u8 *p)
{
    int zeros = open("/dev/zero", O_RDONLY);
    bool done = read(zeros, (u8 *)(uintptr_t)p, 1) == 1;
    close(zeros);
    return done;
}

// The nth allocation of a first call, and of those that it leads to, fails: the call traps, and the
// next one does what it should.
static void test_first_calls(void)
{
    struct buf bytes = uncalled();
    static struct outcome out;
    size_t live = test_heap.live;
    u64 five = 5;
    long k = 0;
    bool whole = false;
    about = "first calls";
    for (; !whole && k < 10000; k++) {
        struct run r;
        if (!run_start(&r, &fast_engine, &bytes))
            return;
        const struct compiled *c = &r.m->compiled;
        CHECK_IS(c->used, 0);
        test_heap.left = k;
        run_call(&r, "0", &five, 1, &out);
        whole = test_heap.left > 0;
        test_heap.left = -1;
        if (out.s)
            CHECK_IS(out.trap, TRAP_CODE);
        CHECK_IS(out.s, out.s ? ERR_TRAP : OK);
        CHECK_IS(out.s && whole, false);
        run_call(&r, "0", &five, 1, &out);
        CHECK_IS(out.s, OK);
        CHECK_IS(out.slots[0], 31);
        for (u32 i = 0; i < 3; i++) {
            CHECK_IS(c->funcs[i].end != 0, true);
            CHECK_IS(writable(c->write + c->funcs[i].entry), false);
            CHECK_IS(writable(c->write + c->funcs[i].end - 1), false);
        }
        store_free(r.s);
        CHECK_IS(test_heap.live, live);
    }
    CHECK_IS(whole && k > 10, true);
    free(bytes.at);
}

// No memory for looking an offset up: it is unknown then.
static void test_offsets_without_heap(void)
{
    struct buf bytes = shaped(LOOP_EXITS, 300);
    struct object o;
    struct error e;
    if (!object_decode(&o, bytes.at, bytes.size))
        return;
    CHECK_IS(object_compile(&o, plenty(&o), &e), OK);
    const u8 *pc = o.memory + (o.c.funcs[0].body + o.c.funcs[0].epilogue) / 2;
    u32 want = offset_of(&o, 0, pc), got = 0;
    CHECK_IS(want != 0, true);
    size_t live = test_heap.live;
    for (long k = 0; k < 10000 && got != want; k++) {
        test_heap.left = k;
        got = offset_of(&o, 0, pc);
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

// Four times the input: linear costs 4 times as much, quadratic 16. The machine may be busy with
// other things, hence the room between and the tries.
static void test_linear(const struct shape *shape)
{
    bool ok = false;
    u32 small = shape->timed / 2;
    for (u32 tries = 0; tries < 8 && !ok; tries++) {
        struct cost one = cost_of(shape, small), four = cost_of(shape, small * 4);
        ok = four.ns < one.ns * 9 && four.bytes < one.bytes * 5 + 4096;
        if (!ok)
            printf("%s: %u: %llu us, %zu KB; four times that: %llu us, %zu KB\n", about, small,
                   (unsigned long long)one.ns / 1000, one.bytes / 1024,
                   (unsigned long long)four.ns / 1000, four.bytes / 1024);
    }
    CHECK_IS(ok, true);
}

int main(void)
{
    if (rt_init()) {
        printf("rt_init failed\n0 passed, 1 failed\n");
        return 1;
    }
    // Memory that was touched once stays: what is measured is the compiler and not the kernel.
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, INT32_MAX);
    test_shapes();
    test_second_try();
    test_wide_types();
    test_out_of_proportion(branches_of_many, "branches with many values", 5000);
    test_out_of_proportion(calls_of_many, "calls with many results", 400);
    test_first_calls();
    for (u32 i = 0; i < COUNT(shapes); i++) {
        test_twice(&shapes[i]);
        test_room(&shapes[i], 300, 1);
        test_room(&shapes[i], 3000, 177); // more than FAST_STEP, out of line too
        test_heap_failures(&shapes[i], 200);
        test_linear(&shapes[i]);
    }
    test_offsets_without_heap();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
