// SPDX-License-Identifier: MIT
// What imports are looked up by: host modules, which are tables of functions and hashed items made
// of those that were asked for, and instances registered under a name, whose own export tables are
// asked. A registration comes before a host module of the same name, and the latest registration of
// a name before older ones.
#include "rt/instance.h"
#include "base/fmt.h"
#include "fast/fast.h"
#include "rt/code.h"
#include "wasm/runtime.h"

enum { THUNK_SPACE = 64 << 10 };

static u32 hash_name(const char *p, u32 n)
{
    u32 h = 2166136261u;
    for (u32 i = 0; i < n; i++)
        h = (h ^ (u8)p[i]) * 16777619u;
    return h ^ h >> 15;
}

// --- Host modules

static struct host_module *host_find(struct realm *s, const char *name, u32 length)
{
    for (struct host_module *m = s->hosts; m; m = m->next)
        if (m->length == length && !memcmp(m->name, name, length))
            return m;
    return NULL;
}

static struct host_module *host_module(struct realm *s, const char *name)
{
    u32 length = (u32)strlen(name);
    struct host_module *m = host_find(s, name, length);
    if (m || !(m = heap_zalloc(sizeof *m)))
        return m;
    m->name = name;
    m->length = length;
    m->next = s->hosts;
    s->hosts = m;
    return m;
}

static void insert(struct host_module *m, u32 index)
{
    u32 at = m->items.at[index].hash & (m->nbuckets - 1);
    while (m->buckets[at])
        at = (at + 1) & (m->nbuckets - 1);
    m->buckets[at] = index + 1;
}

static bool reserve(struct host_module *m, u32 more)
{
    if (!vec_reserve(&m->items, more))
        return false;
    u32 n = m->nbuckets ? m->nbuckets : 16;
    while (n < 2 * (m->items.count + more))
        n *= 2;
    if (n == m->nbuckets)
        return true;
    u32 *buckets = heap_array(n, sizeof *buckets);
    if (!buckets)
        return false;
    heap_free(m->buckets);
    m->buckets = buckets;
    m->nbuckets = n;
    for (u32 i = 0; i < m->items.count; i++)
        insert(m, i);
    return true;
}

static struct host_item *item_find(const struct host_module *m, const char *name, u32 length)
{
    u32 hash = hash_name(name, length);
    for (u32 at = hash; m->nbuckets; at++) {
        u32 index = m->buckets[at & (m->nbuckets - 1)];
        if (!index)
            break;
        struct host_item *i = &m->items.at[index - 1];
        if (i->hash == hash && i->length == length && !memcmp(i->name, name, length))
            return i;
    }
    return NULL;
}

// There is room. The latest item of a name wins.
static void item_set(struct host_module *m, const char *name, const struct extern_ *e)
{
    u32 length = (u32)strlen(name);
    struct host_item *i = item_find(m, name, length);
    if (i) {
        i->item = *e;
        return;
    }
    struct host_item new = {name, length, hash_name(name, length), *e};
    m->items.at[m->items.count] = new;
    insert(m, m->items.count++);
}

static status add_item(struct store *s, struct name module, struct name field,
                       const struct extern_ *item)
{
    struct store_item *i = heap_alloc(sizeof *i);
    if (!i)
        return ERR_NO_MEMORY;
    *i = (struct store_item){s->items, module, field, *item};
    s->items = i;
    return OK;
}

static struct name name_of(const char *text)
{
    return (struct name){.p = text, .length = (u32)strlen(text)};
}

status store_host_extern(struct store *s, const char *module, const char *name,
                         const struct extern_ *item)
{
    return add_item(s, name_of(module), name_of(name), item);
}

status store_import_item(struct store *s, const struct import *i, const struct extern_ *item)
{
    return add_item(s, i->module, i->field, item);
}

static bool same_name(const struct name *a, const struct name *b)
{
    return a->length == b->length && !memcmp(a->p, b->p, a->length);
}

static const struct store_item *store_item_find(const struct store *s, const struct import *i)
{
    for (const struct store_item *at = s->items; at; at = at->next)
        if (same_name(&i->module, &at->module) && same_name(&i->field, &at->field))
            return at;
    return NULL;
}

static valtype type_letter(char c)
{
    switch (c) {
    case 'i': return TYPE_I32;
    case 'I': return TYPE_I64;
    case 'f': return TYPE_F32;
    case 'F': return TYPE_F64;
    case 'r': return TYPE_FUNCREF;
    case 'e': return TYPE_EXTERNREF;
    }
    return 0;
}

