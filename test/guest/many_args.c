// SPDX-License-Identifier: MIT
// Calls with many arguments, integers and floats mixed, beyond every register convention.
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#define NOINLINE __attribute__((noinline))

NOINLINE static int64_t ints(int a, int64_t b, int c, int64_t d, int e, int64_t f, int g, int64_t h,
                             int i, int64_t j, int k, int64_t l)
{
    return a + 2 * b + 3 * c + 5 * d + 7 * e + 11 * f + 13 * g + 17 * h + 19 * i + 23 * j + 29 * k +
           31 * l;
}

NOINLINE static double floats(float a, double b, float c, double d, float e, double f, float g,
                              double h, float i, double j, float k, double l)
{
    return a - b * 2 + c * 3 - d * 5 + e * 7 - f * 11 + g * 13 - h * 17 + i * 19 - j * 23 + k * 29 -
           l * 31;
}

NOINLINE static double mixed(int a, double b, int64_t c, float d, int e, double f, int64_t g,
                             float h, int i, double j, int64_t k, float l, int m, double n,
                             int64_t o, float p, int q, double r, int64_t s, float t)
{
    double sum = a + b * 2 + (double)c * 3 + d * 4 + e * 5 + f * 6 + (double)g * 7 + h * 8;
    sum += i * 9 + j * 10 + (double)k * 11 + l * 12 + m * 13 + n * 14 + (double)o * 15 + p * 16;
    return sum + q * 17 + r * 18 + (double)s * 19 + t * 20;
}

// The arguments arrive in one order and leave in another: a parallel move with cycles.
NOINLINE static double turned(int a, double b, int64_t c, float d, int e, double f, int64_t g,
                              float h, int i, double j, int64_t k, float l, int m, double n,
                              int64_t o, float p, int q, double r, int64_t s, float t)
{
    if (a > 100)
        return mixed(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t);
    return mixed(q, r, s, t, m, n, o, p, i, j, k, l, e, f, g, h, a, b, c, d) +
           turned(e + 90, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, a, b, c, d) / 2;
}

NOINLINE static int64_t variadic(const char *types, ...)
{
    int64_t sum = 0;
    va_list list;
    va_start(list, types);
    for (int n = 1; *types; types++, n++) {
        if (*types == 'i')
            sum += n * va_arg(list, int);
        else if (*types == 'l')
            sum += n * va_arg(list, int64_t);
        else
            sum += (int64_t)(n * va_arg(list, double));
    }
    va_end(list);
    return sum;
}

struct big {
    int64_t x, y, z;
    double w;
};

NOINLINE static struct big swap(struct big b, int n)
{
    return (struct big){b.y + n, b.z + n, b.x + n, b.w * n};
}

int main(void)
{
    volatile int one = 1;
    int o = one;
    printf("%lld\n", (long long)ints(o, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 * (int64_t)o << 40));
    printf("%.3f\n", floats(o, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12.5 * o));
    printf("%.3f\n", mixed(o, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20));
    printf("%.3f\n", turned(o, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20));
    printf("%lld\n", (long long)variadic("ildildild", 1, (int64_t)2, 3.0, 4, (int64_t)5 << 33, 6.5,
                                         -7, (int64_t)-8, -9.25));
    struct big b = {o, 2, 3, 1.5};
    for (int i = 0; i < 10; i++)
        b = swap(b, i % 3 + 1);
    printf("%lld %lld %lld %.1f\n", (long long)b.x, (long long)b.y, (long long)b.z, b.w);
    return 0;
}
