// SPDX-License-Identifier: MIT
// The platform's calls for guests of the tests, straight from the table, and what such guests
// share.
//
// Every expectation names the line that it stands in; the first that does not hold ends the
// program. Threads other than the main one call nothing of libc: its loops let siblings run.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/nebulet_types.h"

#define ERROR(number, name, text) ERR_##name = number,
enum {
#include "base/errors.def"
};

#define NONE void
#define NONE_NOT
#define REST(first, ...) (__VA_ARGS__ NONE##__VA_OPT__(_NOT))
#define PARAMETERS(...) REST(__VA_ARGS__)
#define OBJECT(x, type, rights) , nebulet_handle x
#define ANY(x, rights) , nebulet_handle x
#define HANDLE(x) , nebulet_handle x
#define NUM(x) , uint32_t x
#define LONG(x) , uint64_t x
#define DEADLINE(x) , uint64_t x
#define IN(x) , const void *x, uint32_t x##_size
#define BUFFER(x) , void *x, uint32_t x##_size
#define LIST(x, type) , type *x, uint32_t x##_count
#define OUT(x, type) , __typeof__(type) *x
#define MAYBE(x, type) , type *x
#define WORD(x) , uint32_t *x
#define CALL(number, name, waits, privilege, args, errors, doc)                                    \
    __attribute__((import_module("nebulet"), import_name(#name))) int64_t nb_##name PARAMETERS(    \
        first args);
#define NORETURN(number, name, args, doc)                                                          \
    __attribute__((import_module("nebulet"), import_name(#name), noreturn)) void nb_##name         \
    PARAMETERS(first args);
#include "abi/nebulet.def"

typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;

#define NOW NEBULET_AT_ONCE
#define FOREVER NEBULET_FOREVER
#define MS 1000000ull
#define countof(a) (sizeof(a) / sizeof *(a))

static inline s64 expect_at(int line, const char *what, s64 is, s64 wanted)
{
    if (is == wanted)
        return is;
    printf("line %d: %s is %lld, not %lld\n", line, what, (long long)is, (long long)wanted);
    exit(1);
}
static inline u32 good_at(int line, const char *what, s64 is)
{
    if (is >= 0)
        return (u32)is;
    printf("line %d: %s is %lld\n", line, what, (long long)is);
    exit(1);
}
#define EXPECT(expression, wanted) expect_at(__LINE__, #expression, (expression), (wanted))
#define GOOD(expression) good_at(__LINE__, #expression, (expression))
#define TRUE(condition) expect_at(__LINE__, #condition, (condition) != 0, 1)

static inline u64 now(void)
{
    return (u64)nb_clock_now(NEBULET_MONOTONIC);
}

static inline void sleep_ms(u64 n)
{
    nb_object_wait_many(NULL, 0, now() + n * MS);
}

// What is late although the kernel need not be at fault: the machine may have kept us from running.
// Whoever runs the tests knows whether it has, unless the clock counts instructions.
static bool exact_time;

static inline void blame_machine(const char *what, u64 ns)
{
    if (!ns)
        return;
    if (exact_time) {
        printf("%s by %llu us\n", what, (unsigned long long)ns / 1000);
        exit(1);
    }
    fprintf(stderr, "%s: blames the machine for %llu us\n", what, (unsigned long long)ns / 1000);
}

// --- Further processes: of the program's own file, which is there as /NAME

static const char *own_name;

static inline u32 module_of(const char *name)
{
    static char path[80], message[200];
    snprintf(path, sizeof path, "/%s", name);
    FILE *f = fopen(path, "rb");
    TRUE(f != NULL);
    enum { MAX = 4 << 20 };
    char *bytes = malloc(MAX);
    size_t n = fread(bytes, 1, MAX, f);
    fclose(f);
    s64 m = nb_wasm_compile(bytes, (u32)n, message, sizeof message);
    if (m < 0)
        printf("%s: %s\n", name, message);
    free(bytes);
    return GOOD(m);
}

static inline u32 own_module(void)
{
    static u32 module = NEBULET_NO_HANDLE;
    if (module == NEBULET_NO_HANDLE)
        module = module_of(own_name);
    return module;
}

// Made, not started; the arguments are the name and `what`.
static inline u32 unborn(const char *what, u32 channel, const struct nebulet_options *o)
{
    char args[128];
    size_t n = strlen(own_name) + 1, m = strlen(what) + 1;
    memcpy(args, own_name, n);
    memcpy(args + n, what, m);
    return GOOD(nb_process_create(own_module(), channel, o, o ? sizeof *o : 0, args, (u32)(n + m)));
}

static inline u32 child(const char *what, u32 channel, const struct nebulet_options *o)
{
    u32 p = unborn(what, channel, o);
    EXPECT(nb_process_start(p), 0);
    return p;
}

// Waits for its end, which must be this one, and gives the handle up.
static inline void ended_at(int line, u32 p, u32 how, u32 code)
{
    struct nebulet_exit e;
    expect_at(line, "process_wait", nb_process_wait(p, FOREVER, &e), 0);
    expect_at(line, "how it ended", e.how, how);
    if (how == NEBULET_EXITED)
        expect_at(line, "its exit code", e.code, code);
    expect_at(line, "handle_close", nb_handle_close(p), 0);
}
#define ENDED(p, how, code) ended_at(__LINE__, p, how, code)

static inline void pair(u32 *a, u32 *b)
{
    u32 ends[2];
    EXPECT(nb_channel_create(&ends), 0);
    *a = ends[0];
    *b = ends[1];
}

static inline s64 send_word(u32 channel, u32 word)
{
    return nb_channel_send(channel, &word, sizeof word, NULL, 0, FOREVER);
}

// The word, or an error.
static inline s64 recv_word(u32 channel, u64 deadline)
{
    u32 word = 0;
    s64 n = nb_channel_recv(channel, &word, sizeof word, NULL, 0, NULL, deadline);
    return n < 0 ? n : word;
}

// --- Threads
static inline u32 thread_at(int line, void (*function)(u32), u32 arg)
{
    enum { STACK = 16384 };
    char *stack = malloc(STACK);
    return good_at(line, "thread_spawn",
                   nb_thread_spawn((u32)(uintptr_t)function, arg, (u32)(uintptr_t)stack + STACK));
}
#define THREAD(function, arg) thread_at(__LINE__, (void (*)(u32))(function), (u32)(uintptr_t)(arg))

// Recurses with locals of its own in every frame, and lets others run in one of `every` frames. How
// many there were: depth + 1, unless somebody has written to them.
static inline u32 deep(u32 n, u32 depth, u32 every)
{
    volatile u32 here[8];
    for (u32 i = 0; i < 8; i++)
        here[i] = n + depth + i;
    if (depth % every == 0)
        nb_thread_yield();
    u32 below = depth ? deep(n, depth - 1, every) : 0;
    for (u32 i = 0; i < 8; i++)
        if (here[i] != n + depth + i)
            return 1000000;
    return below + 1;
}
