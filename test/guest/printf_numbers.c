// SPDX-License-Identifier: MIT
// printf and scanf of numbers: every digit comes out of integer and float code.
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
    static const double values[] = {0.0,        -0.0, 1.0,  -1.5,  0.1,     1e-10,
                                    123456.789, 1e15, 1e16, 1e100, DBL_MAX, DBL_MIN,
                                    5e-324,     M_PI, 2.5,  3.5,   1e21};
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        double v = values[i];
        printf("%g %f %e %a %.17g %.0f\n", v, fabs(v) < 1e20 ? v : 0.0, v, v, v,
               fabs(v) < 1e20 ? v : 0.0);
    }
    printf("%f %f %f %F\n", INFINITY, -INFINITY, NAN, INFINITY);
    printf("[%8.3f] [%-8.2f] [%+.1f] [%08.2f] [% g]\n", 3.14159, 2.71828, 1.25, -1.5, 42.0);
    printf("%d %i %u %x %X %o %c %%\n", INT32_MIN, INT32_MAX, UINT32_MAX, 0xdeadbeef, 0xBEEF, 511,
           'c');
    printf("%" PRId64 " %" PRIu64 " %" PRIx64 "\n", INT64_MIN, UINT64_MAX,
           UINT64_C(0x123456789abcdef));
    printf("[%10d] [%-10d] [%010d] [%+d] [%.5d] [%#x] [%s]\n", 42, 42, 42, 42, 42, 42, "text");
    printf("%s %s\n", strtod("0x1.8p3", NULL) == 12.0 ? "hex" : "-",
           strtod("1.7976931348623157e308", NULL) == DBL_MAX ? "max" : "-");
    double d;
    int n;
    unsigned long long u;
    printf("%d\n", sscanf("-12.5e2 77 18446744073709551615", "%lf %d %llu", &d, &n, &u));
    printf("%g %d %llu\n", d, n, u);
    return 0;
}
