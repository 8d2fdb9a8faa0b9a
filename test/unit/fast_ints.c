// SPDX-License-Identifier: MIT
// Unit test of the baseline compiler: integer instructions that are compiled several at once.
//
// Each case is a short body. It must compute the same on both engines, for many values, in each of
// several surroundings: with operands in registers, in locals that a loop keeps, and in the frame.
// And its code must be as short as the rule makes it that the case is about.
#include "test/unit/fast.h"

struct body_case {
    const char *name;
    const char *type; // "ii:i", "I:I" and so on
    void (*make)(struct buf *b);
    u32 bytes; // of the body's code at most, in the simplest surroundings
};

static void get(struct buf *b, u32 local)
{
    op1(b, OP_local_get, local);
}

static void shl(struct buf *b, s32 count)
{
    i32_const(b, count);
    op(b, OP_i32_shl);
}

static void add_const(struct buf *b, s32 v)
{
    i32_const(b, v);
    op(b, OP_i32_add);
}

// --- Sums: one lea
static void element_base_first(struct buf *b)
{
    get(b, 0);
    get(b, 1);
    shl(b, 3);
    op(b, OP_i32_add);
}

static void element_index_first(struct buf *b)
{
    get(b, 0);
    shl(b, 2);
    get(b, 1);
    op(b, OP_i32_add);
    add_const(b, 100);
}

static void element_twice(struct buf *b) // the base is the index
{
    get(b, 1);
    shl(b, 1);
    get(b, 1);
    op(b, OP_i32_add);
    add_const(b, -5);
    add_const(b, INT32_MIN);
}

static void element_of_const(struct buf *b)
{
    i32_const(b, 1000);
    get(b, 1);
    shl(b, 3);
    op(b, OP_i32_add);
}

static void sum_of_three(struct buf *b)
{
    get(b, 0);
    add_const(b, INT32_MAX);
    get(b, 1);
    op(b, OP_i32_add);
    add_const(b, INT32_MAX);
}

static void sum_below(struct buf *b)
{
    get(b, 0);
    get(b, 1);
    add_const(b, -1);
    op(b, OP_i32_add);
}

static void sum_wide(struct buf *b)
{
    get(b, 0);
    i64_const(b, INT32_MAX);
    op(b, OP_i64_add);
    get(b, 1);
    op(b, OP_i64_add);
    i64_const(b, 1); // does not fit any more
    op(b, OP_i64_add);
}

static void element_wide(struct buf *b)
{
    get(b, 0);
    get(b, 1);
    i64_const(b, 3);
    op(b, OP_i64_shl);
    op(b, OP_i64_add);
    i64_const(b, INT32_MIN);
    op(b, OP_i64_add);
}

// --- Masks, and halves
static void masked(struct buf *b, s32 mask)
{
    get(b, 0);
    i32_const(b, mask);
    op(b, OP_i32_and);
}

static void masked_wide(struct buf *b, s64 mask)
{
    get(b, 0);
    i64_const(b, mask);
    op(b, OP_i64_and);
}

static void mask_byte(struct buf *b)
{
    masked(b, 0xff);
}

static void mask_half(struct buf *b)
{
    masked(b, 0xffff);
}

static void mask_other(struct buf *b)
{
    masked(b, 0x80);
}

static void mask_large(struct buf *b)
{
    masked(b, INT32_MIN);
}

static void mask_word(struct buf *b)
{
    masked_wide(b, 0xffffffff);
}

static void mask_wide(struct buf *b)
{
    masked_wide(b, 0xf0000000);
}

static void mask_wide_byte(struct buf *b)
{
    masked_wide(b, 0xff);
}

static void mask_wide_negative(struct buf *b)
{
    masked_wide(b, -256);
}

static void mask_branch(struct buf *b)
{
    op1(b, OP_block, VOID);
    masked(b, 0x10000);
    op1(b, OP_br_if, 0);
    get(b, 1);
    add_const(b, 3);
    op1(b, OP_local_set, 1);
    op(b, OP_end);
    get(b, 1);
}

