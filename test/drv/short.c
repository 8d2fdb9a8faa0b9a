// SPDX-License-Identifier: MIT
// A client of drv/virtio-9p that sends less than a message of 9P begins with: it is turned away,
// and the device, which would be of no use any more, never sees it. Who comes next is served.
#include <string.h>
#include <sip.h>

int main(void)
{
    // size[4] Tversion tag[2] msize[4] version[s], and Rversion
    static const uint8_t version[] = "\x15\0\0\0\x64\xff\xff\0\x20\0\0\x08\0009P2000.L";
    for (uint32_t size = 0; size < 9; size++) {
        uint8_t answer[64] = {0};
        nebulet_handle service = (nebulet_handle)sip_must(sip_connect("folder"), "connecting");
        uint32_t bytes = size < 7 ? size : sizeof version - 1;
        int64_t got = sip_call(service, version, bytes, answer, sizeof answer);
        if (size < 7 ? got != NEBULET_ERR_PEER_CLOSED
                     : got != sizeof version - 1 || answer[4] != 0x65)
            sip_panic("%u bytes: %lld", bytes, (long long)got);
        nebulet_handle_close(service);
    }
    sip_printf("short\n");
    return 0;
}
