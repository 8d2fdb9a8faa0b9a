// SPDX-License-Identifier: MIT
// The heap of objects, one a store: a memory like the linear ones, so that its limit, its peak and
// its end are theirs, whose units of 8 KiB are in spans and free runs:
//
//   unit 0 | span of 16-byte cells | span of 40-byte cells | large object | free run ...
//           [live][    ][live]...    <- what the latest collection has not reached is free
//
// A collection (mark.c) gives every object that is in use a bit. It moves nothing, for references
// on stacks are not told from numbers. Then spans without bits become free runs, and the others
// wait in lists by class. The gaps between their objects are found when somebody wants them: a gap
// becomes the run that its class is allocated from, by compiled code too (vm_heap). So there is
// nothing to be done for an object that is dropped, and no list of free cells.
//
// When as much has been allocated as was in use, but no less than LEAST, the next collection is
// due; or when there is no more memory. A collection looks up (base/lookup.h) and is done by the
// thread that allocates, so nobody of the same process runs meanwhile. What is free and not soon
// wanted is given back: at the end of the memory, and within it, where it is large enough.
//
// All of it is charged as memories are: the records of groups of units, with the bits, are a
// reservation beside, and what waits to be looked into is in unit 0.
#include "rt/gc.h"
#include "base/assert.h"
#include "base/lookup.h"
#include "plat/plat.h"
#include "rt/instance.h"
#include "rt/memory.h"
#include "rt/thread.h"

enum {
    LEAST = 2 << 20,
    MORE = 8 << 20,
    PAGE_UNITS = WASM_PAGE / GC_UNIT,
    GROW_MAX = 1 << 20,           // beyond what is wanted
    LARGE = (16 << 20) / GC_UNIT, // units, of a heap that is worth large pages
    SPAN = 4,                     // units, of small objects,
    FEW = 64,                     // unless there are so few
    DENSE = 8,                    // a span has little room if less than one cell in so many is free
    WORTH = 64,        // one part in so many must have been allocated since the latest collection
    LOOK_AT = 64,      // runs, for the best one
    AT_ONCE = 1 << 12, // units
};

static u32 count_of(u64 bytes)
{
    return (u32)((bytes + GC_UNIT - 1) >> GC_SHIFT);
}

static u32 start_of(u32 unit)
{
    return unit << GC_SHIFT;
}

// --- Free runs

static u32 *bin_of(struct gc *gc, u32 kind, u32 count)
{
    return &gc->bins[kind == GC_GIVEN][31 - __builtin_clz(count)];
}

// They may have been there before.
static void clear(struct gc *gc, u32 first, u32 count)
{
    for (u32 i = first; i < first + count; i++) {
        *gc_unit(gc, i) = (struct unit){0};
        for (u32 which = 0; which < 2; which++)
            memset(gc_live(gc->groups, which, start_of(i)), 0, GC_WORDS * sizeof(u64));
        if (i % AT_ONCE == AT_ONCE - 1)
            look_up();
    }
}

static void note(struct gc *gc, u32 first, u32 count, u32 kind)
{
    for (u32 i = first; i < first + count; i++) {
        gc_unit(gc, i)->first = first;
        gc_unit(gc, i)->kind = (u8)kind;
        if (i % AT_ONCE == AT_ONCE - 1)
            look_up();
    }
    gc_unit(gc, first)->count = count;
}

// Of units that are of the kind.
static void list_run(struct gc *gc, u32 first, u32 count, u32 kind)
{
    u32 *bin = bin_of(gc, kind, count);
    gc_unit(gc, first)->first = gc_unit(gc, first + count - 1)->first = first;
    gc_unit(gc, first)->count = count;
    gc_unit(gc, first)->prev = 0;
    gc_unit(gc, first)->next = *bin;
    gc_unit(gc, *bin)->prev = first; // 0 is no run, and has no use for it
    *bin = first;
}

static void delist_run(struct gc *gc, u32 first)
{
    struct unit *u = gc_unit(gc, first);
    *(u->prev ? &gc_unit(gc, u->prev)->next : bin_of(gc, u->kind, u->count)) = u->next;
    gc_unit(gc, u->next)->prev = u->prev;
}

