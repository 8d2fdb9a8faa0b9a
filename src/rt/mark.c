// SPDX-License-Identifier: MIT
// Which objects and exceptions are still in use.
//
// Those that a reference to lies where a guest can get it: on its threads' stacks and among their
// cells, in globals and tables; and those that one of these has a reference to. On stacks any word
// may be one. What looks like a reference to an object is one if an object begins there that has
// not been freed, which the units and the bits of the latest collection tell: so these stay as they
// are until this is over, and who is stopped halfway has changed nothing. What an object has is
// known by its type.
//
// An object that is found is marked and waits to be looked into: in a list of bounded length, and
// when that is full, its card is grey. Of a grey card all objects that have marks are looked into
// (again, maybe: they have GC_CARD bytes, or one of them has more). Each object is marked once and
// makes a card grey once at most, so the whole takes time in proportion to what there is, however
// the references go, and no memory but that list.
//
// Objects lie anywhere, so what is taken out of the list is fetched some steps before it is looked
// into.
#include "arch/arch.h"
#include "base/lookup.h"
#include "rt/gc.h"
#include "rt/instance.h"
#include "rt/thread.h"

enum {
    AT_ONCE = 1 << 14, // words, or objects
    AHEAD = 8,
    SOON = 32,
};

struct marker {
    struct store *s;
    struct gc *gc; // NULL: there are no objects
    struct unit *units;
    const u8 *base;
    u32 *waiting;
    u32 nwaiting, which; // bits are set
    u32 soon[SOON], nsoon, last_soon;
    u32 grey, last_grey; // units; the first is 0: there is none
    struct vm_exception *found;
    u64 words;
    u32 steps;
    bool ended; // the process is to end
};

static inline void step(struct marker *m, u32 n)
{
    m->steps += n;
    if (unlikely(m->steps >= AT_ONCE)) {
        m->steps = 0;
        m->ended |= look_up() != 0;
    }
}

// --- What is found

static void find_exception(struct marker *m, u64 ref)
{
    struct vm_exception *e = exception_at(&m->s->exceptions, (u32)ref);
    if (!e || e->live)
        return;
    e->live = true;
    e->next = m->found;
    m->found = e;
}

static __attribute__((noinline)) void make_grey(struct marker *m, u32 at)
{
    struct unit *u = &m->units[at >> GC_SHIFT];
    if (!u->grey) {
        u->next_grey = 0;
        *(m->grey ? &m->units[m->last_grey].next_grey : &m->grey) = at >> GC_SHIFT;
        m->last_grey = at >> GC_SHIFT;
    }
    u->grey |= 1ull << at % GC_UNIT / GC_CARD;
}

static inline void find_object(struct marker *m, u32 at)
{
    u64 *w = &m->units[at >> GC_SHIFT].bits[m->which][at / GC_SPREAD % GC_WORDS];
    u64 bit = 1ull << at / 8 % 64;
    if (*w & bit)
        return;
    *w |= bit;
    if (likely(m->nwaiting < GC_MARKS))
        m->waiting[m->nwaiting++] = at;
    else
        make_grey(m, at);
}

// Its bit is fetched now, and looked at some steps later.
static inline void find(struct marker *m, u32 ref)
{
    if (!vm_is_object(ref))
        return;
    __builtin_prefetch(&m->units[ref >> GC_SHIFT].bits[m->which][ref / GC_SPREAD % GC_WORDS], 1);
    u32 *place = &m->soon[m->last_soon++ % SOON], before = *place;
    *place = ref;
    if (m->nsoon == SOON)
        find_object(m, before);
    else
        m->nsoon++;
}

static void find_soon(struct marker *m)
{
    for (; m->nsoon; m->nsoon--)
        find_object(m, m->soon[(m->last_soon - m->nsoon) % SOON]);
}

static bool is_allocated(const struct gc *gc, const struct unit *first, u32 at)
{
    const struct vm_run *run = &gc->vm.runs[first->kind];
    switch (first->state) {
    case GC_FULL: return true;
    case GC_CURRENT:
        if (at < run->end)
            return at < run->next;
    }
    return gc_bit(gc, gc->latest, at);
}

