// SPDX-License-Identifier: MIT
// Unit test of the heap of objects: what is in use stays as it was, what is not goes, and its
// memory with it. Random graphs against a model; what does not fit the list of what waits; gaps;
// large objects; limits; memory that is out at every place; a collection that is stopped at every
// look; references on the stacks of threads, in exceptions, and words that only look like one.
#pragma clang diagnostic ignored "-Wunused-function" // of what the tests of compilers share
#include "base/account.h"
#include "base/lookup.h"
#include "rt/gc.h"
#include "rt/instance.h"
#include "rt/thread.h"
#include "test/unit/fast.h"

// --- Types, as modules would have them

enum type { LEAF, PAIR, WIDE, REFS, BYTES, EXNS, KINDS };
enum { KEY = 8, LEFT = 12, RIGHT = 16, WIDE_FIELDS = 40 };

struct world {
    struct store *s;
    struct rt_module *m;
    struct instance *i;
    struct vmctx *vm;
    u32 ids[KINDS];
    struct gc_held held;
    u64 words[256];
};

// Fields, where each lies, and the size.
static void describe(struct functype *t, u32 form, u32 n, valtype *types)
{
    *t = (struct functype){.form = (u8)form, .nparams = n, .types = types, .super = NO_TYPE};
}

static void intern(struct world *w)
{
    static valtype leaf[] = {TYPE_I64, 8, 16}, refs[] = {TYPE_ANYREF, 4}, bytes[] = {TYPE_I8, 1},
                   exns[] = {TYPE_EXNREF, 8}, wide[2 * WIDE_FIELDS + 1];
    valtype pair[] = {TYPE_I32, TYPE_ANYREF, type_ref(PAIR, true), KEY, LEFT, RIGHT, 20};
    struct functype types[KINDS];
    for (u32 i = 0; i < WIDE_FIELDS; i++) {
        wide[i] = i % 2 ? TYPE_EXTERNREF : i ? TYPE_EQREF : TYPE_I32;
        wide[WIDE_FIELDS + i] = OBJECT_HEADER + 4 * i;
    }
    wide[2 * WIDE_FIELDS] = OBJECT_HEADER + 4 * WIDE_FIELDS;
    describe(&types[LEAF], FORM_STRUCT, 1, leaf);
    describe(&types[PAIR], FORM_STRUCT, 3, pair);
    describe(&types[WIDE], FORM_STRUCT, WIDE_FIELDS, wide);
    describe(&types[REFS], FORM_ARRAY, 1, refs);
    describe(&types[BYTES], FORM_ARRAY, 1, bytes);
    describe(&types[EXNS], FORM_ARRAY, 1, exns);
    for (u32 i = 0; i < KINDS; i++) {
        types[i].first = i;
        types[i].count = 1;
        types[i].self[0] = type_ref(i, true);
        w->ids[i] = type_intern(&w->s->realm->types, types, i)->t.id;
    }
}

// (type (func)) (type (func (param externref))) (import "h" "f" (func (type 0)))
// (func (export "0") call 0) (table 8 externref) (tag (type 1))
// (global (mut externref) (ref.null extern)) (global (mut i64) (i64.const 0))
static const u8 module[] = "\0asm\1\0\0\0"
                           "\1\x08\2\x60\0\0\x60\1\x6f\0"
                           "\2\7\1\1h\1f\0\0"
                           "\3\2\1\0"
                           "\4\4\1\x6f\0\x08"
                           "\x0d\3\1\0\1"
                           "\6\x0b\2\x6f\1\xd0\x6f\x0b\x7e\1\x42\0\x0b"
                           "\7\5\1\1"
                           "0\0\1"
                           "\x0a\6\1\4\0\x10\0\x0b";

static void (*in_call)(struct world *w, struct vmctx *vm);
static struct world *world;

static void call_host(struct vmctx *vm, u64 *slots)
{
    (void)slots;
    in_call(world, vm);
}

// False: no memory.
static bool begin(struct world *w, const struct engine *engine, struct account *payer)
{
    static const struct host_func f = {"f", ":", call_host, NULL};
    struct error e = {0};
    *w = (struct world){.s = store_create(engine)};
    world = w;
    if (!w->s || rt_module_load(w->s, module, sizeof module - 1, &w->m, &e) ||
        store_host_module(w->s, "h", &f, 1)) {
        printf("%s at %llu\n", e.text, (unsigned long long)e.offset);
        exit(1);
    }
    intern(w);
    w->s->account = payer;
    if (instance_create(w->s, w->m, NULL, &w->i, &e) || !gc_begin(w->s))
        return false;
    w->vm = instance_vm(w->i);
    w->held = (struct gc_held){NULL, w->words, COUNT(w->words)};
    w->s->held = &w->held;
    return true;
}

static void end(struct world *w)
{
    store_free(w->s);
}

// --- Objects

static u32 bytes_of(enum type t, u32 length)
{
    switch (t) {
    case LEAF: return 16;
    case PAIR: return 20;
    case WIDE: return OBJECT_HEADER + 4 * WIDE_FIELDS;
    case REFS: return OBJECT_HEADER + 4 * length;
    case BYTES: return OBJECT_HEADER + length;
    case EXNS: return OBJECT_HEADER + 8 * length;
    case KINDS: break;
    }
    abort();
}

// What an object takes.
static u64 takes(u32 bytes)
{
    return bytes <= VM_HEAP_SMALL ? vm_heap_cell(vm_heap_class(bytes))
                                  : ALIGN_UP((u64)bytes, (u64)GC_UNIT);
}

static u64 new(struct world *w, enum type t, u32 length)
{
    return rt_object_new(w->vm, w->ids[t], bytes_of(t, length), length);
}

static u32 *field(const struct world *w, u64 ref, u32 place)
{
    return (u32 *)(w->vm->heap_base + ref + place);
}

