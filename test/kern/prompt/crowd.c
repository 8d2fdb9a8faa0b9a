// SPDX-License-Identifier: MIT
// A crowd: a process of many threads, every other one of thread_spawn and of WASI, which wait for
// memory, in calls, for a time or a lock, or run. It is told how many by prompt.c, says when all of
// them are where they shall be, and does then what it is to be ended by.
//
// A thread of WASI begins with the stack pointer of the first one, so threads have no variables in
// memory of their own.
#include "../nebulet.h"

#include "crowd.h"

enum { STACK = 256, MOST = 1000 };

static struct crowd_order order;
static char stacks[MOST + 1][STACK] __attribute__((aligned(16)));
static _Atomic u32 ready, ran;
static u32 go, never, lock, event;
static u64 later;

__attribute__((import_module("wasi"), import_name("thread-spawn"))) int spawn_wasi(u32 arg);

static void wait_for(u32 *word)
{
    while (!*(volatile u32 *)word)
        __builtin_wasm_memory_atomic_wait32((int *)word, 0, -1);
}

static void run(void)
{
    ready++;
    wait_for(&go);
    ran++;
    nb_thread_yield(); // or all the others wait for a whole turn of each
    for (volatile u32 *x = &never;; (void)*x)
        ;
}

static bool runs(u32 i)
{
    return order.kind == CROWD_RUNS || (order.kind == CROWD_FEW_RUN && i % 50 < 2);
}

static void thread(u32 i)
{
    if (runs(i))
        run();
    ready++;
    switch (i / 2 % 4) {
    case 0: wait_for(&never); break;
    case 1: nb_object_wait_one(event, NEBULET_EVENT_SIGNALED, FOREVER); break;
    case 2: nb_object_wait_many(NULL, 0, later - i); break;
    case 3: nb_pfex_acquire(&lock); break;
    }
}

__attribute__((export_name("wasi_thread_start"))) void wasi_thread_start(int id, u32 i)
{
    (void)id;
    thread(i);
}

static s64 begin(u32 i)
{
    return i % 2 ? spawn_wasi(i)
                 : nb_thread_spawn((u32)(uintptr_t)thread, i, (u32)(uintptr_t)stacks[i + 1]);
}

__attribute__((export_name("_start"))) void _start(void)
{
    u32 running = 0;
    u64 at;
    if (nb_channel_recv(0, &order, sizeof order, NULL, 0, NULL, FOREVER) != sizeof order ||
        order.threads > MOST)
        nb_exit(1);
    event = (u32)nb_event_create();
    lock = 1;
    later = (u64)nb_clock_now(NEBULET_MONOTONIC) + 1000000 * MS;
    for (u32 i = 0; i < order.threads; running += runs(i), i++)
        if (begin(i) < 0)
            nb_exit(2);
    while (ready < order.threads)
        nb_thread_yield();
    go = 1;
    __builtin_wasm_memory_atomic_notify((int *)&go, UINT32_MAX);
    while (ran < running)
        nb_thread_yield();
    if (order.watchdog)
        nb_watchdog_setup(order.watchdog);
    at = (u64)nb_clock_now(NEBULET_MONOTONIC) + order.watchdog;
    nb_channel_send(0, &at, sizeof at, NULL, 0, FOREVER);
    if (order.end != CROWD_RETURN)
        wait_for(&never);
    nb_channel_recv(0, NULL, 0, NULL, 0, NULL, FOREVER);
    at = (u64)nb_clock_now(NEBULET_MONOTONIC);
    nb_channel_send(0, &at, sizeof at, NULL, 0, FOREVER);
}
