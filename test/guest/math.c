// SPDX-License-Identifier: MIT
// The mathematics library: bit patterns of results, so that not a digit hides.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static uint64_t bits(double d)
{
    uint64_t u;
    memcpy(&u, &d, sizeof(u));
    return d != d ? 0x7ff8000000000000 : u; /* the sign and payload of a NaN are not specified */
}

int main(void)
{
    volatile double values[] = {0.0,
                                -0.0,
                                0.5,
                                -0.5,
                                1.0,
                                1.5,
                                2.5,
                                -2.5,
                                1e-8,
                                100.25,
                                1e10,
                                -1e18,
                                4503599627370497.5,
                                INFINITY,
                                -INFINITY,
                                NAN};
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        double v = values[i];
        printf("%g: sqrt %016" PRIx64 " sin %016" PRIx64 " exp %016" PRIx64 " log %016" PRIx64, v,
               bits(sqrt(v)), bits(sin(v)), bits(exp(v)), bits(log(v)));
        printf(" floor %g ceil %g trunc %g rint %g round %g fabs %g", floor(v), ceil(v), trunc(v),
               rint(v), round(v), fabs(v));
        printf(" pow %016" PRIx64 " fmod %016" PRIx64 " atan2 %016" PRIx64 " cbrt %016" PRIx64 "\n",
               bits(pow(fabs(v), 1.1)), bits(fmod(v, 0.7)), bits(atan2(v, 2)), bits(cbrt(v)));
    }
    float f = 1;
    for (int i = 1; i < 1000; i++)
        f = f * 1.0001f + sqrtf(i) - floorf(f / 3);
    printf("%a %a\n", f, (double)f * 3);
    return 0;
}
