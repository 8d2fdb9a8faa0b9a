// SPDX-License-Identifier: MIT
// Unit test of the baseline compiler: operands that stay where they are, in memory or among the
// constants behind the function.
//
// Each operation gets its second operand from a load or a constant, its first from a register, a
// local that a loop keeps, or a constant; the result goes to the stack, or to the local of the
// address or of the first operand. Both engines must agree on the value, NaNs too, and on where a
// load was out of bounds.
#include "test/unit/fast.h"

#include <math.h>

struct operation {
    u32 op;
    char type;
};
static const struct operation operations[] = {
    {OP_i32_add, 'i'}, {OP_i32_sub, 'i'}, {OP_i32_mul, 'i'}, {OP_i32_and, 'i'}, {OP_i32_or, 'i'},
    {OP_i32_xor, 'i'}, {OP_i64_add, 'I'}, {OP_i64_sub, 'I'}, {OP_i64_mul, 'I'}, {OP_i64_and, 'I'},
    {OP_i64_or, 'I'},  {OP_i64_xor, 'I'}, {OP_f32_add, 'f'}, {OP_f32_sub, 'f'}, {OP_f32_mul, 'f'},
    {OP_f32_div, 'f'}, {OP_f64_add, 'F'}, {OP_f64_sub, 'F'}, {OP_f64_mul, 'F'}, {OP_f64_div, 'F'},
};

// Parameters: a and b, of the operation's type, and an address. b is stored at AT.
enum { A, B, ADDRESS, COUNTER, AT = 16 };

static u32 load_of(char type)
{
    return type == 'i'   ? OP_i32_load
           : type == 'I' ? OP_i64_load
           : type == 'f' ? OP_f32_load
                         : OP_f64_load;
}

static void load_from(struct buf *b, const struct operation *o, u32 address)
{
    op1(b, OP_local_get, address);
    op2(b, load_of(o->type), 0, 0);
}

static void constant(struct buf *b, char type)
{
    switch (type) {
    case 'i': i32_const(b, -77); break;
    case 'I': i64_const(b, 0x123456789abcdef); break;
    case 'f':
        op(b, OP_f32_const);
        put(b, &(f32){0.1f}, 4);
        break;
    default: f64_const(b, -1e300); break;
    }
}

static struct buf begin(const struct operation *o)
{
    struct buf b = body(1, TYPE_I32);
    i32_const(&b, AT);
    op1(&b, OP_local_get, B);
    op2(&b, OP_i32_store + (load_of(o->type) - OP_i32_load), 0, 0);
    return b;
}

// (a op b) op [address]
static struct buf of_register(const struct operation *o)
{
    struct buf b = begin(o);
    op1(&b, OP_local_get, A);
    op1(&b, OP_local_get, B);
    op(&b, o->op);
    load_from(&b, o, ADDRESS);
    op(&b, o->op);
    return b;
}

// constant op [address], and that op a constant
static struct buf of_constant(const struct operation *o)
{
    struct buf b = begin(o);
    constant(&b, o->type);
    load_from(&b, o, ADDRESS);
    op(&b, o->op);
    constant(&b, o->type);
    op(&b, o->op);
    return b;
}

// [address] op [address]
static struct buf of_memory(const struct operation *o)
{
    struct buf b = begin(o);
    load_from(&b, o, ADDRESS);
    load_from(&b, o, ADDRESS);
    op(&b, o->op);
    return b;
}

static void loop_end(struct buf *b)
{
    bump(b, COUNTER, 1);
    op1(b, OP_local_get, COUNTER);
    i32_const(b, 3);
    op(b, OP_i32_lt_u);
    op1(b, OP_br_if, 0);
    op(b, OP_end);
}

// loop: a = a op [address]; the old a is used once more
static struct buf in_loop(const struct operation *o)
{
    struct buf b = begin(o);
    op1(&b, OP_loop, VOID);
    op1(&b, OP_local_get, A);
    op1(&b, OP_local_get, A);
    load_from(&b, o, ADDRESS);
    op(&b, o->op);
    op1(&b, OP_local_set, A);
    op1(&b, OP_local_get, A);
    op(&b, o->op);
    op1(&b, OP_local_set, A);
    loop_end(&b);
    op1(&b, OP_local_get, A);
    return b;
}

// loop: address = (address op b) op [address], of i32 alone: the result goes where the address is
static struct buf over_address(const struct operation *o)
{
    if (o->type != 'i')
        return in_loop(o);
    struct buf b = begin(o);
    op1(&b, OP_loop, VOID);
    op1(&b, OP_local_get, ADDRESS);
    op1(&b, OP_local_get, B);
    op(&b, o->op);
    load_from(&b, o, ADDRESS);
    op(&b, o->op);
    op1(&b, OP_local_set, ADDRESS);
    op1(&b, OP_local_get, ADDRESS);
    i32_const(&b, 0x3fc);
    op(&b, OP_i32_and);
    op1(&b, OP_local_set, ADDRESS);
    loop_end(&b);
    op1(&b, OP_local_get, ADDRESS);
    return b;
}

static struct buf (*const bodies[])(const struct operation *o) = {of_register, of_constant,
                                                                  of_memory, in_loop, over_address};

static u64 value(char type, u32 i)
{
    static const f64 floats[] = {1.5, -0.0, 3e-320, 1e300, INFINITY, -7.25};
    static const u64 ints[] = {0, 1, 16, UINT64_MAX, 0x8000000080000000, 12345678901234567};
    static const u32 nans32[] = {0x7fc00000, 0xffa00001};
    static const u64 nans64[] = {0x7ff8000000000000, 0xfff4000000000001};
    enum { PLAIN = COUNT(floats) };
    u64 bits = 0;
    if (type == 'f')
        memcpy(&bits, i < PLAIN ? (void *)&(f32){(f32)floats[i]} : (void *)&nans32[i - PLAIN], 4);
    else if (type == 'F')
        memcpy(&bits, i < PLAIN ? &floats[i] : (void *)&nans64[i - PLAIN], 8);
    else
        bits = ints[i % COUNT(ints)];
    return type == 'i' ? (u32)bits : bits;
}

static void test(const struct operation *o)
{
    enum { VALUES = 8 };
    static const u32 addresses[] = {AT, AT - 4, 65536 - 2, UINT32_MAX};
    char type[] = {o->type, o->type, 'i', ':', o->type, 0};
    struct mod m = {0};
    u32 t = mod_type(&m, type);
    for (u32 k = 0; k < COUNT(bodies); k++) {
        struct buf b = bodies[k](o);
        mod_func(&m, t, &b);
    }
    struct buf bytes = mod_finish(&m);
    struct pair p;
    if (pair_start(&p, &bytes)) {
        for (u32 k = 0; k < COUNT(bodies); k++)
            for (u32 i = 0; i < VALUES * VALUES * COUNT(addresses); i++)
                agree(&p, k,
                      (u64[]){value(o->type, i % VALUES), value(o->type, i / VALUES % VALUES),
                              addresses[i / VALUES / VALUES]},
                      3, 1);
        pair_end(&p);
    }
    twice(&bytes, 100);
    free(bytes.at);
}

int main(void)
{
    if (rt_init()) {
        printf("rt_init failed\n0 passed, 1 failed\n");
        return 1;
    }
    for (u32 i = 0; i < COUNT(operations); i++) {
        about = "operands";
        test(&operations[i]);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