static bool is_object(const struct gc *gc, u64 word)
{
    if (word & 7 || word >= (u64)gc->count << GC_SHIFT)
        return false;
    u32 at = (u32)word, n = gc->units[at >> GC_SHIFT].first;
    const struct unit *first = &gc->units[n];
    if (gc->units[at >> GC_SHIFT].kind > GC_LARGE)
        return false;
    u32 offset = at - (n << GC_SHIFT), cell = vm_heap_cell(first->kind);
    if (first->kind == GC_LARGE)
        return !offset;
    return offset % cell == 0 && offset + cell <= first->count << GC_SHIFT &&
           is_allocated(gc, first, at);
}

// What lies on stacks is anything.
__attribute__((no_sanitize("address"))) static void look_at(void *context, const u64 *p,
                                                            const u64 *end)
{
    struct marker *m = context;
    for (; p < end && !m->ended; p++, m->words++, step(m, 1)) {
        if (*p >> 32 == VM_EXCEPTION >> 32)
            find_exception(m, *p);
        else if (m->gc && is_object(m->gc, *p))
            find_object(m, (u32)*p);
    }
}

// --- What they have. Exact, and still nothing is followed that is out of place.

static void look_into_struct(struct marker *m, const struct rt_type *t, const u8 *object)
{
    const u32 *places = t->places;
    for (u32 i = 0; i < t->nrefs; i++)
        find(m, *(const u32 *)(object + places[i]));
    for (u32 i = t->nrefs; i < t->nrefs + t->nexnrefs; i++)
        look_at(m, (const u64 *)(object + places[i]), (const u64 *)(object + places[i]) + 1);
    step(m, 1 + t->nrefs);
}

static void look_into_array(struct marker *m, const struct rt_type *t, const u8 *object)
{
    u32 length = ((const u32 *)object)[1];
    const u32 *p = (const u32 *)(object + OBJECT_HEADER);
    if (t->nexnrefs)
        look_at(m, (const u64 *)p, (const u64 *)p + length);
    for (u32 n = t->nrefs ? length : 0; n && !m->ended;) {
        u32 some = n < AT_ONCE ? n : AT_ONCE;
        for (const u32 *end = p + some; p < end; p++)
            find(m, *p);
        n -= some;
        step(m, some);
    }
    step(m, 1);
}

static inline void look_into(struct marker *m, u32 at)
{
    const u8 *object = m->base + at;
    const struct rt_type *t = type_at(&m->s->realm->types, *(const u32 *)object);
    if (t->t.form == FORM_STRUCT)
        look_into_struct(m, t, object);
    else
        look_into_array(m, t, object);
}

static void look_into_waiting(struct marker *m)
{
    u32 ahead[AHEAD], n = 0, first = 0;
    while (!m->ended) {
        for (; n < AHEAD && m->nwaiting; n++) {
            u32 next = m->waiting[--m->nwaiting];
            __builtin_prefetch(m->base + next);
            __builtin_prefetch(m->base + next + 64);
            ahead[(first + n) % AHEAD] = next;
        }
        if (n) {
            n--;
            look_into(m, ahead[first++ % AHEAD]);
        } else if (m->nsoon) {
            find_soon(m);
        } else {
            return;
        }
    }
}

// Those of some grey cards wait again, from the unit that has been grey for the longest on.
static void take_grey(struct marker *m)
{
    while (m->grey && m->nwaiting < GC_MARKS / 2) {
        u32 n = m->grey;
        struct unit *u = &m->units[n];
        for (; u->grey && m->nwaiting < GC_MARKS / 2; u->grey &= u->grey - 1) {
            u32 at = (n << GC_SHIFT) + (u32)__builtin_ctzll(u->grey) * GC_CARD;
            u64 bits = u->bits[m->which][at / GC_SPREAD % GC_WORDS] >> at % GC_SPREAD / 8;
            for (u32 some = (u16)bits; some; some &= some - 1)
                m->waiting[m->nwaiting++] = at + (u32)__builtin_ctz(some) * 8;
        }
        if (!u->grey)
            m->grey = u->next_grey;
        step(m, 1);
    }
}

