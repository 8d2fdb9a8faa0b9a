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
// An object that is found is marked and waits to be looked into: in a list of bounded length, or,
// when that is full, as a second bit beside its mark (it is grey). From then on all that is found
// becomes grey, until there is less of it than the list holds: for objects in a list lie anywhere,
// each on a page of its own, and those that are grey are taken in the order of their addresses,
// unit by unit of a group, and the groups in the order in which they became grey, so that much may
// become grey in one before its turn. A processor fetches that as quickly as if it went through the
// heap from end to end. Each object is marked once and grey once at most, so the whole takes time
// in proportion to what there is, however the references go, and no memory but the list.
//
// What is taken out of the list is fetched some steps before it is looked into, and so is the bit
// of what has been found: that is what is left to lie anywhere, in a hundredth of the memory.
#include "arch/arch.h"
#include "base/lookup.h"
#include "rt/gc.h"
#include "rt/instance.h"
#include "rt/thread.h"

enum {
    AT_ONCE = 1 << 14, // words, or objects
    AHEAD = 8,
    SOON = 64,
    LINE = 64, // bytes that are fetched at once
    LINES = 4, // more than one, at most
};

struct marker {
    struct store *s;
    struct gc *gc; // NULL: there are no objects
    struct unit *units;
    const u8 *base;
    u32 *waiting; // and, in the lowest bits, how many lines more than one are fetched
    u32 nwaiting, room;
    u32 which; // bits are set
    u32 soon[SOON], nsoon, last_soon;
    u32 grey, last_grey; // units of the first group that has some, and the last; 0: there is none
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

// The record that has what there is to know of a unit's group, any of its first eight: those of one
// in 64 would all lie in the same few sets of a cache.
static inline struct unit *group_of(const struct marker *m, u32 unit)
{
    u32 group = unit / GC_GROUP;
    return &m->units[group * GC_GROUP + group % 8];
}

static inline void make_grey(struct marker *m, u32 at)
{
    u32 n = at >> GC_SHIFT;
    struct unit *group = group_of(m, n);
    if (!group->grey_units) {
        group->next_grey = 0;
        *(m->grey ? &group_of(m, m->last_grey)->next_grey : &m->grey) = n;
        m->last_grey = n;
    }
    group->grey_units |= 1ull << n % GC_GROUP;
}

static inline void find_object(struct marker *m, u32 at)
{
    struct gc_bits *bits = gc_bits(m->units, m->which, at);
    u64 bit = 1ull << at / 16 % 64;
    if (bits->live & bit)
        return;
    bits->live |= bit;
    if (likely(m->nwaiting < m->room)) {
        m->waiting[m->nwaiting++] = at + 1;
    } else {
        m->room = 0;
        bits->grey |= bit;
        make_grey(m, at);
    }
}

// Its bit is fetched now, and looked at some steps later.
static inline void find(struct marker *m, u32 ref)
{
    if (!vm_is_object(ref))
        return;
    __builtin_prefetch(gc_bits(m->units, m->which, ref), 1);
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
    return gc_bit(gc, at);
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
        const u32 *end = p + some;
        for (u64 two; p + 1 < end; p += 2) {
            memcpy(&two, p, sizeof two);
            if (two) {
                find(m, (u32)two);
                find(m, (u32)(two >> 32));
            }
        }
        if (p < end)
            find(m, *p++);
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
            u32 next = m->waiting[--m->nwaiting], more = next % 8;
            const u8 *line = m->base + (next -= more);
            __builtin_prefetch(line);
            for (; more; more--)
                __builtin_prefetch(line += LINE);
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

// Those of a unit wait again; the last one first, so that they are taken out upwards.
static void take_unit(struct marker *m, u32 n)
{
    struct gc_bits *bits = m->units[n].bits[m->which];
    u32 unit = m->units[n].first, first = unit << GC_SHIFT, kind = m->units[unit].kind;
    u32 cell = kind == GC_LARGE ? GC_UNIT : vm_heap_cell(kind);
    for (u32 k = GC_WORDS; k-- > 0;)
        for (u64 *grey = &bits[k].grey; *grey;) {
            u32 bit = 63 - (u32)__builtin_clzll(*grey);
            u32 at = gc_cell(first, (n << GC_SHIFT) + k * GC_SPREAD + bit * 16, cell);
            u32 more = (at % LINE + cell - 1) / LINE;
            m->waiting[m->nwaiting++] = at + (more < LINES ? more : LINES);
            *grey ^= 1ull << bit;
        }
}

// Those of some grey units, from the group that has been grey for the longest on.
static void take_grey(struct marker *m)
{
    while (m->grey && m->nwaiting < GC_MARKS / 2) {
        struct unit *group = group_of(m, m->grey);
        u32 last = 63 - (u32)__builtin_clzll(group->grey_units);
        group->grey_units ^= 1ull << last;
        take_unit(m, m->grey / GC_GROUP * GC_GROUP + last);
        if (!group->grey_units)
            m->grey = group->next_grey;
        step(m, 8);
    }
    m->room = m->grey ? 0 : GC_MARKS;
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
    for (; m->grey; m->nwaiting = 0)
        take_grey(m);
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
        m.room = GC_MARKS;
        clear_bits(&m);
    }
    look_everywhere(&m, registers);
    look_into_all(&m);
    if (m.ended)
        forget(&m);
    *words = m.words;
    return !m.ended;
}