// So many units or more; 0: not found. `all`: there is none.
static u32 find_run(struct gc *gc, u32 kind, u32 count, bool all)
{
    u32 *end = gc->bins[kind == GC_GIVEN] + GC_BINS;
    for (u32 *bin = bin_of(gc, kind, count); bin < end; bin++) {
        u32 seen = 0;
        for (u32 at = *bin; at && (all || seen < LOOK_AT); at = gc_unit(gc, at)->next) {
            if (gc_unit(gc, at)->count >= count)
                return at;
            if (++seen % AT_ONCE == 0)
                look_up();
        }
    }
    return 0;
}

static u32 take_run(struct gc *gc, u32 kind, u32 count, bool all)
{
    u32 first = find_run(gc, kind, count, all), had = gc_unit(gc, first)->count;
    if (!first || (kind == GC_GIVEN && !memory_take(gc->store, gc->memory, (u64)count << GC_SHIFT)))
        return 0;
    delist_run(gc, first);
    if (had > count)
        list_run(gc, first + count, had - count, kind);
    return first;
}

// --- More units, and fewer

static u64 records(u32 units)
{
    return ALIGN_UP(units, (u32)GC_GROUP) / GC_GROUP * sizeof(struct gc_group);
}

static u64 reservation(void)
{
    return records(GC_UNITS);
}

// Of so many units; `large`: of more, up to where a large page ends.
static bool commit_records(struct gc *gc, u32 units, bool large)
{
    u64 old = gc->accessible, bytes = records(units);
    if (bytes <= old)
        return true;
    if (large) {
        bytes = ALIGN_UP((uintptr_t)gc->groups + bytes, PLAT_LARGE_PAGE) - (uintptr_t)gc->groups;
        if (bytes > reservation()) // which may end in the middle of one
            bytes = reservation();
    }
    u64 tables = plat_tables(0, bytes) - plat_tables(0, old);
    if (!store_charge(gc->store, bytes - old, tables))
        return false;
    if (plat_commit((u8 *)gc->groups + old, bytes - old)) {
        store_discharge(gc->store, bytes - old, tables);
        return false;
    }
    if (large)
        plat_prefer_large((u8 *)gc->groups + old, bytes - old);
    gc->accessible = bytes;
    return true;
}

static bool have_records(struct gc *gc, u32 units)
{
    bool large = records(units) > PLAT_LARGE_PAGE / 2;
    return (large && commit_records(gc, units, true)) || commit_records(gc, units, false);
}

static void drop_records(struct gc *gc, u64 bytes)
{
    enum { PIECE = 4 << 20 };
    for (u64 old; (old = gc->accessible) > bytes; look_up()) {
        u64 n = old - bytes < PIECE ? old - bytes : PIECE;
        plat_decommit((u8 *)gc->groups + old - n, n);
        gc->accessible = old - n;
        store_discharge(gc->store, n, plat_tables(0, old) - plat_tables(0, old - n));
    }
}

// The free run at the end, of that kind; 0: there is none.
static u32 last_run(const struct gc *gc, u32 kind)
{
    const struct unit *u = gc_unit(gc, gc->count - 1);
    return u->kind == kind ? u->first : 0;
}

static bool grow_by(struct gc *gc, u32 units)
{
    u32 count = gc->count, first = last_run(gc, GC_FREE);
    if (units > GC_UNITS - count || !have_records(gc, count + units) ||
        memory_grow(gc->store, gc->memory, units / PAGE_UNITS) < 0)
        return false;
    if (count + units >= LARGE)
        plat_prefer_large(gc->vm.base + start_of(count), (u64)units << GC_SHIFT);
    gc->count = count + units;
    if (first)
        delist_run(gc, first);
    clear(gc, count, units);
    note(gc, count, units, GC_FREE);
    first = first ? first : count;
    list_run(gc, first, gc->count - first, GC_FREE);
    return true;
}

