// SPDX-License-Identifier: MIT
// A kernel that is a test: all CPUs use plat/pc at the same time, as wildly as they can. Instead of
// src/main/kernel.c it is linked with everything else; test/suites/boot.py boots it.
//
// Blocks of the heap, reservations and pages of the code window lie in boxes. A CPU takes what is
// in some box, checks that it finds there what the CPU before it has left, does something with it,
// and puts it back, for any CPU to find. So every unmapping is of something that other CPUs have
// had in their TLBs. In between they sleep, kick each other and are interrupted by timers. At the
// end everything is given back, and must be there.
#include "base/fmt.h"
#include "base/heap.h"
#include "plat/pc/pc.h"
#include "plat/pc/x86.h"

enum { BOXES = 24, CODE_PAGES = 8 };

struct item {
    enum { BLOCK, MEMORY, CODE, KINDS } kind;
    u8 *p;
    size_t size; // committed, in reservations
    status (*commit)(void *p, size_t size);
    u64 seed;                 // of what is in it; 0: nothing was written
    struct plat_image *image; // that is mapped there
    u64 step;                 // between the words that are looked at
};

static struct item *boxes[BOXES];
static struct plat_code code;
static u32 running, rounds;
static u8 image_bytes[8 * PLAT_PAGE - 104];
static u64 sleeps, latest;

static u64 random(u64 *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state >> 11;
}

static u64 word_of(const struct item *i, size_t at)
{
    if (i->seed)
        return i->seed * (at + 1);
    return i->image && at + 8 <= sizeof image_bytes ? load_u64(image_bytes + at) : 0;
}

static void check(const struct item *i, const u8 *p)
{
    for (size_t at = 0; at + 8 <= i->size; at += i->step)
        if (load_u64(p + at) != word_of(i, at))
            pc_panic(NULL, "CPU %u: kind %d, %lx of %lx at %p: %lx instead of %lx", plat_cpu_id(),
                     i->kind, (long)at, (long)i->size, (const void *)p, (long)load_u64(p + at),
                     (long)word_of(i, at));
}

static void fill(struct item *i, u64 *r)
{
    i->seed = random(r) | 1;
    i->step = i->kind == BLOCK ? 8 : 1 << random(r) % 7 << 8;
    for (size_t at = 0; at + 8 <= i->size; at += i->step)
        store_u64(i->p + at, word_of(i, at));
}

// --- What is done with each kind of thing

static void use_block(struct item *i, u64 *r)
{
    size_t size = random(r) % 4 ? random(r) % 3000 : random(r) % 300000;
    u8 *p = random(r) % 2 ? heap_resize(i->p, size) : NULL;
    if (p) {
        i->size = i->size < size ? i->size : size;
        i->p = p;
        check(i, p);
    } else {
        heap_free(i->p);
        i->p = heap_alloc(size);
    }
    i->size = i->p ? size : 0;
}

// This is C, so all of it must be promised.
static status commit_stack(void *p, size_t size)
{
    return plat_commit_stack(p, size, p, size);
}

// Before what is above it, or after, and with everything in it written to or its first page only.
static void put_stack_below(struct item *i, size_t size, u64 *r)
{
    u8 *stack = i->p;
    bool first = random(r) % 2;
    i->p += size;
    if ((!first && i->commit(i->p, i->size)) || commit_stack(stack, size) ||
        (first && i->commit(i->p, i->size)))
        pc_panic(NULL, "no memory");
    if (random(r) % 2)
        memset(stack, 0xaa, size);
}

