// SPDX-License-Identifier: MIT
// Locks for the threads of one process.
#include <sip.h>

#include "heap.h"

static struct sip_mutex heap;
static bool shared;

// A lock that cannot be had, or was free, is a mistake of the program: it shall not go on.
void sip_lock(struct sip_mutex *mutex)
{
    sip_must(nebulet_pfex_acquire(&mutex->word), "sip_lock");
}

void sip_unlock(struct sip_mutex *mutex)
{
    sip_must(nebulet_pfex_release(&mutex->word), "sip_unlock");
}

// done is set when the function is through, so whoever sees it needs no lock.
void sip_once(struct sip_once *once, void (*function)(void))
{
    if (*(volatile uint32_t *)&once->done)
        return;
    sip_lock(&once->mutex);
    if (!once->done) {
        function();
        *(volatile uint32_t *)&once->done = 1;
    }
    sip_unlock(&once->mutex);
}

void sip_heap_lock(void)
{
    if (shared)
        sip_lock(&heap);
}

void sip_heap_unlock(void)
{
    if (shared)
        sip_unlock(&heap);
}

void sip_heap_shared(void)
{
    shared = true;
}
