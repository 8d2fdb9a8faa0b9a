// SPDX-License-Identifier: MIT
// ChaCha20 as a generator; see csprng.h. A key is used for one request only, so the nonce is zero,
// and a block is never used twice: block 0 is the next key and the first bytes, the others follow.
#include "base/csprng.h"

// The state is four rows of four words; a round works on whole rows, and the diagonals are columns
// of rows that have been turned.
typedef u32 row __attribute__((vector_size(16)));

static inline row rotate(row x, u32 n)
{
    return x << n | x >> (32 - n);
}

#define TURN(x, n) __builtin_shufflevector(x, x, n, (n + 1) & 3, (n + 2) & 3, (n + 3) & 3)

static inline void quarters(row s[4])
{
    s[0] += s[1], s[3] = rotate(s[3] ^ s[0], 16);
    s[2] += s[3], s[1] = rotate(s[1] ^ s[2], 12);
    s[0] += s[1], s[3] = rotate(s[3] ^ s[0], 8);
    s[2] += s[3], s[1] = rotate(s[1] ^ s[2], 7);
}

void chacha20_block(const u32 key[8], u32 counter, const u32 nonce[3], u8 out[64])
{
    row in[4] = {{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}}, s[4];
    memcpy(in + 1, key, 32);
    in[3] = (row){counter, nonce[0], nonce[1], nonce[2]};
    memcpy(s, in, sizeof s);
    for (int i = 0; i < 10; i++) {
        quarters(s);
        s[1] = TURN(s[1], 1), s[2] = TURN(s[2], 2), s[3] = TURN(s[3], 3);
        quarters(s);
        s[1] = TURN(s[1], 3), s[2] = TURN(s[2], 2), s[3] = TURN(s[3], 1);
    }
    for (u32 i = 0; i < 4; i++)
        s[i] += in[i];
    memcpy(out, s, sizeof s);
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
