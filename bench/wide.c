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
