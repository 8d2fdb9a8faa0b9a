// SPDX-License-Identifier: MIT
// The same at 32, 16 and 8 bits: wrapping, sign extension, conversions between all widths.
#include <stdint.h>
#include <stdio.h>

int main(void)
{
    volatile int64_t values[] = {0,
                                 1,
                                 -1,
                                 127,
                                 128,
                                 255,
                                 256,
                                 -128,
                                 -129,
                                 32767,
                                 32768,
                                 65535,
                                 65536,
                                 0x7fffffff,
                                 0x80000000,
                                 0xffffffff,
                                 0x1234567890abcdef,
                                 INT64_MIN};
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        int64_t v = values[i];
        printf("%d %u %d %u %d %u | ", (int8_t)v, (uint8_t)v, (int16_t)v, (uint16_t)v, (int32_t)v,
               (uint32_t)v);
        int32_t w = (int32_t)v;
        int8_t b = (int8_t)w;
        int16_t h = (int16_t)w;
        b = (int8_t)(b * 3);
        h = (int16_t)(h * 5 - b);
        uint32_t u = (uint32_t)w * 2654435761u;
        printf("%d %d %u %d %u %d\n", b, h, u, w / 7, u % 1000, (int32_t)((uint32_t)w << 5) >> 3);
    }
    return 0;
}
