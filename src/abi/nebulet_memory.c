// SPDX-License-Identifier: MIT
// Calls on memory objects.
#include "abi/nebulet_call.h"
#include "kern/memory.h"

s64 call_memory_create(struct vmctx *vm, struct process *p, const struct call_memory_create *a)
{
    (void)vm;
    struct memory_object *m;
    status s = memory_object_new(p, NULL, a->bytes, &m);
    return s ? s : call_give(p, &m->object, HANDLE_ALL_RIGHTS);
}

s64 call_memory_size(struct vmctx *vm, struct process *p, const struct call_memory_size *a)
{
    (void)vm, (void)p;
    return (s64)a->memory->bytes;
}

s64 call_memory_map(struct vmctx *vm, struct process *p, const struct call_memory_map *a)
{
    (void)vm;
    return memory_object_map(p, a->memory, a->address, a->offset, a->bytes);
}

s64 call_memory_unmap(struct vmctx *vm, struct process *p, const struct call_memory_unmap *a)
{
    (void)vm;
    return memory_object_unmap(p, a->address, a->bytes);
}
