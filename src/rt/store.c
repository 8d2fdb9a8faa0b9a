// SPDX-License-Identifier: MIT
// The store: the root that everything hangs from, made and taken apart here.
#include "rt/store.h"
#include "rt/memory.h"
#include "rt/thread.h"

struct store *store_create(const struct engine *engine)
{
    struct store *s = heap_zalloc(sizeof *s);
    if (!s)
        return NULL;
    s->engine = engine;
    s->max_memory = UINT64_MAX;
    s->host_module.start = UINT32_MAX;
    s->host_vm = (struct vmctx){.mem = &s->no_memory, .module = &s->host_module};
    return s;
}

void store_limit(struct store *s, u64 max_memory_bytes)
{
    s->max_memory = max_memory_bytes ? max_memory_bytes : UINT64_MAX;
}

void store_free(struct store *s)
{
    if (!s)
        return;
    s->closing = true;
    threads_free(s);
    while (s->instances)
        instance_free(s->instances);
    while (s->modules)
        rt_module_free(&s->modules->pub);
    names_free(s);
    tables_free(s);
    memories_free(s);
    types_free(&s->types);
    vec_free(&s->code);
    heap_free(s);
}
