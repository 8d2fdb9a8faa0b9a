// SPDX-License-Identifier: MIT
// net [--address A.B.C.D/N [--gateway A.B.C.D]] [--dns ADDRESS[:PORT]]... [--allow-net RULE]...:
// the service "net" (nebulet/net.h). Without an address it asks for one, and for name servers
// (DHCP). Clients may do what rules allow, and nothing else.
#include "stack.h"

#include <lwip/dhcp.h>
#include <lwip/dns.h>
#include <lwip/init.h>
#include <lwip/netif.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>
#include <stdlib.h>
#include <string.h>

// --- For lwIP

// A round takes less than its clock shows.
u32_t sys_now(void)
{
    return (u32_t)(watch_now / SIP_MS);
}

// Numbers that others must not guess: ports, identifiers, where a connection's numbers begin.
unsigned net_random(void)
{
    static unsigned numbers[64], left;
    if (!left) {
        sip_random(numbers, sizeof numbers);
        left = sizeof numbers / sizeof *numbers;
    }
    return numbers[--left];
}

// --- Addresses

bool stack_address(const struct nebulet_address *a, ip_addr_t *out)
{
    u32_t v4;
    memcpy(&v4, a->bytes, 4);
    if (a->family == 4)
        ip_addr_set_ip4_u32_val(*out, v4);
#if LWIP_IPV6
    if (a->family == 6) {
        u32_t parts[4];
        memcpy(parts, a->bytes, 16);
        IP_ADDR6(out, parts[0], parts[1], parts[2], parts[3]);
        if (ip6_addr_isany(ip_2_ip6(out)))
            return true;
        ip6_addr_assign_zone(ip_2_ip6(out), IP6_UNICAST, &net_link);
    }
    return true;
#else
    return a->family == 4;
#endif
}

void stack_peer(const ip_addr_t *ip, u16_t port, struct nebulet_address *out)
{
    *out = (struct nebulet_address){.family = IP_IS_V6(ip) ? 6 : 4, .port = port};
    memcpy(out->bytes, ip, out->family == 6 ? 16 : 4);
}

bool have_ipv6(void)
{
#if LWIP_IPV6
    return ip6_addr_ispreferred(netif_ip6_addr_state(&net_link, 1));
#else
    return false;
#endif
}

static bool have_address(void)
{
    return !ip4_addr_isany_val(*netif_ip4_addr(&net_link)) || have_ipv6();
}

#if LWIP_DNS
void dns_init(void)
{
}

void dns_tmr(void)
{
}

// What DHCP says of name servers; what the command line says goes before it.
void dns_setserver(u8_t i, const ip_addr_t *server)
{
    struct nebulet_address a;
    (void)i;
    if (!server)
        return;
    stack_peer(server, 0, &a);
    names_server(&a);
}
#endif

// --- What it is told

static void set_address(char *text, const char *gateway)
{
    ip4_addr_t address, mask, router = {0};
    char *slash = strchr(text, '/');
    int bits = slash ? atoi(slash + 1) : 24;
    if (slash)
        *slash = 0;
    if (!ip4addr_aton(text, &address) || bits < 1 || bits > 32 ||
        (gateway && !ip4addr_aton(gateway, &router)))
        sip_panic("net: this is no address: %s", text);
    mask.addr = lwip_htonl(UINT32_MAX << (32 - bits));
    netif_set_addr(&net_link, &address, &mask, &router);
}

static void take_arguments(int argc, char **argv)
{
    char *address = NULL;
    const char *gateway = NULL;
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            sip_panic("net: %s: a value is missing", argv[i]);
        if (!strcmp(argv[i], "--address"))
            address = argv[i + 1];
        else if (!strcmp(argv[i], "--gateway"))
            gateway = argv[i + 1];
        else if (!net_option(argv[i], argv[i + 1]))
            sip_panic("net: %s %s: not understood", argv[i], argv[i + 1]);
    }
    if (address)
        set_address(address, gateway);
    else if (dhcp_start(&net_link) != ERR_OK)
        sip_panic("net: out of memory");
}

// Nobody can do anything before there is an address, so there is no service either.
static void wait(void)
{
    static bool serves;
    u32_t ms = sys_timeouts_sleeptime();
    if (!serves && (serves = have_address()))
        clients_begin();
    uint64_t until = clients_busy ? clients_look() : NEBULET_FOREVER;
    uint64_t timer =
        ms == SYS_TIMEOUTS_SLEEPTIME_INFINITE ? NEBULET_FOREVER : watch_now + ms * SIP_MS;
    watch_wait(timer < until ? timer : until);
}

int main(int argc, char **argv)
{
    watch_now = sip_now();
    lwip_init();
    connections_begin();
    link_begin();
    while (!link_look() && link_rest()) // buffers to send in, or the first frames are lost
        watch_wait(sip_after(SIP_SECOND));
    take_arguments(argc, argv);
    for (;;) {
        link_look();
        sys_check_timeouts();
        if (link_rest())
            wait();
        else
            watch_now = sip_now();
    }
}
