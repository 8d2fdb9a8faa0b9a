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
// when that is full, by the lack of a second bit beside its mark (it is not black, it is grey).
// From then on all that is found becomes grey, until there is less of it than the list holds: for
// objects in a list lie anywhere, each on a page of its own, and those that are grey are taken in
// the order of their addresses, unit by unit of a group, and the groups in the order in which they
// became grey, so that much may become grey in one before its turn. What they have that lies in the
// same group is looked into in the same turn: most references lead to what was made at about the
// same time, and without that a heap is gone through several times as often. A processor fetches
// that as quickly as if it went through the heap from end to end. Each object is marked once and
// grey once at most, so the whole takes time in proportion to what there is, however the references
// go, and no memory but the list. Black bits are written where objects are taken, in order, and not
// before the list is full for the first time: what is found costs one bit, somewhere.
//
// What is taken is fetched some steps before it is looked into, and so is the bit of what has been
// found, which is looked at when there are some more: that is what is left to lie anywhere, in a
// hundredth of the memory.
#include "arch/arch.h"
#include "base/lookup.h"
#include "rt/gc.h"
#include "rt/instance.h"
#include "rt/thread.h"

enum {
    AT_ONCE = 1 << 14, // words, or objects
    AHEAD = 8,
    SOON = 64,
    PIECE = 32, // of an array
    LINE = 64,  // bytes that are fetched at once
    LINES = 4,  // more than one, at most
};
#define NONE UINT32_MAX

