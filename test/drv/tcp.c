// SPDX-License-Identifier: MIT
// A client of the service "net": what comes on a connection to port 7 goes back on it. Its argument
// is how many connections there will be, one after the other.
#include <stdlib.h>
#include <string.h>

#include <nebulet/net.h>
#include <sip.h>

static nebulet_handle listen(nebulet_handle net, uint32_t port, int32_t wanted)
{
    struct net_request r = {.op = NET_LISTEN, .address.port = port};
    struct net_answer a;
    nebulet_handle listener;
    sip_must(sip_send_value(net, &r), "asking");
    sip_must(sip_recv_handle(net, &a, sizeof a, &listener), "the answer");
    if (a.result != wanted)
        sip_panic("port %u: %d, not %d", port, a.result, wanted);
    return listener;
}

static void echo(nebulet_handle in, nebulet_handle out)
{
    static uint8_t bytes[30000];
    int64_t n;
    while ((n = sip_must(sip_read(in, bytes, sizeof bytes), "reading")) > 0)
        sip_must(sip_write(out, bytes, (size_t)n), "writing");
    sip_close(out);
    sip_close(in);
}

int main(int argc, char **argv)
{
    int connections = argc > 1 ? atoi(argv[1]) : 1;
    nebulet_handle net = (nebulet_handle)sip_must(sip_connect("net"), "connecting");
    listen(net, 80, NEBULET_ERR_ACCESS_DENIED);
    nebulet_handle listener = listen(net, 7, 0), ends[2];
    listen(net, 7, NEBULET_ERR_ALREADY_OWNED);
    for (int i = 0; i < connections; i++) {
        struct nebulet_address peer;
        struct nebulet_message got;
        int64_t n =
            nebulet_channel_recv(listener, &peer, sizeof peer, ends, 2, &got, NEBULET_FOREVER);
        if (sip_must(n, "accepting") != sizeof peer || got.handles != 2 || peer.family != 4)
            sip_panic("this is no connection");
        echo(ends[0], ends[1]);
    }
    sip_printf("tcp\n");
    return 0;
}
