/* SPDX-License-Identifier: MIT */
/*
 * sort: quicksort of numbers, merge sort of records by two keys through a comparison function,
 * heap sort of doubles: comparisons that cannot be predicted, swaps, array addressing.
 */
#include "bench.h"

enum { MAX = 200000 };

struct record {
    u32 major, minor;
};

static u32 numbers[MAX];
static double reals[MAX];
static struct record records[MAX], spare[MAX];

static void insertion_sort(u32 *a, s32 n)
{
    for (s32 i = 1; i < n; i++) {
        u32 x = a[i];
        s32 j = i;

        for (; j > 0 && a[j - 1] > x; j--)
            a[j] = a[j - 1];
        a[j] = x;
    }
}

static u32 median(u32 a, u32 b, u32 c)
{
    if (a > b) {
        u32 t = a;

        a = b;
        b = t;
    }
    return c < a ? a : c > b ? b : c;
}

static void quicksort(u32 *a, s32 n)
{
    while (n > 16) {
        u32 pivot = median(a[0], a[n / 2], a[n - 1]);
        s32 i = 0, j = n - 1;

        while (i <= j) {
            while (a[i] < pivot)
                i++;
            while (a[j] > pivot)
                j--;
            if (i <= j) {
                u32 t = a[i];

                a[i++] = a[j];
                a[j--] = t;
            }
        }
        quicksort(a, j + 1);
        a += i;
        n -= i;
    }
    insertion_sort(a, n);
}

static int by_keys(const void *x, const void *y)
{
    const struct record *a = x, *b = y;

    if (a->major != b->major)
        return a->major < b->major ? -1 : 1;
    return a->minor < b->minor ? -1 : a->minor > b->minor;
}

static void merge(struct record *to, const struct record *from, u32 low, u32 mid, u32 high,
                  int (*compare)(const void *, const void *))
{
    u32 i = low, j = mid;

    for (u32 k = low; k < high; k++) {
        if (i < mid && (j >= high || compare(&from[i], &from[j]) <= 0))
            to[k] = from[i++];
        else
            to[k] = from[j++];
    }
}

/* Bottom up; the result lands in the array returned. */
static struct record *merge_sort(struct record *a, struct record *b, u32 n,
                                 int (*compare)(const void *, const void *))
{
    for (u32 width = 1; width < n; width *= 2) {
        struct record *t = a;

        for (u32 low = 0; low < n; low += 2 * width) {
            u32 mid = low + width < n ? low + width : n;
            u32 high = mid + width < n ? mid + width : n;

            merge(b, a, low, mid, high, compare);
        }
        a = b;
        b = t;
    }
    return a;
}

static void sift(double *a, u32 at, u32 n)
{
    double x = a[at];
    u32 child;

    while ((child = 2 * at + 1) < n) {
        if (child + 1 < n && a[child + 1] > a[child])
            child++;
        if (a[child] <= x)
            break;
        a[at] = a[child];
        at = child;
    }
    a[at] = x;
}

static void heap_sort(double *a, u32 n)
{
    for (u32 i = n / 2; i-- > 0;)
        sift(a, i, n);
    for (u32 i = n; i-- > 1;) {
        double x = a[0];

        a[0] = a[i];
        a[i] = x;
        sift(a, 0, i);
    }
}

static u64 round_of(u32 n, u64 seed)
{
    const struct record *sorted;
    u64 sum = 0;

    for (u32 i = 0; i < n; i++) {
        numbers[i] = bench_random(&seed);
        records[i] = (struct record){numbers[i] >> 24, bench_random(&seed)};
        reals[i] = numbers[i] * 0.001;
    }
    quicksort(numbers, (s32)n);
    sorted = merge_sort(records, spare, n, by_keys);
    heap_sort(reals, n);
    for (u32 i = 1; i < n; i++)
        if (numbers[i - 1] > numbers[i] || by_keys(&sorted[i - 1], &sorted[i]) > 0 ||
            reals[i - 1] > reals[i])
            bench_fail("not sorted");
    for (u32 i = 0; i < n; i += 97)
        sum = bench_mix_double(bench_mix(sum, numbers[i] ^ sorted[i].minor), reals[i]);
    return sum;
}

static u64 bench_body(double scale)
{
    u32 rounds = bench_count(scale, 4);
    u32 n = scale < 0.25 ? bench_count(scale * 4, MAX) : MAX;
    u64 sum = 0;

    for (u32 r = 0; r < rounds; r++)
        sum = bench_mix(sum, round_of(n, r + 1));
    return sum;
}