static u64 pair(struct world *w, u64 left, u64 right)
{
    u64 p = new(w, PAIR, 0);
    if (p) {
        *field(w, p, LEFT) = (u32)left;
        *field(w, p, RIGHT) = (u32)right;
    }
    return p;
}

static u64 live(const struct world *w)
{
    struct object_stats stats;
    store_object_stats(w->s, &stats);
    return stats.live;
}

static u64 has(const struct world *w)
{
    struct object_stats stats;
    store_object_stats(w->s, &stats);
    return stats.bytes;
}

static u64 collections(const struct world *w)
{
    struct object_stats stats;
    store_object_stats(w->s, &stats);
    return stats.collections;
}

// --- Random graphs. The model knows an object by its key, which is its number. Objects are picked
// by walking down from a root, so they are in use.

static u64 state;
static u32 random_below(u32 n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (u32)((state >> 16) % n);
}

struct node {
    u64 ref;
    enum type type;
    u32 length; // references, and of bytes these
    u32 *to;    // numbers of nodes
    u32 seen;
};
static struct {
    struct node *at;
    u32 count, round;
    u32 roots[256]; // as the words; 0: none
} model;

static u32 place(enum type t, u32 i)
{
    return (t == PAIR ? LEFT : t == WIDE ? 12 : OBJECT_HEADER) + 4 * i;
}

static u32 some_length(void)
{
    switch (random_below(40)) {
    case 0: return random_below(60000);
    case 1: return random_below(9000);
    case 2:
    case 3: return random_below(300);
    default: return random_below(12);
    }
}

static u32 some_node(void)
{
    u32 n = model.roots[random_below(COUNT(model.roots))];
    for (u32 steps = random_below(6); n && steps; steps--) {
        const struct node *x = &model.at[n];
        u32 to = x->type != BYTES && x->length ? x->to[random_below(x->length)] : 0;
        if (!to)
            break;
        n = to;
    }
    return n;
}

static void point(struct world *w, u32 from, u32 i, u32 to)
{
    struct node *x = &model.at[from];
    x->to[i] = to;
    *field(w, x->ref, place(x->type, i)) = (u32)model.at[to].ref;
}

static void add_node(struct world *w)
{
    enum type type = (enum type)random_below(EXNS);
    u32 length = type == PAIR   ? 2
                 : type == WIDE ? WIDE_FIELDS - 1
                 : type == LEAF ? 0
                                : some_length();
    u64 ref = new(w, type, type == REFS || type == BYTES ? length : 0);
    CHECK_IS(ref && !(ref & 7), true);
    u32 n = model.count++, bytes = bytes_of(type, length);
    bool zero = true;
    for (u32 i = OBJECT_HEADER; i < bytes; i++)
        zero &= !w->vm->heap_base[ref + i];
    CHECK_IS(zero, true);
    model.at = realloc(model.at, model.count * sizeof *model.at);
    model.at[n] = (struct node){.ref = ref, .type = type, .length = length};
    if (type != BYTES)
        model.at[n].to = calloc(length + 1, sizeof(u32));
    if (type == BYTES)
        memset(field(w, ref, OBJECT_HEADER), (int)(n & 0xff), length);
    else if (type == LEAF || type == PAIR || type == WIDE)
        *field(w, ref, KEY) = n;
    for (u32 i = 0; type != BYTES && i < length && i < 50; i++)
        if (random_below(2))
            point(w, n, i, some_node());
    u32 root = random_below(COUNT(model.roots));
    model.roots[root] = n;
    w->words[root] = ref;
}

static void change(struct world *w)
{
    u32 n = some_node(), root = random_below(COUNT(model.roots));
    const struct node *x = &model.at[n];
    switch (random_below(3)) {
    case 0:
        model.roots[root] = 0;
        w->words[root] = random_below(2) ? (u64)random_below(1 << 28) << 2 | 2 : 0;
        break;
    case 1:
        model.roots[root] = n;
        w->words[root] = n ? x->ref : 0;
        break;
    default:
        if (n && x->type != BYTES && x->length)
            point(w, n, random_below(x->length), random_below(4) ? some_node() : 0);
    }
}

static bool is_intact(struct world *w, u32 n)
{
    const struct node *x = &model.at[n];
    bool array = x->type == REFS || x->type == BYTES;
    if (*field(w, x->ref, 0) != w->ids[x->type] || *field(w, x->ref, 4) != (array ? x->length : 0))
        return false;
    for (u32 i = 0; x->type == BYTES && i < x->length; i++)
        if (w->vm->heap_base[x->ref + OBJECT_HEADER + i] != (n & 0xff))
            return false;
    for (u32 i = 0; x->type != BYTES && i < x->length; i++)
        if (*field(w, x->ref, place(x->type, i)) != model.at[x->to[i]].ref)
            return false;
    return array || *field(w, x->ref, KEY) == n;
}

// Looks at all that is in use; how many bytes that is.
static u64 check_model(struct world *w)
{
    u32 *stack = malloc((model.count + 1) * sizeof *stack), sp = 0, wrong = 0;
    u64 bytes = 0;
    model.round++;
    for (u32 i = 0; i < COUNT(model.roots); i++)
        if (model.roots[i] && model.at[model.roots[i]].seen != model.round) {
            model.at[model.roots[i]].seen = model.round;
            stack[sp++] = model.roots[i];
        }
    while (sp) {
        const struct node *x = &model.at[stack[--sp]];
        wrong += !is_intact(w, stack[sp]);
        bytes += takes(bytes_of(x->type, x->length));
        for (u32 i = 0; x->type != BYTES && i < x->length; i++) {
            struct node *to = &model.at[x->to[i]];
            if (!x->to[i] || to->seen == model.round)
                continue;
            to->seen = model.round;
            stack[sp++] = x->to[i];
        }
    }
    free(stack);
    CHECK_IS(wrong, 0);
    return bytes;
}

