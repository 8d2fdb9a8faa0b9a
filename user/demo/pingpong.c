// SPDX-License-Identifier: MIT
// Two processes and a channel: a message goes there and back again, ten thousand times.
#include "part.h"

enum { ROUNDS = 10000 };

struct ball {
    uint32_t round;
    char side[8];
};

// The other end of the channel is its handle 0. It ends when that is closed.
static int pong(void)
{
    struct ball ball;
    int64_t result;
    while ((result = sip_recv_value(0, &ball)) >= 0) {
        strcpy(ball.side, "pong");
        sip_must(sip_send_value(0, &ball), "pong");
    }
    return result == NEBULET_ERR_PEER_CLOSED ? 0 : 1;
}

static void play(nebulet_handle channel)
{
    for (uint32_t i = 1; i <= ROUNDS; i++) {
        struct ball ball = {.round = i, .side = "ping"};
        sip_must(sip_call_value(channel, &ball, &ball), "ping");
        if (ball.round != i || strcmp(ball.side, "pong"))
            sip_panic("round %u: %s of round %u came back", i, ball.side, ball.round);
        if (i <= 3)
            sip_printf("round %u: ping, %s\n", i, ball.side);
    }
    sip_printf("%d rounds\n", ROUNDS);
}

int main(int argc, char **argv)
{
    nebulet_handle ends[2];
    struct nebulet_options options = {.name = "pong", .privileges = NEBULET_MAY_PRINT};

    if (argc > 1)
        return pong();
    nebulet_handle module = part_module(argv[0]);
    sip_must(sip_channel(ends), "a channel");
    nebulet_handle process = part_start(module, "pong", NULL, &options, ends[1]);
    play(ends[0]);
    sip_close(ends[0]);
    part_end(process, "pong");
    return 0;
}
