// SPDX-License-Identifier: MIT
// Unit test of what the engines do for threads: every atomic at every kind of address against a
// model, on both engines; waiting; polls, and who has them.
#include "arch/arch.h"
#include "test/unit/fast.h"
#include "wasm/runtime.h"

enum { PAGE = 65536 };

// --- The atomics, by a table

enum kind { K_LOAD, K_STORE, K_ADD, K_SUB, K_AND, K_OR, K_XOR, K_XCHG, K_CMPXCHG };

struct row {
    u32 code, size;
    const char *text;
    bool wide;
};
static const struct row rows[] = {
#define ALOAD(code, id, text, A, mem, align) {code, sizeof(mem), text, TYPE_##A == TYPE_I64},
#define ASTORE ALOAD
#define RMW(code, id, text, A, mem, align, expr) ALOAD(code, id, text, A, mem, align)
#define CMPXCHG ALOAD
#include "wasm/ops.def"
};

static enum kind kind_of(const struct row *r)
{
    return (enum kind)((r->code - OP_i32_atomic_load) / 7);
}

static u32 operands_of(const struct row *r)
{
    return kind_of(r) == K_LOAD ? 0 : kind_of(r) == K_CMPXCHG ? 2 : 1;
}

static u64 bits(u32 size)
{
    return size == 8 ? UINT64_MAX : (1ull << size * 8) - 1;
}

// What the instruction does to memory[ea..]: returns the trap or 0.
static enum trap model(const struct row *r, u8 *memory, u64 ea, u64 a, u64 b, u64 *result)
{
    if (ea % r->size)
        return TRAP_UNALIGNED_ATOMIC;
    if (ea + r->size > PAGE)
        return TRAP_MEMORY;
    u64 old = 0, new = 0, mask = bits(r->size);
    memcpy(&old, memory + ea, r->size);
    switch (kind_of(r)) {
    case K_LOAD: new = old; break;
    case K_STORE: new = a; break;
    case K_ADD: new = old + a; break;
    case K_SUB: new = old - a; break;
    case K_AND: new = old & a; break;
    case K_OR: new = old | a; break;
    case K_XOR: new = old ^ a; break;
    case K_XCHG: new = a; break;
    case K_CMPXCHG: new = old == (a & mask) ? b : old; break;
    }
    memcpy(memory + ea, &new, r->size);
    *result = kind_of(r) == K_STORE ? 0 : old;
    return TRAP_NONE;
}

static u32 log2_of(u32 size)
{
    return (u32)__builtin_ctz(size);
}

static const char *signature(const struct row *r)
{
    static const char *const types[2][3] = {{"i:i", "ii:i", "iii:i"}, {"i:I", "iI:I", "iII:I"}};
    if (kind_of(r) == K_STORE)
        return r->wide ? "iI:" : "ii:";
    return types[r->wide][operands_of(r)];
}

static void access(struct buf *b, const struct row *r, u32 offset)
{
    for (u32 i = 1; i <= operands_of(r); i++)
        op1(b, OP_local_get, i);
    op2(b, r->code, log2_of(r->size), offset);
}

static const u32 offsets[] = {0, 1, 4, 8, 0xfffc, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};
static const u32 addresses[] = {0,     1,          2,          3,          4,         8,
                                12,    65527,      65528,      65532,      65534,     65535,
                                65536, 0x7fffffff, 0x80000000, 0xfffffffc, 0xffffffff};
static const u64 values[] = {0,
                             1,
                             0x11,
                             0xff,
                             0x1111,
                             0x11111111,
                             0xffff0011,
                             0x80808080,
                             0x1111111111111111,
                             0xcafebabe12345678,
                             UINT64_MAX};

enum { VARIANTS = COUNT(offsets) * 2 };

// With the address in a local and an offset, and with a constant address.
static struct buf table_module(void)
{
    struct mod m = {0};
    for (u32 i = 0; i < COUNT(rows); i++) {
        u32 type = mod_type(&m, signature(&rows[i]));
        for (u32 k = 0; k < VARIANTS; k++) {
            struct buf b = body(0, 0);
            if (k < COUNT(offsets))
                op1(&b, OP_local_get, 0);
            else
                i32_const(&b, (s32)offsets[k - COUNT(offsets)]);
            access(&b, &rows[i], k < COUNT(offsets) ? offsets[k] : 8);
            mod_func(&m, type, &b);
        }
    }
    return mod_finish(&m);
}