// --- Where references begin

static bool is_traced(valtype t)
{
    u32 kind = type_kind(t);
    return kind == TYPE_REF || (is_reftype(t) && kind != TYPE_FUNCREF && kind != TYPE_NULLFUNCREF);
}

// Those to functions are pointers, and look like nothing else.
static void look_at_global(struct marker *m, valtype type, const union vm_global *g)
{
    if (is_traced(type))
        look_at(m, &g->ref, &g->ref + 1);
    step(m, 1);
}

static void look_at_table(struct marker *m, const struct vm_table *t)
{
    for (u64 i = 0; t->elem != TYPE_FUNCREF && i < t->length && !m->ended; i++) {
        u64 ref = (u64)(uintptr_t)t->at[i].ref;
        look_at(m, &ref, &ref + 1);
    }
}

static void look_at_instance(struct marker *m, const struct instance *in)
{
    const struct module *mod = in->vm.module;
    for (u32 i = mod->nimported_globals; i < mod->nglobals && !m->ended; i++)
        look_at_global(m, mod->globals[i].type, vm_global(&in->vm, i));
    for (u32 i = mod->nimported_tables; i < mod->ntables && !m->ended; i++)
        look_at_table(m, vm_table(&in->vm, i));
    for (u32 i = 0; in->elems && i < mod->nelems && !m->ended; i++, step(m, 1))
        if (in->elems[i] && !in->dropped_elems[i])
            look_at(m, in->elems[i], in->elems[i] + mod->elems[i].count);
}

static void look_everywhere(struct marker *m, const u64 *sp)
{
    const struct store *s = m->s;
    for (struct thread *t = s->threads; t; t = t->next) {
        if (t->vm.exception)
            find_exception(m, t->vm.exception->ref);
        thread_words(t, t == thread_running() ? sp : NULL, look_at, m);
    }
    for (const struct instance *in = s->instances; in; in = in->next)
        look_at_instance(m, in);
    for (const struct owned_table *t = s->owned_tables; t; t = t->next)
        look_at_table(m, &t->table.vm);
    for (const struct store_item *i = s->items; i; i = i->next)
        if (i->item.kind == EXTERN_GLOBAL)
            look_at_global(m, i->item.global_type.type, i->item.global);
    for (const struct gc_held *h = s->held; h; h = h->next)
        look_at(m, h->at, h->at + h->count);
}

static void look_into_all(struct marker *m)
{
    while (!m->ended) {
        look_into_waiting(m);
        struct vm_exception *e = m->found;
        if (e) {
            m->found = e->next;
            look_at(m, e->cells, e->cells + e->ncells);
        } else if (m->grey) {
            take_grey(m);
        } else {
            return;
        }
    }
}

// It ends before it is through.
static void forget(struct marker *m)
{
    for (u32 n; (n = m->grey); m->units[n].grey = 0)
        m->grey = m->units[n].next_grey;
    exceptions_forget(m->s);
}

static void clear_bits(struct marker *m)
{
    for (u32 i = 0; i < m->gc->count && !m->ended; i++) {
        memset(m->units[i].bits[m->which], 0, sizeof m->units[i].bits[0]);
        step(m, 8);
    }
}

bool mark(struct store *s, u64 *words)
{
    struct marker m = {.s = s, .gc = s->gc};
    u64 registers[ARCH_KEPT];
    arch_kept(registers); // of compiled code, which C keeps: here or on the stack above
    if (m.gc) {
        m.units = m.gc->units;
        m.base = m.gc->vm.base;
        m.waiting = (u32 *)(m.gc->vm.base + GC_UNIT / 2);
        m.which = !m.gc->latest;
        clear_bits(&m);
    }
    look_everywhere(&m, registers);
    look_into_all(&m);
    if (m.ended)
        forget(&m);
    *words = m.words;
    return !m.ended;
}
