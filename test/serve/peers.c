// SPDX-License-Identifier: MIT
// The server of HTTP and who brings it connections, which says where they come from: one peer
// cannot have all places. `peers` with http.wasm in /http.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sip.h>

enum { MOST = 16 };
static nebulet_handle listener;
static unsigned given;

static nebulet_handle server(void)
{
    static const char *const args[] = {"http", NULL};
    static const char told[] = "listen here\nconnections 16\nidle 60000000000\nlog none\n";
    static char bytes[1 << 20], message[160];
    FILE *f = fopen("/http/http.wasm", "r");
    size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    nebulet_handle control[2], ends[2];
    int64_t module = sip_must(sip_compile(bytes, n, message, sizeof message), "compiling");
    sip_must(sip_channel(control), "a channel");
    sip_must(sip_channel(ends), "a channel");
    listener = ends[0];
    sip_must(sip_send_handle(control[0], told, sizeof told - 1, ends[1]), "telling");
    sip_must(sip_start((nebulet_handle)module, args, NULL, control[1]), "starting");
    return control[0];
}

struct connection {
    nebulet_handle in, out; // the server's are the other ends
};

// An answer to a request, or the end.
static bool is_served(const struct connection *c)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    char bytes[1000];
    if (sip_write(c->in, request, sizeof request - 1) < 0)
        return false;
    int64_t n = nebulet_stream_read(c->out, bytes, sizeof bytes, sip_after(20 * SIP_SECOND));
    return n > 12 && !memcmp(bytes, "HTTP/1.1 404", 12);
}

static struct connection from(const struct nebulet_address *peer)
{
    nebulet_handle in[2], out[2];
    sip_must(sip_stream(in), "a stream");
    sip_must(sip_stream(out), "a stream");
    nebulet_handle theirs[] = {in[1], out[0]};
    sip_must(nebulet_channel_send(listener, peer, sizeof *peer, theirs, 2, NEBULET_FOREVER),
             "a connection");
    return (struct connection){in[0], out[1]};
}

static struct nebulet_address address(uint32_t family, int first, int last)
{
    struct nebulet_address a = {.family = family, .port = 1000 + given++};
    a.bytes[0] = (char)first;
    a.bytes[family == 4 ? 3 : 15] = (char)last;
    return a;
}

static bool take(uint32_t family, int first, int last, struct connection *c)
{
    struct nebulet_address a = address(family, first, last);
    *c = from(&a);
    return is_served(c);
}

static void hang_up(struct connection *c)
{
    sip_close(c->in);
    sip_close(c->out);
}

// That it is seen to have gone takes a moment.
static bool take_at_last(uint32_t family, int first, int last, struct connection *c)
{
    for (int i = 0; i < 200; i++) {
        if (take(family, first, last, c))
            return true;
        hang_up(c);
        sip_sleep(10 * SIP_MS);
    }
    return false;
}

// What one peer gets, others beside it, and whether it gets one more when one of its own has gone.
static void crowd(const char *what, uint32_t family)
{
    struct connection c[MOST], other[4];
    nebulet_handle control = server();
    int first = family == 4 ? 10 : 0x20;
    uint32_t got = 0;
    while (got < MOST && take(family, first, family == 4 ? 1 : (int)got, &c[got]))
        got++;
    bool second = take(family, first + 1, 1, &other[0]);
    bool again = take(family, first + 1, 1, &other[1]);
    hang_up(&c[0]);
    hang_up(&other[0]);
    bool one_more = take_at_last(family, first, 1, &c[0]);
    bool third = take(family, first + 2, 1, &other[2]);
    sip_printf("%s: %u of %u, another %d %d, one more %d, a third %d\n", what, got, MOST, second,
               again, one_more, third);
    sip_close(control);
}

static void proxy(void)
{
    struct connection c[MOST];
    nebulet_handle control = server();
    uint32_t got = 0;
    while (got < MOST && take(4, 127, 1, &c[got]))
        got++;
    sip_printf("this machine: %u of %u\n", got, MOST);
    sip_close(control);
}

int main(void)
{
    crowd("IPv4", 4);
    crowd("IPv6", 6);
    proxy();
    return 0;
}