static void forget_model(void)
{
    for (u32 i = 0; i < model.count; i++)
        free(model.at[i].to);
    free(model.at);
    memset(&model, 0, sizeof model);
    model.at = calloc(1, sizeof *model.at); // nobody
    model.count = 1;
}

static void graphs(void)
{
    about = "random graphs";
    for (u32 seed = 1; seed <= 12; seed++) {
        struct world w;
        state = seed * 0x9e3779b97f4a7c15ull;
        forget_model();
        CHECK_IS(begin(&w, &interp_engine, NULL), true);
        for (u32 i = 0; i < 20000; i++) {
            if (random_below(3))
                add_node(&w);
            else
                change(&w);
            if (random_below(2000) == 0) {
                CHECK_IS(gc_collect(w.s), true);
                CHECK_IS(live(&w), check_model(&w));
            }
        }
        check_model(&w);
        CHECK_IS(collections(&w) > 2, true);
        end(&w);
    }
}

// --- More than fits the list of what waits

enum { MANY = 300000 };

// One by one, with something beside each that has something itself, on either side.
static void chains(bool first)
{
    struct world w;
    CHECK_IS(begin(&w, &interp_engine, NULL), true);
    for (u32 i = 0; i < MANY; i++) {
        w.words[1] = pair(&w, 0, 0);
        w.words[2] = pair(&w, w.words[1], 0);
        w.words[0] = first ? pair(&w, w.words[0], w.words[2]) : pair(&w, w.words[2], w.words[0]);
    }
    w.words[1] = w.words[2] = 0;
    CHECK_IS(gc_collect(w.s), true);
    CHECK_IS(live(&w), 3ull * MANY * 24);
    u32 n = 0;
    for (u64 p = w.words[0]; p; n++)
        p = *field(&w, p, first ? LEFT : RIGHT);
    CHECK_IS(n, MANY);
    w.words[0] = 0;
    CHECK_IS(gc_collect(w.s), true);
    CHECK_IS(live(&w), 0);
    end(&w);
}

// An array of many, each of which has another; and in an order that is not that of the heap.
static void arrays(void)
{
    struct world w;
    CHECK_IS(begin(&w, &interp_engine, NULL), true);
    w.words[0] = new(&w, REFS, MANY);
    for (u32 i = 0; i < MANY; i++) {
        w.words[1] = pair(&w, 0, 0);
        *field(&w, w.words[0], OBJECT_HEADER + 4 * (u32)((u64)i * 7919 % MANY)) =
            (u32)pair(&w, w.words[1], i % 3 ? w.words[1] : 0);
    }
    w.words[1] = 0;
    CHECK_IS(gc_collect(w.s), true);
    CHECK_IS(live(&w), 2ull * MANY * 24 + takes(bytes_of(REFS, MANY)));
    for (u32 i = 0; i < MANY; i += 2)
        *field(&w, w.words[0], OBJECT_HEADER + 4 * i) = 0;
    CHECK_IS(gc_collect(w.s), true);
    CHECK_IS(live(&w), MANY * 24ull + takes(bytes_of(REFS, MANY)));
    end(&w);
}

// Of every class, and large ones, more than fit the list; each has a reference, as its last, to
// what nobody else has: so that a cell whose place is not found again would be missed.
static void classes(void)
{
    enum { EACH = 2 * GC_MARKS, LENGTHS = 60 };
    struct world w;
    CHECK_IS(begin(&w, &interp_engine, NULL), true);
    u64 bytes = 0, kept = 0;
    for (u32 i = 0, length = 2; i < LENGTHS; i++, length += length < 32 ? 2 : length / 4) {
        u32 n = length < 500 ? EACH : 20;
        u64 all = new(&w, REFS, n);
        w.words[0] = pair(&w, w.words[0], 0);
        *field(&w, w.words[0], RIGHT) = (u32)(w.words[1] = all);
        for (u32 k = 0; k < n; k++) {
            u64 p = w.words[2] = new(&w, REFS, length);
            *field(&w, p, OBJECT_HEADER + 4 * (length - 1)) = (u32)pair(&w, 0, 0);
            *field(&w, w.words[1], OBJECT_HEADER + 4 * (u32)((u64)k * 1021 % n)) = (u32)p;
        }
        u64 one = takes(bytes_of(REFS, length)) + 24, list = takes(bytes_of(REFS, n)) + 24;
        bytes += n * one + list;
        for (u32 k = 0; k < n; k++)
            if (k % 3)
                *field(&w, w.words[1], OBJECT_HEADER + 4 * k) = 0;
        kept += (n + 2) / 3 * one + list;
        w.words[1] = w.words[2] = 0;
        if (i % 8 == 0) {
            CHECK_IS(gc_collect(w.s), true);
            CHECK_IS(live(&w), kept);
        }
    }
    CHECK_IS(gc_collect(w.s), true);
    CHECK_IS(live(&w), kept);
    CHECK_IS(bytes > kept, true);
    end(&w);
}

static u32 looks, stop_at;
static u32 count_looks(void)
{
    return ++looks >= stop_at ? TRAP_TIME : 0;
}

static bool collect_counting(struct world *w)
{
    looks = 0;
    stop_at = UINT32_MAX;
    u32 (*hook)(void) = look_up_hook;
    look_up_hook = count_looks;
    bool collected = gc_collect(w->s);
    look_up_hook = hook;
    return collected;
}

