// SPDX-License-Identifier: MIT
// A client of the driver of the second serial port, /serial.wasm, which it starts, kills and starts
// again. What comes in goes back, each byte with its bits turned over;
// after "kill" the driver's next life begins, and "end" is the end. With an argument: the line
// takes nothing, and whoever sends is hung up on, the next one too.
#include "owner.h"

static nebulet_handle port;

static void start(void)
{
    static const char *const args[] = {"serial", NULL};
    nebulet_handle other;
    owner_start(args);
    port = (nebulet_handle)sip_must(sip_connect("serial"), "connecting");
    other = (nebulet_handle)sip_must(sip_connect("serial"), "connecting once more");
    sip_must(sip_send(port, "ready\n", 6), "sending");
    sip_must(sip_send(other, "mine\n", 5), "sending");
    if (sip_recv(other, NULL, 0) != NEBULET_ERR_PEER_CLOSED)
        sip_panic("two have the port");
    sip_close(other);
}

static void end_driver(void)
{
    owner_kill();
    sip_close(port);
}

static bool ends_with(const uint8_t *bytes, size_t n, const char *word)
{
    size_t length = strlen(word);
    return n >= length && !memcmp(bytes + n - length, word, length);
}

static void until_hung_up(void)
{
    uint8_t bytes[512] = {0};
    int64_t sent = 0;
    port = (nebulet_handle)sip_must(sip_connect("serial"), "connecting");
    while (sent >= 0)
        sent = sip_send(port, bytes, sizeof bytes);
    if (sent != NEBULET_ERR_PEER_CLOSED)
        sip_must(sent, "sending");
    sip_close(port);
    sip_printf("hung up\n");
}

int main(int argc, char **argv)
{
    uint8_t bytes[256];
    uint8_t last[5] = {0};
    owner_find(NEBULET_PC_SERIAL);
    owner_compile("/serial.wasm");
    start();
    if (argc > 1 && argv[1]) {
        sip_close(port);
        until_hung_up();
        until_hung_up();
        end_driver();
        sip_printf("port\n");
        return 0;
    }
    for (;;) {
        int64_t n = sip_must(sip_recv(port, bytes, 256), "receiving");
        for (int64_t i = 0; i < n; i++) {
            memmove(last, last + 1, 4);
            last[4] = bytes[i];
            bytes[i] = (uint8_t)~bytes[i];
        }
        if (ends_with(last, 5, "kill\n")) {
            end_driver();
            start();
            continue;
        }
        if (ends_with(last, 5, "\nend\n"))
            break;
        sip_must(sip_send(port, bytes, (size_t)n), "sending");
    }
    end_driver();
    sip_printf("port\n");
    return 0;
}
