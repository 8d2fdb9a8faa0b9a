// SPDX-License-Identifier: MIT
// Devices: what the platform found (plat_devices), for drivers that are processes.
//
// A device is somebody's as long as anybody has a handle of it, its registers mapped, or one of its
// interrupts. When nobody does any more it is stopped, and only then goes the memory that it was
// given: the device has a reference to each such object, so that it cannot write to pages that are
// somebody else's by then. A device that cannot be stopped keeps its memory, and nobody gets it
// again.
//
// An interrupt is an object that has NEBULET_EVENT_SIGNALED from when it comes until it is
// acknowledged; in between its line is quiet. The platform notes which lines have spoken, and
// whoever looks for work looks there, too (interrupts_look).
//
// A device that goes where it may not (on machines that can tell) is cut off from memory. Its
// driver gets BAD_STATE for whatever it asks of it, and hears of it by each of its interrupts.
#pragma once
#include "kern/process.h"
#include "plat/plat.h"

struct memory_object;

struct device {
    struct object object;
    const struct plat_device *about;
    struct memory_object *dma; // what was made for it, a reference to each; under the kernel lock
    u32 number;
    u32 asked;    // how often it was asked to stop
    bool cut_off; // it went where it may not, and is good for nothing until it is given up
};

struct interrupt {
    struct object object;
    struct device *device; // a reference
    u32 line;
};

// All without the lock. NOT_FOUND: there is none of that number. ALREADY_OWNED: somebody has it.
status device_about(u32 number, const struct plat_device **out, bool *taken);
status device_new(u32 number, struct device **out);
// A memory object for it, with the caller's reference.
status device_memory_new(struct process *p, struct device *d, u64 bytes,
                         struct memory_object **out);
// BAD_STATE: it is there already. INVALID_ARG: it has none of that number.
status interrupt_new(struct device *d, u32 n, struct interrupt **out);
// BAD_STATE: the device is cut off.
status interrupt_ready(struct interrupt *i);

// Without the lock: says on the console which devices were cut off.
extern u64 devices_untold;
void devices_tell(void);
static inline void devices_look(void)
{
    if (unlikely(__atomic_load_n(&devices_untold, __ATOMIC_RELAXED)))
        devices_tell();
}
// With the lock: who waits for interrupts that have come is woken.
void interrupts_take(void);
static inline void interrupts_look(void)
{
    if (unlikely(__atomic_load_n(&plat_interrupts, __ATOMIC_RELAXED)))
        interrupts_take();
}
