// SPDX-License-Identifier: MIT
// Devices and interrupts: see device.h.
#include "kern/device.h"
#include "base/heap.h"
#include "kern/memory.h"

enum { ASKS = 1000 }; // until a device that does not stop is given up

// Under the kernel lock.
static u64 taken;                                // a bit for each device that somebody has
static struct interrupt *lines[PLAT_INTERRUPTS]; // no reference
static struct device *owned[PLAT_DEVICES];       // likewise
_Static_assert(PLAT_DEVICES + PLAT_CUT_OFF <= 64 && PLAT_INTERRUPTS <= PLAT_CUT_OFF, "a bit each");

u64 devices_untold; // a bit for each device; atomic

// --- Devices

status device_about(u32 number, const struct plat_device **out, bool *is_taken)
{
    *out = plat_devices ? plat_devices->get(number) : NULL;
    if (!*out)
        return ERR_NOT_FOUND;
    *is_taken = __atomic_load_n(&taken, __ATOMIC_RELAXED) >> number & 1;
    return OK;
}

static bool take(struct device *d)
{
    kern_acquire();
    bool free = !(taken >> d->number & 1);
    taken |= 1ull << d->number;
    if (free)
        owned[d->number] = d;
    kern_release();
    return free;
}

status device_new(u32 number, struct device **out)
{
    const struct plat_device *about;
    bool is_taken;
    status s = device_about(number, &about, &is_taken);
    struct device *d = s ? NULL : heap_zalloc(sizeof *d);
    if (s || !d)
        return s ? s : ERR_NO_MEMORY;
    object_init(&d->object, OBJECT_device);
    d->about = about;
    d->number = number;
    if (!take(d)) {
        heap_free(d);
        return ERR_ALREADY_OWNED;
    }
    *out = d;
    return OK;
}

// Its memory may go, a little of it at a time.
static bool drop_memory(struct device *d)
{
    enum { AT_ONCE = 64 };
    for (u32 i = 0; d->dma && i < AT_ONCE; i++) {
        struct memory_object *m = d->dma;
        d->dma = m->next_dma;
        object_unref(&m->object);
    }
    return !d->dma;
}

// It is lost: no driver gets the device again, so that is once for each device.
static void keep_memory(struct device *d)
{
    static struct memory_object *lost; // all there is of that
    while (d->dma) {
        struct memory_object *m = d->dma;
        memory_object_forgive(m);
        d->dma = m->next_dma;
        m->next_dma = lost;
        lost = m;
    }
}

bool device_destroy(struct object *o)
{
    struct device *d = container_of(o, struct device, object);
    spin_release(&rt_switch_lock);
    bool stopped = plat_devices->stop(d->number);
    spin_acquire(&rt_switch_lock);
    interrupts_look(); // why it was cut off is told before it is somebody else's
    spin_release(&rt_switch_lock);
    devices_look();
    spin_acquire(&rt_switch_lock);
    if (!stopped && ++d->asked < ASKS)
        return false;
    if (stopped && !drop_memory(d))
        return false;
    if (stopped)
        taken &= ~(1ull << d->number);
    else
        keep_memory(d);
    owned[d->number] = NULL;
    heap_free(d);
    return true;
}

status device_memory_new(struct process *p, struct device *d, u64 bytes, struct memory_object **out)
{
    if (!d->about->dma)
        return ERR_NOT_SUPPORTED;
    if (d->cut_off)
        return ERR_BAD_STATE;
    status s = memory_object_new(p, d, bytes, out);
    if (s)
        return s;
    kern_acquire();
    object_ref(&(*out)->object);
    (*out)->next_dma = d->dma;
    d->dma = *out;
    kern_release();
    return OK;
}

// --- Interrupts

status interrupt_new(struct device *d, u32 n, struct interrupt **out)
{
    if (n >= d->about->interrupts)
        return ERR_INVALID_ARG;
    if (d->cut_off)
        return ERR_BAD_STATE;
    struct interrupt *i = heap_zalloc(sizeof *i);
    if (!i)
        return ERR_NO_MEMORY;
    object_init(&i->object, OBJECT_interrupt);
    i->device = d;
    kern_acquire();
    s64 line = plat_devices->connect(d->number, n);
    if (line >= 0) {
        object_ref(&d->object);
        i->line = (u32)line;
        lines[line] = i;
        *out = i;
    }
    kern_release();
    if (line < 0)
        heap_free(i);
    return line < 0 ? (status)line : OK;
}

bool interrupt_destroy(struct object *o)
{
    struct interrupt *i = container_of(o, struct interrupt, object);
    plat_devices->disconnect(i->line);
    lines[i->line] = NULL;
    object_unref(&i->device->object);
    heap_free(i);
    return true;
}

status interrupt_ready(struct interrupt *i)
{
    kern_acquire();
    bool cut_off = i->device->cut_off;
    if (likely(!cut_off)) {
        object_clear(&i->object, NEBULET_EVENT_SIGNALED);
        plat_devices->ready(i->line);
    }
    kern_release();
    return cut_off ? ERR_BAD_STATE : OK;
}

static void cut_off(u32 number)
{
    if (owned[number])
        owned[number]->cut_off = true;
    for (u32 i = 0; i < PLAT_INTERRUPTS; i++)
        if (lines[i] && lines[i]->device->number == number)
            object_set(&lines[i]->object, NEBULET_EVENT_SIGNALED);
    __atomic_or_fetch(&devices_untold, 1ull << number, __ATOMIC_RELAXED);
}

void devices_tell(void)
{
    u64 untold = __atomic_exchange_n(&devices_untold, 0, __ATOMIC_RELAXED);
    for (; untold; untold &= untold - 1)
        plat_devices->tell((u32)__builtin_ctzll(untold));
}

// One that has come for whoever had the line before may be among them: drivers look for themselves
// whether there is anything to do.
void interrupts_take(void)
{
    u64 came = __atomic_exchange_n(&plat_interrupts, 0, __ATOMIC_ACQUIRE);
    for (; came; came &= came - 1) {
        u32 n = (u32)__builtin_ctzll(came);
        struct interrupt *i = n < PLAT_INTERRUPTS ? lines[n] : NULL;
        if (i)
            object_set(&i->object, NEBULET_EVENT_SIGNALED);
        if (n >= PLAT_CUT_OFF)
            cut_off(n - PLAT_CUT_OFF);
    }
}
