// SPDX-License-Identifier: MIT
// Soak: many process lives, each with an end of its own: exits, traps, kills at any moment, limits,
// with threads, messages with handles under way, timers and services. `soak N SEED`. What is left
// behind at the end the host counts (NEBULET_LEAKS) and the kernel always.
#include "nebulet.h"

static u32 seed;

static u32 random_below(u32 n)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % n;
}

// --- Lives. Errors are expected: others come and go meanwhile.
static u32 lock;

static void worker(u32 x)
{
    u32 word;
    switch (x % 5) {
    case 0: nb_thread_yield(); break;
    case 1: nb_pfex_acquire(&lock); break; // for ever
    case 2:
        for (;;)
            ;
    case 3: nb_channel_recv(0, &word, 4, NULL, 0, NULL, FOREVER); break;
    case 4: nb_object_wait_many(NULL, 0, now() + x % 1000 * 1000); break;
    }
}

static void threads(u32 x)
{
    for (u32 i = 0; i < 1 + x % 4; i++) {
        char *stack = malloc(4096);
        s64 t = nb_thread_spawn((u32)(uintptr_t)worker, x / 4 + i, (u32)(uintptr_t)stack + 4096);
        if (t >= 0 && i % 2)
            nb_handle_close((u32)t);
    }
    nb_thread_yield();
}

static void messages(u32 x)
{
    u32 e[2], s[2], h[6];
    if (nb_channel_create(&e) || nb_stream_create(&s))
        return;
    nb_stream_write(s[0], &x, 4, NOW);
    h[0] = s[0];
    h[1] = s[1];
    h[2] = (u32)nb_timer_create();
    h[3] = (u32)nb_event_create();
    h[4] = (u32)nb_handle_duplicate(0, NEBULET_SAME_RIGHTS);
    nb_timer_set(h[2], now() + x % 100 * 10000, x % 3 * 1000000);
    nb_channel_send(e[0], &x, x % 5, h, 4, NOW);
    for (u32 i = 0; i < x % 20; i++)
        nb_channel_send(0, &i, 4, NULL, 0, NOW);
    nb_channel_send(0, "ends", 4, e, 2, NOW); // both, with what is in them
    nb_channel_send(0, "own", 3, &h[4], 1, NOW);
}

static void services(u32 x)
{
    char name[12];
    snprintf(name, sizeof name, "soak/%u", x % 8);
    u32 n = (u32)strlen(name);
    if (x & 8) {
        s64 s = nb_service_create(name, n);
        if (s >= 0)
            nb_object_wait_one((u32)s, NEBULET_READABLE, now() + 200000);
        return;
    }
    s64 c = nb_service_connect(name, n, now() + 100000);
    if (c >= 0)
        send_word((u32)c, x);
}

static int live(u32 x)
{
    volatile u32 zero = 0;
    if (x & 1)
        messages(x >> 8);
    if (x & 2 && x & 64)
        threads(x >> 10);
    if (x & 4 && x & 32)
        services(x >> 12);
    if (x & 16)
        __builtin_wasm_memory_grow(0, x >> 16 & 15);
    switch (x >> 20 & 15) {
    case 0:
        if ((x >> 24) % 8)
            return 2;
        return 7 / (int)zero; // traps print, so there are few
    case 1:
        for (;;)
            ;
    case 2: recv_word(0, FOREVER); return 3;
    case 3:
        nb_watchdog_setup(MS);
        nb_object_wait_many(NULL, 0, FOREVER);
        return 6;
    case 4: nb_thread_exit(1);
    case 5: nb_exit(x & 255);
    case 6: nb_object_wait_many(NULL, 0, now() + MS / 4); return 4;
    case 7:
        while (send_word(0, 1) >= 0)
            ;
        return 5;
    }
    return 1;
}

// --- Giving birth
enum { TOGETHER = 12 };

static struct one {
    u32 process, channel;
} all[TOGETHER];
static u32 counts[8], stillborn;

