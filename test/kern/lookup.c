// SPDX-License-Identifier: MIT
// Calls that take long look up: beside each of them another process on the same CPU is never kept
// waiting for much longer than a slice, and whoever makes the call ends in the middle of it,
// whatever ends it. `lookup only CALL`: of that one.
#include "nebulet.h"

#include <wasi/api.h>

enum {
    GAP_MS = 20,
    END_MS = 25,
    LATE_MS = 10,
    BYTES = 40 << 20,
    DOG_MS = 60,
    ARGS = 300000,
    LISTED = 5000
};

static char *memory(size_t n)
{
    char *p = malloc(n);
    TRUE(p != NULL);
    return p;
}

// --- What takes long; each for ever.
static void fills(void)
{
    char *p = memory(BYTES);
    for (int i = 0;; i++)
        memset(p, i, BYTES);
}

static void copies(void)
{
    char *p = memory(BYTES);
    for (int i = 0;; i ^= 1)
        memmove(p + i, p + !i, BYTES - 1);
}

static void random_wasi(void)
{
    char *p = memory(BYTES);
    for (;;)
        EXPECT(__wasi_random_get((uint8_t *)p, BYTES), 0);
}

static void random_ours(void)
{
    char *p = memory(BYTES);
    for (;;)
        EXPECT(nb_cprng_fill(p, BYTES), 0);
}

// --- Modules, made byte by byte
static uint8_t *put_number(uint8_t *p, u32 n)
{
    for (; n >= 0x80; n >>= 7)
        *p++ = (uint8_t)(n | 0x80);
    *p++ = (uint8_t)n;
    return p;
}

// A number of five bytes, for one that is known later.
static void put_later(uint8_t *p, u32 n)
{
    for (u32 i = 0; i < 5; i++, n >>= 7)
        p[i] = (uint8_t)((n & 0x7f) | (i < 4 ? 0x80 : 0));
}

static uint8_t *put(uint8_t *p, const void *bytes, size_t n)
{
    memcpy(p, bytes, n);
    return p + n;
}

// The same so many times: what is there is copied, twice as much each time, since this program is
// not what is tried.
static uint8_t *put_again(uint8_t *p, const void *bytes, size_t n, u32 times)
{
    size_t size = n * times, there = times ? n : 0;
    memcpy(p, bytes, there);
    for (; there < size; there += there < size - there ? there : size - there)
        memcpy(p + there, p, there < size - there ? there : size - there);
    return p + size;
}

// (module (func (param i32)) ... (func (export "_start") (call 0 (i32.const 40)))): functions that
// begin with `head` and go on with `part`, so many times.
static u32 make_module(uint8_t *base, u32 funcs, const void *head, size_t head_size,
                       const void *part, size_t part_size, u32 parts)
{
    static const uint8_t start[] = {0, 'a', 's',  'm', 1,    0, 0,    0, 1,
                                    8, 2,   0x60, 1,   0x7f, 0, 0x60, 0, 0};
    static const uint8_t main_body[] = {6, 0, 0x41, 40, 0x10, 0, 0x0b};
    uint8_t *p = put(base, start, sizeof start), *size, *body_size;
    *p++ = 3;
    size = p;
    p = put_again(put_number(p + 5, funcs + 1), "", 1, funcs);
    *p++ = 1;
    put_later(size, (u32)(p - size) - 5);
    *p++ = 7;
    size = p;
    p = put(p + 5, "\1\6_start\0", 9);
    p = put_number(p, funcs);
    put_later(size, (u32)(p - size) - 5);
    *p++ = 10;
    size = p;
    p = put_number(p + 5, funcs + 1);
    body_size = p;
    p = put(p + 5, "\1\10\177", 3); // eight locals of i32
    p = put(p, head, head_size);
    p = put_again(p, part, part_size, parts);
    *p++ = 0x0b;
    put_later(body_size, (u32)(p - body_size) - 5);
    p = put_again(p, body_size, (size_t)(p - body_size), funcs - 1);
    p = put(p, main_body, sizeof main_body);
    put_later(size, (u32)(p - size) - 5);
    return (u32)(p - base);
}

