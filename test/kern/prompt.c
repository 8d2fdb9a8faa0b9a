// SPDX-License-Identifier: MIT
// A process of a thousand threads, wherever these are, ends within 10 ms of its time, however that
// comes: killed, by a limit of either kind, by its watchdog, or when its first thread returns. And
// who naps beside it meanwhile has its CPU back within 1 ms. What ends is prompt/crowd.c.
#include "nebulet.h"

#include "prompt/crowd.h"

enum { THREADS = 1000, WITHIN = 10, LATE = 1, NAP = 1, SILENCE = 40, BEFORE = 20 }; // ms

static const char *const kinds[] = {"of which some run", "which wait", "which run"};
static const char *const ends[] = {"killed", "limited", "at its time", "by watchdog", "returned"};
static const u32 hows[] = {NEBULET_KILLED, NEBULET_LIMIT, NEBULET_LIMIT, NEBULET_WATCHDOG,
                           NEBULET_EXITED};
static u64 late, kept;         // in all, behind what is allowed
static u64 budget = 1000 * MS; // enough to be made in on a busy machine, too
static bool tells;

static u64 beyond(u64 ns, u64 most_ms)
{
    return ns > most_ms * MS ? ns - most_ms * MS : 0;
}

static u64 used(u32 p)
{
    struct nebulet_info info;
    EXPECT(nb_process_info(p, &info), 0);
    return info.cpu_ns;
}

// Until it is told to stop, and tells by how much the worst nap was too long.
static int naps(void)
{
    u64 most[2] = {0, 0}, until, t;
    EXPECT(nb_channel_send(0, NULL, 0, NULL, 0, FOREVER), 0);
    do {
        until = now() + NAP * MS;
        s64 s = nb_channel_recv(0, NULL, 0, NULL, 0, NULL, until);
        t = now();
        if (s != ERR_TIMED_OUT)
            break;
        if (t - until > most[0])
            most[0] = t - until, most[1] = until;
    } while (true);
    EXPECT(nb_channel_send(0, most, sizeof most, NULL, 0, FOREVER), 0);
    return 0;
}

static u32 begin_naps(u32 *napper)
{
    u32 a, b;
    pair(&a, &b);
    *napper = child("naps", b, NULL);
    EXPECT(nb_channel_recv(a, NULL, 0, NULL, 0, NULL, FOREVER), 0);
    return a;
}

static u64 end_naps(u32 napper, u32 a, u64 *when)
{
    u64 most[2];
    EXPECT(nb_channel_send(a, NULL, 0, NULL, 0, FOREVER), 0);
    EXPECT(nb_channel_recv(a, most, sizeof most, NULL, 0, NULL, FOREVER), sizeof most);
    *when = most[1];
    ENDED(napper, NEBULET_EXITED, 0);
    EXPECT(nb_handle_close(a), 0);
    return most[0];
}

// Shortly before its time.
static void sleep_until_near(u32 p, u32 end, u64 at)
{
    if (end == CROWD_CPU)
        while (nb_process_wait(p, NOW, NULL) && used(p) < budget - BEFORE * MS)
            sleep_ms(1);
    else if (end == CROWD_WALL)
        nb_object_wait_many(NULL, 0, at - BEFORE * MS);
}

static void measure(u32 module, u32 kind, u32 end)
{
    struct nebulet_options o = {.privileges = NEBULET_MAY_ALL};
    struct crowd_order order = {THREADS, kind, end, end == CROWD_WATCHDOG ? SILENCE * MS : 0};
    struct nebulet_exit e;
    u32 a, b, napper;
    u64 at;
    pair(&a, &b);
    if (end == CROWD_CPU)
        o.cpu_ns = budget;
    if (end == CROWD_WALL)
        o.wall_ns = budget;
    u32 p = GOOD(nb_process_create(module, b, &o, sizeof o, "crowd", 6));
    u64 start = now();
    EXPECT(nb_process_start(p), 0);
    EXPECT(nb_channel_send(a, &order, sizeof order, NULL, 0, FOREVER), 0);
    s64 made = nb_channel_recv(a, &at, sizeof at, NULL, 0, NULL, FOREVER);
    if (made == ERR_PEER_CLOSED && (o.cpu_ns || o.wall_ns)) {
        late += budget; // which it was not made in
        EXPECT(nb_handle_close(p), 0);
        EXPECT(nb_handle_close(a), 0);
        return;
    }
    EXPECT(made, sizeof at);
    u64 set_up = now() - start;
    if (end == CROWD_WALL)
        at = start + o.wall_ns;
    sleep_until_near(p, end, at);
    u32 naps_at = begin_naps(&napper);
    u64 before = used(p);
    if (end == CROWD_KILL)
        at = now();
    if (end == CROWD_KILL)
        EXPECT(nb_process_kill(p), 0);
    if (end == CROWD_RETURN)
        EXPECT(nb_channel_send(a, NULL, 0, NULL, 0, FOREVER), 0);
    EXPECT(nb_process_wait(p, FOREVER, &e), 0);
    u64 over = now(), when, nap = end_naps(napper, naps_at, &when);
    EXPECT(e.how, hows[end]);
    if (end == CROWD_RETURN)
        EXPECT(nb_channel_recv(a, &at, sizeof at, NULL, 0, NULL, NOW), sizeof at);
    u64 took = end == CROWD_CPU ? used(p) - o.cpu_ns : over - at;
    late += beyond(took, WITHIN);
    kept += beyond(nap, LATE);
    if (tells)
        fprintf(stderr,
                "%s, %s: made in %llu us, ended in %llu us, with %llu of CPU; a nap %llu us late "
                "(%lld us)\n",
                kinds[kind], ends[end], set_up / 1000, took / 1000, (used(p) - before) / 1000,
                nap / 1000, (long long)(when - at) / 1000);
    EXPECT(nb_handle_close(p), 0);
    EXPECT(nb_handle_close(a), 0);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1 && !strcmp(argv[1], "naps"))
        return naps();
    exact_time = argc > 1 && !strcmp(argv[1], "exact");
    if (exact_time)
        budget = 300 * MS;
    tells = argc > 1 && !strcmp(argv[argc - 1], "tell");
    if (argc > 3) { // one alone, to look at
        tells = true;
        measure(module_of("crowd.wasm"), (u32)atoi(argv[2]), (u32)atoi(argv[3]));
        return 0;
    }
    u32 module = module_of("crowd.wasm");
    for (u32 kind = 0; kind < CROWD_KINDS; kind++)
        for (u32 end = 0; end < CROWD_ENDS; end++)
            if (end != CROWD_CPU || kind != CROWD_WAITS) // who waits uses none
                measure(module, kind, end);
    if (!exact_time)
        sleep_ms(100); // so that all of it is counted
    blame_machine("its end came late", late);
    blame_machine("others were kept waiting", kept);
    puts("prompt");
    return 0;
}
