// SPDX-License-Identifier: MIT
// Exceptions, and who throws them away.
//
// One that is thrown and caught without a reference to it is the thread's own: the next one takes
// its place. One that is kept may be anywhere where references are, and may have some itself: so
// when there are many, they are collected together with the objects (gc.c). That is done by the
// thread that throws. How often depends on what there is to look through, so that each exception
// pays for some words of it.
//
// They are charged as all blocks of the heap are, to the process; and there are no more than
// MOST_BYTES of them.
#include "base/assert.h"
#include "base/lookup.h"
#include "rt/gc.h"
#include "rt/thread.h"
#include "wasm/runtime.h"

enum {
    MOST_BYTES = 64 << 20,
    LEAST_BYTES = 64 << 10,  // between two looks through everything
    FREED_AT_ONCE = 1 << 11, // exceptions
};

static size_t bytes_of(const struct vm_exception *e)
{
    return sizeof *e + e->ncells * sizeof e->cells[0];
}

// --- By number. A free place holds the next one, times two and one.

static bool add(struct exceptions *x, struct vm_exception *e)
{
    u64 n = x->free;
    if (n == x->all.count && !vec_push(&x->all, (uintptr_t)(n + 1) << 1 | 1))
        return false;
    x->free = (u32)(x->all.at[n] >> 1);
    x->all.at[n] = (uintptr_t)e;
    x->bytes += bytes_of(e);
    e->ref = VM_EXCEPTION | n;
    return true;
}

static void drop(struct exceptions *x, struct vm_exception *e)
{
    u32 n = (u32)e->ref;
    x->bytes -= bytes_of(e);
    x->all.at[n] = (uintptr_t)x->free << 1 | 1;
    x->free = n;
    heap_free(e);
}

// --- Those that are still in use have been found (mark.c)

void exceptions_sweep(struct store *s, u64 words)
{
    struct exceptions *x = &s->exceptions;
    for (u32 i = 0; i < x->all.count; i++) {
        struct vm_exception *e = exception_at(x, i);
        if (e && !e->live)
            drop(x, e);
        else if (e)
            e->live = false;
        if (i % FREED_AT_ONCE == FREED_AT_ONCE - 1)
            look_up();
    }
    x->enough = LEAST_BYTES + x->bytes * 2 + words * 2;
}

void exceptions_forget(struct store *s)
{
    for (u32 i = 0; i < s->exceptions.all.count; i++) {
        struct vm_exception *e = exception_at(&s->exceptions, i);
        if (e)
            e->live = false;
        if (i % FREED_AT_ONCE == FREED_AT_ONCE - 1)
            look_up();
    }
}

void exceptions_free(struct store *s)
{
    struct exceptions *x = &s->exceptions;
    for (u32 i = 0; i < x->all.count; i++) {
        if (exception_at(x, i))
            heap_free(exception_at(x, i));
        if (i % FREED_AT_ONCE == FREED_AT_ONCE - 1)
            look_up();
    }
    vec_free(&x->all);
    *x = (struct exceptions){.bytes = 0};
    for (struct thread *t = s->threads; t; t = t->next)
        t->vm.exception = NULL;
}

// --- What throws and catches

static struct vm_exception *make(struct store *s, u32 ncells)
{
    struct vm_exception *e = heap_alloc(sizeof *e + ncells * sizeof e->cells[0]);
    if (!e)
        return NULL;
    *e = (struct vm_exception){.ncells = ncells};
    if (add(&s->exceptions, e))
        return e;
    heap_free(e);
    return NULL;
}

static u32 cells_of(const struct functype *t)
{
    u32 n = 0;
    for (u32 i = 0; i < t->nparams; i++)
        n += type_slots(t->types[i]);
    return n;
}

// What the thread has is not wanted any more.
static void let_go(struct vmctx *vm)
{
    struct vm_exception *e = vm->thread->exception;
    vm->thread->exception = NULL;
    if (e && !e->kept)
        drop(&vm_store(vm)->exceptions, e);
}

struct vm_exception *rt_exception_new(struct vmctx *vm, u32 tag)
{
    struct store *s = vm_store(vm);
    struct exceptions *x = &s->exceptions;
    u32 ncells = cells_of(module_tag_type(vm->module, tag));
    struct vm_exception *e = vm->thread->exception;
    if (!e || e->kept || e->ncells != ncells) {
        let_go(vm);
        if (x->bytes > (x->enough ? x->enough : LEAST_BYTES))
            gc_collect(s);
        e = x->bytes < MOST_BYTES ? make(s, ncells) : NULL;
        if (!e) {
            gc_collect(s);
            e = x->bytes < MOST_BYTES ? make(s, ncells) : NULL;
        }
        if (!e) {
            rt_check_interrupt(vm);
            rt_trap(vm, TRAP_NO_EXCEPTION);
        }
    }
    e->tag = vm_tag(vm, tag);
    vm->thread->exception = e;
    return e;
}

void rt_exception_take(struct vmctx *vm, u64 ref)
{
    if (!ref)
        rt_trap(vm, TRAP_NULL_EXCEPTION);
    struct vm_exception *e = exception_at(&vm_store(vm)->exceptions, (u32)ref);
    assert(e && e->ref == ref && e->kept);
    if (vm->thread->exception != e)
        let_go(vm);
    vm->thread->exception = e;
}

u64 rt_exception_caught(struct vmctx *vm, bool keep)
{
    struct vm_exception *e = vm->thread->exception;
    e->kept |= keep;
    return keep ? e->ref : 0;
}