// Small ones with references to any: each is looked into once, though many of a unit become grey
// one after the other. (A look comes after so many steps: one for an object and each reference.)
static void once(void)
{
    struct world w;
    CHECK_IS(begin(&w, &interp_engine, NULL), true);
    state = 5;
    u64 all = w.words[0] = new(&w, REFS, MANY);
    for (u32 i = 0; i < MANY; i++)
        *field(&w, all, OBJECT_HEADER + 4 * i) = (u32)pair(&w, 0, 0);
    u32 *refs = field(&w, all, OBJECT_HEADER);
    for (u32 i = 0; i < MANY; i++) {
        *field(&w, refs[i], LEFT) = refs[random_below(MANY)];
        *field(&w, refs[i], RIGHT) = refs[(i * 7919ull + 1) % MANY];
    }
    w.words[0] = refs[0];
    CHECK_IS(collect_counting(&w), true);
    CHECK_IS(live(&w) > MANY * 24ull * 19 / 20, true);
    CHECK_IS(looks << 14 < 4 * MANY, true);
    end(&w);
}

// Arrays that become grey, each with more references to what lies beside it than fit the list, and
// each of those with one to what nobody else has.
static void neighbours(void)
{
    enum { ARRAYS = 700, EACH = 3 * GC_MARKS / 2 };
    struct world w;
    CHECK_IS(begin(&w, &interp_engine, NULL), true);
    u64 all = w.words[0] = new(&w, REFS, 4 * ARRAYS);
    for (u32 i = 0; i < 4 * ARRAYS; i++) {
        u32 p = *field(&w, all, OBJECT_HEADER + 4 * i) = (u32)pair(&w, 0, 0);
        if (i % 4)
            continue;
        u64 array = new(&w, REFS, EACH);
        *field(&w, p, LEFT) = (u32)array;
        for (u32 k = 0; k < EACH; k++) {
            u32 first = (u32)pair(&w, 0, 0);
            *field(&w, array, OBJECT_HEADER + 4 * (k * 7 % EACH)) = first;
            *field(&w, first, RIGHT) = (u32)pair(&w, 0, 0);
        }
    }
    u64 expected = takes(bytes_of(REFS, 4 * ARRAYS)) + 4 * ARRAYS * 24 +
                   ARRAYS * (takes(bytes_of(REFS, EACH)) + EACH * 48ull);
    u64 steps = 4 * ARRAYS * 4 + ARRAYS * EACH * 7ull; // if each is looked into once
    for (u32 i = 0; i < 2; i++) {
        CHECK_IS(collect_counting(&w), true);
        CHECK_IS(live(&w), expected);
        CHECK_IS((u64)looks << 14 < steps + steps / 4, true);
    }
    end(&w);
}

static void overflow(void)
{
    about = "every class, grey";
    classes();
    about = "looked into once";
    once();
    about = "grey, with neighbours";
    neighbours();
    about = "chains";
    chains(false);
    chains(true);
    about = "a wide array";
    arrays();
}

// --- Gaps

static void gaps(void)
{
    about = "gaps";
    struct world w;
    CHECK_IS(begin(&w, &interp_engine, NULL), true);
    for (u32 step = 2; step <= 32; step *= 4) {
        w.words[0] = 0;
        gc_collect(w.s);
        for (u32 i = 0; i < MANY; i++) {
            u64 p = pair(&w, w.words[0], 0);
            if (i % step == 0)
                w.words[0] = p;
        }
        gc_collect(w.s);
        u64 kept = (MANY + step - 1) / step;
        CHECK_IS(live(&w), kept * 24);
        // What has been there fits into what it has left.
        for (u32 i = 0; i < MANY - kept; i++)
            CHECK_IS((w.words[1] = pair(&w, w.words[1], 0)) != 0, true);
        CHECK_IS(has(&w) < MANY * 24 * 23 / 20, true);
        w.words[1] = 0;
    }
    // All but one of each unit's goes, and what is larger than a gap is found elsewhere.
    w.words[0] = 0;
    u64 last = 0;
    for (u32 i = 0; i < MANY; i++) {
        u64 p = pair(&w, w.words[0], 0);
        if (p >> 15 != last >> 15)
            w.words[0] = p;
        last = p;
    }
    gc_collect(w.s);
    w.words[1] = new(&w, BYTES, 5 << 20);
    CHECK_IS(w.words[1] != 0, true);
    for (u64 p = w.words[0]; p; p = *field(&w, p, LEFT))
        CHECK_IS(p + 24 <= w.words[1] || p >= w.words[1] + (5 << 20), true);
    end(&w);
}

// Of spans that are nearly full, the rest is used when there is no more memory.
static void dense(void)
{
    about = "nearly full";
    struct world w;
    enum { LIMIT = 4 << 20 };
    u64 most[ACCOUNT_KINDS] = {[ACCOUNT_MEMORY] = LIMIT};
    struct account *a = account_new(NULL, most, sizeof *a);
    CHECK_IS(begin(&w, &interp_engine, a), true);
    u32 n = 0, again = 0;
    for (u64 p; (p = pair(&w, w.words[0], 0));)
        w.words[0] = ++n % 20 ? p : w.words[0];
    CHECK_IS(gc_collect(w.s), true);
    for (u64 p; (p = pair(&w, w.words[1], 0)); again++)
        w.words[1] = p;
    CHECK_IS((n - n / 20 + again) * 24ull > LIMIT / 100 * 93, true);
    end(&w);
    account_unref(a);
}

// --- Sizes

