// SPDX-License-Identifier: MIT
// A channel, a timer and an error, in C with libsip. The folders beside this one do the same in
// other languages.
#include <sip.h>

int main(void)
{
    nebulet_handle ends[2];
    char text[16];

    sip_printf("hello from C\n");
    sip_must(sip_channel(ends), "a channel");
    sip_must(sip_send(ends[0], "a word", 6), "sending");
    int64_t size = sip_must(sip_recv(ends[1], text, sizeof text), "receiving");
    sip_printf("received %d bytes: %.*s\n", (int)size, (int)size, text);

    sip_close(ends[0]);
    sip_printf("the other end was closed: %s\n",
               sip_error_text(sip_recv(ends[1], text, sizeof text)));

    uint64_t start = sip_now();
    nebulet_handle timer = (nebulet_handle)sip_must(sip_timer(5 * SIP_MS, 0), "a timer");
    sip_must(sip_wait(timer, NEBULET_EVENT_SIGNALED), "waiting");
    sip_printf("a timer came%s\n", sip_now() - start < 4 * SIP_MS ? ", too early" : "");
    return 0;
}
