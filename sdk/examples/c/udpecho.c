// udpecho PORT [COUNT]: sends each datagram back to whom it came from.
//
//     nebulet run --allow-net listen:udp:127.0.0.1:7777 udpecho.wasm 7777
#include <stdlib.h>
#include <sip_net.h>

int main(int argc, char **argv)
{
    struct sip_udp socket;
    struct nebulet_address from;
    char text[SIP_ADDRESS_TEXT], bytes[NET_DATAGRAM];
    uint32_t port = argc > 1 ? (uint32_t)atoi(argv[1]) : 7777;
    int count = argc > 2 ? atoi(argv[2]) : -1;
    sip_must(sip_udp_open(argc > 3 ? argv[3] : "127.0.0.1", port, &socket), "udpecho: the socket");
    sip_net_print(&socket.own, text);
    sip_printf("udpecho at %s\n", text);
    while (count < 0 || count-- > 0) {
        int64_t n =
            sip_must(sip_udp_recv(&socket, &from, bytes, sizeof bytes, NEBULET_FOREVER), "udpecho");
        sip_udp_send(&socket, &from, bytes, (size_t)n);
    }
    sip_udp_close(&socket);
}