// How many more there are to be if it is no less than so many: a large heap ends where a large page
// does, which is one from its first touch on only if all of it is accessible then.
static u32 generous(const struct gc *gc, u32 least)
{
    u32 more = ALIGN_UP(gc->count / 16, (u32)PAGE_UNITS), most = count_of(GROW_MAX);
    more = more > most ? most : more < least ? least : more;
    if (gc->count < LARGE)
        return more;
    u64 end = (uintptr_t)gc->vm.base + start_of(gc->count) + ((u64)more << GC_SHIFT);
    u32 rest = (u32)((ALIGN_UP(end, PLAT_LARGE_PAGE) - end) >> GC_SHIFT);
    return more + rest / PAGE_UNITS * PAGE_UNITS; // the base may lie anywhere
}

// So that there is a run of so many at the end, which may be there already, behind many others in
// its bin.
static bool grow(struct gc *gc, u32 count)
{
    u32 last = last_run(gc, GC_FREE), have = last ? gc_unit(gc, last)->count : 0;
    if (have >= count)
        return true;
    u32 least = ALIGN_UP(count - have, (u32)PAGE_UNITS), more = generous(gc, least);
    return (more > least && grow_by(gc, more)) || grow_by(gc, least);
}

// 0: no memory.
static u32 take_units(struct gc *gc, u32 count)
{
    u32 first = take_run(gc, GC_FREE, count, false);
    if (!first)
        first = take_run(gc, GC_GIVEN, count, false);
    if (!first && grow(gc, count))
        first = take_run(gc, GC_FREE, count, true);
    if (!first)
        first = take_run(gc, GC_FREE, count, true);
    return first ? first : take_run(gc, GC_GIVEN, count, true);
}

// --- What nobody needs is given back: at the end, of whole pages, all that is already and so many
// units more; how many are left of these.
static u32 cut(struct gc *gc, u32 most)
{
    for (u32 last; (last = last_run(gc, GC_GIVEN)) || (most && (last = last_run(gc, GC_FREE)));) {
        struct unit *u = gc_unit(gc, last);
        bool given = u->kind == GC_GIVEN;
        u32 n = given || u->count < most ? u->count : most;
        u32 count = ALIGN_UP(gc->count - n, (u32)PAGE_UNITS);
        n = gc->count - count;
        if (!n)
            break;
        delist_run(gc, last);
        if (u->count > n)
            list_run(gc, last, u->count - n, u->kind);
        gc->count = count;
        memory_cut(gc->store, gc->memory, (u64)count << GC_SHIFT, given ? (u64)n << GC_SHIFT : 0);
        most -= given ? 0 : n;
    }
    drop_records(gc, records(gc->count));
    return most;
}

// Whole pages of a run, from its end. How many units.
static u32 give(struct gc *gc, u32 run, u32 most)
{
    u32 end = run + gc_unit(gc, run)->count, to = end / PAGE_UNITS * PAGE_UNITS;
    u32 from = ALIGN_UP(run, (u32)PAGE_UNITS);
    if (from >= to)
        return 0;
    from = to - from > most ? to - most : from;
    delist_run(gc, run);
    if (from > run)
        list_run(gc, run, from - run, GC_FREE);
    if (end > to)
        list_run(gc, to, end - to, GC_FREE);
    note(gc, from, to - from, GC_GIVEN);
    memory_give(gc->store, gc->memory, start_of(from), (u64)(to - from) << GC_SHIFT);
    list_run(gc, from, to - from, GC_GIVEN);
    return to - from;
}

static void give_back(struct gc *gc, u32 most)
{
    most = cut(gc, most) / PAGE_UNITS * PAGE_UNITS;
    for (u32 b = GC_BINS; most && 1u << --b >= PAGE_UNITS;)
        for (u32 next, run = gc->bins[0][b]; most && run; run = next) {
            next =
                gc_unit(gc, run)->next; // what is left of this one is before it, or in a lower bin
            most -= give(gc, run, most);
            look_up();
        }
}

// --- Cells

