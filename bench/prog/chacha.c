/* SPDX-License-Identifier: MIT */
/*
 * chacha: the AEAD of RFC 8439 without additional data: ChaCha20 (sixteen 32-bit words of state,
 * more than any register file holds) and Poly1305 with five limbs of 26 bits (32 x 32 -> 64 bit
 * multiplications). The tag of the RFC's section 2.5.2 is checked first.
 */
#include "bench.h"

enum { BUFFER = 1 << 16, LIMB = 0x3ffffff };

struct poly {
    u32 r[5], h[5], pad[4];
};

static u32 load_le32(const u8 *p)
{
    return p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

static void store_le32(u8 *p, u32 x)
{
    for (int i = 0; i < 4; i++)
        p[i] = (u8)(x >> (8 * i));
}

static u32 rotate(u32 x, int n)
{
    return x << n | x >> (32 - n);
}

#define QUARTER(a, b, c, d)                                                                        \
    (a += b, d = rotate(d ^ a, 16), c += d, b = rotate(b ^ c, 12), a += b, d = rotate(d ^ a, 8),   \
     c += d, b = rotate(b ^ c, 7))

static void chacha_block(u32 out[16], const u32 in[16])
{
    u32 x[16];

    memcpy(x, in, sizeof(x));
    for (int i = 0; i < 10; i++) {
        QUARTER(x[0], x[4], x[8], x[12]);
        QUARTER(x[1], x[5], x[9], x[13]);
        QUARTER(x[2], x[6], x[10], x[14]);
        QUARTER(x[3], x[7], x[11], x[15]);
        QUARTER(x[0], x[5], x[10], x[15]);
        QUARTER(x[1], x[6], x[11], x[12]);
        QUARTER(x[2], x[7], x[8], x[13]);
        QUARTER(x[3], x[4], x[9], x[14]);
    }
    for (int i = 0; i < 16; i++)
        out[i] = x[i] + in[i];
}

static void chacha_start(u32 state[16], const u8 key[32], u32 nonce)
{
    static const u32 words[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};

    memcpy(state, words, sizeof(words));
    for (int i = 0; i < 8; i++)
        state[4 + i] = load_le32(key + 4 * i);
    state[12] = 0;
    state[13] = nonce;
    state[14] = state[15] = 0;
}

static void chacha_xor(u32 state[16], u8 *data, u32 len)
{
    u32 stream[16];

    for (u32 at = 0; at < len; at += 64) {
        chacha_block(stream, state);
        state[12]++;
        for (u32 i = 0; i < 64 && at + i < len; i++)
            data[at + i] ^= (u8)(stream[i / 4] >> (i % 4 * 8));
    }
}

static void poly_start(struct poly *p, const u8 key[32])
{
    p->r[0] = load_le32(key) & 0x3ffffff;
    p->r[1] = load_le32(key + 3) >> 2 & 0x3ffff03;
    p->r[2] = load_le32(key + 6) >> 4 & 0x3ffc0ff;
    p->r[3] = load_le32(key + 9) >> 6 & 0x3f03fff;
    p->r[4] = load_le32(key + 12) >> 8 & 0x00fffff;
    memset(p->h, 0, sizeof(p->h));
    for (int i = 0; i < 4; i++)
        p->pad[i] = load_le32(key + 16 + 4 * i);
}

/* h = (h + block) * r mod 2^130 - 5; `top` is the bit above the block's 16 bytes. */
static void poly_block(struct poly *p, const u8 *m, u32 top)
{
    const u32 *r = p->r;
    u32 *h = p->h;
    u64 d[5], carry = 0;
    u32 s1 = r[1] * 5, s2 = r[2] * 5, s3 = r[3] * 5, s4 = r[4] * 5;
    u64 h0 = h[0] + (load_le32(m) & LIMB);
    u64 h1 = h[1] + (load_le32(m + 3) >> 2 & LIMB);
    u64 h2 = h[2] + (load_le32(m + 6) >> 4 & LIMB);
    u64 h3 = h[3] + (load_le32(m + 9) >> 6 & LIMB);
    u64 h4 = h[4] + (load_le32(m + 12) >> 8 | top);

    d[0] = h0 * r[0] + h1 * s4 + h2 * s3 + h3 * s2 + h4 * s1;
    d[1] = h0 * r[1] + h1 * r[0] + h2 * s4 + h3 * s3 + h4 * s2;
    d[2] = h0 * r[2] + h1 * r[1] + h2 * r[0] + h3 * s4 + h4 * s3;
    d[3] = h0 * r[3] + h1 * r[2] + h2 * r[1] + h3 * r[0] + h4 * s4;
    d[4] = h0 * r[4] + h1 * r[3] + h2 * r[2] + h3 * r[1] + h4 * r[0];
    for (int i = 0; i < 5; i++) {
        carry += d[i];
        h[i] = (u32)carry & LIMB;
        carry >>= 26;
    }
    h[0] += (u32)carry * 5;
    h[1] += h[0] >> 26;
    h[0] &= LIMB;
}

/* Reduces h fully: carries, then subtracts the prime when h is not below it. */
static void poly_reduce(u32 h[5])
{
    u32 g[5], carry = 5;

    for (int i = 1; i < 5; i++) {
        h[i] += h[i - 1] >> 26;
        h[i - 1] &= LIMB;
    }
    h[0] += (h[4] >> 26) * 5;
    h[4] &= LIMB;
    for (int i = 0; i < 5; i++) {
        carry += h[i];
        g[i] = carry & LIMB;
        carry >>= 26;
    }
    for (int i = 0; i < 5; i++)
        h[i] = carry != 0 ? g[i] : h[i];
}

static void poly_end(struct poly *p, u8 tag[16])
{
    u32 *h = p->h;
    u64 sum = 0;
    u32 words[4];

    poly_reduce(h);
    words[0] = h[0] | h[1] << 26;
    words[1] = h[1] >> 6 | h[2] << 20;
    words[2] = h[2] >> 12 | h[3] << 14;
    words[3] = h[3] >> 18 | h[4] << 8;
    for (int i = 0; i < 4; i++) {
        sum += (u64)words[i] + p->pad[i];
        store_le32(tag + 4 * i, (u32)sum);
        sum >>= 32;
    }
}

static void poly1305(u8 tag[16], const u8 key[32], const u8 *data, u32 len)
{
    struct poly p;
    u8 last[17] = {0};
    u32 rest = len % 16;

    poly_start(&p, key);
    for (u32 at = 0; at + 16 <= len; at += 16)
        poly_block(&p, data + at, 1 << 24);
    if (rest != 0) {
        memcpy(last, data + len - rest, rest);
        last[rest] = 1;
        poly_block(&p, last, 0);
    }
    poly_end(&p, tag);
}

static void seal(u8 tag[16], u8 *data, u32 len, const u8 key[32], u32 nonce)
{
    u32 state[16], first[16];
    u8 poly_key[32];

    chacha_start(state, key, nonce);
    chacha_block(first, state);
    state[12]++;
    for (int i = 0; i < 8; i++)
        store_le32(poly_key + 4 * i, first[i]);
    chacha_xor(state, data, len);
    poly1305(tag, poly_key, data, len);
}

static void check_tag(void)
{
    static const u8 key[32] = {0x85, 0xd6, 0xbe, 0x78, 0x57, 0x55, 0x6d, 0x33, 0x7f, 0x44, 0x52,
                               0xfe, 0x42, 0xd5, 0x06, 0xa8, 0x01, 0x03, 0x80, 0x8a, 0xfb, 0x0d,
                               0xb2, 0xfd, 0x4a, 0xbf, 0xf6, 0xaf, 0x41, 0x49, 0xf5, 0x1b};
    static const char text[] = "Cryptographic Forum Research Group";
    u8 tag[16];

    poly1305(tag, key, (const u8 *)text, sizeof(text) - 1);
    if (load_le32(tag) != 0xc11d06a8 || load_le32(tag + 12) != 0xa927010c)
        bench_fail("wrong tag");
}

static u64 bench_body(double scale)
{
    static u8 buffer[BUFFER];
    u32 rounds = bench_count(scale, 1200);
    u8 key[32], tag[16];
    u64 sum = 0;

    check_tag();
    for (u32 i = 0; i < sizeof(key); i++)
        key[i] = (u8)(i * 7 + 1);
    for (u32 r = 0; r < rounds; r++) {
        seal(tag, buffer, BUFFER - r % 64, key, r);
        sum = bench_mix(sum, (u64)load_le32(tag) << 32 | load_le32(tag + 12));
    }
    return sum;
}