static void renew(struct item *i, u64 *r)
{
    static const size_t sizes[] = {16 << 10, 2 << 20, 32 << 20, 6ull << 30};
    if (i->p)
        plat_release(i->p, 0);
    i->size = PLAT_PAGE << random(r) % 5;
    size_t stack = PLAT_PAGE << random(r) % 5;
    i->p = plat_reserve(sizes[random(r) % countof(sizes)] + i->size + stack);
    i->commit = random(r) % 2 ? plat_commit : commit_stack;
    if (!i->p)
        pc_panic(NULL, "no address space");
    if (i->commit == plat_commit && random(r) % 2)
        put_stack_below(i, stack, r);
    else if (i->commit(i->p, i->size))
        pc_panic(NULL, "no memory");
}

static void recommit(struct item *i, u64 *r)
{
    bool whole = i->image || i->commit == commit_stack || random(r) % 2;
    size_t kept = whole ? 0 : i->size / 2 & ~(PLAT_PAGE - 1);
    plat_decommit(i->p + kept, i->size - kept);
    if (kept)
        plat_zero(i->p, kept);
    if (i->commit(i->p + kept, i->size - kept))
        pc_panic(NULL, "no memory");
}

// A new one each time, for images learn.
static void map_image(struct item *i)
{
    i->image = plat_image_create(image_bytes, sizeof image_bytes);
    if (!plat_image_map(i->image, i->p))
        return;
    plat_image_free(i->image);
    i->image = NULL;
}

static void unmap_image(struct item *i)
{
    plat_image_free(i->image);
    i->image = NULL;
}

static void use_memory(struct item *i, u64 *r)
{
    u64 what = i->p ? random(r) % 4 : 0;
    i->seed = 0;
    if (what == 1) {
        plat_zero(i->p, i->size);
    } else {
        if (what == 2 && i->image)
            plat_image_unmap(i->image, i->p);
        else if (what)
            recommit(i, r);
        else
            renew(i, r);
        unmap_image(i);
        plat_zero(i->p, i->size);
        if (what != 2)
            map_image(i);
    }
    if (random(r) % 2)
        check(i, i->p);
}

// No page is both written to and run, at whatever address; the direct map is one.
static void check_alias(u64 address)
{
    u64 entry = table_entry(address), writes = table_entry(address + CODE_WINDOW_MAX);
    if (!(entry & PTE_PRESENT))
        return;
    u64 page = entry & PTE_ADDRESS, direct = table_entry(page);
    if (entry & PTE_NX || entry & PTE_WRITE || writes || !direct || direct & PTE_WRITE)
        pc_panic(NULL, "CPU %u: code at %lx is written to: %lx %lx %lx", plat_cpu_id(),
                 (long)address, (long)entry, (long)writes, (long)direct);
}

// Published, maybe opened and published once more, and given back.
static void use_code(struct item *i, u64 *r)
{
    size_t at = (size_t)(i->p - code.write);
    plat_code_publish(&code, at, i->size);
    if (random(r) % 2) {
        plat_code_open(&code, at, i->size);
        check(i, code.run + at);
        check(i, i->p);
        plat_code_publish(&code, at, i->size);
    }
    check(i, code.run + at);
    for (size_t k = 0; k < i->size; k += PLAT_PAGE)
        check_alias((u64)code.run + at + k);
    plat_code_decommit(&code, at, i->size);
    if (plat_code_commit(&code, at, i->size))
        pc_panic(NULL, "no memory");
    i->seed = 0;
    check(i, i->p);
}

static void use(struct item *i, u64 *r)
{
    static void (*const uses[KINDS])(struct item *i, u64 *r) = {use_block, use_memory, use_code};
    if (i->p)
        check(i, i->p);
    if (random(r) % 16 == 0)
        uses[i->kind](i, r);
    if (random(r) % 4 == 0 || i->kind == BLOCK)
        fill(i, r);
}

// --- All CPUs

static void check_time(void)
{
    u64 before = __atomic_load_n(&latest, __ATOMIC_SEQ_CST), now = plat_now();
    if (now < before)
        pc_panic(NULL, "CPU %u: %lu ns after %lu", plat_cpu_id(), (long)now, (long)before);
    __atomic_store_n(&latest, now, __ATOMIC_SEQ_CST);
}

