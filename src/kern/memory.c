// SPDX-License-Identifier: MIT
// Memory objects and mappings: see memory.h.
#include "kern/memory.h"
#include "base/heap.h"
#include "base/lookup.h"
#include "kern/device.h"
#include "plat/plat.h"
#include "wasm/runtime.h"

enum { PIECE = 256 << 10 }; // bytes that are mapped between two looks

static u32 objects, mappings;

// One more of what there may be `most` of.
static bool count(u32 *n, u32 most)
{
    if (__atomic_add_fetch(n, 1, __ATOMIC_RELAXED) <= most)
        return true;
    __atomic_sub_fetch(n, 1, __ATOMIC_RELAXED);
    return false;
}

static void uncount(u32 *n)
{
    __atomic_sub_fetch(n, 1, __ATOMIC_RELAXED);
}

static bool whole_pages(u64 n)
{
    return n % PLAT_PAGE == 0;
}

// --- Objects

static status fill(struct memory_object *m, const struct device *d, u64 bytes)
{
    m->bytes = bytes;
    m->charged = bytes + (d ? plat_devices->beside() : 0);
    if (!account_charge_memory(m->account, m->charged, 0))
        return ERR_NO_MEMORY;
    m->pages = d ? plat_devices->memory(d->number, bytes, &m->physical) : plat_shared_create(bytes);
    if (m->pages)
        return OK;
    account_discharge_memory(m->account, m->charged, 0);
    return ERR_NO_MEMORY;
}

// Without pages so far. NULL: NO_RESOURCES, NO_MEMORY.
static struct memory_object *empty(status *s)
{
    *s = ERR_NO_RESOURCES;
    if (!count(&objects, MEMORY_OBJECTS_MAX))
        return NULL;
    struct memory_object *m = heap_zalloc(sizeof *m);
    *s = m ? OK : ERR_NO_MEMORY;
    if (m)
        object_init(&m->object, OBJECT_memory);
    else
        uncount(&objects);
    return m;
}

static void free_record(struct memory_object *m)
{
    heap_free(m);
    uncount(&objects);
}

status memory_object_new(struct process *p, struct device *d, u64 bytes, struct memory_object **out)
{
    status s;
    if (!bytes || !whole_pages(bytes) || bytes > (d ? NEBULET_DMA_MAX : UINT32_MAX))
        return ERR_INVALID_ARG;
    struct memory_object *m = empty(&s);
    if (!m)
        return s;
    m->account = p->account;
    s = fill(m, d, bytes);
    if (s)
        free_record(m);
    else
        *out = m;
    return s;
}

status memory_object_registers(struct device *d, u32 range, struct memory_object **out)
{
    status s;
    struct memory_object *m = empty(&s);
    if (!m)
        return s;
    s = plat_devices->registers(d->number, range, &m->pages);
    if (s) {
        free_record(m);
        return s;
    }
    const struct plat_range *r = &d->about->ranges[range];
    m->bytes = ALIGN_UP(r->base % PLAT_PAGE + r->size, PLAT_PAGE);
    m->registers_of = d;
    kern_acquire();
    object_ref(&d->object);
    kern_release();
    *out = m;
    return OK;
}

void memory_object_forgive(struct memory_object *m)
{
    if (m->account)
        account_discharge_memory(m->account, m->charged, 0);
    m->account = NULL;
}

bool memory_destroy(struct object *o)
{
    struct memory_object *m = container_of(o, struct memory_object, object);
    if (m->registers_of) {
        object_unref(&m->registers_of->object);
        m->registers_of = NULL;
    }
    spin_release(&rt_switch_lock);
    bool gone = plat_shared_free(m->pages);
    if (gone) {
        memory_object_forgive(m);
        free_record(m);
    }
    spin_acquire(&rt_switch_lock);
    return gone;
}

// --- Mappings. The list is the process's own, as its table of handles.

static struct vm_memory *memory_of(const struct process *p)
{
    return instance_vm(p->instance)->mem;
}

static bool overlaps(const struct mapping *m, u64 from, u64 to)
{
    return m->address < to && m->address + m->bytes > from;
}

static status check(const struct process *p, u64 address, u64 bytes)
{
    u32 n = 0;
    const struct vm_memory *v = memory_of(p);
    if (!bytes || !whole_pages(address) || !whole_pages(bytes))
        return ERR_INVALID_ARG;
    if (!v || bytes > v->bytes || address > v->bytes - bytes)
        return ERR_OUT_OF_BOUNDS;
    for (const struct mapping *m = p->mappings; m; m = m->next, n++)
        if (overlaps(m, address, address + bytes))
            return ERR_INVALID_ARG;
    return n < NEBULET_MAPPINGS_MAX ? OK : ERR_NO_RESOURCES;
}

static struct mapping *add(struct process *p, struct memory_object *memory, u64 address)
{
    struct mapping *m = heap_zalloc(sizeof *m);
    if (!m)
        return NULL;
    *m = (struct mapping){.next = p->mappings, .memory = memory, .address = address};
    p->mappings = m;
    kern_acquire();
    object_ref(&memory->object);
    kern_release();
    return m;
}

// From its end, so that what is left is in order whenever this looks up.
static void drop(struct process *p, struct mapping **at)
{
    struct mapping *m = *at;
    while (m->bytes) {
        u64 n = m->bytes % PIECE ? m->bytes % PIECE : PIECE;
        m->bytes -= n;
        memory_unshare(memory_of(p), m->address + m->bytes, n);
        look_up();
    }
    *at = m->next;
    object_release(&m->memory->object);
    heap_free(m);
    uncount(&mappings);
}

static status extend(const struct process *p, struct mapping *m, u64 offset, u64 bytes)
{
    while (m->bytes < bytes) {
        u64 n = bytes - m->bytes < PIECE ? bytes - m->bytes : PIECE;
        status s = memory_share(memory_of(p), m->address + m->bytes, m->memory->pages,
                                offset + m->bytes, n);
        if (s)
            return s;
        m->bytes += n;
        if (look_up())
            return ERR_CANCELLED;
    }
    return OK;
}

status memory_object_map(struct process *p, struct memory_object *memory, u64 address, u64 offset,
                         u64 bytes)
{
    status s = check(p, address, bytes);
    if (!s && !whole_pages(offset))
        s = ERR_INVALID_ARG;
    if (!s && (offset > memory->bytes || bytes > memory->bytes - offset))
        s = ERR_OUT_OF_BOUNDS;
    if (!s && !count(&mappings, MAPPINGS_MAX))
        s = ERR_NO_RESOURCES;
    if (s)
        return s;
    struct mapping *m = add(p, memory, address);
    if (!m) {
        uncount(&mappings);
        return ERR_NO_MEMORY;
    }
    s = extend(p, m, offset, bytes);
    if (s)
        drop(p, &p->mappings);
    return s;
}

status memory_object_unmap(struct process *p, u64 address, u64 bytes)
{
    u64 end = address + bytes;
    bool found = false;
    if (!whole_pages(address) || !whole_pages(bytes))
        return ERR_INVALID_ARG;
    for (const struct mapping *m = p->mappings; m; m = m->next) {
        if (!overlaps(m, address, end))
            continue;
        if (m->address < address || m->address + m->bytes > end)
            return ERR_INVALID_ARG;
        found = true;
    }
    for (struct mapping **at = &p->mappings; *at;) {
        if (overlaps(*at, address, end))
            drop(p, at);
        else
            at = &(*at)->next;
    }
    return found ? OK : ERR_NOT_FOUND;
}

void mappings_drop(struct process *p)
{
    while (p->mappings)
        drop(p, &p->mappings);
}
