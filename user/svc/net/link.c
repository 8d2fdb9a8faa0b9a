// SPDX-License-Identifier: MIT
// Frames. A driver that dies takes its memory with it as far as it is concerned; frames that are
// not through are lost, as on any wire, and TCP sends them again by the next one.
//
// A frame that came is copied before anybody looks at it, for the device and the driver can write
// to where it lies. There are places for some that cost nothing to take; when these are in use, by
// segments that wait for others before them or for their reader, it is memory of the heap.
#include "stack.h"

#include <lwip/etharp.h>
#include <lwip/ethip6.h>
#include <lwip/netif.h>
#include <lwip/pbuf.h>
#include <netif/ethernet.h>
#include <string.h>

enum { PLACES = 64 };

static _Alignas(4096) struct ether_memory shared;
static struct ether_side side;
static nebulet_handle channel = NEBULET_NO_HANDLE, wakes_us;
static struct watch on_channel, on_event;

static uint32_t free_out[ETHER_OUT], free_count;
static bool sends; // a frame waits to be told of

static struct place {
    struct pbuf_custom pbuf;
    struct place *next; // free one
    uint8_t bytes[ETHER_MOST + 2];
} places[PLACES], *free_places;

struct netif net_link;

// --- Sums of TCP, which are taken where its frames are copied

enum { ETHERNET = 14, TCP_BEGINS = 34, SUM_LIES = 16 };

// By IPv4, without options.
static bool is_tcp(const uint8_t *frame)
{
    return frame[12] == 8 && !frame[13] && frame[14] == 0x45 && frame[23] == 6;
}

// The sum with what counts besides: both addresses, and of so many bytes of TCP.
__attribute__((noinline)) static uint32_t with_addresses(const uint8_t *addresses, int n,
                                                         uint32_t bytes, uint32_t sum)
{
    for (uint32_t word; n; n -= 4, addresses += 4) {
        memcpy(&word, addresses, 4);
        sum += (word & 0xffff) + (word >> 16);
    }
    sum += lwip_htons(6) + lwip_htons(bytes);
    sum = (sum & 0xffff) + (sum >> 16);
    return (sum & 0xffff) + (sum >> 16);
}

// --- Receiving

static void place_free(struct pbuf *p)
{
    struct place *place = (struct place *)p;
    place->next = free_places;
    free_places = place;
}

static struct pbuf *pbuf_for(uint32_t bytes)
{
    struct place *place = free_places;
    if (!place)
        return pbuf_alloc(PBUF_RAW, (u16_t)bytes, PBUF_RAM);
    free_places = place->next;
    place->pbuf.custom_free_function = place_free;
    return pbuf_alloced_custom(PBUF_RAW, (u16_t)bytes, PBUF_REF, &place->pbuf, place->bytes,
                               sizeof place->bytes);
}

// False: its sum is wrong. lwIP looks at the sums that are not looked at here.
static bool copy_frame(uint8_t *to, const uint8_t *from, uint32_t bytes)
{
    NETIF_SET_CHECKSUM_CTRL(&net_link, NETIF_CHECKSUM_ENABLE_ALL);
    if (bytes < TCP_BEGINS) {
        memcpy(to, from, bytes);
        return true;
    }
    memcpy(to, from, TCP_BEGINS);
    uint32_t total = (uint32_t)to[16] << 8 | to[17];
    bool whole = !(to[20] & 0x3f) && !to[21];
    if (!is_tcp(to) || !whole || total < TCP_BEGINS - ETHERNET || total > bytes - ETHERNET) {
        memcpy(to + TCP_BEGINS, from + TCP_BEGINS, bytes - TCP_BEGINS);
        return true;
    }
    uint32_t size = total - (TCP_BEGINS - ETHERNET);
    NETIF_SET_CHECKSUM_CTRL(&net_link, NETIF_CHECKSUM_ENABLE_ALL & ~NETIF_CHECKSUM_CHECK_TCP);
    return with_addresses(to + 26, 8, size,
                          net_checksum_copy(to + TCP_BEGINS, from + TCP_BEGINS, (int)size)) ==
           0xffff;
}

static void receive(uint32_t buffer, uint32_t bytes)
{
    struct pbuf *p = pbuf_for(bytes);
    bool right = p && copy_frame(p->payload, shared.buffers[buffer] + ETHER_HEAD, bytes);
    ether_put(&side, buffer, 0);
    if (p && !right)
        pbuf_free(p);
    else if (p && net_link.input(p, &net_link) != ERR_OK)
        pbuf_free(p);
}

// --- Sending

static void put_sum(uint8_t *frame, uint32_t begins, int addresses, uint32_t bytes, uint32_t sum)
{
    uint16_t inverted =
        (uint16_t)~with_addresses(frame + begins - addresses, addresses, bytes, sum);
    memcpy(frame + begins + SUM_LIES, &inverted, sizeof inverted);
}

// There is none where it belongs, and lwIP's heads lie in one piece.
static void fill(uint8_t *at, const struct pbuf *p)
{
    const uint8_t *from = p->payload;
    uint32_t n = p->tot_len;
    if (p->len == n && n > TCP_BEGINS && is_tcp(from)) {
        memcpy(at, from, TCP_BEGINS);
        put_sum(at, TCP_BEGINS, 8, n - TCP_BEGINS,
                net_checksum_copy(at + TCP_BEGINS, from + TCP_BEGINS, (int)(n - TCP_BEGINS)));
        return;
    }
    pbuf_copy_partial(p, at, p->tot_len, 0);
    if (p->len > TCP_BEGINS && is_tcp(from))
        put_sum(at, TCP_BEGINS, 8, n - TCP_BEGINS,
                net_checksum(at + TCP_BEGINS, (int)(n - TCP_BEGINS)));
#if LWIP_IPV6
    enum { BEGINS = ETHERNET + 40 };
    if (p->len > BEGINS && from[12] == 0x86 && from[13] == 0xdd && from[20] == 6)
        put_sum(at, BEGINS, 32, n - BEGINS, net_checksum(at + BEGINS, (int)(n - BEGINS)));
#endif
}

