// SPDX-License-Identifier: MIT
// Inside the platform: devices that were found.
#pragma once
#include "plat/pc/pc.h"

struct found {
    struct plat_device about;
    u64 status;         // where virtio's status is
    u64 common, notify; // PCI: virtio's structures
    u32 notify_multiplier;
    u8 status_bytes;       // 1, or 4
    u8 inputs[2];          // of the machine, by which its interrupts come
    u32 how;               // ROUTE_LEVEL: such an input stays up until the device is content
    u64 msix;              // PCI: the table of its interrupts; 0: they come by inputs
    u32 pci, msix_control; // where its configuration is, and in there what turns interrupts on
};
extern struct found devices[PLAT_DEVICES];
extern u32 device_count, devices_left_out; // those that the IOMMU does not confine

// The console's, if there is one, which drivers do not see. NULL: there is none.
const struct found *device_of_console(void);
void device_lead(const struct found *d, u32 vector); // its first interrupt

// Whether a further device can have its registers there; then they can be reached.
bool device_may_have(u64 base, u64 size);

// --- pci.c
void pci_scan(void);
u32 pci_read(u32 where, u32 offset);
void pci_reach(const struct found *d); // it may reach memory
void pci_stop(const struct found *d);
void pci_quiet(const struct found *d, bool on); // its pin
bool pci_calls(const struct found *d);          // by its pin, which is not quiet

// --- legacy.c
void legacy_find(void);
bool legacy_may_write(u16 port, u8 value); // a port of one of its devices
