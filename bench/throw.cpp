// SPDX-License-Identifier: MIT
// What an exception costs that is thrown three calls deep and caught, in picoseconds.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef __wasm__
// Of libc++abi no more is needed.
__asm__(".tagtype __cpp_exception i32\n"
        ".globl __cpp_exception\n"
        "__cpp_exception:\n");
extern "C" void *__cxa_begin_catch(void *e) noexcept
{
    return e;
}
extern "C" void __cxa_end_catch() {}
#define THROW __builtin_wasm_throw(0, (void *)&object)
#else
#define THROW throw &object
#endif

static int object;
static volatile int one = 1;

__attribute__((noinline)) static int third(int n)
{
    if (n & 1)
        THROW;
    return n + one;
}

__attribute__((noinline)) static int second(int n)
{
    return third(n) * one + n;
}

__attribute__((noinline)) static int first(int n)
{
    return second(n) * one + n;
}

static double now()
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? atoi(argv[1]) : 100000, caught = 0;
    double best = 1e18;
    for (int round = 0; round < 10; round++) {
        double start = now();
        for (int i = 0; i < n; i++) {
            try {
                first(1);
            } catch (...) {
                caught++;
            }
        }
        double took = (now() - start) / n;
        best = took < best ? took : best;
    }
    if (caught != 10 * n)
        return 1;
    printf("throw_ps %.0f\n", best * 1e3);
    return 0;
}