static u8 *memory_of(struct run *r)
{
    return instance_vm(r->i)->mem_base;
}

static void check_one(struct pair *p, u32 func, const struct row *r, u32 address, u64 ea,
                      const u64 *operands)
{
    static u8 memory[PAGE];
    memset(memory, 0x11, PAGE);
    memset(memory_of(&p->interp), 0x11, PAGE);
    memset(memory_of(&p->fast), 0x11, PAGE);
    u64 mask = r->wide ? UINT64_MAX : UINT32_MAX, result = 0;
    u64 args[] = {address, operands[0] & mask, operands[1] & mask};
    enum trap trap = model(r, memory, ea, args[1], args[2], &result);
    bool returns = kind_of(r) != K_STORE;
    const struct outcome *o = agree(p, func, args, 1 + operands_of(r), returns);
    CHECK_IS(o->trap, trap);
    if (!trap && returns)
        CHECK_IS(o->slots[0], result);
    u64 from = ea < PAGE - 16 ? ea - ea % 16 : PAGE - 16;
    CHECK_IS(memcmp(memory_of(&p->interp) + from, memory + from, 16), 0);
    CHECK_IS(memcmp(memory_of(&p->fast) + from, memory + from, 16), 0);
}

static void check_addresses(struct pair *p, u32 func, const struct row *r, u32 variant)
{
    static const u64 operands[2] = {0x11111111, 0xcafebabecafebabe};
    if (variant >= COUNT(offsets)) {
        check_one(p, func, r, 0, (u64)offsets[variant - COUNT(offsets)] + 8, operands);
        return;
    }
    for (u32 i = 0; i < COUNT(addresses); i++)
        check_one(p, func, r, addresses[i], (u64)addresses[i] + offsets[variant], operands);
}

static void check_values(struct pair *p, u32 func, const struct row *r)
{
    for (u32 i = 0; i < COUNT(values); i++)
        for (u32 k = 0; k < (operands_of(r) == 2 ? COUNT(values) : 1); k++)
            check_one(p, func, r, 8, 8, (u64[]){values[i], values[k]});
}

static void test_table(void)
{
    struct buf bytes = table_module();
    struct pair p;
    CHECK_IS(COUNT(rows), 63);
    if (pair_start(&p, &bytes)) {
        for (u32 i = 0; i < COUNT(rows); i++) {
            about = rows[i].text;
            for (u32 k = 0; k < VARIANTS; k++)
                check_addresses(&p, i * VARIANTS + k, &rows[i], k);
            check_values(&p, i * VARIANTS, &rows[i]);
        }
    }
    pair_end(&p);
    about = "all atomics";
    twice(&bytes, 20);
    free(bytes.at);
}

// In loops whose locals have all the registers, with operands that have none, and results that go
// to one of the operands.
static struct buf crowded_module(void)
{
    struct mod m = {0};
    for (u32 i = 0; i < COUNT(rows); i++) {
        u32 type = mod_type(&m, signature(&rows[i])), n = operands_of(&rows[i]) + 1;
        for (u32 k = 0; k < 4; k++) {
            struct buf b = body(20, TYPE_I32);
            op1(&b, OP_loop, VOID);
            for (u32 x = 0; x < 60; x++)
                bump(&b, n + x % 20, 1);
            op1(&b, OP_local_get, 0);
            access(&b, &rows[i], k & 1 ? 0x80000000 : 0);
            bool returns = kind_of(&rows[i]) != K_STORE;
            if (returns && n > 1)
                op1(&b, k & 2 ? OP_local_tee : OP_local_set, 1);
            if (returns && (k & 2 || n == 1))
                op(&b, OP_drop);
            for (u32 x = 0; x < 60; x++)
                bump(&b, n + x % 20, 1);
            op(&b, OP_end);
            if (returns && n > 1)
                op1(&b, OP_local_get, 1);
            else if (returns && rows[i].wide)
                i64_const(&b, 0);
            else if (returns)
                i32_const(&b, 0);
            mod_func(&m, type, &b);
        }
    }
    return mod_finish(&m);
}

static void test_crowded(void)
{
    struct buf bytes = crowded_module();
    struct pair p;
    if (pair_start(&p, &bytes)) {
        for (u32 i = 0; i < COUNT(rows) * 4; i++) {
            const struct row *r = &rows[i / 4];
            about = r->text;
            u64 args[] = {64, 0, 77};
            agree(&p, i, args, 1 + operands_of(r), kind_of(r) != K_STORE);
        }
    }
    pair_end(&p);
    about = "crowded";
    twice(&bytes, 20);
    free(bytes.at);
}

