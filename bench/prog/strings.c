/* SPDX-License-Identifier: MIT */
/*
 * strings: what text tools do all day: a generated text is split into words, words are compared
 * and counted by length, needles are searched with Horspool's algorithm, lines are turned around
 * and upper-cased, numbers are formatted. Byte loads and stores, short loops, many branches. The C
 * library's string functions are left out on purpose: natively they are hand-written assembly.
 */
#include "bench.h"

enum { TEXT = 1 << 20 };

static char text[TEXT], work[TEXT];

static void make_text(void)
{
    static const char syllables[][4] = {"ka", "to",  "mi", "ren", "sol", "u",   "den", "ba",
                                        "lo", "tri", "es", "on",  "va",  "quo", "si",  "per"};
    u64 seed = 3;
    u32 at = 0;

    while (at < TEXT) {
        for (u32 n = bench_random(&seed) % 4 + 1; n > 0 && at < TEXT; n--) {
            const char *s = syllables[bench_random(&seed) % COUNT(syllables)];

            for (; *s != 0 && at < TEXT; s++)
                text[at++] = *s;
        }
        if (at < TEXT)
            text[at++] = bench_random(&seed) % 9 == 0 ? '\n' : ' ';
    }
}

static int compare(const char *a, u32 na, const char *b, u32 nb)
{
    u32 n = na < nb ? na : nb;

    for (u32 i = 0; i < n; i++)
        if (a[i] != b[i])
            return (u8)a[i] < (u8)b[i] ? -1 : 1;
    return na == nb ? 0 : na < nb ? -1 : 1;
}

/* Splits at blanks; counts words by length, and how often a word is greater than the last one. */
static u64 split(u32 size)
{
    u32 lengths[16] = {0};
    u32 last = 0, last_len = 0, greater = 0;
    u64 sum = 0;

    for (u32 at = 0; at < size;) {
        u32 start = at;

        while (at < size && text[at] != ' ' && text[at] != '\n')
            at++;
        greater += compare(text + start, at - start, text + last, last_len) > 0;
        lengths[(at - start) & 15]++;
        last = start;
        last_len = at - start;
        at++;
    }
    for (u32 i = 0; i < COUNT(lengths); i++)
        sum = bench_mix(sum, lengths[i]);
    return bench_mix(sum, greater);
}

static u32 search(u32 size, const char *needle, u32 len)
{
    u32 skip[256];
    u32 found = 0;

    for (u32 i = 0; i < COUNT(skip); i++)
        skip[i] = len;
    for (u32 i = 0; i + 1 < len; i++)
        skip[(u8)needle[i]] = len - 1 - i;
    for (u32 at = 0; at + len <= size; at += skip[(u8)text[at + len - 1]])
        found += compare(text + at, len, needle, len) == 0;
    return found;
}

/* Each line turned around and upper-cased into `work`. */
static u64 turn(u32 size)
{
    u64 sum = 0;

    for (u32 start = 0; start < size;) {
        u32 end = start;

        while (end < size && text[end] != '\n')
            end++;
        for (u32 i = start; i < end; i++) {
            char c = text[end - 1 - (i - start)];

            work[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        }
        sum = bench_mix(sum, (u64)(u8)work[start] << 32 | (end - start));
        start = end + 1;
    }
    return sum;
}

static u64 format(u32 numbers)
{
    u32 at = 0;
    u64 sum = 0;

    for (u32 i = 0; i < numbers; i++) {
        u32 value = i * 2654435761u, len = 0;

        if (at + 11 > TEXT)
            at = 0;
        do {
            work[at + len++] = (char)('0' + value % 10);
            value /= 10;
        } while (value != 0);
        at += len;
        work[at++] = ',';
        sum += len * (u8)work[at - 2];
    }
    return sum;
}

static u64 bench_body(double scale)
{
    u32 rounds = bench_count(scale, 36);
    u32 size = scale < 0.1 ? bench_count(scale * 10, TEXT) : TEXT;
    u64 sum = 0;

    make_text();
    for (u32 r = 0; r < rounds; r++) {
        sum = bench_mix(sum, split(size - r));
        sum = bench_mix(sum, search(size - r, "soldenba", 8));
        sum = bench_mix(sum, search(size - r, "quo es", 6));
        sum = bench_mix(sum, turn(size - r));
        sum = bench_mix(sum, format(size / 8));
    }
    return sum;
}
