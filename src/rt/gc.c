// SPDX-License-Identifier: MIT
// Stands in for the allocator until that is here.
#include "rt/gc.h"
#include "rt/instance.h"

struct gc {
    struct vm_heap vm; // first
    struct vm_memory *memory;
    u64 allocated;
};

bool gc_begin(struct instance *in)
{
    static const struct limits limits = {.min = 1, .max = MAX_PAGES};
    struct store *s = in->store;
    if (!s->gc) {
        s->gc = heap_zalloc(sizeof *s->gc);
        if (memory_create(s, &limits, NULL, &s->gc->memory))
            return false;
        s->gc->vm.base = s->gc->memory->base;
        s->gc->allocated = 64;
    }
    for (in = s->instances; in; in = in->next) {
        in->vm.heap_base = s->gc->vm.base;
        in->vm.heap = &s->gc->vm;
    }
    return true;
}

void gc_end(struct store *s)
{
    if (!s->gc)
        return;
    memory_free(s, s->gc->memory);
    heap_free(s->gc);
    s->gc = NULL;
}

u64 rt_object_new(struct vmctx *vm, u32 id, u64 bytes, u32 length)
{
    struct store *s = vm_store(vm);
    struct gc *gc = s->gc;
    u64 at = gc->allocated, end = ALIGN_UP(at + bytes, (u64)16);
    if (end > gc->memory->bytes &&
        memory_grow(s, gc->memory, (end - gc->memory->bytes + WASM_PAGE - 1) / WASM_PAGE) < 0)
        return 0;
    gc->allocated = end;
    *vm_object(vm, at) = (struct vm_object){.type = id, .length = length};
    return at;
}
