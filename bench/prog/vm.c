/* SPDX-License-Identifier: MIT */
/*
 * vm: a small register machine interpreted by one loop and one big switch, as script languages and
 * emulators do it: fetch, decode, an indirect jump that is hard to predict, register file and
 * memory in arrays. It runs a bytecode program that sorts, sieves, and computes a checksum.
 *
 * With BENCH_TAILS each operation is a function that goes on to the next one's by a tail call.
 */
#include "bench.h"

enum op {
    OP_HALT,
    OP_SET,
    OP_MOVE,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_AND,
    OP_XOR,
    OP_SHL,
    OP_SHR,
    OP_ADDI,
    OP_LOAD,
    OP_STORE,
    OP_JUMP,
    OP_JLT,
    OP_JGE,
    OP_JEQ,
    OP_JNE,
    OP_CALL,
    OP_RET,
};

/* One instruction: op, target register, two sources; `imm` is a constant or a jump target. */
struct code {
    u8 op, a, b, c;
    s32 imm;
};

enum { CELLS = 4096, DEPTH = 64 };

static u32 cells[CELLS];

/* What an instruction does to the registers, and which jumps are taken. */
#define WORK(op)                                                                                   \
    op(SET, reg[i->a] = (u32)i->imm);                                                              \
    op(MOVE, reg[i->a] = reg[i->b]);                                                               \
    op(ADD, reg[i->a] = reg[i->b] + reg[i->c]);                                                    \
    op(SUB, reg[i->a] = reg[i->b] - reg[i->c]);                                                    \
    op(MUL, reg[i->a] = reg[i->b] * reg[i->c]);                                                    \
    op(AND, reg[i->a] = reg[i->b] & reg[i->c]);                                                    \
    op(XOR, reg[i->a] = reg[i->b] ^ reg[i->c]);                                                    \
    op(SHL, reg[i->a] = reg[i->b] << (i->imm & 31));                                               \
    op(SHR, reg[i->a] = reg[i->b] >> (i->imm & 31));                                               \
    op(ADDI, reg[i->a] = reg[i->b] + (u32)i->imm);                                                 \
    op(LOAD, reg[i->a] = cells[(reg[i->b] + (u32)i->imm) % CELLS]);                                \
    op(STORE, cells[(reg[i->b] + (u32)i->imm) % CELLS] = reg[i->a])
#define JUMPS(op)                                                                                  \
    op(JUMP, 1);                                                                                   \
    op(JLT, reg[i->a] < reg[i->b]);                                                                \
    op(JGE, reg[i->a] >= reg[i->b]);                                                               \
    op(JEQ, reg[i->a] == reg[i->b]);                                                               \
    op(JNE, reg[i->a] != reg[i->b])

#ifdef BENCH_TAILS

/* A function for each, which goes on to the next by a tail call. `i` is its instruction. */
typedef u64 handler(const struct code *i, const struct code *program, u32 *reg, u32 *sp, u64 count);
static handler *const handlers[];
static u32 stack[DEPTH];

#define HANDLER(name)                                                                              \
    static u64 do_##name(const struct code *i, const struct code *program, u32 *reg, u32 *sp,      \
                         u64 count)
#define NEXT(next)                                                                                 \
    __attribute__((musttail)) return handlers[(next)->op](next, program, reg, sp, count + 1)
#define WORKER(name, work)                                                                         \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        work;                                                                                      \
        NEXT(i + 1);                                                                               \
    }
#define JUMPER(name, taken)                                                                        \
    HANDLER(name)                                                                                  \
    {                                                                                              \
        if (taken)                                                                                 \
            NEXT(program + i->imm);                                                                \
        NEXT(i + 1);                                                                               \
    }

WORK(WORKER);
JUMPS(JUMPER);

HANDLER(CALL)
{
    if (sp == stack + DEPTH)
        bench_fail("vm: stack");
    *sp++ = (u32)(i - program) + 1;
    NEXT(program + i->imm);
}

HANDLER(RET)
{
    (void)i;
    sp--;
    NEXT(program + *sp);
}

HANDLER(HALT)
{
    (void)i, (void)program, (void)reg, (void)sp;
    return count;
}

static handler *const handlers[] = {
    do_HALT, do_SET,  do_MOVE,  do_ADD,  do_SUB, do_MUL, do_AND, do_XOR, do_SHL,  do_SHR,
    do_ADDI, do_LOAD, do_STORE, do_JUMP, do_JLT, do_JGE, do_JEQ, do_JNE, do_CALL, do_RET,
};

static u32 run(const struct code *program, u32 argument, u64 *steps)
{
    u32 reg[16] = {argument};

    *steps += handlers[program->op](program, program, reg, stack, 0);
    return reg[0];
}