static const uint8_t trunc[] = {0x43, 0, 0, 0, 0, 0xfc, 1, 0x1a}; // f32.const, trunc_sat, drop
static const uint8_t swap[] = {0x20, 1, 0x21, 2};                 // local.get, local.set
// The parameter is 0: unreachable; else calls itself with one less.
static const uint8_t sinks[] = {0x20, 0, 0x45, 0x04, 0x40, 0x00, 0x0b,
                                0x20, 0, 0x41, 1,    0x6b, 0x10, 0};

static void compiles_again(u32 funcs, u32 bytes, const uint8_t *part, u32 part_size)
{
    char message[200];
    uint8_t *base = (uint8_t *)memory(funcs * (bytes + 64) + 4096);
    u32 n = make_module(base, funcs, "", 0, part, part_size, bytes / part_size);
    for (;;)
        EXPECT(nb_handle_close(GOOD(nb_wasm_compile(base, n, message, sizeof message))), 0);
}

static void compiles_many(void)
{
    compiles_again(30, 100000, trunc, sizeof trunc);
}

// Functions that are nothing but an end.
static void compiles_small(void)
{
    compiles_again(60000, 1, trunc, sizeof trunc);
}

static void compiles_one(void)
{
    compiles_again(1, 3000000, trunc, sizeof trunc);
}

static void compiles_locals(void)
{
    compiles_again(1, 3000000, swap, sizeof swap);
}

// A data segment and nothing else.
static void compiles_data(void)
{
    enum { SIZE = 8 << 20 };
    static const uint8_t start[] = {0, 'a', 's', 'm', 1, 0, 0, 0, 5, 4, 1, 0, 0xa0, 1, 11};
    char message[200];
    uint8_t *base = (uint8_t *)memory(SIZE + 100), *p = put(base, start, sizeof start), *size = p;
    p = put(p + 5, "\1\0\101\0\13", 5);
    put_later(p, SIZE);
    p += 5 + SIZE;
    put_later(size, (u32)(p - size) - 5);
    for (;;) {
        u32 m = GOOD(nb_wasm_compile(base, (u32)(p - base), message, sizeof message));
        for (u32 i = 0; i < 4; i++) {
            struct nebulet_options o = {.cpu = 1};
            u32 made = GOOD(nb_process_create(m, NEBULET_NO_HANDLE, &o, sizeof o, NULL, 0));
            EXPECT(nb_handle_close(made), 0);
        }
        EXPECT(nb_handle_close(m), 0);
    }
}

// Traps 40 calls deep in a large function.
static u32 trapper(void)
{
    enum { BYTES_OF_IT = 300000 };
    char message[200];
    uint8_t *base = (uint8_t *)memory(BYTES_OF_IT + 4096);
    u32 n =
        make_module(base, 1, sinks, sizeof sinks, trunc, sizeof trunc, BYTES_OF_IT / sizeof trunc);
    return GOOD(nb_wasm_compile(base, n, message, sizeof message));
}

static enum nebulet_end trap(u32 module, u64 wall_ns)
{
    struct nebulet_options o = {.cpu = 1, .wall_ns = wall_ns};
    struct nebulet_exit e;
    u32 p = GOOD(nb_process_create(module, NEBULET_NO_HANDLE, &o, sizeof o, NULL, 0));
    EXPECT(nb_process_start(p), 0);
    EXPECT(nb_process_wait(p, FOREVER, &e), 0);
    EXPECT(nb_handle_close(p), 0);
    return e.how;
}

static void traps(void)
{
    for (u32 module = trapper();;) // what is left when this one is killed does not last
        trap(module, 40 * MS);
}

// --- Tables, files, waits
static __externref_t table[0];

