/* SPDX-License-Identifier: MIT */
/*
 * aes: AES-128 by tables, as software did it before CPUs could: four loads from tables of a
 * kilobyte for each word and round, their indices cut out of words by shifts. Blocks are chained
 * while encrypting, so each waits for the one before; decrypting gets the text back.
 */
#include "bench.h"

enum { ROUNDS = 10, KEYS = 4 * (ROUNDS + 1), SIZE = 1 << 14 };

static u8 box[256], box_back[256];
static u32 table[4][256], table_back[4][256];

struct key {
    u32 encrypt[KEYS], decrypt[KEYS];
};

/* a * b in the field of 2^8 elements. */
static u8 times(u8 a, u8 b)
{
    u8 product = 0;

    for (; b != 0; b >>= 1) {
        if (b & 1)
            product ^= a;
        a = (u8)(a << 1 ^ (a >> 7) * 0x1b);
    }
    return product;
}

static u32 rotate(u32 word, u32 by)
{
    return word >> by | word << (32 - by);
}

static u32 word_of(u8 a, u8 b, u8 c, u8 d)
{
    return (u32)a << 24 | (u32)b << 16 | (u32)c << 8 | d;
}

static void make_tables(void)
{
    u8 p = 1, q = 1;

    do { /* p runs through the field, q is its inverse */
        p = times(p, 3);
        q = times(q, 0xf6);
        box[p] = (u8)(0x63 ^ q ^ (q << 1 | q >> 7) ^ (q << 2 | q >> 6) ^ (q << 3 | q >> 5) ^
                      (q << 4 | q >> 4));
    } while (p != 1);
    box[0] = 0x63;
    for (u32 i = 0; i < 256; i++)
        box_back[box[i]] = (u8)i;
    for (u32 i = 0; i < 256; i++) {
        u8 s = box[i], b = box_back[i];
        u32 forth = word_of(times(s, 2), s, s, times(s, 3));
        u32 back = word_of(times(b, 14), times(b, 9), times(b, 13), times(b, 11));

        for (u32 t = 0; t < 4; t++) {
            table[t][i] = t == 0 ? forth : rotate(forth, 8 * t);
            table_back[t][i] = t == 0 ? back : rotate(back, 8 * t);
        }
    }
}

static void make_key(struct key *k, const u8 *bytes)
{
    u8 round = 1;

    for (u32 i = 0; i < 4; i++)
        k->encrypt[i] = word_of(bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]);
    for (u32 i = 4; i < KEYS; i++) {
        u32 word = k->encrypt[i - 1];

        if (i % 4 == 0) {
            word = rotate(word, 24);
            word = word_of(box[word >> 24], box[word >> 16 & 255], box[word >> 8 & 255],
                           box[word & 255]);
            word ^= (u32)round << 24;
            round = times(round, 2);
        }
        k->encrypt[i] = k->encrypt[i - 4] ^ word;
    }
    for (u32 i = 0; i < KEYS; i++) {
        u32 word = k->encrypt[4 * (ROUNDS - i / 4) + i % 4];

        if (i >= 4 && i < KEYS - 4)
            word = table_back[0][box[word >> 24]] ^ table_back[1][box[word >> 16 & 255]] ^
                   table_back[2][box[word >> 8 & 255]] ^ table_back[3][box[word & 255]];
        k->decrypt[i] = word;
    }
}

/* One block. `turn` is how the rows are shifted: 1 encrypts, 3 decrypts. */
static inline __attribute__((always_inline)) void cipher(u32 *s, const u32 *key, u32 (*tables)[256],
                                                         const u8 *last, u32 turn)
{
    u32 next[4];

    for (u32 i = 0; i < 4; i++)
        s[i] ^= key[i];
    for (u32 r = 1; r < ROUNDS; r++) {
        key += 4;
        for (u32 i = 0; i < 4; i++)
            next[i] = tables[0][s[i] >> 24] ^ tables[1][s[(i + turn) % 4] >> 16 & 255] ^
                      tables[2][s[(i + 2) % 4] >> 8 & 255] ^
                      tables[3][s[(i + 4 - turn) % 4] & 255] ^ key[i];
        memcpy(s, next, sizeof(next));
    }
    key += 4;
    for (u32 i = 0; i < 4; i++)
        next[i] = word_of(last[s[i] >> 24], last[s[(i + turn) % 4] >> 16 & 255],
                          last[s[(i + 2) % 4] >> 8 & 255], last[s[(i + 4 - turn) % 4] & 255]) ^
                  key[i];
    memcpy(s, next, sizeof(next));
}

static void chain(u32 *text, u32 words, const struct key *k, const u32 *start)
{
    u32 s[4];

    memcpy(s, start, sizeof(s));
    for (u32 at = 0; at < words; at += 4) {
        for (u32 i = 0; i < 4; i++)
            s[i] ^= text[at + i];
        cipher(s, k->encrypt, table, box, 1);
        memcpy(text + at, s, sizeof(s));
    }
}

static void unchain(u32 *text, u32 words, const struct key *k, const u32 *start)
{
    u32 before[4], s[4], crypt[4];

    memcpy(before, start, sizeof(before));
    for (u32 at = 0; at < words; at += 4) {
        memcpy(crypt, text + at, sizeof(crypt));
        memcpy(s, crypt, sizeof(s));
        cipher(s, k->decrypt, table_back, box_back, 3);
        for (u32 i = 0; i < 4; i++)
            text[at + i] = s[i] ^ before[i];
        memcpy(before, crypt, sizeof(before));
    }
}

/* The example of FIPS 197, appendix C.1. */
static void check(void)
{
    static const u32 expected[4] = {0x69c4e0d8, 0x6a7b0430, 0xd8cdb780, 0x70b4c55a};
    u32 text[4] = {0x00112233, 0x44556677, 0x8899aabb, 0xccddeeff}, zero[4] = {0};
    struct key k;
    u8 bytes[16];

    for (u8 i = 0; i < 16; i++)
        bytes[i] = i;
    make_key(&k, bytes);
    chain(text, 4, &k, zero);
    if (memcmp(text, expected, sizeof(text)) != 0)
        bench_fail("aes: not what the standard says");
}

static u64 bench_body(double scale)
{
    static u32 text[SIZE / 4], copy[SIZE / 4];
    u32 rounds = bench_count(scale, 2400);
    u64 seed = 41, sum = 0;

    make_tables();
    check();
    for (u32 i = 0; i < COUNT(text); i++)
        text[i] = bench_random(&seed);
    for (u32 r = 0; r < rounds; r++) {
        u32 start[4] = {r, r + 1, r + 2, r + 3};
        struct key k;
        u8 bytes[16];

        for (u32 i = 0; i < 16; i++)
            bytes[i] = (u8)bench_random(&seed);
        make_key(&k, bytes);
        memcpy(copy, text, sizeof(copy));
        chain(copy, COUNT(copy), &k, start);
        sum = bench_mix(sum, copy[COUNT(copy) - 1]);
        unchain(copy, COUNT(copy), &k, start);
        if (memcmp(copy, text, sizeof(copy)) != 0)
            bench_fail("aes: the text did not come back");
    }
    return sum;
}
