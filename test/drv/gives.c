// SPDX-License-Identifier: MIT
// What it takes to give a device memory: instructions, on a clock that counts them, of dma_create
// of 64 KiB, and of what it takes to zero those, which is in it. The device's first piece, with
// which its tables come, is not counted.
#include <sip.h>
#include <string.h>

enum { BYTES = 64 << 10, TIMES = 64 };

int main(void)
{
    struct nebulet_device about;
    char name[64];
    nebulet_handle device;
    sip_must(sip_recv_handle(0, name, sizeof name, &device), "the device");
    sip_must(nebulet_device_info(device, &about), "device_info");
    nebulet_handle last = (nebulet_handle)sip_must(nebulet_dma_create(device, BYTES), "the first");
    uint64_t before = sip_now();
    for (uint32_t i = 0; i < TIMES; i++) {
        sip_close(last);
        last = (nebulet_handle)sip_must(nebulet_dma_create(device, BYTES), "dma_create");
    }
    sip_printf("gives: %llu\n", (unsigned long long)((sip_now() - before) / TIMES));
    return 0;
}
