// SPDX-License-Identifier: MIT
// Where objects come from.
#include "rt/instance.h"

status heap_create(struct store *s)
{
    static const struct limits limits = {.min = 1, .max = MAX_PAGES};
    if (s->heap)
        return OK;
    status r = memory_create(s, &limits, NULL, &s->heap);
    for (struct instance *in = s->instances; in && !r; in = in->next)
        in->vm.heap = s->heap->base;
    if (!r)
        store_u64(s->heap->base + 8, 64);
    return r;
}

u64 rt_object_new(struct vmctx *vm, u32 id, u32 bytes, u32 length)
{
    struct store *s = vm_store(vm);
    u64 at = load_u64(s->heap->base + 8), end = ALIGN_UP(at + bytes, (u64)16);
    if (end > s->heap->bytes &&
        memory_grow(s, s->heap, (end - s->heap->bytes + WASM_PAGE - 1) / WASM_PAGE) < 0)
        return 0;
    store_u64(s->heap->base + 8, end);
    *vm_object(vm, at) = (struct vm_object){.type = id, .length = length};
    return at;
}
