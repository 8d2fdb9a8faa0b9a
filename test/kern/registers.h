// SPDX-License-Identifier: MIT
// Loops of registers.c, each with another kind of state in registers and flags, and the sums that
// they give. Those come from elsewhere:
//
//   clang-22 -march=x86-64-v2 -ffp-contract=off -DSUMS -x c test/kern/registers.h -lm && ./a.out
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LOOP(name) __attribute__((noinline)) static uint64_t loop_##name(uint32_t rounds)

static inline uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline uint64_t step(uint64_t x)
{
    x ^= x << 13;
    x ^= x >> 7;
    return x ^ x << 17;
}

// More integers than there are registers.
LOOP(integers)
{
    uint64_t a = 1, b = 3, c = 5, d = 7, e = 11, f = 13, g = 17, h = 19, i = 23, j = 29, k = 31,
             l = 37;
    for (uint32_t n = 0; n < rounds; n++) {
        a += b ^ n;
        b = (b << 13 | b >> 51) + c;
        c ^= d + a;
        d = (d >> 7) * e + 1;
        e += f > g ? h : i;
        f = f * 6364136223846793005u + j;
        g ^= k >> (n & 31);
        h -= l;
        i = (i << (n & 7)) ^ a;
        j += f;
        k ^= g << 3;
        l = l * 3 + h;
    }
    return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ i ^ j ^ k ^ l;
}

// As few as fit, without a call or a load.
LOOP(few)
{
    uint32_t a = 1, b = 2, c = 3, d = 4, e = 5;
    for (uint32_t n = 0; n < rounds; n++) {
        a = a * 1664525 + 1013904223;
        b ^= a >> 16;
        c += b << 1;
        d = c - d;
        e ^= d + n;
    }
    return (uint64_t)a << 32 ^ (uint64_t)b << 24 ^ (uint64_t)c << 16 ^ (uint64_t)d << 8 ^ e;
}

LOOP(doubles)
{
    double p = 1, q = 2, r = 3, s = 4, t = 5, u = 6, v = 7, w = 8, x = 9, y = 10, z = 11, o = 12,
           a = 13, b = 14, c = 15, d = 16, e = 17;
    for (uint32_t n = 0; n < rounds; n++) {
        p = p * 0.5 + q;
        q = q * 0.25 + r * 0.125;
        r = s - r * 0.5;
        s = t * 0.5 + p * 0.01;
        t = u * 0.9 + 0.1;
        u = v * 0.5 - w * 0.25;
        v = w * 0.7 + 0.3;
        w = x * 0.6 + (double)(n & 15);
        x = y * 0.4 + z * 0.3;
        y = z * 0.5 + o * 0.2;
        z = o * 0.8 - p * 0.1;
        o = q * 0.3 + u * 0.3 + 1;
        a = b * 0.5 + c;
        b = c * 0.25 - d * 0.5;
        c = d * 0.75 + e * 0.1;
        d = e * 0.5 + o * 0.3;
        e = a * 0.25 - z * 0.5;
    }
    return bits_of(p + q * 3 + r * 5 + s * 7 + t * 11 + u * 13 + v + w + x * 2 + y + z + o + a +
                   b * 3 + c * 5 + d * 7 + e);
}

// More vectors than there are registers, all of each in use.
#ifdef __wasm__
__attribute__((target("simd128")))
#endif
LOOP(vectors)
{
    typedef uint32_t vector __attribute__((vector_size(16)));
    vector v[18];
    for (uint32_t i = 0; i < 18; i++)
        v[i] = (vector){i, i * 3 + 1, i * 5 + 2, i * 7 + 3};
    vector a = v[0], b = v[1], c = v[2], d = v[3], e = v[4], f = v[5], g = v[6], h = v[7], i = v[8],
           j = v[9], k = v[10], l = v[11], m = v[12], o = v[13], p = v[14], q = v[15], r = v[16],
           t = v[17];
    for (uint32_t n = 0; n < rounds; n++) {
        a += b * 3;
        b ^= c << 5;
        c -= d;
        d = (d >> 3) + e;
        e ^= f;
        f = f * 1664525 + g;
        g += h ^ n;
        h -= i << 1;
        i ^= j >> 7;
        j += k;
        k = k * 5 + l;
        l ^= m;
        m -= o;
        o += p >> 1;
        p ^= q;
        q = q * 9 + r;
        r -= t;
        t ^= a << 9;
    }
    vector all = a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ i ^ j ^ k ^ l ^ m ^ o ^ p ^ q ^ r ^ t;
    return ((uint64_t)all[0] << 32 | all[1]) + ((uint64_t)all[2] << 32 | all[3]) * 3;
}

