// SPDX-License-Identifier: MIT
// A process that somebody is about to begin keeps what it was given until it lives, so that it
// cannot be sent to where only its own handle leads. When it could, both would stay for ever, and
// the machine would never come to its end.
#include "nebulet.h"

enum { TRIES = 30000, LIVES = 300 };
static const unsigned char empty[] = {0, 'a', 's', 'm', 1, 0, 0, 0}; // there is nothing to begin

// Starts what cannot start, over and over, until it is told to stop: handle 0.
static int starts(void)
{
    static char message[100];
    u32 a, b;
    u32 m = GOOD(nb_wasm_compile(empty, sizeof empty, message, sizeof message));
    pair(&a, &b);
    u32 p = GOOD(nb_process_create(m, b, NULL, 0, NULL, 0));
    u32 two[] = {a, GOOD(nb_handle_duplicate(p, NEBULET_SAME_RIGHTS))};
    EXPECT(nb_channel_send(0, NULL, 0, two, 2, FOREVER), 0);
    do
        EXPECT(nb_process_start(p), ERR_BAD_STATE);
    while (nb_channel_recv(0, NULL, 0, NULL, 0, NULL, NOW) == ERR_SHOULD_WAIT);
    return 7;
}

static void never_lives(void)
{
    u32 a, b, two[2];
    pair(&a, &b);
    u32 p = child("starts", b, NULL);
    EXPECT(nb_channel_recv(a, NULL, 0, two, 2, NULL, FOREVER), 0);
    for (u32 i = 0; i < TRIES; i++)
        EXPECT(nb_channel_send(two[0], NULL, 0, &two[1], 1, NOW), ERR_INVALID_ARG);
    EXPECT(nb_handle_close(two[0]), 0);
    EXPECT(nb_handle_close(two[1]), 0);
    EXPECT(nb_handle_close(a), 0);
    ENDED(p, NEBULET_EXITED, 7);
}

// Starts, or kills, each that comes.
static int handles_others(int kills)
{
    u32 p;
    while (nb_channel_recv(0, NULL, 0, &p, 1, NULL, FOREVER) >= 0) {
        EXPECT(kills ? nb_process_kill(p) : nb_process_start(p), 0);
        EXPECT(nb_handle_close(p), 0);
    }
    return 7;
}

// Once it lives, or ends, it may be sent there, and goes with the queue.
static void comes_to_life(const char *what)
{
    u32 a, b;
    pair(&a, &b);
    u32 helper = child(what, b, NULL);
    for (u32 i = 0; i < LIVES; i++) {
        u32 x, y;
        pair(&x, &y);
        u32 p = unborn("lives", y, NULL);
        u32 q = GOOD(nb_handle_duplicate(p, NEBULET_SAME_RIGHTS));
        EXPECT(nb_channel_send(a, NULL, 0, &q, 1, FOREVER), 0);
        s64 sent;
        while ((sent = nb_channel_send(x, NULL, 0, &p, 1, NOW)) == ERR_INVALID_ARG)
            nb_thread_yield();
        TRUE(sent == 0 || sent == ERR_PEER_CLOSED);
        if (sent)
            EXPECT(nb_handle_close(p), 0);
        EXPECT(nb_handle_close(x), 0);
    }
    EXPECT(nb_handle_close(a), 0);
    ENDED(helper, NEBULET_EXITED, 7);
}

int main(int argc, char **argv)
{
    own_name = argv[0];
    if (argc > 1 && !strcmp(argv[1], "starts"))
        return starts();
    if (argc > 1 && !strcmp(argv[1], "lives"))
        return 7;
    if (argc > 1)
        return handles_others(!strcmp(argv[1], "others that it kills"));
    never_lives();
    comes_to_life("others that it starts");
    comes_to_life("others that it kills");
    puts("begins");
    return 0;
}
