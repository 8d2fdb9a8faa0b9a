// SPDX-License-Identifier: MIT
// Memory objects: pages that two processes have at once, between two CPUs where there are two.
#include "nebulet.h"

#define PAGE 4096u
#define WINDOW (1u << 16)

// Whole pages of this program's own, to map over.
static _Alignas(65536) unsigned char window[4 * WINDOW];
static unsigned char *const at = window;

static u32 address_of(const void *p)
{
    return (u32)(uintptr_t)p;
}

static s64 map(u32 memory, u32 offset, void *p, u32 bytes)
{
    return nb_memory_map(memory, address_of(p), offset, bytes);
}

static void test_arguments(void)
{
    EXPECT(nb_memory_create(0), ERR_INVALID_ARG);
    EXPECT(nb_memory_create(100), ERR_INVALID_ARG);
    EXPECT(nb_memory_create(1ull << 32), ERR_INVALID_ARG);
    EXPECT(nb_memory_create(UINT64_MAX - PAGE + 1), ERR_INVALID_ARG);
    u32 m = GOOD(nb_memory_create(4 * PAGE));
    EXPECT(nb_memory_size(m), 4 * PAGE);
    EXPECT(map(m, 0, at + 1, PAGE), ERR_INVALID_ARG);
    EXPECT(map(m, 1, at, PAGE), ERR_INVALID_ARG);
    EXPECT(map(m, 0, at, 0), ERR_INVALID_ARG);
    EXPECT(map(m, 0, at, PAGE - 1), ERR_INVALID_ARG);
    EXPECT(map(m, 0, at, 5 * PAGE), ERR_OUT_OF_BOUNDS);
    EXPECT(map(m, 4 * PAGE, at, PAGE), ERR_OUT_OF_BOUNDS);
    EXPECT(nb_memory_map(m, address_of(at), 0ull - PAGE, PAGE), ERR_OUT_OF_BOUNDS);
    EXPECT(nb_memory_map(m, 0u - PAGE, 0, PAGE), ERR_OUT_OF_BOUNDS);
    EXPECT(nb_memory_map(m, 0u - PAGE, 0, 4 * PAGE), ERR_OUT_OF_BOUNDS);
    EXPECT(nb_memory_unmap(address_of(at), PAGE), ERR_NOT_FOUND);
    EXPECT(nb_memory_unmap(0u - PAGE, 0u - PAGE), ERR_NOT_FOUND);
    EXPECT(nb_memory_unmap(address_of(at) + 1, PAGE), ERR_INVALID_ARG);
    u32 reads = GOOD(nb_handle_duplicate(m, NEBULET_READ));
    EXPECT(map(reads, 0, at, PAGE), ERR_ACCESS_DENIED);
    EXPECT(nb_handle_close(reads), 0);
    EXPECT(nb_handle_close(m), 0);
    EXPECT(map(m, 0, at, PAGE), ERR_BAD_HANDLE);
}

// Two windows on the same page; the handle may be gone.
static void test_windows(void)
{
    u32 m = GOOD(nb_memory_create(4 * PAGE));
    memset(at, 7, 4 * PAGE);
    EXPECT(map(m, 0, at, 2 * PAGE), 0);
    EXPECT(at[0] + at[2 * PAGE - 1], 0);
    EXPECT(at[2 * PAGE], 7);
    EXPECT(map(m, PAGE, at + PAGE, PAGE), ERR_INVALID_ARG);
    EXPECT(map(m, PAGE, at + 8 * PAGE, PAGE), 0);
    EXPECT(nb_handle_close(m), 0);
    at[PAGE + 5] = 42;
    EXPECT(at[8 * PAGE + 5], 42);
    EXPECT(nb_memory_unmap(address_of(at), PAGE), ERR_INVALID_ARG);
    EXPECT(nb_memory_unmap(address_of(at), 2 * PAGE), 0);
    EXPECT(at[PAGE + 5], 0);
    EXPECT(at[2 * PAGE], 7);
    EXPECT(at[8 * PAGE + 5], 42);
    EXPECT(nb_memory_unmap(address_of(at), 16 * PAGE), 0);
    EXPECT(at[8 * PAGE + 5], 0);
}