// Where the first object with a bit begins, from the cell at `at` on; `end`: there is none before.
static u32 next_live(const struct gc *gc, u32 at, u32 end, u32 cell)
{
    u64 skip = ~0ull << at / 16 % 64;
    for (u32 word = at / GC_SPREAD; word < (end + GC_SPREAD - 1) / GC_SPREAD;
         word++, skip = ~0ull) {
        u64 bits = *gc_live(gc->groups, gc->latest, word * GC_SPREAD) & skip;
        if (bits)
            return gc_cell(at, word * GC_SPREAD + (u32)__builtin_ctzll(bits) * 16, cell);
    }
    return end;
}

static u32 end_of_cells(const struct gc *gc, u32 span)
{
    u32 bytes = gc_unit(gc, span)->count << GC_SHIFT, cell = vm_heap_cell(gc_unit(gc, span)->kind);
    return start_of(span) + bytes / cell * cell;
}

// The next gap of the span, from `at` on, becomes the class's run.
static bool use_gap(struct gc *gc, u32 span, u32 at)
{
    u32 class = gc_unit(gc, span)->kind, cell = vm_heap_cell(class), end = end_of_cells(gc, span);
    for (u32 live; at < end; at = live + cell) {
        live = next_live(gc, at, end, cell);
        if (live > at) {
            gc->vm.runs[class] = (struct vm_run){at, live};
            gc->allocated += live - at;
            return true;
        }
    }
    return false;
}

static bool use_span(struct gc *gc, u32 class, u32 span)
{
    gc->current[class] = span;
    gc_unit(gc, span)->state = GC_CURRENT;
    gc->vm.runs[class] = (struct vm_run){start_of(span), start_of(span)};
    return use_gap(gc, span, start_of(span));
}

static bool use_list(struct gc *gc, u32 *list, u32 class)
{
    u32 *current = &gc->current[class];
    while (*current || *list) {
        if (*current && use_gap(gc, *current, gc->vm.runs[class].end))
            return true;
        if (*current)
            gc_unit(gc, *current)->state = GC_FULL;
        *current = 0;
        gc->vm.runs[class] = (struct vm_run){0, 0};
        if (*list) {
            u32 span = *list;
            *list = gc_unit(gc, span)->next;
            if (use_span(gc, class, span))
                return true;
        }
    }
    return false;
}

// Units of a span whose cells leave less than an eighth of it over.
static u32 span_units(const struct gc *gc, u32 cell)
{
    u32 n = cell > GC_UNIT / 8 ? count_of(cell) : gc->count < FEW ? 1 : SPAN;
    while ((n << GC_SHIFT) % cell > n << GC_SHIFT >> 3)
        n++;
    return n;
}

static bool use_new_span(struct gc *gc, u32 class)
{
    u32 count = span_units(gc, vm_heap_cell(class)), first = take_units(gc, count);
    if (!first)
        return false;
    note(gc, first, count, class);
    return use_span(gc, class, first);
}

// --- Allocation

static bool may_collect(const struct gc *gc)
{
    return gc->collections < gc->most;
}

static bool refill(struct gc *gc, u32 class)
{
    if (gc->allocated >= gc->enough && may_collect(gc) && !gc_collect(gc->store))
        return false;
    for (bool again = may_collect(gc) && gc->allocated >= gc->live / WORTH;; again = false) {
        if (use_list(gc, &gc->sweepable[class], class) || use_new_span(gc, class) ||
            use_list(gc, &gc->dense[class], class))
            return true;
        if (!again || !gc_collect(gc->store))
            return false;
    }
}

static void free_units(struct gc *gc, u32 first, u32 count)
{
    note(gc, first, count, GC_FREE);
    list_run(gc, first, count, GC_FREE);
}

static bool zero(u8 *p, u64 bytes)
{
    for (u64 n; bytes; p += n, bytes -= n) {
        n = bytes < LOOK_UP ? bytes : LOOK_UP;
        memset(p, 0, n);
        if (n == LOOK_UP && look_up())
            return false;
    }
    return true;
}

