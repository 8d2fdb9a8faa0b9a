/* SPDX-License-Identifier: MIT */
/*
 * bench.h: what every benchmark program shares: main, the clock, random numbers, a checksum.
 *
 * A program includes this header once and defines
 *
 *     static u64 bench_body(double scale);
 *
 * which does a fixed amount of work times `scale` and returns a checksum of everything it
 * computed. main prints that checksum on stdout (it must be the same natively and on every wasm
 * engine) and, as the last line on stderr, `time_ns N`: the time of the body alone, so that the
 * start-up and the eager compilation of an engine do not count.
 *
 * The scale comes from the first argument, else from the environment variable BENCH_SCALE (for
 * engines that cannot pass arguments), else it is 1. All output goes through write(), because
 * printf would make every module ten times the size of the program in it.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MAYBE_UNUSED __attribute__((unused))

static u64 bench_body(double scale);

/* With BENCH_THREADS the module imports what starts threads, and so has polls in its loops. */
#ifdef BENCH_THREADS
__attribute__((import_module("wasi"), import_name("thread-spawn"))) int bench_spawn(int);
#endif

/* Writes `label value\n`. */
static void bench_print(int fd, const char *label, u64 value)
{
    char line[64];
    size_t at = sizeof(line);
    size_t len = strlen(label);

    line[--at] = '\n';
    do {
        line[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    line[--at] = ' ';
    at -= len;
    memcpy(line + at, label, len);
    if (write(fd, line + at, sizeof(line) - at) < 0)
        _Exit(1);
}

/* Ends the program: a self-check failed or memory ran out. */
static MAYBE_UNUSED void bench_fail(const char *why)
{
    bench_print(2, why, 0);
    _Exit(1);
}

static MAYBE_UNUSED void *bench_alloc(size_t size)
{
    void *p = malloc(size);

    if (p == NULL)
        bench_fail("out of memory");
    return p;
}

/* How often to do something that full scale does `full` times; at least once. */
static MAYBE_UNUSED u32 bench_count(double scale, u32 full)
{
    double n = scale * full;

    return n < 1 ? 1 : (u32)n;
}

/* xorshift64*: fast, and the same on every machine. */
static MAYBE_UNUSED u32 bench_random(u64 *state)
{
    u64 x = *state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return (u32)((x * 0x2545f4914f6cdd1d) >> 32);
}

/* Mixes a value into a checksum; the order of values matters. */
static MAYBE_UNUSED u64 bench_mix(u64 sum, u64 value)
{
    sum = (sum ^ value) * 0x9e3779b97f4a7c15;
    return sum ^ (sum >> 29);
}

static MAYBE_UNUSED u64 bench_mix_double(u64 sum, double value)
{
    u64 bits;

    memcpy(&bits, &value, sizeof(bits));
    return bench_mix(sum, bits);
}

static u64 bench_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (u64)t.tv_sec * 1000000000 + (u64)t.tv_nsec;
}

/* digits[.digits]; anything else ends the number. */
static double bench_parse(const char *s)
{
    double value = 0, unit = 1;

    for (; *s >= '0' && *s <= '9'; s++)
        value = value * 10 + (*s - '0');
    if (*s == '.')
        for (s++; *s >= '0' && *s <= '9'; s++)
            value += (*s - '0') * (unit /= 10);
    return value;
}

int main(int argc, char **argv)
{
    const char *text = argc > 1 ? argv[1] : getenv("BENCH_SCALE");
    double scale = text != NULL ? bench_parse(text) : 1;
#ifdef BENCH_THREADS
    if (argc > 1000)
        bench_spawn(argc);
#endif
    u64 start = bench_now();
    u64 sum = bench_body(scale);
    u64 end = bench_now();

    bench_print(1, "checksum", sum);
    bench_print(2, "time_ns", end - start);
    return 0;
}

#endif
