// SPDX-License-Identifier: MIT
// Memory objects: pages that several processes can have in their linear memories at once.
//
// A mapping takes the place of pages of memory 0, so compiled code, the interpreter and the
// kernel's copies need nothing new; what lay there is gone, and zeros are there when it ends.
// Processes that have the same pages may run on two CPUs: so the kernel never looks twice at a byte
// of a guest's that matters, and atomics of modules that import memory_map are locked.
//
// Whoever makes an object pays for its pages for as long as it lives; whoever maps it pays for the
// record, and goes on paying for its own pages that are hidden. Mappings are always writable, for a
// call that writes its result to a page that cannot be written would fault in C.
#pragma once
#include "kern/process.h"

struct device;

enum {
    MEMORY_OBJECTS_MAX = 4096, // of all; Linux allows 65,530 mappings
    MAPPINGS_MAX = 8192,
};

struct memory_object {
    struct object object;
    struct plat_shared *pages;
    struct account *account; // is charged for; NULL: nobody is, these are registers
    u64 bytes, charged;
    // kern/device.h
    struct device *registers_of;    // a reference; NULL: these are pages of memory
    struct memory_object *next_dma; // of the same device, which has a reference
    u64 physical;                   // where the device finds it; 0: nowhere
};

struct mapping {
    struct mapping *next;
    struct memory_object *memory; // a reference
    u64 address, bytes;
};

// All are called without the lock, and look up.
//
// INVALID_ARG: no multiple of PLAT_PAGE, or 0. NO_RESOURCES, NO_MEMORY.
// With `device`, in one piece, at an address that it knows (kern/device.h).
status memory_object_new(struct process *p, struct device *device, u64 bytes,
                         struct memory_object **out);
// With the lock. Nobody pays for it any more: whoever made it may be gone, and it stays.
void memory_object_forgive(struct memory_object *m);
// Those that its registers lie in. NO_RESOURCES, NO_MEMORY, and what the platform says.
status memory_object_registers(struct device *d, u32 range, struct memory_object **out);
// INVALID_ARG: alignment, or something is mapped there. OUT_OF_BOUNDS, NO_RESOURCES, NO_MEMORY,
// CANCELLED; what lay there may be gone even so.
status memory_object_map(struct process *p, struct memory_object *m, u64 address, u64 offset,
                         u64 bytes);
// All mappings that lie there. INVALID_ARG: alignment, or one lies there in part. NOT_FOUND: none.
status memory_object_unmap(struct process *p, u64 address, u64 bytes);
void mappings_drop(struct process *p); // all that it has
