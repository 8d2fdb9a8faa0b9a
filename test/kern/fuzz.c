// SPDX-License-Identifier: MIT
// Random calls, from the table: each row says what arguments are, so they can be nearly right, and
// which errors may come, so any other is a finding. `fuzz run CALLS SEED` is the supervisor, which
// has several processes call at the same time, with several threads each, and kills some.
//
// Pointers lead into an arena, to the last page of the memory, or out of it, so that results do not
// hit what the fuzzer itself needs. A child that finds something ends with a code that says what.
#include "nebulet.h"

enum { ARENA = 1 << 18, POOL = 64, FOUND = 1 << 24, DONE = 100 };

static _Alignas(4096) unsigned char arena[ARENA];
static u32 pool[POOL], memory_end;
static bool tame; // a child of a child: nobody would end it if it waited for ever
static bool supervised;

struct state {
    u64 random;
    u32 size;    // of what the latest pointer leads to
    u32 at, out; // that pointer; the latest one to results
    bool main;
};

static inline u32 next(struct state *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return (u32)(s->random >> 16);
}

// --- Arguments
static inline u32 handle(struct state *s)
{
    u32 r = next(s);
    if (r % 64 == 0)
        return next(s);
    if (r % 64 == 1)
        return r & 64 ? NEBULET_NO_HANDLE : r >> 8 & 15;
    return pool[r >> 8 & (POOL - 1)];
}

static inline u32 number(struct state *s)
{
    u32 r = next(s), n = next(s);
    switch (r & 7) {
    case 0: return n;
    case 1: return 0;
    case 2: return 1u << (n & 31);
    case 3: return n & 31;
    case 4: return NEBULET_SAME_RIGHTS;
    case 5: return n & 0xff000000;
    default: return 1 + (n & 15);
    }
}

static inline u64 instant(struct state *s)
{
    u32 r = next(s);
    if (r & 0x7f)
        return NEBULET_AT_ONCE;
    if (r & 0x180)
        return 1 + (r >> 9 & 7);
    if (r % 13 == 0 && supervised && !s->main)
        return NEBULET_FOREVER;
    return (u64)nb_clock_now(NEBULET_MONOTONIC) + (r >> 12 & 0xffff);
}

static inline u64 longer(struct state *s)
{
    u32 r = next(s);
    switch (r & 7) {
    case 0: return (u64)next(s) << 32 | next(s);
    case 1: return UINT64_MAX - (r >> 8);
    case 2: return 0;
    case 3: return (u64)nb_clock_now(NEBULET_MONOTONIC);
    default: return instant(s) + (r >> 4);
    }
}

// `unit`: bytes of an element; s->size counts elements.
static inline u32 pointer(struct state *s, u32 unit)
{
    u32 r = next(s), n = next(s);
    u32 size = r & 0x3f ? n & 63 : n & 0x1ffff;
    if ((r & 0x3f00) == 0)
        size = n; // up to 4 G
    s->size = size;
    u64 bytes = (u64)size * unit;
    switch (r >> 16 & 15) {
    case 0: s->at = n; break;                   // may lead anywhere, so it is kept out below
    case 1: s->at = memory_end - n % 64; break; // ends soon, or behind the end
    case 2: s->at = 0; break;
    default: s->at = (u32)(uintptr_t)arena + (r >> 8) % (ARENA / 2); break;
    }
    u32 base = (u32)(uintptr_t)arena;
    bool inside = s->at >= base && s->at + bytes <= (u64)base + ARENA;
    bool last = s->at >= memory_end - 65536;
    bool outside = s->at + bytes > memory_end;
    if (!inside && !last && !outside) {
        s->at = base;
        s->size = size & 63;
    }
    return s->at;
}

static inline u32 list(struct state *s, u32 unit)
{
    u32 at = pointer(s, unit), base = (u32)(uintptr_t)arena;
    if (at >= base && at < base + ARENA / 2 && next(s) & 3)
        for (u32 i = 0; i < 8; i++) {
            u32 item[3] = {handle(s), unit == 12 ? number(s) : handle(s), handle(s)};
            memcpy((void *)(uintptr_t)(at + i * unit), item, unit < 12 ? unit : 12);
        }
    return s->out = at;
}

