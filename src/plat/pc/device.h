// SPDX-License-Identifier: MIT
// Inside the platform: devices that were found.
#pragma once
#include "plat/pc/pc.h"

struct found {
    struct plat_device about;
    u8 inputs[2]; // of the machine, by which its interrupts come
    u32 how;      // ROUTE_LEVEL: a line stays up until its device is content
};
extern struct found devices[PLAT_DEVICES];
extern u32 device_count;

// Whether a further device can have its registers there; then they can be reached.
bool device_may_have(u64 base, u64 size);
