// SPDX-License-Identifier: MIT
// The encoders that are too long to be repeated wherever they are used (asm.h says what they do).
#include "target/x64/asm.h"

// Most of what compilers write has no prefix, no second map, no byte registers, and an operand that
// is a register, or a base and a displacement. That takes the short way; anything else goes through
// functions of its own, by a tail call, for which nothing need be saved.
static inline bool plain(u32 insn)
{
    return likely(!(insn & (0xffff | (u32)(X64_B | X64_RB | X64_N) << 24)));
}

static inline u8 *plain_opcode(u8 *p, u32 insn, bool wide, u32 rex)
{
    rex |= ((u32)wide | (insn >> 24 & X64_W)) << 3;
    *p = (u8)(0x40 | rex);
    p += rex != 0;
    *p = (u8)(insn >> 16);
    return p + 1;
}

// The VEX prefix says what legacy prefix, REX, map and a first operand do. W has no use here.
static u8 *vex_opcode(u8 *p, u32 insn, u32 rex)
{
    u32 prefix = insn & 0xff, map = insn >> 8 & 3;
    u32 pp = prefix == 0xf2 ? 3 : prefix == 0xf3 ? 2 : prefix == 0x66;
    u32 last = (~insn >> 10 & 15) << 3 | pp;
    if (map == 1 && !(rex & 3)) {
        *p++ = 0xc5;
        last |= rex ? 0 : 0x80;
    } else {
        *p++ = 0xc4;
        *p++ = (u8)((~rex & 7) << 5 | map);
    }
    *p++ = (u8)last;
    *p = (u8)(insn >> 16);
    return p + 1;
}

static u8 *any_opcode(u8 *p, u32 insn, bool wide, u32 rex, bool force_rex)
{
    if (insn & X64_VEX)
        return vex_opcode(p, insn, rex);
    u32 flags = insn >> 24, map = insn >> 8 & 0xff;
    if (insn & 0xff)
        *p++ = (u8)insn;
    rex |= (flags & X64_W) || (wide && !(flags & X64_N)) ? 8 : 0;
    *p = (u8)(0x40 | rex);
    p += rex || force_rex;
    if (map) {
        *p++ = 0x0f;
        if (map > 1)
            *p++ = map == 2 ? 0x38 : 0x3a;
    }
    *p = (u8)(insn >> 16);
    return p + 1;
}

__attribute__((noinline)) static void any_reg(struct assembler *a, u32 insn, bool wide, u32 reg,
                                              u32 rm)
{
    u32 flags = insn >> 24;
    bool byte_rex = (flags & (X64_B | X64_RB)) && (rm >= 4 || ((flags & X64_B) && reg >= 4));
    u8 *p = any_opcode(a->p, insn, wide, (reg >> 1 & 4) | rm >> 3, byte_rex);
    *p = (u8)(0xc0 | (reg & 7) << 3 | (rm & 7));
    a->p = p + 1;
}

void x64_reg(struct assembler *a, u32 insn, bool wide, u32 reg, u32 rm)
{
    reg &= 15;
    rm &= 15;
    if (!plain(insn)) {
        any_reg(a, insn, wide, reg, rm);
        return;
    }
    u8 *p = plain_opcode(a->p, insn, wide, (reg >> 1 & 4) | rm >> 3);
    *p = (u8)(0xc0 | (reg & 7) << 3 | (rm & 7));
    a->p = p + 1;
}

// SIB with an index, or with none because the base needs one.
static u8 *with_sib(u8 *p, u32 mod_reg, const struct x64_operand *m)
{
    u32 index = m->index == NO_REG ? 4 : m->index & 7;
    p[0] = (u8)(mod_reg | 4);
    p[1] = (u8)(m->scale << 6 | index << 3 | (m->base & 7));
    return p + 2;
}

__attribute__((noinline)) static void any_mem(struct assembler *a, u32 insn, bool wide, u32 reg,
                                              struct x64_operand m)
{
    u32 rex = (reg >> 1 & 4) | m.base >> 3;
    if (m.index != NO_REG)
        rex |= m.index >> 2 & 2;
    u8 *p = any_opcode(a->p, insn, wide, rex, (insn >> 24 & X64_B) && reg >= 4);
    reg = (reg & 7) << 3;
    u32 base = m.base & 7;
    u32 size = m.disp == (s8)m.disp ? m.disp || base == 5 : 4;
    u32 mod = size > 1 ? 0x80 : size << 6;
    if (m.index != NO_REG || base == 4)
        p = with_sib(p, mod | reg, &m);
    else
        *p++ = (u8)(mod | reg | base);
    store_u32(p, (u32)m.disp);
    a->p = p + size;
}

