// SPDX-License-Identifier: MIT
// Processes of many threads, which wait for something or run, are killed. What it takes to end one
// grows with the number of its threads and with nothing else, is the process's own time, and lets a
// process that computes beside it have its turns. The argument is what may be taken for each
// thread, in instructions of the kernel that measures, of which a third is the measure's.
#include "../kern/nebulet.h"

enum { MANY = 9990, FEW = 1000, STACK = 256, GAP_MS = 20, NS = 8, FIXED = 100000 };

static char stacks[MANY + 1][STACK] __attribute__((aligned(16)));
static u32 n, ready, given, word, threads[MANY];
static u64 later, most; // instructions for a thread

static void runs(u32 i)
{
    (void)i;
    for (ready++;; nb_thread_yield())
        ;
}

static void waits(u32 i)
{
    (void)i;
    ready++;
    nb_object_wait_one(given, NEBULET_EVENT_SIGNALED, FOREVER);
}

static void expects(u32 i)
{
    struct nebulet_wait w[2] = {{given, NEBULET_EVENT_SIGNALED, 0}, {given, 1u << 24, 0}};
    ready++;
    nb_object_wait_many(w, 2, later - i);
}

static void receives(u32 i)
{
    ready++;
    nb_channel_recv(given, &word, sizeof word, NULL, 0, NULL, later + i);
}

static void locks(u32 i)
{
    (void)i;
    ready++;
    nb_pfex_acquire(&word);
}

static void joins(u32 i)
{
    ready += i > 0;
    if (i)
        nb_thread_join(threads[i - 1], later - i);
    else
        waits(i);
}

static void ends(u32 i)
{
    (void)i;
    ready++;
}

static const struct kind {
    const char *name;
    void (*thread)(u32 i);
} kinds[] = {{"runs", runs},   {"waits", waits}, {"expects", expects}, {"receives", receives},
             {"locks", locks}, {"joins", joins}, {"ends", ends}};

static void throng(const struct kind *k)
{
    u32 other;
    later = now() + 1000000 * MS;
    word = k->thread == locks;
    given = GOOD(nb_event_create());
    if (k->thread == receives)
        pair(&given, &other);
    for (u32 i = 0; i < n; i++)
        threads[i] =
            GOOD(nb_thread_spawn((u32)(uintptr_t)k->thread, i, (u32)(uintptr_t)stacks[i + 1]));
    while (ready < n)
        nb_thread_yield();
    EXPECT(nb_channel_send(0, NULL, 0, NULL, 0, FOREVER), 0);
    for (;;)
        ;
}

static u64 used(u32 p)
{
    struct nebulet_info info;
    EXPECT(nb_process_info(p, &info), 0);
    return info.cpu_ns;
}

static void kills(const struct kind *k, u32 threads_of_it)
{
    u32 a, b;
    char args[80];
    struct nebulet_options o = {.privileges = NEBULET_MAY_ALL};
    struct nebulet_exit end;
    pair(&a, &b);
    u32 size = (u32)sprintf(args, "%s%c%s%c%u", own_name, 0, k->name, 0, threads_of_it) + 1;
    u32 p = GOOD(nb_process_create(own_module(), b, &o, sizeof o, args, size));
    EXPECT(nb_process_start(p), 0);
    EXPECT(nb_channel_recv(a, NULL, 0, NULL, 0, NULL, FOREVER), 0);
    EXPECT(nb_handle_close(a), 0);
    u64 before = used(p), start = now(), gap = 0;
    EXPECT(nb_process_kill(p), 0);
    u64 last = now(), kill = last - start;
    while (nb_process_wait(p, NOW, &end) == ERR_SHOULD_WAIT) {
        u64 t = now();
        gap = t - last > gap ? t - last : gap;
        last = t;
    }
    EXPECT(end.how, NEBULET_KILLED);
    u64 took = used(p) - before;
    printf("%u %s: %llu of it to kill, %llu to end, for each; a gap of %llu us\n", threads_of_it,
           k->name, kill / NS / threads_of_it, took / NS / threads_of_it, gap / 1000);
    TRUE(kill + took <= (threads_of_it * most + FIXED) * NS);
    TRUE(gap <= GAP_MS * MS);
    EXPECT(nb_handle_close(p), 0);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    for (u32 i = 0; i < countof(kinds) && argc > 2; i++)
        if (!strcmp(argv[1], kinds[i].name)) {
            n = (u32)atoi(argv[2]);
            throng(&kinds[i]);
        }
    most = argc > 1 ? (u64)atoi(argv[1]) : 0;
    for (u32 i = 0; i < countof(kinds); i++)
        kills(&kinds[i], FEW);
    kills(&kinds[2], MANY); // which takes the most
    kills(&kinds[countof(kinds) - 1], MANY);
    puts("throngs");
    return 0;
}
