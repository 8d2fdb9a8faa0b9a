// SPDX-License-Identifier: MIT
// Calls on devices and interrupts.
#include "abi/nebulet_call.h"
#include "kern/device.h"
#include "kern/memory.h"

_Static_assert((u32)NEBULET_RANGES == PLAT_RANGES, "struct nebulet_device");
_Static_assert((u32)NEBULET_PC == BUS_PC && (u32)NEBULET_PC_SERIAL == PC_SERIAL, "ABI");
_Static_assert((u32)NEBULET_CONFIGURATION == RANGE_CONFIG, "ABI");

static void tell(const struct plat_device *d, bool taken, u8 *out)
{
    struct nebulet_device about = {.bus = d->bus,
                                   .vendor = d->vendor,
                                   .id = d->id,
                                   .interrupts = d->interrupts,
                                   .dma = d->dma,
                                   .taken = taken};
    for (u32 i = 0; i < PLAT_RANGES; i++) {
        about.kinds[i] = d->ranges[i].kind;
        about.sizes[i] = d->ranges[i].size;
    }
    memcpy(out, &about, sizeof about);
}

s64 call_device_list(struct vmctx *vm, struct process *p, const struct call_device_list *a)
{
    (void)vm, (void)p;
    const struct plat_device *about;
    bool taken;
    status s = device_about(a->number, &about, &taken);
    if (!s)
        tell(about, taken, a->about);
    return s;
}

s64 call_device_open(struct vmctx *vm, struct process *p, const struct call_device_open *a)
{
    (void)vm;
    struct device *d;
    status s = device_new(a->number, &d);
    return s ? s : call_give(p, &d->object, HANDLE_ALL_RIGHTS);
}

s64 call_device_info(struct vmctx *vm, struct process *p, const struct call_device_info *a)
{
    (void)vm, (void)p;
    tell(a->device->about, true, a->about);
    return OK;
}

s64 call_device_map(struct vmctx *vm, struct process *p, const struct call_device_map *a)
{
    (void)vm;
    struct memory_object *m;
    if (a->range >= NEBULET_RANGES)
        return ERR_INVALID_ARG;
    const struct plat_range *r = &a->device->about->ranges[a->range];
    if (r->kind != RANGE_MEMORY)
        return ERR_NOT_SUPPORTED;
    status s = memory_object_registers(a->device, a->range, &m);
    if (s)
        return s;
    s = memory_object_map(p, m, a->address, 0, m->bytes);
    object_release(&m->object); // the mapping has its own reference
    return s ? s : (s64)(r->base % PLAT_PAGE);
}

static status check(const struct device *d, u32 range, u32 offset, u32 bytes)
{
    if (range >= NEBULET_RANGES || (bytes != 1 && bytes != 2 && bytes != 4) || offset % bytes)
        return ERR_INVALID_ARG;
    u32 size = d->about->ranges[range].size; // 0: there is nothing
    if (d->cut_off)
        return ERR_BAD_STATE;
    return bytes <= size && offset <= size - bytes ? OK : ERR_OUT_OF_BOUNDS;
}

s64 call_device_read(struct vmctx *vm, struct process *p, const struct call_device_read *a)
{
    (void)vm, (void)p;
    u32 value = 0;
    status s = check(a->device, a->range, a->offset, a->bytes);
    if (!s)
        s = plat_devices->read(a->device->number, a->range, a->offset, a->bytes, &value);
    return s ? s : (s64)value;
}

s64 call_device_write(struct vmctx *vm, struct process *p, const struct call_device_write *a)
{
    (void)vm, (void)p;
    status s = check(a->device, a->range, a->offset, a->bytes);
    return s ? s : plat_devices->write(a->device->number, a->range, a->offset, a->bytes, a->value);
}

s64 call_dma_create(struct vmctx *vm, struct process *p, const struct call_dma_create *a)
{
    (void)vm;
    struct memory_object *m;
    status s = device_memory_new(p, a->device, a->bytes, &m);
    return s ? s : call_give(p, &m->object, HANDLE_ALL_RIGHTS);
}

s64 call_dma_address(struct vmctx *vm, struct process *p, const struct call_dma_address *a)
{
    (void)vm, (void)p;
    return a->memory->physical ? (s64)a->memory->physical : ERR_NOT_SUPPORTED;
}

s64 call_interrupt_create(struct vmctx *vm, struct process *p,
                          const struct call_interrupt_create *a)
{
    (void)vm;
    struct interrupt *i;
    status s = interrupt_new(a->device, a->number, &i);
    return s ? s : call_give(p, &i->object, HANDLE_ALL_RIGHTS);
}

s64 call_interrupt_ack(struct vmctx *vm, struct process *p, const struct call_interrupt_ack *a)
{
    (void)vm, (void)p;
    return interrupt_ready(a->interrupt);
}
