// SPDX-License-Identifier: MIT
// The instructions that are calls into the runtime (wasm/runtime.h). Each checks all bounds first,
// in 64 bits, and then does its work, which cannot fail.
#include "wasm/runtime.h"
#include "base/lookup.h"
#include "rt/instance.h"
#include "rt/thread.h"

static bool in_bounds(u64 start, u64 n, u64 length)
{
    return n <= length && start <= length - n;
}

// --- Memory

s64 rt_memory_grow(struct vmctx *vm, u64 pages)
{
    return memory_grow(vm_store(vm), vm->mem, pages);
}

s64 rt_far_grow(struct vmctx *vm, u32 memory, u64 pages)
{
    return memory_grow(vm_store(vm), vm_memory(vm, memory), pages);
}

// What may be 4 GiB is done in pieces, and looks up between them.
enum { PIECE = LOOK_UP, ELEMENTS = LOOK_UP / 4 / sizeof(struct vm_func) };

static enum trap interrupted(void)
{
    return (enum trap)look_up();
}

// How much of `left` is next, and, in *from, where it starts among n: at the front, or, backwards,
// at the end.
static u64 next_piece(u64 n, u64 left, u64 most, bool backwards, u64 *from)
{
    u64 piece = left < most ? left : most;
    *from = backwards ? left - piece : n - left;
    return piece;
}

// From the end that keeps what is still to be read.
enum trap bytes_copy(u8 *dst, const u8 *src, u64 n)
{
    enum trap trap = TRAP_NONE;
    if (likely(n <= PIECE)) {
        memmove(dst, src, n);
        return TRAP_NONE;
    }
    for (u64 left = n, piece, from; left && !trap; left -= piece) {
        piece = next_piece(n, left, PIECE, dst > src, &from);
        memmove(dst + from, src + from, piece);
        if (unlikely(left > PIECE))
            trap = interrupted();
    }
    return trap;
}

enum trap rt_memory_copy(struct vmctx *vm, u64 dst, u64 src, u64 n)
{
    u64 size = vm->mem->bytes;
    if (!in_bounds(dst, n, size) || !in_bounds(src, n, size))
        return TRAP_MEMORY;
    return bytes_copy(vm->mem_base + dst, vm->mem_base + src, n);
}

enum trap rt_far_copy(struct vmctx *vm, u32 dst_memory, u32 src_memory, u64 dst, u64 src, u64 n)
{
    const struct vm_memory *to = vm_memory(vm, dst_memory), *from = vm_memory(vm, src_memory);
    if (!in_bounds(dst, n, to->bytes) || !in_bounds(src, n, from->bytes))
        return TRAP_MEMORY;
    return bytes_copy(to->base + dst, from->base + src, n);
}

static enum trap fill_memory(const struct vm_memory *m, u64 dst, u32 value, u64 n)
{
    if (!in_bounds(dst, n, m->bytes))
        return TRAP_MEMORY;
    enum trap trap = TRAP_NONE;
    if (likely(n <= PIECE)) {
        memset(m->base + dst, (int)(value & 0xff), n);
        return TRAP_NONE;
    }
    for (u64 left = n, piece, from; left && !trap; left -= piece) {
        piece = next_piece(n, left, PIECE, false, &from);
        memset(m->base + dst + from, (int)(value & 0xff), piece);
        if (unlikely(left > PIECE))
            trap = interrupted();
    }
    return trap;
}

enum trap rt_memory_fill(struct vmctx *vm, u64 dst, u32 value, u64 n)
{
    return fill_memory(vm->mem, dst, value, n);
}

enum trap rt_far_fill(struct vmctx *vm, u32 memory, u64 dst, u32 value, u64 n)
{
    return fill_memory(vm_memory(vm, memory), dst, value, n);
}

static enum trap init(struct vmctx *vm, const struct vm_memory *m, u32 segment, u64 dst, u32 src,
                      u32 n)
{
    const struct data_segment *s = &vm->module->datas[segment];
    u64 size = vm->instance->dropped_datas[segment] ? 0 : s->size;
    if (!in_bounds(src, n, size) || !in_bounds(dst, n, m->bytes))
        return TRAP_MEMORY;
    return n ? bytes_copy(m->base + dst, s->bytes + src, n) : TRAP_NONE;
}

enum trap rt_memory_init(struct vmctx *vm, u32 segment, u64 dst, u32 src, u32 n)
{
    return init(vm, vm->mem, segment, dst, src, n);
}

enum trap rt_far_init(struct vmctx *vm, u32 segment, u32 memory, u64 dst, u32 src, u32 n)
{
    return init(vm, vm_memory(vm, memory), segment, dst, src, n);
}

void rt_data_drop(struct vmctx *vm, u32 segment)
{
    vm->instance->dropped_datas[segment] = true;
}

// --- Tables

enum trap rt_table_get(struct vmctx *vm, u32 table, u64 index, u64 *ref)
{
    const struct vm_table *t = vm_table(vm, table);
    if (index >= t->length)
        return TRAP_TABLE;
    *ref = (u64)(uintptr_t)t->at[index].ref;
    return TRAP_NONE;
}

