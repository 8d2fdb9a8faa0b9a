// SPDX-License-Identifier: MIT
// Linear memories: 4 GiB and a guard reserved for each, of which the front is accessible. A 32-bit
// index plus a static offset below the guard's size can reach nothing else, so compiled code checks
// nothing.
//
//   thread's stacks (thread.c) | memory | not accessible, to 4 GiB | guard
//
// In front of a memory with addresses of 64 bits there is a little more that is not accessible, for
// constants that code subtracts from an address that it knows (fast/below.c).
//
// The reservation begins with room for the stacks of a thread. Most processes have one memory and
// one thread, and use little of either: this way they need one page table for both, not two. What
// lies there is out of a guest's reach, for what it adds to the base is never negative.
//
// To reserve and to commit cost system calls and page tables, so a realm keeps the reservations of
// memories that are gone, with what was accessible left so and zeroed. A small memory is zeroed by
// hand and its pages stay: the next instance of the same module then costs no system call and no
// page fault. For a larger one the platform does it, in time that goes with the pages that were
// touched. Nobody pays for what lies in the pool, so that is so of a few only: the others are mere
// address space, with the page of their thread's record.
#include "rt/memory.h"
#include "base/lookup.h"
#include "plat/plat.h"
#include "rt/thread.h"

enum { POOL_MAX = 256 };

// What lies in front of the memory.
static u64 room(const struct realm *r, const struct memory_slot *slot)
{
    return thread_room(r) + memory_front(slot);
}

static struct memory_slot *new_slot(const struct realm *r, bool wide)
{
    struct memory_slot *slot = heap_zalloc_for(NULL, sizeof *slot);
    if (slot)
        slot->wide = wide;
    u8 *p = slot ? plat_reserve(room(r, slot) + MEMORY_RESERVATION) : NULL;
    if (!p) {
        heap_free(slot);
        return NULL;
    }
    slot->vm.base = p + room(r, slot);
    return slot;
}

static void release_slot(const struct realm *r, struct memory_slot *slot)
{
    plat_release(slot->vm.base - room(r, slot), room(r, slot) + MEMORY_RESERVATION);
    heap_free(slot);
}

static bool suits(const struct memory_slot *slot, u64 bytes, const struct plat_image *image)
{
    return slot->vm.bytes == bytes && slot->image == image;
}

// From the pool: one with just these bytes accessible, else the one that was freed last; else a new
// one.
static struct memory_slot *take_slot(struct realm *s, bool wide, u64 bytes,
                                     const struct plat_image *image)
{
    spin_acquire(&s->lock);
    struct memory_slot **found = NULL;
    for (struct memory_slot **p = &s->free_slots; *p; p = &(*p)->next) {
        if ((*p)->wide != wide)
            continue;
        found = found ? found : p;
        if (suits(*p, bytes, image)) {
            found = p;
            break;
        }
    }
    struct memory_slot *slot = found ? *found : NULL;
    if (slot) {
        *found = slot->next;
        s->nfree_slots--;
        s->leaving_images += slot->image && !suits(slot, bytes, image);
    }
    spin_release(&s->lock);
    return slot ? slot : new_slot(s, wide);
}

static void unmap_image(struct memory_slot *slot)
{
    if (slot->image)
        plat_image_unmap(slot->image, slot->vm.base);
    slot->image = NULL;
}

// One that has just been taken. Whoever frees the image waits for that.
static void drop_image(struct realm *r, struct memory_slot *slot)
{
    if (!slot->image)
        return;
    unmap_image(slot);
    __atomic_sub_fetch(&r->leaving_images, 1, __ATOMIC_RELEASE);
}

static void put_slot(struct realm *s, struct memory_slot *slot)
{
    spin_acquire(&s->lock);
    bool full = s->nfree_slots >= POOL_MAX;
    if (!full) {
        slot->next = s->free_slots;
        s->free_slots = slot;
        s->nfree_slots++;
    }
    spin_release(&s->lock);
    if (full)
        release_slot(s, slot);
}

