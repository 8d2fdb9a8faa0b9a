// SPDX-License-Identifier: MIT
// The instructions that are calls into the runtime (wasm/runtime.h). Each checks all bounds first,
// in 64 bits, and then does its work, which cannot fail.
//
// Compiled code calls these with as little stack as it has left. Those that take memory from the
// heap or the platform first see to it that there is room: a fault in the guard may end them
// anywhere, and must not do so there.
#include "wasm/runtime.h"
#include "rt/instance.h"
#include "rt/thread.h"

static bool in_bounds(u64 start, u64 n, u64 length)
{
    return n <= length && start <= length - n;
}

static void need_stack(struct vmctx *vm)
{
    u8 *sp = __builtin_frame_address(0);
    struct vm_thread *t = vm->thread;
    if (t && unlikely(t->interrupt))
        rt_check_interrupt(vm);
    if (t && t->entry_sp && sp < t->host_limit && sp >= t->stack_limit)
        rt_trap(vm, rt_pending(t) ? rt_pending(t) : TRAP_STACK);
}

// --- Memory

s32 rt_memory_grow(struct vmctx *vm, u32 pages)
{
    need_stack(vm);
    return memory_grow(vm_store(vm), vm->mem, pages);
}

// 4 GiB take seconds, so those that are large look for an interrupt between pieces of this size.
enum { PIECE = 16 << 20 };

static enum trap interrupted(struct vmctx *vm)
{
    const struct vm_thread *t = vm->thread; // NULL: the runtime itself calls
    bool any = t && __atomic_load_n(&t->interrupt, __ATOMIC_RELAXED);
    return any ? rt_interrupted(vm) : TRAP_NONE;
}

// From the end that keeps what is still to be read.
static enum trap copy_pieces(struct vmctx *vm, u8 *dst, const u8 *src, u32 n)
{
    for (u32 left = n; left;) {
        u32 piece = left < PIECE ? left : PIECE, at = dst <= src ? n - left : left - piece;
        enum trap trap = interrupted(vm);
        if (trap)
            return trap;
        memmove(dst + at, src + at, piece);
        left -= piece;
    }
    return TRAP_NONE;
}

static enum trap fill_pieces(struct vmctx *vm, u8 *dst, int value, u32 n)
{
    for (u32 left = n; left;) {
        u32 piece = left < PIECE ? left : PIECE;
        enum trap trap = interrupted(vm);
        if (trap)
            return trap;
        memset(dst + (n - left), value, piece);
        left -= piece;
    }
    return TRAP_NONE;
}

enum trap rt_memory_copy(struct vmctx *vm, u32 dst, u32 src, u32 n)
{
    u64 size = vm->mem->bytes;
    if (!in_bounds(dst, n, size) || !in_bounds(src, n, size))
        return TRAP_MEMORY;
    if (n > PIECE)
        return copy_pieces(vm, vm->mem_base + dst, vm->mem_base + src, n);
    memmove(vm->mem_base + dst, vm->mem_base + src, n);
    return TRAP_NONE;
}

enum trap rt_memory_fill(struct vmctx *vm, u32 dst, u32 value, u32 n)
{
    if (!in_bounds(dst, n, vm->mem->bytes))
        return TRAP_MEMORY;
    if (n > PIECE)
        return fill_pieces(vm, vm->mem_base + dst, (int)(value & 0xff), n);
    memset(vm->mem_base + dst, (int)(value & 0xff), n);
    return TRAP_NONE;
}

enum trap rt_memory_init(struct vmctx *vm, u32 segment, u32 dst, u32 src, u32 n)
{
    const struct data_segment *s = &vm->module->datas[segment];
    u64 size = vm->instance->dropped_datas[segment] ? 0 : s->size;
    if (!in_bounds(src, n, size) || !in_bounds(dst, n, vm->mem->bytes))
        return TRAP_MEMORY;
    if (n)
        memcpy(vm->mem_base + dst, s->bytes + src, n);
    return TRAP_NONE;
}

void rt_data_drop(struct vmctx *vm, u32 segment)
{
    vm->instance->dropped_datas[segment] = true;
}

// --- Tables

enum trap rt_table_get(struct vmctx *vm, u32 table, u32 index, u64 *ref)
{
    const struct vm_table *t = vm_table(vm, table);
    if (index >= t->length)
        return TRAP_TABLE;
    *ref = (u64)(uintptr_t)t->at[index].ref;
    return TRAP_NONE;
}

enum trap rt_table_set(struct vmctx *vm, u32 table, u32 index, u64 ref)
{
    const struct vm_table *t = vm_table(vm, table);
    if (index >= t->length)
        return TRAP_TABLE;
    t->at[index] = table_element(t->elem, ref);
    return TRAP_NONE;
}

static void fill(const struct vm_table *t, u64 start, u64 n, u64 ref)
{
    struct vm_func element = table_element(t->elem, ref);
    for (u64 i = 0; i < n; i++)
        t->at[start + i] = element;
}

s32 rt_table_grow(struct vmctx *vm, u32 table, u64 ref, u32 n)
{
    need_stack(vm);
    struct vm_table *t = vm_table(vm, table);
    u64 old = t->length;
    if (!table_resize((struct rt_table *)t, old + n))
        return -1;
    if (ref) // the new elements are empty already
        fill(t, old, n, ref);
    return (s32)old;
}

enum trap rt_table_fill(struct vmctx *vm, u32 table, u32 index, u64 ref, u32 n)
{
    const struct vm_table *t = vm_table(vm, table);
    if (!in_bounds(index, n, t->length))
        return TRAP_TABLE;
    enum trap trap = interrupted(vm);
    if (!trap)
        fill(t, index, n, ref);
    return trap;
}

enum trap rt_table_copy(struct vmctx *vm, u32 dst_table, u32 src_table, u32 dst, u32 src, u32 n)
{
    const struct vm_table *to = vm_table(vm, dst_table), *from = vm_table(vm, src_table);
    if (!in_bounds(dst, n, to->length) || !in_bounds(src, n, from->length))
        return TRAP_TABLE;
    enum trap trap = interrupted(vm);
    if (n && !trap)
        memmove(to->at + dst, from->at + src, (size_t)n * sizeof *to->at);
    return trap;
}

static u64 segment_ref(const struct vmctx *vm, const struct elem_segment *s, u32 i)
{
    if (s->funcs)
        return (u64)(uintptr_t)vm_funcref(vm, s->funcs[i]);
    const struct constexpr_ *x = &s->exprs[i];
    if (x->kind == CONST_REF_FUNC)
        return (u64)(uintptr_t)vm_funcref(vm, x->index);
    return x->kind == CONST_GLOBAL ? vm_global(vm, x->index)->ref : 0;
}

enum trap rt_table_init(struct vmctx *vm, u32 table, u32 segment, u32 dst, u32 src, u32 n)
{
    const struct elem_segment *s = &vm->module->elems[segment];
    const struct vm_table *t = vm_table(vm, table);
    u64 size = vm->instance->dropped_elems[segment] ? 0 : s->count;
    if (!in_bounds(src, n, size) || !in_bounds(dst, n, t->length))
        return TRAP_TABLE;
    for (u32 i = 0; i < n; i++)
        t->at[dst + i] = table_element(t->elem, segment_ref(vm, s, src + i));
    return TRAP_NONE;
}

void rt_elem_drop(struct vmctx *vm, u32 segment)
{
    vm->instance->dropped_elems[segment] = true;
}
