// SPDX-License-Identifier: MIT
// Unit test of the baseline compiler: where traps are.
//
// Every kind of trap, also in code out of line, with arguments on the stack and under callees with
// result areas, must be at its instruction, and the frames around it must be those that the
// interpreter has. The same for stacks that end, in all ways in which a prologue can find out, and
// for the guest programs that trap.
#include "test/unit/fast.h"

#include <dirent.h>
#include <libgen.h>
#include <unistd.h>

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
    // The frames around it are found only if its own frame has the right size at that place.
    for (u32 i = 0; i < COUNT(trappings); i++) {
        struct buf b = body(0, 0);
        op1(&b, OP_local_get, 0);
        op1(&b, OP_local_get, 0);
        op1(&b, OP_call, FIRST_CASE + i);
        op(&b, OP_i32_add);
        mod_func(&m, type, &b);
    }
    struct buf bytes = mod_finish(&m);
    struct pair p;
    about = "traps";
    if (pair_start(&p, &bytes)) {
        for (u32 i = 0; i < COUNT(trappings); i++) {
            about = trappings[i].name;
            u32 func = FIRST_CASE + COUNT(trappings) + i;
            const struct outcome *out = agree(&p, func, (u64[]){0}, 1, 1);
            CHECK_IS(out->s, OK);
            out = agree(&p, func, (u64[]){1}, 1, 1);
            CHECK_IS(out->trap, trappings[i].trap);
            CHECK_IS(out->nframes >= 2, true);
            if (out->nframes < 2)
                continue;
            CHECK_IS(out->frames[out->nframes - 1].func, func);
            const struct trace_frame *f = &out->frames[out->nframes - 2];
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
    test_guests();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