static void sizes(void)
{
    about = "sizes";
    struct world w;
    CHECK_IS(begin(&w, &interp_engine, NULL), true);
    for (u32 length = 0; length < 300000; length += length < 300 ? 1 : length / 37) {
        u64 a = w.words[0] = new(&w, BYTES, length), b = w.words[1] = new(&w, BYTES, length);
        CHECK_IS(a && b, true);
        memset(field(&w, a, 8), 1, length);
        memset(field(&w, b, 8), 2, length);
        CHECK_IS(*field(&w, a, 4), length);
        CHECK_IS(*field(&w, b, 4), length);
        CHECK_IS(length ? w.vm->heap_base[a + 8 + length - 1] : 1, 1);
        gc_collect(w.s);
        CHECK_IS(live(&w), 2 * takes(8 + length));
    }
    w.words[0] = w.words[1] = 0;
    u64 before = collections(&w);
    CHECK_IS(rt_object_new(w.vm, w.ids[BYTES], UINT64_MAX, 0), 0);
    CHECK_IS(rt_object_new(w.vm, w.ids[BYTES], 4ull << 30, 0), 0);
    CHECK_IS(collections(&w), before);
    // Inline, as compiled code does it.
    struct vm_run *run = &w.vm->heap->runs[vm_heap_class(20)];
    u64 first = w.words[0] = pair(&w, 0, 0);
    CHECK_IS(run->next, first + 24);
    for (u32 i = 0; i < 100 && run->next != run->end; i++) {
        u32 at = run->next;
        run->next = at + vm_heap_cell(vm_heap_class(20));
        *field(&w, at, 0) = w.ids[PAIR];
        *field(&w, at, 4) = *field(&w, at, KEY) = *field(&w, at, RIGHT) = 0;
        *field(&w, at, LEFT) = (u32)w.words[0];
        w.words[0] = at;
    }
    gc_collect(w.s);
    CHECK_IS(live(&w), 101 * 24);
    end(&w);
}

// --- Where it lies

// Before anything of it is accessible.
static void move(struct memory_slot *slot, s64 off)
{
    plat_decommit(slot->vm.base, slot->vm.bytes);
    slot->vm.bytes = 0;
    slot->vm.base += off;
}

// Units come in whole pages of a memory, wherever its base is: a large heap ends where a large page
// does only as far as that goes. And all that marking keeps of the first units of a group is there
// when there are no others: so one page after the other, with an object in the last one.
static void any_base(void)
{
    about = "a base in the middle of a large page";
    for (u32 pages = 0; pages < 3; pages++) {
        struct world w;
        s64 off = pages * 3ll * PLAT_PAGE;
        CHECK_IS(begin(&w, &interp_engine, NULL), true);
        gc_end(w.s);
        struct memory_slot *slot = w.s->realm->free_slots;
        move(slot, off);
        CHECK_IS(gc_begin(w.s), true);
        struct gc *gc = w.s->gc;
        CHECK_IS((u64)(uintptr_t)gc->vm.base, (u64)(uintptr_t)slot->vm.base);
        for (u32 count = gc->count; count < 3000;) {
            w.words[0] = pair(&w, w.words[0], 0);
            if (gc->count == count)
                continue;
            count = gc->count;
            CHECK_IS((u64)count * GC_UNIT, gc->memory->bytes);
            if (count < 600 || count > 2000)
                CHECK_IS(gc_collect(w.s), true);
        }
        u64 n = 0;
        for (u64 p = w.words[0]; p; p = *field(&w, p, LEFT))
            n++;
        CHECK_IS(gc_collect(w.s), true);
        CHECK_IS(live(&w), n * 24);
        gc_end(w.s);
        move(slot, -off);
        end(&w);
    }
}

// --- Who pays

static void limit(void)
{
    about = "a limit";
    enum { LIMIT = 16 << 20 };
    struct world w;
    u64 most[ACCOUNT_KINDS] = {[ACCOUNT_MEMORY] = LIMIT};
    struct account *a = account_new(NULL, most, sizeof *a);
    u64 before = a->of[ACCOUNT_KEPT].used;
    CHECK_IS(begin(&w, &interp_engine, a), true);
    for (u32 round = 0; round < 3; round++) {
        u32 n = 0;
        for (u64 p; (p = pair(&w, w.words[0], 0)); n++)
            w.words[0] = p;
        CHECK_IS(n * 24ull > LIMIT * 9ull / 10, true);
        CHECK_IS(n * 24ull < LIMIT, true);
        CHECK_IS(a->of[ACCOUNT_MEMORY].peak <= LIMIT, true);
        CHECK_IS(a->of[ACCOUNT_MEMORY].used > LIMIT * 9ull / 10, true);
        CHECK_IS(new(&w, BYTES, 1 << 20), 0);
        w.words[0] = 0;
        CHECK_IS(gc_collect(w.s), true);
        CHECK_IS(live(&w), 0);
        // It goes back, but for what is used next.
        CHECK_IS(a->of[ACCOUNT_MEMORY].used < 4 << 20, true);
        CHECK_IS(has(&w) <= a->of[ACCOUNT_MEMORY].used, true);
        CHECK_IS((w.words[0] = new(&w, BYTES, 14 << 20)) != 0, true);
        w.words[0] = 0;
    }
    // It goes back from the middle, too, and is there again.
    for (u32 i = 0; i < 500000; i++)
        w.words[0] = pair(&w, w.words[0], 0);
    w.words[1] = w.words[0];
    w.words[0] = 0;
    w.words[2] = new(&w, BYTES, 2 << 20);
    w.words[1] = 0;
    gc_collect(w.s);
    CHECK_IS(w.s->memory < 11 << 20, true);
    CHECK_IS(memory_given(w.s->gc->memory) > 0, true);
    for (u32 i = 0; i < 500000; i++)
        CHECK_IS((w.words[0] = pair(&w, w.words[0], 0)) != 0, true);
    end(&w);
    CHECK_IS(a->of[ACCOUNT_KEPT].used, before);
    CHECK_IS(a->of[ACCOUNT_MEMORY].used, 0);
    account_unref(a);
}