static void tables(void)
{
    enum { ELEMENTS = 200000 };
    __builtin_wasm_table_grow(table, __builtin_wasm_ref_null_extern(), ELEMENTS);
    for (;;) {
        __builtin_wasm_table_fill(table, 0, __builtin_wasm_ref_null_extern(), ELEMENTS);
        __builtin_wasm_table_copy(table, table, 0, 1, ELEMENTS - 1);
        __builtin_wasm_table_copy(table, table, 1, 0, ELEMENTS - 1);
    }
}

static void grows(void)
{
    for (;;)
        __builtin_wasm_memory_grow(0, 60000); // more than there is
}

static void polls(void)
{
    enum { MANY = 65536 };
    __wasi_subscription_t *s = calloc(MANY, sizeof *s);
    __wasi_event_t *e = calloc(MANY, sizeof *e);
    __wasi_size_t n;
    TRUE(s && e);
    for (u32 i = 0; i < MANY; i++) {
        s[i].u.tag = i % 2 ? __WASI_EVENTTYPE_FD_WRITE : __WASI_EVENTTYPE_CLOCK;
        s[i].u.u.fd_write.file_descriptor = i % 2 ? 2 : 0; // in the place of the clock's id
    }
    for (;;)
        EXPECT(__wasi_poll_oneoff(s, e, MANY, &n), 0);
}

static void waits_for_many(void)
{
    static struct nebulet_wait w[NEBULET_WAIT_MAX];
    for (u32 i = 0; i < countof(w); i++)
        w[i] = (struct nebulet_wait){GOOD(nb_event_create()), NEBULET_EVENT_SIGNALED, 0};
    for (;;)
        nb_object_wait_many(w, countof(w), now() + 1000);
}

static void paths(void)
{
    static char path[4000];
    __wasi_filestat_t s;
    for (u32 i = 0; i < sizeof path; i++)
        path[i] = i % 2 ? '/' : '.';
    for (;;)
        EXPECT(__wasi_path_filestat_get(3, 0, path, &s), 0);
}

static void shares(void)
{
    enum { SIZE = 8 << 20 };
    for (;;)
        EXPECT(nb_handle_close(GOOD(nb_memory_create(SIZE))), 0);
}

static void arguments(void)
{
    enum { SIZE = 4 << 20 };
    char *args = memory(SIZE);
    memset(args, 0, SIZE);
    for (;;) {
        struct nebulet_options o = {.cpu = 1};
        EXPECT(nb_handle_close(GOOD(
                   nb_process_create(own_module(), NEBULET_NO_HANDLE, &o, sizeof o, args, SIZE))),
               0);
    }
}

// As libc does before main.
static void gets(void)
{
    size_t count, size;
    EXPECT(__wasi_args_sizes_get(&count, &size), 0);
    uint8_t *bytes = (uint8_t *)memory(size), **pointers = (uint8_t **)memory(4 * count);
    for (;;)
        EXPECT(__wasi_args_get(pointers, bytes), 0);
}

static void writes_nothing(void)
{
    enum { MANY = 4 << 20 };
    __wasi_ciovec_t *v = calloc(MANY, sizeof *v);
    __wasi_size_t n;
    TRUE(v != NULL);
    for (;;)
        EXPECT(__wasi_fd_write(1, v, MANY, &n), __WASI_ERRNO_INVAL); // no byte can be written
}

static int opened(const char *path, __wasi_oflags_t how)
{
    __wasi_fd_t file;
    s64 e = __wasi_path_open(3, 0, path, how, UINT64_MAX >> 35, 0, 0, &file);
    return e ? -1 : (int)file;
}

static void reads(void)
{
    enum { MANY = 1 << 20 };
    __wasi_iovec_t *v = calloc(MANY, sizeof *v);
    uint8_t *bytes = (uint8_t *)memory(MANY);
    __wasi_size_t n;
    int file = opened(own_name, 0);
    TRUE(v && file >= 0);
    for (u32 i = 0; i < MANY; i++)
        v[i] = (__wasi_iovec_t){bytes + i, i % 2};
    for (;;)
        EXPECT(__wasi_fd_pread((__wasi_fd_t)file, v, MANY, 0, &n), 0);
}