// --- Waiting

static s64 seen_wait(struct vmctx *vm, u64 address, s64 timeout)
{
    vm->thread = NULL; // others ran
    return address == 40 && timeout == 5 ? 0 : 2;
}

static u32 seen_notify(struct vmctx *vm, u64 address, u32 count)
{
    vm->thread = NULL;
    return (u32)address + count;
}

static void seen_poll(struct vmctx *vm);
static const struct rt_waiting hook = {seen_wait, seen_notify, seen_poll};

// A module with these flags of its memory, written by hand: f0 waits for 32 bits, f1 for 64, f2
// notifies; the offset is 8.
static struct buf waiting_module(bool shared)
{
    struct mod m = {0};
    static const u32 ops[] = {OP_memory_atomic_wait32, OP_memory_atomic_wait64,
                              OP_memory_atomic_notify};
    static const char *const types[] = {"iiI:i", "iII:i", "ii:i"};
    for (u32 i = 0; i < 3; i++) {
        struct buf b = body(0, 0);
        for (u32 k = 0; k < strlen(types[i]) - 2; k++)
            op1(&b, OP_local_get, k);
        op2(&b, ops[i], i == 1 ? 3 : 2, 8);
        mod_func(&m, mod_type(&m, types[i]), &b);
    }
    struct buf b = mod_finish(&m);
    if (!shared)
        return b;
    struct buf changed = {0};
    u8 *memory = memmem(b.at, b.size, "\5\3\1\0\1", 5);
    put(&changed, b.at, (size_t)(memory - b.at));
    put(&changed, "\5\4\1\3\1\1", 6);
    put(&changed, memory + 5, b.size - (size_t)(memory - b.at) - 5);
    free(b.at);
    return changed;
}

static const struct wait {
    u32 func;
    u64 args[3];
    enum trap trap;
    u64 result, hooked;
} waits[] = {
    {0, {0, 0, 0}, 0, 2, 2},
    {0, {32, 0, 5}, 0, 2, 0},
    {0, {32, 1, 5}, 0, 1, 1},
    {0, {32, 1, UINT64_MAX}, 0, 1, 1},
    {0, {4, 0, 1000000000000}, 0, 2, 2},
    {1, {32, 0, 5}, 0, 2, 0},
    {1, {32, 1ull << 32, 5}, 0, 1, 1},
    {2, {0, 3, 0}, 0, 0, 11},
    {2, {4, 0, 0}, 0, 0, 0},
    {0, {1, 0, 0}, TRAP_UNALIGNED_ATOMIC, 0, 0},
    {1, {4, 0, 0}, TRAP_UNALIGNED_ATOMIC, 0, 0},
    {2, {2, 0, 0}, TRAP_UNALIGNED_ATOMIC, 0, 0},
    {0, {PAGE - 8, 0, 0}, TRAP_MEMORY, 0, 0},
    {1, {PAGE - 8, 0, 0}, TRAP_MEMORY, 0, 0},
    {2, {PAGE - 8, 0, 0}, TRAP_MEMORY, 0, 0},
    {2, {UINT32_MAX - 3, 0, 0}, TRAP_MEMORY, 0, 0},
};

static void test_waits(bool shared, bool hooked)
{
    struct buf bytes = waiting_module(shared);
    struct pair p;
    rt_set_waiting(hooked ? &hook : NULL);
    if (pair_start(&p, &bytes)) {
        for (u32 i = 0; i < COUNT(waits); i++) {
            const struct wait *w = &waits[i];
            enum trap trap = w->trap;
            if (!trap && !shared && w->func < 2)
                trap = TRAP_UNSHARED;
            const struct outcome *o = agree(&p, w->func, w->args, 3 - w->func / 2, !trap);
            CHECK_IS(o->trap, trap);
            bool asked = shared && hooked;
            if (!trap)
                CHECK_IS(o->slots[0], asked ? w->hooked : w->result);
        }
        enum trap endless = !shared ? TRAP_UNSHARED : hooked ? 0 : TRAP_DEADLOCK;
        CHECK_IS(agree(&p, 0, (u64[]){0, 0, UINT64_MAX}, 3, !endless)->trap, endless);
    }
    pair_end(&p);
    rt_set_waiting(NULL);
    free(bytes.at);
}

