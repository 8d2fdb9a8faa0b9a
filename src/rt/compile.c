// SPDX-License-Identifier: MIT
// When functions are compiled: each at its first call, by whoever calls it, for most of a large
// module are never called.
//
// Compiled code calls through a table of addresses, one for each own function (wasm/engine.h). It
// holds arch_stub_first until the function is there. A vm_func holds arch_stub_first_of, and there
// are copies of it in tables: each gets the address when it is called through.
//
//   call [rip + table] ──> arch_stub_first ──> rt_first_call: compile into memory of one's own
//          ^                                      a place in the module's code; copy, link calls,
//          │                                      publish; then enter it into the table
//          └── the next time: the function   <──  and go on there
//
// CPUs may do so for the same function at the same time; then the first to enter it wins, and the
// other's place is lost. Nobody waits for a compilation of another, which may be slow, or be ended.
//
// Who writes has the pages of a place to itself: what is left of the last one belongs to the next
// place only when that page is closed again. So nobody closes a page that another writes to.
#include "base/lookup.h"
#include "rt/code.h"
#include "rt/instance.h"
#include "rt/thread.h"
#include "wasm/runtime.h"

enum {
    CHUNK_LEAST = 8 << 10,
    CHUNK_MOST = 1 << 20,
    SMALL_BODY = 16 << 10,
    SMALL_AT_ONCE = 8,
};

static void chunk_free(struct code_chunk *k)
{
    if (k)
        code_free(&k->space);
    heap_free(k);
}

// The module's owner pays for it, at once.
static status chunk_new(struct module_record *r, size_t size, struct code_chunk **out)
{
    size = ALIGN_UP(size, PLAT_PAGE);
    struct code_chunk *k = *out = heap_zalloc_for(
        heap_payer(r), sizeof *k + (size + PLAT_PAGE - 1) / PLAT_PAGE * sizeof *k->first);
    status s = k ? code_alloc(size, heap_payer(r), &k->space) : ERR_NO_MEMORY;
    if (s) {
        heap_free(k);
        *out = NULL;
    }
    return s;
}

static size_t table_bytes(const struct module *m)
{
    size_t entries = ENTRY_FUNCS + (size_t)(m->nfuncs - m->nimported_funcs);
    return ALIGN_UP(entries * sizeof(u8 *), (size_t)PLAT_PAGE);
}

// With room for the code of most modules. Who has used up all memory later can still call what it
// has never called.
status module_code_init(struct module_record *r)
{
    struct compiled *c = &r->pub.compiled;
    const struct module *m = c->module;
    size_t n = m->nfuncs - m->nimported_funcs, bytes = m->code_end - m->code_start;
    status s = chunk_new(r, table_bytes(m) + bytes * 2 + n * 64, &r->chunks);
    if (s)
        return s;
    c->write = code_window()->write;
    c->run = code_window()->run;
    c->table = (const u8 **)(void *)r->chunks->space.write;
    r->chunks->space.used = (u32)table_bytes(m);
    c->table[ENTRY_LINK] = arch_stub_link;
    c->table[ENTRY_HELPER] = arch_stub_helper;
    c->table[ENTRY_TRAP] = arch_stub_trap;
    c->table[ENTRY_POLL] = arch_stub_poll;
    c->table[ENTRY_TAIL] = arch_stub_tail;
    c->table[ENTRY_FIRST] = arch_stub_first;
    c->table[ENTRY_FIRST_TAIL] = arch_stub_first_tail;
    enum { AT_ONCE = 1 << 14 };
    for (size_t i = 0; i < n; i++) {
        c->table[ENTRY_FUNCS + i] = arch_stub_first;
        if (i % AT_ONCE == AT_ONCE - 1)
            look_up();
    }
    return OK;
}

void module_code_free(struct module_record *r)
{
    for (struct code_chunk *k; (k = r->chunks);) {
        r->chunks = k->next;
        chunk_free(k);
    }
}

// NULL: not compiled yet.
static const u8 *code_of(const struct compiled *c, u32 own)
{
    const u8 *code = __atomic_load_n(&c->table[ENTRY_FUNCS + own], __ATOMIC_ACQUIRE);
    return code == arch_stub_first ? NULL : code;
}

// --- A place for code

struct place {
    struct code_chunk *chunk;
    u32 from, to, next; // in its space; `next` is the page behind it
};

