// SPDX-License-Identifier: MIT
// What this CPU can do beyond x86-64-v2, which everything here takes for granted (Intel SDM volume
// 2, CPUID).
#pragma once
#include "base/types.h"

enum x64_feature { X64_BMI2 = 1, X64_LZCNT = 2, X64_AVX = 4, X64_AVX2 = 8 }; // LZCNT: tzcnt too

// Does whoever switches tasks keep xmm and ymm registers (XCR0)?
static inline bool x64_keeps_ymm(void)
{
    u32 a, d;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (a & 6) == 6;
}

static inline u32 x64_features(void)
{
    u32 a = 7, b, c = 0, d, features = 0;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    bool bmi1 = b >> 3 & 1, avx2 = b >> 5 & 1, bmi2 = b >> 8 & 1;
    a = 1;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    bool avx = (c >> 27 & 3) == 3 && x64_keeps_ymm();
    a = 0x80000001;
    __asm__("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
    features |= avx ? X64_AVX : 0;
    features |= avx && avx2 ? X64_AVX2 : 0;
    features |= bmi2 ? X64_BMI2 : 0;
    features |= bmi1 && (c >> 5 & 1) ? X64_LZCNT : 0;
    return features;
}
