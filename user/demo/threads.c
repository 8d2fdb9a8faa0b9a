// SPDX-License-Identifier: MIT
// Threads of one process: producers and consumers around a small ring, and one more that spins all
// the while. They take turns, the spinning one like the others.
#include <stdlib.h>
#include <sip.h>

enum { PRODUCERS = 2, CONSUMERS = 3, EACH = 300, RING = 16 };

static struct sip_mutex mutex; // of the ring
static uint32_t ring[RING];
static uint32_t head, tail; // put so far, taken so far
static nebulet_handle not_empty, not_full;
static struct sip_once ready = {0};
static volatile uint32_t finished, spins;

static void make_events(void)
{
    not_empty = (nebulet_handle)sip_must(nebulet_event_create(), "an event");
    not_full = (nebulet_handle)sip_must(nebulet_event_create(), "an event");
}

// Lets go of the mutex until the event comes. It is rearmed with the mutex held, so one that comes
// in between is not lost; that another thread may rearm it first is why there is a time limit.
static void wait_for(nebulet_handle event)
{
    nebulet_event_rearm(event);
    sip_unlock(&mutex);
    nebulet_object_wait_one(event, NEBULET_EVENT_SIGNALED, sip_after(SIP_MS));
    sip_lock(&mutex);
}

static void put(uint32_t value)
{
    sip_lock(&mutex);
    while (head - tail == RING)
        wait_for(not_full);
    ring[head++ % RING] = value;
    sip_unlock(&mutex);
    sip_signal(not_empty);
}

static uint32_t take(void)
{
    sip_lock(&mutex);
    while (head == tail)
        wait_for(not_empty);
    uint32_t value = ring[tail++ % RING];
    sip_unlock(&mutex);
    sip_signal(not_full);
    return value;
}

static int32_t produce(void *arg)
{
    (void)arg;
    sip_once(&ready, make_events);
    for (uint32_t i = 1; i <= EACH; i++)
        put(i);
    return 0;
}

// Until a 0 comes. Every number is put into a block of its own for a while: malloc is for all.
static int32_t consume(void *arg)
{
    uint32_t *sum = arg, value;
    sip_once(&ready, make_events);
    while ((value = take()) != 0) {
        uint32_t *block = malloc(sizeof *block * (value % 50 + 1));
        *block = value;
        *sum += *block;
        free(block);
    }
    return 7;
}

static int32_t spin(void *arg)
{
    (void)arg;
    while (!finished)
        spins++;
    return 0;
}

int main(void)
{
    struct sip_thread producers[PRODUCERS], consumers[CONSUMERS], spinner;
    uint32_t sums[CONSUMERS] = {0}, sum = 0;
    int32_t value = 0;

    sip_must(sip_thread_start(&spinner, spin, NULL, 4096), "the spinner");
    for (int i = 0; i < CONSUMERS; i++)
        sip_must(sip_thread_start(&consumers[i], consume, &sums[i], 0), "a consumer");
    for (int i = 0; i < PRODUCERS; i++)
        sip_must(sip_thread_start(&producers[i], produce, NULL, 0), "a producer");
    for (int i = 0; i < PRODUCERS; i++)
        sip_must(sip_thread_join(&producers[i], NULL), "joining a producer");
    for (int i = 0; i < CONSUMERS; i++)
        put(0);
    for (int i = 0; i < CONSUMERS; i++) {
        sip_must(sip_thread_join(&consumers[i], &value), "joining a consumer");
        sum += sums[i];
    }
    finished = 1;
    sip_must(sip_thread_join(&spinner, NULL), "joining the spinner");
    sip_printf("%u numbers, sum %u, a consumer returns %d\n", head - CONSUMERS, sum, value);
    sip_printf("the spinner %s\n", spins ? "had its turns, and left the others theirs" : "starved");
    return 0;
}
