// SPDX-License-Identifier: MIT
// Unit test of the x86-64 encoder (target/x64/asm.h, insn.def) against a disassembler.
//
// Every row of the table and every emitter is run over all registers, both widths, memory operands
// of every shape and immediates at the edges. Each call is followed by expect(), which notes where
// the instruction ended and the text that it should have: made here from the row's mnemonic and the
// operands, as Intel writes them. At the end one run of objdump over all bytes says what they are,
// and line by line address, length and text are compared. Encodings that have a length to keep
// (short displacements and immediates) are looked at here. That the rows mean what their names say
// is for asm_run.c.
#include "target/x64/abi.h"
#include "target/x64/asm.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

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

// --- What was emitted, and what it should be

static u8 code[4 << 20];
static struct assembler a = {code};

struct line {
    u32 start;
    u32 text; // in texts
};
static struct line lines[400000];
static u32 nlines;
static char texts[24 << 20];
static u32 ntexts;
static u32 boundary; // where the latest instruction ended

// The bytes since the last boundary are one instruction, and read so.
__attribute__((format(printf, 1, 2))) static void expect(const char *format, ...)
{
    if (nlines == COUNT(lines) || sizeof texts - ntexts < 256 ||
        sizeof code - (size_t)(a.p - code) < 4096) {
        printf("the test's own buffers are too small\n");
        exit(1);
    }
    lines[nlines++] = (struct line){boundary, ntexts};
    va_list args;
    va_start(args, format);
    ntexts += (u32)vsnprintf(texts + ntexts, 256, format, args) + 1;
    va_end(args);
    boundary = (u32)(a.p - code);
}

// The length of what was emitted since the boundary; before expect().
static u32 length(void)
{
    return (u32)(a.p - code) - boundary;
}

// --- Names

static const char *const gpr_names[4][16] = {
    {"al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil", "r8b", "r9b", "r10b", "r11b", "r12b",
     "r13b", "r14b", "r15b"},
    {"ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "r8w", "r9w", "r10w", "r11w", "r12w", "r13w",
     "r14w", "r15w"},
    {"eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "r8d", "r9d", "r10d", "r11d", "r12d",
     "r13d", "r14d", "r15d"},
    {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
     "r14", "r15"},
};
static const char *const xmm_names[16] = {
    "xmm0", "xmm1", "xmm2",  "xmm3",  "xmm4",  "xmm5",  "xmm6",  "xmm7",
    "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15",
};
static const char *const cc_names[16] = {
    "o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g",
};

static const char *gpr(bool wide, u32 r)
{
    return gpr_names[wide ? 3 : 2][r];
}

static const char *disp_text(s32 disp)
{
    static char text[32];
    snprintf(text, sizeof text, "%c0x%llx", disp < 0 ? '-' : '+', llabs((long long)disp));
    return text;
}

// A displacement of zero is only seen where the encoding must have one.
static const char *memory(const char *size, struct x64_operand m)
{
    static char text[128];
    const char *const *names = gpr_names[3];
    int n = snprintf(text, sizeof text, "%s%s", size, *size ? " PTR " : "");
    char *p = text + n;
    size_t room = sizeof text - (size_t)n;
    bool shown = m.disp || (m.base & 7) == RBP;
    const char *disp = shown ? disp_text(m.disp) : "";
    if (m.index == NO_REG)
        snprintf(p, room, "[%s%s]", names[m.base], disp);
    else
        snprintf(p, room, "[%s+%s*%d%s]", names[m.base], names[m.index], 1 << m.scale, disp);
    return text;
}

// --- Memory operands of every shape

static const s32 disps[] = {0, 1, -1, 127, -128, 128, -129, INT32_MAX, INT32_MIN};
static struct x64_operand operands[4096];
static u32 noperands;

static void add_operand(u32 base, u32 index, u32 scale, s32 disp)
{
    operands[noperands++] = (struct x64_operand){(u8)base, (u8)index, (u8)scale, disp};
}

static void make_operands(void)
{
    for (u32 d = 0; d < COUNT(disps); d++) {
        for (u32 base = 0; base < 16; base++)
            add_operand(base, NO_REG, 0, disps[d]);
    }
    for (u32 index = 0; index < 16; index++) {
        if (index == RSP)
            continue; // means none
        for (u32 base = 0; base < 16; base++)
            add_operand(base, index, (base + index) & 3,
                        disps[(base * 7 + index * 4) % COUNT(disps)]);
        add_operand(RBP, index, index & 3, 0);
        add_operand(R13, index, index & 3, 0);
    }
}