static inline u32 result(struct state *s)
{
    u32 at = pointer(s, 1), base = (u32)(uintptr_t)arena;
    if (at < base || at >= base + ARENA / 2)
        at = next(s) & 7 ? base : memory_end - (next(s) & 127);
    return s->out = at;
}

// --- The rows
#define ARGUMENTS(...) REST(__VA_ARGS__)
#undef NONE
#undef NONE_NOT
#define NONE
#define NONE_NOT
#define OBJECT(x, type, rights) , handle(s)
#define ANY(x, rights) , handle(s)
#define HANDLE(x) , handle(s)
#define NUM(x) , number(s)
#define LONG(x) , longer(s)
#define DEADLINE(x) , instant(s)
#define IN(x) , (void *)(uintptr_t)pointer(s, 1), s->size
#define BUFFER(x) , (void *)(uintptr_t)pointer(s, 1), s->size
#define LIST(x, type) , (void *)(uintptr_t)list(s, sizeof(type)), s->size
#define OUT(x, type) , (void *)(uintptr_t)result(s)
#define MAYBE(x, type) , (void *)(uintptr_t)(next(s) & 3 ? result(s) : 0)
#define WORD(x)                                                                                    \
    , (void *)(uintptr_t)((u32)(uintptr_t)arena + ARENA - 64 +                                     \
                          (next(s) & 255 ? next(s) % 16 * 4 : next(s)))
#define CALL(number, name, waits, privilege, args, errors, doc)                                    \
    static s64 try_##name(struct state *s)                                                         \
    {                                                                                              \
        (void)s;                                                                                   \
        return nb_##name ARGUMENTS(first args);                                                    \
    }
#define NORETURN(number, name, args, doc)                                                          \
    static s64 try_##name(struct state *s)                                                         \
    {                                                                                              \
        if (next(s) & 4095)                                                                        \
            return 0;                                                                              \
        nb_##name(next(s) & 63);                                                                   \
    }
#include "abi/nebulet.def"

