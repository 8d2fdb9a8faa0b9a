// SPDX-License-Identifier: MIT
// Linked into a file server, or (MORTAL_DRIVER) the driver of a disk: it ends after LIFE answers,
// every other time before the last of them. MORTAL_ONE: a file server that has one client.
#include <stdlib.h>
#include <sip.h>

#ifndef LIFE
#define LIFE 80
#endif

static bool is_over(void)
{
    static uint32_t answers;
    return ++answers >= LIFE;
}

#ifdef MORTAL_DRIVER
#include "../../user/drv/virtio.h"
bool __real_virtio_take_one(struct virtio_queue *q, uint32_t *first, uint32_t *bytes);
bool __wrap_virtio_take_one(struct virtio_queue *q, uint32_t *first, uint32_t *bytes);
bool __wrap_virtio_take_one(struct virtio_queue *q, uint32_t *first, uint32_t *bytes)
{
    bool took = __real_virtio_take_one(q, first, bytes);
    if (took && is_over())
        exit(1);
    return took;
}
#elif defined MORTAL_ONE
int64_t __real_sip_send(nebulet_handle channel, const void *bytes, size_t size);
int64_t __wrap_sip_send(nebulet_handle channel, const void *bytes, size_t size);
int64_t __wrap_sip_send(nebulet_handle channel, const void *bytes, size_t size)
{
    bool over = is_over();
    if (over && sip_now() % 2)
        exit(1);
    int64_t result = __real_sip_send(channel, bytes, size);
    if (over)
        exit(1);
    return result;
}
#else
int64_t __real_sip_answer(struct sip_client *client, const void *bytes, size_t size);
int64_t __wrap_sip_answer(struct sip_client *client, const void *bytes, size_t size);
int64_t __wrap_sip_answer(struct sip_client *client, const void *bytes, size_t size)
{
    bool over = is_over();
    if (over && sip_now() % 2)
        exit(1);
    int64_t result = __real_sip_answer(client, bytes, size);
    if (over)
        exit(1);
    return result;
}
#endif
