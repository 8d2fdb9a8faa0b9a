// SPDX-License-Identifier: MIT
// A client of the service "net": does what its arguments say, one after the other, and prints what
// has become of each.
//
//   c HOST PORT     connects, sends 5 bytes, ends its direction, reads until the end
//   t HOST PORT MS  connects, with patience for so long
//   r NAME          resolves
//   u HOST PORT     sends a datagram, and waits for another one
//   U HOST PORT     sends one from a socket that is nobody's in particular to an address
//   l HOST PORT     listens
//   m HOST PORT N   has N connections at once
//   f N             sends messages that mean nothing, N of each kind, on channels of their own
//   o N             opens N channels at once, and asks on none
//   b NAME          asks for it 100 times at once
//   k HOST PORT     opens sockets of datagrams until there are none
//   h HOST PORT     opens connections until there are none, and closes them again
//   a N             asks N times on one channel, for something that is answered at once
//   e HOST PORT     is an echo of UDP for one datagram
//   s MS            sleeps
//   x HOST PORT     connects, and ends without closing
#include <stdlib.h>
#include <string.h>
#include <sip_net.h>

static char text[SIP_ADDRESS_TEXT];

static void say(const char *what, const char *host, int64_t result)
{
    sip_printf("%s %s: %s\n", what, host, result < 0 ? sip_error_text(result) : text);
}

static int64_t exchange(struct sip_connection *c)
{
    char bytes[256];
    int64_t n = sip_write(c->out, "hello", 5), all = 0;
    sip_close(c->out);
    c->out = NEBULET_NO_HANDLE;
    while (n >= 0 && (n = sip_read(c->in, bytes, sizeof bytes)) > 0)
        all += n;
    return n < 0 ? n : all;
}

static int64_t connect(const char *host, uint32_t port, uint32_t ms)
{
    struct sip_connection c;
    int64_t n = sip_net_connect(host, port, ms, &c);
    if (n < 0)
        return n;
    n = exchange(&c);
    sip_net_close(&c);
    sip_format(text, sizeof text, "%lld bytes", (long long)n);
    return n;
}

static int64_t resolve(const char *name)
{
    struct nebulet_address found[NET_ADDRESSES];
    int64_t n = sip_net_resolve(name, 0, found, NET_ADDRESSES);
    if (n > 0)
        sip_net_print(&found[0], text);
    return n;
}

static int64_t datagram(struct sip_udp *u, const struct nebulet_address *to)
{
    char bytes[64];
    int64_t n = sip_udp_send(u, to, "hello", 5);
    if (n >= 0)
        n = sip_udp_recv(u, NULL, bytes, sizeof bytes, sip_after(2 * SIP_SECOND));
    sip_udp_close(u);
    sip_format(text, sizeof text, "%lld bytes", (long long)n);
    return n;
}

static int64_t udp(const char *host, uint32_t port)
{
    struct sip_udp u;
    int64_t n = sip_udp_connect(host, port, &u);
    return n < 0 ? n : datagram(&u, NULL);
}

static int64_t udp_to(const char *host, uint32_t port)
{
    struct sip_udp u;
    struct nebulet_address to;
    int64_t n = sip_net_resolve(host, 0, &to, 1);
    to.port = port;
    if (n >= 0)
        n = sip_udp_open("", 0, &u);
    return n < 0 ? n : datagram(&u, &to);
}

static int64_t many(const char *host, uint32_t port, uint32_t count)
{
    struct sip_connection *c = calloc(count, sizeof *c);
    int64_t n = 0, done = 0;
    for (uint32_t i = 0; i < count && n >= 0; i++)
        n = sip_net_connect(host, port, 0, &c[i]);
    for (uint32_t i = 0; i < count && n >= 0; i++, done++) {
        n = exchange(&c[i]);
        sip_net_close(&c[i]);
        n = n == 5 ? n : NEBULET_ERR_INTERNAL;
    }
    free(c);
    sip_format(text, sizeof text, "%lld", (long long)done);
    return n;
}

static int64_t listen(const char *host, uint32_t port)
{
    struct nebulet_address own;
    int64_t n = sip_net_listen(host, port, &own);
    if (n >= 0)
        sip_net_print(&own, text), sip_close((nebulet_handle)n);
    return n;
}

static int64_t channel(void)
{
    return nebulet_service_connect("net", 3, sip_after(SIP_SECOND));
}

// Sizes that are no request's, operations that there are not, names without an end, handles.
static int64_t garbage(uint32_t count)
{
    static uint8_t bytes[NEBULET_MESSAGE_MAX];
    static const uint32_t sizes[] = {0,
                                     1,
                                     sizeof(struct net_request) - 1,
                                     sizeof(struct net_request),
                                     sizeof(struct net_request) + 1,
                                     sizeof bytes};
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            nebulet_handle ends[2];
            int64_t net = channel();
            if (net < 0)
                return net;
            sip_random(bytes, sizeof(struct net_request));
            bytes[0] = (uint8_t)(i % 7), bytes[1] = bytes[2] = bytes[3] = 0;
            sip_must(sip_channel(ends), "a channel");
            nebulet_channel_send((nebulet_handle)net, bytes, sizes[k], &ends[0], i % 2,
                                 NEBULET_AT_ONCE);
            for (uint32_t more = 0; more < 20; more++)
                nebulet_channel_send((nebulet_handle)net, bytes, sizes[k], NULL, 0,
                                     NEBULET_AT_ONCE);
            sip_close((nebulet_handle)net);
            sip_close(ends[1]);
            if (!(i % 2))
                sip_close(ends[0]);
        }
    sip_format(text, sizeof text, "lives");
    return 0;
}

