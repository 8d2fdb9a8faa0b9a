// SPDX-License-Identifier: MIT
// Two processes that have handles of the same third one start it, kill it and wait for it at the
// same moment: one has its way, the other learns that it was late.
#include "nebulet.h"

enum { BATCH = 16, ROUNDS = 200, APART = 30000, AHEAD = 300000 }; // ns
enum todo { START, KILL, WAIT };

struct order {
    u64 at; // for the first; each of the others has its time, too
    u32 todo;
    u32 uneven; // not 0: these times differ a little from the other racer's, so that they meet
};

struct result {
    s64 error;
    struct nebulet_exit exit;
};

// --- A racer: handle 0 brings orders and handles, and takes the results.
static s64 act(enum todo todo, u32 p, struct nebulet_exit *e)
{
    switch (todo) {
    case START: return nb_process_start(p);
    case KILL: return nb_process_kill(p);
    case WAIT: return nb_process_wait(p, FOREVER, e);
    }
    return 1;
}

static int races(void)
{
    struct order o;
    u32 p[BATCH];
    while (nb_channel_recv(0, &o, sizeof o, p, BATCH, NULL, FOREVER) == sizeof o) {
        struct result r[BATCH] = {0};
        nb_object_wait_many(NULL, 0, o.at - AHEAD / 2);
        for (u32 i = 0; i < BATCH; i++) {
            u64 at = o.at + i * APART;
            if (o.uneven)
                at = at - 1600 + (o.uneven + i) * 7919 % 128 * 25; // ns
            while (now() < at)
                ;
            r[i].error = act(o.todo, p[i], &r[i].exit);
        }
        for (u32 i = 0; i < BATCH; i++)
            EXPECT(nb_handle_close(p[i]), 0);
        EXPECT(nb_channel_send(0, r, sizeof r, NULL, 0, FOREVER), 0);
    }
    return 0;
}

// --- A round of all: what each does, and with what result.
static u32 racers[2], channels[2];

static void round_of(u32 round, const enum todo todo[2], u32 p[BATCH], struct result r[2][BATCH])
{
    u64 at = now() + AHEAD;
    for (u32 i = 0; i < BATCH; i++)
        p[i] = unborn("lives", NEBULET_NO_HANDLE, NULL);
    if (at < now() + AHEAD)
        at = now() + AHEAD;
    for (u32 k = 0; k < 2; k++) {
        u32 h[BATCH];
        struct order o = {at, todo[k], k ? 1 + round * BATCH : 0};
        for (u32 i = 0; i < BATCH; i++)
            h[i] = GOOD(nb_handle_duplicate(p[i], NEBULET_SAME_RIGHTS));
        EXPECT(nb_channel_send(channels[k], &o, sizeof o, h, BATCH, FOREVER), 0);
    }
    if (todo[0] == WAIT) // all wait before it begins, or while it does
        for (u32 i = 0; i < BATCH; i++)
            EXPECT(nb_process_start(p[i]), 0);
    for (u32 k = 0; k < 2; k++)
        EXPECT(nb_channel_recv(channels[k], r[k], sizeof r[k], NULL, 0, NULL, FOREVER),
               sizeof r[k]);
}

static u32 wins[3][2], met; // of each kind and racer

// One of two that want the same has its way.
static u32 only_one(s64 a, s64 b)
{
    EXPECT(a ? b : a, 0);
    EXPECT(a ? a : b, ERR_BAD_STATE);
    return a != 0;
}

static void starts(u32 round)
{
    u32 p[BATCH];
    struct result r[2][BATCH];
    round_of(round, (enum todo[]){START, START}, p, r);
    for (u32 i = 0; i < BATCH; i++) {
        wins[0][only_one(r[0][i].error, r[1][i].error)]++;
        ENDED(p[i], NEBULET_EXITED, 5);
    }
}

static void kills(u32 round)
{
    u32 p[BATCH];
    struct result r[2][BATCH];
    round_of(round, (enum todo[]){KILL, KILL}, p, r);
    for (u32 i = 0; i < BATCH; i++) {
        wins[1][only_one(r[0][i].error, r[1][i].error)]++;
        ENDED(p[i], NEBULET_KILLED, 0);
    }
}

// Started before it was killed it may have come to its own end, or not even to its begin.
static void starts_and_kills(u32 round)
{
    u32 p[BATCH];
    struct result r[2][BATCH];
    round_of(round, (enum todo[]){START, KILL}, p, r);
    for (u32 i = 0; i < BATCH; i++) {
        s64 start = r[0][i].error, kill = r[1][i].error;
        TRUE(start == 0 || start == ERR_BAD_STATE);
        TRUE(kill == 0 || kill == ERR_BAD_STATE);
        TRUE(start == 0 || kill == 0);
        met += start == 0 && kill == 0;
        wins[2][start != 0]++;
        ENDED(p[i], kill ? NEBULET_EXITED : NEBULET_KILLED, 5);
    }
}

static u32 awaited;

static u32 waits(u32 x)
{
    struct nebulet_exit e = {9, 9};
    (void)x;
    return nb_process_wait(awaited, FOREVER, &e) == 0 && e.how == NEBULET_EXITED && e.code == 5;
}

static void all_wait(u32 round)
{
    u32 p[BATCH];
    struct result r[2][BATCH];
    round_of(round, (enum todo[]){WAIT, WAIT}, p, r);
    for (u32 i = 0; i < BATCH; i++) {
        for (u32 k = 0; k < 2; k++) {
            EXPECT(r[k][i].error, 0);
            EXPECT(r[k][i].exit.how, NEBULET_EXITED);
            EXPECT(r[k][i].exit.code, 5);
        }
        ENDED(p[i], NEBULET_EXITED, 5);
    }
}

static void threads_wait(void)
{
    enum { WAITERS = 5 };
    u32 t[WAITERS];
    awaited = unborn("lives", NEBULET_NO_HANDLE, NULL);
    for (u32 i = 0; i < WAITERS; i++)
        t[i] = THREAD(waits, i);
    nb_thread_yield();
    EXPECT(nb_process_start(awaited), 0);
    for (u32 i = 0; i < WAITERS; i++) {
        EXPECT(nb_thread_join(t[i], FOREVER), 1);
        EXPECT(nb_handle_close(t[i]), 0);
    }
    ENDED(awaited, NEBULET_EXITED, 5);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1 && !strcmp(argv[1], "lives"))
        return 5;
    if (argc > 1)
        return races();
    for (u32 k = 0; k < 2; k++) {
        struct nebulet_options o = {.privileges = NEBULET_MAY_ALL, .cpu = 1 + k};
        u32 end;
        pair(&channels[k], &end);
        racers[k] = child("races", end, &o);
    }
    u32 round = 0; // enough; fewer where it takes long
    for (u64 start = now(); round < ROUNDS && (round < 20 || now() < start + 3000 * MS); round++) {
        starts(round);
        kills(round);
        starts_and_kills(round);
        if (round % 4 == 0)
            all_wait(round);
        threads_wait();
    }
    for (u32 k = 0; k < 2; k++) {
        EXPECT(nb_handle_close(channels[k]), 0);
        ENDED(racers[k], NEBULET_EXITED, 0);
    }
    fprintf(stderr,
            "%u rounds: starts %u:%u, kills %u:%u, starts and kills %u:%u, both had their way %u\n",
            round, wins[0][0], wins[0][1], wins[1][0], wins[1][1], wins[2][0], wins[2][1], met);
    puts("races");
    return 0;
}
