// SPDX-License-Identifier: MIT
// Preemption: shares by weight, and registers that survive it anywhere. `preempt N`: so many rounds
// of the loop.
#include "nebulet.h"

#include "registers.h"

static u64 sums[2];
static u32 rounds;

static void churns(u32 i)
{
    sums[i] = loop_integers(rounds + i) ^ loop_doubles(rounds + i);
}

// Answers with the sums of both seeds: plain; under a timer that comes as often as it may; in two
// threads at once, which also poll.
static int computes(char how)
{
    if (how != 'p')
        nb_timer_set((u32)GOOD(nb_timer_create()), now(), 1000);
    if (how == 't') {
        u32 t[2] = {THREAD(churns, 0), THREAD(churns, 1)};
        GOOD(nb_thread_join(t[0], FOREVER));
        GOOD(nb_thread_join(t[1], FOREVER));
    } else {
        churns(0);
        churns(1);
    }
    return nb_channel_send(0, sums, sizeof sums, NULL, 0, FOREVER) ? 1 : 0;
}

static void registers(const char *how)
{
    static const char *const what[] = {"plain", "ticks", "threads", "ticks", "threads"};
    u64 got[countof(what)][2];
    u32 a[countof(what)], b, p[countof(what)];
    for (u32 i = 0; i < countof(what); i++) {
        char text[40];
        snprintf(text, sizeof text, "%s %s", what[i], how);
        pair(&a[i], &b);
        p[i] = child(text, b, NULL);
    }
    for (u32 i = 0; i < countof(what); i++) {
        EXPECT(nb_channel_recv(a[i], got[i], 16, NULL, 0, NULL, FOREVER), 16);
        ENDED(p[i], NEBULET_EXITED, 0);
        EXPECT(nb_handle_close(a[i]), 0);
        TRUE(got[i][0] == got[0][0] && got[i][1] == got[0][1]);
    }
}

// --- Shares of a CPU that several want
enum { SHARERS = 3, SLICE_MS = 8 };

// Weights 100, 200, 400, on the first CPU; beside them, unless it is "", one that wakes often.
static void share(const char *wakes, struct nebulet_info info[SHARERS])
{
    enum { RUN_MS = 1400 };
    u32 p[SHARERS + 1], n = SHARERS + (*wakes != 0);
    for (u32 i = 0; i < n; i++) {
        struct nebulet_options o = {.weight = i < SHARERS ? 100u << i : 100, .cpu = 1};
        p[i] = child(i < SHARERS ? "spin" : wakes, NEBULET_NO_HANDLE, &o);
    }
    sleep_ms(RUN_MS);
    for (u32 i = 0; i < SHARERS; i++)
        EXPECT(nb_process_info(p[i], &info[i]), 0);
    for (u32 i = 0; i < n; i++) {
        EXPECT(nb_process_kill(p[i]), 0);
        ENDED(p[i], NEBULET_KILLED, 0);
    }
}

// A turn is a part of the maker's, as large as the weight, of which the maker keeps 100. Where time
// is exact, everybody has as many turns, and none is too short. (The first and the last may be
// under way; the clock's rate is known to a percent.)
static void equal_turns(const struct nebulet_info info[SHARERS])
{
    for (u32 i = 0; i < SHARERS && exact_time; i++) {
        u64 n = info[i].switches, turn = SLICE_MS * MS * (100 << i) / (100 + 100 + 200 + 400);
        TRUE(n + 2 >= info[0].switches && n <= info[0].switches + 2);
        TRUE(info[i].cpu_ns >= (n - 1) * turn * 98 / 100);
    }
}

// A tenth off what is due, which others take of it by the way, and what the machine took while it
// was somebody's turn: he pays for it. Exact time: half of that.
static u64 unfair(const struct nebulet_info info[SHARERS])
{
    u64 total = 0, sum = 0;
    for (u32 i = 0; i < SHARERS; i++)
        total += info[i].cpu_ns;
    for (u32 i = 0; i < SHARERS; i++) {
        u64 due = total * (1u << i) / 7, has = info[i].cpu_ns;
        u64 off = has > due ? has - due : due - has, may = due * (exact_time ? 5 : 10) / 100;
        sum += off > may ? off - may : 0;
    }
    return sum;
}

static void shares(const char *wakes)
{
    struct nebulet_info info[SHARERS];
    share(wakes, info);
    if (!*wakes)
        equal_turns(info);
    char what[80];
    snprintf(what, sizeof what, "shares beside \"%s\" are off", wakes);
    blame_machine(what, unfair(info));
}

// One that only calls, one that only computes, one that does what wakes it: all go on.
static void alone(void)
{
    u32 a, b;
    pair(&a, &b);
    struct nebulet_options o = {.privileges = NEBULET_MAY_ALL, .cpu = 1};
    u32 calls = child("calls", NEBULET_NO_HANDLE, &o), spin = child("spin", NEBULET_NO_HANDLE, &o);
    u32 echo = child("echo", b, &o);
    for (u32 i = 0; i < 50; i++) {
        EXPECT(send_word(a, i), 0);
        EXPECT(recv_word(a, FOREVER), i);
    }
    u32 all[] = {calls, spin, echo};
    for (u32 i = 0; i < 3; i++) {
        EXPECT(nb_process_kill(all[i]), 0);
        ENDED(all[i], NEBULET_KILLED, 0);
    }
    EXPECT(nb_handle_close(a), 0);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    const char *what = argc > 1 ? argv[1] : "";
    const char *space = strchr(what, ' ');
    rounds = space ? (u32)atoi(space + 1) : 0;
    if (!strcmp(what, "spin"))
        for (;;)
            ;
    if (!strcmp(what, "calls"))
        for (;;)
            nb_null();
    if (!strncmp(what, "wakes", 5))
        for (u32 us = (u32)atoi(what + 5);;)
            nb_object_wait_many(NULL, 0, now() + us * 1000);
    if (!strcmp(what, "echo"))
        for (;;)
            send_word(0, (u32)recv_word(0, FOREVER));
    if (space)
        return computes(what[0] == 't' && what[1] == 'i' ? 'k' : what[0]);
    exact_time = !strcmp(what, "exact");
    if (!exact_time)
        registers(argc > 1 ? argv[1] : "100000");
    alone();
    shares("");
    shares("wakes5000"); // twice in a slice
    shares("wakes20");   // as often as it can be: with the end of every slice, too
    puts("preempt");
    return 0;
}
