// SPDX-License-Identifier: MIT
// Who has next to no stack left and computes is interrupted as everybody else is: others run, its
// registers are as they were, and it can be ended.
#include "nebulet.h"

enum { ROUNDS = 4000000, TRIED = 50000, ENDLESS = 0, NONE_AT_ALL = 1, RUN_MS = 30, LASTS_MS = 300 };

__attribute__((noinline)) static u32 computes(u32 rounds)
{
    u64 a = 1, b = 2, c = 3;
    double x = 1;
    for (u32 i = 0; i != rounds || rounds == ENDLESS; i++) {
        a = a * 6364136223846793005ull + 1442695040888963407ull;
        b ^= a >> 7;
        c += b * 3;
        x = x * 0.999 + (double)(c & 7);
        switch (c >> 9 &
                7) { // a jump by a table: its target is in a register that nothing else uses
        case 0: a += b; break;
        case 1: b -= c >> 3; break;
        case 2: c ^= a << 1; break;
        case 3: a = ~a; break;
        case 4: b *= 5; break;
        case 5: c = c << 7 | c >> 57; break;
        default: a -= 9; break;
        }
        __asm__ volatile("" ::: "memory"); // or an endless one would be nothing
    }
    c ^= a ^ b ^ (u64)(x * 1000000);
    return (u32)(c ^ c >> 32);
}

// Takes the CPU from others as often as it can.
static void wakes(void)
{
    for (;;)
        nb_object_wait_many(NULL, 0, now() + 1000);
}

__attribute__((noinline)) static u32 down(u32 depth, u32 rounds)
{
    if (!depth)
        return computes(rounds);
    u32 below = down(depth - 1, rounds);
    __asm__ volatile("" : "+r"(below)); // no loop
    return below;
}

static u32 starts(u32 depth, u32 rounds, u64 wall_ns)
{
    struct nebulet_options o = {.privileges = NEBULET_MAY_ALL, .cpu = 1, .wall_ns = wall_ns};
    char what[40];
    snprintf(what, sizeof what, "%u %u", depth, rounds);
    return child(what, NEBULET_NO_HANDLE, &o);
}

static bool fits(u32 depth)
{
    struct nebulet_exit e;
    u32 p = starts(depth, NONE_AT_ALL, 0);
    EXPECT(nb_process_wait(p, FOREVER, &e), 0);
    EXPECT(nb_handle_close(p), 0);
    TRUE(e.how == NEBULET_EXITED || e.how == NEBULET_TRAPPED);
    return e.how == NEBULET_EXITED;
}

// As many as are computed in LASTS_MS, which is long enough to be interrupted hundreds of times.
static u32 rounds_here(void)
{
    u64 start = now(), took;
    computes(TRIED);
    took = now() - start + 1;
    u64 rounds = LASTS_MS * MS / took * TRIED;
    return rounds < TRIED ? TRIED : rounds > ROUNDS ? ROUNDS : (u32)rounds;
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1 && !strcmp(argv[1], "wakes"))
        wakes();
    if (argc > 1) {
        char *rest;
        u32 depth = (u32)strtoul(argv[1], &rest, 10);
        return down(depth, (u32)strtoul(rest, NULL, 10)) & 127;
    }
    u32 rounds = rounds_here(), least = 1000, most = 4000000; // fits; does not
    while (most - least > 1) {
        u32 middle = least + (most - least) / 2;
        *(fits(middle) ? &least : &most) = middle;
    }
    static const u32 above[] = {0, 1, 2, 3, 10, 100, 500, 1000, 5000};
    for (u32 i = 0; i < countof(above); i++) {
        u32 depth = least - above[i];
        ENDED(starts(depth, ENDLESS, RUN_MS * MS), NEBULET_LIMIT, 0);
        u32 p = starts(depth, ENDLESS, 0);
        sleep_ms(RUN_MS);
        EXPECT(nb_process_kill(p), 0);
        ENDED(p, NEBULET_KILLED, 0);
        if (i % 3 == 0) {
            struct nebulet_options o = {.privileges = NEBULET_MAY_ALL, .cpu = 1};
            u32 w = child("wakes", NEBULET_NO_HANDLE, &o);
            u32 q = starts(depth, rounds, 0), other = starts(10, rounds, 0);
            ENDED(other, NEBULET_EXITED, computes(rounds) & 127);
            ENDED(q, NEBULET_EXITED, computes(rounds) & 127);
            EXPECT(nb_process_kill(w), 0);
            ENDED(w, NEBULET_KILLED, 0);
        }
    }
    puts("deep");
    return 0;
}