static int64_t occupy(uint32_t count)
{
    int64_t n = 0;
    for (uint32_t i = 0; i < count && n >= 0; i++)
        n = channel();
    sip_format(text, sizeof text, "open");
    return n;
}

// How many of 100 questions, on a channel each, which nobody answers, are let wait.
static int64_t busy(const char *name)
{
    enum { ALL = 100 };
    struct net_request r = {.op = NET_RESOLVE};
    struct net_answer a;
    nebulet_handle net[ALL];
    uint32_t counts[3] = {0};
    memcpy(r.name, name, strlen(name) + 1);
    for (uint32_t i = 0; i < ALL; i++) {
        net[i] = (nebulet_handle)sip_must(channel(), "connecting");
        sip_must(sip_send_value(net[i], &r), "asking");
    }
    for (uint32_t i = 0; i < ALL; i++)
        counts[sip_recv_value(net[i], &a) < 0 ? 2 : a.result == NEBULET_ERR_NO_RESOURCES ? 1 : 0]++;
    sip_format(text, sizeof text, "%u, not %u and %u", counts[0], counts[1], counts[2]);
    return 0;
}

static int64_t sockets(const char *host, uint32_t port)
{
    struct sip_udp u;
    uint32_t n = 0;
    int64_t result;
    while ((result = sip_udp_connect(host, port, &u)) >= 0)
        n++;
    sip_format(text, sizeof text, "%u and %s", n, sip_error_text((int32_t)result));
    return 0;
}

static int64_t hoard(const char *host, uint32_t port)
{
    enum { MOST = 256 };
    static struct sip_connection c[MOST];
    uint32_t n = 0;
    int64_t result = 0;
    while (n < MOST && (result = sip_net_connect(host, port, 0, &c[n])) >= 0)
        n++;
    for (uint32_t i = 0; i < n; i++)
        sip_net_close(&c[i]);
    sip_format(text, sizeof text, "%u and %s", n, sip_error_text((int32_t)result));
    return 0;
}

// How many are answered.
static int64_t again(uint32_t count)
{
    struct net_request r = {.op = NET_RESOLVE, .name = "1.2.3.4"};
    struct net_answer a;
    uint32_t n = 0;
    int64_t net = channel();
    while (net >= 0 && n < count && sip_send_value((nebulet_handle)net, &r) >= 0 &&
           sip_recv((nebulet_handle)net, &a, sizeof a) >= 0)
        n++;
    sip_format(text, sizeof text, "%u", n);
    return net;
}

static int64_t echo(const char *host, uint32_t port)
{
    struct sip_udp u;
    struct nebulet_address from;
    char bytes[NET_DATAGRAM];
    int64_t n = sip_udp_open(host, port, &u);
    if (n < 0)
        return n;
    sip_net_print(&u.own, text);
    sip_printf("e at %s\n", text);
    n = sip_udp_recv(&u, &from, bytes, sizeof bytes, sip_after(100 * SIP_SECOND));
    if (n >= 0)
        sip_udp_send(&u, &from, bytes, (size_t)n);
    sip_format(text, sizeof text, "%lld bytes", (long long)n);
    sip_sleep(100 * SIP_MS); // it is to get out
    return n;
}

int main(int argc, char **argv)
{
    struct sip_connection c;
    for (int i = 1; i + 1 < argc;) {
        const char *what = argv[i], *host = argv[i + 1];
        uint32_t port = i + 2 < argc ? (uint32_t)atoi(argv[i + 2]) : 0;
        uint32_t more = i + 3 < argc ? (uint32_t)atoi(argv[i + 3]) : 0;
        bool two = *what == 'r' || *what == 's' || *what == 'f' || *what == 'o' || *what == 'a' ||
                   *what == 'b';
        int64_t n = NEBULET_ERR_INVALID_ARG;
        switch (*what) {
        case 'c': n = connect(host, port, 0); break;
        case 't': n = connect(host, port, more); break;
        case 'r': n = resolve(host); break;
        case 'u': n = udp(host, port); break;
        case 'U': n = udp_to(host, port); break;
        case 'l': n = listen(host, port); break;
        case 'm': n = many(host, port, more); break;
        case 'f': n = garbage((uint32_t)atoi(host)); break;
        case 'o': n = occupy((uint32_t)atoi(host)); break;
        case 's':
            sip_sleep((uint32_t)atoi(host) * SIP_MS);
            sip_format(text, sizeof text, "over");
            n = 0;
            break;
        case 'b': n = busy(host); break;
        case 'h': n = hoard(host, port); break;
        case 'k': n = sockets(host, port); break;
        case 'a': n = again((uint32_t)atoi(host)); break;
        case 'e': n = echo(host, port); break;
        case 'x':
            n = sip_net_connect(host, port, 0, &c);
            sip_format(text, sizeof text, "open");
            break;
        }
        say(what, host, n);
        i += two ? 2 : *what == 't' || *what == 'm' ? 4 : 3;
    }
}
