// SPDX-License-Identifier: MIT
// A client of drv/virtio-rng: bytes come, as many as were asked for, and never the same.
#include <string.h>
#include <sip.h>

int main(void)
{
    uint8_t last[32] = {0}, bytes[32];
    nebulet_handle service = (nebulet_handle)sip_must(sip_connect("random"), "connecting");
    for (uint32_t i = 0, n; i < 1000; i++, memcpy(last, bytes, sizeof last)) {
        for (uint32_t got = 0; got < sizeof bytes; got += n) {
            uint32_t wanted = sizeof bytes - got;
            n = (uint32_t)sip_must(sip_call(service, &wanted, 4, bytes + got, wanted), "asking");
            if (!n || n > wanted)
                sip_panic("%u bytes of %u", n, wanted);
        }
        if (!memcmp(last, bytes, sizeof last))
            sip_panic("the same bytes twice");
    }
    sip_printf("random\n");
    return 0;
}