// --- The table

struct row {
    const char *id, *text;
    u32 insn, flags;
};
static const struct row rows[] = {
#define W X64_W
#define B X64_B
#define RB X64_RB
#define ST X64_ST
#define XR X64_XR
#define XM X64_XM
#define N X64_N
#define INSN(id, text, prefix, map, opcode, flags) {#id, text, I_##id, flags},
#include "target/x64/insn.def"
#undef INSN
#undef W
#undef B
#undef RB
#undef ST
#undef XR
#undef XM
#undef N
};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

static bool begins_with(const char *text, const char *start)
{
    return !strncmp(text, start, strlen(start));
}

static bool is_wide(const struct row *r, bool wide)
{
    return r->flags & X64_W || (wide && !(r->flags & X64_N));
}

// log2 of the width of r/m, from the names: of conversions it is the type before the "2".
static u32 rm_log2(const struct row *r, bool wide)
{
    const char *t = r->text;
    if (ends_with(r->id, "8"))
        return 0;
    if (ends_with(r->id, "16"))
        return 1;
    if (!strcmp(t, "movsxd") || begins_with(t, "cvtss") || begins_with(t, "cvttss"))
        return 2;
    if (begins_with(t, "cvtsd") || begins_with(t, "cvttsd"))
        return 3;
    if (r->flags & X64_XR && !begins_with(t, "cvt") && !begins_with(t, "mov"))
        return ends_with(t, "ss") ? 2 : ends_with(t, "sd") ? 3 : 4;
    if (!strcmp(t, "movaps"))
        return 4;
    if (!strcmp(t, "movss") || !strcmp(t, "movsd"))
        return t[4] == 's' ? 2 : 3;
    return is_wide(r, wide) ? 3 : 2;
}

static const char *rm_size(const struct row *r, bool wide)
{
    static const char *const sizes[] = {"BYTE", "WORD", "DWORD", "QWORD", "XMMWORD"};
    return !strcmp(r->id, "LEA") ? "" : sizes[rm_log2(r, wide)];
}

static const char *row_mnemonic(const struct row *r, bool wide)
{
    return !strcmp(r->text, "movd") && wide ? "movq" : r->text;
}

static const char *row_reg(const struct row *r, bool wide, u32 reg)
{
    if (r->flags & X64_XR)
        return xmm_names[reg];
    if (r->flags & X64_B)
        return gpr_names[0][reg];
    bool word = r->flags & X64_ST && ends_with(r->id, "16");
    return word ? gpr_names[1][reg] : gpr(is_wide(r, wide), reg);
}

static const char *row_rm(const struct row *r, bool wide, u32 rm)
{
    return r->flags & X64_XM ? xmm_names[rm] : gpr_names[rm_log2(r, wide)][rm];
}

static void row_expect(const struct row *r, bool wide, const char *reg, const char *rm)
{
    const char *mode = "";
    if (begins_with(r->text, "round")) {
        x64_byte(&a, 3);
        mode = ",0x3";
    }
    bool stores = r->flags & X64_ST;
    expect("%s %s,%s%s", row_mnemonic(r, wide), stores ? rm : reg, stores ? reg : rm, mode);
}

static void row_registers(const struct row *r, bool wide)
{
    u32 reg_base = r->flags & X64_XR ? XMM0 : 0, rm_base = r->flags & X64_XM ? XMM0 : 0;
    for (u32 i = 0; i < 256; i++) {
        u32 reg = i & 15, rm = i >> 4;
        x64_reg(&a, r->insn, wide, reg_base + reg, rm_base + rm);
        row_expect(r, wide, row_reg(r, wide, reg), row_rm(r, wide, rm));
    }
}

// All operands for one row, a good part of them for the others.
static void row_memory(const struct row *r, bool wide, u32 step, u32 from)
{
    u32 reg_base = r->flags & X64_XR ? XMM0 : 0;
    for (u32 i = from % step; i < noperands; i += step) {
        u32 reg = (i / step) & 15;
        x64_mem(&a, r->insn, wide, reg_base + reg, operands[i]);
        row_expect(r, wide, row_reg(r, wide, reg), memory(rm_size(r, wide), operands[i]));
    }
}

static void test_table(void)
{
    for (u32 i = 0; i < COUNT(rows); i++) {
        for (u32 wide = 0; wide < 2; wide++) {
            if (rows[i].insn != I_LEA)
                row_registers(&rows[i], wide);
            row_memory(&rows[i], wide, rows[i].insn == I_MOV_LOAD ? 1 : 7, i * 2 + wide);
        }
    }
}