// What main has made, where it has.
static void lists(void)
{
    uint8_t *bytes = (uint8_t *)memory(BYTES);
    int folder = opened("many", __WASI_OFLAGS_DIRECTORY);
    __wasi_size_t n;
    for (;;)
        EXPECT(__wasi_fd_readdir((__wasi_fd_t)(folder < 0 ? 3 : folder), bytes, BYTES, 0, &n), 0);
}

static void make_folder(void)
{
    char name[20];
    EXPECT(__wasi_path_create_directory(3, "many"), 0);
    for (u32 i = 0; i < LISTED; i++) {
        snprintf(name, sizeof name, "many/%u", i);
        int file = opened(name, __WASI_OFLAGS_CREAT);
        TRUE(file >= 0);
        EXPECT(__wasi_fd_close((__wasi_fd_t)file), 0);
    }
}

static void joined(u32 i)
{
    (void)i;
    nb_thread_yield();
}

// A crowd that waits for one thread, and is waited for.
static u32 first_thread;
static void joins_first(u32 i)
{
    (void)i;
    nb_thread_join(first_thread, FOREVER);
}

static void joins(void)
{
    enum { CROWD = 100, STACK = 256 };
    static char stacks[CROWD + 1][STACK] __attribute__((aligned(16)));
    static u32 t[CROWD];
    for (;;) {
        for (u32 i = 0; i < CROWD; i++) {
            void (*f)(u32) = i ? joins_first : joined;
            t[i] = GOOD(nb_thread_spawn((u32)(uintptr_t)f, i, (u32)(uintptr_t)stacks[i + 1]));
            first_thread = t[0];
        }
        for (u32 i = 0; i < CROWD; i++) {
            EXPECT(nb_thread_join(t[i], FOREVER), 0);
            EXPECT(nb_handle_close(t[i]), 0);
        }
    }
}

// (module (import "nebulet" "watchdog_setup" (func (param i64) (result i64))) (table SIZE funcref)
// (elem func 1 ...) (memory 128) (data "...") (func (export "_start") (drop (call 0 (i64.const
// interval))) (loop (table.init, memory.init) (br 0)))): nothing that C could be compiled to.
static u32 segments(u64 interval)
{
    enum { ELEMENTS = 200000, DATA = 8 << 20 };
    static const uint8_t start[] = "\0asm\1\0\0\0\1\x09\2\x60\1\x7e\1\x7e\x60\0\0"
                                   "\2\x1a\1\7nebulet\x0ewatchdog_setup\0\0"
                                   "\3\2\1\1\4\6\1\x70\0\xc0\x9a\x0c\5\4\1\0\x80\1"
                                   "\7\x0a\1\6_start\0\1\x09";
    static const uint8_t loop[] = "\x10\0\x1a\3\x40\x41\0\x41\0\x41\xc0\x9a\x0c\xfc\x0c\0\0"
                                  "\x41\0\x41\0\x41\x80\x80\x80\4\xfc\x08\0\0\x0c\0\x0b\x0b";
    char message[200];
    uint8_t *base = (uint8_t *)memory(ELEMENTS + DATA + 200), *size, *body;
    uint8_t *p = put(base, start, sizeof start - 1);
    size = p;
    p = put_number(put(p + 5, "\1\1\0", 3), ELEMENTS);
    memset(p, 1, ELEMENTS);
    p += ELEMENTS;
    put_later(size, (u32)(p - size) - 5);
    p = put(p, "\x0c\1\1\x0a", 4); // one data segment; code
    size = p;
    *(p += 5) = 1;
    body = ++p;
    p = put(p + 5, "\0\x42", 2);
    for (; interval >= 0x40; interval >>= 7)
        *p++ = (uint8_t)(interval | 0x80);
    *p++ = (uint8_t)interval;
    p = put(p, loop, sizeof loop - 1);
    put_later(body, (u32)(p - body) - 5);
    put_later(size, (u32)(p - size) - 5);
    *p++ = 11;
    size = p;
    p = put_number(put(p + 5, "\1\1", 2), DATA) + DATA;
    put_later(size, (u32)(p - size) - 5);
    u32 m = GOOD(nb_wasm_compile(base, (u32)(p - base), message, sizeof message));
    free(base);
    return m;
}