LOOP(singles)
{
    float p = 1, q = 2, r = 3, s = 4, t = 5;
    for (uint32_t n = 0; n < rounds; n++) {
        p = p * 0.5f + q * 0.25f;
        q = r - q * 0.125f;
        r = s * 0.75f + (float)(n & 7);
        s = t * 0.5f - p * 0.3f;
        t = __builtin_sqrtf(q * q + 1) + p * 0.1f;
    }
    return bits_of((double)p + (double)q * 3 + (double)r * 5 + (double)s * 7 + (double)t * 11);
}

// Little but comparisons whose flags a branch or a value is made of.
LOOP(flags)
{
    uint64_t x = 88172645463325252u, sum = 0;
    int32_t low = -1000000, high = 1000000;
    for (uint32_t n = 0; n < rounds; n++) {
        uint64_t y = x;
        x = step(x);
        if (x < y)
            sum += 3;
        if ((int64_t)x < (int64_t)y)
            sum ^= x;
        if ((int32_t)x == (int32_t)(n * 77))
            sum += 5;
        else if ((int32_t)x > high)
            sum += (uint64_t)(x > y) + ((int32_t)y <= low);
        else if ((int32_t)x < low)
            sum -= (uint64_t)((uint32_t)x >= (uint32_t)y) * 7;
        if (!(x & 6))
            sum = sum << 1 | sum >> 63;
        sum += (x & 1 ? sum : y) > (y & 1 ? x : sum);
    }
    return sum;
}

LOOP(flags_of_doubles)
{
    double x = 0.3, y = 0.7, nan = __builtin_nan("");
    uint64_t sum = 0;
    for (uint32_t n = 0; n < rounds; n++) {
        x = 3.9 * x * (1 - x);
        if (x < y)
            sum += n;
        if (x >= 0.25)
            sum ^= sum << 3;
        if (x != y && !(x > nan) && !(nan == nan))
            sum++;
        y = x > y ? x * 0.5 : y * 1.0625;
    }
    return sum ^ bits_of(x + y);
}

// A count-down of three instructions.
LOOP(short)
{
    uint64_t sum = 1;
    for (uint32_t n = rounds; n; n--) {
        sum = sum * 3 + n;
        __asm__("" : "+r"(sum));
    }
    return sum;
}

LOOP(memory)
{
    static uint8_t bytes[256];
    static uint32_t words[256];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < 256; i++)
        bytes[i] = (uint8_t)(i * 167 + 13), words[i] = i * 2654435761u;
    for (uint32_t n = 0; n < rounds; n++) {
        uint8_t i = bytes[n & 255], j = bytes[(n * 7 + sum) & 255];
        bytes[n & 255] = j;
        bytes[j] = i;
        words[i] += words[j] ^ n;
        sum += words[i] + (uint64_t)(int8_t)i + (uint64_t)(int16_t)words[j];
    }
    return sum;
}

LOOP(divisions)
{
    uint64_t x = 1234567890123456789u, sum = 0;
    for (uint32_t n = 1; n <= rounds; n++) {
        x = step(x);
        sum += x / n + x % (n + 5);
        sum ^= (uint64_t)((int64_t)x / (int32_t)(n + 1)) + (uint64_t)((int64_t)x % -(int64_t)n);
        sum += (uint32_t)x / n + (uint32_t)((int32_t)x % (int32_t)(n | 1));
        sum = sum << (x & 63) | sum >> (-x & 63);
    }
    return sum;
}

LOOP(bits)
{
    uint64_t x = 987654321987654321u, sum = 0;
    for (uint32_t n = 0; n < rounds; n++) {
        x = step(x);
        sum += (uint64_t)__builtin_clzll(x | 1) * 3 + (uint64_t)__builtin_ctzll(x | 1ull << 63) * 5;
        sum ^= (uint64_t)__builtin_popcountll(x) << (x & 31);
        sum += (uint32_t)x >> (n & 31) | (uint32_t)x << (-n & 31);
        sum -= (uint64_t)((int64_t)x >> (x & 63));
    }
    return sum;
}

__attribute__((noinline)) static uint64_t many(uint64_t a, uint32_t b, double c, uint64_t d,
                                               uint32_t e, uint64_t f, double g, uint64_t h,
                                               uint32_t i, uint64_t j)
{
    return (a ^ d) + (b ^ e) * 3 + (f - h) + i * j + bits_of(c * 3 + g);
}

__attribute__((noinline)) static uint64_t tree(uint32_t depth, uint64_t x)
{
    if (!depth)
        return x * 3 + 1;
    uint64_t left = tree(depth - 1, x * 5 + depth);
    return left ^ tree(depth - 1, left + x);
}

