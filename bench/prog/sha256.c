/* SPDX-License-Identifier: MIT */
/*
 * sha256: FIPS 180-4 over a buffer: eight words of state in registers, rotations, additions, 64
 * rounds without a branch. The digest of "abc" is checked first.
 */
#include "bench.h"

enum { BUFFER = 1 << 16 };

static const u32 round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static const u32 initial_state[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
};

static u32 rotate(u32 x, int n)
{
    return x >> n | x << (32 - n);
}

static u32 load_be32(const u8 *p)
{
    return (u32)p[0] << 24 | (u32)p[1] << 16 | (u32)p[2] << 8 | p[3];
}

static void schedule(u32 w[64], const u8 *block)
{
    for (int i = 0; i < 16; i++)
        w[i] = load_be32(block + 4 * i);
    for (int i = 16; i < 64; i++) {
        u32 x = w[i - 15], y = w[i - 2];

        w[i] = w[i - 16] + w[i - 7] + (rotate(x, 7) ^ rotate(x, 18) ^ x >> 3) +
               (rotate(y, 17) ^ rotate(y, 19) ^ y >> 10);
    }
}

static void compress(u32 state[8], const u8 *block)
{
    u32 w[64];
    u32 a = state[0], b = state[1], c = state[2], d = state[3];
    u32 e = state[4], f = state[5], g = state[6], h = state[7];

    schedule(w, block);
    for (int i = 0; i < 64; i++) {
        u32 t = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + (g ^ (e & (f ^ g))) +
                round_constants[i] + w[i];
        u32 u = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) | (c & (a | b)));

        h = g;
        g = f;
        f = e;
        e = d + t;
        d = c;
        c = b;
        b = a;
        a = t + u;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

static void sha256(u32 state[8], const u8 *data, u32 len)
{
    u8 tail[128] = {0};
    u32 rest = len % 64;
    u32 padded = rest < 56 ? 64 : 128;

    memcpy(state, initial_state, sizeof(initial_state));
    for (u32 at = 0; at + 64 <= len; at += 64)
        compress(state, data + at);
    memcpy(tail, data + len - rest, rest);
    tail[rest] = 0x80;
    for (u32 i = 0; i < 4; i++)
        tail[padded - 1 - i] = (u8)((len * 8) >> (8 * i));
    for (u32 at = 0; at < padded; at += 64)
        compress(state, tail + at);
}

static u64 bench_body(double scale)
{
    static u8 buffer[BUFFER];
    u32 rounds = bench_count(scale, 900);
    u32 state[8];
    u64 seed = 23, sum = 0;

    sha256(state, (const u8 *)"abc", 3);
    if (state[0] != 0xba7816bf || state[7] != 0xf20015ad)
        bench_fail("wrong digest of abc");
    for (u32 i = 0; i < BUFFER; i++)
        buffer[i] = (u8)bench_random(&seed);
    for (u32 r = 0; r < rounds; r++) {
        sha256(state, buffer, BUFFER - r % 64);
        buffer[r] ^= (u8)state[0];
        sum = bench_mix(sum, (u64)state[3] << 32 | state[4]);
    }
    return sum;
}
