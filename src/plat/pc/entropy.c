// SPDX-License-Identifier: MIT
// Random bytes: ChaCha20, with a key from everything that cannot be foreseen here: the CPU's
// generator, and the time stamp counter around slow accesses to a device. Without a generator the
// latter alone must do, and then much more of it is taken.
#include "arch/arch.h"
#include "base/csprng.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

enum { JITTER_FEW = 8, JITTER_MANY = 2048 };

static struct csprng pool;
static bool seeded;
static u32 lock;

// Stirs data into the key: the key encrypts nothing but what comes next.
static void stir(u8 key[32], const u64 data[4])
{
    u8 out[64];
    u32 words[8];
    memcpy(words, key, 32);
    for (u32 i = 0; i < 8; i++)
        words[i] ^= (u32)(data[i / 2] >> i % 2 * 32);
    chacha20_block(words, 0, (u32[3]){0}, out);
    memcpy(key, out, 32);
}

static void jitter(u8 key[32], u32 rounds)
{
    u64 data[4] = {0};
    for (u32 i = 0; i < rounds; i++) {
        u64 before = rdtsc();
        in8(0x61);
        data[i % 4] = (data[i % 4] << 13 | data[i % 4] >> 51) ^ (rdtsc() - before) ^ before << 32;
        if (i % 64 == 63 || i + 1 == rounds)
            stir(key, data);
    }
}

static void seed(void)
{
    u8 key[32] = {0};
    u64 data[4];
    bool good = arch_random(data, sizeof data);
    if (good)
        stir(key, data);
    jitter(key, good ? JITTER_FEW : JITTER_MANY);
    csprng_seed(&pool, key);
    seeded = true;
}

status plat_entropy(void *p, size_t n)
{
    spin_lock(&lock);
    if (!seeded)
        seed();
    csprng_fill(&pool, p, n);
    spin_unlock(&lock);
    return OK;
}
