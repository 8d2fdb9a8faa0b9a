// SPDX-License-Identifier: MIT
// 64-bit arithmetic at its edges, through variables that the compiler cannot see through.
#include <inttypes.h>
#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static const int64_t values[] = {0,
                                 1,
                                 -1,
                                 2,
                                 -3,
                                 7,
                                 63,
                                 64,
                                 0x7fffffff,
                                 0x80000000,
                                 0xffffffff,
                                 0x100000000,
                                 -0x80000000LL,
                                 0x123456789abcdef0,
                                 INT64_MAX,
                                 INT64_MIN + 1,
                                 INT64_MIN};

static void pair(int64_t a, int64_t b)
{
    uint64_t ua = a, ub = b;
    uint64_t hash = ua + ub;
    hash = hash * 31 + (ua - ub);
    hash = hash * 31 + ua * ub;
    hash = hash * 31 + (ua & ub);
    hash = hash * 31 + (ua | ub);
    hash = hash * 31 + (ua ^ ub);
    hash = hash * 31 + (ua << (ub & 63));
    hash = hash * 31 + (ua >> (ub & 63));
    hash = hash * 31 + (uint64_t)(a >> (b & 63));
    hash = hash * 31 + ((a < b) | (a <= b) << 1 | (ua < ub) << 2 | (ua <= ub) << 3 | (a == b) << 4);
    if (b != 0) {
        hash = hash * 31 + ua / ub;
        hash = hash * 31 + ua % ub;
        if (!(a == INT64_MIN && b == -1)) {
            hash = hash * 31 + (uint64_t)(a / b);
            hash = hash * 31 + (uint64_t)(a % b);
        }
    }
    printf(" %016" PRIx64, hash);
}

int main(void)
{
    volatile int64_t hidden[COUNT(values)];
    for (size_t i = 0; i < COUNT(values); i++)
        hidden[i] = values[i];
    for (size_t i = 0; i < COUNT(values); i++) {
        printf("%" PRId64 ":", hidden[i]);
        for (size_t j = 0; j < COUNT(values); j++)
            pair(hidden[i], hidden[j]);
        printf("\n");
    }
    __int128 wide = (__int128)hidden[14] * hidden[16] / 1000003;
    printf("128 bits: %016" PRIx64 "%016" PRIx64 "\n", (uint64_t)(wide >> 64), (uint64_t)wide);
    return 0;
}
