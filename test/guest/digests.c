// SPDX-License-Identifier: MIT
// Long integer work with a known answer: SHA-256 and CRC-32 of a megabyte, and primes.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint32_t k[64];

static uint32_t ror(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

// The constants are the fractions of the roots of primes (FIPS 180-4): found, not listed.
static uint32_t root_bits(unsigned prime, int cube)
{
    unsigned __int128 low = 0, high = (unsigned __int128)1 << 37;
    while (high - low > 1) {
        unsigned __int128 mid = (low + high) / 2;
        unsigned __int128 target = (unsigned __int128)prime << (cube ? 96 : 64);
        if (cube ? mid * mid * mid <= target : mid * mid <= target)
            low = mid;
        else
            high = mid;
    }
    return (uint32_t)low;
}

static void compress(uint32_t state[8], const unsigned char *block)
{
    uint32_t w[64], s[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16 | block[4 * i + 2] << 8 |
               block[4 * i + 3];
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7] + (ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3) +
               (ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(s, state, sizeof(s));
    for (int i = 0; i < 64; i++) {
        uint32_t t1 = s[7] + (ror(s[4], 6) ^ ror(s[4], 11) ^ ror(s[4], 25)) +
                      ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
        uint32_t t2 = (ror(s[0], 2) ^ ror(s[0], 13) ^ ror(s[0], 22)) +
                      ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof(*s));
        s[4] += t1;
        s[0] = t1 + t2;
    }
    for (int i = 0; i < 8; i++)
        state[i] += s[i];
}

static void sha256(const unsigned char *data, size_t size)
{
    uint32_t state[8];
    unsigned char last[128] = {0};
    int found = 0;
    for (unsigned n = 2; found < 64; n++) {
        unsigned d = 2;
        while (d * d <= n && n % d)
            d++;
        if (d * d <= n)
            continue;
        if (found < 8)
            state[found] = root_bits(n, 0);
        k[found++] = root_bits(n, 1);
    }
    size_t full = size / 64 * 64, rest = size - full, end = rest < 56 ? 64 : 128;
    for (size_t i = 0; i < full; i += 64)
        compress(state, data + i);
    memcpy(last, data + full, rest);
    last[rest] = 0x80;
    for (int i = 0; i < 8; i++)
        last[end - 1 - i] = (unsigned char)((uint64_t)size * 8 >> 8 * i);
    for (size_t i = 0; i < end; i += 64)
        compress(state, last + i);
    for (int i = 0; i < 8; i++)
        printf("%08x", state[i]);
    printf("\n");
}

static uint32_t crc32(const unsigned char *data, size_t size)
{
    uint32_t crc = ~0u;
    while (size--) {
        crc ^= *data++;
        for (int i = 0; i < 8; i++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc;
}

int main(void)
{
    static unsigned char data[1 << 20];
    sha256((const unsigned char *)"abc", 3);
    memset(data, 'a', 1000000);
    sha256(data, 1000000);
    printf("%08x %08x\n", crc32((const unsigned char *)"123456789", 9), crc32(data, sizeof(data)));

    static unsigned char composite[1000001];
    int primes = 0;
    for (unsigned i = 2; i <= 1000000; i++) {
        if (composite[i])
            continue;
        primes++;
        for (unsigned j = i * 2; j <= 1000000; j += i)
            composite[j] = 1;
    }
    printf("%d\n", primes);
    return 0;
}
