// SPDX-License-Identifier: MIT
// The store: the root that everything hangs from, made and taken apart here.
#include "rt/store.h"
#include "rt/gc.h"
#include "rt/instance.h"
#include "rt/memory.h"
#include "rt/thread.h"

static struct store *create(struct realm *r, struct account *account,
                            const struct module_record *first)
{
    size_t room = first ? ALIGN_UP(sizeof(struct store), (size_t)16) + first->instance_size : 0;
    struct store *s = heap_zalloc(room ? room : sizeof *s);
    if (!s)
        return NULL;
    s->room = first;
    s->realm = r;
    s->engine = r->engine;
    s->account = account;
    return s;
}

struct store *store_create(const struct engine *engine)
{
    struct realm *r = heap_zalloc(sizeof *r);
    if (!r)
        return NULL;
    r->engine = engine;
    struct store *s = create(r, NULL, NULL);
    if (s)
        s->owns_realm = true;
    else
        heap_free(r);
    return s;
}

struct store *store_share(struct store *of, struct account *account, const struct rt_module *first)
{
    return create(of->realm, account,
                  first ? container_of(first, struct module_record, pub) : NULL);
}

u64 store_memory_used(const struct store *s, u64 *peak)
{
    *peak = s->peak_memory;
    return s->memory;
}

static void realm_free(struct realm *r)
{
    while (r->modules)
        rt_module_free(&r->modules->pub);
    names_free(r);
    threads_release(r);
    memories_release(r);
    types_free(&r->types);
    if (r->engine->code)
        r->engine->end(r->idle_compiler);
    heap_free(r);
}

void store_empty(struct store *s)
{
    for (struct instance *i = s->instances; i; i = i->next) {
        const struct module *m = i->vm.module;
        for (u32 k = m->nimported_tables; k < m->ntables; k++)
            table_free(&i->tables[k - m->nimported_tables]);
        if (i->own_memory)
            memory_shrink(s, i->own_memory);
    }
    for (struct memory_slot *p = s->owned_memories; p; p = p->next)
        memory_shrink(s, &p->vm);
    if (unlikely(s->exceptions.all.at))
        exceptions_free(s);
    if (unlikely(s->gc != NULL))
        gc_end(s);
}

void store_free(struct store *s)
{
    if (!s)
        return;
    struct realm *r = s->realm;
    r->closing = s->owns_realm;
    if (unlikely(s->exceptions.all.at))
        exceptions_free(s);
    if (unlikely(s->gc != NULL))
        gc_end(s);
    threads_free(s);
    while (s->instances)
        instance_free(s->instances);
    names_drop(s);
    vec_free(&s->operands);
    tables_free(s);
    memories_free(s);
    if (s->owns_realm)
        realm_free(r);
    heap_free(s);
}
