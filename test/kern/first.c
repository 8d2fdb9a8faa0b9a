// SPDX-License-Identifier: MIT
// First calls, which compile: on two CPUs at once, in the middle of which a process is ended, and
// where there is no memory left.
#include "nebulet.h"

enum { FUNCS = 500, ROUNDS = 5, LONG = 1 << 20, KILLS = 6, CALLS = 20 };

// --- Modules, made byte by byte
static uint8_t *at;

static void put(const void *bytes, size_t n)
{
    memcpy(at, bytes, n);
    at += n;
}
#define PUT(...) put((const uint8_t[]){__VA_ARGS__}, sizeof(const uint8_t[]){__VA_ARGS__})

static void put_number(u32 n)
{
    for (; n >= 0x80; n >>= 7)
        *at++ = (uint8_t)(n | 0x80);
    *at++ = (uint8_t)n;
}

static void put_signed(int32_t n)
{
    for (; n < -64 || n > 63; n >>= 7)
        *at++ = (uint8_t)((n & 0x7f) | 0x80);
    *at++ = (uint8_t)n & 0x7f;
}

// A length of five bytes that is known later.
static uint8_t *begin(void)
{
    at += 5;
    return at;
}

static void end(uint8_t *start)
{
    u32 n = (u32)(at - start);
    for (u32 i = 0; i < 5; i++, n >>= 7)
        start[(int)i - 5] = (uint8_t)((n & 0x7f) | (i < 4 ? 0x80 : 0));
}

// (type 0: nothing; 1: i64 to i64; 2: i32 to i32), the import watchdog_setup, `n` functions of type
// 2, and _start, of which the code is to follow.
static uint8_t *begin_module(u32 n)
{
    PUT(0, 'a', 's', 'm', 1, 0, 0, 0, 1, 14, 3, 0x60, 0, 0, 0x60, 1, 0x7e, 1, 0x7e, 0x60, 1, 0x7f,
        1, 0x7f);
    PUT(2, 26, 1, 7, 'n', 'e', 'b', 'u', 'l', 'e', 't', 14, 'w', 'a', 't', 'c', 'h', 'd', 'o', 'g',
        '_', 's', 'e', 't', 'u', 'p', 0, 1);
    PUT(3);
    uint8_t *section = begin();
    put_number(n + 1);
    for (u32 i = 0; i < n; i++)
        PUT(2);
    PUT(0);
    end(section);
    PUT(7);
    section = begin();
    PUT(1, 6, '_', 's', 't', 'a', 'r', 't', 0);
    put_number(n + 1);
    end(section);
    PUT(10);
    section = begin();
    put_number(n + 1);
    return section;
}

static u32 made(uint8_t *base)
{
    static char message[200];
    s64 m = nb_wasm_compile(base, (u32)(at - base), message, sizeof message);
    if (m < 0)
        puts(message);
    return GOOD(m);
}

// Function i: its argument, and i + salt; odd ones have it from the one before, and every seventh
// from the one behind. _start calls all, and traps if the sum is wrong.
static u32 sums(uint8_t *base, u32 salt)
{
    at = base;
    uint8_t *section = begin_module(FUNCS), *body;
    u32 sum = 0;
    for (u32 i = 0; i < FUNCS; i++) {
        u32 other = i % 2 ? i - 1 : i % 7 == 0 && i + 2 < FUNCS ? i + 2 : i;
        body = begin();
        PUT(0, 0x20, 0);
        if (other != i && (other < i || other % 7)) {
            PUT(0x10);
            put_number(other + 1);
            sum += other + salt;
            if (other % 7 == 0 && other + 2 < FUNCS && (other + 2) % 7 && other % 2 == 0)
                sum += other + 2 + salt;
        }
        PUT(0x41);
        put_signed((int32_t)(i + salt));
        PUT(0x6a, 0x0b);
        sum += i + salt;
        end(body);
    }
    body = begin();
    PUT(0, 0x41, 0);
    for (u32 i = 0; i < FUNCS; i++) {
        PUT(0x10);
        put_number(i + 1);
    }
    PUT(0x41);
    put_signed((int32_t)sum);
    PUT(0x47, 0x04, 0x40, 0x00, 0x0b, 0x0b); // i32.ne, if, unreachable
    end(body);
    end(section);
    return made(base);
}

