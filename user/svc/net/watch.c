// SPDX-License-Identifier: MIT
// What is waited for: all of it at once, in a list that is asked from its end on.
#include "net.h"

static struct nebulet_wait items[NEBULET_WAIT_MAX];
static struct watch *watches[NEBULET_WAIT_MAX];
static uint32_t count = 1; // place 0 is nobody's

uint64_t watch_now;

uint32_t watch_room(void)
{
    return NEBULET_WAIT_MAX - count;
}

void watch_for(struct watch *w, nebulet_handle handle, uint32_t signals)
{
    if (!signals) {
        watch_end(w);
        return;
    }
    if (!w->place) {
        if (count == NEBULET_WAIT_MAX)
            sip_panic("net: too much to wait for");
        w->place = count++;
    }
    watches[w->place] = w;
    items[w->place].handle = handle;
    items[w->place].signals = signals;
    items[w->place].observed = 0;
}

void watch_end(struct watch *w)
{
    if (!w->place)
        return;
    count--;
    items[w->place] = items[count];
    watches[w->place] = watches[count];
    watches[w->place]->place = w->place;
    w->place = 0;
}

// So many are ready. From the last to the first: who ends is replaced by the last, which has been
// asked already.
static void call_ready(uint32_t ready)
{
    for (uint32_t i = count; ready && --i > 0;) {
        if (i >= count)
            continue;
        uint32_t signals = items[i].observed & items[i].signals;
        if (!signals)
            continue;
        items[i].observed = 0;
        ready--;
        watches[i]->ready(watches[i], signals);
    }
}

void watch_wait(uint64_t deadline)
{
    int64_t how = nebulet_object_wait_many(items + 1, count - 1, deadline);
    watch_now = sip_now();
    if (how != NEBULET_ERR_TIMED_OUT && how != NEBULET_ERR_SHOULD_WAIT)
        call_ready((uint32_t)sip_must(how, "net: waiting"));
}
