/* SPDX-License-Identifier: MIT */
/*
 * image: decodes pictures as the common lossy formats are built: bits from bytes, a prefix code
 * with runs of zeros, coefficients in zigzag, an inverse cosine transform in integers, and three
 * planes made into pixels that are clamped to bytes. The encoder is a plain one and runs once.
 */
#include "bench.h"

enum { SIDE = 128, BLOCKS = (SIDE / 8) * (SIDE / 8), PLANES = 3, LONGEST = 12, END = 0xff };

static const u8 zigzag[64] = {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,
                              12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6,  7,  14, 21, 28,
                              35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
                              58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

static u8 quality[64];
static s32 cosines[8][8]; /* [frequency][place], 12 bits behind the point */

static u8 stream[PLANES * SIDE * SIDE * 4];
static u8 planes[PLANES][SIDE][SIDE];
static u8 pixels[SIDE][SIDE][4];

/* The code of each symbol (zeros << 4 | bits of the value): lengths that a real table has. */
struct code {
    u16 bits;
    u8 length;
};
static struct code codes[256];
static struct {
    u16 first, last; /* codes of this length, the last one not included */
    u8 symbols;      /* where the first one's symbol is */
} lengths[LONGEST + 1];
static u8 symbols[256];

static void make_codes(void)
{
    static const u8 counts[LONGEST + 1] = {0, 0, 1, 2, 3, 3, 4, 5, 8, 12, 20, 40, 60};
    static const u8 common[] = {0x01, 0x02, END,  0x11, 0x03, 0x21, 0x00, 0x12, 0x04, 0x31,
                                0x41, 0x05, 0x51, 0x22, 0x13, 0xf0, 0x61, 0x06, 0x71, 0x32};
    u8 seen[256] = {0};
    u32 n = 0, code = 0, at = 0;

    for (u32 i = 0; i < COUNT(common); i++)
        seen[symbols[n++] = common[i]] = 1;
    for (u32 size = 1; size <= 9; size++)
        for (u32 zeros = 0; zeros < 16; zeros++)
            if (!seen[zeros << 4 | size])
                symbols[n++] = (u8)(zeros << 4 | size);
    for (u8 length = 1; length <= LONGEST; length++) {
        lengths[length].first = (u16)code;
        lengths[length].symbols = (u8)at;
        for (u32 i = 0; i < counts[length] && at < n; i++)
            codes[symbols[at++]] = (struct code){(u16)code++, length};
        lengths[length].last = (u16)code;
        code <<= 1;
    }
    if (at != n)
        bench_fail("image: symbols without a code");
}

static void make_cosines(void)
{
    /* cos(i pi / 16), 12 bits behind the point */
    static const s32 sixteenths[9] = {4096, 4017, 3784, 3406, 2896, 2276, 1567, 799, 0};

    for (u32 f = 0; f < 8; f++)
        for (u32 x = 0; x < 8; x++) {
            u32 angle = (2 * x + 1) * f % 32;
            s32 sign = 1;

            if (angle > 16)
                angle = 32 - angle;
            if (angle > 8) {
                angle = 16 - angle;
                sign = -1;
            }
            cosines[f][x] = f == 0 ? 2896 : sign * sixteenths[angle];
        }
    for (u32 i = 0; i < 64; i++)
        quality[i] = (u8)(6 + 3 * (i / 8) + 3 * (i % 8));
}

/* --- Bits */

struct bits {
    u8 *at;
    u32 hold, count;
};

static void put(struct bits *b, u32 value, u32 count)
{
    b->hold = b->hold << count | value;
    for (b->count += count; b->count >= 8; b->count -= 8)
        *b->at++ = (u8)(b->hold >> (b->count - 8));
}

static u32 get(struct bits *b, u32 count)
{
    while (b->count < count) {
        b->hold = b->hold << 8 | *b->at++;
        b->count += 8;
    }
    b->count -= count;
    return b->hold >> b->count & ((1u << count) - 1);
}

static u8 get_symbol(struct bits *b)
{
    u32 code = 0;

    for (u32 length = 1; length <= LONGEST; length++) {
        code = code << 1 | get(b, 1);
        if (code < lengths[length].last)
            return symbols[lengths[length].symbols + code - lengths[length].first];
    }
    bench_fail("image: no such code");
    return 0;
}

/* --- Encoder */

static void put_value(struct bits *b, u32 zeros, s32 value)
{
    u32 size = 0;

    for (s32 rest = value < 0 ? -value : value; rest != 0; rest >>= 1)
        size++;
    put(b, codes[zeros << 4 | size].bits, codes[zeros << 4 | size].length);
    put(b, (u32)(value < 0 ? value + (1 << size) - 1 : value), size);
}

/* The cosine transform: lines, then columns. */
static void transform(const u8 *corner, s32 *out)
{
    s32 lines[64];

    for (u32 i = 0; i < 64; i++) {
        lines[i] = 0;
        for (u32 x = 0; x < 8; x++)
            lines[i] += (corner[i / 8 * SIDE + x] - 128) * cosines[i % 8][x];
    }
    for (u32 i = 0; i < 64; i++) {
        s64 sum = 0;

        for (u32 y = 0; y < 8; y++)
            sum += (s64)lines[8 * y + i % 8] * cosines[i / 8][y];
        out[i] = (s32)(sum / (1 << 26));
    }
}

static void encode_block(struct bits *b, const u8 *corner)
{
    s32 coefficients[64];
    u32 zeros = 0;

    transform(corner, coefficients);
    for (u32 i = 0; i < 64; i++) {
        u32 place = zigzag[i];
        s32 value = coefficients[place] / quality[place];

        value = value > 511 ? 511 : value < -511 ? -511 : value;
        if (i == 0) {
            if (value == 0)
                put(b, codes[0].bits, codes[0].length);
            else
                put_value(b, 0, value);
        } else if (value == 0) {
            zeros++;
        } else {
            for (; zeros > 15; zeros -= 16)
                put(b, codes[0xf0].bits, codes[0xf0].length);
            put_value(b, zeros, value);
            zeros = 0;
        }
    }
    if (zeros > 0)
        put(b, codes[END].bits, codes[END].length);
}

/* --- Decoder */

static s32 get_value(struct bits *b, u32 size)
{
    s32 value = (s32)get(b, size);

    return size > 0 && value < 1 << (size - 1) ? value - (1 << size) + 1 : value;
}

static void decode_block(struct bits *b, s32 *block)
{
    memset(block, 0, 64 * sizeof(*block));
    for (u32 i = 0; i < 64; i++) {
        u8 symbol = get_symbol(b);

        if (symbol == END)
            break;
        if (symbol == 0xf0) {
            i += 15;
            continue;
        }
        i += symbol >> 4;
        if (i > 63)
            bench_fail("image: too many coefficients");
        block[zigzag[i]] = get_value(b, symbol & 15) * quality[zigzag[i]];
    }
}

static u8 clamp(s32 v)
{
    return v < 0 ? 0 : v > 255 ? 255 : (u8)v;
}

/* One line of eight: even and odd frequencies apart, by the symmetry of the cosines. */
static void inverse_line(s32 *p, u32 step, u32 shift)
{
    s32 even = (p[0] + p[4 * step]) * 2896, odd = (p[0] - p[4 * step]) * 2896;
    s32 a = p[2 * step] * 3784 + p[6 * step] * 1567;
    s32 b = p[2 * step] * 1567 - p[6 * step] * 3784;
    s32 s[4] = {even + a, odd + b, odd - b, even - a};
    s32 p1 = p[step], p3 = p[3 * step], p5 = p[5 * step], p7 = p[7 * step];
    s32 d[4] = {
        p1 * 4017 + p3 * 3406 + p5 * 2276 + p7 * 799, p1 * 3406 - p3 * 799 - p5 * 4017 - p7 * 2276,
        p1 * 2276 - p3 * 4017 + p5 * 799 + p7 * 3406, p1 * 799 - p3 * 2276 + p5 * 3406 - p7 * 4017};
    s32 half = 1 << (shift - 1);

    for (u32 i = 0; i < 4; i++) {
        p[i * step] = (s[i] + d[i] + half) >> shift;
        p[(7 - i) * step] = (s[i] - d[i] + half) >> shift;
    }
}

static void decode_plane(struct bits *b, u8 (*plane)[SIDE])
{
    s32 block[64];

    for (u32 n = 0; n < BLOCKS; n++) {
        u8 *corner = &plane[n / (SIDE / 8) * 8][n % (SIDE / 8) * 8];

        decode_block(b, block);
        for (u32 i = 0; i < 8; i++)
            inverse_line(block + 8 * i, 1, 11);
        for (u32 i = 0; i < 8; i++)
            inverse_line(block + i, 8, 15);
        for (u32 i = 0; i < 64; i++)
            corner[i / 8 * SIDE + i % 8] = clamp(block[i] + 128);
    }
}

static void make_pixels(void)
{
    for (u32 y = 0; y < SIDE; y++)
        for (u32 x = 0; x < SIDE; x++) {
            s32 luma = planes[0][y][x], blue = planes[1][y][x] - 128, red = planes[2][y][x] - 128;
            u8 *p = pixels[y][x];

            p[0] = clamp(luma + ((91881 * red + 32768) >> 16));
            p[1] = clamp(luma - ((22554 * blue + 46802 * red + 32768) >> 16));
            p[2] = clamp(luma + ((116130 * blue + 32768) >> 16));
            p[3] = 255;
        }
}

/* Slopes, a disc and some grain. */
static u8 painted(u32 plane, u32 y, u32 x, u64 *seed)
{
    s32 dx = (s32)x - SIDE / 2, dy = (s32)y - SIDE / 2;
    s32 disc = dx * dx + dy * dy < SIDE * SIDE / 9 ? 60 : 0;

    return clamp((s32)(plane == 0   ? 40 + x
                       : plane == 1 ? 90 + y / 2
                                    : 160 - x / 2) +
                 disc + (s32)(bench_random(seed) >> 27) - 16);
}

static u64 bench_body(double scale)
{
    u32 rounds = bench_count(scale, 1200);
    u64 seed = 19, sum = 0, off = 0;
    struct bits b = {stream, 0, 0};
    static u8 original[PLANES][SIDE][SIDE];

    make_codes();
    make_cosines();
    for (u32 i = 0; i < PLANES * SIDE * SIDE; i++)
        (&original[0][0][0])[i] = painted(i / (SIDE * SIDE), i / SIDE % SIDE, i % SIDE, &seed);
    for (u32 plane = 0; plane < PLANES; plane++)
        for (u32 n = 0; n < BLOCKS; n++)
            encode_block(&b, &original[plane][n / (SIDE / 8) * 8][n % (SIDE / 8) * 8]);
    put(&b, 0, 7);
    for (u32 r = 0; r < rounds; r++) {
        b = (struct bits){stream, 0, 0};
        for (u32 plane = 0; plane < PLANES; plane++)
            decode_plane(&b, planes[plane]);
        make_pixels();
        for (u32 y = r % 8; y < SIDE; y += 8)
            for (u32 x = 0; x < SIDE; x += 8)
                sum = bench_mix(sum, (u64)pixels[y][x][0] << 16 | pixels[y][x][1] << 8 |
                                         pixels[y][x][2]);
    }
    for (u32 i = 0; i < PLANES * SIDE * SIDE; i++) {
        s32 d = (&planes[0][0][0])[i] - (&original[0][0][0])[i];

        off += (u32)(d < 0 ? -d : d);
    }
    if (off > 16 * PLANES * SIDE * SIDE)
        bench_fail("image: not the picture that was painted");
    return bench_mix(sum, off);
}