static err_t send(struct netif *netif, struct pbuf *p)
{
    (void)netif;
    if (p->tot_len > ETHER_MOST)
        return ERR_BUF;
    if (channel == NEBULET_NO_HANDLE || !free_count)
        return ERR_OK; // lost
    uint32_t buffer = free_out[--free_count], bytes = p->tot_len;
    uint8_t *at = shared.buffers[buffer] + ETHER_HEAD;
    fill(at, p);
    if (bytes < 60) {
        memset(at + bytes, 0, 60 - bytes);
        bytes = 60;
    }
    ether_put(&side, buffer, bytes);
    sends = true;
    return ERR_OK;
}

// --- The driver

static void connect_driver(void);

static void driver_gone(struct watch *w, uint32_t signals)
{
    (void)w, (void)signals;
    watch_end(&on_channel);
    watch_end(&on_event);
    sip_close(channel);
    sip_close(side.other);
    sip_close(wakes_us);
    channel = NEBULET_NO_HANDLE;
    netif_set_link_down(&net_link);
    sip_must(nebulet_memory_unmap((uint32_t)(uintptr_t)&shared, sizeof shared), "net: unmapping");
    connect_driver();
}

static void driver_wakes(struct watch *w, uint32_t signals)
{
    (void)w, (void)signals;
    nebulet_event_rearm(wakes_us);
}

// False: it is one that has turned us away, or has died meanwhile.
static bool attach(nebulet_handle driver)
{
    struct ether_about about;
    nebulet_handle handles[3] = {NEBULET_NO_HANDLE, NEBULET_NO_HANDLE, NEBULET_NO_HANDLE};
    struct nebulet_message got = {0};
    int64_t n =
        nebulet_channel_recv(driver, &about, sizeof about, handles, 3, &got, sip_after(SIP_SECOND));
    bool fits = n == sizeof about && got.handles == 3 &&
                nebulet_memory_map(handles[0], (uint32_t)(uintptr_t)&shared, 0, sizeof shared) >= 0;
    sip_close(handles[0]);
    if (!fits) {
        sip_close(handles[1]);
        sip_close(handles[2]);
        sip_close(driver);
        return false;
    }
    channel = driver;
    wakes_us = handles[1];
    side = (struct ether_side){.writes = &shared.out, .reads = &shared.in, .other = handles[2]};
    free_count = 0;
    memcpy(net_link.hwaddr, about.mac, sizeof about.mac);
    on_channel.ready = driver_gone;
    on_event.ready = driver_wakes;
    watch_for(&on_channel, channel, NEBULET_PEER_CLOSED);
    watch_for(&on_event, wakes_us, NEBULET_EVENT_SIGNALED);
    netif_set_link_up(&net_link);
    return true;
}

// Nothing else can be done without one, but that connections' data wait.
static void connect_driver(void)
{
    while (!attach((nebulet_handle)sip_must(sip_connect("ethernet"), "net: the driver")))
        sip_sleep(SIP_MS);
}

// One that says what cannot be has no more to say.
static bool take(uint32_t entry)
{
    uint32_t buffer = entry & 0xffff, bytes = entry >> 16;
    if (buffer >= ETHER_BUFFERS)
        return false;
    if (buffer < ETHER_IN && (bytes < ETHER_LEAST || bytes > ETHER_MOST))
        return false;
    if (buffer < ETHER_IN)
        receive(buffer, bytes);
    else if (free_count < ETHER_OUT)
        free_out[free_count++] = buffer;
    else
        return false;
    return true;
}

bool link_look(void)
{
    uint32_t n = ether_waiting(&side);
    bool honest = n <= ETHER_BUFFERS;
    for (uint32_t i = 0; honest && i < n; i++)
        honest = take(ether_take(&side));
    if (!honest)
        driver_gone(&on_channel, 0);
    return n != 0;
}

// Buffers of frames that came go back with the next one that is sent, or when they are a part of
// all: to wake the driver costs more than a frame.
bool link_rest(void)
{
    if (sends || side.put - side.told >= ETHER_IN / 4)
        ether_tell(&side);
    sends = false;
    return ether_arm(&side);
}

static err_t set_up(struct netif *netif)
{
    netif->name[0] = 'e';
    netif->name[1] = 'n';
    netif->output = etharp_output;
#if LWIP_IPV6
    netif->output_ip6 = ethip6_output;
    netif->mtu6 = ETHER_MOST - ETHER_LEAST;
#endif
    netif->linkoutput = send;
    netif->mtu = ETHER_MOST - ETHER_LEAST;
    netif->hwaddr_len = 6;
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_MLD6;
    return ERR_OK;
}

void link_begin(void)
{
    for (uint32_t i = 0; i < PLACES; i++)
        place_free(&places[i].pbuf.pbuf);
    netif_add_noaddr(&net_link, NULL, set_up, ethernet_input);
    netif_set_default(&net_link);
    netif_set_up(&net_link);
    connect_driver();
#if LWIP_IPV6
    netif_set_ip6_autoconfig_enabled(&net_link, 1);
    netif_create_ip6_linklocal_address(&net_link, 1);
#endif
}
