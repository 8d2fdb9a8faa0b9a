// Compiled by clang: loops to vectorize or not, a table, libc calls, floating point.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned char composite[100000];

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(void)
{
    static double roots[10000];
    size_t count = 0;
    for (size_t i = 2; i < sizeof composite; i++) {
        if (composite[i])
            continue;
        roots[count++] = sin((double)i);
        for (size_t k = i * i; k < sizeof composite; k += i)
            composite[k] = 1;
    }
    qsort(roots, count, sizeof *roots, compare);
    char text[32];
    snprintf(text, sizeof text, "%.12f", roots[count / 2]);
    switch (strlen(text)) {
    case 14: return puts(text) < 0;
    case 15: return printf("%s\n", text + 1) < 0;
    default: return 1;
    }
}