// With every amount of memory there may be, something else is the first that is not there.
// There is a large run at the end, behind more runs that are too small than are looked at, and no
// memory for another record of units behind it.
static void run_at_the_end(void)
{
    enum { UNITS = 448, RUNS = 70, FOUR = 28672, FIVE = 40000, SEVEN = 57000, LARGE = 18 };
    u64 most[ACCOUNT_KINDS] = {[ACCOUNT_MEMORY] = 64 << 20};
    struct account *payer = account_new(NULL, most, sizeof *payer);
    struct world w;
    about = "a run at the end";
    CHECK_IS(begin(&w, &interp_engine, payer), true);
    w.held.count = 0; // but for what is kept
    u64 *kept = calloc(LARGE + RUNS, sizeof *kept);
    struct gc_held held = {NULL, kept, LARGE + RUNS};
    w.s->held = &held;
    for (u32 i = 0; i < LARGE; i++)
        kept[i] = new(&w, BYTES, FIVE);
    for (u32 i = 0; i < RUNS; i++) {
        w.s->gc->allocated = 0; // so that nothing is collected yet
        new(&w, BYTES, FOUR);
        kept[LARGE + i] = new(&w, BYTES, 7168);
    }
    struct gc *gc = w.s->gc;
    CHECK_IS(gc->count, UNITS);
    CHECK_IS(gc->accessible, UNITS / GC_GROUP * sizeof(struct gc_group));
    payer->of[ACCOUNT_MEMORY].most = payer->of[ACCOUNT_MEMORY].used;
    CHECK_IS(gc_collect(w.s), true);
    CHECK_IS(gc_unit(gc, UNITS - 7)->kind == GC_FREE && gc_unit(gc, UNITS - 7)->count == 7, true);
    CHECK_IS(new(&w, BYTES, SEVEN), (u64)(UNITS - 7) * GC_UNIT);
    CHECK_IS(gc->count, UNITS);
    end(&w);
    free(kept);
    account_unref(payer);
}

static void out_of_memory(void)
{
    about = "no memory";
    for (u64 room = 4096; room < 1 << 20; room += 20480) {
        struct world w;
        u64 most[ACCOUNT_KINDS] = {[ACCOUNT_MEMORY] = room};
        struct account *a = account_new(NULL, most, sizeof *a);
        u64 before = a->of[ACCOUNT_KEPT].used;
        if (begin(&w, &interp_engine, a)) {
            u32 n = 0;
            for (u64 p; (p = pair(&w, w.words[0], 0)); n++)
                w.words[0] = p;
            for (u64 p = w.words[0]; p; p = *field(&w, p, LEFT))
                n--;
            CHECK_IS(n, 0);
        } else {
            CHECK_IS(room < 100 << 10, true);
            CHECK_IS(w.s->gc, 0);
        }
        end(&w);
        CHECK_IS(a->of[ACCOUNT_KEPT].used, before);
        account_unref(a);
    }
    bool through = false;
    for (long n = 0; !through; n++) {
        struct world w;
        CHECK_IS(begin(&w, &interp_engine, NULL), true);
        gc_end(w.s);
        test_heap.left = n;
        through = gc_begin(w.s);
        CHECK_IS(through || !w.s->gc, true);
        test_heap.left = -1;
        end(&w);
    }
}

// --- Stopped

static void stopped(void)
{
    about = "stopped";
    struct world w;
    state = 77;
    forget_model();
    CHECK_IS(begin(&w, &interp_engine, NULL), true);
    for (u32 i = 0; i < 4000; i++)
        add_node(&w);
    model.roots[0] = 0;
    w.words[0] = new(&w, REFS, 100000);
    for (u32 i = 0; i < 100000; i++)
        *field(&w, w.words[0], OBJECT_HEADER + 4 * i) = (u32)pair(&w, 0, 0);
    u32 (*hook)(void) = look_up_hook;
    u32 through = 0;
    u64 n = collections(&w);
    for (stop_at = 1; !through; stop_at++) {
        looks = 0;
        look_up_hook = count_looks;
        through = gc_collect(w.s);
        look_up_hook = hook;
        CHECK_IS(collections(&w), n + through);
        for (u32 i = 0; i < 50; i++)
            add_node(&w);
        model.roots[0] = 0;
    }
    CHECK_IS(stop_at > 10, true);
    gc_collect(w.s);
    check_model(&w);
    end(&w);
}

// --- Words that only look like references

static void words(void)
{
    about = "words";
    struct world w;
    CHECK_IS(begin(&w, &interp_engine, NULL), true);
    u64 p = pair(&w, 0, 0), a = new(&w, BYTES, 100000), b = new(&w, BYTES, 1000);
    u64 wrong[] = {p + 8,
                   p + 16,
                   p + 24,
                   p | 1ull << 32,
                   p | 2,
                   p | 1,
                   a + 8,
                   a + GC_UNIT,
                   a + GC_UNIT * 3,
                   b + 8,
                   b - 8,
                   8,
                   GC_UNIT - 8,
                   0,
                   UINT32_MAX & ~7u,
                   UINT32_MAX,
                   UINT64_MAX & ~7ull,
                   1ull << 63,
                   has(&w) & ~7ull};
    memcpy(w.words, wrong, sizeof wrong);
    gc_collect(w.s);
    CHECK_IS(live(&w), 0);
    w.words[0] = p; // has been freed
    gc_collect(w.s);
    CHECK_IS(live(&w), 0);
    // Where gaps are, what has been there is not found again.
    memset(w.words, 0, sizeof w.words);
    static u64 all[5000];
    for (u32 i = 0; i < COUNT(all); i++) {
        all[i] = pair(&w, 0, 0);
        if (i % 3 == 0)
            w.words[0] = pair(&w, w.words[0], all[i]);
    }
    gc_collect(w.s);
    u64 n = live(&w);
    pair(&w, 0, 0); // a gap is in use, the others not
    pair(&w, 0, 0);
    w.held = (struct gc_held){&(struct gc_held){NULL, all, COUNT(all)}, w.words, COUNT(w.words)};
    gc_collect(w.s);
    CHECK_IS(live(&w) - n <= 2 * 24, true);
    CHECK_IS(n, 24 * 2 * ((COUNT(all) + 2) / 3));
    end(&w);
}

// --- What instances and threads have

static void waste(struct world *w)
{
    u64 before = collections(w);
    for (u32 i = 0; collections(w) < before + 3 && i < 1000000; i++)
        if (!pair(w, 0, 0))
            abort();
    CHECK_IS(collections(w) >= before + 3, true);
}

