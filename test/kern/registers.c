// SPDX-License-Identifier: MIT
// What a program has in registers and flags survives preemption, wherever that comes: one computes
// sums that are known beforehand, another wakes as often as it can and takes the CPU from it.
// `registers N`: until it was taken N times; `registers exact N`, or 100,000, where time is exact.
#include "nebulet.h"

#include "registers.h"

// As long as there is no word, rounds of all, and two at least, however slow the machine is; then
// says how many.
static int computes(void)
{
    u32 rounds = 0;
    for (s64 word = ERR_SHOULD_WAIT; word == ERR_SHOULD_WAIT || rounds < 2; rounds++) {
        for (u32 i = 0; i < countof(loops); i++) {
            u64 is = loops[i].run(loops[i].rounds);
            if (is != loops[i].sum) {
                printf("%s: %llx, not %llx, in round %u\n", loops[i].name, is, loops[i].sum,
                       rounds);
                return 1;
            }
        }
        if (word == ERR_SHOULD_WAIT)
            word = recv_word(0, NOW);
    }
    return send_word(0, rounds) ? 2 : 0;
}

// Leaves nothing in the registers as it was.
static int wakes(void)
{
    for (volatile u64 sum = 0;;
         sum += loop_doubles(2) + loop_integers(2) + loop_singles(2) + loop_vectors(2))
        nb_object_wait_many(NULL, 0, now() + 1000);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    const char *what = argc > 1 ? argv[1] : "20000";
    if (!strcmp(what, "exact"))
        what = argc > 2 ? argv[2] : "100000";
    if (!strcmp(what, "computes"))
        return computes();
    if (!strcmp(what, "wakes"))
        return wakes();
    u64 wanted = strtoull(what, NULL, 10), start = now();
    struct nebulet_options first = {.privileges = NEBULET_MAY_ALL, .cpu = 1};
    struct nebulet_info info, other;
    u32 a, b;
    pair(&a, &b);
    u32 p = child("computes", b, &first), w = child("wakes", NEBULET_NO_HANDLE, &first);
    do {
        sleep_ms(50);
        EXPECT(nb_process_info(p, &info), 0);
    } while (info.preemptions < wanted && info.state == NEBULET_LIVES);
    EXPECT(nb_process_info(w, &other), 0);
    s64 said = send_word(a, 1), rounds = recv_word(a, FOREVER);
    EXPECT(nb_process_kill(w), 0);
    ENDED(w, NEBULET_KILLED, 0);
    ENDED(p, NEBULET_EXITED, 0);
    EXPECT(said, 0);
    TRUE(rounds > 1);
    TRUE(info.preemptions >= wanted && other.switches >= wanted / 10 * 9);
    fprintf(stderr, "taken from it %llu times in %llu ms, %lld rounds\n", info.preemptions,
            (now() - start) / MS, rounds);
    puts("registers");
    return 0;
}
