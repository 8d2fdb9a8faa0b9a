// SPDX-License-Identifier: MIT
// The watchdog: it ends whoever falls silent, however that comes about, soon after the interval,
// and never before. `watchdog N`: so many runs.
#include "nebulet.h"

enum { INTERVAL = 2, LATE = 10, LATE_EXACT = 2 }; // ms
enum { RUNS = 1000, TRIES = 5 };

// Says before and after each sign of life when that was.
static int silent(u32 how)
{
    volatile u32 work = 0;
    nb_watchdog_setup(INTERVAL * MS);
    for (u32 i = 0; i <= how; i++) {
        u64 t = now();
        nb_watchdog_alive();
        nb_channel_send(0, &t, sizeof t, NULL, 0, FOREVER);
        nb_channel_send(0, &t, sizeof t, NULL, 0, FOREVER);
        for (u64 until = t + MS / 4; now() < until;)
            work++;
    }
    if (how % 4 == 0)
        for (;;)
            ;
    if (how % 4 == 1)
        for (;;)
            nb_null();
    if (how % 4 == 2)
        nb_object_wait_many(NULL, 0, FOREVER);
    for (;;)
        nb_thread_yield();
}

static int good(void)
{
    if (nb_watchdog_alive() != ERR_BAD_STATE || nb_watchdog_setup(999999) != ERR_INVALID_ARG)
        return 1;
    nb_watchdog_setup(500 * MS);
    for (u64 until = now() + 20 * MS; now() < until;)
        if (nb_watchdog_alive())
            return 2;
    nb_watchdog_setup(5 * MS);
    nb_watchdog_setup(0);
    sleep_ms(20);
    nb_watchdog_setup(UINT64_MAX);
    return 7;
}

// How late it came for one that fell silent; 0, too, if that was kept from saying anything at all.
static u64 run(u32 i)
{
    char what[20];
    u32 a, b;
    u64 t, said = 0, last = 0;
    pair(&a, &b);
    snprintf(what, sizeof what, "s%u", i % 16);
    u32 p = child(what, b, NULL);
    struct nebulet_exit e;
    EXPECT(nb_process_wait(p, FOREVER, &e), 0);
    u64 over = now();
    EXPECT(e.how, NEBULET_WATCHDOG);
    EXPECT(nb_handle_close(p), 0);
    for (; nb_channel_recv(a, &t, sizeof t, NULL, 0, NULL, NOW) > 0; said = t)
        last = t == said ? t : last;
    TRUE(over >= last + INTERVAL * MS);
    EXPECT(nb_handle_close(a), 0);
    TRUE(last || !exact_time);
    return last ? over - last - INTERVAL * MS : 0;
}

// A machine that stands still for milliseconds at the wrong moment makes anybody fall silent.
static void good_ends(void)
{
    struct nebulet_exit e = {.how = NEBULET_WATCHDOG};
    for (u32 i = 0; i < (exact_time ? 1 : TRIES) && e.how == NEBULET_WATCHDOG; i++) {
        u32 p = child("good", NEBULET_NO_HANDLE, NULL);
        EXPECT(nb_process_wait(p, FOREVER, &e), 0);
        EXPECT(nb_handle_close(p), 0);
    }
    EXPECT(e.how, NEBULET_EXITED);
    EXPECT(e.code, 7);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1 && !strcmp(argv[1], "good"))
        return good();
    if (argc > 1 && argv[1][0] == 's')
        return silent((u32)atoi(argv[1] + 1));
    exact_time = argc > 1 && !strcmp(argv[1], "exact");
    good_ends();
    u64 sum = 0;
    u32 runs = argc > 1 && !exact_time ? (u32)atoi(argv[1]) : RUNS;
    for (u32 i = 0; i < runs; i++) {
        u64 late = run(i);
        sum += late > (exact_time ? LATE_EXACT : LATE) * MS ? late - MS : 0;
    }
    sleep_ms(100); // so that all of it is counted
    blame_machine("late", sum);
    puts("watchdog");
    return 0;
}
