// SPDX-License-Identifier: MIT
// What is waited for: a set that stays in the kernel, so a wait costs what has happened.
#include "net.h"

enum { AT_ONCE = 32 };

static struct {
    struct watch *watch; // NULL: the place is free
    nebulet_handle handle;
    uint32_t signals; // of a free place: the next one
} places[NEBULET_WAIT_MAX];
static uint32_t count = 1, free_place, used = 1; // place 0 is nobody's; `used` were once
static nebulet_handle set = NEBULET_NO_HANDLE;
static struct nebulet_ready ready[AT_ONCE];
static uint32_t ready_count; // that have not been called yet

uint64_t watch_now;

uint32_t watch_room(void)
{
    return NEBULET_WAIT_MAX - count;
}

__attribute__((noinline)) static void put(uint32_t place, nebulet_handle handle, uint32_t signals)
{
    places[place].handle = handle;
    places[place].signals = signals;
    for (uint32_t i = 0; i < ready_count; i++)
        if (ready[i].place == place)
            ready[i].observed = 0; // of what was there before
    sip_must(nebulet_waitset_put(set, place, handle, signals), "net: what it waits for");
}

static uint32_t take_place(void)
{
    uint32_t place = free_place;
    if (count == NEBULET_WAIT_MAX)
        sip_panic("net: too much to wait for");
    count++;
    if (!place)
        return used++;
    free_place = places[place].signals;
    return place;
}

__attribute__((noinline)) void watch_for(struct watch *w, nebulet_handle handle, uint32_t signals)
{
    if (!signals) {
        watch_end(w);
        return;
    }
    if (set == NEBULET_NO_HANDLE)
        set = (nebulet_handle)sip_must(nebulet_waitset_create(), "net: waiting");
    if (!w->place)
        w->place = take_place();
    else if (places[w->place].handle == handle && places[w->place].signals == signals)
        return;
    places[w->place].watch = w;
    put(w->place, handle, signals);
}

__attribute__((noinline)) void watch_end(struct watch *w)
{
    if (!w->place)
        return;
    put(w->place, NEBULET_NO_HANDLE, free_place);
    places[w->place].watch = NULL;
    free_place = w->place;
    w->place = 0;
    count--;
}

void watch_wait(uint64_t deadline)
{
    int64_t how = nebulet_waitset_wait(set, ready, AT_ONCE, deadline);
    watch_now = sip_now();
    if (how == NEBULET_ERR_TIMED_OUT || how == NEBULET_ERR_SHOULD_WAIT)
        return;
    ready_count = (uint32_t)sip_must(how, "net: waiting");
    while (ready_count) {
        const struct nebulet_ready r = ready[--ready_count];
        struct watch *w = places[r.place].watch;
        if (w && r.observed & places[r.place].signals)
            w->ready(w, r.observed & places[r.place].signals);
    }
}
