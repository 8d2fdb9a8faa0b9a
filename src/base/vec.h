// SPDX-License-Identifier: MIT
// Growable arrays: struct { T *at; u32 count, capacity; }. Growth doubles, may fail, and never
// shrinks; a vec that is reused (count = 0) allocates nothing.
#pragma once
#include "base/heap.h"

#define VEC(T)                                                                                     \
    struct {                                                                                       \
        T *at;                                                                                     \
        u32 count, capacity;                                                                       \
    }

// Makes room for `more` further elements; false when memory is out or 2^31 elements are passed.
#define vec_reserve(v, more)                                                                       \
    (likely((more) <= (v)->capacity - (v)->count) ||                                               \
     vec_grow((void **)&(v)->at, &(v)->capacity, (u64)(v)->count + (more), sizeof *(v)->at))

#define vec_push(v, value) (vec_reserve(v, 1) && ((v)->at[(v)->count++] = (value), true))
#define vec_free(v) (heap_free((v)->at), (v)->at = NULL, (v)->count = (v)->capacity = 0)

bool vec_grow(void **at, u32 *capacity, u64 need, size_t size);