// --- Vectors

static const struct vector_row {
    const char *text;
    u32 insn, flags, bytes;
    bool imm, vex;
} vectors[] = {
#define W X64_W
#define ST X64_ST
#define XR X64_XR
#define XM X64_XM
#define N X64_N
#define VV (XR | XM | N)
#define VECTOR(id, text, prefix, map, opcode, flags, bytes, imm)                                   \
    {text, I_##id, flags, bytes, imm, false},
#define VEX_VECTOR(id, text, prefix, map, opcode, flags, bytes, imm)                               \
    {text, I_##id, flags, bytes, imm, true},
#include "target/x64/vector.def"
#undef VECTOR
#undef VEX_VECTOR
#undef VV
#undef W
#undef ST
#undef XR
#undef XM
#undef N
};

// With one operand beside the result: a VEX prefix then says none.
static bool is_unary(const struct vector_row *r)
{
    static const char *const names[] = {"mov",     "sqrt",  "cvt",   "round", "pshufd",
                                        "pshuflw", "pabs",  "pmovs", "pmovz", "pmovm",
                                        "ptest",   "pextr", "broa",  "pbroa"};
    for (u32 i = 0; i < COUNT(names); i++)
        if (begins_with(r->text, names[i]))
            return true;
    return false;
}

enum { VECTOR_IMM = 0x2b };

// The operands, and the byte that follows.
static void vector_expect(const struct vector_row *r, bool wide, bool vex, const char *reg,
                          const char *first, const char *rm)
{
    char mode[16] = "", name[24];
    if (begins_with(r->text, "blendv")) {
        x64_byte(&a, 5 << 4);
        snprintf(mode, sizeof mode, ",%s", xmm_names[5]);
    } else if (r->imm) {
        x64_byte(&a, VECTOR_IMM);
        snprintf(mode, sizeof mode, ",0x%x", VECTOR_IMM);
    }
    snprintf(name, sizeof name, "%s%s", vex ? "v" : "", r->text);
    if (wide && ends_with(name, "d"))
        name[strlen(name) - 1] = 'q';
    bool stores = r->flags & X64_ST;
    const char *comma = *first ? "," : "";
    expect("%s %s%s%s,%s%s", name, stores ? rm : reg, comma, first, stores ? reg : rm, mode);
}

static const char *vector_name(u32 flag, bool wide, u32 r)
{
    return flag ? xmm_names[r] : gpr(wide, r);
}

static void vector_forms(const struct vector_row *r, bool wide)
{
    static const char *const sizes[] = {"BYTE", "WORD", "DWORD", "QWORD", "XMMWORD"};
    u32 xr = r->flags & X64_XR, xm = r->flags & X64_XM, bytes = wide ? 8 : r->bytes;
    bool unary = is_unary(r);
    for (u32 i = 0; i < 256; i++) {
        u32 reg = i & 15, rm = i >> 4, first = (reg * 5 + rm * 3) & 15;
        u32 to = reg + (xr ? XMM0 : 0), from = rm + (xm ? XMM0 : 0);
        if (!r->vex) {
            x64_reg(&a, r->insn, wide, to, from);
            vector_expect(r, wide, false, vector_name(xr, wide, reg), "",
                          vector_name(xm, wide, rm));
        }
        if (!xr || !xm)
            continue;
        x64_reg(&a, x64_three(r->insn, unary ? 0 : first), false, to, from);
        vector_expect(r, false, true, xmm_names[reg], unary ? "" : xmm_names[first], xmm_names[rm]);
    }
    for (u32 i = 0; i < noperands && bytes; i += 11) {
        u32 reg = (i * 3) & 15, first = (i / 11) & 15;
        const char *m = memory(sizes[__builtin_ctz(bytes)], operands[i]);
        if (!r->vex) {
            x64_mem(&a, r->insn, wide, reg + XMM0, operands[i]);
            vector_expect(r, wide, false, xmm_names[reg], "", m);
        }
        if (!xm || r->flags & X64_ST)
            continue;
        x64_mem(&a, x64_three(r->insn, unary ? 0 : first), false, reg + XMM0, operands[i]);
        vector_expect(r, false, true, xmm_names[reg], unary ? "" : xmm_names[first], m);
    }
}

static void test_vectors(void)
{
    for (u32 i = 0; i < COUNT(vectors); i++)
        for (u32 wide = 0; wide < 1u + !(vectors[i].flags & X64_N); wide++)
            vector_forms(&vectors[i], wide);
}

// The short way to [rsp + disp], which always has a displacement.
static void test_frame(void)
{
    for (u32 i = 0; i < COUNT(rows) * COUNT(disps) * 2; i++) {
        const struct row *r = &rows[i / 2 / COUNT(disps)];
        u32 reg = (i * 7) & 15;
        bool wide = !(r->flags & X64_N) && (i & 1);
        s32 disp = disps[i / 2 % COUNT(disps)];
        if (r->flags & (X64_W | X64_B) || (r->insn >> 8 & 0xff) > 1)
            continue;
        x64_frame(&a, r->insn, wide, reg + (r->flags & X64_XR ? XMM0 : 0), disp);
        const char *m = memory(rm_size(r, wide), x64_at(RSP, disp));
        char text[64];
        snprintf(text, sizeof text, "%.*s+0x0]", (int)strlen(m) - 1, m);
        row_expect(r, wide, row_reg(r, wide, reg), disp ? m : text);
    }
}

// Bytes of `mov reg, [m]`.
static u32 load_length(u32 base, u32 index, s32 disp)
{
    struct assembler b = {(u8[32]){0}};
    u8 *start = b.p;
    x64_mem(&b, I_MOV_LOAD, false, RAX, (struct x64_operand){(u8)base, (u8)index, 0, disp});
    return (u32)(b.p - start);
}

static void test_displacements(void)
{
    for (u32 base = 0; base < 8; base++) {
        u32 sib = base == RSP, full = base == RBP;
        CHECK_IS(load_length(base, NO_REG, 0), 2 + sib + full);
        CHECK_IS(load_length(base | 8, NO_REG, 0), 3 + sib + full);
        CHECK_IS(load_length(base, RDX, 0), 3 + full);
        static const struct {
            s32 disp;
            u32 bytes;
        } edges[] = {{1, 1},   {-1, 1},   {127, 1},       {-128, 1},
                     {128, 4}, {-129, 4}, {INT32_MAX, 4}, {INT32_MIN, 4}};
        for (u32 i = 0; i < COUNT(edges); i++) {
            CHECK_IS(load_length(base, NO_REG, edges[i].disp), 2 + sib + edges[i].bytes);
            CHECK_IS(load_length(base, RDX, edges[i].disp), 3 + edges[i].bytes);
        }
    }
    struct x64_operand m = x64_at(R13, -5);
    CHECK_IS(m.base == R13 && m.index == NO_REG && !m.scale && m.disp == -5, 1);
}

// --- Immediates

static const s32 imms[] = {0,     1,     -1,         127,       -128,      128,
                           -129,  255,   256,        32767,     32768,     -32768,
                           65535, 65536, 0x7ffffffe, INT32_MAX, INT32_MIN, INT32_MIN + 1};

// As objdump writes a sign-extended immediate of a width.
static u64 extended(u32 log2, s32 imm)
{
    return log2 == 3 ? (u64)(s64)imm
                     : (u32)imm & (log2 == 2 ? UINT32_MAX : (1u << (8u << log2)) - 1);
}

static u32 imm_length(s32 imm)
{
    return imm >= -128 && imm <= 127 ? 1 : 4;
}

static const struct {
    enum x64_group1 op;
    const char *name;
} group1[] = {{G1_ADD, "add"}, {G1_OR, "or"},   {G1_AND, "and"},
              {G1_SUB, "sub"}, {G1_XOR, "xor"}, {G1_CMP, "cmp"}};

static void group1_registers(u32 op, bool wide)
{
    for (u32 i = 0; i < COUNT(imms); i++) {
        for (u32 r = 0; r < 16; r++) {
            x64_imm(&a, group1[op].op, wide, r, imms[i]);
            u32 modrm = r != RAX || imm_length(imms[i]) == 1;
            CHECK_IS(length(), 1 + (wide || r > 7) + modrm + imm_length(imms[i]));
            expect("%s %s,0x%llx", group1[op].name, gpr(wide, r),
                   (unsigned long long)extended(wide ? 3 : 2, imms[i]));
        }
    }
}

static void group1_memory(u32 op, bool wide)
{
    for (u32 i = op * 2 + wide; i < noperands; i += 12) {
        s32 imm = imms[(i / 12) % COUNT(imms)];
        x64_imm_mem(&a, group1[op].op, wide, operands[i], imm);
        expect("%s %s,0x%llx", group1[op].name, memory(wide ? "QWORD" : "DWORD", operands[i]),
               (unsigned long long)extended(wide ? 3 : 2, imm));
    }
}

static void test_group1(void)
{
    for (u32 op = 0; op < COUNT(group1); op++) {
        for (u32 wide = 0; wide < 2; wide++) {
            group1_registers(op, wide);
            group1_memory(op, wide);
        }
    }
}

static void test_mov_imm(void)
{
    static const struct {
        u64 imm;
        u32 bytes; // without a REX prefix for the register
    } moves[] = {
        {0, 5},          {1, 5},           {0x7f, 5},
        {0x80, 5},       {INT32_MAX, 5},   {0x80000000, 5},
        {UINT32_MAX, 5}, {UINT64_MAX, 7},  {(u64)INT32_MIN, 7},
        {(u64)-128, 7},  {1ull << 32, 10}, {(u64)INT32_MIN - 1, 10},
        {INT64_MAX, 10}, {1ull << 63, 10}, {0x123456789abcdef0, 10},
    };
    for (u32 i = 0; i < COUNT(moves); i++) {
        for (u32 r = 0; r < 16; r++) {
            u32 bytes = moves[i].bytes;
            x64_mov_imm(&a, r, moves[i].imm);
            CHECK_IS(length(), bytes + (bytes == 5 && r > 7));
            expect("%s %s,0x%llx", bytes == 10 ? "movabs" : "mov", gpr(bytes != 5, r),
                   (unsigned long long)moves[i].imm);
        }
    }
}

static void test_mov_mem_imm(void)
{
    static const char *const sizes[] = {"BYTE", "WORD", "DWORD", "QWORD"};
    for (u32 i = 0; i < noperands; i++) {
        u32 log2 = (i / 4) & 3;
        s32 imm = imms[(i / 16) % COUNT(imms)];
        x64_mov_mem_imm(&a, log2, operands[i], imm);
        expect("mov %s,0x%llx", memory(sizes[log2], operands[i]),
               (unsigned long long)extended(log2, imm));
    }
}

static void test_imul_imm(void)
{
    for (u32 i = 0; i < COUNT(imms) * 256; i++) {
        bool wide = i % 3 == 0;
        u32 reg = i & 15, rm = i >> 4 & 15;
        s32 imm = imms[i >> 8];
        x64_imul_imm(&a, wide, reg, rm, imm);
        CHECK_IS(length(), 2 + (wide || reg > 7 || rm > 7) + imm_length(imm));
        expect("imul %s,%s,0x%llx", gpr(wide, reg), gpr(wide, rm),
               (unsigned long long)extended(wide ? 3 : 2, imm));
    }
}

static void test_lea_scaled(void)
{
    for (u32 i = 0; i < 16 * 16 * 4 * 2; i++) {
        u32 reg = i & 15, index = i >> 4 & 15, scale = i >> 8 & 3;
        bool wide = i >> 10;
        if (index == RSP)
            continue;
        x64_lea_scaled(&a, wide, reg, index, scale);
        expect("lea %s,[%s*%d+0x0]", gpr(wide, reg), gpr(true, index), 1 << scale);
    }
}

static void test_test_imm(void)
{
    for (u32 i = 0; i < COUNT(imms) * 32; i++) {
        bool wide = i & 16;
        x64_test_imm(&a, wide, i & 15, imms[i >> 5]);
        expect("test %s,0x%llx", gpr(wide, i & 15),
               (unsigned long long)extended(wide ? 3 : 2, imms[i >> 5]));
    }
    for (u32 r = 0; r < 16; r++) {
        x64_test_imm8(&a, r, 0x80 | r);
        expect("test %s,0x%x", gpr_names[0][r], 0x80 | r);
    }
    for (u32 i = 0; i < noperands; i++) {
        u32 imm = 0x80 | i % 64;
        x64_cmp8_mem(&a, operands[i], imm);
        expect("cmp %s,0x%x", memory("BYTE", operands[i]), imm);
        x64_test_mem(&a, true, false, operands[i], imm);
        expect("test %s,0x%x", memory("BYTE", operands[i]), imm);
        x64_test_mem(&a, false, false, operands[i], imm << 24 | imm);
        expect("test %s,0x%x", memory("DWORD", operands[i]), imm << 24 | imm);
    }
}

// --- Shifts, one-operand instructions, conditions

static void test_shifts(void)
{
    static const struct {
        enum x64_shift op;
        const char *name;
    } shifts[] = {
        {SH_ROL, "rol"}, {SH_ROR, "ror"}, {SH_SHL, "shl"}, {SH_SHR, "shr"}, {SH_SAR, "sar"}};
    for (u32 i = 0; i < COUNT(shifts) * 32; i++) {
        bool wide = i & 16;
        u32 r = i & 15, op = i >> 5;
        for (u32 count = 0; count < (wide ? 64 : 32); count += count < 2 ? 1 : 29) {
            x64_shift_imm(&a, shifts[op].op, wide, r, count);
            expect("%s %s,0x%x", shifts[op].name, gpr(wide, r), count);
        }
        x64_shift_cl(&a, shifts[op].op, wide, r);
        expect("%s %s,cl", shifts[op].name, gpr(wide, r));
    }
}

static void test_vex(void)
{
    for (u32 i = 0; i < 2 * 16 * 16 * 16; i++) {
        bool wide = i & 1;
        u32 reg = i >> 1 & 15, rm = i >> 5 & 15, count = i >> 9;
        const char *d = gpr(wide, reg), *s = gpr(wide, rm), *c = gpr(wide, count);
        // Each operation takes its turn with every register in every place.
        switch ((reg + rm + count) % 4) {
        case 0:
            x64_shiftx(&a, SH_SHL, wide, reg, rm, count);
            expect("shlx %s,%s,%s", d, s, c);
            break;
        case 1:
            x64_shiftx(&a, SH_SHR, wide, reg, rm, count);
            expect("shrx %s,%s,%s", d, s, c);
            break;
        case 2:
            x64_shiftx(&a, SH_SAR, wide, reg, rm, count);
            expect("sarx %s,%s,%s", d, s, c);
            break;
        default: x64_rorx(&a, wide, reg, rm, count * 4); expect("rorx %s,%s,0x%x", d, s, count * 4);
        }
    }
}

// Three operands: of the rows between xmm registers, one of two prefixes by the registers.
static void test_three(void)
{
    for (u32 i = 0; i < COUNT(rows); i++) {
        const struct row *r = &rows[i];
        if (!(r->flags & X64_XR && r->flags & X64_XM) || begins_with(r->text, "mov") ||
            begins_with(r->text, "ucomi"))
            continue;
        const char *mode = begins_with(r->text, "round") ? ",0x3" : "";
        for (u32 k = 0; k < 16 * 16 * 16 + noperands; k += 5) {
            u32 reg = k & 15, first = k >> 4 & 15, rm = k >> 8 & 15;
            bool in_memory = k >= 16 * 16 * 16;
            struct x64_operand m = operands[in_memory ? k - 16 * 16 * 16 : 0];
            if (in_memory)
                x64_mem(&a, x64_three(r->insn, XMM0 + first), false, XMM0 + reg, m);
            else
                x64_reg(&a, x64_three(r->insn, XMM0 + first), false, XMM0 + reg, XMM0 + rm);
            if (*mode)
                x64_byte(&a, 3);
            else if (!in_memory && (r->insn >> 8 & 0xff) == 1)
                CHECK_IS(length(), rm < 8 ? 4 : 5);
            expect("v%s %s,%s,%s%s", r->text, xmm_names[reg], xmm_names[first],
                   in_memory ? memory(rm_size(r, false), m) : xmm_names[rm], mode);
        }
    }
}

static void test_group3(void)
{
    static const struct {
        enum x64_group3 op;
        const char *name;
    } ops[] = {{G3_NOT, "not"},   {G3_NEG, "neg"}, {G3_MUL, "mul"},
               {G3_IMUL, "imul"}, {G3_DIV, "div"}, {G3_IDIV, "idiv"}};
    for (u32 i = 0; i < COUNT(ops) * 32; i++) {
        bool wide = i & 16;
        x64_group3_reg(&a, ops[i >> 5].op, wide, i & 15);
        expect("%s %s", ops[i >> 5].name, gpr(wide, i & 15));
    }
    x64_cdq(&a, false);
    expect("cdq");
    x64_cdq(&a, true);
    expect("cqo");
}

static void test_conditions(void)
{
    for (u32 cc = 0; cc < 16; cc++) {
        for (u32 r = 0; r < 16; r++) {
            x64_setcc(&a, (enum x64_cc)cc, r);
            expect("set%s %s", cc_names[cc], gpr_names[0][r]);
        }
        for (u32 i = 0; i < 512; i++) {
            bool wide = i >> 8;
            x64_cmov(&a, (enum x64_cc)cc, wide, i & 15, i >> 4 & 15);
            expect("cmov%s %s,%s", cc_names[cc], gpr(wide, i & 15), gpr(wide, i >> 4 & 15));
        }
    }
}

static void test_one_register(void)
{
    for (u32 r = 0; r < 16; r++) {
        x64_push(&a, r);
        expect("push %s", gpr(true, r));
        x64_pop(&a, r);
        expect("pop %s", gpr(true, r));
        x64_call_reg(&a, r);
        expect("call %s", gpr(true, r));
        x64_jmp_reg(&a, r);
        expect("jmp %s", gpr(true, r));
    }
    for (u32 i = 0; i < noperands; i += 3) {
        x64_call_mem(&a, operands[i]);
        expect("call %s", memory("QWORD", operands[i]));
    }
}

// --- Branches

static u32 offset_of_target(const u8 *target)
{
    return (u32)(target - code);
}

static void nops(u32 n)
{
    for (u32 i = 0; i < n; i++) {
        x64_byte(&a, 0x90);
        expect("nop");
    }
}

// Distances from the end of a short branch back to its target.
static const u32 backward[] = {2, 3, 127, 128, 129, 130, 4000};

static void test_backward(void)
{
    nops(4096);
    for (u32 i = 0; i < COUNT(backward); i++) {
        const u8 *target = a.p + 2 - backward[i];
        bool is_short = backward[i] <= 128;
        x64_jmp_back(&a, target);
        CHECK_IS(length(), is_short ? 2 : 5);
        expect("jmp 0x%x", offset_of_target(target));
        for (u32 cc = 0; cc < 16; cc++) {
            target = a.p + 2 - backward[i];
            x64_jcc_back(&a, (enum x64_cc)cc, target);
            CHECK_IS(length(), is_short ? 2 : 6);
            expect("j%s 0x%x", cc_names[cc], offset_of_target(target));
        }
    }
}

// Patched to there, behind and ahead of the branch.
static void near_to(const u8 *target)
{
    x64_patch(x64_jmp(&a), target);
    expect("jmp 0x%x", offset_of_target(target));
    x64_patch(x64_call(&a), target);
    expect("call 0x%x", offset_of_target(target));
    for (u32 cc = 0; cc < 16; cc++) {
        x64_patch(x64_jcc(&a, (enum x64_cc)cc), target);
        expect("j%s 0x%x", cc_names[cc], offset_of_target(target));
    }
}

static void test_near(void)
{
    near_to(code);
    near_to(a.p);
    near_to(code + sizeof code);
    x64_jmp(&a);
    expect("jmp 0x%x", boundary + 5);
}

static void test_short(void)
{
    static const u32 distances[] = {0, 1, 126, 127};
    for (u32 i = 0; i < COUNT(distances); i++) {
        for (u32 cc = 0; cc <= 16; cc++) {
            u8 *rel8 = cc == 16 ? x64_jmp8(&a) : x64_jcc8(&a, (enum x64_cc)cc);
            u32 target = (u32)(a.p - code) + distances[i];
            CHECK_IS(length(), 2);
            expect("j%s 0x%x", cc == 16 ? "mp" : cc_names[cc], target);
            nops(distances[i]);
            x64_bind8(&a, rel8);
        }
    }
}

static void test_ends(void)
{
    static const u32 pops[] = {8, 16, 255, 256, 0x7ff0, 0x8000, 0xfff0};
    x64_ret(&a, 0);
    expect("ret");
    for (u32 i = 0; i < COUNT(pops); i++) {
        x64_ret(&a, pops[i]);
        expect("ret 0x%x", pops[i]);
    }
    for (u32 trap = 1; trap < 32; trap++) { // the number is no instruction
        u8 *start = a.p;
        x64_trap(&a, trap);
        CHECK_IS(a.p - start, 3);
        CHECK_IS(start[0] | start[1] << 8 | start[2] << 16, 0x0b0f | trap << 16);
        a.p = start;
    }
    x64_trap(&a, 0x90);
    CHECK_IS(length(), 3);
    a.p--;
    expect("ud2");
    a.p++;
    expect("nop");
}

// --- The disassembler

// "  1f:\tadd    eax,ecx   # ..." to "add eax,ecx"; its address to *start. False: another line.
static bool normalise(char *line, u32 *start)
{
    char *p;
    *start = (u32)strtoul(line, &p, 16);
    if (p == line || *p != ':')
        return false;
    char *out = line, *comment = strchr(p, '#');
    if (comment)
        *comment = 0;
    for (p++; *p; p++) {
        if (!isspace((unsigned char)*p))
            *out++ = *p;
        else if (out > line && out[-1] != ' ')
            *out++ = ' ';
    }
    while (out > line && out[-1] == ' ')
        out--;
    *out = 0;
    return true;
}

static void differ(u32 at, const char *got)
{
    static u32 latest = UINT32_MAX;
    u32 end = at + 1 < nlines ? lines[at + 1].start : boundary;
    if (at == latest)
        return;
    latest = at;
    failed++;
    if (failed > 40)
        return;
    printf("want: %s\n got: %s\n     ", texts + lines[at].text, got);
    for (u32 i = lines[at].start; i < end; i++)
        printf(" %02x", code[i]);
    printf("\n");
}

// Both lists go by ascending addresses. One that only the disassembler has means that it saw an
// instruction end elsewhere, and then the next of ours is missing or reads differently.
static u32 compare(FILE *objdump)
{
    char line[512];
    u32 at = 0, start, seen = 0;
    while (at < nlines && fgets(line, sizeof line, objdump)) {
        if (!normalise(line, &start))
            continue;
        seen++;
        for (; at < nlines && lines[at].start < start; at++)
            differ(at, "an instruction that began earlier");
        if (at == nlines)
            break;
        if (lines[at].start > start) {
            differ(at - (at > 0), "ends too early");
            continue;
        }
        if (!strcmp(line, texts + lines[at].text))
            passed++;
        else
            differ(at, line);
        at++;
    }
    if (seen && at < nlines)
        differ(at, "nothing");
    return seen;
}

static void disassemble(void)
{
    int fd = memfd_create("code", 0);
    char command[160];
    // Behind the last instruction, so that it is seen to end.
    memset(a.p, 0x90, 16);
    size_t size = boundary + 16;
    if (fd < 0 || write(fd, code, size) != (ssize_t)size) {
        failed++;
        perror("code for objdump");
        return;
    }
    snprintf(command, sizeof command,
             "command -v objdump >/dev/null || exit 127;"
             " objdump -D -z -b binary -m i386:x86-64 -M intel -w --no-show-raw-insn /dev/fd/%d",
             fd);
    fflush(stdout);
    FILE *objdump = popen(command, "r");
    u32 seen = objdump ? compare(objdump) : 0;
    // It may be stopped in the middle by the end of the pipe, so its status says nothing more.
    int how = objdump ? pclose(objdump) : -1;
    close(fd);
    if (seen)
        return;
    if (WIFEXITED(how) && WEXITSTATUS(how) == 127) {
        printf("left out: %u instructions that objdump should read; there is none\n", nlines);
        return;
    }
    failed++;
    printf("objdump gave no instructions\n");
}

// --- The places of arguments (abi.h)
static void test_abi(void)
{
    valtype types[24];
    struct functype t = {.types = types, .nparams = 18, .nresults = 5};
    for (u32 i = 0; i < 18; i++)
        types[i] = i & 1 ? TYPE_F64 : i & 2 ? TYPE_I64 : TYPE_FUNCREF;
    for (u32 i = 18; i < 23; i++)
        types[i] = TYPE_I32;
    struct abi_state s = {0};
    for (u32 i = 0; i < 18; i++) {
        struct abi_place p = abi_next(&s, types[i]);
        u32 nth = i / 2;
        bool stack = nth >= (i & 1 ? 8u : 6u);
        CHECK_IS(p.where, stack ? ABI_STACK : i & 1 ? ABI_XMM : ABI_GPR);
        if (!stack)
            CHECK_IS(p.index, nth);
    }
    // Cells: integers 7 to 9, and the last double, in the order in which they come.
    CHECK_IS(s.cells, 4);
    CHECK_IS(abi_stack_of(&t).args, 32);
    CHECK_IS(abi_stack_of(&t).results, 32);
    t.nresults = 2;
    CHECK_IS(abi_stack_of(&t).results, 16);
    t.nresults = 1;
    CHECK_IS(abi_stack_of(&t).results, 0);
    types[0] = TYPE_V128;
    CHECK_IS(abi_next(&(struct abi_state){.xmms = 8}, TYPE_V128).where, ABI_STACK);
    s = (struct abi_state){.xmms = 8};
    abi_next(&s, TYPE_V128);
    CHECK_IS(s.cells, 2);
}

int main(void)
{
    make_operands();
    test_table();
    test_vectors();
    test_frame();
    test_displacements();
    test_group1();
    test_mov_imm();
    test_mov_mem_imm();
    test_imul_imm();
    test_lea_scaled();
    test_test_imm();
    test_shifts();
    test_vex();
    test_three();
    test_group3();
    test_conditions();
    test_one_register();
    test_backward();
    test_near();
    test_short();
    test_ends();
    test_abi();
    disassemble();
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