static void mask_if(struct buf *b)
{
    masked_wide(b, 0x81);
    op(b, OP_i64_eqz);
    op1(b, OP_if, TYPE_I64);
    i64_const(b, 7);
    op(b, OP_else);
    get(b, 1);
    op(b, OP_end);
}

static void mask_select(struct buf *b)
{
    get(b, 0);
    get(b, 1);
    masked(b, 1);
    op(b, OP_i32_eqz);
    op(b, OP_select);
}

static void wrapped(struct buf *b, u32 code)
{
    get(b, 0);
    get(b, 1);
    op(b, code);
    op(b, OP_i32_wrap_i64);
}

static void wrapped_add(struct buf *b)
{
    wrapped(b, OP_i64_add);
}

static void wrapped_sub(struct buf *b)
{
    wrapped(b, OP_i64_sub);
}

static void wrapped_mul(struct buf *b)
{
    wrapped(b, OP_i64_mul);
}

static void wrapped_shr(struct buf *b) // the upper half matters
{
    wrapped(b, OP_i64_shr_u);
}

static void wrapped_shl(struct buf *b, s64 count)
{
    get(b, 0);
    i64_const(b, count);
    op(b, OP_i64_shl);
    op(b, OP_i32_wrap_i64);
}

static void wrapped_shl_31(struct buf *b)
{
    wrapped_shl(b, 31);
}

static void wrapped_shl_32(struct buf *b)
{
    wrapped_shl(b, 32);
}

static void wrapped_xor_const(struct buf *b)
{
    get(b, 0);
    i64_const(b, 0x123456789abcdef);
    op(b, OP_i64_xor);
    op(b, OP_i32_wrap_i64);
}

static void wrapped_local(struct buf *b)
{
    get(b, 1);
    op(b, OP_i32_wrap_i64);
}

static void extended_product(struct buf *b)
{
    get(b, 0);
    op(b, OP_i64_extend_i32_u);
    get(b, 1);
    op(b, OP_i64_extend_i32_u);
    op(b, OP_i64_mul);
}

static void extended_later(struct buf *b) // after the local has changed
{
    get(b, 0);
    op(b, OP_i64_extend_i32_u);
    get(b, 1);
    op1(b, OP_local_set, 0);
    get(b, 0);
    op(b, OP_i64_extend_i32_u);
    i64_const(b, 32);
    op(b, OP_i64_shl);
    op(b, OP_i64_or);
}

// --- Table look-ups
static void store_pair(struct buf *b)
{
    i32_const(b, 0);
    get(b, 1);
    op2(b, OP_i32_store, 2, 1016);
    i32_const(b, 0);
    get(b, 0);
    op2(b, OP_i32_store, 2, 8);
}

static void look_up_byte(struct buf *b)
{
    store_pair(b);
    masked(b, 0xff);
    shl(b, 2);
    op2(b, OP_i32_load, 2, 0);
}

static void look_up_half(struct buf *b)
{
    store_pair(b);
    get(b, 0);
    i32_const(b, 20);
    op(b, OP_i32_shr_u);
    shl(b, 3);
    op2(b, OP_i32_load16_s, 1, 8);
}

static void look_up_decides(struct buf *b)
{
    store_pair(b);
    masked(b, 127);
    op2(b, OP_i32_load8_u, 0, 0);
    shl(b, 3);
    op2(b, OP_i32_load8_u, 0, 1);
    i32_const(b, 10);
    op(b, OP_i32_lt_u);
}

static void look_up_wraps(struct buf *b) // 30 bits and 3: an i32 does not hold the address
{
    store_pair(b);
    masked(b, 0x20000001);
    shl(b, 3);
    op2(b, OP_i32_load, 2, 0);
}

static void look_up_beyond(struct buf *b)
{
    store_pair(b);
    masked(b, 0xff);
    shl(b, 3);
    op2(b, OP_i32_load, 2, UINT32_MAX);
}

static void field(struct buf *b)
{
    get(b, 0);
    i32_const(b, 14);
    op(b, OP_i32_shr_u);
    i32_const(b, 0x3fc);
    op(b, OP_i32_and);
}

static void field_of_top(struct buf *b)
{
    get(b, 0);
    i32_const(b, 22);
    op(b, OP_i32_shr_u);
    i32_const(b, 0x3fc);
    op(b, OP_i32_and);
}

