// SPDX-License-Identifier: MIT
// A handler that reaches for the network, as its path says: /c/HOST/PORT connects, sends a line and
// answers with what comes back; /l/HOST/PORT listens; /b/NAME asks for it many times at once.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sip_net.h>

static int64_t connect(const char *host, uint32_t port, char *said, size_t room)
{
    struct sip_connection c;
    int64_t n = sip_net_connect(host, port, 0, &c);
    if (n < 0)
        return n;
    if ((n = sip_write(c.out, "hello\n", 6)) >= 0) {
        sip_close(c.out);
        c.out = NEBULET_NO_HANDLE;
        n = sip_read(c.in, said, room - 1);
    }
    said[n < 0 ? 0 : n] = 0;
    sip_net_close(&c);
    return n;
}

// Asks, and says what the last one was answered; what waits is kept until the first one is over.
static int64_t many(const char *name)
{
    struct net_request r = {.op = NET_RESOLVE};
    struct net_answer a, over;
    nebulet_handle net = NEBULET_NO_HANDLE, first = NEBULET_NO_HANDLE;
    snprintf(r.name, sizeof r.name, "%s", name);
    for (int i = 0; i < 100; i++) {
        net = (nebulet_handle)sip_must(sip_connect("net"), "connecting");
        sip_must(sip_send_value(net, &r), "asking");
        first = i ? first : net;
    }
    int64_t n = sip_recv_value(net, &a);
    sip_recv_value(first, &over);
    return n < 0 ? n : a.result;
}

int main(void)
{
    char *what = getenv("PATH_INFO"), *host = what ? strchr(what + 1, '/') : NULL, said[100] = "";
    char *port = host ? strchr(host + 1, '/') : NULL;
    if (!host)
        return 1;
    *host++ = 0;
    if (port)
        *port++ = 0;
    uint32_t number = port ? (uint32_t)atoi(port) : 0;
    int64_t n = what[1] == 'c'   ? connect(host, number, said, sizeof said)
                : what[1] == 'l' ? sip_net_listen(host, number, NULL)
                                 : many(host);
    printf("Content-Type: text/plain\n\n%s\n", n < 0 ? sip_error_text((int32_t)n) : said);
    return 0;
}