static struct rt_type *host_type(struct realm *s, const char *text)
{
    valtype types[64];
    struct functype f = {.types = types, .super = NO_TYPE, .count = 1};
    u32 n = 0;
    for (; *text && *text != '!' && *text != '>'; text++) {
        if (*text == ':') {
            f.nparams = n;
            continue;
        }
        if (n == countof(types))
            return NULL;
        types[n++] = type_letter(*text);
    }
    f.nresults = n - f.nparams;
    return type_intern(&s->types, &f, 0);
}

// By which compiled code comes to a function, if its type says so (struct host_func).
static const void *stub_of(const char *type, u32 nparams)
{
    switch (type[strlen(type) - 1]) {
    case '!': return arch_stub_pass;
    case '>': return nparams > 6 ? arch_stub_hand8 : arch_stub_hand;
    }
    return NULL;
}

// Makes an item of a function that was offered.
static bool accept(struct realm *s, struct host_module *m, const struct host_func *offered)
{
    struct host_accepted *a = heap_zalloc(sizeof *a);
    struct rt_type *t = a && reserve(m, 1) ? host_type(s, offered->type) : NULL;
    if (!t) {
        heap_free(a);
        return false;
    }
    a->host.direct = s->cells ? NULL : offered->direct;
    struct vm_func *f = &a->host.func;
    *f = (struct vm_func){.host = offered->fn, .ref = f, .type = t->t.id, .index = VM_FUNC_HOST};
    if (a->host.direct && s->engine->code)
        f->code = stub_of(offered->type, t->t.nparams);
    a->next = m->accepted;
    m->accepted = a;
    struct extern_ e = {.kind = EXTERN_FUNC, .func = f, .func_type = &t->t};
    item_set(m, offered->name, &e);
    return true;
}

// Tables are large and modules import little, so nothing is made of a function before somebody asks
// for it. One that takes the place of an item does so now.
static status offer(struct realm *s, const char *name, const struct host_func *funcs, size_t count)
{
    struct host_module *m = host_module(s, name);
    struct host_offer *o = m ? heap_alloc(sizeof *o) : NULL;
    if (!o)
        return ERR_NO_MEMORY;
    *o = (struct host_offer){m->offers, funcs, count};
    m->offers = o;
    for (struct module_record *r = s->modules; r; r = r->next)
        memset(r->bound, 0, r->pub.m->nimports * sizeof *r->bound);
    for (size_t i = 0; i < count && m->items.count; i++)
        if (item_find(m, funcs[i].name, (u32)strlen(funcs[i].name)) && !accept(s, m, &funcs[i]))
            return ERR_NO_MEMORY;
    return OK;
}

status store_host_module(struct store *s, const char *name, const struct host_func *funcs,
                         size_t count)
{
    spin_acquire(&s->realm->lock);
    status result = offer(s->realm, name, funcs, count);
    spin_release(&s->realm->lock);
    return result;
}

void store_use_cells(struct store *s)
{
    s->realm->cells = true;
}

void store_compile_at_once(struct store *s)
{
    s->realm->at_once = true;
}

static const struct host_func *offer_find(const struct host_module *m, const char *name, u32 length)
{
    for (const struct host_offer *o = m->offers; o; o = o->next)
        for (size_t i = o->count; i-- > 0;) {
            const char *p = o->funcs[i].name;
            u32 n = 0;
            while (n < length && p[n] == name[n] && p[n])
                n++;
            if (n == length && !p[n])
                return &o->funcs[i];
        }
    return NULL;
}

// --- Thunks

static struct code_space *new_thunk_space(struct realm *s)
{
    struct thunk_space *space = heap_zalloc_for(NULL, sizeof *space);
    if (!space)
        return NULL;
    if (code_alloc(THUNK_SPACE, NULL, &space->space)) {
        heap_free(space);
        return NULL;
    }
    space->next = s->thunks;
    s->thunks = space;
    return &space->space;
}

const u8 *store_thunk(const struct store *s, u32 type)
{
    return type_at(&s->realm->types, type)->thunk;
}

static const void *write_thunk(struct code_space *space, const struct functype *type)
{
    u32 offset, before = space->used;
    if (code_open(space, 0, space->capacity))
        return NULL;
    bool made = !fast_host_thunk(space, type, &offset);
    if (!made)
        space->used = before;
    code_publish(space, 0, space->capacity);
    return made ? space->run + offset : NULL;
}

// Gives a host function the code for its type: made when the first import of it is bound, since
// most are never used.
static status bind_thunk(struct realm *s, struct vm_func *f)
{
    if (!s->engine->code || f->code)
        return OK;
    struct rt_type *t = type_at(&s->types, f->type);
    if (container_of(f, struct vm_host, func)->direct) {
        f->code = t->t.nparams == 6 ? arch_stub_direct6 : arch_stub_direct;
        return OK;
    }
    if (!t->thunk && s->thunks)
        t->thunk = write_thunk(&s->thunks->space, &t->t);
    if (!t->thunk) {
        struct code_space *space = new_thunk_space(s);
        t->thunk = space ? write_thunk(space, &t->t) : NULL;
    }
    f->code = t->thunk;
    return f->code ? OK : ERR_NO_MEMORY;
}