// --- Polls

static u32 polls, polls_left;
static u32 polls_end; // the poll that ends the call

// Asks for the next one, and leaves nothing as it was.
static void seen_poll(struct vmctx *vm)
{
    CHECK_IS(vm->poll, 0);
    polls++;
    if (polls == polls_end)
        vm->thread->interrupt = TRAP_TIME;
    vm->poll = --polls_left != 0;
    vm->scratch = UINT64_MAX;
    vm->thread = NULL;
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0; movaps %%xmm0, %%xmm1; movaps %%xmm0, %%xmm2;"
                     "movaps %%xmm0, %%xmm3; movaps %%xmm0, %%xmm4; movaps %%xmm0, %%xmm5;"
                     "movaps %%xmm0, %%xmm6; movaps %%xmm0, %%xmm7; movaps %%xmm0, %%xmm8;"
                     "movaps %%xmm0, %%xmm9; movaps %%xmm0, %%xmm10; movaps %%xmm0, %%xmm11;"
                     "movaps %%xmm0, %%xmm12; movaps %%xmm0, %%xmm13; movaps %%xmm0, %%xmm14;"
                     "movaps %%xmm0, %%xmm15; mov $-1, %%rax; mov %%rax, %%rcx; mov %%rax, %%rdx;"
                     "mov %%rax, %%rsi; mov %%rax, %%rdi; mov %%rax, %%r8; mov %%rax, %%r9;"
                     "mov %%rax, %%r10; mov %%rax, %%r11" ::
                         : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm0",
                           "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",
                           "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
}

// local[to] = local[to] op local[from]
static void combine(struct buf *b, u32 to, u32 from, u32 code)
{
    op1(b, OP_local_get, to);
    op1(b, OP_local_get, from);
    op(b, code);
    op1(b, OP_local_set, to);
}

enum { INTS = 12, FLOATS = 14, FIRST_INT = 2, FIRST_FLOAT = FIRST_INT + INTS };

// (n, seed): n times round a loop whose locals take all the registers, and memory with them.
static struct buf body_crowd(void)
{
    struct buf b = {0};
    put(&b, (u8[]){2, INTS, TYPE_I64, FLOATS, TYPE_F64}, 5);
    op1(&b, OP_loop, VOID);
    for (u32 i = 0; i < INTS; i++)
        combine(&b, FIRST_INT + i, i ? FIRST_INT + i - 1 : 1, i & 1 ? OP_i64_sub : OP_i64_add);
    for (u32 i = 0; i < FLOATS; i++) {
        op1(&b, OP_local_get, FIRST_FLOAT + i);
        f64_const(&b, 1.25 * i);
        op(&b, OP_f64_add);
        op1(&b, OP_local_set, FIRST_FLOAT + i);
    }
    i32_const(&b, 16);
    i32_const(&b, 16);
    op2(&b, OP_i64_load, 3, 0);
    op1(&b, OP_local_get, FIRST_INT + 3);
    op(&b, OP_i64_add);
    op2(&b, OP_i64_store, 3, 0);
    bump(&b, 0, -1);
    op1(&b, OP_local_get, 0);
    op1(&b, OP_br_if, 0);
    op(&b, OP_end);
    for (u32 i = 1; i < FLOATS; i++)
        combine(&b, FIRST_FLOAT, FIRST_FLOAT + i, OP_f64_mul);
    for (u32 i = 1; i < INTS; i++)
        combine(&b, FIRST_INT, FIRST_INT + i, OP_i64_xor);
    op1(&b, OP_local_get, FIRST_FLOAT);
    op(&b, OP_i64_reinterpret_f64);
    op1(&b, OP_local_get, FIRST_INT);
    op(&b, OP_i64_xor);
    i32_const(&b, 16);
    op2(&b, OP_i64_load, 3, 0);
    op(&b, OP_i64_xor);
    return b;
}

// The same n times, one loop in the other, with operands on the stack.
static struct buf body_nested(u32 callee)
{
    struct buf b = body(1, TYPE_I32);
    op1(&b, OP_local_get, 1);
    op1(&b, OP_local_get, 0);
    op1(&b, OP_local_set, 2);
    op1(&b, OP_loop, VOID);
    op1(&b, OP_local_get, 2);
    op1(&b, OP_local_get, 1);
    op1(&b, OP_call, callee);
    op1(&b, OP_local_set, 1);
    bump(&b, 2, -1);
    op1(&b, OP_local_get, 2);
    op1(&b, OP_br_if, 0);
    op(&b, OP_end);
    op1(&b, OP_local_get, 1);
    op(&b, OP_i64_add);
    return b;
}

