// SPDX-License-Identifier: MIT
// Beside a process that makes the kernel do as much as it can, one that computes has its half of
// the CPU, and never stands still for long.
#include "../kern/nebulet.h"

enum { CROWD = 9990, STACK = 256, RUN_MS = 400, GAP_MS = 20, SHARE = 45 };

static char stacks[CROWD][STACK] __attribute__((aligned(16)));
static u32 ready, event;

static void waits(u32 i)
{
    (void)i;
    for (;;) {
        ready++;
        nb_object_wait_one(event, NEBULET_EVENT_SIGNALED, FOREVER);
        while (nb_object_wait_one(event, NEBULET_EVENT_SIGNALED, NOW) > 0)
            nb_thread_yield();
    }
}

// All wait for one event, again and again.
static void crowd(void)
{
    event = GOOD(nb_event_create());
    for (u32 i = 0; i < CROWD; i++) {
        u32 t = GOOD(nb_thread_spawn((u32)(uintptr_t)waits, i, (u32)(uintptr_t)stacks[i + 1]));
        EXPECT(nb_handle_close(t), 0);
    }
    EXPECT(nb_channel_send(0, NULL, 0, NULL, 0, FOREVER), 0);
    for (;;) {
        while (ready < CROWD)
            nb_thread_yield();
        ready = 0;
        EXPECT(nb_object_signal(event, 0, NEBULET_EVENT_SIGNALED), 0);
        nb_thread_yield();
        EXPECT(nb_event_rearm(event), 1);
    }
}

// Full queues are lost.
static void loses(void)
{
    EXPECT(nb_channel_send(0, NULL, 0, NULL, 0, FOREVER), 0);
    for (;;) {
        u32 a, b, h[NEBULET_MESSAGE_HANDLES];
        pair(&a, &b);
        for (u32 i = 0; i < NEBULET_QUEUE_MAX; i++) {
            for (u32 k = 0; k < countof(h); k++)
                h[k] = GOOD(nb_event_create());
            EXPECT(nb_channel_send(a, NULL, 0, h, countof(h), NOW), 0);
        }
        EXPECT(nb_handle_close(b), 0);
        EXPECT(nb_handle_close(a), 0);
    }
}

static void beside(const char *what, u32 p, u32 ready_at)
{
    struct nebulet_info before, after;
    u64 worst = 0, start, last;
    if (ready_at != NEBULET_NO_HANDLE)
        EXPECT(nb_channel_recv(ready_at, NULL, 0, NULL, 0, NULL, FOREVER), 0);
    else
        sleep_ms(RUN_MS); // it is busy now
    EXPECT(nb_process_info(p, &before), 0);
    start = last = now();
    while (last < start + RUN_MS * MS) {
        u64 t = now();
        if (t - last > worst)
            worst = t - last;
        last = t;
    }
    EXPECT(nb_process_info(p, &after), 0);
    EXPECT(after.state, NEBULET_LIVES);
    u64 theirs = after.cpu_ns - before.cpu_ns, all = last - start;
    printf("%s: a share of %llu %%, a gap of %llu us\n", what, (all - theirs) * 100 / all,
           worst / 1000);
    TRUE((all - theirs) * 100 >= all * SHARE);
    TRUE(worst <= GAP_MS * MS);
    EXPECT(nb_process_kill(p), 0);
    ENDED(p, NEBULET_KILLED, 0);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1 && !strcmp(argv[1], "crowd"))
        crowd();
    if (argc > 1)
        loses();
    static const char *const what[] = {"crowd", "loses"};
    struct nebulet_options o = {.privileges = NEBULET_MAY_ALL, .cpu = 1};
    u32 a, b;
    for (u32 i = 0; i < countof(what); i++) {
        pair(&a, &b);
        beside(what[i], child(what[i], b, &o), a);
        EXPECT(nb_handle_close(a), 0);
    }
    pair(&a, &b);
    u32 p = GOOD(nb_process_create(module_of("notify.wasm"), b, &o, sizeof o, NULL, 0));
    EXPECT(nb_process_start(p), 0);
    beside("notify", p, NEBULET_NO_HANDLE);
    puts("fair");
    return 0;
}