void x64_mem(struct assembler *a, u32 insn, bool wide, u32 reg, struct x64_operand m)
{
    u32 base = m.base & 7;
    reg &= 15;
    if (!plain(insn) || base == 4) {
        any_mem(a, insn, wide, reg, m);
        return;
    }
    u32 rex = (reg >> 1 & 4) | m.base >> 3;
    u32 size = m.disp || base == 5, modrm = size << 6 | (reg & 7) << 3;
    if (m.disp != (s8)m.disp)
        size = 4, modrm += 0x40;
    u8 *p;
    if (m.index == NO_REG) {
        p = plain_opcode(a->p, insn, wide, rex);
        *p++ = (u8)(modrm | base);
    } else {
        p = plain_opcode(a->p, insn, wide, rex | (m.index >> 2 & 2));
        p = with_sib(p, modrm, &m);
    }
    store_u32(p, (u32)m.disp);
    a->p = p + size;
}

u8 *x64_rip(struct assembler *a, u32 insn, bool wide, u32 reg)
{
    reg &= 15;
    u8 *p = any_opcode(a->p, insn, wide, reg >> 1 & 4, (insn >> 24 & X64_B) && reg >= 4);
    *p++ = (u8)((reg & 7) << 3 | 5);
    store_u32(p, 0);
    a->p = p + 4;
    return p;
}

void x64_imm(struct assembler *a, enum x64_group1 op, bool wide, u32 rm, s32 imm)
{
    if (imm == (s8)imm) {
        x64_opcode(a, 0x83 << 16, wide, 0, 0, rm, false);
        x64_byte(a, 0xc0 | op << 3 | (rm & 7));
        x64_byte(a, (u32)imm);
        return;
    }
    if (rm == RAX)
        x64_opcode(a, (op << 3 | 5) << 16, wide, 0, 0, 0, false);
    else {
        x64_opcode(a, 0x81 << 16, wide, 0, 0, rm, false);
        x64_byte(a, 0xc0 | op << 3 | (rm & 7));
    }
    x64_u32(a, (u32)imm);
}

void x64_imm_mem(struct assembler *a, enum x64_group1 op, bool wide, struct x64_operand m, s32 imm)
{
    bool small = imm == (s8)imm;
    x64_mem(a, (small ? 0x83u : 0x81u) << 16, wide, op, m);
    if (small)
        x64_byte(a, (u32)imm);
    else
        x64_u32(a, (u32)imm);
}

void x64_cmp8_mem(struct assembler *a, struct x64_operand m, u32 imm)
{
    x64_mem(a, 0x80 << 16, false, G1_CMP, m);
    x64_byte(a, imm);
}

void x64_test_mem(struct assembler *a, bool byte, bool wide, struct x64_operand m, u32 imm)
{
    x64_mem(a, (byte ? 0xf6u : 0xf7u) << 16, wide, 0, m);
    if (byte)
        x64_byte(a, imm);
    else
        x64_u32(a, imm);
}

void x64_mov_imm(struct assembler *a, u32 reg, u64 imm)
{
    if (imm == (u32)imm) {
        x64_opcode(a, (0xb8 | (reg & 7)) << 16, false, 0, 0, reg, false);
        x64_u32(a, (u32)imm);
    } else if ((s64)imm == (s32)imm) {
        x64_opcode(a, 0xc7 << 16, true, 0, 0, reg, false);
        x64_byte(a, 0xc0 | (reg & 7));
        x64_u32(a, (u32)imm);
    } else {
        x64_opcode(a, (0xb8 | (reg & 7)) << 16, true, 0, 0, reg, false);
        x64_u64(a, imm);
    }
}

void x64_mov_mem_imm(struct assembler *a, u32 log2, struct x64_operand m, s32 imm)
{
    if (log2 == 1) {
        x64_mem(a, 0x66 | 0xc7 << 16, false, 0, m);
        x64_byte(a, (u32)imm);
        x64_byte(a, (u32)imm >> 8);
        return;
    }
    x64_mem(a, (log2 ? 0xc7u : 0xc6u) << 16, log2 == 3, 0, m);
    if (log2 == 0)
        x64_byte(a, (u32)imm);
    else
        x64_u32(a, (u32)imm);
}

void x64_imul_imm(struct assembler *a, bool wide, u32 reg, u32 rm, s32 imm)
{
    bool small = imm == (s8)imm;
    x64_reg(a, (small ? 0x6bu : 0x69u) << 16, wide, reg, rm);
    if (small)
        x64_byte(a, (u32)imm);
    else
        x64_u32(a, (u32)imm);
}

void x64_vex(struct assembler *a, u32 pp, u32 map, u32 opcode, bool wide, u32 reg, u32 vvvv, u32 rm)
{
    x64_byte(a, 0xc4);
    x64_byte(a, (reg < 8 ? 0x80 : 0) | 0x40 | (rm < 8 ? 0x20 : 0) | map);
    x64_byte(a, (wide ? 0x80 : 0) | (~vvvv & 15) << 3 | pp);
    x64_byte(a, opcode);
    x64_byte(a, 0xc0 | (reg & 7) << 3 | (rm & 7));
}