// Makes just the first `bytes` accessible.
static status fit(struct vm_memory *m, u64 bytes)
{
    if (m->bytes > bytes)
        plat_decommit(m->base + bytes, m->bytes - bytes);
    else if (m->bytes < bytes && plat_commit(m->base + m->bytes, bytes - m->bytes))
        return ERR_NO_MEMORY;
    m->bytes = bytes;
    return OK;
}

void store_count(struct store *s, u64 bytes)
{
    s->memory += bytes;
    if (s->memory > s->peak_memory)
        s->peak_memory = s->memory;
}

// Of page tables, with the one that it shares with the thread in front of it.
static u64 tables(bool wide, u64 bytes)
{
    u64 front = wide ? VM_MEMORY_FRONT : 0;
    return plat_tables(THREAD_ROOM_MAX - PLAT_PAGE, THREAD_ROOM_MAX + front + bytes);
}

bool store_charge(struct store *s, u64 bytes, u64 beside)
{
    bool paid = account_charge_memory(s->account, bytes, beside);
    if (paid)
        store_count(s, bytes);
    return paid;
}

// After the pages are gone, so that nobody has them a second time.
void store_discharge(struct store *s, u64 bytes, u64 beside)
{
    s->memory -= bytes;
    account_discharge_memory(s->account, bytes, beside);
}

status memory_create(struct store *s, const struct limits *limits, struct plat_image *image,
                     struct vm_memory **out)
{
    *out = NULL;
    u64 bytes = limits->min * WASM_PAGE;
    u64 beside = tables(limits->wide, bytes);
    if (limits->min > MAX_PAGES || !store_charge(s, bytes, beside))
        return ERR_NO_MEMORY;
    struct memory_slot *slot = take_slot(s->realm, limits->wide, bytes, image);
    if (slot && !suits(slot, bytes, image))
        drop_image(s->realm, slot);
    if (!slot || fit(&slot->vm, bytes)) {
        if (slot)
            put_slot(s->realm, slot);
        store_discharge(s, bytes, beside);
        return ERR_NO_MEMORY;
    }
    slot->vm.max = (limits->max < MAX_PAGES ? limits->max : MAX_PAGES) * WASM_PAGE;
    *out = &slot->vm;
    return OK;
}

enum { PIECE = 4 << 20 };

void memory_cut(struct store *s, struct vm_memory *m, u64 bytes, u64 given)
{
    struct memory_slot *slot = (struct memory_slot *)m;
    slot->given -= given;
    while (m->bytes > bytes) {
        u64 n = m->bytes - bytes < PIECE ? m->bytes - bytes : PIECE, unpaid = given < n ? given : n;
        plat_decommit(m->base + m->bytes - n, n);
        m->bytes -= n;
        given -= unpaid;
        store_discharge(s, n - unpaid,
                        tables(slot->wide, m->bytes + n) - tables(slot->wide, m->bytes));
        look_up();
    }
}

void memory_give(struct store *s, struct vm_memory *m, u64 at, u64 bytes)
{
    for (u64 n; bytes; at += n, bytes -= n) {
        n = bytes < PIECE ? bytes : PIECE;
        plat_zero(m->base + at, n);
        ((struct memory_slot *)m)->given += n;
        store_discharge(s, n, 0);
        look_up();
    }
}

bool memory_take(struct store *s, struct vm_memory *m, u64 bytes)
{
    bool paid = store_charge(s, bytes, 0);
    if (paid)
        ((struct memory_slot *)m)->given -= bytes;
    return paid;
}

// What stays is set aside for it as long as it lies in the pool.
void memory_shrink(struct store *s, struct vm_memory *m)
{
    enum { LARGE = 1 << 20 };
    if (m->bytes <= LARGE)
        return;
    unmap_image((struct memory_slot *)m);
    memory_cut(s, m, LARGE, 0);
}

bool memory_image(struct vm_memory *m, struct plat_image *image)
{
    struct memory_slot *slot = (struct memory_slot *)m;
    if (!slot->image && !plat_image_map(image, m->base))
        slot->image = image;
    return slot->image;
}

