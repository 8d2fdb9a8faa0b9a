// SPDX-License-Identifier: MIT
// Loops with more live integers, and more live floats, than any machine has registers.
#include <inttypes.h>
#include <stdio.h>

__attribute__((noinline)) static uint64_t integers(uint64_t n, uint64_t seed)
{
    uint64_t a = seed, b = a + 1, c = b + 2, d = c + 3, e = d + 4, f = e + 5, g = f + 6, h = g + 7;
    uint64_t i = h + 8, j = i + 9, k = j + 10, l = k + 11, m = l + 12, o = m + 13, p = o + 14;
    uint64_t q = p + 15, r = q + 16, s = r + 17, t = s + 18, u = t + 19, v = u + 20, w = v + 21;
    while (n--) {
        a += b ^ w, b += c << 1, c ^= d + v, d += e >> 3, e *= f | 1, f += g ^ u, g -= h;
        h ^= i + t, i += j * 3, j ^= k >> 1, k += l + s, l -= m ^ r, m += o << 2, o ^= p + q;
        p += q * 5, q ^= r - a, r += s ^ b, s -= t + c, t ^= u << 3, u += v ^ d, v -= w, w += a ^ n;
    }
    return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h ^ i ^ j ^ k ^ l ^ m ^ o ^ p ^ q ^ r ^ s ^ t ^ u ^ v ^ w;
}

__attribute__((noinline)) static double floats(int n, double x)
{
    double a = x, b = a + 1, c = b + 1, d = c + 1, e = d + 1, f = e + 1, g = f + 1, h = g + 1;
    double i = h + 1, j = i + 1, k = j + 1, l = k + 1, m = l + 1, o = m + 1, p = o + 1, q = p + 1;
    double r = q + 1, s = r + 1, t = s + 1, u = t + 1;
    while (n--) {
        a = a * 0.5 + b, b = b * 0.25 - c, c = c * 0.5 + d, d = d * 0.125 - e, e = e * 0.5 + f;
        f = f * 0.25 - g, g = g * 0.5 + h, h = h * 0.125 - i, i = i * 0.5 + j, j = j * 0.25 - k;
        k = k * 0.5 + l, l = l * 0.125 - m, m = m * 0.5 + o, o = o * 0.25 - p, p = p * 0.5 + q;
        q = q * 0.125 - r, r = r * 0.5 + s, s = s * 0.25 - t, t = t * 0.5 + u,
        u = u * 0.125 - a / 64;
    }
    return a + b + c + d + e + f + g + h + i + j + k + l + m + o + p + q + r + s + t + u;
}

// Divisions and variable shifts want fixed registers while the others are full.
__attribute__((noinline)) static uint32_t fixed(uint32_t n, uint32_t x, uint32_t y)
{
    uint32_t a = x, b = y, c = x ^ y, d = x + y, e = x * 3, f = y * 5, g = x | 7, h = y | 9;
    for (uint32_t i = 1; i <= n; i++) {
        a += b / (i | 1), b = (b << (a & 31)) | (b >> (-a & 31)), c += d % (g | 1),
                          d ^= c >> (i & 31);
        e = (int32_t)e / (int32_t)(i + 3) + a, f += (int32_t)(e % (h | 1)) >> (b & 7);
        g = (g >> (f & 31)) | (g << (-f & 31)), h += (a ^ f) / (c | 1);
    }
    return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h;
}

int main(void)
{
    printf("%016" PRIx64 "\n", integers(10000, 12345));
    printf("%a\n", floats(1000, 1.5));
    printf("%08x\n", fixed(10000, 0xdeadbeef, 0x12345678));
    return 0;
}
