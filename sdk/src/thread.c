// SPDX-License-Identifier: MIT
// Threads. What C keeps in memory of a function's frame is on a stack that __stack_pointer goes
// down; the platform gives each thread its own value of that global, and here it gets the memory.
#include <stdlib.h>
#include <sip.h>

#include "heap.h"

enum { STACK = 65536, STACK_ALIGNMENT = 16 };

int64_t sip_thread_start(struct sip_thread *thread, int32_t (*function)(void *), void *arg,
                         size_t stack_size)
{
    size_t size = ((stack_size ? stack_size : STACK) + STACK_ALIGNMENT - 1) & -STACK_ALIGNMENT;
    sip_heap_shared();
    thread->handle = NEBULET_NO_HANDLE;
    thread->stack = malloc(size); // aligned for anything, and so is its end
    if (!thread->stack)
        return NEBULET_ERR_NO_MEMORY;
    int64_t handle = nebulet_thread_spawn((uint32_t)(uintptr_t)function, (uint32_t)(uintptr_t)arg,
                                          (uint32_t)((uintptr_t)thread->stack + size));
    if (handle < 0)
        free(thread->stack);
    else
        thread->handle = (nebulet_handle)handle;
    return handle < 0 ? handle : 0;
}

int64_t sip_thread_join(struct sip_thread *thread, int32_t *value)
{
    int64_t result = nebulet_thread_join(thread->handle, NEBULET_FOREVER);
    if (result < 0)
        return result;
    if (value)
        *value = (int32_t)result;
    sip_close(thread->handle);
    free(thread->stack);
    return 0;
}
