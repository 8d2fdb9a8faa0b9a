// SPDX-License-Identifier: MIT
// The CPU's generators of random numbers. RDSEED is the source itself, and may be exhausted for a
// while; RDRAND is a generator that is seeded from it often (Intel SDM 7.3.17).
#include "arch/arch.h"

static bool has(u32 leaf, u32 reg, u32 bit)
{
    u32 r[4];
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(0));
    return r[reg] >> bit & 1;
}

static bool rdseed(u64 *v)
{
    bool done;
    __asm__ volatile("rdseed %0; setc %1" : "=r"(*v), "=qm"(done) : : "cc");
    return done;
}

static bool rdrand(u64 *v)
{
    bool done;
    __asm__ volatile("rdrand %0; setc %1" : "=r"(*v), "=qm"(done) : : "cc");
    return done;
}

// From the better of the two.
static bool word(bool has_seed, bool has_rand, u64 *v)
{
    for (u32 i = 0; i < 32; i++) {
        if (has_seed && rdseed(v))
            return true;
        if ((!has_seed || i > 16) && has_rand && rdrand(v))
            return true;
        __builtin_ia32_pause();
    }
    return false;
}

bool arch_random(void *p, size_t n)
{
    bool has_seed = has(7, 1, 18), has_rand = has(1, 2, 30);
    u64 v;
    for (size_t done = 0, part; done < n; done += part) {
        if (!word(has_seed, has_rand, &v))
            return false;
        part = n - done < sizeof v ? n - done : sizeof v;
        memcpy((u8 *)p + done, &v, part);
    }
    return true;
}
