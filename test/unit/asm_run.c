// SPDX-License-Identifier: MIT
// Unit test of the x86-64 encoder (target/x64/asm.h, insn.def) by execution.
//
// asm.c says that the bytes are those of the named instruction; here a sample of them runs on edge
// values, one function of a few instructions at a time, and C says what must come out. Shifts,
// conditions, multiplication, division, bit counts, extensions, addresses, conversions, rounding.
#include "target/x64/asm.h"
#include "target/x64/cpu.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static int passed, failed;

#define CHECK_IS(got, want)                                                                        \
    do {                                                                                           \
        unsigned long long got_ = (unsigned long long)(got), want_ = (unsigned long long)(want);   \
        if (got_ == want_) {                                                                       \
            passed++;                                                                              \
        } else {                                                                                   \
            failed++;                                                                              \
            printf("%s:%d: %s: got 0x%llx, want 0x%llx\n", __FILE__, __LINE__, #got, got_, want_); \
        }                                                                                          \
    } while (0)
#define COUNT(array) (sizeof(array) / sizeof *(array))

// --- A page, and the code in it

static u8 code[2048];
static struct assembler a = {code};

static u8 *page; // of PAGE bytes

// Sanitizers look at what lies before a function that they call.
enum { PAGE = 4096, BEFORE = 16 };

// What was emitted, with a return behind it, as a function; the next starts afresh.
static void *finish(void)
{
    x64_ret(&a, 0);
    bool ok = !mprotect(page, PAGE, PROT_READ | PROT_WRITE);
    if (ok)
        memcpy(page + BEFORE, code, sizeof code);
    if (!ok || mprotect(page, PAGE, PROT_READ | PROT_EXEC)) {
        perror("page for code");
        exit(1);
    }
    a.p = code;
    return page + BEFORE;
}

typedef u64 fn_int(u64, u64);
typedef f64 fn_f64(f64, f64);
typedef f32 fn_f32(f32, f32);
typedef u64 fn_from_f64(f64, f64);
typedef f64 fn_to_f64(u64, u64);

// What was emitted, from (rdi, rsi) to rax.
static u64 run(u64 x, u64 y)
{
    return ((fn_int *)finish())(x, y);
}

static const u64 values[] = {
    0,          1,          2,          31,
    32,         33,         63,         64,
    0x7fffffff, 0x80000000, UINT32_MAX, 1ull << 32,
    INT64_MAX,  1ull << 63, UINT64_MAX, 0x123456789abcdef0,
};

static u64 low(bool wide, u64 v)
{
    return wide ? v : (u32)v;
}

static u64 shifted(enum x64_shift op, bool wide, u64 v, u32 n)
{
    u32 bits = wide ? 64 : 32;
    n &= bits - 1;
    v = low(wide, v);
    switch (op) {
    case SH_SHL: return low(wide, v << n);
    case SH_SHR: return v >> n;
    case SH_SAR: return low(wide, (u64)((wide ? (s64)v : (s32)v) >> n));
    case SH_ROR: return n ? low(wide, v >> n | v << (bits - n)) : v;
    case SH_ROL: return n ? low(wide, v << n | v >> (bits - n)) : v;
    }
    return 0;
}

static void run_shift(enum x64_shift op, bool wide, u64 v, u32 n)
{
    x64_reg(&a, I_MOV_LOAD, true, RAX, RDI);
    x64_shift_imm(&a, op, wide, RAX, n & (wide ? 63 : 31));
    CHECK_IS(run(v, 0), shifted(op, wide, v, n));
    x64_reg(&a, I_MOV_LOAD, true, RAX, RDI);
    x64_reg(&a, I_MOV_LOAD, true, RCX, RSI);
    x64_shift_cl(&a, op, wide, RAX);
    CHECK_IS(run(v, n), shifted(op, wide, v, n));
    if (!(x64_features() & X64_BMI2))
        return;
    if (op == SH_ROR) {
        x64_rorx(&a, wide, RAX, RDI, n & (wide ? 63 : 31));
        CHECK_IS(run(v, n), shifted(op, wide, v, n));
    } else if (op != SH_ROL) {
        x64_shiftx(&a, op, wide, RAX, RDI, RSI);
        CHECK_IS(run(v, n), shifted(op, wide, v, n));
    }
}

static void run_shifts(void)
{
    static const enum x64_shift ops[] = {SH_ROL, SH_ROR, SH_SHL, SH_SHR, SH_SAR};
    for (u32 op = 0; op < COUNT(ops); op++)
        for (u32 i = 0; i < COUNT(values); i++)
            for (u32 n = 0; n < 70; n += 23)
                for (u32 wide = 0; wide < 2; wide++)
                    run_shift(ops[op], wide, values[i], n);
    if (!(x64_features() & X64_BMI2))
        printf("left out: shlx, shrx, sarx and rorx are not executed; the CPU has no BMI2\n");
}

// rax <- the condition after comparing rdi with rsi, by way of setcc, cmovcc and a branch.
static void run_condition(enum x64_cc cc, bool wide, u64 x, u64 y, bool want)
{
    x64_reg(&a, I_XOR, false, RAX, RAX);
    x64_reg(&a, I_CMP, wide, RDI, RSI);
    x64_setcc(&a, cc, RAX);
    CHECK_IS(run(x, y), want);
    x64_mov_imm(&a, RAX, 0);
    x64_mov_imm(&a, R9, UINT64_MAX);
    x64_reg(&a, I_CMP_STORE, wide, RSI, RDI);
    x64_cmov(&a, cc, true, RAX, R9);
    CHECK_IS(run(x, y), want ? UINT64_MAX : 0);
    x64_mov_imm(&a, RAX, 7);
    x64_reg(&a, I_CMP, wide, RDI, RSI);
    u8 *skip = x64_jcc8(&a, cc);
    x64_mov_imm(&a, RAX, 8);
    x64_bind8(&a, skip);
    CHECK_IS(run(x, y), want ? 7 : 8);
}

static void run_conditions(void)
{
    for (u32 i = 0; i < COUNT(values); i++) {
        for (u32 k = 0; k < COUNT(values); k++) {
            bool wide = (i + k) & 1;
            u64 x = low(wide, values[i]), y = low(wide, values[k]);
            s64 p = wide ? (s64)x : (s32)x, q = wide ? (s64)y : (s32)y;
            const struct {
                enum x64_cc cc;
                bool want;
            } cases[] = {{CC_E, x == y},  {CC_NE, x != y}, {CC_B, x < y}, {CC_AE, x >= y},
                         {CC_BE, x <= y}, {CC_A, x > y},   {CC_L, p < q}, {CC_GE, p >= q},
                         {CC_LE, p <= q}, {CC_G, p > q}};
            u32 n = (i * 3 + k) % COUNT(cases);
            run_condition(cases[n].cc, wide, x, y, cases[n].want);
        }
    }
}

static void run_arithmetic(u64 x, u64 y, bool wide)
{
    static const struct {
        u32 insn;
        enum x64_group1 op;
    } pairs[] = {{I_ADD, G1_ADD}, {I_OR, G1_OR}, {I_AND, G1_AND}, {I_SUB, G1_SUB}, {I_XOR, G1_XOR}};
    s32 imm = (s32)y;
    u64 s = (u64)(s64)imm;
    const u64 want[][2] = {
        {x + y, x + s}, {x | y, x | s}, {x & y, x & s}, {x - y, x - s}, {x ^ y, x ^ s}};
    for (u32 i = 0; i < COUNT(pairs); i++) {
        x64_reg(&a, I_MOV_LOAD, true, RAX, RDI);
        x64_reg(&a, pairs[i].insn, wide, RAX, RSI);
        CHECK_IS(run(x, y), low(wide, want[i][0]));
        x64_reg(&a, I_MOV_LOAD, true, RAX, RDI);
        x64_imm(&a, pairs[i].op, wide, RAX, imm);
        CHECK_IS(run(x, y), low(wide, want[i][1]));
    }
    x64_imul_imm(&a, wide, RAX, RDI, imm);
    CHECK_IS(run(x, y), low(wide, x * s));
    x64_reg(&a, I_MOV_LOAD, true, RAX, RDI);
    x64_reg(&a, I_IMUL, wide, RAX, RSI);
    CHECK_IS(run(x, y), low(wide, x * y));
    x64_mem(&a, I_LEA, wide, RAX, (struct x64_operand){RDI, RSI, 3, 5});
    CHECK_IS(run(x, y), low(wide, x + y * 8 + 5));
}

static void run_bits(u64 x, bool wide)
{
    u64 v = low(wide, x);
    u32 bits = wide ? 64 : 32;
    x64_reg(&a, I_POPCNT, wide, RAX, RDI);
    CHECK_IS(run(x, 0), (u32)__builtin_popcountll(v));
    if (x64_features() & X64_LZCNT) {
        x64_reg(&a, I_LZCNT, wide, RAX, RDI);
        CHECK_IS(run(x, 0), v ? (u32)__builtin_clzll(v) - (64 - bits) : bits);
        x64_reg(&a, I_TZCNT, wide, RAX, RDI);
        CHECK_IS(run(x, 0), v ? (u32)__builtin_ctzll(v) : bits);
    }
    if (v) {
        x64_reg(&a, I_BSR, wide, RAX, RDI);
        CHECK_IS(run(x, 0), 63 - (u32)__builtin_clzll(v));
        x64_reg(&a, I_BSF, wide, RAX, RDI);
        CHECK_IS(run(x, 0), (u32)__builtin_ctzll(v));
    }
    x64_reg(&a, I_MOVSX8, wide, RAX, RDI);
    CHECK_IS(run(x, 0), low(wide, (u64)(s8)x));
    x64_reg(&a, I_MOVSX16, wide, RAX, RDI);
    CHECK_IS(run(x, 0), low(wide, (u64)(s16)x));
    x64_reg(&a, I_MOVZX8, wide, RAX, RDI); // dil, not bh
    CHECK_IS(run(x, 0), (u8)x);
    x64_reg(&a, I_MOVZX16, wide, RAX, RDI);
    CHECK_IS(run(x, 0), (u16)x);
    x64_reg(&a, I_MOVSXD, true, RAX, RDI);
    CHECK_IS(run(x, 0), (u64)(s32)x);
    x64_reg(&a, I_MOV_LOAD, wide, RAX, RDI);
    x64_group3_reg(&a, G3_NOT, wide, RAX);
    CHECK_IS(run(x, 0), low(wide, ~x));
    x64_reg(&a, I_MOV_LOAD, wide, RAX, RDI);
    x64_group3_reg(&a, G3_NEG, wide, RAX);
    CHECK_IS(run(x, 0), low(wide, -x));
    x64_mov_imm(&a, RAX, x);
    CHECK_IS(run(0, 0), x);
}

static void run_division(u64 x, u64 y)
{
    x64_reg(&a, I_MOV_LOAD, true, RAX, RDI);
    x64_reg(&a, I_XOR, false, RDX, RDX);
    x64_group3_reg(&a, G3_DIV, true, RSI);
    CHECK_IS(run(x, y), x / y);
    if ((s64)x != INT64_MIN || (s64)y != -1) {
        x64_reg(&a, I_MOV_LOAD, true, RAX, RDI);
        x64_cdq(&a, true);
        x64_group3_reg(&a, G3_IDIV, true, RSI);
        x64_reg(&a, I_MOV_LOAD, true, RAX, RDX);
        CHECK_IS(run(x, y), (u64)((s64)x % (s64)y));
    }
    x64_reg(&a, I_MOV_LOAD, true, RAX, RDI);
    x64_group3_reg(&a, G3_MUL, true, RSI);
    x64_reg(&a, I_XCHG, true, RAX, RDX);
    CHECK_IS(run(x, y), (u64)((unsigned __int128)x * y >> 64));
}

static void run_integers(void)
{
    for (u32 i = 0; i < COUNT(values); i++) {
        for (u32 wide = 0; wide < 2; wide++)
            run_bits(values[i], wide);
        for (u32 k = 0; k < COUNT(values); k++) {
            run_arithmetic(values[i], values[k], (i ^ k) & 1);
            if (values[k])
                run_division(values[i], values[k]);
        }
    }
}

static u64 bits64(f64 v)
{
    u64 b;
    memcpy(&b, &v, 8);
    return b;
}

static u32 bits32(f32 v)
{
    u32 b;
    memcpy(&b, &v, 4);
    return b;
}

static u64 run_f64(u32 insn, u32 mode, f64 x, f64 y)
{
    x64_reg(&a, insn, false, XMM0, XMM1);
    if (mode != NO_REG)
        x64_byte(&a, mode);
    return bits64(((fn_f64 *)finish())(x, y));
}

static u32 run_f32(u32 insn, u32 mode, f32 x, f32 y)
{
    x64_reg(&a, insn, false, XMM0, XMM1);
    if (mode != NO_REG)
        x64_byte(&a, mode);
    return bits32(((fn_f32 *)finish())(x, y));
}

static void run_float_pair(f64 x, f64 y)
{
    f32 p = (f32)x, q = (f32)y;
    CHECK_IS(run_f64(I_ADDSD, NO_REG, x, y), bits64(x + y));
    CHECK_IS(run_f64(I_SUBSD, NO_REG, x, y), bits64(x - y));
    CHECK_IS(run_f64(I_MULSD, NO_REG, x, y), bits64(x * y));
    CHECK_IS(run_f64(I_DIVSD, NO_REG, x, y), bits64(x / y));
    CHECK_IS(run_f64(I_MINSD, NO_REG, x, y), bits64(x < y ? x : y));
    CHECK_IS(run_f64(I_MAXSD, NO_REG, x, y), bits64(x > y ? x : y));
    CHECK_IS(run_f64(I_MOVAPS, NO_REG, x, y), bits64(y));
    CHECK_IS(run_f64(I_SQRTSD, NO_REG, x, fabs(y)), bits64(sqrt(fabs(y))));
    CHECK_IS(run_f32(I_ADDSS, NO_REG, p, q), bits32(p + q));
    CHECK_IS(run_f32(I_SUBSS, NO_REG, p, q), bits32(p - q));
    CHECK_IS(run_f32(I_MULSS, NO_REG, p, q), bits32(p * q));
    CHECK_IS(run_f32(I_DIVSS, NO_REG, p, q), bits32(p / q));
    CHECK_IS(run_f32(I_MINSS, NO_REG, p, q), bits32(p < q ? p : q));
    CHECK_IS(run_f32(I_MAXSS, NO_REG, p, q), bits32(p > q ? p : q));
    CHECK_IS(run_f32(I_SQRTSS, NO_REG, p, fabsf(q)), bits32(sqrtf(fabsf(q))));
    CHECK_IS(run_f64(I_ANDPS, NO_REG, x, y), bits64(x) & bits64(y));
    CHECK_IS(run_f64(I_ANDNPS, NO_REG, x, y), ~bits64(x) & bits64(y));
    CHECK_IS(run_f64(I_ORPS, NO_REG, x, y), bits64(x) | bits64(y));
    CHECK_IS(run_f64(I_XORPS, NO_REG, x, y), bits64(x) ^ bits64(y));
    x64_reg(&a, I_XOR, false, RAX, RAX);
    x64_reg(&a, I_UCOMISD, false, XMM0, XMM1);
    x64_setcc(&a, CC_A, RAX);
    CHECK_IS(((fn_from_f64 *)finish())(x, y), x > y);
}

// xmm0 = xmm2 op xmm1, with xmm2 = x and nothing of xmm0.
static u64 run_three(u32 insn, f64 x, f64 y)
{
    x64_reg(&a, I_MOVAPS, false, XMM2, XMM0);
    x64_reg(&a, I_XORPS, false, XMM0, XMM0);
    x64_reg(&a, x64_three(insn, XMM2), false, XMM0, XMM1);
    return bits64(((fn_f64 *)finish())(x, y));
}

static void run_float_three(f64 x, f64 y)
{
    if (!(x64_features() & X64_AVX))
        return;
    CHECK_IS(run_three(I_ADDSD, x, y), bits64(x + y));
    CHECK_IS(run_three(I_SUBSD, x, y), bits64(x - y));
    CHECK_IS(run_three(I_MULSD, x, y), bits64(x * y));
    CHECK_IS(run_three(I_DIVSD, x, y), bits64(x / y));
    CHECK_IS(run_three(I_SQRTSD, x, fabs(y)), bits64(sqrt(fabs(y))));
    CHECK_IS(run_three(I_ANDPS, x, y), bits64(x) & bits64(y));
    CHECK_IS(run_three(I_XORPS, x, y), bits64(x) ^ bits64(y));
}

static void run_float_one(f64 x)
{
    // ROUNDSD's modes: nearest even, down, up, towards zero.
    CHECK_IS(run_f64(I_ROUNDSD, 0, 0, x), bits64(rint(x)));
    CHECK_IS(run_f64(I_ROUNDSD, 1, 0, x), bits64(floor(x)));
    CHECK_IS(run_f64(I_ROUNDSD, 2, 0, x), bits64(ceil(x)));
    CHECK_IS(run_f64(I_ROUNDSD, 3, 0, x), bits64(trunc(x)));
    f32 p = (f32)x;
    CHECK_IS(run_f32(I_ROUNDSS, 0, 0, p), bits32(rintf(p)));
    CHECK_IS(run_f32(I_ROUNDSS, 1, 0, p), bits32(floorf(p)));
    CHECK_IS(run_f32(I_ROUNDSS, 2, 0, p), bits32(ceilf(p)));
    CHECK_IS(run_f32(I_ROUNDSS, 3, 0, p), bits32(truncf(p)));
    x64_reg(&a, I_CVTSD2SS, false, XMM0, XMM0);
    x64_reg(&a, I_CVTSS2SD, false, XMM0, XMM0);
    CHECK_IS(bits64(((fn_f64 *)finish())(x, 0)), bits64((f64)p));
    x64_reg(&a, I_MOVD_FROM_XMM, true, RAX, XMM0);
    CHECK_IS(bits64(x), ((fn_from_f64 *)finish())(x, 0));
    for (u32 wide = 0; wide < 2; wide++) {
        bool fits = fabs(x) < (wide ? 0x1p63 : 0x1p31);
        u64 none = wide ? 1ull << 63 : 0x80000000; // the integer indefinite
        x64_reg(&a, I_CVTTSD2SI, wide, RAX, XMM0);
        u64 want = fits ? low(wide, (u64)(s64)x) : none;
        CHECK_IS(((fn_from_f64 *)finish())(x, 0), want);
        x64_reg(&a, I_CVTSD2SS, false, XMM0, XMM0);
        x64_reg(&a, I_CVTTSS2SI, wide, RAX, XMM0);
        fits = fabsf(p) < (wide ? 0x1p63f : 0x1p31f);
        want = fits ? low(wide, (u64)(s64)p) : none;
        CHECK_IS(((fn_from_f64 *)finish())(x, 0), want);
    }
}

static void run_from_integer(u64 x, bool wide)
{
    s64 v = wide ? (s64)x : (s32)x;
    x64_reg(&a, I_CVTSI2SD, wide, XMM0, RDI);
    CHECK_IS(bits64(((fn_to_f64 *)finish())(x, 0)), bits64((f64)v));
    x64_reg(&a, I_CVTSI2SS, wide, XMM0, RDI);
    x64_reg(&a, I_CVTSS2SD, false, XMM0, XMM0);
    CHECK_IS(bits64(((fn_to_f64 *)finish())(x, 0)), bits64((f64)(f32)v));
    x64_reg(&a, I_MOVD_TO_XMM, wide, XMM0, RDI);
    CHECK_IS(bits64(((fn_to_f64 *)finish())(x, 0)), low(wide, x));
}

static void run_floats(void)
{
    static const f64 floats[] = {0.0,  -0.0,  0.5,   -0.5,   1.5,        2.5,           -2.5,
                                 1e10, -1e20, 1e300, 1e-310, 2147483647, -2147483648.0, 0.1};
    for (u32 i = 0; i < COUNT(floats); i++) {
        run_float_one(floats[i]);
        for (u32 k = 0; k < COUNT(floats); k++)
            run_float_pair(floats[i], floats[k]), run_float_three(floats[i], floats[k]);
    }
    for (u32 i = 0; i < COUNT(values); i++)
        for (u32 wide = 0; wide < 2; wide++)
            run_from_integer(values[i], wide);
}

// A function that loads and stores through each addressing form, and one that calls.
static void run_memory(void)
{
    u64 cells[8] = {0x1111, 0x2222, 0x3333, 0xfedcba9876543210};
    x64_mem(&a, I_MOV_LOAD, true, RAX, (struct x64_operand){RDI, RSI, 3, -8});
    CHECK_IS(run((u64)cells, 3), 0x3333);
    x64_mem(&a, I_MOVSX8, true, RAX, x64_at(RDI, 28));
    CHECK_IS(run((u64)cells, 0), UINT64_MAX << 8 | 0x98);
    x64_mem(&a, I_MOV_STORE8, false, RSI, x64_at(RDI, 0)); // sil
    x64_mem(&a, I_MOV_STORE16, false, RSI, x64_at(RDI, 8));
    x64_mem(&a, I_MOV_STORE, false, RSI, x64_at(RDI, 16));
    x64_mov_mem_imm(&a, 3, x64_at(RDI, 32), -2);
    x64_mov_mem_imm(&a, 1, x64_at(RDI, 40), -2);
    x64_imm_mem(&a, G1_ADD, true, x64_at(RDI, 40), 1000);
    run((u64)cells, 0xaabbccdd99887766);
    CHECK_IS(cells[0], 0x1166);
    CHECK_IS(cells[1], 0x7766);
    CHECK_IS(cells[2], 0x99887766);
    CHECK_IS(cells[4], (u64)-2);
    CHECK_IS(cells[5], 0xfffe + 1000);
    x64_push(&a, R12);
    x64_reg(&a, I_MOV_LOAD, true, R12, RDI);
    x64_mem(&a, I_MOV_LOAD, true, RAX, x64_at(R12, 0));
    x64_mem(&a, I_MOVSD_LOAD, false, XMM9, x64_at(R12, 8));
    x64_mem(&a, I_MOVSD_STORE, false, XMM9, x64_at(R12, 56));
    x64_mem(&a, I_ADD, true, RAX, x64_at(RSP, 0)); // what R12 was, added and taken away
    x64_pop(&a, R12);
    x64_reg(&a, I_SUB, true, RAX, R12);
    CHECK_IS(run((u64)cells, 0), 0x1166);
    CHECK_IS(cells[7], 0x7766);
}

int main(void)
{
    page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) {
        perror("page for code");
        return 1;
    }
    run_shifts();
    run_conditions();
    run_integers();
    run_floats();
    run_memory();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
