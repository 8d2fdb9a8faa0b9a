// SPDX-License-Identifier: MIT
// Function pointers of many shapes, through tables, qsort and callbacks.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef double (*binary)(double, double);

static double add(double a, double b)
{
    return a + b;
}

static double sub(double a, double b)
{
    return a - b;
}

static double mul(double a, double b)
{
    return a * b;
}

static double quot(double a, double b)
{
    return a / b;
}

static const binary operations[] = {add, sub, mul, quot};

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int by_low_byte(const void *a, const void *b)
{
    int x = *(const int64_t *)a & 255, y = *(const int64_t *)b & 255;
    return x != y ? x - y : by_value(a, b);
}

static void step0(int *state, int n);
static void step1(int *state, int n);
static void (*const steps[])(int *, int) = {step0, step1};

static void step0(int *state, int n)
{
    *state = *state * 5 + 1;
    if (n > 0)
        steps[*state & 1](state, n - 1);
}

static void step1(int *state, int n)
{
    *state ^= 0x5a5a;
    if (n > 0)
        steps[(*state >> 3) & 1](state, n - 1);
}

int main(void)
{
    double value = 1;
    for (unsigned i = 0; i < 1000; i++)
        value = operations[(i * 7 + i / 3) % 4](value, 1.0 + i % 5);
    printf("%.6f\n", value);

    int64_t numbers[500];
    uint64_t x = 88172645463325252u;
    for (int i = 0; i < 500; i++) {
        x ^= x << 7;
        x ^= x >> 9;
        numbers[i] = (int64_t)x;
    }
    qsort(numbers, 500, sizeof(*numbers), by_value);
    printf("%lld %lld %lld\n", (long long)numbers[0], (long long)numbers[250],
           (long long)numbers[499]);
    qsort(numbers, 500, sizeof(*numbers), by_low_byte);
    printf("%lld %lld\n", (long long)numbers[0], (long long)numbers[499]);
    printf("%d\n",
           bsearch(&numbers[100], numbers, 500, sizeof(*numbers), by_low_byte) == &numbers[100]);

    int state = 7;
    steps[0](&state, 2000);
    printf("%d\n", state);
    return 0;
}
