// SPDX-License-Identifier: MIT
// Ways out before there is a frame. Many functions begin with a look at a parameter, and have
// nothing to do if it is null (or zero, or out of range). Such a branch, when it is the first thing
// in a body and leads to where the function returns a constant or a parameter at once, is made once
// more in front of the prologue: who takes it there has nothing to save, to reserve and to restore.
//
// What the branch asks is read from the code before the body is compiled (guard_begin); where it
// leads is known either from what follows it, or when its block ends (guard_end); both are written
// when the frame is known to be needed (call_leave). The body stays as it is.
#include "fast/emit.h"
#include "target/x64/abi.h"

// The register that a parameter comes in; NO_REG: it is not an integer, or lies on the stack.
static u32 parameter_reg(const struct fast *f, u32 local)
{
    const struct functype *t = f->body->type;
    struct abi_state abi = {0};
    struct abi_place p = {ABI_STACK, 0};
    if (local >= t->nparams)
        return NO_REG;
    for (u32 i = 0; i <= local; i++)
        p = abi_next(&abi, t->types[i]);
    return p.where == ABI_GPR ? argument_gpr[p.index] : NO_REG;
}

// Reads `local.get` of such a parameter.
static u32 read_parameter(const struct fast *f, const u8 **p)
{
    if (**p != OP_local_get)
        return NO_REG;
    ++*p;
    return parameter_reg(f, leb_u32(p));
}

// Reads what is returned, up to the instruction that returns.
static bool read_value(struct fast *f, const u8 **p)
{
    struct guard *g = &f->guard;
    const struct functype *t = f->body->type;
    g->value = NO_REG;
    g->add = 0;
    if (!t->nresults)
        return true;
    if (t->nresults > 1 || t->types[t->nparams] != TYPE_I32)
        return false;
    if (**p == OP_i32_const) {
        ++*p;
        g->add = leb_s32(p);
        return true;
    }
    if ((g->value = read_parameter(f, p)) == NO_REG)
        return false;
    const u8 *next = *p;
    if (*next++ == OP_i32_const) {
        g->add = leb_s32(&next);
        if (*next++ != OP_i32_add)
            return false;
        *p = next;
    }
    return true;
}

void guard_begin(struct fast *f)
{
    enum { BLOCKS = 8, VOID = 0x40 };
    struct guard *g = &f->guard;
    const u8 *p = f->body->code;
    u32 blocks = 0;
    *g = (struct guard){.right = NO_REG, .cc = CC_NE};
    for (; *p == OP_block; p += 2)
        if (p[1] != VOID || ++blocks > BLOCKS)
            return;
    if ((g->left = read_parameter(f, &p)) == NO_REG)
        return;
    if (*p == OP_i32_eqz) {
        g->cc = CC_E;
        p++;
    } else if (*p != OP_br_if) {
        if (*p == OP_i32_const) {
            p++;
            g->imm = leb_s32(&p);
        } else if ((g->right = read_parameter(f, &p)) == NO_REG) {
            return;
        }
        if (*p < OP_i32_eq || *p > OP_i32_ge_u)
            return;
        g->cc = condition_of(*p++);
    }
    if (*p++ != OP_br_if)
        return;
    u32 depth = leb_u32(&p);
    if (read_value(f, &p) && *p == OP_return) {
        g->cc ^= 1;
        g->there = true;
    } else if (depth < blocks) {
        g->block = blocks - depth;
    } else {
        g->there = !f->body->type->nresults;
    }
}

void guard_end(struct fast *f)
{
    const u8 *p = f->pc, *end = f->body->end;
    f->guard.block = 0;
    if (!read_value(f, &p))
        return;
    while (p < end && *p == OP_end)
        p++;
    f->guard.there = p == end;
}

u8 *guard_place(struct fast *f)
{
    const struct guard *g = &f->guard;
    if (g->right != NO_REG)
        x64_reg(&f->a, I_CMP, false, g->left, g->right);
    else if (g->imm)
        x64_imm(&f->a, G1_CMP, false, g->left, g->imm);
    else
        x64_reg(&f->a, I_TEST, false, g->left, g->left);
    return x64_jcc(&f->a, (enum x64_cc)g->cc);
}

void guard_leave(struct fast *f)
{
    const struct guard *g = &f->guard;
    const struct functype *t = f->body->type;
    if (t->nresults && g->value == NO_REG)
        x64_mov_imm(&f->a, RAX, (u32)g->add);
    else if (t->nresults && g->add)
        x64_mem(&f->a, I_LEA, false, RAX, x64_at(g->value, g->add));
    else if (t->nresults)
        move_reg(f, T32, RAX, g->value);
    x64_ret(&f->a, abi_stack_of(t).args);
}
