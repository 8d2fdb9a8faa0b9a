// SPDX-License-Identifier: MIT
// wasi-libc's malloc knows no threads, and theirs may change in the middle of it. So the linker is
// told (--wrap, in libsip.pc and nebulet.cfg) to send every caller here, where a lock is taken.
#include <stddef.h>

#include "heap.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
int __real_posix_memalign(void **out, size_t alignment, size_t size);
void __real_free(void *block);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
int __wrap_posix_memalign(void **out, size_t alignment, size_t size);
void __wrap_free(void *block);

void *__wrap_malloc(size_t size)
{
    sip_heap_lock();
    void *block = __real_malloc(size);
    sip_heap_unlock();
    return block;
}

void *__wrap_calloc(size_t count, size_t size)
{
    sip_heap_lock();
    void *block = __real_calloc(count, size);
    sip_heap_unlock();
    return block;
}

void *__wrap_realloc(void *old, size_t size)
{
    sip_heap_lock();
    void *block = __real_realloc(old, size);
    sip_heap_unlock();
    return block;
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    sip_heap_lock();
    void *block = __real_aligned_alloc(alignment, size);
    sip_heap_unlock();
    return block;
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t size)
{
    sip_heap_lock();
    int error = __real_posix_memalign(out, alignment, size);
    sip_heap_unlock();
    return error;
}

void __wrap_free(void *block)
{
    sip_heap_lock();
    __real_free(block);
    sip_heap_unlock();
}
