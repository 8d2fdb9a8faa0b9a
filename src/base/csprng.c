// SPDX-License-Identifier: MIT
// ChaCha20 as a generator; see csprng.h. A key is used for one request only, so the nonce is zero,
// and a block is never used twice: block 0 is the next key and the first bytes, the others follow.
#include "base/csprng.h"

static u32 rotate(u32 x, u32 n)
{
    return x << n | x >> (32 - n);
}

static void quarter(u32 *s, u32 a, u32 b, u32 c, u32 d)
{
    s[a] += s[b], s[d] = rotate(s[d] ^ s[a], 16);
    s[c] += s[d], s[b] = rotate(s[b] ^ s[c], 12);
    s[a] += s[b], s[d] = rotate(s[d] ^ s[a], 8);
    s[c] += s[d], s[b] = rotate(s[b] ^ s[c], 7);
}

void chacha20_block(const u32 key[8], u32 counter, const u32 nonce[3], u8 out[64])
{
    u32 in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}, s[16];
    memcpy(in + 4, key, 32);
    in[12] = counter;
    memcpy(in + 13, nonce, 12);
    memcpy(s, in, sizeof s);
    for (int i = 0; i < 10; i++) {
        for (u32 k = 0; k < 4; k++)
            quarter(s, k, 4 + k, 8 + k, 12 + k);
        for (u32 k = 0; k < 4; k++)
            quarter(s, k, 4 + (k + 1) % 4, 8 + (k + 2) % 4, 12 + (k + 3) % 4);
    }
    for (u32 i = 0; i < 16; i++)
        store_u32(out + 4 * i, s[i] + in[i]);
}

void csprng_seed(struct csprng *r, const u8 seed[32])
{
    memcpy(r->key, seed, sizeof r->key);
}

// At most 2^32 - 1 blocks, 256 GiB, per key: a longer request takes several.
void csprng_fill(struct csprng *r, void *p, size_t n)
{
    static const u32 nonce[3];
    u8 *to = p, block[64];
    u32 key[8], counter = 0;
    size_t from = 32;
    memcpy(key, r->key, sizeof key);
    chacha20_block(key, counter, nonce, block);
    memcpy(r->key, block, sizeof r->key);
    while (n) {
        size_t part = sizeof block - from < n ? sizeof block - from : n;
        memcpy(to, block + from, part);
        to += part, n -= part, from = 0;
        if (n && ++counter == 0) {
            csprng_fill(r, key, sizeof key); // once, for it is short
            continue;
        }
        if (n)
            chacha20_block(key, counter, nonce, block);
    }
    __builtin_memset(block, 0, sizeof block);
    __builtin_memset(key, 0, sizeof key);
    __asm__ volatile("" : : "r"(block), "r"(key) : "memory"); // they are gone, not merely dead
}
