// SPDX-License-Identifier: MIT
// Functions that the section nebulet.noswitch lists, which noswitch.noswitch names: no sibling runs
// while one of them loops. In others it does, and in what they call.
#include "nebulet.h"

// Equal, but for the one who is between the two.
static volatile u32 left, right;
static volatile u32 looks, torn; // of the sibling
static volatile bool over;

static void watches(u32 x)
{
    (void)x;
    while (!over) {
        looks++;
        torn += left != right;
    }
}

#define TURNS 200
#define ADDS                                                                                       \
    for (u32 i = 0; i < rounds; i++) {                                                             \
        left++;                                                                                    \
        for (volatile u32 turn = 0; turn < TURNS; turn++)                                          \
            ;                                                                                      \
        right++;                                                                                   \
    }

__attribute__((noinline)) static void adds(u32 rounds)
{
    ADDS
}

__attribute__((noinline)) static void adds_alone(u32 rounds)
{
    ADDS
}

// Its own loop does not poll, the one that it calls does.
__attribute__((noinline)) static void leaves_it_to_another(u32 rounds)
{
    left++;
    for (volatile u32 turn = 0; turn < TURNS; turn++)
        ;
    adds(rounds);
    right++;
}

// A call is where threads change places, wherever it stands.
__attribute__((noinline)) static void yields(u32 rounds)
{
    for (u32 i = 0; i < rounds; i++) {
        left++;
        nb_thread_yield();
        right++;
    }
}

__attribute__((noinline)) static void spins(void)
{
    for (;;)
        left++;
}

struct seen {
    u32 looks, torn;
    u64 ns;
};

static struct seen during(void (*f)(u32), u32 rounds)
{
    struct seen before = {looks, torn, now()};
    f(rounds);
    struct seen after = {looks, torn, 0};
    after.ns = now() - before.ns;
    after.looks -= before.looks;
    after.torn -= before.torn;
    TRUE(left == right);
    return after;
}

// When somebody looks is the machine's business: now or then somebody does.
static void until_torn(void (*f)(u32), u32 rounds)
{
    u32 tries = 0;
    while (!during(f, rounds).torn)
        TRUE(++tries < 1000);
}

static void threads(void)
{
    enum { LONG = 10 }; // ms: many turns of a thread
    u32 rounds = 100;
    u32 t = THREAD(watches, 0);
    while (!looks)
        nb_thread_yield();
    // Long enough that somebody looks, and it shows.
    struct seen plain = during(adds, rounds);
    for (; plain.ns < LONG * MS || !plain.torn; plain = during(adds, rounds)) {
        rounds *= 2;
        TRUE(rounds < 1 << 28);
    }
    for (u32 i = 0; i < 10; i++) {
        struct seen alone = during(adds_alone, rounds);
        EXPECT(alone.torn, 0);
        EXPECT(alone.looks, 0);
    }
    until_torn(adds, rounds);
    until_torn(leaves_it_to_another, rounds);
    struct seen calls = during(yields, 100);
    TRUE(calls.torn >= 100 && calls.looks >= 100);
    over = true;
    GOOD(nb_thread_join(t, FOREVER));
}

// A process is preempted there as anywhere.
static void processes(void)
{
    struct nebulet_options o = {.privileges = NEBULET_MAY_ALL, .cpu = 1};
    u32 p[2] = {child("spins", NEBULET_NO_HANDLE, &o), child("spins", NEBULET_NO_HANDLE, &o)};
    for (u32 i = 0; i < 2; i++) {
        struct nebulet_info info = {.preemptions = 0};
        while (!info.preemptions) {
            sleep_ms(5);
            EXPECT(nb_process_info(p[i], &info), 0);
        }
    }
    for (u32 i = 0; i < 2; i++) { // one that is alone is never preempted
        EXPECT(nb_process_kill(p[i]), 0);
        ENDED(p[i], NEBULET_KILLED, 0);
    }
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1)
        spins();
    threads();
    processes();
    puts("noswitch");
    return 0;
}
