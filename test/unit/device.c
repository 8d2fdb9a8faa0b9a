// SPDX-License-Identifier: MIT
// Unit test of kern/device.h's promise about memory that a device reaches, with a device that stops
// at once, later, or never: its pages stay until it has stopped, and then go, and with them what
// was charged; one that never stops keeps them, is nobody's any more, and nobody pays.
#include "kern/device.h"
#include "kern/memory.h"
#include "kern/sched.h"
#include "rt/rt.h"

#include <stdio.h>

enum { BYTES = 16 * PLAT_PAGE, BESIDE = 3 * PLAT_PAGE, NEVER = 1 << 30 };

static int passed, failed;
#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (what) {                                                                                \
            passed++;                                                                              \
        } else {                                                                                   \
            failed++;                                                                              \
            printf("%s:%d: %s\n", __FILE__, __LINE__, #what);                                      \
        }                                                                                          \
    } while (0)

// --- Devices of which each is a number of times asked to stop.
static const u32 patience[] = {0, 3, NEVER};
static u32 asked[3];
static const bool strays[] = {true, false, false};
static u32 told;
static struct memory_object *watched; // while it may not be gone
static struct account *account;

static const struct plat_device *get(u32 n)
{
    static const struct plat_device about = {.dma = true};
    return n < 3 ? &about : NULL;
}

static bool stop(u32 n)
{
    CHECK(account->of[ACCOUNT_MEMORY].used == 2 * (BYTES + BESIDE));
    CHECK(watched->object.refs == 1);
    bool done = asked[n]++ >= patience[n];
    if (done && strays[n]) // it is found out only now
        plat_interrupts |= 1ull << (PLAT_CUT_OFF + n);
    return done;
}

static u64 beside(void)
{
    return BESIDE;
}

static void tell(u32 n)
{
    CHECK(strays[n]);
    told++;
}

static struct plat_shared *memory(u32 n, size_t size, u64 *address)
{
    (void)n;
    *address = 0x1000;
    return plat_shared_create(size);
}

static const struct plat_devices fake = {
    .get = get, .stop = stop, .memory = memory, .beside = beside, .tell = tell};
const struct plat_devices *const plat_devices = &fake;

// There is no CPU here that could be told of work; this program sees to it itself.
void sched_work_waits(void)
{
}

static void work_off(void)
{
    kern_acquire();
    for (u32 i = 0; i < 10000 && kern_work; i++)
        kern_work_off();
    kern_release();
}

// Where it may not go, once: it gets no more memory until it is somebody else's.
static void cut_off(struct process *p, struct device *d, u32 n)
{
    struct memory_object *m;
    u32 before = told;
    plat_interrupts |= 1ull << (PLAT_CUT_OFF + n);
    kern_acquire();
    interrupts_look();
    kern_release();
    CHECK(d->cut_off && told == before);
    devices_look();
    devices_look();
    CHECK(told == before + 1);
    CHECK(device_memory_new(p, d, BYTES, &m) == ERR_BAD_STATE);
}

static void live(u32 n)
{
    static struct process p;
    struct device *d, *again;
    struct memory_object *m[2];
    const u64 most[ACCOUNT_KINDS] = {0};
    account = p.account = account_new(NULL, most, sizeof *account);
    CHECK(!device_new(n, &d));
    CHECK(device_new(n, &again) == ERR_ALREADY_OWNED);
    for (u32 i = 0; i < 2; i++)
        CHECK(!device_memory_new(&p, d, BYTES, &m[i]));
    watched = m[0];
    CHECK(!d->cut_off);
    if (strays[n])
        cut_off(&p, d, n);
    kern_acquire();
    object_unref(&m[0]->object);
    object_unref(&m[1]->object);
    kern_release();
    work_off();
    CHECK(account->of[ACCOUNT_MEMORY].used == 2 * (BYTES + BESIDE));
    kern_acquire();
    object_unref(&d->object);
    kern_release();
    work_off();
    CHECK(account->of[ACCOUNT_MEMORY].used == 0);
    CHECK(account->of[ACCOUNT_KEPT].used == account->size);
    account_unref(account);
}

int main(void)
{
    struct device *d;
    rt_init();
    live(0);
    live(0);
    live(1);
    CHECK(told == 4); // twice each
    CHECK(asked[1] == 4);
    live(2);
    CHECK(asked[2] > 100);
    CHECK(device_new(2, &d) == ERR_ALREADY_OWNED);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
