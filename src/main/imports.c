// SPDX-License-Identifier: MIT
// A preloaded module has an instance in the program's own process: its memory counts as the
// program's, and what it exports is found under its name before anything else of that name.
#include "main/imports.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wasm/module.h"
#include "wasm/runtime.h"

struct unknown {
    struct host_func func;
    char *module, *name, *type;
};

static bool load(struct imports *out, const char *given)
{
    struct error e = {0};
    struct preload p = {0};
    const char *equals = strchr(given, '=');
    if (!equals || equals == given || !equals[1]) {
        complain("--preload %s: it is NAME=FILE", given);
        return false;
    }
    if (!file_read(equals + 1, &p.file))
        return false;
    if (!(p.name = strndup(given, (size_t)(equals - given))) || !vec_reserve(&out->preloads, 1)) {
        file_free(&p.file);
        return complain("out of memory"), false;
    }
    status s = module_new(p.file.bytes, p.file.size, false, &p.module, &e);
    if (s)
        complain_module(&p.file, &e);
    else if (!p.module->module->m->module_name.length) // else traces had the program's name for it
        p.module->module->m->module_name = (struct name){p.name, (u32)strlen(p.name)};
    vec_push(&out->preloads, p);
    return !s;
}

bool imports_load(const struct options *o, struct imports *out)
{
    out->traps = o->trap_unknown;
    for (u32 i = 0; i < o->preload.count; i++)
        if (!load(out, o->preload.at[i]))
            return false;
    return true;
}

void imports_free(struct imports *i)
{
    for (u32 k = 0; k < i->preloads.count; k++) {
        free((char *)i->preloads.at[k].name);
        file_free(&i->preloads.at[k].file);
    }
    for (u32 k = 0; k < i->unknown.count; k++) {
        free(i->unknown.at[k]->module);
        free(i->unknown.at[k]->name);
        free(i->unknown.at[k]->type);
        free(i->unknown.at[k]);
    }
    vec_free(&i->preloads);
    vec_free(&i->unknown);
}

static status bind_one(struct process *p, const struct preload *x, struct vm_func *first,
                       struct error *e)
{
    struct instance *in;
    struct extern_ f;
    static const char initialize[] = "_initialize";
    status s = instance_create(p->store, x->module->module, p, &in, e);
    if (!s && store_register(p->store, x->name, strlen(x->name), in))
        s = error_set(e, ERR_NO_MEMORY, ERROR_NO_OFFSET, "out of memory");
    if (s)
        return s;
    if (instance_start(in, &first[p->nfirst]))
        p->nfirst++;
    if (!instance_export(in, initialize, sizeof initialize - 1, &f) && f.kind == EXTERN_FUNC &&
        !f.func_type->nparams && !f.func_type->nresults)
        first[p->nfirst++] = *f.func;
    return OK;
}

status imports_bind(const struct imports *i, struct process *p, struct vm_func *first,
                    struct error *e)
{
    p->first = first;
    for (u32 k = 0; k < i->preloads.count; k++) {
        const struct preload *x = &i->preloads.at[k];
        status s = bind_one(p, x, first, e);
        if (s) {
            complain("%s, as %s:", x->file.name, x->name);
            return s;
        }
    }
    return OK;
}

// --- Traps

static void trap(struct vmctx *vm, u64 *slots)
{
    (void)slots;
    rt_trap(vm, TRAP_UNREACHABLE); // rt/describe.c says what was called
}

// As struct host_func has it; NULL: there is no letter for a type.
static char *type_letters(const struct functype *t)
{
    char *text = malloc(t->nparams + t->nresults + 2), *to = text;
    for (u32 i = 0; text && i <= t->nparams + t->nresults; i++) {
        if (i == t->nparams)
            *to++ = ':';
        if (i == t->nparams + t->nresults)
            break;
        switch (t->types[i]) {
        case TYPE_I32: *to++ = 'i'; break;
        case TYPE_I64: *to++ = 'I'; break;
        case TYPE_F32: *to++ = 'f'; break;
        case TYPE_F64: *to++ = 'F'; break;
        case TYPE_FUNCREF: *to++ = 'r'; break;
        case TYPE_EXTERNREF: *to++ = 'e'; break;
        default: free(text); return NULL;
        }
    }
    if (text)
        *to = 0;
    return text;
}

static status offer(struct imports *i, struct process *p, const struct module *m,
                    const struct import *x, struct error *e)
{
    char *type = type_letters(module_func_type(m, x->index));
    if (!type)
        return OK; // it is unknown, and the program is told
    struct unknown *u = calloc(1, sizeof *u);
    status s = ERR_NO_MEMORY;
    if (u && vec_push(&i->unknown, u)) {
        u->type = type;
        u->name = strndup((const char *)x->field.p, x->field.length);
        u->module = strndup((const char *)x->module.p, x->module.length);
        u->func = (struct host_func){u->name, type, trap, NULL};
        if (u->name && u->module)
            s = store_host_module(p->store, u->module, &u->func, 1);
    }
    return s ? error_set(e, s, ERROR_NO_OFFSET, "out of memory for imports") : OK;
}

status imports_trap(struct imports *i, struct process *p, const struct module *m, struct error *e)
{
    status s = OK;
    for (u32 k = 0; k < m->nimports && i->traps && !s; k++) {
        const struct import *x = &m->imports[k];
        if (x->kind == EXTERN_FUNC && !store_has(p->store, x))
            s = offer(i, p, m, x, e);
    }
    return s;
}