static void field_beyond(struct buf *b)
{
    get(b, 0);
    i32_const(b, 24);
    op(b, OP_i32_shr_u);
    i32_const(b, 0x1ff);
    op(b, OP_i32_and);
}

static void field_wide(struct buf *b)
{
    get(b, 0);
    i64_const(b, 40);
    op(b, OP_i64_shr_u);
    i64_const(b, 0xfffff0);
    op(b, OP_i64_and);
}

static void field_unshifted(struct buf *b)
{
    get(b, 0);
    i64_const(b, 64);
    op(b, OP_i64_shr_u);
    i64_const(b, -1);
    op(b, OP_i64_and);
}

static void eightfold(struct buf *b)
{
    get(b, 0);
    shl(b, 3);
    get(b, 0);
    op(b, OP_i32_xor);
}

// --- Loads that only decide. The second argument is stored, and read again.
static void stored(struct buf *b, u32 code)
{
    get(b, 0);
    i32_const(b, 0xf8);
    op(b, OP_i32_and);
    get(b, 1);
    op2(b, OP_i32_store, 2, 0);
    get(b, 0);
    i32_const(b, 0xf8);
    op(b, OP_i32_and);
    op2(b, code, 0, 0);
}

#define DECIDE(name, load, prefix, imm, code)                                                      \
    static void name(struct buf *b)                                                                \
    {                                                                                              \
        stored(b, OP_##load);                                                                      \
        prefix##_const(b, imm);                                                                    \
        op(b, OP_##prefix##_##code);                                                               \
    }
#define DECIDE3(name, load, prefix, imm)                                                           \
    DECIDE(name##_eq, load, prefix, imm, eq)                                                       \
    DECIDE(name##_lt_s, load, prefix, imm, lt_s)                                                   \
    DECIDE(name##_ge_u, load, prefix, imm, ge_u)
DECIDE3(byte, i32_load8_u, i32, 0x80)
DECIDE3(byte_small, i32_load8_u, i32, 7)
DECIDE3(byte_beyond, i32_load8_u, i32, 0x100)
DECIDE3(byte_negative, i32_load8_u, i32, -1)
DECIDE3(signed_byte, i32_load8_s, i32, -1)
DECIDE3(signed_beyond, i32_load8_s, i32, 0x80)
DECIDE3(half, i32_load16_u, i32, 1)
DECIDE3(word, i32_load, i32, INT32_MIN)
DECIDE3(wide_byte, i64_load8_u, i64, 255)
DECIDE3(wide_signed, i64_load8_s, i64, -128)
DECIDE3(wide, i64_load, i64, 0x7fffffff)
DECIDE3(wide_beyond, i64_load, i64, 0x80000000)
DECIDE3(wide_part, i64_load32_u, i64, 100)

static void branch_on(struct buf *b)
{
    op1(b, OP_br_if, 0);
    get(b, 1);
    add_const(b, 1);
    op1(b, OP_local_set, 1);
    op(b, OP_end);
    get(b, 1);
}

static void branch_on_byte(struct buf *b)
{
    op1(b, OP_block, VOID);
    stored(b, OP_i32_load8_u);
    branch_on(b);
}

static void branch_on_no_word(struct buf *b)
{
    op1(b, OP_block, VOID);
    stored(b, OP_i32_load);
    op(b, OP_i32_eqz);
    branch_on(b);
}

static void branch_on_bits(struct buf *b, u32 code, s32 mask)
{
    op1(b, OP_block, VOID);
    stored(b, code);
    i32_const(b, mask);
    op(b, OP_i32_and);
    branch_on(b);
}

static void branch_on_bit_of_byte(struct buf *b)
{
    branch_on_bits(b, OP_i32_load8_u, 0x80);
}

static void branch_on_sign(struct buf *b)
{
    branch_on_bits(b, OP_i32_load8_s, 0x100);
}

static void branch_on_bits_of_word(struct buf *b)
{
    branch_on_bits(b, OP_i32_load, INT32_MIN);
}

static void branch_on_low_bit(struct buf *b)
{
    branch_on_bits(b, OP_i32_load, 1);
}

static void select_on_wide_bits(struct buf *b)
{
    get(b, 0);
    get(b, 1);
    stored(b, OP_i64_load);
    i64_const(b, 0xf0000000);
    op(b, OP_i64_and);
    op(b, OP_i64_eqz);
    op(b, OP_select);
}

static void compare_with_word(struct buf *b)
{
    get(b, 0);
    stored(b, OP_i32_load);
    op(b, OP_i32_lt_s);
}

static void compare_const_with_word(struct buf *b)
{
    i32_const(b, 10);
    stored(b, OP_i32_load);
    op(b, OP_i32_lt_s);
}

static void compare_with_wide(struct buf *b)
{
    get(b, 0);
    op(b, OP_i64_extend_i32_u);
    stored(b, OP_i64_load);
    op(b, OP_i64_gt_u);
}

// --- Division by constants
#define DIVIDE(name, code, prefix, d)                                                              \
    static void name(struct buf *b)                                                                \
    {                                                                                              \
        get(b, 0);                                                                                 \
        prefix##_const(b, d);                                                                      \
        op(b, OP_##prefix##_##code);                                                               \
    }
#define DIVIDE4(name, prefix, d)                                                                   \
    DIVIDE(name##_div_u, div_u, prefix, d)                                                         \
    DIVIDE(name##_rem_u, rem_u, prefix, d)                                                         \
    DIVIDE(name##_div_s, div_s, prefix, d)                                                         \
    DIVIDE(name##_rem_s, rem_s, prefix, d)
DIVIDE4(three, i32, 3)
DIVIDE4(seven, i32, 7)
DIVIDE4(ten, i32, 10)
DIVIDE4(large, i32, INT32_MAX)
DIVIDE4(least, i32, INT32_MIN)
DIVIDE4(less, i32, -10)
DIVIDE4(one, i32, 1)
DIVIDE4(minus, i32, -1)
DIVIDE4(eight, i32, 8)
DIVIDE4(wide_three, i64, 3)
DIVIDE4(wide_seven, i64, 7)
DIVIDE4(wide_ten, i64, 10)
DIVIDE4(wide_prime, i64, 2013265921)
DIVIDE4(wide_word, i64, 0x100000001)
DIVIDE4(wide_large, i64, INT64_MAX)
DIVIDE4(wide_least, i64, INT64_MIN)
DIVIDE4(wide_less, i64, -1000)
DIVIDE4(wide_minus, i64, -1)
DIVIDE4(wide_eight, i64, 8)

static const struct body_case cases[] = {
#define ROWS(name, type, bytes)                                                                    \
    {#name " /", type, name##_div_u, bytes}, {#name " %", type, name##_rem_u, bytes},              \
        {#name " / signed", type, name##_div_s, bytes},                                            \
    {                                                                                              \
        #name " % signed", type, name##_rem_s, bytes                                               \
    }
    ROWS(three, "ii:i", 60),
    ROWS(seven, "ii:i", 60),
    ROWS(ten, "ii:i", 60),
    ROWS(large, "ii:i", 60),
    ROWS(least, "ii:i", 60),
    ROWS(less, "ii:i", 60),
    ROWS(one, "ii:i", 60),
    ROWS(minus, "ii:i", 60),
    ROWS(eight, "ii:i", 60),
    ROWS(wide_three, "II:I", 60),
    ROWS(wide_seven, "II:I", 60),
    ROWS(wide_ten, "II:I", 60),
    ROWS(wide_prime, "II:I", 60),
    ROWS(wide_word, "II:I", 60),
    ROWS(wide_large, "II:I", 60),
    ROWS(wide_least, "II:I", 60),
    ROWS(wide_less, "II:I", 60),
    ROWS(wide_minus, "II:I", 60),
    ROWS(wide_eight, "II:I", 60),
#undef ROWS
#define ROWS(name, bytes)                                                                          \
    {#name " ==", "ii:i", name##_eq, bytes}, {#name " <", "ii:i", name##_lt_s, bytes},             \
    {                                                                                              \
        #name " >= unsigned", "ii:i", name##_ge_u, bytes                                           \
    }
    ROWS(byte, 33),
    ROWS(byte_small, 33),
    ROWS(byte_beyond, 39),
    ROWS(byte_negative, 39),
    ROWS(signed_byte, 33),
    ROWS(signed_beyond, 39),
    ROWS(half, 39),
    ROWS(word, 39),
    ROWS(wide_byte, 33),
    ROWS(wide_signed, 33),
    ROWS(wide, 39),
    ROWS(wide_beyond, 45),
    ROWS(wide_part, 39),
#undef ROWS
    {"look up a byte", "ii:i", look_up_byte, 48},
    {"look up bits above", "ii:i", look_up_half, 56},
    {"look up, and decide", "ii:i", look_up_decides, 64},
    {"look up what wraps", "ii:i", look_up_wraps, 60},
    {"look up beyond", "ii:i", look_up_beyond, 90},
    {"field", "ii:i", field, 11},
    {"field at the top", "ii:i", field_of_top, 11},
    {"field beyond the top", "ii:i", field_beyond, 11},
    {"field of 64 bits", "II:I", field_wide, 13},
    {"field of all", "II:I", field_unshifted, 16},
    {"x * 8 ^ x", "ii:i", eightfold, 12},
    {"branch if byte", "ii:i", branch_on_byte, 45},
    {"branch if no word", "ii:i", branch_on_no_word, 45},
    {"branch if bit of byte", "ii:i", branch_on_bit_of_byte, 45},
    {"branch if sign of byte", "ii:i", branch_on_sign, 60},
    {"branch if bits of word", "ii:i", branch_on_bits_of_word, 48},
    {"branch if low bit", "ii:i", branch_on_low_bit, 45},
    {"select if no bits", "ii:i", select_on_wide_bits, 48},
    {"x < word", "ii:i", compare_with_word, 36},
    {"c < word", "ii:i", compare_const_with_word, 40},
    {"x > wide", "ii:i", compare_with_wide, 36},
    {"x & 0xff", "ii:i", mask_byte, 4},
    {"x & 0xffff", "ii:i", mask_half, 4},
    {"x & 0x80", "ii:i", mask_other, 8},
    {"x & INT32_MIN", "ii:i", mask_large, 8},
    {"x & 0xffffffff", "II:I", mask_word, 2},
    {"x & 0xf0000000", "II:I", mask_wide, 9},
    {"x & 0xff of 64 bits", "II:I", mask_wide_byte, 4},
    {"x & -256 of 64 bits", "II:I", mask_wide_negative, 11},
    {"branch if x & c", "ii:i", mask_branch, 26},
    {"if !(x & c)", "II:I", mask_if, 33},
    {"select if !(x & 1)", "ii:i", mask_select, 12},
    {"wrap x + y", "II:i", wrapped_add, 4},
    {"wrap x - y", "II:i", wrapped_sub, 4},
    {"wrap x * y", "II:i", wrapped_mul, 5},
    {"wrap x >> y", "II:i", wrapped_shr, 9},
    {"wrap x << 31", "II:i", wrapped_shl_31, 5},
    {"wrap x << 32", "II:i", wrapped_shl_32, 9},
    {"wrap x ^ c", "II:i", wrapped_xor_const, 8},
    {"wrap x", "II:i", wrapped_local, 2},
    {"extend x * extend y", "ii:I", extended_product, 7},
    {"extended x, then changed", "ii:I", extended_later, 16},
    {"base + (index << 3)", "ii:i", element_base_first, 4},
    {"(index << 2) + base + c", "ii:i", element_index_first, 4},
    {"(x << 1) + x + c + c", "ii:i", element_twice, 12},
    {"c + (index << 3)", "ii:i", element_of_const, 12},
    {"x + c + y + c", "ii:i", sum_of_three, 4},
    {"x + (y + c)", "ii:i", sum_below, 4},
    {"x + c + y + c of 64 bits", "II:I", sum_wide, 16},
    {"base + (index << 3) + c of 64 bits", "II:I", element_wide, 9},
};

// --- Surroundings

static char result_type(const struct body_case *c)
{
    return strchr(c->type, ':')[1];
}

// Local 2 is a counter, local 3 of the result's type.
static struct buf start(const struct body_case *c)
{
    struct buf b = {0};
    put_byte(&b, 2);
    put_u(&b, 1);
    put_byte(&b, TYPE_I32);
    put_u(&b, 1);
    put_byte(&b, type_of(result_type(c)));
    return b;
}

static struct buf plain(const struct body_case *c)
{
    struct buf b = start(c);
    c->make(&b);
    return b;
}

// The result into a local that the loop keeps, three times.
static struct buf in_loop(const struct body_case *c)
{
    struct buf b = start(c);
    op1(&b, OP_loop, VOID);
    c->make(&b);
    op1(&b, OP_local_set, 3);
    get(&b, 3);
    get(&b, 3);
    op(&b, result_type(c) == 'i' ? OP_i32_xor : OP_i64_xor);
    op(&b, OP_drop);
    bump(&b, 2, 1);
    get(&b, 2);
    i32_const(&b, 3);
    op(&b, OP_i32_lt_u);
    op1(&b, OP_br_if, 0);
    op(&b, OP_end);
    get(&b, 3);
    return b;
}

// Into the operand itself, where the types allow it; its old value stays on the stack.
static struct buf into_operand(const struct body_case *c)
{
    if (result_type(c) != c->type[0])
        return plain(c);
    struct buf b = start(c);
    get(&b, 0);
    op1(&b, OP_loop, VOID);
    c->make(&b);
    op1(&b, OP_local_set, 0);
    bump(&b, 2, 1);
    get(&b, 2);
    i32_const(&b, 3);
    op(&b, OP_i32_lt_u);
    op1(&b, OP_br_if, 0);
    op(&b, OP_end);
    get(&b, 0);
    op(&b, result_type(c) == 'i' ? OP_i32_xor : OP_i64_xor);
    return b;
}

// All registers are taken by values that wait on the stack.
static struct buf among_many(const struct body_case *c)
{
    struct buf b = start(c);
    enum { WAITING = 20 };
    for (u32 i = 0; i < WAITING; i++) {
        i32_const(&b, (s32)i + 1);
        get(&b, 2);
        op(&b, OP_i32_sub);
    }
    c->make(&b);
    op1(&b, OP_local_set, 3);
    for (u32 i = 1; i < WAITING; i++)
        op(&b, OP_i32_add);
    op1(&b, OP_local_tee, 2);
    if (result_type(c) != 'i')
        op(&b, OP_i64_extend_i32_u);
    get(&b, 3);
    op(&b, result_type(c) == 'i' ? OP_i32_add : OP_i64_add);
    return b;
}

// Decided by the result: a branch, and a select.
static struct buf deciding(const struct body_case *c)
{
    struct buf b = start(c);
    op1(&b, OP_block, VOID);
    c->make(&b);
    if (result_type(c) != 'i') {
        op(&b, OP_i64_eqz);
        op(&b, OP_i32_eqz);
    }
    op1(&b, OP_br_if, 0);
    i32_const(&b, 77);
    op1(&b, OP_local_set, 2);
    op(&b, OP_end);
    i32_const(&b, 5);
    get(&b, 2);
    c->make(&b);
    if (result_type(c) != 'i')
        op(&b, OP_i64_eqz);
    op(&b, OP_select);
    c->make(&b);
    if (result_type(c) == 'i')
        op(&b, OP_i32_eqz);
    else
        op(&b, OP_i64_eqz);
    i32_const(&b, 16);
    op(&b, OP_i32_shl);
    op(&b, OP_i32_add);
    if (result_type(c) != 'i')
        op(&b, OP_i64_extend_i32_u);
    return b;
}

static struct buf (*const surroundings[])(const struct body_case *c) = {
    plain, in_loop, into_operand, among_many, deciding,
};

static const u64 values[] = {
    0,
    1,
    2,
    3,
    7,
    8,
    10,
    100,
    127,
    128,
    255,
    256,
    1000,
    0x7fff,
    0x8000,
    0xffff,
    0x10000,
    0x7fffffff,
    0x80000000,
    0x80000001,
    0xfffffff6,
    0xfffffffe,
    0xffffffff,
    0x100000000,
    0x123456789abcdef0,
    0x7fffffffffffffff,
    0x8000000000000000,
    0x8000000000000001,
    0xfffffffffffffff6,
    0xffffffffffffffff,
};

static void test_same(const struct body_case *c)
{
    struct mod m = {0};
    u32 type = mod_type(&m, c->type);
    for (u32 k = 0; k < COUNT(surroundings); k++) {
        struct buf b = surroundings[k](c);
        mod_func(&m, type, &b);
    }
    struct buf bytes = mod_finish(&m);
    struct pair p;
    if (pair_start(&p, &bytes)) {
        for (u32 k = 0; k < COUNT(surroundings); k++) {
            for (u32 i = 0; i < COUNT(values) * COUNT(values); i++) {
                u64 args[2] = {values[i / COUNT(values)], values[i % COUNT(values)]};
                for (u32 a = 0; a < 2; a++)
                    args[a] = c->type[a] == 'i' ? (u32)args[a] : args[a];
                agree(&p, k, args, 2, 1);
            }
        }
        pair_end(&p);
    }
    twice(&bytes, 100);
    free(bytes.at);
}

static void test_length(const struct body_case *c)
{
    struct mod m = {0};
    struct buf b = plain(c);
    mod_func(&m, mod_type(&m, c->type), &b);
    struct buf bytes = mod_finish(&m);
    struct object o;
    struct error e;
    if (object_decode(&o, bytes.at, bytes.size)) {
        CHECK_IS(object_compile(&o, plenty(&o), &e), OK);
        u32 length = o.c.funcs[0].epilogue - o.c.funcs[0].body;
        if (length > c->bytes)
            CHECK_IS(length, c->bytes);
        else
            passed++;
        object_free(&o);
    }
    free(bytes.at);
}

// Many divisors, and dividends beside their multiples.
static u64 random_bits(u64 *seed)
{
    *seed = *seed * 6364136223846793005 + 1442695040888963407;
    return *seed >> (*seed >> 58) | *seed << 40;
}

static void divisors(struct mod *m, const u64 *d, u32 n, bool wide)
{
    static const u32 codes[] = {OP_i32_div_u, OP_i32_rem_u, OP_i32_div_s, OP_i32_rem_s};
    u32 type = mod_type(m, wide ? "I:I" : "i:i");
    for (u32 i = 0; i < n; i++) {
        for (u32 k = 0; k < COUNT(codes); k++) {
            struct buf b = body(0, 0);
            get(&b, 0);
            if (wide)
                i64_const(&b, (s64)d[i]);
            else
                i32_const(&b, (s32)d[i]);
            op(&b, wide ? codes[k] - OP_i32_clz + OP_i64_clz : codes[k]);
            mod_func(m, type, &b);
        }
    }
}

static void test_divisors(bool wide)
{
    enum { DIVISORS = 100, DIVIDENDS = 12 };
    u64 seed = 1, d[DIVISORS];
    for (u32 i = 0; i < DIVISORS; i++) {
        d[i] = wide ? random_bits(&seed) : (u32)random_bits(&seed) >> i % 28;
        d[i] += !d[i];
    }
    struct mod m = {0};
    divisors(&m, d, DIVISORS, wide);
    struct buf bytes = mod_finish(&m);
    struct pair p;
    if (pair_start(&p, &bytes)) {
        for (u32 i = 0; i < DIVISORS * 4 * DIVIDENDS; i++) {
            u32 func = i / DIVIDENDS;
            u64 times = random_bits(&seed) % ((wide ? UINT64_MAX : UINT32_MAX) / d[func / 4] + 1);
            u64 n = i % 6 ? times * d[func / 4] - i % 2 : -times * d[func / 4] - i % 2;
            n = wide ? n : (u32)n;
            agree(&p, func, &n, 1, 1);
        }
        pair_end(&p);
    }
    free(bytes.at);
}

int main(void)
{
    if (rt_init()) {
        printf("rt_init failed\n0 passed, 1 failed\n");
        return 1;
    }
    for (u32 i = 0; i < COUNT(cases); i++) {
        about = cases[i].name;
        test_same(&cases[i]);
        test_length(&cases[i]);
    }
    about = "divisors";
    test_divisors(false);
    test_divisors(true);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