// The same without table and segments, and the loop, of a great many times a part, in a function of
// its own: code that does not go back for long, and that is compiled when the watchdog is there.
static u32 quiet(u64 interval, const uint8_t *part, u32 length, u32 times)
{
    static const uint8_t start[] = "\0asm\1\0\0\0\1\x09\2\x60\1\x7e\1\x7e\x60\0\0"
                                   "\2\x1a\1\7nebulet\x0ewatchdog_setup\0\0"
                                   "\3\3\2\1\1\5\4\1\0\x80\1\7\x0a\1\6_start\0\1\x0a";
    char message[200];
    uint8_t *base = (uint8_t *)memory(length * times + 200), *size, *body;
    uint8_t *p = put(base, start, sizeof start - 1);
    size = p;
    *(p += 5) = 2;
    body = ++p;
    p = put(p + 5, "\0\x42", 2);
    for (; interval >= 0x40; interval >>= 7)
        *p++ = (uint8_t)(interval | 0x80);
    *p++ = (uint8_t)interval;
    p = put(p, "\x10\0\x1a\x10\2\x0b", 6);
    put_later(body, (u32)(p - body) - 5);
    body = p;
    p = put(p + 5, "\0\3\x40", 3);
    p = put_again(p, part, length, times);
    p = put(p, "\x0c\0\x0b\x0b", 4);
    put_later(body, (u32)(p - body) - 5);
    put_later(size, (u32)(p - size) - 5);
    u32 m = GOOD(nb_wasm_compile(base, (u32)(p - base), message, sizeof message));
    free(base);
    return m;
}

static u32 copies_straight(u64 interval)
{
    static const uint8_t copy[] = "\x41\0\x41\x80\x80\xc0\0\x41\x80\x80\x10\xfc\x0a\0\0";
    return quiet(interval, copy, sizeof copy - 1, 20000);
}

static u32 nothing_straight(u64 interval)
{
    return quiet(interval, (const uint8_t *)"\1", 1, 7000000);
}

static const struct {
    const char *name;
    void (*run)(void);
    u32 (*module)(u64 watchdog_ns); // in place of this one
    u32 args;                       // bytes more of arguments
} calls[] = {
    {"fills", fills},
    {"copies", copies},
    {"random_wasi", random_wasi},
    {"random_ours", random_ours},
    {"compiles_many", compiles_many},
    {"compiles_small", compiles_small},
    {"compiles_one", compiles_one},
    {"compiles_locals", compiles_locals},
    {"compiles_data", compiles_data},
    {"traps", traps},
    {"tables", tables},
    {"grows", grows},
    {"polls", polls},
    {"waits_for_many", waits_for_many},
    {"paths", paths},
    {"shares", shares},
    {"arguments", arguments},
    {"gets", gets, .args = ARGS},
    {"writes_nothing", writes_nothing},
    {"reads", reads},
    {"lists", lists},
    {"joins", joins},
    {"segments", .module = segments},
    {"copies_straight", .module = copies_straight},
    {"nothing_straight", .module = nothing_straight},
};

static u32 begin(u32 i, bool dog, const struct nebulet_options *o)
{
    static char args[ARGS + 100];
    int n = snprintf(args, 100, "%s%c%s%s", own_name, 0, dog ? "+" : "", calls[i].name);
    u32 m = calls[i].module ? calls[i].module(dog ? DOG_MS * MS : 0) : own_module();
    u32 p = GOOD(
        nb_process_create(m, NEBULET_NO_HANDLE, o, sizeof *o, args, (u32)n + 1 + calls[i].args));
    if (calls[i].module)
        EXPECT(nb_handle_close(m), 0);
    return p;
}