static u32 take_large(struct gc *gc, u64 bytes)
{
    if (bytes > (u64)GC_UNITS << GC_SHIFT)
        return 0;
    u32 count = count_of(bytes);
    if (gc->allocated + bytes >= gc->enough + LEAST && may_collect(gc) && !gc_collect(gc->store))
        return 0;
    bool again = may_collect(gc) && gc->allocated + bytes >= gc->live / WORTH;
    u32 first = take_units(gc, count);
    if (!first && again && gc_collect(gc->store))
        first = take_units(gc, count);
    if (!first)
        return 0;
    note(gc, first, count, GC_LARGE);
    gc->allocated += (u64)count << GC_SHIFT;
    gc_unit(gc, first)->state = GC_FULL;
    if (zero(gc->vm.base + start_of(first), bytes))
        return start_of(first);
    free_units(gc, first, count);
    return 0;
}

static u32 take_cell(struct gc *gc, u32 bytes)
{
    u32 class = vm_heap_class(bytes), cell = vm_heap_cell(class);
    struct vm_run *run = &gc->vm.runs[class];
    if (run->next == run->end && !refill(gc, class))
        return 0;
    u32 at = run->next;
    run->next = at + cell;
    memset(gc->vm.base + at, 0, cell);
    return at;
}

u64 rt_object_new(struct vmctx *vm, u32 id, u64 bytes, u32 length)
{
    struct gc *gc = vm_store(vm)->gc;
    u32 at = bytes <= VM_HEAP_SMALL ? take_cell(gc, (u32)bytes) : take_large(gc, bytes);
    if (!at)
        return 0;
    u32 *header = (u32 *)(gc->vm.base + at);
    header[0] = id;
    header[1] = length;
    return at;
}

// --- After a collection has marked what is in use

static u32 live_cells(const struct gc *gc, u32 first)
{
    u32 n = 0;
    for (u32 i = first; i < first + gc_unit(gc, first)->count; i++) {
        const u64 *live = gc_live(gc->groups, gc->latest, start_of(i));
        for (u32 k = 0; k < GC_WORDS; k++)
            n += (u32)__builtin_popcountll(live[k]);
    }
    return n;
}

// False: there is nothing in it.
static bool keep_span(struct gc *gc, u32 first)
{
    struct unit *u = gc_unit(gc, first);
    if (u->kind == GC_LARGE) {
        bool live = gc_bit(gc, start_of(first));
        gc->live += live ? (u64)u->count << GC_SHIFT : 0;
        return live;
    }
    u32 n = live_cells(gc, first), cell = vm_heap_cell(u->kind);
    u32 all = (end_of_cells(gc, first) - start_of(first)) / cell;
    if (!n)
        return false;
    gc->live += (u64)n * cell;
    u->state = n == all ? GC_FULL : GC_SWEEPABLE;
    if (n < all) {
        u32 *list = all - n < all / DENSE ? &gc->dense[u->kind] : &gc->sweepable[u->kind];
        u->next = *list;
        *list = first;
    }
    return true;
}

// Downwards, so that lists go upwards. How many units are free.
static u32 sort_spans(struct gc *gc)
{
    u32 kind = GC_OWN, from = gc->count, to = from, steps = 0, unused = 0; // a free run, so far
    for (u32 at = gc->count; at > 1;) {
        u32 first = gc_unit(gc, at - 1)->first, is = gc_unit(gc, first)->kind, count = at - first;
        if (is <= GC_LARGE) {
            is = keep_span(gc, first) ? GC_OWN : GC_FREE;
            if (is == GC_FREE)
                note(gc, first, count, GC_FREE);
        }
        if (is != kind) {
            if (kind != GC_OWN)
                list_run(gc, from, to - from, kind);
            kind = is;
            to = at;
        }
        from = at = first;
        unused += kind == GC_FREE ? count : 0;
        if ((steps += count) >= AT_ONCE) {
            steps = 0;
            look_up();
        }
    }
    if (kind != GC_OWN)
        list_run(gc, from, to - from, kind);
    return unused;
}