static uint64_t adds(uint64_t a, uint64_t b)
{
    return a + b * 3;
}
static uint64_t mixes(uint64_t a, uint64_t b)
{
    return a ^ b << 5;
}
static uint64_t turns(uint64_t a, uint64_t b)
{
    return (a << 9 | a >> 55) - b;
}

LOOP(calls)
{
    static uint64_t (*volatile const by[])(uint64_t, uint64_t) = {adds, mixes, turns};
    uint64_t sum = 1;
    for (uint32_t n = 0; n < rounds; n++) {
        sum += many(sum, n, (double)(n & 63), sum >> 3, n * 3, sum << 5, 0.5 * (double)n, n, ~n,
                    sum ^ n);
        sum = by[sum % 3](sum, n);
        if (n % 16 == 0)
            sum ^= tree(4, sum);
    }
    return sum;
}

// A machine of a few instructions: br_table.
LOOP(machine)
{
    uint64_t a = 1, b = 2, code = 0x1234567;
    for (uint32_t n = 0; n < rounds; n++) {
        switch (code >> 60) {
        case 0: a += b; break;
        case 1: b ^= a << 7; break;
        case 2: a = a * 17 + n; break;
        case 3: b -= a; break;
        case 4: a ^= b >> 9; break;
        case 5: a = (a << 31 | a >> 33); break;
        case 6: b += n; break;
        case 7: a = ~a; break;
        case 8: b = b * 5; break;
        case 9: a ^= n; break;
        case 10: a += b << (n & 15); break;
        case 11: b ^= b >> 11; break;
        default: a -= n * 3; break;
        }
        code = code * 6364136223846793005u + 1442695040888963407u;
    }
    return a ^ b;
}

LOOP(conversions)
{
    double x = 1.5, sum = 0;
    uint64_t whole = 0;
    for (uint32_t n = 0; n < rounds; n++) {
        x = x * 1.7 + (double)(int32_t)(n - 500);
        if (x > 1e9 || x < -1e9)
            x *= 1e-9;
        whole += (uint64_t)(int64_t)x + (uint64_t)(int32_t)(x * 0.5);
        sum +=
            (double)(int64_t)(whole >> 11) * 0x1p-40 + __builtin_floor(x) - __builtin_ceil(x * 0.3);
        sum = sum * 0.5 + __builtin_copysign(__builtin_trunc(x), sum) + (double)(float)x;
        whole ^= bits_of(sum) >> 7;
    }
    return whole ^ bits_of(sum);
}

LOOP(blocks)
{
    static uint8_t a[3000], b[3000];
    uint64_t sum = 0;
    memset(a, 1, sizeof a);
    memset(b, 7, sizeof b);
    for (uint32_t n = 0; n < rounds; n++) {
        uint32_t size = n * 37 % 1000, at = n * 91 % 1000;
        memmove(a + at, a + at / 2 + 100, size);
        memcpy(b + size, a + at, size + 1);
        memset(a + size, (int)n, at % 50);
        b[n % 3000] ^= (uint8_t)(n >> 3);
        sum = sum * 31 + a[size] + b[at + size];
    }
    return sum;
}

static const struct {
    const char *name;
    uint64_t (*run)(uint32_t rounds);
    uint32_t rounds;
    uint64_t sum;
} loops[] = {
#define ROW(name, rounds, sum) {#name, loop_##name, rounds, sum}
    ROW(integers, 10000, 0x94935690700044ae),
    ROW(few, 40000, 0xa225aa211e415ae3),
    ROW(vectors, 20000, 0xaeabb0d263443ae1),
    ROW(doubles, 10000, 0x40502d9de11743ac),
    ROW(singles, 10000, 0x406290f138800000),
    ROW(flags, 20000, 0x51f2c494fa6be4e),
    ROW(flags_of_doubles, 20000, 0xa4f96571217c1c17),
    ROW(short, 100000, 0x9a37b602c24f7fb1),
    ROW(memory, 20000, 0x3344cd70f435),
    ROW(divisions, 5000, 0xd653d01abe0eb43b),
    ROW(bits, 20000, 0x7352b847cebbdad2),
    ROW(calls, 5000, 0x6faf5671b4dd1215),
    ROW(machine, 20000, 0x8e9331277d02c8a9),
    ROW(conversions, 10000, 0xbfa29a89697164f6),
    ROW(blocks, 1000, 0x7ba4a92e8bf55ebc),
};

#ifdef SUMS
int main(void)
{
    for (unsigned i = 0; i < sizeof loops / sizeof *loops; i++)
        printf("    ROW(%s, %u, 0x%llx),\n", loops[i].name, loops[i].rounds,
               (unsigned long long)loops[i].run(loops[i].rounds));
}
#endif
