/* SPDX-License-Identifier: MIT */
/*
 * calls: what a call costs: out of wasm into the host and back, through a table, and a small WASI
 * call. Prints picoseconds a call, loop included, the least of many batches. The first argument is
 * the number of calls in a batch.
 *
 * The host function is nebulet.null, () -> i64. JavaScript would have to make a BigInt of an i64,
 * so the module for V8 is built with NULL_RESULT=int. Natively it is a call through a pointer.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifndef NULL_RESULT
#define NULL_RESULT int64_t
#endif

enum { BATCHES = 30 };

#ifdef __wasm__
__attribute__((import_module("nebulet"), import_name("null"))) NULL_RESULT host_null(void);
__attribute__((import_module("wasi_snapshot_preview1"), import_name("args_sizes_get"))) int
wasi_sizes(size_t *count, size_t *bytes);
#else
static __attribute__((noinline)) NULL_RESULT nothing(void)
{
    return 0;
}

static NULL_RESULT (*volatile host_null)(void) = nothing;
#endif

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int add_one(int x)
{
    return x + 1;
}

static int add_two(int x)
{
    return x + 2;
}

static int (*volatile const targets[2])(int) = {add_one, add_two};

static int call_host(int n)
{
    int64_t sum = 0;

    for (int i = 0; i < n; i++)
        sum += host_null();
    return (int)sum;
}

static int call_indirect(int n)
{
    int x = 0;

    for (int i = 0; i < n; i++)
        x = targets[i & 1](x);
    return x;
}

#ifdef __wasm__
static int call_wasi(int n)
{
    size_t count, bytes;
    int failed = 0;

    for (int i = 0; i < n / 10; i++)
        failed |= wasi_sizes(&count, &bytes);
    return failed;
}
#endif

static void report(const char *name, int (*body)(int), int calls, int divisor)
{
    static volatile int sink;
    uint64_t best = UINT64_MAX;

    for (int i = 0; i < BATCHES; i++) {
        uint64_t start = now_ns();
        uint64_t time;

        sink = body(calls);
        time = now_ns() - start;
        best = time < best ? time : best;
    }
    (void)sink;
    printf("%s_ps %llu\n", name, (unsigned long long)(best * 1000 * (uint64_t)divisor) / calls);
}

int main(int argc, char **argv)
{
    int calls = argc > 1 ? atoi(argv[1]) : 1000000;

    report("host", call_host, calls, 1);
    report("indirect", call_indirect, calls, 1);
#ifdef __wasm__
    report("wasi", call_wasi, calls, 10);
#endif
    return 0;
}