static bool is_pair(const struct world *w, u64 ref, u32 key)
{
    return *field(w, ref, 0) == w->ids[PAIR] && *field(w, ref, KEY) == key;
}

static u64 keyed(struct world *w, u32 key)
{
    u64 p = pair(w, 0, 0);
    *field(w, p, KEY) = key;
    return p;
}

static void in_instances(void)
{
    about = "globals and tables";
    struct world w;
    CHECK_IS(begin(&w, &interp_engine, NULL), true);
    vm_global(w.vm, 0)->ref = keyed(&w, 1);
    vm_global(w.vm, 1)->i64 = keyed(&w, 2); // is none
    vm_table(w.vm, 0)->at[5].ref = (const struct vm_func *)(uintptr_t)keyed(&w, 3);
    waste(&w);
    gc_collect(w.s);
    CHECK_IS(live(&w), 2 * 24);
    CHECK_IS(is_pair(&w, vm_global(w.vm, 0)->ref, 1), true);
    CHECK_IS(is_pair(&w, (u64)(uintptr_t)vm_table(w.vm, 0)->at[5].ref, 3), true);
    vm_table(w.vm, 0)->at[5].ref = NULL;
    vm_global(w.vm, 0)->ref = 0;
    gc_collect(w.s);
    CHECK_IS(live(&w), 0);
    end(&w);
}

static void on_stack(struct world *w, struct vmctx *vm)
{
    (void)vm;
    volatile u64 refs[8];
    for (u32 i = 0; i < COUNT(refs); i++)
        refs[i] = keyed(w, 100 + i);
    waste(w);
    for (u32 i = 0; i < COUNT(refs); i++)
        CHECK_IS(is_pair(w, refs[i], 100 + i), true);
}

static void parks(struct world *w, struct vmctx *vm)
{
    volatile u64 ref = keyed(w, 7);
    thread_park((struct thread *)vm->thread, vm);
    CHECK_IS(is_pair(w, ref, 7), true);
}

static const struct vm_func *caller(struct world *w)
{
    struct extern_ x;
    CHECK_IS(instance_export(w->i, "0", 1, &x), OK);
    return x.func;
}

static void on_threads(const struct engine *engine)
{
    struct world w;
    u64 slots[1];
    CHECK_IS(begin(&w, engine, NULL), true);
    struct thread *t = thread_create(w.s), *others[20];
    in_call = on_stack;
    for (u32 i = 0; i < 3; i++)
        CHECK_IS(thread_call(t, caller(&w), slots), OK);
    in_call = parks;
    for (u32 i = 0; i < COUNT(others); i++) {
        others[i] = thread_create(w.s);
        CHECK_IS(thread_call(others[i], caller(&w), slots), ERR_SHOULD_WAIT);
        waste(&w);
    }
    in_call = on_stack;
    CHECK_IS(thread_call(t, caller(&w), slots), OK);
    gc_collect(w.s);
    CHECK_IS(live(&w) >= COUNT(others) * 24, true);
    for (u32 i = 0; i < COUNT(others); i++)
        CHECK_IS(thread_resume(others[i]), OK);
    end(&w);
}

// An exception has a reference to an object, which has one to another exception, and so on.
static u64 exception(struct vmctx *vm, u64 cell)
{
    struct vm_exception *e = rt_exception_new(vm, 0);
    e->cells[0] = cell;
    return rt_exception_caught(vm, true);
}

enum { DEEP = 20000 };

static __attribute__((noinline)) void chain_exceptions(struct world *w, struct vmctx *vm)
{
    u64 *root = &vm_global(vm, 0)->ref;
    *root = 0;
    for (u32 i = 0; i < DEEP; i++) {
        volatile u64 a = new(w, EXNS, 3), b;
        *(u64 *)field(w, a, 16) = *root;
        b = pair(w, a, 0);
        *root = exception(vm, b);
    }
    gc_collect(w->s);
    u32 n = 0;
    for (u64 e = *root; e; n++) {
        u64 b = exception_at(&w->s->exceptions, (u32)e)->cells[0];
        e = *(u64 *)field(w, *field(w, b, LEFT), 16);
    }
    CHECK_IS(n, DEEP);
    CHECK_IS(live(w) >= DEEP * (24 + 32), true);
    // Numbers on the stack may look like references: so that what these find is little.
    n = 0;
    for (u64 e = *root, next; e; e = next) {
        u64 b = exception_at(&w->s->exceptions, (u32)e)->cells[0];
        u64 *link = (u64 *)field(w, *field(w, b, LEFT), 16);
        next = *link;
        *link = ++n % 10 ? next : 0;
    }
    *root = 0;
}

static __attribute__((noinline)) void wipe_stack(void)
{
    volatile u64 stack[2000];
    for (u32 i = 0; i < COUNT(stack); i++)
        stack[i] = 0;
}

static void in_exceptions(struct world *w, struct vmctx *vm)
{
    chain_exceptions(w, vm);
    u64 bytes = w->s->exceptions.bytes;
    wipe_stack();
    exception(vm, 0); // the thread's
    gc_collect(w->s);
    CHECK_IS(live(w) < DEEP / 10 * (24 + 32), true);
    CHECK_IS(w->s->exceptions.bytes < bytes / 10, true);
    // With exceptions alone: who makes them collects.
    for (u32 i = 0; i < 100000; i++)
        exception(vm, 0);
    CHECK_IS(w->s->exceptions.bytes < 1 << 20, true);
}

static void exceptions(void)
{
    about = "exceptions";
    struct world w;
    u64 slots[1];
    CHECK_IS(begin(&w, &interp_engine, NULL), true);
    struct thread *t = thread_create(w.s);
    in_call = in_exceptions;
    CHECK_IS(thread_call(t, caller(&w), slots), OK);
    end(&w);
}

// --- An instance goes, its types stay as long as there may be objects of them