// What a call copies, and bulk operations, see the same pages.
static void test_calls(void)
{
    u32 m = GOOD(nb_memory_create(PAGE)), ends[2];
    EXPECT(map(m, 0, at, PAGE), 0);
    EXPECT(map(m, 0, at + WINDOW, PAGE), 0);
    pair(&ends[0], &ends[1]);
    strcpy((char *)at + 10, "by mail");
    EXPECT(nb_channel_send(ends[0], at + WINDOW + 10, 8, NULL, 0, NOW), 0);
    EXPECT(nb_channel_recv(ends[1], at + 100, 8, NULL, 0, NULL, NOW), 8);
    EXPECT(strcmp((char *)at + WINDOW + 100, "by mail"), 0);
    memcpy(at + 200, at + WINDOW + 100, 8);
    EXPECT(strcmp((char *)at + WINDOW + 200, "by mail"), 0);
    EXPECT(nb_memory_unmap(address_of(at), 2 * WINDOW), 0);
    for (int i = 0; i < 3; i++)
        EXPECT(nb_handle_close((u32[]){m, ends[0], ends[1]}[i]), 0);
}

// A memory that grows goes on being mapped.
static void test_growth(void)
{
    u32 m = GOOD(nb_memory_create(WINDOW));
    u32 old = (u32)__builtin_wasm_memory_grow(0, 1);
    TRUE(old != UINT32_MAX);
    unsigned char *end = (unsigned char *)(uintptr_t)(old * 65536);
    EXPECT(map(m, 0, end, WINDOW), 0);
    end[77] = 5;
    TRUE(__builtin_wasm_memory_grow(0, 1) != SIZE_MAX);
    end[WINDOW] = 6;
    EXPECT(end[77], 5);
    EXPECT(map(m, 0, at, WINDOW), 0);
    EXPECT(at[77], 5);
    EXPECT(nb_memory_unmap(0, (old + 1) * 65536), 0);
    EXPECT(end[77] + at[77], 0);
    EXPECT(nb_handle_close(m), 0);
}

static void test_limits(void)
{
    u32 m = GOOD(nb_memory_create(PAGE));
    for (u32 i = 0; i < NEBULET_MAPPINGS_MAX; i++)
        EXPECT(map(m, 0, at + i * PAGE, PAGE), i < countof(window) / PAGE ? 0 : ERR_INVALID_ARG);
    EXPECT(map(m, 0, window + sizeof window - PAGE, PAGE), ERR_INVALID_ARG);
    u32 old = (u32)__builtin_wasm_memory_grow(0, 1);
    EXPECT(nb_memory_map(m, old * 65536, 0, PAGE), ERR_NO_RESOURCES);
    EXPECT(nb_memory_unmap(address_of(at), sizeof window), 0);
    EXPECT(nb_handle_close(m), 0);
    // Objects that nobody has a handle of, nor a mapping, are gone.
    for (u32 i = 0; i < 2 * 4096; i++) {
        m = GOOD(nb_memory_create(PAGE));
        EXPECT(nb_handle_close(m), 0);
    }
}

// --- A ring between two processes: one writer, one reader, and neither calls anybody.
struct ring {
    _Atomic u32 written, read;
    u32 cells[1000];
};
enum { NUMBERS = 200000 };

static u32 next_of(u32 x)
{
    return x * 1664525 + 1013904223;
}

static void take_turns(void)
{
    if (nb_thread_yield())
        exit(2);
}

static void write_numbers(struct ring *r)
{
    u32 x = 1;
    for (u32 i = 0; i < NUMBERS; i++) {
        while (i - r->read == countof(r->cells))
            take_turns();
        r->cells[i % countof(r->cells)] = x = next_of(x);
        r->written = i + 1;
    }
}

static void read_numbers(struct ring *r)
{
    u32 x = 1;
    for (u32 i = 0; i < NUMBERS; i++) {
        while (i == r->written)
            take_turns();
        EXPECT(r->cells[i % countof(r->cells)], x = next_of(x));
        r->read = i + 1;
    }
}

// --- Atomics that two processes do at once.
struct counters {
    _Atomic uint8_t add8;
    _Atomic uint16_t add16;
    _Atomic u32 add, sub, or, xor, and, lock, plain, exchanged;
    _Atomic u64 compared;
};
enum { ROUNDS = 20000 };