#define BIT(error) | 1u << -(ERR_##error)
#define OBJECT(x, type, rights) BIT(BAD_HANDLE) BIT(WRONG_TYPE) BIT(ACCESS_DENIED)
#define ANY(x, rights) BIT(BAD_HANDLE) BIT(ACCESS_DENIED)
#define HANDLE(x)
#define NUM(x)
#define LONG(x)
#define DEADLINE(x) BIT(TIMED_OUT) BIT(SHOULD_WAIT)
#define IN(x) BIT(OUT_OF_BOUNDS)
#define BUFFER(x) BIT(OUT_OF_BOUNDS)
#define LIST(x, type) BIT(OUT_OF_BOUNDS)
#define OUT(x, type) BIT(OUT_OF_BOUNDS)
#define MAYBE(x, type) BIT(OUT_OF_BOUNDS)
#define WORD(x) BIT(OUT_OF_BOUNDS) BIT(INVALID_ARG)
#define E(error) BIT(error)
#define MAY_FREE 0u
#define MAY_MAY_SPAWN 1u << -ERR_ACCESS_DENIED
#define MAY_MAY_SERVE 1u << -ERR_ACCESS_DENIED
#define MAY_MAY_CONNECT 1u << -ERR_ACCESS_DENIED
#define MAY_MAY_PRINT 1u << -ERR_ACCESS_DENIED
#define MAY_MAY_DEVICES 1u << -ERR_ACCESS_DENIED
#define CALL(number, name, waits, privilege, args, errors, doc)                                    \
    {number, try_##name, MAY_##privilege args errors, #name},
#define NORETURN(number, name, args, doc) {number, try_##name, 0, #name},
static const struct row {
    u32 number;
    s64 (*call)(struct state *s);
    u32 errors;
    const char *name;
} rows[] = {
#include "abi/nebulet.def"
};

// Rows that are called seldom: they cost much, or end or stop too much.
static bool skipped(const struct row *r, struct state *s)
{
    switch (r->number) {
    case 10: return next(s) & 63;                    // wasm_compile
    case 11: return tame || next(s) & 15;            // process_create
    case 54: return tame || s->main || next(s) & 15; // pfex_acquire
    case 50: return next(s) & 31;                    // thread_spawn
    case 70: return next(s) & 63;                    // watchdog_setup
    case 80: return next(s) & 255;                   // random_fill
    case 81: return next(s) & 15;                    // cprng_fill
    default: return false;
    }
}

static void keep(struct state *s, s64 value)
{
    u32 *at = &pool[next(s) & (POOL - 1)], old = *at;
    *at = (u32)value;
    if (old && next(s) & 7)
        nb_handle_close(old);
}

static void thread(u32 seed);

// A thread that begins needs a stack that is nobody else's.
static s64 spawn(struct state *s)
{
    enum { STACKS = 32, SIZE = 8192 };
    static char stacks[STACKS][SIZE] __attribute__((aligned(16)));
    static u32 used;
    u32 function = number(s), own = (u32)(uintptr_t)thread;
    if (next(s) & 1 && used < STACKS)
        return nb_thread_spawn(own, next(s), (u32)(uintptr_t)stacks[used++] + SIZE);
    return nb_thread_spawn(function == own ? 0 : function, number(s), number(s));
}

// Windows lie in the arena, or nowhere. Most numbers are of pages.
static u32 pages(struct state *s, u32 most)
{
    u32 r = next(s);
    return r & 31 ? (r >> 8) % most * 4096 : number(s);
}

static s64 mapping(struct state *s, bool maps)
{
    u32 r = next(s), at = (u32)(uintptr_t)arena + pages(s, 16), bytes = pages(s, 4);
    if ((r & 63) == 0)
        at = memory_end - 4096, bytes = 8192;
    else if ((r & 63) == 1)
        at = UINT32_MAX - 4095;
    if (bytes > ARENA / 2 && at < memory_end)
        bytes = 0;
    u64 offset = r & 0x700 ? pages(s, 4) : longer(s);
    return maps ? nb_memory_map(handle(s), at, offset, bytes) : nb_memory_unmap(at, bytes);
}

static s64 try_row(const struct row *r, struct state *s)
{
    switch (r->number) {
    case 50: return spawn(s);
    case 110: return nb_memory_create(next(s) & 7 ? pages(s, 8) : longer(s));
    case 112: return mapping(s, true);
    case 113: return mapping(s, false);
    case 123: return nb_device_map(handle(s), number(s), (u32)(uintptr_t)arena + pages(s, 16));
    default: return r->call(s);
    }
}

static void calls(struct state *s, u32 n)
{
    for (u32 i = 0; i < n; i++) {
        const struct row *r = &rows[next(s) % countof(rows)];
        if (skipped(r, s))
            continue;
        s->out = 0;
        s64 value = try_row(r, s);
        if (value < 0 && (value < -31 || !(r->errors >> -value & 1)))
            nb_exit(FOUND | r->number << 8 | (u32)(-value & 255));
        if (value > 0 && value <= UINT32_MAX)
            keep(s, value);
        u32 base = (u32)(uintptr_t)arena;
        if (value >= 0 && s->out >= base && s->out < base + ARENA / 2) {
            u32 got[2];
            memcpy(got, (void *)(uintptr_t)s->out, 8);
            keep(s, got[0]);
            keep(s, got[1]);
        }
    }
}

static void thread(u32 seed)
{
    struct state s = {.random = seed * 0x9e3779b97f4a7c15ull + 1};
    calls(&s, 3000);
}

static int fuzz(u32 seed, u32 n)
{
    struct state s = {.random = (seed + 1) * 0x9e3779b97f4a7c15ull, .main = true};
    memory_end = (u32)__builtin_wasm_memory_size(0) << 16;
    for (u32 i = 0; i < ARENA; i += 4)
        *(u32 *)&arena[i] = i & 4096 ? next(&s) : 0;
    memset(arena, 0, 4096);
    for (u32 i = 0; i < 64; i += 4)
        *(u32 *)&arena[ARENA - 64 + i] = 0;
    nb_channel_recv(0, NULL, 0, pool, 8, NULL, NOW); // a module, and what siblings have, too
    for (u32 i = 0; i < seed % 4 && !tame; i++)
        THREAD(thread, seed * 7 + i);
    calls(&s, n);
    return DONE;
}

// --- The supervisor
enum { TOGETHER = 4, PIECE = 8000 };

static struct one {
    u32 process;
    u64 since, used; // when it was last seen to have used more of the processor
} all[TOGETHER];

static u32 shared[3]; // an event, a channel and a stream, which several may have

static void begin(struct one *o, u32 seed)
{
    char args[40];
    u32 a, b, h[4] = {GOOD(nb_handle_duplicate(own_module(), NEBULET_SAME_RIGHTS))};
    int n = snprintf(args, sizeof args, "fuzz%ccalls%c%u", 0, 0, seed);
    struct nebulet_options options = {
        .handles = 40 + seed % 200,
        .threads = 2 + seed % 20,
        .messages = 200,
        .memory = 4 << 20,
        .privileges =
            (seed % 3 ? NEBULET_MAY_ALL : seed / 3) & (NEBULET_MAY_ALL & ~NEBULET_MAY_PRINT),
        .weight = 1 + seed % 100,
    };
    pair(&a, &b);
    for (u32 i = 0; i < 3; i++)
        h[i + 1] = GOOD(nb_handle_duplicate(shared[i], NEBULET_SAME_RIGHTS));
    EXPECT(nb_channel_send(a, NULL, 0, h, 4, NOW), 0);
    EXPECT(nb_handle_close(a), 0);
    o->process =
        GOOD(nb_process_create(own_module(), b, &options, sizeof options, args, (u32)n + 1));
    o->since = now();
    EXPECT(nb_process_start(o->process), 0);
}

static void renew(u32 which)
{
    u32 ends[2];
    if (shared[which])
        EXPECT(nb_handle_close(shared[which]), 0);
    if (which == 0)
        shared[0] = GOOD(nb_event_create());
    else
        EXPECT(which == 1 ? nb_channel_create(&ends) : nb_stream_create(&ends), 0);
    if (which)
        shared[which] = ends[0];
    if (which)
        EXPECT(nb_handle_close(ends[1]), 0);
}

static u64 judge(struct one *o, u32 *kills)
{
    struct nebulet_exit e;
    s64 s = nb_process_wait(o->process, now() + MS / 8, &e);
    if (s) {
        struct nebulet_info info;
        EXPECT(nb_process_info(o->process, &info), 0);
        if (info.cpu_ns != o->used) {
            o->used = info.cpu_ns;
            o->since = now();
        }
        if (now() - o->since < 200 * MS)
            return 0; // it gets on
        nb_process_kill(o->process);
        ++*kills;
        EXPECT(nb_process_wait(o->process, FOREVER, &e), 0);
    }
    EXPECT(nb_handle_close(o->process), 0);
    o->process = 0;
    if (e.how == NEBULET_EXITED && e.code & FOUND) {
        for (u32 i = 0; i < countof(rows); i++)
            if (rows[i].number == (e.code >> 8 & 0xffff))
                printf("%s answers %d\n", rows[i].name, -(int)(e.code & 255));
        exit(1);
    }
    if (e.how == NEBULET_TRAPPED) {
        printf("a child has trapped: %u\n", e.code);
        exit(1);
    }
    return e.how == NEBULET_EXITED && e.code == DONE ? PIECE : 0;
}

static int supervise(u64 wanted, u32 seed)
{
    u64 done = 0, start = now(), lives = 0;
    u32 kills = 0;
    for (u32 i = 0; i < 3; i++)
        renew(i);
    while (done < wanted)
        for (u32 i = 0; i < TOGETHER; i++) {
            if (!all[i].process) {
                if (++lives % 8 == 0)
                    renew((u32)lives / 8 % 3);
                begin(&all[i], seed++);
            }
            done += judge(&all[i], &kills);
        }
    for (u32 i = 0; i < TOGETHER; i++)
        if (all[i].process) {
            nb_process_kill(all[i].process);
            judge(&all[i], &kills);
        }
    fprintf(stderr, "%llu calls and more in %llu processes, %u stopped, in %llu ms\n",
            (unsigned long long)done, (unsigned long long)lives, kills,
            (unsigned long long)((now() - start) / MS));
    puts("fuzz");
    return 0;
}

int main(int argc, char **argv)
{
    own_name = argc ? argv[0] : "";
    if (argc == 1 && !strcmp(own_name, "fuzz.wasm"))
        return supervise(80000, 1);
    if (argc == 4 && !strcmp(argv[1], "run"))
        return supervise(strtoull(argv[2], NULL, 10), (u32)strtoul(argv[3], NULL, 10));
    supervised = argc == 3 && !strcmp(argv[1], "calls");
    tame = !supervised;
    return fuzz(supervised ? (u32)strtoul(argv[2], NULL, 10) : (u32)now(), tame ? 200 : PIECE);
}
