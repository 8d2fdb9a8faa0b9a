// SPDX-License-Identifier: MIT
// A bytecode interpreter: the loop that programs in a language run on, as a switch and as calls.
#include <stdint.h>
#include <stdio.h>

enum op { PUSH, LOAD, STORE, ADD, MUL, MOD, LESS, EQUAL, NOT, JUMP, JUMPZ, PRINT, HALT };

struct vm {
    int32_t stack[32], vars[8];
    int sp, pc, halted;
    uint64_t steps;
};

// n = 2; count = 0; while (n < 3000) { d = 2; while (d * d < n + 1) { if (n % d == 0) goto next;
// d = d + 1; } count = count + 1; next: n = n + 1; } print count
enum { N, COUNT, D };
static const int32_t primes[] = {
    PUSH,  2,     STORE, N,     PUSH, 0,     STORE, COUNT,                /*  0 */
    LOAD,  N,     PUSH,  3000,  LESS, JUMPZ, 61,                          /*  8: the outer loop */
    PUSH,  2,     STORE, D,                                               /* 15 */
    LOAD,  D,     LOAD,  D,     MUL,  LOAD,  N,     PUSH,  1,  ADD, LESS, /* 19: the inner loop */
    JUMPZ, 45,                                                            /* 30 */
    LOAD,  N,     LOAD,  D,     MOD,  NOT,   NOT,   JUMPZ, 52, /* 32: divisible, no prime */
    LOAD,  D,     JUMP,  64,                                   /* 41: d + 1, below */
    LOAD,  COUNT, PUSH,  1,     ADD,  STORE, COUNT,            /* 45 */
    LOAD,  N,     PUSH,  1,     ADD,  STORE, N,     JUMP,  8,  /* 52 */
    LOAD,  COUNT, HALT,                                        /* 61 */
    PUSH,  1,     ADD,   STORE, D,    JUMP,  19,               /* 64 */
};

static int32_t pop(struct vm *vm)
{
    return vm->stack[--vm->sp];
}

static void push(struct vm *vm, int32_t value)
{
    vm->stack[vm->sp++] = value;
}

static int32_t by_switch(struct vm *vm, const int32_t *code)
{
    int32_t a;
    for (;; vm->steps++) {
        switch ((enum op)code[vm->pc++]) {
        case PUSH: push(vm, code[vm->pc++]); break;
        case LOAD: push(vm, vm->vars[code[vm->pc++]]); break;
        case STORE: vm->vars[code[vm->pc++]] = pop(vm); break;
        case ADD:
            a = pop(vm);
            push(vm, pop(vm) + a);
            break;
        case MUL:
            a = pop(vm);
            push(vm, pop(vm) * a);
            break;
        case MOD:
            a = pop(vm);
            push(vm, pop(vm) % a);
            break;
        case LESS:
            a = pop(vm);
            push(vm, pop(vm) < a);
            break;
        case EQUAL:
            a = pop(vm);
            push(vm, pop(vm) == a);
            break;
        case NOT: push(vm, !pop(vm)); break;
        case JUMP: vm->pc = code[vm->pc]; break;
        case JUMPZ: vm->pc = pop(vm) ? vm->pc + 1 : code[vm->pc]; break;
        case PRINT: printf("%d\n", pop(vm)); break;
        case HALT: return pop(vm);
        }
    }
}

typedef void (*handler)(struct vm *, const int32_t *);

#define BINARY(name, expression)                                                                   \
    static void name(struct vm *vm, const int32_t *code)                                           \
    {                                                                                              \
        (void)code;                                                                                \
        int32_t b = pop(vm), a = pop(vm);                                                          \
        push(vm, expression);                                                                      \
    }
BINARY(do_add, a + b)
BINARY(do_mul, a *b)
BINARY(do_mod, a % b)
BINARY(do_less, a < b)
BINARY(do_equal, a == b)

static void do_push(struct vm *vm, const int32_t *code)
{
    push(vm, code[vm->pc++]);
}

static void do_load(struct vm *vm, const int32_t *code)
{
    push(vm, vm->vars[code[vm->pc++]]);
}

static void do_store(struct vm *vm, const int32_t *code)
{
    vm->vars[code[vm->pc++]] = pop(vm);
}

static void do_not(struct vm *vm, const int32_t *code)
{
    (void)code;
    push(vm, !pop(vm));
}

static void do_jump(struct vm *vm, const int32_t *code)
{
    vm->pc = code[vm->pc];
}

static void do_jumpz(struct vm *vm, const int32_t *code)
{
    vm->pc = pop(vm) ? vm->pc + 1 : code[vm->pc];
}

static void do_print(struct vm *vm, const int32_t *code)
{
    (void)code;
    printf("%d\n", pop(vm));
}

static void do_halt(struct vm *vm, const int32_t *code)
{
    (void)code;
    vm->halted = 1;
}

static const handler handlers[] = {do_push,  do_load, do_store, do_add,   do_mul,   do_mod, do_less,
                                   do_equal, do_not,  do_jump,  do_jumpz, do_print, do_halt};

int main(void)
{
    struct vm a = {0}, b = {0};
    int32_t count = by_switch(&a, primes);
    printf("%d primes, %llu steps\n", count, (unsigned long long)a.steps);
    for (; !b.halted; b.steps++)
        handlers[primes[b.pc++]](&b, primes);
    printf("%d primes, %llu steps\n", pop(&b), (unsigned long long)b.steps);
    return 0;
}