#else

static u32 run(const struct code *program, u32 argument, u64 *steps)
{
    u32 reg[16] = {argument};
    u32 stack[DEPTH];
    u32 pc = 0, sp = 0;
    u64 count = 0;

    for (;; count++) {
        const struct code *i = &program[pc++];

#define WORKER(name, work)                                                                         \
    case OP_##name: work; break
#define JUMPER(name, taken)                                                                        \
    case OP_##name: pc = (taken) ? (u32)i->imm : pc; break
        switch ((enum op)i->op) {
            WORK(WORKER);
            JUMPS(JUMPER);
        case OP_HALT: *steps += count; return reg[0];
        case OP_CALL:
            if (sp == DEPTH)
                bench_fail("vm: stack");
            stack[sp++] = pc;
            pc = (u32)i->imm;
            break;
        case OP_RET: pc = stack[--sp]; break;
        }
    }
}

#endif

/*
 * r0 argument and result, r1 count of cells. Fill the cells with random numbers, sort them by
 * insertion, mark multiples, fold all into a checksum.
 */
static const struct code program[] = {
    /*  0 */ {OP_SET, 1, 0, 0, 160},
    /*  1 */ {OP_SET, 2, 0, 0, 0},
    /*  2 */ {OP_CALL, 0, 0, 0, 36}, /* fill: cells[r2] = random */
    /*  3 */ {OP_STORE, 0, 2, 0, 0},
    /*  4 */ {OP_ADDI, 2, 2, 0, 1},
    /*  5 */ {OP_JLT, 2, 1, 0, 2},
    /*  6 */ {OP_SET, 2, 0, 0, 1}, /* sort: outer r2, inner r3, value r4 */
    /*  7 */ {OP_LOAD, 4, 2, 0, 0},
    /*  8 */ {OP_MOVE, 3, 2, 0, 0},
    /*  9 */ {OP_SET, 6, 0, 0, 0},
    /* 10 */ {OP_JEQ, 3, 6, 0, 16},
    /* 11 */ {OP_LOAD, 5, 3, 0, -1},
    /* 12 */ {OP_JGE, 4, 5, 0, 16},
    /* 13 */ {OP_STORE, 5, 3, 0, 0},
    /* 14 */ {OP_ADDI, 3, 3, 0, -1},
    /* 15 */ {OP_JUMP, 0, 0, 0, 10},
    /* 16 */ {OP_STORE, 4, 3, 0, 0},
    /* 17 */ {OP_ADDI, 2, 2, 0, 1},
    /* 18 */ {OP_JLT, 2, 1, 0, 7},
    /* 19 */ {OP_SET, 2, 0, 0, 2}, /* sieve in cells 1000 and up */
    /* 20 */ {OP_SET, 7, 0, 0, 1000},
    /* 21 */ {OP_ADD, 3, 2, 2, 0},
    /* 22 */ {OP_JGE, 3, 7, 0, 27},
    /* 23 */ {OP_STORE, 2, 3, 0, 1000},
    /* 24 */ {OP_ADD, 3, 3, 2, 0},
    /* 25 */ {OP_JUMP, 0, 0, 0, 22},
    /* 26 */ {OP_HALT, 0, 0, 0, 0},
    /* 27 */ {OP_ADDI, 2, 2, 0, 1},
    /* 28 */ {OP_JLT, 2, 7, 0, 21},
    /* 29 */ {OP_SET, 2, 0, 0, 0}, /* fold */
    /* 30 */ {OP_LOAD, 5, 2, 0, 0},
    /* 31 */ {OP_XOR, 0, 0, 5, 0},
    /* 32 */ {OP_CALL, 0, 0, 0, 36},
    /* 33 */ {OP_ADDI, 2, 2, 0, 1},
    /* 34 */ {OP_JNE, 2, 7, 0, 30},
    /* 35 */ {OP_HALT, 0, 0, 0, 0},
    /* 36 */ {OP_SHL, 5, 0, 0, 13}, /* r0 = xorshift(r0) */
    /* 37 */ {OP_XOR, 0, 0, 5, 0},
    /* 38 */ {OP_SHR, 5, 0, 0, 17},
    /* 39 */ {OP_XOR, 0, 0, 5, 0},
    /* 40 */ {OP_SHL, 5, 0, 0, 5},
    /* 41 */ {OP_XOR, 0, 0, 5, 0},
    /* 42 */ {OP_RET, 0, 0, 0, 0},
};

static u64 bench_body(double scale)
{
    u32 rounds = bench_count(scale, 2500);
    u64 sum = 0, steps = 0;

    for (u32 r = 0; r < rounds; r++)
        sum = bench_mix(sum, run(program, r + 1, &steps));
    return bench_mix(sum, steps);
}
