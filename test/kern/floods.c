// SPDX-License-Identifier: MIT
// Floods: one program makes as much work for the kernel as it can, of one kind, and another that
// only computes has its half of the CPU beside it, and never waits for long.
#include "nebulet.h"

enum { RUN_MS = 600, PART = 45, GAP_MS = 20, TIMERS = 60000, WAITERS = 200, LISTENERS = 9990 };

// Until it is asked: the longest time between two looks at the clock, in us.
static int computes(void)
{
    u64 last = now(), longest = 0;
    for (u32 i = 0;; i++) {
        u64 at = now();
        longest = at - last > longest ? at - last : longest;
        last = at;
        if (i % 4096 == 0 && recv_word(0, NOW) >= 0)
            return send_word(0, (u32)(longest / 1000)) != 0;
    }
}

static void timers(u32 n)
{
    for (u32 i = 0; i < n; i++)
        EXPECT(nb_timer_set((u32)GOOD(nb_timer_create()), now() + 50 * MS, 1000), 0);
    nb_object_wait_many(NULL, 0, FOREVER);
}

static void spawns(void)
{
    for (;;) {
        u32 p = child("nothing", NEBULET_NO_HANDLE, NULL);
        EXPECT(nb_process_wait(p, FOREVER, NULL), 0);
        EXPECT(nb_handle_close(p), 0);
    }
}

// Many at the same time, which is what a queue would take turns by.
static void crowds(void)
{
    for (;;) {
        u32 p[50];
        for (u32 i = 0; i < countof(p); i++)
            p[i] = child("spins a little", NEBULET_NO_HANDLE, NULL);
        for (u32 i = 0; i < countof(p); i++) {
            EXPECT(nb_process_wait(p[i], FOREVER, NULL), 0);
            EXPECT(nb_handle_close(p[i]), 0);
        }
    }
}

static void wakes(u32 n)
{
    (void)n;
    for (;;)
        nb_object_wait_many(NULL, 0, now() + 1000);
}

static u32 event, listening;
static char stacks[LISTENERS][256] __attribute__((aligned(16)));

static void listens(u32 i)
{
    (void)i;
    for (;; listening--) {
        listening++;
        nb_object_wait_one(event, NEBULET_EVENT_SIGNALED, FOREVER);
        while (nb_object_wait_one(event, NEBULET_EVENT_SIGNALED, NOW) > 0)
            nb_thread_yield();
    }
}

// As many as a process may have wait for one event, again and again.
static void notifies(void)
{
    event = GOOD(nb_event_create());
    for (u32 i = 0; i < LISTENERS; i++) {
        u32 t = GOOD(nb_thread_spawn((u32)(uintptr_t)listens, i, (u32)(uintptr_t)stacks[i + 1]));
        EXPECT(nb_handle_close(t), 0);
    }
    for (;;) {
        while (listening < LISTENERS)
            nb_thread_yield();
        EXPECT(nb_object_signal(event, 0, NEBULET_EVENT_SIGNALED), 0);
        nb_thread_yield();
        EXPECT(nb_event_rearm(event), 1);
    }
}

static int child_main(const char *what)
{
    if (!strcmp(what, "computes"))
        return computes();
    if (!strcmp(what, "timers"))
        timers(TIMERS);
    if (!strcmp(what, "few timers"))
        timers(500);
    if (!strcmp(what, "spawns"))
        spawns();
    if (!strcmp(what, "crowds"))
        crowds();
    if (!strcmp(what, "notifies"))
        notifies();
    if (!strcmp(what, "spins a little"))
        for (volatile u32 i = 0; i < 2000; i++)
            ;
    if (!strcmp(what, "wakes")) {
        for (u32 i = 0; i < WAITERS; i++)
            THREAD(wakes, i);
        wakes(0);
    }
    return 0; // "nothing"
}

// Each has a weight, so a share of its own. A process is charged for all the time that it keeps the
// CPU from others, and so for what a busy machine took meanwhile: less than is due is the machine's
// fault, if it has taken as much.
static void beside(const char *flood)
{
    struct nebulet_options o = {.privileges = NEBULET_MAY_ALL, .weight = 100, .cpu = 1};
    struct nebulet_info before, after;
    u32 a, b;
    pair(&a, &b);
    u32 p = child("computes", b, &o), f = child(flood, NEBULET_NO_HANDLE, &o);
    sleep_ms(100);
    EXPECT(nb_process_info(p, &before), 0);
    u64 start = now();
    sleep_ms(RUN_MS);
    EXPECT(nb_process_info(p, &after), 0);
    u64 all = now() - start, has = after.cpu_ns - before.cpu_ns;
    EXPECT(send_word(a, 0), 0);
    s64 gap = recv_word(a, FOREVER);
    ENDED(p, NEBULET_EXITED, 0);
    EXPECT(nb_process_kill(f), 0);
    ENDED(f, NEBULET_KILLED, 0);
    EXPECT(nb_handle_close(a), 0);
    u64 due = all * PART / 100;
    blame_machine(flood, has < due ? due - has : 0);
    if (exact_time)
        blame_machine("the gap is longer",
                      gap > GAP_MS * 1000 ? (u64)(gap - GAP_MS * 1000) * 1000 : 0);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    const char *what = argc > 1 ? argv[1] : "";
    exact_time = !strcmp(what, "exact");
    if (*what && !exact_time)
        return child_main(what);
    beside("timers");
    beside("few timers");
    beside("spawns");
    beside("crowds");
    beside("wakes");
    beside("notifies");
    puts("floods");
    return 0;
}
