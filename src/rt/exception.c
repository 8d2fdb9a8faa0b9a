// SPDX-License-Identifier: MIT
// Exceptions, and who throws them away.
//
// One that is thrown and caught without a reference to it is the thread's own: the next one takes
// its place. One that is kept may be anywhere where references are: so when there are many, all
// places where one may lie are looked through, for words that look like a reference, and exceptions
// that are found nowhere are freed. That is done by the thread that throws; none of the same
// process runs meanwhile, also where it looks up (base/lookup.h). How often depends on what there
// is to look through, so that each exception pays for some words of it.
//
// They are charged as all blocks of the heap are, to the process; and there are no more than
// MOST_BYTES of them.
#include "arch/arch.h"
#include "base/assert.h"
#include "base/lookup.h"
#include "rt/instance.h"
#include "rt/thread.h"
#include "wasm/runtime.h"

enum {
    MOST_BYTES = 64 << 20,
    LEAST_BYTES = 64 << 10, // between two looks through everything
    AT_ONCE = 1 << 14,
    FREED_AT_ONCE = 1 << 11, // exceptions
};

static size_t bytes_of(const struct vm_exception *e)
{
    return sizeof *e + e->ncells * sizeof e->cells[0];
}

// --- By number. A free place holds the next one, times two and one.

static struct vm_exception *at(const struct exceptions *x, u64 n)
{
    return n < x->all.count && !(x->all.at[n] & 1) ? (struct vm_exception *)x->all.at[n] : NULL;
}

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

// --- Which are still in use

struct look {
    struct exceptions *x;
    struct vm_exception *found; // and not looked into yet
    u64 words;
};

static void find(struct look *l, u64 word)
{
    struct vm_exception *e = word >> 32 == VM_EXCEPTION >> 32 ? at(l->x, (u32)word) : NULL;
    if (!e || e->live)
        return;
    e->live = true;
    e->next = l->found;
    l->found = e;
}

// What lies on stacks is anything.
__attribute__((no_sanitize("address"))) static void look_at(void *context, const u64 *p,
                                                            const u64 *end)
{
    struct look *l = context;
    for (; p < end; p++) {
        find(l, *p);
        if (++l->words % AT_ONCE == 0)
            look_up();
    }
}

static void look_at_table(struct look *l, const struct vm_table *t)
{
    if (t->elem == TYPE_EXNREF)
        look_at(l, (const u64 *)(const void *)t->at,
                (const u64 *)(const void *)(t->at + t->length));
}

static void look_at_instance(struct look *l, const struct instance *in)
{
    const struct module *m = in->vm.module;
    for (u32 i = m->nimported_globals; i < m->nglobals; i++) {
        if (type_kind(m->globals[i].type) == TYPE_EXNREF)
            find(l, vm_global(&in->vm, i)->ref);
        if (i % AT_ONCE == AT_ONCE - 1)
            look_up();
    }
    for (u32 i = m->nimported_tables; i < m->ntables; i++)
        look_at_table(l, vm_table(&in->vm, i));
}

static void look_everywhere(struct look *l, const struct store *s, const u64 *sp)
{
    for (struct thread *t = s->threads; t; t = t->next) {
        if (t->vm.exception)
            find(l, t->vm.exception->ref);
        thread_words(t, t == thread_running() ? sp : NULL, look_at, l);
    }
    for (const struct instance *in = s->instances; in; in = in->next)
        look_at_instance(l, in);
    for (const struct owned_table *t = s->owned_tables; t; t = t->next)
        look_at_table(l, &t->table.vm);
    for (struct vm_exception *e; (e = l->found);) {
        l->found = e->next;
        look_at(l, e->cells, e->cells + e->ncells);
    }
}

// Frees those that nobody can have a reference to any more.
static void collect(struct store *s)
{
    struct exceptions *x = &s->exceptions;
    struct look l = {.x = x};
    u64 registers[ARCH_KEPT];
    arch_kept(registers); // of compiled code, which C keeps: here or on the stack above
    look_everywhere(&l, s, registers);
    for (u32 i = 0; i < x->all.count; i++) {
        struct vm_exception *e = at(x, i);
        if (e && !e->live)
            drop(x, e);
        else if (e)
            e->live = false;
        if (i % FREED_AT_ONCE == FREED_AT_ONCE - 1)
            look_up();
    }
    x->enough = LEAST_BYTES + x->bytes * 2 + l.words * 2;
}

void exceptions_free(struct store *s)
{
    struct exceptions *x = &s->exceptions;
    for (u32 i = 0; i < x->all.count; i++) {
        if (at(x, i))
            heap_free(at(x, i));
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
            collect(s);
        e = x->bytes < MOST_BYTES ? make(s, ncells) : NULL;
        if (!e) {
            collect(s);
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
    struct vm_exception *e = at(&vm_store(vm)->exceptions, (u32)ref);
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
