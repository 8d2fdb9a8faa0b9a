// SPDX-License-Identifier: MIT
// The x86-64 encoder: writes instructions, knows nothing else.
//
// insn.def lists the instructions with a ModRM operand; x64_reg and x64_mem encode any of them with
// a register or a memory operand (asm.c). What does not fit the table (immediates, shifts,
// branches, VEX) has a function of its own. What is short, or frequent, is inline here.
//
// Registers are numbered as in the manual: 0-15 rax rcx rdx rbx rsp rbp rsi rdi r8-r15, and 16-31
// xmm0-xmm15.
//
// Room: emitters do not check. Whoever drives them makes sure that ASM_SLACK bytes are left before
// each step.
#pragma once
#include "base/types.h"

struct assembler {
    u8 *p;
};
#define ASM_MAX_INSN 16

enum x64_register {
    RAX,
    RCX,
    RDX,
    RBX,
    RSP,
    RBP,
    RSI,
    RDI,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    XMM0,
    XMM1,
    XMM2,
    XMM3,
    XMM4,
    XMM5,
    XMM6,
    XMM7,
    XMM8,
    XMM9,
    XMM10,
    XMM11,
    XMM12,
    XMM13,
    XMM14,
    XMM15,
    NO_REG = 0xff,
};

enum x64_flag {
    X64_W = 1,
    X64_B = 2,
    X64_RB = 4,
    X64_ST = 8,
    X64_XR = 16,
    X64_XM = 32,
    X64_N = 64
};

// prefix | map << 8 | opcode << 16 | flags << 24; with three operands also first << 10 | X64_VEX
enum x64_insn {
#define W X64_W
#define B X64_B
#define RB X64_RB
#define ST X64_ST
#define XR X64_XR
#define XM X64_XM
#define N X64_N
#define INSN(id, text, prefix, map, opcode, flags)                                                 \
    I_##id = prefix | map << 8 | opcode << 16 | (flags) << 24,
#include "target/x64/insn.def"
#define VV (XR | XM | N)
#define VECTOR(id, text, prefix, map, opcode, flags, bytes, imm)                                   \
    INSN(id, text, prefix, map, opcode, flags)
#define VEX_VECTOR VECTOR
#include "target/x64/vector.def"
#undef VEX_VECTOR
#undef VECTOR
#undef VV
#undef INSN
#undef W
#undef B
#undef RB
#undef ST
#undef XR
#undef XM
#undef N
};

// Conditions, as in jcc, setcc and cmovcc.
enum x64_cc {
    CC_O,
    CC_NO,
    CC_B,
    CC_AE,
    CC_E,
    CC_NE,
    CC_BE,
    CC_A,
    CC_S,
    CC_NS,
    CC_P,
    CC_NP,
    CC_L,
    CC_GE,
    CC_LE,
    CC_G,
};

// base + (index << scale) + disp; index NO_REG: none.
struct x64_operand {
    u8 base, index, scale;
    s32 disp;
};

static inline void x64_byte(struct assembler *a, u32 b)
{
    *a->p++ = (u8)b;
}

static inline void x64_u32(struct assembler *a, u32 v)
{
    store_u32(a->p, v);
    a->p += 4;
}

static inline void x64_u64(struct assembler *a, u64 v)
{
    store_u64(a->p, v);
    a->p += 8;
}

// Prefix, REX, map and opcode at p; returns the end. r, x, b: full register numbers for the ModRM
// reg, SIB index and r/m or base fields. (The position is a local variable because a store of a
// byte might change a->p, as far as the compiler can know.)
static inline u8 *x64_opcode_at(u8 *p, u32 insn, bool wide, u32 r, u32 x, u32 b, bool force_rex)
{
    u32 prefix = insn & 0xff, map = insn >> 8 & 0xff, flags = insn >> 24;
    *p = (u8)prefix;
    p += prefix != 0;
    u32 w = (flags & X64_W) || (wide && !(flags & X64_N)) ? 8 : 0;
    u32 rex = 0x40 | w | (r >> 1 & 4) | (x >> 2 & 2) | (b >> 3 & 1);
    *p = (u8)rex;
    p += rex != 0x40 || force_rex;
    *p = 0x0f;
    p += map != 0;
    *p = map == 2 ? 0x38 : 0x3a;
    p += map > 1;
    *p = (u8)(insn >> 16);
    return p + 1;
}

static inline void x64_opcode(struct assembler *a, u32 insn, bool wide, u32 r, u32 x, u32 b,
                              bool force_rex)
{
    a->p = x64_opcode_at(a->p, insn, wide, r, x, b, force_rex);
}

// insn reg, rm with rm a register. wide: 64-bit operands (where the instruction has a choice).
void x64_reg(struct assembler *a, u32 insn, bool wide, u32 reg, u32 rm);

// insn reg, [m].
void x64_mem(struct assembler *a, u32 insn, bool wide, u32 reg, struct x64_operand m);

