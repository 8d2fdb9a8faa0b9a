// SPDX-License-Identifier: MIT
// What is said of any object, time, and random numbers.
#include <sip.h>

int64_t sip_wait(nebulet_handle object, uint32_t signals)
{
    return nebulet_object_wait_one(object, signals, NEBULET_FOREVER);
}

int64_t sip_signal(nebulet_handle event)
{
    return nebulet_object_signal(event, 0, NEBULET_EVENT_SIGNALED);
}

void sip_close(nebulet_handle handle)
{
    if (handle != NEBULET_NO_HANDLE)
        nebulet_handle_close(handle);
}

void sip_random(void *bytes, size_t size)
{
    sip_must(nebulet_cprng_fill(bytes, (uint32_t)size), "random numbers");
}

uint64_t sip_now(void)
{
    return (uint64_t)nebulet_clock_now(NEBULET_MONOTONIC);
}

uint64_t sip_after(uint64_t ns)
{
    uint64_t now = sip_now();
    return ns < NEBULET_FOREVER - now ? now + ns : NEBULET_FOREVER;
}

void sip_sleep(uint64_t ns)
{
    nebulet_object_wait_many(NULL, 0, sip_after(ns));
}

int64_t sip_timer(uint64_t first, uint64_t period)
{
    int64_t timer = nebulet_timer_create();
    if (timer < 0)
        return timer;
    int64_t result = nebulet_timer_set((nebulet_handle)timer, sip_after(first), period);
    if (result >= 0)
        return timer;
    sip_close((nebulet_handle)timer);
    return result;
}

int64_t sip_tick(nebulet_handle timer, uint64_t deadline)
{
    int64_t result = nebulet_object_wait_one(timer, NEBULET_EVENT_SIGNALED, deadline);
    return result < 0 ? result : nebulet_object_signal(timer, NEBULET_EVENT_SIGNALED, 0);
}
