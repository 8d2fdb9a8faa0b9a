// SPDX-License-Identifier: MIT
// The same as a handler that stays (doc/serve.md).
#include <string.h>
#include <sip.h>

int main(void)
{
    static char out[700] = "Content-Type: text/html\r\n\r\n", request[NEBULET_MESSAGE_MAX];
    size_t n = strlen(out);
    memset(out + n, 'x', 612);
    for (;;) {
        nebulet_handle streams[2];
        struct nebulet_message got;
        if (nebulet_channel_recv(0, request, sizeof request, streams, 2, &got, NEBULET_FOREVER) < 0)
            return 0;
        sip_write(streams[1], out, n + 612);
        sip_close(streams[0]);
        sip_close(streams[1]);
    }
}