// The start of a life that may end before it begins.
static void begin(struct one *o, u32 module)
{
    char args[32];
    u32 a, b, e[2], x = seed;
    random_below(2);
    int n = snprintf(args, sizeof args, "soak%c%u", 0, x);
    struct nebulet_options options = {.privileges = NEBULET_MAY_ALL & ~NEBULET_MAY_FILES,
                                      .weight = 1 + x % 8};
    if (x % 7 == 0)
        options.memory = random_below(4) << 16; // not enough for most
    if (x % 11 == 0)
        options.handles = 1 + random_below(6);
    if (x % 13 == 0)
        options.threads = 1 + random_below(3);
    if (x % 17 == 0)
        options.messages = 1 + random_below(5);
    if (x % 19 == 0)
        options.cpu_ns = 1 + random_below(200000);
    if (x % 23 == 0)
        options.cpu = 1 + random_below(2);
    if (nb_channel_create(&e)) { // no memory
        stillborn++;
        return;
    }
    a = e[0], b = e[1];
    s64 p = nb_process_create(module, b, &options, sizeof options, args, (u32)n + 1);
    if (p < 0) {
        EXPECT(p, ERR_NO_MEMORY);
        EXPECT(nb_handle_close(a), 0);
        EXPECT(nb_handle_close(b), 0);
        stillborn++;
        return;
    }
    s64 started = x % 29 ? nb_process_start((u32)p) : 0;
    TRUE(started == 0 || started == ERR_NO_MEMORY);
    *o = (struct one){(u32)p, a};
}

// Takes what it has sent, or leaves it.
static void look_at(struct one *o)
{
    u32 h[8], word;
    struct nebulet_message m;
    while (random_below(4) && nb_channel_recv(o->channel, &word, 4, h, 8, &m, NOW) >= 0)
        for (u32 i = 0; i < m.handles; i++)
            EXPECT(nb_handle_close(h[i]), 0);
    if (random_below(3) == 0)
        send_word(o->channel, 5);
    struct nebulet_info info;
    EXPECT(nb_process_info(o->process, &info), 0);
}

static void end(struct one *o)
{
    struct nebulet_exit e = {9, 9};
    if (random_below(2))
        look_at(o);
    if (random_below(3) == 0) {
        EXPECT(nb_handle_close(o->channel), 0);
        o->channel = NEBULET_NO_HANDLE;
    }
    u32 how = random_below(8);
    if (how || nb_process_wait(o->process, now() + (random_below(4) ? MS / 8 : 3 * MS), &e))
        nb_process_kill(o->process);
    if (random_below(8)) { // or nobody looks
        EXPECT(nb_process_wait(o->process, FOREVER, &e), 0);
        TRUE(e.how <= NEBULET_LIMIT);
        counts[e.how]++;
    }
    EXPECT(nb_handle_close(o->process), 0);
    if (o->channel != NEBULET_NO_HANDLE)
        EXPECT(nb_handle_close(o->channel), 0);
    o->process = 0;
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc == 2 && atoi(argv[1]) != 0 && !strcmp(argv[0], "soak"))
        return live((u32)strtoul(argv[1], NULL, 10));
    u32 lives = argc > 1 ? (u32)atoi(argv[1]) : 3000, module = own_module();
    seed = argc > 2 ? (u32)strtoul(argv[2], NULL, 10) : 1;
    u64 start = now();
    for (u32 i = 0; i < lives; i++) {
        struct one *o = &all[random_below(TOGETHER)];
        if (o->process)
            end(o);
        begin(o, module);
    }
    for (u32 i = 0; i < TOGETHER; i++)
        if (all[i].process)
            end(&all[i]);
    fprintf(stderr,
            "%u lives in %llu ms: %u exited, %u trapped, %u killed, %u by watchdog, %u at a limit, "
            "%u not born\n",
            lives, (unsigned long long)((now() - start) / MS), counts[0], counts[1], counts[2],
            counts[3], counts[4], stillborn);
    puts("soak");
    return 0;
}
