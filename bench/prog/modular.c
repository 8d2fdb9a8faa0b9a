/* SPDX-License-Identifier: MIT */
/*
 * modular: polynomials multiplied by a number-theoretic transform modulo a prime of 31 bits, whose
 * sums wrap by comparing and subtracting, and powers modulo a prime of 256 bits by Montgomery's
 * method, limb by limb with carries. Wide multiplications, comparisons that become numbers.
 */
#include "bench.h"

enum { LOG = 12, SIZE = 1 << LOG, LIMBS = 8 };
#define PRIME 2013265921u /* 15 * 2^27 + 1, and 31 generates its units */

static u32 add(u32 a, u32 b)
{
    u32 sum = a + b;

    return sum >= PRIME ? sum - PRIME : sum;
}

static u32 sub(u32 a, u32 b)
{
    return a >= b ? a - b : a + PRIME - b;
}

static u32 mul(u32 a, u32 b)
{
    return (u32)((u64)a * b % PRIME);
}

static u32 power(u32 base, u32 exponent)
{
    u32 result = 1;

    for (; exponent != 0; exponent >>= 1, base = mul(base, base))
        if (exponent & 1)
            result = mul(result, base);
    return result;
}

static void transform(u32 *a, u32 root)
{
    static u32 roots[SIZE / 2];

    roots[0] = 1;
    for (u32 i = 1; i < SIZE / 2; i++)
        roots[i] = mul(roots[i - 1], root);
    for (u32 i = 1, j = 0; i < SIZE; i++) {
        u32 bit = SIZE >> 1;

        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            u32 t = a[i];

            a[i] = a[j];
            a[j] = t;
        }
    }
    for (u32 half = 1, step = SIZE / 2; half < SIZE; half *= 2, step /= 2)
        for (u32 at = 0; at < SIZE; at += 2 * half)
            for (u32 i = 0; i < half; i++) {
                u32 u = a[at + i], v = mul(a[at + i + half], roots[i * step]);

                a[at + i] = add(u, v);
                a[at + i + half] = sub(u, v);
            }
}

/* a * b into a, both of degree below SIZE / 2. */
static void multiply(u32 *a, u32 *b)
{
    u32 root = power(31, (PRIME - 1) / SIZE), back = power(SIZE, PRIME - 2);

    transform(a, root);
    transform(b, root);
    for (u32 i = 0; i < SIZE; i++)
        a[i] = mul(a[i], b[i]);
    transform(a, power(root, PRIME - 2));
    for (u32 i = 0; i < SIZE; i++)
        a[i] = mul(a[i], back);
}

static u64 polynomials(u64 *seed, u32 rounds)
{
    static u32 a[SIZE], b[SIZE];
    u64 sum = 0;

    for (u32 r = 0; r < rounds; r++) {
        u32 x, in = 0, out = 0;

        memset(a, 0, sizeof(a));
        memset(b, 0, sizeof(b));
        for (u32 i = 0; i < SIZE / 2; i++) {
            a[i] = bench_random(seed) % PRIME;
            b[i] = bench_random(seed) % PRIME;
        }
        x = bench_random(seed) % PRIME;
        for (u32 i = SIZE / 2, in_a = 0, in_b = 0; i > 0;) {
            i--;
            in_a = add(mul(in_a, x), a[i]);
            in_b = add(mul(in_b, x), b[i]);
            in = mul(in_a, in_b);
        }
        multiply(a, b);
        for (u32 i = SIZE; i > 0;)
            out = add(mul(out, x), a[--i]);
        if (in != out)
            bench_fail("modular: the product is wrong");
        sum = bench_mix(sum, out);
    }
    return sum;
}

/* 2^255 - 19, lowest limb first; -1 / it modulo 2^32. */
static const u32 modulus[LIMBS] = {0xffffffed, ~0u, ~0u, ~0u, ~0u, ~0u, ~0u, 0x7fffffff};
enum { INVERSE = 678152731 };

static u32 subtract(u32 *out, const u32 *a, const u32 *b)
{
    u32 borrow = 0;

    for (int i = 0; i < LIMBS; i++) {
        u32 d = a[i] - b[i], under = a[i] < b[i];

        out[i] = d - borrow;
        borrow = under | (d < borrow);
    }
    return borrow;
}

/* a * b / 2^256 modulo the modulus. */
static void montgomery(u32 *out, const u32 *a, const u32 *b)
{
    u32 t[LIMBS + 1] = {0}, reduced[LIMBS];

    for (int i = 0; i < LIMBS; i++) {
        u64 carry = 0, low = 0;
        u32 m = (t[0] + a[i] * b[0]) * INVERSE;

        for (int j = 0; j < LIMBS; j++) {
            carry += (u64)a[i] * b[j] + t[j];
            low += (u64)m * modulus[j] + (u32)carry;
            if (j > 0)
                t[j - 1] = (u32)low;
            carry >>= 32;
            low >>= 32;
        }
        carry += t[LIMBS];
        low += (u32)carry;
        t[LIMBS - 1] = (u32)low;
        t[LIMBS] = (u32)(carry >> 32) + (u32)(low >> 32);
    }
    memcpy(out, subtract(reduced, t, modulus) > t[LIMBS] ? t : reduced, sizeof(reduced));
}

/* base^(p-1) modulo p for the prime p, in Montgomery's form: it must be 1, which is 38 there. */
static u64 fermat(u64 *seed)
{
    static const u32 one[LIMBS] = {38};
    u32 base[LIMBS], result[LIMBS];
    u64 sum = 0;

    for (int i = 0; i < LIMBS; i++)
        base[i] = result[i] = bench_random(seed) >> 1;
    for (int bit = 253; bit >= 0; bit--) {
        u32 limb = bit / 32 == 0 ? modulus[0] - 1 : modulus[bit / 32];

        montgomery(result, result, result);
        if (limb >> (bit % 32) & 1)
            montgomery(result, result, base);
        sum = bench_mix(sum, result[3]);
    }
    if (memcmp(result, one, sizeof(one)) != 0)
        bench_fail("modular: the power is wrong");
    return sum;
}

static u64 bench_body(double scale)
{
    u32 rounds = bench_count(scale, 520), powers = bench_count(scale, 2600);
    u64 seed = 31, sum = polynomials(&seed, rounds);

    for (u32 i = 0; i < powers; i++)
        sum = bench_mix(sum, fermat(&seed));
    return sum;
}