// A loop at every level of a recursion without end.
static struct buf body_deep(u32 self)
{
    struct buf b = body(1, TYPE_I32);
    i32_const(&b, 3);
    op1(&b, OP_local_set, 2);
    op1(&b, OP_loop, VOID);
    bump(&b, 2, -1);
    op1(&b, OP_local_get, 2);
    op1(&b, OP_br_if, 0);
    op(&b, OP_end);
    op1(&b, OP_local_get, 0);
    op1(&b, OP_local_get, 1);
    op1(&b, OP_call, self);
    return b;
}

static struct buf body_straight(void)
{
    struct buf b = body(0, 0);
    op1(&b, OP_local_get, 1);
    return b;
}

enum { F_CROWD = 1, F_NESTED, F_DEEP, F_QUIET, F_STRAIGHT };

// With an import of that name, "" for none, and the functions that the section names.
static struct buf poll_module(const char *module, const char *field, const char *noswitch)
{
    struct mod m = {0};
    u32 type = mod_type(&m, "i:i"), first = *module != 0;
    u32 all = mod_type(&m, "iI:I");
    if (first)
        mod_import(&m, module, field, type);
    struct buf bodies[] = {body_crowd(), body_nested(first), body_deep(first + 2), body_crowd(),
                           body_straight()};
    for (u32 i = 0; i < COUNT(bodies); i++)
        mod_func(&m, all, &bodies[i]);
    struct buf b = mod_finish(&m);
    if (*noswitch) {
        put_byte(&b, 0);
        put_u(&b, 17 + strlen(noswitch + 1));
        put_name(&b, "nebulet.noswitch");
        put(&b, noswitch + 1, strlen(noswitch + 1));
    }
    return b;
}

// How often the calls of `func` polled: on the interpreter, on compiled code.
static void count_polls(struct pair *p, u32 func, u32 n, u32 interp, u32 fast)
{
    static struct outcome a, b;
    char name[16];
    snprintf(name, sizeof name, "%u", func);
    struct run *runs[] = {&p->interp, &p->fast};
    struct outcome *outcomes[] = {&a, &b};
    u32 counts[2];
    for (u32 i = 0; i < 2; i++) {
        memset(memory_of(runs[i]), 0, 64);
        polls = 0;
        instance_vm(runs[i]->i)->poll = 1;
        run_call(runs[i], name, (u64[]){n, 0x123456789}, 2, outcomes[i]);
        counts[i] = polls;
    }
    CHECK_IS(a.s, OK);
    CHECK_IS(b.s, OK);
    CHECK_IS(b.slots[0], a.slots[0]);
    CHECK_IS(counts[0], interp);
    CHECK_IS(counts[1], fast);
}

static void ask(struct pair *p)
{
    instance_vm(p->interp.i)->poll = instance_vm(p->fast.i)->poll = 1;
    polls_left = UINT32_MAX;
}

// Calls that end in the same loop, which is the one of a callee, and have polled before.
static void check_traces(struct pair *p)
{
    static struct outcome a, b;
    for (u32 i = 0; i < 30; i++) {
        ask(p);
        polls = 0;
        polls_end = 1 + i;
        run_call(&p->interp, "2", (u64[]){30, 1}, 2, &a);
        polls = 0;
        polls_end = 3 + i; // at the head of both loops one more
        run_call(&p->fast, "2", (u64[]){30, 1}, 2, &b);
        CHECK_IS(a.trap, TRAP_TIME);
        CHECK_IS(b.trap, TRAP_TIME);
        CHECK_IS(b.nframes, i < 29 ? 2 : 1);
        same_trace(&a, &b);
    }
    polls_end = 0;
}

