// SPDX-License-Identifier: MIT
// Unit test of what the engines do for threads: every atomic at every kind of address against a
// model, on both engines; shared memories; waiting.
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

static u32 polls;
static void seen_poll(struct vmctx *vm)
{
    vm->thread = NULL;
    polls++;
}

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
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
