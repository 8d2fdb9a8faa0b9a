// SPDX-License-Identifier: MIT
#include "device.h"

#include <string.h>

enum { VIRTIO = 0x1af4, VIRTIO_ON_PCI = 0x1040 };

static const struct known {
    const char *name;
    uint32_t bus, id; // NEBULET_VIRTIO_MMIO: virtio, on either bus
} all[] = {
    {"virtio-net", NEBULET_VIRTIO_MMIO, 1},     {"virtio-blk", NEBULET_VIRTIO_MMIO, 2},
    {"virtio-console", NEBULET_VIRTIO_MMIO, 3}, {"virtio-rng", NEBULET_VIRTIO_MMIO, 4},
    {"virtio-9p", NEBULET_VIRTIO_MMIO, 9},      {"ps2", NEBULET_PC, NEBULET_PC_PS2},
    {"vga", NEBULET_PC, NEBULET_PC_VGA},        {"rtc", NEBULET_PC, NEBULET_PC_RTC},
    {"serial", NEBULET_PC, NEBULET_PC_SERIAL},
};

static const struct known *find(const char *name)
{
    for (uint32_t i = 0; i < sizeof all / sizeof *all; i++)
        if (!strcmp(all[i].name, name))
            return &all[i];
    return NULL;
}

static bool is(const struct known *k, const struct nebulet_device *d)
{
    if (k->bus != NEBULET_VIRTIO_MMIO)
        return d->bus == k->bus && d->id == k->id;
    if (d->bus == NEBULET_PCI)
        return d->vendor == VIRTIO && d->id == VIRTIO_ON_PCI + k->id;
    return d->bus == NEBULET_VIRTIO_MMIO && d->id == k->id;
}

bool device_known(const char *name)
{
    return find(name) != NULL;
}

int64_t device_take(const char *name)
{
    const struct known *k = find(name);
    struct nebulet_device d;
    int64_t result, why = NEBULET_ERR_NOT_FOUND;
    for (uint32_t i = 0; (result = nebulet_device_list(i, &d)) >= 0; i++)
        if (is(k, &d) && (why = nebulet_device_open(i)) >= 0)
            return why;
    return result == NEBULET_ERR_NOT_FOUND ? why : result;
}