// --- Registered instances

status store_register(struct store *s, const char *name, size_t length, struct instance *instance)
{
    if (length > MAX_NAME)
        return ERR_INVALID_ARG;
    struct registration *r = heap_alloc(sizeof *r + length);
    if (!r)
        return ERR_NO_MEMORY;
    *r = (struct registration){s->registrations, instance, (u32)length};
    memcpy(r->name, name, length);
    s->registrations = r;
    return OK;
}

void names_forget(struct store *s, const struct instance *i)
{
    for (struct registration **p = &s->registrations; *p;) {
        struct registration *r = *p;
        if (r->instance != i) {
            p = &r->next;
            continue;
        }
        *p = r->next;
        heap_free(r);
    }
}

void names_drop(struct store *s)
{
    while (s->registrations)
        names_forget(s, s->registrations->instance);
    for (struct store_item *i; (i = s->items);) {
        s->items = i->next;
        heap_free(i);
    }
}

static struct registration *registration_find(struct store *s, const struct name *name)
{
    for (struct registration *r = s->registrations; r; r = r->next)
        if (r->length == name->length && !memcmp(r->name, name->p, r->length))
            return r;
    return NULL;
}

// --- Lookup

static status unknown_module(struct realm *s, const struct import *i, struct error *e)
{
    char known[120] = "";
    size_t n = 0;
    for (struct host_module *m = s->hosts; m && n < sizeof known; m = m->next)
        n += fmt(known + n, sizeof known - n, "%s%s", n ? ", " : "", m->name);
    return error_set(e, ERR_UNLINKABLE, ERROR_NO_OFFSET,
                     "unknown import: no module \"%.*s\" (for \"%.*s\"); there are: %s",
                     (int)i->module.length, i->module.p, (int)i->field.length, i->field.p,
                     n ? known : "none");
}

static status find_host(struct realm *s, const struct import *i, bool registered,
                        struct extern_ *out, struct error *e)
{
    struct host_module *m = host_find(s, i->module.p, i->module.length);
    if (!registered && !m)
        return unknown_module(s, i, e);
    struct host_item *item = m ? item_find(m, i->field.p, i->field.length) : NULL;
    const struct host_func *offered =
        m && !item ? offer_find(m, i->field.p, i->field.length) : NULL;
    if (offered && accept(s, m, offered))
        item = item_find(m, i->field.p, i->field.length);
    if (offered && !item)
        return error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "out of memory for an import");
    if (!item)
        return error_set(e, ERR_UNLINKABLE, ERROR_NO_OFFSET,
                         "unknown import: module \"%.*s\" has no \"%.*s\"", (int)i->module.length,
                         i->module.p, (int)i->field.length, i->field.p);
    *out = item->item;
    if (out->kind != EXTERN_FUNC || out->func->index != VM_FUNC_HOST)
        return OK;
    // The canonical vm_func is the realm's own; extern_ shows it as const to everybody else.
    if (bind_thunk(s, (struct vm_func *)out->func->ref))
        return error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "out of code memory");
    return OK;
}

status names_find(struct store *s, const struct import *i, struct extern_ *out, struct error *e)
{
    struct registration *r = registration_find(s, &i->module);
    if (r && !instance_export(r->instance, i->field.p, i->field.length, out))
        return OK;
    const struct store_item *own = store_item_find(s, i);
    if (own) {
        *out = own->item;
        return OK;
    }
    spin_acquire(&s->realm->lock);
    status result = find_host(s->realm, i, r != NULL, out, e);
    spin_release(&s->realm->lock);
    return result;
}

bool store_has(struct store *s, const struct import *i)
{
    struct extern_ x;
    struct error e;
    return !names_find(s, i, &x, &e);
}

void names_free(struct realm *s)
{
    for (struct host_module *m; (m = s->hosts);) {
        s->hosts = m->next;
        for (struct host_accepted *a; (a = m->accepted);) {
            m->accepted = a->next;
            type_drop(&s->types, a->host.func.type);
            heap_free(a);
        }
        for (struct host_offer *o; (o = m->offers);) {
            m->offers = o->next;
            heap_free(o);
        }
        vec_free(&m->items);
        heap_free(m->buckets);
        heap_free(m);
    }
    for (struct thunk_space *t; (t = s->thunks);) {
        s->thunks = t->next;
        code_free(&t->space);
        heap_free(t);
    }
}
