// SPDX-License-Identifier: MIT
// Loading: bytes are decoded, types get their numbers in the realm, and the engine validates all
// bodies. Nothing of a module runs before all of it is valid.
#include "rt/instance.h"
#include "base/lookup.h"
#include "plat/plat.h"

static status intern_types(struct realm *s, struct module_record *r, struct error *e)
{
    enum { AT_ONCE = 256 };
    struct module *m = r->pub.m;
    for (u32 i = 0, seen = 0; i < m->ntypes; i = r->ntypes) {
        u32 same = type_index(m->types[i].self[0]), n = 1;
        if (same == i) {
            struct rt_type *t = type_intern(&s->types, m->types, i);
            if (!t)
                return error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "out of memory for types");
            n = t->t.count;
        } else {
            m->types[i].id = m->types[same].id;
        }
        r->ntypes += n;
        if (r->ntypes - seen >= AT_ONCE) {
            seen = r->ntypes;
            look_up();
        }
    }
    return OK;
}

// The functions whose references can be taken, so that an instance need not search for them.
static status list_refs(struct module_record *r, struct error *e)
{
    const struct module *m = r->pub.m;
    r->refs = heap_array(m->nrefs, sizeof *r->refs);
    r->bound = heap_array(m->nimports, sizeof *r->bound);
    if (!r->refs || !r->bound)
        return error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "out of memory for references");
    enum { AT_ONCE = 1 << 14 };
    for (u32 i = m->nimported_funcs; i < m->nfuncs; i++) {
        if (m->funcs[i].ref)
            r->refs[m->funcs[i].ref - 1] = i;
        if (i % AT_ONCE == AT_ONCE - 1)
            look_up();
    }
    return OK;
}

static status load_bodies(struct realm *s, struct module_record *r, struct error *e)
{
    const struct module *m = r->pub.m;
    struct compiled *c = &r->pub.compiled;
    c->module = m;
    c->funcs = heap_array(m->nfuncs - m->nimported_funcs, sizeof *c->funcs);
    status result = c->funcs ? OK : ERR_NO_MEMORY;
    if (!result && s->engine->code)
        result = module_code_init(r);
    if (result)
        return error_set(e, result, ERROR_NO_OFFSET, "no memory for %u functions", m->nfuncs);
    c->engine = s->engine;
    if (s->engine->code && s->at_once)
        result = module_compile_all(r, e);
    else
        result = s->engine->load(c, e);
    return result ? error_set(e, result, ERROR_NO_OFFSET, "%s", status_text(result)) : OK;
}

// A few at a time.
static void drop_types(struct realm *s, struct module_record *r)
{
    enum { AT_ONCE = 64 };
    while (r->ntypes) {
        const struct functype *t = &r->pub.m->types[--r->ntypes];
        if (t->first == r->ntypes)
            type_drop(&s->types, t->id);
        if (r->ntypes % AT_ONCE == 0)
            look_up();
    }
}

// Also of a record that loading has left half done.
static void destroy(struct module_record *r)
{
    struct realm *s = r->realm;
    struct compiled *c = &r->pub.compiled;
    spin_acquire(&s->lock);
    if (r->self)
        LIST_REMOVE(r);
    spin_release(&s->lock);
    drop_types(s, r);
    if (c->engine)
        c->engine->free(c);
    module_code_free(r);
    heap_free(c->funcs);
    memories_forget(s, r->image);
    plat_image_free(r->image);
    account_discharge(heap_payer(r), ACCOUNT_KEPT, r->image_bytes);
    heap_free(r->refs);
    heap_free(r->bound);
    module_free(r->pub.m);
    heap_free(r);
}

static void enlist(struct realm *s, struct module_record *r)
{
    spin_acquire(&s->lock);
    LIST_ADD(&s->modules, r);
    spin_release(&s->lock);
}

static status load(struct realm *s, struct module_record *r, const u8 *bytes, size_t size,
                   struct error *e)
{
    u64 start = plat_now();
    status result = module_decode(bytes, size, &r->pub.m, e);
    if (result)
        return result;
    u64 decoded = plat_now();
    r->instance_size = instance_bytes(r->pub.m);
    r->pub.decode_ns = decoded - start;
    if ((result = intern_types(s, r, e)) || (result = list_refs(r, e)) ||
        (result = load_bodies(s, r, e)))
        return result;
    r->pub.load_ns = plat_now() - decoded;
    enlist(s, r);
    return OK;
}

status rt_module_load(struct store *s, const u8 *bytes, size_t size, struct rt_module **out,
                      struct error *e)
{
    *out = NULL;
    struct module_record *r = heap_zalloc(sizeof *r);
    if (!r)
        return error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "out of memory for the module");
    r->realm = s->realm;
    r->users = 1;
    status result = load(s->realm, r, bytes, size, e);
    if (result) {
        destroy(r);
        return result;
    }
    *out = &r->pub;
    return OK;
}

void module_used(struct module_record *m)
{
    __atomic_add_fetch(&m->users, 1, __ATOMIC_RELAXED);
}

void module_unused(struct module_record *m)
{
    if (!__atomic_sub_fetch(&m->users, 1, __ATOMIC_ACQ_REL))
        destroy(m);
}

// An instance whose segments trapped may still be there, kept alive by the tables that its
// functions are in: the module then goes with it.
void rt_module_free(struct rt_module *m)
{
    module_unused(container_of(m, struct module_record, pub));
}
