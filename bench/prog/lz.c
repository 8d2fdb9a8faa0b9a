/* SPDX-License-Identifier: MIT */
/*
 * lz: a byte-oriented LZ77 compressor with hash chains, and its decompressor, over generated
 * records that look like a log: hashing, match searches through memory, byte copies that overlap.
 *
 * A token is a byte LLLLMMMM: L literals follow, then a match of M + 4 bytes at a distance of two
 * bytes; 15 in either place says that more length bytes follow, up to one that is not 255. The
 * stream ends with a token whose literals reach the end of the data.
 */
#include "bench.h"

enum {
    SIZE = 1 << 20,
    HASH_BITS = 14,
    WINDOW = 1 << 16,
    MIN_MATCH = 4,
    CHAIN = 12,
};

static u8 data[SIZE], packed[SIZE + SIZE / 8], unpacked[SIZE];
static u32 head[1 << HASH_BITS], previous[WINDOW];

static u32 put_number(u32 at, u32 n)
{
    do {
        data[at++] = (u8)('0' + n % 10);
        n /= 10;
    } while (n != 0);
    return at;
}

static void make_data(void)
{
    static const char *const parts[] = {" GET /index.html ",
                                        " POST /api/v1/items ",
                                        " 200 OK ",
                                        " 404 Not Found ",
                                        " user=",
                                        " time=",
                                        " cache miss ",
                                        " retry in "};
    u64 seed = 31;
    u32 at = 0;

    while (at + 64 < SIZE) {
        for (const char *s = parts[bench_random(&seed) % COUNT(parts)]; *s != 0; s++)
            data[at++] = (u8)*s;
        at = put_number(at, bench_random(&seed) >> (bench_random(&seed) % 28));
        if (bench_random(&seed) % 4 == 0)
            data[at++] = '\n';
    }
    while (at < SIZE)
        data[at++] = ' ';
}

static u32 load32(const u8 *p)
{
    return p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

static u32 hash(u32 x)
{
    return x * 2654435761u >> (32 - HASH_BITS);
}

static u32 match_length(u32 a, u32 b, u32 size)
{
    u32 n = 0;

    while (b + n < size && data[a + n] == data[b + n])
        n++;
    return n;
}

/* The longest earlier match of what stands at `at`; 0 when there is none. */
static u32 find_match(u32 at, u32 size, u32 *where)
{
    u32 candidate = head[hash(load32(data + at))];
    u32 best = 0;

    for (int i = 0; i < CHAIN && candidate != UINT32_MAX && at - candidate < WINDOW; i++) {
        u32 n = match_length(candidate, at, size);

        if (n > best) {
            best = n;
            *where = candidate;
        }
        candidate = previous[candidate % WINDOW];
    }
    return best < MIN_MATCH ? 0 : best;
}

static void remember(u32 at)
{
    u32 h = hash(load32(data + at));

    previous[at % WINDOW] = head[h];
    head[h] = at;
}

static u32 put_length(u32 out, u32 n)
{
    for (; n >= 255; n -= 255)
        packed[out++] = 255;
    packed[out++] = (u8)n;
    return out;
}

static u32 put_literals(u32 out, u32 from, u32 literals, u32 match)
{
    u32 high = literals < 15 ? literals : 15, low = match < 15 ? match : 15;

    packed[out++] = (u8)(high << 4 | low);
    if (high == 15)
        out = put_length(out, literals - 15);
    for (u32 i = 0; i < literals; i++)
        packed[out++] = data[from + i];
    return out;
}

static u32 compress(u32 size)
{
    u32 out = 0, start = 0, at = 0;

    memset(head, 0xff, sizeof(head));
    while (at + MIN_MATCH <= size) {
        u32 where = 0, n = find_match(at, size, &where);

        remember(at);
        if (n == 0) {
            at++;
            continue;
        }
        out = put_literals(out, start, at - start, n - MIN_MATCH);
        packed[out++] = (u8)(at - where);
        packed[out++] = (u8)((at - where) >> 8);
        if (n - MIN_MATCH >= 15)
            out = put_length(out, n - MIN_MATCH - 15);
        start = at + n;
        for (at++; at < start; at++)
            if (at + MIN_MATCH <= size)
                remember(at);
    }
    return put_literals(out, start, size - start, 0);
}

static u32 get_length(u32 *in, u32 n)
{
    u8 more;

    if (n < 15)
        return n;
    do {
        more = packed[(*in)++];
        n += more;
    } while (more == 255);
    return n;
}

static void decompress(u32 size)
{
    u32 in = 0, out = 0;

    for (;;) {
        u32 token = packed[in++];
        u32 literals = get_length(&in, token >> 4);
        u32 distance, match;

        for (u32 i = 0; i < literals; i++)
            unpacked[out++] = packed[in++];
        if (out >= size)
            return;
        distance = packed[in] | (u32)packed[in + 1] << 8;
        in += 2;
        match = get_length(&in, token & 15) + MIN_MATCH;
        for (u32 i = 0; i < match; i++, out++)
            unpacked[out] = unpacked[out - distance];
    }
}

static u64 bench_body(double scale)
{
    u32 rounds = bench_count(scale, 9);
    u32 size = scale < 0.25 ? bench_count(scale * 4, SIZE) : SIZE;
    u64 sum = 0;

    make_data();
    for (u32 r = 0; r < rounds; r++) {
        u32 part = size - r, len = compress(part);

        sum = bench_mix(bench_mix(sum, len), load32(packed + len / 2));
        for (int i = 0; i < 8; i++)
            decompress(part);
        if (memcmp(data, unpacked, part) != 0)
            bench_fail("lz does not come back");
    }
    return sum;
}