// The same with three operands (AVX), for instructions with xmm registers: reg = first insn r/m.
#define X64_VEX 0x8000u
static inline u32 x64_three(u32 insn, u32 first)
{
    return insn | X64_VEX | (first & 15) << 10;
}

// insn reg, [rip + ...]: returns the disp32, to be filled in by x64_patch (no immediate follows).
u8 *x64_rip(struct assembler *a, u32 insn, bool wide, u32 reg);

static inline struct x64_operand x64_at(u32 base, s32 disp)
{
    return (struct x64_operand){(u8)base, NO_REG, 0, disp};
}

// x64_mem for [rsp + disp], which is the most frequent one. The instruction is a constant of map 0
// or 1, without W or B among its flags.
static inline void x64_frame(struct assembler *a, u32 insn, bool wide, u32 reg, s32 disp)
{
    u8 *p = x64_opcode_at(a->p, insn, wide, reg & 15, 0, 0, false);
    bool small = disp == (s8)disp;
    u32 modrm = (small ? 0x44 : 0x84) | (reg & 7) << 3;
    store_u64(p, modrm | 0x24 << 8 | (u64)(u32)disp << 16);
    a->p = p + (small ? 3 : 6);
}

// lea reg, [index << scale]: no register besides.
static inline void x64_lea_scaled(struct assembler *a, bool wide, u32 reg, u32 index, u32 scale)
{
    x64_opcode(a, 0x8d << 16, wide, reg, index, 0, false);
    x64_byte(a, (reg & 7) << 3 | 4);
    x64_byte(a, scale << 6 | (index & 7) << 3 | 5);
    x64_u32(a, 0);
}

// --- Immediates. The group-1 operations: ADD OR ADC SBB AND SUB XOR CMP = 0..7.
enum x64_group1 { G1_ADD, G1_OR, G1_ADC, G1_SBB, G1_AND, G1_SUB, G1_XOR, G1_CMP };

void x64_imm(struct assembler *a, enum x64_group1 op, bool wide, u32 rm, s32 imm);

void x64_imm_mem(struct assembler *a, enum x64_group1 op, bool wide, struct x64_operand m, s32 imm);

// cmp byte [m], imm; test byte [m], imm; test dword [m], imm.
void x64_cmp8_mem(struct assembler *a, struct x64_operand m, u32 imm);
void x64_test_mem(struct assembler *a, bool byte, bool wide, struct x64_operand m, u32 imm);

// mov reg, imm; the flags survive.
void x64_mov_imm(struct assembler *a, u32 reg, u64 imm);

// mov [m], imm of 1 << log2 bytes; 8-byte ones are sign-extended from 32 bits.
void x64_mov_mem_imm(struct assembler *a, u32 log2, struct x64_operand m, s32 imm);

void x64_imul_imm(struct assembler *a, bool wide, u32 reg, u32 rm, s32 imm);

// Shifts and rotates: ROL ROR SHL SHR SAR = 0 1 4 5 7.
enum x64_shift { SH_ROL, SH_ROR, SH_SHL = 4, SH_SHR, SH_SAR = 7 };

static inline void x64_shift_imm(struct assembler *a, enum x64_shift op, bool wide, u32 rm,
                                 u32 count)
{
    x64_opcode(a, 0xc1 << 16, wide, 0, 0, rm, false);
    x64_byte(a, 0xc0 | op << 3 | (rm & 7));
    x64_byte(a, count);
}

static inline void x64_shift_cl(struct assembler *a, enum x64_shift op, bool wide, u32 rm)
{
    x64_opcode(a, 0xd3 << 16, wide, 0, 0, rm, false);
    x64_byte(a, 0xc0 | op << 3 | (rm & 7));
}

// Group 3 (F7): NOT NEG MUL IMUL DIV IDIV = 2..7.
enum x64_group3 { G3_NOT = 2, G3_NEG, G3_MUL, G3_IMUL, G3_DIV, G3_IDIV };

static inline void x64_group3_reg(struct assembler *a, enum x64_group3 op, bool wide, u32 rm)
{
    x64_opcode(a, 0xf7 << 16, wide, 0, 0, rm, false);
    x64_byte(a, 0xc0 | op << 3 | (rm & 7));
}

static inline void x64_test_imm(struct assembler *a, bool wide, u32 rm, s32 imm)
{
    x64_opcode(a, 0xf7 << 16, wide, 0, 0, rm, false);
    x64_byte(a, 0xc0 | (rm & 7));
    x64_u32(a, (u32)imm);
}

static inline void x64_test_imm8(struct assembler *a, u32 rm, u32 imm)
{
    x64_opcode(a, 0xf6 << 16, false, 0, 0, rm, rm >= 4);
    x64_byte(a, 0xc0 | (rm & 7));
    x64_byte(a, imm);
}

static inline void x64_cdq(struct assembler *a, bool wide)
{
    x64_opcode(a, 0x99 << 16, wide, 0, 0, 0, false);
}

static inline void x64_setcc(struct assembler *a, enum x64_cc cc, u32 rm)
{
    x64_opcode(a, 1 << 8 | (0x90u | cc) << 16, false, 0, 0, rm, rm >= 4);
    x64_byte(a, 0xc0 | (rm & 7));
}

