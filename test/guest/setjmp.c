// SPDX-License-Identifier: MIT
// setjmp and longjmp as clang makes them with exceptions, in the older form (setjmp_new.c: in that
// of WebAssembly 3.0): out of deep recursion, through pointers, in loops, with locals that live in
// registers, and 200,000 times, each of which makes an exception that might be thrown again. The
// runtime, which Debian's wasi-libc has not, is in setjmp.inc.
#include <stdint.h>
#include <stdio.h>

typedef uint32_t jump[8];
int setjmp(jump) __attribute__((returns_twice));
_Noreturn void longjmp(jump, int);

static jump out, inner;
static volatile int zero;

__attribute__((noinline)) static int deep(int n, double x)
{
    if (!n)
        longjmp(out, (int)x);
    return deep(n - 1, x + 1) + 1 + zero;
}

static int ends(int n)
{
    longjmp(out, n * 3);
}

static int adds(int n)
{
    return n + 1;
}

static int (*const calls[])(int) = {adds, ends, adds};

__attribute__((noinline)) static void recursion(void)
{
    for (volatile int n = 1; n <= 10000; n *= 10) {
        int got = setjmp(out);
        if (!got)
            printf("came back: %d\n", deep(n, 0.5));
        else
            printf("out of %d calls: %d\n", n, got);
    }
}

__attribute__((noinline)) static void pointers(void)
{
    volatile int sum = 0, i = 0;
    int got = setjmp(out);
    if (got)
        printf("jumped with %d\n", got), i++;
    for (; i < 3; i++)
        sum += calls[i](i + zero);
    printf("sum %d\n", sum);
}

__attribute__((noinline)) static void nested(void)
{
    volatile int round = 0;
    int got = setjmp(out);
    if (got > 2) {
        printf("outer got %d\n", got);
        return;
    }
    int in = setjmp(inner);
    round++;
    printf("round %d: outer %d, inner %d\n", round, got, in);
    if (round < 3)
        longjmp(inner, round);
    longjmp(out, round < 5 ? 2 : round);
}

__attribute__((noinline)) static unsigned many(unsigned n)
{
    unsigned a = 1, b = 2, c = 3;
    for (volatile unsigned i = 0; i < n; i++) {
        jump here;
        a += b ^ i;
        b = b * 5 + 1;
        int got = setjmp(here);
        if (!got) {
            if (i % 3 != 1)
                longjmp(here, (int)(i & 7) + 1);
            c += 7;
        } else {
            c = c * 3 + (unsigned)got;
        }
    }
    return a + b + c;
}

int main(void)
{
    recursion();
    pointers();
    nested();
    printf("%u\n", many(200000));
    return 0;
}