// In the newest chunk, with the realm's lock.
static bool take(struct code_chunk *k, u32 size, struct place *p)
{
    if (!k || k->space.capacity - k->space.used < size)
        return false;
    u32 from = k->space.used, next = ALIGN_UP(from + size, (u32)PLAT_PAGE);
    *p = (struct place){k, from, from + size, next};
    k->space.used = next;
    return true;
}

// What is left of the last page may be used, unless somebody has gone on behind it.
static void settle(const struct place *p)
{
    if (p->chunk->space.used == p->next)
        p->chunk->space.used = p->to;
}

static void give_place(struct module_record *r, struct place *p)
{
    p->to = p->from;
    spin_acquire(&r->realm->lock);
    settle(p);
    spin_release(&r->realm->lock);
}

// As much as there is already: so there are few chunks, and little is left over.
static status new_place(struct module_record *r, u32 size, struct place *p)
{
    struct code_chunk *k;
    u32 more = r->pub.compiled.used;
    more = more < CHUNK_LEAST ? CHUNK_LEAST : more > CHUNK_MOST ? CHUNK_MOST : more;
    status s = chunk_new(r, size > more ? size : more, &k);
    if (s)
        return s;
    take(k, size, p);
    spin_acquire(&r->realm->lock);
    k->next = r->chunks;
    __atomic_store_n(&r->chunks, k, __ATOMIC_RELEASE);
    spin_release(&r->realm->lock);
    return OK;
}

static status take_place(struct module_record *r, u32 size, struct place *p)
{
    spin_acquire(&r->realm->lock);
    bool taken = take(r->chunks, size, p);
    spin_release(&r->realm->lock);
    return taken ? OK : new_place(r, size, p);
}

// For calls and for traces, once.
static void enter(struct module_record *r, u32 own, const struct place *p,
                  const struct func_code *f)
{
    struct compiled *c = &r->pub.compiled;
    spin_acquire(&r->realm->lock);
    settle(p);
    if (!code_of(c, own)) {
        u32 *first = &p->chunk->first[p->from / PLAT_PAGE];
        c->used += f->end - f->start;
        c->funcs[own] = *f;
        c->funcs[own].next = *first;
        __atomic_store_n(first, own + 1, __ATOMIC_RELEASE);
        __atomic_store_n(&c->table[ENTRY_FUNCS + own], c->run + f->entry, __ATOMIC_RELEASE);
    }
    spin_release(&r->realm->lock);
}

// `alone`: nobody runs anything of the module yet, and what is written is published later.
static status put(struct module_record *r, struct compiler *k, u32 own, u32 size, bool alone)
{
    struct place p;
    struct func_code f;
    status s = take_place(r, ALIGN_UP(size, 16u), &p);
    if (s)
        return s;
    const struct code_space *space = &p.chunk->space;
    if (!alone && p.from % PLAT_PAGE &&
        (s = code_open(space, p.from & ~(u32)(PLAT_PAGE - 1), PLAT_PAGE))) {
        give_place(r, &p);
        return s;
    }
    r->pub.compiled.engine->place(k, code_offset(space) + p.from, &f);
    if (!alone)
        code_publish(space, p.from, size);
    enter(r, own, &p, &f);
    return OK;
}

// --- Compiling

static status compile(struct module_record *r, struct compiler *k, u32 own, bool alone,
                      struct error *e)
{
    const struct compiled *c = &r->pub.compiled;
    u32 size;
    status s = c->engine->compile(k, c, c->module->nimported_funcs + own, &size, e);
    if (!s && (s = put(r, k, own, size, alone)))
        error_set(e, s, ERROR_NO_OFFSET, "no memory for code");
    return s;
}

status module_compile_all(struct module_record *r, struct error *e)
{
    const struct compiled *c = &r->pub.compiled;
    struct compiler *k = c->engine->begin();
    status s = k ? OK : ERR_NO_MEMORY;
    for (u32 i = 0; i < c->module->nfuncs - c->module->nimported_funcs && !s; i++)
        s = compile(r, k, i, true, e);
    c->engine->end(k);
    for (struct code_chunk *p = r->chunks; p; p = p->next) {
        u32 from = p->next ? 0 : (u32)table_bytes(c->module);
        code_publish(&p->space, from, p->space.used - from);
    }
    return s;
}

