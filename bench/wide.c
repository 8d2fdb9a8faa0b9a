// SPDX-License-Identifier: MIT
// Programs without a library, for 32 and for 64 bits of address: what the check of an address
// costs.
typedef __SIZE_TYPE__ size;
typedef unsigned u32;

enum { N = 200000, M = 128 };
static u32 keys[N], other[N];
static unsigned char marks[4000000];
static double a[M][M], b[M][M], c[M][M];
static struct node {
    struct node *next;
    u32 value, sum;
} nodes[N];

static u32 random_number(void)
{
    static u32 seed = 1;
    seed = seed * 1664525 + 1013904223;
    return seed >> 3;
}

#define PROGRAM(name) __attribute__((export_name(#name))) u32 name(void)

PROGRAM(sort)
{
    u32 all = 0;
    for (u32 round = 0; round < 6; round++) {
        for (u32 i = 0; i < N; i++)
            keys[i] = random_number();
        for (u32 gap = N / 2; gap; gap /= 2)
            for (u32 i = gap; i < N; i++) {
                u32 key = keys[i], j = i;
                for (; j >= gap && keys[j - gap] > key; j -= gap)
                    keys[j] = keys[j - gap];
                keys[j] = key;
            }
        all += keys[N / 2];
    }
    return all;
}

PROGRAM(matrix)
{
    for (u32 i = 0; i < M; i++)
        for (u32 j = 0; j < M; j++)
            a[i][j] = i + j, b[i][j] = (double)i - j, c[i][j] = 0;
    for (u32 round = 0; round < 60; round++)
        for (u32 i = 0; i < M; i++)
            for (u32 j = 0; j < M; j++) {
                double sum = 0;
                for (u32 k = 0; k < M; k++)
                    sum += a[i][k] * b[k][j];
                c[i][j] += sum;
            }
    return (u32)c[5][7];
}

PROGRAM(list)
{
    for (u32 i = 0; i < N; i++)
        nodes[i] = (struct node){&nodes[(i * 7919u + 13) % N], i, 0};
    struct node *p = nodes;
    u32 sum = 0;
    for (u32 i = 0; i < 60000000; i++) {
        sum += p->value;
        p->sum += sum;
        p = i % 1000 ? p->next : nodes + i % N;
    }
    return sum;
}

PROGRAM(sieve)
{
    u32 count = 0;
    for (u32 round = 0; round < 20; round++) {
        __builtin_memset(marks, 0, sizeof marks);
        for (size i = 2; i < sizeof marks; i++)
            if (!marks[i]) {
                count++;
                for (size j = i * i; j < sizeof marks; j += i)
                    marks[j] = 1;
            }
    }
    return count;
}

// Little but loads and stores.
PROGRAM(copy)
{
    for (u32 round = 0; round < 2000; round++)
        for (u32 i = 0; i < N; i++) {
            other[i] = keys[i] + round;
            keys[i] ^= other[i] >> 1;
        }
    return other[7];
}

// Structures found by an index that is computed.
static struct entry {
    u32 key, count;
    struct entry *other;
} table[1 << 14];

PROGRAM(hash)
{
    u32 all = 0;
    for (u32 i = 0; i < 40000000; i++) {
        u32 key = random_number() % 12000 + 1, at = key * 2654435761u >> 18;
        while (table[at].key && table[at].key != key)
            at = (at + 1) % (1 << 14);
        table[at].key = key;
        table[at].count += i;
        if (table[at].other)
            table[at].other->count++;
        table[at].other = &table[key];
        all ^= table[at].count;
    }
    return all;
}

// Bytes one after the other, and by distances.
static unsigned char text[1 << 16], packed[1 << 17];
static int heads[4096];

static __attribute__((noinline)) int pack(const unsigned char *in, int n, unsigned char *out)
{
    unsigned char *start = out;
    for (int i = 0; i < 4096; i++)
        heads[i] = -1;
    for (int i = 0; i < n;) {
        int length = 0, from = -1;
        if (i + 4 < n) {
            u32 h = (in[i] | in[i + 1] << 8 | in[i + 2] << 16) * 2654435761u >> 20;
            from = heads[h];
            heads[h] = i;
            if (from >= 0)
                while (length < 255 && i + length < n && in[from + length] == in[i + length])
                    length++;
        }
        if (length > 3) {
            *out++ = (unsigned char)length;
            *out++ = (unsigned char)(i - from);
            *out++ = (unsigned char)((i - from) >> 8);
            i += length;
        } else {
            *out++ = 0;
            *out++ = in[i++];
        }
    }
    return (int)(out - start);
}

PROGRAM(lz)
{
    int all = 0;
    for (u32 i = 0; i < sizeof text; i++)
        text[i] = (unsigned char)(random_number() >> 9 & (i >> 9 & 7));
    for (int round = 0; round < 900; round++) {
        all += pack(text, sizeof text, packed);
        text[round * 77 % sizeof text] ^= 5;
    }
    return (u32)all;
}

// A filter over lines of a picture.
static int picture[512][512], smooth[512][512];

static __attribute__((noinline)) void blur_lines(int *out, const int *in, int w, int h)
{
    for (int y = 1; y < h - 1; y++)
        for (int x = 1; x < w - 1; x++) {
            int sum = 0;
            for (int dy = -1; dy <= 1; dy++)
                for (int dx = -1; dx <= 1; dx++)
                    sum += in[(y + dy) * w + x + dx];
            out[y * w + x] = sum / 9;
        }
}

PROGRAM(blur)
{
    for (int i = 0; i < 512 * 512; i++)
        picture[0][i] = (int)(random_number() & 255);
    for (int round = 0; round < 250; round++) {
        blur_lines(smooth[0], picture[0], 512, 512);
        blur_lines(picture[0], smooth[0], 512, 512);
    }
    return (u32)picture[100][100];
}
