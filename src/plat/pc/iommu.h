// SPDX-License-Identifier: MIT
// The machine's IOMMU (Intel VT-d), which stands between devices of PCI and memory: see iommu.c.
#pragma once
#include "base/status.h"

// Turns it on, for good; before devices are looked for. NULL: done; else why not.
const char *iommu_start(void);
bool iommu_on(void);
bool iommu_covers(u32 where); // a device of the first bus: it is this unit that confines it

// The device of that number may reach so much memory, at its own address: whole pages, until
// iommu_drop. Not under a lock that interrupts take. NO_MEMORY: for tables, or the address is
// beyond those; nothing of a piece that lies within 2 MiB can be reached then.
status iommu_map(u32 device, u64 address, u64 size, bool write);
// It reaches nothing any more, from the first call on; true when all of its tables are free, too.
bool iommu_drop(u32 device);
u32 iommu_pages(u32 device); // that its tables take now
u64 iommu_tables(void);      // bytes of tables that a piece of 2 MiB or less takes at most

// A source (a device's place, or iommu_inputs) may send that interrupt, and CPU 0 gets it.
void iommu_lead(u32 vector, u32 source, bool level);
void iommu_silence(u32 vector); // nobody may
u32 iommu_inputs(void);         // the interrupt controller, as a source
// How the message, and the route of an input, must look that stand for it.
enum { IOMMU_MESSAGE = 1 << 4, IOMMU_MESSAGE_SHIFT = 5, IOMMU_ROUTE = 1 << 16 };
enum { IOMMU_ROUTE_SHIFT = 17 };

// It has something to tell: devices that were where they may not be. They reach nothing any more,
// and each is a bit of plat_interrupts.
void iommu_interrupt(void);
struct iommu_fault {
    u64 address;
    u8 reason; // VT-d, appendix A
    bool read;
};
const struct iommu_fault *iommu_fault(u32 device); // its last one