static void types_stay(void)
{
    about = "types";
    struct world w;
    CHECK_IS(begin(&w, &interp_engine, NULL), true);
    u32 users = container_of(w.m, struct module_record, pub)->users;
    struct module_record *m = container_of(w.m, struct module_record, pub);
    for (u32 i = 0; i < 3; i++) {
        struct instance *other;
        struct error e = {0};
        CHECK_IS(instance_create(w.s, w.m, NULL, &other, &e), OK);
        instance_free(other);
        gc_keep_types(w.s, m);
        CHECK_IS(m->users, users + 1);
    }
    gc_end(w.s);
    CHECK_IS(m->users, users);
    end(&w);
}

// --- `gc large`: what a collection takes with ten million objects, of processor time. Each has a
// reference to the next one and one to any; an array has all.

static void collection(struct world *w, const char *what)
{
    u64 start = plat_cpu_time();
    gc_collect(w->s);
    double ms = (double)(plat_cpu_time() - start) / 1e6, mb = (double)live(w) / 1e6;
    printf("%s: %.0f ms for %.0f MB in use, %.0f ms for 100 MB; then it has %.1f MB\n", what, ms,
           mb, mb > 1 ? ms / mb * 100 : ms, (double)has(w) / 1e6);
}

static void large(void)
{
    enum { OBJECTS = 10000000, FIELDS = 23 };
    struct world w;
    if (!begin(&w, &fast_engine, NULL))
        exit(1);
    u64 all = w.words[0] = new(&w, REFS, OBJECTS);
    u32 *refs = field(&w, all, OBJECT_HEADER);
    for (u32 i = 0; i < OBJECTS; i++)
        if (!(refs[i] = (u32)new(&w, REFS, FIELDS)))
            exit(1);
    for (u32 i = 0; i < OBJECTS; i++) {
        *field(&w, refs[i], OBJECT_HEADER) = refs[i * 2654435761u % OBJECTS];
        *field(&w, refs[i], OBJECT_HEADER + 4) = refs[(i + 1) % OBJECTS];
    }
    collection(&w, "from an array");
    w.words[0] = refs[0];
    collection(&w, "from one object");
    w.words[0] = 0;
    collection(&w, "nothing");
    end(&w);
}

// --- Constant expressions

enum { TIMES = 10 };

// (type (array i8)) (type (array anyref)) (global anyref ...): arrays of 4 MB, of which nothing is
// in what the expression leaves; (elem anyref ...): another one.
static u32 wasteful(u8 *out)
{
    static const u8 head[] = "\0asm\1\0\0\0\1\7\2\x5e\x78\0\x5e\x6e\0\6";
    static const u8 one[] = "\x41\x80\x80\x80\2\xfb\7\0\x41\0\xfb\6\1";
    static const u8 both[] = "\xfb\x08\1\2";
    static const u8 elem[] = "\x09\x0d\1\5\x6e\1\x41\x80\x80\x80\2\xfb\7\0\x0b";
    enum { HEAD = sizeof head - 1, ONE = sizeof one - 1, BOTH = sizeof both - 1 };
    u32 size = 3 + TIMES * ONE + (TIMES - 1) * BOTH + 1, n = HEAD;
    memcpy(out, head, HEAD);
    out[n++] = (u8)(size | 0x80);
    out[n++] = (u8)(size >> 7);
    memcpy(out + n, "\1\x6e", 3);
    n += 3;
    for (u32 i = 0; i < TIMES; i++) {
        memcpy(out + n, one, ONE);
        memcpy(out + n + ONE, both, BOTH);
        n += ONE + (i ? BOTH : 0);
    }
    out[n++] = 0x0b;
    memcpy(out + n, elem, sizeof elem - 1);
    return n + (u32)sizeof elem - 1;
}

// Nobody can end a process while they are computed.
static void constants(void)
{
    about = "constant expressions";
    u8 bytes[512];
    u32 n = wasteful(bytes);
    for (u32 large = 0; large < 2; large++) {
        struct world w;
        u64 most[ACCOUNT_KINDS] = {[ACCOUNT_MEMORY] = 4ull * TIMES << (large ? 21 : 19)};
        struct account *a = account_new(NULL, most, sizeof *a);
        struct instance *i;
        struct rt_module *m;
        struct error e = {0};
        CHECK_IS(begin(&w, &interp_engine, a), true);
        CHECK_IS(rt_module_load(w.s, bytes, n, &m, &e), OK);
        CHECK_IS(instance_create(w.s, m, NULL, &i, &e), large ? OK : ERR_NO_MEMORY);
        CHECK_IS(collections(&w) <= 1, true);
        CHECK_IS(gc_collect(w.s), true);
        CHECK_IS(live(&w) >> 20, large ? 4 : 0);
        if (large)
            rt_elem_drop(instance_vm(i), 0);
        CHECK_IS(gc_collect(w.s), true);
        CHECK_IS(live(&w) < 1 << 20, true);
        w.words[0] = new(&w, BYTES, 1 << 20); // and after that it is as ever
        for (u32 k = 0; k < 100; k++)
            CHECK_IS(new(&w, BYTES, 1 << 20) != 0, true);
        end(&w);
        account_unref(a);
    }
}

int main(int argc, char **argv)
{
    if (rt_init())
        return 1;
    if (argc > 1 && !strcmp(argv[1], "large")) {
        large();
        return 0;
    }
    size_t before = test_heap.live;
    graphs();
    overflow();
    gaps();
    dense();
    sizes();
    any_base();
    limit();
    run_at_the_end();
    out_of_memory();
    stopped();
    words();
    in_instances();
    about = "threads, interp";
    on_threads(&interp_engine);
    about = "threads, fast";
    on_threads(&fast_engine);
    exceptions();
    types_stay();
    constants();
    about = "the end";
    CHECK_IS(test_heap.live, before);
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0;
}
