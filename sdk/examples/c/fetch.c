// fetch HOST [PORT [PATH]]: HTTP over TCP, with a name.
//
//     nebulet run --allow-net tcp:example.org:80 fetch.wasm example.org
#include <stdlib.h>
#include <string.h>
#include <sip_net.h>

int main(int argc, char **argv)
{
    const char *host = argc > 1 ? argv[1] : "example.org", *path = argc > 3 ? argv[3] : "/";
    struct sip_connection c;
    char text[1024];
    int64_t n = sip_net_connect(host, argc > 2 ? (uint32_t)atoi(argv[2]) : 80, 0, &c);
    if (n < 0)
        sip_panic("fetch: %s: %s", host, sip_error_text(n));
    size_t size = sip_format(
        text, sizeof text, "GET %s HTTP/1.0\r\nHost: %s\r\nConnection: close\r\n\r\n", path, host);
    if (size >= sizeof text)
        sip_panic("fetch: the path is too long");
    sip_must(sip_write(c.out, text, size), "fetch: sending");
    while ((n = sip_must(sip_read(c.in, text, sizeof text - 1), "fetch: receiving")) > 0)
        nebulet_print(text, (uint32_t)n);
    sip_net_close(&c);
}