enum trap rt_table_set(struct vmctx *vm, u32 table, u64 index, u64 ref)
{
    const struct vm_table *t = vm_table(vm, table);
    if (index >= t->length)
        return TRAP_TABLE;
    t->at[index] = table_element(t->elem, ref);
    return TRAP_NONE;
}

static enum trap fill(const struct vm_table *t, u64 start, u64 n, u64 ref)
{
    struct vm_func element = table_element(t->elem, ref);
    enum trap trap = TRAP_NONE;
    for (u64 i = 0; i < n && !trap; i++) {
        t->at[start + i] = element;
        if (unlikely(i % ELEMENTS == ELEMENTS - 1))
            trap = interrupted();
    }
    return trap;
}

s64 rt_table_grow(struct vmctx *vm, u32 table, u64 ref, u64 n)
{
    struct vm_table *t = vm_table(vm, table);
    u64 old = t->length;
    if (n > MAX_TABLE_SIZE || !table_resize((struct rt_table *)t, old + n))
        return -1;
    if (ref) // the new elements are empty already
        fill(t, old, n, ref);
    return (s64)old;
}

enum trap rt_table_fill(struct vmctx *vm, u32 table, u64 index, u64 ref, u64 n)
{
    const struct vm_table *t = vm_table(vm, table);
    if (!in_bounds(index, n, t->length))
        return TRAP_TABLE;
    return fill(t, index, n, ref);
}

enum trap rt_table_copy(struct vmctx *vm, u32 dst_table, u32 src_table, u64 dst, u64 src, u64 n)
{
    const struct vm_table *to = vm_table(vm, dst_table), *from = vm_table(vm, src_table);
    if (!in_bounds(dst, n, to->length) || !in_bounds(src, n, from->length))
        return TRAP_TABLE;
    const struct vm_func *source = from->at + src;
    struct vm_func *target = to->at + dst;
    enum trap trap = TRAP_NONE;
    for (u64 left = n, piece, at; left && !trap; left -= piece) {
        piece = next_piece(n, left, ELEMENTS, target > source, &at);
        memmove(target + at, source + at, piece * sizeof *target);
        if (unlikely(left > ELEMENTS))
            trap = interrupted();
    }
    return trap;
}

u64 segment_ref(const struct vmctx *vm, u32 segment, u32 i)
{
    const struct elem_segment *s = &vm->module->elems[segment];
    if (s->computed)
        return vm->instance->elems[segment][i];
    if (s->funcs)
        return (u64)(uintptr_t)vm_funcref(vm, s->funcs[i]);
    const struct constexpr_ *x = &s->exprs[i];
    if (x->kind == CONST_REF_FUNC)
        return (u64)(uintptr_t)vm_funcref(vm, x->index);
    return x->kind == CONST_GLOBAL ? vm_global(vm, x->index)->ref : 0;
}

enum trap rt_table_init(struct vmctx *vm, u32 table, u32 segment, u64 dst, u32 src, u32 n)
{
    const struct elem_segment *s = &vm->module->elems[segment];
    const struct vm_table *t = vm_table(vm, table);
    u64 size = vm->instance->dropped_elems[segment] ? 0 : s->count;
    if (!in_bounds(src, n, size) || !in_bounds(dst, n, t->length))
        return TRAP_TABLE;
    enum trap trap = TRAP_NONE;
    for (u32 i = 0; i < n && !trap; i++) {
        t->at[dst + i] = table_element(t->elem, segment_ref(vm, segment, src + i));
        if (unlikely(i % ELEMENTS == ELEMENTS - 1))
            trap = interrupted();
    }
    return trap;
}

void rt_elem_drop(struct vmctx *vm, u32 segment)
{
    vm->instance->dropped_elems[segment] = true;
    if (vm->module->elems[segment].computed) {
        heap_free(vm->instance->elems[segment]);
        vm->instance->elems[segment] = NULL;
    }
}

bool rt_is_function(const struct vmctx *vm, u32 id, u32 type)
{
    return type_is(&vm_store(vm)->realm->types, id, vm->module->types[type].id);
}

// What is told of a trap is what compiled code tells by itself (vm_thread.trap_address).
enum trap rt_table_function(struct vmctx *vm, u32 table, u32 type, u64 index, u64 *ref)
{
    const struct vm_table *t = vm_table(vm, table);
    vm->thread->trap_address = index;
    if (index >= t->length)
        return TRAP_UNDEFINED_ELEMENT;
    const struct vm_func *f = &t->at[index];
    vm->thread->trap_address = (u64)(uintptr_t)f;
    if (!f->type)
        return TRAP_UNINITIALIZED_ELEMENT;
    *ref = (u64)(uintptr_t)f->ref;
    return rt_is_function(vm, f->type, type) ? TRAP_NONE : TRAP_INDIRECT_CALL;
}