// Interp polls where it goes back, fast at the head.
static void test_polls(void)
{
    struct buf bytes = poll_module("env", "thread_spawn", "\1\1\4");
    struct pair p;
    rt_set_waiting(&hook);
    if (pair_start(&p, &bytes)) {
        polls_left = UINT32_MAX;
        count_polls(&p, F_CROWD, 100, 99, 100);
        count_polls(&p, F_NESTED, 10, 9 + 45, 10 + 55);
        count_polls(&p, F_QUIET, 100, 0, 0);
        polls_left = 3;
        count_polls(&p, F_STRAIGHT, 100, 0, 0);
        ask(&p);
        CHECK_IS(agree(&p, F_DEEP, (u64[]){1, 1}, 2, 1)->trap, TRAP_STACK);
        check_traces(&p);
        rt_set_waiting(NULL);
        ask(&p);
        memset(memory_of(&p.interp), 0, 64);
        memset(memory_of(&p.fast), 0, 64);
        agree(&p, F_CROWD, (u64[]){10, 1}, 2, 1);
        CHECK_IS(instance_vm(p.interp.i)->poll, 0);
        CHECK_IS(instance_vm(p.fast.i)->poll, 0);
    }
    pair_end(&p);
    rt_set_waiting(NULL);
    twice(&bytes, 100);
    free(bytes.at);
}

// --- Who polls

static bool compiled(struct object *o, const struct buf *bytes)
{
    struct error e;
    if (!object_decode(o, bytes->at, bytes->size))
        return false;
    CHECK_IS(object_compile(o, plenty(o), &e), OK);
    return true;
}

// Is the code of the own function number i the same, wherever it lies?
static bool same_function(const struct object *a, const struct object *b, u32 i)
{
    const struct func_code *x = &a->c.funcs[i], *y = &b->c.funcs[i];
    return x->end - x->start == y->end - y->start && x->frame == y->frame &&
           !memcmp(a->memory + x->start, b->memory + y->start, x->end - x->start);
}

// Against the module without an import. `differ` says which functions are not the same.
static void check_code(const char *module, const char *field, const char *noswitch, bool threads,
                       u32 differ)
{
    struct buf plain = poll_module("", "", ""), bytes = poll_module(module, field, noswitch);
    struct object a, b;
    about = field;
    if (compiled(&a, &plain) && compiled(&b, &bytes)) {
        CHECK_IS(b.m->threads, threads);
        for (u32 i = 0; i < 5; i++)
            CHECK_IS(!same_function(&a, &b, i), differ >> i & 1);
        if (!threads) {
            CHECK_IS(b.c.used, a.c.used);
        }
        object_free(&a);
        object_free(&b);
    }
    free(plain.at);
    free(bytes.at);
}

static void test_who_polls(void)
{
    check_code("", "", "", false, 0);
    check_code("env", "other", "", false, 0);
    check_code("env", "thread-spawn", "", false, 0);
    check_code("wasi", "thread_spawn", "", false, 0);
    check_code("env", "other", "\1\1\1", false, 0);
    check_code("env", "thread_spawn", "", true, 0xf);
    check_code("abi", "thread_spawn", "", true, 0xf);
    check_code("nebulet", "thread_spawn", "", true, 0xf);
    check_code("wasi", "thread-spawn", "", true, 0xf);
    check_code("wasi", "thread-spawn", "\1\5\1\2\3\4\5", true, 0);
    check_code("wasi", "thread-spawn", "\1\2\2\4", true, 7); // and a call that is longer
}

static void check_section(const char *noswitch, status want, const char *text)
{
    struct buf b = poll_module("env", "thread_spawn", noswitch);
    struct error e = {0};
    struct module *m;
    CHECK_IS(module_decode(b.at, b.size, &m, &e), want);
    CHECK_IS(strncmp(e.text, text, strlen(text)), 0);
    if (want)
        CHECK_IS(e.offset > 8 && e.offset <= b.size, 1);
    module_free(m);
    free(b.at);
}

static void test_noswitch(void)
{
    about = "nebulet.noswitch";
    check_section("\1\1\5", OK, "");
    check_section("\1\3\1\1\1", OK, "");
    check_section("\1\1\6", ERR_INVALID, "unknown function 6");
    check_section("\1\1\x80", ERR_MALFORMED, "");
    check_section("\1\2\1", ERR_MALFORMED, "");
    check_section("\1\1\1\1", ERR_MALFORMED, "section size mismatch");
    check_section("\1\xff\xff\xff\xff\xff", ERR_MALFORMED, "");
    check_section("\1", ERR_MALFORMED, "");
}

int main(void)
{
    if (rt_init()) {
        printf("rt_init failed\n0 passed, 1 failed\n");
        return 1;
    }
    test_table();
    test_crowded();
    about = "waiting";
    for (u32 i = 0; i < 4; i++)
        test_waits(i & 1, i & 2);
    about = "polls";
    test_polls();
    test_who_polls();
    test_noswitch();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
