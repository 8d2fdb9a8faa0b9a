// SPDX-License-Identifier: MIT
// Every call with every kind of bad argument: addresses at and beyond the end of memory, lengths
// that overflow, descriptors and flags of all sorts, paths that lead out. Whatever the calls
// answer, memory that they were not given stays as it is, and the program goes on.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

// Arguments: i a number, p an address and n a length behind it, v and c the same of vectors, f a
// descriptor that is no standard stream, d most often that of a directory, I any 64 bits, s a size
// that does not fill a disk, r rights.
typedef int32_t i, p, n, v, c, f, d;
typedef int64_t I, s, r;

#define CALLS                                                                                      \
    CALL(args_get, 2, (p, p))                                                                      \
    CALL(args_sizes_get, 2, (p, p))                                                                \
    CALL(environ_get, 2, (p, p))                                                                   \
    CALL(environ_sizes_get, 2, (p, p))                                                             \
    CALL(clock_res_get, 2, (i, p))                                                                 \
    CALL(clock_time_get, 3, (i, I, p))                                                             \
    CALL(fd_advise, 4, (f, I, I, i))                                                               \
    CALL(fd_allocate, 3, (f, s, s))                                                                \
    CALL(fd_datasync, 1, (f))                                                                      \
    CALL(fd_fdstat_get, 2, (i, p))                                                                 \
    CALL(fd_fdstat_set_flags, 2, (f, i))                                                           \
    CALL(fd_filestat_get, 2, (i, p))                                                               \
    CALL(fd_filestat_set_size, 2, (f, s))                                                          \
    CALL(fd_filestat_set_times, 4, (f, I, I, i))                                                   \
    CALL(fd_pread, 5, (f, v, c, I, p))                                                             \
    CALL(fd_prestat_get, 2, (i, p))                                                                \
    CALL(fd_prestat_dir_name, 3, (i, p, n))                                                        \
    CALL(fd_pwrite, 5, (f, v, c, s, p))                                                            \
    CALL(fd_read, 4, (f, v, c, p))                                                                 \
    CALL(fd_readdir, 5, (d, p, n, I, p))                                                           \
    CALL(fd_seek, 4, (f, s, i, p))                                                                 \
    CALL(fd_sync, 1, (f))                                                                          \
    CALL(fd_tell, 2, (i, p))                                                                       \
    CALL(fd_write, 4, (f, v, c, p))                                                                \
    CALL(path_create_directory, 3, (d, p, n))                                                      \
    CALL(path_filestat_get, 5, (d, i, p, n, p))                                                    \
    CALL(path_filestat_set_times, 7, (d, i, p, n, I, I, i))                                        \
    CALL(path_link, 7, (d, i, p, n, d, p, n))                                                      \
    CALL(path_open, 9, (d, i, p, n, i, r, r, i, p))                                                \
    CALL(path_readlink, 6, (d, p, n, p, n, p))                                                     \
    CALL(path_remove_directory, 3, (d, p, n))                                                      \
    CALL(path_rename, 6, (d, p, n, d, p, n))                                                       \
    CALL(path_symlink, 5, (p, n, d, p, n))                                                         \
    CALL(path_unlink_file, 3, (d, p, n))                                                           \
    CALL(random_get, 2, (p, n))                                                                    \
    CALL(sock_accept, 3, (f, i, p))                                                                \
    CALL(sock_recv, 6, (f, v, c, i, p, p))                                                         \
    CALL(sock_send, 5, (f, v, c, i, p))                                                            \
    CALL(sock_shutdown, 2, (f, i))

#define IMPORT(name) __attribute__((import_module("wasi_snapshot_preview1"), import_name(#name)))
#define CALL(name, count, args) IMPORT(name) int32_t w_##name args;
CALLS
#undef CALL
IMPORT(poll_oneoff) int32_t w_poll_oneoff(const void *in, void *out, int32_t count, void *events);
IMPORT(path_open)
int32_t w_open(int32_t fd, int32_t lookup, const char *path, int32_t length, int32_t oflags,
               int64_t base, int64_t inheriting, int32_t fdflags, int32_t *out);
IMPORT(fd_close) int32_t w_close(int32_t fd);

enum { PART = 2048 };
// All that a call may write to is the middle.
static uint8_t arena[3 * PART] __attribute__((aligned(16)));
static struct {
    uint32_t p, n;
} vectors[64];
static int32_t file = 3;

static uint32_t next(void)
{
    static uint32_t x = 2463534242u;
    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    return x;
}

static uint32_t memory_end(void)
{
    return (uint32_t)__builtin_wasm_memory_size(0) * 65536;
}