status memory_share(struct vm_memory *m, u64 address, struct plat_shared *s, u64 offset, u64 size)
{
    ((struct memory_slot *)m)->patched = true;
    return plat_shared_map(s, offset, m->base + address, size);
}

// Where an image is mapped, its pages would come back.
void memory_unshare(struct vm_memory *m, u64 address, u64 size)
{
    plat_shared_unmap(m->base + address, size);
    if (((struct memory_slot *)m)->image)
        memset(m->base + address, 0, size);
}

void memory_free(struct store *s, struct vm_memory *m)
{
    if (!m)
        return;
    struct memory_slot *slot = (struct memory_slot *)m;
    if (slot->patched)
        unmap_image(slot);
    slot->patched = false;
    memory_shrink(s, m);
    u64 bytes = m->bytes, beside = tables(slot->wide, bytes);
    if (s->realm->closing) {
        release_slot(s->realm, slot);
    } else {
        if (__atomic_load_n(&s->realm->nfree_slots, __ATOMIC_RELAXED) >= POOL_WARM) {
            unmap_image(slot);
            fit(m, 0);
        } else if (bytes < plat_costs.zero && !slot->image) {
            memset(m->base, 0, bytes);
        } else {
            plat_zero(m->base, bytes);
        }
        put_slot(s->realm, slot);
    }
    store_discharge(s, bytes, beside);
}

// Slots leave the pool while this works on them, so that the lock is not held for long.
void memories_forget(struct realm *r, struct plat_image *image)
{
    for (struct memory_slot *slot = NULL; image; put_slot(r, slot)) {
        spin_acquire(&r->lock);
        struct memory_slot **p = &r->free_slots;
        while (*p && (*p)->image != image)
            p = &(*p)->next;
        if ((slot = *p)) {
            *p = slot->next;
            r->nfree_slots--;
        }
        spin_release(&r->lock);
        if (!slot)
            break;
        unmap_image(slot);
    }
    while (image && __atomic_load_n(&r->leaving_images, __ATOMIC_ACQUIRE))
        __builtin_ia32_pause(); // nobody looks up before it is unmapped
}

s64 memory_grow(struct store *s, struct vm_memory *m, u64 pages)
{
    if (pages > MAX_PAGES)
        return -1;
    bool wide = ((struct memory_slot *)m)->wide;
    u64 delta = pages * WASM_PAGE, old = m->bytes;
    u64 beside = tables(wide, old + delta) - tables(wide, old);
    if (delta > m->max - old || !store_charge(s, delta, beside))
        return -1;
    if (plat_commit(m->base + old, delta)) {
        store_discharge(s, delta, beside);
        return -1;
    }
    m->bytes = old + delta;
    return (s64)(old / WASM_PAGE);
}

status memory_none(struct store *s)
{
    struct realm *r = s->realm;
    if (s->no_memory.base)
        return OK;
    spin_acquire(&r->lock);
    if (!r->no_memory)
        r->no_memory = plat_reserve(MEMORY_RESERVATION);
    s->no_memory.base = r->no_memory;
    spin_release(&r->lock);
    return s->no_memory.base ? OK : ERR_NO_MEMORY;
}

struct vm_memory *store_memory(struct store *s, const struct limits *pages)
{
    struct vm_memory *m;
    if (memory_create(s, pages, NULL, &m))
        return NULL;
    struct memory_slot *slot = (struct memory_slot *)m;
    slot->next = s->owned_memories;
    s->owned_memories = slot;
    return m;
}

void memories_free(struct store *s)
{
    for (struct memory_slot *p; (p = s->owned_memories);) {
        s->owned_memories = p->next;
        memory_shrink(s, &p->vm);
        u64 bytes = p->vm.bytes, beside = tables(p->wide, bytes);
        release_slot(s->realm, p);
        store_discharge(s, bytes, beside);
    }
}

void memories_release(struct realm *r)
{
    for (struct memory_slot *p; (p = r->free_slots);) {
        r->free_slots = p->next;
        release_slot(r, p);
    }
    if (r->no_memory)
        plat_release(r->no_memory, MEMORY_RESERVATION);
}
