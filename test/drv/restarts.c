// SPDX-License-Identifier: MIT
// Uses a driver (mortal.c) that dies under its hands, in every way, and is started again by init:
// its user gets an error, connects again, and goes on.
#include <sip.h>

enum { ROUNDS = 3, ASKS = 20 };

static void use(nebulet_handle service)
{
    uint8_t bytes[256];
    uint32_t wanted = sizeof bytes;
    for (uint32_t i = 0; i < ASKS; i++)
        if (sip_must(sip_call(service, &wanted, sizeof wanted, bytes, sizeof bytes), "asking") == 0)
            sip_panic("no bytes");
}

int main(void)
{
    for (uint32_t i = 0; i < 3 * ROUNDS; i++) {
        uint8_t answer;
        nebulet_handle service = (nebulet_handle)sip_must(sip_connect("random"), "connecting");
        use(service);
        int64_t how = sip_call(service, &"txh"[i % 3], 1, &answer, 1);
        if (how != NEBULET_ERR_PEER_CLOSED)
            sip_panic("death %u: %lld", i, (long long)how);
        sip_close(service);
    }
    use((nebulet_handle)sip_must(sip_connect("random"), "connecting"));
    sip_printf("restarts\n");
    return 0;
}