static void work(void *argument)
{
    u64 r = (u64)argument * 0x9e3779b97f4a7c15;
    for (u32 round = 0; round < rounds; round++) {
        struct item **box = &boxes[random(&r) % BOXES];
        struct item *i = __atomic_exchange_n(box, NULL, __ATOMIC_ACQ_REL);
        if (i)
            use(i, &r);
        while (i && (i = __atomic_exchange_n(box, i, __ATOMIC_ACQ_REL)))
            box = &boxes[random(&r) % BOXES];
        check_time();
        if (random(&r) % 16 == 0)
            plat_cpu_kick((u32)random(&r) % plat_cpu_count());
        if (random(&r) % 16 == 0) {
            plat_timer(plat_now() + random(&r) % 100000);
            plat_wait(plat_now() + random(&r) % 100000);
            __atomic_fetch_add(&sleeps, 1, __ATOMIC_RELAXED);
        }
    }
    plat_timer(UINT64_MAX);
    __atomic_fetch_sub(&running, 1, __ATOMIC_ACQ_REL);
    plat_cpu_kick(0);
}

static void put_items(struct item *items)
{
    for (u32 n = 0; n < BOXES; n++) {
        items[n] = (struct item){.kind = n % KINDS, .step = 8};
        if (n % KINDS == CODE) {
            items[n].size = CODE_PAGES * PLAT_PAGE;
            items[n].p = code.write + n * items[n].size;
            if (plat_code_commit(&code, n * items[n].size, items[n].size))
                pc_panic(NULL, "no memory");
        }
        boxes[n] = &items[n];
    }
}

static void take_items(void)
{
    for (u32 n = 0; n < BOXES; n++) {
        struct item *i = boxes[n];
        check(i, i->p);
        if (i->kind == BLOCK)
            heap_free(i->p);
        else if (i->kind == MEMORY && i->p)
            plat_release(i->p, 0);
        else if (i->kind == CODE)
            plat_code_decommit(&code, (size_t)(i->p - code.write), i->size);
        plat_image_free(i->image);
    }
}

// The number after the last `=` of the command line.
static u32 number(const char *text)
{
    u32 n = 0;
    for (; *text; text++)
        n = *text == '=' ? 0 : *text >= '0' && *text <= '9' ? n * 10 + (u32)(*text - '0') : n;
    return n;
}

void kernel_main(void)
{
    static struct item items[BOXES];
    char text[100];
    if (plat_code_window(64 << 20, &code))
        pc_panic(NULL, "no code window");
    for (size_t at = 0; at < sizeof image_bytes; at++)
        image_bytes[at] = at / PLAT_PAGE == 3 ? 0 : (u8)(at * 7 + at / PLAT_PAGE);
    u64 pages = pages_free_count() + vm_kept_pages, heap = heap_used();
    rounds = number(boot.command_line);
    put_items(items);
    running = plat_cpu_count();
    for (u32 i = 1; i < plat_cpu_count(); i++)
        if (plat_cpu_start(i, work, (void *)(u64)(i + 1)))
            pc_panic(NULL, "CPU %u does not start", i);
    work((void *)1);
    while (__atomic_load_n(&running, __ATOMIC_ACQUIRE))
        plat_wait(UINT64_MAX);
    take_items();
    if (pages_free_count() + vm_kept_pages != pages || heap_used() != heap)
        pc_panic(NULL, "%ld pages and %ld bytes of heap are missing",
                 (long)(pages - pages_free_count() - vm_kept_pages), (long)(heap_used() - heap));
    size_t n = fmt(text, sizeof text, "%u CPUs, %lu sleeps, %lu ms of %lu\n", plat_cpu_count(),
                   (long)sleeps, (long)plat_cpu_time() / 1000000, (long)plat_now() / 1000000);
    plat_console_write(text, n);
    plat_exit(0);
}