static inline void x64_cmov(struct assembler *a, enum x64_cc cc, bool wide, u32 reg, u32 rm)
{
    x64_reg(a, 1 << 8 | (0x40u | cc) << 16, wide, reg, rm);
}

static inline void x64_push(struct assembler *a, u32 reg)
{
    x64_opcode(a, (0x50 | (reg & 7)) << 16, false, 0, 0, reg, false);
}

static inline void x64_pop(struct assembler *a, u32 reg)
{
    x64_opcode(a, (0x58 | (reg & 7)) << 16, false, 0, 0, reg, false);
}

// --- VEX-encoded BMI2. pp: 0 none, 1 66, 2 f3, 3 f2; map: 2 (0f 38), 3 (0f 3a).
void x64_vex(struct assembler *a, u32 pp, u32 map, u32 opcode, bool wide, u32 reg, u32 vvvv,
             u32 rm);

// reg = rm shifted by count: shlx, shrx, sarx.
static inline void x64_shiftx(struct assembler *a, enum x64_shift op, bool wide, u32 reg, u32 rm,
                              u32 count)
{
    x64_vex(a, op == SH_SHL ? 1 : op == SH_SHR ? 3 : 2, 2, 0xf7, wide, reg, count, rm);
}

static inline void x64_rorx(struct assembler *a, bool wide, u32 reg, u32 rm, u32 count)
{
    x64_vex(a, 3, 3, 0xf0, wide, reg, 0, rm);
    x64_byte(a, count);
}

// --- Branches. Those that return a pointer leave a rel32 of 0 to be filled in: x64_patch.
static inline u8 *x64_jmp(struct assembler *a)
{
    x64_byte(a, 0xe9);
    x64_u32(a, 0);
    return a->p - 4;
}

static inline u8 *x64_jcc(struct assembler *a, enum x64_cc cc)
{
    x64_byte(a, 0x0f);
    x64_byte(a, 0x80u | cc);
    x64_u32(a, 0);
    return a->p - 4;
}

static inline u8 *x64_call(struct assembler *a)
{
    x64_byte(a, 0xe8);
    x64_u32(a, 0);
    return a->p - 4;
}

static inline void x64_patch(u8 *rel32, const u8 *target)
{
    store_u32(rel32, (u32)(target - (rel32 + 4)));
}

// Short forward branches within one instruction's sequence: returns the rel8, to be bound by
// x64_bind8.
static inline u8 *x64_jcc8(struct assembler *a, enum x64_cc cc)
{
    x64_byte(a, 0x70u | cc);
    x64_byte(a, 0);
    return a->p - 1;
}

static inline u8 *x64_jmp8(struct assembler *a)
{
    x64_byte(a, 0xeb);
    x64_byte(a, 0);
    return a->p - 1;
}

static inline void x64_bind8(struct assembler *a, u8 *rel8)
{
    *rel8 = (u8)(a->p - (rel8 + 1));
}

// Backward branches to a known address, short when they can be.
static inline void x64_jmp_back(struct assembler *a, const u8 *target)
{
    s64 d = target - (a->p + 2);
    if (d >= -128) {
        x64_byte(a, 0xeb);
        x64_byte(a, (u32)d);
    } else
        x64_patch(x64_jmp(a), target);
}

static inline void x64_jcc_back(struct assembler *a, enum x64_cc cc, const u8 *target)
{
    s64 d = target - (a->p + 2);
    if (d >= -128) {
        x64_byte(a, 0x70u | cc);
        x64_byte(a, (u32)d);
    } else
        x64_patch(x64_jcc(a, cc), target);
}

// call or jmp through a register or memory: FF /2, FF /4.
static inline void x64_call_reg(struct assembler *a, u32 rm)
{
    x64_opcode(a, 0xff << 16, false, 0, 0, rm, false);
    x64_byte(a, 0xd0 | (rm & 7));
}

static inline void x64_jmp_reg(struct assembler *a, u32 rm)
{
    x64_opcode(a, 0xff << 16, false, 0, 0, rm, false);
    x64_byte(a, 0xe0 | (rm & 7));
}

static inline void x64_call_mem(struct assembler *a, struct x64_operand m)
{
    x64_mem(a, 0xff << 16, false, 2, m);
}

static inline void x64_ret(struct assembler *a, u32 pop)
{
    if (pop) {
        x64_byte(a, 0xc2);
        x64_byte(a, pop);
        x64_byte(a, pop >> 8);
    } else
        x64_byte(a, 0xc3);
}

// Of the instruction that follows.
static inline void x64_lock(struct assembler *a)
{
    x64_byte(a, 0xf0);
}

// ud2 and the trap's number: how compiled code raises one (abi.h).
static inline void x64_trap(struct assembler *a, u32 trap)
{
    x64_byte(a, 0x0f);
    x64_byte(a, 0x0b);
    x64_byte(a, trap);
}