static u64 larger(u64 a, u64 b)
{
    return a > b ? a : b;
}

bool gc_collect(struct store *s)
{
    struct gc *gc = s->gc;
    u64 words;
    if (!mark(s, &words))
        return false;
    exceptions_sweep(s, words);
    if (!gc)
        return true;
    gc->latest = !gc->latest;
    memset(gc->vm.runs, 0, sizeof gc->vm.runs);
    memset(gc->current, 0, sizeof gc->current);
    memset(gc->sweepable, 0, sizeof gc->sweepable);
    memset(gc->dense, 0, sizeof gc->dense);
    memset(gc->bins, 0, sizeof gc->bins);
    gc->allocated = gc->live = 0;
    u32 unused = sort_spans(gc);
    gc->collections++;
    gc->peak_live = larger(gc->peak_live, gc->live);
    u64 more = gc->live * 4 < MORE ? gc->live * 4 : MORE;
    gc->enough = larger(larger(LEAST, more), larger(gc->live, words * sizeof(u64)));
    u32 wanted = count_of(gc->enough); // before the next one
    if (unused > wanted + wanted / 4)
        give_back(gc, unused - wanted);
    return true;
}

// --- Made and given back

static bool set_up(struct gc *gc)
{
    struct limits pages = {.min = 1, .max = GC_UNITS / PAGE_UNITS};
    gc->enough = LEAST;
    gc->most = UINT64_MAX;
    if (!gc->groups || !have_records(gc, PAGE_UNITS) ||
        memory_create(gc->store, &pages, NULL, &gc->memory))
        return false;
    gc->vm.base = gc->memory->base;
    gc->vm.types = (const struct vm_type_slot *)gc->store->realm->types.at;
    gc->count = PAGE_UNITS;
    note(gc, 0, 1, GC_OWN);
    free_units(gc, 1, PAGE_UNITS - 1);
    return true;
}

// Instances that are there may get references from others.
bool gc_begin(struct store *s)
{
    if (s->gc)
        return true;
    struct gc *gc = s->gc = heap_zalloc_for(s->account, sizeof *gc);
    if (!gc)
        return false;
    gc->store = s;
    gc->groups = plat_reserve(reservation());
    if (!set_up(gc)) {
        gc_end(s);
        return false;
    }
    for (struct instance *i = s->instances; i; i = i->next)
        gc_attach(i);
    return true;
}

void gc_attach(struct instance *i)
{
    struct gc *gc = i->store->gc;
    i->vm.heap = gc ? &gc->vm : NULL;
    i->vm.heap_base = gc ? gc->vm.base : NULL;
}

void gc_restrain(struct store *s, bool on)
{
    if (s->gc)
        s->gc->most = on ? s->gc->collections + 1 : UINT64_MAX;
}

void gc_end(struct store *s)
{
    struct gc *gc = s->gc;
    if (!gc)
        return;
    u64 given = gc->memory ? memory_given(gc->memory) : 0;
    if (given)
        memory_cut(s, gc->memory, 0, given);
    memory_free(s, gc->memory);
    if (gc->groups) {
        drop_records(gc, 0);
        plat_release(gc->groups, reservation());
    }
    for (u32 i = 0; i < gc->kept.count; i++)
        module_unused(gc->kept.at[i]);
    vec_free(&gc->kept);
    s->gc = NULL;
    heap_free(gc);
}

void gc_keep_types(struct store *s, struct module_record *m)
{
    struct gc *gc = s->gc;
    for (u32 i = 0; gc && i < gc->kept.count; i++)
        if (gc->kept.at[i] == m)
            return;
    if (gc && vec_push(&gc->kept, m))
        module_used(m);
}

void store_object_stats(const struct store *s, struct object_stats *out)
{
    const struct gc *gc = s->gc;
    *out = (struct object_stats){.bytes = 0};
    if (gc)
        *out = (struct object_stats){
            .collections = gc->collections,
            .live = gc->live,
            .peak_live = gc->peak_live,
            .bytes = gc->memory->bytes - memory_given(gc->memory) + gc->accessible,
        };
}
