// SPDX-License-Identifier: MIT
// Datagrams, by lwIP.
#include "stack.h"

#include <lwip/pbuf.h>
#include <lwip/udp.h>
#include <string.h>

static void on_datagram(void *arg, struct udp_pcb *pcb, struct pbuf *p, const ip_addr_t *from,
                        u16_t port)
{
    static uint8_t bytes[ETHER_MOST];
    struct udp *u = arg;
    struct nebulet_address a;
    (void)pcb;
    stack_peer(from, port, &a);
    uint32_t size = pbuf_copy_partial(p, bytes, sizeof bytes, 0);
    pbuf_free(p);
    u->received(u, &a, bytes, size);
}

int32_t dgram_open(struct udp *u, struct nebulet_address *own)
{
    ip_addr_t at;
    if (!stack_address(own, &at))
        return NEBULET_ERR_NOT_SUPPORTED;
    struct udp_pcb *pcb = udp_new_ip_type(own->family == 6 ? IPADDR_TYPE_V6 : IPADDR_TYPE_V4);
    if (!pcb)
        return NEBULET_ERR_NO_RESOURCES;
    if (udp_bind(pcb, &at, (u16_t)own->port) != ERR_OK) {
        udp_remove(pcb);
        return NEBULET_ERR_ALREADY_OWNED;
    }
    udp_recv(pcb, on_datagram, u);
    own->port = pcb->local_port;
    u->socket = pcb;
    return 0;
}

// What finds no way or memory is lost.
void dgram_send(struct udp *u, const struct nebulet_address *to, const uint8_t *bytes,
                uint32_t size)
{
    ip_addr_t at;
    struct pbuf *p =
        stack_address(to, &at) ? pbuf_alloc(PBUF_TRANSPORT, (u16_t)size, PBUF_RAM) : NULL;
    if (!p)
        return;
    pbuf_take(p, bytes, (u16_t)size);
    udp_sendto(u->socket, p, &at, (u16_t)to->port);
    pbuf_free(p);
}

void dgram_close(struct udp *u)
{
    if (u->socket)
        udp_remove(u->socket);
    u->socket = NULL;
}
