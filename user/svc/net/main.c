// SPDX-License-Identifier: MIT
// net [--address A.B.C.D/N [--gateway A.B.C.D]] [--listen PORT]...: the service "net", whose
// contract is contract.h. Without an address it asks for one (DHCP). Clients may listen at the
// ports that are named, and no others.
#include "net.h"

#include <lwip/dhcp.h>
#include <lwip/init.h>
#include <lwip/netif.h>
#include <lwip/sys.h>
#include <lwip/timeouts.h>
#include <stdlib.h>
#include <string.h>
#include <wasm_simd128.h>

extern struct netif net_link;

// --- For lwIP

static uint64_t now; // when this round began: it takes less than lwIP's clock shows

u32_t sys_now(void)
{
    return (u32_t)(now / SIP_MS);
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

// The Internet's checksum (RFC 1071), not inverted: words of 32 bits gather in lanes of 64.
unsigned short net_checksum(const void *bytes, int size)
{
    const uint8_t *p = bytes;
    v128_t low = wasm_i64x2_const(0xffffffff, 0xffffffff), sums = wasm_i64x2_const(0, 0);
#pragma clang loop unroll(disable)
    for (; size >= 32; p += 32, size -= 32) {
        v128_t a = wasm_v128_load(p), b = wasm_v128_load(p + 16);
        v128_t lows = wasm_i64x2_add(wasm_v128_and(a, low), wasm_v128_and(b, low));
        v128_t highs = wasm_i64x2_add(wasm_u64x2_shr(a, 32), wasm_u64x2_shr(b, 32));
        sums = wasm_i64x2_add(sums, wasm_i64x2_add(lows, highs));
    }
    uint64_t sum = (uint64_t)wasm_i64x2_extract_lane(sums, 0);
    sum = (sum & 0xffffffff) + (sum >> 32) + (uint64_t)wasm_i64x2_extract_lane(sums, 1);
    for (uint32_t word; size >= 4; p += 4, size -= 4) {
        memcpy(&word, p, 4);
        sum += word;
    }
    uint16_t half = 0;
    if (size & 2) {
        memcpy(&half, p, 2);
        p += 2;
    }
    sum += half;
    if (size & 1)
        sum += *p;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (unsigned short)sum;
}

// --- What is waited for

static struct nebulet_wait items[NEBULET_WAIT_MAX];
static struct watch *watches[NEBULET_WAIT_MAX];
static uint32_t count = 1; // place 0 is nobody's

void watch_for(struct watch *w, nebulet_handle handle, uint32_t signals)
{
    if (!signals) {
        watch_end(w);
        return;
    }
    if (!w->place) {
        if (count == NEBULET_WAIT_MAX)
            sip_panic("net: too much to wait for");
        w->place = count++;
    }
    watches[w->place] = w;
    items[w->place].handle = handle;
    items[w->place].signals = signals;
    items[w->place].observed = 0;
}

void watch_end(struct watch *w)
{
    if (!w->place)
        return;
    count--;
    items[w->place] = items[count];
    watches[w->place] = watches[count];
    watches[w->place]->place = w->place;
    w->place = 0;
}

// From the last to the first: who ends is replaced by the last, which has been asked already.
static void call_ready(void)
{
    for (uint32_t i = count; --i > 0;) {
        if (i >= count)
            continue;
        uint32_t signals = items[i].observed & items[i].signals;
        items[i].observed = 0;
        if (signals)
            watches[i]->ready(watches[i], signals);
    }
}

static void wait(void)
{
    u32_t ms = sys_timeouts_sleeptime();
    uint64_t until =
        ms == SYS_TIMEOUTS_SLEEPTIME_INFINITE ? NEBULET_FOREVER : now + ms * SIP_MS;
    int64_t how = nebulet_object_wait_many(items + 1, count - 1, until);
    now = sip_now();
    if (how != NEBULET_ERR_TIMED_OUT && how != NEBULET_ERR_SHOULD_WAIT) {
        sip_must(how, "net: waiting");
        call_ready();
    }
}

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
        else if (!strcmp(argv[i], "--listen"))
            listen_allow((uint32_t)atoi(argv[i + 1]));
        else
            sip_panic("net: %s: not understood", argv[i]);
    }
    if (address)
        set_address(address, gateway);
    else if (dhcp_start(&net_link) != ERR_OK)
        sip_panic("net: out of memory");
}

int main(int argc, char **argv)
{
    now = sip_now();
    lwip_init();
    link_begin();
    take_arguments(argc, argv);
    listen_begin();
    for (;;) {
        link_look();
        sys_check_timeouts();
        listen_look();
        if (link_rest())
            wait();
        else
            now = sip_now();
    }
}
