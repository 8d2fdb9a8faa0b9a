// SPDX-License-Identifier: MIT
// The platform that has nothing: it offers every function of the machine contract and refuses
// whatever can be refused. It exists to be linked with the core, freestanding: what is then still
// undefined is something that the core takes from its surroundings behind the contract's back. It
// is also where a new platform starts from.
#include "base/heap.h"
#include "base/assert.h"
#include "base/lock.h"
#include "plat/plat.h"

const size_t raw_paid;

void *raw_alloc(size_t size, struct account *payer)
{
    (void)payer;
    (void)size;
    return NULL;
}

void *raw_zalloc(size_t size, struct account *payer)
{
    (void)payer;
    (void)size;
    return NULL;
}

void raw_free(void *block)
{
    (void)block;
}

size_t raw_size(const void *block)
{
    (void)block;
    return 0;
}

size_t raw_room(const void *block)
{
    (void)block;
    return 0;
}

size_t raw_takes(const void *block, size_t size)
{
    (void)block, (void)size;
    return RAW_MOVES;
}

void *raw_resize(void *block, size_t size)
{
    (void)block, (void)size;
    return NULL;
}

void *raw_page(void)
{
    return NULL;
}

void raw_page_free(void *page)
{
    (void)page;
}

u64 plat_memory_peak(void)
{
    return 0;
}

void assert_failed(const char *where)
{
    (void)where;
    for (;;)
        ;
}

void spinlock_wait(const spinlock *l)
{
    (void)l;
}

void *plat_reserve(size_t size)
{
    (void)size;
    return NULL;
}

status plat_commit(void *p, size_t size)
{
    (void)p, (void)size;
    return ERR_NO_MEMORY;
}

void plat_prefer_large(void *p, size_t size)
{
    (void)p, (void)size;
}

status plat_commit_stack(void *p, size_t size, const void *ready, size_t ready_size)
{
    (void)ready, (void)ready_size;
    return plat_commit(p, size);
}

bool plat_touched(const void *p)
{
    (void)p;
    return true;
}

void plat_decommit(void *p, size_t size)
{
    (void)p, (void)size;
}

void plat_release(void *p, size_t size)
{
    (void)p, (void)size;
}

void plat_release_all(void **at, u32 n, size_t size)
{
    (void)at, (void)n, (void)size;
}

void plat_zero(void *p, size_t size)
{
    memset(p, 0, size);
}

const struct plat_costs plat_costs = {0};

struct plat_image *plat_image_create(const void *bytes, size_t size)
{
    (void)bytes, (void)size;
    return NULL;
}

void plat_image_free(struct plat_image *i)
{
    (void)i;
}

status plat_image_map(struct plat_image *i, void *p)
{
    (void)i, (void)p;
    return ERR_NOT_SUPPORTED;
}

void plat_image_unmap(struct plat_image *i, void *p)
{
    (void)i, (void)p;
}

struct plat_shared *plat_shared_create(size_t size)
{
    (void)size;
    return NULL;
}

bool plat_shared_free(struct plat_shared *m)
{
    (void)m;
    return true;
}

status plat_shared_map(struct plat_shared *m, size_t offset, void *p, size_t size)
{
    (void)m, (void)offset, (void)p, (void)size;
    return ERR_NOT_SUPPORTED;
}

void plat_shared_unmap(void *p, size_t size)
{
    (void)p, (void)size;
}

status plat_code_window(size_t size, struct plat_code *out)
{
    (void)size, (void)out;
    return ERR_NOT_SUPPORTED;
}

status plat_code_commit(const struct plat_code *w, size_t offset, size_t size)
{
    (void)w, (void)offset, (void)size;
    return ERR_NO_MEMORY;
}

void plat_code_decommit(const struct plat_code *w, size_t offset, size_t size)
{
    (void)w, (void)offset, (void)size;
}

void plat_code_publish(const struct plat_code *w, size_t offset, size_t size)
{
    (void)w, (void)offset, (void)size;
}

status plat_code_open(const struct plat_code *w, size_t offset, size_t size)
{
    (void)w, (void)offset, (void)size;
    return ERR_NO_MEMORY;
}

const struct plat_devices *const plat_devices;
u64 plat_interrupts;

u32 plat_cpu_count(void)
{
    return 1;
}

u32 plat_cpu_id(void)
{
    return 0;
}

status plat_cpu_start(u32 cpu, void (*entry)(void *), void *argument)
{
    (void)cpu, (void)entry, (void)argument;
    return ERR_NOT_SUPPORTED;
}

void plat_cpu_kick(u32 cpu)
{
    (void)cpu;
}

u64 plat_now(void)
{
    return 0;
}

u64 plat_wall_clock(void)
{
    return 0;
}

u64 plat_cpu_time(void)
{
    return 0;
}

void plat_timer(u64 at)
{
    (void)at;
}

void plat_wait(u64 until)
{
    (void)until;
}

void plat_poll(void)
{
}

void plat_on_fault(plat_fault_hook *hook)
{
    (void)hook;
}

void plat_stack_leave(struct plat_stack *own, const struct plat_stack *to)
{
    (void)own, (void)to;
}

void plat_stack_enter(struct plat_stack *own, struct plat_stack *from)
{
    (void)own, (void)from;
}

void plat_stack_dropped(void *low, size_t size)
{
    (void)low, (void)size;
}

void plat_console_write(const char *p, size_t n)
{
    (void)p, (void)n;
}

status plat_entropy(void *p, size_t n)
{
    (void)p, (void)n;
    return ERR_UNAVAILABLE;
}

void plat_exit(int code)
{
    (void)code;
    for (;;)
        ;
}