struct marker {
    struct store *s;
    struct gc *gc; // NULL: there are no objects
    struct gc_group *groups;
    const u8 *base;
    u32 *waiting;
    u32 nwaiting, room;
    u32 which;        // bits are set
    u8 *live;         // those of the first group
    bool overflowed;  // so black bits are kept
    u32 near;         // the group of what is looked into, if that is one of the grey; or NONE
    u32 looked, more; // of the list, at those before; lines of the one that is looked into
    u32 nsoon, soon[SOON + PIECE];
    u32 ngrey;           // objects
    u32 grey, last_grey; // the first group that has some, and the last; NONE: there is none
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

static inline struct gc_grey *grey_of(const struct marker *m, u32 group)
{
    return &m->groups[group / GC_RECORDS].grey[group % GC_RECORDS];
}

static inline void make_grey(struct marker *m, u32 at)
{
    u32 unit = at >> GC_SHIFT, group = unit / GC_GROUP;
    struct gc_grey *grey = grey_of(m, group);
    if (!grey->units) {
        grey->next = NONE;
        *(m->grey != NONE ? &grey_of(m, m->last_grey)->next : &m->grey) = group;
        m->last_grey = group;
    }
    grey->units |= 1ull << unit % GC_GROUP;
    m->ngrey++;
}

// The list is full for the first time: all that has been found is in it, or has been looked into.
static void overflow(struct marker *m)
{
    m->overflowed = true;
    for (u32 i = 0; i * GC_GROUP < m->gc->count; i++) {
        memcpy(m->groups[i].black, m->groups[i].live[m->which], sizeof m->groups[i].black);
        step(m, 256);
    }
}

// gc_live in fewer instructions.
static inline u64 *live_of(u8 *all, u32 at)
{
    u32 group = (at >> GC_SHIFT) / GC_GROUP, word = at / GC_SPREAD % (GC_GROUP * GC_WORDS);
    return (u64 *)(all + group * sizeof(struct gc_group)) + word;
}

static void wait(struct marker *m, u32 at)
{
    u32 unit = at >> GC_SHIFT;
    __builtin_prefetch(m->base + at);
    m->waiting[m->nwaiting++] = at;
    if (m->overflowed)
        m->groups[unit / GC_GROUP].black[at / GC_SPREAD % (GC_GROUP * GC_WORDS)] |= 1ull
                                                                                    << at / 16 % 64;
}

static inline void find_object(struct marker *m, u32 at)
{
    u64 *live = live_of(m->live, at), bit = 1ull << at / 16 % 64;
    if (*live & bit)
        return;
    if (m->nwaiting < m->room) {
        wait(m, at);
    } else {
        if (unlikely(!m->overflowed))
            overflow(m);
        m->room = 0;
        make_grey(m, at);
    }
    *live |= bit;
}

static __attribute__((noinline)) void find_soon(struct marker *m)
{
    u32 n = m->nsoon, i = 0;
    for (m->nsoon = 0; i < n && m->room; i++)
        find_object(m, m->soon[i]);
    for (u8 *all = m->live; i < n; i++) { // that, when nothing waits in the list
        u32 at = m->soon[i];
        u64 *live = live_of(all, at), bit = 1ull << at / 16 % 64;
        if (*live & bit)
            continue;
        *live |= bit;
        make_grey(m, at);
    }
}

// Of the group that is looked into, which is close by: it is looked into in the same turn.
static void find_near(struct marker *m, u32 at)
{
    u64 *live = live_of(m->live, at), bit = 1ull << at / 16 % 64;
    if (*live & bit)
        return;
    *live |= bit;
    if (m->nwaiting - m->looked == GC_MARKS) {
        make_grey(m, at);
    } else {
        m->waiting[m->nwaiting++ % GC_MARKS] = at + m->more;
        m->groups[m->near].black[at / GC_SPREAD % (GC_GROUP * GC_WORDS)] |= bit;
    }
}

// Its bit is fetched now, and looked at when there are some more.
static inline void find(struct marker *m, u32 ref)
{
    if (!vm_is_object(ref))
        return;
    if ((ref >> GC_SHIFT) / GC_GROUP == m->near)
        return find_near(m, ref);
    __builtin_prefetch(live_of(m->live, ref), 1);
    m->soon[m->nsoon++] = ref;
}

// There is room for so many.
static inline void have_room(struct marker *m)
{
    if (m->nsoon > SOON)
        find_soon(m);
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
    u32 at = (u32)word, n = gc_unit(gc, at >> GC_SHIFT)->first;
    const struct unit *first = gc_unit(gc, n);
    if (gc_unit(gc, at >> GC_SHIFT)->kind > GC_LARGE)
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

static __attribute__((noinline)) void look_into_struct(struct marker *m, const struct rt_type *t,
                                                       const u8 *object)
{
    const u32 *places = t->places;
    for (u32 i = 0, n = t->nrefs; i < n;) {
        have_room(m);
        for (u32 end = n - i > PIECE ? i + PIECE : n; i < end; i++)
            find(m, *(const u32 *)(object + places[i]));
    }
    for (u32 i = t->nrefs; i < t->nrefs + t->nexnrefs; i++)
        look_at(m, (const u64 *)(object + places[i]), (const u64 *)(object + places[i]) + 1);
    step(m, 1 + t->nrefs);
}

static inline void find_two(struct marker *m, const u32 *p)
{
    u64 two;
    memcpy(&two, p, sizeof two);
    if (two) {
        find(m, (u32)two);
        find(m, (u32)(two >> 32));
    }
}

static inline bool any(const u32 *p) // of eight
{
    u64 two[4];
    memcpy(two, p, sizeof two);
    return two[0] | two[1] | two[2] | two[3];
}

static inline __attribute__((always_inline)) void look_into_piece(struct marker *m, const u32 *p,
                                                                  u32 n)
{
    have_room(m);
    for (; n >= 8; n -= 8, p += 8)
        if (any(p))
            find_two(m, p), find_two(m, p + 2), find_two(m, p + 4), find_two(m, p + 6);
    for (; n >= 2; n -= 2, p += 2)
        find_two(m, p);
    if (n)
        find(m, *p);
}

static inline void look_into_array(struct marker *m, const struct rt_type *t, const u8 *object)
{
    u32 length = t->nrefs ? ((const u32 *)object)[1] : 0;
    const u32 *p = (const u32 *)(object + OBJECT_HEADER);
    if (unlikely(t->nexnrefs))
        look_at(m, (const u64 *)p, (const u64 *)p + ((const u32 *)object)[1]);
    step(m, 1 + length % PIECE);
    for (; length >= PIECE; length -= PIECE, p += PIECE) {
        if (m->ended)
            return;
        look_into_piece(m, p, PIECE);
        step(m, PIECE);
    }
    look_into_piece(m, p, length);
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

// What has been found lately has been fetched.
static void look_into_waiting(struct marker *m)
{
    while (!m->ended) {
        if (!m->nwaiting)
            find_soon(m);
        if (!m->nwaiting)
            return;
        look_into(m, m->waiting[--m->nwaiting] & ~7u);
    }
}

// The grey objects of a unit wait; in the lowest bits, how many lines more than one are fetched.
static void take_unit(struct marker *m, u32 n)
{
    u32 span = gc_unit(m->gc, n)->first, first = span << GC_SHIFT,
        kind = gc_unit(m->gc, span)->kind;
    u32 cell = kind == GC_LARGE ? GC_UNIT : vm_heap_cell(kind), count = m->nwaiting;
    u32 more = cell < LINES * LINE ? (cell + LINE - 9) / LINE : LINES, *waiting = m->waiting;
    u64 *live = gc_live(m->groups, m->which, n << GC_SHIFT), inverse = (1ull << 40) / cell + 1;
    u64 *black = &m->groups[n / GC_GROUP].black[n % GC_GROUP * GC_WORDS];
    for (u32 k = 0, beyond = ((n - span) << GC_SHIFT) + cell - 1; k < GC_WORDS;
         k++, beyond += GC_SPREAD) {
        u64 grey = live[k] & ~black[k];
        black[k] = live[k];
        for (; grey; grey &= grey - 1) { // gc_cell without a division
            u64 end = beyond + (u32)__builtin_ctzll(grey) * 16;
            waiting[count++] = first + (u32)(end * inverse >> 40) * cell + more;
        }
    }
    m->ngrey -= count - m->nwaiting;
    m->nwaiting = count;
}

static inline void fetch(const struct marker *m, u32 at)
{
    const u8 *line = m->base + (at & ~7u);
    __builtin_prefetch(line);
    for (u32 more = at % 8; more; more--)
        __builtin_prefetch(line += LINE);
}

// All that wait, which are grey ones in the order of their addresses; what is found meanwhile
// becomes grey, too.
static void look_into_grey(struct marker *m)
{
    u32 fetched = 0;
    for (m->looked = 0; m->looked < m->nwaiting && !m->ended;) {
        for (; fetched < m->nwaiting && fetched < m->looked + AHEAD; fetched++)
            fetch(m, m->waiting[fetched % GC_MARKS]);
        u32 at = m->waiting[m->looked++ % GC_MARKS];
        m->more = at % 8;
        m->near = (at >> GC_SHIFT) / GC_GROUP;
        look_into(m, at - m->more);
    }
    m->near = NONE;
    m->nwaiting = 0;
    find_soon(m);
}

// Those of the groups that have been grey for the longest; when few are left, all others wait in
// the list.
static void take_grey(struct marker *m)
{
    bool few = m->ngrey <= GC_MARKS / 2;
    while (m->grey != NONE && !m->ended && m->nwaiting <= GC_MARKS / 2) {
        u32 group = m->grey;
        struct gc_grey *grey = grey_of(m, group);
        take_unit(m, group * GC_GROUP + (u32)__builtin_ctzll(grey->units));
        if (!(grey->units &= grey->units - 1))
            m->grey = grey->next;
        step(m, 8);
    }
    if (!few)
        look_into_grey(m);
    m->room = few ? GC_MARKS : 0;
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
        } else if (m->grey != NONE) {
            take_grey(m);
        } else {
            return;
        }
    }
}

// It ends before it is through.
static void forget(struct marker *m)
{
    for (; m->grey != NONE; m->grey = grey_of(m, m->grey)->next)
        grey_of(m, m->grey)->units = 0;
    exceptions_forget(m->s);
}

static void clear_bits(struct marker *m)
{
    for (u32 i = 0; i * GC_GROUP < m->gc->count && !m->ended; i++) {
        memset(m->groups[i].live[m->which], 0, sizeof m->groups[i].live[0]);
        step(m, 256);
    }
}

bool mark(struct store *s, u64 *words)
{
    struct marker m = {.s = s, .gc = s->gc, .grey = NONE, .near = NONE};
    u64 registers[ARCH_KEPT];
    arch_kept(registers); // of compiled code, which C keeps: here or on the stack above
    if (m.gc) {
        m.groups = m.gc->groups;
        m.base = m.gc->vm.base;
        m.waiting = (u32 *)(m.gc->vm.base + GC_UNIT / 2);
        m.which = !m.gc->latest;
        m.live = (u8 *)m.groups->live[m.which];
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