static int32_t beyond(void)
{
    switch (next() % 5) {
    case 0: return (int32_t)memory_end();
    case 1: return (int32_t)(memory_end() + next() % 65536);
    case 2: return -1;
    case 3: return INT32_MIN;
    default: return -8;
    }
}

static int32_t pick_i(void)
{
    return next() % 8 ? (int32_t)(next() % (next() % 2 ? 2 : 10)) : beyond();
}

static int32_t pick_p(void)
{
    return next() % 8 ? (int32_t)(uintptr_t)(arena + PART + next() % (PART / 2)) : beyond();
}

static int32_t pick_n(void)
{
    return next() % 8 ? (int32_t)(next() % (next() % 2 ? 12 : PART / 2)) : beyond();
}

static int32_t pick_v(void)
{
    return next() % 8 ? (int32_t)(uintptr_t)&vectors[next() % 32] : beyond();
}

static int32_t pick_c(void)
{
    return next() % 8 ? (int32_t)(next() % 32) : beyond();
}

static int32_t pick_f(void)
{
    static const int32_t choice[] = {3, 4, 5, 6, -1, 1000, INT32_MIN};
    return next() % 3 ? file : choice[next() % 7];
}

static int32_t pick_d(void)
{
    return next() % 4 ? 3 : pick_f();
}

static int64_t pick_I(void)
{
    static const int64_t choice[] = {0, 1, -1, INT64_MAX, INT64_MIN, 4096, 1ll << 32, 77};
    return choice[next() % 8];
}

static int64_t pick_s(void)
{
    static const int64_t choice[] = {0, 1, -1, INT64_MIN, 4096, 77, 1000, 65536};
    return choice[next() % 8];
}

static int64_t pick_r(void)
{
    return next() % 3 ? (int64_t)(next() & ((1 << 30) - 1)) : pick_I();
}

// The bytes that paths are taken from.
static void fill_arena(void)
{
    static const char *const texts[] = {"..",      "a/b",      "/etc",    "f",
                                        "../../x", "\xff\xfe", "d/./../f"};
    for (int k = PART; k < 2 * PART; k++)
        arena[k] = next() % 64 ? "abfd./x/"[next() % 8] : 0;
    for (int k = 0; k < 40; k++) {
        const char *t = texts[next() % 7];
        memcpy(arena + PART + next() % (PART - 16), t, strlen(t) + next() % 2);
    }
    for (int k = 0; k < 64; k++) {
        vectors[k].p = (uint32_t)pick_p();
        vectors[k].n = (uint32_t)pick_n();
    }
}

static uint32_t answers[100];
static void count_answer(int32_t e)
{
    answers[e >= 0 && e < 99 ? e : 99]++;
}

#define E1(a) pick_##a()
#define E2(a, ...) pick_##a(), E1(__VA_ARGS__)
#define E3(a, ...) pick_##a(), E2(__VA_ARGS__)
#define E4(a, ...) pick_##a(), E3(__VA_ARGS__)
#define E5(a, ...) pick_##a(), E4(__VA_ARGS__)
#define E6(a, ...) pick_##a(), E5(__VA_ARGS__)
#define E7(a, ...) pick_##a(), E6(__VA_ARGS__)
#define E8(a, ...) pick_##a(), E7(__VA_ARGS__)
#define E9(a, ...) pick_##a(), E8(__VA_ARGS__)
#define CALL(name, count, args)                                                                    \
    static void try_##name(void)                                                                   \
    {                                                                                              \
        count_answer(w_##name(E##count args));                                                     \
    }
CALLS
#undef CALL
#define CALL(name, count, args) try_##name,
static void (*const tries[])(void) = {CALLS};

static void begin_again(void)
{
    int32_t all = (1 << 30) - 1;
    fill_arena();
    for (int32_t k = 4; k < 100; k++)
        w_close(k);
    if (w_open(3, 1, "file", 4, 1, all, all, 0, &file))
        file = 3;
}

int main(void)
{
    memset(arena, 0x5a, sizeof arena);
    for (int round = 0; round < 20000; round++) {
        if (round % 100 == 0)
            begin_again();
        tries[next() % (sizeof tries / sizeof *tries)]();
    }
    int whole = 1;
    for (int k = 0; k < PART; k++)
        whole &= arena[k] == 0x5a && arena[2 * PART + k] == 0x5a;
    printf("memory %s, %s, %s\n", whole ? "whole" : "CHANGED",
           answers[0] > 1000 ? "calls succeeded" : "none succeeded",
           answers[99] ? "UNKNOWN ANSWERS" : "all answers known");
    uint8_t *end = (uint8_t *)(uintptr_t)memory_end();
    printf("poll at the end: %d\n", w_poll_oneoff(end - 47, arena, 1, arena));
    printf("poll beyond: %d\n", w_poll_oneoff(arena, arena, -1, arena));
    return 0;
}