static void count(struct counters *c, u32 who)
{
    for (u32 i = 0; i < ROUNDS; i++) {
        c->add8 += 1;
        c->add16 += 3;
        c->add += 5;
        c->sub -= 7;
        c->xor ^= 1u << (who * 8 + i % 8);
        c->or |= 1u << (who * 16 + i % 16);
        c->and &= ~(1u << (who * 16 + i % 16));
        u64 was = c->compared;
        while (!__c11_atomic_compare_exchange_strong(&c->compared, &was, was + (1ull << 33) + 1,
                                                     __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
            ;
        while (__c11_atomic_exchange(&c->lock, 1, __ATOMIC_SEQ_CST))
            take_turns();
        u32 plain = __c11_atomic_load(&c->plain, __ATOMIC_RELAXED);
        __c11_atomic_store(&c->plain, plain + 1, __ATOMIC_RELAXED);
        __c11_atomic_store(&c->lock, 0, __ATOMIC_SEQ_CST);
    }
}

static void check_counts(const struct counters *c)
{
    EXPECT(c->add8, (uint8_t)(2 * ROUNDS));
    EXPECT(c->add16, (uint16_t)(6 * ROUNDS));
    EXPECT(c->add, 10 * ROUNDS);
    EXPECT(c->sub, (u32)-14 * ROUNDS);
    EXPECT(c->xor, 0);
    EXPECT(c->or, UINT32_MAX);
    EXPECT(c->and, 0);
    EXPECT(c->plain, 2 * ROUNDS);
    TRUE(c->compared == 2 * ROUNDS * ((1ull << 33) + 1));
}

// "I have said so; does the other one say so, too?" At least one sees it, if stores wait.
struct flags {
    _Atomic u32 said[2], missed[2], stage[2], over;
};
// DARING, in ms: where two CPUs are two threads on one, each meeting takes one of its turns.
enum { DARES = 20000, DARING = 1000 };

static void meet(struct flags *f, u32 who, u32 stage)
{
    f->stage[who] = stage;
    while (f->stage[!who] < stage)
        take_turns();
}

static void dare(struct flags *f, u32 who)
{
    u64 until = now() + DARING * MS;
    for (u32 i = 1; !f->over; i++) {
        meet(f, who, 3 * i);
        f->said[who] = i;
        u32 other = f->said[!who];
        f->missed[who] = other < i;
        meet(f, who, 3 * i + 1);
        TRUE(!f->missed[0] || !f->missed[1]);
        if (who == 0 && (i == DARES || now() > until))
            f->over = true;
        meet(f, who, 3 * i + 2);
    }
}

struct shared {
    struct ring ring;
    struct counters counters;
    struct flags flags;
};

static int other(void)
{
    u32 memory, got = 0;
    struct nebulet_message message;
    EXPECT(nb_channel_recv(0, &got, 0, &memory, 1, &message, FOREVER), 0);
    EXPECT(map(memory, 0, at, WINDOW), 0);
    EXPECT(nb_channel_send(0, &got, 4, NULL, 0, FOREVER), 0);
    struct shared *s = (struct shared *)at;
    read_numbers(&s->ring);
    count(&s->counters, 1);
    dare(&s->flags, 1);
    return 0; // with the mapping
}

static void test_two(void)
{
    u32 m = GOOD(nb_memory_create(WINDOW)), ours, theirs, got;
    u32 copy = GOOD(nb_handle_duplicate(m, NEBULET_SAME_RIGHTS));
    EXPECT(map(m, 0, at, WINDOW), 0);
    pair(&ours, &theirs);
    u32 p = child("other", theirs, NULL);
    EXPECT(nb_channel_send(ours, "", 0, &copy, 1, FOREVER), 0);
    EXPECT(nb_channel_recv(ours, &got, 4, NULL, 0, NULL, FOREVER), 4);
    struct shared *s = (struct shared *)at;
    write_numbers(&s->ring);
    s->counters.and = UINT32_MAX;
    count(&s->counters, 0);
    dare(&s->flags, 0);
    ENDED(p, NEBULET_EXITED, 0);
    check_counts(&s->counters);
    EXPECT(nb_handle_close(ours), 0);
    EXPECT(nb_memory_unmap(address_of(at), WINDOW), 0);
    EXPECT(nb_handle_close(m), 0);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1 && !strcmp(argv[1], "other"))
        return other();
    test_arguments();
    test_windows();
    test_calls();
    test_growth();
    test_limits();
    test_two();
    puts("memory");
    return 0;
}