// What it takes to compile a function that is not large is nobody's, while few are at it, and one
// that is idle waits for the next: a pool that there is once for all, like those of memories and
// stacks. So a first call seldom fails, even where there is no memory at all.
static bool is_small(const struct module_record *r, u32 own)
{
    const struct func *f = &r->pub.m->funcs[r->pub.m->nimported_funcs + own];
    return f->end - f->start <= SMALL_BODY;
}

static struct compiler *swap_idle(struct realm *r, struct compiler *k)
{
    return __atomic_exchange_n(&r->idle_compiler, k, __ATOMIC_ACQ_REL);
}

static status compile_with(struct module_record *r, struct compiler *k, u32 own)
{
    struct error e = {0};
    return k ? compile(r, k, own, false, &e) : ERR_NO_MEMORY;
}

static status first_call(struct thread *t, struct module_record *r, u32 own)
{
    struct realm *realm = r->realm;
    const struct engine *engine = realm->engine;
    struct account *payer = t->payer;
    u32 small = is_small(r, own);
    bool few = __atomic_add_fetch(&realm->ncompilers, small, __ATOMIC_RELAXED) <= SMALL_AT_ONCE;
    struct compiler *k = NULL;
    if (small && few) {
        t->payer = NULL;
        k = swap_idle(realm, NULL);
    }
    if (!k)
        k = engine->begin();
    status s = compile_with(r, k, own);
    engine->end(small && few ? swap_idle(realm, k) : k);
    t->payer = payer;
    __atomic_sub_fetch(&realm->ncompilers, small, __ATOMIC_RELAXED);
    return s;
}

// Where in the table the call [rip + disp32] in front of there goes through.
static const u8 *entry_called(const u8 *behind)
{
    return behind + load_s32(behind - 4);
}

// The one that is called first now: in vm->scratch it says so itself, or the place where it
// returns to does.
static u32 called(const struct compiled *c, const struct vmctx *vm, struct vm_func **f)
{
    *f = vm->scratch & 1 ? NULL : (struct vm_func *)(uintptr_t)vm->scratch;
    if (*f)
        return (*f)->index - vm->module->nimported_funcs;
    const u8 *entry = vm->scratch ? (const u8 *)(uintptr_t)(vm->scratch - 1)
                                  : entry_called(*(u8 **)(void *)vm->thread->last_sp);
    return (u32)((const u8 **)(void *)(uintptr_t)entry - c->table) - ENTRY_FUNCS;
}

const void *rt_first_call(struct vmctx *vm)
{
    struct module_record *r = vm->instance->module;
    const struct compiled *c = &r->pub.compiled;
    struct vm_func *f;
    u32 own = called(c, vm, &f);
    if (!code_of(c, own) && first_call((struct thread *)vm->thread, r, own)) {
        rt_check_interrupt(vm);
        rt_trap(vm, TRAP_CODE);
    }
    const u8 *code = code_of(c, own);
    if (f)
        f->code = code;
    return code;
}

// --- From an address back to its function

// Of those that begin in the page, the last one at or before the offset; 0: none, else + 1.
static u32 last_before(const struct compiled *c, const u32 *first, u32 offset)
{
    u32 last = 0, own = __atomic_load_n(first, __ATOMIC_ACQUIRE);
    for (; own; own = c->funcs[own - 1].next) {
        u32 start = c->funcs[own - 1].start;
        if (start <= offset && (!last || start > c->funcs[last - 1].start))
            last = own;
    }
    return last;
}

u32 module_func_at(const struct module_record *m, const u8 *pc)
{
    const struct compiled *c = &m->pub.compiled;
    u32 offset = (u32)(pc - c->run), last = 0;
    const struct code_chunk *k = module_chunk_at(m, pc);
    for (u32 page = k ? (u32)(pc - k->space.run) / PLAT_PAGE + 1 : 0; page-- && !last;)
        last = last_before(c, &k->first[page], offset);
    bool there = last && offset < c->funcs[last - 1].end;
    return there ? last - 1 : c->module->nfuncs - c->module->nimported_funcs;
}

const struct code_chunk *module_chunk_at(const struct module_record *m, const u8 *pc)
{
    const struct code_chunk *k = __atomic_load_n(&m->chunks, __ATOMIC_ACQUIRE);
    while (k && (u64)(pc - k->space.run) >= k->space.capacity)
        k = k->next;
    return k;
}