// --- Who waits
// Answers with the longest time between two looks at the clock, when it is told to stop.
static int watches(void)
{
    u64 worst = 0, last = now();
    while (recv_word(0, NOW) == ERR_SHOULD_WAIT) {
        u64 t = now();
        if (t - last > worst)
            worst = t - last;
        last = t;
    }
    return send_word(0, (u32)(worst / 1000)) ? 1 : 0;
}

static void beside(u32 i)
{
    enum { RUN_MS = 150 };
    struct nebulet_options o = {.privileges = NEBULET_MAY_ALL, .cpu = 1};
    struct nebulet_exit e;
    const char *name = calls[i].name;
    u32 a, b;
    char what[80];
    pair(&a, &b);
    u32 busy = begin(i, false, &o);
    EXPECT(nb_process_start(busy), 0);
    u32 watch = child("watches", b, &o);
    sleep_ms(RUN_MS);
    EXPECT(nb_process_wait(busy, NOW, &e), ERR_SHOULD_WAIT);
    u64 start = now();
    EXPECT(nb_process_kill(busy), 0);
    ENDED(busy, NEBULET_KILLED, 0);
    u64 took = now() - start;
    EXPECT(send_word(a, 0), 0);
    u64 gap = (u64)recv_word(a, FOREVER) * 1000;
    ENDED(watch, NEBULET_EXITED, 0);
    EXPECT(nb_handle_close(a), 0);
    snprintf(what, sizeof what, "%s: the gap beside it is too long", name);
    blame_machine(what, gap > GAP_MS * MS ? gap - GAP_MS * MS : 0);
    snprintf(what, sizeof what, "%s: its end takes too long", name);
    blame_machine(what, took > END_MS * MS ? took - END_MS * MS : 0);
}

// Alone, and ended after some time by each of what ends processes.
static void ends(u32 i, enum nebulet_end how, bool by_cpu)
{
    enum { AFTER_MS = DOG_MS };
    struct nebulet_options o = {.privileges = NEBULET_MAY_ALL, .cpu = 1};
    struct nebulet_info info;
    char what[80];
    if (how == NEBULET_LIMIT)
        *(by_cpu ? &o.cpu_ns : &o.wall_ns) = AFTER_MS * MS;
    u32 p = begin(i, how == NEBULET_WATCHDOG, &o);
    u64 start = now();
    EXPECT(nb_process_start(p), 0);
    if (how == NEBULET_KILLED) {
        sleep_ms(AFTER_MS);
        EXPECT(nb_process_kill(p), 0);
    }
    EXPECT(nb_process_wait(p, FOREVER, NULL), 0);
    EXPECT(nb_process_info(p, &info), 0);
    ENDED(p, how, 0);
    u64 took = by_cpu ? info.cpu_ns : now() - start, most = (AFTER_MS + LATE_MS) * MS;
    snprintf(what, sizeof what, "%s: its end, by %u%s, is late", calls[i].name, how,
             by_cpu ? " of CPU time" : "");
    blame_machine(what, took > most ? took - most : 0);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    exact_time = argc > 1 && !strcmp(argv[1], "exact");
    const char *only = argc > 2 && !strcmp(argv[1], "only") ? argv[2] : NULL;
    if (argc > 1 && !strcmp(argv[1], "watches"))
        return watches();
    if (exact_time)
        make_folder();
    for (u32 i = 0; i < countof(calls); i++) {
        bool dog = argc > 1 && argv[1][0] == '+';
        if (argc > 1 && calls[i].run && !strcmp(argv[1] + dog, calls[i].name)) {
            if (dog)
                EXPECT(nb_watchdog_setup(DOG_MS * MS), 0);
            calls[i].run();
        }
        if (argc == 1 || exact_time || (only && !strcmp(only, calls[i].name))) {
            beside(i);
            ends(i, NEBULET_LIMIT, false);
            ends(i, NEBULET_LIMIT, true);
            if (!calls[i].args) // it takes libc longer to come to where that is set up
                ends(i, NEBULET_WATCHDOG, false);
            ends(i, NEBULET_KILLED, false);
        }
    }
    EXPECT(trap(trapper(), 0), NEBULET_TRAPPED);
    puts("lookup");
    return 0;
}