// One function of many bytes, and _start, which calls it a few times, with a watchdog of a
// millisecond or none.
static u32 takes_long(uint8_t *base, bool watched)
{
    at = base;
    uint8_t *section = begin_module(1), *body = begin();
    PUT(0);
    for (u32 i = 0; i < LONG; i += 8)
        PUT(0x43, 0, 0, 0, 0, 0xfc, 1, 0x1a); // f32.const, trunc_sat, drop
    PUT(0x20, 0, 0x0b);
    end(body);
    body = begin();
    PUT(0);
    if (watched)
        PUT(0x42, 0xc0, 0x84, 0x3d, 0x10, 0, 0x1a); // i64.const 1000000, call
    for (u32 i = 0; i < CALLS; i++)
        PUT(0x41, 0, 0x10, 1, 0x1a);
    PUT(0x0b);
    end(body);
    end(section);
    return made(base);
}

static u32 made_of(u32 module, const struct nebulet_options *o)
{
    return GOOD(nb_process_create(module, NEBULET_NO_HANDLE, o, o ? sizeof *o : 0, "x", 2));
}

static u32 started(u32 module, const struct nebulet_options *o)
{
    u32 p = made_of(module, o);
    EXPECT(nb_process_start(p), 0);
    return p;
}

// --- What happens

static void races(uint8_t *base)
{
    for (u32 round = 0; round < ROUNDS; round++) {
        u32 module = sums(base, round * 1000), p[3];
        for (u32 i = 0; i < countof(p); i++)
            p[i] = made_of(module, NULL);
        for (u32 i = 0; i < countof(p); i++)
            EXPECT(nb_process_start(p[i]), 0);
        for (u32 i = 0; i < countof(p); i++)
            ENDED(p[i], NEBULET_EXITED, 0);
        EXPECT(nb_handle_close(module), 0);
    }
}

// Whoever is ended in the middle leaves nothing behind that keeps others from compiling the same.
static void ends(uint8_t *base)
{
    struct nebulet_options brief = {.cpu_ns = 2 * MS}, soon = {.wall_ns = 2 * MS};
    u32 module = takes_long(base, true);
    ENDED(started(module, NULL), NEBULET_WATCHDOG, 0);
    EXPECT(nb_handle_close(module), 0);
    module = takes_long(base, false);
    ENDED(started(module, &brief), NEBULET_LIMIT, 0);
    u32 killed = 0;
    for (u32 i = 0; i < KILLS; i++) {
        u32 p = started(module, i % 2 ? &soon : NULL);
        struct nebulet_exit e;
        sleep_ms(2);
        nb_process_kill(p);
        EXPECT(nb_process_wait(p, FOREVER, &e), 0);
        killed += e.how != NEBULET_EXITED;
        EXPECT(nb_handle_close(p), 0);
    }
    TRUE(killed > 0); // the machine may be slow, and they quick, but not always
    ENDED(started(module, NULL), NEBULET_EXITED, 0);
    EXPECT(nb_handle_close(module), 0);
}

__attribute__((noinline)) static u32 never_called(volatile u32 *p, u32 n)
{
    for (u32 i = 0; i < n; i++)
        p[i] = p[n - i - 1] * 3 + i;
    return p[n / 2];
}

// All memory that it may have, and all that may be kept for it.
static void is_full(void)
{
    static volatile u32 words[100];
    while (__builtin_wasm_memory_grow(0, 1) != SIZE_MAX)
        ;
    while (nb_event_create() >= 0)
        ;
    exit(never_called(words, countof(words)) == 197 ? 7 : 8);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1)
        is_full();
    uint8_t *base = malloc(LONG + 4096);
    struct nebulet_options small = {.memory = 4 << 20, .handles = 60000};
    TRUE(base != NULL);
    races(base);
    ends(base);
    ENDED(child("full", NEBULET_NO_HANDLE, &small), NEBULET_EXITED, 7);
    puts("first");
    return 0;
}
